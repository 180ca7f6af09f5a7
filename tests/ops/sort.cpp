// SPDX-License-Identifier: MIT
#include "gradus/ops/sort.hpp"

#include <algorithm>

#include "support/numbers.hpp"
#include "support/op_table.hpp"

using namespace gradus;

TEST_CASE("sort: op table") {
    const OpRow distinct{.shapes = {{{1}}, {{7}}, {{3, 4}}, {{2, 3, 4}}, {{0, 3}}},
                         .large = {{{7, 3, 2000}}},
                         .distinct = true};
    for (const int axis : {0, -1}) {
        INFO("axis " << axis);
        check_op(
            "sort", [axis](const auto& x) { return sort(x[0], axis).values; }, distinct);
    }
    check_op(
        "sort, descending", [](const auto& x) { return sort(x[0], -1, {.descending = true}).values; },
        distinct);
    check_op("topk", [](const auto& x) { return topk(x[0], 3).values; },
             {.shapes = {{{3}}, {{7}}, {{2, 5}}, {{0, 4}}}, .large = {{{30, 2000}}}, .distinct = true});
    check_op("topk, smallest along the first axis",
             [](const auto& x) { return topk(x[0], 1, 0, {.largest = false}).values; },
             {.shapes = {{{3}}, {{2, 5}}}, .distinct = true});
}

TEST_CASE("sort: equal elements keep their order, NaN is the largest") {
    const Tensor<> x{3, NaN, 1, 3, NaN, -infinity, infinity, 1};
    const auto [up, from] = sort(Variable<>(x));
    check_numbers(up.value(), {-infinity, 1, 1, 3, 3, infinity, NaN, NaN});
    CHECK(from == Tensor<Index>{5, 2, 7, 0, 3, 6, 1, 4});
    const auto [down, from_down] = sort(Variable<>(x), 0, {.descending = true});
    check_numbers(down.value(), {NaN, NaN, infinity, 3, 3, 1, 1, -infinity});
    CHECK(from_down == Tensor<Index>{1, 4, 6, 0, 3, 2, 7, 5});
    CHECK(argsort(x) == from);
    CHECK(argsort(Variable<>(x), -1, {.descending = true}) == from_down);
    CHECK(argsort(Tensor<Index>{3, 1, 2}) == Tensor<Index>{1, 2, 0});
    const auto [largest, at] = topk(Variable<>(x), 3);
    check_numbers(largest.value(), {NaN, NaN, infinity});
    CHECK(at == Tensor<Index>{1, 4, 6});
    const auto [least, at_least] = topk(Variable<>(x), 2, -1, {.largest = false});
    check_numbers(least.value(), {-infinity, 1});
    CHECK(at_least == Tensor<Index>{5, 2});
}

TEST_CASE("sort: along an axis between others") {
    const Variable<> x(Tensor<>{{{3, 1}, {1, 2}}, {{0, 9}, {5, 8}}});
    CHECK(sort(x, 1).values.value() == Tensor<>{{{1, 1}, {3, 2}}, {{0, 8}, {5, 9}}});
    CHECK(sort(x, 1).indices == Tensor<Index>{{{1, 0}, {0, 1}}, {{0, 1}, {1, 0}}});
    CHECK(topk(x, 1, 0).values.value() == Tensor<>{{{3, 9}, {5, 8}}});
}

TEST_CASE("sort: nothing, and refusals") {
    CHECK(topk(leaf({1, 2}), 0).values.shape() == Shape{0});
    CHECK(sort(Variable<>(zeros({2, 0}))).indices.shape() == Shape{2, 0});
    CHECK_THROWS_MATCHES(topk(leaf({1, 2}), 3), ValueError,
                         Message("topk: k must be from 0 to the size of the axis: got 3 and [2]"));
    CHECK_THROWS_AS(topk(leaf({1, 2}), -1), ValueError);
    CHECK_THROWS_AS(sort(leaf({1, 2}), 1), ShapeError);
}
