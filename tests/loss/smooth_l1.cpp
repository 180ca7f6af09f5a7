// SPDX-License-Identifier: MIT
#include "gradus/loss/smooth_l1.hpp"

#include <vector>

#include "loss/row.hpp"
#include "loss/targets.hpp"
#include "support/numbers.hpp"
#include "support/op_table.hpp"

using namespace gradus;

namespace {

const Tensor<> prediction{{-2, 0.5f, 3}, {1, 1.25f, -0.5f}};
const Tensor<> target{{-1.5f, 0.5f, 0}, {3, 1, -0.25f}};

}  // namespace

TEST_CASE("smooth_l1: op table") {
    for (const auto reduction : {Reduction::mean, Reduction::sum, Reduction::none}) {
        INFO("reduction " << static_cast<int>(reduction));
        check_op("smooth_l1",
                 [=](const auto& x) {
                     using T = number_of<decltype(x[0])>;
                     const auto t = full<T>(x[0].shape(), T(0.5));
                     return smooth_l1(x[0], t, {.reduction = reduction, .beta = 0.75});
                 },
                 {.shapes = {{{}}, {{1}}, {{7}}, {{2, 3}}, {{2, 3, 2}}},
                  .large = {{{70001}}},
                  .kinks = {-0.25, 1.25}});
    }
}

// From F.smooth_l1_loss(prediction, target, beta = ...) of PyTorch 1.13; the gradient is that of the mean.
// With beta = 0 that version gives -1 where both are equal, later ones 0, as l1 does.
TEST_CASE("smooth_l1: values and gradients") {
    for (const auto& row : std::vector<LossRow<SmoothL1Options>>{
             {"beta 1",
              {.beta = 1},
              {{0.125f, 0, 2.5f}, {1.5f, 0.03125f, 0.03125f}},
              0.697916667f,
              4.1875f,
              {{-0.0833333333f, 0, 0.166666667f}, {-0.166666667f, 0.0416666667f, -0.0416666667f}}},
             {"beta 0.25",
              {.beta = 0.25},
              {{0.375f, 0, 2.875f}, {1.875f, 0.125f, 0.125f}},
              0.895833333f,
              5.375f,
              {{-0.166666667f, 0, 0.166666667f}, {-0.166666667f, 0.166666667f, -0.166666667f}}},
             {"beta 0",
              {.beta = 0},
              {{0.5f, 0, 3}, {2, 0.25f, 0.25f}},
              1,
              6,
              {{-0.166666667f, 0, 0.166666667f}, {-0.166666667f, 0.166666667f, -0.166666667f}}}})
        check_loss(row, prediction,
                   [](const auto& x, const auto& options) { return smooth_l1(x, target, options); });
    CHECK(smooth_l1(leaf(prediction), target).item() == Approx(0.697916667));
    CHECK(smooth_l1(leaf(prediction), target).operation() == std::string("smooth_l1"));
}

TEST_CASE("smooth_l1: special values") {
    const Tensor<> x{1e4f, infinity, -infinity, NaN}, t{-1e4f, 0, 0, 0};
    const auto each = [&](const auto& v) { return smooth_l1(v, t, {.reduction = Reduction::none}); };
    check_numbers(each(leaf(x)).value(), {19999.5f, infinity, infinity, NaN});
    check_numbers(gradient(each, x), {1, 1, -1, NaN});
}

TEST_CASE("smooth_l1: no rows") {
    CHECK(std::isnan(smooth_l1(leaf(zeros({0, 3})), zeros({0, 3})).item()));
    CHECK(smooth_l1(leaf(zeros({0, 3})), zeros({0, 3}), {.reduction = Reduction::sum}).item() == 0);
}

TEST_CASE("smooth_l1: refusals") {
    const auto shapes = [](const std::string& given) {
        return Message("smooth_l1: the target needs the shape of the prediction; reshape one of them: got " +
                       given);
    };
    CHECK_THROWS_MATCHES(smooth_l1(leaf(zeros({4, 1})), zeros({4})), ShapeError, shapes("[4, 1] and [4]"));
    CHECK_THROWS_MATCHES(smooth_l1(leaf(zeros({2, 3})), zeros({1, 3})), ShapeError,
                         shapes("[2, 3] and [1, 3]"));
    CHECK_THROWS_MATCHES(smooth_l1(leaf(zeros({})), zeros({1})), ShapeError, shapes("[] and [1]"));
    CHECK_THROWS_MATCHES(smooth_l1(leaf(zeros({2})), zeros({2}), {.reduction = Reduction::batchmean}),
                         ValueError,
                         Message("smooth_l1: batchmean is a reduction of kl_div alone; take mean or sum"));
    const auto beta = [](const std::string& given) {
        return Message("smooth_l1: beta must be at least 0: got " + given);
    };
    CHECK_THROWS_MATCHES(smooth_l1(leaf(zeros({2})), zeros({2}), {.beta = -1}), ValueError, beta("-1"));
    CHECK_THROWS_MATCHES(smooth_l1(leaf(zeros({2})), zeros({2}), {.beta = static_cast<double>(NaN)}),
                         ValueError, beta("nan"));
}
