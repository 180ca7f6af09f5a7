// SPDX-License-Identifier: MIT
#include "gradus/ops/pool2d.hpp"

#include "support/numbers.hpp"
#include "support/op_table.hpp"

using namespace gradus;

namespace {

/// Plane [4, 5] of the examples. What they give is torch 1.13's.
Tensor<> image() { return {{{{3, 1, 4, 1, 5}, {9, 2, 6, 5, 3}, {5, 8, 9, 7, 9}, {3, 2, 3, 8, 4}}}}; }

/// Checks f(image()) and its gradient for dy = 1, 2, 3, ...
template <class F>
void check_image(const F& f, const Tensor<>& expected, const Tensor<>& gradient) {
    const Variable<> x = leaf(image()), y = f(x);
    check_numbers(y.value(), expected, 1e-6f);
    y.backward({.gradient = arange(y.numel()).reshape(y.shape()) + ones(y.shape())});
    check_numbers(x.grad(), gradient, 1e-6f);
}

}  // namespace

TEST_CASE("pooling keeps the rules of the op table") {
    const auto max_row = [](const MaxPool2dOptions& o, const OpRow& row) {
        check_op(
            "max_pool2d", [&](const auto& x) { return max_pool2d(x[0], o); }, row);
    };
    const OpRow small{
        .shapes = {{{1, 1, 3, 3}}, {{2, 3, 5, 7}}, {{0, 2, 4, 4}}, {{2, 0, 4, 4}}, {{9, 1, 6, 22}}},
        .large = {{{20, 3, 30, 27}}},
        .distinct = true};
    max_row({.kernel_size = 2}, small);
    max_row({.kernel_size = 3, .ceil_mode = true}, small);
    max_row({.kernel_size = 3, .stride = 2, .padding = 1}, small);
    max_row({.kernel_size = 3, .stride = 1, .padding = 1}, small);
    max_row(
        {.kernel_size = {2, 1}, .stride = {1, 2}, .padding = {1, 0}, .dilation = {2, 1}, .ceil_mode = true},
        small);
    max_row({.kernel_size = 17, .stride = 3, .padding = 8}, {.shapes = {{{1, 2, 7, 18}}}, .distinct = true});

    const auto avg_row = [](const AvgPool2dOptions& o) {
        check_op("avg_pool2d", [&](const auto& x) { return avg_pool2d(x[0], o); },
                 {.shapes = {{{1, 1, 3, 3}}, {{2, 3, 5, 7}}, {{0, 2, 4, 4}}, {{2, 0, 4, 4}}, {{3, 1, 6, 22}}},
                  .large = {{{20, 3, 30, 27}}}});
    };
    avg_row({.kernel_size = 2});
    avg_row({.kernel_size = 3});
    avg_row({.kernel_size = 3, .stride = 2, .padding = 1, .ceil_mode = true});
    avg_row({.kernel_size = 3, .stride = 1, .padding = 1, .count_include_pad = false});
    avg_row({.kernel_size = {1, 2}, .stride = {3, 1}});

    const OpRow planes{.shapes = {{{1, 1, 1, 1}}, {{2, 3, 5, 7}}, {{0, 2, 4, 4}}, {{2, 0, 4, 4}}},
                       .large = {{{20, 3, 30, 27}}},
                       .distinct = true};
    check_op(
        "adaptive_avg_pool2d",
        [](const auto& x) {
            return adaptive_avg_pool2d(x[0], {2, 3});
        },
        planes);
    check_op(
        "adaptive_avg_pool2d to more", [](const auto& x) { return adaptive_avg_pool2d(x[0], 8); }, planes);
    check_op(
        "global_avg_pool2d", [](const auto& x) { return global_avg_pool2d(x[0]); }, planes);
    check_op(
        "global_max_pool2d", [](const auto& x) { return global_max_pool2d(x[0]); }, planes);
}

