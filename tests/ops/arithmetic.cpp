// SPDX-License-Identifier: MIT
#include "gradus/ops/arithmetic.hpp"

#include <limits>

#include "gradus/ops/comparison.hpp"
#include "gradus/ops/masking.hpp"
#include "support/op_table.hpp"

using namespace gradus;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float NaN = std::numeric_limits<float>::quiet_NaN();

const std::vector<std::vector<Shape>> one_input = {{{}}, {{1}}, {{7}}, {{2, 3}}, {{0, 3}}};
const std::vector<std::vector<Shape>> two_inputs = {
    {{2, 3}, {2, 3}}, {{2, 3}, {3}}, {{3}, {2, 3}}, {{2, 1, 3}, {4, 1}}, {{}, {4}}, {{4}, {}},
    {{}, {}},         {{1}, {1}},    {{0, 3}, {3}}, {{0, 3}, {0, 3}},    {{1}, {0}}};
const std::vector<std::vector<Shape>> large_one_input = {{{70001}}};
const std::vector<std::vector<Shape>> large_two_inputs = {
    {{300, 201}, {201}}, {{70001}, {70001}}, {{40000}, {}}};

OpRow unary(double low = -2, double high = 2) {
    return {.shapes = one_input, .large = large_one_input, .low = low, .high = high};
}
OpRow binary(double low = -2, double high = 2) {
    return {.shapes = two_inputs, .large = large_two_inputs, .low = low, .high = high};
}

Variable<> leaf(Tensor<> value) { return Variable<>(std::move(value), {.requires_grad = true}); }

/// The gradient of the sum of f(x) at x.
template <class F>
Tensor<> gradient(const F& f, const Tensor<>& at) {
    const Variable<> x = leaf(at);
    const Variable<> y = f(x);
    y.backward({.gradient = ones(y.shape())});
    return x.grad();
}

/// Equal numbers, where NaN equals NaN and 0 differs from -0.
void check_numbers(const Tensor<>& got, const Tensor<>& expected) {
    REQUIRE(got.shape() == expected.shape());
    for (Index i = 0; i < got.numel(); ++i) {
        const float a = got.data()[i], b = expected.data()[i];
        INFO("element " << i << ": got " << a << ", expected " << b);
        CHECK((std::isnan(b) ? std::isnan(a) : a == b && std::signbit(a) == std::signbit(b)));
    }
}

/// Numbers that are the same but for `tolerance` of each.
void check_close(const Tensor<>& got, const Tensor<>& expected, float tolerance = 1e-6f) {
    REQUIRE(got.shape() == expected.shape());
    for (Index i = 0; i < got.numel(); ++i) {
        const float a = got.data()[i], b = expected.data()[i];
        INFO("element " << i << ": got " << a << ", expected " << b);
        CHECK((a == b || std::abs(a - b) <= tolerance * std::abs(b)));
    }
}

}  // namespace

TEST_CASE("arithmetic: op table, two operands") {
    check_op(
        "add", [](const auto& x) { return x[0] + x[1]; }, binary());
    check_op(
        "sub", [](const auto& x) { return x[0] - x[1]; }, binary());
    check_op(
        "mul", [](const auto& x) { return x[0] * x[1]; }, binary());
    check_op(
        "div", [](const auto& x) { return x[0] / x[1]; }, binary(0.5, 2));
    check_op(
        "pow", [](const auto& x) { return pow(x[0], x[1]); }, binary(0.5, 2));
    OpRow apart = binary();
    apart.distinct = true;
    check_op(
        "maximum", [](const auto& x) { return maximum(x[0], x[1]); }, apart);
    check_op(
        "minimum", [](const auto& x) { return minimum(x[0], x[1]); }, apart);
}

