// SPDX-License-Identifier: MIT
#include "gradus/data/transform.hpp"

#include <cmath>
#include <limits>
#include <optional>

#include "gradus/core/random.hpp"
#include "support/test.hpp"
#include "support/threads.hpp"

using namespace gradus;
using data::Standardize;

TEST_CASE("per_feature gives each feature mean 0 and population std 1") {
    const Tensor<> x{{1, 10}, {2, 30}, {3, 50}, {6, 30}};
    const auto standardize = Standardize::per_feature(x);
    CHECK(standardize.mean() == Tensor<double>{3, 30});
    CHECK(standardize.std() == Tensor<double>{std::sqrt(3.5), std::sqrt(200.0)});
    const Tensor<> y = standardize(x);
    CHECK(y.shape() == x.shape());
    CHECK(y(0, 0) == static_cast<float>(-2 / std::sqrt(3.5)));
    CHECK(y(2, 1) == static_cast<float>(20 / std::sqrt(200.0)));
    CHECK(y(1, 1) == static_cast<float>(0));
}

TEST_CASE("global uses one mean and one std for all") {
    const Tensor<> x{{1, 2}, {3, 6}};
    const auto standardize = Standardize::global(x);
    CHECK(standardize.mean().shape() == Shape{});
    CHECK(standardize.mean().item() == 3);
    CHECK(standardize.std().item() == std::sqrt(3.5));
    CHECK(standardize(x)(1, 1) == static_cast<float>(3 / std::sqrt(3.5)));
    CHECK(standardize(Tensor<>{3, 3, 3}) == Tensor<>{0, 0, 0});  // any shape
    CHECK(standardize(zeros({0, 5})).shape() == Shape{0, 5});
}

TEST_CASE("standardize fits images and takes any number of them") {
    Generator generator(1);
    const Tensor<> x = uniform({50, 3, 4, 5}, 2, 5, generator);
    const auto standardize = Standardize::per_feature(x);
    CHECK(standardize.mean().shape() == Shape{3, 4, 5});
    const Tensor<> all = standardize(x), some = standardize(x.rows(10, 20));
    CHECK(some == all.rows(10, 20));
    CHECK(standardize(x.rows(0, 0)).shape() == Shape{0, 3, 4, 5});
    const auto again = Standardize::per_feature(all);
    for (const double mean : again.mean()) CHECK_THAT(mean, WithinAbs(0, 1e-6));
    for (const double std : again.std()) CHECK_THAT(std, WithinAbs(1, 1e-6));
    CHECK_THROWS_MATCHES(standardize(zeros({50, 3, 5, 4})), ShapeError,
                         Message("standardize: inputs are not [count, ...] of the features fitted to: got "
                                 "[50, 3, 5, 4] and [3, 4, 5]"));
    CHECK_THROWS_AS(standardize(zeros({3, 4, 5})), ShapeError);
    CHECK_THROWS_AS(standardize(full({}, 1)), ShapeError);
}

TEST_CASE("standardize changes the inputs of a dataset and leaves its labels") {
    const data::Dataset<> train{Tensor<>{{1, 2}, {3, 4}}, Tensor<Index>{1, 0}};
    const auto standardize = Standardize::per_feature(train.inputs);
    const data::Dataset<> result = standardize(train);
    CHECK(result.inputs == Tensor<>{{-1, -1}, {1, 1}});
    CHECK(result.labels.shares_memory_with(train.labels));
    CHECK(train.inputs == Tensor<>{{1, 2}, {3, 4}});
}

TEST_CASE("a constant feature becomes exactly 0") {
    // Neither of these has an exact sum over 1000 examples.
    Tensor<double> x = full<double>({1000, 3}, 0.1);
    for (Index i = 0; i < 1000; ++i) x.mutable_at(i, 1) = 1e300, x.mutable_at(i, 2) = static_cast<double>(i);
    const auto each = Standardize::per_feature(x);
    CHECK(each.mean()(0) == 0.1);
    CHECK(each.std()(0) == 0);
    CHECK(each.std()(1) == 0);
    const Tensor<double> y = each(x);
    for (Index i = 0; i < 1000; ++i) {
        CHECK(y(i, 0) == 0);
        CHECK(y(i, 1) == 0);
    }
    CHECK(each(Tensor<double>{{1.1, 1e300, 0}})(0, 0) == 1.0);  // a new value is shifted, not blown up

    const Tensor<> flat = full({7, 5}, 0.3f);
    CHECK(Standardize::global(flat)(flat) == zeros({7, 5}));
    const Tensor<> single{{1, 2, 3}};
    CHECK(Standardize::per_feature(single)(single) == zeros({1, 3}));
}

TEST_CASE("a large mean does not drown a small deviation") {
    Tensor<double> x = Tensor<double>::uninitialized({1000, 1});
    for (Index i = 0; i < 1000; ++i) x.mutable_at(i, 0) = 1e8 + (i % 2 ? 1e-4 : -1e-4);
    const auto standardize = Standardize::per_feature(x);
    CHECK_THAT(standardize.std()(0), WithinRel(1e-4, 1e-3));
    CHECK_THAT(Standardize::global(x).std().item(), WithinRel(1e-4, 1e-3));
}

TEST_CASE("standardize has the same bits for any number of threads") {
    Generator generator(2);
    const Tensor<> x = randn({3000, 70}, generator);
    std::optional<Standardize> each, all;
    Tensor<> y;
    for (int threads = 1; threads <= 3; ++threads) {
        const Threads limit(threads);
        const auto per_feature = Standardize::per_feature(x), global = Standardize::global(x);
        if (threads == 1) each = per_feature, all = global, y = per_feature(x);
        CHECK(per_feature.mean() == each->mean());
        CHECK(per_feature.std() == each->std());
        CHECK(global.mean() == all->mean());
        CHECK(global.std() == all->std());
        CHECK(per_feature(x) == y);
    }
}

TEST_CASE("standardize can be made from known numbers") {
    const Standardize standardize(full<double>({}, 2), full<double>({}, 4));
    CHECK(standardize(Tensor<>{{10, 2}}) == Tensor<>{{2, 0}});
    CHECK_THROWS_MATCHES(Standardize(zeros<double>({2}), zeros<double>({3})), ShapeError,
                         Message("standardize: mean and std differ in shape: got [2] and [3]"));
    CHECK_THROWS_MATCHES(Standardize(Tensor<double>{0.0, 0.0}, Tensor<double>{1.0, -1.0}), ValueError,
                         Message("standardize: needs a finite mean and a finite std >= 0: got 0 and -1 for "
                                 "feature 1; are there NaN or infinite inputs?"));
}

TEST_CASE("standardize refuses an empty set and numbers that are not finite") {
    const auto empty =
        Message("standardize: needs at least one example [count, ...] to fit to: got [0, 784]");
    CHECK_THROWS_MATCHES(Standardize::per_feature(zeros({0, 784})), ValueError, empty);
    CHECK_THROWS_MATCHES(Standardize::global(zeros({0, 784})), ValueError, empty);
    CHECK_THROWS_AS(Standardize::per_feature(full({}, 1)), ValueError);
    CHECK_THROWS_AS(Standardize::per_feature(zeros({5, 0})), ValueError);
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
        for (const Index row : {0, 1}) {
            Tensor<> x = zeros({2, 3});
            x.mutable_at(row, 1) = bad;
            CHECK_THROWS_WITH(Standardize::per_feature(x),
                              ContainsSubstring(" for feature 1; are there NaN or infinite inputs?"));
            CHECK_THROWS_AS(Standardize::global(x), ValueError);
        }
}
