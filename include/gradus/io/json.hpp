// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gradus/core/error.hpp"
#include "gradus/core/separate.hpp"
#include "gradus/core/utf8.hpp"

namespace gradus::io::detail {

using gradus::detail::raise, gradus::detail::text_of, gradus::detail::TextPart, gradus::detail::utf8_prefix;

/// Text as JSON writes it, with its quotes. The same characters are escaped as by serde_json.
[[gnu::cold]] std::string json_string(std::string_view text);

/// A name from a file in a message: in quotes, escaped, and not longer than a line.
[[gnu::cold]] std::string shown(std::string_view name);

/// A value from a file in a message, as it stands there, and not longer than a line.
[[gnu::cold]] std::string excerpt(std::string_view json);

/// Reads JSON (RFC 8259) part by part, strictly: the caller asks for what has to be there.
///
///     json.begin_object();
///     while (json.next_key(key))
///         if (key == "sizes") {
///             json.begin_array();
///             while (json.next_item()) sizes.push_back(json.unsigned_integer());
///         } else
///             json.skip();
///     json.end();
///
/// Expects UTF-8. Throws IoError "where: not JSON at byte 17: expected ':': got '}'".
class JsonReader {
public:
    static constexpr int max_depth = 64;

    JsonReader(std::string_view text, std::string where) : text_(text), where_(std::move(where)) {}

    enum class Kind { object, array, string, number, word, none };

    /// What comes next.
    Kind kind();

    [[gnu::cold]] void begin_object() { begin('{', "an object"); }
    [[gnu::cold]] void begin_array() { begin('[', "an array"); }

    /// Goes to the next key of an object, or behind the object if there is none.
    [[gnu::cold]] bool next_key(std::string& key);

    /// Goes to the next item of an array, or behind the array if there is none.
    [[gnu::cold]] bool next_item() { return next(']'); }

    [[gnu::cold]] std::string string();

    /// A number without sign, fraction and exponent that fits 64 bits; false, and nothing read, if the next is
    /// something else.
    [[gnu::cold]] bool try_unsigned(std::uint64_t& value);

    [[gnu::cold]] std::uint64_t unsigned_integer();

    /// A number, as its text.
    [[gnu::cold]] std::string_view number();

    /// true, false or null, as its text.
    [[gnu::cold]] std::string_view word();

    /// Any value: its text.
    [[gnu::cold]] std::string_view skip();

    /// The same, where moreover no object has more than `max_keys` keys, or one twice.
    [[gnu::cold]] void check_value(std::size_t max_keys);

    /// Nothing but space follows.
    [[gnu::cold]] void end();

private:
    bool at_end() const { return at_ == text_.size(); }

    void skip_space() {
        while (!at_end() && std::string_view(" \t\n\r").find(text_[at_]) != std::string_view::npos) ++at_;
    }

    [[gnu::cold]] void begin(char open, const char* expected);

    [[gnu::cold]] bool next(char close);

    [[gnu::cold]] void expect(char c, const char* expected);

    /// What follows a backslash.
    [[gnu::cold]] void escape(std::string& out);

    /// u and four hexadecimal digits.
    [[gnu::cold]] std::uint32_t unit();

    [[noreturn, gnu::cold]] void fail(const char* expected) const;

    std::string_view text_;
    std::string where_;
    std::size_t at_ = 0;
    int depth_ = 0;
    bool after_value_ = false;
};

}  // namespace gradus::io::detail

#if !GRADUS_SEPARATE
#include "gradus/io/json.inc"
#endif
