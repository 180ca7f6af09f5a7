// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <string>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "gradus/core/contention.hpp"
#include "gradus/core/fork.hpp"
#include "gradus/core/memory.hpp"
#include "gradus/core/shape.hpp"

namespace gradus {
namespace detail {

inline std::atomic<int>& thread_limit() {
    static std::atomic<int> limit{0};  // 0: as many as OpenMP offers
    return limit;
}

inline constexpr int most_threads = 1024;

/// True in a child of a fork() that left the threads of a team behind: OpenMP would wait for them forever.
inline std::atomic<bool>& team_lost() {
    static std::atomic<bool> lost{false};
    return lost;
}

/// Set on a thread that works in the background: its loops run on it alone, and leave the other processors to
/// the team of the thread that computes.
inline bool& in_background() {
    static thread_local bool background = false;
    return background;
}

}  // namespace detail

/// How many threads gradus uses at most. The default is OpenMP's (OMP_NUM_THREADS, else the processors), up
/// to 1024. The child of a fork() goes on with one thread if a loop ran on several before. (A program whose
/// own OpenMP regions ran before calls set_num_threads(1) in the child.)
inline int num_threads() {
#ifdef _OPENMP
    if (detail::team_lost().load(std::memory_order_relaxed)) return 1;
    const int limit = detail::thread_limit().load(std::memory_order_relaxed);
    return limit > 0 ? limit : std::min(omp_get_max_threads(), detail::most_threads);
#else
    return 1;
#endif
}

/// Limits gradus to `count` threads; the program's own OpenMP settings stay as they are. Results do not
/// depend on this number, bit for bit. Throws ValueError unless 1 <= count <= 1024.
inline void set_num_threads(int count) {
    if (count < 1 || count > detail::most_threads)
        detail::raise<ValueError>("set_num_threads", "needs 1 to 1024 threads", count);
    detail::thread_limit().store(count, std::memory_order_relaxed);
}

/// Work (in elements, or multiply-adds / 8) below which a loop stays on the calling thread: a parallel region
/// costs about a microsecond.
inline constexpr Index parallel_grain = 32768;

/// The size of the blocks when `size` items are cut into an even number of about equal blocks, of at most
/// `most` items, all but the last multiples of `unit`. Two threads that shared one long and one short block
/// would wait for each other longer than they work. Expects `most` to be a multiple of `unit`.
inline Index even_block(Index size, Index most, Index unit = 1) {
    if (size <= most) return most;
    const Index blocks = 2 + (size - 1) / (2 * most) * 2, block = (size - 1) / blocks + 1;
    return (block + unit - 1) / unit * unit;
}

/// How `count` tasks are shared out: thread t of `threads` begins with those from first(t) to first(t + 1). The
/// same share of any two loops is about the same part of the data, so a thread finds in its own cache what it
/// wrote in the loop before.
struct TaskShares {
    Index count;
    int threads;

    Index first(int thread) const {
        return count / threads * thread + std::min<Index>(thread, count % threads);
    }
};

#ifdef _OPENMP
namespace detail {

/// The tasks of one thread that nobody has begun. It takes them from the start; who has none left helps, from
/// the end. The counters of a share lie in a cache line of their own, which mostly stays with that thread.
struct alignas(64) Share {
    Index first = 0, size = 0;
    std::atomic<Index> begun{0}, from_start{0}, from_end{0};