TEST_CASE("arithmetic: op table, an operand and a number") {
    check_op(
        "add number", [](const auto& x) { return 2 + (x[0] + 1); }, unary());
    check_op(
        "subtract number", [](const auto& x) { return 2 - (x[0] - 1); }, unary());
    check_op(
        "mul number", [](const auto& x) { return 2 * (x[0] * 3); }, unary());
    check_op(
        "div by number", [](const auto& x) { return x[0] / 4; }, unary());
    check_op(
        "div of number", [](const auto& x) { return 3 / x[0]; }, unary(0.5, 2));
    check_op(
        "pow 3", [](const auto& x) { return pow(x[0], 3); }, unary());
    check_op(
        "pow 2.5", [](const auto& x) { return pow(x[0], 2.5); }, unary(0.5, 2));
    check_op(
        "pow -1", [](const auto& x) { return pow(x[0], -1); }, unary(0.5, 2));
    check_op(
        "pow 0", [](const auto& x) { return pow(x[0], 0); }, unary());
    OpRow edges = unary();
    edges.kinks = {-1, 1};
    check_op(
        "clamp", [](const auto& x) { return clamp(x[0], -1, 1); }, edges);
    check_op(
        "clamp_min", [](const auto& x) { return clamp_min(x[0], -1); }, edges);
    check_op(
        "clamp_max", [](const auto& x) { return clamp_max(x[0], 1); }, edges);
    check_op(
        "sub number", [](const auto& x) { return sub(x[0], 0.5); }, unary());
}

TEST_CASE("arithmetic: op table, one operand") {
    check_op(
        "neg", [](const auto& x) { return -x[0]; }, unary());
    check_op(
        "exp", [](const auto& x) { return exp(x[0]); }, unary());
    check_op(
        "expm1", [](const auto& x) { return expm1(x[0]); }, unary());
    check_op(
        "log", [](const auto& x) { return log(x[0]); }, unary(0.5, 3));
    check_op(
        "log1p", [](const auto& x) { return log1p(x[0]); }, unary(-0.5, 3));
    check_op(
        "sqrt", [](const auto& x) { return sqrt(x[0]); }, unary(0.5, 3));
    check_op(
        "rsqrt", [](const auto& x) { return rsqrt(x[0]); }, unary(0.5, 3));
    OpRow between_steps = unary();
    between_steps.kinks = {-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2};
    check_op(
        "sign", [](const auto& x) { return sign(x[0]); }, between_steps);
    check_op(
        "floor", [](const auto& x) { return floor(x[0]); }, between_steps);
    check_op(
        "ceil", [](const auto& x) { return ceil(x[0]); }, between_steps);
    check_op(
        "round", [](const auto& x) { return round(x[0]); }, between_steps);
    check_op(
        "square", [](const auto& x) { return square(x[0]); }, unary());
    check_op(
        "sin", [](const auto& x) { return sin(x[0]); }, unary());
    check_op(
        "cos", [](const auto& x) { return cos(x[0]); }, unary());
    OpRow away_from_0 = unary();
    away_from_0.kinks = {0};
    check_op(
        "abs", [](const auto& x) { return abs(x[0]); }, away_from_0);
}

