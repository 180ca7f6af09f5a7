// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "gradus/core/shape.hpp"
#include "gradus/distributed/transport.hpp"

namespace gradus::distributed {

struct WorldOptions {
    double deadline = 60;  // seconds after which a process that was waited for counts as missing
};

/// Where processes meet, for the texts of errors: "reduce_gradients ... at step 118".
struct Meeting {
    const char* operation = "";
    Index step = -1;  // below 0: not in a step
};

namespace detail {

using Clock = std::chrono::steady_clock;

/// Lets go of the processor, the longer the longer nothing has come: who waits must not take the time of those
/// that are waited for.
class Pause {
public:
    void operator()() {
        if (polls_++ < 32) return std::this_thread::yield();
        std::this_thread::sleep_for(std::chrono::microseconds(micros_));
        const long longest = polls_ < 500 ? 200 : 2000;
        micros_ = micros_ * 3 / 2 < longest ? micros_ * 3 / 2 : longest;
    }

private:
    int polls_ = 0;
    long micros_ = 20;
};

/// "rank 2 of 4", "ranks 2 and 3 of 4"
[[gnu::cold]] inline std::string ranks_text(const std::vector<int>& ranks, int size) {
    std::string text = ranks.size() == 1 ? "rank " : "ranks ";
    for (std::size_t i = 0; i < ranks.size(); ++i)
        text += gradus::detail::text_of({i == 0 ? "" : i + 1 == ranks.size() ? " and " : ", ", ranks[i]});
    return gradus::detail::text_of({text, " of ", size});
}

[[gnu::cold]] inline std::string place_of(const Meeting& at) {
    return at.step < 0 ? "" : gradus::detail::text_of({" at step ", at.step});
}

/// The connection that all copies of a World share. A notice begins with its kind: a process that is waiting
/// and asks who else is (w), one that stopped and says why (s), and one that has heard of that (k).
class Connection {
public:
    Connection(std::unique_ptr<Transport> transport, const WorldOptions& options)
        : transport_(std::move(transport)), options_(options), unwinding_(std::uncaught_exceptions()) {
        if (!(options.deadline > 0))
            gradus::detail::raise<ValueError>("world", "the deadline must be above 0 seconds",
                                              options.deadline);
        heard_.resize(static_cast<std::size_t>(size()));
        knows_.resize(static_cast<std::size_t>(size()));
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    [[gnu::cold]] ~Connection() {
        try {
            if (!failed_ && std::uncaught_exceptions() > unwinding_) stop("an exception ended it");
            if (!failed_) any(false, {"the end of the world"}, 10);  // the first one may still write a report
        } catch (const DistributedError&) {                          // which who is left cannot change
        }
        if (failed_) linger();
        try {
            transport_->close(!failed_);
        } catch (const DistributedError&) {
        }
    }

    int rank() const { return transport_->rank(); }
    int size() const { return transport_->size(); }
    const WorldOptions& options() const { return options_; }

    void exchange(int to, std::span<const std::byte> out, int from, std::span<std::byte> in,
                  const Meeting& at, int patience = 1) {
        if (failed_) [[unlikely]]
            throw DistributedError(failure_);
        Transport::Request requests[2];
        requests[0] = transport_->receive(from, in);
        requests[1] = transport_->send(to, out);
        wait(requests, at, options_.deadline * patience);
    }

    /// Tells all others that this process ends, and why.
    [[gnu::cold]] void stop(std::string_view why) {
        if (failed_) return;
        fail(gradus::detail::text_of({"rank ", rank(), " of ", size(), " stopped: ", why}), "s");
    }

    /// Whether it is true in any process.
    bool any(bool own, const Meeting& at, int patience = 1) {
        std::byte out{own}, in{};
        for (int distance = 1; distance < size(); distance *= 2) {
            exchange((rank() + distance) % size(), {&out, 1}, (rank() + size() - distance) % size(), {&in, 1},
                     at, patience);
            out |= in;
        }
        return out != std::byte{0};
    }

private:
    void wait(Transport::Request (&requests)[2], const Meeting& at, const double deadline) {
        const Clock::time_point start = Clock::now();
        bool done[2] = {}, asked = false;
        double limit = deadline;
        for (Pause pause;; pause()) {
            for (int i = 0; i < 2; ++i) done[i] = done[i] || transport_->is_done(requests[i]);
            if (done[0] && done[1]) return;
            if (read_notices() && !asked) tell("w"), asked = true;
            if (std::chrono::duration<double>(Clock::now() - start).count() < limit) continue;
            if (limit > deadline) give_up(at);
            limit += options_.deadline < 4 ? options_.deadline / 4 : 1;  // for answers
            if (!asked) tell("w");
            asked = true;
        }
    }

    /// Says whether somebody asks who is waiting. Throws if somebody stopped.
    bool read_notices() {
        bool asked = false;
        for (Notice notice; transport_->take_notice(notice);) {
            const auto from = static_cast<std::size_t>(notice.from);
            const char kind = notice.text.empty() ? 0 : notice.text[0];
            if (kind == 'w') heard_[from] = asked = true;
            if (kind == 'k') knows_[from] = true;
            if (kind == 's') {
                knows_[from] = true;
                if (!failed_) fail(notice.text.substr(1), "k");
            }
        }
        if (failed_) throw DistributedError(failure_);
        return asked;
    }

    [[noreturn, gnu::cold]] void give_up(const Meeting& at) {
        std::vector<int> missing;
        for (int r = 0; r < size(); ++r)
            if (r != rank() && !heard_[static_cast<std::size_t>(r)]) missing.push_back(r);
        char seconds[32];
        std::snprintf(seconds, sizeof seconds, "%g", options_.deadline);
        if (missing.empty())
            fail(gradus::detail::text_of(
                     {at.operation, ": rank ", rank(), " of ", size(), " waited for ", seconds, " s",
                      place_of(at),
                      ", and all others wait elsewhere: does every process make the same calls?"}),
                 "s");
        else
            fail(gradus::detail::text_of({at.operation, ": ", ranks_text(missing, size()),
                                          " did not arrive within ", seconds, " s", place_of(at)}),
                 "s");
        for (const int r : missing) knows_[static_cast<std::size_t>(r)] = true;  // nobody to wait for
        throw DistributedError(failure_);
    }

    /// `kind` is what the others hear of it.
    [[gnu::cold]] void fail(std::string text, const char* kind) {
        failed_ = true;
        failure_ = std::move(text);
        tell(kind + failure_);
    }

    [[gnu::cold]] void tell(const std::string& text) {
        for (int r = 0; r < size(); ++r)
            if (r != rank()) try {
                    transport_->send_notice(r, text);
                } catch (const DistributedError&) {  // it is gone
                }
    }

    /// Launchers end all processes when the first one goes: everyone waits until all know why.
    [[gnu::cold]] void linger() {
        const Clock::time_point end =
            Clock::now() + std::chrono::milliseconds(
                               static_cast<long>(options_.deadline < 2 ? options_.deadline * 1000 : 2000));
        for (Pause pause; Clock::now() < end; pause()) {
            try {
                read_notices();
            } catch (const DistributedError&) {
            }
            int known = 0;
            for (const bool knows : knows_) known += knows;
            if (known >= size() - 1) break;
        }
    }

    std::unique_ptr<Transport> transport_;
    WorldOptions options_;
    int unwinding_;
    bool failed_ = false;
    std::string failure_;
    std::vector<bool> heard_, knows_;
};

}  // namespace detail

/// The processes that train together: how many there are, which one this is, and how they talk. It is a value
/// whose copies mean the same processes. A default one is of this process alone; everything costs nothing then.
///
///     distributed::World world = distributed::mpi_world();  // gradus/distributed/mpi.hpp
///     if (world.is_first()) std::printf("%d processes\n", world.size());
///
/// Every call below has to be made by all processes, in the same order. One that has to wait for longer than the
/// deadline throws DistributedError, which names the process that did not come and where:
///
///     reduce_gradients: rank 2 of 4 did not arrive within 60 s at step 118
///
/// A process that ends with an exception tells the others (see run()), and those throw its text at their next
/// call. After a failure every call throws it again. For one thread at a time.
class World {
public:
    World() = default;
    /// For whoever brings a transport of their own. Throws ValueError unless the deadline is above 0.
    explicit World(std::unique_ptr<Transport> transport, const WorldOptions& options = {})
        : connection_(std::make_shared<detail::Connection>(std::move(transport), options)) {}

