// SPDX-License-Identifier: MIT
#include "gradus/ops/layout.hpp"

#include <array>
#include <vector>

#include "support/op_table.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

/// 0, 1, 2, ... in this shape.
Variable<> counted(const Shape& shape) { return Variable<>(arange(shape.numel()).reshape(shape)); }

}  // namespace

TEST_CASE("every layout operation keeps the rules of the op table") {
    check_op("reshape",
             [](const auto& x) {
                 return reshape(x[0], {-1, 3});
             },
             {.shapes = {{{2, 3}}, {{3}}, {{3, 1, 2}}, {{0, 3}}}, .large = {{{300, 120}}}});
    check_op("reshape to a number", [](const auto& x) { return reshape(x[0], {}); },
             {.shapes = {{{}}, {{1}}, {{1, 1, 1}}}});
    check_op("flatten", [](const auto& x) { return flatten(x[0]); },
             {.shapes = {{{2, 3, 2}}, {{4, 3}}, {{0, 2, 3}}, {{2, 0, 3}}, {{1, 1}}}});
    check_op("squeeze", [](const auto& x) { return squeeze(x[0], 1); },
             {.shapes = {{{2, 1, 3}}, {{4, 1}}, {{0, 1}}}});
    check_op("unsqueeze", [](const auto& x) { return unsqueeze(x[0], -1); },
             {.shapes = {{{}}, {{3}}, {{0, 2}}}});
    check_op("transpose", [](const auto& x) { return transpose(x[0]); },
             {.shapes = {{{2, 3}}, {{1, 4}}, {{0, 3}}, {{2, 3, 5}}, {{2, 2, 1, 3}}},
              .large = {{{301, 203}}, {{5, 90, 101}}, {{3, 20000}}}});
    check_op("transpose of two axes", [](const auto& x) { return transpose(x[0], 0, -1); },
             {.shapes = {{{3}}, {{2, 3}}, {{2, 3, 4}}, {{2, 0, 3}}}, .large = {{{40, 30, 37}}}});
    check_op("permute",
             [](const auto& x) {
                 return permute(x[0], {2, 0, -2});
             },
             {.shapes = {{{2, 3, 4}}, {{1, 3, 1}}, {{2, 0, 3}}}, .large = {{{40, 30, 37}}}});
    check_op("flip",
             [](const auto& x) {
                 return flip(x[0], {0, -1});
             },
             {.shapes = {{{2, 3}}, {{1, 1}}, {{2, 3, 4}}, {{3, 0}}}, .large = {{{300, 121}}}});
    check_op("broadcast_to",
             [](const auto& x) {
                 return broadcast_to(x[0], {2, 3, 4});
             },
             {.shapes = {{{}}, {{1}}, {{4}}, {{3, 1}}, {{2, 1, 1}}, {{1, 3, 1}}, {{2, 3, 4}}}});
    check_op("broadcast_to, large",
             [](const auto& x) {
                 return broadcast_to(x[0], {40, 100, 30});
             },
             {.shapes = {}, .large = {{{100, 1}}, {{30}}, {{40, 1, 1}}}});
    check_op("broadcast_to nothing",
             [](const auto& x) {
                 return broadcast_to(x[0], {0, 2});
             },
             {.shapes = {{{2}}, {{1, 1}}, {{0, 1}}}});
    check_op("repeat",
             [](const auto& x) {
                 return repeat(x[0], {2, 1, 3});
             },
             {.shapes = {{{2, 3, 2}}, {{3}}, {{}}, {{1, 1, 1}}, {{2, 0}}}, .large = {{{90, 100}}}});
    check_op("repeat never",
             [](const auto& x) {
                 return repeat(x[0], {0, 2});
             },
             {.shapes = {{{3}}, {{2, 2}}}});
}

TEST_CASE("reshape: -1 is what remains, and the memory is shared") {
    const Variable<> x = counted({4, 3});
    CHECK(reshape(x, {2, -1}).shape() == Shape{2, 6});
    CHECK(reshape(x, {-1}).shape() == Shape{12});
    CHECK(reshape(x, {12, -1, 1}).shape() == Shape{12, 1, 1});
    CHECK(reshape(x, Shape{3, 4}).shape() == Shape{3, 4});
    CHECK(reshape(counted({0, 3}), {-1, 5}).shape() == Shape{0, 5});
    CHECK(reshape(x, {6, 2}).value().shares_memory_with(x.value()));
}

