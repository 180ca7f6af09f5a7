// SPDX-License-Identifier: MIT
#include "gradus/core/ref_count.hpp"

#include <thread>
#include <vector>

#include "support/test.hpp"

using gradus::detail::RefCount;
using gradus::detail::SpinLock;

TEST_CASE("a count begins with its first owner and tells the last", "[core][ref_count]") {
    RefCount count;
    count.add();
    count.add(2);
    CHECK(count.get() == 4);
    CHECK(count.drop() == 4);
    CHECK(count.drop(2) == 3);
    CHECK(count.get() == 1);
    CHECK(count.drop() == 1);  // the last
    CHECK(RefCount(7).get() == 7);
}

TEST_CASE("owners on several threads are all counted, and one is the last", "[core][ref_count]") {
    RefCount count;
    std::atomic<int> last{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        count.add();
        threads.emplace_back([&] {
            for (int i = 0; i < 10000; ++i) {
                count.add();
                count.drop();
            }
            last += count.drop() == 1;
        });
    }
    last += count.drop() == 1;
    for (std::thread& thread : threads) thread.join();
    CHECK(last == 1);
}

TEST_CASE("a program with threads is not single-threaded", "[core][ref_count]") {
    std::thread([] { CHECK_FALSE(gradus::detail::single_threaded()); }).join();
}

TEST_CASE("one at a time holds a flag", "[core][ref_count]") {
    std::atomic_flag busy = ATOMIC_FLAG_INIT;
    int total = 0;
    const auto count = [&] {
        for (int i = 0; i < 10000; ++i) {
            const SpinLock lock(busy);
            ++total;
        }
    };
    std::thread other(count);
    count();
    other.join();
    CHECK(total == 20000);
}
