// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include "gradus/kernels/map.hpp"

namespace gradus {
namespace kernels {
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
            gradus::detail::fail<ValueError>("div", "integers cannot hold the quotient; cast<float>() first?",
                                             x, y);
    }
    return V(x / y);
}

}  // namespace detail

// One definition serves numbers, Dual numbers and SIMD packs.
inline constexpr struct Add : Vectorized {
    template <class V>
    GRADUS_INLINE V operator()(const V& a, const V& b) const {
        return V(detail::modular(a) + detail::modular(b));
    }
} add;

}  // namespace kernels

// Arithmetic of tensors, with broadcasting; for integers as well: sums and products that are too large wrap
// around, as in PyTorch. Without history: for gradients, use Variables.

template <class T>
Tensor<T> operator+(const Tensor<T>& a, const Tensor<T>& b) {
    return kernels::map("add", kernels::add, a, b);
}
template <class T>
Tensor<T> operator-(const Tensor<T>& a, const Tensor<T>& b) {
    const auto f = []<class V>(const V& x, const V& y) GRADUS_INLINE_LAMBDA {
        return V(kernels::detail::modular(x) - kernels::detail::modular(y));
    };
    return kernels::map("sub", kernels::vectorized(f), a, b);
}
template <class T>
Tensor<T> operator*(const Tensor<T>& a, const Tensor<T>& b) {
    const auto f = []<class V>(const V& x, const V& y) GRADUS_INLINE_LAMBDA {
        return V(kernels::detail::modular(x) * kernels::detail::modular(y));
    };
    return kernels::map("mul", kernels::vectorized(f), a, b);
}
template <class T>
Tensor<T> operator/(const Tensor<T>& a, const Tensor<T>& b) {
    const auto f = []<class V>(const V& x, const V& y)
                       GRADUS_INLINE_LAMBDA { return kernels::detail::quotient(x, y); };
    return kernels::map("div", kernels::vectorized(f), a, b);
}
template <class T>
Tensor<T> operator-(const Tensor<T>& a) {
    return kernels::map("neg", kernels::vectorized([]<class V>(const V& x) GRADUS_INLINE_LAMBDA {
                            return V(-kernels::detail::modular(x));
                        }),
                        a);
}
template <class T>
Tensor<T> operator+(const Tensor<T>& a, std::type_identity_t<T> s) {
    return kernels::map("add", kernels::vectorized([s]<class V>(const V& x) GRADUS_INLINE_LAMBDA {
                            return V(kernels::detail::modular(x) + kernels::detail::modular(V(s)));
                        }),
                        a);
}
template <class T>
Tensor<T> operator-(const Tensor<T>& a, std::type_identity_t<T> s) {
    return kernels::map("sub", kernels::vectorized([s]<class V>(const V& x) GRADUS_INLINE_LAMBDA {
                            return V(kernels::detail::modular(x) - kernels::detail::modular(V(s)));
                        }),
                        a);
}
template <class T>
Tensor<T> operator*(const Tensor<T>& a, std::type_identity_t<T> s) {
    return kernels::map("mul", kernels::vectorized([s]<class V>(const V& x) GRADUS_INLINE_LAMBDA {
                            return V(kernels::detail::modular(x) * kernels::detail::modular(V(s)));
                        }),
                        a);
}
template <class T>
Tensor<T> operator/(const Tensor<T>& a, std::type_identity_t<T> s) {
    return kernels::map("div", kernels::vectorized([s]<class V>(const V& x) GRADUS_INLINE_LAMBDA {
                            return kernels::detail::quotient(x, V(s));
                        }),
                        a);
}
template <class T>
Tensor<T> operator*(std::type_identity_t<T> s, const Tensor<T>& a) {
    return a * s;
}

// Comparisons, element by element, with broadcasting.

template <class T>
Tensor<bool> operator<(const Tensor<T>& a, const Tensor<T>& b) {
    return kernels::map(
        "less", [](const T& x, const T& y) { return x < y; }, a, b);
}
template <class T>
Tensor<bool> operator>(const Tensor<T>& a, const Tensor<T>& b) {
    return b < a;
}
template <class T>
Tensor<bool> operator<(const Tensor<T>& a, std::type_identity_t<T> s) {
    return kernels::map(
        "less", [s](const T& x) { return x < s; }, a);
}
template <class T>
Tensor<bool> operator>(const Tensor<T>& a, std::type_identity_t<T> s) {
    return kernels::map(
        "greater", [s](const T& x) { return x > s; }, a);
}
/// Where both are equal (operator== asks whether two tensors are equal as a whole).
template <class T>
Tensor<bool> equal(const Tensor<T>& a, const Tensor<T>& b) {
    return kernels::map(
        "equal", [](const T& x, const T& y) { return x == y; }, a, b);
}

}  // namespace gradus