TEST_CASE("reshape refuses what does not fit") {
    const Variable<> x = counted({2, 3});
    CHECK_THROWS_MATCHES(reshape(x, {4}), ShapeError,
                         Message("reshape: element counts differ: got [2, 3] and [4]"));
    CHECK_THROWS_MATCHES(reshape(x, {}), ShapeError,
                         Message("reshape: element counts differ: got [2, 3] and []"));
    CHECK_THROWS_MATCHES(reshape(x, {-1, -1}), ShapeError,
                         Message("reshape: only one size can be -1: got [2, 3] and [-1, -1]"));
    CHECK_THROWS_MATCHES(
        reshape(x, {4, -1}), ShapeError,
        Message("reshape: the element count is no multiple of the sizes beside -1: got [2, 3] and [4, -1]"));
    CHECK_THROWS_MATCHES(reshape(counted({0, 3}), {-1, 0}), ShapeError,
                         Message("reshape: -1 beside a size of 0 could be any size: got [0, 3] and [-1, 0]"));
    CHECK_THROWS_MATCHES(
        reshape(x, {-2, 3}), ShapeError,
        Message("reshape: a size is negative (only -1 has a meaning): got [2, 3] and [-2, 3]"));
    const Index huge = Index{1} << 32;
    CHECK_THROWS_MATCHES(
        reshape(x, {huge, huge, -1}), ShapeError,
        Message("reshape: more elements than memory can address: got size 4294967296 at axis 1"));
    CHECK_THROWS_MATCHES(reshape(x, {1, 1, 1, 1, 1, 1, 1, 2, 3}), ShapeError,
                         Message("reshape: more than 8 axes; flatten or reshape first"));
}

TEST_CASE("flatten joins the axes behind the batch") {
    CHECK(flatten(counted({5, 1, 2, 3})).shape() == Shape{5, 6});
    CHECK(flatten(counted({5, 6})).shape() == Shape{5, 6});
    CHECK(flatten(counted({0, 2, 3})).shape() == Shape{0, 6});
    CHECK(flatten(counted({2, 3, 4}), 0).shape() == Shape{24});
    CHECK(flatten(counted({2, 3, 4}), -2).shape() == Shape{2, 12});
    CHECK(flatten(counted({2, 3, 4}), 2).shape() == Shape{2, 3, 4});
    CHECK(flatten(counted({}), 0).shape() == Shape{1});
    CHECK_THROWS_MATCHES(flatten(counted({3})), ShapeError,
                         Message("flatten: axis 1 is out of range for shape [3]"));
    CHECK_THROWS_MATCHES(flatten(counted({})), ShapeError,
                         Message("flatten: axis 1 is out of range for shape []"));
    CHECK_THROWS_MATCHES(flatten(counted({2, 3}), 2), ShapeError,
                         Message("flatten: axis 2 is out of range for shape [2, 3]"));
}

TEST_CASE("squeeze and unsqueeze take away and put in an axis of size 1") {
    CHECK(squeeze(counted({1, 3}), 0).shape() == Shape{3});
    CHECK(squeeze(counted({3, 1}), -1).shape() == Shape{3});
    CHECK_THROWS_MATCHES(squeeze(counted({2, 3}), -1), ShapeError,
                         Message("squeeze: axis -1 has a size other than 1: got [2, 3]"));
    CHECK_THROWS_MATCHES(squeeze(counted({}), 0), ShapeError,
                         Message("squeeze: axis 0 is out of range for shape []"));

    CHECK(unsqueeze(counted({2, 3}), 0).shape() == Shape{1, 2, 3});
    CHECK(unsqueeze(counted({2, 3}), 2).shape() == Shape{2, 3, 1});
    CHECK(unsqueeze(counted({2, 3}), -1).shape() == Shape{2, 3, 1});
    CHECK(unsqueeze(counted({2, 3}), -3).shape() == Shape{1, 2, 3});
    CHECK(unsqueeze(counted({}), 0).shape() == Shape{1});
    CHECK_THROWS_MATCHES(unsqueeze(counted({2, 3}), 3), ShapeError,
                         Message("unsqueeze: axis 3 is out of range for shape [2, 3] and one axis more"));
    CHECK_THROWS_MATCHES(unsqueeze(counted({2, 3}), -4), ShapeError,
                         Message("unsqueeze: axis -4 is out of range for shape [2, 3] and one axis more"));
}

