// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "gradus/autograd/no_grad.hpp"
#include "gradus/autograd/variable.hpp"
#include "gradus/core/random.hpp"

namespace gradus {

struct GradcheckOptions {
    double step = 1e-6;  // h of the central difference (f(x + h) - f(x - h)) / 2h
    double rtol = 1e-6;  // relative to the largest entry of the numeric gradient
    double atol = 1e-8;
};

/// What gradcheck found: where the analytic and the numeric gradient differ most.
struct GradcheckReport {
    bool passed = true;
    double error = 0;      // largest |analytic - numeric|
    double tolerance = 0;  // what it may be there
    Index input = 0;       // which input
    Index element = 0;     // which element of it, in row-major order
    double analytic = 0, numeric = 0;
};

inline std::string to_string(const GradcheckReport& report) {
    char text[200];
    std::snprintf(
        text, sizeof text,
        "gradcheck %s: input %lld, element %lld: analytic %.9g, numeric %.9g, error %.2g (allowed %.2g)",
        report.passed ? "passed" : "FAILED", static_cast<long long>(report.input),
        static_cast<long long>(report.element), report.analytic, report.numeric, report.error,
        report.tolerance);
    return text;
}

/// Compares the gradient of f, taken backwards, with central differences, for every element of every input. f
/// is called as f(std::vector<Variable<double>>) and may return any shape: what is checked is its inner
/// product with a fixed random tensor. Inputs must lie away from kinks (|x| at 0, ties of max) by more than
/// `step`.
template <class F>
GradcheckReport gradcheck(const F& f, const std::vector<Tensor<double>>& inputs,
                          GradcheckOptions options = {}) {
    std::vector<Variable<double>> variables;
    for (const auto& input : inputs) variables.emplace_back(input, VariableOptions{.requires_grad = true});
    Generator generator(1);
    const Variable<double> y = f(variables);
    const Tensor<double> weights = randn<double>(y.shape(), generator);
    if (y.requires_grad()) y.backward({.gradient = weights});

    const auto objective = [&](const std::vector<Variable<double>>& at) {
        const NoGrad guard;
        const Tensor<double> value = f(at).value();
        double total = 0;
        for (Index i = 0; i < value.numel(); ++i) total += value.data()[i] * weights.data()[i];
        return total;
    };
    GradcheckReport report;
    double worst = -1;
    for (std::size_t k = 0; k < inputs.size(); ++k) {
        std::vector<double> numeric(static_cast<std::size_t>(inputs[k].numel()));
        double largest = 0;
        for (Index i = 0; i < inputs[k].numel(); ++i) {
            const auto shifted = [&](double step) {
                std::vector<Variable<double>> at(variables);
                Tensor<double> x = inputs[k];
                x.mutable_data()[i] += step;
                at[k] = Variable<double>(x);
                return objective(at);
            };
            const double slope = (shifted(options.step) - shifted(-options.step)) / (2 * options.step);
            numeric[static_cast<std::size_t>(i)] = slope;
            largest = std::max(largest, std::abs(slope));
        }
        const double tolerance = options.atol + options.rtol * largest;
        for (Index i = 0; i < inputs[k].numel(); ++i) {
            const double analytic = variables[k].has_grad() ? variables[k].grad().data()[i] : 0.0;
            const double error = std::abs(analytic - numeric[static_cast<std::size_t>(i)]);
            const double ratio =
                std::isnan(error) ? std::numeric_limits<double>::infinity() : error / tolerance;
            if (ratio <= worst) continue;
            worst = ratio;
            report = {ratio <= 1,
                      error,
                      tolerance,
                      static_cast<Index>(k),
                      i,
                      analytic,
                      numeric[static_cast<std::size_t>(i)]};
        }
    }
    return report;
}

}  // namespace gradus
