// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>

#include "gradus/core/parallel.hpp"
#include "gradus/core/size2.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/kernels/gemm/offsets.hpp"

// The geometry of convolutions: their sizes, and the offsets of pixels and taps in NCHW images.

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

/// A convolution of one group without dilation, and the windows in which its output is max-pooled.
struct ConvPoolGeometry {
    ConvGeometry conv;
    Size2 window;  // at most max_window elements
    bool relu = false;

    Size2 pooled() const { return {conv.result.height / window.height, conv.result.width / window.width}; }
    Shape y_shape() const { return {conv.batch, conv.out, pooled().height, pooled().width}; }
};

/// The argmax of a pooled pixel that the relu cut off; others are the position in the window.
inline constexpr std::uint8_t clipped = 255;

namespace detail {

inline constexpr Index max_window = 16;  // elements of a pooling window

/// Every tap (channel, ky, kx), seen from the first pixel of a window, in a padded image.
inline OffsetGenerator tap_offsets(const ConvGeometry& s) {
    return {s.kernel.height, s.kernel.width, 0, s.padded.area(), s.dilation.height * s.padded.width,
            s.dilation.width};
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

/// The pixels of a dense array of planes: [batch, planes, size], from plane `first` on.
inline OffsetGenerator plane_offsets(const Size2& size, Index planes, Index first) {
    return {size.height, size.width, first * size.area(), planes * size.area(), size.width, 1};
}

/// The first `count` offsets.
inline Tensor<Index> offset_table(const OffsetGenerator& offsets, Index count) {
    Tensor<Index> table = Tensor<Index>::uninitialized({count});
    offsets.run(0, count, table.mutable_data());
    return table;
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

}  // namespace detail
}  // namespace gradus::kernels
