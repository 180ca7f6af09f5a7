// SPDX-License-Identifier: MIT
#include "gradus/kernels/simd/isa.hpp"

#include <cstdlib>
#include <string>

#include "support/test.hpp"

namespace simd = gradus::simd;
using simd::Isa;
using simd::ScopedIsa;

TEST_CASE("ScopedIsa lowers, nests and restores, and never raises") {
    const Isa outer = simd::isa();
    {
        const ScopedIsa baseline(Isa::baseline);
        CHECK(simd::isa() == Isa::baseline);
        {
            const ScopedIsa raise(Isa::avx512);
            CHECK(simd::isa() == Isa::baseline);
        }
        CHECK(simd::isa() == Isa::baseline);
    }
    CHECK(simd::isa() == outer);
}

TEST_CASE("GRADUS_ISA limits the instruction set") {
    const char* const before = std::getenv("GRADUS_ISA");
    const std::string saved = before ? before : "";
    for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
        setenv("GRADUS_ISA", simd::name(isa), 1);
        CHECK(simd::detail::limit_from_environment() == isa);
    }
    setenv("GRADUS_ISA", "sse9", 1);
    CHECK_THROWS_MATCHES(
        simd::detail::limit_from_environment(), gradus::ValueError,
        Message("simd: the environment variable GRADUS_ISA must be baseline, avx2 or avx512: got sse9"));
    unsetenv("GRADUS_ISA");
    CHECK(simd::detail::limit_from_environment() == Isa::avx512);
    if (before) setenv("GRADUS_ISA", saved.c_str(), 1);
}
