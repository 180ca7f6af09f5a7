// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <cstring>

#include "gradus/core/shape.hpp"
#include "gradus/kernels/simd/scalar.hpp"
#include "gradus/kernels/simd/shuffle.hpp"
#include "gradus/kernels/simd/vec.hpp"

// One bit per element of a row, in words of 16. Reading begins at any bit; it may touch the word after the
// last one, so a mask has one more.

namespace gradus::simd {

using MaskWord = std::uint16_t;
inline constexpr Index mask_bits = 16;  // of a word

constexpr Index mask_words(Index n) { return (n + mask_bits - 1) / mask_bits; }

/// Calls f(word, first, vectors) for every word of a mask of n elements: it has the bits from `word` on, and
/// the vectors that make them begin with element `first`. The last vectors overlap those before, unless they
/// are Single.
template <class P, class F>
GRADUS_INLINE void for_words(Index n, const F& f) {
    Index word = 0;
    for (; word + mask_bits <= n; word += mask_bits) f(word, word, static_cast<int>(mask_bits) / P::size);
    if (word == n) return;
    if (P::size == 1)
        f(word, word, static_cast<int>(n - word));
    else
        f(word, n - mask_bits, static_cast<int>(mask_bits) / P::size);
}

/// The bits of element i and those after it; of those, at least 16 are good.
GRADUS_INLINE std::uint32_t bits_at(const MaskWord* row, Index i) {
    std::uint32_t words;
    std::memcpy(&words, row + i / mask_bits, sizeof words);
    return words >> (i % mask_bits);
}

/// The same where a whole vector begins with element i: for 16 lanes, that is where a word begins.
template <int Lanes>
GRADUS_INLINE std::uint32_t bits_of_vector(const MaskWord* row, Index i) {
    return Lanes == mask_bits ? row[i / mask_bits] : bits_at(row, i);
}

/// Bit i is set where lane i is true; the bits behind the lanes are 0.
template <class T, int N>
GRADUS_INLINE std::uint32_t lane_bits(const Mask<T, N>& mask) {
#if defined(__x86_64__) && defined(__OPTIMIZE__) && !defined(__clang__)
    // g++ has no operator for this.
    std::uint32_t bits;
    if constexpr (sizeof(T[N]) == 64 && sizeof(T) == 4)
        asm("vpmovd2m %1, %%k1\n\tkmovw %%k1, %0" : "=r"(bits) : "v"(mask.lanes.v) : "k1");
    else if constexpr (sizeof(T[N]) == 64)
        asm("vpmovq2m %1, %%k1\n\tkmovb %%k1, %0" : "=r"(bits) : "v"(mask.lanes.v) : "k1");
    else if constexpr (sizeof(T[N]) == 32 && sizeof(T) == 4)
        asm("vmovmskps %1, %0" : "=r"(bits) : "x"(mask.lanes.v));
    else if constexpr (sizeof(T[N]) == 32)
        asm("vmovmskpd %1, %0" : "=r"(bits) : "x"(mask.lanes.v));
    else if constexpr (sizeof(T) == 4)
        asm("movmskps %1, %0" : "=r"(bits) : "x"(mask.lanes.v));
    else
        asm("movmskpd %1, %0" : "=r"(bits) : "x"(mask.lanes.v));
    return bits;
#else
    using Lanes = typename Mask<T, N>::Lanes;
    return static_cast<std::uint32_t>(sum(mask.bits() & bit_of_lane<Lanes>()));
#endif
}

/// Bit i says whether x[i] is not 0, as NaN is not.
template <class T, int N>
GRADUS_INLINE std::uint32_t nonzero_bits(const Vec<T, N>& x) {
#if defined(__x86_64__) && defined(__OPTIMIZE__) && !defined(__clang__)
    if constexpr (sizeof(T[N]) == 64) {  // here no vector need hold the mask
        const Vec<T, N> zero(T(0));
        std::uint32_t bits;
        if constexpr (sizeof(T) == 4)
            asm("vcmpneqps %1, %2, %%k1\n\tkmovw %%k1, %0" : "=r"(bits) : "v"(x.v), "v"(zero.v) : "k1");
        else
            asm("vcmpneqpd %1, %2, %%k1\n\tkmovb %%k1, %0" : "=r"(bits) : "v"(x.v), "v"(zero.v) : "k1");
        return bits;
    }
#endif
    return lane_bits(x != Vec<T, N>(T(0)));
}
template <class T>
std::uint32_t nonzero_bits(const Single<T>& x) {
    return x.v != T(0);
}

/// Lane i of x where bit i is set, else 0.
template <class T, int N>
GRADUS_INLINE Vec<T, N> where_set(std::uint32_t bits, const Vec<T, N>& x) {
#if defined(__x86_64__) && defined(__OPTIMIZE__) && !defined(__clang__)
    if constexpr (sizeof(T[N]) == 64) {  // here it is one instruction
        Vec<T, N> result;
        if constexpr (sizeof(T) == 4)
            asm("kmovw %2, %%k1\n\tvmovaps %1, %0%{%%k1%}%{z%}"
                : "=v"(result.v)
                : "v"(x.v), "r"(bits)
                : "k1");
        else
            asm("kmovb %2, %%k1\n\tvmovapd %1, %0%{%%k1%}%{z%}"
                : "=v"(result.v)
                : "v"(x.v), "r"(bits)
                : "k1");
        return result;
    }
#endif
    using Lanes = typename Mask<T, N>::Lanes;
    using Int = typename Lanes::Value;
    const Lanes place = bit_of_lane<Lanes>();
    const Mask<T, N> set((Lanes(static_cast<Int>(bits)) & place) != Lanes(Int(0)));
    return select(set, x, Vec<T, N>(T(0)));
}
template <class T>
Single<T> where_set(std::uint32_t bits, const Single<T>& x) {
    return bits & 1 ? x : Single<T>(T(0));
}

}  // namespace gradus::simd
