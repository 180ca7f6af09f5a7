// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "gradus/core/shape.hpp"
#include "gradus/kernels/simd/scalar.hpp"
#include "gradus/kernels/simd/tail.hpp"
#include "gradus/kernels/simd/vec.hpp"

// Streaming (non-temporal) stores, past the cache, for large results. These would be gone from the cache
// before anybody reads them, and a line that is written as usual is first read from memory: copying takes 1.6
// times as long.

namespace gradus::simd {

/// Whether a result of so many bytes is better streamed.
inline bool should_stream(Index bytes) { return bytes >= Index{1} << 25; }

/// The same for rows of n elements, each of which is written in whole aligned vectors.
template <class T>
bool should_stream(Index rows, Index n) {
    constexpr Index widest = 64;
    const Index row = n * static_cast<Index>(sizeof(T));
    return should_stream(rows * row) && row % widest == 0;
}

/// The same for rows of n elements, wherever they begin: see StreamedRows.
template <class T>
bool should_stream_rows(Index rows, Index n) {
    constexpr Index most_lanes = 16;
    return should_stream(rows * n * static_cast<Index>(sizeof(T))) && n >= most_lanes;
}

/// Writes a vector; where it is streamed, `to` must be aligned to it.
template <class T, int N>
GRADUS_INLINE void store(const Vec<T, N>& x, T* to, [[maybe_unused]] bool stream) {
#if defined(__x86_64__) && defined(__OPTIMIZE__)
    if (stream) {
#if defined(__clang__)
        __builtin_nontemporal_store(x.v, reinterpret_cast<typename Vec<T, N>::Vector*>(to));
#else
        auto& memory = *reinterpret_cast<typename detail::VectorOf<T, N>::in_memory*>(to);
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
template <class T>
void store(const Single<T>& x, T* to, bool) {
    x.store(to);
}

/// Before another thread reads what was streamed.
GRADUS_INLINE void store_fence() {
#if defined(__x86_64__)
    __builtin_ia32_sfence();
#endif
}

/// Streams rows that follow each other in memory, wherever they begin: a vector that has numbers of two rows
/// is written with the second one. What does not fill a vector at either end is written as usual.
template <class V>
struct StreamedRows {
    using T = typename V::Value;
    static constexpr Index lanes = V::size;

    T* to;
    Index begun;  // numbers before `to` in the vector that the row begins in
    bool first = true;
    V before;  // these numbers, if they were given to row()

    GRADUS_INLINE explicit StreamedRows(T* y)
        : to(y),
          begun(static_cast<Index>(reinterpret_cast<std::uintptr_t>(y) / sizeof(T)) % lanes),
          before(T(0)) {}

    /// A row of n >= lanes numbers. results(i) are those from i on, -lanes < i < n. Lanes outside of the row,
    /// which are dropped, are asked for only where there is another row.
    template <class Results>
    GRADUS_INLINE void row(Index n, bool last, const Results& results) {
        Index i = begun > 0 ? lanes - begun : 0;
        if (begun > 0 && first)
            results(0).store_partial(to, static_cast<int>(i));
        else if (begun > 0)
            simd::store(select(first_lanes<V>(static_cast<int>(begun)), before, results(i - lanes)),
                        to + (i - lanes), true);
        for (; i + lanes <= n; i += lanes) simd::store(results(i), to + i, true);
        begun = n - i;
        first = false;
        if (begun > 0 && last) {
            T tail[std::size_t{lanes}];
            results(n - lanes).store(tail);
            detail::copy_few(to + i, tail + (lanes - begun), static_cast<int>(begun));
        } else if (begun > 0) {
            before = results(i);
        }
        to += n;
    }
};

}  // namespace gradus::simd
