// SPDX-License-Identifier: MIT
#include "gradus/ops/matmul.hpp"

#include <vector>

#include "support/op_table.hpp"

using namespace gradus;

namespace {

Variable<> leaf(Tensor<> value) { return Variable<>(std::move(value), {.requires_grad = true}); }

}  // namespace

TEST_CASE("matmul: op table") {
    check_op("matmul", [](const auto& x) { return matmul(x[0], x[1]); },
             {.shapes = {{{2, 3}, {3, 4}},
                         {{1, 1}, {1, 1}},
                         {{3, 3}, {3, 3}},
                         {{17, 5}, {5, 19}},
                         {{2, 3}, {3}},           // matrix and vector
                         {{3}, {3, 4}},           // vector and matrix
                         {{3}, {3}},              // two vectors: a number
                         {{4, 2, 3}, {4, 3, 5}},  // batches of equal size
                         {{4, 2, 3}, {3, 5}},     // one right matrix for all
                         {{2, 3}, {4, 3, 5}},     // one left matrix for all
                         {{2, 1, 2, 3}, {4, 3, 2}},
                         {{1, 2, 3}, {4, 3, 2}},
                         {{4, 2, 3}, {3}},
                         {{3}, {4, 3, 2}},
                         {{2, 0}, {0, 3}},  // a sum of nothing
                         {{0, 3}, {3, 2}},
                         {{2, 3}, {3, 0}},
                         {{0, 2, 3}, {3, 2}},
                         {{0, 2, 3}, {1, 3, 2}}},
              .large = {{{130, 140}, {140, 150}},
                        {{40, 12, 30}, {40, 30, 20}},
                        {{6, 70, 40}, {40, 50}},
                        {{300}, {300, 150}}}});
}

TEST_CASE("linear: op table") {
    const auto with_bias = [](const auto& x) { return linear(x[0], x[1], x[2]); };
    check_op("linear", with_bias,
             {.shapes = {{{2, 3}, {4, 3}, {4}},
                         {{3}, {4, 3}, {4}},
                         {{2, 5, 3}, {4, 3}, {4}},
                         {{1, 1}, {1, 1}, {1}},
                         {{0, 3}, {4, 3}, {4}},
                         {{2, 0}, {4, 0}, {4}},
                         {{2, 3}, {0, 3}, {0}},
                         {{33, 17}, {18, 17}, {18}}},
              .large = {{{128, 200}, {150, 200}, {150}}, {{8, 16, 200}, {150, 200}, {150}}}});
    check_op(
        "linear without bias", [](const auto& x) { return linear(x[0], x[1]); },
        {.shapes = {{{2, 3}, {4, 3}}, {{3}, {4, 3}}, {{2, 5, 3}, {4, 3}}, {{0, 3}, {4, 3}}, {{2, 0}, {4, 0}}},
         .large = {{{128, 200}, {150, 200}}}});
}

TEST_CASE("matmul: values and gradients by hand") {
    const Variable<> a = leaf({{1, 2, 3}, {4, 5, 6}}), b = leaf({{7, 8}, {9, 10}, {11, 12}});
    const Variable<> y = matmul(a, b);
    CHECK(y.value() == Tensor<>{{58, 64}, {139, 154}});
    CHECK(y.operation() == std::string("matmul"));
    y.backward({.gradient = Tensor<>{{1, 0}, {0, 10}}});
    CHECK(a.grad() == Tensor<>{{7, 9, 11}, {80, 100, 120}});
    CHECK(b.grad() == Tensor<>{{1, 40}, {2, 50}, {3, 60}});
}

TEST_CASE("matmul: a vector stands for a row on the left and a column on the right") {
    const Variable<> v = leaf({1, 2, 3}), m = leaf({{1, 0, 2}, {0, 1, 3}, {1, 1, 1}});
    CHECK(matmul(v, m).value() == Tensor<>{4, 5, 11});
    CHECK(matmul(m, v).value() == Tensor<>{7, 11, 6});
    CHECK(matmul(v, v).value() == full({}, 14));
    CHECK(matmul(leaf(zeros({2, 4, 3})), v).shape() == Shape{2, 4});
    CHECK(matmul(v, leaf(zeros({2, 3, 4}))).shape() == Shape{2, 4});
    matmul(v, v).backward();
    CHECK(v.grad() == Tensor<>{2, 4, 6});
}

TEST_CASE("matmul: batches") {
    const Variable<> a = leaf({{{1, 2}, {3, 4}}, {{5, 6}, {7, 8}}});
    const Variable<> swap = leaf({{0, 1}, {1, 0}});
    CHECK(matmul(a, swap).value() == Tensor<>{{{2, 1}, {4, 3}}, {{6, 5}, {8, 7}}});
    CHECK(matmul(swap, a).value() == Tensor<>{{{3, 4}, {1, 2}}, {{7, 8}, {5, 6}}});
    CHECK(matmul(a, a).value() == Tensor<>{{{7, 10}, {15, 22}}, {{67, 78}, {91, 106}}});
    CHECK(matmul(leaf(zeros({2, 1, 3, 4})), leaf(zeros({5, 4, 6}))).shape() == Shape{2, 5, 3, 6});
    matmul(a, swap).backward({.gradient = ones({2, 2, 2})});
    CHECK(swap.grad() == Tensor<>{{16, 16}, {20, 20}});  // summed over the batch
}

