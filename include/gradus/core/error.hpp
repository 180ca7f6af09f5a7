// SPDX-License-Identifier: MIT
#pragma once

#include <stdexcept>
#include <string>

/// Train neural networks on the CPU. Everything public lives in this namespace; see docs/pytorch.md for a
/// map.
namespace gradus {

/// Base of everything gradus throws. The text reads "operation: rule that was broken: what was given".
class Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Shapes that do not fit each other or the operation.
class ShapeError : public Error {
public:
    using Error::Error;
};

/// A number, option or label outside its range.
class ValueError : public Error {
public:
    using Error::Error;
};

/// A file that is missing, unreadable, truncated or not what its name promises.
class IoError : public Error {
public:
    using Error::Error;
};

/// A gradient asked for where there is none, or history that was already released.
class GraphError : public Error {
public:
    using Error::Error;
};

namespace detail {

// Errors are put together out of line: the code around them stays small.
template <class E>
[[noreturn, gnu::cold, gnu::noinline]] void refuse(const char* operation, const char* message) {
    throw E(std::string(operation) + ": " + message);
}

}  // namespace detail

/// Throws E("operation: message") unless `ok`. The text is put together only on failure.
template <class E>
inline void check(bool ok, const char* operation, const char* message) {
    if (!ok) [[unlikely]]
        detail::refuse<E>(operation, message);
}

namespace detail {

/// Throws E("operation: message: got A and B"); every item has a to_string(item), in std or found by its
/// type.
template <class E, class First, class... Rest>
[[noreturn, gnu::cold, gnu::noinline]] void fail(const char* operation, const std::string& message,
                                                 const First& first, const Rest&... rest) {
    using std::to_string;
    std::string text = std::string(operation) + ": " + message + ": got " + to_string(first);
    ((text += " and " + to_string(rest)), ...);
    throw E(text);
}

}  // namespace detail
}  // namespace gradus
