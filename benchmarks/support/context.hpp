// SPDX-License-Identifier: MIT
#pragma once

#include <benchmark/benchmark.h>

#include <fstream>
#include <string>

#include "gradus/core/parallel.hpp"
#include "gradus/kernels/simd/vec.hpp"

/// What all benchmark programs share: the context they report, and thread counts.
namespace bench {

/// The processor's name, as the operating system knows it.
inline std::string cpu_model() {
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);)
        if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
    return "unknown";
}

inline std::string compiler() {
#if defined(__clang__)
    return "clang " __clang_version__;
#elif defined(__GNUC__)
    return "g++ " __VERSION__;
#else
    return "unknown";
#endif
}

/// What the compiler's own macros tell of its flags.
inline std::string flags() {
    std::string text;
#if defined(__OPTIMIZE__)
    text += "optimized";
#else
    text += "not optimized";
#endif
#if defined(__FAST_MATH__)
    text += ", fast-math";
#endif
#if defined(__AVX512F__)
    text += ", avx512";
#elif defined(__AVX2__)
    text += ", avx2";
#elif defined(__x86_64__)
    text += ", x86-64 baseline";
#endif
#if defined(__SANITIZE_ADDRESS__)
    text += ", address sanitizer";
#endif
    return text;
}

/// Google Benchmark's context tells how *its* library was built ("DEBUG" on Debian); these tell of ours.
inline void add_context() {
#if defined(NDEBUG)
    const char* const asserts = "off";
#else
    const char* const asserts = "on";
#endif
    benchmark::AddCustomContext("cpu_model", cpu_model());
    benchmark::AddCustomContext("compiler", compiler());
    benchmark::AddCustomContext("flags", flags());
    benchmark::AddCustomContext("asserts", asserts);
    benchmark::AddCustomContext("isa", gradus::simd::name(gradus::simd::isa()));
    benchmark::AddCustomContext("threads", std::to_string(gradus::num_threads()));
}

/// main() of a benchmark program.
inline int run(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    add_context();
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}

/// Runs a benchmark with 1 and with all threads, its only argument. Wall time counts: the main thread's
/// processor time would leave out the others.
inline void add_thread_counts(benchmark::internal::Benchmark* benchmark) {
    benchmark->UseRealTime()->ArgName("threads")->Arg(1);
    if (gradus::num_threads() > 1) benchmark->Arg(gradus::num_threads());
}

/// Limits gradus to `count` threads during its life.
class ScopedThreads {
public:
    explicit ScopedThreads(int count) : before_(gradus::num_threads()) { gradus::set_num_threads(count); }
    ~ScopedThreads() { gradus::set_num_threads(before_); }
    ScopedThreads(const ScopedThreads&) = delete;
    ScopedThreads& operator=(const ScopedThreads&) = delete;

private:
    int before_;
};

/// A counter in units of 10^9 per second, from the amount of one iteration.
inline benchmark::Counter giga_per_second(double amount) {
    return {amount * 1e-9, benchmark::Counter::kIsIterationInvariantRate};
}

}  // namespace bench
