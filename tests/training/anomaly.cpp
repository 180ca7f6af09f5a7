// SPDX-License-Identifier: MIT
#include "gradus/training/anomaly.hpp"

#include <memory>

#include "../../examples/support/resnet.hpp"
#include "gradus/gradus.hpp"
#include "support/numbers.hpp"
#include "support/random.hpp"

using namespace gradus;
using training::Anomaly;
using training::AnomalyError;

namespace {

struct Mlp {
    nn::Linear<> fc1{4, 8}, fc2{8, 3};
    nn::ReLU activation;

    Variable<> operator()(const Variable<>& x) const { return fc2(activation(fc1(x))); }
};

const Tensor<> x = random({5, 4}, 1);
const Tensor<Index> labels{0, 1, 2, 0, 1};

}  // namespace

TEST_CASE("anomaly: a healthy step is not disturbed, bit for bit") {
    Mlp watched, free = watched;
    cross_entropy(free(x), labels).backward();
    {
        const Anomaly anomaly(watched);
        cross_entropy(watched(x), labels).backward();
        CHECK_FALSE(anomaly.found());
    }
    CHECK(watched.fc1.weight.grad() == free.fc1.weight.grad());
    CHECK(watched.fc2.bias->grad() == free.fc2.bias->grad());
    CHECK(detail::tape_observer() == nullptr);
    CHECK(nn::detail::active_trace() == nullptr);
}

TEST_CASE("anomaly: data, parameters, a layer, an operation between layers") {
    Mlp net;
    SECTION("data") {
        const Anomaly anomaly(net);
        CHECK_THROWS_MATCHES(
            net(Tensor<>{{1, 2, NaN, 4}}), AnomalyError,
            Message("anomaly: forward: fc1: linear was given data that is not finite, 1 NaN and 0 "
                    "infinite of 4 numbers [1, 4]"));
    }
    SECTION("parameter") {
        net.fc2.weight.mutable_value().mutable_at(1, 1) = infinity;
        const Anomaly anomaly(net);
        CHECK_THROWS_MATCHES(
            net(x), AnomalyError,
            Message("anomaly: forward: the parameter fc2.weight is not finite, 0 NaN and 1 infinite "
                    "of 24 numbers [3, 8]"));
        CHECK(anomaly.found()->path == "fc2.weight");
    }
    SECTION("layer") {
        net.fc2.weight.mutable_value() = full({3, 8}, 3e38f);
        const Anomaly anomaly(net);
        CHECK_THROWS_WITH(net(x * 100),
                          ContainsSubstring("anomaly: forward: fc2: linear gave a result that is not "
                                            "finite"));
        CHECK(anomaly.found()->path == "fc2");
        CHECK(anomaly.found()->operation == "linear");
        CHECK_FALSE(anomaly.found()->backward);
    }
    SECTION("between layers") {
        const Anomaly anomaly(net);
        CHECK_THROWS_WITH(sum(log(net.fc1(x) - 100)),
                          ContainsSubstring("anomaly: forward: after fc1: log gave a "
                                            "result that is not finite, 40 NaN and 0 "
                                            "infinite of 40 numbers [5, 8]"));
    }
    SECTION("the loss") {
        const Anomaly anomaly(net);
        CHECK_THROWS_WITH(cross_entropy(net(x), Tensor<Index>{-100, -100, -100, -100, -100}),
                          ContainsSubstring("anomaly: forward: after fc2: cross_entropy gave a result"));
    }
}

TEST_CASE("anomaly: gradients name the rule, its layer and what it was for") {
    struct Root {
        nn::Linear<> fc{3, 2};
        Parameter<> scale{zeros({2})};
        Variable<> operator()(const Variable<>& in) const {
            const Variable<> root = sqrt(scale);
            return root * fc(in);
        }
    };
    Root net;
    const Anomaly anomaly(net, {.throws = false});
    sum(net(ones({1, 3}))).backward();
    REQUIRE(anomaly.found());
    CHECK(anomaly.found()->text ==
          "anomaly: backward: sqrt gave a gradient that is not finite for scale, 0 NaN and 2 infinite of 2 "
          "numbers "
          "[2]");
    CHECK(anomaly.found()->backward);
}

