// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <compare>
#include <concepts>
#include <limits>
#include <string>
#include <type_traits>

namespace gradus {

/// value + dual·ε with ε² = 0. A function evaluated at Dual{x, 1} gives f(x) and, in the dual part, f'(x)
/// exactly. Dual<Dual<double>> gives second derivatives. Comparisons look at the value alone. What has the
/// dual part 0 is a constant, and no slope, be it infinite or NaN, makes more of that. Source: Clifford 1873;
/// as forward-mode differentiation, Griewank & Walther, Evaluating Derivatives, 2008, ch. 3.
template <class T>
struct Dual;

namespace detail {

template <class T>
bool is_zero(const T& x) {
    return x == T(0);
}
template <class T>
bool is_zero(const Dual<T>& x) {
    return is_zero(x.value) && is_zero(x.dual);
}

/// slope · tangent and tangent / divisor, both 0 for the tangent of a constant: never 0 · inf.
template <class T>
T scaled_tangent(const T& slope, const T& tangent) {
    return is_zero(tangent) ? tangent : T(slope * tangent);
}
template <class T>
T divided_tangent(const T& tangent, const T& divisor) {
    return is_zero(tangent) ? tangent : T(tangent / divisor);
}

}  // namespace detail

template <class T>
struct Dual {
    T value{};
    T dual{};

    Dual() = default;
    template <class U>
    requires std::convertible_to<U, T> Dual(const U& number) : value(static_cast<T>(number)) {}
    Dual(const T& v, const T& d) : value(v), dual(d) {}

    template <class U>
    requires std::is_arithmetic_v<U>
    explicit operator U() const { return static_cast<U>(value); }

    friend Dual operator+(const Dual& a, const Dual& b) { return {a.value + b.value, a.dual + b.dual}; }
    friend Dual operator-(const Dual& a, const Dual& b) { return {a.value - b.value, a.dual - b.dual}; }
    friend Dual operator*(const Dual& a, const Dual& b) {
        return {a.value * b.value,
                detail::scaled_tangent(b.value, a.dual) + detail::scaled_tangent(a.value, b.dual)};
    }
    friend Dual operator/(const Dual& a, const Dual& b) {
        const T quotient = a.value / b.value;
        return {quotient,
                detail::divided_tangent(T(a.dual - detail::scaled_tangent(quotient, b.dual)), b.value)};
    }
    friend Dual operator-(const Dual& a) { return {-a.value, -a.dual}; }
    friend Dual operator+(const Dual& a) { return a; }

    Dual& operator+=(const Dual& b) { return *this = *this + b; }
    Dual& operator-=(const Dual& b) { return *this = *this - b; }
    Dual& operator*=(const Dual& b) { return *this = *this * b; }
    Dual& operator/=(const Dual& b) { return *this = *this / b; }

    friend Dual select(bool condition, const Dual& a, const Dual& b) { return condition ? a : b; }

