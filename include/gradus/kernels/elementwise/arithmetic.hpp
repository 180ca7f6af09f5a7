// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "gradus/kernels/elementwise/map.hpp"

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

// One definition serves numbers, Dual numbers and SIMD vectors.
inline constexpr struct Add : Vectorized {
    template <class V>
    GRADUS_INLINE V operator()(const V& a, const V& b) const {
        return V(detail::modular(a) + detail::modular(b));
    }
} add;

}  // namespace kernels

namespace detail {

template <class N, class T>
concept Fraction = std::is_integral_v<T> && std::is_floating_point_v<N>;

/// A number that becomes T without the loss of a fraction. Operators deduce its type, so that they take
/// neither what has to be converted to a number nor a Variable.
template <class N, class T>
concept Number = std::convertible_to<N, T> && !Fraction<N, T>;
template <class N, class T>
concept OtherNumber = Number<N, T> && !std::same_as<N, T>;

}  // namespace detail

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
template <class T, std::same_as<T> N>
Tensor<T> operator+(const Tensor<T>& a, N s) {
    return kernels::map("add", kernels::vectorized([s]<class V>(const V& x) GRADUS_INLINE_LAMBDA {
                            return V(kernels::detail::modular(x) + kernels::detail::modular(V(s)));
                        }),
                        a);
}
template <class T, std::same_as<T> N>
Tensor<T> operator-(const Tensor<T>& a, N s) {
    return kernels::map("sub", kernels::vectorized([s]<class V>(const V& x) GRADUS_INLINE_LAMBDA {
                            return V(kernels::detail::modular(x) - kernels::detail::modular(V(s)));
                        }),
                        a);
}
template <class T, std::same_as<T> N>
Tensor<T> operator*(const Tensor<T>& a, N s) {
    return kernels::map("mul", kernels::vectorized([s]<class V>(const V& x) GRADUS_INLINE_LAMBDA {
                            return V(kernels::detail::modular(x) * kernels::detail::modular(V(s)));
                        }),
                        a);
}
template <class T, std::same_as<T> N>
Tensor<T> operator/(const Tensor<T>& a, N s) {
    return kernels::map("div", kernels::vectorized([s]<class V>(const V& x) GRADUS_INLINE_LAMBDA {
                            return kernels::detail::quotient(x, V(s));
                        }),
                        a);
}
template <class T, std::same_as<T> N>
Tensor<T> operator*(N s, const Tensor<T>& a) {
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
template <class T, std::same_as<T> N>
Tensor<bool> operator<(const Tensor<T>& a, N s) {
    return kernels::map(
        "less", [s](const T& x) { return x < s; }, a);
}
template <class T, std::same_as<T> N>
Tensor<bool> operator>(const Tensor<T>& a, N s) {
    return kernels::map(
        "greater", [s](const T& x) { return x > s; }, a);
}
/// Where both are equal (operator== asks whether two tensors are equal as a whole).
template <class T>
Tensor<bool> equal(const Tensor<T>& a, const Tensor<T>& b) {
    return kernels::map(
        "equal", [](const T& x, const T& y) { return x == y; }, a, b);
}

// Numbers of another type than the elements, on either side: 1 - x, x * 0.5. They are converted to that type.

template <class T, detail::OtherNumber<T> N>
Tensor<T> operator+(const Tensor<T>& a, N s) {
    return a + static_cast<T>(s);
}
template <class T, detail::OtherNumber<T> N>
Tensor<T> operator-(const Tensor<T>& a, N s) {
    return a - static_cast<T>(s);
}
template <class T, detail::OtherNumber<T> N>
Tensor<T> operator*(const Tensor<T>& a, N s) {
    return a * static_cast<T>(s);
}
template <class T, detail::OtherNumber<T> N>
Tensor<T> operator/(const Tensor<T>& a, N s) {
    return a / static_cast<T>(s);
}
template <class T, std::same_as<T> N>
Tensor<T> operator+(N s, const Tensor<T>& b) {
    return b + static_cast<T>(s);
}
template <class T, std::same_as<T> N>
Tensor<T> operator-(N s, const Tensor<T>& b) {
    return full<T>({}, static_cast<T>(s)) - b;
}
template <class T, std::same_as<T> N>
Tensor<T> operator/(N s, const Tensor<T>& b) {
    return full<T>({}, static_cast<T>(s)) / b;
}
template <class T, detail::OtherNumber<T> N>
Tensor<T> operator+(N s, const Tensor<T>& b) {
    return static_cast<T>(s) + b;
}
template <class T, detail::OtherNumber<T> N>
Tensor<T> operator-(N s, const Tensor<T>& b) {
    return static_cast<T>(s) - b;
}
template <class T, detail::OtherNumber<T> N>
Tensor<T> operator*(N s, const Tensor<T>& b) {
    return static_cast<T>(s) * b;
}
template <class T, detail::OtherNumber<T> N>
Tensor<T> operator/(N s, const Tensor<T>& b) {
    return static_cast<T>(s) / b;
}

template <class T>
Tensor<bool> operator<=(const Tensor<T>& a, const Tensor<T>& b) {
    return kernels::map(
        "less_equal", [](const T& x, const T& y) { return x <= y; }, a, b);
}
template <class T>
Tensor<bool> operator>=(const Tensor<T>& a, const Tensor<T>& b) {
    return b <= a;
}
template <class T, std::same_as<T> N>
Tensor<bool> operator<=(const Tensor<T>& a, N s) {
    return kernels::map(
        "less_equal", [s](const T& x) { return x <= s; }, a);
}
template <class T, std::same_as<T> N>
Tensor<bool> operator>=(const Tensor<T>& a, N s) {
    return kernels::map(
        "greater_equal", [s](const T& x) { return x >= s; }, a);
}
template <class T, detail::OtherNumber<T> N>
Tensor<bool> operator<(const Tensor<T>& a, N s) {
    return a < static_cast<T>(s);
}
template <class T, std::same_as<T> N>
Tensor<bool> operator<(N s, const Tensor<T>& b) {
    return b > s;
}
template <class T, detail::OtherNumber<T> N>
Tensor<bool> operator<(N s, const Tensor<T>& b) {
    return b > static_cast<T>(s);
}
template <class T, detail::OtherNumber<T> N>
Tensor<bool> operator>(const Tensor<T>& a, N s) {
    return a > static_cast<T>(s);
}
template <class T, std::same_as<T> N>
Tensor<bool> operator>(N s, const Tensor<T>& b) {
    return b < s;
}
template <class T, detail::OtherNumber<T> N>
Tensor<bool> operator>(N s, const Tensor<T>& b) {
    return b < static_cast<T>(s);
}
template <class T, detail::OtherNumber<T> N>
Tensor<bool> operator<=(const Tensor<T>& a, N s) {
    return a <= static_cast<T>(s);
}
template <class T, std::same_as<T> N>
Tensor<bool> operator<=(N s, const Tensor<T>& b) {
    return b >= s;
}
template <class T, detail::OtherNumber<T> N>
Tensor<bool> operator<=(N s, const Tensor<T>& b) {
    return b >= static_cast<T>(s);
}
template <class T, detail::OtherNumber<T> N>
Tensor<bool> operator>=(const Tensor<T>& a, N s) {
    return a >= static_cast<T>(s);
}
template <class T, std::same_as<T> N>
Tensor<bool> operator>=(N s, const Tensor<T>& b) {
    return b <= s;
}
template <class T, detail::OtherNumber<T> N>
Tensor<bool> operator>=(N s, const Tensor<T>& b) {
    return b <= static_cast<T>(s);
}

// What has no meaning, with what to write instead.

template <detail::Text remedy = "cast<float>(x) makes both float", class A, class B>
requires(!std::same_as<A, B>) void operator+(const Tensor<A>&, const Tensor<B>&) = delete;  // cast<float>(x)
template <detail::Text remedy = "cast<float>(x) first: integers have no fractions", class T,
          detail::Fraction<T> N>
void operator+(const Tensor<T>& a, N s) = delete;  // cast<float>(a) first: integers have no fractions
template <detail::Text remedy = "cast<float>(x) first: integers have no fractions", class T,
          detail::Fraction<T> N>
void operator+(N s, const Tensor<T>& b) = delete;  // cast<float>(b) first: integers have no fractions
template <detail::Text remedy = "cast<float>(x) makes both float", class A, class B>
requires(!std::same_as<A, B>) void operator-(const Tensor<A>&, const Tensor<B>&) = delete;  // cast<float>(x)
template <detail::Text remedy = "cast<float>(x) first: integers have no fractions", class T,
          detail::Fraction<T> N>
void operator-(const Tensor<T>& a, N s) = delete;  // cast<float>(a) first: integers have no fractions
template <detail::Text remedy = "cast<float>(x) first: integers have no fractions", class T,
          detail::Fraction<T> N>
void operator-(N s, const Tensor<T>& b) = delete;  // cast<float>(b) first: integers have no fractions
template <detail::Text remedy = "cast<float>(x) makes both float", class A, class B>
requires(!std::same_as<A, B>) void operator*(const Tensor<A>&, const Tensor<B>&) = delete;  // cast<float>(x)
template <detail::Text remedy = "cast<float>(x) first: integers have no fractions", class T,
          detail::Fraction<T> N>
void operator*(const Tensor<T>& a, N s) = delete;  // cast<float>(a) first: integers have no fractions
template <detail::Text remedy = "cast<float>(x) first: integers have no fractions", class T,
          detail::Fraction<T> N>
void operator*(N s, const Tensor<T>& b) = delete;  // cast<float>(b) first: integers have no fractions
template <detail::Text remedy = "cast<float>(x) makes both float", class A, class B>
requires(!std::same_as<A, B>) void operator/(const Tensor<A>&, const Tensor<B>&) = delete;  // cast<float>(x)
template <detail::Text remedy = "cast<float>(x) first: integers have no fractions", class T,
          detail::Fraction<T> N>
void operator/(const Tensor<T>& a, N s) = delete;  // cast<float>(a) first: integers have no fractions
template <detail::Text remedy = "cast<float>(x) first: integers have no fractions", class T,
          detail::Fraction<T> N>
void operator/(N s, const Tensor<T>& b) = delete;  // cast<float>(b) first: integers have no fractions

template <detail::Text remedy = "total += x.item()", class N, class T>
requires std::is_arithmetic_v<N>
void operator+=(N& total, const Tensor<T>& x) = delete;  // total += x.item()
template <detail::Text remedy = "total -= x.item()", class N, class T>
requires std::is_arithmetic_v<N>
void operator-=(N& total, const Tensor<T>& x) = delete;  // total -= x.item()

/// True if the condition holds everywhere; of no elements, too.
inline bool all(const Tensor<bool>& condition) {
    return std::all_of(condition.begin(), condition.end(), [](bool holds) { return holds; });
}

/// True if the condition holds somewhere.
inline bool any(const Tensor<bool>& condition) {
    return std::any_of(condition.begin(), condition.end(), [](bool holds) { return holds; });
}

}  // namespace gradus
