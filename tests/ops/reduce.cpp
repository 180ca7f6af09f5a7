// SPDX-License-Identifier: MIT
#include "gradus/ops/reduce.hpp"

#include "support/numbers.hpp"
#include "support/op_table.hpp"

using namespace gradus;

namespace {

struct Case {
    Shape shape;
    Axes axes;
};

const std::vector<Case> some_elements = {
    {{}, {}},
    {{1}, {}},
    {{7}, 0},
    {{7}, -1},
    {{2, 3}, {}},
    {{2, 3}, 0},
    {{2, 3}, 1},
    {{2, 1, 3}, -2},
    {{2, 3, 4}, 1},
    {{2, 3, 4}, {0, 2}},
    {{2, 3, 4}, {-1, -2}},
    {{0, 3}, 1},
    {{300, 130}, {}},
    {{300, 130}, 0},
    {{300, 130}, -1},
};
const std::vector<Case> no_elements = {{{0}, {}}, {{0, 3}, 0}, {{2, 0}, {}}, {{2, 0, 3}, {0, 1}}};

/// One check for every case, with reduced axes dropped and kept.
template <class F>
void check_cases(const std::string& name, const std::vector<Case>& cases, const F& f, bool distinct = false) {
    for (const auto& [shape, axes] : cases)
        for (const bool keepdim : {false, true}) {
            OpRow row{.shapes = {}, .low = -1, .high = 1, .distinct = distinct};
            (shape.numel() > 1000 ? row.large : row.shapes).push_back({shape});
            INFO("keepdim " << keepdim);
            check_op(
                name, [&f, axes = axes, keepdim](const auto& x) { return f(x[0], axes, keepdim); }, row);
        }
}

/// Calls a function of (variable, axes, keepdim) for every reduction.
template <class Visit>
void for_each_reduction(const Visit& visit) {
    visit("sum", [](const auto& x, const Axes& axes, bool keep) { return sum(x, axes, {.keepdim = keep}); });
    visit("mean",
          [](const auto& x, const Axes& axes, bool keep) { return mean(x, axes, {.keepdim = keep}); });
    visit("max", [](const auto& x, const Axes& axes, bool keep) { return max(x, axes, {.keepdim = keep}); });
    visit("min", [](const auto& x, const Axes& axes, bool keep) { return min(x, axes, {.keepdim = keep}); });
    visit("var", [](const auto& x, const Axes& axes, bool keep) {
        return var(x, axes, {.keepdim = keep, .correction = 0});
    });
    visit("logsumexp",
          [](const auto& x, const Axes& axes, bool keep) { return logsumexp(x, axes, {.keepdim = keep}); });
}

const Tensor<> example{{1, 2, 3}, {4, 5, 9}};

}  // namespace

TEST_CASE("reduce: op table") {
    for_each_reduction([](const std::string& name, const auto& f) {
        check_cases(name, some_elements, f, name == "max" || name == "min");
        if (name == "sum") check_cases(name, no_elements, f);
    });
}

TEST_CASE("reduce: shapes") {
    for_each_reduction([](const std::string& name, const auto& f) {
        INFO(name);
        const Variable<> x = leaf(ones({2, 3, 4}));
        CHECK(f(x, {}, false).shape() == Shape{});
        CHECK(f(x, {}, true).shape() == Shape{1, 1, 1});
        CHECK(f(x, 1, false).shape() == Shape{2, 4});
        CHECK(f(x, -1, true).shape() == Shape{2, 3, 1});
        CHECK(f(x, {2, 0}, false).shape() == Shape{3});
        CHECK(f(x, {-3, -1}, true).shape() == Shape{1, 3, 1});
        CHECK(f(leaf(ones({2, 0})), 0, false).shape() == Shape{0});
        CHECK(f(x, {}, false).operation() == name);
    });
}

