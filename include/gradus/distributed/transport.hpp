// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "gradus/core/error.hpp"

/// Training with several processes: the same weights, bit for bit, for any number of them. See
/// docs/many-machines.md.
namespace gradus::distributed {

/// A process that is missing, stopped or differs from the others, or a message that did not arrive.
class DistributedError : public Error {
public:
    using Error::Error;
};

/// A short text that one process sends to another, beside the data, and without being asked.
struct Notice {
    int from = 0;
    std::string text;
};

/// How bytes get from one process to another: what a World stands on. Nothing here waits; messages between two
/// processes arrive in the order in which they were sent. Failures are thrown as DistributedError.
class Transport {
public:
    using Request = std::size_t;

    Transport() = default;
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;
    virtual ~Transport() = default;

    virtual int rank() const = 0;
    virtual int size() const = 0;

    /// Begin to send and to receive exactly so many bytes, which stay where they are until is_done().
    virtual Request send(int to, std::span<const std::byte> bytes) = 0;
    virtual Request receive(int from, std::span<std::byte> bytes) = 0;

    /// Whether it arrived, or left. A request that is done must not be asked again.
    virtual bool is_done(Request request) = 0;

    virtual void send_notice(int to, std::string_view text) = 0;

    /// Takes the next notice that has come, if there is one.
    virtual bool take_notice(Notice& notice) = 0;

    /// Called once, at the end: in order, when all processes are here; else after a failure, when some may be
    /// gone, and nothing may wait for them.
    virtual void close(bool in_order) = 0;
};

}  // namespace gradus::distributed
