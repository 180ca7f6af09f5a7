// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "gradus/autograd/variable.hpp"
#include "gradus/core/parallel.hpp"
#include "gradus/core/random.hpp"

/// Initial values for parameters, with PyTorch's names and formulas.
namespace gradus::nn::init {

/// Which of a layer's sizes sets the scale: fan_in keeps the variance of activations, fan_out that of
/// gradients.
enum class FanMode { fan_in, fan_out };

enum class Nonlinearity { linear, conv, sigmoid, tanh, relu, leaky_relu, selu };

/// The factor by which a non-linearity wants weights larger: 1, 1, 1, 5/3, √2, √(2 / (1 + slope²)), 3/4.
inline double calculate_gain(Nonlinearity nonlinearity, double negative_slope = 0.01) {
    switch (nonlinearity) {
        case Nonlinearity::tanh:
            return 5.0 / 3.0;
        case Nonlinearity::relu:
            return std::sqrt(2.0);
        case Nonlinearity::leaky_relu:
            return std::sqrt(2.0 / (1.0 + negative_slope * negative_slope));
        case Nonlinearity::selu:
            return 0.75;
        default:
            return 1.0;
    }
}

struct Fans {
    Index in, out;
};

/// Inputs and outputs of one unit: of a weight [out, in / groups, kernel...], in / groups · |kernel| and
/// out / groups · |kernel|. Throws ShapeError below two axes, ValueError unless the groups divide the
/// outputs.
inline Fans fans(const Shape& shape, Index groups = 1) {
    if (shape.rank() < 2)
        gradus::detail::raise<ShapeError>(
            "init", "fans need a weight of two axes or more (use uniform, normal or constant)", shape);
    if (groups < 1 || shape[0] % groups != 0)
        gradus::detail::raise<ValueError>("init", "the groups must divide the output channels", groups,
                                          shape[0]);
    const Index field = shape.span(2, shape.rank());
    return {shape[1] * field, shape[0] / groups * field};
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
    Index groups = 1;  // of the convolution that the weight belongs to
};

/// U(−a, a) with a = gain √(6 / (fan_in + fan_out)).
/// Source: Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural networks",
/// 2010.
template <class T>
void xavier_uniform(Variable<T>& weight, XavierOptions options = {},
                    Generator& generator = default_generator()) {
    const Fans fan = fans(weight.shape(), options.groups);
    if (weight.numel() == 0) return;
    const double a = options.gain * std::sqrt(6.0 / static_cast<double>(fan.in + fan.out));
    uniform(weight, -a, a, generator);
}

/// N(0, σ²) with σ = gain √(2 / (fan_in + fan_out)).       Source: as xavier_uniform.
template <class T>
void xavier_normal(Variable<T>& weight, XavierOptions options = {},
                   Generator& generator = default_generator()) {
    const Fans fan = fans(weight.shape(), options.groups);
    if (weight.numel() == 0) return;
    normal(weight, 0.0, options.gain * std::sqrt(2.0 / static_cast<double>(fan.in + fan.out)), generator);
}

struct KaimingOptions {
    FanMode mode = FanMode::fan_in;
    Nonlinearity nonlinearity = Nonlinearity::leaky_relu;
    double negative_slope = 0.0;  // of the leaky relu; 0 is a relu
    Index groups = 1;             // of the convolution that the weight belongs to
};

namespace detail {

inline double kaiming_std(const Shape& shape, const KaimingOptions& options) {
    const Fans fan = fans(shape, options.groups);
    const auto size = static_cast<double>(options.mode == FanMode::fan_in ? fan.in : fan.out);
    if (shape.numel() == 0) return 0;  // nothing to fill
    return calculate_gain(options.nonlinearity, options.negative_slope) / std::sqrt(size);
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

struct TruncNormalOptions {
    double mean = 0.0, std = 1.0;
    double a = -2.0, b = 2.0;  // the limits: values, not multiples of std
};

namespace detail {

/// The distribution function of the normal distribution.
inline double normal_cdf(double z) { return 0.5 * std::erfc(z * -0.70710678118654752); }  // 1/√2

/// The z in [low, high] where normal_cdf(z) is p: Newton's method, by halves where that leaves the bracket.
/// In the lower half on logarithms, which are nearly straight there.
inline double normal_quantile(double p, double low, double high) {
    double z = std::clamp(0.0, low, high);
    for (int i = 0; i < 100; ++i) {
        const double at = normal_cdf(z);
        (at > p ? high : low) = z;
        const double density = 0.39894228040143268 * std::exp(-0.5 * z * z);  // 1/√(2π)
        double next = z - (p < 0.5 ? at * std::log(at / p) : at - p) / density;
        if (!(next >= low && next <= high)) next = 0.5 * low + 0.5 * high;
        if (std::abs(next - z) <= 1e-15 * std::abs(z)) return next;
        z = next;
    }
    return z;
}

}  // namespace detail

/// N(mean, std²) without what lies outside [a, b], by the inverse of the distribution function of a uniform
/// draw: float weights never lie further than 5.5 σ from the mean, whatever the limits, double ones than 8.4
/// σ. Throws ValueError unless std > 0, a < b, all are finite, and [a, b] holds some probability.
template <class T>
[[gnu::cold]] void trunc_normal(Variable<T>& weight, TruncNormalOptions options = {},
                                Generator& generator = default_generator()) {
    const auto [mean, std, a, b] = options;
    if (!(std > 0 && a < b && std::isfinite(mean) && std::isfinite(std) && std::isfinite(a) &&
          std::isfinite(b)))
        gradus::detail::raise<ValueError>(
            {"trunc_normal: needs std > 0 and a < b, all finite: got std ", gradus::detail::number_text(std),
             ", a ", gradus::detail::number_text(a), " and b ", gradus::detail::number_text(b)});
    // The lower tail keeps all digits of a small probability, the upper one does not: then mirror.
    const bool mirror = a > mean;
    const double low = mirror ? (mean - b) / std : (a - mean) / std;
    const double high = mirror ? (mean - a) / std : (b - mean) / std;
    const double first = detail::normal_cdf(low), last = detail::normal_cdf(high);
    if (!(last > first))
        gradus::detail::raise<ValueError>(
            "trunc_normal",
            "[a, b] is so far from the mean that it holds no probability, in standard deviations",
            (a - mean) / std, (b - mean) / std);
    Tensor<T> result = gradus::uniform<T>(weight.shape(), T(0), T(1), generator);
    T* const out = result.mutable_data();
    parallel_for(
        result.numel(), 1024,
        [&, sign = mirror ? -std : std, center = mean, lower = a, upper = b](Index begin, Index end) {
            for (Index i = begin; i < end; ++i) {
                const auto u = static_cast<double>(gradus::detail::above_zero(out[i]));
                const double p = first + (last - first) * u;
                const double value = center + sign * detail::normal_quantile(p, low, high);
                out[i] = static_cast<T>(std::clamp(value, lower, upper));
            }
        });
    weight.set_value(std::move(result));
}

struct OrthogonalOptions {
    double gain = 1.0;
    Index groups = 1;  // of the convolution that the weight belongs to
};

namespace detail {

inline double dot(const double* x, const double* y, Index n) {
    double part[4] = {0, 0, 0, 0};
    Index i = 0;
    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; ++k) part[k] += x[i + k] * y[i + k];
    for (; i < n; ++i) part[0] += x[i] * y[i];
    return (part[0] + part[1]) + (part[2] + part[3]);
}

/// Makes the rows [count, length] orthogonal, one after the other, and of length 1 (modified Gram-Schmidt).
[[gnu::cold]] inline void orthogonalize(double* rows, Index count, Index length) {
    for (Index i = 0; i < count; ++i) {
        double* const row = rows + i * length;
        const double scale = 1 / std::sqrt(dot(row, row, length));
        for (Index k = 0; k < length; ++k) row[k] *= scale;
        parallel_for(count - i - 1, std::max<Index>(1, parallel_grain / length), [&](Index begin, Index end) {
            for (Index j = i + 1 + begin; j < i + 1 + end; ++j) {
                double* const other = rows + j * length;
                const double part = dot(row, other, length);
                for (Index k = 0; k < length; ++k) other[k] -= part * row[k];
            }
        });
    }
}

}  // namespace detail

/// gain · a random matrix with orthogonal rows or columns (whichever are fewer) of length 1, all such
/// matrices equally likely. The axes of a weight [out, in / groups, kernel...] behind the first count as one;
/// each group of outputs is a matrix of its own. Throws ShapeError below two axes, ValueError unless the
/// groups divide the outputs. Source: Saxe, McClelland & Ganguli, "Exact solutions to the nonlinear dynamics
/// of learning in deep linear neural networks", 2014.
template <class T>
[[gnu::cold]] void orthogonal(Variable<T>& weight, OrthogonalOptions options = {},
                              Generator& generator = default_generator()) {
    const Shape& shape = weight.shape();
    if (shape.rank() < 2)
        gradus::detail::raise<ShapeError>("orthogonal", "needs a weight of two axes or more", shape);
    if (options.groups < 1 || shape[0] % options.groups != 0)
        gradus::detail::raise<ValueError>("orthogonal", "the groups must divide the output channels",
                                          options.groups, shape[0]);
    const Index rows = shape[0] / options.groups, columns = shape.span(1, shape.rank());
    const Index count = std::min(rows, columns), length = std::max(rows, columns);
    Tensor<T> result = Tensor<T>::uninitialized(shape);
    T* out = result.mutable_data();
    for (Index group = 0; shape.numel() > 0 && group < options.groups; ++group) {
        Tensor<double> vectors = gradus::normal<double>({count, length}, 0, 1, generator);
        double* const v = vectors.mutable_data();
        detail::orthogonalize(v, count, length);
        detail::orthogonalize(v, count, length);  // removes what rounding left of nearly parallel ones
        for (Index i = 0; i < rows; ++i)
            for (Index j = 0; j < columns; ++j)
                *out++ =
                    static_cast<T>(options.gain * (rows <= columns ? v[i * length + j] : v[j * length + i]));
    }
    weight.set_value(std::move(result));
}

struct DiracOptions {
    Index groups = 1;
};

/// A convolution that passes its input on: in a weight [out, in / groups, kernel...], 1 at the middle of the
/// kernel from each input channel of a group to the output channel of that number, as far as both go; else 0.
/// Throws ShapeError unless there are three to five axes, ValueError unless the groups divide the outputs.
template <class T>
[[gnu::cold]] void dirac(Variable<T>& weight, DiracOptions options = {}) {
    const Shape& shape = weight.shape();
    if (shape.rank() < 3 || shape.rank() > 5)
        gradus::detail::raise<ShapeError>("dirac", "needs the weight of a convolution, three to five axes",
                                          shape);
    if (options.groups < 1 || shape[0] % options.groups != 0)
        gradus::detail::raise<ValueError>("dirac", "the groups must divide the output channels",
                                          options.groups, shape[0]);
    const Index outputs = shape[0] / options.groups, field = shape.span(2, shape.rank());
    Index middle = 0;
    for (int axis = 2; axis < shape.rank(); ++axis) middle = middle * shape[axis] + shape[axis] / 2;
    Tensor<T> result = gradus::zeros<T>(shape);
    T* const out = result.mutable_data();
    for (Index i = 0; field > 0 && i < shape[0]; ++i)
        if (const Index channel = i % outputs; channel < shape[1])
            out[(i * shape[1] + channel) * field + middle] = T(1);
    weight.set_value(std::move(result));
}

namespace detail {

inline void check_matrix(const char* operation, const Shape& shape) {
    if (shape.rank() != 2) gradus::detail::raise<ShapeError>(operation, "needs a matrix", shape);
}

}  // namespace detail

struct SparseOptions {
    double sparsity = 0.1;  // the share of zeros in each column
    double std = 0.01;      // of the other numbers
};

/// N(0, std²), with a share of zeros in each column of a matrix [out, in]: sparsity · out of them, rounded
/// up, at random places. Throws ShapeError unless it is a matrix, ValueError unless the sparsity is in [0,
/// 1]. Source: Martens, "Deep learning via Hessian-free optimization", 2010.
template <class T>
[[gnu::cold]] void sparse(Variable<T>& weight, SparseOptions options = {},
                          Generator& generator = default_generator()) {
    detail::check_matrix("sparse", weight.shape());
    if (!(options.sparsity >= 0 && options.sparsity <= 1))
        gradus::detail::raise<ValueError>("sparse", "the sparsity must be in [0, 1]", options.sparsity);
    const Index rows = weight.size(0), columns = weight.size(1);
    Tensor<T> result = gradus::normal<T>({rows, columns}, T(0), static_cast<T>(options.std), generator);
    const auto empty = static_cast<Index>(std::ceil(options.sparsity * static_cast<double>(rows)));
    T* const out = result.mutable_data();
    for (Index j = 0; j < columns; ++j) {
        const Tensor<Index> order = permutation(rows, generator);
        for (Index i = 0; i < empty; ++i) out[order.data()[i] * columns + j] = T(0);
    }
    weight.set_value(std::move(result));
}

/// 1 on the diagonal of a matrix, which need not be square, else 0: a linear layer that passes its input on.
/// Throws ShapeError unless it is a matrix.
template <class T>
[[gnu::cold]] void eye(Variable<T>& weight) {
    detail::check_matrix("eye", weight.shape());
    Tensor<T> result = gradus::zeros<T>(weight.shape());
    for (Index i = 0; i < std::min(weight.size(0), weight.size(1)); ++i) result.mutable_at(i, i) = T(1);
    weight.set_value(std::move(result));
}

}  // namespace gradus::nn::init
