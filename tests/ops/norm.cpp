// SPDX-License-Identifier: MIT
#include "gradus/ops/norm.hpp"

#include "gradus/kernels/layout/permute.hpp"
#include "gradus/ops/arithmetic.hpp"
#include "support/numbers.hpp"
#include "support/op_table.hpp"

using namespace gradus;

TEST_CASE("batch_norm: op table") {
    const OpRow row{.shapes = {{{4, 3}, {3}, {3}},
                               {{5, 1}, {1}, {1}},
                               {{3, 2, 5}, {2}, {2}},
                               {{3, 2, 17}, {2}, {2}},
                               {{2, 3, 4, 5}, {3}, {3}},
                               {{1, 2, 3, 3}, {2}, {2}},
                               {{2, 0}, {0}, {0}},
                               {{2, 0, 20}, {0}, {0}}},
                    .large = {{{200, 300}, {300}, {300}},
                              {{130, 7, 3, 3}, {7}, {7}},
                              {{70, 9, 9, 9}, {9}, {9}},
                              {{2, 3, 90, 91}, {3}, {3}},
                              {{2, 1, 200, 201}, {1}, {1}}}};
    check_op(
        "batch_norm", [](const auto& x) { return batch_norm(x[0], x[1], x[2]); }, row);
}

TEST_CASE("batch_norm: op table without weight and bias") {
    check_op("batch_norm", [](const auto& x) { return batch_norm(x[0], {.eps = 0.1}); },
             {.shapes = {{{4, 3}}, {{3, 2, 20}}}, .large = {{{300, 130}}}});
}

TEST_CASE("batch_norm: op table with given statistics") {
    const auto f = [](const auto& x) {
        using V = std::decay_t<decltype(x[0])>;
        using T = typename V::value_type;
        const V mean(Tensor<T>{0.5, -1.0}), var(Tensor<T>{2.0, 0.25});
        return batch_norm(x[0], mean, var, x[1], x[2]);
    };
    check_op(
        "batch_norm", f,
        {.shapes = {{{4, 2}, {2}, {2}}, {{1, 2}, {2}, {2}}, {{3, 2, 18}, {2}, {2}}, {{0, 2, 3}, {2}, {2}}},
         .large = {{{300, 2, 70}, {2}, {2}}, {{20000, 2}, {2}, {2}}}});
}

TEST_CASE("layer_norm: op table") {
    check_op("layer_norm", [](const auto& x) { return layer_norm(x[0], x[1], x[2]); },
             {.shapes = {{{5}, {5}, {5}},
                         {{4, 3}, {3}, {3}},
                         {{2, 3, 17}, {17}, {17}},
                         {{3, 2, 5}, {2, 5}, {2, 5}},
                         {{2, 1, 2, 33}, {1, 2, 33}, {1, 2, 33}},
                         {{0, 3}, {3}, {3}},
                         {{2, 0}, {0}, {0}}},
              .large = {{{200, 300}, {300}, {300}}, {{3, 20001}, {20001}, {20001}}, {{5000, 9}, {9}, {9}}}});
    check_op("layer_norm", [](const auto& x) { return layer_norm(x[0], {3}); },
             {.shapes = {{{4, 3}}, {{3}}}});
}

