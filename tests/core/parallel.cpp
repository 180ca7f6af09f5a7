// SPDX-License-Identifier: MIT
#include "gradus/core/parallel.hpp"

#if defined(__unix__)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <atomic>
#include <chrono>
#include <limits>
#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/test.hpp"
#include "support/threads.hpp"

using gradus::Index;
using gradus::parallel_for;

namespace {

using Blocks = std::set<std::pair<Index, Index>>;

Blocks blocks_of(Index size, Index block) {
    Blocks blocks;
    std::mutex mutex;
    parallel_for(size, block, [&](Index begin, Index end) {
        const std::lock_guard lock(mutex);
        CHECK(blocks.emplace(begin, end).second);
    });
    return blocks;
}

}  // namespace

TEST_CASE("parallel_for covers everything once, in blocks that ignore the thread count", "[core][parallel]") {
    for (const int threads : {1, 2, 3, 5}) {
        const Threads limit(threads);
        CHECK(gradus::num_threads() == threads);
        CHECK(blocks_of(10, 3) == Blocks{{0, 3}, {3, 6}, {6, 9}, {9, 10}});
        CHECK(blocks_of(9, 3) == Blocks{{0, 3}, {3, 6}, {6, 9}});
        CHECK(blocks_of(2, 3) == Blocks{{0, 2}});
        CHECK(blocks_of(1, 1) == Blocks{{0, 1}});
        CHECK(blocks_of(4, std::numeric_limits<Index>::max()) == Blocks{{0, 4}});
        CHECK(blocks_of(1000, 1).size() == 1000);
    }
}

TEST_CASE("parallel_for of nothing calls nothing", "[core][parallel]") {
    CHECK(blocks_of(0, 3).empty());
    CHECK(blocks_of(-5, 3).empty());
}

TEST_CASE("a loop over huge numbers does not overflow", "[core][parallel]") {
    constexpr Index most = std::numeric_limits<Index>::max();
    CHECK(blocks_of(most, most - 1) == Blocks{{0, most - 1}, {most - 1, most}});
}

TEST_CASE("a sum by blocks has the same bits for any thread count", "[core][parallel]") {
    std::vector<float> values(100000);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = 1.0f / static_cast<float>(i + 1);
    const auto sum = [&](int threads) {
        const Threads limit(threads);
        std::vector<float> parts(100);
        parallel_for(100000, 1000, [&](Index begin, Index end) {
            parts[static_cast<std::size_t>(begin / 1000)] =
                std::accumulate(values.begin() + begin, values.begin() + end, 0.0f);
        });
        return std::accumulate(parts.begin(), parts.end(), 0.0f);
    };
    CHECK(sum(1) == sum(2));
    CHECK(sum(1) == sum(3));
}

TEST_CASE("tasks are shared out evenly, in their order", "[core][parallel]") {
    for (const Index count : {0, 1, 2, 5, 64, 1000})
        for (const int threads : {1, 2, 3, 4, 8, 16, 64}) {
            const gradus::TaskShares shares{count, threads};
            CHECK(shares.first(0) == 0);
            CHECK(shares.first(threads) == count);
            for (int t = 0; t < threads; ++t) {
                const Index size = shares.first(t + 1) - shares.first(t);
                CHECK((size == count / threads || size == count / threads + 1));
            }
        }
    // The same part of the data, whatever the number of tasks into which a loop cuts it: half of it here.
    CHECK(gradus::TaskShares{16, 2}.first(1) == 8);
    CHECK(gradus::TaskShares{96, 2}.first(1) == 48);
    CHECK(gradus::TaskShares{std::numeric_limits<Index>::max(), 1024}.first(1024) ==
          std::numeric_limits<Index>::max());
}

TEST_CASE("parallel_tasks runs every task once, on so many workers", "[core][parallel]") {
    for (const int threads : {1, 2, 3, 5})
        for (const int workers : {1, 2, 4})
            for (const Index count : {0, 1, 2, 7, 500}) {
                const Threads limit(threads);
                std::vector<std::atomic<int>> hits(static_cast<std::size_t>(count));
                std::vector<std::atomic<int>> busy(4);
                std::atomic<bool> alone{true};
                gradus::parallel_tasks(count, workers, [&](Index task, int worker) {
                    if (worker < 0 || worker >= workers || worker >= threads)
                        throw std::out_of_range("worker");
                    if (++busy[static_cast<std::size_t>(worker)] != 1) alone = false;
                    ++hits[static_cast<std::size_t>(task)];
                    --busy[static_cast<std::size_t>(worker)];
                });
                CHECK(alone);  // no two tasks of a worker at once: what it has in memory is its own
                for (const auto& hit : hits) CHECK(hit == 1);
            }
}

