// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string_view>

namespace gradus::detail {

/// How many bytes the character takes that `text` begins with; 0 if it does not begin with one. Shortest forms
/// only, no halves of surrogate pairs, nothing beyond U+10FFFF. Source: RFC 3629.
[[gnu::cold]] inline std::size_t utf8_length(std::string_view text) {
    const auto byte = [&](std::size_t i) {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
    };
    const unsigned first = byte(0), second = byte(1);
    const std::size_t length = text.empty()   ? 0
                               : first < 0x80 ? 1
                               : first < 0xc2 ? 0
                               : first < 0xe0 ? 2
                               : first < 0xf0 ? 3
                               : first < 0xf5 ? 4
                                              : 0;
    if (length < 2) return length;
    const unsigned least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const unsigned most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (second < least || second > most) return 0;
    for (std::size_t i = 2; i < length; ++i)
        if (byte(i) >> 6 != 2) return 0;
    return length;
}

/// How many bytes at the start of `text` are whole characters: all of them, if it is UTF-8.
[[gnu::cold]] inline std::size_t utf8_prefix(std::string_view text) {
    std::size_t at = 0;
    while (const std::size_t length = utf8_length(text.substr(at))) at += length;
    return at;
}

}  // namespace gradus::detail
