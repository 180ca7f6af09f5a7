// SPDX-License-Identifier: MIT
#include "gradus/kernels/simd/dispatch.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "gradus/kernels/simd/scalar.hpp"
#include "gradus/kernels/simd/vec.hpp"
#include "support/isas.hpp"
#include "support/test.hpp"

namespace simd = gradus::simd;

namespace {

struct Width {
    template <int Bytes>
    GRADUS_INLINE int run() const {
        return Bytes;
    }
};

struct CountDown {
    int n;

    template <int Bytes>
    GRADUS_INLINE int run() {
        int steps = 0;
        for (; n > 0; --n) ++steps;
        return steps;
    }
};

struct AffineKernel {
    const float* x;
    float* y;
    int n;
    float scale, shift;

    template <int Bytes>
    GRADUS_INLINE void run() const {
        using P = simd::VecOf<float, Bytes>;
        const auto f = [&](const P& v) GRADUS_INLINE_LAMBDA { return max(fma(v, scale, shift) * 2 - 1, 0); };
        int i = 0;
        for (; i + P::size <= n; i += P::size) f(P::load(x + i)).store(y + i);
        f(P::load_partial(x + i, n - i)).store_partial(y + i, n - i);
    }
};

}  // namespace

TEST_CASE("a kernel gives the same numbers on every instruction set") {
    std::vector<float> x(67), y(67);
    std::iota(x.begin(), x.end(), -20.0f);
    for_each_isa([&] {
        std::fill(y.begin(), y.end(), -1.0f);
        simd::run(AffineKernel{.x = x.data(), .y = y.data(), .n = 67, .scale = 0.25f, .shift = 3});
        for (std::size_t i = 0; i < x.size(); ++i) CHECK(y[i] == std::max(x[i] / 2 + 5, 0.0f));
    });
}

TEST_CASE("run chooses the width that isa() stands for") {
    for_each_isa([] { CHECK(simd::run(Width{}) == simd::vector_bytes(simd::isa())); });
    CHECK(simd::vector_bytes(simd::Isa::baseline) == 16);
    CHECK(simd::vector_bytes(simd::Isa::avx2) == 32);
    CHECK(simd::vector_bytes(simd::Isa::avx512) == 64);
}

TEST_CASE("a kernel changes its own copy of the operands") {
    const CountDown kernel{.n = 5};
    CHECK(simd::run(kernel) == 5);
    CHECK(simd::run(kernel) == 5);
    CHECK(kernel.n == 5);
}
