// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>

#if (defined(__unix__) || defined(__APPLE__)) && !defined(__EMSCRIPTEN__)
#include <pthread.h>
#include <sched.h>
#endif

namespace gradus::detail {

/// Has these functions (nullptr: none) called around every fork() of the program: before it, and after it in
/// the parent and in the child. Returns true, to begin a static variable with.
[[gnu::cold]] inline bool at_fork([[maybe_unused]] void (*before)(), [[maybe_unused]] void (*in_parent)(),
                                  [[maybe_unused]] void (*in_child)()) {
#if (defined(__unix__) || defined(__APPLE__)) && !defined(__EMSCRIPTEN__)
    pthread_atfork(before, in_parent, in_child);
#endif
    return true;
}

/// Has fork() wait for the thread that holds flag(). The child has no thread but the one that forked: so it
/// finds the flag free, and what it guards whole. `flag` is a function object without state.
template <class Flag>
bool hold_at_fork(const Flag&) {
    const auto release = [] { Flag()().clear(std::memory_order_release); };
    return at_fork(
        [] {
            while (Flag()().test_and_set(std::memory_order_acquire)) sched_yield();
        },
        release, release);
}

}  // namespace gradus::detail
