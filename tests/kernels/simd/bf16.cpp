// SPDX-License-Identifier: MIT
#include "gradus/kernels/simd/bf16.hpp"

#include <bit>
#include <cmath>
#include <limits>

#include "gradus/core/bfloat16.hpp"
#include "support/isas.hpp"
#include "support/test.hpp"

// The instructions are tested by the products that use them: tests/kernels/gemm/bf16_gemm.cpp.

namespace simd = gradus::simd;

namespace {

struct RoundKernel {
    const float* x;
    std::int32_t* rounded;
    std::int16_t* halves;

    template <int Bytes>
    GRADUS_INLINE void run() const {
        const simd::Bf16Pairs bits = simd::round_bf16(simd::Vec<float, 16>::load(x));
        bits.store(rounded);
        simd::halves(bits).store(halves);
    }
};

}  // namespace

TEST_CASE("rounding to bfloat16 by integer operations is that of the number type") {
    using Limits = std::numeric_limits<float>;
    const float special[] = {0.0f,
                             -0.0f,
                             1.0f,
                             Limits::infinity(),
                             -Limits::infinity(),
                             Limits::max(),
                             Limits::denorm_min(),
                             1.00390625f,
                             1.01171875f};  // the last two are ties
    for_each_isa([&] {
        for (int step = 0; step < 2000; ++step) {
            float x[16];
            for (int i = 0; i < 16; ++i) {
                const auto pattern = static_cast<std::uint32_t>(step * 16 + i) * 2654435761u;
                x[i] = step == 0 && i < 9 ? special[i] : std::bit_cast<float>(pattern);
            }
            std::int32_t rounded[16];
            std::int16_t halves[32];
            simd::run(RoundKernel{x, rounded, halves});
            for (int i = 0; i < 16; ++i) {
                const float upper = std::bit_cast<float>(rounded[i] & ~0xffff);
                const float expected = static_cast<float>(gradus::bfloat16(x[i]));
                if (std::isnan(x[i])
                        ? !std::isnan(upper)
                        : std::bit_cast<std::int32_t>(upper) != std::bit_cast<std::int32_t>(expected))
                    FAIL(x[i] << " became " << upper << ", not " << expected);
                if (halves[2 * i + 1] != static_cast<std::int16_t>(rounded[i] >> 16))
                    FAIL("the upper half comes second");
            }
        }
        SUCCEED();
    });
}
