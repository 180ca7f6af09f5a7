// SPDX-License-Identifier: MIT
#include "gradus/core/decimal.hpp"

#include <clocale>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "gradus/core/random.hpp"
#include "support/test.hpp"

using namespace gradus;
using detail::Decimal;
using detail::read_decimal;

namespace {

double number(std::string_view text) {
    double value = -1;
    REQUIRE(read_decimal(text, value) == Decimal::number);
    return value;
}

Decimal kind(std::string_view text) {
    double value;
    return read_decimal(text, value);
}

}  // namespace

TEST_CASE("read_decimal takes decimal numbers of every form") {
    CHECK(number("0") == 0);
    CHECK(std::signbit(number("-0")));
    CHECK(number("-12.5") == -12.5);
    CHECK(number("+7") == 7);
    CHECK(number(".5") == 0.5);
    CHECK(number("5.") == 5);
    CHECK(number("1e3") == 1000);
    CHECK(number("1E-3") == 0.001);
    CHECK(number("0.1") == 0.1);
    CHECK(number("123456789012345") == 123456789012345);
    CHECK(number("0.123456789012345") == 0.123456789012345);
    CHECK(number("9007199254740993") == 9007199254740992);  // halfway: to even
    CHECK(number("1.7976931348623157e308") == std::numeric_limits<double>::max());
    CHECK(number("5e-324") == std::numeric_limits<double>::denorm_min());
    CHECK(std::isinf(number("inf")));
    CHECK(std::isnan(number("nan")));
}

TEST_CASE("read_decimal refuses everything else") {
    for (const char* text : {"", "-", "+", ".", "-.", "1.2.3", "1,5", " 1", "1 ", "0x10", "1e", "e5", "+-1",
                             "--1", "++1", "1f", "one", "\t1"}) {
        INFO(text);
        CHECK(kind(text) == Decimal::none);
    }
    CHECK(kind(std::string_view("1\0", 2)) == Decimal::none);
}

TEST_CASE("read_decimal tells numbers that are too large from those that are nearly 0") {
    CHECK(kind("1e400") == Decimal::too_large);
    CHECK(kind("-1e309") == Decimal::too_large);
    CHECK(kind("1" + std::string(400, '0')) == Decimal::too_large);
    CHECK(kind("0.001e999999999999999999999999") == Decimal::too_large);
    CHECK(number("1e-400") == 0);
    CHECK(number("1e-999999999999999999999999") == 0);
    CHECK(std::signbit(number("-1e-400")));
    CHECK(number("0." + std::string(400, '0') + "1") == 0);
    CHECK(number("1" + std::string(400, '0') + "e-400") == 1);
    CHECK(number("0." + std::string(400, '0') + "1e401") == 1);
    CHECK(number("0e999") == 0);
}

TEST_CASE("read_decimal rounds as strtod does, and csv_number gives each number back") {
    const RandomStream random{5, 0};
    for (std::uint64_t i = 0; i < 20000; ++i) {
        const auto words = random(i);
        char text[64];
        std::snprintf(text, sizeof text, "%.*f", static_cast<int>(words[1] % 12),
                      (words[0] - 2147483648.0) / (1 + words[2] % 1000000));
        CHECK(number(text) == std::strtod(text, nullptr));
        const std::string all = detail::csv_number(number(text));
        CHECK(number(all) == number(text));
    }
}

TEST_CASE("numbers are read and written alike in a locale with a decimal comma") {
    const std::string before = std::setlocale(LC_NUMERIC, nullptr);
    for (const char* name : {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"})
        if (std::setlocale(LC_NUMERIC, name)) break;
    CHECK(number("1.5") == 1.5);
    CHECK(number("1.2345678901234567890") == 1.2345678901234567890);
    CHECK(kind("1,5") == Decimal::none);
    CHECK(detail::csv_number(1.5) == "1.5");
    CHECK(detail::csv_number(1.5, 3) == "1.500");
    std::setlocale(LC_NUMERIC, before.c_str());
}