TEST_CASE("anomaly: the result of another operation gets the gradient") {
    Mlp net;
    const Anomaly anomaly(net);
    const Variable<> y = net.fc1(x);
    CHECK_THROWS_WITH(
        sum(sqrt(y * 0.0f)).backward(),
        ContainsSubstring("anomaly: backward: after fc1: sqrt gave a gradient that is not finite for the "
                          "result of mul, "));
}

TEST_CASE("anomaly: infinite numbers that are meant") {
    const Mlp net;
    const Anomaly anomaly(net);
    const Variable<> scores = leaf(random({2, 3}, 4));
    const Tensor<> mask{{0, 0, -infinity}, {0, -infinity, -infinity}};
    softmax(scores + mask, 1);  // given as data
    softmax(masked_fill(scores, mask < Tensor<>{0}, -infinity), 1);
    CHECK_FALSE(anomaly.found());
    const Anomaly only_nan(net, {.infinity = false});
    exp(scores * 1000 + 1000);
    CHECK_FALSE(only_nan.found());
    CHECK_THROWS_AS(log(scores * 0 - 1), AnomalyError);
}

TEST_CASE("anomaly: deferred and fused operations are seen when they are computed") {
    nn::Sequential net(nn::Conv2d<>(1, 8, {.kernel_size = 3}), nn::MaxPool2d({.kernel_size = 2}), nn::ReLU(),
                       nn::Flatten(), nn::Linear<>(8 * 9, 2));
    nn::Sequential watched = net;
    const Tensor<> images = random({4, 1, 8, 8}, 2);
    cross_entropy(net(images), {0, 1, 0, 1}).backward();
    {
        const Anomaly anomaly(watched);
        cross_entropy(watched(images), {0, 1, 0, 1}).backward();
        CHECK_FALSE(anomaly.found());
    }
    CHECK(net.get<0>().weight.grad() == watched.get<0>().weight.grad());
    watched.get<0>().weight.mutable_value() = full({8, 1, 3, 3}, 3e38f);
    const Anomaly anomaly(watched, {.throws = false});
    watched(images * 10);
    REQUIRE(anomaly.found());
    CHECK(anomaly.found()->path == "2");  // the three are one operation, which ends in the relu
    CHECK(anomaly.found()->operation == "conv2d + max_pool2d + relu");
}

TEST_CASE("anomaly: a ResNet in training mode") {
    ResNet18<> net{.classes = 10};
    const Tensor<> images = random({2, 3, 32, 32}, 5);
    Anomaly anomaly(net);
    cross_entropy(net(images), {1, 2}).backward();
    CHECK_FALSE(anomaly.found());
    std::string broken;
    for (auto& [name, parameter] : nn::named_parameters(net)) {
        if (name.find("weight") == std::string::npos || parameter.rank() != 1) continue;
        parameter.mutable_value() = full(parameter.shape(), 1e38f);
        broken = name.substr(0, name.rfind('.'));
        break;
    }
    CHECK_THROWS_WITH(net(images * 1e3f), ContainsSubstring("is not finite"));
}

TEST_CASE("anomaly: with a NoGrad, whichever ends first") {
    const Mlp net;
    auto anomaly = std::make_unique<Anomaly>(net);
    {
        const NoGrad guard;
        anomaly.reset();
        CHECK_FALSE(is_grad_enabled());
        CHECK(detail::tape_observer() == nullptr);
        anomaly = std::make_unique<Anomaly>(net);
        CHECK_THROWS_AS(log(net(x) - 100), AnomalyError);
    }
    CHECK(is_grad_enabled());
    CHECK_THROWS_AS(log(net(x) - 100), AnomalyError);
}

TEST_CASE("anomaly: doubles") {
    nn::Linear<double> fc(2, 2);
    const auto anomaly = Anomaly::of<double>(fc);
    CHECK_THROWS_WITH(log(fc(zeros<double>({1, 2})) * 0.0 - 1.0),
                      ContainsSubstring("after (model): log gave"));
}
