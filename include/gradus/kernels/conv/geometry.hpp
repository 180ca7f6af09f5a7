// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>

#include "gradus/core/parallel.hpp"
#include "gradus/core/size2.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/kernels/gemm/offsets.hpp"

// The geometry of convolutions: what lies where.

namespace gradus::kernels {

/// The sizes of a convolution: x [batch, groups * in, image] * weight [groups * out, in, kernel].
struct ConvGeometry {
    Index batch, groups;
    Index in, out;  // channels of one group
    Size2 kernel, stride, dilation;
    Size2 image, padded, result;
    Size2 before;  // padding above and to the left

    Index taps() const { return in * kernel.area(); }
    Shape x_shape() const { return {batch, groups * in, image.height, image.width}; }
    Shape y_shape() const { return {batch, groups * out, result.height, result.width}; }
    Shape weight_shape() const { return {groups * out, in, kernel.height, kernel.width}; }
};

/// A convolution of one group without dilation, and the windows that are pooled of its output.
struct ConvPoolGeometry {
    ConvGeometry conv;
    Size2 window;  // at most 16 pixels
    bool relu = false;

    Size2 pooled() const { return {conv.result.height / window.height, conv.result.width / window.width}; }
    Shape y_shape() const { return {conv.batch, conv.out, pooled().height, pooled().width}; }
};

/// The code of a pooled pixel that the relu cut off; others are the position in the window.
inline constexpr std::uint8_t clipped = 255;

namespace detail {

inline constexpr Index max_window = 16;  // pixels of a pooling window

/// The offset of every tap (channel, ky, kx) in a padded image.
inline Tensor<Index> tap_offsets(const ConvGeometry& s) {
    Tensor<Index> offsets = Tensor<Index>::uninitialized({s.taps()});
    Index* next = offsets.mutable_data();
    for (Index c = 0; c < s.in; ++c)
        for (Index ky = 0; ky < s.kernel.height; ++ky)
            for (Index kx = 0; kx < s.kernel.width; ++kx)
                *next++ =
                    (c * s.padded.height + ky * s.dilation.height) * s.padded.width + kx * s.dilation.width;
    return offsets;
}

/// The first input pixel under each output pixel, in a padded image.
inline OffsetGenerator window_offsets(const ConvGeometry& s, Index group) {
    const Index plane = s.padded.area();
    return {s.result.height,
            s.result.width,
            group * s.in * plane,
            s.groups * s.in * plane,
            s.stride.height * s.padded.width,
            s.stride.width};
}

/// Calls body(i) for products i < count. Small ones share the threads, large ones get them all.
template <class Body>
void parallel_products(Index count, Index multiplications, const Body& body) {
    const Index work = std::max<Index>(1, multiplications / 8);
    const Index together = std::max<Index>(1, parallel_grain / work);
    parallel_for(count, work < 64 * parallel_grain ? together : count, [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) body(i);
    });
}

/// The pixels of a dense array of planes: [batch, planes, size], from plane `first` on.
inline OffsetGenerator plane_offsets(const Size2& size, Index planes, Index first) {
    return {size.height, size.width, first * size.area(), planes * size.area(), size.width, 1};
}

}  // namespace detail
}  // namespace gradus::kernels
