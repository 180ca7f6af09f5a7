// SPDX-License-Identifier: MIT
#include "gradus/ops/indexing.hpp"

#include <limits>

#include "support/op_table.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

/// 0, 1, 2, ... in this shape.
Variable<> counted(const Shape& shape) { return Variable<>(arange(shape.numel()).reshape(shape)); }

/// Numbers in [0, size) that come again and again, in no simple order.
Tensor<Index> scattered(const Shape& shape, Index size) {
    Tensor<Index> result = Tensor<Index>::uninitialized(shape);
    Index next = 3;
    for (Index& value : result.mutable_values()) value = (next = next * 7919 % 10007) % size;
    return result;
}

}  // namespace

TEST_CASE("index_select and gather keep the rules of the op table") {
    check_op("index_select",
             [](const auto& x) {
                 return index_select(x[0], 0, {2, 0, 2, 1});
             },
             {.shapes = {{{3}}, {{3, 2}}, {{4, 1, 5}}, {{3, 0}}}});
    check_op("index_select along the last axis",
             [](const auto& x) {
                 return index_select(x[0], -1, {1, 1});
             },
             {.shapes = {{{2}}, {{3, 2}}, {{0, 2}}}});
    check_op("index_select of nothing", [](const auto& x) { return index_select(x[0], 0, Tensor<Index>()); },
             {.shapes = {{{3, 2}}, {{0, 2}}, {{1}}}});
    check_op("index_select, large",
             [](const auto& x) { return index_select(x[0], 1, scattered({900}, x[0].size(1))); },
             {.shapes = {}, .large = {{{2, 50, 300}}, {{50, 30, 1}}, {{3, 1000, 130}}}});
    check_op("gather",
             [](const auto& x) {
                 return gather(x[0], 1, {{2, 0}, {1, 1}});
             },
             {.shapes = {{{2, 3}}, {{3, 3}}, {{2, 5}}}});
    check_op("gather along the first axis",
             [](const auto& x) {
                 return gather(x[0], 0, {{1, 0}, {0, 0}, {1, 1}});
             },
             {.shapes = {{{2, 2}}, {{2, 3}}}});
    check_op("gather of a list",
             [](const auto& x) {
                 return gather(x[0], -1, {1, 0, 1, 1});
             },
             {.shapes = {{{2}}, {{5}}}});
    check_op("gather of nothing",
             [](const auto& x) {
                 return gather(x[0], 0, Tensor<Index>::uninitialized({0, 2}));
             },
             {.shapes = {{{3, 2}}, {{0, 2}}}});
    for (int axis = 0; axis < 3; ++axis)
        check_op("gather, large",
                 [&](const auto& x) {
                     return gather(x[0], axis, scattered({20, 50, 60}, x[0].size(axis)));
                 },
                 {.shapes = {}, .large = {{{20, 50, 60}}, {{21, 53, 64}}}});
}

TEST_CASE("index_select takes positions and adds up the gradients of repeated ones") {
    CHECK(index_select(counted({3, 2}), 0, {2, 2, 0}).value() == Tensor<>{{4, 5}, {4, 5}, {0, 1}});
    CHECK(index_select(counted({2, 3}), 1, {2, 0}).value() == Tensor<>{{2, 0}, {5, 3}});
    Variable<> x(Tensor<>{1, 2, 3}, {.requires_grad = true});
    index_select(x, 0, {2, 2, 0}).backward({.gradient = Tensor<>{1, 10, 100}});
    CHECK(x.grad() == Tensor<>{100, 0, 11});
}

TEST_CASE("gather takes one element for each index") {
    CHECK(gather(counted({2, 3}), 1, {{2}, {0}}).value() == Tensor<>{{2}, {3}});
    CHECK(gather(counted({2, 3}), 0, {{1, 0, 1}}).value() == Tensor<>{{3, 1, 5}});
    CHECK(gather(counted({2, 3}), 1, {{1, 1, 1, 0}}).value() == Tensor<>{{1, 1, 1, 0}});
    Variable<> x(Tensor<>{{1, 2}, {3, 4}}, {.requires_grad = true});
    gather(x, 1, {{0, 0, 1}, {1, 1, 1}}).backward({.gradient = Tensor<>{{1, 2, 3}, {4, 5, 6}}});
    CHECK(x.grad() == Tensor<>{{3, 3}, {0, 15}});
}

