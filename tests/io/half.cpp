// SPDX-License-Identifier: MIT
#include "gradus/io/half.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "support/test.hpp"

using namespace gradus;

namespace {

std::uint16_t bits_of(half x) {
    std::uint16_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}

half half_of(std::uint16_t bits) {
    half x;
    std::memcpy(static_cast<void*>(&x), &bits, sizeof x);
    return x;
}

/// What IEEE 754 says of binary16.
double definition(std::uint16_t bits) {
    const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
    const double size = exponent == 0    ? std::ldexp(mantissa, -24)
                        : exponent == 31 ? std::numeric_limits<double>::infinity()
                                         : std::ldexp(1024 + mantissa, exponent - 25);
    return bits & 0x8000 ? -size : size;
}

}  // namespace

TEST_CASE("half: every one of them becomes the float that it is, and comes back") {
    for (unsigned bits = 0; bits < 0x10000; ++bits) {
        const half x = half_of(static_cast<std::uint16_t>(bits));
        const auto value = static_cast<float>(x);
        const bool is_nan = (bits & 0x7fff) > 0x7c00;
        INFO("bits " << bits);
        if (is_nan != std::isnan(value)) FAIL();
        if (is_nan) {
            if (!std::isnan(static_cast<float>(half(value)))) FAIL();
            continue;
        }
        if (static_cast<double>(value) != definition(static_cast<std::uint16_t>(bits))) FAIL();
        if (std::signbit(value) != (bits >= 0x8000)) FAIL();
        if (bits_of(half(value)) != bits) FAIL();
    }
}

TEST_CASE("half: rounds to the nearest, and half way to the even one") {
    for (unsigned bits = 0; bits < 0x7c00; ++bits) {
        const float low = half_of(static_cast<std::uint16_t>(bits));
        const float high = bits == 0x7bff ? 65536.0f : half_of(static_cast<std::uint16_t>(bits + 1));
        const float middle = low + (high - low) / 2;  // exact
        const unsigned even = bits % 2 == 0 ? bits : bits + 1;
        INFO("bits " << bits);
        for (const float sign : {1.0f, -1.0f}) {
            const unsigned sign_bit = sign < 0 ? 0x8000 : 0;
            if (bits_of(half(sign * middle)) != (even | sign_bit)) FAIL();
            if (bits_of(half(sign * std::nextafter(middle, 0.0f))) != (bits | sign_bit)) FAIL();
            if (bits_of(half(sign * std::nextafter(middle, high))) != ((bits + 1) | sign_bit)) FAIL();
        }
    }
    const float infinity = std::numeric_limits<float>::infinity();
    CHECK(static_cast<float>(half(65519.996f)) == 65504.0f);
    CHECK(static_cast<float>(half(65520.0f)) == infinity);
    CHECK(static_cast<float>(half(-1e30f)) == -infinity);
    CHECK(static_cast<float>(half(infinity)) == infinity);
    CHECK(std::isnan(static_cast<float>(half(std::numeric_limits<float>::signaling_NaN()))));
    CHECK(bits_of(half(std::numeric_limits<float>::denorm_min())) == 0);
    CHECK(bits_of(half(-1e-30f)) == 0x8000);
    CHECK(static_cast<float>(half(3)) == 3.0f);
    CHECK(to_string(half(0.1)) == "0.0999755859");
}
