// SPDX-License-Identifier: MIT
#include "gradus/core/error.hpp"

#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "support/test.hpp"

namespace {

struct Fruit {
    int weight;
};

std::string to_string(const Fruit& fruit) { return "a fruit of " + std::to_string(fruit.weight) + " g"; }

template <class E>
std::string text_of(const auto& throws) {
    try {
        throws();
    } catch (const E& error) {
        return error.what();
    }
    return "nothing thrown";
}

}  // namespace

TEST_CASE("every error is a gradus::Error and a std::runtime_error", "[core][error]") {
    STATIC_REQUIRE(std::is_base_of_v<std::runtime_error, gradus::Error>);
    STATIC_REQUIRE(std::is_base_of_v<gradus::Error, gradus::ShapeError>);
    STATIC_REQUIRE(std::is_base_of_v<gradus::Error, gradus::ValueError>);
    STATIC_REQUIRE(std::is_base_of_v<gradus::Error, gradus::IoError>);
    STATIC_REQUIRE(std::is_base_of_v<gradus::Error, gradus::GraphError>);
    CHECK_THROWS_AS(throw gradus::IoError("gone"), std::runtime_error);
}

TEST_CASE("check() throws the named error with the operation in front", "[core][error]") {
    CHECK_NOTHROW(gradus::detail::check<gradus::ValueError>(true, "sgd", "needs lr > 0"));
    CHECK_THROWS_MATCHES(gradus::detail::check<gradus::ValueError>(false, "sgd", "needs lr > 0"),
                         gradus::ValueError, Message("sgd: needs lr > 0"));
}

TEST_CASE("raise() lists what was given, numbers and user types alike", "[core][error]") {
    using gradus::detail::raise;
    CHECK(text_of<gradus::ShapeError>([] { raise<gradus::ShapeError>("eat", "not ripe", Fruit{120}); }) ==
          "eat: not ripe: got a fruit of 120 g");
    CHECK(text_of<gradus::ValueError>([] {
              raise<gradus::ValueError>("eat", "too many", 3, Fruit{5}, 7L);
          }) == "eat: too many: got 3 and a fruit of 5 g and 7");
}

TEST_CASE("numbers in errors take as few digits as say which float it is", "[core][error]") {
    using gradus::detail::number_text;
    CHECK(number_text(0) == "0");
    CHECK(number_text(-2) == "-2");
    CHECK(number_text(0.1) == "0.1");
    CHECK(number_text(static_cast<double>(0.1f)) == "0.1");
    CHECK(number_text(1e-7) == "1e-07");
    CHECK(number_text(1.0000001) == "1.0000001");
    CHECK(number_text(static_cast<double>(1.00000012f)) == "1.00000012");
    CHECK(number_text(std::numeric_limits<double>::infinity()) == "inf");
    CHECK(number_text(std::numeric_limits<double>::quiet_NaN()) == "nan");
    CHECK(text_of<gradus::ValueError>([] {
              gradus::detail::raise<gradus::ValueError>("eat", "half", 0.5f);
          }) == "eat: half: got 0.5");
}
