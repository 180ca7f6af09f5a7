// SPDX-License-Identifier: MIT
#include "gradus/ops/slice.hpp"

#include <limits>

#include "gradus/autograd/parameter.hpp"
#include "support/op_table.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

/// 0, 1, 2, ... in this shape.
Variable<> counted(const Shape& shape) { return Variable<>(arange(shape.numel()).reshape(shape)); }

/// A number that counts how often two of it are added.
struct Counting {
    float value = 0;

    inline static int additions = 0;

    Counting() = default;
    explicit Counting(int v) : value(static_cast<float>(v)) {}
    Counting& operator+=(const Counting& other) {
        ++additions;
        value += other.value;
        return *this;
    }
    friend Counting operator+(Counting a, const Counting& b) { return a += b; }
};

/// Additions that the backward pass makes when x [rows, 3] is cut into pieces of one row, each used once.
int additions_of_split(Index rows) {
    const Variable<Counting> x(zeros<Counting>({rows, 3}), {.requires_grad = true});
    const Variable<Counting> y = concat(split(x, 1));
    Counting::additions = 0;
    y.backward({.gradient = full<Counting>(y.shape(), Counting(2))});
    bool right = true;
    for (const Counting& g : x.grad()) right = right && g.value == 2;
    CHECK(right);
    return Counting::additions;
}

}  // namespace

TEST_CASE("the gradients of all pieces of a split cost as much as the whole") {
    CHECK(additions_of_split(4) == 12);
    CHECK(additions_of_split(400) == 1200);
}

TEST_CASE("slice, split, concat, stack and pad keep the rules of the op table") {
    check_op("slice", [](const auto& x) { return slice(x[0], 1, 1, -1); },
             {.shapes = {{{2, 4}}, {{2, 2}}, {{3, 5, 2}}, {{0, 3}}, {{2, 3, 0}}},
              .large = {{{300, 200}}, {{3, 200, 100}}}});
    check_op("slice with a step", [](const auto& x) { return slice(x[0], -1, 0, x[0].size(-1), 2); },
             {.shapes = {{{5}}, {{2, 4}}, {{1}}, {{0}}, {{2, 0}}}, .large = {{{300, 201}}}});
    check_op("slice of rows", [](const auto& x) { return slice(x[0], 0, 1, 3); },
             {.shapes = {{{3}}, {{4, 2}}, {{3, 0}}}});
    check_op("split", [](const auto& x) { return split(x[0], 2, 1)[1]; },
             {.shapes = {{{2, 3}}, {{2, 4, 2}}, {{0, 3}}}});
    check_op("split into sizes",
             [](const auto& x) {
                 return split(x[0], {1, 0, 2}, -1)[2];
             },
             {.shapes = {{{3}}, {{2, 3}}}});
    check_op("split and concat",
             [](const auto& x) {
                 const auto pieces = split(x[0], 2);
                 return concat({pieces.back(), pieces.front()});
             },
             {.shapes = {{{5, 2}}, {{2}}, {{0, 3}}}, .large = {{{501, 100}}}});
    check_op("concat",
             [](const auto& x) {
                 return concat({x[0], x[1], x[0]}, 1);
             },
             {.shapes = {{{2, 3}, {2, 1}}, {{2, 2}, {2, 2}}, {{2, 0, 2}, {2, 3, 2}}, {{0, 1}, {0, 2}}},
              .large = {{{300, 100}, {300, 50}}}});
    check_op("concat of one", [](const auto& x) { return concat(x); }, {.shapes = {{{3}}, {{0, 2}}}});
    check_op("stack", [](const auto& x) { return stack(x, -1); },
             {.shapes = {{{}, {}}, {{3}, {3}, {3}}, {{2, 3}, {2, 3}}, {{0}, {0}}},
              .large = {{{200, 100}, {200, 100}}}});
    check_op("pad",
             [](const auto& x) {
                 return pad(x[0], {{1, 0}, {2, 3}});
             },
             {.shapes = {{{2, 3}}, {{2, 1, 2}}, {{0, 2}}, {{0, 0}}}, .large = {{{300, 150}}}});
}