TEST_CASE("reduce: values by hand") {
    const Variable<> x = leaf(example);
    check_numbers(sum(x).value(), full({}, 24));
    check_numbers(sum(x, 0).value(), {5, 7, 12});
    check_numbers(sum(x, -1).value(), {6, 18});
    check_numbers(sum(x, {0, 1}, {.keepdim = true}).value(), {{24}});
    check_numbers(mean(x).value(), full({}, 4));
    check_numbers(mean(x, 1).value(), {2, 6});
    check_numbers(max(x).value(), full({}, 9));
    check_numbers(max(x, 0).value(), {4, 5, 9});
    check_numbers(min(x).value(), full({}, 1));
    check_numbers(min(x, 1).value(), {1, 4});
    check_numbers(var(x, 1).value(), {1, 7});
    check_numbers(var(x, 1, {.correction = 0}).value(), {2 / 3.0f, 14 / 3.0f}, 1e-6f);
    check_numbers(var(x, 0, {.keepdim = true}).value(), {{4.5f, 4.5f, 18}});
    check_numbers(logsumexp(leaf({{0, 0}, {0, std::log(3.0f)}}), 1).value(), {std::log(2.0f), std::log(4.0f)},
                  1e-6f);
}

TEST_CASE("reduce: gradients by hand") {
    check_numbers(gradient([](const auto& x) { return sum(x, 0); }, example), {{1, 1, 1}, {1, 1, 1}});
    check_numbers(gradient([](const auto& x) { return mean(x); }, {1, 2, 3, 4}),
                  {0.25f, 0.25f, 0.25f, 0.25f});
    check_numbers(gradient([](const auto& x) { return max(x, 1); }, example), {{0, 0, 1}, {0, 0, 1}});
    check_numbers(gradient([](const auto& x) { return min(x, 0); }, example), {{1, 1, 1}, {0, 0, 0}});
    check_numbers(gradient([](const auto& x) { return var(x, 1); }, example), {{-1, 0, 1}, {-2, -1, 3}});
    check_numbers(gradient([](const auto& x) { return logsumexp(x); }, {0, std::log(3.0f)}), {0.25f, 0.75f},
                  1e-6f);

    const Variable<> x = leaf(example);  // every number of the result spreads over its own axis
    sum(x, 1).backward({.seed = Tensor<>{10, 20}});
    check_numbers(x.grad(), {{10, 10, 10}, {20, 20, 20}});
}

TEST_CASE("reduce: max and min share the gradient among ties") {
    check_numbers(gradient([](const auto& x) { return max(x); }, {3, 1, 3}), {0.5f, 0, 0.5f});
    check_numbers(gradient([](const auto& x) { return min(x); }, {1, 1, 3, 1, 1}),
                  {0.25f, 0.25f, 0, 0.25f, 0.25f});
    check_numbers(gradient([](const auto& x) { return max(x, 0); }, {{1, 2}, {1, 0}}),
                  {{0.5f, 1}, {0.5f, 0}});
    check_numbers(gradient([](const auto& x) { return max(x); }, {-infinity, -infinity}), {0.5f, 0.5f});
}

TEST_CASE("reduce: NaN and infinity") {
    for (const Index size : {1, 3, 40}) {
        Tensor<> x = arange(size);
        x.mutable_at(size / 2) = NaN;
        for_each_reduction([&](const std::string& name, const auto& f) {
            INFO(name << " of " << size);
            CHECK(std::isnan(f(leaf(x), {}, false).item()));
            CHECK(std::isnan(f(leaf(x.reshape({size, 1})), 0, false).item()));
            check_numbers(
                gradient([&](const auto& v) { return f(v, Axes(), false); }, x).rows(size / 2, size / 2 + 1),
                {name == "sum" || name == "mean" ? 1 / (name == "sum" ? 1.0f : static_cast<float>(size))
                                                 : NaN});
        });
    }
    check_numbers(max(leaf({-infinity, infinity, 1})).value(), full({}, infinity));
    check_numbers(min(leaf({-infinity, infinity, 1})).value(), full({}, -infinity));
    check_numbers(mean(leaf({infinity, 1})).value(), full({}, infinity));
    check_numbers(var(leaf({infinity, 1})).value(), full({}, NaN));
}

TEST_CASE("reduce: of no elements") {
    check_numbers(sum(leaf(zeros({0}))).value(), full({}, 0));
    check_numbers(mean(leaf(zeros({0, 2})), 0).value(), {NaN, NaN});
    check_numbers(var(leaf(zeros({0}))).value(), full({}, NaN));
    check_numbers(logsumexp(leaf(zeros({0, 2})), 0).value(), {-infinity, -infinity});
    CHECK(gradient([](const auto& x) { return mean(x); }, zeros({0})).shape() == Shape{0});
    CHECK(gradient([](const auto& x) { return logsumexp(x, 1); }, zeros({2, 0})).shape() == Shape{2, 0});
}

