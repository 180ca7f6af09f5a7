// SPDX-License-Identifier: MIT
#pragma once

namespace gradus::kernels::detail {

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

}  // namespace gradus::kernels::detail
