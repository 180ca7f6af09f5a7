// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include "gradus/kernels/elementwise/map.hpp"

// Functors of the arithmetic that kernels and operators share. One definition serves numbers, Dual numbers
// and SIMD vectors.

namespace gradus::kernels {
namespace detail {

/// Integers as what wraps around when it is too large (signed ones would be undefined); others as they are.
template <class V>
GRADUS_INLINE decltype(auto) modular(const V& x) {
    if constexpr (std::is_integral_v<V>)
        return static_cast<std::uint64_t>(x);
    else
        return (x);
}

/// x / y; of integers, a ValueError where that is no integer: x / 0, and the least number / −1.
template <class V>
GRADUS_INLINE V quotient(const V& x, const V& y) {
    if constexpr (std::is_integral_v<V>) {
        const bool too_large =
            std::is_signed_v<V> && x == std::numeric_limits<V>::min() && modular(y) == modular(V(-1));
        if (y == V(0) || too_large) [[unlikely]]
            gradus::detail::raise<ValueError>(
                "div", "integers cannot hold the quotient; cast<float>() first?", x, y);
    }
    return V(x / y);
}

}  // namespace detail

inline constexpr struct Add : Vectorized {
    template <class V>
    GRADUS_INLINE V operator()(const V& a, const V& b) const {
        return V(detail::modular(a) + detail::modular(b));
    }
} add;

}  // namespace gradus::kernels
