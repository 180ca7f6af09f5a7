// SPDX-License-Identifier: MIT
#include "gradus/ops/fused_conv2d.hpp"

#include "gradus/ops/activation.hpp"
#include "gradus/ops/conv2d.hpp"
#include "gradus/ops/pool2d.hpp"
#include "support/fusion.hpp"
#include "support/isas.hpp"
#include "support/numbers.hpp"
#include "support/op_table.hpp"

using namespace gradus;

namespace {

struct Steps {
    Conv2dOptions conv;
    Size2 window;
    bool relu;
};

/// In one step.
template <class T>
Variable<T> together(const std::vector<Variable<T>>& x, const Steps& s) {
    auto conv = [&] { return x.size() == 2 ? conv2d(x[0], x[1], s.conv) : conv2d(x[0], x[1], x[2], s.conv); };
    return s.relu ? relu(max_pool2d(conv(), {.kernel_size = s.window}))
                  : max_pool2d(conv(), {.kernel_size = s.window});
}

/// The same in three: every result has a name.
template <class T>
Variable<T> apart(const std::vector<Variable<T>>& x, const Steps& s) {
    const Variable<T> conv = x.size() == 2 ? conv2d(x[0], x[1], s.conv) : conv2d(x[0], x[1], x[2], s.conv);
    const Variable<T> pooled = max_pool2d(conv, {.kernel_size = s.window});
    return s.relu ? relu(pooled) : pooled;
}

template <class T>
void check_same(const std::vector<Shape>& shapes, const Steps& s, T tolerance) {
    INFO("x " << to_string(shapes[0]) << ", weight " << to_string(shapes[1]) << ", window "
              << to_string(s.window) << (s.relu ? ", relu" : ""));
    fusion::check_same<T>(
        shapes, s.relu ? "conv2d + max_pool2d + relu" : "conv2d + max_pool2d", tolerance,
        [&](const auto& x) { return together(x, s); }, [&](const auto& x) { return apart(x, s); });
}

}  // namespace

TEST_CASE("fused_conv2d: op table") {
    for (const bool with_relu : {false, true}) {
        const Steps plain{{}, 2, with_relu}, padded{{.stride = {1, 2}, .padding = {2, 1}}, {2, 3}, with_relu};
        // The inputs are few, so that no two numbers of a window are nearly equal.
        check_op("fused_conv2d", [&](const auto& x) { return together(x, plain); },
                 {.shapes = {{{2, 2, 5, 6}, {3, 2, 2, 3}, {3}},
                             {{1, 1, 2, 2}, {1, 1, 1, 1}},
                             {{0, 1, 4, 4}, {2, 1, 1, 1}}},
                  .large = {{{12, 3, 21, 20}, {18, 3, 3, 3}, {18}}, {{50, 1, 28, 28}, {9, 1, 5, 5}, {9}}},
                  .second_order = false});
        check_op("fused_conv2d, stride and padding", [&](const auto& x) { return together(x, padded); },
                 {.shapes = {{{2, 2, 5, 8}, {3, 2, 2, 3}, {3}}}, .second_order = false});
    }
}

TEST_CASE("fused_conv2d: the same as convolution, pooling and relu apart") {
    for (const bool with_relu : {false, true})
        for (const simd::Isa isa : available_isas()) {
            const simd::ScopedIsa scope(isa);
            for (const Index channels : {1, 3, 16, 17, 33}) {
                check_same<float>({{3, 2, 9, 8}, {channels, 2, 3, 2}, {channels}}, {{}, 2, with_relu}, 1e-5f);
                check_same<double>({{3, channels, 8, 9}, {5, channels, 2, 3}}, {{}, 3, with_relu}, 1e-13);
            }
            check_same<float>({{7, 1, 28, 28}, {32, 1, 5, 5}, {32}}, {{}, 3, with_relu}, 1e-5f);
            check_same<float>({{7, 32, 8, 8}, {64, 32, 5, 4}, {64}}, {{}, 2, with_relu}, 1e-5f);
            // Winograd, where the kernel is 5 x 5 or 7 x 5; then the direct way
            check_same<float>({{2, 3, 40, 31}, {37, 3, 5, 5}, {37}}, {{.padding = 2}, {3, 2}, with_relu},
                              1e-5f);
            check_same<float>({{3, 1, 24, 26}, {16, 1, 7, 5}}, {{}, {16, 1}, with_relu}, 1e-5f);
            check_same<float>({{9, 32, 8, 8}, {64, 32, 5, 5}, {64}}, {{}, 2, with_relu}, 1e-5f);
            check_same<float>({{8, 17, 15, 12}, {16, 17, 5, 5}}, {{.padding = 2}, {3, 2}, with_relu}, 1e-5f);
            check_same<float>({{8, 16, 14, 33}, {35, 16, 5, 5}, {35}}, {{}, {3, 4}, with_relu}, 1e-5f);
            check_same<float>({{1, 40, 70, 30}, {20, 40, 5, 5}}, {{}, {5, 2}, with_relu},
                              1e-5f);  // windows across the passes over an image
            check_same<float>({{2, 3, 17, 11}, {6, 3, 5, 4}},
                              {{.stride = {2, 1}, .padding = {3, 2}}, {4, 1}, with_relu}, 1e-5f);
            check_same<float>({{1, 20, 12, 70}, {3, 20, 1, 4}, {3}},
                              {{.padding = "same"}, {1, 16}, with_relu}, 1e-5f);
            check_same<float>({{1, 1, 60, 60}, {2, 1, 1, 1}, {2}}, {{}, 1, with_relu}, 1e-5f);  // long lists
            check_same<float>({{1, 3, 4, 4}, {700, 3, 2, 2}}, {{}, 3, with_relu}, 1e-5f);
        }
}