TEST_CASE("batch_norm: values and gradients, as in PyTorch") {
    const Variable<> x = leaf({{1, 2}, {3, -1}, {8, 5}}), w = leaf({2, -1}), b = leaf({0.5f, 1});
    const Tensor<> dy{{1, 0}, {2, -1}, {0.5f, 3}};
    SECTION("by the batch") {
        const Variable<> y = batch_norm(x, w, b);
        y.backward({.gradient = dy});
        check_numbers(y.value(),
                      {{-1.538097382f, 1}, {-0.179365814f, 2.224743843f}, {3.217463255f, -0.224743843f}},
                      1e-6f);
        check_numbers(
            x.grad(),
            {{-0.348392367f, 0.272165298f}, {0.487749934f, -0.136081249f}, {-0.139357463f, -0.136083975f}},
            1e-6f);
        check_numbers(w.grad(), {-1.019048691f, 4.898975372f}, 1e-6f);
        check_numbers(b.grad(), {3.5f, 2});
    }
    SECTION("by the batch, and the running statistics follow") {
        const Variable<> mean(zeros({2})), var(ones({2}));
        const Variable<> y = batch_norm(x, mean, var, w, b, {.training = true});
        CHECK(y.value() == batch_norm(x, w, b).value());
        check_numbers(mean.value(), {0.4f, 0.2f}, 1e-6f);
        check_numbers(var.value(), {2.2f, 1.8f}, 1e-6f);
    }
    SECTION("by given statistics") {
        const Tensor<> m{1, -2}, v{4, 0.25f};
        const Variable<> mean(m), var(v), y = batch_norm(x, mean, var, w, b);
        y.backward({.gradient = dy});
        check_numbers(y.value(),
                      {{0.5f, -6.999839783f}, {2.499997616f, -0.999959946f}, {7.499991417f, -12.999719620f}},
                      1e-6f);
        check_numbers(x.grad(),
                      {{0.999998748f, -0.0f}, {1.999997497f, 1.999959946f}, {0.499999374f, -5.999879837f}},
                      1e-6f);
        check_numbers(w.grad(), {3.749995232f, 39.999198914f}, 1e-6f);
        check_numbers(b.grad(), {3.5f, 2});
        CHECK(mean.value() == m);
        CHECK(var.value() == v);
    }
}

TEST_CASE("batch_norm: the momentum of the running statistics") {
    const Variable<> x(Tensor<>{{1}, {2}, {6}}), w(ones({1})),
        b(zeros({1}));  // mean 3, variance 7 (count - 1)
    const auto running = [&](double momentum) {
        const Variable<> mean(Tensor<>{10}), var(Tensor<>{20});
        static_cast<void>(batch_norm(x, mean, var, w, b, {.momentum = momentum, .training = true}));
        return Tensor<>{mean.item(), var.item()};
    };
    check_numbers(running(0.5), {6.5f, 13.5f}, 1e-6f);
    check_numbers(running(1), {3, 7}, 1e-6f);
    CHECK(running(0) == Tensor<>{10, 20});
}

TEST_CASE("batch_norm: a mean that is large against the deviation") {
    Generator generator(1);
    for (const Shape& shape :
         {Shape{64, 3, 20, 20}, Shape{4000, 3}, Shape{300, 3, 2, 2}, Shape{2, 3, 150, 151}}) {
        INFO(to_string(shape));
        for (const float start : {1e4f, -1.0f}) {
            Tensor<> x = normal(shape, 1e4f, 1, generator);
            x.mutable_data()[0] = start;  // also where the first value is far from all others
            const Tensor<double> exact = batch_norm(Variable<double>(cast<double>(x)), {.eps = 0}).value();
            const Tensor<> y = batch_norm(Variable<>(x), {.eps = 0}).value();
            double worst = 0, top = 0;
            for (Index i = 0; i < y.numel(); ++i) {
                worst = std::max(worst, std::abs(static_cast<double>(y.data()[i]) - exact.data()[i]));
                top = std::max(top, std::abs(exact.data()[i]));
            }
            CHECK(top > 3);
            CHECK(worst < 2e-6 * top);
        }
    }
}

TEST_CASE("batch_norm: channels are independent, and their values have mean 0 and variance 1") {
    Generator generator(2);
    Tensor<> x = randn({8, 3, 5, 7}, generator);
    for (Index i = 0; i < x.numel(); ++i)
        if (i / 35 % 3 == 1) x.mutable_data()[i] = i == 35 ? NaN : 2;
    const Tensor<> y = batch_norm(Variable<>(x)).value();
    for (const Index c : {0, 2}) {
        double sum = 0, squares = 0;
        for (Index n = 0; n < 8; ++n)
            for (Index s = 0; s < 35; ++s) {
                const double v = static_cast<double>(y.data()[(n * 3 + c) * 35 + s]);
                sum += v;
                squares += v * v;
            }
        CHECK(sum / 280 == Approx(0).margin(1e-6));
        CHECK(squares / 280 == Approx(1).epsilon(1e-4));
    }
    for (Index n = 0; n < 8; ++n) CHECK(std::isnan(y.data()[(n * 3 + 1) * 35 + 1]));
}

