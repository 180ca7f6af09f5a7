// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "gradus/kernels/simd/dispatch.hpp"
#include "gradus/kernels/simd/shuffle.hpp"
#include "gradus/kernels/simd/vec.hpp"

// Numbers rounded to bfloat16, in pairs: two of them in each lane of 32 bits, the first in the lower half.
// round_bf16() works everywhere; the other two functions are the instructions of AVX512-BF16, which take
// denormal numbers for zero. They carry their instruction set themselves, since clang++ checks the registers
// of an asm before it inlines: what calls them must be [[GRADUS_TARGET_AVX512]] too.

namespace gradus::simd {

using Bf16Pairs = Vec<std::int32_t, 16>;

/// The 32 halves of pairs, in the order of memory.
using Bf16Halves = Vec<std::int16_t, 32>;

GRADUS_INLINE Bf16Halves halves(const Bf16Pairs& x) {
    return Bf16Halves::wrap(reinterpret_cast<Bf16Halves::Vector>(x.v));
}
GRADUS_INLINE Bf16Pairs pairs(const Bf16Halves& x) {
    return Bf16Pairs::wrap(reinterpret_cast<Bf16Pairs::Vector>(x.v));
}

/// To nearest, ties to even, in the upper half of each lane; the lower is of no meaning. NaN loses its sign.
GRADUS_INLINE Bf16Pairs round_bf16(const Vec<float, 16>& x) {
    const Bf16Pairs nan = (x != x).lanes;  // by bits: 64 bytes, whatever the width of this instruction set
    const Bf16Pairs rounded = (bits(x) & !nan) | (nan & 0x7fc00000);
    return rounded + 0x7fff + ((rounded >> 16) & 1);
}

/// Whether this processor has the instructions below.
[[gnu::cold]] inline bool has_avx512_bf16() {
#if defined(__x86_64__)
    return detail::best_isa_of_processor() == Isa::avx512 && __builtin_cpu_supports("avx512bf16");
#else
    return false;
#endif
}

/// The 16 numbers of `first`, then those of `second`, rounded.
[[gnu::always_inline, GRADUS_TARGET_AVX512]] inline Bf16Pairs round_to_pairs(const Vec<float, 16>& first,
                                                                             const Vec<float, 16>& second) {
#if defined(__x86_64__)
    Bf16Pairs result;
    asm("vcvtne2ps2bf16 %1, %2, %0" : "=v"(result.v) : "v"(first.v), "v"(second.v));
    return result;
#else
    return pairs(unzip_odd(halves(round_bf16(first)), halves(round_bf16(second))));
#endif
}

/// sums[i] += pair[0] · pairs[i][0] + pair[1] · pairs[i][1]
[[gnu::always_inline, GRADUS_TARGET_AVX512]] inline void add_products(Vec<float, 16>& sums,
                                                                      const Bf16Pairs& pairs,
                                                                      const std::int32_t& pair) {
#if defined(__x86_64__)
    asm("vdpbf16ps %2%{1to16%}, %1, %0" : "+v"(sums.v) : "v"(pairs.v), "m"(pair));
#else
    const auto part = [](const Bf16Pairs& x, bool upper)
                          GRADUS_INLINE_LAMBDA { return from_bits<float>(upper ? x & ~0xffff : x << 16); };
    for (const bool upper : {true, false}) sums = fma(part(pair, upper), part(pairs, upper), sums);
#endif
}

}  // namespace gradus::simd
