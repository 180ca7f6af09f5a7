// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gradus/core/separate.hpp"
#include "gradus/training/checkpoint.hpp"

namespace gradus::training {

/// Saves checkpoints in the background. The call takes what the parts are at this moment and returns: tensors
/// are values, so what the program changes from then on gets memory of its own, and the thread that writes sees
/// the old bits. The first step after a call pays for that with a copy of what it changes.
///
///     training::AsyncCheckpoint checkpoint;
///     ...
///     checkpoint.save("last.safetensors", {epoch, batch + 1, step}, net, adam);
///     ...
///     checkpoint.wait();  // what was saved is on the disk, or this throws
///
/// If the disk is slower than the program saves, the newest state of a file takes the place of one that still
/// waits, and with two other files waiting the call waits, too.
///
/// A failure does not stop the training: save() and wait() throw it once, the next time that one is called, and
/// failed() stays true, so that the program can end with exit code 1. The file that was there before is still
/// there. The destructor waits until all is written; ask wait() before to hear of failures.
///
/// For one thread at a time.
class AsyncCheckpoint {
public:
    AsyncCheckpoint() = default;
    AsyncCheckpoint(const AsyncCheckpoint&) = delete;
    AsyncCheckpoint& operator=(const AsyncCheckpoint&) = delete;
    [[gnu::cold]] ~AsyncCheckpoint() {
        if (thread_.joinable()) thread_.join();
    }

    /// As save_checkpoint(), in the background. Throws the failure of an earlier one, after this one was taken.
    template <class... Parts>
    void save(const std::string& path, const Position& position, const Parts&... parts) {
        save(path, detail::state_to_save(path, position, parts...));
    }

    /// The same for a state that the program put together.
    [[gnu::cold]] void save(const std::string& path, State state);

    /// Waits until all is written. Throws the failure of one.
    [[gnu::cold]] void wait();

    /// Whether any save failed so far.
    bool failed() const;

private:
    struct Save {
        std::string path;
        State state;
    };
    static constexpr std::size_t most_waiting = 2;

    // A thread of its own for every time of writing: what it frees of small memory goes back to all with its end.
    [[gnu::cold]] void write_all();

    [[gnu::cold]] void rethrow();

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Save> waiting_;   // in the order in which they are written
    std::exception_ptr failure_;  // that nobody was told of
    bool failed_ = false, running_ = false;
    std::thread thread_;
};

}  // namespace gradus::training

#if !GRADUS_SEPARATE
#include "gradus/training/async_checkpoint.inc"
#endif
