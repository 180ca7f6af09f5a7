// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/core/build_info.hpp"
#include "gradus/kernels/gemm/bf16_amx.hpp"
#include "gradus/kernels/gemm/bf16_pack.hpp"

// Which instructions multiply bfloat16 numbers on this processor, chosen at the first call.

namespace gradus::kernels {
namespace detail {

inline constexpr Bf16Backend avx512_bf16_backend{
    "avx512_bf16",
    false,
    [] {},
    [] {},
    multiply_avx512_bf16,
    pack_bf16_blocks<Bf16Instruction::fill, Bf16Instruction::fill_low>};

inline constexpr Bf16Backend amx_backend{"amx",
                                         true,
                                         simd::AmxTiles::configure,
                                         simd::AmxTiles::release,
                                         multiply_tiles<simd::AmxTiles>,
                                         pack_bf16_blocks<Bf16Instruction::fill, Bf16Instruction::fill_low>};

[[gnu::cold]] inline const Bf16Backend* best_bf16_backend() {
    if (!simd::has_avx512_bf16()) return nullptr;  // both pack with it
    if (simd::AmxTiles::usable() && tiles_are_right<simd::AmxTiles>()) return &amx_backend;
    return &avx512_bf16_backend;
}

inline const Bf16Backend*& forced_bf16_backend() {
    static const Bf16Backend* backend = nullptr;
    return backend;
}

}  // namespace detail

/// What multiplies bfloat16 numbers on this processor: null if nothing does, or if isa() is below avx512.
inline const Bf16Backend* bf16_backend() {
    if (const Bf16Backend* backend = detail::forced_bf16_backend()) return backend;
    static const Bf16Backend* const best = detail::best_bf16_backend();
    return simd::isa() == simd::Isa::avx512 ? best : nullptr;
}

/// Puts another one in its place during its life, for tests. Nest them on one thread only.
class ScopedBf16Backend {
public:
    [[nodiscard]] explicit ScopedBf16Backend(const Bf16Backend& backend)
        : previous_(detail::forced_bf16_backend()) {
        detail::forced_bf16_backend() = &backend;
    }
    ~ScopedBf16Backend() { detail::forced_bf16_backend() = previous_; }
    ScopedBf16Backend(const ScopedBf16Backend&) = delete;
    ScopedBf16Backend& operator=(const ScopedBf16Backend&) = delete;

private:
    const Bf16Backend* previous_;
};

}  // namespace gradus::kernels

inline gradus::BuildInfo gradus::build_info() {
    BuildInfo info = detail::compiler_info();
    info.instructions = simd::name(simd::isa());
    info.isa_limit = simd::isa_limit;
    if (const kernels::Bf16Backend* backend = kernels::bf16_backend()) info.bfloat16 = backend->name;
    return info;
}