    /// A task, or -1. The last one closes the share.
    Index take(bool own, std::atomic<int>& open) {
        if (begun.load(std::memory_order_relaxed) >= size) return -1;
        const Index before = begun.fetch_add(1);
        if (before >= size) return -1;
        if (before == size - 1) open.fetch_sub(1);
        return first + (own ? from_start.fetch_add(1) : size - 1 - from_end.fetch_add(1));
    }
};

/// Runs tasks 0 ... tasks - 1 on a team of `threads`, of which the first `workers` take part.
inline void run_on_team(int threads, int workers, Index tasks,
                        void (*run)(const void* body, Index task, int worker), const void* body) {
    [[maybe_unused]] static const bool noticed =
        in_child_of_fork([] { team_lost().store(true, std::memory_order_relaxed); });
    std::exception_ptr failure;
    std::atomic<bool> failed{false};
    RecycledVector<Share> shares(static_cast<std::size_t>(workers));
    std::atomic<int> open{workers};  // shares in which there are tasks: there is one for each worker at least
    for (int t = 0; t < workers; ++t) {
        Share& share = shares[static_cast<std::size_t>(t)];
        share.first = TaskShares{tasks, workers}.first(t);
        share.size = TaskShares{tasks, workers}.first(t + 1) - share.first;
    }
    const double start = omp_get_wtime();
    double worked = 0;
#pragma omp parallel num_threads(threads)
    {
        const double arrived = omp_get_wtime();  // later than start if a thread of the team was still away
        const int thread = omp_get_thread_num();
        try {
            for (int k = 0; k < workers && thread < workers && open.load(std::memory_order_relaxed) > 0;
                 ++k) {
                Share& share = shares[static_cast<std::size_t>((thread + k) % workers)];
                for (Index task = 0; !failed.load(std::memory_order_relaxed);) {
                    if ((task = share.take(k == 0, open)) < 0) break;
                    run(body, task, thread);
                }
            }
            if (thread == 0) worked = omp_get_wtime() - arrived;
        } catch (...) {
            if (!failed.exchange(true)) failure = std::current_exception();
        }
    }
    // With fewer tasks than threads, waiting for the one that has the task is no stall.
    if (tasks >= threads) {
        const double end = omp_get_wtime();
        Contention::here().report(end, end - start, worked);
    }
    if (failure) std::rethrow_exception(failure);
}

}  // namespace detail
#endif

namespace detail {

/// How many threads a loop that begins here runs on.
inline int team_threads() {
#ifdef _OPENMP
    if (!in_background() && !omp_in_parallel() && !Contention::here().serial()) return num_threads();
#endif
    return 1;
}

/// parallel_tasks with the type of the body erased: compiled once for the whole program.
[[gnu::noinline]] inline void run_tasks(Index tasks, [[maybe_unused]] int workers,
                                        void (*body)(const void* object, Index task, int worker),
                                        const void* object) {
#ifdef _OPENMP
    // Every loop asks for the same number of threads, though some then idle: OpenMP runtimes end and restart
    // threads when the number changes, which costs far more.
    const int threads = tasks > 1 && workers > 1 ? team_threads() : 1;
    if (threads > 1)
        return run_on_team(threads, static_cast<int>(std::min<Index>(std::min(workers, threads), tasks)),
                           tasks, body, object);
#endif
    for (Index i = 0; i < tasks; ++i) body(object, i, 0);
}

/// parallel_for, the same way.
[[gnu::noinline]] inline void run_blocks(Index size, Index block,
                                         void (*body)(const void* object, Index begin, Index end),
                                         const void* object) {
    if (size <= block) return size > 0 ? body(object, 0, size) : void();
    const auto run = [&](Index i) { body(object, i * block, i * block + std::min(block, size - i * block)); };
    run_tasks(
        1 + (size - 1) / block, most_threads,
        [](const void* f, Index i, int) { (*static_cast<const decltype(run)*>(f))(i); }, &run);
}

}  // namespace detail

/// Calls body(begin, end) for consecutive blocks of [0, size), each of `block` items but the last, on several
/// threads when there is more than one block. The blocks depend on size and block alone, never on the thread
/// count: a body whose result per block is reproducible makes the whole loop reproducible. Serial inside
/// another parallel region. If bodies throw, one of their exceptions reaches the caller after the loop, and
/// blocks not yet begun may be left out. Expects block >= 1.
template <class Body>
void parallel_for(Index size, Index block, const Body& body) {
    const auto call = [](const void* object, Index begin, Index end) {
        (*static_cast<const Body*>(object))(begin, end);
    };
    detail::run_blocks(size, block, call, &body);
}

/// Calls body(task, worker) for tasks 0 ... count - 1, on several threads as parallel_for does. At most
/// `workers` of them take part, and `worker`, which is below that, tells which one: each may keep intermediate
/// results in a part of an array of its own, at the same place in every call.
template <class Body>
void parallel_tasks(Index count, int workers, const Body& body) {
    const auto call = [](const void* object, Index task, int worker) {
        (*static_cast<const Body*>(object))(task, worker);
    };
    detail::run_tasks(count, workers, call, &body);
}

}  // namespace gradus