TEST_CASE("parallel_tasks: who is ready helps who is not", "[core][parallel]") {
    const Threads limit(2);
    // One task waits for all others, those of its own thread among them, wherever it lies.
    for (const Index slow : {0, 3, 4, 7}) {
        if (gradus::detail::team_threads() == 1)
            continue;  // nobody is there: without OpenMP, or on a busy machine
        std::atomic<int> done{0};
        std::atomic<bool> late{false};
        gradus::parallel_tasks(8, 2, [&](Index task, int) {
            if (task != slow) {
                ++done;
                return;
            }
            const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
            while (done < 7 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
            late = done < 7;
        });
        CHECK_FALSE(late);
    }
}

TEST_CASE("an exception in any block reaches the caller with its text", "[core][parallel]") {
    for (const int threads : {1, 2, 3}) {
        const Threads limit(threads);
        for (const Index bad : {0, 7, 63}) {
            const auto loop = [&] {
                parallel_for(64, 1, [&](Index begin, Index) {
                    if (begin == bad)
                        throw gradus::ValueError("block: no good: got " + std::to_string(begin));
                });
            };
            CHECK_THROWS_MATCHES(loop(), gradus::ValueError,
                                 Message("block: no good: got " + std::to_string(bad)));
        }
    }
}

TEST_CASE("when all blocks throw, one exception arrives and the next loop works", "[core][parallel]") {
    const Threads limit(3);
    CHECK_THROWS_AS(parallel_for(100, 1, [](Index, Index) { throw std::runtime_error("each"); }),
                    std::runtime_error);
    CHECK_THROWS_AS(parallel_for(100, 1, [](Index, Index) { throw 42; }), int);
    CHECK(blocks_of(100, 10).size() == 10);
}

TEST_CASE("a loop inside a loop is serial and complete", "[core][parallel]") {
    const Threads limit(3);
    std::vector<std::atomic<int>> hits(36);
    std::atomic<bool> stayed{true};
    parallel_for(6, 1, [&](Index outer, Index) {
        const auto thread = std::this_thread::get_id();
        parallel_for(6, 1, [&](Index inner, Index) {
            if (std::this_thread::get_id() != thread) stayed = false;
            ++hits[static_cast<std::size_t>(outer * 6 + inner)];
        });
    });
    CHECK(stayed);
    for (const auto& hit : hits) CHECK(hit == 1);
}

TEST_CASE("an exception passes through nested loops", "[core][parallel]") {
    const Threads limit(2);
    const auto loop = [] {
        parallel_for(4, 1, [](Index, Index) {
            parallel_for(4, 1, [](Index inner, Index) {
                if (inner == 2) throw gradus::ShapeError("inner: failed");
            });
        });
    };
    CHECK_THROWS_MATCHES(loop(), gradus::ShapeError, Message("inner: failed"));
}

TEST_CASE("several threads of the program may run loops at once", "[core][parallel]") {
    const Threads limit(2);
    std::vector<Index> sums(4);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < sums.size(); ++t)
        threads.emplace_back([&sums, t] {
            for (int round = 0; round < 20; ++round) {
                std::vector<Index> parts(10);
                parallel_for(1000, 100, [&](Index begin, Index end) {
                    for (Index i = begin; i < end; ++i) parts[static_cast<std::size_t>(begin / 100)] += i;
                });
                sums[t] += std::accumulate(parts.begin(), parts.end(), Index{0});
            }
        });
    for (std::thread& thread : threads) thread.join();
    for (const Index sum : sums) CHECK(sum == 20 * 499500);
}

TEST_CASE("set_num_threads refuses what makes no sense", "[core][parallel]") {
    const int before = gradus::num_threads();
    CHECK_THROWS_MATCHES(gradus::set_num_threads(0), gradus::ValueError,
                         Message("set_num_threads: needs 1 to 1024 threads: got 0"));
    CHECK_THROWS_MATCHES(gradus::set_num_threads(-2), gradus::ValueError,
                         Message("set_num_threads: needs 1 to 1024 threads: got -2"));
    CHECK_THROWS_MATCHES(gradus::set_num_threads(1025), gradus::ValueError,
                         Message("set_num_threads: needs 1 to 1024 threads: got 1025"));
    CHECK(gradus::num_threads() == before);
}

#ifdef _OPENMP
TEST_CASE("OpenMP's number of threads is capped as that of set_num_threads", "[core][parallel]") {
    int number = 0;
    std::thread([&number] {  // the setting holds for the thread that makes it
        const int before = gradus::detail::thread_limit().exchange(0);
        omp_set_num_threads(65536);  // as OMP_NUM_THREADS=65536 does
        number = gradus::num_threads();
        gradus::detail::thread_limit() = before;
    })
        .join();
    CHECK(number == 1024);
}
#endif

#if defined(__unix__)
TEST_CASE("fork: the child of a program that used several threads goes on with one", "[core][parallel]") {
    const Threads limit(2);
    CHECK(blocks_of(100, 10).size() == 10);
    int failures = 0;
    for (int round = 0; round < 20 && failures == 0; ++round) {
        const pid_t child = fork();
        if (child == 0) {
            alarm(10);      // ends a child that hangs
            Index sum = 0;  // no data race: there is one thread
            parallel_for(100, 10, [&sum](Index begin, Index end) { sum += end - begin; });
            gradus::set_num_threads(4);  // does not bring the others back
            parallel_for(100, 10, [&sum](Index begin, Index end) { sum += end - begin; });
            _exit(sum == 200 && gradus::num_threads() == 1 ? 0 : 1);
        }
        int status = -1;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) ++failures;
        CHECK(blocks_of(100, 10).size() == 10);  // the parent has all its threads
        CHECK(gradus::num_threads() == 2);
    }
    CHECK(failures == 0);
}
#endif

TEST_CASE("even blocks", "[core][parallel]") {
    CHECK(gradus::even_block(0, 10) == 10);
    CHECK(gradus::even_block(10, 10) == 10);
    CHECK(gradus::even_block(11, 10) == 6);
    CHECK(gradus::even_block(20, 10) == 10);
    CHECK(gradus::even_block(21, 10) == 6);
    CHECK(gradus::even_block(3, 1) == 1);
    CHECK(gradus::even_block(38400, 32768, 64) == 19200);
    CHECK(gradus::even_block(70001, 32768, 64) == 17536);
    for (const Index most : {1, 7, 64})
        for (Index size = most + 1; size < 500; ++size) {
            const Index block = gradus::even_block(size, most);
            const bool fits = block >= 1 && block <= most;
            CHECK(fits);
        }
}
