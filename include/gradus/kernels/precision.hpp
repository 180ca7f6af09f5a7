// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <string>
#include <string_view>

#include "gradus/core/error.hpp"
#include "gradus/kernels/amx.hpp"
#include "gradus/kernels/bf16_pack.hpp"

namespace gradus {
namespace kernels::detail {

enum class MatmulPrecision { highest, high, medium };

inline std::atomic<MatmulPrecision>& matmul_precision() {
    static std::atomic<MatmulPrecision> precision{MatmulPrecision::highest};
    return precision;
}

inline constexpr const char* precision_names[] = {"highest", "high", "medium"};

}  // namespace kernels::detail

/// What products of float matrices, and convolutions of float images, may round, forward and backward, in the
/// whole process:
/// "highest" (the default): nothing; operands, products and sums are float;
/// "high": an operand becomes the sum of two bfloat16 numbers, of which each product keeps three of the four
///         terms: errors of about 2^-16 of what is added up, instead of 2^-24;
/// "medium": operands are rounded to bfloat16, errors of up to 2^-8.
/// Sums are float in all of them. It is a permission: each product takes the fastest way that the precision
/// allows, and on processors without a unit for bfloat16 that is always float. Other number types ignore it.
/// Throws ValueError for any other name.
[[gnu::cold]] inline void set_float32_matmul_precision(std::string_view precision) {
    using namespace kernels::detail;
    for (int i = 0; i < 3; ++i)
        if (precision == precision_names[i]) {
            matmul_precision().store(static_cast<MatmulPrecision>(i), std::memory_order_relaxed);
            return;
        }
    throw ValueError("set_float32_matmul_precision: needs \"highest\", \"high\" or \"medium\": got \"" +
                     std::string(precision) + "\"");
}

/// What set_float32_matmul_precision was last called with, or "highest".
inline std::string_view float32_matmul_precision() {
    using namespace kernels::detail;
    return precision_names[static_cast<int>(matmul_precision().load(std::memory_order_relaxed))];
}

namespace kernels {
namespace detail {

#if defined(__x86_64__)

inline constexpr Bf16Unit avx512_bf16_unit{
    "avx512_bf16",
    false,
    [] {},
    [] {},
    multiply_avx512_bf16,
    pack_bf16_blocks<Bf16Instruction::fill, Bf16Instruction::fill_low>};

#if defined(__linux__)
inline constexpr Bf16Unit amx_unit{"amx",
                                   true,
                                   AmxTiles::configure,
                                   AmxTiles::release,
                                   multiply_tiles<AmxTiles>,
                                   pack_bf16_blocks<Bf16Instruction::fill, Bf16Instruction::fill_low>};
#endif
#endif

[[gnu::cold]] inline const Bf16Unit* best_bf16_unit() {
#if defined(__x86_64__)
    if (simd::detail::best_isa_of_processor() < simd::Isa::avx512) return nullptr;
#if defined(__linux__)
    if (may_use_amx() && tiles_are_right<AmxTiles>()) return &amx_unit;
#endif
    if (__builtin_cpu_supports("avx512bf16")) return &avx512_bf16_unit;
#endif
    return nullptr;
}

inline const Bf16Unit*& forced_bf16_unit() {
    static const Bf16Unit* unit = nullptr;
    return unit;
}

}  // namespace detail

/// What multiplies bfloat16 numbers on this processor: null if nothing does, or if isa() is below avx512.
inline const Bf16Unit* bf16_unit() {
    if (const Bf16Unit* unit = detail::forced_bf16_unit()) return unit;
    static const Bf16Unit* const best = detail::best_bf16_unit();
    return simd::isa() == simd::Isa::avx512 ? best : nullptr;
}

/// Puts another one in its place during its life, for tests. Nest them on one thread only.
class ScopedBf16Unit {
public:
    explicit ScopedBf16Unit(const Bf16Unit& unit) : previous_(detail::forced_bf16_unit()) {
        detail::forced_bf16_unit() = &unit;
    }
    ~ScopedBf16Unit() { detail::forced_bf16_unit() = previous_; }
    ScopedBf16Unit(const ScopedBf16Unit&) = delete;
    ScopedBf16Unit& operator=(const ScopedBf16Unit&) = delete;

private:
    const Bf16Unit* previous_;
};

namespace detail {

struct Bf16Choice {
    const Bf16Unit* unit;  // null: float
    bool split;
};

/// The fastest that the precision allows.
inline Bf16Choice bf16_choice() {
    const MatmulPrecision precision = matmul_precision().load(std::memory_order_relaxed);
    if (precision == MatmulPrecision::highest) [[likely]]
        return {nullptr, false};
    const Bf16Unit* const unit = bf16_unit();
    const bool split = precision == MatmulPrecision::high;
    return {unit && split && !unit->split_pays ? nullptr : unit, split};
}

}  // namespace detail
}  // namespace kernels
}  // namespace gradus
