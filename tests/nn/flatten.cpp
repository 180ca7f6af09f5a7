// SPDX-License-Identifier: MIT
#include "gradus/nn/flatten.hpp"

#include "support/numbers.hpp"

using namespace gradus;

TEST_CASE("flatten layer: the function of the same name") {
    const Variable<> x(arange(24).reshape({2, 3, 4}));
    const nn::Trace trace;
    CHECK(nn::Flatten()(x).value() == arange(24).reshape({2, 12}));
    CHECK(nn::Flatten{.start_axis = 0}(x).value() == arange(24));
    CHECK(nn::Flatten{.start_axis = 2}(x).value() == x.value());
    CHECK(nn::Flatten()(Variable<>(zeros({0, 3, 4}))).shape() == Shape{0, 12});
    REQUIRE(trace.entries().size() == 4);
    CHECK(trace.entries()[0].type == std::string("Flatten"));
    CHECK(trace.entries()[0].output == Shape{2, 12});
    CHECK_THROWS_MATCHES(nn::Flatten()(Variable<>(zeros({3}))), ShapeError,
                         Message("flatten: axis 1 is out of range for shape [3]"));
}
