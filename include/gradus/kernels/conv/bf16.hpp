// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/kernels/conv/geometry.hpp"
#include "gradus/kernels/conv/stride_phases.hpp"
#include "gradus/kernels/gemm/bf16_gemm.hpp"

// Implicit GEMM of bfloat16 numbers with sums in float: y, dx and dw of NCHW images. Each is a product whose
// rows are channels, so that the weight lies there as it must and results are written along the pixels;
// patches are gathered, by offsets, while they are packed and rounded, in blocks.

namespace gradus::kernels::detail {

/// Channels of [.., channels, area] from `start` on.
inline OffsetGenerator channel_offsets(Index start, Index channels, Index area) {
    return {1, std::max<Index>(1, channels), start, 0, 0, area};
}

/// y as kernels::conv2d.
inline void conv2d_bf16(const Bf16Plan& plan, const ConvGeometry& s, const float* padded, const float* weight,
                        const float* bias, float* y) {
    const Index pixels = s.batch * s.result.area(), taps = s.taps();
    for (Index g = 0; g < s.groups; ++g) {
        plan({.m = s.out,
              .n = pixels,
              .k = taps,
              .a = {weight + g * s.out * taps, linear_offsets(s.out, taps), linear_offsets(taps, 1)},
              .b = {padded, window_offsets(s, g), tap_offsets(s)},
              .c = y,
              .c_row = s.result.area(),
              .c_columns = plane_offsets(s.result, s.groups * s.out, g * s.out),
              .row_bias = bias ? bias + g * s.out : nullptr,
              .shape = Bf16Shape::many_columns});
    }
}

/// dx as kernels::conv2d_backward_input.
inline Tensor<float> conv2d_backward_input_bf16(const Bf16Plan& plan, const ConvGeometry& s,
                                                const Tensor<float>& dy, const Tensor<float>& weight) {
    const StridePhases<float> phases(s, dy);
    Tensor<float> dx =
        Tensor<float>::uninitialized({s.batch, s.groups * s.in, s.image.height, s.image.width});
    float* const out = dx.mutable_data();
    phases.fill_gaps(out);
    for (Index g = 0; g < s.groups; ++g)
        phases.for_each([&](const AxisPhase& y, const AxisPhase& x) {
            plan({.m = s.in,
                  .n = s.batch * y.count * x.count,
                  .k = s.out * y.taps * x.taps,
                  .a = {weight.data() + g * s.out * s.in * s.kernel.area(),
                        linear_offsets(s.in, s.kernel.area()), phases.weight_offsets(y, x)},
                  .b = {phases.padded.data(), phases.row_offsets(g, y, x), phases.k_offsets(y, x)},
                  .c = out,
                  .c_row = s.image.area(),
                  .c_columns = phases.out_offsets(g, y, x),
                  .shape = Bf16Shape::many_columns});
        });
    return dx;
}

/// dweight as kernels::conv2d_backward_weight.
inline Tensor<float> conv2d_backward_weight_bf16(const Bf16Plan& plan, const ConvGeometry& s,
                                                 const Tensor<float>& padded, const Tensor<float>& dy) {
    Tensor<float> dweight = Tensor<float>::uninitialized(s.weight_shape());
    float* const out = dweight.mutable_data();
    const Index pixels = s.batch * s.result.area(), taps = s.taps(), area = s.result.area();
    for (Index g = 0; g < s.groups; ++g) {
        plan({.m = s.out,
              .n = taps,
              .k = pixels,
              .a = {dy.data(), channel_offsets(g * s.out * area, s.out, area),
                    plane_offsets(s.result, s.groups * s.out, 0)},
              .b = {padded.data(), tap_offsets(s), window_offsets(s, g)},
              .c = out + g * s.out * taps,
              .c_row = taps,
              .c_columns = linear_offsets(taps, 1),
              .shape = Bf16Shape::long_k});
    }
    return dweight;
}

}  // namespace gradus::kernels::detail
