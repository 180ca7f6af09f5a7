// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>

#include "gradus/core/bits.hpp"
#include "gradus/core/error.hpp"

namespace gradus {

/// A number of 16 bits: 5 of exponent, 10 of mantissa (binary16 of IEEE 754; torch.float16). A storage type:
/// convert to float to compute. Rounds to nearest, ties to even, to denormal numbers below 6.1e-5, to infinity
/// from 65520 on; other types than float are converted to float first. NaN stays NaN.
class half {
public:
    half() = default;

    explicit half(float value) {
        const auto bits = detail::bit_cast<std::uint32_t>(value);
        const std::uint32_t magnitude = bits & 0x7fffffffu;
        bits_ = static_cast<std::uint16_t>((bits >> 16 & 0x8000u) | rounded(magnitude));
    }

    template <class U>
    requires std::is_arithmetic_v<U>
    explicit half(U value) : half(static_cast<float>(value)) {}

    operator float() const {
        const std::uint32_t sign = std::uint32_t{bits_ & 0x8000u} << 16, exponent = bits_ >> 10 & 31u;
        std::uint32_t mantissa = bits_ & 0x3ffu;
        if (exponent == 31) return detail::bit_cast<float>(sign | 0x7f800000u | mantissa << 13);
        if (exponent > 0) return detail::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
        const float size = static_cast<float>(mantissa) * 0x1p-24f;  // exact
        return detail::bit_cast<float>(sign | detail::bit_cast<std::uint32_t>(size));
    }

private:
    /// The bits of the nearest half, from those of a float without its sign.
    static std::uint32_t rounded(std::uint32_t bits) {
        if (bits > 0x7f800000u) return 0x7e00u | (bits >> 13 & 0x3ffu);  // NaN keeps what fits
        if (bits >= 0x477ff000u) return 0x7c00u;                         // 65520 and more: infinity
        if (bits >= 0x38800000u) return (bits - 0x38000000u + 0xfffu + (bits >> 13 & 1u)) >> 13;
        if (bits <= 0x33000000u) return 0;  // at most half of the least denormal number, 2^-24
        const std::uint32_t shift = 126 - (bits >> 23), mantissa = (bits & 0x7fffffu) | 0x800000u;
        const std::uint32_t kept = mantissa >> shift, rest = mantissa & ((1u << shift) - 1),
                            tie = 1u << (shift - 1);
        return kept + (rest > tie || (rest == tie && (kept & 1u)) ? 1u : 0u);
    }

    std::uint16_t bits_ = 0;
};

inline std::string to_string(half value) {
    return detail::number_text(static_cast<double>(static_cast<float>(value)));
}

}  // namespace gradus