TEST_CASE("reduce: the variance of too few elements is NaN") {
    check_numbers(var(leaf({5})).value(), full({}, NaN));
    check_numbers(var(leaf({1, 3}), {}, {.correction = 2}).value(), full({}, NaN));
    check_numbers(var(leaf({1, 3}), {}, {.correction = 3}).value(), full({}, NaN));
    check_numbers(gradient([](const auto& x) { return var(x); }, {5}), {NaN});
    check_numbers(var(leaf({5}), {}, {.correction = 0}).value(), full({}, 0));
}

TEST_CASE("reduce: the variance does not cancel far from 0") {
    check_numbers(var(leaf({1e6f, 1e6f + 1, 1e6f + 2})).value(), full({}, 1));
}

TEST_CASE("reduce: the mean of equal numbers is that number") {
    for (Index count = 1; count < 200; ++count) CHECK(mean(leaf(ones({count}))).item() == 1);
}

TEST_CASE("reduce: logsumexp does not overflow") {
    check_numbers(logsumexp(leaf({{1000, 1000}, {-1000, -1000}, {1e38f, -1e38f}, {0, -200}}), 1).value(),
                  {1000.6931f, -999.30685f, 1e38f, 0}, 1e-7f);
    check_numbers(logsumexp(leaf({{-infinity, -infinity}, {infinity, 0}, {-infinity, 3}}), 1).value(),
                  {-infinity, infinity, 3});
    check_numbers(gradient([](const auto& x) { return logsumexp(x); }, {-infinity, 0, -1000}), {0, 1, 0});
    check_numbers(gradient([](const auto& x) { return logsumexp(x); }, {-infinity, -infinity}), {NaN, NaN});
}

TEST_CASE("reduce: argmax") {
    const Tensor<> x{{3, 1, 3}, {-2, -1, -1}};
    CHECK(argmax(x) == Tensor<Index>{0, 1});
    CHECK(argmax(x, 0) == Tensor<Index>{0, 0, 0});
    CHECK(argmax(x, -2) == argmax(x, 0));
    CHECK(argmax(leaf(x)) == argmax(x));
    CHECK(argmax(Tensor<Index>{4, 9, 2}).item() == 1);
    CHECK(argmax(Tensor<>{{-infinity, -infinity}, {1, infinity}}) == Tensor<Index>{0, 1});
    CHECK(argmax(Tensor<>{{1, NaN, 3, NaN}, {NaN, 5, 6, 7}}) == Tensor<Index>{1, 0});
    CHECK(argmax(arange(24).reshape({2, 3, 4}), 1) == full<Index>({2, 4}, 2));
    CHECK(argmax(zeros({0, 3})).shape() == Shape{0});
}

TEST_CASE("reduce: refusals") {
    const Variable<> x = leaf(example), number = leaf(zeros({}));
    for_each_reduction([&](const std::string& name, const auto& f) {
        CHECK_THROWS_MATCHES(f(x, 2, false), ShapeError,
                             Message(name + ": axis 2 is out of range for shape [2, 3]"));
        CHECK_THROWS_MATCHES(f(x, {0, -3}, true), ShapeError,
                             Message(name + ": axis -3 is out of range for shape [2, 3]"));
        CHECK_THROWS_MATCHES(f(number, 0, false), ShapeError,
                             Message(name + ": axis 0 is out of range for shape []"));
        CHECK_THROWS_MATCHES(f(x, {1, 1}, false), ShapeError, Message(name + ": axis 1 is named twice"));
        CHECK_THROWS_MATCHES(f(x, {0, -2}, false), ShapeError, Message(name + ": axis -2 is named twice"));
    });
    CHECK_THROWS_MATCHES(max(leaf(zeros({0}))), ShapeError, Message("max: no elements to choose from"));
    CHECK_THROWS_MATCHES(min(leaf(zeros({2, 0})), 1), ShapeError, Message("min: no elements to choose from"));
    CHECK_THROWS_MATCHES(argmax(zeros({2, 0})), ShapeError, Message("argmax: no elements to choose from"));
    CHECK_THROWS_MATCHES(argmax(example, 2), ShapeError,
                         Message("argmax: axis 2 is out of range for shape [2, 3]"));
    CHECK_THROWS_MATCHES(argmax(zeros({})), ShapeError,
                         Message("argmax: axis -1 is out of range for shape []"));
}
