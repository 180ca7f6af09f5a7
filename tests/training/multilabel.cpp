// SPDX-License-Identifier: MIT
#include "gradus/training/multilabel.hpp"

#include "support/metrics.hpp"

using namespace gradus;
using metrics::Average;
using metrics::LabelCounts;

namespace {

// Four samples of three labels: the last label never occurs and is never predicted.
const Tensor<> predictions{{0.9f, 0.2f, 0.1f}, {0.6f, 0.7f, 0}, {0.4f, 0.5f, 0.3f}, {0.8f, 0.9f, 0.5f}};
const Tensor<> targets{{1, 0, 0}, {0, 1, 0}, {1, 1, 0}, {1, 1, 0}};

metrics::MultiLabel counted(const Tensor<>& predicted, const Tensor<>& given, double threshold = 0.5) {
    metrics::MultiLabel result({.threshold = threshold});
    result.update(predicted, given);
    return result;
}

}  // namespace

TEST_CASE("metrics::MultiLabel: counts by hand") {
    const auto labels = counted(predictions, targets).labels();
    REQUIRE(labels.size() == 3);
    CHECK(labels[0] == LabelCounts{2, 1, 1, 0});
    CHECK(labels[1] == LabelCounts{2, 0, 1, 1});
    CHECK(labels[2] == LabelCounts{0, 0, 0, 4});
}

TEST_CASE("metrics::MultiLabel: scores by hand") {
    const auto all = counted(predictions, targets);
    CHECK(all.accuracy() == 9.0 / 12);
    CHECK(all.precision(Average::micro) == 4.0 / 5);
    CHECK(all.recall(Average::micro) == 4.0 / 6);
    CHECK(all.f1(Average::micro) == Approx(8.0 / 11));
    CHECK(all.value() == all.f1(Average::micro));
    CHECK(all.precision(Average::macro) == Approx((2.0 / 3 + 1 + 0) / 3));
    CHECK(all.recall(Average::macro) == Approx((2.0 / 3 + 2.0 / 3 + 0) / 3));
    CHECK(all.f1(Average::macro) == Approx((2.0 / 3 + 4.0 / 5 + 0) / 3));
    CHECK(all.f1(Average::weighted) == Approx((3 * 2.0 / 3 + 3 * 4.0 / 5) / 6));
    CHECK(counted(targets, targets).value() == 1);
    CHECK(counted(predictions - 0.5f, targets, 0).value() == all.value());
    CHECK(counted({{0.5f, NaN, infinity}}, {{0, 0, 1}}).accuracy() == 1);  // the threshold itself is negative
}

TEST_CASE("metrics::MultiLabel: predicting nothing is accurate where labels are rare, and has no f1") {
    const auto none = counted(zeros({4, 3}), Tensor<>{{1, 0, 0}, {0, 0, 0}, {0, 0, 0}, {0, 0, 1}});
    CHECK(none.accuracy() == Approx(10.0 / 12));
    CHECK(none.precision(Average::micro) == 0);
    CHECK(none.f1(Average::macro) == 0);
    CHECK(counted(zeros({2, 2}), zeros({2, 2})).f1(Average::weighted) == 0);
}

TEST_CASE("metrics::MultiLabel: reference values, however the batches are cut; sums; checkpoint") {
    const MetricExamples e;
    for (const std::uint64_t seed : {1u, 2u}) {
        metrics::MultiLabel found({.threshold = 0.4});
        update_in_batches(found, e.scores, e.targets, seed);
        CHECK(found.precision(Average::macro) == Approx(0.310256684253879).epsilon(1e-12));
        CHECK(found.recall(Average::macro) == Approx(0.477222222222222).epsilon(1e-12));
        CHECK(found.f1(Average::macro) == Approx(0.348039438218187).epsilon(1e-12));
        CHECK(found.precision(Average::weighted) == Approx(0.392622251453583).epsilon(1e-12));
        CHECK(found.recall(Average::weighted) == Approx(0.478260869565217).epsilon(1e-12));
        CHECK(found.f1(Average::weighted) == Approx(0.407935522769187).epsilon(1e-12));
        CHECK(found.precision(Average::micro) == Approx(0.301369863013699).epsilon(1e-12));
        CHECK(found.f1(Average::micro) == Approx(0.369747899159664).epsilon(1e-12));
        CHECK(saved_and_loaded(found).labels() == found.labels());
    }
    metrics::MultiLabel sum;
    sum += counted(predictions.rows(0, 1), targets.rows(0, 1));
    sum += counted(predictions.rows(1, 4), targets.rows(1, 4));
    sum += metrics::MultiLabel();
    CHECK(sum.labels() == counted(predictions, targets).labels());
    sum.reset();
    CHECK(std::isnan(sum.value()));
    CHECK(std::isnan(sum.accuracy()));
}

TEST_CASE("metrics::MultiLabel: refusals") {
    metrics::MultiLabel found = counted(predictions, targets);
    CHECK_THROWS_MATCHES(
        found.update(zeros({3}), zeros({3})), ShapeError,
        Message("multilabel: needs predictions and targets [batch, labels]: got [3] and [3]"));
    CHECK_THROWS_MATCHES(
        found.update(leaf(zeros({2, 3})), zeros({2, 2})), ShapeError,
        Message("multilabel: needs predictions and targets [batch, labels]: got [2, 3] and [2, 2]"));
    CHECK_THROWS_MATCHES(found += counted(zeros({1, 2}), zeros({1, 2})), ShapeError,
                         Message("multilabel: the number of labels differs from that before: got 2 and 3"));
}
