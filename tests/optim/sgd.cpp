// SPDX-License-Identifier: MIT
#include "gradus/optim/sgd.hpp"

#include "gradus/loss/cross_entropy.hpp"
#include "gradus/nn/linear.hpp"
#include "gradus/nn/model.hpp"
#include "gradus/ops/arithmetic.hpp"
#include "gradus/ops/reduce.hpp"
#include "support/numbers.hpp"

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

struct Reference {
    SGDOptions options;
    double weights[4][3];  // after steps 1, 2, 3 and 20
};

// Printed by tests/reference/sgd.py with PyTorch 1.13.
const std::vector<Reference> references = {
    {{.lr = 0.125f},
     {{1.875, -0.75, -0.875},
      {1.765625, -1.375, -0.75390625},
      {1.669921875, -1.6875, -0.6365966796875},
      {1.06920875877393, -1.99999761581421, 0.880202861267506}}},
    {{.lr = 0.125f, .weight_decay = 0.25f},
     {{1.8125, -0.765625, -0.84375},
      {1.654296875, -1.35888671875, -0.697265625},
      {1.52081298828125, -1.63697814941406, -0.5599365234375},
      {0.840128872988425, -1.88235231624598, 0.812353025279159}}},
    {{.lr = 0.125f, .momentum = 0.75f},
     {{1.875, -0.75, -0.875},
      {1.671875, -2.3125, -0.66015625},
      {1.435546875, -3.328125, -0.3846435546875},
      {1.04812783534654, -2.14061569851492, 3.03648005557526}}},
    {{.lr = 0.125f, .momentum = 0.75f, .dampening = 0.25f},
     {{1.875, -0.75, -0.875},
      {1.69921875, -2.15625, -0.6904296875},
      {1.5018310546875, -3.15234375, -0.465507507324219},
      {1.04948973622127, -1.90127029254045, 2.66011544832086}}},
    {{.lr = 0.125f, .momentum = 0.75f, .dampening = 0.75f, .weight_decay = 0.25f},
     {{1.8125, -0.765625, -0.84375},
      {1.63232421875, -1.8631591796875, -0.68994140625},
      {1.46467971801758, -2.68885898590088, -0.540367126464844},
      {0.73234026532626, -1.94149906414689, 1.00503802842741}}},
    {{.lr = 0.125f, .momentum = 0.75f, .nesterov = true},
     {{1.78125, -1.6875, -0.78125},
      {1.5400390625, -2.6640625, -0.504150390625},
      {1.31423950195312, -2.6982421875, -0.193315505981445},
      {1.01410899833951, -2.00015525132635, 2.93048304832898}}},
    {{.lr = 0.125f, .momentum = 0.75f, .weight_decay = 0.25f, .nesterov = true},
     {{1.671875, -1.71484375, -0.7265625},
      {1.3280029296875, -2.58248901367188, -0.3951416015625},
      {1.0278959274292, -2.51557326316833, -0.0436649322509766},
      {0.802248824216269, -1.88239267721118, 1.56340295833224}}},
};

/// 20 steps on ½ Σ aᵢ (wᵢ − bᵢ)², compared with the reference.
template <class T>
void check_reference(const Reference& reference, double tolerance) {
    const Variable<T> a(Tensor<T>{1, 4, 0.25}), b(Tensor<T>{1, -2, 3}),
        w(Tensor<T>{2, 0.5, -1}, {.requires_grad = true});
    SGD<T> sgd({w}, reference.options);
    std::size_t row = 0;
    for (int step = 1; step <= 20; ++step) {
        sgd.zero_grad();
        sum(a * square(w - b) * T(0.5)).backward();
        sgd.step();
        if (step > 3 && step < 20) continue;
        INFO("step " << step);
        for (Index i = 0; i < 3; ++i)
            CHECK(static_cast<double>(w.value()(i)) == Approx(reference.weights[row][i]).epsilon(tolerance));
        ++row;
    }
}

}  // namespace

