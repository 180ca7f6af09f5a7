// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <string>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "gradus/core/shape.hpp"

namespace gradus {
namespace detail {

inline std::atomic<int>& thread_limit() {
    static std::atomic<int> limit{0};  // 0: as many as OpenMP offers
    return limit;
}

}  // namespace detail

/// How many threads gradus uses at most. The default is OpenMP's (OMP_NUM_THREADS, else the processors).
inline int num_threads() {
#ifdef _OPENMP
    const int limit = detail::thread_limit().load(std::memory_order_relaxed);
    return limit > 0 ? limit : omp_get_max_threads();
#else
    return 1;
#endif
}

/// Limits gradus to `count` threads; the program's own OpenMP settings stay as they are. Results do not depend on
/// this number, bit for bit. Throws ValueError unless 1 <= count <= 1024.
inline void set_num_threads(int count) {
    if (count < 1 || count > 1024)
        throw ValueError("set_num_threads: needs 1 to 1024 threads: got " + std::to_string(count));
    detail::thread_limit().store(count, std::memory_order_relaxed);
}

/// Work (in elements, or multiply-adds / 8) below which a loop stays on the calling thread: a parallel region costs
/// about a microsecond.
inline constexpr Index parallel_grain = 32768;

/// Calls body(begin, end) for consecutive blocks of [0, size), each of `block` items but the last, on several threads
/// when there is more than one block. The blocks depend on size and block alone, never on the thread count: a body
/// whose result per block is reproducible makes the whole loop reproducible. Serial inside another parallel region.
/// If bodies throw, one of their exceptions reaches the caller after the loop, and blocks not yet begun may be left
/// out. Expects block >= 1.
template <class Body>
void parallel_for(Index size, Index block, const Body& body) {
    if (size <= 0) return;
    const Index blocks = 1 + (size - 1) / block;
    const auto run = [&](Index i) { body(i * block, i * block + std::min(block, size - i * block)); };
#ifdef _OPENMP
    const int threads = static_cast<int>(std::min<Index>(num_threads(), blocks));
    if (threads > 1 && !omp_in_parallel()) {
        std::exception_ptr failure;
        std::atomic<bool> failed{false};
#pragma omp parallel for num_threads(threads) schedule(static)
        for (Index i = 0; i < blocks; ++i) {
            if (failed.load(std::memory_order_relaxed)) continue;
            try {
                run(i);
            } catch (...) {
                if (!failed.exchange(true)) failure = std::current_exception();
            }
        }
        if (failure) std::rethrow_exception(failure);
        return;
    }
#endif
    for (Index i = 0; i < blocks; ++i) run(i);
}

}  // namespace gradus
