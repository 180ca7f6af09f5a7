// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <type_traits>

#include "gradus/kernels/simd/vec.hpp"

// The vocabulary of vectors on one number, so that generic code runs on scalars too: on plain numbers the
// functions of vec.hpp, and Single, a vector of one number of any type.

namespace gradus::simd {

template <class T>
concept Number = std::is_arithmetic_v<T>;

template <Number A, Number B>
GRADUS_INLINE constexpr std::common_type_t<A, B> select(bool condition, A a, B b) {
    using T = std::common_type_t<A, B>;
    return condition ? static_cast<T>(a) : static_cast<T>(b);
}
/// b > a ? b : a. The first operand is kept on a tie and when either is NaN: max(x, 0) keeps x's NaN.
template <Number A, Number B>
GRADUS_INLINE constexpr std::common_type_t<A, B> max(A a, B b) {
    using T = std::common_type_t<A, B>;
    return select(static_cast<T>(b) > static_cast<T>(a), b, a);
}
/// b < a ? b : a. The first operand is kept on a tie and when either is NaN.
template <Number A, Number B>
GRADUS_INLINE constexpr std::common_type_t<A, B> min(A a, B b) {
    using T = std::common_type_t<A, B>;
    return select(static_cast<T>(b) < static_cast<T>(a), b, a);
}
template <class T>
GRADUS_INLINE constexpr bool is_nan(const T& x) {
    return x != x;
}
template <Number T>
GRADUS_INLINE T abs(T x) {
    if constexpr (std::is_unsigned_v<T>)
        return x;
    else
        return static_cast<T>(std::abs(x));
}
template <Number T>
GRADUS_INLINE T sqrt(T x) {
    return static_cast<T>(std::sqrt(x));
}
template <Number T>
GRADUS_INLINE T floor(T x) {
    return static_cast<T>(std::floor(x));
}
/// To the nearest whole number, halves to the even one.
template <Number T>
GRADUS_INLINE T round(T x) {
    return static_cast<T>(std::nearbyint(x));
}
/// a * b + c, with one rounding or two.
template <Number T>
GRADUS_INLINE constexpr T fma(T a, std::type_identity_t<T> b, std::type_identity_t<T> c) {
    return a * b + c;
}

/// A vector of one number of any type: the kernels run on Dual numbers, too, and on rows too short for
/// vectors.
template <class T>
struct Single {
    using Value = T;
    static constexpr int size = 1;
    T v{};

    Single() = default;
    Single(const T& number) : v(number) {}
    static Single load(const T* from) { return *from; }
    void store(T* to) const { *to = v; }
    friend Single operator+(const Single& a, const Single& b) { return T(a.v + b.v); }
    friend Single operator-(const Single& a, const Single& b) { return T(a.v - b.v); }
    friend Single operator*(const Single& a, const Single& b) { return T(a.v * b.v); }
    friend Single operator-(const Single& a) { return T(-a.v); }
    Single& operator+=(const Single& b) { return *this = *this + b; }
    friend Single fma(const Single& a, const Single& b, const Single& c) { return T(a.v * b.v + c.v); }
    friend Single max(const Single& a, const Single& b) { return b.v > a.v ? b : a; }
    friend T sum(const Single& x) { return x.v; }
};

}  // namespace gradus::simd
