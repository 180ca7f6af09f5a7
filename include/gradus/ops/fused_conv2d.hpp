// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <utility>

#include "gradus/kernels/conv/fused_pool.hpp"
#include "gradus/ops/fusion.hpp"

// A convolution whose output nobody has read yet, and what it becomes together with the max_pool2d and the
// relu after it. ops/fusion.hpp tells how they find each other.

namespace gradus::detail {

template <class T>
struct DeferredConv2d;
template <class T>
Variable<T> record_conv_pool(const DeferredConv2d<T>& conv, const Size2& window, bool relu);

/// The convolution. It holds its inputs as variables, for the node that takes its place.
template <class T>
struct DeferredConv2d final : Fusible<T> {
    using Fusible<T>::then;

    DeferredConv2d(const kernels::ConvPlan<T>& plan, Variable<T> input, Variable<T> w, Variable<T> b,
                   Tensor<T> padded_input)
        : s(plan),
          x(std::move(input)),
          weight(std::move(w)),
          bias(std::move(b)),
          padded(std::move(padded_input)) {
        weights = weight.value();
        if (bias.defined()) biases = bias.value();
    }

    void compute(T* y) override { kernels::conv2d(s, padded, weights, bias_data(), y); }

    Variable<T> then(const MaxPool& pool) override {
        if constexpr (kernels::detail::has_vectors<T>)
            if (kernels::fuses_with_max_pool<T>(s, pool.kernel_size)) {
                padded = kernels::with_padding(s, padded);
                return record_conv_pool(*this, pool.kernel_size, false);
            }
        return {};
    }

    const T* bias_data() const { return bias.defined() ? biases.data() : nullptr; }

    kernels::ConvPlan<T> s;
    Variable<T> x, weight, bias;
    Tensor<T> padded, weights, biases;  // as they were when conv2d was called
};

/// The convolution and the pooling of its output, with or without the relu.
template <class T>
struct DeferredConvPool final : Fusible<T> {
    using Fusible<T>::then;

    DeferredConvPool(const DeferredConv2d<T>& convolution, const kernels::ConvPoolPlan<T>& plan,
                     const Tensor<std::uint8_t>& shared_argmax, std::uint8_t* out)
        : conv(convolution), s(plan), argmax(shared_argmax), argmax_out(out) {}

    void compute(T* y) override {
        kernels::conv_pool(s, conv.padded, conv.weights, conv.bias_data(), y, argmax_out);
    }

    Variable<T> then(const Relu&) override {
        return s.relu ? Variable<T>() : record_conv_pool(conv, s.window, true);
    }

    DeferredConv2d<T> conv;
    kernels::ConvPoolPlan<T> s;
    Tensor<std::uint8_t> argmax;  // shared with the rules, which run after compute() has written it
    std::uint8_t* argmax_out;
};

template <class T>
Variable<T> record_conv_pool(const DeferredConv2d<T>& conv, const Size2& window, bool relu) {
    const kernels::ConvPoolPlan<T> s({conv.s, window, relu});
    auto memory = Tensor<std::uint8_t>::uninitialized(s.y_shape());
    std::uint8_t* const argmax_out = memory.mutable_data();
    const Tensor<std::uint8_t> argmax = std::move(memory);
    const char* const name = relu ? "conv2d + max_pool2d + relu" : "conv2d + max_pool2d";
    const std::array<Variable<T>, 2> parameters{conv.weight, conv.bias};
    Variable<T> y = record_deferred(
        name, Tensor<T>::uninitialized(s.y_shape()),
        wrt(conv.x, [s, argmax, w = conv.weights](
                        const Tensor<T>& dy) { return kernels::conv_pool_backward_input(s, dy, argmax, w); }),
        wrt_jointly(parameters,
                    [s, argmax, padded = conv.padded](const Tensor<T>& dy, const auto& needs_grad) {
                        return kernels::conv_pool_backward_parameters(s, dy, argmax, padded, needs_grad);
                    }));
    defer<DeferredConvPool<T>>(y, conv, s, argmax, argmax_out);
    return y;
}

}  // namespace gradus::detail
