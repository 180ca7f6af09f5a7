// SPDX-License-Identifier: MIT
#include "gradus/ops/reduce.hpp"

#include "gradus/ops/arithmetic.hpp"

#include "support/isas.hpp"
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
    visit("prod",
          [](const auto& x, const Axes& axes, bool keep) { return prod(x, axes, {.keepdim = keep}); });
    visit("norm",
          [](const auto& x, const Axes& axes, bool keep) { return norm(x, axes, {.keepdim = keep}); });
}

/// How far a sum is from the right one, relative to that.
template <class T>
double error_of(T got, double right) {
    return std::abs(static_cast<double>(got) - right) / std::abs(right);
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
    sum(x, 1).backward({.gradient = Tensor<>{10, 20}});
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
                {name == "sum"    ? 1
                 : name == "mean" ? 1 / static_cast<float>(size)
                 : name == "prod" ? (size == 1 ? 1.0f : 0.0f)  // the product of the others
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
}

TEST_CASE("reduce: the gradient of logsumexp at infinities is a limit") {
    const auto rows = [](const auto& x) { return logsumexp(x, 1); };
    const Tensor<> x{
        {-infinity, -infinity}, {infinity, 0}, {-infinity, infinity}, {infinity, infinity}, {NaN, 0}};
    check_numbers(rows(leaf(x)).value(), {-infinity, infinity, infinity, infinity, NaN});
    check_numbers(gradient(rows, x), {{0, 0}, {1, 0}, {0, 1}, {0.5f, 0.5f}, {NaN, NaN}});
    const auto columns = [](const auto& v) { return logsumexp(v, 0); };
    check_numbers(gradient(columns, {{-infinity, infinity, 1}, {-infinity, 3, 1}}),
                  {{0, 1, 0.5f}, {0, 0, 0.5f}});
    check_numbers(gradient([](const auto& v) { return logsumexp(v); }, full({20, 30}, -infinity)),
                  zeros({20, 30}));
    // Far from 0 the digits stay, though the value itself has none behind the point.
    check_numbers(gradient(rows, {{1e8f, 1e8f}}), {{0.5f, 0.5f}});

    using D = Dual<double>;
    const D inf(static_cast<double>(infinity), 0);
    Variable<D> v(Tensor<D>{{-inf, -inf}, {inf, D(3, 1)}}, {.requires_grad = true});
    logsumexp(v, 1).backward({.gradient = ones<D>({2})});
    for (const Index column : {0, 1}) CHECK(v.grad()(0, column).value == 0);
    CHECK(v.grad()(1, 0).value == 1);
    CHECK(v.grad()(1, 1).value == 0);
    CHECK(v.grad()(1, 1).dual == 0);
}

TEST_CASE("reduce: norm by hand") {
    const Tensor<> x{{3, -4, 0}, {0, 0, 0}, {5, 0, 12}};
    CHECK(norm(leaf(x), 1).value() == Tensor<>{5, 0, 13});
    CHECK(norm(leaf({2, -4, 4})).item() == 6);
    check_numbers(gradient([](const auto& v) { return norm(v, 1); }, x),
                  {{0.6f, -0.8f, 0}, {0, 0, 0}, {5 / 13.0f, 0, 12 / 13.0f}}, 1e-7f);
    check_numbers(gradient([](const auto& v) { return norm(v); }, zeros({3})), zeros({3}));
    CHECK(norm(leaf(zeros({2, 0})), 1).value() == Tensor<>{0, 0});
    CHECK(norm(leaf(Tensor<>(full({}, -2)))).item() == 2);

    Variable<Dual<double>> zero(zeros<Dual<double>>({2}), {.requires_grad = true});
    zero.mutable_value().mutable_data()[0].dual = 1;
    const auto y = norm(zero);
    CHECK(y.item().dual == 0);
    y.backward();
    for (const auto& slope : zero.grad()) CHECK((slope.value == 0 && slope.dual == 0));
}

TEST_CASE("reduce: norm neither overflows nor vanishes") {
    for (const float scale : {1e-45f, 1e-38f, 1e-30f, 1e-20f, 1.0f, 1e19f, 1e30f, 6e37f}) {
        INFO("scale " << scale);
        const Tensor<> x{3 * scale, 0, 4 * scale};
        CHECK(norm(leaf(x)).item() == Approx(5 * scale).epsilon(scale < 1e-40f ? 1e-9 : 1e-6));
        const double length = std::hypot(static_cast<double>(x(0)), static_cast<double>(x(2)));
        check_numbers(gradient([](const auto& v) { return norm(v); }, x),
                      {static_cast<float>(static_cast<double>(x(0)) / length), 0,
                       static_cast<float>(static_cast<double>(x(2)) / length)},
                      1e-6f);
    }
    for (const double scale : {1e-320, 1e-200, 1.0, 1e200, 3e307})
        CHECK(norm(Variable<double>(Tensor<double>{3 * scale, 4 * scale})).item() ==
              Approx(5 * scale).epsilon(scale < 1e-300 ? 1e-3 : 1e-15));
    CHECK(norm(leaf(full({1000, 1000}, 1e35f))).item() == Approx(1e38f));
}

TEST_CASE("reduce: norm of infinities and NaN") {
    const Tensor<> x{{infinity, 1}, {-infinity, 3e38f}, {NaN, 1}, {NaN, infinity}, {-infinity, infinity}};
    check_numbers(norm(leaf(x), 1).value(), {infinity, infinity, NaN, NaN, infinity});
    const Tensor<> slope = gradient([](const auto& v) { return norm(v, 1); }, x);
    check_numbers(slope.rows(0, 1), {{1, 0}}, 1e-30f);
    check_numbers(slope.rows(4, 5), {{-std::sqrt(0.5f), std::sqrt(0.5f)}}, 1e-6f);
    CHECK(std::isnan(slope(2, 0)));
}

TEST_CASE("reduce: long sums keep their digits") {
    CHECK(sum(leaf(ones({1 << 25}))).item() == 1 << 25);
    const float tenth = 0.1f;
    const Tensor<> x = full({25'000'000}, tenth);
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scope(isa);
        INFO(simd::name(isa));
        CHECK(error_of(sum(leaf(x)).item(), 2.5e7 * static_cast<double>(tenth)) < 2e-6);
        CHECK(error_of(mean(leaf(x)).item(), static_cast<double>(tenth)) < 2e-6);
        for (const Index n : {1000, 8192, 9000, 100'000}) {  // along rows, columns and both
            INFO("n " << n);
            const double right = static_cast<double>(n) * static_cast<double>(tenth);
            CHECK(error_of(sum(leaf(x.rows(0, 7 * n).reshape({7, n})), 1).value()(3), right) < 2e-6);
            CHECK(error_of(sum(leaf(x.rows(0, 7 * n).reshape({n, 7})), 0).value()(3), right) < 2e-6);
            CHECK(error_of(sum(leaf(x.rows(0, 6 * n).reshape({2, n, 3})), {0, 1}).value()(1), 2 * right) <
                  1e-6);
        }
    }
    CHECK(error_of(norm(leaf(x)).item(), 5000 * static_cast<double>(tenth)) < 2e-6);
    CHECK(error_of(logsumexp(leaf(x)).item(), static_cast<double>(tenth) + std::log(2.5e7)) < 1e-6);
    Generator generator(1);
    const Tensor<> some = rand({1'280'000}, generator);
    double right = 0, around = 0;
    for (const float v : some) right += static_cast<double>(v), around += static_cast<double>(v) - 0.5;
    CHECK(error_of(sum(leaf(some)).item(), right) < 2e-6);
    // Terms that cancel: the error is small against the sum of their sizes.
    CHECK(std::abs(static_cast<double>(sum(leaf(some - 0.5f)).item()) - around) < 1e-7 * 0.25 * 1'280'000);
    Variable<> bias = leaf(zeros({7}));
    (leaf(zeros({1'000'000, 7})) + bias).backward({.gradient = full({1'000'000, 7}, tenth)});
    CHECK(error_of(bias.grad()(6), 1e6 * static_cast<double>(tenth)) < 1e-6);
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

TEST_CASE("reduce: std keeps the rules of the op table") {
    for (const auto& [shape, axes] : std::vector<Case>{
             {{7}, {}}, {{2, 3}, 1}, {{2, 3, 4}, {0, 2}}, {{300, 130}, 0}, {{0, 3}, 1}, {{2, 3, 4}, -2}})
        for (const Index correction : {0, 1}) {
            OpRow row{.shapes = {}, .distinct = true};
            (shape.numel() > 1000 ? row.large : row.shapes).push_back({shape});
            check_op(
                "std",
                [axes = axes, correction](const auto& x) {
                    return gradus::std(x[0], axes, {.keepdim = true, .correction = correction});
                },
                row);
        }
}

TEST_CASE("reduce: std of one element, of equal ones, of large and of small ones") {
    const auto of_rows = [](const auto& v) { return gradus::std(v, 1); };
    check_numbers(of_rows(leaf({{1, 2, 3}, {1, 1, 1}})).value(), {1, 0}, 1e-7f);
    check_numbers(gradient(of_rows, {{1, 2, 3}, {1, 1, 1}}), {{-0.5f, 0, 0.5f}, {0, 0, 0}}, 1e-7f);
    check_numbers(of_rows(leaf({{5}})).value(), {NaN});
    check_numbers(gradient(of_rows, {{5}}), {{NaN}});
    check_numbers(gradus::std(leaf({{5}}), 1, {.correction = 0}).value(), {0});
    check_numbers(of_rows(leaf({{1e30f, 2e30f, 3e30f}, {1e-30f, 2e-30f, 3e-30f}})).value(), {1e30f, 1e-30f},
                  1e-35f);
    CHECK(gradus::std(leaf({{1e-30f, 2e-30f, 3e-30f}}), 1).value()(0) == Approx(1e-30f).margin(0));
    check_numbers(gradient(of_rows, {{1e30f, 2e30f, 3e30f}, {1e-30f, 2e-30f, 3e-30f}}),
                  {{-0.5f, 0, 0.5f}, {-0.5f, 0, 0.5f}}, 1e-6f);
}

TEST_CASE("reduce: the gradient of a product where factors are 0") {
    const auto of_rows = [](const auto& v) { return prod(v, 1); };
    check_numbers(of_rows(leaf({{2, 3, 4}, {2, 0, 4}, {0, 0, 4}})).value(), {24, 0, 0});
    check_numbers(gradient(of_rows, {{2, 3, 4}, {2, 0, 4}, {0, 0, 4}}), {{12, 8, 6}, {0, 8, 0}, {0, 0, 0}});
    check_numbers(gradient(
                      [](const auto& v) {
                          return prod(v, {0, 2});
                      },
                      {{{1, 2}, {3, 0}}, {{4, 5}, {6, 7}}}),
                  {{{40, 20}, {0, 126}}, {{10, 8}, {0, 0}}});
    check_numbers(prod(leaf(zeros({2, 0})), 1).value(), {1, 1});
    CHECK(prod(Variable<Index>(Tensor<Index>{2, 3, 7})).item() == 42);
    // Not by a division: the factors before and behind overflow in float, and their product does not.
    check_numbers(gradient(of_rows, {{1e30f, 1e30f, 1e-30f, 3}}), {{3, 3, infinity, 1e30f}}, 1e-5f);
}