TEST_CASE("transpose swaps two axes, the last two by default") {
    CHECK(transpose(counted({2, 3})).value() == Tensor<>{{0, 3}, {1, 4}, {2, 5}});
    CHECK(transpose(counted({2, 2, 2})).value() == Tensor<>{{{0, 2}, {1, 3}}, {{4, 6}, {5, 7}}});
    CHECK(transpose(counted({2, 2, 2}), 0, 1).value() == Tensor<>{{{0, 1}, {4, 5}}, {{2, 3}, {6, 7}}});
    CHECK(transpose(counted({2, 3}), 1, -1).value() == counted({2, 3}).value());
    CHECK_THROWS_MATCHES(transpose(counted({3})), ShapeError,
                         Message("transpose: needs a matrix or a batch of matrices: got [3]"));
    CHECK_THROWS_MATCHES(transpose(counted({2, 3}), 0, 2), ShapeError,
                         Message("transpose: axis 2 is out of range for shape [2, 3]"));
}

TEST_CASE("permute puts the axes in the order named") {
    CHECK(permute(counted({2, 3}), {1, 0}).value() == Tensor<>{{0, 3}, {1, 4}, {2, 5}});
    CHECK(permute(counted({1, 2, 3}), {2, 0, 1}).value() == Tensor<>{{{0, 3}}, {{1, 4}}, {{2, 5}}});
    CHECK(permute(counted({2, 3, 4}), {-1, 0, 1}).value()(3, 1, 2) == counted({2, 3, 4}).value()(1, 2, 3));
    CHECK(permute(counted({}), {}).shape() == Shape{});
    CHECK_THROWS_MATCHES(permute(counted({2, 3, 4}), {0, 1, 0}), ShapeError,
                         Message("permute: an axis is named twice: got [2, 3, 4] and [0, 1, 0]"));
    CHECK_THROWS_MATCHES(permute(counted({2, 3}), {1, -1}), ShapeError,
                         Message("permute: an axis is named twice: got [2, 3] and [1, -1]"));
    CHECK_THROWS_MATCHES(permute(counted({2, 3}), {1}), ShapeError,
                         Message("permute: needs every axis once: got [2, 3] and [1]"));
    CHECK_THROWS_MATCHES(permute(counted({2, 3}), {0, 2}), ShapeError,
                         Message("permute: axis 2 is out of range for shape [2, 3]"));
}

TEST_CASE("flip reverses the order along axes") {
    CHECK(flip(counted({2, 3}), {1}).value() == Tensor<>{{2, 1, 0}, {5, 4, 3}});
    CHECK(flip(counted({2, 3}), {0, -1}).value() == Tensor<>{{5, 4, 3}, {2, 1, 0}});
    CHECK(flip(counted({2, 3}), {}).value() == counted({2, 3}).value());
    CHECK_THROWS_MATCHES(flip(counted({2, 3}), {1, -1}), ShapeError,
                         Message("flip: an axis is named twice: got [2, 3] and [1, -1]"));
    CHECK_THROWS_MATCHES(flip(counted({2, 3}), {2}), ShapeError,
                         Message("flip: axis 2 is out of range for shape [2, 3]"));
}

