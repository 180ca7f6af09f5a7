// SPDX-License-Identifier: MIT
#include "gradus/loss/nll.hpp"

#include <vector>

#include "gradus/loss/cross_entropy.hpp"
#include "gradus/ops/activation.hpp"
#include "loss/row.hpp"
#include "loss/targets.hpp"
#include "support/numbers.hpp"
#include "support/op_table.hpp"

using namespace gradus;

namespace {

const Tensor<> x{{-0.5f, -1, -2.5f}, {-3, -0.25f, -2}, {-1.5f, -0.75f, -1.25f}};
const Tensor<> weight{0.5f, 2, 1.25f};

using Row = LossRow<NllOptions<>>;

void check_row(const Row& row, const Tensor<>& at, const Tensor<Index>& wanted) {
    check_loss(row, at, [&](const auto& v, const auto& options) { return nll(v, wanted, options); });
}

}  // namespace

TEST_CASE("nll: op table") {
    for (const auto reduction : {Reduction::mean, Reduction::sum, Reduction::none}) {
        INFO("reduction " << static_cast<int>(reduction));
        const OpRow row{.shapes = {{{1, 2}}, {{1, 4}}, {{5, 3}}, {{3, 17}}, {{2, 3, 5}}, {{2, 3, 2, 2}}},
                        .large = {{{9001, 4}}, {{2, 5, 4001}}},
                        .low = -3,
                        .high = 0};
        check_op(
            "nll",
            [=](const auto& v) {
                return nll(v[0], some_labels(v[0].shape().without(1), v[0].size(1)),
                           {.reduction = reduction});
            },
            row);
        check_op(
            "nll, weighted",
            [=](const auto& v) {
                return nll(v[0], some_labels(v[0].shape().without(1), v[0].size(1)),
                           {.reduction = reduction,
                            .weight = targets<number_of<decltype(v[0])>>({v[0].size(1)}, 0.5, 2),
                            .ignore_index = 1});
            },
            row);
    }
    check_op("nll of no rows",
             [](const auto& v) {
                 return nll(v[0], Tensor<Index>::uninitialized(v[0].shape().without(1)),
                            {.reduction = Reduction::sum});
             },
             {.shapes = {{{0, 3}}, {{2, 3, 0}}}});
}

// From F.nll_loss(x, [0, 1, 2], ...) of PyTorch 1.13, in double.
TEST_CASE("nll: values and gradients") {
    for (const Row& row :
         std::vector<Row>{{"defaults",
                           {},
                           {0.5f, 0.25f, 1.25f},
                           0.666666667f,
                           2,
                           {{-0.333333333f, 0, 0}, {0, -0.333333333f, 0}, {0, 0, -0.333333333f}}},
                          {"weight",
                           {.weight = weight},
                           {0.25f, 0.5f, 1.5625f},
                           0.616666667f,
                           2.3125f,
                           {{-0.133333333f, 0, 0}, {0, -0.533333333f, 0}, {0, 0, -0.333333333f}}},
                          {"ignore_index",
                           {.ignore_index = 1},
                           {0.5f, 0, 1.25f},
                           0.875f,
                           1.75f,
                           {{-0.5f, 0, 0}, {0, 0, 0}, {0, 0, -0.5f}}},
                          {"weight, ignore_index",
                           {.weight = weight, .ignore_index = 1},
                           {0.25f, 0, 1.5625f},
                           1.03571429f,
                           1.8125f,
                           {{-0.285714286f, 0, 0}, {0, 0, 0}, {0, 0, -0.714285714f}}}})
        check_row(row, x, {0, 1, 2});
    CHECK(nll(leaf(x), {0, 1, 2}).operation() == std::string("nll"));
}

