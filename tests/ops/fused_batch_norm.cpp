// SPDX-License-Identifier: MIT
#include "gradus/ops/fused_batch_norm.hpp"

#include "gradus/ops/activation.hpp"
#include "gradus/ops/norm.hpp"
#include "support/fusion.hpp"
#include "support/isas.hpp"
#include "support/numbers.hpp"
#include "support/op_table.hpp"

using namespace gradus;

namespace {

/// What is in x: the input, then weight and bias unless plain, then the residual if there is one.
struct Steps {
    bool affine, residual, by_batch;
};

template <class T>
Variable<T> norm(const std::vector<Variable<T>>& x, const Steps& s) {
    if (s.by_batch) return s.affine ? batch_norm(x[0], x[1], x[2]) : batch_norm(x[0]);
    const Variable<T> mean(full<T>({x[0].size(1)}, T(0.25))), var(full<T>({x[0].size(1)}, T(2)));
    return batch_norm(x[0], mean, var, x[1], x[2]);
}

/// In one step.
template <class T>
Variable<T> together(const std::vector<Variable<T>>& x, const Steps& s) {
    return s.residual ? relu(norm(x, s) + x.back()) : relu(norm(x, s));
}

/// The same in two or three: every result has a name.
template <class T>
Variable<T> apart(const std::vector<Variable<T>>& x, const Steps& s) {
    const Variable<T> normalized = norm(x, s);
    if (!s.residual) return relu(normalized);
    const Variable<T> sum = normalized + x.back();
    return relu(sum);
}

std::vector<Shape> inputs(const Shape& x, const Steps& s) {
    std::vector<Shape> shapes{x};
    if (s.affine) shapes.insert(shapes.end(), 2, Shape{x[1]});
    if (s.residual) shapes.push_back(x);
    return shapes;
}

std::string name(const Variable<>& y) { return y.operation(); }

template <class T>
void check_same(const Shape& shape, const Steps& s, T tolerance) {
    INFO("x " << to_string(shape) << (s.affine ? ", affine" : "") << (s.residual ? ", residual" : "")
              << (s.by_batch ? ", by the batch" : ", given statistics"));
    fusion::check_same<T>(
        inputs(shape, s), s.residual ? "batch_norm + add + relu" : "batch_norm + relu", tolerance,
        [&](const auto& x) { return together(x, s); },
        [&](const auto& x) {
            const Variable<T> result = apart(x, s);
            REQUIRE(result.operation() == std::string("relu"));
            return result;
        });
}

const std::vector<Steps> all_steps{{true, false, true}, {true, true, true},   {false, false, true},
                                   {false, true, true}, {true, false, false}, {true, true, false}};

}  // namespace

TEST_CASE("fused_batch_norm: op table") {
    for (const Steps& s : all_steps) {
        std::vector<std::vector<Shape>> small, large;
        for (const Shape& x : {Shape{4, 3}, Shape{3, 2, 5}, Shape{2, 3, 4, 5}, Shape{3, 2, 17}, Shape{2, 0}})
            small.push_back(inputs(x, s));
        for (const Shape& x :
             {Shape{200, 300}, Shape{70, 9, 9, 9}, Shape{8, 40, 20, 20}, Shape{3, 2, 90, 91}})
            large.push_back(inputs(x, s));
        check_op("batch_norm + relu", [&](const auto& x) { return together(x, s); },
                 {.shapes = small, .large = large, .second_order = false});
    }
}

TEST_CASE("fused_batch_norm: the same as the steps apart, on every instruction set") {
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scope(isa);
        for (const Steps& s : all_steps) {
            for (const Index n : {1, 2, 3, 15, 16, 17, 31, 33, 49, 64, 65, 130}) {
                check_same<float>({3, 5, n}, s, 2e-6f);
                check_same<double>({2, 3, n}, s, 4e-15);
                check_same<float>({7, n}, s, 2e-6f);
            }
            check_same<float>({70, 40, 3, 3}, s, 2e-6f);
            check_same<float>({2, 2, 4101}, s, 2e-6f);
            check_same<double>({66, 300}, s, 4e-15);
            check_same<float>({16, 40, 10, 10}, s, 2e-6f);  // passes share a thread
        }
    }
}

TEST_CASE("fused_batch_norm: a result too large for the cache") {
    const Steps s{true, true, true};
    check_same<float>({33, 16, 128, 128}, s, 2e-6f);
}

TEST_CASE("fused_batch_norm: NaN and its gradient pass the relu, as apart") {
    const Variable<> x(Tensor<>{{NaN, 1}, {1, 2}, {2, -6}}), w(ones({2})), b(zeros({2})),
        residual = leaf({{0, NaN}, {-2, 0}, {-1, 7}});
    const BatchNormOptions exact{.eps = 0};
    check_numbers(relu(batch_norm(x, b, w, w, b, exact)).value(), {{NaN, 1}, {1, 2}, {2, 0}});
    const Variable<> y = relu(batch_norm(x, b, w, w, b, exact) + residual);
    check_numbers(y.value(), {{NaN, NaN}, {0, 2}, {1, 1}});
    y.backward({.gradient = full({3, 2}, 3)});
    CHECK(residual.grad() == Tensor<>{{3, 3}, {0, 3}, {3, 3}});
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scope(isa);
        Tensor<> values = randn({2, 1, 37});
        for (Index i = 0; i < 74; i += 5) values.mutable_data()[i] = i % 3 ? NaN : infinity;
        const Steps given{true, true, false};
        const auto gradient_of = [&](const auto& f) {
            std::vector<Variable<>> inputs{leaf(ones({2, 1, 37})), leaf(ones({1})), leaf(zeros({1})),
                                           leaf(values)};
            f(inputs).backward({.gradient = ones({2, 1, 37})});
            return inputs[3].grad();
        };
        CHECK(gradient_of([&](const auto& v) { return together(v, given); }) ==
              gradient_of([&](const auto& v) { return apart(v, given); }));
    }
}

