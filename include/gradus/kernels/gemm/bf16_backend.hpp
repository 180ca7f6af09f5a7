// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>

#include "gradus/kernels/gemm/bf16_amx.hpp"
#include "gradus/kernels/gemm/bf16_pack.hpp"
#include "gradus/kernels/gemm/precision_hook.hpp"

namespace gradus::kernels {
namespace detail {

enum class MatmulPrecision { highest, high, medium };

inline std::atomic<MatmulPrecision>& matmul_precision() {
    static std::atomic<MatmulPrecision> precision{MatmulPrecision::highest};
    return precision;
}

inline constexpr Bf16Unit avx512_bf16_unit{
    "avx512_bf16",
    false,
    [] {},
    [] {},
    multiply_avx512_bf16,
    pack_bf16_blocks<Bf16Instruction::fill, Bf16Instruction::fill_low>};

inline constexpr Bf16Unit amx_unit{"amx",
                                   true,
                                   simd::AmxTiles::configure,
                                   simd::AmxTiles::release,
                                   multiply_tiles<simd::AmxTiles>,
                                   pack_bf16_blocks<Bf16Instruction::fill, Bf16Instruction::fill_low>};

[[gnu::cold]] inline const Bf16Unit* best_bf16_unit() {
    if (!simd::has_avx512_bf16()) return nullptr;  // both pack with it
    if (simd::AmxTiles::usable() && tiles_are_right<simd::AmxTiles>()) return &amx_unit;
    return &avx512_bf16_unit;
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
    [[nodiscard]] explicit ScopedBf16Unit(const Bf16Unit& unit) : previous_(detail::forced_bf16_unit()) {
        detail::forced_bf16_unit() = &unit;
    }
    ~ScopedBf16Unit() { detail::forced_bf16_unit() = previous_; }
    ScopedBf16Unit(const ScopedBf16Unit&) = delete;
    ScopedBf16Unit& operator=(const ScopedBf16Unit&) = delete;

private:
    const Bf16Unit* previous_;
};

namespace detail {

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
}  // namespace gradus::kernels