TEST_CASE("batch_norm: a constant channel becomes its bias and has no slope") {
    const Variable<> x = leaf(full({4, 2, 3}, 7.1f)), w(Tensor<>{3, 5}), b(Tensor<>{0.25f, -1});
    const Variable<> y = batch_norm(x, w, b);
    Tensor<> dy = zeros({4, 2, 3});
    dy.mutable_at(0, 0, 0) = 1;
    y.backward({.gradient = dy});
    for (Index i = 0; i < 24; ++i)
        CHECK(y.value().data()[i] == Approx(i / 3 % 2 == 0 ? 0.25 : -1).epsilon(1e-5));
    CHECK(x.grad()(0, 0, 0) == Approx(3 / std::sqrt(1e-5) * (1 - 1.0 / 12)).epsilon(1e-4));
}

TEST_CASE("batch_norm: refusals") {
    const Variable<> w(ones({3})), b(zeros({3})), x(ones({2, 3})), one(ones({1, 3, 1, 1}));
    const std::string few =
        "batch_norm: the variance of a batch needs more than one value per channel; use a larger batch, or "
        "nn::eval(net) to normalize by the running statistics: got ";
    CHECK_THROWS_MATCHES(batch_norm(one, w, b), ShapeError, Message(few + "[1, 3, 1, 1]"));
    CHECK(batch_norm(Variable<>(zeros({0, 3}))).shape() == Shape{0, 3});  // nothing to normalize
    CHECK_THROWS_MATCHES(batch_norm(one, b, w, w, b, {.training = true}), ShapeError,
                         Message(few + "[1, 3, 1, 1]"));
    CHECK(batch_norm(one, b, w, w, b).shape() == Shape{1, 3, 1, 1});  // given statistics need no batch
    CHECK_THROWS_MATCHES(batch_norm(Variable<>(ones({3})), w, b), ShapeError,
                         Message("batch_norm: needs x [batch, channels, ...]: got [3]"));
    const std::string per_channel =
        "batch_norm: weight, bias and running statistics have one number per channel, axis 1 of x: got [2, "
        "3] and ";
    const Variable<> wrong(ones({2})), matrix(ones({3, 1}));
    CHECK_THROWS_MATCHES(batch_norm(x, wrong, b), ShapeError, Message(per_channel + "[2]"));
    CHECK_THROWS_MATCHES(batch_norm(x, w, matrix), ShapeError, Message(per_channel + "[3, 1]"));
    CHECK_THROWS_MATCHES(batch_norm(x, wrong, w, w, b), ShapeError, Message(per_channel + "[2]"));
    CHECK_THROWS_MATCHES(batch_norm(x, b, wrong, w, b), ShapeError, Message(per_channel + "[2]"));
    CHECK_THROWS_MATCHES(batch_norm(x, w, b, {.eps = -1}), ValueError,
                         Message("batch_norm: eps must not be negative: got -1"));
    CHECK_THROWS_MATCHES(batch_norm(x, b, w, w, b, {.momentum = 1.5}), ValueError,
                         Message("batch_norm: momentum must be in [0, 1]: got 1.5"));
    CHECK_THROWS_AS(batch_norm(x, leaf(zeros({3})) * 2.0f, w, w, b, {.training = true}), GraphError);
}

