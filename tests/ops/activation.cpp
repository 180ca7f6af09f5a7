// SPDX-License-Identifier: MIT
#include "gradus/ops/activation.hpp"

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "support/isas.hpp"
#include "support/numbers.hpp"
#include "support/op_table.hpp"

using namespace gradus;

namespace {

OpRow row(std::vector<double> kinks = {}) {
    return {.shapes = {{{}}, {{1}}, {{7}}, {{2, 3}}, {{0, 3}}},
            .large = {{{70001}}},
            .low = -4,
            .high = 4,
            .kinks = std::move(kinks)};
}

}  // namespace

TEST_CASE("activation: op table, element by element") {
    check_op(
        "relu", [](const auto& x) { return relu(x[0]); }, row({0}));
    check_op(
        "leaky_relu", [](const auto& x) { return leaky_relu(x[0], 0.25); }, row({0}));
    check_op(
        "elu", [](const auto& x) { return elu(x[0], 0.75); }, row({0}));
    check_op(
        "gelu", [](const auto& x) { return gelu(x[0]); }, row());
    check_op(
        "sigmoid", [](const auto& x) { return sigmoid(x[0]); }, row());
    check_op(
        "silu", [](const auto& x) { return silu(x[0]); }, row());
    check_op(
        "tanh", [](const auto& x) { return tanh(x[0]); }, row());
    check_op(
        "erf", [](const auto& x) { return erf(x[0]); }, row());
    check_op(
        "softplus", [](const auto& x) { return softplus(x[0]); }, row());
    check_op(
        "softplus, sharper", [](const auto& x) { return softplus(x[0], {.beta = 3, .threshold = 6}); },
        row({2}));
    check_op(
        "gelu, tanh form", [](const auto& x) { return gelu(x[0], {.approximate = GeluApproximation::tanh}); },
        row());
}

TEST_CASE("activation: op table, along an axis") {
    for (const int axis : {-1, 0, 1}) {
        OpRow rows{.shapes = {{{2, 3}}, {{3, 1}}, {{2, 3, 4}}, {{0, 3}}, {{2, 0}}, {{2, 3, 0}}},
                   .large = {{{300, 201}}, {{3, 20000}}},
                   .low = -4,
                   .high = 4};
        if (axis != 1) rows.shapes.insert(rows.shapes.end(), {{{7}}, {{1}}, {{0}}});
        INFO("axis " << axis);
        check_op(
            "softmax", [axis](const auto& x) { return softmax(x[0], axis); }, rows);
        check_op(
            "log_softmax", [axis](const auto& x) { return log_softmax(x[0], axis); }, rows);
    }
}

TEST_CASE("activation: values and gradients by hand") {
    const Tensor<> x{-2, 0, 1};
    check_numbers(relu(leaf(x)).value(), {0, 0, 1});
    check_numbers(leaky_relu(leaf(x)).value(), {-0.02f, 0, 1});
    check_numbers(leaky_relu(leaf(x), 0.5f).value(), {-1, 0, 1});
    check_numbers(elu(leaf(x)).value(), {-0.86466472f, 0, 1}, 1e-6f);
    check_numbers(elu(leaf(x), 2).value(), {-1.72932943f, 0, 1}, 1e-6f);
    check_numbers(gelu(leaf(x)).value(), {-0.04550026f, 0, 0.84134475f}, 1e-6f);
    check_numbers(sigmoid(leaf(x)).value(), {0.11920292f, 0.5f, 0.73105858f}, 1e-6f);
    check_numbers(silu(leaf(x)).value(), {-0.23840584f, 0, 0.73105858f}, 1e-6f);
    check_numbers(tanh(leaf(x)).value(), {-0.96402758f, 0, 0.76159416f}, 1e-6f);
    check_numbers(erf(leaf(x)).value(), {-0.99532227f, 0, 0.84270079f}, 1e-6f);
    check_numbers(softplus(leaf(x)).value(), {0.12692801f, 0.69314718f, 1.31326169f}, 1e-6f);

    check_numbers(gradient([](const auto& v) { return relu(v); }, x), {0, 0, 1});
    check_numbers(gradient([](const auto& v) { return leaky_relu(v, 0.5f); }, x), {0.5f, 0.5f, 1});
    check_numbers(gradient([](const auto& v) { return elu(v, 2); }, x), {0.27067057f, 2, 1}, 1e-6f);
    check_numbers(gradient([](const auto& v) { return gelu(v); }, x), {-0.08523180f, 0.5f, 1.08331547f},
                  1e-6f);
    check_numbers(gradient([](const auto& v) { return sigmoid(v); }, x), {0.10499359f, 0.25f, 0.19661193f},
                  1e-6f);
    check_numbers(gradient([](const auto& v) { return silu(v); }, x), {-0.09078425f, 0.5f, 0.92767051f},
                  1e-6f);
    check_numbers(gradient([](const auto& v) { return tanh(v); }, x), {0.07065082f, 1, 0.41997434f}, 1e-6f);
    check_numbers(gradient([](const auto& v) { return erf(v); }, x), {0.02066699f, 1.12837917f, 0.41510750f},
                  1e-6f);
    check_numbers(gradient([](const auto& v) { return softplus(v); }, x), {0.11920292f, 0.5f, 0.73105858f},
                  1e-6f);
}

