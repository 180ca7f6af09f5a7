// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/kernels/bf16_gemm.hpp"
#include "gradus/kernels/conv_sizes.hpp"
#include "gradus/kernels/layout.hpp"

// Convolutions of bfloat16 numbers with sums in float. Each is a product whose rows are channels, so that the
// weight lies there as it must and results are written along the pixels; patches are gathered while they are
// packed, in blocks.

namespace gradus::kernels::detail {

/// The offset of every tap (channel, ky, kx) in a padded image.
inline PixelWalk tap_walk(const ConvSizes& s) {
    return {s.kernel.height, s.kernel.width, 0, s.padded.area(), s.dilation.height * s.padded.width,
            s.dilation.width};
}

/// Channels of [.., channels, area] from `start` on.
inline PixelWalk channel_walk(Index start, Index channels, Index area) {
    return {1, std::max<Index>(1, channels), start, 0, 0, area};
}

/// How to compute this convolution: each group is a product by itself.
inline Bf16Choice conv2d_choice(const ConvSizes& s) {
    return gemm_choice(s.out, s.batch * s.result.area(), s.taps());
}

/// y as kernels::conv2d.
inline void conv2d_bf16(const Bf16Choice& choice, const ConvSizes& s, const float* padded,
                        const float* weight, const float* bias, float* y) {
    const Index pixels = s.batch * s.result.area(), taps = s.taps();
    for (Index g = 0; g < s.groups; ++g) {
        Bf16Product product{
            .unit = *choice.unit,
            .split = choice.split,
            .a = {weight + g * s.out * taps, linear_walk(s.out, taps), linear_walk(taps, 1), s.out},
            .b = {padded, window_walk(s, g), tap_walk(s), pixels},
            .depth = taps,
            .c = y,
            .c_row = s.result.area(),
            .c_columns = plane_walk(s.result, s.groups * s.out, g * s.out),
            .row_bias = bias ? bias + g * s.out : nullptr};
        product.gather_columns();
        product.run();
    }
}

/// Along one axis, the input positions first, first + stride, ... and the taps that reach them: from output
/// position t + shift, with t the number of the input position.
struct AxisPhase {
    Index first, count;
    Index tap = 0, taps = 0, tap_step = 0;
    Index shift = 0, shift_step = 0;

    AxisPhase(Index phase, Index size, Index kernel, Index stride, Index dilation, Index before) {
        first = ((phase - before) % stride + stride) % stride;
        count = first < size ? (size - first + stride - 1) / stride : 0;
        for (Index k = 0; k < kernel; ++k) {
            if ((phase - k * dilation) % stride != 0) continue;
            const Index at = (first + before) / stride + (phase - k * dilation) / stride;
            if (taps == 0) {
                tap = k;
                shift = at;
            } else if (taps == 1) {
                tap_step = k - tap;
                shift_step = at - shift;
            }
            ++taps;
        }
    }

    Index last_shift() const { return shift + (taps - 1) * shift_step; }  // the smallest
};

/// Zeros that all phases of an axis find around the output gradient.
struct GradientBorder {
    Index before = 0, after = 0;

    GradientBorder(Index size, Index kernel, Index stride, Index dilation, Index pad, Index result) {
        for (Index phase = 0; phase < stride; ++phase) {
            const AxisPhase p(phase, size, kernel, stride, dilation, pad);
            if (p.count == 0 || p.taps == 0) continue;
            before = std::max(before, -p.last_shift());
            after = std::max(after, p.count + p.shift - result);
        }
    }
};

/// dx as kernels::conv2d_dx.
inline Tensor<float> conv2d_dx_bf16(const Bf16Choice& choice, const ConvSizes& s, const Tensor<float>& dy,
                                    const Tensor<float>& weight) {
    const auto phase_of = [&](Index phase, bool vertical) {
        const auto of = [&](const Size2& size) { return vertical ? size.height : size.width; };
        return AxisPhase(phase, of(s.image), of(s.kernel), of(s.stride), of(s.dilation), of(s.before));
    };
    const GradientBorder rows(s.image.height, s.kernel.height, s.stride.height, s.dilation.height,
                              s.before.height, s.result.height);
    const GradientBorder columns(s.image.width, s.kernel.width, s.stride.width, s.dilation.width,
                                 s.before.width, s.result.width);
    const Size2 size{rows.before + s.result.height + rows.after,
                     columns.before + s.result.width + columns.after};
    const Index zeros_before[] = {0, 0, rows.before, columns.before};
    const Tensor<float> padded =
        size == s.result
            ? dy
            : pad<float>(dy, {s.batch, s.groups * s.out, size.height, size.width}, zeros_before, 0.0f);

    const Shape shape{s.batch, s.groups * s.in, s.image.height, s.image.width};
    const bool reached = s.stride.height <= s.kernel.height && s.stride.width <= s.kernel.width &&
                         s.dilation == Size2(1);  // every pixel, by some tap
    Tensor<float> dx = reached ? Tensor<float>::uninitialized(shape) : zeros<float>(shape);
    float* const out = dx.mutable_data();
    const Index plane = size.area(), image = s.image.area();
    for (Index g = 0; g < s.groups; ++g)
        for (Index py = 0; py < s.stride.height; ++py)
            for (Index px = 0; px < s.stride.width; ++px) {
                const AxisPhase y = phase_of(py, true), x = phase_of(px, false);
                if (y.count * x.count * y.taps * x.taps == 0) continue;
                const Index kernel = s.kernel.area(), depth = s.out * y.taps * x.taps;
                Bf16Product product{
                    .unit = *choice.unit,
                    .split = choice.split,
                    .a = {weight.data() + g * s.out * s.in * kernel,
                          linear_walk(s.in, kernel),
                          {y.taps, x.taps, y.tap * s.kernel.width + x.tap, s.in * kernel,
                           y.tap_step * s.kernel.width, x.tap_step},
                          s.in},
                    .b = {padded.data(),
                          {y.count, x.count, g * s.out * plane, s.groups * s.out * plane, size.width, 1},
                          {y.taps, x.taps, (rows.before + y.shift) * size.width + columns.before + x.shift,
                           plane, y.shift_step * size.width, x.shift_step},
                          s.batch * y.count * x.count},
                    .depth = depth,
                    .c = out,
                    .c_row = image,
                    .c_columns = {y.count, x.count, g * s.in * image + y.first * s.image.width + x.first,
                                  s.groups * s.in * image, s.stride.height * s.image.width, s.stride.width}};
                product.gather_columns();
                product.run();
            }
    return dx;
}

/// dweight as kernels::conv2d_dw.
inline Tensor<float> conv2d_dw_bf16(const Bf16Choice& choice, const ConvSizes& s, const Tensor<float>& padded,
                                    const Tensor<float>& dy) {
    Tensor<float> dweight = Tensor<float>::uninitialized(s.weight_shape());
    float* const out = dweight.mutable_data();
    const Index pixels = s.batch * s.result.area(), taps = s.taps(), area = s.result.area();
    for (Index g = 0; g < s.groups; ++g) {
        Bf16Product product{.unit = *choice.unit,
                            .split = choice.split,
                            .a = {dy.data(), channel_walk(g * s.out * area, s.out, area),
                                  plane_walk(s.result, s.groups * s.out, 0), s.out},
                            .b = {padded.data(), tap_walk(s), window_walk(s, g), taps},
                            .depth = pixels,
                            .c = out + g * s.out * taps,
                            .c_row = taps,
                            .c_columns = linear_walk(taps, 1)};
        product.sum_over_many();
        product.run();
    }
    return dweight;
}

}  // namespace gradus::kernels::detail
