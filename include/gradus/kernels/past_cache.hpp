// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/core/shape.hpp"
#include "gradus/kernels/simd.hpp"

// Large results are written past the cache. They would be gone from it before anybody reads them, and a line
// that is written as usual is first read from memory: copying takes 1.6 times as long.

namespace gradus::kernels::detail {

/// Whether a result of so many bytes is better written past the cache.
inline bool goes_past_cache(Index bytes) { return bytes >= Index{1} << 25; }

/// The same for rows of n elements, each of which is written in whole aligned packs.
template <class T>
bool goes_past_cache(Index rows, Index n) {
    constexpr Index widest = 64;
    const Index row = n * static_cast<Index>(sizeof(T));
    return goes_past_cache(rows * row) && row % widest == 0;
}

/// Writes a pack; past the cache, `to` must be aligned to it.
template <class T, int N>
GRADUS_INLINE void put(const simd::Pack<T, N>& x, T* to, [[maybe_unused]] bool past_cache) {
#if defined(__x86_64__) && defined(__OPTIMIZE__)
    if (past_cache) {
#if defined(__clang__)
        __builtin_nontemporal_store(x.v, reinterpret_cast<typename simd::Pack<T, N>::Vector*>(to));
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

}  // namespace gradus::kernels::detail
