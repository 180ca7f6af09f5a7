// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/kernels/map.hpp"

namespace gradus {
namespace kernels {

// One definition serves numbers, Dual numbers and SIMD packs.
inline constexpr struct Add : Vectorized {
    template <class V>
    GRADUS_INLINE V operator()(const V& a, const V& b) const {
        return a + b;
    }
} add;

}  // namespace kernels

// Arithmetic of tensors, with broadcasting; for integers as well. Without history: for gradients, use
// Variables.

template <class T>
Tensor<T> operator+(const Tensor<T>& a, const Tensor<T>& b) {
    return kernels::map("add", kernels::add, a, b);
}
template <class T>
Tensor<T> operator-(const Tensor<T>& a, const Tensor<T>& b) {
    const auto f = []<class V>(const V& x, const V& y) GRADUS_INLINE_LAMBDA { return V(x - y); };
    return kernels::map("sub", kernels::vectorized(f), a, b);
}
template <class T>
Tensor<T> operator*(const Tensor<T>& a, const Tensor<T>& b) {
    const auto f = []<class V>(const V& x, const V& y) GRADUS_INLINE_LAMBDA { return V(x * y); };
    return kernels::map("mul", kernels::vectorized(f), a, b);
}
template <class T>
Tensor<T> operator/(const Tensor<T>& a, const Tensor<T>& b) {
    const auto f = []<class V>(const V& x, const V& y) GRADUS_INLINE_LAMBDA { return V(x / y); };
    return kernels::map("div", kernels::vectorized(f), a, b);
}
template <class T>
Tensor<T> operator-(const Tensor<T>& a) {
    return kernels::map(
        "neg", kernels::vectorized([]<class V>(const V& x) GRADUS_INLINE_LAMBDA { return V(-x); }), a);
}
template <class T>
Tensor<T> operator+(const Tensor<T>& a, std::type_identity_t<T> s) {
    return kernels::map(
        "add", kernels::vectorized([s]<class V>(const V& x) GRADUS_INLINE_LAMBDA { return V(x + V(s)); }), a);
}
template <class T>
Tensor<T> operator-(const Tensor<T>& a, std::type_identity_t<T> s) {
    return kernels::map(
        "sub", kernels::vectorized([s]<class V>(const V& x) GRADUS_INLINE_LAMBDA { return V(x - V(s)); }), a);
}
template <class T>
Tensor<T> operator*(const Tensor<T>& a, std::type_identity_t<T> s) {
    return kernels::map(
        "mul", kernels::vectorized([s]<class V>(const V& x) GRADUS_INLINE_LAMBDA { return V(x * V(s)); }), a);
}
template <class T>
Tensor<T> operator/(const Tensor<T>& a, std::type_identity_t<T> s) {
    return kernels::map(
        "div", kernels::vectorized([s]<class V>(const V& x) GRADUS_INLINE_LAMBDA { return V(x / V(s)); }), a);
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
