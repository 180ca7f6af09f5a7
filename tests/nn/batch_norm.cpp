// SPDX-License-Identifier: MIT
#include "gradus/nn/batch_norm.hpp"

#include "gradus/core/random.hpp"
#include "gradus/nn/model.hpp"
#include "gradus/ops/activation.hpp"
#include "support/numbers.hpp"

using namespace gradus;

namespace {

std::string names(auto layer) {
    std::string text;
    for (const auto& each : nn::named_parameters(layer)) text += each.name + " ";
    text += "| ";
    for (const auto& each : nn::named_buffers(layer)) text += each.name + " ";
    return text;
}

}  // namespace

TEST_CASE("BatchNorm1d: trains by the batch, then works by what it saw") {
    nn::BatchNorm1d<> norm(2);
    const Variable<> x(Tensor<>{{1, 2}, {3, -1}, {8, 5}});  // means 4 and 2, variances 13 and 9 (count - 1)
    const Variable<> y = norm(x);
    CHECK(y.value() == batch_norm(x, *norm.weight, *norm.bias).value());
    check_numbers(norm.running_mean->value(), {0.4f, 0.2f}, 1e-6f);
    check_numbers(norm.running_var->value(), {2.2f, 1.8f}, 1e-6f);
    static_cast<void>(norm(x));
    check_numbers(norm.running_mean->value(), {0.76f, 0.38f}, 1e-6f);
    check_numbers(norm.running_var->value(), {3.28f, 2.52f}, 1e-6f);

    nn::eval(norm);
    const Tensor<> mean = norm.running_mean->value();
    const Tensor<> z =
        norm(Variable<>(Tensor<>{{0.76f, 0.38f + std::sqrt(2.52f)}})).value();  // a batch of one
    check_numbers(z, {{0, 1}}, 1e-5f);
    CHECK(norm.running_mean->value() == mean);
    nn::train(norm);
    CHECK(norm.training);
    CHECK_THROWS_AS(norm(Variable<>(ones({1, 2}))), ShapeError);
    CHECK(norm.running_mean->value() == mean);  // nothing changed
}

TEST_CASE("BatchNorm: without a momentum the running statistics are means over all batches") {
    nn::BatchNorm1d<> norm(1, {.momentum = std::nullopt});
    CHECK(names(norm) == "weight bias | running_mean running_var ");
    REQUIRE(nn::named_buffers<Index>(norm).size() == 1);
    CHECK(nn::named_buffers<Index>(norm)[0].name == "num_batches_tracked");
    CHECK(norm.num_batches_tracked->value() == zeros<Index>({}));
    const auto feed = [&](float first) {
        static_cast<void>(norm(Variable<>(Tensor<>{{first}, {first + 2}})));
    };
    feed(3);  // mean 4, variance 2 (count - 1)
    CHECK(norm.running_mean->value() == Tensor<>{4});
    CHECK(norm.running_var->value() == Tensor<>{2});
    feed(9);
    feed(0);
    check_numbers(norm.running_mean->value(), {5}, 1e-6f);  // of 4, 10 and 1
    check_numbers(norm.running_var->value(), {2}, 1e-6f);
    CHECK(norm.num_batches_tracked->item() == 3);
    CHECK_THROWS_AS(norm(Variable<>(ones({1, 1}))), ShapeError);
    nn::eval(norm);
    feed(100);
    CHECK(norm.num_batches_tracked->item() == 3);
    check_numbers(norm.running_mean->value(), {5}, 1e-6f);
    CHECK(names(nn::BatchNorm1d<>(1, {.momentum = std::nullopt, .track_running_stats = false})) ==
          "weight bias | ");
}

TEST_CASE("BatchNorm: in one step with what follows") {
    const nn::BatchNorm2d<> norm(3), same = norm;
    Generator generator(1);
    const Variable<> x(randn({2, 3, 4, 5}, generator), {.requires_grad = true}),
        other(randn({2, 3, 4, 5}, generator));
    const Variable<> y = relu(norm(x) + other);
    CHECK(y.operation() == std::string("batch_norm + add + relu"));
    const Variable<> apart = same(x), sum = apart + other;
    CHECK(y.value() == relu(sum).value());
    CHECK(norm.running_mean->value() == same.running_mean->value());
    CHECK(norm.running_var->value() == same.running_var->value());
}

TEST_CASE("BatchNorm: the names, starting values and gradients of its parts") {
    const nn::BatchNorm2d<> norm(3);
    CHECK(names(norm) == "weight bias | running_mean running_var ");
    CHECK(norm.weight->value() == ones({3}));
    CHECK(norm.bias->value() == zeros({3}));
    CHECK(norm.running_mean->value() == zeros({3}));
    CHECK(norm.running_var->value() == ones({3}));
    CHECK((norm.eps == 1e-5 && norm.momentum == 0.1 && norm.training));
    CHECK(nn::parameter_count(norm) == 6);
    Generator generator(1);
    const Variable<> x(randn({4, 3, 2, 2}, generator)), y = norm(x);
    y.backward({.gradient = ones(y.shape())});
    check_numbers(norm.bias->grad(), full({3}, 16));
    CHECK(norm.weight->has_grad());
    CHECK_FALSE(norm.running_mean->has_grad());
}

