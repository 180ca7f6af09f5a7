// SPDX-License-Identifier: MIT
#include "gradus/core/utf8.hpp"

#include <cstdint>
#include <string>

#include "support/test.hpp"

using namespace gradus;

namespace {

/// A code point in so many bytes, right or not: the bits, six at a time behind the first byte.
std::string encoded(std::uint32_t code, int bytes) {
    if (bytes == 1) return {static_cast<char>(code)};
    std::string text(static_cast<std::size_t>(bytes), '\0');
    for (std::size_t i = text.size() - 1; i > 0; --i, code >>= 6)
        text[i] = static_cast<char>(0x80 | (code & 0x3f));
    text[0] = static_cast<char>((0xf00 >> bytes & 0xff) | code);
    return text;
}

}  // namespace

TEST_CASE("utf8: a character has its shortest form and no other") {
    std::size_t wrong = 0;
    for (std::uint32_t code = 0; code < 0x200000; ++code) {
        const bool exists = code < 0xd800 || (code >= 0xe000 && code <= 0x10ffff);
        const int shortest = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        for (int bytes = shortest; bytes <= 4; ++bytes) {
            const std::string text = encoded(code, bytes);
            const bool right = exists && bytes == shortest;
            wrong += detail::utf8_length(text + "a") != (right ? text.size() : 0);
            wrong += detail::utf8_length(std::string_view(text).substr(0, text.size() - 1)) != 0;
        }
    }
    CHECK(wrong == 0);
}

TEST_CASE("utf8: what begins no character, and what breaks one off") {
    for (int first = 0x80; first < 0x100; ++first)
        for (const char* rest : {"", "a", "\xc3\x84"}) {
            const std::string text = static_cast<char>(first) + std::string(rest);
            CHECK(detail::utf8_length(text) == 0);
        }
    CHECK(detail::utf8_length("") == 0);
    CHECK(detail::utf8_prefix("") == 0);
    CHECK(detail::utf8_prefix("zero: \xe2\x88\x85, fox: \xf0\x9f\xa6\x8a") == 20);
    CHECK(detail::utf8_prefix("ab\xc3\xa4\xe2\x88") == 4);
    CHECK(detail::utf8_prefix(std::string_view("a\0b\xff", 4)) == 3);
}
