// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#if defined(__GLIBCXX__) && !defined(_GLIBCXX_HAS_GTHREADS)
#define GRADUS_NO_STD_THREAD  // MinGW without a threads library
#else
#include <condition_variable>
#include <mutex>
#include <thread>
#endif

#if defined(__linux__)
#include <sys/resource.h>
#endif

#include "gradus/core/parallel.hpp"
#include "gradus/data/set_loader.hpp"

namespace gradus::data {

struct PrefetchOptions {
    Index ahead = 2;  // batches that are made before they are asked for
};

namespace detail {

#if defined(GRADUS_NO_STD_THREAD)
inline constexpr bool has_threads = false;

/// Every batch when it is asked for.
template <class Range>
class Prefetcher {
public:
    Prefetcher(Range range, Index) : range_(std::move(range)) {}
    const Range& range() const { return range_; }
    BatchIn<Range> get(Index i) const { return range_[i]; }

private:
    Range range_;
};
#else
inline constexpr bool has_threads = true;

/// Makes batches of a range on one thread, in order, a few ahead of the one that is asked for.
///
/// That thread must not slow down those that compute: its loops run on it alone, and (on Linux) its priority
/// is lower. So that nobody waits for a thread that gets no processor, a batch that is asked for is made by
/// who asks for it, with all threads, if the other one has not begun it, or does not bring it in the time
/// that this took before. Which of them made it cannot be seen: a batch is a pure function.
template <class Range>
class Prefetcher {
    using Made = BatchIn<Range>;
    using Clock = std::chrono::steady_clock;

public:
    Prefetcher(Range range, Index ahead) : range_(std::move(range)), size_(range_.size()), ahead_(ahead) {}
    ~Prefetcher() {
        if (!worker_.joinable()) return;
        {
            const std::lock_guard lock(mutex_);
            stop_ = true;
        }
        work_.notify_one();
        worker_.join();
    }
    Prefetcher(const Prefetcher&) = delete;
    Prefetcher& operator=(const Prefetcher&) = delete;

    const Range& range() const { return range_; }

    Made get(Index i) {
        if (i < 0 || i >= size_) return range_[i];  // which says what is wrong
        std::unique_lock turn(turn_);               // one at a time asks
        std::unique_lock lock(mutex_);
        if (i != expected_) {  // another order than one after the other: begin anew from here
            made_.clear();
            ++course_;
            next_ = i;
        }
        expected_ = i + 1;
        const auto made = [&] { return !made_.empty(); };
        if (!made() && !(making_ == i && ready_.wait_for(lock, patience_, made))) {
            ++course_;
            next_ = i + 1;
            start();
            lock.unlock();
            turn.unlock();
            work_.notify_one();
            return make_here(i);
        }
        Slot slot = std::move(made_.front());
        made_.pop_front();
        lock.unlock();
        work_.notify_one();
        if (slot.failure) std::rethrow_exception(slot.failure);
        return std::move(*slot.batch);
    }

private:
    struct Slot {
        std::optional<Made> batch;
        std::exception_ptr failure;
    };

    Made make_here(Index i) {
        const auto start = Clock::now();
        Made batch = range_[i];
        const std::lock_guard lock(mutex_);
        patience_ = Clock::now() - start + std::chrono::milliseconds(1);
        return batch;
    }

    void start() {
        if (worker_.joinable() || ahead_ == 0 || next_ >= size_) return;
        try {
            worker_ = std::thread([this] { run(); });
        } catch (const std::system_error&) {  // no thread to be had: batches are made when they are asked for
            ahead_ = 0;
        }
    }

