// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string_view>

#include "gradus/core/error.hpp"

/// Vectors of a chosen width and the run-time choice of the instruction set.
namespace gradus::simd {

/// The instruction sets that kernels are compiled for, with vectors of 16, 32 and 64 bytes. `avx2` includes
/// FMA; `avx512` means F, BW, VL and DQ. Processors other than x86-64 have only `baseline`.
enum class Isa { baseline, avx2, avx512 };

/// "baseline", "avx2" or "avx512".
constexpr const char* name(Isa isa) {
    return isa == Isa::avx512 ? "avx512" : isa == Isa::avx2 ? "avx2" : "baseline";
}

/// Bytes of a vector.
constexpr int vector_bytes(Isa isa) { return isa == Isa::avx512 ? 64 : isa == Isa::avx2 ? 32 : 16; }

/// Why this compiler may not use all that the processor offers; empty if it may.
#if defined(_WIN32) && defined(__GNUC__) && !defined(__clang__)
// It keeps vectors of 32 bytes on a stack that is aligned to 16, and the program crashes: GCC bug 54412.
inline constexpr std::string_view isa_limit = "g++ cannot align wider vectors on Windows";
#else
inline constexpr std::string_view isa_limit = "";
#endif

namespace detail {

inline Isa best_isa_of_processor() {
    if (!isa_limit.empty()) return Isa::baseline;
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    return avx2 ? (avx512 ? Isa::avx512 : Isa::avx2) : Isa::baseline;
#else
    return Isa::baseline;
#endif
}

[[gnu::cold]] inline Isa limit_from_environment() {
    const char* const text = std::getenv("GRADUS_ISA");
    if (!text) return Isa::avx512;
    for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512})
        if (std::string_view(text) == name(isa)) return isa;
    gradus::detail::raise<ValueError>(
        {"simd: the environment variable GRADUS_ISA must be baseline, avx2 or avx512: got ", text});
}

inline std::atomic<Isa>& current_isa() {
    static std::atomic<Isa> current = std::min(best_isa_of_processor(), limit_from_environment());
    return current;
}

}  // namespace detail

/// The instruction set that kernels run with: the best that the processor and its operating system support,
/// or less when the environment variable GRADUS_ISA (baseline, avx2, avx512) asks for less. Chosen at the
/// first call. Throws ValueError when GRADUS_ISA holds anything else.
inline Isa isa() { return detail::current_isa().load(std::memory_order_relaxed); }

/// Lowers isa() for the whole process during its life, for tests; never raises it. Nest them on one thread
/// only.
class ScopedIsa {
public:
    [[nodiscard]] explicit ScopedIsa(Isa limit) : previous_(isa()) {
        detail::current_isa() = std::min(previous_, limit);
    }
    ~ScopedIsa() { detail::current_isa() = previous_; }
    ScopedIsa(const ScopedIsa&) = delete;
    ScopedIsa& operator=(const ScopedIsa&) = delete;

private:
    Isa previous_;
};

}  // namespace gradus::simd
