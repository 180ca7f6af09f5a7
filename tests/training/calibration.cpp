// SPDX-License-Identifier: MIT
#include "gradus/training/calibration.hpp"

#include "support/metrics.hpp"

using namespace gradus;

TEST_CASE("metrics::Calibration: by hand") {
    metrics::Calibration calibration({.bins = 2});
    calibration.update(Tensor<double>{{0.75, 0.25}, {0.125, 0.875}, {0.5, 0.5}}, {0, 0, 1});
    // (0, 0.5]: one, wrong, sure by 0.5; (0.5, 1]: one of two right, sure by 0.8125
    const auto bins = calibration.bins();
    CHECK((bins[0].count == 1 && bins[0].accuracy == 0 && bins[0].confidence == 0.5));
    CHECK((bins[1].count == 2 && bins[1].accuracy == 0.5 && bins[1].confidence == 0.8125));
    CHECK(calibration.value() == Approx((0.5 + 2 * 0.3125) / 3));
    CHECK(calibration.count() == 3);

    metrics::Calibration binary({.bins = 4});  // of class 1
    binary.update(Tensor<double>{0, 0.25, 1, 0.9}, {0, 1, 1, 0});
    CHECK(binary.bins()[0].count == 2);  // 0 belongs to the first bin, as does its upper end
    CHECK(binary.value() == Approx((std::abs(1 - 0.25) + std::abs(1 - 1.9)) / 4));
}

TEST_CASE("metrics::Calibration: reference value, however the batches are cut; sums; checkpoint") {
    const MetricExamples e;
    Tensor<double> p = zeros<double>({60, 5});
    for (Index i = 0; i < 60; ++i) {
        double sum = 0;
        for (Index c = 0; c < 5; ++c) sum += static_cast<double>(e.scores(i, c)) + 1.0 / 64;
        for (Index c = 0; c < 5; ++c)
            p.mutable_at(i, c) = (static_cast<double>(e.scores(i, c)) + 1.0 / 64) / sum;
    }
    metrics::Calibration all({.bins = 10}), cut({.bins = 10}), sum({.bins = 10});
    all.update(p, e.labels);
    update_in_batches(cut, p, e.labels, 5);
    CHECK(all.value() == Approx(0.143614877535814).epsilon(1e-12));
    CHECK(cut.value() == all.value());
    sum.update(p.rows(30, 60), e.labels.rows(30, 60));
    metrics::Calibration first({.bins = 10});
    first.update(p.rows(0, 30), e.labels.rows(0, 30));
    CHECK((sum += first).value() == Approx(all.value()).epsilon(1e-14));
    CHECK(saved_and_loaded(sum, metrics::Calibration({.bins = 10})).value() == sum.value());
    sum.reset();
    CHECK(std::isnan(sum.value()));
}

TEST_CASE("metrics::Calibration: takes what softmax gives in float") {
    metrics::Calibration calibration;
    const MetricExamples e;
    calibration.update(softmax(e.scores * 100, 1), e.labels);
    CHECK(calibration.count() == 60);
}

TEST_CASE("metrics::Calibration: refusals leave it as it was") {
    metrics::Calibration calibration;
    CHECK_THROWS_MATCHES(
        calibration.update(Tensor<>{{0.5f, 0.5f}, {-1, 2}}, {0, 1}), ValueError,
        Message("calibration: needs probabilities, softmax(logits, 1) or sigmoid(logits): got -1 at "
                "position [1, 0]"));
    CHECK_THROWS_MATCHES(
        calibration.update(Tensor<>{{0.5f, NaN}}, {0}), ValueError,
        Message("calibration: needs probabilities, softmax(logits, 1) or sigmoid(logits): got nan at "
                "position [0, 1]"));
    CHECK_THROWS_MATCHES(
        calibration.update(Tensor<>{{0.25f, 0.5f}}, {0}), ValueError,
        Message("calibration: the probabilities of an example must add up to 1; softmax(logits, 1) "
                "first: got 0.75"));
    CHECK_THROWS_MATCHES(calibration.update(Tensor<>{0.25f}, {2}), ValueError,
                         Message("calibration: label 2 at position 0 is out of range for 2 classes"));
    CHECK_THROWS_MATCHES(metrics::Calibration({.bins = 0}), ValueError,
                         Message("calibration: needs 1 to 1,000,000 bins: got 0"));
    CHECK_THROWS_MATCHES(calibration += metrics::Calibration({.bins = 3}), ValueError,
                         Message("calibration: numbers of bins differ: got 15 and 3"));
    CHECK_THROWS_MATCHES(
        saved_and_loaded(calibration, metrics::Calibration({.bins = 3})), ShapeError,
        Message("calibration: load: another number of bins was saved: got [15, 2] and [3, 2]"));
    CHECK(calibration.count() == 0);
}
