// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include "gradus/core/parallel.hpp"
#include "gradus/core/version.hpp"

// A build that is many times slower than it could be should not go unnoticed. The note appears when a file is
// compiled; -DGRADUS_NO_BUILD_NOTES silences it.
#ifndef GRADUS_NO_BUILD_NOTES
#ifndef __OPTIMIZE__
#pragma message( \
    "gradus: compiled without optimization, which is many times slower; add -O2 (or -DGRADUS_NO_BUILD_NOTES)")
#endif
#ifndef _OPENMP
#pragma message( \
    "gradus: compiled without OpenMP, so on one thread; add -fopenmp (or -DGRADUS_NO_BUILD_NOTES)")
#endif
#endif

namespace gradus {

/// How the program was built, and what it runs on, as far as it matters for speed.
struct BuildInfo {
    const char* version = GRADUS_VERSION;
    std::string compiler;
    bool optimized = false;
    bool openmp = false;
    const char* instructions = "baseline";  // of the kernels, chosen when the program starts
    int threads = 1;                        // that will be used at most
    const char* bfloat16 = "";              // what multiplies such numbers: "amx", "avx512_bf16" or nothing
    std::string_view isa_limit = "";        // why `instructions` are few, if the compiler is the reason
};

/// Of this program. Defined in kernels/gemm/bf16_backend.hpp, the first header that sees all that is told:
/// include gradus/gradus.hpp, or a header that multiplies matrices, such as ops/matmul.hpp.
inline BuildInfo build_info();

namespace detail {

/// What core/ can tell: the compiler, its options and the threads.
inline BuildInfo compiler_info() {
    BuildInfo info;
#if defined(__clang__)
    info.compiler = std::string("clang ") + __clang_version__;
#else
    info.compiler = std::string("g++ ") + __VERSION__;
#endif
#ifdef __OPTIMIZE__
    info.optimized = true;
#endif
#ifdef _OPENMP
    info.openmp = true;
#endif
    info.threads = num_threads();
    return info;
}

}  // namespace detail

/// "gradus 0.1.0, g++ 12.2.0, optimized, OpenMP, avx512, bfloat16 by amx, at most 2 threads".
[[gnu::cold]] inline std::string to_string(const BuildInfo& info) {
    return std::string("gradus ") + info.version + ", " + info.compiler +
           (info.optimized ? ", optimized" : ", not optimized") +
           (info.openmp ? ", OpenMP, " : ", no OpenMP, ") + info.instructions +
           (info.isa_limit.empty() ? "" : " (" + std::string(info.isa_limit) + ")") +
           (*info.bfloat16 ? std::string(", bfloat16 by ") + info.bfloat16 : "") + ", at most " +
           std::to_string(info.threads) + (info.threads == 1 ? " thread" : " threads");
}

}  // namespace gradus
