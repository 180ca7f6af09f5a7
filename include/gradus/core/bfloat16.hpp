// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>

#include "gradus/core/bits.hpp"
#include "gradus/core/error.hpp"

namespace gradus {

/// The upper half of a float: 8 bits of exponent, 7 of mantissa. A storage type: convert to float to compute.
/// Rounds to nearest, ties to even (other types than float are converted to float first); NaN stays NaN.
class bfloat16 {
public:
    bfloat16() = default;

    explicit bfloat16(float value) {
        const auto bits = detail::bit_cast<std::uint32_t>(value);
        const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
        const std::uint32_t rounded = is_nan ? bits | 0x400000u : bits + 0x7fffu + ((bits >> 16) & 1u);
        bits_ = static_cast<std::uint16_t>(rounded >> 16);
    }

    template <class U>
    requires std::is_arithmetic_v<U>
    explicit bfloat16(U value) : bfloat16(static_cast<float>(value)) {}

    operator float() const { return detail::bit_cast<float>(static_cast<std::uint32_t>(bits_) << 16); }

private:
    std::uint16_t bits_ = 0;
};

inline std::string to_string(bfloat16 value) {
    return detail::number_text(static_cast<double>(static_cast<float>(value)));
}

}  // namespace gradus
