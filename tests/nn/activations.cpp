// SPDX-License-Identifier: MIT
#include "gradus/nn/activations.hpp"

#include "gradus/nn/model.hpp"
#include "support/numbers.hpp"

using namespace gradus;

TEST_CASE("activation layers: the functions of the same name") {
    const Variable<> x(Tensor<>{{-2, -0.5f, 0}, {0.5f, 1, 3}});
    CHECK(nn::ReLU()(x).value() == relu(x).value());
    CHECK(nn::LeakyReLU()(x).value() == leaky_relu(x).value());
    CHECK(nn::LeakyReLU{.negative_slope = 0.5}(x).value() == leaky_relu(x, 0.5f).value());
    CHECK(nn::ELU()(x).value() == elu(x).value());
    CHECK(nn::ELU{.alpha = 2}(x).value() == elu(x, 2).value());
    CHECK(nn::GELU()(x).value() == gelu(x).value());
    CHECK(nn::SiLU()(x).value() == silu(x).value());
    CHECK(nn::Sigmoid()(x).value() == sigmoid(x).value());
    CHECK(nn::Tanh()(x).value() == tanh(x).value());
    CHECK(nn::Softplus()(x).value() == softplus(x).value());
    CHECK(nn::Softplus{.beta = 2}(x).value() == softplus(x, {.beta = 2}).value());
    const nn::GELU of_gpt2{.approximate = GeluApproximation::tanh};
    CHECK(of_gpt2(x).value() == gelu(x, {.approximate = GeluApproximation::tanh}).value());
    CHECK(nn::Softmax()(x).value() == softmax(x).value());
    CHECK(nn::Softmax{.axis = 0}(x).value() == softmax(x, 0).value());
    CHECK(nn::LogSoftmax()(x).value() == log_softmax(x).value());
    CHECK(nn::LogSoftmax{.axis = 0}(x).value() == log_softmax(x, 0).value());
}

TEST_CASE("activation layers: name themselves to a trace, and have no parameters") {
    const Variable<> x(ones({2, 3}));
    const nn::Trace trace;
    std::tuple layers{nn::ReLU(),    nn::LeakyReLU(), nn::ELU(),      nn::GELU(),    nn::SiLU(),
                      nn::Sigmoid(), nn::Tanh(),      nn::Softplus(), nn::Softmax(), nn::LogSoftmax()};
    std::apply([&](const auto&... layer) { (static_cast<void>(layer(x)), ...); }, layers);
    std::string types;
    for (const nn::TraceEntry& entry : trace.entries()) {
        types += std::string(entry.type) + " ";
        CHECK(entry.output == Shape{2, 3});
    }
    CHECK(types == "ReLU LeakyReLU ELU GELU SiLU Sigmoid Tanh Softplus Softmax LogSoftmax ");
    CHECK(nn::parameters(layers).empty());
}
