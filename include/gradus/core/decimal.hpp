// SPDX-License-Identifier: MIT
#pragma once

#include <cfloat>
#include <charconv>
#include <clocale>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <system_error>

// Numbers as text and back, with a decimal point in every locale; texts as cells of CSV.

namespace gradus::detail {

/// As many digits as a reader needs to get the same number, or as many decimals as asked for.
inline std::string csv_number(double x, int decimals = -1) {
    char text[400];
#if defined(_LIBCPP_VERSION) && _LIBCPP_VERSION < 14000  // has no std::to_chars for this (Emscripten 3.1.6)
    if (decimals >= 0) std::snprintf(text, sizeof text, "%.*f", decimals, x);
    for (int digits = 15; decimals < 0 && digits <= 17; ++digits) {
        std::snprintf(text, sizeof text, "%.*g", digits, x);
        if (std::strtod(text, nullptr) == x) break;
    }
    return text;
#else
    const std::to_chars_result end =
        decimals < 0 ? std::to_chars(text, text + sizeof text, x)
                     : std::to_chars(text, text + sizeof text, x, std::chars_format::fixed, decimals);
    return {text, end.ptr};
#endif
}

/// A text as a cell of CSV: in quotes where it has to be.
[[gnu::cold]] inline std::string csv_text(std::string_view text) {
    if (text.find_first_of(",\"\r\n") == text.npos) return std::string(text);
    std::string quoted = "\"";
    for (const char c : text) quoted.append(c == '"' ? 2 : 1, c);
    return quoted + "\"";
}

/// The value of a text like -12.5: at most 15 digits, of which a double holds the whole number, divided by a power of
/// ten that it holds as well, which rounds once and so to the nearest. False for every other text.
inline bool read_short_decimal(std::string_view text, double& value) {
    constexpr double powers[] = {1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const char *at = text.data(), *const end = at + text.size();
    const bool minus = at != end && *at == '-';
    at += minus;
    if (FLT_EVAL_METHOD != 0 || end - at > 16) return false;
    std::uint64_t digits = 0;
    const char* point = nullptr;
    const char* const begin = at;
    for (; at != end; ++at) {
        const auto digit = static_cast<unsigned char>(*at - '0');
        if (digit <= 9)
            digits = digits * 10 + digit;
        else if (*at == '.' && !point)
            point = at;
        else
            return false;
    }
    const auto count = end - begin - (point ? 1 : 0);
    if (count < 1 || count > 15) return false;
    value = static_cast<double>(digits) / powers[point ? end - point - 1 : 0];
    if (minus) value = -value;
    return true;
}

/// What became of a text that should be a number.
enum class Decimal { number, too_large, none };

/// Reads all of `text` as a decimal number: digits with at most one point, perhaps a sign and an exponent, or the
/// words inf and nan. A number nearer to 0 than the smallest of double is 0; one beyond the largest is too_large.
inline Decimal read_decimal(std::string_view text, double& value) {
    if (read_short_decimal(text, value)) [[likely]]
        return Decimal::number;
    const bool plus = text.size() > 1 && text[0] == '+' && text[1] != '-';  // not known to std::from_chars
    const char *begin = text.data() + plus, *const end = text.data() + text.size();
#if defined(_LIBCPP_VERSION) && _LIBCPP_VERSION < 200000  // has no std::from_chars for this
    for (const char c : text)
        if (c == 'x' || c == 'X' || c == ' ' || (c >= '\t' && c <= '\r')) return Decimal::none;
    std::string copy(begin, end);
    if (const std::size_t point = copy.find('.'); point != std::string::npos)
        copy.replace(point, 1, std::localeconv()->decimal_point);
    char* stop = nullptr;
    value = std::strtod(copy.c_str(), &stop);
    if (copy.empty() || stop != copy.c_str() + copy.size()) return Decimal::none;
    const bool word = copy.find_first_of("nN") != std::string::npos;
    return word || value - value == 0 ? Decimal::number : Decimal::too_large;
#else
    const std::from_chars_result result = std::from_chars(begin, end, value);
    if (result.ptr != end || result.ec == std::errc::invalid_argument) return Decimal::none;
    if (result.ec == std::errc()) return Decimal::number;
    // Out of range at which end? The power of ten of the first digit that is not 0 tells.
    long long power = 0, exponent = 0;
    bool before_point = true, found = false;
    for (; begin != end && *begin != 'e' && *begin != 'E'; ++begin) {
        if (*begin == '.') before_point = false;
        found = found || (*begin >= '1' && *begin <= '9');
        if (*begin >= '0' && *begin <= '9' && found == before_point) power += before_point ? 1 : -1;
    }
    if (begin != end) {
        const char* digits = begin + 1 + (begin[1] == '+');
        if (std::from_chars(digits, end, exponent).ec != std::errc())
            exponent = *digits == '-' ? -1 : 1, power = 0;
    }
    if (power + exponent > 0) return Decimal::too_large;
    value = *text.data() == '-' ? -0.0 : 0.0;
    return Decimal::number;
#endif
}

}  // namespace gradus::detail