    friend bool operator==(const Dual& a, const Dual& b) { return a.value == b.value; }
    friend auto operator<=>(const Dual& a, const Dual& b) { return a.value <=> b.value; }
};

template <class T>
inline constexpr bool is_dual = false;
template <class T>
inline constexpr bool is_dual<Dual<T>> = true;

namespace detail {

/// f(x) and f'(x) of the value, by the chain rule.
template <class T>
Dual<T> chain(const Dual<T>& x, const T& value, const T& slope) {
    return {value, scaled_tangent(slope, x.dual)};
}

}  // namespace detail

// Each function reads as "value, derivative"; T may itself be a Dual, hence the using declarations.

template <class T>
Dual<T> exp(const Dual<T>& x) {
    using std::exp;
    const T y = exp(x.value);
    return detail::chain(x, y, y);
}

template <class T>
Dual<T> expm1(const Dual<T>& x) {
    using std::exp, std::expm1;
    return detail::chain(x, T(expm1(x.value)), T(exp(x.value)));
}

template <class T>
Dual<T> log(const Dual<T>& x) {
    using std::log;
    return {T(log(x.value)), detail::divided_tangent(x.dual, x.value)};
}

template <class T>
Dual<T> log1p(const Dual<T>& x) {
    using std::log1p;
    return {T(log1p(x.value)), detail::divided_tangent(x.dual, T(T(1) + x.value))};
}

template <class T>
Dual<T> sqrt(const Dual<T>& x) {
    using std::sqrt;
    const T y = sqrt(x.value);
    return detail::chain(x, y, T(0.5) / y);
}

template <class T>
Dual<T> tanh(const Dual<T>& x) {
    using std::exp, std::tanh;  // 1 − y² would lose its digits where y is nearly 1
    const T e = exp(T(x.value < T(0) ? T(2) * x.value : T(-2) * x.value)), s = T(2) / (T(1) + e);
    return detail::chain(x, T(tanh(x.value)), T(e * s * s));
}

template <class T>
Dual<T> erf(const Dual<T>& x) {
    using std::erf, std::exp;
    return detail::chain(x, T(erf(x.value)), T(1.1283791670955126) * T(exp(-(x.value * x.value))));  // 2/√π
}

template <class T>
Dual<T> sin(const Dual<T>& x) {
    using std::cos, std::sin;
    return detail::chain(x, T(sin(x.value)), T(cos(x.value)));
}

template <class T>
Dual<T> cos(const Dual<T>& x) {
    using std::cos, std::sin;
    return detail::chain(x, T(cos(x.value)), T(-sin(x.value)));
}

/// |x|; the derivative at 0 is 0.
template <class T>
Dual<T> abs(const Dual<T>& x) {
    using std::abs;
    return detail::chain(x, T(abs(x.value)), T(x.value > T(0) ? 1 : x.value < T(0) ? -1 : 0));
}

/// xⁿ for a constant exponent: n·xⁿ⁻¹, and 0 for n = 0 even at x = 0.
template <class T, class U>
requires std::is_arithmetic_v<U> Dual<T> pow(const Dual<T>& x, U n) {
    using std::pow;
    return detail::chain(x, T(pow(x.value, n)), n == U(0) ? T(0) : T(T(n) * T(pow(x.value, n - U(1)))));
}

/// xⁿ for both varying: d = n·xⁿ⁻¹·dx + xⁿ·log(x)·dn. The first term is 0 for n = 0, the second for x = 0 and
/// n ≥ 0, and for x = inf and n < 0.
template <class T>
Dual<T> pow(const Dual<T>& x, const Dual<T>& n) {
    using std::isnan, std::log, std::pow;
    const T y = pow(x.value, n.value);
    const T by_base = n.value * T(pow(x.value, T(n.value - T(1))));
    const bool is_flat = x.value == T(0) ? n.value >= T(0) : x.value > T(0) && n.value < T(0) && y == T(0);
    const T by_exponent = is_flat ? T(0) : T(y * T(log(x.value)));
    return {y, detail::scaled_tangent(n.value == T(0) && isnan(by_base) ? T(0) : by_base, x.dual) +
                   detail::scaled_tangent(by_exponent, n.dual)};
}

template <class T>
Dual<T> max(const Dual<T>& a, const Dual<T>& b) {
    return a.value < b.value ? b : a;
}

template <class T>
Dual<T> min(const Dual<T>& a, const Dual<T>& b) {
    return b.value < a.value ? b : a;
}

/// Constant between their steps: the derivative is 0.
template <class T>
Dual<T> floor(const Dual<T>& x) {
    using std::floor;
    return {T(floor(x.value)), T(0)};
}
template <class T>
Dual<T> round(const Dual<T>& x) {  // halves to the even number
    using std::nearbyint;
    if constexpr (is_dual<T>)
        return {round(x.value), T(0)};
    else
        return {T(nearbyint(x.value)), T(0)};
}

template <class T>
bool isnan(const Dual<T>& x) {
    using std::isnan;
    return isnan(x.value);
}

template <class T>
std::string to_string(const Dual<T>& x) {
    using std::to_string;
    return to_string(x.value) + " + " + to_string(x.dual) + "ε";
}

}  // namespace gradus

/// The limits of the value: without this, numeric_limits<Dual<T>>::lowest() would quietly be 0.
template <class T>
struct std::numeric_limits<gradus::Dual<T>> : std::numeric_limits<T> {};
