// SPDX-License-Identifier: MIT
#include "gradus/loss/huber.hpp"

#include <vector>

#include "gradus/loss/smooth_l1.hpp"
#include "loss/row.hpp"
#include "loss/targets.hpp"
#include "support/numbers.hpp"
#include "support/op_table.hpp"

using namespace gradus;

namespace {

const Tensor<> prediction{{-2, 0.5f, 3}, {1, 1.25f, -0.5f}};
const Tensor<> target{{-1.5f, 0.5f, 0}, {3, 1, -0.25f}};

}  // namespace

TEST_CASE("huber: op table") {
    for (const auto reduction : {Reduction::mean, Reduction::sum, Reduction::none}) {
        INFO("reduction " << static_cast<int>(reduction));
        check_op("huber",
                 [=](const auto& x) {
                     using T = number_of<decltype(x[0])>;
                     const auto t = full<T>(x[0].shape(), T(0.5));
                     return huber(x[0], t, {.reduction = reduction, .delta = 0.75});
                 },
                 {.shapes = {{{}}, {{1}}, {{7}}, {{2, 3}}, {{2, 3, 2}}},
                  .large = {{{70001}}},
                  .kinks = {-0.25, 1.25}});
    }
}

// From F.huber_loss(prediction, target, delta = ...) of PyTorch 1.13; the gradient is that of the mean.
TEST_CASE("huber: values and gradients") {
    for (const auto& row : std::vector<LossRow<HuberOptions>>{
             {"delta 1",
              {.delta = 1},
              {{0.125f, 0, 2.5f}, {1.5f, 0.03125f, 0.03125f}},
              0.697916667f,
              4.1875f,
              {{-0.0833333333f, 0, 0.166666667f}, {-0.166666667f, 0.0416666667f, -0.0416666667f}}},
             {"delta 0.25",
              {.delta = 0.25},
              {{0.09375f, 0, 0.71875f}, {0.46875f, 0.03125f, 0.03125f}},
              0.223958333f,
              1.34375f,
              {{-0.0416666667f, 0, 0.0416666667f}, {-0.0416666667f, 0.0416666667f, -0.0416666667f}}},
             {"delta 2.5",
              {.delta = 2.5},
              {{0.125f, 0, 4.375f}, {2, 0.03125f, 0.03125f}},
              1.09375f,
              6.5625f,
              {{-0.0833333333f, 0, 0.416666667f}, {-0.333333333f, 0.0416666667f, -0.0416666667f}}}})
        check_loss(row, prediction,
                   [](const auto& x, const auto& options) { return huber(x, target, options); });
    CHECK(huber(leaf(prediction), target).item() == Approx(0.697916667));
    CHECK(huber(leaf(prediction), target).operation() == std::string("huber"));
}

TEST_CASE("huber: delta times smooth_l1") {
    Generator generator(5);
    const Tensor<> x = randn({50}, generator), t = randn({50}, generator);
    for (const double delta : {0.125, 0.5, 2.0})
        check_numbers(huber(leaf(x), t, {.reduction = Reduction::none, .delta = delta}).value(),
                      smooth_l1(leaf(x), t, {.reduction = Reduction::none, .beta = delta}).value() *
                          static_cast<float>(delta),
                      1e-6f);
}

TEST_CASE("huber: special values") {
    const Tensor<> x{1e4f, infinity, -infinity, NaN}, t{-1e4f, 0, 0, 0};
    const auto each = [&](const auto& v) { return huber(v, t, {.reduction = Reduction::none, .delta = 2}); };
    check_numbers(each(leaf(x)).value(), {39998, infinity, infinity, NaN});
    check_numbers(gradient(each, x), {2, 2, -2, NaN});
}

TEST_CASE("huber: no rows") {
    CHECK(std::isnan(huber(leaf(zeros({0, 3})), zeros({0, 3})).item()));
    CHECK(huber(leaf(zeros({0, 3})), zeros({0, 3}), {.reduction = Reduction::sum}).item() == 0);
}

TEST_CASE("huber: refusals") {
    const auto shapes = [](const std::string& given) {
        return Message("huber: the target needs the shape of the prediction; reshape one of them: got " +
                       given);
    };
    CHECK_THROWS_MATCHES(huber(leaf(zeros({4, 1})), zeros({4})), ShapeError, shapes("[4, 1] and [4]"));
    CHECK_THROWS_MATCHES(huber(leaf(zeros({2, 3})), zeros({1, 3})), ShapeError, shapes("[2, 3] and [1, 3]"));
    CHECK_THROWS_MATCHES(huber(leaf(zeros({})), zeros({1})), ShapeError, shapes("[] and [1]"));
    CHECK_THROWS_MATCHES(huber(leaf(zeros({2})), zeros({2}), {.reduction = Reduction::batchmean}), ValueError,
                         Message("huber: batchmean is a reduction of kl_div alone; take mean or sum"));
    const auto delta = [](const std::string& given) {
        return Message("huber: delta must be greater than 0: got " + given);
    };
    CHECK_THROWS_MATCHES(huber(leaf(zeros({2})), zeros({2}), {.delta = 0}), ValueError, delta("0"));
    CHECK_THROWS_MATCHES(huber(leaf(zeros({2})), zeros({2}), {.delta = -1.5}), ValueError, delta("-1.5"));
    CHECK_THROWS_MATCHES(huber(leaf(zeros({2})), zeros({2}), {.delta = static_cast<double>(NaN)}), ValueError,
                         delta("nan"));
}
