// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <optional>
#include <string>

#include "gradus/autograd/parameter.hpp"
#include "gradus/core/reflect.hpp"
#include "gradus/core/remedy.hpp"
#include "gradus/nn/init.hpp"
#include "gradus/nn/trace.hpp"
#include "gradus/ops/matmul.hpp"

namespace gradus::nn {

struct LinearOptions {
    bool bias = true;
};

/// y[..., out] = x[..., in] · weightᵀ + bias. Weight and bias start from U(−1/√in, 1/√in), as in PyTorch.
/// Without inputs the bias starts from 0. Throws ShapeError if a size is negative.
template <class T = float>
struct Linear {
    static constexpr const char* type = "Linear";

    Parameter<T> weight;               // [out, in]
    std::optional<Parameter<T>> bias;  // [out]

    [[gnu::cold]] Linear(Index in, Index out, LinearOptions options = {},
                         Generator& generator = default_generator())
        : weight(start({out, in}, in, generator)) {
        if (options.bias) bias.emplace(start({out}, in, generator));
    }
    template <std::size_t N>
    Linear(Index in, Index out, gradus::detail::NoSuchOption<N>);

    Variable<T> operator()(const Variable<T>& x) const {
        return traced(this, [&] { return bias ? linear(x, weight, *bias) : linear(x, weight); });
    }

    auto fields() { return std::tuple(field("weight", weight), field("bias", bias)); }

private:
    static Tensor<T> start(const Shape& shape, Index in, Generator& generator) {
        if (in == 0) return gradus::zeros<T>(shape);
        const T bound = T(1) / static_cast<T>(std::sqrt(static_cast<double>(in)));
        return uniform<T>(shape, -bound, bound, generator);
    }
};

}  // namespace gradus::nn
