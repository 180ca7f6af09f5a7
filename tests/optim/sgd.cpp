// SPDX-License-Identifier: MIT
#include "gradus/optim/sgd.hpp"

#include "gradus/ops/arithmetic.hpp"
#include "gradus/ops/reduce.hpp"
#include "optim/reference.hpp"

using namespace gradus;
using optim::SGD, optim::SGDOptions;

namespace {

/// A step with the gradient given.
void step_with(SGD<>& sgd, Variable<>& w, const Tensor<>& gradient) {
    w.set_grad(gradient);
    sgd.step();
}

/// The weights after each of three steps from {1, -2} with gradients {1, 2}, {3, -4} and {0, 8}.
std::vector<Tensor<>> three_steps(SGDOptions options) {
    Variable<> w = leaf({1, -2});
    SGD<> sgd({w}, options);
    std::vector<Tensor<>> result;
    for (const Tensor<>& gradient : {Tensor<>{1, 2}, Tensor<>{3, -4}, Tensor<>{0, 8}}) {
        step_with(sgd, w, gradient);
        result.push_back(w.value());
    }
    return result;
}

// Printed by tests/reference/optimizers.py with PyTorch 1.13.
const std::vector<Reference<SGDOptions>> references = {
    {{.lr = 0.125},
     {{1.875, -0.75, -0.875},
      {1.765625, -1.375, -0.75390625},
      {1.669921875, -1.6875, -0.6365966796875},
      {1.06920875877393, -1.99999761581421, 0.880202861267506}}},
    {{.lr = 0.125, .weight_decay = 0.25},
     {{1.8125, -0.765625, -0.84375},
      {1.654296875, -1.35888671875, -0.697265625},
      {1.52081298828125, -1.63697814941406, -0.5599365234375},
      {0.840128872988425, -1.88235231624598, 0.812353025279159}}},
    {{.lr = 0.125, .momentum = 0.75},
     {{1.875, -0.75, -0.875},
      {1.671875, -2.3125, -0.66015625},
      {1.435546875, -3.328125, -0.3846435546875},
      {1.04812783534654, -2.14061569851492, 3.03648005557526}}},
    {{.lr = 0.125, .momentum = 0.75, .dampening = 0.25},
     {{1.875, -0.75, -0.875},
      {1.69921875, -2.15625, -0.6904296875},
      {1.5018310546875, -3.15234375, -0.465507507324219},
      {1.04948973622127, -1.90127029254045, 2.66011544832086}}},
    {{.lr = 0.125, .momentum = 0.75, .dampening = 0.75, .weight_decay = 0.25},
     {{1.8125, -0.765625, -0.84375},
      {1.63232421875, -1.8631591796875, -0.68994140625},
      {1.46467971801758, -2.68885898590088, -0.540367126464844},
      {0.73234026532626, -1.94149906414689, 1.00503802842741}}},
    {{.lr = 0.125, .momentum = 0.75, .nesterov = true},
     {{1.78125, -1.6875, -0.78125},
      {1.5400390625, -2.6640625, -0.504150390625},
      {1.31423950195312, -2.6982421875, -0.193315505981445},
      {1.01410899833951, -2.00015525132635, 2.93048304832898}}},
    {{.lr = 0.125, .momentum = 0.75, .weight_decay = 0.25, .nesterov = true},
     {{1.671875, -1.71484375, -0.7265625},
      {1.3280029296875, -2.58248901367188, -0.3951416015625},
      {1.0278959274292, -2.51557326316833, -0.0436649322509766},
      {0.802248824216269, -1.88239267721118, 1.56340295833224}}},
};

}  // namespace

