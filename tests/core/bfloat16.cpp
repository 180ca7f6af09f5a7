// SPDX-License-Identifier: MIT
#include "gradus/core/bfloat16.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "gradus/core/print.hpp"
#include "support/test.hpp"

using gradus::bfloat16;

namespace {

std::uint16_t bits(bfloat16 value) { return std::bit_cast<std::uint16_t>(value); }
float from_bits(std::uint32_t word) { return std::bit_cast<float>(word); }
bfloat16 rounded(std::uint32_t word) { return bfloat16(from_bits(word)); }

}  // namespace

TEST_CASE("bfloat16 is two bytes that can be copied as bytes", "[core][bfloat16]") {
    STATIC_REQUIRE(sizeof(bfloat16) == 2);
    STATIC_REQUIRE(std::is_trivially_copyable_v<bfloat16>);
    CHECK(bits(bfloat16()) == 0);
}

TEST_CASE("bfloat16: every value survives the way to float and back", "[core][bfloat16]") {
    int changed = 0;
    for (std::uint32_t word = 0; word <= 0xffff; ++word) {
        const auto value = std::bit_cast<bfloat16>(static_cast<std::uint16_t>(word));
        const float wide = value;
        if (std::bit_cast<std::uint32_t>(wide) != word << 16) ++changed;
        if (std::isnan(wide))
            changed += !std::isnan(static_cast<float>(bfloat16(wide)));
        else
            changed += bits(bfloat16(wide)) != word;
    }
    CHECK(changed == 0);
}

TEST_CASE("bfloat16 rounds to nearest, ties to even", "[core][bfloat16]") {
    CHECK(bits(bfloat16(1.0f)) == 0x3f80);
    CHECK(bits(bfloat16(-2.5f)) == 0xc020);
    CHECK(bits(rounded(0x3f808000)) == 0x3f80);  // a tie: down to the even 0x3f80
    CHECK(bits(rounded(0x3f818000)) == 0x3f82);  // a tie: up to the even 0x3f82
    CHECK(bits(rounded(0x3f808001)) == 0x3f81);  // just above the tie
    CHECK(bits(rounded(0x3f817fff)) == 0x3f81);  // just below
    CHECK(bits(rounded(0xbf808000)) == 0xbf80);  // the sign changes nothing
    CHECK(bits(rounded(0xbf818000)) == 0xbf82);
    CHECK(bits(rounded(0x3fffffff)) == 0x4000);  // the carry runs into the exponent
}

TEST_CASE("bfloat16: infinity, NaN and overflow", "[core][bfloat16]") {
    const float infinity = std::numeric_limits<float>::infinity();
    CHECK(bits(bfloat16(infinity)) == 0x7f80);
    CHECK(bits(bfloat16(-infinity)) == 0xff80);
    CHECK(bits(bfloat16(std::numeric_limits<float>::max())) == 0x7f80);
    CHECK(bits(rounded(0x7f7f7fff)) == 0x7f7f);  // the largest float that stays finite
    CHECK(std::isnan(static_cast<float>(bfloat16(std::numeric_limits<float>::quiet_NaN()))));
    CHECK(
        std::isnan(static_cast<float>(rounded(0x7f800001))));  // its payload lies in the half that is cut off
    CHECK(std::isnan(static_cast<float>(rounded(0x7fffffff))));  // rounding up must not wrap to -0
    CHECK(std::isnan(static_cast<float>(rounded(0xffffffff))));
}

TEST_CASE("bfloat16: zeros and denormals", "[core][bfloat16]") {
    CHECK(bits(bfloat16(0.0f)) == 0x0000);
    CHECK(bits(bfloat16(-0.0f)) == 0x8000);
    CHECK(bits(rounded(0x00000001)) == 0x0000);  // the smallest float
    CHECK(bits(rounded(0x00008000)) == 0x0000);  // a tie between 0 and the smallest bfloat16
    CHECK(bits(rounded(0x00008001)) == 0x0001);
    CHECK(bits(rounded(0x00018000)) == 0x0002);
    CHECK(bits(rounded(0x807fffff)) == 0x8080);  // the largest denormal rounds to the smallest normal
}

TEST_CASE("bfloat16 compares and computes as float", "[core][bfloat16]") {
    const bfloat16 a(1.5f), b(2.0f);
    CHECK(a < b);
    CHECK(a + b == 3.5f);
    CHECK(a == bfloat16(1.5f));
    STATIC_REQUIRE(std::is_same_v<decltype(a * b), float>);
    STATIC_REQUIRE_FALSE(std::is_convertible_v<float, bfloat16>);  // rounding is asked for, never silent
    CHECK(to_string(a) == "1.5");
}

TEST_CASE("tensors of bfloat16", "[core][bfloat16]") {
    const gradus::Tensor<> x{{1, -2.5f}, {3.140625f, 1e-3f}};
    const auto narrow = gradus::cast<bfloat16>(x);
    CHECK(narrow(1, 0) == 3.140625f);
    CHECK_THAT(static_cast<float>(narrow(1, 1)), WithinRel(1e-3f, 1.0f / 256));
    const auto wide = gradus::cast<float>(narrow);
    CHECK(gradus::cast<bfloat16>(wide) == narrow);
    CHECK(to_string(gradus::Tensor<bfloat16>{1.5f, -2}) == "[1.5,  -2]");
    CHECK(gradus::zeros<bfloat16>({2})(1) == 0.0f);
    CHECK(gradus::cast<bfloat16>(gradus::Tensor<double>{0.5, 3}) == gradus::Tensor<bfloat16>{0.5f, 3});
    CHECK(gradus::cast<gradus::Index>(gradus::Tensor<bfloat16>{2.75f}).item() == 2);
    CHECK(gradus::arange<bfloat16>(3)(2) == 2.0f);
}