TEST_CASE("slice takes positions as Python does") {
    const Variable<> x = counted({5});
    CHECK(slice(x, 0, 1, 3).value() == Tensor<>{1, 2});
    CHECK(slice(x, 0, -2, 5).value() == Tensor<>{3, 4});
    CHECK(slice(x, 0, 0, -3).value() == Tensor<>{0, 1});
    CHECK(slice(x, 0, 0, 5, 2).value() == Tensor<>{0, 2, 4});
    CHECK(slice(x, 0, 1, 5, 3).value() == Tensor<>{1, 4});
    CHECK(slice(x, 0, 1, 5, std::numeric_limits<Index>::max()).value() == Tensor<>{1});
    CHECK(slice(x, 0, 5, 5).shape() == Shape{0});
    CHECK(slice(counted({2, 3}), 1, 0, 3, 2).value() == Tensor<>{{0, 2}, {3, 5}});
    const Variable<> rows = counted({3, 2});
    CHECK(slice(rows, 0, 0, 2).value().shares_memory_with(rows.value()));
}

TEST_CASE("slice refuses positions out of range") {
    const Variable<> x = counted({5});
    CHECK_THROWS_MATCHES(slice(x, 0, 6, 6), ValueError,
                         Message("slice: begin 6 is out of range for axis 0 of size 5"));
    CHECK_THROWS_MATCHES(slice(x, 0, 0, 6), ValueError,
                         Message("slice: end 6 is out of range for axis 0 of size 5"));
    CHECK_THROWS_MATCHES(slice(x, 0, -6, 2), ValueError,
                         Message("slice: begin -6 is out of range for axis 0 of size 5"));
    CHECK_THROWS_MATCHES(slice(x, -1, 0, std::numeric_limits<Index>::min()), ValueError,
                         Message("slice: end -9223372036854775808 is out of range for axis 0 of size 5"));
    CHECK_THROWS_MATCHES(slice(x, 0, 3, -3), ValueError,
                         Message("slice: begin lies behind end: got 3 and -3"));
    CHECK_THROWS_MATCHES(slice(x, 0, 0, 5, 0), ValueError,
                         Message("slice: the step must be positive; flip() reverses an axis: got 0"));
    CHECK_THROWS_MATCHES(slice(x, 0, 0, 5, -1), ValueError,
                         Message("slice: the step must be positive; flip() reverses an axis: got -1"));
    CHECK_THROWS_MATCHES(slice(x, 1, 0, 1), ShapeError,
                         Message("slice: axis 1 is out of range for shape [5]"));
    CHECK_THROWS_MATCHES(slice(counted({}), 0, 0, 0), ShapeError,
                         Message("slice: axis 0 is out of range for shape []"));
}

TEST_CASE("split takes a tensor apart") {
    const auto pieces = split(counted({5}), 2);
    REQUIRE(pieces.size() == 3);
    CHECK(pieces[0].value() == Tensor<>{0, 1});
    CHECK(pieces[2].value() == Tensor<>{4});
    CHECK(split(counted({2, 3}), 7, 1).size() == 1);
    CHECK(split(counted({0}), 2).size() == 1);

    const auto sized = split(counted({2, 3}), {1, 0, 2}, 1);
    REQUIRE(sized.size() == 3);
    CHECK(sized[0].value() == Tensor<>{{0}, {3}});
    CHECK(sized[1].shape() == Shape{2, 0});
    CHECK(sized[2].value() == Tensor<>{{1, 2}, {4, 5}});
    CHECK(split(counted({2}), {2}).size() == 1);
    CHECK(split(counted({0}), std::vector<Index>{}).empty());

    CHECK_THROWS_MATCHES(split(counted({5}), 0), ValueError,
                         Message("split: the size of a piece must be positive: got 0"));
    CHECK_THROWS_MATCHES(split(counted({5}), {2}), ShapeError,
                         Message("split: the pieces do not add up to axis 0: got [5] and [2]"));
    CHECK_THROWS_MATCHES(split(counted({5}), {2, 4}), ShapeError,
                         Message("split: the pieces do not add up to axis 0: got [5] and [2, 4]"));
    CHECK_THROWS_MATCHES(split(counted({5}), {6, -1}), ShapeError,
                         Message("split: the pieces do not add up to axis 0: got [5] and [6, -1]"));
    CHECK_THROWS_MATCHES(split(counted({5}), 2, 1), ShapeError,
                         Message("split: axis 1 is out of range for shape [5]"));
}

