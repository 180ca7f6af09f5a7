// SPDX-License-Identifier: MIT
#include "gradus/training/ranking.hpp"

#include "support/metrics.hpp"
#include "support/random.hpp"

using namespace gradus;
using metrics::Average;

namespace {

/// How many pairs of a positive and a negative example are in order; a tie is half a pair.
double auc_of_pairs(const Tensor<>& scores, const Tensor<>& targets) {
    double wins = 0, pairs = 0;
    for (Index p = 0; p < scores.numel(); ++p)
        for (Index n = 0; n < scores.numel(); ++n) {
            if (targets(p) != 1 || targets(n) != 0) continue;
            wins += scores(p) > scores(n) ? 1 : scores(p) == scores(n) ? 0.5 : 0;
            pairs += 1;
        }
    return wins / pairs;
}

/// The mean over the positive examples of the precision at their score.
double mean_precision(const Tensor<>& scores, const Tensor<>& targets) {
    double sum = 0, positives = 0;
    for (Index p = 0; p < scores.numel(); ++p) {
        if (targets(p) != 1) continue;
        double found = 0, seen = 0;
        for (Index i = 0; i < scores.numel(); ++i)
            if (scores(i) >= scores(p)) seen += 1, found += static_cast<double>(targets(i));
        sum += found / seen;
        positives += 1;
    }
    return sum / positives;
}

template <class Metric>
Metric of(const auto& scores, const auto& targets) {
    Metric metric;
    metric.update(scores, targets);
    return metric;
}

}  // namespace

TEST_CASE("metrics::RocAuc: by hand") {
    CHECK(of<metrics::RocAuc>(Tensor<>{0.1f, 0.4f, 0.35f, 0.8f}, Tensor<Index>{0, 0, 1, 1}).value() == 0.75);
    CHECK(of<metrics::RocAuc>(Tensor<>{1, 1, 1}, Tensor<>{0, 1, 0}).value() == 0.5);
    CHECK(of<metrics::RocAuc>(Tensor<>{-infinity, 0, infinity}, Tensor<>{0, 0, 1}).value() == 1);
    const auto curve =
        of<metrics::RocAuc>(Tensor<>{0.1f, 0.4f, 0.4f, 0.8f}, Tensor<Index>{0, 0, 1, 1}).curve();
    REQUIRE(curve.size() == 4);
    CHECK((std::isinf(curve[0].threshold) && curve[0].true_positive_rate == 0));
    CHECK((curve[1].threshold == static_cast<double>(0.8f) && curve[1].true_positive_rate == 0.5));
    CHECK((curve[2].false_positive_rate == 0.5 && curve[2].true_positive_rate == 1));
    CHECK((curve[3].false_positive_rate == 1 && curve[3].true_positive_rate == 1));
}

TEST_CASE("metrics::AveragePrecision: by hand") {
    const Tensor<> scores{0.1f, 0.4f, 0.35f, 0.8f};
    CHECK(of<metrics::AveragePrecision>(scores, Tensor<Index>{0, 0, 1, 1}).value() ==
          Approx(0.5 + 0.5 * 2 / 3));
    CHECK(of<metrics::AveragePrecision>(Tensor<>{1, 1, 1, 1}, Tensor<>{0, 1, 0, 0}).value() == 0.25);
}

TEST_CASE("metrics::RocAuc, AveragePrecision: reference values, however the batches are cut") {
    const MetricExamples e;
    const double auc[] = {0.5109439124487, 0.368386243386243, 0.543269230769231, 0.428180574555404};
    const double precision[] = {0.288679279870257, 0.259922429064941, 0.167851572447161, 0.255382641662652};
    for (const std::uint64_t seed : {1u, 2u}) {
        metrics::RocAuc roc, labels;
        metrics::AveragePrecision ap;
        update_in_batches(roc, e.scores, e.labels, seed);
        update_in_batches(labels, e.scores, e.targets, seed);
        update_in_batches(ap, e.scores, e.labels, seed);
        for (Index c = 0; c < 4; ++c) {
            CHECK(roc.value(c) == Approx(auc[c]).epsilon(1e-12));
            CHECK(ap.value(c) == Approx(precision[c]).epsilon(1e-12));
        }
        CHECK(std::isnan(roc.value(4)));  // does not occur, and is not in the means
        CHECK(std::isnan(ap.value(4)));
        CHECK(roc.curve(4).empty());
        CHECK(roc.value() == Approx((auc[0] + auc[1] + auc[2] + auc[3]) / 4).epsilon(1e-12));
        CHECK(roc.value(Average::weighted) == Approx(0.4490370417696).epsilon(1e-12));
        CHECK(ap.value(Average::weighted) == Approx(0.254507816146761).epsilon(1e-12));
        CHECK(labels.value() == Approx(0.533545736489364).epsilon(1e-12));
        CHECK(of<metrics::AveragePrecision>(e.scores, e.targets).value() ==
              Approx(0.346109715757324).epsilon(1e-12));
    }
}