TEST_CASE("an index out of range is named with its place") {
    const Variable<> x = counted({5, 2});
    CHECK_THROWS_MATCHES(index_select(x, 0, {1, 4, 7}), ValueError,
                         Message("index_select: index 7 at position 2 is out of range for axis 0 of size 5"));
    CHECK_THROWS_MATCHES(index_select(x, -2, {5}), ValueError,
                         Message("index_select: index 5 at position 0 is out of range for axis 0 of size 5"));
    CHECK_THROWS_MATCHES(
        index_select(x, 1, {0, -1}), ValueError,
        Message("index_select: index -1 at position 1 is out of range for axis 1 of size 2"));
    CHECK_THROWS_MATCHES(index_select(counted({0, 2}), 0, {0}), ValueError,
                         Message("index_select: index 0 at position 0 is out of range for axis 0 of size 0"));
    CHECK_THROWS_MATCHES(
        index_select(x, 0, {std::numeric_limits<Index>::max()}), ValueError,
        Message(
            "index_select: index 9223372036854775807 at position 0 is out of range for axis 0 of size 5"));
    CHECK_THROWS_MATCHES(
        index_select(x, 0, {std::numeric_limits<Index>::min()}), ValueError,
        Message(
            "index_select: index -9223372036854775808 at position 0 is out of range for axis 0 of size 5"));
    CHECK_THROWS_MATCHES(gather(x, 1, {{0, 1}, {1, 2}}), ValueError,
                         Message("gather: index 2 at position [1, 1] is out of range for axis 1 of size 2"));
    CHECK_THROWS_MATCHES(gather(x, 0, {{-1, 1}}), ValueError,
                         Message("gather: index -1 at position [0, 0] is out of range for axis 0 of size 5"));
    CHECK_THROWS_MATCHES(gather(counted({3}), 0, {3}), ValueError,
                         Message("gather: index 3 at position 0 is out of range for axis 0 of size 3"));
}

TEST_CASE("indices of another shape are refused") {
    const Variable<> x = counted({2, 3});
    CHECK_THROWS_MATCHES(index_select(x, 0, {{0, 1}}), ShapeError,
                         Message("index_select: the indices must be a list [n]: got [1, 2]"));
    CHECK_THROWS_MATCHES(index_select(x, 2, {0}), ShapeError,
                         Message("index_select: axis 2 is out of range for shape [2, 3]"));
    CHECK_THROWS_MATCHES(
        gather(x, 1, {0, 1}), ShapeError,
        Message("gather: needs indices with the axes of x and sizes within it: got [2, 3] and [2]"));
    CHECK_THROWS_MATCHES(
        gather(x, 1, {{0}, {0}, {0}}), ShapeError,
        Message("gather: needs indices with the axes of x and sizes within it: got [2, 3] and [3, 1]"));
    CHECK_THROWS_MATCHES(gather(counted({}), 0, {0}), ShapeError,
                         Message("gather: axis 0 is out of range for shape []"));
}

TEST_CASE("one_hot sets one class per label") {
    CHECK(one_hot({2, 0}, 3) == Tensor<>{{0, 0, 1}, {1, 0, 0}});
    CHECK(one_hot<double>(Tensor<Index>{{1}, {0}}, 2) == Tensor<double>{{{0, 1}}, {{1, 0}}});
    CHECK(one_hot(full<Index>({}, 1), 2) == Tensor<>{0, 1});
    CHECK(one_hot(Tensor<Index>(), 4).shape() == Shape{0, 4});
    CHECK_THROWS_MATCHES(one_hot({0, 3}, 3), ValueError,
                         Message("one_hot: index 3 at position 1 is out of range for 3 classes"));
    CHECK_THROWS_MATCHES(one_hot(full<Index>({}, -1), 3), ValueError,
                         Message("one_hot: index -1 at position [] is out of range for 3 classes"));
    CHECK_THROWS_MATCHES(one_hot({0}, 0), ValueError, Message("one_hot: needs at least one class: got 0"));
}

