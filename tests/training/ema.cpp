// SPDX-License-Identifier: MIT
#include "gradus/training/ema.hpp"

#include <memory>

#include "gradus/nn/linear.hpp"
#include "support/numbers.hpp"

using namespace gradus;

namespace {

template <class T = float>
struct Net {
    Parameter<T> weight{Tensor<T>{1, 2}};
    std::vector<Parameter<T>> more;
    Buffer<T> running{Tensor<T>{5}};
    bool training = true;
};

}  // namespace

TEST_CASE("ema: moves toward the model, by hand") {
    Net<> net;
    Ema ema(net, {.decay = 0.75});
    CHECK(ema.model().weight.value() == Tensor<>{1, 2});
    net.weight = {5, 2};
    net.running = {7};
    ema.update(net);
    CHECK(ema.model().weight.value() == Tensor<>{2, 2});
    CHECK(ema.model().running.value() == Tensor<>{7});  // copied
    ema.update(net);
    CHECK(ema.model().weight.value() == Tensor<>{2.75f, 2});
    CHECK(net.weight.value() == Tensor<>{5, 2});
    CHECK(ema.updates() == 2);
}

TEST_CASE("ema: with bias correction the first weights are forgotten") {
    Net<> net;
    Ema ema(net, {.decay = 0.5, .bias_correction = true});
    double sum[2] = {0, 0};
    for (int t = 1; t <= 5; ++t) {
        net.weight = {static_cast<float>(t * t), -3};
        ema.update(net);
        sum[0] = 0.5 * sum[0] + 0.5 * t * t;
        sum[1] = 0.5 * sum[1] - 0.5 * 3;
        const double correction = 1 - std::pow(0.5, t);
        CHECK(ema.model().weight.value()(0) == Approx(sum[0] / correction));
        CHECK(ema.model().weight.value()(1) == Approx(-3));
    }
}

TEST_CASE("ema: the averaged model is one of its own, in evaluation mode") {
    Net<> net;
    const Ema ema(net);
    CHECK(net.training);
    CHECK_FALSE(ema.model().training);
    net.weight = {9, 9};
    CHECK(ema.model().weight.value() == Tensor<>{1, 2});
    Ema copy = ema;  // and so is a copy of it
    copy.update(net);
    CHECK(copy.model().weight.value()(0) == Approx(1 + 8 * 0.001));
    CHECK(ema.model().weight.value() == Tensor<>{1, 2});
    net = copy.model();
    CHECK(net.weight.value() == copy.model().weight.value());
}

TEST_CASE("ema: a model of doubles, and one of layers") {
    Net<double> net;
    Ema<Net<double>, double> ema(net, {.decay = 0.9});
    net.weight = {2, 2};
    ema.update(net);
    CHECK(ema.model().weight.value()(0) == Approx(1.1).epsilon(1e-15));

    nn::Linear<> layer(3, 4);
    Ema layers(layer, {.decay = 0});
    nn::Linear<> other(3, 4);
    layers.update(other);
    check_numbers(layers.model().weight.value(), other.weight.value(), 1e-6f);
    check_numbers(layers.model().bias->value(), other.bias->value(), 1e-6f);
}

TEST_CASE("ema: a model whose copies share a layer is refused") {
    struct Shared {
        nn::Linear<> own{1, 1};
        std::shared_ptr<nn::Linear<>> fc = std::make_shared<nn::Linear<>>(1, 1);
    };
    CHECK_THROWS_MATCHES(Ema(Shared()), ValueError,
                         Message("ema: a copy of the model shares fc.weight with it, as copies of "
                                 "std::shared_ptr do: give the model a copy constructor that copies the "
                                 "layer, or hold it by value"));
}

TEST_CASE("ema: refusals") {
    const Net<> net;
    for (const auto& [bad, text] : {std::pair{-0.1, "-0.1"}, {1.0, "1"}, {std::nan(""), "nan"}})
        CHECK_THROWS_MATCHES(Ema(net, {.decay = bad}), ValueError,
                             Message(std::string("ema: decay must be at least 0 and below 1: got ") + text));
    Ema ema(net);
    Net<> larger = net, longer = net;
    larger.weight.mutable_value() = ones({3});
    longer.more.emplace_back(ones({1}));
    CHECK_THROWS_MATCHES(ema.update(larger), ShapeError,
                         Message("ema: a parameter changed shape; make a new Ema: got [3] and [2]"));
    CHECK_THROWS_MATCHES(ema.update(longer), ShapeError,
                         Message("ema: the model has another number of parameters now; make a new Ema"));
    CHECK(ema.updates() == 0);
}