TEST_CASE("broadcast_to stretches axes of size 1") {
    CHECK(broadcast_to(counted({2, 1}), {2, 3}).value() == Tensor<>{{0, 0, 0}, {1, 1, 1}});
    CHECK(broadcast_to(counted({3}), {2, 3}).value() == Tensor<>{{0, 1, 2}, {0, 1, 2}});
    Variable<> x(Tensor<>{{1}, {2}}, {.requires_grad = true});
    broadcast_to(x, {2, 3}).backward({.gradient = Tensor<>{{1, 2, 3}, {4, 5, 6}}});
    CHECK(x.grad() == Tensor<>{{6}, {15}});
    const char* const rule = "broadcast_to: only axes of size 1 stretch, and new axes go in front: got ";
    CHECK_THROWS_MATCHES(broadcast_to(counted({2, 3}), {2, 4}), ShapeError,
                         Message(std::string(rule) + "[2, 3] and [2, 4]"));
    CHECK_THROWS_MATCHES(broadcast_to(counted({2}), {2, 3}), ShapeError,
                         Message(std::string(rule) + "[2] and [2, 3]"));
    CHECK_THROWS_MATCHES(broadcast_to(counted({1, 1}), {1}), ShapeError,
                         Message(std::string(rule) + "[1, 1] and [1]"));
}

TEST_CASE("repeat puts copies one after another") {
    CHECK(repeat(counted({3}), {2}).value() == Tensor<>{0, 1, 2, 0, 1, 2});
    CHECK(repeat(counted({2, 2}), {1, 2}).value() == Tensor<>{{0, 1, 0, 1}, {2, 3, 2, 3}});
    CHECK(repeat(counted({2}), {2, 1}).value() == Tensor<>{{0, 1}, {0, 1}});
    CHECK(repeat(counted({2, 3}), {0, 1}).shape() == Shape{0, 3});
    Variable<> x(Tensor<>{1, 2}, {.requires_grad = true});
    repeat(x, {2, 2}).backward({.gradient = Tensor<>{{1, 2, 3, 4}, {5, 6, 7, 8}}});
    CHECK(x.grad() == Tensor<>{16, 20});
    CHECK_THROWS_MATCHES(repeat(counted({2, 3}), {2}), ShapeError,
                         Message("repeat: needs a count for every axis: got [2, 3] and [2]"));
    CHECK_THROWS_MATCHES(repeat(counted({2}), {-1}), ValueError,
                         Message("repeat: a count is negative: got [-1]"));
    const Index huge = Index{1} << 62;
    CHECK_THROWS_MATCHES(
        repeat(counted({2}), {huge}), ShapeError,
        Message("repeat: more elements than memory can address: got [2] and [4611686018427387904]"));
    CHECK_THROWS_MATCHES(
        repeat(counted({1}), {huge}), ShapeError,
        Message("repeat: more elements than memory can address: got size 4611686018427387904 at axis 0"));
    CHECK_THROWS_MATCHES(repeat(counted({2}), {1, 1, 1, 1, 1, 1, 1, 1, 1}), ShapeError,
                         Message("repeat: more than 8 axes; flatten or reshape first"));
}

TEST_CASE("reshape and broadcast_to: -1 in every kind of list") {
    const Variable<> x = counted({4, 3});
    CHECK(reshape(x, std::vector<Index>{2, -1}).shape() == Shape{2, 6});
    CHECK(reshape(x, std::vector<int>{-1}).shape() == Shape{12});
    CHECK(reshape(x, std::array<Index, 2>{3, 4}).shape() == Shape{3, 4});
    CHECK(x.value().reshape(std::vector<Index>{6, -1}).shape() == Shape{6, 2});
    CHECK_THROWS_MATCHES(reshape(x, std::vector<Index>{-1, -1}), ShapeError,
                         Message("reshape: only one size can be -1: got [4, 3] and [-1, -1]"));
    CHECK(broadcast_to(x, {2, -1, -1}).shape() == Shape{2, 4, 3});
    CHECK(broadcast_to(counted({1, 3}), {5, -1}).value() ==
          broadcast_to(counted({1, 3}), Shape{5, 3}).value());
    CHECK(broadcast_to(x, std::vector<int>{2, 4, -1}).shape() == Shape{2, 4, 3});
    CHECK_THROWS_MATCHES(broadcast_to(x, {-1, 4, 3}), ShapeError,
                         Message("broadcast_to: a size is negative (-1 keeps that of an axis that there is): "
                                 "got [4, 3] and [-1, 4, 3]"));
    CHECK_THROWS_AS(broadcast_to(x, {-2, 3}), ShapeError);
    CHECK_THROWS_AS(broadcast_to(x, {-1}), ShapeError);
}