TEST_CASE("activation: special values") {
    const Tensor<> x{infinity, -infinity, NaN, 1e30f, -1e30f};
    check_numbers(relu(leaf(x)).value(), {infinity, 0, NaN, 1e30f, 0});
    check_numbers(leaky_relu(leaf(x), 0.5f).value(), {infinity, -infinity, NaN, 1e30f, -5e29f});
    check_numbers(elu(leaf(x)).value(), {infinity, -1, NaN, 1e30f, -1});
    check_numbers(gelu(leaf(x)).value(), {infinity, -0.0f, NaN, 1e30f, -0.0f});
    check_numbers(sigmoid(leaf(x)).value(), {1, 0, NaN, 1, 0});
    check_numbers(silu(leaf(x)).value(), {infinity, -0.0f, NaN, 1e30f, -0.0f});
    check_numbers(tanh(leaf(x)).value(), {1, -1, NaN, 1, -1});
    check_numbers(erf(leaf(x)).value(), {1, -1, NaN, 1, -1});
    check_numbers(softplus(leaf(x)).value(), {infinity, 0, NaN, 1e30f, 0});

    check_numbers(gradient([](const auto& v) { return relu(v); }, x), {1, 0, 1, 1, 0});
    check_numbers(gradient([](const auto& v) { return elu(v); }, x), {1, 0, NaN, 1, 0});
    check_numbers(gradient([](const auto& v) { return gelu(v); }, x), {1, -0.0f, NaN, 1, -0.0f});
    check_numbers(gradient([](const auto& v) { return leaky_relu(v, 0); }, x), {1, 0, 1, 1, 0});
    check_numbers(leaky_relu(leaf(x), 0).value(), {infinity, 0, NaN, 1e30f, 0});
    check_numbers(gradient([](const auto& v) { return sigmoid(v); }, x), {0, 0, NaN, 0, 0});
    check_numbers(gradient([](const auto& v) { return silu(v); }, x), {1, -0.0f, NaN, 1, -0.0f});
    check_numbers(gradient([](const auto& v) { return tanh(v); }, x), {0, 0, NaN, 0, 0});
    check_numbers(gradient([](const auto& v) { return erf(v); }, x), {0, 0, NaN, 0, 0});
    check_numbers(gradient([](const auto& v) { return softplus(v); }, x), {1, 0, NaN, 1, 0});

    check_numbers(softplus(leaf({-80, 80})).value(),
                  {1.8048514e-35f, 80});  // small results keep their digits
    check_numbers(elu(leaf({-1e-12f})).value(), {-1e-12f});
    check_numbers(erf(leaf({1e-12f})).value(), {1.1283792e-12f}, 1e-18f);
}

