// SPDX-License-Identifier: MIT
#include "gradus/autograd/gradcheck.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "gradus/ops/arithmetic.hpp"
#include "support/op_table.hpp"

using namespace gradus;

namespace {

using Inputs = std::vector<Variable<double>>;
using Full = Tensor<double>;

/// x², whose rule multiplies by `factor` instead of 2.
Variable<double> square_with_factor(const Variable<double>& x, double factor) {
    const Full X = x.value();
    return record("square", X * X, wrt(x, [X, factor](const Full& dy) { return dy * X * factor; }));
}

}  // namespace

TEST_CASE("gradcheck: a right rule passes") {
    const auto report =
        gradcheck([](const Inputs& x) { return x[0] * x[1] + x[0]; }, {Full{{1, 2}, {3, 4}}, Full{5, 6}});
    CHECK(report.passed);
    CHECK(report.error <= report.tolerance);
    CHECK(report.error < 1e-7);
    CHECK_THAT(to_string(report), ContainsSubstring("gradcheck passed: input "));
}

TEST_CASE("gradcheck: a wrong sign is found, where it is") {
    const auto report = gradcheck(
        [](const Inputs& x) {
            return record("difference", x[0].value() - x[1].value(),
                          wrt(x[0], [](const Full& dy) { return dy; }),
                          wrt(x[1], [](const Full& dy) { return dy; }));
        },
        {Full{1}, Full{2}});
    CHECK_FALSE(report.passed);
    CHECK(report.input == 1);
    CHECK(report.element == 0);
    CHECK(report.analytic == Approx(-report.numeric));
    CHECK(report.error > report.tolerance);
}

TEST_CASE("gradcheck: a factor that is off by 1e-4 is found") {
    const auto check_factor = [](double factor) {
        return gradcheck([factor](const Inputs& x) { return square_with_factor(x[0], factor); },
                         {Full{0.5, -1, 2}})
            .passed;
    };
    CHECK(check_factor(2));
    CHECK_FALSE(check_factor(2 + 1e-4));
    CHECK_FALSE(check_factor(2 - 1e-4));
    CHECK_FALSE(check_factor(0));
}

TEST_CASE("gradcheck: a missing transpose is found") {
    // y = x · m for a square m; the rule should multiply by the transpose of m.
    const Full m{{1, 2}, {3, 4}};
    const auto product = [](const Full& a, const Full& b) {
        Full result = zeros<double>({2, 2});
        for (Index i = 0; i < 2; ++i)
            for (Index j = 0; j < 2; ++j)
                for (Index k = 0; k < 2; ++k) result.mutable_at(i, j) += a(i, k) * b(k, j);
        return result;
    };
    const Full transposed{{1, 3}, {2, 4}};
    for (const bool right : {true, false}) {
        const auto report = gradcheck(
            [&](const Inputs& x) {
                return record("product", product(x[0].value(), m),
                              wrt(x[0], [&](const Full& dy) { return product(dy, right ? transposed : m); }));
            },
            {Full{{1, -1}, {0.5, 2}}});
        CHECK(report.passed == right);
    }
}

TEST_CASE("gradcheck: a gradient that is missing is found") {
    const auto report = gradcheck([](const Inputs& x) { return x[0] * x[1].detach(); }, {Full{2}, Full{3}});
    CHECK_FALSE(report.passed);
    CHECK(report.input == 1);
    CHECK(report.analytic == 0);
    CHECK(gradcheck([](const Inputs& x) { return x[0] * 2.0; }, {Full{2}, Full{3}})
              .passed);  // an input that is not used
    CHECK_FALSE(gradcheck([](const Inputs& x) { return x[0].detach(); }, {Full{2}}).passed);
    CHECK(
        gradcheck([](const Inputs&) { return Variable<double>(Full{7}); }, {Full{2}}).passed);  // a constant
}

