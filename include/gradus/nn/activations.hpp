// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

#include "gradus/nn/trace.hpp"
#include "gradus/ops/activation.hpp"

// The activations of ops/activation.hpp as layers, for Sequential.

namespace gradus::nn {

struct ReLU {
    static constexpr const char* type = "ReLU";
    template <class T>
    Variable<T> operator()(Variable<T> x) const {
        return traced(this, [&] { return relu(std::move(x)); });
    }
};

struct LeakyReLU {
    static constexpr const char* type = "LeakyReLU";
    double negative_slope = 0.01;
    template <class T>
    Variable<T> operator()(const Variable<T>& x) const {
        return traced(this, [&] { return leaky_relu(x, static_cast<T>(negative_slope)); });
    }
};

struct ELU {
    static constexpr const char* type = "ELU";
    double alpha = 1.0;
    template <class T>
    Variable<T> operator()(const Variable<T>& x) const {
        return traced(this, [&] { return elu(x, static_cast<T>(alpha)); });
    }
};

struct GELU {
    static constexpr const char* type = "GELU";
    GeluApproximation approximate = GeluApproximation::none;
    template <class T>
    Variable<T> operator()(const Variable<T>& x) const {
        return traced(this, [&] { return gelu(x, {.approximate = approximate}); });
    }
};

struct SiLU {
    static constexpr const char* type = "SiLU";
    template <class T>
    Variable<T> operator()(const Variable<T>& x) const {
        return traced(this, [&] { return silu(x); });
    }
};

struct Sigmoid {
    static constexpr const char* type = "Sigmoid";
    template <class T>
    Variable<T> operator()(const Variable<T>& x) const {
        return traced(this, [&] { return sigmoid(x); });
    }
};

struct Tanh {
    static constexpr const char* type = "Tanh";
    template <class T>
    Variable<T> operator()(const Variable<T>& x) const {
        return traced(this, [&] { return tanh(x); });
    }
};

struct Softplus {
    static constexpr const char* type = "Softplus";
    double beta = SoftplusOptions().beta;
    double threshold = SoftplusOptions().threshold;
    template <class T>
    Variable<T> operator()(const Variable<T>& x) const {
        return traced(this, [&] { return softplus(x, {.beta = beta, .threshold = threshold}); });
    }
};

struct Softmax {
    static constexpr const char* type = "Softmax";
    int axis = -1;
    template <class T>
    Variable<T> operator()(const Variable<T>& x) const {
        return traced(this, [&] { return softmax(x, axis); });
    }
};

struct LogSoftmax {
    static constexpr const char* type = "LogSoftmax";
    int axis = -1;
    template <class T>
    Variable<T> operator()(const Variable<T>& x) const {
        return traced(this, [&] { return log_softmax(x, axis); });
    }
};

}  // namespace gradus::nn
