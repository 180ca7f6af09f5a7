// SPDX-License-Identifier: MIT
#include "gradus/loss/l1.hpp"

#include "loss/targets.hpp"
#include "support/numbers.hpp"
#include "support/op_table.hpp"

using namespace gradus;

namespace {

const Tensor<> prediction{{-2, 0.5f, 3}, {1, 1.25f, -0.5f}};
const Tensor<> target{{-1.5f, 0.5f, 0}, {3, 1, -0.25f}};

}  // namespace

TEST_CASE("l1: op table") {
    for (const auto reduction : {Reduction::mean, Reduction::sum, Reduction::none}) {
        INFO("reduction " << static_cast<int>(reduction));
        check_op(
            "l1",
            [=](const auto& x) {
                using T = number_of<decltype(x[0])>;
                const auto t = full<T>(x[0].shape(), T(0.5));
                return l1(x[0], t, {.reduction = reduction});
            },
            {.shapes = {{{}}, {{1}}, {{7}}, {{2, 3}}, {{2, 3, 2}}}, .large = {{{70001}}}, .kinks = {0.5}});
    }
}

// From F.l1_loss(prediction, target) of PyTorch 1.13.
TEST_CASE("l1: values and gradients") {
    const auto mean = [](const auto& x) { return l1(x, target); };
    check_numbers(l1(leaf(prediction), target, {.reduction = Reduction::none}).value(),
                  {{0.5f, 0, 3}, {2, 0.25f, 0.25f}});
    check_numbers(mean(leaf(prediction)).value(), full({}, 1));
    check_numbers(l1(leaf(prediction), target, {.reduction = Reduction::sum}).value(), full({}, 6));
    const float sixth = 1.0f / 6;
    check_numbers(gradient(mean, prediction), {{-sixth, 0, sixth}, {-sixth, sixth, -sixth}});
    CHECK(mean(leaf(prediction)).operation() == std::string("l1"));
}

TEST_CASE("l1: special values") {
    const Tensor<> x{1e4f, infinity, NaN, -0.0f}, t{-1e4f, 0, 0, 0};
    const auto each = [&](const auto& v) { return l1(v, t, {.reduction = Reduction::none}); };
    check_numbers(each(leaf(x)).value(), {2e4f, infinity, NaN, 0});
    check_numbers(gradient(each, x), {1, 1, 0, 0});  // 0 at NaN, as in PyTorch
}

TEST_CASE("l1: no rows") {
    CHECK(std::isnan(l1(leaf(zeros({0, 3})), zeros({0, 3})).item()));
    CHECK(l1(leaf(zeros({0, 3})), zeros({0, 3}), {.reduction = Reduction::sum}).item() == 0);
}

TEST_CASE("l1: refusals") {
    const auto shapes = [](const std::string& given) {
        return Message("l1: the target needs the shape of the prediction; reshape one of them: got " + given);
    };
    CHECK_THROWS_MATCHES(l1(leaf(zeros({4, 1})), zeros({4})), ShapeError, shapes("[4, 1] and [4]"));
    CHECK_THROWS_MATCHES(l1(leaf(zeros({2, 3})), zeros({1, 3})), ShapeError, shapes("[2, 3] and [1, 3]"));
    CHECK_THROWS_MATCHES(l1(leaf(zeros({})), zeros({1})), ShapeError, shapes("[] and [1]"));
    CHECK_THROWS_MATCHES(l1(leaf(zeros({2})), zeros({2}), {.reduction = Reduction::batchmean}), ValueError,
                         Message("l1: batchmean is a reduction of kl_div alone; take mean or sum"));
}