TEST_CASE("activation: values and gradients keep their digits in the tails", "[ops][activation]") {
    struct Function {
        const char* name;
        std::function<Variable<>(const Variable<>&)> single;
        std::function<Variable<double>(const Variable<double>&)> full;
        std::function<long double(long double)> value, slope;
        bool slope_of_result = false;  // y (1 − y) and 1 − y²: as good as 1 − y is
    };
    using Real = long double;
    const auto logistic = [](Real x) { return 1 / (1 + std::exp(-x)); };
    const Real half_root = std::sqrt(Real(0.5)), pi = std::acos(Real(-1));
    const auto normal = [=](Real x) { return std::erfc(-x * half_root) / 2; };
    const auto density = [=](Real x) { return std::exp(-x * x / 2) / std::sqrt(2 * pi); };
#define FUNCTION(name) #name, [](const auto& x) { return name(x); }, [](const auto& x) { return name(x); }
    const Function functions[] = {
        {FUNCTION(gelu), [=](Real x) { return x * normal(x); },
         [=](Real x) { return normal(x) + x * density(x); }},
        {FUNCTION(silu), [=](Real x) { return x * logistic(x); },
         [=](Real x) { return logistic(x) * (1 + x * logistic(-x)); }},
        {FUNCTION(sigmoid), logistic, [=](Real x) { return logistic(x) * logistic(-x); }, true},
        {FUNCTION(tanh), [](Real x) { return std::tanh(x); },
         [](Real x) { return 1 / (std::cosh(x) * std::cosh(x)); }, true},
        {FUNCTION(erf), [](Real x) { return std::erf(x); },
         [=](Real x) { return 2 / std::sqrt(pi) * std::exp(-x * x); }},
        {FUNCTION(softplus), [](Real x) { return std::log1p(std::exp(x)); }, logistic},
        {FUNCTION(elu), [](Real x) { return x > 0 ? x : std::expm1(x); },
         [](Real x) { return x > 0 ? 1 : std::exp(x); }},
        {FUNCTION(expm1), [](Real x) { return std::expm1(x); }, [](Real x) { return std::exp(x); }},
        {FUNCTION(log1p), [](Real x) { return std::log1p(x); }, [](Real x) { return 1 / (1 + x); }},
    };
#undef FUNCTION
    const auto check = [](auto number, const char* name, const auto& f, const Function& exact, bool is_log) {
        using T = decltype(number);
        std::vector<T> points;
        for (T x = T(1e-30); x < T(88); x *= T(1.0371)) {
            points.push_back(x);
            if (!is_log || x < 1) points.push_back(-x);
        }
        const Tensor<T> at({static_cast<Index>(points.size())}, points);
        const Variable<T> x(at, {.requires_grad = true});
        const Variable<T> y = f(x);
        y.backward({.gradient = ones<T>(y.shape())});
        for (std::size_t i = 0; i < points.size(); ++i) {
            INFO(name << (sizeof(T) == 4 ? ", float" : ", double") << " at " << points[i]);
            const auto close = [&](T got, Real right, Real root) {
                const Real least = static_cast<Real>(std::numeric_limits<T>::min()),
                           unit = static_cast<Real>(std::numeric_limits<T>::epsilon());
                if (std::abs(right) < least) return std::abs(Real(got) - right) <= 64 * least * unit;
                // Near its root, a slope is as good as the terms that cancel; x² in double costs digits.
                const Real size =
                    std::abs(right) + (std::abs(Real(points[i]) - root) < Real(0.5) ? Real(0.3) : 0);
                return std::abs(Real(got) - right) <= size * (sizeof(T) == 4 ? Real(1e-6) : Real(4e-13));
            };
            if (!close(y.value().data()[i], exact.value(static_cast<Real>(points[i])), 1000))
                FAIL_CHECK("value " << y.value().data()[i] << " for "
                                    << exact.value(static_cast<Real>(points[i])));
            const Real root = std::string(name) == "gelu"   ? -0.75L
                              : std::string(name) == "silu" ? -1.28L
                                                            : 1000;
            if (exact.slope_of_result && std::abs(Real(y.value().data()[i])) > Real(0.5)) continue;
            if (!close(x.grad().data()[i], exact.slope(static_cast<Real>(points[i])), root))
                FAIL_CHECK("slope " << x.grad().data()[i] << " for "
                                    << exact.slope(static_cast<Real>(points[i])));
        }
    };
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scoped(isa);
        for (const Function& f : functions) {
            const bool is_log = std::string(f.name) == "log1p";
            check(float(), f.name, f.single, f, is_log);
            check(double(), f.name, f.full, f, is_log);
        }
    }
    CHECK_THAT(gelu(leaf({-5.5f})).value().data()[0], WithinRel(-1.0444e-7f, 1e-4f));
}

