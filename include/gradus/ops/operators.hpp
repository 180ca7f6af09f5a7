// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <type_traits>

#include "gradus/core/remedy.hpp"
#include "gradus/kernels/elementwise/arithmetic.hpp"

// + − * / of tensors, with broadcasting and with numbers on either side, which are converted to the type of
// the elements. Without history: for gradients, use Variables (ops/arithmetic.hpp). Integers as well: sums
// and products that are too large wrap around, as in PyTorch; quotients are rounded toward zero. Comparisons
// are in ops/comparison.hpp.

namespace gradus {
namespace detail {

// The operators that take a number of any type call these, so that each is compiled once for a T.

template <class T>
Tensor<T> add_number(const Tensor<T>& a, T s) {
    return kernels::map("add", kernels::vectorized([s]<class V>(const V& x) GRADUS_INLINE_LAMBDA {
                            return V(kernels::detail::modular(x) + kernels::detail::modular(V(s)));
                        }),
                        a);
}
template <class T>
Tensor<T> sub_number(const Tensor<T>& a, T s) {
    return kernels::map("sub", kernels::vectorized([s]<class V>(const V& x) GRADUS_INLINE_LAMBDA {
                            return V(kernels::detail::modular(x) - kernels::detail::modular(V(s)));
                        }),
                        a);
}
template <class T>
Tensor<T> mul_number(const Tensor<T>& a, T s) {
    return kernels::map("mul", kernels::vectorized([s]<class V>(const V& x) GRADUS_INLINE_LAMBDA {
                            return V(kernels::detail::modular(x) * kernels::detail::modular(V(s)));
                        }),
                        a);
}
template <class T>
Tensor<T> div_number(const Tensor<T>& a, T s) {
    return kernels::map("div", kernels::vectorized([s]<class V>(const V& x) GRADUS_INLINE_LAMBDA {
                            return kernels::detail::quotient(x, V(s));
                        }),
                        a);
}

}  // namespace detail

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
/// ValueError where an integer has no quotient: x / 0, and the least number / −1.
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

// With a number.

template <class T, detail::Number<T> N>
Tensor<T> operator+(const Tensor<T>& a, N s) {
    return detail::add_number(a, static_cast<T>(s));
}
template <class T, detail::Number<T> N>
Tensor<T> operator-(const Tensor<T>& a, N s) {
    return detail::sub_number(a, static_cast<T>(s));
}
template <class T, detail::Number<T> N>
Tensor<T> operator*(const Tensor<T>& a, N s) {
    return detail::mul_number(a, static_cast<T>(s));
}
template <class T, detail::Number<T> N>
Tensor<T> operator/(const Tensor<T>& a, N s) {
    return detail::div_number(a, static_cast<T>(s));
}
template <class T, detail::Number<T> N>
Tensor<T> operator+(N s, const Tensor<T>& b) {
    return detail::add_number(b, static_cast<T>(s));
}
template <class T, detail::Number<T> N>
Tensor<T> operator-(N s, const Tensor<T>& b) {
    return full<T>({}, static_cast<T>(s)) - b;
}
template <class T, detail::Number<T> N>
Tensor<T> operator*(N s, const Tensor<T>& b) {
    return detail::mul_number(b, static_cast<T>(s));
}
template <class T, detail::Number<T> N>
Tensor<T> operator/(N s, const Tensor<T>& b) {
    return full<T>({}, static_cast<T>(s)) / b;
}

// a += b is a = a + b. (A tensor that shares its memory with a keeps its elements.)

template <class T, class B>
requires std::same_as<B, Tensor<T>> || detail::Number<B, T> Tensor<T>
&operator+=(Tensor<T>& a, const B& b) { return a = a + b; }
template <class T, class B>
requires std::same_as<B, Tensor<T>> || detail::Number<B, T> Tensor<T>
&operator-=(Tensor<T>& a, const B& b) { return a = a - b; }
template <class T, class B>
requires std::same_as<B, Tensor<T>> || detail::Number<B, T> Tensor<T>
&operator*=(Tensor<T>& a, const B& b) { return a = a * b; }
template <class T, class B>
requires std::same_as<B, Tensor<T>> || detail::Number<B, T> Tensor<T>
&operator/=(Tensor<T>& a, const B& b) { return a = a / b; }

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

}  // namespace gradus