TEST_CASE("arithmetic: values and gradients by hand") {
    const Variable<> a = leaf({1, 2, 3}), b = leaf({4, 8, 2});
    const auto check_both = [&](const Variable<>& y, const Tensor<>& value, const Tensor<>& da,
                                const Tensor<>& db) {
        Variable<>(a).zero_grad();
        Variable<>(b).zero_grad();
        y.backward({.gradient = ones(y.shape())});
        CHECK(y.value() == value);
        CHECK(a.grad() == da);
        CHECK(b.grad() == db);
    };
    check_both(a + b, {5, 10, 5}, {1, 1, 1}, {1, 1, 1});
    check_both(a - b, {-3, -6, 1}, {1, 1, 1}, {-1, -1, -1});
    check_both(a * b, {4, 16, 6}, {4, 8, 2}, {1, 2, 3});
    check_both(a / b, {0.25f, 0.25f, 1.5f}, {0.25f, 0.125f, 0.5f}, {-0.0625f, -0.03125f, -0.75f});
    check_both(maximum(a, b), {4, 8, 3}, {0, 0, 1}, {1, 1, 0});
    check_both(minimum(a, b), {1, 2, 2}, {1, 1, 0}, {0, 0, 1});
    check_both(where(Tensor<bool>{true, false, true}, a, b), {1, 8, 3}, {1, 0, 1}, {0, 1, 0});

    CHECK((a + 1.0f).value() == Tensor<>{2, 3, 4});
    CHECK((1.0f + a).value() == Tensor<>{2, 3, 4});
    CHECK((a - 1.0f).value() == Tensor<>{0, 1, 2});
    CHECK((1.0f - a).value() == Tensor<>{0, -1, -2});
    CHECK((a * 2.0f).value() == Tensor<>{2, 4, 6});
    CHECK((2.0f * a).value() == Tensor<>{2, 4, 6});
    CHECK((a / 2.0f).value() == Tensor<>{0.5f, 1, 1.5f});
    CHECK((6.0f / a).value() == Tensor<>{6, 3, 2});
    CHECK((a + 1).value() == Tensor<>{2, 3, 4});  // a whole number stands for a float
    CHECK((-a).value() == Tensor<>{-1, -2, -3});
    CHECK(square(a).value() == Tensor<>{1, 4, 9});
    CHECK(pow(a, 3).value() == Tensor<>{1, 8, 27});
    CHECK(sqrt(leaf({4, 9, 0.25f})).value() == Tensor<>{2, 3, 0.5f});
    CHECK(clamp(a, 1.5f, 2.5f).value() == Tensor<>{1.5f, 2, 2.5f});

    CHECK(gradient([](const auto& x) { return 2.0f - x; }, {1, 2}) == Tensor<>{-1, -1});
    CHECK(gradient([](const auto& x) { return 8.0f / x; }, {1, 2}) == Tensor<>{-8, -2});
    CHECK(gradient([](const auto& x) { return pow(x, 3); }, {1, 2}) == Tensor<>{3, 12});
    CHECK(gradient([](const auto& x) { return sqrt(x); }, {4, 0.25f}) == Tensor<>{0.25f, 1});
    CHECK(gradient([](const auto& x) { return exp(x); }, {0}) == Tensor<>{1});
    CHECK(gradient([](const auto& x) { return log(x); }, {2, 0.5f}) == Tensor<>{0.5f, 2});
}

TEST_CASE("arithmetic: compound assignment makes a new result") {
    const Variable<> x = leaf({1, 2});
    Variable<> y = x;
    y += x;
    y *= y;
    y -= x;
    y /= Variable<>(Tensor<>{1, 2});
    CHECK(y.value() == Tensor<>{3, 7});  // (4 x² - x) / {1, 2}
    CHECK(x.value() == Tensor<>{1, 2});
    y.backward({.gradient = ones({2})});
    CHECK(x.grad() == Tensor<>{7, 7.5f});  // (8 x - 1) / {1, 2}
}

TEST_CASE("arithmetic: the name of the operation is recorded") {
    const Variable<> x = leaf({1, 2}), y = leaf({3, 4});
    for (const auto& [variable, name] :
         std::vector<std::pair<Variable<>, std::string>>{{x + y, "add"},
                                                         {x - y, "sub"},
                                                         {x * y, "mul"},
                                                         {x / y, "div"},
                                                         {-x, "neg"},
                                                         {exp(x), "exp"},
                                                         {log(x), "log"},
                                                         {expm1(x), "expm1"},
                                                         {log1p(x), "log1p"},
                                                         {sqrt(x), "sqrt"},
                                                         {sin(x), "sin"},
                                                         {cos(x), "cos"},
                                                         {square(x), "square"},
                                                         {abs(x), "abs"},
                                                         {pow(x, 2), "pow"},
                                                         {pow(x, y), "pow"},
                                                         {maximum(x, y), "maximum"},
                                                         {minimum(x, y), "minimum"},
                                                         {clamp(x, 0, 1), "clamp"},
                                                         {where(x.value() < y.value(), x, y), "where"}})
        CHECK(variable.operation() == name);
}

