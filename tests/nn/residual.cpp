// SPDX-License-Identifier: MIT
#include "gradus/nn/residual.hpp"

#include "gradus/nn/activations.hpp"
#include "gradus/nn/batch_norm.hpp"
#include "gradus/nn/linear.hpp"
#include "gradus/nn/model.hpp"
#include "gradus/nn/sequential.hpp"
#include "support/numbers.hpp"

using namespace gradus;

namespace {

nn::Linear<> with_weight(const Tensor<>& weight) {
    nn::Linear<> layer(weight.size(1), weight.size(0), {.bias = false});
    layer.weight = weight;
    return layer;
}

}  // namespace

TEST_CASE("Residual: adds what came in") {
    const nn::Residual block(nn::Sequential(with_weight({{2, 0}, {0, -3}}), nn::ReLU()));
    const Variable<> x = leaf({{1, 1}, {-1, -2}});
    const Variable<> y = block(x);
    CHECK(y.value() == Tensor<>{{3, 1}, {-1, 4}});
    y.backward({.gradient = ones({2, 2})});
    CHECK(x.grad() == Tensor<>{{3, 1}, {1, -2}});
}

TEST_CASE("Residual: a shortcut of its own, and the names of the parameters") {
    nn::Residual block(nn::Sequential(nn::Linear<>(2, 3), nn::ReLU()), with_weight({{1, 0}, {0, 1}, {1, 1}}));
    std::string names;
    for (const auto& each : nn::named_parameters(block)) names += each.name + " ";
    CHECK(names == "body.0.weight body.0.bias shortcut.weight ");
    const Variable<> x(Tensor<>{{1, 2}});
    CHECK(block(x).value() == (block.body(x) + Variable<>(Tensor<>{{1, 2, 3}})).value());
    const nn::Residual same = block;
    CHECK(&same.shortcut.weight.node() != &block.shortcut.weight.node());
}

TEST_CASE("Residual: a normalization at its end, the sum and the relu after it are one step") {
    const nn::Residual block(nn::Sequential(nn::Linear<>(2, 2), nn::BatchNorm1d<>(2)));
    const nn::Sequential net(block, nn::ReLU());
    const Variable<> x = leaf({{1, 1}, {-1, -2}, {0, 3}});
    CHECK(net(x).operation() == std::string("batch_norm + add + relu"));
    const nn::Sequential longer(nn::Residual(nn::Sequential(nn::BatchNorm1d<>(2)), nn::BatchNorm1d<>(2)),
                                nn::ReLU());
    CHECK(longer(x).operation() == std::string("batch_norm + add + relu"));
}

TEST_CASE("Residual: in a sequence; train and eval reach both sides") {
    struct Switch {
        bool training = true;
        Variable<> operator()(const Variable<>& x) const { return training ? x : x * 2.0f; }
    };
    nn::Sequential net(nn::Residual(Switch{}, Switch{}), nn::Residual(Switch{}));
    const Variable<> x(ones({2}));
    CHECK(net(x).value() == full({2}, 4));
    nn::eval(net);
    CHECK(net(x).value() == full({2}, 12));
}

TEST_CASE("Residual: both sides must agree in shape") {
    const nn::Residual wrong(nn::Linear<>(2, 3)), broadcasts(nn::Linear<>(2, 1));
    const std::string rule =
        "residual: the shortcut must give the shape of the body; pass one that does as the second argument: "
        "got ";
    const Variable<> x(ones({4, 2}));
    CHECK_THROWS_MATCHES(wrong(x), ShapeError, Message(rule + "[4, 3] and [4, 2]"));
    CHECK_THROWS_MATCHES(broadcasts(x), ShapeError, Message(rule + "[4, 1] and [4, 2]"));
}

TEST_CASE("Identity: passes x on") {
    const Variable<> x(ones({2, 3}));
    const nn::Trace trace;
    CHECK(&nn::Identity()(x).node() == &x.node());
    CHECK(std::string(trace.entries().at(0).type) == "Identity");
    nn::Identity identity;
    CHECK(nn::parameters(identity).empty());
}
