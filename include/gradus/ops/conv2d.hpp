// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "gradus/autograd/record.hpp"
#include "gradus/kernels/conv/conv2d.hpp"
#include "gradus/kernels/reduce/reduce.hpp"
#include "gradus/ops/fused_conv2d.hpp"

namespace gradus {

/// Zeros around an image: as many above as below and left as right, or "same": as many as keep its size.
struct Padding2 : Size2 {
    bool same = false;

    constexpr Padding2() = default;
    template <std::integral I>
    constexpr Padding2(I both) : Size2(both) {}
    constexpr Padding2(Index h, Index w) : Size2(h, w) {}
    constexpr Padding2(const char* word) : same(std::string_view(word) == "same") {
        if (!same)
            detail::raise<ValueError>(
                {"padding: needs a number, {height, width} or \"same\": got \"", word, "\""});
    }
};

struct Conv2dOptions {
    Size2 stride = 1;
    Padding2 padding = 0;
    Size2 dilation = 1;
    Index groups = 1;
};

namespace detail {

/// Checks everything and works out the sizes.
[[gnu::cold]] inline kernels::ConvGeometry conv2d_geometry(const Shape& x, const Shape& weight,
                                                           const Conv2dOptions& o) {
    if (x.rank() != 4 || weight.rank() != 4)
        raise<ShapeError>(
            "conv2d", "needs x [batch, in, height, width] and weight [out, in / groups, kh, kw]", x, weight);
    if (o.stride.height < 1 || o.stride.width < 1)
        raise<ValueError>("conv2d", "stride must be at least 1", o.stride);
    if (o.dilation.height < 1 || o.dilation.width < 1)
        raise<ValueError>("conv2d", "dilation must be at least 1", o.dilation);
    if (o.padding.height < 0 || o.padding.width < 0)
        raise<ValueError>("conv2d", "padding must not be negative", o.padding);
    const Size2 kernel{weight[2], weight[3]};
    if (kernel.height < 1 || kernel.width < 1)
        raise<ShapeError>("conv2d", "the kernel must be at least 1 x 1", weight);
    if (o.groups < 1 || x[1] % o.groups != 0 || weight[0] % o.groups != 0)
        detail::raise<ValueError>({"conv2d: groups must divide the ", x[1], " input and ", weight[0],
                                   " output channels: got ", o.groups});
    if (weight[1] != x[1] / o.groups)
        raise<ShapeError>("conv2d", "the weight is for another number of input channels", x, weight);

    kernels::ConvGeometry s;
    s.batch = x[0];
    s.groups = o.groups;
    s.in = weight[1];
    s.out = weight[0] / o.groups;
    s.kernel = kernel;
    s.image = {x[2], x[3]};
    const Size2 reach{saturated_product(o.dilation.height, kernel.height - 1),
                      saturated_product(o.dilation.width, kernel.width - 1)};
    s.before = o.padding;
    s.padded = {saturated_sum(x[2], saturated_product(2, o.padding.height)),
                saturated_sum(x[3], saturated_product(2, o.padding.width))};
    if (o.padding.same) {
        if (o.stride != Size2(1))
            raise<ValueError>("conv2d", "padding \"same\" needs stride 1; give the padding as a number",
                              o.stride);
        s.before = {reach.height / 2, reach.width / 2};
        s.padded = {saturated_sum(x[2], reach.height), saturated_sum(x[3], reach.width)};
    }
    if (s.padded.height <= reach.height || s.padded.width <= reach.width)
        raise<ShapeError>("conv2d", "the kernel (with dilation) is larger than the padded image",
                          Size2(saturated_sum(reach.height, 1), saturated_sum(reach.width, 1)), s.padded);
    static_cast<void>(Shape::of("conv2d", {x[0], x[1], s.padded.height, s.padded.width}));
    // What is longer than the image leads to the same pixels, and products of it would overflow.
    s.stride = {std::min(o.stride.height, s.padded.height), std::min(o.stride.width, s.padded.width)};
    s.dilation = {std::min(o.dilation.height, s.padded.height), std::min(o.dilation.width, s.padded.width)};
    s.result = {(s.padded.height - reach.height - 1) / o.stride.height + 1,
                (s.padded.width - reach.width - 1) / o.stride.width + 1};
    static_cast<void>(Shape::of("conv2d", {x[0], weight[0], s.result.height, s.result.width}));
    return s;
}

template <class T, class... Rest>
Variable<T> conv2d(const Variable<T>& x, const Variable<T>& weight, const Variable<T>& bias,
                   const Conv2dOptions& options, Rest... rest) {
    const kernels::ConvPlan<T> s(conv2d_geometry(x.shape(), weight.shape(), options));
    const Tensor<T> X = kernels::pad_images(s, x.value()), W = weight.value();
    Variable<T> y = record_deferred(
        "conv2d", Tensor<T>::uninitialized(s.y_shape(), "conv2d"),
        wrt(x, [s, W](const Tensor<T>& dy) { return kernels::conv2d_backward_input(s, dy, W); }),
        wrt(weight, [s, X](const Tensor<T>& dy) { return kernels::conv2d_backward_weight(s, X, dy); }),
        std::move(rest)...);
    defer<DeferredConv2d<T>>(y, s, x, weight, bias, X);  // ops/fused_conv2d.hpp
    return y;
}

}  // namespace detail

/// y[n, o, i, j] = bias[o] + Σ x[n, c, i · stride + ky · dilation − padding, ...] · weight[o, c, ky, kx], the
/// sum over c, ky and kx; x is 0 outside. (Mathematically a cross-correlation, as everywhere in this field.)
/// x [batch, in, height, width], weight [out, in / groups, kh, kw], bias [out]; y [batch, out, h, w] with h =
/// ⌊(height + 2 padding − dilation (kh − 1) − 1) / stride⌋ + 1. With groups, output channels see only the
/// input channels of their group; groups = in is a depthwise convolution.
/// dx = dy spread over the windows by the weights       dweight = Σ dy · window       dbias = Σ dy
/// Throws ShapeError or ValueError for sizes that do not fit.
template <class T>
Variable<T> conv2d(const Variable<T>& x, const Variable<T>& weight, const Variable<T>& bias,
                   const Conv2dOptions& options = {}) {
    if (weight.rank() != 4 || bias.shape() != Shape{weight.size(0)})
        detail::raise<ShapeError>("conv2d", "needs weight [out, in / groups, kh, kw] and bias [out]",
                                  weight.shape(), bias.shape());
    return detail::conv2d(
        x, weight, bias, options, wrt(bias, [](const Tensor<T>& dy) {
            constexpr kernels::AxisSet all_but_channels = 0b1101;
            return kernels::reduce<kernels::SumOf>(dy, all_but_channels).reshape({dy.size(1)});
        }));
}

/// The same without a bias.
template <class T>
Variable<T> conv2d(const Variable<T>& x, const Variable<T>& weight, const Conv2dOptions& options = {}) {
    return detail::conv2d(x, weight, Variable<T>(), options);
}

/// The algorithms that conv2d(x, weight, options) of T and its gradients take on this processor, with the
/// precision of now and if nothing is pooled behind it; for example "y: winograd, dx: winograd, dw:
/// implicit_gemm". Throws as conv2d() does.
template <class T = float>
[[gnu::cold]] std::string conv2d_algorithms(const Shape& x, const Shape& weight,
                                            const Conv2dOptions& options = {}) {
    return to_string(kernels::ConvPlan<T>(detail::conv2d_geometry(x, weight, options)).algorithms);
}

}  // namespace gradus
