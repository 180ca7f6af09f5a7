// SPDX-License-Identifier: MIT
#include "gradus/ops/conv2d.hpp"

#include "support/numbers.hpp"
#include "support/op_table.hpp"

using namespace gradus;

namespace {

void check_conv2d(const std::string& what, const Conv2dOptions& options,
                  const std::vector<std::vector<Shape>>& shapes,
                  const std::vector<std::vector<Shape>>& large = {}) {
    check_op("conv2d, " + what,
             [&](const auto& x) {
                 return x.size() == 2 ? conv2d(x[0], x[1], options) : conv2d(x[0], x[1], x[2], options);
             },
             {.shapes = shapes, .large = large, .low = -1, .high = 1});
}

}  // namespace

TEST_CASE("conv2d: op table") {
    check_conv2d("plain", {},
                 {{{1, 1, 1, 1}, {1, 1, 1, 1}, {1}},
                  {{2, 3, 5, 4}, {4, 3, 3, 2}, {4}},
                  {{2, 2, 4, 4}, {3, 2, 4, 4}},
                  {{1, 2, 3, 7}, {17, 2, 1, 1}, {17}},
                  {{0, 2, 3, 3}, {2, 2, 2, 2}, {2}},
                  {{2, 0, 3, 3}, {2, 0, 2, 2}, {2}},
                  {{2, 2, 3, 3}, {0, 2, 2, 2}, {0}}},
                 {{{5, 3, 17, 19}, {35, 3, 3, 3}, {35}}});
    check_conv2d("padding", {.padding = {1, 2}},
                 {{{2, 2, 3, 4}, {3, 2, 3, 3}, {3}}, {{1, 1, 1, 1}, {2, 1, 3, 5}}},
                 {{{4, 5, 13, 11}, {18, 5, 3, 3}, {18}}});
    check_conv2d("padding, many channels", {.padding = {1, 2}}, {},
                 {{{4, 27, 13, 26}, {24, 27, 3, 3}, {24}}});
    check_conv2d("more padding than kernel", {.padding = 3}, {{{2, 2, 3, 4}, {3, 2, 2, 1}, {3}}});
    check_conv2d("padding \"same\"", {.padding = "same"}, {{{2, 2, 3, 4}, {3, 2, 3, 4}, {3}}});
    check_conv2d("stride", {.stride = 2}, {{{2, 2, 5, 6}, {3, 2, 3, 2}, {3}}, {{2, 3, 4, 4}, {2, 3, 1, 1}}},
                 {{{4, 3, 21, 20}, {17, 3, 3, 3}, {17}}});
    check_conv2d("stride larger than the kernel", {.stride = {3, 2}, .padding = 1},
                 {{{2, 2, 7, 6}, {3, 2, 2, 1}, {3}}});
    check_conv2d("stride, padding, dilation", {.stride = {2, 3}, .padding = {2, 1}, .dilation = {2, 3}},
                 {{{1, 2, 8, 9}, {3, 2, 3, 2}, {3}}});
    check_conv2d("groups", {.padding = 1, .groups = 2}, {{{2, 4, 3, 4}, {6, 2, 3, 3}, {6}}},
                 {{{4, 6, 13, 11}, {8, 3, 3, 3}, {8}}});
    check_conv2d("groups, many channels", {.padding = 1, .groups = 3}, {},
                 {{{5, 48, 9, 8}, {54, 16, 3, 3}, {54}}});
    check_conv2d("1 x 1", {}, {{{2, 2, 8, 8}, {3, 2, 1, 1}, {3}}},
                 {{{9, 34, 17, 19}, {70, 34, 1, 1}, {70}}, {{9, 5, 32, 16}, {3, 5, 1, 1}, {3}}});
    check_conv2d("1 x 1, stride", {.stride = 2}, {{{2, 2, 15, 16}, {3, 2, 1, 1}, {3}}},
                 {{{9, 34, 17, 35}, {70, 34, 1, 1}, {70}}});
    check_conv2d("stride, many channels", {.stride = 2, .padding = 1}, {},
                 {{{9, 34, 17, 19}, {20, 34, 3, 3}, {20}}});
    check_conv2d("depthwise", {.stride = 2, .padding = 1, .groups = 3}, {{{2, 3, 5, 4}, {6, 1, 3, 3}, {6}}});
}

