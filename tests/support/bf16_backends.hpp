// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "gradus/kernels/gemm/bf16_gemm.hpp"
#include "support/model_tiles.hpp"
#include "support/tile_instructions.hpp"

namespace bf16_backends {

using gradus::kernels::Bf16Backend;

inline void round_block(const gradus::kernels::detail::Bf16Block* block) {
    gradus::simd::run(gradus::kernels::detail::Bf16Rounding{block});
}

/// AMX but for the instructions themselves; runs everywhere.
inline const Bf16Backend model{"model",
                               true,
                               ModelTiles::configure,
                               ModelTiles::release,
                               gradus::kernels::detail::multiply_tiles<ModelTiles>,
                               gradus::kernels::detail::pack_bf16_blocks<round_block, round_block>};

#if defined(__x86_64__) && defined(__linux__)
/// AMX with its instructions, on a processor that does not have them.
inline const Bf16Backend emulated{"emulated",
                                  true,
                                  [] {
                                      emulate_tile_instructions();
                                      gradus::simd::AmxTiles::configure();
                                  },
                                  gradus::simd::AmxTiles::release,
                                  gradus::kernels::detail::multiply_tiles<gradus::simd::AmxTiles>,
                                  gradus::kernels::detail::pack_bf16_blocks<round_block, round_block>};
#endif

/// The model, and what this processor has: made to do "high" as well.
inline std::vector<Bf16Backend> all() {
    std::vector<Bf16Backend> backends{model};
#if defined(__x86_64__)
    if (gradus::simd::isa() == gradus::simd::Isa::avx512 && gradus::simd::has_avx512_bf16()) {
        backends.push_back(gradus::kernels::detail::avx512_bf16_backend);
        backends.back().split_is_faster = true;
    }
#if defined(__linux__)
    if (gradus::simd::AmxTiles::usable())
        backends.push_back(gradus::kernels::detail::amx_backend);
    else
        backends.push_back(emulated);
#endif
#endif
    return backends;
}

/// Products on this backend, of operands in one part or in two.
inline gradus::kernels::detail::Bf16Plan plan(const Bf16Backend& backend, bool split) {
    return {&backend, split, gradus::kernels::detail::run_bf16_gemm};
}

}  // namespace bf16_backends
