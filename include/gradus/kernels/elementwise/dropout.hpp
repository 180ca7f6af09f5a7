// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "gradus/core/parallel.hpp"
#include "gradus/core/random.hpp"
#include "gradus/kernels/simd/bit_mask.hpp"
#include "gradus/kernels/simd/dispatch.hpp"
#include "gradus/kernels/simd/shuffle.hpp"
#include "gradus/kernels/simd/vec.hpp"

// The mask of dropout: one bit per element, set where the element stays. Element i belongs to word i mod 4 of
// Philox block i / 4, so a mask depends on its stream alone, not on how the work is split or on the width of
// vectors. What stays is multiplied by 1 / (1 - p), which ops/dropout.hpp computes.

namespace gradus::kernels {
namespace detail {

/// gradus::philox for one block per lane: words 0 and 1 of each block in `first`, 2 and 3 in `second`.
template <class P>
GRADUS_INLINE void philox_lanes(std::uint64_t key, std::uint64_t high, const P& block, P& first, P& second) {
    const P multiplier0(0xD2511F53u), multiplier1(0xCD9E8D57u);
    auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
    P c0 = block, c1 = block >> 32, c2(high & 0xFFFFFFFFu), c3(high >> 32);  // only the lower halves count
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
        const P p0 = simd::multiply_low(c0, multiplier0), p1 = simd::multiply_low(c2, multiplier1);
        c0 = (p1 >> 32) ^ c1 ^ P(k0);
        c2 = (p0 >> 32) ^ c3 ^ P(k1);
        c1 = p1;
        c3 = p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    const P low(0xFFFFFFFFu);
    first = (c0 & low) | (c1 << 32);
    second = (c2 & low) | (c3 << 32);
}

/// Bits of the mask that are made together: one vector of Philox blocks, however wide, fits.
inline constexpr Index dropout_unit = 32;

/// Bit i of the mask says whether word begin + i of the stream >= threshold. `begin` and `count` are
/// multiples of dropout_unit.
struct DropoutMaskKernel {
    RandomStream stream;
    std::uint32_t threshold;
    Index begin, count;
    std::uint8_t* mask;

    template <int Bytes>
    GRADUS_INLINE void run() const {
        constexpr int blocks = Bytes / 8, words = Bytes / 4;
        using Blocks = simd::Vec<std::uint64_t, blocks>;
        using Words = simd::Vec<std::int32_t, words>;
        constexpr std::int32_t places[] = {1,       1 << 1,  1 << 4,  1 << 5,  1 << 8,  1 << 9,
                                           1 << 12, 1 << 13, 1 << 16, 1 << 17, 1 << 20, 1 << 21,
                                           1 << 24, 1 << 25, 1 << 28, 1 << 29};
        const Blocks lane = simd::iota<Blocks>();
        const Words place = Words::load(places), flip(std::numeric_limits<std::int32_t>::min());
        const Words limit(
            static_cast<std::int32_t>(threshold ^ 0x80000000u));  // there are signed comparisons only
        for (Index i = 0; i < count; i += 4 * blocks) {
            Blocks first, second;
            philox_lanes(stream.seed, stream.stream,
                         Blocks(static_cast<std::uint64_t>((begin + i) / 4)) + lane, first, second);
            const auto chosen = [&](const Blocks& pair, const Words& bits) GRADUS_INLINE_LAMBDA {
                const Words drawn = Words::wrap(reinterpret_cast<typename Words::Vector>(pair.v)) ^ flip;
                return select(drawn < limit, Words(0), bits);
            };
            const auto bits =
                static_cast<std::uint32_t>(sum(chosen(first, place) | chosen(second, place << 2)));
            for (int byte = 0; byte < Bytes / 16; ++byte)
                mask[i / 8 + byte] = static_cast<std::uint8_t>(bits >> (8 * byte));
        }
    }
};

/// y[i] = x[i] · scale where bit i of the mask is set, else 0.
template <class T>
struct DropoutKernel {
    const T* x;
    const std::uint8_t* mask;
    T scale;
    Index n;
    T* y;

    template <int Bytes>
    GRADUS_INLINE void run() const {
        using Vec = simd::VecOf<T, Bytes>;
        constexpr int lanes = Vec::size;
        Index i = 0;
        for (; i + lanes <= n; i += lanes) {
            unsigned bits = static_cast<unsigned>(mask[i / 8]) >> (i % 8);
            if constexpr (lanes == 16) bits |= static_cast<unsigned>(mask[i / 8 + 1]) << 8;
            simd::where_set(bits, Vec::load(x + i) * Vec(scale)).store(y + i);
        }
        for (; i < n; ++i) y[i] = mask[i / 8] >> (i % 8) & 1 ? x[i] * scale : T(0);
    }
};

template <class T>
void apply_dropout(const T* x, const std::uint8_t* mask, double scale, Index n, T* y) {
    if constexpr (std::is_floating_point_v<T>) {
        simd::run(DropoutKernel<T>{.x = x, .mask = mask, .scale = static_cast<T>(scale), .n = n, .y = y});
    } else {
        for (Index i = 0; i < n; ++i) y[i] = mask[i / 8] >> (i % 8) & 1 ? x[i] * T(scale) : T(0);
    }
}

}  // namespace detail

template <class T>
struct Dropped {
    Tensor<T> y;
    Tensor<std::uint8_t> mask;  // one bit per element
};

/// Keeps the elements whose word of the stream is at least `threshold`, times `scale`; the others become 0.
template <class T>
Dropped<T> dropout(const Tensor<T>& x, const RandomStream& stream, std::uint32_t threshold, double scale) {
    constexpr Index unit = detail::dropout_unit;
    const Index units = (x.numel() + unit - 1) / unit;
    Dropped<T> result{Tensor<T>::uninitialized(x.shape()),
                      Tensor<std::uint8_t>::uninitialized({units * unit / 8})};
    std::uint8_t* const mask = result.mask.mutable_data();
    T* const y = result.y.mutable_data();
    parallel_for(units, parallel_grain / 4 / unit, [&](Index first, Index last) {
        const Index begin = first * unit, end = std::min(last * unit, x.numel());
        simd::run(detail::DropoutMaskKernel{.stream = stream,
                                            .threshold = threshold,
                                            .begin = begin,
                                            .count = (last - first) * unit,
                                            .mask = mask + begin / 8});
        detail::apply_dropout(x.data() + begin, mask + begin / 8, scale, end - begin, y + begin);
    });
    return result;
}

/// The same choice of elements again, for the gradient.
template <class T>
Tensor<T> dropout_backward(const Tensor<T>& dy, const Tensor<std::uint8_t>& mask, double scale) {
    Tensor<T> dx = Tensor<T>::uninitialized(dy.shape());
    T* const out = dx.mutable_data();
    static_assert(parallel_grain % detail::dropout_unit == 0, "blocks begin with a whole byte of the mask");
    parallel_for(dy.numel(), parallel_grain, [&](Index begin, Index end) {
        detail::apply_dropout(dy.data() + begin, mask.data() + begin / 8, scale, end - begin, out + begin);
    });
    return dx;
}

}  // namespace gradus::kernels
