// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "gradus/kernels/simd/vec.hpp"

// Every permutation of lanes that kernels use, of one vector or of two. The lanes are those of memory: lane 0
// is what load() reads first. `a, b` as a sequence is the lanes of a and then those of b.

namespace gradus::simd {

namespace detail {

template <class V, class From, int... Lane>
GRADUS_INLINE V shuffle(const V& a, const V& b, From, std::integer_sequence<int, Lane...>) {
    return V::wrap(__builtin_shufflevector(a.v, b.v, From{}(Lane)...));
}

template <class V, int... Lane>
inline constexpr typename V::Value numbers_of_lanes[] = {static_cast<typename V::Value>(Lane)...};

template <class V, int... Lane>
GRADUS_INLINE V iota(std::integer_sequence<int, Lane...>) {
    return V::load(numbers_of_lanes<V, Lane...>);
}

template <class V, int... Lane>
inline constexpr typename V::Value bits_of_lanes[] = {static_cast<typename V::Value>(1u << Lane)...};

template <class V, int... Lane>
GRADUS_INLINE V bit_of_lane(std::integer_sequence<int, Lane...>) {
    return V::load(bits_of_lanes<V, Lane...>);
}

}  // namespace detail

/// Lane i is lane from(i) of the sequence a, b. `from` is a lambda without captures.
template <class V, class From>
GRADUS_INLINE V shuffle(const V& a, const V& b, From from) {
    return detail::shuffle(a, b, from, std::make_integer_sequence<int, V::size>());
}

/// 0, 1, 2, ...
template <class V>
GRADUS_INLINE V iota() {
    return detail::iota<V>(std::make_integer_sequence<int, V::size>());
}

/// 1, 2, 4, ...: the bit i in lane i. V holds integers.
template <class V>
GRADUS_INLINE V bit_of_lane() {
    return detail::bit_of_lane<V>(std::make_integer_sequence<int, V::size>());
}

/// a0 b0 a1 b1 ... of the lower halves of a and b, and of the upper ones.
template <class V>
GRADUS_INLINE V zip_lower(const V& a, const V& b) {
    return shuffle(a, b, [](int i) { return i / 2 + i % 2 * V::size; });
}
template <class V>
GRADUS_INLINE V zip_upper(const V& a, const V& b) {
    return shuffle(a, b, [](int i) { return (V::size + i) / 2 + i % 2 * V::size; });
}

/// The lower half of x and its upper half, zipped.
template <class V>
GRADUS_INLINE V zip_halves(const V& x) {
    return shuffle(x, x, [](int i) { return i / 2 + i % 2 * (V::size / 2); });
}

/// Lanes 0, 2, 4, ... of the sequence a, b, and lanes 1, 3, 5, ...
template <class V>
GRADUS_INLINE V unzip_even(const V& a, const V& b) {
    return shuffle(a, b, [](int i) { return 2 * i; });
}
template <class V>
GRADUS_INLINE V unzip_odd(const V& a, const V& b) {
    return shuffle(a, b, [](int i) { return 2 * i + 1; });
}

/// from[0], from[2], from[4], ...: reads nothing behind the last of them.
template <class V>
GRADUS_INLINE V load_every_other(const typename V::Value* from) {
    return shuffle(V::load(from), V::load(from + V::size - 1),
                   [](int i) { return 2 * i < V::size ? 2 * i : 2 * i + 1; });
}

/// a and b in blocks of `Block` lanes: a0 b0 a2 b2 ..., and a1 b1 a3 b3 ... (The 2 x 2 blocks transposed.)
template <int Block, class V>
GRADUS_INLINE V interleave_even(const V& a, const V& b) {
    return shuffle(a, b, [](int i) { return i & Block ? V::size + i - Block : i; });
}
template <int Block, class V>
GRADUS_INLINE V interleave_odd(const V& a, const V& b) {
    return shuffle(a, b, [](int i) { return i & Block ? V::size + i : i + Block; });
}

/// The square of N rows of N lanes: row[i][j] becomes row[j][i]. By exchanges of ever smaller blocks.
template <int Block = 0, class V, std::size_t N>
GRADUS_INLINE void transpose(V (&row)[N]) {
    static_assert(N == static_cast<std::size_t>(V::size));
    constexpr int block = Block ? Block : V::size / 2;
#pragma GCC unroll 16
    for (int i = 0; i < V::size; ++i)
        if (!(i & block)) {
            const V even = interleave_even<block>(row[i], row[i + block]);
            row[i + block] = interleave_odd<block>(row[i], row[i + block]);
            row[i] = even;
        }
    if constexpr (block > 1) transpose<block / 2>(row);
}

namespace detail {

/// A vector of blocks of 16 bytes that lie anywhere: block g is *at(g).
template <class V, class At>
GRADUS_INLINE V blocks_of(At at) {
    constexpr int blocks = static_cast<int>(sizeof(typename V::Vector)) / 16;
#if defined(__x86_64__) && defined(__OPTIMIZE__) && !defined(__clang__)
    // g++ 12 would load each block by itself and then shuffle, where the load can put it in its place.
    if constexpr (blocks > 1) {
        static_assert(blocks == 2 || blocks == 4);
        using InMemory = typename VectorOf<typename V::Value, V::size / blocks>::in_memory;
        const auto block = [&](int g) GRADUS_INLINE_LAMBDA -> const InMemory& {
            return *reinterpret_cast<const InMemory*>(at(g));
        };
        V all;
        asm("vmovups %1, %x0" : "=v"(all.v) : "m"(block(0)));
        if constexpr (blocks == 2) {
            asm("vinsertf128 $1, %1, %0, %0" : "+x"(all.v) : "m"(block(1)));
        } else {
            asm("vinsertf32x4 $1, %1, %0, %0" : "+v"(all.v) : "m"(block(1)));
            asm("vinsertf32x4 $2, %1, %0, %0" : "+v"(all.v) : "m"(block(2)));
            asm("vinsertf32x4 $3, %1, %0, %0" : "+v"(all.v) : "m"(block(3)));
        }
        return all;
    }
#endif
    typename V::Value lanes[std::size_t{V::size}];
    for (int g = 0; g < blocks; ++g) __builtin_memcpy(lanes + g * (V::size / blocks), at(g), 16);
    return V::load(lanes);
}

/// Where number `at` is that the blocks of a and b have in the place of `lane`: block by block, those of a come first.
template <class V, int Block>
constexpr int lane_of_parts(int lane, int at) {
    return lane / Block * Block + at % Block + at / Block * V::size;
}

}  // namespace detail

/// Block g of row[i], of 16 bytes and B numbers, is read from from + g * group + step[i].
template <class V, std::size_t B, class Index>
GRADUS_INLINE void load_blocks(V (&row)[B], const typename V::Value* from, const Index (&step)[B],
                               Index group) {
    static_assert(sizeof(typename V::Value[B]) == 16);
    constexpr std::size_t blocks = V::size / B;
    if constexpr (blocks == 1) {
        for (std::size_t i = 0; i < B; ++i) row[i] = V::load(from + step[i]);
    } else {
        const typename V::Value* at[blocks];
#pragma GCC unroll 4
        for (std::size_t g = 0; g < blocks; ++g, from += group) {
#if defined(__x86_64__) && defined(__OPTIMIZE__) && !defined(__clang__)
            // g++ 12 would keep a pointer to each block, which are more than there are registers, did it see where
            // these come from.
            asm("" : "+r"(from));
#endif
            at[g] = from;
        }
#pragma GCC unroll 4
        for (std::size_t i = 0; i < B; ++i)
            row[i] = detail::blocks_of<V>([&](int g) GRADUS_INLINE_LAMBDA { return at[g] + step[i]; });
    }
}

/// every[k] = from[k], from[k + S], from[k + 2 S], ...: nothing is read behind the last of them. S is 2 or 3.
template <std::size_t S, class V>
GRADUS_INLINE void load_interleaved(V (&every)[S], const typename V::Value* from) {
    static_assert(S == 2 || S == 3);
    constexpr int block = 16 / static_cast<int>(sizeof(typename V::Value));
    // Part k has the k-th 16 bytes of those that become a block of each result: no shuffle crosses blocks.
    const auto part = [&](int k) GRADUS_INLINE_LAMBDA {
        return detail::blocks_of<V>(
            [&](int g) GRADUS_INLINE_LAMBDA { return from + (g * static_cast<int>(S) + k) * block; });
    };
    const V a = part(0), b = part(1);
    if constexpr (S == 2) {
        every[0] = shuffle(a, b, [](int i) { return detail::lane_of_parts<V, block>(i, i % block * 2); });
        every[1] = shuffle(a, b, [](int i) { return detail::lane_of_parts<V, block>(i, i % block * 2 + 1); });
    } else {
        const V c = part(2);
        const auto from_three = [&](auto first) GRADUS_INLINE_LAMBDA {
            using First = decltype(first);
            const V ab = shuffle(a, b, [](int i) {
                const int at = i % block * 3 + First::value;
                return at < 2 * block ? detail::lane_of_parts<V, block>(i, at) : i;
            });
            return shuffle(ab, c, [](int i) {
                const int at = i % block * 3 + First::value;
                return at < 2 * block ? i : detail::lane_of_parts<V, block>(i, at - block);
            });
        };
        every[0] = from_three(std::integral_constant<int, 0>());
        every[1] = from_three(std::integral_constant<int, 1>());
        every[2] = from_three(std::integral_constant<int, 2>());
    }
}

/// The squares of B rows of blocks of 16 bytes, B numbers: row[i], lane j of a block becomes row[j], lane i of
/// that block.
template <class V, std::size_t B>
GRADUS_INLINE void transpose_blocks(V (&row)[B]) {
    static_assert(sizeof(typename V::Value[B]) == 16 && (B == 2 || B == 4));
    constexpr int n = static_cast<int>(B);
    // Halves of two blocks, zipped; for pairs of numbers that is all.
    const auto lower = [](int i) { return i / n * n + i % n / 2 + i % 2 * V::size; };
    const auto upper = [](int i) { return i / n * n + n / 2 + i % n / 2 + i % 2 * V::size; };
    if constexpr (B == 2) {
        const V first = shuffle(row[0], row[1], lower);
        row[1] = shuffle(row[0], row[1], upper);
        row[0] = first;
    } else {
        const V a = shuffle(row[0], row[1], lower), b = shuffle(row[0], row[1], upper),
                c = shuffle(row[2], row[3], lower), d = shuffle(row[2], row[3], upper);
        const auto first = [](int i) { return i / 4 * 4 + i % 2 + i % 4 / 2 * V::size; };
        const auto second = [](int i) { return i / 4 * 4 + 2 + i % 2 + i % 4 / 2 * V::size; };
        row[0] = shuffle(a, c, first);
        row[1] = shuffle(a, c, second);
        row[2] = shuffle(b, d, first);
        row[3] = shuffle(b, d, second);
    }
}

/// Lane i of the result is op over all lanes of x[i], in an order that does not depend on i. Changes x.
template <int Step = 1, class V, std::size_t N, class Op>
GRADUS_INLINE V across(V (&x)[N], Op op) {
    static_assert(N == static_cast<std::size_t>(V::size));
#pragma GCC unroll 8
    for (std::size_t k = 0; k < N / 2 / Step; ++k)
        x[k] =
            op(interleave_even<Step>(x[2 * k], x[2 * k + 1]), interleave_odd<Step>(x[2 * k], x[2 * k + 1]));
    if constexpr (2 * Step < V::size) return across<2 * Step>(x, op);
    return x[0];
}

/// Writes the lowest byte of each lane.
template <class T, int N>
GRADUS_INLINE void store_low_bytes(const Vec<T, N>& x, std::uint8_t* to) {
    if constexpr (N >= 8 && sizeof(T) == 4) {  // written out, since compilers take lane after lane
        using Bytes = Vec<std::uint8_t, 16>;
        Bytes::Vector part[std::size_t{N / 4}];
        __builtin_memcpy(part, &x.v, sizeof part);
#pragma GCC unroll 2
        for (int i = 0; i < N / 4; i += 2) {
            const Bytes low = shuffle(Bytes::wrap(part[i]), Bytes::wrap(part[i + 1]),
                                      [](int byte) { return byte % 8 * 4; });
            __builtin_memcpy(to + 4 * i, &low.v, 8);
        }
    } else {
        for (int i = 0; i < N; ++i) to[i] = static_cast<std::uint8_t>(x[i]);
    }
}

}  // namespace gradus::simd
