// SPDX-License-Identifier: MIT
#pragma once

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <thread>

namespace bench {

inline void pin_to(std::size_t processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

/// Nanoseconds in which a cache line goes from the first processor of this program to the last and back; 0 if
/// there is but one. Below 250, they share a cache: a virtual machine may move from one state to the other
/// within seconds. The fastest of many short exchanges, since other programs may have either processor.
inline double round_trip_ns() {
    cpu_set_t allowed;
    pthread_getaffinity_np(pthread_self(), sizeof allowed, &allowed);
    if (CPU_COUNT(&allowed) < 2) return 0;
    std::size_t first = 0, last = CPU_SETSIZE - 1;
    while (!CPU_ISSET(first, &allowed)) ++first;
    while (!CPU_ISSET(last, &allowed)) --last;

    constexpr int exchanges = 40, length = 100;
    alignas(64) std::atomic<int> turn{0};
    const auto wait_for = [&turn](int value) {
        while (turn.load(std::memory_order_acquire) != value) {
        }
    };
    std::thread other([&] {
        pin_to(last);
        for (int i = 0; i < exchanges * length; ++i) {
            wait_for(2 * i + 1);
            turn.store(2 * i + 2, std::memory_order_release);
        }
    });
    pin_to(first);
    double fastest = 1e9;
    for (int exchange = 0; exchange < exchanges; ++exchange) {
        const auto start = std::chrono::steady_clock::now();
        for (int i = exchange * length; i < (exchange + 1) * length; ++i) {
            turn.store(2 * i + 1, std::memory_order_release);
            wait_for(2 * i + 2);
        }
        const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
        fastest = std::min(fastest, taken.count() / length);
    }
    other.join();
    pthread_setaffinity_np(pthread_self(), sizeof allowed, &allowed);
    return fastest;
}

}  // namespace bench
