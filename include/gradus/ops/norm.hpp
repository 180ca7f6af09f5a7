// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <type_traits>
#include <utility>

#include "gradus/autograd/record.hpp"
#include "gradus/kernels/norm/layer_norm.hpp"
#include "gradus/kernels/reduce/reduce.hpp"
#include "gradus/ops/fused_batch_norm.hpp"

namespace gradus {

struct BatchNormOptions {
    double eps = 1e-5;      // added to the variance
    double momentum = 0.1;  // running = (1 − momentum) · running + momentum · batch
    bool training = false;  // normalise by the batch's own statistics and update the running ones
};

struct NormOptions {
    double eps = 1e-5;  // added to the variance
};

namespace detail {

/// What normalises each channel of a batch, and what gave it: pointers may be null.
template <class T>
struct BatchNormInputs {
    const Variable<T>*weight, *bias;               // both or neither
    const Variable<T>*running_mean, *running_var;  // both or neither
};

inline void check_eps(const char* operation, double eps) {
    if (!(eps >= 0)) fail<ValueError>(operation, "eps must not be negative", eps);
}

inline void check_batch_norm_options(double eps, double momentum) {
    check_eps("batch_norm", eps);
    if (!(momentum >= 0 && momentum <= 1))
        fail<ValueError>("batch_norm", "momentum must be in [0, 1]", momentum);
}

template <class T>
void check_batch_norm(const Shape& x, const BatchNormInputs<T>& in, bool by_batch,
                      const BatchNormOptions& options) {
    if (x.rank() < 2) fail<ShapeError>("batch_norm", "needs x [batch, channels, ...]", x);
    for (const Variable<T>* each : {in.weight, in.bias, in.running_mean, in.running_var})
        if (each && each->shape() != Shape{x[1]})
            fail<ShapeError>("batch_norm",
                             "weight, bias and running statistics have one number per channel, axis 1 of x",
                             x, each->shape());
    check_batch_norm_options(options.eps, options.momentum);
    if (by_batch && x[0] * x.span(2, x.rank()) < 2)
        fail<ShapeError>(
            "batch_norm",
            "the variance of a batch needs more than one value per channel; use a larger batch, or "
            "nn::eval(net) to normalise by the running statistics",
            x);
}

template <class T>
void update_running(const Variable<T>& running, const Tensor<T>& batch, double momentum, double factor) {
    Variable<T> handle(running);
    const T keep = static_cast<T>(1 - momentum), take = static_cast<T>(momentum * factor);
    T* const out = handle.mutable_value().mutable_data();
    for (Index c = 0; c < batch.numel(); ++c) out[c] = keep * out[c] + take * batch.data()[c];
}

template <class T>
Variable<T> batch_norm(const Variable<T>& x, const BatchNormInputs<T>& in, const BatchNormOptions& options) {
    // Nothing to normalise has no statistics: the running ones stay.
    const bool by_batch = (options.training || !in.running_mean) && x.numel() > 0;
    check_batch_norm(x.shape(), in, by_batch, options);
    const kernels::ChannelPlan plan(x.shape());
    kernels::NormStatistics<T> norm;
    if (by_batch) {
        auto batch = kernels::batch_statistics(x.value(), plan, options.eps);
        if (in.running_mean) {
            const auto n = static_cast<double>(plan.count());
            update_running(*in.running_mean, batch.norm.center, options.momentum, 1);
            update_running(*in.running_var, batch.var, options.momentum, n / (n - 1));
        }
        norm = std::move(batch.norm);
    } else if (in.running_mean) {
        norm = kernels::given_statistics(in.running_mean->value(), in.running_var->value(), options.eps);
    } else {
        const Shape channels{x.size(1)};
        norm = kernels::given_statistics(zeros<T>(channels), ones<T>(channels), options.eps);
    }
    return record_batch_norm(BatchNormStep<T>(x, in.weight, in.bias, std::move(norm), by_batch),
                             Tensor<T>::uninitialized(x.shape()));
}

/// How many of the last axes of x are normalised together; their sizes are `normalized_shape`.
inline Index normalized_size(const Shape& x, const Shape& normalized_shape) {
    const int extra = x.rank() - normalized_shape.rank();
    bool fits = extra >= 0 && normalized_shape.rank() > 0;
    for (int i = 0; fits && i < normalized_shape.rank(); ++i) fits = x[extra + i] == normalized_shape[i];
    if (!fits)
        fail<ShapeError>("layer_norm", "the normalized shape must be that of the last axes of x", x,
                         normalized_shape);
    return normalized_shape.numel();
}

template <class T>
Variable<T> layer_norm(const Variable<T>& x, const Shape& normalized_shape, const Variable<T>* weight,
                       const Variable<T>* bias, const NormOptions& options) {
    const Index n = normalized_size(x.shape(), normalized_shape);
    check_eps("layer_norm", options.eps);
    if (bias && bias->shape() != normalized_shape)
        fail<ShapeError>("layer_norm", "weight and bias differ in shape", normalized_shape, bias->shape());
    const bool affine = weight;
    const Tensor<T> X = x.value(), W = affine ? weight->value() : Tensor<T>();
    auto [y, norm] =
        kernels::layer_norm(X, n, affine ? &W : nullptr, affine ? &bias->value() : nullptr, options.eps);
    const std::array<Variable<T>, 3> inputs{x, affine ? *weight : Variable<T>(),
                                            affine ? *bias : Variable<T>()};
    return record(
        "layer_norm", std::move(y),
        wrt_jointly(inputs, [X, W, n, saved = std::move(norm), affine, normalized_shape](
                                const Tensor<T>& dy, const std::array<bool, 3>& needs_grad) {
            const auto parts = kernels::layer_norm_backward(dy, X, n, saved, affine ? &W : nullptr,
                                                            needs_grad[0], needs_grad[1] || needs_grad[2]);
            const auto total = [&](bool needed, const Tensor<T>& blocks) {
                return needed ? kernels::reduce<kernels::SumOf>(blocks, 1u).reshape(normalized_shape)
                              : Tensor<T>();
            };
            return std::array<Tensor<T>, 3>{parts.dx, total(needs_grad[1], parts.dweight),
                                            total(needs_grad[2], parts.dbias)};
        }));
}

}  // namespace detail

/// y = (x − mean) / √(var + eps) · weight + bias, where mean and variance are those of each channel of x
/// [batch, channels, ...] over all other axes. The variance is divided by the count.
///     dx = weight / √(var + eps) · (dy − mean(dy) − x̂ · mean(dy · x̂)), x̂ the normalised x
///     dweight = Σ dy · x̂       dbias = Σ dy
/// Throws ShapeError below two axes, unless weight and bias are [channels], and for one value per channel.
/// Source: Ioffe & Szegedy, "Batch normalization: accelerating deep network training by reducing internal
/// covariate shift", 2015.
template <class T>
Variable<T> batch_norm(const Variable<T>& x, const std::type_identity_t<Variable<T>>& weight,
                       const std::type_identity_t<Variable<T>>& bias, NormOptions options = {}) {
    return detail::batch_norm<T>(x, {&weight, &bias, nullptr, nullptr}, {.eps = options.eps});
}

/// The same without weight and bias.
template <class T>
Variable<T> batch_norm(const Variable<T>& x, NormOptions options = {}) {
    return detail::batch_norm<T>(x, {nullptr, nullptr, nullptr, nullptr}, {.eps = options.eps});
}

/// The same with running statistics [channels], in PyTorch's order. While training, x is normalised by its
/// own statistics, and the running ones (leaves) are updated in place, the variance with the count − 1 as
/// divisor. Else the running ones stand for mean and var: they are constants, and dx = weight / √(var + eps)
/// · dy. Throws also ValueError for eps < 0 and a momentum outside [0, 1].
template <class T>
Variable<T> batch_norm(const Variable<T>& x, const std::type_identity_t<Variable<T>>& running_mean,
                       const std::type_identity_t<Variable<T>>& running_var,
                       const std::type_identity_t<Variable<T>>& weight,
                       const std::type_identity_t<Variable<T>>& bias, BatchNormOptions options = {}) {
    return detail::batch_norm<T>(x, {&weight, &bias, &running_mean, &running_var}, options);
}

/// y = (x − mean) / √(var + eps) · weight + bias, where mean and variance are those of the last axes of x, as
/// many as weight has: [batch, ..., features] with a weight [features], say. weight and bias have one shape.
///     dx = (g − mean(g) − x̂ · mean(g · x̂)) / √(var + eps), g = dy · weight, x̂ the normalised x
///     dweight = Σ dy · x̂       dbias = Σ dy
/// Throws ShapeError unless x ends in the shape of weight and bias, ValueError for eps < 0.
/// Source: Ba, Kiros & Hinton, "Layer normalization", 2016.
template <class T>
Variable<T> layer_norm(const Variable<T>& x, const std::type_identity_t<Variable<T>>& weight,
                       const std::type_identity_t<Variable<T>>& bias, NormOptions options = {}) {
    return detail::layer_norm<T>(x, weight.shape(), &weight, &bias, options);
}

/// The same without weight and bias: `normalized_shape` is the shape of the last axes of x.
template <class T>
Variable<T> layer_norm(const Variable<T>& x, const Shape& normalized_shape, NormOptions options = {}) {
    return detail::layer_norm<T>(x, normalized_shape, nullptr, nullptr, options);
}

}  // namespace gradus