TEST_CASE("fused_conv2d: NaN wins its window, and its gradient passes the relu") {
    const std::vector<Variable<>> x{leaf(Tensor<>{{{{NaN, 1, 2, 3}, {4, 5, -7, -8}}}}),
                                    leaf(Tensor<>{{{{1}}}})};
    check_numbers(together(x, {{}, 2, false}).value(), {{{{NaN, 3}}}});
    const Variable<> y = together(x, {{}, 2, true});
    check_numbers(y.value(), {{{{NaN, 3}}}});
    y.backward({.gradient = ones({1, 1, 1, 2})});
    check_numbers(x[0].grad(), {{{{1, 0, 0, 1}, {0, 0, 0, 0}}}});
}

TEST_CASE("fused_conv2d: only temporaries are taken over") {
    const Variable<> x = leaf(randn({1, 1, 6, 6})), w = leaf(randn({2, 1, 3, 3}));
    const auto name = [](const Variable<>& y) { return std::string(y.operation()); };
    const Variable<> conv = conv2d(x, w);
    CHECK(name(max_pool2d(conv, {.kernel_size = 2})) == "max_pool2d");
    CHECK(name(relu(conv)) == "relu");
    CHECK(name(relu(conv2d(x, w))) == "relu");
    CHECK(name(max_pool2d(conv2d(x, w), {.kernel_size = 2, .stride = 1})) == "max_pool2d");
    CHECK(name(max_pool2d(conv2d(x, w), {.kernel_size = 2, .padding = 1})) == "max_pool2d");
    CHECK(name(max_pool2d(conv2d(x, w), {.kernel_size = 3, .ceil_mode = true})) == "max_pool2d");
    CHECK(name(max_pool2d(conv2d(x, w, {.dilation = 2}), {.kernel_size = 2})) == "max_pool2d");
    CHECK(name(max_pool2d(conv2d(x, w), {.kernel_size = 2})) == "conv2d + max_pool2d");
    const Variable<> pooled = max_pool2d(conv2d(x, w), {.kernel_size = 2});
    CHECK(name(relu(pooled)) == "relu");

    // Not if the convolution alone has a faster way.
    const Variable<> deep = leaf(randn({1, 24, 6, 6})), wide = leaf(randn({24, 24, 3, 3}));
    CHECK(name(max_pool2d(conv2d(deep, wide), {.kernel_size = 2})) == "max_pool2d");
    CHECK(name(max_pool2d(conv2d(deep, wide, {.stride = 2}), {.kernel_size = 2})) == "conv2d + max_pool2d");

    Variable<> kept = conv2d(x, w);  // someone wants its gradient
    kept.retain_grad();
    const Variable<> y = max_pool2d(std::move(kept), {.kernel_size = 2});
    CHECK(name(y) == "max_pool2d");
}

TEST_CASE("fused_conv2d: weights may change between the call and the first look") {
    Variable<> x = leaf(ones({1, 1, 2, 2})), w = leaf(Tensor<>{{{{2}}}}), b = leaf(Tensor<>{1});
    const Variable<> conv = conv2d(x, w, b), pooled = max_pool2d(conv2d(x, w, b), {.kernel_size = 2});
    w.set_value(Tensor<>{{{{100}}}});
    b.mutable_value() = Tensor<>{100};
    CHECK(conv.value() == full({1, 1, 2, 2}, 3.0f));
    CHECK(pooled.value().item() == 3);
}

TEST_CASE("fused_conv2d: backward before anybody looked, and without history") {
    const Variable<> x = leaf(ones({1, 1, 2, 2})), w = leaf(Tensor<>{{{{2}}}});
    relu(max_pool2d(conv2d(x, w), {.kernel_size = 2})).backward();
    CHECK(x.grad() == Tensor<>{{{{2, 0}, {0, 0}}}});
    CHECK(w.grad() == Tensor<>{{{{1}}}});
    const NoGrad guard;
    const Variable<> y = relu(max_pool2d(conv2d(x, w), {.kernel_size = 2}));
    CHECK(y.value().item() == 2);
}

TEST_CASE("fused_conv2d: a convolution without history stays without") {
    const Variable<> x = leaf(ones({1, 1, 2, 2})), w = leaf(Tensor<>{{{{2}}}});
    const auto constant = [&] {
        const NoGrad guard;
        return conv2d(x, w);
    };
    const Variable<> y = relu(max_pool2d(constant(), {.kernel_size = 2}));
    CHECK(y.operation() == std::string("leaf"));
    CHECK_FALSE(y.requires_grad());
    CHECK(y.value().item() == 2);
}

TEST_CASE("fused_conv2d: a change to an unread result is not overwritten by its work") {
    const NoGrad guard;
    Variable<> y = conv2d(Variable<>(ones({1, 1, 2, 2})), Variable<>(Tensor<>{{{{2}}}}));
    y.set_value(zeros({1, 1, 2, 2}));
    CHECK(y.value() == zeros({1, 1, 2, 2}));
    Variable<> z = conv2d(Variable<>(ones({1, 1, 2, 2})), Variable<>(Tensor<>{{{{2}}}}));
    z.mutable_value().mutable_at(0, 0, 0, 0) = 5;
    CHECK(z.value() == Tensor<>{{{{5, 2}, {2, 2}}}});
}