TEST_CASE("sgd: three steps by hand") {
    const auto check_steps = [](SGDOptions options, const Tensor<>& first, const Tensor<>& second,
                                const Tensor<>& third) {
        const auto steps = three_steps(options);
        check_numbers(steps[0], first);
        check_numbers(steps[1], second);
        check_numbers(steps[2], third);
    };
    SECTION("plain") { check_steps({.lr = 0.5}, {0.5f, -3}, {-1, -1}, {-1, -5}); }
    SECTION("momentum") {  // v: {1, 2}, {3.5, -3}, {1.75, 6.5}
        check_steps({.lr = 0.5, .momentum = 0.5}, {0.5f, -3}, {-1.25f, -1.5f}, {-2.125f, -4.75f});
    }
    SECTION("the first step knows no dampening") {  // v: {1, 2}, {2, -1}, {1, 3.5}
        check_steps({.lr = 0.5, .momentum = 0.5, .dampening = 0.5}, {0.5f, -3}, {-0.5f, -2.5f}, {-1, -4.25f});
    }
    SECTION("nesterov") {  // g + v / 2: {1.5, 3}, {4.75, -5.5}, {0.875, 11.25}
        check_steps({.lr = 0.5, .momentum = 0.5, .nesterov = true}, {0.25f, -3.5f}, {-2.125f, -0.75f},
                    {-2.5625f, -6.375f});
    }
    SECTION("weight decay") {  // g: {1.5, 1}, {3.125, -5.25}, {-0.65625, 8.0625}
        check_steps({.lr = 0.5, .weight_decay = 0.5}, {0.25f, -2.5f}, {-1.3125f, 0.125f},
                    {-0.984375f, -3.90625f});
    }
    SECTION("a learning rate of 0") { check_steps({.lr = 0}, {1, -2}, {1, -2}, {1, -2}); }
}

TEST_CASE("sgd: PyTorch gives the same over 20 steps") { check_references<SGD>(references); }

TEST_CASE("sgd: what has no gradient or is frozen stays, with its state") {
    check_absent<SGD<>>(SGDOptions{.lr = 1, .momentum = 0.5, .dampening = 0.5});
}

TEST_CASE("sgd: state is saved and restored with the same bits") {
    check_state<SGD<>>(SGDOptions{.lr = 0.1});
    check_state<SGD<>>(SGDOptions{.lr = 0.1, .momentum = 0.9, .dampening = 0.5});
    Variable<> w = leaf({1});
    SGD<> sgd({w}, {.lr = 1});
    step_with(sgd, w, {1});
    CHECK(sgd.state()[0].kinds.empty());  // no momentum, no memory
    sgd.set_momentum(0.5);
    step_with(sgd, w, {2});
    REQUIRE(sgd.state()[0].kinds.size() == 1);
    CHECK(sgd.state()[0].kinds[0].name == "momentum_buffer");
    CHECK(sgd.state()[0].kinds[0].value == Tensor<>{2});
}

TEST_CASE("sgd: the moving average of the gradients") {  // v = β v + (1 − β) g, from v = g
    Variable<> w = leaf({8});
    SGD<> sgd({w}, {.lr = 1, .momentum = 0.75, .dampening = 0.75});
    step_with(sgd, w, {4});
    CHECK(w.value() == Tensor<>{4});
    step_with(sgd, w, {0});  // v = 3
    CHECK(w.value() == Tensor<>{1});
    step_with(sgd, w, {8});  // v = 2.25 + 2
    CHECK(w.value() == Tensor<>{-3.25f});
}

TEST_CASE("sgd: penalties") {
    SECTION("l1 adds the sign of the weight to the gradient") {
        Variable<> w = leaf({2, -2, 0});
        SGD<> sgd({w}, {.lr = 0.5, .l1 = 0.25});
        step_with(sgd, w, {1, 1, 1});
        CHECK(w.value() == Tensor<>{1.375f, -2.375f, -0.5f});
    }
    SECTION("l1 and l2 together") {
        Variable<> w = leaf({2});
        SGD<> sgd({w}, {.lr = 0.5, .weight_decay = 0.5, .l1 = 0.25});
        step_with(sgd, w, {1});
        CHECK(w.value() == Tensor<>{0.875f});  // g = 1 + 1 + 0.25
    }
    SECTION("decoupled decay is no part of the momentum") {
        Variable<> w = leaf({2});
        SGD<> sgd({w}, {.lr = 0.5, .momentum = 0.5, .weight_decay = 0.5, .decoupled = true});
        step_with(sgd, w, {1});
        CHECK(w.value() == Tensor<>{1});  // 2 · 0.75 - 0.5
        step_with(sgd, w, {0});
        CHECK(w.value() == Tensor<>{0.5f});  // 1 · 0.75 - 0.5 · 0.5
    }
    SECTION("an infinite weight stays what it is without penalties") {
        Variable<> w = leaf({infinity});
        SGD<> sgd({w}, {.lr = 0.5});
        step_with(sgd, w, {1});
        CHECK(w.value() == Tensor<>{infinity});
    }
}

