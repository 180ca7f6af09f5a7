// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <type_traits>

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

/// A number in as few digits as say which float it is: 0.1, 1e-07, 0.123456789.
[[gnu::cold, gnu::noinline]] inline std::string number_text(double value) {
    char text[32];
    for (const int digits : {6, 9}) {
        std::snprintf(text, sizeof text, "%.*g", digits, value);
        if (std::strtof(text, nullptr) == static_cast<float>(value)) break;
    }
    return text;
}

template <class T>
std::string item_text(const T& item) {
    using std::to_string;
    if constexpr (std::is_floating_point_v<T>)
        return number_text(static_cast<double>(item));
    else
        return to_string(item);
}

/// Throws E("operation: message: got A and B"); every item is a number or has a
/// to_string(item), found by its type.
template <class E, class First, class... Rest>
[[noreturn, gnu::cold, gnu::noinline]] void fail(const char* operation, const std::string& message,
                                                 const First& first, const Rest&... rest) {
    std::string text = std::string(operation) + ": " + message + ": got " + item_text(first);
    ((text += " and " + item_text(rest)), ...);
    throw E(text);
}

}  // namespace detail
}  // namespace gradus
