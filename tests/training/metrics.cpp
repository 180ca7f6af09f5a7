// SPDX-License-Identifier: MIT
#include "gradus/training/metrics.hpp"

#include "support/numbers.hpp"

using namespace gradus;

TEST_CASE("metrics: accuracy by hand") {
    const Tensor<> scores{{1, 2, 3}, {5, 4, 3}, {0, 1, 0}, {2, 2, 1}};
    CHECK(accuracy(scores, {2, 0, 1, 0}) == 1);  // a tie goes to the first class
    CHECK(accuracy(scores, {2, 0, 1, 1}) == 0.75);
    CHECK(accuracy(scores, {0, 0, 0, 1}) == 0.25);
    CHECK(accuracy(scores, {1, 1, 2, 2}) == 0);
    CHECK(accuracy(leaf(scores), {2, 0, 1, 1}) == 0.75);
    CHECK(accuracy(Tensor<double>{{0.1, 0.2}}, {1}) == 1);
    CHECK(accuracy(Tensor<>{{7}}, {0}) == 1);
}

TEST_CASE("metrics: a label that no class has is never right") {
    CHECK(accuracy(Tensor<>{{1, 2}, {1, 2}}, {5, -1}) == 0);
}

TEST_CASE("metrics: accuracy of no rows is 0") {
    CHECK(accuracy(zeros({0, 3}), Tensor<Index>()) == 0);
    CHECK(accuracy(zeros({0, 0}), Tensor<Index>()) == 0);
}

TEST_CASE("metrics: infinite and missing scores are defined") {
    CHECK(accuracy(Tensor<>{{-infinity, -infinity}, {1, infinity}}, {0, 1}) == 1);
    CHECK(accuracy(Tensor<>{{1, NaN}}, {1}) == 1);  // NaN counts as the largest, as in argmax
}

TEST_CASE("metrics: refusals") {
    const auto shapes = [](const std::string& given) {
        return Message("accuracy: needs scores [batch, classes] and labels [batch]: got " + given);
    };
    CHECK_THROWS_MATCHES(accuracy(zeros({2, 3}), {0}), ShapeError, shapes("[2, 3] and [1]"));
    CHECK_THROWS_MATCHES(accuracy(zeros({3}), {0, 1, 2}), ShapeError, shapes("[3] and [3]"));
    CHECK_THROWS_MATCHES(accuracy(zeros({}), {0}), ShapeError, shapes("[] and [1]"));
    CHECK_THROWS_MATCHES(accuracy(leaf(zeros({2, 3})), {{0}, {1}}), ShapeError, shapes("[2, 3] and [2, 1]"));
    CHECK_THROWS_MATCHES(accuracy(zeros({2, 0}), {0, 1}), ShapeError,
                         Message("argmax: no elements to choose from"));
}