TEST_CASE("sgd: three steps by hand") {
    const auto check_steps = [](SGDOptions options, const Tensor<>& first, const Tensor<>& second,
                                const Tensor<>& third) {
        const auto steps = three_steps(options);
        check_numbers(steps[0], first);
        check_numbers(steps[1], second);
        check_numbers(steps[2], third);
    };
    SECTION("plain") { check_steps({.lr = 0.5f}, {0.5f, -3}, {-1, -1}, {-1, -5}); }
    SECTION("momentum") {  // v: {1, 2}, {3.5, -3}, {1.75, 6.5}
        check_steps({.lr = 0.5f, .momentum = 0.5f}, {0.5f, -3}, {-1.25f, -1.5f}, {-2.125f, -4.75f});
    }
    SECTION("the first step knows no dampening") {  // v: {1, 2}, {2, -1}, {1, 3.5}
        check_steps({.lr = 0.5f, .momentum = 0.5f, .dampening = 0.5f}, {0.5f, -3}, {-0.5f, -2.5f},
                    {-1, -4.25f});
    }
    SECTION("nesterov") {  // g + v / 2: {1.5, 3}, {4.75, -5.5}, {0.875, 11.25}
        check_steps({.lr = 0.5f, .momentum = 0.5f, .nesterov = true}, {0.25f, -3.5f}, {-2.125f, -0.75f},
                    {-2.5625f, -6.375f});
    }
    SECTION("weight decay") {  // g: {1.5, 1}, {3.125, -5.25}, {-0.65625, 8.0625}
        check_steps({.lr = 0.5f, .weight_decay = 0.5f}, {0.25f, -2.5f}, {-1.3125f, 0.125f},
                    {-0.984375f, -3.90625f});
    }
    SECTION("a learning rate of 0") { check_steps({.lr = 0}, {1, -2}, {1, -2}, {1, -2}); }
}

TEST_CASE("sgd: PyTorch gives the same over 20 steps") {
    for (const Reference& reference : references) {
        INFO("row " << &reference - references.data());
        check_reference<double>(reference, 1e-13);
        check_reference<float>(reference, 2e-6);
    }
}

TEST_CASE("sgd: what has no gradient or is frozen stays, with its state") {
    Variable<> a = leaf({1}), b = leaf({1}), c = leaf({1});
    SGD<> sgd({a, b, c}, {.lr = 1, .momentum = 0.5f, .dampening = 0.5f, .weight_decay = 0});
    a.set_grad({1});
    c.set_grad({1});
    c.set_requires_grad(false);
    sgd.step();
    CHECK(a.value() == Tensor<>{0});
    CHECK(b.value() == Tensor<>{1});
    CHECK(c.value() == Tensor<>{1});
    CHECK(sgd.groups()[0].steps == std::vector<Index>{1, 0, 0});
    b.set_grad({1});
    c.set_requires_grad(true);
    sgd.step();
    CHECK(a.value() == Tensor<>{-1});  // v = 1 / 2 + 1 / 2
    CHECK(b.value() == Tensor<>{0});   // their first step knows no dampening
    CHECK(c.value() == Tensor<>{0});
    CHECK(sgd.groups()[0].steps == std::vector<Index>{2, 1, 1});
}

TEST_CASE("sgd: a NaN in a gradient reaches its own weight and no other") {
    Variable<> a = leaf({1, 2, 3}), b = leaf({1});
    SGD<> sgd({a, b}, {.lr = 1, .momentum = 0.5f});
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
    SGD<> sgd({a, b}, {.lr = 1, .momentum = 0.5f});
    sgd.step();
    CHECK(a.grad().data() == g.data());  // not even copied
    CHECK(g == Tensor<>{1, 1});
    CHECK(a.value() == Tensor<>{0, 1});
    CHECK(b.value() == Tensor<>{2, 3});

    Variable<> w = leaf({2, 8});  // the gradient in the memory of the value
    w.set_grad(w.value());
    SGD<> other({w}, {.lr = 0.5f});
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
    y.backward({.keep_graph = true});
    sgd.step();
    CHECK(w.value() == Tensor<>{1});
    y.backward();                    // saved w = 3 before the step
    CHECK(x.grad() == Tensor<>{6});  // 3 + 3
    CHECK(w.grad() == Tensor<>{4});  // 2 + 2
    CHECK(y.value() == Tensor<>{6});
}