TEST_CASE("concat joins along an axis") {
    CHECK(concat({counted({2}), counted({3})}).value() == Tensor<>{0, 1, 0, 1, 2});
    CHECK(concat({counted({2, 1}), counted({2, 2})}, -1).value() == Tensor<>{{0, 0, 1}, {1, 2, 3}});
    CHECK(concat({counted({0, 2}), counted({1, 2})}).value() == Tensor<>{{0, 1}});

    const Parameter<> weight(Tensor<>{1, 2});
    concat({weight, Variable<>(Tensor<>{3}), weight}).backward({.gradient = Tensor<>{1, 2, 3, 4, 5}});
    CHECK(weight.grad() == Tensor<>{5, 7});

    CHECK_THROWS_MATCHES(concat(std::vector<Variable<>>{}), ShapeError,
                         Message("concat: needs at least one input"));
    CHECK_THROWS_MATCHES(
        concat({counted({2, 3}), counted({4, 3}), counted({2, 4})}), ShapeError,
        Message("concat: input 2 differs from input 0 beside axis 0: got [2, 3] and [2, 4]"));
    CHECK_THROWS_MATCHES(concat({counted({2, 3}), counted({3})}, 1), ShapeError,
                         Message("concat: input 1 differs from input 0 beside axis 1: got [2, 3] and [3]"));
    CHECK_THROWS_MATCHES(concat({counted({}), counted({})}), ShapeError,
                         Message("concat: axis 0 is out of range for shape []"));
}

TEST_CASE("stack joins along a new axis") {
    const Variable<> x = counted({2});
    CHECK(stack({x, x}).value() == Tensor<>{{0, 1}, {0, 1}});
    CHECK(stack({x, x, x}, 1).value() == Tensor<>{{0, 0, 0}, {1, 1, 1}});
    CHECK(stack({x, x}, -1).shape() == Shape{2, 2});
    CHECK(stack({counted({2, 3}), counted({2, 3})}, 1).shape() == Shape{2, 2, 3});
    CHECK_THROWS_MATCHES(stack(std::vector<Variable<>>{}), ShapeError,
                         Message("stack: needs at least one input"));
    CHECK_THROWS_MATCHES(stack({x, counted({3})}), ShapeError,
                         Message("stack: input 1 differs from input 0: got [2] and [3]"));
    CHECK_THROWS_MATCHES(stack({x, x}, 2), ShapeError,
                         Message("stack: axis 2 is out of range for shape [2] and one axis more"));
}

TEST_CASE("pad puts a value around") {
    CHECK(pad(counted({2}), {{1, 2}}, 9).value() == Tensor<>{9, 0, 1, 9, 9});
    CHECK(pad(counted({2, 2}), {{0, 1}}).value() == Tensor<>{{0, 1, 0}, {2, 3, 0}});
    CHECK(pad(counted({1, 2}), {{1, 0}, {0, 1}}, -1).value() == Tensor<>{{-1, -1, -1}, {0, 1, -1}});
    CHECK(pad(counted({0}), {{1, 1}}, 5).value() == Tensor<>{5, 5});
    CHECK(pad(counted({2}), {{.after = 1}}).value() == Tensor<>{0, 1, 0});
    CHECK(pad(counted({2}), {}).value() == Tensor<>{0, 1});
    CHECK_THROWS_MATCHES(pad(counted({2}), {{1, 1}, {1, 1}}), ShapeError,
                         Message("pad: more widths than axes: got 2 widths and [2]"));
    CHECK_THROWS_MATCHES(pad(counted({2}), {{1, -1}}), ValueError,
                         Message("pad: a width is negative; slice() cuts off: got 1 and -1"));
    const Index most = std::numeric_limits<Index>::max();
    CHECK_THROWS_MATCHES(pad(counted({2}), {{most, most}}), ShapeError,
                         Message("pad: more elements than memory can address: got " + std::to_string(most) +
                                 " and " + std::to_string(most)));
}