TEST_CASE("scatter_add keeps the rules of the op table") {
    check_op("scatter_add",
             [](const auto& x) {
                 return scatter_add(x[0], 1, {{2, 0}, {1, 1}}, x[1]);
             },
             {.shapes = {{{2, 3}, {2, 2}}, {{3, 3}, {2, 2}}, {{2, 5}, {3, 4}}}});
    check_op("scatter_add to a list",
             [](const auto& x) {
                 return scatter_add(x[0], 0, {1, 0, 1, 1}, x[1]);
             },
             {.shapes = {{{2}, {4}}, {{5}, {6}}}});
    check_op("scatter_add of nothing",
             [](const auto& x) {
                 return scatter_add(x[0], 0, Tensor<Index>::uninitialized({0, 2}), x[1]);
             },
             {.shapes = {{{3, 2}, {0, 2}}, {{3, 3}, {1, 2}}}});
    const Tensor<Index> indices = scattered({700, 80}, 5);
    check_op("scatter_add, large", [indices](const auto& x) { return scatter_add(x[0], 0, indices, x[1]); },
             {.shapes = {}, .large = {{{5, 80}, {700, 80}}}});
}

TEST_CASE("scatter_add: by hand") {
    const Variable<> x(Tensor<>{{1, 2, 3}, {4, 5, 6}}), source(Tensor<>{{10, 20}, {30, 40}});
    CHECK(scatter_add(x, 1, {{0, 0}, {2, 1}}, source).value() == Tensor<>{{31, 2, 3}, {4, 45, 36}});
    CHECK(scatter_add(x, 0, {{1, 1}}, source).value() == Tensor<>{{1, 2, 3}, {14, 25, 6}});
    CHECK(x.value() == Tensor<>{{1, 2, 3}, {4, 5, 6}});
}

TEST_CASE("scatter_add and the gradient of gather: a million equal indices keep their digits") {
    const Index count = 1000000;
    const Tensor<Index> zero = zeros<Index>({count});
    const Tensor<> y =
        scatter_add(Variable<>(Tensor<>{0.5f, 2}), 0, zero, Variable<>(full({count}, 0.1f))).value();
    CHECK(y(0) == Approx(0.5 + 1e6 * static_cast<double>(0.1f)).epsilon(1e-7));
    CHECK(y(1) == 2);
    const Variable<> x(Tensor<>{3, 4}, {.requires_grad = true});
    gather(x, 0, zero).backward({.gradient = full({count}, 0.1f)});
    CHECK(x.grad()(0) == Approx(1e6 * static_cast<double>(0.1f)).epsilon(1e-7));
    CHECK(x.grad()(1) == 0);
}

TEST_CASE("scatter_add refuses what does not fit") {
    const Variable<> x(zeros({2, 3}));
    CHECK_THROWS_MATCHES(scatter_add(x, 1, {{0, 1}}, Variable<>(zeros({1, 1}))), ShapeError,
                         Message("scatter_add: needs indices with the axes of x and source and sizes within "
                                 "theirs: got x [2, 3], indices [1, 2] and source [1, 1]"));
    CHECK_THROWS_AS(scatter_add(x, 1, {{0}, {0}, {0}}, Variable<>(zeros({3, 1}))), ShapeError);
    CHECK_THROWS_AS(scatter_add(x, 0, {0}, Variable<>(zeros({1}))), ShapeError);
    CHECK_THROWS_MATCHES(
        scatter_add(x, 1, {{3}}, Variable<>(zeros({1, 1}))), ValueError,
        Message("scatter_add: index 3 at position [0, 0] is out of range for axis 1 of size 3"));
}
