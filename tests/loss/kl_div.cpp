// SPDX-License-Identifier: MIT
#include "gradus/loss/kl_div.hpp"

#include <vector>

#include "gradus/ops/activation.hpp"
#include "loss/row.hpp"
#include "loss/targets.hpp"
#include "support/numbers.hpp"
#include "support/op_table.hpp"

using namespace gradus;

namespace {

const Tensor<> x{{-0.5f, -1, -2}, {-1.5f, -0.25f, -3}};
const Tensor<> target{{0.2f, 0.3f, 0.5f}, {1, 0, 0}};
const Tensor<> log_target{{-1, -0.5f, -2}, {-0.25f, -3, -1.5f}};

using Row = LossRow<KlDivOptions>;

void check_row(const Row& row, const Tensor<>& at, const Tensor<>& wanted) {
    check_loss(row, at, [&](const auto& v, const auto& options) { return kl_div(v, wanted, options); });
}

}  // namespace

TEST_CASE("kl_div: op table") {
    for (const auto reduction : {Reduction::mean, Reduction::sum, Reduction::none})
        for (const bool of_logs : {false, true}) {
            INFO("reduction " << static_cast<int>(reduction) << ", log_target " << of_logs);
            check_op("kl_div",
                     [=](const auto& v) {
                         const auto t = targets<number_of<decltype(v[0])>>(v[0].shape(), 0, 1);
                         return kl_div(v[0], t, {.reduction = reduction, .log_target = of_logs});
                     },
                     {.shapes = {{{}}, {{1}}, {{7}}, {{2, 3}}, {{2, 3, 2}}},
                      .large = {{{70001}}},
                      .low = -3,
                      .high = 0});
        }
    check_op("kl_div, batchmean",
             [](const auto& v) {
                 const auto t = targets<number_of<decltype(v[0])>>(v[0].shape(), 0, 1);
                 return kl_div(v[0], t, {.reduction = Reduction::batchmean});
             },
             {.shapes = {{{1}}, {{7}}, {{2, 3}}, {{2, 0}}}, .low = -3, .high = 0});
}

// From F.kl_div(x, target, ...) of PyTorch 1.13, in double.
TEST_CASE("kl_div: values and gradients") {
    check_row({"defaults",
               {},
               {{-0.221887582f, -0.0611918413f, 0.65342641f}, {1.5f, 0, 0}},
               0.311724498f,
               1.87034699f,
               {{-0.0333333333f, -0.05f, -0.0833333333f}, {-0.166666667f, -0, -0}}},
              x, target);
    check_row(
        {"log_target",
         {.log_target = true},
         {{-0.183939721f, 0.30326533f, 0}, {0.973500979f, -0.136914438f, 0.33469524f}},
         0.215101232f,
         1.29060739f,
         {{-0.0613132402f, -0.101088443f, -0.0225558805f}, {-0.129800131f, -0.00829784473f, -0.03718836f}}},
        x, log_target);
    const auto batchmean = [](const auto& v) {
        return kl_div(v, target, {.reduction = Reduction::batchmean});
    };
    CHECK(batchmean(leaf(x)).item() == Approx(0.935173493));
    check_numbers(gradient(batchmean, x), {{-0.1f, -0.15f, -0.25f}, {-0.5f, 0, 0}}, 1e-6f);
    CHECK(kl_div(leaf(x), log_target, {.reduction = Reduction::batchmean, .log_target = true}).item() ==
          Approx(0.645303695));
    CHECK(batchmean(leaf(x)).operation() == std::string("kl_div"));
}

TEST_CASE("kl_div: a distribution does not diverge from itself") {
    Generator generator(5);
    Variable<> logits = leaf(normal({20, 7}, 0, 3, generator));
    for (const bool of_logs : {false, true}) {
        const Variable<> log_p = log_softmax(logits);
        const Variable<> loss = kl_div(log_p, of_logs ? log_p.value() : softmax(logits).value(),
                                       {.reduction = Reduction::batchmean, .log_target = of_logs});
        CHECK(std::abs(loss.item()) < 1e-6f);
        logits.zero_grad();
        loss.backward();
        check_numbers(logits.grad(), zeros({20, 7}), 1e-6f);
    }
}

TEST_CASE("kl_div: what is impossible on both sides costs nothing") {
    const auto each = [](const Tensor<>& v, const Tensor<>& t, bool of_logs) {
        return kl_div(leaf(v), t, {.reduction = Reduction::none, .log_target = of_logs}).value();
    };
    check_numbers(each({-infinity, -infinity, -1e4f}, {0, 0.5f, 0}, false), {0, infinity, 0});
    check_numbers(each({-infinity, -infinity, -1e4f, 0}, {-infinity, 0, -1e4f, -1e4f}, true),
                  {0, infinity, 0, 0});
    check_numbers(each({NaN, -1, -1}, {0.5f, -1, NaN}, false), {NaN, NaN, NaN});
}

TEST_CASE("kl_div: no rows") {
    CHECK(std::isnan(kl_div(leaf(zeros({0, 3})), zeros({0, 3})).item()));
    CHECK(kl_div(leaf(zeros({0, 3})), zeros({0, 3}), {.reduction = Reduction::sum}).item() == 0);
}

TEST_CASE("kl_div: refusals") {
    const auto shapes = [](const std::string& given) {
        return Message("kl_div: the target needs the shape of the prediction; reshape one of them: got " +
                       given);
    };
    CHECK_THROWS_MATCHES(kl_div(leaf(zeros({4, 1})), zeros({4})), ShapeError, shapes("[4, 1] and [4]"));
    CHECK_THROWS_MATCHES(kl_div(leaf(zeros({2, 3})), zeros({2, 1})), ShapeError, shapes("[2, 3] and [2, 1]"));
    CHECK_THROWS_MATCHES(kl_div(leaf(zeros({})), zeros({}), {.reduction = Reduction::batchmean}), ShapeError,
                         Message("kl_div: batchmean needs an axis of the batch; take sum: got []"));
}