TEST_CASE("arithmetic: special values") {
    SECTION("quotients") {
        const Variable<> zero = leaf({0, 1, -1, 0});
        check_numbers((zero / leaf({0, 0, 0, 5})).value(), {NaN, infinity, -infinity, 0});
        check_numbers(gradient([](const auto& x) { return 1.0f / x; }, {0, infinity}), {-infinity, -0.0f});
    }
    SECTION("logarithms and roots") {
        check_numbers(log(leaf({0, -1, infinity, NaN})).value(), {-infinity, NaN, infinity, NaN});
        check_numbers(gradient([](const auto& x) { return log(x); }, {0, infinity}), {infinity, 0});
        check_numbers(log1p(leaf({-1, -2, 1e-20f})).value(), {-infinity, NaN, 1e-20f});
        check_numbers(expm1(leaf({-infinity, infinity, 1e-20f})).value(), {-1, infinity, 1e-20f});
        check_numbers(exp(leaf({-infinity, infinity, 1000, -1000, NaN})).value(),
                      {0, infinity, infinity, 0, NaN});
        check_numbers(sqrt(leaf({0, -1, infinity})).value(), {0, NaN, infinity});
        check_numbers(gradient([](const auto& x) { return sqrt(x); }, {0}), {infinity});
    }
    SECTION("powers") {
        check_numbers(pow(leaf({0, -2, -2, 0, NaN}), 0).value(), {1, 1, 1, 1, 1});
        check_numbers(gradient([](const auto& x) { return pow(x, 0); }, {0, 1, NaN}), {0, 0, 0});
        check_numbers(gradient([](const auto& x) { return pow(x, 1); }, {0, -2}), {1, 1});
        check_numbers(pow(leaf({-2, -2, 0}), 3).value(), {-8, -8, 0});
        check_numbers(pow(leaf({-2}), 0.5).value(), {NaN});
        check_numbers(pow(leaf({0}), -1).value(), {infinity});

        const Variable<> a = leaf({0, 0, 2, 0, -1}), b = leaf({0, 2, 0, -1, 2});
        const Variable<> y = pow(a, b);
        check_numbers(y.value(), {1, 0, 1, infinity, 1});
        y.backward({.gradient = ones({5})});
        check_numbers(a.grad(), {0, 0, 0, -infinity, -2});
        check_numbers(b.grad(), {0, 0, std::log(2.0f), -infinity, NaN});
    }
    SECTION("powers where a limit or an exponent of 0 decides") {
        const Variable<> a = leaf({NaN, infinity, infinity, 1e-40f, 0}), b = leaf({0, 0, -1, 0, NaN});
        const Variable<> y = pow(a, b);
        check_numbers(y.value(), {1, 1, 0, 1, NaN});
        y.backward({.gradient = ones({5})});
        check_numbers(a.grad(), {0, 0, -0.0f, 0, NaN});
        check_numbers(b.grad(), {NaN, infinity, 0, std::log(1e-40f), NaN});
        // x⁻⁰·⁹⁹ is past all floats, a hundredth of it is not.
        const Tensor<> tiny{1e-39f},
            expected{static_cast<float>(0.01 * std::pow(static_cast<double>(1e-39f), -0.99))};
        check_close(gradient([](const auto& x) { return pow(x, 0.01); }, tiny), expected);
        check_close(
            gradient([](const auto& x) { return pow(x, Variable<>(Tensor<>{0.01f})); }, tiny),
            {static_cast<float>(static_cast<double>(0.01f) *
                                std::pow(static_cast<double>(1e-39f), static_cast<double>(0.01f) - 1))});
    }
    SECTION("slopes neither overflow nor vanish on the way") {
        const auto by_denominator = [](const Tensor<>& a, const Tensor<>& b, const Tensor<>& dy) {
            const Variable<> x = leaf(b);
            (leaf(a) / x).backward({.gradient = dy});
            return x.grad();
        };
        check_close(
            by_denominator({1e20f, 1e-30f, 1e-30f, 1e30f}, {1e20f, 1e-30f, 1e-30f, 1e-20f}, {1, 1, 0, 0}),
            {-1e-20f, -1e30f, -0.0f, -0.0f});
        check_close(by_denominator({1e35f, 1e30f, 1e-20f, 1e-30f}, {1e15f, 1e10f, 1e-15f, 1e-10f},
                                   {1e-30f, 1e-30f, 1e25f, 1e-20f}),
                    {-1e-25f, -1e-20f, -1e35f, -1e-30f});
        const auto of_number = [](const Tensor<>& b, const Tensor<>& dy) {
            const Variable<> x = leaf(b);
            (1e-30f / x).backward({.gradient = dy});
            return x.grad();
        };
        check_close(of_number({1e-30f, 1e-30f, -1e-30f}, {1, 0, 1e-5f}), {-1e30f, -0.0f, -1e25f});
        check_close(gradient([](const auto& x) { return 1e20f / x; }, {1e20f}), {-1e-20f});
        const Variable<> x = leaf({3e38f});
        square(x).backward({.gradient = Tensor<>{0.25f}});
        check_close(x.grad(), {1.5e38f});
    }
    SECTION("the gradient of expm1 keeps its digits where the result is nearly -1") {
        check_close(gradient([](const auto& v) { return expm1(v); }, {-20, -80}),
                    {2.0611537e-9f, 1.8048514e-35f});
    }
    SECTION("the absolute value at 0") {
        check_numbers(gradient([](const auto& x) { return abs(x); }, {0, -0.0f, -3, 3}), {0, 0, -1, 1});
    }
    SECTION("ties of maximum and minimum share the gradient") {
        for (const auto& op : {maximum<float>, minimum<float>}) {
            const Variable<> a = leaf({1, -2, infinity}), b = leaf({1, -2, infinity});
            op(a, b).backward({.gradient = Tensor<>{1, 3, 5}});
            check_numbers(a.grad(), {0.5f, 1.5f, 2.5f});
            check_numbers(b.grad(), {0.5f, 1.5f, 2.5f});
        }
        const Variable<> x = leaf({1, 2});
        maximum(x, x).backward({.gradient = ones({2})});
        check_numbers(x.grad(), {1, 1});
    }
    SECTION("maximum and minimum keep NaN from either side") {
        check_numbers(maximum(leaf({NaN, 1, NaN}), leaf({1, NaN, NaN})).value(), {NaN, NaN, NaN});
        check_numbers(minimum(leaf({NaN, 1, NaN}), leaf({1, NaN, NaN})).value(), {NaN, NaN, NaN});
    }
    SECTION("maximum and minimum: both operands get the gradient of NaN") {
        for (const auto& op : {maximum<float>, minimum<float>}) {
            const Variable<> a = leaf({NaN, 1, NaN}), b = leaf({1, NaN, NaN});
            op(a, b).backward({.gradient = Tensor<>{2, 3, 5}});
            check_numbers(a.grad(), {2, 3, 5});
            check_numbers(b.grad(), {2, 3, 5});
        }
    }
    SECTION("clamp: the limits and NaN get no gradient; NaN stays") {
        const auto limit = [](const auto& x) { return clamp(x, -1.0f, 2.0f); };
        check_numbers(limit(leaf({-1, 2, -5, 5, NaN, -infinity})).value(), {-1, 2, -1, 2, NaN, -1});
        check_numbers(gradient(limit, {-1, 2, -5, 5, 0, NaN}), {0, 0, 0, 0, 1, 0});
        check_numbers(clamp(leaf({-1, 0, 1}), 0.5f, 0.5f).value(), {0.5f, 0.5f, 0.5f});
    }
    SECTION("where: what is not chosen does no harm") {
        const Variable<> x = leaf({0, 4});
        const Variable<> y = where(x.value() > 0.0f, x, Variable<>(Tensor<>{NaN, NaN}));
        check_numbers(y.value(), {NaN, 4});
        y.backward({.gradient = Tensor<>{NaN, 2}});
        check_numbers(x.grad(), {0, 2});
    }
}

