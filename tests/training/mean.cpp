// SPDX-License-Identifier: MIT
#include "gradus/training/mean.hpp"

#include "support/metrics.hpp"

using namespace gradus;

TEST_CASE("metrics::Mean: reference values, the same bits however the numbers come") {
    const MetricExamples e;
    metrics::Mean mean, once;
    Tensor<> losses = zeros({60});
    for (Index i = 0; i < 60; ++i) losses.mutable_at(i) = e.scores(i, 0);
    for (const float loss : losses) mean.update(static_cast<double>(loss));
    once.update(leaf(losses));
    CHECK(mean.value() == Approx(0.430729166666667).epsilon(1e-12));
    CHECK(mean.standard_error() == Approx(0.0318367554944275).epsilon(1e-12));
    CHECK((once.value() == mean.value() && once.standard_error() == mean.standard_error()));
    CHECK(to_string(mean) == "0.4307 ± 0.032");
}

TEST_CASE("metrics::Mean: uneven batches count by their examples") {
    metrics::Mean mean;
    mean.update(1, 100);
    mean.update(4, 50);
    mean.update(123, 0);
    CHECK(mean.value() == 2);
    CHECK(mean.count() == 150);
    // between the batches: √((100 · 1² + 50 · 2²) / 1) / √150
    CHECK(mean.standard_error() == Approx(std::sqrt(300.0 / 150)));
}

TEST_CASE("metrics::Mean: small differences of large numbers, and many small ones") {
    metrics::Mean far, many;
    for (const double x : {1e9 + 1, 1e9 + 2, 1e9 + 3}) far.update(x);
    CHECK(far.standard_deviation() == 1);
    many.update(1e16);
    for (int i = 0; i < 1000; ++i) many.update(1);
    CHECK(many.value() * 1001 == Approx(1e16 + 1000).epsilon(1e-16));
}

TEST_CASE("metrics::Mean: sums, checkpoint, nothing seen, infinity") {
    metrics::Mean a, b, both;
    for (const double x : {1.0, 2.0, 4.0}) a.update(x), both.update(x);
    for (const double x : {8.0, 16.0}) b.update(x), both.update(x);
    a += b;
    CHECK(a.value() == both.value());
    CHECK(a.standard_error() == Approx(both.standard_error()).epsilon(1e-14));
    const metrics::Mean loaded = saved_and_loaded(a);
    CHECK((loaded.value() == a.value() && loaded.standard_error() == a.standard_error() &&
           loaded.count() == 5));
    a.reset();
    CHECK(std::isnan(a.value()));
    CHECK(to_string(a) == "nan");
    a.update(3);
    CHECK(to_string(a) == "3");  // one number has no spread
    a.update(static_cast<double>(infinity));
    CHECK(std::isinf(a.value()));
    CHECK_THROWS_MATCHES(a.update(1, -1), ValueError, Message("mean: count must not be negative: got -1"));
}
