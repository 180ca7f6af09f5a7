// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>

#if (defined(__unix__) || defined(__APPLE__)) && !defined(__EMSCRIPTEN__)

#include <pthread.h>
#include <sched.h>

namespace gradus::detail {

/// Has the function called in every child of a fork() from now on. Returns true, to begin a static variable
/// with.
[[gnu::cold]] inline bool in_child_of_fork(void (*call)()) {
    return pthread_atfork(nullptr, nullptr, call) == 0;
}

/// Has fork() wait for the thread that holds flag(). The child has no thread but the one that forked: so it
/// finds the flag free, and what it guards whole. `flag` is a function object without state.
template <class Flag>
[[gnu::cold]] bool hold_at_fork(const Flag&) {
    const auto hold = [] {
        while (Flag()().test_and_set(std::memory_order_acquire)) sched_yield();
    };
    const auto release = [] { Flag()().clear(std::memory_order_release); };
    return pthread_atfork(hold, release, release) == 0;
}

}  // namespace gradus::detail

#else  // nothing forks here

namespace gradus::detail {

inline bool in_child_of_fork(void (*)()) { return true; }
template <class Flag>
bool hold_at_fork(const Flag&) {
    return true;
}

}  // namespace gradus::detail

#endif
