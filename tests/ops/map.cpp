// SPDX-License-Identifier: MIT
#include "gradus/ops/map.hpp"

#include <array>
#include <cmath>
#include <limits>

#include "support/op_table.hpp"

using namespace gradus;

namespace {

Variable<> leaf(Tensor<> value) { return Variable<>(std::move(value), {.requires_grad = true}); }

// The same functions as an ordinary user would write them.
const auto softsign = [](const auto& x) {
    using std::abs;
    return x / (1 + abs(x));
};
const auto bump = [](const auto& a, const auto& b) {
    using std::exp;
    return a * exp(-b * b);
};
const auto blend = [](const auto& a, const auto& b, const auto& t) {
    using std::sin, std::tanh;
    return a * sin(t) + tanh(b) / (t * t);
};

}  // namespace

TEST_CASE("map: op table") {
    check_op("map of one", [](const auto& x) { return map(softsign, x[0]); },
             {.shapes = {{{}}, {{1}}, {{7}}, {{2, 3}}, {{0, 3}}}, .large = {{{70001}}}, .kinks = {0}});
    check_op(
        "map of two", [](const auto& x) { return map(bump, x[0], x[1]); },
        {.shapes = {{{2, 3}, {2, 3}}, {{2, 3}, {3}}, {{2, 1, 3}, {4, 1}}, {{}, {4}}, {{0, 3}, {3}}, {{}, {}}},
         .large = {{{300, 201}, {201}}}});
    check_op("map of three", [](const auto& x) { return map(blend, x[0], x[1], x[2]); },
             {.shapes = {{{2, 3}, {2, 3}, {2, 3}}, {{2, 1}, {3}, {}}, {{4, 1, 1}, {2, 1}, {3}}},
              .low = 0.5,
              .high = 2});
}

TEST_CASE("map: values and gradients by hand") {
    const Variable<> a = leaf({1, 2}), b = leaf({3, 4});
    const Variable<> y = map([](const auto& p, const auto& q) { return p * p * q; }, a, b);
    CHECK(y.value() == Tensor<>{3, 16});
    CHECK(y.operation() == std::string("map"));
    y.backward({.gradient = Tensor<>{1, 10}});
    CHECK(a.grad() == Tensor<>{6, 160});
    CHECK(b.grad() == Tensor<>{1, 40});
}

TEST_CASE("map: a branch takes the derivative of the side that was taken") {
    const Variable<> x = leaf({-2, 3});
    map([](const auto& v) { return v < 0.0f ? v * 0.5f : v * v; }, x).backward({.gradient = ones({2})});
    CHECK(x.grad() == Tensor<>{0.5f, 6});
}

TEST_CASE("map: slopes that overflow, of gradients that do not") {
    const auto inverse = [](auto v) { return 1 / v; };
    const Variable<> x(Tensor<>{1e-30f, 1e-30f, 1e-30f}, {.requires_grad = true});
    map(inverse, x).backward({.gradient = Tensor<>{1, 0, 1e-30f}});
    CHECK(x.grad()(0) == -std::numeric_limits<float>::infinity());
    CHECK(x.grad()(1) == 0);
    CHECK_THAT(x.grad()(2), WithinRel(-1e30f, 1e-6f));
    // A factor without a gradient takes no part, whatever it is.
    const auto doubled = [](auto v) { return 2 * v; };
    const Variable<> z(Tensor<>{std::numeric_limits<float>::infinity()}, {.requires_grad = true});
    map(doubled, z).backward({.gradient = Tensor<>{1}});
    CHECK(z.grad()(0) == 2);
}

TEST_CASE("map: the function may hold numbers of its own") {
    const auto scaled = [](const Variable<>& x, float factor) {
        return map([factor](const auto& v) { return v * factor; }, x);
    };
    const Variable<> x = leaf({1, 2});
    const Variable<> y = scaled(x, 3);
    CHECK(y.value() == Tensor<>{3, 6});
    y.backward({.gradient = ones({2})});  // the lambda is gone, its copy in the rule is not
    CHECK(x.grad() == Tensor<>{3, 3});
}

TEST_CASE("map: the same variable twice") {
    const Variable<> x = leaf({3});
    map([](const auto& a, const auto& b) { return a * b; }, x, x).backward();
    CHECK(x.grad() == Tensor<>{6});
}

TEST_CASE("map: refusals") {
    const Variable<> a = leaf(zeros({2, 3})), b = leaf(zeros({2}));
    CHECK_THROWS_MATCHES(map(bump, a, b), ShapeError,
                         Message("map: shapes do not broadcast: got [2, 3] and [2]"));
    CHECK_THROWS_MATCHES(map(blend, b, b, a), ShapeError,
                         Message("map: shapes do not broadcast: got [2] and [2, 3]"));
}