TEST_CASE("fused_batch_norm: only temporaries are taken over") {
    const Variable<> x = leaf(randn({4, 2})), other = leaf(randn({4, 2}));
    CHECK(name(batch_norm(x)) == "batch_norm");
    CHECK(name(relu(batch_norm(x))) == "batch_norm + relu");
    CHECK(name(batch_norm(x) + other) == "batch_norm + add");
    CHECK(name(other + batch_norm(x)) == "batch_norm + add");
    CHECK(name(add(batch_norm(x), other)) == "batch_norm + add");
    CHECK(name(relu(other + batch_norm(x))) == "batch_norm + add + relu");
    CHECK(name(relu(batch_norm(x) + batch_norm(other))) == "batch_norm + add + relu");
    CHECK(name(relu(batch_norm(x) + other + other)) == "relu");
    CHECK(name(batch_norm(x) + 1.0f) == "add");
    CHECK(name(batch_norm(x) + Variable<>(ones({2}))) == "add");  // broadcasts
    CHECK(name(relu(relu(batch_norm(x)))) == "relu");
    CHECK(name(relu(batch_norm(x)) + other) == "add");

    const Variable<> named = batch_norm(x);
    CHECK(name(relu(named)) == "relu");
    CHECK(name(named + other) == "add");
    CHECK(name(named + named) == "add");
    Variable<> twice = batch_norm(x), moved = batch_norm(x);
    CHECK(name(std::move(twice) + twice) == "add");
    CHECK(name(std::move(moved) + other) == "batch_norm + add");
    CHECK_FALSE(moved.defined());
    const Variable<> sum = batch_norm(x) + other;
    CHECK(name(relu(sum)) == "relu");
}

TEST_CASE("fused_batch_norm: a gradient that somebody waits for keeps the steps apart") {
    const Variable<> x = leaf(randn({4, 2})), other = leaf(randn({4, 2}));
    Variable<> kept = batch_norm(x);
    kept.retain_grad();
    CHECK(name(relu(std::move(kept))) == "relu");
    int calls = 0;
    Variable<> hooked = batch_norm(x) + other;
    hooked.register_hook([&](const Tensor<>& dy) {
        ++calls;
        return dy;
    });
    const Variable<> y = relu(std::move(hooked));
    CHECK(name(y) == "relu");
    y.backward({.gradient = ones({4, 2})});
    CHECK(calls == 1);
}

TEST_CASE("fused_batch_norm: backward before anybody looked") {
    const Variable<> x = leaf({{1}, {3}}), r = leaf({{0}, {-0.5f}});
    relu(batch_norm(x, {.eps = 0}) + r).backward({.gradient = full({2, 1}, 5)});  // of -1 and 0.5
    CHECK(r.grad() == Tensor<>{{0}, {5}});
    CHECK(x.grad() == Tensor<>{{0}, {0}});  // two values are always -1 and 1
}

TEST_CASE("fused_batch_norm: running statistics are updated when batch_norm is called, and once") {
    const Variable<> x = leaf({{1}, {3}}), w = leaf({1}), b = leaf({0}), r = leaf({{1}, {2}});
    const Variable<> mean(zeros({1})), var(zeros({1}));
    const BatchNormOptions training{.momentum = 0.5, .training = true};
    const Variable<> y = relu(batch_norm(x, mean, var, w, b, training) + r);
    CHECK(mean.value() == Tensor<>{1});
    CHECK(var.value() == Tensor<>{1});
    static_cast<void>(y.value());
    y.backward({.gradient = ones({2, 1})});
    CHECK(mean.value() == Tensor<>{1});
    CHECK(var.value() == Tensor<>{1});
}

TEST_CASE("fused_batch_norm: what went in may change between the call and the first look") {
    Variable<> x = leaf({{1}, {3}}), w = leaf({1}), b = leaf({0.5f}), r = leaf({{0}, {0.25f}});
    const Variable<> y = relu(batch_norm(x, w, b, {.eps = 0}) + r);
    for (Variable<>* each : {&x, &w, &b, &r}) each->set_value(full(each->shape(), 100));
    CHECK(y.value() == Tensor<>{{0}, {1.75f}});
}

TEST_CASE("fused_batch_norm: without history on one side") {
    const Variable<> x = leaf({{1}, {3}});
    Variable<> r = leaf({{0}, {1}});
    const auto constant = [&] {
        const NoGrad guard;
        return batch_norm(x, {.eps = 0});
    };
    const Variable<> y = relu(constant());
    CHECK_FALSE(y.requires_grad());
    CHECK(y.value() == Tensor<>{{0}, {1}});
    const Variable<> z = relu(constant() + r);  // r wants its gradient, x gets none
    CHECK(z.value() == Tensor<>{{0}, {2}});
    z.backward({.gradient = full({2, 1}, 3)});
    CHECK(r.grad() == Tensor<>{{0}, {3}});
    CHECK_FALSE(x.has_grad());
    r.zero_grad();
    r.set_requires_grad(false);
    const Variable<> frozen = relu(batch_norm(x, {.eps = 0}) + r);
    frozen.backward({.gradient = full({2, 1}, 3)});
    CHECK_FALSE(r.has_grad());
    CHECK(x.has_grad());
}