TEST_CASE("arithmetic: the second derivative of a power at exponent 0") {
    // d²/da db aᵇ at b = 0 is 1/a.
    const auto f = [](const auto& x) { return pow(x[0], x[1]); };
    const auto result = hvp(f, std::vector<Tensor<double>>{Tensor<double>{2}, Tensor<double>{0}},
                            std::vector<Tensor<double>>{Tensor<double>{0}, Tensor<double>{1}});
    CHECK(result.hvp[0].item() == Approx(0.5));
}

TEST_CASE("arithmetic: refusals") {
    const Variable<> a = leaf(zeros({2, 3})), b = leaf(zeros({2})), empty;
    const auto text = [](const char* name) {
        return std::string(name) + ": shapes do not broadcast: got [2, 3] and [2]";
    };
    CHECK_THROWS_MATCHES(a + b, ShapeError, Message(text("add")));
    CHECK_THROWS_MATCHES(a - b, ShapeError, Message(text("sub")));
    CHECK_THROWS_MATCHES(a * b, ShapeError, Message(text("mul")));
    CHECK_THROWS_MATCHES(a / b, ShapeError, Message(text("div")));
    CHECK_THROWS_MATCHES(pow(a, b), ShapeError, Message(text("pow")));
    CHECK_THROWS_MATCHES(maximum(a, b), ShapeError, Message(text("maximum")));
    CHECK_THROWS_MATCHES(minimum(a, b), ShapeError, Message(text("minimum")));
    CHECK_THROWS_MATCHES(where(Tensor<bool>{true, false}, a, a), ShapeError,
                         Message("where: shapes do not broadcast: got [2] and [2, 3]"));
    CHECK_THROWS_MATCHES(leaf(zeros({0})) + b, ShapeError,
                         Message("add: shapes do not broadcast: got [0] and [2]"));
    CHECK_THROWS_MATCHES(clamp(a, 1, 0), ValueError, Message("clamp: low is greater than high"));
    CHECK_THROWS_MATCHES(exp(empty), GraphError,
                         Message("variable: used while empty (default-constructed or moved from)"));
}

