// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gradus/distributed/world.hpp"

/// The messages of a world whose processes are threads.
struct ThreadMail {
    explicit ThreadMail(int count) : size(count), notices(static_cast<std::size_t>(count)) {
        for (int i = 0; i < count; ++i) data.emplace_back(static_cast<std::size_t>(count));
    }

    int size;
    std::mutex mutex;
    std::vector<std::vector<std::deque<std::vector<std::byte>>>> data;  // [to][from]
    std::vector<std::deque<gradus::distributed::Notice>> notices;
};

class ThreadTransport final : public gradus::distributed::Transport {
public:
    ThreadTransport(std::shared_ptr<ThreadMail> mail, int rank) : mail_(std::move(mail)), rank_(rank) {}

    int rank() const override { return rank_; }
    int size() const override { return mail_->size; }

    Request send(int to, std::span<const std::byte> bytes) override {
        const std::lock_guard lock(mail_->mutex);
        queue(to, rank_).emplace_back(bytes.begin(), bytes.end());
        expected_.push_back({});
        return expected_.size() - 1;
    }
    Request receive(int from, std::span<std::byte> bytes) override {
        expected_.push_back({from, bytes});
        return expected_.size() - 1;
    }
    bool is_done(Request request) override {
        const Expected& expected = expected_[request];
        if (expected.from < 0) return true;
        const std::lock_guard lock(mail_->mutex);
        auto& waiting = queue(rank_, expected.from);
        if (waiting.empty()) return false;
        if (waiting.front().size() != expected.bytes.size())
            throw gradus::distributed::DistributedError("threads: a message has another size");
        std::copy(waiting.front().begin(), waiting.front().end(), expected.bytes.begin());
        waiting.pop_front();
        return true;
    }

    void send_notice(int to, std::string_view text) override {
        const std::lock_guard lock(mail_->mutex);
        mail_->notices[static_cast<std::size_t>(to)].push_back({rank_, std::string(text)});
    }
    bool take_notice(gradus::distributed::Notice& notice) override {
        const std::lock_guard lock(mail_->mutex);
        auto& notices = mail_->notices[static_cast<std::size_t>(rank_)];
        if (notices.empty()) return false;
        notice = std::move(notices.front());
        notices.pop_front();
        return true;
    }
    void close(bool) override {}

private:
    struct Expected {
        int from = -1;  // below 0: something that was sent
        std::span<std::byte> bytes;
    };

    std::deque<std::vector<std::byte>>& queue(int to, int from) {
        return mail_->data[static_cast<std::size_t>(to)][static_cast<std::size_t>(from)];
    }

    std::shared_ptr<ThreadMail> mail_;
    int rank_;
    std::vector<Expected> expected_;
};

/// Calls f(world) on one thread for each process; returns what each threw: empty for those that did not.
inline std::vector<std::string> in_threads(int count, const gradus::distributed::WorldOptions& options,
                                           const std::function<void(gradus::distributed::World&)>& f) {
    const auto mail = std::make_shared<ThreadMail>(count);
    std::vector<std::string> errors(static_cast<std::size_t>(count));
    std::vector<std::thread> threads;
    for (int rank = 0; rank < count; ++rank)
        threads.emplace_back([&, rank] {
            try {
                gradus::distributed::World world(std::make_unique<ThreadTransport>(mail, rank), options);
                gradus::distributed::run(world, [&] { f(world); });
            } catch (const std::exception& e) {
                errors[static_cast<std::size_t>(rank)] = e.what();
            }
        });
    for (std::thread& thread : threads) thread.join();
    return errors;
}
