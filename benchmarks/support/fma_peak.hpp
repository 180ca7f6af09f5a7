// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/core/shape.hpp"
#include "gradus/kernels/simd/dispatch.hpp"
#include "gradus/kernels/simd/vec.hpp"

namespace bench {

/// x = a * x + b in independent chains, enough to hide the latency of both operations on every processor we
/// know, and few enough to stay in 16 registers.
struct FmaChains {
    static constexpr int chains = 12;

    gradus::Index rounds;
    float a, b;

    template <int Bytes>
    GRADUS_INLINE float run() const {
        using Vec = gradus::simd::VecOf<float, Bytes>;
        const Vec scale = a, shift = b;
        Vec x[chains];
#pragma GCC unroll 12
        for (int i = 0; i < chains; ++i) x[i] = static_cast<float>(i);
        for (gradus::Index round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
            for (int i = 0; i < chains; ++i) x[i] = fma(x[i], scale, shift);
        }
        Vec total = x[0];
#pragma GCC unroll 12
        for (int i = 1; i < chains; ++i) total += x[i];
        return sum(total);
    }
};

/// Floating-point operations of `rounds` rounds with vectors of instruction set `isa`.
inline double fma_flop(gradus::simd::Isa isa, gradus::Index rounds) {
    const int lanes = gradus::simd::vector_bytes(isa) / static_cast<int>(sizeof(float));
    return 2.0 * FmaChains::chains * lanes * static_cast<double>(rounds);
}

}  // namespace bench
