// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include "gradus/autograd/variable.hpp"
#include "gradus/core/random.hpp"

/// Initial values for parameters, with PyTorch's names and formulas.
namespace gradus::nn::init {

/// Which of a layer's sizes sets the scale: fan_in keeps the variance of activations, fan_out that of
/// gradients.
enum class FanMode { fan_in, fan_out };

enum class Nonlinearity { linear, sigmoid, tanh, relu, leaky_relu, selu };

/// The factor by which a non-linearity wants weights larger: 1, 1, 5/3, √2, √(2 / (1 + slope²)), 3/4.
inline double calculate_gain(Nonlinearity nonlinearity, double slope = 0.01) {
    switch (nonlinearity) {
        case Nonlinearity::tanh:
            return 5.0 / 3.0;
        case Nonlinearity::relu:
            return std::sqrt(2.0);
        case Nonlinearity::leaky_relu:
            return std::sqrt(2.0 / (1.0 + slope * slope));
        case Nonlinearity::selu:
            return 0.75;
        default:
            return 1.0;
    }
}

struct Fans {
    Index in, out;
};

/// Inputs and outputs of one unit: of a weight [out, in, kernel...], in · |kernel| and out · |kernel|.
/// Throws ShapeError below two axes.
inline Fans fans(const Shape& shape) {
    if (shape.rank() < 2)
        gradus::detail::fail<ShapeError>(
            "init", "fans need a weight of two axes or more (use uniform, normal or constant)", shape);
    const Index field = shape.span(2, shape.rank());
    return {shape[1] * field, shape[0] * field};
}

template <class T>
void constant(Variable<T>& weight, std::type_identity_t<T> value) {
    weight.set_value(full<T>(weight.shape(), value));
}
template <class T>
void zeros(Variable<T>& weight) {
    constant(weight, T(0));
}
template <class T>
void ones(Variable<T>& weight) {
    constant(weight, T(1));
}

/// U(low, high).
template <class T>
void uniform(Variable<T>& weight, double low, double high, Generator& generator = default_generator()) {
    weight.set_value(
        gradus::uniform<T>(weight.shape(), static_cast<T>(low), static_cast<T>(high), generator));
}

/// N(mean, std²).
template <class T>
void normal(Variable<T>& weight, double mean, double std, Generator& generator = default_generator()) {
    weight.set_value(gradus::normal<T>(weight.shape(), static_cast<T>(mean), static_cast<T>(std), generator));
}

struct XavierOptions {
    double gain = 1.0;
};

/// U(−a, a) with a = gain √(6 / (fan_in + fan_out)).
/// Source: Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural networks",
/// 2010.
template <class T>
void xavier_uniform(Variable<T>& weight, XavierOptions options = {},
                    Generator& generator = default_generator()) {
    const Fans fan = fans(weight.shape());
    const double a = options.gain * std::sqrt(6.0 / static_cast<double>(fan.in + fan.out));
    uniform(weight, -a, a, generator);
}

/// N(0, σ²) with σ = gain √(2 / (fan_in + fan_out)).       Source: as xavier_uniform.
template <class T>
void xavier_normal(Variable<T>& weight, XavierOptions options = {},
                   Generator& generator = default_generator()) {
    const Fans fan = fans(weight.shape());
    normal(weight, 0.0, options.gain * std::sqrt(2.0 / static_cast<double>(fan.in + fan.out)), generator);
}

struct KaimingOptions {
    FanMode mode = FanMode::fan_in;
    Nonlinearity nonlinearity = Nonlinearity::leaky_relu;
    double slope = 0.0;  // of the leaky relu; 0 is a relu
};

namespace detail {

inline double kaiming_std(const Shape& shape, const KaimingOptions& options) {
    const Fans fan = fans(shape);
    const auto size = static_cast<double>(options.mode == FanMode::fan_in ? fan.in : fan.out);
    return calculate_gain(options.nonlinearity, options.slope) / std::sqrt(size);
}

}  // namespace detail

/// U(−a, a) with a = gain √(3 / fan).
/// Source: He et al., "Delving deep into rectifiers", 2015.
template <class T>
void kaiming_uniform(Variable<T>& weight, KaimingOptions options = {},
                     Generator& generator = default_generator()) {
    const double a = std::sqrt(3.0) * detail::kaiming_std(weight.shape(), options);
    uniform(weight, -a, a, generator);
}

/// N(0, σ²) with σ = gain / √fan.       Source: as kaiming_uniform.
template <class T>
void kaiming_normal(Variable<T>& weight, KaimingOptions options = {},
                    Generator& generator = default_generator()) {
    normal(weight, 0.0, detail::kaiming_std(weight.shape(), options), generator);
}

}  // namespace gradus::nn::init
