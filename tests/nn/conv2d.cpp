// SPDX-License-Identifier: MIT
#include "gradus/nn/conv2d.hpp"

#include "gradus/nn/model.hpp"
#include "support/numbers.hpp"

using namespace gradus;

TEST_CASE("conv2d layer: the function of the same name") {
    const nn::Conv2d<> layer(
        4, 6, {.kernel_size = {3, 2}, .stride = 2, .padding = 1, .dilation = {1, 2}, .groups = 2});
    CHECK(layer.weight.shape() == Shape{6, 2, 3, 2});
    CHECK(layer.bias->shape() == Shape{6});
    const Variable<> x(randn({2, 4, 7, 8}));
    const Variable<> y = layer(x);
    CHECK(y.shape() == Shape{2, 6, 4, 4});
    CHECK(y.value() ==
          conv2d(x, layer.weight, *layer.bias, {.stride = 2, .padding = 1, .dilation = {1, 2}, .groups = 2})
              .value());
    const auto named = nn::named_parameters(layer);
    REQUIRE(named.size() == 2);
    CHECK(named[0].name == "weight");
    CHECK(named[1].name == "bias");
}

TEST_CASE("conv2d layer: without a bias, and \"same\"") {
    const nn::Conv2d<> layer(3, 5, {.kernel_size = 5, .padding = "same", .bias = false});
    CHECK_FALSE(layer.bias.has_value());
    CHECK(nn::parameter_count(layer) == 3 * 5 * 25);
    CHECK(layer(Variable<>(ones({1, 3, 4, 7}))).shape() == Shape{1, 5, 4, 7});
}

TEST_CASE("conv2d layer: starts from U(-1/√fan_in, 1/√fan_in)") {
    Generator generator(1);
    const nn::Conv2d<> layer(32, 128, {.kernel_size = {5, 5}, .groups = 2},
                             generator);  // fan_in 16 · 25 = 20²
    for (const Tensor<>& values : {layer.weight.value(), layer.bias->value()}) {
        const auto [low, high] = std::minmax_element(values.begin(), values.end());
        CHECK((*low >= -0.05f && *low < -0.047f));
        CHECK((*high <= 0.05f && *high > 0.047f));
    }
}

TEST_CASE("conv2d layer: refusals") {
    CHECK_THROWS_MATCHES(nn::Conv2d<>(3, 5, {}), ValueError,
                         Message("conv2d: the kernel must be at least 1 x 1; set .kernel_size: got [0, 0]"));
    CHECK_THROWS_MATCHES(nn::Conv2d<>(0, 5, {.kernel_size = 3}), ShapeError,
                         Message("conv2d: needs at least one input and one output channel: got [5, 0]"));
    CHECK_THROWS_MATCHES(nn::Conv2d<>(4, 6, {.kernel_size = 3, .groups = 4}), ValueError,
                         Message("conv2d: groups must divide the 4 input and 6 output channels: got 4"));
}
