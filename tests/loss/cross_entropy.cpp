// SPDX-License-Identifier: MIT
#include "gradus/loss/cross_entropy.hpp"

#include "support/numbers.hpp"
#include "support/op_table.hpp"

using namespace gradus;

namespace {

const Tensor<> example{{3, 3, -2}, {1, -1, 2}};
const Tensor<Index> labels{0, 1};

/// Labels 0, 1, 2, 0, 1, ...
Tensor<Index> some_labels(Index batch, Index classes) {
    Tensor<Index> result = arange<Index>(batch);
    for (Index& label : result.mutable_values()) label %= classes;
    return result;
}

}  // namespace

TEST_CASE("cross_entropy: op table") {
    for (const auto reduction : {Reduction::mean, Reduction::sum, Reduction::none}) {
        INFO("reduction " << static_cast<int>(reduction));
        check_op("cross_entropy",
                 [reduction](const auto& x) {
                     return cross_entropy(x[0], some_labels(x[0].size(0), x[0].size(1)),
                                          {.reduction = reduction});
                 },
                 {.shapes = {{{1, 1}}, {{1, 4}}, {{5, 3}}, {{3, 17}}},
                  .large = {{{4001, 11}}},
                  .low = -3,
                  .high = 3});
    }
    check_op(
        "cross_entropy of no rows",
        [](const auto& x) { return cross_entropy(x[0], Tensor<Index>(), {.reduction = Reduction::none}); },
        {.shapes = {{{0, 3}}, {{0, 0}}}});
}

TEST_CASE("cross_entropy: values and gradients by hand") {
    const Variable<> x = leaf(example);
    const Variable<> loss = cross_entropy(x, labels);
    CHECK(loss.shape() == Shape{});
    CHECK(loss.operation() == std::string("cross_entropy"));
    CHECK(loss.item() == Approx(2.0228).margin(5e-5));
    check_numbers(cross_entropy(x, labels, {.reduction = Reduction::sum}).value(), full({}, 4.0455226f),
                  1e-6f);
    check_numbers(cross_entropy(x, labels, {.reduction = Reduction::none}).value(), {0.6965104f, 3.3490122f},
                  1e-6f);

    // (softmax - one_hot) / 2, with softmax {e⁰, e⁰, e⁻⁵} / (2 + e⁻⁵) and {e⁻¹, e⁻³, e⁰} / (1 + e⁻¹ + e⁻³)
    const Tensor<> half_gradient{{-0.2508394f, 0.2491606f, 0.0016788f},
                                 {0.1297482f, -0.4824406f, 0.3526924f}};
    loss.backward();
    check_numbers(x.grad(), half_gradient, 3e-6f);
    check_numbers(
        gradient([](const auto& v) { return cross_entropy(v, labels, {.reduction = Reduction::sum}); },
                 example),
        half_gradient * 2.0f, 3e-6f);
    const Variable<> y = leaf(example);  // one seed per row
    cross_entropy(y, labels, {.reduction = Reduction::none}).backward({.seed = Tensor<>{2, 0}});
    check_numbers(y.grad(), {{4 * -0.2508394f, 4 * 0.2491606f, 4 * 0.0016788f}, {0, 0, 0}}, 3e-6f);
}

TEST_CASE("cross_entropy: equal logits cost the logarithm of the number of classes") {
    for (const Index classes : {1, 2, 10, 1000})
        CHECK(cross_entropy(leaf(zeros({3, classes})), some_labels(3, classes)).item() ==
              Approx(std::log(static_cast<double>(classes))).margin(1e-7));
}

TEST_CASE("cross_entropy: a shift of a row changes nothing") {
    const Tensor<> before = cross_entropy(leaf(example), labels, {.reduction = Reduction::none}).value();
    for (const float shift : {1.0f, -64.0f, 4096.0f, 1048576.0f}) {
        INFO("shift " << shift);
        CHECK(cross_entropy(leaf(example + shift), labels, {.reduction = Reduction::none}).value() == before);
        CHECK(gradient([](const auto& v) { return cross_entropy(v, labels); }, example + shift) ==
              gradient([](const auto& v) { return cross_entropy(v, labels); }, example));
    }
}