TEST_CASE("conv2d: by hand") {
    const Variable<> x = leaf(Tensor<>{{{{1, 2, 3}, {4, 5, 6}, {7, 8, 9}}}});
    const Variable<> w = leaf(Tensor<>{{{{1, 0}, {0, -1}}}});  // not flipped: a cross-correlation
    const Variable<> b = leaf(Tensor<>{10});
    const Variable<> y = conv2d(x, w, b);
    CHECK(y.operation() == std::string("conv2d"));
    CHECK(y.value() == Tensor<>{{{{6, 6}, {6, 6}}}});
    y.backward({.gradient = Tensor<>{{{{1, 2}, {3, 4}}}}});
    CHECK(x.grad() == Tensor<>{{{{1, 2, 0}, {3, 3, -2}, {0, -3, -4}}}});
    CHECK(w.grad() == Tensor<>{{{{37, 47}, {67, 77}}}});
    CHECK(b.grad() == Tensor<>{10});

    const Tensor<> image{{{{1, 2, 3, 4}}}}, pair{{{{1, 10}}}};
    const auto values = [&](const Conv2dOptions& options) {
        return conv2d(leaf(image), leaf(pair), options).value();
    };
    CHECK(values({}) == Tensor<>{{{{21, 32, 43}}}});
    CHECK(values({.stride = 2}) == Tensor<>{{{{21, 43}}}});
    CHECK(values({.padding = {0, 1}}) == Tensor<>{{{{10, 21, 32, 43, 4}}}});
    CHECK(values({.padding = "same"}) ==
          Tensor<>{{{{21, 32, 43, 4}}}});  // the odd zero comes last, as in PyTorch
    CHECK(values({.dilation = {1, 3}}) == Tensor<>{{{{41}}}});
    CHECK(
        conv2d(leaf(Tensor<>{{{{2}}, {{3}}}}), leaf(Tensor<>{{{{10}}}, {{{100}}}}), {.groups = 2}).value() ==
        Tensor<>{{{{20}}, {{300}}}});
}

TEST_CASE("conv2d: NaN and inf spread to the windows that see them") {
    const Tensor<> y = conv2d(leaf(Tensor<>{{{{NaN, 1, 1, infinity}}}}), leaf(Tensor<>{{{{1, 2}}}})).value();
    check_numbers(y, {{{{NaN, 3, infinity}}}});
}

TEST_CASE("conv2d: refusals") {
    const auto conv = [](const Shape& x, const Shape& w, const Conv2dOptions& options = {}) {
        return conv2d(leaf(zeros(x)), leaf(zeros(w)), options);
    };
    CHECK_THROWS_MATCHES(
        conv({3, 5, 5}, {2, 3, 3, 3}), ShapeError,
        Message(
            "conv2d: needs x [batch, in, height, width] and weight [out, in / groups, kh, kw]: got [3, 5, 5] "
            "and [2, 3, 3, 3]"));
    CHECK_THROWS_MATCHES(
        conv({1, 3, 5, 5}, {2, 4, 3, 3}), ShapeError,
        Message("conv2d: the weight is for another number of input channels: got [1, 3, 5, 5] and "
                "[2, 4, 3, 3]"));
    CHECK_THROWS_MATCHES(conv({1, 3, 5, 5}, {2, 3, 0, 3}), ShapeError,
                         Message("conv2d: the kernel must be at least 1 x 1: got [2, 3, 0, 3]"));
    CHECK_THROWS_MATCHES(conv({1, 3, 5, 5}, {2, 3, 3, 3}, {.stride = {1, 0}}), ValueError,
                         Message("conv2d: stride must be at least 1: got [1, 0]"));
    CHECK_THROWS_MATCHES(conv({1, 3, 5, 5}, {2, 3, 3, 3}, {.dilation = 0}), ValueError,
                         Message("conv2d: dilation must be at least 1: got [0, 0]"));
    CHECK_THROWS_MATCHES(conv({1, 3, 5, 5}, {2, 3, 3, 3}, {.padding = {-1, 0}}), ValueError,
                         Message("conv2d: padding must not be negative: got [-1, 0]"));
    CHECK_THROWS_MATCHES(conv({1, 3, 5, 5}, {2, 3, 3, 3}, {.groups = 2}), ValueError,
                         Message("conv2d: groups must divide the 3 input and 2 output channels: got 2"));
    CHECK_THROWS_MATCHES(conv({1, 3, 5, 5}, {2, 3, 3, 3}, {.groups = 0}), ValueError,
                         Message("conv2d: groups must divide the 3 input and 2 output channels: got 0"));
    CHECK_THROWS_MATCHES(
        conv({1, 3, 4, 5}, {2, 3, 3, 3}, {.padding = {0, 1}, .dilation = 2}), ShapeError,
        Message("conv2d: the kernel (with dilation) is larger than the padded image: got [5, 5] and [4, 7]"));
    CHECK_THROWS_MATCHES(
        conv({1, 3, 4, 5}, {2, 3, 3, 3}, {.stride = 2, .padding = "same"}), ValueError,
        Message("conv2d: padding \"same\" needs stride 1; give the padding as a number: got [2, 2]"));
    CHECK_THROWS_MATCHES(Padding2("valid"), ValueError,
                         Message("padding: needs a number, {height, width} or \"same\": got \"valid\""));
    CHECK_THROWS_MATCHES(
        conv2d(leaf(zeros({1, 3, 5, 5})), leaf(zeros({2, 3, 3, 3})), leaf(zeros({3}))), ShapeError,
        Message("conv2d: needs weight [out, in / groups, kh, kw] and bias [out]: got [2, 3, 3, 3] and [3]"));
}
