// SPDX-License-Identifier: MIT
#include "gradus/kernels/simd/scalar.hpp"

#include <cmath>
#include <limits>

#include "gradus/core/dual.hpp"
#include "support/test.hpp"

// That every operation gives on numbers what it gives on vectors is tested in vec.cpp.

namespace simd = gradus::simd;

TEST_CASE("max and min keep the first operand on NaN and on ties") {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    CHECK(std::isnan(simd::max(nan, 0)));
    CHECK(simd::max(0.0f, nan) == 0);
    CHECK(std::isnan(simd::min(nan, 0)));
    CHECK(simd::min(0.0f, nan) == 0);
    CHECK(std::signbit(simd::max(-0.0f, 0.0f)));
    CHECK_FALSE(std::signbit(simd::min(0.0f, -0.0f)));
}

TEST_CASE("plain numbers take mixed types") {
    static_assert(std::is_same_v<decltype(simd::max(1.0f, 0)), float>);
    static_assert(std::is_same_v<decltype(simd::select(true, 1, 2.0)), double>);
    static_assert(simd::fma(2.0f, 3, 4) == 10.0f);
    CHECK(simd::abs(-3) == 3);
    CHECK(simd::abs(3u) == 3u);
    CHECK(simd::round(2.5f) == 2.0f);
    CHECK(simd::round(-3.5) == -4.0);
    CHECK(simd::floor(-2.5f) == -3.0f);
}

TEST_CASE("Single is a vector of one number, of any type") {
    using simd::Single;
    const double numbers[] = {3.0, 5.0};
    const auto a = Single<double>::load(numbers), b = Single<double>::load(numbers + 1);
    CHECK(sum(fma(a, b, -a)) == 12);
    CHECK(sum(max(a, b) - a * b) == -10);
    double to = 0;
    Single<double> total;
    total += a + b;
    total.store(&to);
    CHECK(to == 8);

    const gradus::Dual<double> x(3, 1);
    const auto square = sum(Single(x) * Single(x));
    CHECK(square.value == 9);
    CHECK(square.dual == 6);
}
