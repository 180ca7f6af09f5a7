// SPDX-License-Identifier: MIT
#include "gradus/loss/bce_with_logits.hpp"

#include <vector>

#include "gradus/loss/bce.hpp"
#include "gradus/ops/activation.hpp"
#include "loss/row.hpp"
#include "loss/targets.hpp"
#include "support/numbers.hpp"
#include "support/op_table.hpp"

using namespace gradus;

namespace {

const Tensor<> logits{{-2, 0.5f, 3}, {1, 1.25f, -0.5f}};
const Tensor<> target{{0, 1, 0.5f}, {1, 0, 0}};

using Row = LossRow<BceWithLogitsOptions<>>;

void check_row(const Row& row, const Tensor<>& at, const Tensor<>& wanted) {
    check_loss(row, at,
               [&](const auto& x, const auto& options) { return bce_with_logits(x, wanted, options); });
}

}  // namespace

TEST_CASE("bce_with_logits: op table") {
    for (const auto reduction : {Reduction::mean, Reduction::sum, Reduction::none}) {
        INFO("reduction " << static_cast<int>(reduction));
        const OpRow row{.shapes = {{{}}, {{1}}, {{7}}, {{2, 3}}, {{2, 3, 2}}},
                        .large = {{{70001}}, {{30000, 2}}},
                        .low = -4,
                        .high = 4};
        check_op(
            "bce_with_logits",
            [=](const auto& x) {
                const auto t = targets<number_of<decltype(x[0])>>(x[0].shape(), 0, 1);
                return bce_with_logits(x[0], t, {.reduction = reduction});
            },
            row);
        check_op(
            "bce_with_logits, weighted",
            [=](const auto& x) {
                using T = number_of<decltype(x[0])>;
                const Shape shape = x[0].shape();
                const auto weight = targets<T>(shape.rank() == 0 ? shape : Shape{shape[-1]}, 0.5, 2);
                return bce_with_logits(
                    x[0], targets<T>(shape, 0, 1),
                    {.reduction = reduction,
                     .weight = targets<T>(shape.rank() == 0 ? shape : shape.with(-1, 1), 0, 1),
                     .pos_weight = weight});
            },
            row);
    }
    check_op("bce_with_logits of nothing",
             [](const auto& x) {
                 using T = number_of<decltype(x[0])>;
                 return bce_with_logits(x[0], zeros<T>(x[0].shape()), {.reduction = Reduction::none});
             },
             {.shapes = {{{0, 3}}}});
}

// From F.binary_cross_entropy_with_logits(logits, target, ...) of PyTorch 1.13, in double.
TEST_CASE("bce_with_logits: values and gradients") {
    for (const Row& row : std::vector<Row>{
             {"defaults",
              {},
              {{0.126928011f, 0.474076984f, 1.54858735f}, {0.313261688f, 1.50192908f, 0.474076984f}},
              0.739810017f,
              4.4388601f,
              {{0.0198671537f, -0.0629234448f, 0.0754290211f},
               {-0.0448235702f, 0.129549977f, 0.0629234448f}}},
             {"weight",
              {.weight = {{0.5f}, {3}}},
              {{0.0634640055f, 0.237038492f, 0.774293676f}, {0.939785063f, 4.50578724f, 1.42223095f}},
              1.32376657f,
              7.94259943f,
              {{0.00993357684f, -0.0314617224f, 0.0377145106f}, {-0.134470711f, 0.388649931f, 0.188770334f}}},
             {"pos_weight",
              {.pos_weight = {3, 0.5f, 2}},
              {{0.126928011f, 0.237038492f, 1.57288103f}, {0.939785063f, 1.50192908f, 0.474076984f}},
              0.80877311f,
              4.85263866f,
              {{0.0198671537f, -0.0314617224f, 0.071476865f}, {-0.134470711f, 0.129549977f, 0.0629234448f}}},
             {"weight, pos_weight",
              {.weight = {{0.5f}, {3}}, .pos_weight = {3, 0.5f, 2}},
              {{0.0634640055f, 0.118519246f, 0.786440514f}, {2.81935519f, 4.50578724f, 1.42223095f}},
              1.61929952f,
              9.71579715f,
              {{0.00993357684f, -0.0157308612f, 0.0357384325f},
               {-0.403412132f, 0.388649931f, 0.188770334f}}}})
        check_row(row, logits, target);
    CHECK(bce_with_logits(leaf(logits), target).operation() == std::string("bce_with_logits"));
}

// From F.binary_cross_entropy_with_logits(..., pos_weight=torch.tensor(3.)).
TEST_CASE("bce_with_logits: ±100 and ±10000") {
    check_row({"pos_weight",
               {.pos_weight = full({}, 3)},
               {0, 0, 100, 300, 0, 0, 10000, 30000},
               5050,
               40400,
               {0, 4.65009497e-45f, 0.125f, -0.375f, 0, 0, 0.125f, -0.375f}},
              {100, -100, 100, -100, 1e4f, -1e4f, 1e4f, -1e4f}, {1, 0, 0, 1, 1, 0, 0, 1});
    // Even the side that is nearly certain keeps its digits: exp(-80), and its gradient.
    const auto sum = [](const Tensor<>& t) {
        return [t](const auto& v) { return bce_with_logits(v, t, {.reduction = Reduction::none}); };
    };
    check_numbers(sum({1, 0})(leaf({80, -80})).value() * 1e30f, {1.8048514e-5f, 1.8048514e-5f}, 1e-10f);
    check_numbers(gradient(sum({1, 0}), {80, -80}) * 1e30f, {-1.8048514e-5f, 1.8048514e-5f}, 1e-10f);
}

