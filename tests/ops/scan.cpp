// SPDX-License-Identifier: MIT
#include "gradus/ops/scan.hpp"

#include <cmath>

#include "support/numbers.hpp"
#include "support/op_table.hpp"

using namespace gradus;

TEST_CASE("scan: op table") {
    for (const int axis : {0, -1}) {
        INFO("axis " << axis);
        check_op("cumsum", [axis](const auto& x) { return cumsum(x[0], axis); },
                 {.shapes = {{{1}}, {{7}}, {{2, 3}}, {{3, 2, 70}}, {{0, 3}}, {{3, 0}}},
                  .large = {{{300, 201}}, {{2, 20000}}}});
    }
    check_op("cumsum along a middle axis", [](const auto& x) { return cumsum(x[0], 1); },
             {.shapes = {{{2, 3, 2}}, {{1, 1, 1}}}});
}

TEST_CASE("cumsum: by hand, and of integers") {
    CHECK(cumsum(leaf({{1, 2, 3}, {4, 5, 6}}), 1).value() == Tensor<>{{1, 3, 6}, {4, 9, 15}});
    CHECK(cumsum(leaf({{1, 2, 3}, {4, 5, 6}}), 0).value() == Tensor<>{{1, 2, 3}, {5, 7, 9}});
    CHECK(cumsum(Variable<Index>(Tensor<Index>{1, 2, 3}), 0).value() == Tensor<Index>{1, 3, 6});
    check_numbers(cumsum(leaf({1, infinity, 2, -infinity, 1}), 0).value(), {1, infinity, infinity, NaN, NaN});
    CHECK_THROWS_AS(cumsum(leaf({1}), 1), ShapeError);
}

TEST_CASE("cumsum: a long axis keeps its digits") {
    const Index count = 3000001;
    const Tensor<> sums = cumsum(Variable<>(full({count}, 0.1f)), 0).value();
    const Tensor<double> in_double = cumsum(Variable<double>(full<double>({count}, 0.1)), 0).value();
    for (const Index i : {Index{9}, Index{999}, count / 2, count - 1}) {
        const double terms = static_cast<double>(i + 1);
        CHECK(std::abs(static_cast<double>(sums(i)) / (terms * static_cast<double>(0.1f)) - 1) < 1e-7);
        CHECK(std::abs(in_double(i) / (terms * 0.1) - 1) < 1e-12);
    }
}