TEST_CASE("max_pool2d takes the largest, and its first place gets the gradient") {
    check_image([](const auto& x) { return max_pool2d(x, {.kernel_size = 2}); }, {{{{9, 6}, {8, 9}}}},
                {{{{0, 0, 0, 0, 0}, {1, 0, 2, 0, 0}, {0, 3, 4, 0, 0}, {0, 0, 0, 0, 0}}}});
    check_image([](const auto& x) { return max_pool2d(x, {.kernel_size = 2, .ceil_mode = true}); },
                {{{{9, 6, 5}, {8, 9, 9}}}},
                {{{{0, 0, 0, 0, 3}, {1, 0, 2, 0, 0}, {0, 4, 5, 0, 6}, {0, 0, 0, 0, 0}}}});
    check_image([](const auto& x) { return max_pool2d(x, {.kernel_size = 3, .stride = 2, .padding = 1}); },
                {{{{9, 6, 5}, {9, 9, 9}}}},
                {{{{0, 0, 0, 0, 3}, {5, 0, 2, 0, 0}, {0, 0, 5, 0, 6}, {0, 0, 0, 0, 0}}}});
    check_image(
        [](const auto& x) {
            return max_pool2d(x, {.kernel_size = {1, 2}, .stride = {2, 1}, .dilation = {1, 3}});
        },
        {{{{3, 5}, {7, 9}}}}, {{{{1, 0, 0, 0, 2}, {0, 0, 0, 0, 0}, {0, 0, 0, 3, 4}, {0, 0, 0, 0, 0}}}});
    const auto pool = [](const auto& x) { return max_pool2d(x, {.kernel_size = {1, 2}}); };
    CHECK(gradient(pool, {{{{7, 7, 7, 8}}}}) == Tensor<>{{{{1, 0, 0, 1}}}});
}

TEST_CASE("max_pool2d: NaN, infinities and signed zeros") {
    const auto pool = [](const auto& x) { return max_pool2d(x, {.kernel_size = 2}); };
    const Tensor<> x{{{{1, NaN, 2, 3}, {NaN, 5, 3, 3}}}};
    check_numbers(pool(Variable<>(x)).value(), {{{{NaN, 3}}}});
    CHECK(gradient(pool, x) == Tensor<>{{{{0, 0, 0, 1}, {1, 0, 0, 0}}}});  // the last NaN, as in PyTorch
    const auto padded = [](const auto& v) { return max_pool2d(v, {.kernel_size = 2, .padding = 1}); };
    CHECK(gradient(padded, full({1, 1, 1, 1}, -infinity)) == ones({1, 1, 1, 1}));  // and not to the padding
    check_numbers(
        max_pool2d(Variable<>(Tensor<>{{{{-0.0f, 0, -infinity, infinity}}}}), {.kernel_size = {1, 2}})
            .value(),
        {{{{-0.0f, infinity}}}});
}

TEST_CASE("avg_pool2d divides by the cells of the window, with or without padding") {
    check_image([](const auto& x) { return avg_pool2d(x, {.kernel_size = 2}); },
                {{{{3.75f, 4}, {4.5f, 6.75f}}}},
                {{{{0.25f, 0.25f, 0.5f, 0.5f, 0},
                   {0.25f, 0.25f, 0.5f, 0.5f, 0},
                   {0.75f, 0.75f, 1, 1, 0},
                   {0.75f, 0.75f, 1, 1, 0}}}});
    check_image(
        [](const auto& x) {
            return avg_pool2d(x, {.kernel_size = 2, .stride = 2, .padding = 1, .ceil_mode = true});
        },
        {{{{0.75f, 1.25f, 1.5f}, {3.5f, 6.25f, 6}, {0.75f, 1.25f, 3}}}},
        {{{{0.25f, 0.5f, 0.5f, 0.75f, 0.75f},
           {1, 1.25f, 1.25f, 1.5f, 1.5f},
           {1, 1.25f, 1.25f, 1.5f, 1.5f},
           {1.75f, 2, 2, 2.25f, 2.25f}}}});
    const auto values = [](bool include) {
        return avg_pool2d(Variable<>(image()), {.kernel_size = 3,
                                                .stride = 2,
                                                .padding = 1,
                                                .ceil_mode = true,
                                                .count_include_pad = include})
            .value();
    };
    check_numbers(
        values(true),
        {{{{15.0f / 9, 19.0f / 9, 14.0f / 9}, {29.0f / 9, 50.0f / 9, 4}, {5.0f / 6, 13.0f / 6, 2}}}}, 1e-6f);
    check_numbers(values(false),
                  {{{{3.75f, 19.0f / 6, 3.5f}, {29.0f / 6, 50.0f / 9, 6}, {2.5f, 13.0f / 3, 6}}}}, 1e-6f);
    check_image(
        [](const auto& x) {
            return avg_pool2d(x, {.kernel_size = {2, 3}, .stride = {3, 2}, .padding = 1, .ceil_mode = true});
        },
        {{{{4.0f / 6, 1, 1}, {3, 37.0f / 6, 28.0f / 6}}}},
        {{{{1.0f / 6, 0.5f, 2.0f / 6, 5.0f / 6, 0.5f},
           {0, 0, 0, 0, 0},
           {4.0f / 6, 1.5f, 5.0f / 6, 11.0f / 6, 1},
           {4.0f / 6, 1.5f, 5.0f / 6, 11.0f / 6, 1}}}});
}