    void run() {
        gradus::detail::in_background() = true;
#if defined(__linux__)
        // Of this thread alone. Enough to begin reading while all processors compute, as SCHED_IDLE is not,
        // and to take a tenth of one at most.
        static_cast<void>(setpriority(PRIO_PROCESS, 0, std::min(getpriority(PRIO_PROCESS, 0) + 10, 19)));
#endif
        std::unique_lock lock(mutex_);
        for (;;) {
            work_.wait(lock,
                       [&] { return stop_ || (next_ < size_ && static_cast<Index>(made_.size()) < ahead_); });
            if (stop_) return;
            const Index i = making_ = next_++, course = course_;
            lock.unlock();
            Slot slot = make(i);
            lock.lock();
            making_ = -1;
            if (course == course_) made_.push_back(std::move(slot));
            ready_.notify_one();
        }
    }

    Slot make(Index i) const noexcept {
        try {
            return {range_[i], nullptr};
        } catch (...) {
            return {std::nullopt, std::current_exception()};
        }
    }

    const Range range_;
    const Index size_;
    Index ahead_;
    std::mutex turn_, mutex_;
    std::condition_variable work_, ready_;
    std::deque<Slot> made_;  // batches from `expected_` on
    Index expected_ = -1;    // the one after that which was asked for last
    Index next_ = 0;         // to be made by the thread
    Index making_ = -1;      // what the thread is at
    Index course_ = 0;       // changes when what the thread is at is not wanted any more
    Clock::duration patience_ = std::chrono::milliseconds(1);
    bool stop_ = false;
    std::thread worker_;
};
#endif
#undef GRADUS_NO_STD_THREAD

template <class Range>
class PrefetchedEpoch {
public:
    using Iterator = BatchIterator<PrefetchedEpoch>;

    PrefetchedEpoch(Range range, Index ahead)
        : prefetcher_(std::make_shared<Prefetcher<Range>>(std::move(range), ahead)) {}

    Index size() const { return range().size(); }
    BatchIn<Range> operator[](Index i) const { return prefetcher_->get(i); }

    Tensor<Index> rows(Index i) const requires requires(const Range& range) { range.rows(i); }
    { return range().rows(i); }
    Tensor<Index> repeats(Index i) const requires requires(const Range& range) { range.repeats(i); }
    { return range().repeats(i); }

    Iterator begin() const {
        if (size() == 0) static_cast<void>(range().begin());  // which says why
        return Iterator(*this);
    }
    EndOfBatches end() const { return {}; }

private:
    const Range& range() const { return prefetcher_->range(); }

    std::shared_ptr<Prefetcher<Range>> prefetcher_;
};

template <BatchSource L>
class PrefetchedLoader {
public:
    PrefetchedLoader(L loader, Index ahead) : loader_(std::move(loader)), ahead_(ahead) {}

    PrefetchedEpoch<EpochOf<L>> epoch(Index number) const { return {loader_.epoch(number), ahead_}; }
    Index size() const requires requires(const L& loader) { loader.size(); }
    { return loader_.size(); }

private:
    L loader_;
    Index ahead_;
};

}  // namespace detail

/// The same batches, made in the background while the program computes: for what reads files or decodes
/// images.
///
///     const auto batches = data::prefetch(data::map(loader, augmentation));
///     for (auto& [images, labels] : batches.epoch(epoch)) ...
///
/// Each epoch has one thread, from the first batch that is asked for to the end of the range; it is not
/// counted by num_threads(), runs loops on itself alone and, on Linux, yields to the threads that compute.
/// What it throws arrives where the batch is asked for. Random access works as before: going on from
/// epoch(e)[i] makes batch i and those behind it, and none before. What the loader calls (a set, a function
/// given to map()) runs on that thread, one call at a time; after a jump and at the first batch, possibly
/// beside another one on the thread that asks.
/// Throws ValueError if `ahead` is negative; 0 makes every batch when it is asked for.
template <BatchSource L>
auto prefetch(L loader, const PrefetchOptions& options = {}) {
    if (options.ahead < 0)
        gradus::detail::raise<ValueError>("prefetch", "ahead must be at least 0", options.ahead);
    return detail::PrefetchedLoader<L>(std::move(loader), options.ahead);
}

}  // namespace gradus::data
