// SPDX-License-Identifier: MIT
#include "gradus/loss/bce.hpp"

#include <vector>

#include "loss/row.hpp"
#include "loss/targets.hpp"
#include "support/numbers.hpp"
#include "support/op_table.hpp"

using namespace gradus;

namespace {

const Tensor<> p{{0.1f, 0.5f, 0.9f}, {0.25f, 1, 0}};
const Tensor<> target{{0, 1, 0.5f}, {1, 0, 0}};

using Row = LossRow<BceOptions<>>;

void check_row(const Row& row, const Tensor<>& at, const Tensor<>& wanted) {
    check_loss(row, at, [&](const auto& x, const auto& options) { return bce(x, wanted, options); });
}

}  // namespace

TEST_CASE("bce: op table") {
    for (const auto reduction : {Reduction::mean, Reduction::sum, Reduction::none}) {
        INFO("reduction " << static_cast<int>(reduction));
        const OpRow row{.shapes = {{{}}, {{1}}, {{7}}, {{2, 3}}, {{2, 3, 2}}},
                        .large = {{{70001}}, {{30000, 2}}},
                        .low = 0.05,
                        .high = 0.95};
        check_op(
            "bce",
            [=](const auto& x) {
                const auto t = targets<number_of<decltype(x[0])>>(x[0].shape(), 0, 1);
                return bce(x[0], t, {.reduction = reduction});
            },
            row);
        check_op(
            "bce, weighted",
            [=](const auto& x) {
                using T = number_of<decltype(x[0])>;
                const Shape shape = x[0].shape();
                const auto weight = targets<T>(shape.rank() == 0 ? shape : Shape{shape[-1]}, 0.5, 2);
                return bce(x[0], targets<T>(shape, 0, 1), {.reduction = reduction, .weight = weight});
            },
            row);
    }
    check_op("bce of nothing",
             [](const auto& x) {
                 using T = number_of<decltype(x[0])>;
                 return bce(x[0], zeros<T>(x[0].shape()), {.reduction = Reduction::none});
             },
             {.shapes = {{{0, 3}}}, .low = 0, .high = 1});
}

// From F.binary_cross_entropy(p, target, ...) of PyTorch 1.13, in double.
TEST_CASE("bce: values and gradients") {
    for (const Row& row : std::vector<Row>{
             {"defaults",
              {},
              {{0.105360516f, 0.693147181f, 1.2039728f}, {1.38629436f, 100, 0}},
              17.2314625f,
              103.388775f,
              {{0.185185185f, -0.333333333f, 0.740740741f}, {-0.666666667f, 1.66666667e+11f, 0}}},
             {"weight",
              {.weight = {0.5f, 2, 1}},
              {{0.0526802578f, 1.38629436f, 1.2039728f}, {0.693147181f, 200, 0}},
              33.8893491f,
              203.336095f,
              {{0.0925925926f, -0.666666667f, 0.740740741f}, {-0.333333333f, 3.33333335e+11f, 0}}}})
        check_row(row, p, target);
    CHECK(bce(leaf(p), target).operation() == std::string("bce"));
}

// From F.binary_cross_entropy([0, 1, 0, 1, 1e-30, 0.5], [0, 1, 1, 0, 1, 0.5]).
TEST_CASE("bce: probabilities of exactly 0 and 1") {
    check_row({"defaults",
               {},
               {0, -0, 100, 100, 69.0775528f, 0.693147181f},
               44.9617833f,
               269.7707f,
               {0, 0, -1.66666667e+11f, 1.66666667e+11f, -1.66666667e+11f, 0}},
              {0, 1, 0, 1, 1e-30f, 0.5f}, {0, 1, 1, 0, 1, 0.5f});
}

TEST_CASE("bce: no rows") {
    CHECK(std::isnan(bce(leaf(zeros({0, 3})), zeros({0, 3})).item()));
    CHECK(bce(leaf(zeros({0, 3})), zeros({0, 3}), {.reduction = Reduction::sum}).item() == 0);
}

TEST_CASE("bce: what is no probability is refused, whatever the options") {
    const auto message = [](const std::string& what) {
        return Message("bce: probability " + what + " is not in [0, 1]; for logits take bce_with_logits");
    };
    for (const auto reduction : {Reduction::mean, Reduction::sum, Reduction::none})
        for (const Tensor<>& weight : {Tensor<>(), Tensor<>{0, 0, 0}})
            for (const Tensor<>& t : {zeros({2, 3}), ones({2, 3}), full({2, 3}, 0.5f)}) {
                const auto loss = [&](const Tensor<>& x) {
                    return bce(leaf(x), t, {.reduction = reduction, .weight = weight});
                };
                CHECK_THROWS_MATCHES(loss({{0, 1, 0.5f}, {1.5f, 1, 2}}), ValueError,
                                     message("1.5 at position [1, 0]"));
                CHECK_THROWS_MATCHES(loss({{0, 1, -1e-7f}, {0, 0, 0}}), ValueError,
                                     message("-1e-07 at position [0, 2]"));
                CHECK_THROWS_MATCHES(loss({{0, NaN, 0}, {0, 0, 0}}), ValueError,
                                     message("NaN at position [0, 1]"));
                CHECK_THROWS_MATCHES(loss({{infinity, 0, 0}, {0, 0, 0}}), ValueError,
                                     message("inf at position [0, 0]"));
                CHECK_THROWS_MATCHES(loss({{0, 0, 0}, {0, 0, -infinity}}), ValueError,
                                     message("-inf at position [1, 2]"));
            }
    CHECK_THROWS_MATCHES(bce(leaf({0.5f, 1.0000001f}), {0, 0}), ValueError,
                         message("1.00000012 at position 1"));
    CHECK_THROWS_MATCHES(bce(Variable<double>(Tensor<double>{-3}), {0}), ValueError,
                         message("-3 at position 0"));
    CHECK(std::isnan(bce(leaf({0.5f}), {NaN}).item()));  // a target is not looked at
}

TEST_CASE("bce: refusals") {
    const auto shapes = [](const std::string& given) {
        return Message("bce: the target needs the shape of the prediction; reshape one of them: got " +
                       given);
    };
    CHECK_THROWS_MATCHES(bce(leaf(zeros({4, 1})), zeros({4})), ShapeError, shapes("[4, 1] and [4]"));
    CHECK_THROWS_MATCHES(bce(leaf(zeros({2, 3})), zeros({2, 1})), ShapeError, shapes("[2, 3] and [2, 1]"));
    const auto weight = [](const std::string& given) {
        return Message("bce: the weight must broadcast to the prediction: got " + given);
    };
    CHECK_THROWS_MATCHES(bce(leaf(zeros({2, 3})), zeros({2, 3}), {.weight = {1, 2}}), ShapeError,
                         weight("[2, 3] and [2]"));
    CHECK_THROWS_MATCHES(bce(leaf(zeros({3})), zeros({3}), {.weight = {{1, 2, 3}, {1, 2, 3}}}), ShapeError,
                         weight("[3] and [2, 3]"));
    CHECK_THROWS_MATCHES(bce(leaf(zeros({2})), zeros({2}), {.reduction = Reduction::batchmean}), ValueError,
                         Message("bce: batchmean is a reduction of kl_div alone; take mean or sum"));
}
