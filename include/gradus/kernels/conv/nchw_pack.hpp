// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/kernels/gemm/gemm.hpp"

// Between planes of one channel each and pixels whose channels lie scratch by scratch, a panel of channels at
// a time.

namespace gradus::kernels::detail {

/// Planes to pixels [count, width of a tile]: pixels[i * width + j] = planes[j * plane + i], 0 for j >=
/// channels.
template <class T>
struct PackPixels {
    template <int Bytes>
    GRADUS_INLINE static void run(const T* planes, Index plane, Index count, Index channels, T* pixels) {
        constexpr Index lanes = Bytes / static_cast<Index>(sizeof(T)), width = 2 * lanes;
        using Vec = simd::Vec<T, static_cast<int>(lanes)>;
        for (Index first = 0; first < count; first += lanes)
            for (Index v = 0; v < width; v += lanes) {
                const Index at = std::max<Index>(0, std::min(first, count - lanes));  // the last overlaps
                const Index rows = std::min(lanes, count);
                const T* from = planes + v * plane + at;
                Index step = plane;
                T scratch[static_cast<std::size_t>(lanes * lanes)];
                if (rows < lanes || v + lanes > channels) {
                    std::fill_n(scratch, lanes * lanes, T(0));
                    for (Index j = 0; j < std::min(lanes, channels - v); ++j)
                        std::copy_n(from + j * plane, rows, scratch + j * lanes);
                    from = scratch;
                    step = lanes;
                }
                Vec block[static_cast<std::size_t>(lanes)];
#pragma GCC unroll 16
                for (Index j = 0; j < lanes; ++j) block[j] = Vec::load(from + j * step);
                simd::transpose(block);
#pragma GCC unroll 16
                for (Index i = 0; i < lanes; ++i)
                    if (i < rows) block[i].store(pixels + (at + i) * width + v);
            }
    }
};

/// Planes of up to a panel of channels, and the same pixels with the channels scratch by scratch: pixel i at
/// lanes[offsets[i]].
struct PackedPixels {
    Index plane, channels;  // distance of planes, and how many there are
    Index count;
    const Index* offsets;
};

/// Planes to lanes, as many vectors as hold channels. Lanes without a channel repeat the last one: nobody
/// reads what becomes of them.
template <class T>
struct PackChannels {
    template <int Bytes>
    GRADUS_INLINE static void run(const T* planes, PackedPixels p, T* out) {
        using Vec = simd::VecOf<T, Bytes>;
        constexpr int lanes = Vec::size;
        const auto plane = [&](Index channel)
                               GRADUS_INLINE_LAMBDA { return std::min(channel, p.channels - 1) * p.plane; };
        for (Index channel = 0; channel < p.channels; channel += lanes) {
            if (p.count < lanes) {
                for (Index i = 0; i < p.count; ++i)
                    for (Index j = channel; j < channel + lanes; ++j)
                        out[p.offsets[i] + j] = planes[plane(j) + i];
                continue;
            }
            for (Index done = 0; done < p.count; done += lanes) {
                const Index first = std::min(done, p.count - lanes);
                const Index* const offsets = p.offsets + first;
                Vec v[std::size_t{lanes}];
#pragma GCC unroll 16
                for (int j = 0; j < lanes; ++j) v[j] = Vec::load(planes + plane(channel + j) + first);
                simd::transpose(v);
#pragma GCC unroll 16
                for (int i = 0; i < lanes; ++i) v[i].store(out + offsets[i] + channel);
            }
        }
    }
};

/// Lanes to planes.
template <class T>
struct UnpackChannels {
    template <int Bytes>
    GRADUS_INLINE static void run(const T* lanes_of, PackedPixels p, T* planes) {
        using Vec = simd::VecOf<T, Bytes>;
        constexpr int lanes = Vec::size;
        for (Index channel = 0; channel < p.channels; channel += lanes) {
            const Index channels = std::min<Index>(lanes, p.channels - channel);
            T* const to = planes + channel * p.plane;
            if (p.count < lanes) {
                for (Index i = 0; i < p.count; ++i)
                    for (Index j = 0; j < channels; ++j)
                        to[j * p.plane + i] = lanes_of[p.offsets[i] + channel + j];
                continue;
            }
            for (Index done = 0; done < p.count; done += lanes) {
                const Index first = std::min(done, p.count - lanes);
                Vec v[std::size_t{lanes}];
#pragma GCC unroll 16
                for (int i = 0; i < lanes; ++i) v[i] = Vec::load(lanes_of + p.offsets[first + i] + channel);
                simd::transpose(v);
#pragma GCC unroll 16
                for (int j = 0; j < lanes; ++j)
                    if (j < channels) v[j].store(to + j * p.plane + first);
            }
        }
    }
};

}  // namespace gradus::kernels::detail