TEST_CASE("metrics::RocAuc, AveragePrecision: random scores, with ties and without") {
    for (const std::uint64_t seed : {1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u}) {
        Tensor<> scores = random({40 + static_cast<Index>(seed) * 13}, seed);
        if (seed % 2 == 0) scores = whole_numbers(scores.shape(), seed);
        Tensor<> targets = random(scores.shape(), seed + 100);
        for (float& t : targets.mutable_values()) t = t > 0.7f ? 1.0f : 0.0f;
        metrics::RocAuc roc;
        update_in_batches(roc, scores, targets, seed);
        CHECK(roc.value() == Approx(auc_of_pairs(scores, targets)).epsilon(1e-13));
        CHECK(of<metrics::AveragePrecision>(scores, targets).value() ==
              Approx(mean_precision(scores, targets)).epsilon(1e-13));
        // the order of the examples does not matter, bit for bit
        metrics::RocAuc turned = of<metrics::RocAuc>(flip(scores, {0}), flip(targets, {0}));
        CHECK(turned.value() == roc.value());
        const double area = [&] {
            double sum = 0;
            const auto curve = roc.curve();
            for (std::size_t i = 1; i < curve.size(); ++i)
                sum += (curve[i].false_positive_rate - curve[i - 1].false_positive_rate) *
                       (curve[i].true_positive_rate + curve[i - 1].true_positive_rate) / 2;
            return sum;
        }();
        CHECK(area == Approx(roc.value()).epsilon(1e-12));
    }
}

TEST_CASE("metrics::RocAuc: sums, checkpoint, nothing seen") {
    const MetricExamples e;
    const auto all = of<metrics::RocAuc>(e.scores, e.labels);
    metrics::RocAuc sum;
    sum += of<metrics::RocAuc>(e.scores.rows(20, 60), e.labels.rows(20, 60));
    sum += of<metrics::RocAuc>(e.scores.rows(0, 20), e.labels.rows(0, 20));
    CHECK((sum += metrics::RocAuc()).value() == all.value());
    CHECK(saved_and_loaded(sum).value(2) == all.value(2));
    CHECK(saved_and_loaded(sum).count() == 60);
    CHECK(saved_and_loaded(metrics::RocAuc()).count() == 0);
    sum.reset();
    CHECK(std::isnan(sum.value()));
    sum.update(zeros({0, 3}), Tensor<Index>());
    CHECK((sum.count() == 0 && std::isnan(sum.value())));
    CHECK(std::isnan(of<metrics::RocAuc>(Tensor<>{1, 2}, Tensor<>{1, 1}).value()));
}

TEST_CASE("metrics::RocAuc: refusals leave it as it was") {
    metrics::RocAuc roc = of<metrics::RocAuc>(zeros({1, 3}), Tensor<Index>{0});
    CHECK_THROWS_MATCHES(roc.update(Tensor<>{{0, NaN, 1}}, Tensor<Index>{0}), ValueError,
                         Message("roc_auc: the score at [0, 1] is NaN: it cannot be ranked"));
    CHECK_THROWS_MATCHES(roc.update(zeros({2, 3}), Tensor<Index>{0, 3}), ValueError,
                         Message("roc_auc: the target at 1 must be from 0 to 2: got 3"));
    CHECK_THROWS_MATCHES(roc.update(Tensor<>{{1, 2}}, Tensor<>{{0, 0.5f}}), ValueError,
                         Message("roc_auc: the target at [0, 1] must be from 0 to 1: got 0.5"));
    CHECK_THROWS_MATCHES(
        roc.update(zeros({2, 1}), Tensor<Index>{0, 1}), ShapeError,
        Message("roc_auc: one score for two classes: squeeze(scores, 1) first: got [2, 1] and [2]"));
    CHECK_THROWS_MATCHES(roc.update(zeros({2, 2}), Tensor<Index>{0, 1}), ShapeError,
                         Message("roc_auc: the number of classes differs from that before: got 2 and 3"));
    CHECK_THROWS_MATCHES(
        roc.update(zeros({2, 3}), Tensor<Index>{0}), ShapeError,
        Message("roc_auc: needs scores [batch] and targets [batch], scores [batch, classes] and "
                "labels [batch], or scores and targets [batch, labels]: got [2, 3] and [1]"));
    CHECK_THROWS_MATCHES(roc.value(3), ValueError, Message("roc_auc: there is no class 3 among 3"));
    CHECK_THROWS_MATCHES(roc.value(Average::micro), ValueError,
                         Message("roc_auc: has macro and weighted averages only"));
    CHECK(roc.count() == 1);
}
