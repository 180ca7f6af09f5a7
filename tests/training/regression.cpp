// SPDX-License-Identifier: MIT
#include "gradus/training/regression.hpp"

#include "support/metrics.hpp"
#include "support/random.hpp"

using namespace gradus;

namespace {

metrics::Regression of(const Tensor<double>& predictions, const Tensor<double>& targets) {
    metrics::Regression errors;
    errors.update(predictions, targets);
    return errors;
}

}  // namespace

TEST_CASE("metrics::Regression: by hand") {
    const auto errors = of({2.5, 0, 2, 8}, {3, -0.5, 2, 7});
    CHECK(errors.mse() == 0.375);
    CHECK(errors.value() == 0.375);
    CHECK(errors.rmse() == Approx(0.612372435695794).epsilon(1e-14));
    CHECK(errors.mae() == 0.5);
    CHECK(errors.max_error() == 1);
    CHECK(errors.r2() == Approx(0.948608137044968).epsilon(1e-14));
    CHECK(to_string(errors) == "rmse 0.6124, mae 0.5, r2 0.9486, max error 1");
}

TEST_CASE("metrics::Regression: reference values; the same bits however the batches are cut") {
    const MetricExamples e;
    Tensor<double> y = zeros<double>({60, 2}), p = y;
    for (Index i = 0; i < 60; ++i)
        for (Index c = 0; c < 2; ++c) {
            y.mutable_at(i, c) =
                1e6 + static_cast<double>(e.targets(i, c)) + static_cast<double>(i) * (c == 0 ? 0.25 : -0.5);
            p.mutable_at(i, c) = y(i, c) + static_cast<double>(e.scores(i, c)) - 0.5;
        }
    const auto all = of(p, y);
    CHECK(all.mse() == Approx(0.06044921875).epsilon(1e-12));
    CHECK(all.rmse() == Approx(0.245719136501982).epsilon(1e-12));
    CHECK(all.mae() == Approx(0.208854166666667).epsilon(1e-12));
    CHECK(all.r2() == Approx(0.997897721212668).epsilon(1e-12));
    CHECK(all.max_error() == 0.5);
    for (const std::uint64_t seed : {1u, 2u, 3u}) {
        metrics::Regression errors;
        update_in_batches(errors, p, y, seed);
        CHECK(errors.mse() == all.mse());
        CHECK(errors.r2() == all.r2());
        CHECK(errors.count() == 60);
    }
    metrics::Regression sum = of(p.rows(40, 60), y.rows(40, 60));
    sum += of(p.rows(0, 40), y.rows(0, 40));
    CHECK((sum += metrics::Regression()).r2() == Approx(all.r2()).epsilon(1e-12));
    CHECK(sum.mae() == Approx(all.mae()).epsilon(1e-14));
    const auto loaded = saved_and_loaded(sum);
    CHECK((loaded.r2() == sum.r2() && loaded.rmse() == sum.rmse() && loaded.max_error() == sum.max_error()));
}

TEST_CASE("metrics::Regression: stable where squares and plain sums are not") {
    metrics::Regression errors;  // a million targets around 1e8, errors of 1e-3
    const Tensor<double> noise = random<double>({1000}, 3);
    double squares = 0;
    for (int round = 0; round < 100; ++round) errors.update(noise + 1e8 + 1e-3, noise + 1e8);
    for (const double x : noise) squares += x * x;
    double mean = 0;
    for (const double x : noise) mean += x / 1000;
    CHECK(errors.r2() == Approx(1 - 1e-6 / (squares / 1000 - mean * mean)).epsilon(1e-7));
    CHECK(errors.mae() == Approx(1e-3).epsilon(1e-4));  // 1e8 has 1.5e-8 between its neighbors
}

TEST_CASE("metrics::Rmse, Mae, R2: one of the errors as value()") {
    const auto value = [](auto metric) {
        metric.update(Tensor<double>{2.5, 0, 2, 8}, Tensor<double>{3, -0.5, 2, 7});
        metric += decltype(metric)();
        return saved_and_loaded(metric).value();
    };
    CHECK(value(metrics::Rmse()) == Approx(0.612372435695794).epsilon(1e-14));
    CHECK(value(metrics::Mae()) == 0.5);
    CHECK(value(metrics::R2()) == Approx(0.948608137044968).epsilon(1e-14));
}

TEST_CASE("metrics::Regression: constant targets, one example, none, NaN") {
    CHECK(of({1, 1}, {1, 1}).r2() == 1);
    CHECK(of({1, 2}, {1, 1}).r2() == 0);
    CHECK(std::isnan(of({1}, {1}).r2()));
    CHECK(std::isnan(metrics::Regression().mse()));
    CHECK(std::isnan(metrics::Regression().max_error()));
    const double nan = std::numeric_limits<double>::quiet_NaN();
    auto broken = of({1, nan, 3}, {1, 2, 2});
    CHECK(std::isnan(broken.mse()));
    CHECK(std::isnan(broken.max_error()));
    CHECK(std::isnan(broken.r2()));
    CHECK(std::isnan(of({nan, 1}, {1, 1}).r2()));
    broken.reset();
    CHECK(broken.count() == 0);
}

TEST_CASE("metrics::Regression: refusals") {
    metrics::Regression errors;
    CHECK_THROWS_MATCHES(
        errors.update(zeros({3, 1}), zeros({3})), ShapeError,
        Message("regression: needs predictions and targets of one shape; squeeze(predictions, -1) "
                "first: got [3, 1] and [3]"));
    CHECK_THROWS_MATCHES(
        errors.update(leaf(zeros({3})), zeros({4})), ShapeError,
        Message("regression: needs predictions and targets of one shape, [batch, ...]: got [3] and "
                "[4]"));
    errors.update(zeros({2, 3}), zeros({2, 3}));
    CHECK_THROWS_MATCHES(errors.update(zeros({2, 2}), zeros({2, 2})), ShapeError,
                         Message("regression: the number of outputs differs from that before: got 2 and 3"));
}
