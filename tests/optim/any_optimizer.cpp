// SPDX-License-Identifier: MIT
#include "gradus/optim/any_optimizer.hpp"

#include "gradus/nn/linear.hpp"
#include "gradus/nn/model.hpp"
#include "gradus/optim/adagrad.hpp"
#include "gradus/optim/adam.hpp"
#include "gradus/optim/sgd.hpp"
#include "optim/reference.hpp"

using namespace gradus;
using optim::AnyOptimizer, optim::SGD, optim::Adam, optim::Adagrad;

TEST_CASE("AnyOptimizer: steps as the optimizer that it holds") {
    Variable<> a = leaf({1, 2}), b = leaf({1, 2});
    Adam<> adam(Leaves<float>{a}, {.lr = 0.5});
    AnyOptimizer any = Adam<>(Leaves<float>{b}, {.lr = 0.5});
    for (int step = 0; step < 3; ++step) {
        any.zero_grad();
        CHECK_FALSE(b.has_grad());
        a.set_grad({1, -1});
        b.set_grad({1, -1});
        adam.step();
        any.step();
    }
    CHECK(b.value() == a.value());
    CHECK(any.state()[0].kinds[1].value == adam.state()[0].kinds[1].value);
    CHECK(&any.parameters()[0].node() == &b.node());
}

TEST_CASE("AnyOptimizer: rate and momentum of every kind") {
    const Leaves<float> parameters{leaf({1})};
    AnyOptimizer<> any = SGD<>(parameters, {.lr = 0.5, .momentum = 0.5});
    any.set_lr(0.25);
    any.set_momentum(0.75);
    CHECK(any.lr() == 0.25);
    CHECK(any.momentum() == 0.75);
    any = Adam<>(parameters);
    CHECK(any.momentum() == 0.9);  // beta1
    CHECK_THROWS_MATCHES(any.set_momentum(1), ValueError,
                         Message("adam: beta1 must be at least 0 and below 1: got 1"));
    any = Adagrad<>(parameters);
    CHECK(any.momentum() == 0);
    CHECK_THROWS_MATCHES(any.set_momentum(0.5), ValueError,
                         Message("set_momentum: this optimizer has no momentum: got 0.5"));
    const AnyOptimizer of_double =
        Adam(std::vector<Variable<double>>{{Tensor<double>{1}, {.requires_grad = true}}});
    static_assert(std::is_same_v<decltype(of_double), const AnyOptimizer<double>>);
}

TEST_CASE("AnyOptimizer: a copy is a snapshot of the state") {
    Variable<> w = leaf({1});
    const auto step = [&](AnyOptimizer<>& optimizer) {
        w.set_grad({1});
        optimizer.step();
    };
    AnyOptimizer any = SGD<>(Leaves<float>{w}, {.lr = 1, .momentum = 0.5});
    step(any);
    const AnyOptimizer before = any;
    step(any);
    CHECK(any.state()[0].kinds[0].value == Tensor<>{1.5f});
    CHECK(before.state()[0].kinds[0].value == Tensor<>{1});
    AnyOptimizer<> other = SGD<>(Leaves<float>{w}, {.lr = 1, .momentum = 0.5});
    other.load_state(before.state());
    step(other);
    CHECK(other.state()[0].kinds[0].value == Tensor<>{1.5f});
    any = before;
    CHECK(any.state()[0].steps == 1);
}
