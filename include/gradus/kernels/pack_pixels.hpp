// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/kernels/gemm.hpp"

// Between planes of one channel each and pixels whose channels lie side by side, a panel of channels at a
// time.

namespace gradus::kernels::detail {

/// Planes to pixels [count, width of a tile]: pixels[i * width + j] = planes[j * plane + i], 0 for j >=
/// channels.
template <class T>
struct PackPixels {
    template <int Bytes>
    GRADUS_INLINE static void run(const T* planes, Index plane, Index count, Index channels, T* pixels) {
        constexpr Index lanes = Bytes / static_cast<Index>(sizeof(T)), width = 2 * lanes;
        using Pack = simd::Pack<T, static_cast<int>(lanes)>;
        for (Index first = 0; first < count; first += lanes)
            for (Index v = 0; v < width; v += lanes) {
                const Index at = std::max<Index>(0, std::min(first, count - lanes));  // the last overlaps
                const Index rows = std::min(lanes, count);
                const T* from = planes + v * plane + at;
                Index step = plane;
                T side[static_cast<std::size_t>(lanes * lanes)];
                if (rows < lanes || v + lanes > channels) {
                    std::fill_n(side, lanes * lanes, T(0));
                    for (Index j = 0; j < std::min(lanes, channels - v); ++j)
                        std::copy_n(from + j * plane, rows, side + j * lanes);
                    from = side;
                    step = lanes;
                }
                Pack block[static_cast<std::size_t>(lanes)];
#pragma GCC unroll 16
                for (Index j = 0; j < lanes; ++j) block[j] = Pack::load(from + j * step);
                PackKernel<T>::template swap_blocks<static_cast<int>(lanes) / 2, static_cast<int>(lanes)>(
                    block);
#pragma GCC unroll 16
                for (Index i = 0; i < lanes; ++i)
                    if (i < rows) block[i].store(pixels + (at + i) * width + v);
            }
    }
};

/// The way back: out[j * plane + i] = pixels[i * width + j], j < channels.
template <class T>
struct UnpackPixels {
    template <int Bytes>
    GRADUS_INLINE static void run(const T* pixels, Index count, Index channels, T* out, Index plane) {
        constexpr Index lanes = Bytes / static_cast<Index>(sizeof(T)), width = 2 * lanes;
        using Pack = simd::Pack<T, static_cast<int>(lanes)>;
        for (Index first = 0; first < count; first += lanes)
            for (Index v = 0; v < channels; v += lanes) {
                const Index rows = std::min(lanes, count - first);
                Pack block[static_cast<std::size_t>(lanes)];
#pragma GCC unroll 16
                for (Index i = 0; i < lanes; ++i)
                    block[i] = Pack::load(pixels + (first + std::min(i, rows - 1)) * width + v);
                PackKernel<T>::template swap_blocks<static_cast<int>(lanes) / 2, static_cast<int>(lanes)>(
                    block);
                for (Index j = 0; j < std::min(lanes, channels - v); ++j)
                    if (rows == lanes)
                        block[j].store(out + (v + j) * plane + first);
                    else
                        block[j].store_partial(out + (v + j) * plane + first, static_cast<int>(rows));
            }
    }
};

}  // namespace gradus::kernels::detail
