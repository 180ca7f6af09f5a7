// SPDX-License-Identifier: MIT
// The limits of this machine, against which other figures are read: arithmetic, memory, the cost of threads.

#include <unistd.h>

#include <algorithm>
#include <memory>

#include "gradus/core/parallel.hpp"
#include "gradus/kernels/simd/dispatch.hpp"
#include "gradus/kernels/simd/vec.hpp"
#include "support/context.hpp"
#include "support/fma_peak.hpp"

namespace {

using gradus::Index;
using gradus::simd::Isa;

void fma_peak(benchmark::State& state, Isa isa) {
    const gradus::simd::ScopedIsa limit(isa);
    if (gradus::simd::isa() != isa) return state.SkipWithError("not supported here");
    const Index threads = state.range(0);
    const bench::ScopedThreads thread_limit(static_cast<int>(threads));
    constexpr Index rounds = 200'000;
    for (auto _ : state)
        gradus::parallel_for(threads, 1, [&](Index, Index) {
            benchmark::DoNotOptimize(
                gradus::simd::run(bench::FmaChains{.rounds = rounds, .a = 0.5f, .b = 1}));
        });
    state.counters["GF/s"] =
        bench::giga_per_second(bench::fma_flop(isa, rounds) * static_cast<double>(threads));
}

/// a[i] = b[i] + scale * c[i].
struct Triad {
    float* a;
    const float *b, *c;
    float scale;
    Index size;

    template <int Bytes>
    GRADUS_INLINE void run() const {
        using Vec = gradus::simd::VecOf<float, Bytes>;
        const Vec factor = scale;
        Index i = 0;
        for (; i + Vec::size <= size; i += Vec::size)
            fma(factor, Vec::load(c + i), Vec::load(b + i)).store(a + i);
        for (; i < size; ++i) a[i] = b[i] + scale * c[i];
    }
};

/// `size` floats per thread and array. Counts the bytes the program names, as STREAM does: two reads and one
/// write (the processor may also read the line that it is going to overwrite).
void triad(benchmark::State& state, Index size) {
    const Index threads = state.range(0), total = size * threads;
    const bench::ScopedThreads thread_limit(static_cast<int>(threads));
    const auto array = [&] {
        return std::make_unique_for_overwrite<float[]>(static_cast<std::size_t>(total));
    };
    const auto a = array(), b = array(), c = array();
    gradus::parallel_for(total, size, [&](Index begin, Index end) {  // each thread touches its own part first
        std::fill(&a[0] + begin, &a[0] + end, 0.0f);
        std::fill(&b[0] + begin, &b[0] + end, 1.0f);
        std::fill(&c[0] + begin, &c[0] + end, 2.0f);
    });
    const Index passes = std::max<Index>(1, 1'000'000 / size);  // so that starting the threads does not count
    for (auto _ : state) {
        gradus::parallel_for(total, size, [&](Index begin, Index) {
            for (Index pass = 0; pass < passes; ++pass)
                gradus::simd::run(Triad{
                    .a = &a[0] + begin, .b = &b[0] + begin, .c = &c[0] + begin, .scale = 3, .size = size});
        });
        benchmark::ClobberMemory();
    }
    state.counters["GB/s"] =
        bench::giga_per_second(3.0 * sizeof(float) * static_cast<double>(total * passes));
}

/// Floats in an array of twice the last-level cache.
Index beyond_cache() {
    const Index cache = static_cast<Index>(sysconf(_SC_LEVEL3_CACHE_SIZE));
    return std::clamp<Index>(2 * cache, Index{128} << 20, Index{512} << 20) /
           static_cast<Index>(sizeof(float));
}

void triad_memory(benchmark::State& state) { triad(state, beyond_cache() / state.range(0)); }
void triad_l3(benchmark::State& state) { triad(state, 512 * 1024); }  // 3 arrays of 2 MB per thread
void triad_l2(benchmark::State& state) { triad(state, 32 * 1024); }   // of 128 KB
void triad_l1(benchmark::State& state) { triad(state, 2 * 1024); }    // of 8 KB

void empty_region(benchmark::State& state) {
    const Index threads = state.range(0);
    const bench::ScopedThreads thread_limit(static_cast<int>(threads));
    for (auto _ : state)
        gradus::parallel_for(threads, 1, [](Index i, Index) { benchmark::DoNotOptimize(i); });
}

BENCHMARK_CAPTURE(fma_peak, baseline, Isa::baseline)->Apply(bench::add_thread_counts);
BENCHMARK_CAPTURE(fma_peak, avx2, Isa::avx2)->Apply(bench::add_thread_counts);
BENCHMARK_CAPTURE(fma_peak, avx512, Isa::avx512)->Apply(bench::add_thread_counts);
BENCHMARK(triad_l1)->Apply(bench::add_thread_counts);
BENCHMARK(triad_l2)->Apply(bench::add_thread_counts);
BENCHMARK(triad_l3)->Apply(bench::add_thread_counts);
BENCHMARK(triad_memory)->Apply(bench::add_thread_counts)->Unit(benchmark::kMillisecond);
BENCHMARK(empty_region)->Apply(bench::add_thread_counts);

}  // namespace

int main(int argc, char** argv) { return bench::run(argc, argv); }
