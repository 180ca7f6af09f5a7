// SPDX-License-Identifier: MIT
#include "gradus/nn/layer_norm.hpp"

#include "gradus/nn/model.hpp"
#include "support/numbers.hpp"

using namespace gradus;

TEST_CASE("LayerNorm: the function with its own weight and bias") {
    nn::LayerNorm<> norm({3});
    const Variable<> x(Tensor<>{{1, 2, 6}, {3, -1, 1}});
    const Variable<> y = norm(x);
    CHECK(y.value() == layer_norm(x, {3}).value());
    *norm.weight = Tensor<>{1, 2, 3};
    *norm.bias = Tensor<>{0, 0, 7};
    CHECK(norm(x).value() == layer_norm(x, *norm.weight, *norm.bias).value());
    check_numbers(norm(x).value(), {{-0.9258196f, -0.9258196f, 11.1661904f}, {1.2247426f, -2.4494853f, 7}},
                  1e-5f);
    norm(x).backward({.gradient = ones({2, 3})});
    check_numbers(norm.bias->grad(), {2, 2, 2});
    CHECK(norm.weight->has_grad());
}

TEST_CASE("LayerNorm: its parts, several axes, and options") {
    const nn::LayerNorm<> norm({2, 3});
    const auto parameters = nn::named_parameters(norm);
    REQUIRE(parameters.size() == 2);
    CHECK((parameters[0].name == "weight" && parameters[1].name == "bias"));
    CHECK(norm.weight->value() == ones({2, 3}));
    CHECK(norm.bias->value() == zeros({2, 3}));
    CHECK(norm(Variable<>(ones({4, 2, 3}))).value() == zeros({4, 2, 3}));

    const nn::LayerNorm<double> plain({3}, {.eps = 1, .elementwise_affine = false});
    CHECK(nn::parameters<double>(plain).empty());
    const Variable<double> x(Tensor<double>{{0, 3, 6}});
    CHECK(plain(x).value() == layer_norm(x, {3}, {.eps = 1}).value());
    CHECK(plain(x).value()(0, 2) == Approx(3 / std::sqrt(7.0)));
    const nn::Trace trace;
    static_cast<void>(plain(x));
    CHECK(std::string(trace.entries().at(0).type) == "LayerNorm");
}

TEST_CASE("LayerNorm: refusals") {
    CHECK_THROWS_MATCHES(nn::LayerNorm<>(Shape{}), ShapeError,
                         Message("layer_norm: needs a normalized shape with elements: got []"));
    CHECK_THROWS_MATCHES(nn::LayerNorm<>({3, 0}), ShapeError,
                         Message("layer_norm: needs a normalized shape with elements: got [3, 0]"));
    CHECK_THROWS_MATCHES(nn::LayerNorm<>({3}, {.eps = -1}), ValueError,
                         Message("layer_norm: eps must not be negative: got -1"));
    const std::string rule = "layer_norm: the normalized shape must be that of the last axes of x: got ";
    CHECK_THROWS_MATCHES(nn::LayerNorm<>({3})(Variable<>(ones({3, 4}))), ShapeError,
                         Message(rule + "[3, 4] and [3]"));
    CHECK_THROWS_MATCHES(nn::LayerNorm<>({3}, {.elementwise_affine = false})(Variable<>(ones({3, 4}))),
                         ShapeError, Message(rule + "[3, 4] and [3]"));
}