TEST_CASE("activation: softplus has a tangent at 0") {
    const auto f = [](const auto& x) { return softplus(x[0]); };
    CHECK(
        jvp(f, std::vector<Tensor<double>>{Tensor<double>{0}}, std::vector<Tensor<double>>{Tensor<double>{1}})
            .tangent.item() == 0.5);
}

TEST_CASE("activation: softmax") {
    const auto of = [](const Tensor<>& x) { return softmax(leaf(x)).value(); };
    check_numbers(of({0, std::log(3.0f)}), {0.25f, 0.75f}, 1e-6f);
    check_numbers(of({5}), {1});
    check_numbers(of({{100, -100}, {-100, 100}, {1e38f, 1e38f}, {1e38f, -1e38f}}),
                  {{1, 0}, {0, 1}, {0.5f, 0.5f}, {1, 0}});
    check_numbers(of({{-infinity, 0}, {-infinity, -infinity}, {infinity, 0}, {NaN, 0}, {1, 1}}),
                  {{0, 1}, {NaN, NaN}, {1, 0}, {NaN, NaN}, {0.5f, 0.5f}});
    const Tensor<> x{{1, 2}, {3, 5}};
    check_numbers(softmax(leaf(x), 0).value(), {{0.11920292f, 0.04742587f}, {0.88079708f, 0.95257413f}},
                  1e-6f);
    check_numbers(softmax(leaf(x), -1).value(), softmax(leaf(x), 1).value());
    CHECK(softmax(leaf(zeros({2, 0}))).shape() == Shape{2, 0});
    CHECK(softmax(leaf(zeros({0, 2})), 0).shape() == Shape{0, 2});
}

TEST_CASE("activation: log_softmax keeps its digits") {
    const auto of = [](const Tensor<>& x) { return log_softmax(leaf(x)).value(); };
    check_numbers(of({5}), {0});
    check_numbers(of({0, std::log(3.0f)}), {-1.38629436f, -0.28768207f}, 1e-6f);
    check_numbers(of({{1000, 999}, {-1000, -1001}}),
                  {{-0.31326169f, -1.31326169f}, {-0.31326169f, -1.31326169f}}, 1e-6f);
    check_numbers(of({1e38f, 1e38f}), {-0.69314718f, -0.69314718f}, 1e-6f);
    check_numbers(of({{0, -200}, {1e38f, -1e38f}}), {{0, -200}, {0, -2e38f}});
    check_numbers(of({{-infinity, 0}, {-infinity, -infinity}, {NaN, 0}}),
                  {{-infinity, 0}, {NaN, NaN}, {NaN, NaN}});
    check_numbers(of({{infinity, 0}, {-infinity, infinity}}), {{0, -infinity}, {-infinity, 0}});
}

TEST_CASE("activation: the name of the operation is recorded") {
    const Variable<> x = leaf({1, 2});
    for (const auto& [y, name] :
         std::vector<std::pair<Variable<>, std::string>>{{relu(x), "relu"},
                                                         {leaky_relu(x), "leaky_relu"},
                                                         {elu(x), "elu"},
                                                         {gelu(x), "gelu"},
                                                         {sigmoid(x), "sigmoid"},
                                                         {silu(x), "silu"},
                                                         {tanh(x), "tanh"},
                                                         {erf(x), "erf"},
                                                         {softplus(x), "softplus"},
                                                         {softmax(x), "softmax"},
                                                         {log_softmax(x), "log_softmax"}})
        CHECK(y.operation() == name);
}

TEST_CASE("activation: refusals") {
    const Variable<> x = leaf(zeros({2, 3})), number = leaf(zeros({}));
    CHECK_THROWS_MATCHES(softmax(x, 2), ShapeError,
                         Message("softmax: axis 2 is out of range for shape [2, 3]"));
    CHECK_THROWS_MATCHES(softmax(number), ShapeError,
                         Message("softmax: axis -1 is out of range for shape []"));
    CHECK_THROWS_MATCHES(log_softmax(x, -3), ShapeError,
                         Message("log_softmax: axis -3 is out of range for shape [2, 3]"));
    CHECK_THROWS_MATCHES(log_softmax(number, 0), ShapeError,
                         Message("log_softmax: axis 0 is out of range for shape []"));
    CHECK_THROWS_AS(relu(Variable<>()), GraphError);
}

