// SPDX-License-Identifier: MIT
#pragma once

#include <sched.h>

#include <atomic>
#include <cstdint>

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

namespace gradus::detail {

/// True while the program has one thread: what would have to be atomic can then be done at a quarter of the
/// cost. The C library knows; where it does not tell, the answer is no.
inline bool single_threaded() {
#if __has_include(<sys/single_threaded.h>)
    return __libc_single_threaded;
#else
    return false;
#endif
}

/// How many owners an object has; it begins with `first` of them.
class RefCount {
public:
    explicit RefCount(std::int64_t first = 1) : count_(first) {}

    void add(std::int64_t owners = 1) noexcept {
        if (single_threaded())
            count_.store(count_.load(std::memory_order_relaxed) + owners, std::memory_order_relaxed);
        else
            count_.fetch_add(owners, std::memory_order_relaxed);
    }

    /// How many there were before. The last need not write: nobody else can reach the count.
    std::int64_t drop(std::int64_t owners = 1) noexcept {
        const std::int64_t before = get();
        if (before == owners) return before;
        if (!single_threaded()) return count_.fetch_sub(owners, std::memory_order_acq_rel);
        count_.store(before - owners, std::memory_order_relaxed);
        return before;
    }

    std::int64_t get() const noexcept { return count_.load(std::memory_order_acquire); }

private:
    std::atomic<std::int64_t> count_;
};

/// Holds a flag while it lives, unless the program has one thread when it begins.
class SpinLock {
public:
    [[nodiscard]] explicit SpinLock(std::atomic_flag& flag) noexcept
        : flag_(single_threaded() ? nullptr : &flag) {
        while (flag_ && flag_->test_and_set(std::memory_order_acquire)) sched_yield();
    }
    ~SpinLock() {
        if (flag_) flag_->clear(std::memory_order_release);
    }
    SpinLock(const SpinLock&) = delete;
    SpinLock& operator=(const SpinLock&) = delete;

private:
    std::atomic_flag* flag_;
};

}  // namespace gradus::detail