TEST_CASE("cross_entropy: large logits") {
    const auto each = [](const Tensor<>& x, const Tensor<Index>& y) {
        return cross_entropy(leaf(x), y, {.reduction = Reduction::none}).value();
    };
    check_numbers(each({{1000, 0}, {1000, 0}, {1e38f, 1e38f}, {-1e38f, 1e38f}}, {0, 1, 0, 0}),
                  {0, 1000, 0.69314718f, 2e38f}, 1e-6f);
    check_numbers(each({{-infinity, 5}, {-infinity, 5}, {infinity, 5}, {NaN, 5}, {1, 1}}, {1, 0, 0, 1, 0}),
                  {0, infinity, NaN, NaN, 0.69314718f}, 1e-6f);
    check_numbers(gradient(
                      [](const auto& v) {
                          return cross_entropy(v, {1, 0}, {.reduction = Reduction::sum});
                      },
                      {{1000, 0}, {-infinity, 5}}),
                  {{1, -1}, {-1, 1}});
}

TEST_CASE("cross_entropy: a batch is the mean of its rows") {
    Generator generator(3);
    const Tensor<> x = normal({49, 7}, 0, 3, generator);
    const Tensor<Index> y = some_labels(49, 7);
    double total = 0;
    for (Index i = 0; i < 49; ++i)
        total += static_cast<double>(cross_entropy(leaf(x.rows(i, i + 1)), y.rows(i, i + 1)).item());
    CHECK(static_cast<double>(cross_entropy(leaf(x), y).item()) == Approx(total / 49).epsilon(1e-6));
}

TEST_CASE("cross_entropy: no rows") {
    const Tensor<Index> none;
    CHECK(std::isnan(cross_entropy(leaf(zeros({0, 3})), none).item()));
    CHECK(cross_entropy(leaf(zeros({0, 3})), none, {.reduction = Reduction::sum}).item() == 0);
    CHECK(gradient([&](const auto& v) { return cross_entropy(v, none); }, zeros({0, 3})).shape() ==
          Shape{0, 3});
}

TEST_CASE("cross_entropy: refusals") {
    const Variable<> x = leaf(zeros({2, 3}));
    const auto shapes = [](const std::string& logits, const std::string& given) {
        return Message("cross_entropy: needs logits [batch, classes] and labels [batch]: got " + logits +
                       " and " + given);
    };
    CHECK_THROWS_MATCHES(cross_entropy(x, {0, 1, 2}), ShapeError, shapes("[2, 3]", "[3]"));
    CHECK_THROWS_MATCHES(cross_entropy(x, {{0}, {1}}), ShapeError, shapes("[2, 3]", "[2, 1]"));
    CHECK_THROWS_MATCHES(cross_entropy(leaf(zeros({3})), {0, 1, 2}), ShapeError, shapes("[3]", "[3]"));
    CHECK_THROWS_MATCHES(cross_entropy(leaf(zeros({})), {0}), ShapeError, shapes("[]", "[1]"));
    CHECK_THROWS_MATCHES(cross_entropy(leaf(zeros({2, 3, 1})), {0, 1}), ShapeError,
                         shapes("[2, 3, 1]", "[2]"));
    CHECK_THROWS_MATCHES(cross_entropy(x, {0, 3}), ValueError,
                         Message("cross_entropy: label 3 at position 1 is out of range for 3 classes"));
    CHECK_THROWS_MATCHES(cross_entropy(x, {-1, 0}), ValueError,
                         Message("cross_entropy: label -1 at position 0 is out of range for 3 classes"));
    CHECK_THROWS_MATCHES(cross_entropy(leaf(zeros({1, 0})), {0}), ValueError,
                         Message("cross_entropy: label 0 at position 0 is out of range for 0 classes"));
}