TEST_CASE("sgd: the same bits for any number of threads") {
    const int before = num_threads();
    std::vector<Tensor<>> expected;
    for (const int threads : {1, 2, 3}) {
        set_num_threads(threads);
        Generator generator(1);
        std::vector<Variable<>> parameters;
        for (const Shape& shape : {Shape{300, 301}, Shape{7}, Shape{0}, Shape{50001}, Shape{}}) {
            parameters.push_back(leaf(randn(shape, generator)));
            parameters.back().set_grad(randn(shape, generator));
        }
        SGD<> sgd(parameters, {.lr = 0.1f, .momentum = 0.9f, .weight_decay = 0.01f, .nesterov = true});
        for (int i = 0; i < 3; ++i) sgd.step();
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            if (threads == 1) expected.push_back(parameters[i].value());
            INFO(threads << " threads, parameter " << i);
            CHECK(parameters[i].value() == expected[i]);
        }
    }
    set_num_threads(before);
}

TEST_CASE("sgd: finds the minimum of a quadratic") {
    for (const auto& [options, steps] :
         std::vector<std::pair<SGDOptions, int>>{{{.lr = 0.2f}, 300},
                                                 {{.lr = 0.05f, .momentum = 0.9f}, 400},
                                                 {{.lr = 0.05f, .momentum = 0.9f, .nesterov = true}, 400}}) {
        const Variable<> w = leaf({5, -5}), scale(Tensor<>{1, 4}), target(Tensor<>{1, 2});
        SGD<> sgd({w}, options);
        for (int i = 0; i < steps; ++i) {
            sgd.zero_grad();
            sum(scale * square(w - target)).backward();
            sgd.step();
        }
        check_numbers(w.value(), {1, 2}, 1e-5f);
    }
}

TEST_CASE("sgd: finds the minimum of a logistic regression") {
    // Four copies of one input and one of its mirror image: the best odds are 3 to 1, wherever the weights
    // are.
    Generator generator(1);
    nn::Linear<> model(1, 2, {}, generator);
    const Variable<> inputs(Tensor<>{{1}, {1}, {1}, {1}, {-1}, {-1}, {-1}, {-1}});
    const Tensor<Index> labels{0, 0, 0, 1, 1, 1, 1, 0};
    SGD<> sgd(nn::parameters(model), {.lr = 0.5f, .momentum = 0.9f});
    Variable<> loss;
    for (int i = 0; i < 300; ++i) {
        loss = cross_entropy(model(inputs), labels);
        sgd.zero_grad();
        loss.backward();
        sgd.step();
    }
    CHECK(loss.item() == Approx(-0.75 * std::log(0.75) - 0.25 * std::log(0.25)));
    CHECK(model.weight.value()(0, 0) - model.weight.value()(1, 0) == Approx(std::log(3.0)));
    for (const auto& parameter : nn::parameters(model))
        for (const float slope : parameter.grad()) CHECK(std::abs(slope) < 1e-5f);
}

TEST_CASE("sgd: refusals") {
    const auto make = [](SGDOptions options) { SGD<> sgd({leaf({1})}, options); };
    const auto range =
        Message("sgd: lr, momentum, dampening and weight_decay must be finite and not negative");
    for (const float bad : {-1.0f, NaN, infinity, -infinity}) {
        CHECK_THROWS_MATCHES(make({.lr = bad}), ValueError, range);
        CHECK_THROWS_MATCHES(make({.momentum = bad}), ValueError, range);
        CHECK_THROWS_MATCHES(make({.dampening = bad}), ValueError, range);
        CHECK_THROWS_MATCHES(make({.weight_decay = bad}), ValueError, range);
    }
    const auto nesterov = Message("sgd: nesterov needs momentum > 0 and no dampening");
    CHECK_THROWS_MATCHES(make({.nesterov = true}), ValueError, nesterov);
    CHECK_THROWS_MATCHES(make({.momentum = 0.9f, .dampening = 0.1f, .nesterov = true}), ValueError, nesterov);
}