TEST_CASE("bce_with_logits: the same as bce of sigmoid") {
    Generator generator(5);
    const Tensor<> x = normal({40, 3}, 0, 3, generator), t = rand({40, 3}, generator);
    const auto joined = [&](const auto& v) { return bce_with_logits(v, t, {.weight = {1, 2, 3}}); };
    const auto apart = [&](const auto& v) { return bce(sigmoid(v), t, {.weight = {1, 2, 3}}); };
    CHECK(joined(leaf(x)).item() == Approx(apart(leaf(x)).item()).epsilon(1e-5));
    check_numbers(gradient(joined, x), gradient(apart, x), 1e-6f);
}

TEST_CASE("bce_with_logits: a tangent at 0") {
    const auto f = [](const auto& x) {
        using T = number_of<decltype(x[0])>;
        return bce_with_logits(x[0], full<T>({1}, T(0.25)));
    };
    CHECK(
        jvp(f, std::vector<Tensor<double>>{Tensor<double>{0}}, std::vector<Tensor<double>>{Tensor<double>{1}})
            .tangent.item() == 0.25);
    CHECK(
        hvp(f, std::vector<Tensor<double>>{Tensor<double>{0}}, std::vector<Tensor<double>>{Tensor<double>{1}})
            .hvp[0]
            .item() == 0.25);
}

TEST_CASE("bce_with_logits: NaN stays NaN") {
    const auto each = [](const auto& v) {
        return bce_with_logits(v, {0, 1}, {.reduction = Reduction::none});
    };
    check_numbers(each(leaf({NaN, NaN})).value(), {NaN, NaN});
    check_numbers(gradient(each, {NaN, NaN}), {NaN, NaN});
}

TEST_CASE("bce_with_logits: infinite logits") {
    const Variable<> certain = leaf({-infinity});
    const Variable<> none = bce_with_logits(certain, {0});
    none.backward();
    CHECK(none.value().item() == 0);
    check_numbers(certain.grad(), {0});

    const Variable<> x = leaf({infinity, 1});
    const Variable<> loss = bce_with_logits(x, {1, 0});
    loss.backward();
    CHECK_THAT(loss.value().item(), WithinRel(0.65663084f, 1e-6f));
    check_numbers(x.grad(), {0, 0.36552929f}, 1e-7f);

    const auto each = [](const Variable<>& v, float wanted, float positive = 1) {
        return bce_with_logits(v, full(v.shape(), wanted),
                               {.reduction = Reduction::none, .pos_weight = full({1}, positive)});
    };
    const Tensor<> both{-infinity, infinity};
    check_numbers(each(leaf(both), 0).value(), {0, infinity});
    check_numbers(each(leaf(both), 1).value(), {infinity, 0});
    check_numbers(each(leaf(both), 0.25f).value(), {infinity, infinity});
    check_numbers(each(leaf(both), 1, 0).value(), {0, 0});
    check_numbers(gradient([&](const auto& v) { return each(v, 0); }, both), {0, 1});
    check_numbers(gradient([&](const auto& v) { return each(v, 1); }, both), {-1, 0});
    check_numbers(gradient([&](const auto& v) { return each(v, 0.25f); }, both), {-0.25f, 0.75f});
}

TEST_CASE("bce_with_logits: no rows") {
    CHECK(std::isnan(bce_with_logits(leaf(zeros({0, 3})), zeros({0, 3})).item()));
    CHECK(bce_with_logits(leaf(zeros({0, 3})), zeros({0, 3}), {.reduction = Reduction::sum}).item() == 0);
}

TEST_CASE("bce_with_logits: refusals") {
    const auto shapes = [](const std::string& given) {
        return Message(
            "bce_with_logits: the target needs the shape of the prediction; reshape one of them: got " +
            given);
    };
    CHECK_THROWS_MATCHES(bce_with_logits(leaf(zeros({4, 1})), zeros({4})), ShapeError,
                         shapes("[4, 1] and [4]"));
    CHECK_THROWS_MATCHES(bce_with_logits(leaf(zeros({2, 3})), zeros({2, 1})), ShapeError,
                         shapes("[2, 3] and [2, 1]"));
    const auto weight = [](const std::string& given) {
        return Message("bce_with_logits: the weight must broadcast to the prediction: got " + given);
    };
    CHECK_THROWS_MATCHES(bce_with_logits(leaf(zeros({2, 3})), zeros({2, 3}), {.weight = {1, 2}}), ShapeError,
                         weight("[2, 3] and [2]"));
    CHECK_THROWS_MATCHES(bce_with_logits(leaf(zeros({3})), zeros({3}), {.weight = {{1, 2, 3}, {1, 2, 3}}}),
                         ShapeError, weight("[3] and [2, 3]"));
    CHECK_THROWS_MATCHES(
        bce_with_logits(leaf(zeros({2, 3})), zeros({2, 3}), {.pos_weight = {1, 2}}), ShapeError,
        Message("bce_with_logits: pos_weight must broadcast to the logits: got [2, 3] and [2]"));
    CHECK_THROWS_MATCHES(bce_with_logits(leaf(zeros({})), zeros({}), {.pos_weight = {1}}), ShapeError,
                         Message("bce_with_logits: pos_weight must broadcast to the logits: got [] and [1]"));
    CHECK_THROWS_MATCHES(
        bce_with_logits(leaf(zeros({2})), zeros({2}), {.reduction = Reduction::batchmean}), ValueError,
        Message("bce_with_logits: batchmean is a reduction of kl_div alone; take mean or sum"));
}
