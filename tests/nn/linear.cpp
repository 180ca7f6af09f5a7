// SPDX-License-Identifier: MIT
#include "gradus/nn/linear.hpp"

#include "support/numbers.hpp"

using namespace gradus;

TEST_CASE("linear layer: the function of the same name") {
    nn::Linear<> layer(2, 3);
    const Variable<> x(Tensor<>{{1, 2}, {3, 4}});
    CHECK(layer(x).value() == linear(x, layer.weight, *layer.bias).value());
    layer.weight = Tensor<>{{1, 0}, {0, 1}, {1, 1}};
    *layer.bias = Tensor<>{10, 20, 30};
    CHECK(layer(x).value() == Tensor<>{{11, 22, 33}, {13, 24, 37}});
    CHECK(layer(Variable<>(Tensor<>{1, 2})).value() == Tensor<>{11, 22, 33});
    CHECK(layer(Variable<>(ones({4, 5, 2}))).shape() == Shape{4, 5, 3});
    CHECK(layer(Variable<>(ones({0, 2}))).shape() == Shape{0, 3});

    layer(x).backward({.gradient = ones({2, 3})});
    CHECK(layer.weight.grad() == Tensor<>{{4, 6}, {4, 6}, {4, 6}});
    CHECK(layer.bias->grad() == Tensor<>{2, 2, 2});
}

TEST_CASE("linear layer: without a bias") {
    nn::Linear<> layer(2, 1, {.bias = false});
    CHECK_FALSE(layer.bias.has_value());
    layer.weight = Tensor<>{{1, 2}};
    CHECK(layer(Variable<>(Tensor<>{{3, 4}})).value() == Tensor<>{{11}});
}

TEST_CASE("linear layer: starts from U(-1/√in, 1/√in)") {
    Generator generator(1);
    const nn::Linear<> layer(400, 500, {}, generator);
    CHECK(layer.weight.shape() == Shape{500, 400});
    CHECK(layer.bias->shape() == Shape{500});
    for (const Tensor<>& values : {layer.weight.value(), layer.bias->value()}) {
        const auto [low, high] = std::minmax_element(values.begin(), values.end());
        CHECK((*low >= -0.05f && *low < -0.049f));
        CHECK((*high <= 0.05f && *high > 0.049f));
    }
    const nn::Linear<> one(1, 1);
    CHECK(std::abs(one.weight.value().item()) <= 1);
}

TEST_CASE("linear layer: a seed or a generator makes the same weights again") {
    manual_seed(7);
    const nn::Linear<> first(3, 4), second(3, 4);
    manual_seed(7);
    const nn::Linear<> again(3, 4);
    CHECK(again.weight.value() == first.weight.value());
    CHECK(again.bias->value() == first.bias->value());
    CHECK_FALSE(second.weight.value() == first.weight.value());
    Generator a(7), b(7);
    CHECK(nn::Linear<>(3, 4, {}, a).weight.value() == nn::Linear<>(3, 4, {}, b).weight.value());
}

TEST_CASE("linear layer: refusals") {
    CHECK_THROWS_AS(nn::Linear<>(-1, 3), ShapeError);
    CHECK_THROWS_AS(nn::Linear<>(3, -1), ShapeError);
    const nn::Linear<> layer(784, 10);
    const std::string shapes = "linear: needs x [..., in] and weight [out, in]";
    CHECK_THROWS_MATCHES(layer(Variable<>(zeros({1, 28, 28}))), ShapeError,
                         Message(shapes + "; flatten(x) first?: got [1, 28, 28] and [10, 784]"));
    CHECK_THROWS_MATCHES(layer(Variable<>(zeros({}))), ShapeError,
                         Message(shapes + ": got [] and [10, 784]"));
    CHECK_THROWS_MATCHES(layer(Variable<>(zeros({2, 5}))), ShapeError,
                         Message(shapes + ": got [2, 5] and [10, 784]"));
}

TEST_CASE("linear layer: without inputs, outputs or examples") {
    const nn::Linear<> no_inputs(0, 3), no_outputs(3, 0), layer(3, 2);
    CHECK(no_inputs.bias->value() == zeros({3}));
    CHECK(no_inputs(Variable<>(zeros({2, 0}))).value() == zeros({2, 3}));
    CHECK(no_outputs(Variable<>(zeros({2, 3}))).shape() == Shape{2, 0});
    const Variable<> y = layer(Variable<>(zeros({0, 3})));
    CHECK(y.shape() == Shape{0, 2});
    y.backward({.gradient = zeros({0, 2})});
    CHECK(layer.weight.grad() == zeros({2, 3}));
    CHECK(layer.bias->grad() == zeros({2}));
}
