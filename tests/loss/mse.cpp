// SPDX-License-Identifier: MIT
#include "gradus/loss/mse.hpp"

#include "loss/targets.hpp"
#include "support/numbers.hpp"
#include "support/op_table.hpp"

using namespace gradus;

namespace {

const Tensor<> prediction{{-2, 0.5f, 3}, {1, 1.25f, -0.5f}};
const Tensor<> target{{-1.5f, 0.5f, 0}, {3, 1, -0.25f}};

}  // namespace

TEST_CASE("mse: op table") {
    for (const auto reduction : {Reduction::mean, Reduction::sum, Reduction::none}) {
        INFO("reduction " << static_cast<int>(reduction));
        check_op("mse",
                 [=](const auto& x) {
                     const auto t = targets<number_of<decltype(x[0])>>(x[0].shape(), -1, 0.25);
                     return mse(x[0], t, {.reduction = reduction});
                 },
                 {.shapes = {{{}}, {{1}}, {{7}}, {{2, 3}}, {{2, 3, 2}}}, .large = {{{70001}}}});
    }
    check_op("mse of nothing",
             [](const auto& x) {
                 using T = number_of<decltype(x[0])>;
                 return mse(x[0], zeros<T>(x[0].shape()), {.reduction = Reduction::none});
             },
             {.shapes = {{{0, 3}}}});
}

// From F.mse_loss(prediction, target) of PyTorch 1.13.
TEST_CASE("mse: values and gradients") {
    const auto loss = [](Reduction reduction) {
        return [reduction](const auto& x) { return mse(x, target, {.reduction = reduction}); };
    };
    check_numbers(loss(Reduction::none)(leaf(prediction)).value(), {{0.25f, 0, 9}, {4, 0.0625f, 0.0625f}});
    check_numbers(mse(leaf(prediction), target).value(), full({}, 2.22916667f), 1e-6f);
    check_numbers(loss(Reduction::sum)(leaf(prediction)).value(), full({}, 13.375f));
    check_numbers(gradient(loss(Reduction::mean), prediction),
                  {{-0.166666667f, 0, 1}, {-0.666666667f, 0.0833333333f, -0.0833333333f}}, 1e-6f);
    check_numbers(gradient(loss(Reduction::sum), prediction), {{-1, 0, 6}, {-4, 0.5f, -0.5f}});
    CHECK(mse(leaf(prediction), target).operation() == std::string("mse"));

    const Variable<> x = leaf({1, 2});  // one gradient per element
    mse(x, {0, 0}, {.reduction = Reduction::none}).backward({.gradient = Tensor<>{3, 0}});
    check_numbers(x.grad(), {6, 0});
}

TEST_CASE("mse: special values") {
    const Tensor<> x{1e4f, infinity, NaN, 1}, t{-1e4f, 0, 0, NaN};
    check_numbers(mse(leaf(x), t, {.reduction = Reduction::none}).value(), {4e8f, infinity, NaN, NaN});
    CHECK(std::isnan(mse(leaf(x), t).item()));
}

TEST_CASE("mse: no rows") {
    CHECK(std::isnan(mse(leaf(zeros({0, 3})), zeros({0, 3})).item()));
    CHECK(mse(leaf(zeros({0, 3})), zeros({0, 3}), {.reduction = Reduction::sum}).item() == 0);
}

TEST_CASE("mse: refusals") {
    const auto shapes = [](const std::string& given) {
        return Message("mse: the target needs the shape of the prediction; reshape one of them: got " +
                       given);
    };
    CHECK_THROWS_MATCHES(mse(leaf(zeros({4, 1})), zeros({4})), ShapeError, shapes("[4, 1] and [4]"));
    CHECK_THROWS_MATCHES(mse(leaf(zeros({2, 3})), zeros({1, 3})), ShapeError, shapes("[2, 3] and [1, 3]"));
    CHECK_THROWS_MATCHES(mse(leaf(zeros({})), zeros({1})), ShapeError, shapes("[] and [1]"));
    CHECK_THROWS_MATCHES(mse(leaf(zeros({2})), zeros({2}), {.reduction = Reduction::batchmean}), ValueError,
                         Message("mse: batchmean is a reduction of kl_div alone; take mean or sum"));
}
