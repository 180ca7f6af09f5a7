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
                         Message("accuracy: no classes to choose from"));
}

namespace {

// Four samples of three labels: the last label never occurs and is never predicted.
const Tensor<> predictions{{0.9f, 0.2f, 0.1f}, {0.6f, 0.7f, 0}, {0.4f, 0.5f, 0.3f}, {0.8f, 0.9f, 0.5f}};
const Tensor<> targets{{1, 0, 0}, {0, 1, 0}, {1, 1, 0}, {1, 1, 0}};

}  // namespace

TEST_CASE("metrics: multilabel accuracy by hand") {
    CHECK(multilabel_accuracy(predictions, targets) == 9.0 / 12);
    CHECK(multilabel_accuracy(leaf(predictions), targets, 0.35f) == 10.0 / 12);
    CHECK(multilabel_accuracy(predictions - 0.5f, targets, 0) == 9.0 / 12);
    CHECK(multilabel_accuracy(Tensor<>{1, 0}, {1, 0}) == 1);
    CHECK(multilabel_accuracy(Tensor<>{0.5f, NaN, infinity}, {0, 0, 1}) ==
          1);  // the threshold itself is negative
    CHECK(multilabel_accuracy(zeros({0, 3}), zeros({0, 3})) == 0);
}

TEST_CASE("metrics: multilabel refusals") {
    CHECK_THROWS_MATCHES(
        multilabel_accuracy(zeros({2, 3}), zeros({3})), ShapeError,
        Message("multilabel_accuracy: needs predictions and targets of one shape: got [2, 3] and [3]"));
}
