// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/kernels/gemm/gemm.hpp"

// Between NCHW planes, of one channel each, and channel-packed pixels (NCHWc): a panel of channels, as many
// as a tile of a product has columns, lies side by side, so that channels are lanes. Where a packed pixel
// lies is told by a table of offsets.

namespace gradus::kernels::detail {

/// Planes of up to a panel of channels, and the same pixels packed: pixel i at packed[offsets[i]].
struct PackedPixels {
    Index plane, channels;  // distance of planes, and how many there are
    Index count;
    const Index* offsets;
};

/// Planes to packed pixels, as many vectors as hold channels. Lanes without a channel repeat the last one:
/// nobody reads what becomes of them.
template <class T>
struct PackChannels {
    PackedPixels pixels;
    const T* planes;
    T* packed;

    template <int Bytes>
    GRADUS_INLINE void run() {
        using Vec = simd::VecOf<T, Bytes>;
        constexpr int lanes = Vec::size;
        const PackedPixels& p = pixels;
        const auto plane = [&](Index channel)
                               GRADUS_INLINE_LAMBDA { return std::min(channel, p.channels - 1) * p.plane; };
        for (Index channel = 0; channel < p.channels; channel += lanes) {
            if (p.count < lanes) {
                for (Index i = 0; i < p.count; ++i)
                    for (Index j = channel; j < channel + lanes; ++j)
                        packed[p.offsets[i] + j] = planes[plane(j) + i];
                continue;
            }
            for (Index done = 0; done < p.count; done += lanes) {
                const Index first = std::min(done, p.count - lanes);  // the last ones overlap
                const Index* const offsets = p.offsets + first;
                Vec v[std::size_t{lanes}];
#pragma GCC unroll 16
                for (int j = 0; j < lanes; ++j) v[j] = Vec::load(planes + plane(channel + j) + first);
                simd::transpose(v);
#pragma GCC unroll 16
                for (int i = 0; i < lanes; ++i) v[i].store(packed + offsets[i] + channel);
            }
        }
    }
};

/// Packed pixels to planes.
template <class T>
struct UnpackChannels {
    PackedPixels pixels;
    const T* packed;
    T* planes;

    template <int Bytes>
    GRADUS_INLINE void run() {
        using Vec = simd::VecOf<T, Bytes>;
        constexpr int lanes = Vec::size;
        const PackedPixels& p = pixels;
        for (Index channel = 0; channel < p.channels; channel += lanes) {
            const Index channels = std::min<Index>(lanes, p.channels - channel);
            T* const to = planes + channel * p.plane;
            if (p.count < lanes) {
                for (Index i = 0; i < p.count; ++i)
                    for (Index j = 0; j < channels; ++j)
                        to[j * p.plane + i] = packed[p.offsets[i] + channel + j];
                continue;
            }
            for (Index done = 0; done < p.count; done += lanes) {
                const Index first = std::min(done, p.count - lanes);
                Vec v[std::size_t{lanes}];
#pragma GCC unroll 16
                for (int i = 0; i < lanes; ++i) v[i] = Vec::load(packed + p.offsets[first + i] + channel);
                simd::transpose(v);
#pragma GCC unroll 16
                for (int j = 0; j < lanes; ++j)
                    if (j < channels) v[j].store(to + j * p.plane + first);
            }
        }
    }
};

}  // namespace gradus::kernels::detail
