// SPDX-License-Identifier: MIT
#pragma once

// What the tests of all optimizers share.

#include <vector>

#include "gradus/core/random.hpp"
#include "gradus/ops/arithmetic.hpp"
#include "gradus/ops/reduce.hpp"
#include "support/numbers.hpp"
#include "support/threads.hpp"

/// PyTorch's weights after steps 1, 2, 3 and 20.
template <class Options>
struct Reference {
    Options options;
    double weights[4][3];
};

template <class T>
using Leaves = std::vector<gradus::Variable<T>>;

/// 20 steps on ½ Σ aᵢ (wᵢ − bᵢ)², compared with the reference.
template <template <class> class Optimizer, class T, class Options>
void check_reference(const Reference<Options>& reference, double tolerance) {
    using namespace gradus;
    const Variable<T> a(Tensor<T>{1, 4, 0.25}), b(Tensor<T>{1, -2, 3}),
        w(Tensor<T>{2, 0.5, -1}, {.requires_grad = true});
    Optimizer<T> optimizer(Leaves<T>{w}, reference.options);
    std::size_t row = 0;
    for (int step = 1; step <= 20; ++step) {
        optimizer.zero_grad();
        sum(a * square(w - b) * T(0.5)).backward();
        optimizer.step();
        if (step > 3 && step < 20) continue;
        INFO("step " << step);
        for (Index i = 0; i < 3; ++i)
            CHECK_THAT(static_cast<double>(w.value()(i)),
                       WithinAbs(reference.weights[row][i], tolerance * 3));  // the largest weight is about 3
        ++row;
    }
}

template <template <class> class Optimizer, class Options>
void check_references(const std::vector<Reference<Options>>& references) {
    for (const auto& reference : references) {
        INFO("row " << &reference - references.data());
        check_reference<Optimizer, double>(reference, 1e-13);
        check_reference<Optimizer, float>(reference, 2e-6);
    }
}

/// The same bits for 1, 2 and 3 threads, after three steps on parameters of many sizes.
template <class Optimizer, class Options>
void check_threads(const Options& options) {
    using namespace gradus;
    std::vector<Tensor<>> expected;
    for (const int threads : {1, 2, 3}) {
        const Threads limit(threads);
        Generator generator(1);
        Leaves<float> parameters;
        for (const Shape& shape : {Shape{300, 301}, Shape{7}, Shape{0}, Shape{50001}, Shape{}}) {
            parameters.push_back(leaf(randn(shape, generator)));
            parameters.back().set_grad(randn(shape, generator));
        }
        Optimizer optimizer(parameters, options);
        for (int i = 0; i < 3; ++i) optimizer.step();
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            if (threads == 1) expected.push_back(parameters[i].value());
            INFO(threads << " threads, parameter " << i);
            CHECK(parameters[i].value() == expected[i]);
        }
    }
}

template <class Optimizer>
std::vector<gradus::Index> step_counts(const Optimizer& optimizer) {
    std::vector<gradus::Index> steps;
    for (const auto& state : optimizer.state()) steps.push_back(state.steps);
    return steps;
}

/// Frozen parameters and those without a gradient stay, with their state; when they join, it is their first
/// step.
template <class Optimizer, class Options>
void check_absent(const Options& options) {
    using namespace gradus;
    Variable<> a = leaf({1, 2}), b = leaf({1, 2}), c = leaf({1, 2}), alone = leaf({1, 2});
    Optimizer optimizer(Leaves<float>{a, b, c}, options);
    a.set_grad({1, -1});
    c.set_grad({1, -1});
    c.set_requires_grad(false);
    optimizer.step();
    CHECK_FALSE(a.value() == Tensor<>{1, 2});
    CHECK(b.value() == Tensor<>{1, 2});
    CHECK(c.value() == Tensor<>{1, 2});
    CHECK(step_counts(optimizer) == std::vector<Index>{1, 0, 0});

    b.set_grad({1, -1});
    c.set_requires_grad(true);
    optimizer.step();
    CHECK(step_counts(optimizer) == std::vector<Index>{2, 1, 1});
    Optimizer other(Leaves<float>{alone}, options);
    alone.set_grad({1, -1});
    other.step();
    CHECK(b.value() == alone.value());
    CHECK(c.value() == alone.value());
}

/// A NaN in a gradient reaches its own weight and no other.
template <class Optimizer, class Options>
void check_nan(const Options& options) {
    using namespace gradus;
    Variable<> a = leaf({1, 2, 3}), b = leaf({1});
    Optimizer optimizer(Leaves<float>{a, b}, options);
    a.set_grad({0, NaN, 1});
    b.set_grad({1});
    optimizer.step();
    CHECK(a.value()(0) == 1);
    CHECK(std::isnan(a.value()(1)));
    CHECK(std::isfinite(a.value()(2)));
    CHECK(std::isfinite(b.value()(0)));
}

/// Saved state, loaded into another optimizer, goes on with the same bits.
template <class Optimizer, class Options>
void check_state(const Options& options) {
    using namespace gradus;
    const auto gradient = [](Variable<>& w, int step) {
        Generator generator(static_cast<std::uint64_t>(step) + 1);
        w.set_grad(randn(w.shape(), generator));
    };
    Variable<> a = leaf({{1, 2, 3}, {4, 5, 6}}), b = leaf({-1, 1});
    Optimizer optimizer(Leaves<float>{a, b}, options);
    for (int step = 0; step < 4; ++step) {
        gradient(a, step);
        if (step > 0) gradient(b, step);  // b has one step less
        optimizer.step();
    }
    const auto saved = optimizer.state();
    Variable<> a2 = leaf(a.value()), b2 = leaf(b.value());
    Optimizer restored(Leaves<float>{a2, b2}, options);
    restored.load_state(saved);
    for (int step = 4; step < 8; ++step) {
        for (Variable<>* w : {&a, &a2, &b, &b2}) gradient(*w, step);
        optimizer.step();
        restored.step();
    }
    CHECK(a.value() == a2.value());
    CHECK(b.value() == b2.value());
    CHECK(saved[0].steps == 4);
    CHECK(saved[1].steps == 3);
}

/// `make(value)` refuses what is not finite or below 0.
template <class Make>
void check_refuses(const std::string& optimizer, const std::string& setting, const Make& make,
                   bool below_1 = false) {
    const std::string rule =
        below_1 ? " must be at least 0 and below 1: got " : " must be finite and not negative: got ";
    for (const auto& [bad, text] :
         {std::pair{-1.0, "-1"}, {std::nan(""), "nan"}, {HUGE_VAL, "inf"}, {-HUGE_VAL, "-inf"}})
        CHECK_THROWS_MATCHES(make(bad), gradus::ValueError,
                             Message(optimizer + ": " + setting + rule + text));
    if (below_1)
        CHECK_THROWS_MATCHES(make(1.0), gradus::ValueError, Message(optimizer + ": " + setting + rule + "1"));
    CHECK_NOTHROW(make(0.0));
}
