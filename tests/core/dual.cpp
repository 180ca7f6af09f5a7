// SPDX-License-Identifier: MIT
#include "gradus/core/dual.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <type_traits>
#include <vector>

#include "gradus/core/print.hpp"
#include "gradus/core/tensor.hpp"
#include "support/test.hpp"

using gradus::Dual;
using D = Dual<double>;
using D2 = Dual<D>;

namespace {

/// A function of numbers of each kind.
struct Function {
    std::function<double(double)> plain;
    std::function<D(D)> dual;
    std::function<D2(D2)> twice;

    double operator()(double x) const { return plain(x); }
    D operator()(const D& x) const { return dual(x); }
    D2 operator()(const D2& x) const { return twice(x); }
};

void check_all_derivatives(const char* name, const Function& f, const std::vector<double>& points) {
    INFO(name);
    for (const double x : points) {
        INFO("at " << x);
        const D y = f(D{x, 1.0});
        const D2 z = f(D2{D{x, 1.0}, D{1.0, 0.0}});
        const double h = 1e-4;
        const double below = f(x - h), at = f(x), above = f(x + h);
        CHECK_THAT(y.value, WithinAbs(at, 1e-14 * (1 + std::abs(at))));
        CHECK_THAT(y.dual, WithinAbs((above - below) / (2 * h), 1e-6 * (1 + std::abs(y.dual))));
        CHECK(z.value.value == y.value);
        CHECK_THAT(z.value.dual, WithinAbs(y.dual, 1e-13 * (1 + std::abs(y.dual))));
        CHECK_THAT(z.dual.value, WithinAbs(y.dual, 1e-13 * (1 + std::abs(y.dual))));
        const double second = (above - 2 * at + below) / (h * h);
        CHECK_THAT(z.dual.dual, WithinAbs(second, 2e-5 * (1 + std::abs(second))));
    }
}

/// First derivative through Dual, second through Dual<Dual>, both against central differences.
void check_derivatives(const char* name, const auto& f, const std::vector<double>& points) {
    check_all_derivatives(name, {f, f, f}, points);
}

/// Value and both partial derivatives of f(a, b), as parts of one number: f(a + ε, b) and f(a, b + ε).
struct Partials {
    double value, by_a, by_b;
};
Partials partials(const auto& f, double a, double b) {
    const D first = f(D{a, 1.0}, D{b, 0.0}), second = f(D{a, 0.0}, D{b, 1.0});
    return {first.value, first.dual, second.dual};
}

const double not_a_number = std::numeric_limits<double>::quiet_NaN();
const double infinity = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("dual numbers: arithmetic by hand", "[core][dual]") {
    const D a{3.0, 1.0}, b{2.0, 5.0};
    const auto check = [](const D& x, double value, double dual) {
        CHECK(x.value == value);
        CHECK(x.dual == dual);
    };
    check(a + b, 5, 6);
    check(a - b, 1, -4);
    check(a * b, 6, 17);
    check(a / b, 1.5, (1 - 1.5 * 5) / 2);
    check(-a, -3, -1);
    check(+a, 3, 1);
    check(2 * a, 6, 2);
    check(a * 2.0f, 6, 2);
    check(1 / a, 1.0 / 3, -1.0 / 3 / 3);
    check(a - 1, 2, 1);
    check(D(7), 7, 0);
    check(D(), 0, 0);

    D c = a;
    check(c += b, 5, 6);
    check(c -= b, 3, 1);
    check(c *= b, 6, 17);
    check(c /= 2, 3, 8.5);
    check(c *= c, 9, 51);
}

TEST_CASE("dual numbers: conversions", "[core][dual]") {
    STATIC_REQUIRE(std::is_convertible_v<int, D>);
    STATIC_REQUIRE(std::is_convertible_v<int, D2>);
    STATIC_REQUIRE(std::is_convertible_v<D, D2>);
    STATIC_REQUIRE_FALSE(std::is_convertible_v<D, double>);  // would silently drop the derivative
    STATIC_REQUIRE_FALSE(std::is_constructible_v<D, D2>);
    STATIC_REQUIRE(std::is_trivially_copyable_v<D2>);
    STATIC_REQUIRE(gradus::is_dual<D>);
    STATIC_REQUIRE_FALSE(gradus::is_dual<double>);
    CHECK(static_cast<float>(D{2.5, 1.0}) == 2.5f);
    CHECK(static_cast<int>(D2{D{2.5, 1.0}, D{}}) == 2);
    CHECK(to_string(D{1.5, -2.0}) == "1.500000 + -2.000000ε");
}

TEST_CASE("dual numbers compare by value alone", "[core][dual]") {
    const D a{1.0, 9.0}, b{2.0, 1.0}, same{1.0, -4.0};
    CHECK(a < b);
    CHECK(b > a);
    CHECK(a <= same);
    CHECK(a >= same);
    CHECK(a == same);
    CHECK(a != b);
    CHECK(a < 2);
    CHECK(0 < a);
    CHECK(a == 1.0);
    const D none{not_a_number, 0.0};
    CHECK_FALSE(none < a);
    CHECK_FALSE(none >= a);
    CHECK_FALSE(none == none);
    CHECK(none != a);
    CHECK(D2{a, b} == D2{same, a});
    CHECK(std::max({a, b, same}).dual == 1.0);
}

TEST_CASE("dual numbers: every function against central differences", "[core][dual]") {
    const std::vector<double> anywhere{-1.7, -0.4, 0.0, 0.3, 2.1}, positive{0.2, 1.0, 3.7};
    using std::cos, std::erf, std::exp, std::expm1, std::log, std::log1p, std::pow, std::sin, std::sqrt,
        std::tanh;
    check_derivatives(
        "exp", [](auto x) { return exp(x); }, anywhere);
    check_derivatives(
        "expm1", [](auto x) { return expm1(x); }, anywhere);
    check_derivatives(
        "log", [](auto x) { return log(x); }, positive);
    check_derivatives("log1p", [](auto x) { return log1p(x); }, {-0.5, 0.0, 2.0});
    check_derivatives(
        "sqrt", [](auto x) { return sqrt(x); }, positive);
    check_derivatives(
        "tanh", [](auto x) { return tanh(x); }, anywhere);
    check_derivatives(
        "erf", [](auto x) { return erf(x); }, anywhere);
    check_derivatives(
        "sin", [](auto x) { return sin(x); }, anywhere);
    check_derivatives(
        "cos", [](auto x) { return cos(x); }, anywhere);
    check_derivatives(
        "pow 3", [](auto x) { return pow(x, 3); }, anywhere);
    check_derivatives(
        "pow 2", [](auto x) { return pow(x, 2); }, anywhere);
    check_derivatives(
        "pow 1", [](auto x) { return pow(x, 1); }, anywhere);
    check_derivatives(
        "pow 0", [](auto x) { return pow(x, 0); }, anywhere);
    check_derivatives(
        "pow 3u", [](auto x) { return pow(x, 3u); }, anywhere);
    check_derivatives("pow -2", [](auto x) { return pow(x, -2); }, {-1.3, 0.7, 2.0});
    check_derivatives(
        "pow 2.5", [](auto x) { return pow(x, 2.5); }, positive);
    check_derivatives(
        "xˣ", [](auto x) { return pow(x, x); }, positive);
    check_derivatives(
        "quotient", [](auto x) { return (x * x - 3) / (x * x + 1); }, anywhere);
    check_derivatives(
        "product", [](auto x) { return 2 * x * sin(x) - x / 4; }, anywhere);
    check_derivatives(
        "sigmoid", [](auto x) { return 1 / (1 + exp(-x)); }, anywhere);
    check_derivatives("abs",
                      [](auto x) {
                          using std::abs;
                          return abs(x) * x;
                      },
                      {-1.5, 2.0});
}

TEST_CASE("dual numbers of float", "[core][dual]") {
    using F = Dual<float>;
    const F y = pow(F{2.0f, 1.0f}, 3) + exp(F{0.0f, 2.0f});
    CHECK(y.value == 9.0f);
    CHECK(y.dual == 14.0f);
    CHECK(sqrt(F{4.0f, 1.0f}).dual == 0.25f);
    CHECK_THAT(erf(F{0.5f, 1.0f}).dual, WithinRel(0.8787826f, 1e-6f));
}

TEST_CASE("abs has derivative 0 at 0", "[core][dual]") {
    CHECK(abs(D{-2.0, 3.0}).value == 2);
    CHECK(abs(D{-2.0, 3.0}).dual == -3);
    CHECK(abs(D{2.0, 3.0}).dual == 3);
    CHECK(abs(D{0.0, 3.0}).dual == 0);
    CHECK(abs(D{-0.0, 3.0}).dual == 0);
}

TEST_CASE("max and min take the derivative of the winner, of the first on a tie", "[core][dual]") {
    const D a{1.0, 10.0}, b{2.0, 20.0}, tie{1.0, 30.0};
    CHECK(max(a, b).dual == 20);
    CHECK(max(b, a).dual == 20);
    CHECK(min(a, b).dual == 10);
    CHECK(min(b, a).dual == 10);
    CHECK(max(a, tie).dual == 10);
    CHECK(max(tie, a).dual == 30);
    CHECK(min(a, tie).dual == 10);
    CHECK(min(tie, a).dual == 30);
    using std::max, std::min;  // as generic code says it
    CHECK(max(a, b).dual == 20);
    CHECK(min(a, b).dual == 10);
}

TEST_CASE("pow with a constant exponent at 0", "[core][dual]") {
    const auto at_zero = [](auto n) { return pow(D{0.0, 1.0}, n); };
    CHECK(at_zero(0).value == 1);
    CHECK(at_zero(0).dual == 0);
    CHECK(at_zero(0.0).value == 1);
    CHECK(at_zero(0.0).dual == 0);
    CHECK(at_zero(1).value == 0);
    CHECK(at_zero(1).dual == 1);
    CHECK(at_zero(2).dual == 0);
    CHECK(at_zero(0.5).dual == infinity);
    CHECK(pow(D{5.0, 1.0}, 0).dual == 0);
    const D2 zero{D{0.0, 1.0}, D{1.0, 0.0}};
    CHECK(pow(zero, 2).dual.dual == 2);
    CHECK(pow(zero, 1).dual.dual == 0);
    CHECK(pow(zero, 0).dual.dual == 0);
}

TEST_CASE("pow with both varying", "[core][dual]") {
    const auto power = [](const D& x, const D& n) { return pow(x, n); };
    const Partials at = partials(power, 2, 3);
    CHECK(at.value == 8);
    CHECK(at.by_a == 12);
    CHECK_THAT(at.by_b, WithinRel(8 * std::log(2.0), 1e-15));

    CHECK(partials(power, 0, 0).value == 1);
    CHECK(partials(power, 0, 0).by_a == 0);
    CHECK(partials(power, 0, 0).by_b == 0);
    CHECK(partials(power, 0, 1).by_a == 1);
    CHECK(partials(power, 0, 1).by_b == 0);
    CHECK(partials(power, 0, 2).by_a == 0);
    CHECK(partials(power, 3, 0).by_a == 0);
    CHECK(partials(power, -2, 3).value == -8);
    CHECK(partials(power, -2, 3).by_a == 12);  // though log(-2) does not exist
    CHECK(std::isnan(partials(power, -2, 3).by_b));
}

TEST_CASE("pow: mixed second derivative, also at n = 0", "[core][dual]") {
    // d²/dx dn xⁿ = xⁿ⁻¹ (1 + n log x)
    const auto mixed = [](double x, double n) {
        return pow(D2{D{x, 1.0}, D{0.0, 0.0}}, D2{D{n, 0.0}, D{1.0, 0.0}}).dual.dual;
    };
    CHECK_THAT(mixed(2, 3), WithinRel(4 * (1 + 3 * std::log(2.0)), 1e-14));
    CHECK_THAT(mixed(2, 0), WithinRel(0.5, 1e-14));
}

TEST_CASE("a constant stays one where slopes are infinite or NaN", "[core][dual]") {
    const D x{infinity, 1.0}, zero{0.0, 0.0}, one{1.0, 0.0};
    CHECK((x * 2).dual == 2);
    CHECK((D{not_a_number, 1.0} * 2).dual == 2);
    CHECK_THAT((D{1e300, 1.0} / D{1e-300, 0.0}).dual, WithinRel(1e300, 1e-15));
    CHECK(sqrt(zero).dual == 0);
    CHECK(log(zero).dual == 0);
    CHECK((one / zero).dual == 0);
    CHECK(sqrt(D{0.0, 1.0}).dual == infinity);
    // A tangent whose value is 0 is none of a constant if it varies.
    const D2 y = sqrt(D2{D{4.0, 0.0}, D{0.0, 1.0}});
    CHECK(y.dual.value == 0);
    CHECK(y.dual.dual == 0.25);
}

TEST_CASE("slopes keep their digits", "[core][dual]") {
    CHECK_THAT(tanh(Dual<float>{10.0f, 1.0f}).dual, WithinRel(8.2446145e-9f, 1e-6f));
    CHECK_THAT(tanh(Dual<float>{-10.0f, 1.0f}).dual, WithinRel(8.2446145e-9f, 1e-6f));
    CHECK_THAT(log(Dual<float>{1e-40f, 1e-5f}).dual, WithinRel(1e35f, 1e-3f));
    const Dual<float> by_itself = Dual<float>{1e20f, 0.0f} / Dual<float>{1e20f, 1.0f};
    CHECK_THAT(by_itself.dual, WithinRel(-1e-20f, 1e-6f));
    const D flat = pow(D{not_a_number, 1.0}, D{0.0, 0.0});
    CHECK(flat.value == 1);
    CHECK(flat.dual == 0);
    CHECK(pow(D{0.0, 0.0}, D{-1.0, 1.0}).dual == -infinity);
}

TEST_CASE("isnan and limits look at the value", "[core][dual]") {
    CHECK(isnan(D{not_a_number, 0.0}));
    CHECK_FALSE(isnan(D{0.0, not_a_number}));
    CHECK(isnan(D2{D{not_a_number, 0.0}, D{}}));
    using Limits = std::numeric_limits<D>;
    STATIC_REQUIRE(Limits::is_specialized);
    CHECK(D(Limits::lowest()) == std::numeric_limits<double>::lowest());
    CHECK(D2(std::numeric_limits<D2>::infinity()) == infinity);
}

TEST_CASE("tensors of dual numbers", "[core][dual]") {
    const gradus::Tensor<D> x{D{1.0, 2.0}, D{3.0, 4.0}, 5};
    CHECK(x(1).dual == 4);
    CHECK(x(2).dual == 0);
    CHECK(gradus::cast<float>(x) == gradus::Tensor<>{1, 3, 5});
    CHECK(gradus::cast<D>(gradus::Tensor<>{1, 2})(1).value == 2);
    CHECK(to_string(x.rows(0, 1)) == "[1.000000 + 2.000000ε]");
    CHECK(gradus::zeros<D2>({2})(0) == 0);
}