TEST_CASE("arithmetic: steps at their edges") {
    const Tensor<> x{-2.5f, -1.5f, -0.5f, -0.0f, 0, 0.5f, 1.5f, 2.5f, 3, 8388609, infinity, -infinity, NaN};
    check_numbers(floor(leaf(x)).value(),
                  {-3, -2, -1, -0.0f, 0, 0, 1, 2, 3, 8388609, infinity, -infinity, NaN});
    check_numbers(ceil(leaf(x)).value(),
                  {-2, -1, -0.0f, -0.0f, 0, 1, 2, 3, 3, 8388609, infinity, -infinity, NaN});
    check_numbers(round(leaf(x)).value(),  // halves to the even one, as in PyTorch
                  {-2, -2, -0.0f, -0.0f, 0, 0, 2, 2, 3, 8388609, infinity, -infinity, NaN});
    check_numbers(sign(leaf(x)).value(), {-1, -1, -1, 0, 0, 1, 1, 1, 1, 1, 1, -1, 0});
    check_numbers(gradient([](const auto& v) { return round(v); }, x), zeros({13}));
    check_numbers(sign(leaf({1e-45f, -1e-45f})).value(), {1, -1});
}

TEST_CASE("arithmetic: one-sided limits") {
    const Tensor<> x{-2, 1, 3, NaN, infinity, -infinity};
    check_numbers(clamp_min(leaf(x), 1).value(), {1, 1, 3, NaN, infinity, 1});
    check_numbers(clamp_max(leaf(x), 1).value(), {-2, 1, 1, NaN, 1, -infinity});
    check_numbers(gradient([](const auto& v) { return clamp_min(v, 1); }, x), {0, 0, 1, 0, 1, 0});
    check_numbers(gradient([](const auto& v) { return clamp_max(v, 1); }, x), {1, 0, 0, 0, 0, 1});
}

TEST_CASE("arithmetic: the difference of a variable and a number") {
    CHECK((leaf({1, 2}) - 3).operation() == std::string("sub"));
    const Index least = std::numeric_limits<Index>::min();
    CHECK((Variable<Index>(Tensor<Index>{0}) - least).value()(0) == least);  // wraps around: no -least
}