TEST_CASE("activation: a temporary that nobody else can read is overwritten", "[ops][activation]") {
    const auto fresh = [](const float*& memory) {
        Tensor<> x{-1, 0, 2};
        memory = x.data();
        return Variable<>(std::move(x));
    };
    const float* memory = nullptr;
    CHECK(relu(fresh(memory)).value().data() == memory);
    CHECK(sigmoid(fresh(memory)).value().data() == memory);
    CHECK(tanh(fresh(memory)).value().data() == memory);
    CHECK(relu(relu(relu(fresh(memory)))).value() == Tensor<>{0, 0, 2});

    const Variable<> named = fresh(memory);
    CHECK(relu(named).value() == Tensor<>{0, 0, 2});
    CHECK(named.value() == Tensor<>{-1, 0, 2});

    const Tensor<> kept{-1, 0, 2};
    CHECK(relu(Variable<>(kept)).value() == Tensor<>{0, 0, 2});
    CHECK(kept == Tensor<>{-1, 0, 2});

    const float borrowed[] = {-1, 0, 2};
    CHECK(relu(Variable<>(Tensor<>::borrow(borrowed, {3}))).value() == Tensor<>{0, 0, 2});
    CHECK(borrowed[0] == -1);
}

TEST_CASE("activation: what a rule saved, or a hook may ask for, is not overwritten", "[ops][activation]") {
    const Variable<> x(Tensor<>{-1, 0, 2}, {.requires_grad = true});
    relu(square(x) - 1.0f).backward({.gradient = ones({3})});
    CHECK(x.grad() == Tensor<>{0, 0, 4});

    Variable<>(x).zero_grad();
    tanh(exp(x)).backward({.gradient = ones({3})});  // the rule of exp saved its result
    Variable<> e = exp(x);
    const Tensor<> dx = x.grad();
    Variable<>(x).zero_grad();
    tanh(e).backward({.gradient = ones({3})});
    CHECK(x.grad() == dx);

    Variable<>(x).zero_grad();
    const auto watched = [&] {
        Variable<> y = x * 3.0f;
        y.retain_grad();
        return y;
    };
    relu(watched()).backward({.gradient = ones({3})});
    CHECK(x.grad() == Tensor<>{0, 0, 3});
}

TEST_CASE("activation: softplus with beta, above and below the threshold") {
    const Tensor<> x{-1, 0, 1, 12, infinity, -infinity, NaN};
    check_numbers(softplus(leaf(x), {.beta = 2}).value(),
                  {0.06346401f, 0.34657359f, 1.06346401f, 12, infinity, 0, NaN}, 1e-6f);
    const SoftplusOptions early{.beta = 2, .threshold = 1};
    check_numbers(softplus(leaf(x), early).value(), {0.06346401f, 0.34657359f, 1, 12, infinity, 0, NaN},
                  1e-6f);
    check_numbers(gradient([&](const auto& v) { return softplus(v, early); }, x),
                  {0.11920292f, 0.5f, 1, 1, 1, 0, NaN}, 1e-6f);
    CHECK(softplus(leaf(x), {}).value()(2) == softplus(leaf(x)).value()(2));
    CHECK_THROWS_MATCHES(softplus(leaf(x), {.beta = 0}), ValueError,
                         Message("softplus: beta must be positive: got 0"));
}

TEST_CASE("activation: the tanh form of gelu, and its tails") {
    const GeluOptions tanh_form{.approximate = GeluApproximation::tanh};
    const Tensor<> x{-3, -1, -0.5f, 0, 0.5f, 1, 3};
    check_numbers(gelu(leaf(x), tanh_form).value(),  // of PyTorch
                  {-0.00363739f, -0.15880801f, -0.15428599f, 0, 0.34571401f, 0.84119199f, 2.99636261f},
                  1e-6f);
    const Tensor<> far{-infinity, -1e30f, -40, 40, 1e30f, infinity, NaN};
    check_numbers(gelu(leaf(far), tanh_form).value(), {-0.0f, -0.0f, -0.0f, 40, 1e30f, infinity, NaN});
    check_numbers(gradient([&](const auto& v) { return gelu(v, tanh_form); }, far), {0, 0, 0, 1, 1, 1, NaN},
                  1e-30f);
    CHECK(gelu(leaf(x), {}).value() == gelu(leaf(x)).value());
}