TEST_CASE("nll: per pixel") {
    const Tensor<> pixels{{{-1, -2}, {-0.5f, -3}, {-2, 0}}, {{-1, -0.25f}, {-4, -1}, {0, -3}}};
    const Tensor<Index> labels{{2, 1}, {0, 2}};
    check_numbers(nll(leaf(pixels), labels, {.reduction = Reduction::none, .weight = weight}).value(),
                  {{2.5f, 6}, {0.5f, 3.75f}});
    CHECK(nll(leaf(pixels), labels, {.weight = weight}).item() == Approx(2.55));
    CHECK(nll(leaf(pixels.reshape({2, 3, 1, 2})), labels.reshape({2, 1, 2}), {.weight = weight}).item() ==
          Approx(2.55));
}

TEST_CASE("nll: of log_softmax it is cross_entropy") {
    Generator generator(5);
    const Tensor<> logits = normal({40, 3}, 0, 3, generator);
    const Tensor<Index> labels = some_labels({40}, 3);
    const auto apart = [&](const auto& v) {
        return nll(log_softmax(v), labels, {.weight = weight, .ignore_index = 2});
    };
    const auto joined = [&](const auto& v) {
        return cross_entropy(v, labels, {.weight = weight, .ignore_index = 2});
    };
    CHECK(apart(leaf(logits)).item() == Approx(joined(leaf(logits)).item()).epsilon(1e-6));
    check_numbers(gradient(apart, logits), gradient(joined, logits), 1e-6f);
}

TEST_CASE("nll: where nothing counts") {
    const auto mean = [](const auto& v) { return nll(v, {-100, -100, -100}); };
    CHECK(std::isnan(mean(leaf(x)).item()));
    check_numbers(gradient(mean, x), zeros({3, 3}));
    CHECK(nll(leaf(x), {1, 1, 1}, {.reduction = Reduction::sum, .ignore_index = 1}).item() == 0);
    CHECK(nll(leaf({{-infinity, NaN}, {0, -3}}), {0, 1}, {.ignore_index = 0}).item() == 3);
    CHECK(nll(leaf({{-infinity, NaN}, {0, -3}}), {0, 1}).item() == infinity);
    const auto weighted = [](const auto& v) { return nll(v, {0, 1}, {.weight = {0, 1}}); };
    CHECK(weighted(leaf({{-infinity, NaN}, {0, -3}})).item() == 3);
    check_numbers(gradient(weighted, {{-infinity, NaN}, {0, -3}}) + 0.0f, {{0, 0}, {0, -1}});
}

TEST_CASE("nll: refusals") {
    const Variable<> v = leaf(zeros({2, 3}));
    const auto shapes = [](const std::string& given) {
        return Message("nll: needs log-probabilities [batch, classes, ...] and labels [batch, ...]: got " +
                       given);
    };
    CHECK_THROWS_MATCHES(nll(v, {0, 1, 2}), ShapeError, shapes("[2, 3] and [3]"));
    CHECK_THROWS_MATCHES(
        nll(v, {{0}, {1}}), ShapeError,
        Message("nll: needs log-probabilities [batch, classes, ...] and labels [batch, ...]; "
                "squeeze(labels, -1) first: got [2, 3] and [2, 1]"));
    CHECK_THROWS_MATCHES(nll(leaf(zeros({2, 3, 4})), {0, 1}), ShapeError, shapes("[2, 3, 4] and [2]"));
    CHECK_THROWS_MATCHES(nll(leaf(zeros({3})), {0, 1, 2}), ShapeError, shapes("[3] and [3]"));
    CHECK_THROWS_MATCHES(nll(v, {0, 3}), ValueError,
                         Message("nll: label 3 at position 1 is out of range for 3 classes"));
    CHECK_THROWS_MATCHES(nll(leaf(zeros({2, 3, 2})), {{0, 1}, {-7, 2}}), ValueError,
                         Message("nll: label -7 at position [1, 0] is out of range for 3 classes"));
    CHECK_THROWS_MATCHES(nll(v, {0, 1}, {.weight = {1, 2, 3, 4}}), ShapeError,
                         Message("nll: the weight needs one number per class: got [3] and [4]"));
    CHECK_THROWS_MATCHES(nll(v, {0, 1}, {.reduction = Reduction::batchmean}), ValueError,
                         Message("nll: batchmean is a reduction of kl_div alone; take mean or sum"));
}
