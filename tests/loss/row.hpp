// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/loss/reduction.hpp"
#include "support/numbers.hpp"

/// Expected numbers of a loss with one combination of options. The slope is the gradient of the mean.
template <class Options>
struct LossRow {
    const char* name;
    Options options;
    gradus::Tensor<> terms;
    float mean, sum;
    gradus::Tensor<> slope;
};

/// loss(x, options) has these numbers at x, with every reduction.
template <class Options, class Loss>
void check_loss(LossRow<Options> row, const gradus::Tensor<>& at, const Loss& loss) {
    INFO(row.name);
    const auto of = [&](const auto& x) { return loss(x, row.options); };
    check_numbers(gradient(of, at), row.slope, 1e-6f);
    check_numbers(of(leaf(at)).value(), gradus::full({}, row.mean), 1e-6f);
    row.options.reduction = gradus::Reduction::sum;
    check_numbers(of(leaf(at)).value(), gradus::full({}, row.sum), 1e-6f);
    row.options.reduction = gradus::Reduction::none;
    check_numbers(of(leaf(at)).value(), row.terms, 1e-6f);
}