TEST_CASE("adaptive_avg_pool2d covers the input with windows") {
    check_image(
        [](const auto& x) {
            return adaptive_avg_pool2d(x, {3, 2});
        },
        {{{{25.0f / 6, 4}, {6.5f, 6.5f}, {5, 20.0f / 3}}}},
        {{{{1.0f / 6, 1.0f / 6, 0.5f, 1.0f / 3, 1.0f / 3},
           {2.0f / 3, 2.0f / 3, 5.0f / 3, 1, 1},
           {4.0f / 3, 4.0f / 3, 3, 5.0f / 3, 5.0f / 3},
           {2.5f / 3, 2.5f / 3, 5.5f / 3, 1, 1}}}});
    check_numbers(adaptive_avg_pool2d(Variable<>(image()), {3, 7}).value(),
                  {{{{6, 3.75f, 3.25f, 5, 4, 3.5f, 4},
                     {7, 6, 6.25f, 7.5f, 6.75f, 6, 6},
                     {4, 4.5f, 5.5f, 6, 6.75f, 7, 6.5f}}}},
                  1e-6f);
    check_numbers(adaptive_avg_pool2d(Variable<>(image()), {4, 5}).value(), image());
}

TEST_CASE("global pooling gives one number for each plane") {
    const Variable<> x(Tensor<>{{{{1, 2}, {3, 6}}, {{-1, -1}, {-5, -9}}}});
    CHECK(global_avg_pool2d(x).value() == Tensor<>{{3, -4}});
    CHECK(global_max_pool2d(x).value() == Tensor<>{{6, -1}});
    CHECK(gradient([](const auto& v) { return global_avg_pool2d(v); }, x.value()) ==
          full({1, 2, 2, 2}, 0.25f));
    CHECK(gradient([](const auto& v) { return global_max_pool2d(v); }, x.value()) ==
          Tensor<>{{{{0, 0}, {0, 1}}, {{1, 0}, {0, 0}}}});
    const Tensor<> nan{{{{1, NaN, 7}}}};
    check_numbers(global_max_pool2d(Variable<>(nan)).value(), {{NaN}});
    CHECK(gradient([](const auto& v) { return global_max_pool2d(v); }, nan) == Tensor<>{{{{0, 1, 0}}}});
}

