// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/core/language.hpp"

#include <concepts>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

/// Train neural networks on the CPU. Everything public lives in this namespace; see docs/pytorch.md for a
/// map.
namespace gradus {

/// Base of everything gradus throws but OutOfMemory. The text reads "operation: rule that was broken: what
/// was given".
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

/// More memory than the system gives. It is a std::bad_alloc, so that handlers of that keep working, and
/// therefore no gradus::Error: a class that is both has two std::exceptions in it, and a handler of those
/// would not see it.
class OutOfMemory : public std::bad_alloc {
public:
    explicit OutOfMemory(const std::string& text) : text_(text) {}
    const char* what() const noexcept override { return text_.what(); }

private:
    std::runtime_error text_;  // whose text can be copied without memory
};

namespace detail {

// Errors are put together out of line, from lists of their parts: the code around them stays small, and so do
// compile times.

/// What texts are written to: std::ostream, without its header.
template <class Stream>
concept OutputStream = requires(Stream& out, const std::string& text) {
    out << text;
};

/// A part of a text: text, or a whole number.
struct TextPart {
    TextPart(const char* words) : text(words) {}
    TextPart(std::string_view words) : text(words) {}
    TextPart(const std::string& words) : text(words) {}
    template <std::integral Number>
    TextPart(Number n) : number(static_cast<long long>(n)), is_number(true) {}

    std::string_view text;
    long long number = 0;
    bool is_number = false;
};

[[gnu::cold, gnu::noinline]] inline std::string text_of(std::initializer_list<TextPart> parts) {
    std::string text;
    for (const TextPart& part : parts) {
        char digits[24];
        std::string_view words = part.text;
        if (part.is_number)
            words = {digits,
                     static_cast<std::size_t>(std::snprintf(digits, sizeof digits, "%lld", part.number))};
        text.append(words.data(), words.size());
    }
    return text;
}

/// Throws E with the text of these parts.
template <class E>
[[noreturn, gnu::cold, gnu::noinline]] void raise(std::initializer_list<TextPart> parts) {
    throw E(text_of(parts));
}
template <class E>
[[noreturn, gnu::cold, gnu::noinline]] void raise(const char* operation, const char* message) {
    throw E(text_of({operation, ": ", message}));
}

/// Throws E("operation: message") unless `ok`. The text is put together only on failure.
template <class E>
inline void check(bool ok, const char* operation, const char* message) {
    if (!ok) [[unlikely]]
        raise<E>(operation, message);
}

/// A number in as few digits as say which float it is: 0.1, 1e-07, 0.123456789.
[[gnu::cold, gnu::noinline]] inline std::string number_text(double value) {
    char text[32];
    for (const int digits : {6, 9}) {
        std::snprintf(text, sizeof text, "%.*g", digits, value);
        if (std::strtof(text, nullptr) == static_cast<float>(value)) break;
    }
    return text;
}

/// Counters that come from outside, in saved states, may be as large as a double counts: no program gets
/// there, and the next ones do not overflow. Throws ValueError otherwise.
[[gnu::cold]] inline void check_count(const char* operation, std::string_view what, long long count) {
    if (count < 0 || count > 1LL << 53)
        raise<ValueError>({operation, ": ", what, " must be from 0 to 2^53: got ", count});
}

template <class T>
[[gnu::cold]] std::string item_text(const void* item) {
    const T& value = *static_cast<const T*>(item);
    if constexpr (std::is_floating_point_v<T>)
        return number_text(static_cast<double>(value));
    else if constexpr (std::is_integral_v<T>)
        return text_of({value});
    else
        return to_string(value);
}

/// Something that was given, and how to write it.
struct GivenItem {
    const void* item;
    std::string (*text)(const void* item);
};

[[gnu::cold, gnu::noinline]] inline std::string text_of_failure(const char* operation,
                                                                std::string_view message,
                                                                std::initializer_list<GivenItem> given) {
    std::string text = text_of({operation, ": ", message});
    const char* before = ": got ";
    for (const GivenItem& item : given) {
        text = text_of({text, before, item.text(item.item)});
        before = " and ";
    }
    return text;
}

/// Throws E("operation: message: got A and B"); every item is a number or has a
/// to_string(item), found by its type.
template <class E, class... Items>
[[noreturn, gnu::cold, gnu::noinline]] void raise(const char* operation, std::string_view message,
                                                  const Items&... items) {
    throw E(text_of_failure(operation, message, {{&items, &item_text<Items>}...}));
}

}  // namespace detail
}  // namespace gradus
