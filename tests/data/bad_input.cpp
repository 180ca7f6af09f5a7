// SPDX-License-Identifier: MIT
// Data that is awkward or wrong: what becomes of it, from the set to the step. Files have tests beside their readers.

#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "gradus/data/loader.hpp"
#include "gradus/data/transform.hpp"
#include "gradus/loss/cross_entropy.hpp"
#include "gradus/loss/mse.hpp"
#include "gradus/nn/batch_norm.hpp"
#include "support/test.hpp"

using namespace gradus;
using Catch::Matchers::StartsWith;
using data::Dataset;
using data::Loader;

namespace {

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN(),
                infinity = std::numeric_limits<float>::infinity();

}  // namespace

TEST_CASE("an empty set has no batches, and a set of one example one") {
    const Dataset<> empty{zeros({0, 3}), Tensor<Index>()};
    CHECK(Loader(empty).size() == 0);
    CHECK_THROWS_MATCHES(Loader(empty).begin(), ValueError, Message("loader: the dataset is empty"));
    CHECK_THROWS_MATCHES(
        data::Standardize::per_feature(empty.inputs), ValueError,
        Message("standardize: needs at least one example [count, ...] to fit to: got [0, 3]"));
    const Dataset<> one{Tensor<>{{1, 2, 3}}, Tensor<Index>{0}};
    const Loader loader(one, {.batch_size = 1000, .shuffle = true});
    REQUIRE(loader.size() == 1);
    CHECK(loader.epoch(5)[0].inputs == one.inputs);
    CHECK_THROWS_MATCHES(
        Loader(one, {.batch_size = 2, .drop_last = true}).begin(), ValueError,
        Message(
            "loader: there are no batches: drop_last leaves out all 1 examples, fewer than the batch of 2"));
    CHECK(data::Standardize::per_feature(one.inputs)(one.inputs) == zeros({1, 3}));
}

TEST_CASE("a last batch of one example meets batch normalization, which says what to do") {
    const Dataset<> five{ones({5, 2}), arange<Index>(5)};
    const nn::BatchNorm1d<> norm(2);
    const Loader loader(five, {.batch_size = 4});
    CHECK(norm(Variable<>(loader[0].inputs)).shape() == Shape{4, 2});
    CHECK_THROWS_MATCHES(
        norm(Variable<>(loader[1].inputs)), ShapeError,
        Message("batch_norm: the variance of a batch needs more than one value per channel; use a "
                "larger batch, or nn::eval(net) to normalize by the running statistics: got [1, 2]"));
    CHECK(Loader(five, {.batch_size = 4, .drop_last = true}).size() == 1);
}

TEST_CASE("a constant feature, one class alone and an absent class give no NaN") {
    const Tensor<> inputs{{7, 1}, {7, 2}, {7, 3}};
    for (const float x : data::Standardize::per_feature(inputs)(inputs)) CHECK(std::isfinite(x));
    const Variable<> logits(Tensor<>{{3, 1, 0}, {2, 0, 1}, {9, 0, 0}}, {.requires_grad = true});
    const auto loss = cross_entropy(logits, Tensor<Index>{0, 0, 0});  // classes 1 and 2 are absent
    loss.backward();
    CHECK(std::isfinite(loss.item()));
    for (const float gradient : logits.grad()) CHECK(std::isfinite(gradient));
}

TEST_CASE("numbers that are not finite are named where data is fitted to, and stay visible in the loss") {
    const std::string start = "standardize: needs a finite mean and a finite std >= 0: got ",
                      end = " for feature 1; are there NaN or infinite inputs?";
    for (const auto& [bad, mean] : {std::pair{not_a_number, "nan"}, {infinity, "inf"}, {-infinity, "-inf"}})
        try {
            data::Standardize::per_feature(Tensor<>{{1, 2}, {3, bad}});
            FAIL("accepted");
        } catch (const ValueError& error) {  // the deviation is NaN, of either sign
            CHECK_THAT(error.what(), StartsWith(start + mean + " and ") && ContainsSubstring("nan" + end));
        }
    CHECK(std::isnan(mse(Variable<>(Tensor<>{1, not_a_number}), Tensor<>{1, 1}).item()));
    CHECK(std::isnan(mse(Variable<>(Tensor<>{1, 1}), Tensor<>{1, not_a_number}).item()));
    CHECK_THROWS_AS(cross_entropy(Variable<>(zeros({1, 3})), Tensor<Index>{3}), ValueError);
}