TEST_CASE("pooling: refusals") {
    const Variable<> x(zeros({1, 1, 4, 6}));
    const auto max = [&](const MaxPool2dOptions& o) { return max_pool2d(x, o); };
    const auto max_says = [](const std::string& text) { return Message("max_pool2d: " + text); };
    CHECK_THROWS_MATCHES(
        max_pool2d(Variable<>(zeros({4, 6})), {.kernel_size = 2}), ShapeError,
        max_says("needs x [batch, channels, height, width]; reshape(x, ...) first?: got [4, 6]"));
    CHECK_THROWS_MATCHES(max_pool2d(Variable<>(zeros({1, 1, 0, 6})), {.kernel_size = 2}), ShapeError,
                         max_says("needs at least one row and one column: got [1, 1, 0, 6]"));
    CHECK_THROWS_MATCHES(max({}), ValueError,
                         max_says("the kernel must be at least 1 and less than 2^31 cells: got [0, 0]"));
    CHECK_THROWS_MATCHES(max({.kernel_size = {2, -1}}), ValueError,
                         max_says("the kernel must be at least 1 and less than 2^31 cells: got [2, -1]"));
    CHECK_THROWS_MATCHES(
        max({.kernel_size = 65536}), ValueError,
        max_says("the kernel must be at least 1 and less than 2^31 cells: got [65536, 65536]"));
    CHECK_THROWS_MATCHES(
        max({.kernel_size = 2, .stride = -1}), ValueError,
        max_says(
            "the stride must be at least 1 and less than 2^31, or 0 for that of the kernel: got [-1, -1]"));
    CHECK_THROWS_MATCHES(max({.kernel_size = 2, .dilation = {1, 0}}), ValueError,
                         max_says("the dilation must be at least 1 and less than 2^31: got [1, 0]"));
    CHECK_THROWS_MATCHES(max({.kernel_size = {4, 3}, .padding = 2}), ValueError,
                         max_says("the padding must be from 0 to half the kernel: got [2, 2] and [4, 3]"));
    CHECK_THROWS_MATCHES(max({.kernel_size = 2, .padding = -1}), ValueError,
                         max_says("the padding must be from 0 to half the kernel: got [-1, -1] and [2, 2]"));
    const std::string rule = "no window fits the padded input; a smaller kernel or dilation?: got ";
    CHECK_THROWS_MATCHES(max({.kernel_size = {7, 3}, .padding = {1, 0}}), ShapeError,
                         max_says(rule + "[7, 3] and [6, 6]"));
    CHECK_THROWS_MATCHES(max({.kernel_size = 2, .dilation = 4}), ShapeError,
                         max_says(rule + "[5, 5] and [4, 6]"));
    CHECK_THROWS_MATCHES(max({.kernel_size = 2, .padding = 1, .dilation = {5, 1}}),
                         ShapeError,  // all padding
                         max_says(rule + "[6, 2] and [6, 8]"));
    CHECK(max({.kernel_size = 5, .stride = 4, .ceil_mode = true}).shape() == Shape{1, 1, 1, 2});

    CHECK_THROWS_MATCHES(avg_pool2d(x, {.kernel_size = 5}), ShapeError,
                         Message("avg_pool2d: " + rule + "[5, 5] and [4, 6]"));
    CHECK_THROWS_MATCHES(
        avg_pool2d(x, {.kernel_size = 3, .padding = 2}), ValueError,
        Message("avg_pool2d: the padding must be from 0 to half the kernel: got [2, 2] and [3, 3]"));
    CHECK_THROWS_MATCHES(adaptive_avg_pool2d(x, {3, 0}), ValueError,
                         Message("adaptive_avg_pool2d: the output must be at least 1: got [3, 0]"));
    const std::string four = "needs x [batch, channels, height, width]; reshape(x, ...) first?: got [2]";
    const Variable<> list(zeros({2}));
    CHECK_THROWS_MATCHES(adaptive_avg_pool2d(list, 1), ShapeError, Message("adaptive_avg_pool2d: " + four));
    CHECK_THROWS_MATCHES(global_avg_pool2d(list), ShapeError, Message("global_avg_pool2d: " + four));
    CHECK_THROWS_MATCHES(global_max_pool2d(list), ShapeError, Message("global_max_pool2d: " + four));
    CHECK_THROWS_MATCHES(
        global_max_pool2d(Variable<>(zeros({2, 3, 4, 0}))), ShapeError,
        Message("global_max_pool2d: needs at least one row and one column: got [2, 3, 4, 0]"));
}