    int rank() const { return connection_ ? connection_->rank() : 0; }
    int size() const { return connection_ ? connection_->size() : 1; }
    bool is_first() const { return rank() == 0; }  // the one that prints and saves

    /// Sends bytes to one process and receives as many as expected from one, at the same time: neither blocks
    /// the other.
    void exchange(int to, std::span<const std::byte> out, int from, std::span<std::byte> in,
                  const Meeting& at) const {
        if (connection_) connection_->exchange(to, out, from, in, at);
    }

    /// The same with texts of any length, each of which may be bytes.
    [[gnu::cold]] std::string exchange_text(int to, std::string_view out, int from, const Meeting& at) const {
        if (!connection_) return std::string(out);
        std::size_t sizes[2] = {out.size(), 0};
        exchange(to, std::as_bytes(std::span(sizes, 1)), from,
                 std::as_writable_bytes(std::span(sizes + 1, 1)), at);
        std::string in(sizes[1], '\0');
        exchange(to, std::as_bytes(std::span(out)), from, std::as_writable_bytes(std::span(in)), at);
        return in;
    }

    /// The texts of all processes, in the order of their ranks. log₂ size() messages each.
    /// Source: Bruck et al., "Efficient algorithms for all-to-all communications in multiport message-passing
    /// systems", 1997.
    [[gnu::cold]] std::vector<std::string> all_gather(std::string own, const Meeting& at) const {
        const int n = size();
        std::vector<std::string> texts{std::move(own)};  // of rank(), rank() + 1, ...
        for (int distance = 1; distance < n; distance *= 2) {
            const int count = distance < n - distance ? distance : n - distance;
            std::string out;
            for (int i = 0; i < count; ++i) {
                const std::string& text = texts[static_cast<std::size_t>(i)];
                const std::size_t length = text.size();
                out.append(reinterpret_cast<const char*>(&length), sizeof length).append(text);
            }
            const std::string in =
                exchange_text((rank() + n - distance) % n, out, (rank() + distance) % n, at);
            for (std::size_t from = 0, length = 0; from + sizeof length <= in.size(); from += length) {
                std::memcpy(&length, in.data() + from, sizeof length);
                texts.push_back(in.substr(from += sizeof length, length));
            }
        }
        std::vector<std::string> in_order(static_cast<std::size_t>(n));
        for (int i = 0; i < n; ++i)
            in_order[static_cast<std::size_t>((rank() + i) % n)] =
                std::move(texts[static_cast<std::size_t>(i)]);
        return in_order;
    }

    /// Whether it is true in any process: to stop together, say.
    bool any(bool own, const Meeting& at) const { return connection_ ? connection_->any(own, at) : own; }

    /// Tells all others that this process ends, and why. Every later call throws.
    void stop(std::string_view why) const {
        if (connection_) connection_->stop(why);
    }

private:
    std::shared_ptr<detail::Connection> connection_;
};

/// Calls f() and, if it throws, tells the other processes what, so that they end with the same text and not at
/// their deadline. Throws it on.
///
///     int main() {
///         distributed::World world = distributed::mpi_world();
///         distributed::run(world, [&] { train(world); });
///     }
template <class F>
void run(const World& world, const F& f) {
    try {
        f();
    } catch (const std::exception& e) {
        world.stop(e.what());
        throw;
    }
}

}  // namespace gradus::distributed
