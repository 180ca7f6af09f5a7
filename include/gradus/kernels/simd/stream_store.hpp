// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "gradus/core/shape.hpp"
#include "gradus/kernels/simd/shuffle.hpp"
#include "gradus/kernels/simd/vec.hpp"

// Large results are written past the cache. They would be gone from it before anybody reads them, and a line
// that is written as usual is first read from memory: copying takes 1.6 times as long.

namespace gradus::kernels::detail {

/// Whether a result of so many bytes is better written past the cache.
inline bool goes_past_cache(Index bytes) { return bytes >= Index{1} << 25; }

/// The same for rows of n elements, each of which is written in whole aligned vectors.
template <class T>
bool goes_past_cache(Index rows, Index n) {
    constexpr Index widest = 64;
    const Index row = n * static_cast<Index>(sizeof(T));
    return goes_past_cache(rows * row) && row % widest == 0;
}

/// Writes a pack; past the cache, `to` must be aligned to it.
template <class T, int N>
GRADUS_INLINE void put(const simd::Vec<T, N>& x, T* to, [[maybe_unused]] bool past_cache) {
#if defined(__x86_64__) && defined(__OPTIMIZE__)
    if (past_cache) {
#if defined(__clang__)
        __builtin_nontemporal_store(x.v, reinterpret_cast<typename simd::Vec<T, N>::Vector*>(to));
#else
        auto& memory = *reinterpret_cast<typename simd::detail::VectorOf<T, N>::in_memory*>(to);
        if constexpr (sizeof x.v == 16)
            asm("movntps %1, %0" : "=m"(memory) : "x"(x.v));
        else
            asm("vmovntps %1, %0" : "=m"(memory) : "v"(x.v));
#endif
        return;
    }
#endif
    x.store(to);
}

/// Before another thread reads what was put past the cache.
GRADUS_INLINE void finish_past_cache() {
#if defined(__x86_64__)
    __builtin_ia32_sfence();
#endif
}

/// The fewest numbers of a row for RowsPastCache; no pack has more.
inline constexpr Index shortest_past_cache = 16;

/// Writes rows that follow each other in memory past the cache, wherever they begin: a pack that has numbers
/// of two rows is written with the second one. What does not fill a pack at either end is written as usual.
template <class P>
struct RowsPastCache {
    using T = typename P::Value;
    static constexpr Index lanes = P::size;

    T* to;
    Index begun;  // numbers before `to` in the pack that the row begins in
    bool first = true;
    P pack;  // these numbers, if they were given to row()

    GRADUS_INLINE explicit RowsPastCache(T* y)
        : to(y),
          begun(static_cast<Index>(reinterpret_cast<std::uintptr_t>(y) / sizeof(T)) % lanes),
          pack(T(0)) {}

    /// A row of n >= lanes numbers. results(i) are those from i on, -lanes < i < n. Lanes outside of the row,
    /// which are dropped, are asked for only where there is another row.
    template <class Results>
    GRADUS_INLINE void row(Index n, bool last, const Results& results) {
        Index i = begun > 0 ? lanes - begun : 0;
        if (begun > 0 && first)
            results(0).store_partial(to, static_cast<int>(i));
        else if (begun > 0)
            put(select(simd::iota<P>() < P(static_cast<T>(begun)), pack, results(i - lanes)),
                to + (i - lanes), true);
        for (; i + lanes <= n; i += lanes) put(results(i), to + i, true);
        begun = n - i;
        first = false;
        if (begun > 0 && last) {
            T tail[std::size_t{lanes}];
            results(n - lanes).store(tail);
            simd::detail::copy_few(to + i, tail + (lanes - begun), static_cast<int>(begun));
        } else if (begun > 0) {
            pack = results(i);
        }
        to += n;
    }
};

}  // namespace gradus::kernels::detail
