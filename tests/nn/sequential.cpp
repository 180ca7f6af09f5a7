// SPDX-License-Identifier: MIT
#include "gradus/nn/sequential.hpp"

#include "gradus/nn/activations.hpp"
#include "gradus/nn/conv2d.hpp"
#include "gradus/nn/flatten.hpp"
#include "gradus/nn/linear.hpp"
#include "gradus/nn/model.hpp"
#include "gradus/nn/pool2d.hpp"
#include "support/numbers.hpp"

using namespace gradus;

namespace {

std::vector<std::string> names(const auto& model) {
    std::vector<std::string> result;
    for (const auto& named : nn::named_parameters(model)) result.push_back(named.name);
    return result;
}

/// Adds its position, to see the order.
struct Digit {
    float digit;
    Variable<> operator()(const Variable<>& x) const { return x * 10.0f + digit; }
};

}  // namespace

TEST_CASE("sequential: layers one after the other") {
    const Variable<> x(Tensor<>{0});
    CHECK(nn::Sequential(Digit{1}, Digit{2}, Digit{3})(x).item() == 123);
    CHECK(nn::Sequential(Digit{1})(x).item() == 1);
    CHECK(nn::Sequential<>()(x).item() == 0);
    CHECK(nn::Sequential(Digit{1}, nn::Sequential(Digit{2}, Digit{3}), Digit{4})(x).item() == 1234);
    CHECK(nn::Sequential([](const auto& v) { return v + 2.0f; }, Digit{1})(x).item() == 21);
}

TEST_CASE("sequential: the same as its layers by hand") {
    const nn::Sequential net(nn::Flatten(), nn::Linear<>(6, 4), nn::Tanh(),
                             nn::Linear<>(4, 2, {.bias = false}));
    const Variable<> x(ones({5, 2, 3}));
    const auto& [first, second, third, fourth] = net.layers;
    CHECK(net(x).value() == fourth(tanh(second(flatten(x)))).value());
    CHECK(net(x).shape() == Shape{5, 2});
}

TEST_CASE("sequential: parameters are named by position") {
    const nn::Sequential net(nn::Linear<>(3, 4), nn::ReLU(), nn::Linear<>(4, 2));
    CHECK(names(net) == std::vector<std::string>{"0.weight", "0.bias", "2.weight", "2.bias"});
    struct Net {
        nn::Sequential<nn::ReLU, nn::Sequential<nn::ReLU, nn::ReLU, nn::Linear<>>> net{
            nn::ReLU(), nn::Sequential(nn::ReLU(), nn::ReLU(), nn::Linear<>(1, 1))};
    };
    CHECK(names(Net()) == std::vector<std::string>{"net.1.2.weight", "net.1.2.bias"});
    const Parameter<> p(zeros({1}));
    const std::vector<std::string> twelve = names(nn::Sequential(p, p, p, p, p, p, p, p, p, p, p, p));
    CHECK(twelve == std::vector<std::string>{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"});
}

TEST_CASE("sequential: a copy has weights of its own") {
    const nn::Sequential net(nn::Linear<>(1, 1), nn::ReLU());
    nn::Sequential copy = net;
    std::get<0>(copy.layers).weight = Tensor<>{{5}};
    CHECK_FALSE(nn::parameters(net)[0].value().item() == 5);
    CHECK(nn::parameters(copy)[0].value().item() == 5);
}

TEST_CASE("sequential: layers hand their results on as temporaries") {
    const nn::Sequential net(nn::Conv2d<>(1, 2, {.kernel_size = 3}), nn::MaxPool2d({.kernel_size = 2}),
                             nn::ReLU());
    const Variable<> x(randn({2, 1, 8, 8}));
    const Variable<> y = net(x);
    CHECK(y.operation() == std::string("conv2d + max_pool2d + relu"));
    const Variable<> conv = std::get<0>(net.layers)(x), pooled = max_pool2d(conv, {.kernel_size = 2});
    CHECK(y.value() == relu(pooled).value());
}