TEST_CASE("BatchNorm: frozen weight and bias") {
    const nn::BatchNorm1d<> norm(2);
    const Variable<> x = leaf({{1, 2}, {3, -1}, {8, 5}});
    const auto run = [&] {
        const Variable<> y = norm(x);
        y.backward({.gradient = Tensor<>{{1, 0}, {2, -1}, {0.5f, 3}}});
        return x.grad();
    };
    const Tensor<> expected = run();
    Variable<>(*norm.weight).set_requires_grad(false);
    Variable<>(*norm.bias).set_requires_grad(false);
    Variable<>(*norm.weight).zero_grad();
    Variable<>(*norm.bias).zero_grad();
    Variable<>(x).zero_grad();
    CHECK(run() == expected);
    CHECK_FALSE(norm.weight->has_grad());
    CHECK_FALSE(norm.bias->has_grad());
    Variable<>(x).set_requires_grad(false);
    CHECK_FALSE(norm(x).requires_grad());
}

TEST_CASE("BatchNorm: without weight and bias, without running statistics") {
    const Variable<> x(Tensor<>{{1, 2}, {3, -1}, {8, 5}});
    const nn::BatchNorm1d<> plain(2, {.affine = false});
    CHECK(names(plain) == "| running_mean running_var ");
    CHECK(plain(x).value() == batch_norm(x).value());
    CHECK_FALSE(plain(x).requires_grad());

    nn::BatchNorm1d<> untracked(2, {.eps = 0.5, .track_running_stats = false});
    CHECK(names(untracked) == "weight bias | ");
    const Tensor<> y = untracked(x).value();
    CHECK(y == batch_norm(x, {.eps = 0.5}).value());
    nn::eval(untracked);
    CHECK(untracked(x).value() == y);  // the batch's statistics always
    CHECK_THROWS_AS(untracked(Variable<>(ones({1, 2}))), ShapeError);
}

TEST_CASE("BatchNorm: shapes") {
    const nn::BatchNorm1d<> flat(2);
    const nn::BatchNorm2d<> image(2);
    CHECK(flat(Variable<>(ones({3, 2, 4}))).shape() == Shape{3, 2, 4});
    CHECK(image(Variable<>(ones({3, 2, 4, 5}))).shape() == Shape{3, 2, 4, 5});
    const std::string needs_flat =
        "batch_norm: this layer needs x [batch, features] or [batch, features, length] with 2 channels: got ";
    const std::string needs_image =
        "batch_norm: this layer needs x [batch, features, height, width] with 2 channels: got ";
    CHECK_THROWS_MATCHES(flat(Variable<>(ones({3, 3}))), ShapeError, Message(needs_flat + "[3, 3]"));
    CHECK_THROWS_MATCHES(flat(Variable<>(ones({3, 2, 4, 5}))), ShapeError,
                         Message(needs_flat + "[3, 2, 4, 5]"));
    CHECK_THROWS_MATCHES(flat(Variable<>(ones({2}))), ShapeError, Message(needs_flat + "[2]"));
    CHECK_THROWS_MATCHES(image(Variable<>(ones({3, 2}))), ShapeError, Message(needs_image + "[3, 2]"));
    CHECK_THROWS_MATCHES(image(Variable<>(ones({3, 1, 2, 2}))), ShapeError,
                         Message(needs_image + "[3, 1, 2, 2]"));
}

TEST_CASE("BatchNorm: refused options") {
    CHECK_THROWS_MATCHES(nn::BatchNorm1d<>(0), ValueError,
                         Message("batch_norm: needs at least one feature: got 0"));
    CHECK_THROWS_MATCHES(nn::BatchNorm2d<>(2, {.eps = -1}), ValueError,
                         Message("batch_norm: eps must not be negative: got -1"));
    CHECK_THROWS_MATCHES(nn::BatchNorm2d<>(2, {.momentum = -0.5}), ValueError,
                         Message("batch_norm: momentum must be in [0, 1]: got -0.5"));
}

TEST_CASE("BatchNorm: a copy has statistics of its own; in a model, to a trace, and of doubles") {
    struct Net {
        nn::BatchNorm2d<double> bn{2};
    };
    Net net;
    const Net copy = net;
    Generator generator(1);
    const nn::Trace trace;
    static_cast<void>(net.bn(Variable<double>(randn<double>({2, 2, 3, 3}, generator))));
    CHECK(copy.bn.running_mean->value() == zeros<double>({2}));
    CHECK_FALSE(net.bn.running_mean->value() == zeros<double>({2}));
    const auto handle = nn::named_buffers<double>(net)[1];
    CHECK(handle.name == "bn.running_var");
    net = copy;
    CHECK(handle.buffer.value() == ones<double>({2}));  // the buffer keeps its identity
    REQUIRE(trace.entries().size() == 1);
    CHECK(std::string(trace.entries()[0].type) == "BatchNorm2d");
    CHECK(trace.entries()[0].layer == static_cast<const void*>(&net.bn));
}

TEST_CASE("batch norm layer: an empty batch changes no statistics") {  // as PyTorch
    for (const bool track : {true, false}) {
        const nn::BatchNorm2d<> norm(3, {.track_running_stats = track});
        const Variable<> x = leaf(zeros({0, 3, 4, 4}));
        const Variable<> y = norm(x);
        CHECK(y.shape() == Shape{0, 3, 4, 4});
        y.backward({.gradient = zeros(y.shape())});
        CHECK(norm.weight->grad() == zeros({3}));
        CHECK(norm.bias->grad() == zeros({3}));
        CHECK(x.grad().shape() == x.shape());
        if (!track) continue;
        CHECK(norm.running_mean->value() == zeros({3}));
        CHECK(norm.running_var->value() == ones({3}));
    }
    CHECK(nn::BatchNorm1d<>(3)(Variable<>(zeros({0, 3}))).shape() == Shape{0, 3});
    CHECK(nn::BatchNorm2d<>(3)(Variable<>(zeros({2, 3, 0, 4}))).shape() == Shape{2, 3, 0, 4});
}