TEST_CASE("matmul: a sum of nothing is zero") {
    const Variable<> a = leaf(zeros({2, 0})), b = leaf(zeros({0, 3}));
    const Variable<> y = matmul(a, b);
    CHECK(y.value() == zeros({2, 3}));
    y.backward({.gradient = ones({2, 3})});
    CHECK(a.grad().shape() == Shape{2, 0});
    CHECK(b.grad().shape() == Shape{0, 3});
    CHECK(linear(a, leaf(zeros({3, 0})), leaf({1, 2, 3})).value() == Tensor<>{{1, 2, 3}, {1, 2, 3}});
}

TEST_CASE("matmul: (a b) c = a (b c) and (a b)ᵀ = bᵀ aᵀ, exactly in whole numbers") {
    Generator generator(3);
    const auto whole = [&](const Shape& shape) {
        Tensor<> x = uniform<float>(shape, -5, 5, generator);
        for (float& value : x.mutable_values()) value = std::floor(value);
        return leaf(x);
    };
    const Variable<> a = whole({13, 31}), b = whole({31, 37}), c = whole({37, 11});
    CHECK(matmul(matmul(a, b), c).value() == matmul(a, matmul(b, c)).value());
    CHECK(transpose(matmul(a, b)).value() == matmul(transpose(b), transpose(a)).value());
}

TEST_CASE("linear: values and gradients by hand") {
    const Variable<> x = leaf({{1, 2}, {3, 4}}), weight = leaf({{1, 0}, {0, 1}, {2, -1}}),
                     bias = leaf({10, 20, 30});
    const Variable<> y = linear(x, weight, bias);
    CHECK(y.value() == Tensor<>{{11, 22, 30}, {13, 24, 32}});
    CHECK(linear(x, weight).value() == Tensor<>{{1, 2, 0}, {3, 4, 2}});
    y.backward({.gradient = Tensor<>{{1, 2, 3}, {4, 5, 6}}});
    CHECK(x.grad() == Tensor<>{{7, -1}, {16, -1}});
    CHECK(weight.grad() == Tensor<>{{13, 18}, {17, 24}, {21, 30}});
    CHECK(bias.grad() == Tensor<>{5, 7, 9});
    CHECK(linear(leaf({1, 2}), weight, bias).value() == Tensor<>{11, 22, 30});
    CHECK(linear(leaf({{{1, 2}}, {{3, 4}}}), weight, bias).value() ==
          Tensor<>{{{11, 22, 30}}, {{13, 24, 32}}});
}

TEST_CASE("matmul: refusals") {
    const auto of = [](const Shape& shape) { return leaf(zeros(shape)); };
    const auto check_refusal = [&](const Shape& a, const Shape& b, const std::string& text) {
        CHECK_THROWS_MATCHES(matmul(of(a), of(b)), ShapeError, Message("matmul: " + text));
    };
    check_refusal({2, 3}, {4, 5}, "inner sizes differ: got [2, 3] and [4, 5]");
    check_refusal({2, 3}, {2}, "inner sizes differ: got [2, 3] and [2]");
    check_refusal({2}, {3, 4}, "inner sizes differ: got [2] and [3, 4]");
    check_refusal({2}, {3}, "inner sizes differ: got [2] and [3]");
    check_refusal({5, 2, 3}, {5, 2, 3}, "inner sizes differ: got [5, 2, 3] and [5, 2, 3]");
    check_refusal({2, 3}, {0, 3}, "inner sizes differ: got [2, 3] and [0, 3]");
    check_refusal({}, {3}, "needs matrices or vectors; use * for numbers: got [] and [3]");
    check_refusal({3}, {}, "needs matrices or vectors; use * for numbers: got [3] and []");
    check_refusal({2, 3, 4}, {5, 4, 3}, "leading axes do not broadcast: got [2, 3, 4] and [5, 4, 3]");
    check_refusal({2, 3, 4, 5}, {2, 5, 4}, "leading axes do not broadcast: got [2, 3, 4, 5] and [2, 5, 4]");
}

TEST_CASE("linear: refusals") {
    const auto of = [](const Shape& shape) { return leaf(zeros(shape)); };
    const std::string sizes = "linear: needs x [..., in] and weight [out, in]: got ";
    const auto check_refusal = [&](const Shape& x, const Shape& weight, const std::string& got) {
        CHECK_THROWS_MATCHES(linear(of(x), of(weight)), ShapeError, Message(sizes + got));
        CHECK_THROWS_MATCHES(linear(of(x), of(weight), of({4})), ShapeError, Message(sizes + got));
    };
    check_refusal({2, 5}, {4, 3}, "[2, 5] and [4, 3]");
    check_refusal({}, {4, 3}, "[] and [4, 3]");
    check_refusal({2, 3}, {3}, "[2, 3] and [3]");
    check_refusal({2, 3}, {1, 4, 3}, "[2, 3] and [1, 4, 3]");
    CHECK_THROWS_MATCHES(linear(of({2, 1, 3}), of({4, 5})), ShapeError,  // of images, say
                         Message("linear: needs x [..., in] and weight [out, in]; flatten(x) first?: got "
                                 "[2, 1, 3] and [4, 5]"));
    const std::string biases = "linear: needs weight [out, in] and bias [out]: got [4, 3] and ";
    CHECK_THROWS_MATCHES(linear(of({2, 3}), of({4, 3}), of({3})), ShapeError, Message(biases + "[3]"));
    CHECK_THROWS_MATCHES(linear(of({2, 3}), of({4, 3}), of({1})), ShapeError, Message(biases + "[1]"));
    CHECK_THROWS_MATCHES(linear(of({2, 3}), of({4, 3}), of({2, 4})), ShapeError, Message(biases + "[2, 4]"));
    CHECK_THROWS_MATCHES(linear(of({2, 3}), of({4, 3}), of({})), ShapeError, Message(biases + "[]"));
}