TEST_CASE("layer_norm: values and gradients, as in PyTorch") {
    const Variable<> x = leaf({{1, 2, 4}, {3, -1, 0}}), w = leaf({2, -1, 0.5f}), b = leaf({0.5f, 1, 0});
    const Variable<> y = layer_norm(x, w, b);
    y.backward({.gradient = Tensor<>{{1, 0, 2}, {2, -1, 0.5f}}});
    check_numbers(y.value(),
                  {{-1.638082743f, 1.267260313f, 0.668150902f}, {3.245621204f, 1.980578899f, -0.196115777f}},
                  1e-6f);
    check_numbers(x.grad(),
                  {{0.572702408f, -0.859050691f, 0.286348462f}, {0.135776401f, 0.407314420f, -0.543091178f}},
                  1e-6f);
    check_numbers(w.grad(), {1.676579833f, 0.980578899f, 2.476487875f}, 1e-6f);
    check_numbers(b.grad(), {3, -1, 2.5f});
    check_numbers(layer_norm(x, {3}).value(),
                  layer_norm(x, Variable<>(ones({3})), Variable<>(zeros({3}))).value());
    check_numbers(layer_norm(x, {2, 3}).value().reshape({6}),
                  layer_norm(Variable<>(x.value().reshape({6})), {6}).value());
    check_numbers(layer_norm(Variable<>(Tensor<>{{5}, {-7}}), {1}).value(),
                  {{0}, {0}});  // a row of one value
}

TEST_CASE("layer_norm: a mean that is large against the deviation, and NaN in one row") {
    Generator generator(1);
    for (const Index n : {7, 100, 9001}) {
        Tensor<> x = normal({6, n}, 1e4f, 1, generator);
        x.mutable_at(2, 1) = -1;  // far from all others
        x.mutable_at(5, 3) = NaN;
        const Tensor<> y = layer_norm(Variable<>(x), {n}, {.eps = 0}).value();
        const Tensor<double> exact = layer_norm(Variable<double>(cast<double>(x)), {n}, {.eps = 0}).value();
        for (Index r = 0; r < 6; ++r) {
            double worst = 0, top = 0;
            for (Index i = r * n; i < (r + 1) * n; ++i) {
                worst = std::max(worst, std::abs(static_cast<double>(y.data()[i]) - exact.data()[i]));
                top = std::max(top, std::abs(exact.data()[i]));
            }
            if (r < 5) CHECK(worst < 2e-6 * top);
            if (r == 5) CHECK(std::isnan(y(5, 0)));
        }
    }
}

TEST_CASE("layer_norm: sums over very many rows keep their digits") {
    for (const Index n : {1, 2, 5, 16, 40}) {
        const Index rows = 1'000'000 / n;
        Variable<> weight = leaf(ones({n})), bias = leaf(zeros({n}));
        const Tensor<> row = arange(n), dy = full({rows, n}, 0.1f);
        const Tensor<> x = kernels::broadcast_to(row, {rows, n});
        layer_norm(leaf(x), weight, bias).backward({.gradient = dy});
        INFO("n " << n);
        CHECK(bias.grad()(n - 1) ==
              Approx(static_cast<double>(0.1f) * static_cast<double>(rows)).epsilon(3e-6));
        const double last = static_cast<double>(n - 1), mean = last / 2,
                     var = (static_cast<double>(n * n) - 1) / 12 + 1e-5;
        CHECK(weight.grad()(n - 1) == Approx(0.1 * static_cast<double>(rows) * (last - mean) / std::sqrt(var))
                                          .epsilon(3e-6)
                                          .margin(1e-3));
    }
}

TEST_CASE("layer_norm: refusals") {
    const Variable<> x(ones({2, 3})), w(ones({3})), b(zeros({3}));
    const std::string rule = "layer_norm: the normalized shape must be that of the last axes of x: got ";
    CHECK_THROWS_MATCHES(layer_norm(x, {2}), ShapeError, Message(rule + "[2, 3] and [2]"));
    CHECK_THROWS_MATCHES(layer_norm(x, {1, 2, 3}), ShapeError, Message(rule + "[2, 3] and [1, 2, 3]"));
    CHECK_THROWS_MATCHES(layer_norm(x, Shape{}), ShapeError, Message(rule + "[2, 3] and []"));
    CHECK_THROWS_MATCHES(layer_norm(x, Variable<>(ones({2})), b), ShapeError,
                         Message(rule + "[2, 3] and [2]"));
    CHECK_THROWS_MATCHES(layer_norm(x, w, Variable<>(ones({1}))), ShapeError,
                         Message("layer_norm: weight and bias differ in shape: got [3] and [1]"));
    CHECK_THROWS_MATCHES(layer_norm(x, w, b, {.eps = -1}), ValueError,
                         Message("layer_norm: eps must not be negative: got -1"));
}