TEST_CASE("sgd: a NaN in a gradient reaches its own weight and no other") {
    Variable<> a = leaf({1, 2, 3}), b = leaf({1});
    SGD<> sgd({a, b}, {.lr = 1, .momentum = 0.5});
    a.set_grad({0, NaN, infinity});
    b.set_grad({1});
    sgd.step();
    check_numbers(a.value(), {1, NaN, -infinity});
    check_numbers(b.value(), {0});
}

TEST_CASE("sgd: gradients are read, not changed, and may be shared") {
    Variable<> a = leaf({1, 2}), b = leaf({3, 4});
    const Tensor<> g{1, 1};
    a.set_grad(g);
    b.set_grad(g);
    SGD<> sgd({a, b}, {.lr = 1, .momentum = 0.5});
    sgd.step();
    CHECK(a.grad().data() == g.data());  // not even copied
    CHECK(g == Tensor<>{1, 1});
    CHECK(a.value() == Tensor<>{0, 1});
    CHECK(b.value() == Tensor<>{2, 3});

    Variable<> w = leaf({2, 8});  // the gradient in the memory of the value
    w.set_grad(w.value());
    SGD<> other({w}, {.lr = 0.5});
    other.step();
    CHECK(w.value() == Tensor<>{1, 4});
    CHECK(w.grad() == Tensor<>{2, 8});
}

TEST_CASE("sgd: values shared by two parameters, or with a copy, are told apart") {
    const Tensor<> start{1, 1};
    Variable<> a = leaf(start), b = leaf(start);
    SGD<> sgd({a, b}, {.lr = 1});
    a.set_grad({1, 0});
    b.set_grad({0, 1});
    sgd.step();
    CHECK(a.value() == Tensor<>{0, 1});
    CHECK(b.value() == Tensor<>{1, 0});
    CHECK(start == Tensor<>{1, 1});
}

TEST_CASE("sgd: a step does not disturb a graph that is kept") {
    const Variable<> w = leaf({3}), x = leaf({2});
    SGD<> sgd({w}, {.lr = 1});
    const Variable<> y = w * x;
    y.backward({.retain_graph = true});
    sgd.step();
    CHECK(w.value() == Tensor<>{1});
    y.backward();                    // saved w = 3 before the step
    CHECK(x.grad() == Tensor<>{6});  // 3 + 3
    CHECK(w.grad() == Tensor<>{4});  // 2 + 2
    CHECK(y.value() == Tensor<>{6});
}

TEST_CASE("sgd: the same bits for any number of threads") {
    check_threads<SGD<>>(SGDOptions{.lr = 0.1});
    check_threads<SGD<>>(
        SGDOptions{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01, .nesterov = true, .l1 = 0.01});
}

TEST_CASE("sgd: refusals") {
    const auto make = [](SGDOptions options) { SGD<> sgd({leaf({1})}, options); };
    check_refuses("sgd", "lr", [&](double x) { make({.lr = x}); });
    check_refuses("sgd", "momentum", [&](double x) { make({.momentum = x}); });
    check_refuses("sgd", "dampening", [&](double x) { make({.dampening = x}); });
    check_refuses("sgd", "weight_decay", [&](double x) { make({.weight_decay = x}); });
    check_refuses("sgd", "l1", [&](double x) { make({.l1 = x}); });
    check_refuses("sgd", "lr_scale", [&](double x) { make({.lr_scale = x}); });
    const auto nesterov = Message("sgd: nesterov needs momentum > 0 and no dampening");
    CHECK_THROWS_MATCHES(make({.nesterov = true}), ValueError, nesterov);
    CHECK_THROWS_MATCHES(make({.momentum = 0.9, .dampening = 0.1, .nesterov = true}), ValueError, nesterov);
}
