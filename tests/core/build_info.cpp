// SPDX-License-Identifier: MIT
#include "gradus/core/build_info.hpp"

#include "gradus/kernels/gemm/bf16_backend.hpp"
#include "support/test.hpp"

using namespace gradus;

TEST_CASE("build_info: says what this file was compiled with") {
    const BuildInfo info = build_info();
    CHECK(info.openmp);
    CHECK(info.threads == num_threads());
    CHECK(info.version == std::to_string(GRADUS_VERSION_MAJOR) + "." + std::to_string(GRADUS_VERSION_MINOR) +
                              "." + std::to_string(GRADUS_VERSION_PATCH));
    CHECK(to_string(BuildInfo{"1.2.3", "g++ 12.2.0", true, true, "avx2", 2}) ==
          "gradus 1.2.3, g++ 12.2.0, optimized, OpenMP, avx2, at most 2 threads");
    CHECK(to_string(BuildInfo{"1.2.3", "g++ 12.2.0", true, true, "avx512", 2, "amx"}) ==
          "gradus 1.2.3, g++ 12.2.0, optimized, OpenMP, avx512, bfloat16 by amx, at most 2 threads");
    CHECK(to_string(BuildInfo{"1.2.3", "clang 14", false, false, "baseline", 1}) ==
          "gradus 1.2.3, clang 14, not optimized, no OpenMP, baseline, at most 1 thread");
    CHECK(to_string(BuildInfo{"1.2.3", "g++ 12.2.0", true, true, "baseline", 2, "", "a reason"}) ==
          "gradus 1.2.3, g++ 12.2.0, optimized, OpenMP, baseline (a reason), at most 2 threads");
    const simd::ScopedIsa scope(simd::Isa::baseline);
    CHECK(build_info().instructions == std::string("baseline"));
    CHECK(build_info().bfloat16 == std::string());
    CHECK_THAT(to_string(info), ContainsSubstring(info.compiler));
}
