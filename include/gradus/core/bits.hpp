// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

// What <bit> and 128-bit integers offer, on compilers and libraries that lack them as well.

namespace gradus::detail {

/// std::bit_cast, which libc++ has from version 14 on; the compilers have long had it.
template <class To, class From>
constexpr To bit_cast(const From& from) {
    return __builtin_bit_cast(To, from);
}

/// A whole number of 128 bits.
struct Wide {
    std::uint64_t high, low;
};

/// a · b, by halves: processors of 32 bits have no type that holds it.
constexpr Wide wide_product(std::uint64_t a, std::uint64_t b) {
    const std::uint64_t half = 0xffffffff, a1 = a >> 32, a0 = a & half, b1 = b >> 32, b0 = b & half;
    const std::uint64_t first = a1 * b0 + (a0 * b0 >> 32), second = a0 * b1 + (first & half);
    return {a1 * b1 + (first >> 32) + (second >> 32), a * b};
}

}  // namespace gradus::detail
