// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gradus/core/error.hpp"
#include "gradus/core/utf8.hpp"

namespace gradus::io::detail {

using gradus::detail::raise, gradus::detail::text_of, gradus::detail::TextPart, gradus::detail::utf8_prefix;

/// Text as JSON writes it, with its quotes. The same characters are escaped as by serde_json.
[[gnu::cold]] inline std::string json_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        constexpr std::string_view special = "\"\\\b\f\n\r\t", letters = "\"\\bfnrt";
        const std::size_t at = special.find(c);
        if (at != special.npos)
            out += {'\\', letters[at]};
        else if (static_cast<unsigned char>(c) < 0x20)
            out += {'\\', 'u', '0', '0', "01"[c >> 4], "0123456789abcdef"[c & 15]};
        else
            out += c;
    }
    return out += '"';
}

/// A name from a file in a message: in quotes, escaped, and not longer than a line.
[[gnu::cold]] inline std::string shown(std::string_view name) {
    constexpr std::size_t most = 80;
    if (name.size() <= most) return json_string(name);
    return json_string(name.substr(0, utf8_prefix(name.substr(0, most)))) + "...";
}

/// A value from a file in a message, as it stands there, and not longer than a line.
[[gnu::cold]] inline std::string excerpt(std::string_view json) {
    constexpr std::size_t most = 80;
    const bool fits = json.size() <= most;
    std::string text(json.substr(0, fits ? json.size() : utf8_prefix(json.substr(0, most))));
    std::replace_if(
        text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
    return fits ? text : text + "...";
}

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
    Kind kind() {
        skip_space();
        const char c = at_end() ? ' ' : text_[at_];
        return c == '{'                             ? Kind::object
               : c == '['                           ? Kind::array
               : c == '"'                           ? Kind::string
               : c == '-' || (c >= '0' && c <= '9') ? Kind::number
               : c == 't' || c == 'f' || c == 'n'   ? Kind::word
                                                    : Kind::none;
    }

    [[gnu::cold]] void begin_object() { begin('{', "an object"); }
    [[gnu::cold]] void begin_array() { begin('[', "an array"); }

    /// Goes to the next key of an object, or behind the object if there is none.
    [[gnu::cold]] bool next_key(std::string& key) {
        if (!next('}')) return false;
        key = string();
        expect(':', "':'");
        after_value_ = false;
        return true;
    }

    /// Goes to the next item of an array, or behind the array if there is none.
    [[gnu::cold]] bool next_item() { return next(']'); }

    [[gnu::cold]] std::string string() {
        expect('"', "a string");
        std::string out;
        for (;;) {
            const std::size_t plain = at_;
            while (!at_end() && text_[at_] != '"' && text_[at_] != '\\' &&
                   static_cast<unsigned char>(text_[at_]) >= 0x20)
                ++at_;
            out.append(text_.substr(plain, at_ - plain));
            if (at_end() || static_cast<unsigned char>(text_[at_]) < 0x20) fail("the end of a string");
            if (text_[at_++] == '"') break;
            escape(out);
        }
        after_value_ = true;
        return out;
    }

    /// A number without sign, fraction and exponent that fits 64 bits; false, and nothing read, if the next is
    /// something else.
    [[gnu::cold]] bool try_unsigned(std::uint64_t& value) {
        if (kind() != Kind::number) return false;
        const std::string_view digits = number();
        bool fits = true;
        value = 0;
        for (const char c : digits)
            fits = fits && c >= '0' && c <= '9' && !__builtin_mul_overflow(value, 10u, &value) &&
                   !__builtin_add_overflow(value, static_cast<unsigned>(c - '0'), &value);
        if (!fits) at_ -= digits.size();
        return fits;
    }

    [[gnu::cold]] std::uint64_t unsigned_integer() {
        std::uint64_t value = 0;
        if (!try_unsigned(value)) fail("an integer from 0 to 2^64 - 1");
        return value;
    }

    /// A number, as its text.
    [[gnu::cold]] std::string_view number() {
        if (kind() != Kind::number) fail("a number");
        const std::size_t first = at_;
        const auto digits = [this] {
            if (at_end() || text_[at_] < '0' || text_[at_] > '9') fail("a digit");
            while (!at_end() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
        };
        const auto is_next = [this](std::string_view any) {
            return !at_end() && any.find(text_[at_]) != any.npos;
        };
        if (is_next("-")) ++at_;
        if (is_next("0"))
            ++at_;
        else
            digits();
        if (is_next(".")) ++at_, digits();
        if (is_next("eE")) {
            ++at_;
            if (is_next("+-")) ++at_;
            digits();
        }
        after_value_ = true;
        return text_.substr(first, at_ - first);
    }

    /// true, false or null, as its text.
    [[gnu::cold]] std::string_view word() {
        skip_space();
        for (const std::string_view known : {"true", "false", "null"})
            if (text_.substr(at_, known.size()) == known) {
                at_ += known.size();
                after_value_ = true;
                return known;
            }
        fail("a value");
    }

    /// Any value: its text.
    [[gnu::cold]] std::string_view skip() {
        skip_space();
        const std::size_t first = at_;
        std::string key;
        switch (kind()) {
            case Kind::object:
                begin_object();
                while (next_key(key)) skip();
                break;
            case Kind::array:
                begin_array();
                while (next_item()) skip();
                break;
            case Kind::string:
                string();
                break;
            case Kind::number:
                number();
                break;
            default:
                word();
        }
        return text_.substr(first, at_ - first);
    }

    /// The same, where moreover no object has more than `max_keys` keys, or one twice.
    [[gnu::cold]] void check_value(std::size_t max_keys) {
        if (kind() == Kind::object) {
            std::vector<std::string> keys;
            begin_object();
            for (std::string key; next_key(key);) {
                if (keys.size() == max_keys)
                    raise<IoError>({where_, ": more than ", max_keys, " keys in one object"});
                keys.push_back(std::move(key));
                check_value(max_keys);
            }
            std::sort(keys.begin(), keys.end());
            const auto twice = std::adjacent_find(keys.begin(), keys.end());
            if (twice != keys.end()) raise<IoError>({where_, ": the key ", shown(*twice), " is there twice"});
        } else if (kind() == Kind::array) {
            begin_array();
            while (next_item()) check_value(max_keys);
        } else {
            skip();
        }
    }

    /// Nothing but space follows.
    [[gnu::cold]] void end() {
        skip_space();
        if (!at_end()) fail("the end");
    }

private:
    bool at_end() const { return at_ == text_.size(); }

    void skip_space() {
        while (!at_end() && std::string_view(" \t\n\r").find(text_[at_]) != std::string_view::npos) ++at_;
    }

    [[gnu::cold]] void begin(char open, const char* expected) {
        if (++depth_ > max_depth) raise<IoError>({where_, ": nested more than ", max_depth, " levels deep"});
        expect(open, expected);
        after_value_ = false;
    }

    [[gnu::cold]] bool next(char close) {
        skip_space();
        if (!at_end() && text_[at_] == close) {
            ++at_;
            --depth_;
            after_value_ = true;
            return false;
        }
        if (after_value_) expect(',', close == '}' ? "',' or '}'" : "',' or ']'");
        skip_space();
        if (after_value_ && !at_end() && text_[at_] == close) fail("a value behind ','");
        return true;
    }

    [[gnu::cold]] void expect(char c, const char* expected) {
        skip_space();
        if (at_end() || text_[at_] != c) fail(expected);
        ++at_;
    }

    /// What follows a backslash.
    [[gnu::cold]] void escape(std::string& out) {
        constexpr std::string_view letters = "\"\\/bfnrt", characters = "\"\\/\b\f\n\r\t";
        const std::size_t known = at_end() ? letters.npos : letters.find(text_[at_]);
        if (known != letters.npos) {
            ++at_;
            out += characters[known];
            return;
        }
        std::uint32_t code = unit();
        if (code >= 0xdc00 && code < 0xe000) fail("a high surrogate before the low one");
        if (code >= 0xd800 && code < 0xdc00) {
            if (at_end() || text_[at_] != '\\') fail("a low surrogate");
            ++at_;
            const std::uint32_t low = unit();
            if (low < 0xdc00 || low >= 0xe000) fail("a low surrogate");
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        const auto put = [&](std::uint32_t bits) { out += static_cast<char>(bits); };
        if (code < 0x80) return put(code);
        if (code < 0x800) {
            put(0xc0 | code >> 6);
        } else if (code < 0x10000) {
            put(0xe0 | code >> 12);
            put(0x80 | (code >> 6 & 63));
        } else {
            put(0xf0 | code >> 18);
            put(0x80 | (code >> 12 & 63));
            put(0x80 | (code >> 6 & 63));
        }
        put(0x80 | (code & 63));
    }

    /// u and four hexadecimal digits.
    [[gnu::cold]] std::uint32_t unit() {
        if (at_end() || text_[at_] != 'u') fail("an escaped character");
        ++at_;
        std::uint32_t code = 0;
        for (int k = 0; k < 4; ++k, ++at_) {
            const char c = at_end() ? ' ' : text_[at_];
            if (c >= '0' && c <= '9')
                code = code << 4 | static_cast<std::uint32_t>(c - '0');
            else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
                code = code << 4 | static_cast<std::uint32_t>((c | 0x20) - 'a' + 10);
            else
                fail("four hexadecimal digits");
        }
        return code;
    }

    [[noreturn, gnu::cold]] void fail(const char* expected) const {
        std::string got = "the end";
        if (!at_end()) {
            const auto byte = static_cast<unsigned char>(text_[at_]);
            if (byte > 0x20 && byte < 0x7f)
                got = {'\'', text_[at_], '\''};
            else
                got = std::string("byte ") + "0123456789abcdef"[byte >> 4] + "0123456789abcdef"[byte & 15];
        }
        raise<IoError>({where_, ": not JSON at byte ", at_, ": expected ", expected, ": got ", got});
    }

    std::string_view text_;
    std::string where_;
    std::size_t at_ = 0;
    int depth_ = 0;
    bool after_value_ = false;
};

}  // namespace gradus::io::detail