TEST_CASE("gradcheck: NaN fails") {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK_FALSE(gradcheck([](const Inputs& x) { return x[0] * x[0]; }, {Full{1, nan}}).passed);
    CHECK_FALSE(gradcheck([&](const Inputs& x) { return square_with_factor(x[0], nan); }, {Full{1}}).passed);
}

TEST_CASE("gradcheck: empty inputs pass, and inputs stay as they are") {
    CHECK(gradcheck([](const Inputs& x) { return x[0] * x[0]; }, {zeros<double>({0, 3})}).passed);
    CHECK(gradcheck([](const Inputs& x) { return x[0] * x[1]; }, {zeros<double>({0, 3}), Full{1, 2, 3}})
              .passed);
    const std::vector<Full> inputs{Full{1, 2}};
    CHECK(gradcheck([](const Inputs& x) { return x[0] * x[0]; }, inputs).passed);
    CHECK(inputs[0] == Full{1, 2});
}

TEST_CASE("gradcheck: tolerances can be set") {
    const auto f = [](const Inputs& x) { return square_with_factor(x[0], 2.001); };
    CHECK_FALSE(gradcheck(f, {Full{1}}).passed);
    CHECK(gradcheck(f, {Full{1}}, {.rtol = 1e-2}).passed);
    CHECK(gradcheck(f, {Full{1}}, {.atol = 1}).passed);
    const auto report = gradcheck(f, {Full{1}}, {.rtol = 0, .atol = 0.25});
    CHECK(report.tolerance == 0.25);
}

TEST_CASE("gradcheck: the report as text") {
    GradcheckReport report;
    report = {.passed = false,
              .error = 0.5,
              .tolerance = 1e-6,
              .input = 2,
              .element = 13,
              .analytic = 1.25,
              .numeric = 0.75};
    CHECK(to_string(report) ==
          "gradcheck FAILED: input 2, element 13: analytic 1.25, numeric 0.75, error 0.5 (allowed 1e-06)");
    report.passed = true;
    report.error = 1e-9;
    CHECK(to_string(report) ==
          "gradcheck passed: input 2, element 13: analytic 1.25, numeric 0.75, error 1e-09 (allowed 1e-06)");
}

// The op table trusts its own comparisons; these are the ones it rests on.

TEST_CASE("op table: comparisons tell differences") {
    using op_table::same_bits;
    CHECK(same_bits(Tensor<>{1, 2}, Tensor<>{1, 2}));
    CHECK_FALSE(same_bits(Tensor<>{0.0f}, Tensor<>{-0.0f}));
    CHECK_FALSE(same_bits(Tensor<>{1, 2}, Tensor<>{{1, 2}}));
    const float nan = std::numeric_limits<float>::quiet_NaN();
    CHECK(same_bits(Tensor<>{nan}, Tensor<>{nan}));
    CHECK(op_table::worst_difference(Full{1, 2, 3}, Full{1, 2.5, 3}).first == 0.5);
    CHECK(op_table::worst_difference(Full{1, 2, 3}, Full{1, 2.5, 3}).second == 1);
    CHECK(std::isnan(op_table::worst_difference(Full{5, std::nan(""), 3}, Full{1, 2, 3}).first));
    CHECK(op_table::worst_difference(Full(), Full()).first == 0);
}

TEST_CASE("op table: inputs keep away from kinks and from each other") {
    Generator generator(1);
    const OpRow row{.shapes = {}, .low = -1, .high = 1, .kinks = {0, 0.5}, .gap = 0.1, .distinct = true};
    const auto inputs = op_table::sample_inputs({{10, 10}, {7}}, row, generator);
    std::vector<float> all;
    for (const auto& input : inputs) all.insert(all.end(), input.begin(), input.end());
    for (const float x : all) {
        CHECK(std::abs(x) >= 0.099f);
        CHECK(std::abs(x - 0.5f) >= 0.099f);
    }
    std::sort(all.begin(), all.end());
    CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
}
