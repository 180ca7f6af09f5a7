// SPDX-License-Identifier: MIT
#include "gradus/nn/summary.hpp"

#include "gradus/core/random.hpp"
#include "gradus/nn/activations.hpp"
#include "gradus/nn/batch_norm.hpp"
#include "gradus/nn/dropout.hpp"
#include "gradus/nn/flatten.hpp"
#include "gradus/nn/linear.hpp"
#include "gradus/nn/residual.hpp"
#include "gradus/nn/sequential.hpp"
#include "support/numbers.hpp"

using namespace gradus;

namespace {

struct Mlp {
    nn::Linear<> fc1{784, 350}, fc2{350, 10};
    nn::ReLU activation;

    Variable<> operator()(const Variable<>& x) const { return fc2(activation(fc1(flatten(x)))); }
};

struct Block {
    nn::Linear<> fc{4, 4, {.bias = false}};
    nn::ReLU relu;

    Variable<> operator()(const Variable<>& x) const { return relu(fc(x)) + x; }
};

struct Deep {
    Parameter<> scale{ones({4})};
    std::vector<Block> blocks = std::vector<Block>(2);
    nn::Sequential<nn::Linear<>, nn::LogSoftmax> head{nn::Linear<>(4, 3), nn::LogSoftmax()};

    Variable<> operator()(Variable<> x) const {
        for (const Block& block : blocks) x = block(x * scale);
        return head(x);
    }
};

}  // namespace

TEST_CASE("summary: a struct") {
    CHECK(nn::summary(Mlp(), {32, 1, 28, 28}) ==
          "layer       type       output  parameters\n"
          "fc1         Linear  [32, 350]     274,750\n"
          "activation  ReLU    [32, 350]           0\n"
          "fc2         Linear   [32, 10]       3,510\n"
          "total                             278,260\n");
}

TEST_CASE("summary: a sequence") {
    const nn::Sequential net(nn::Flatten(), nn::Linear<>(4, 100), nn::ReLU(),
                             nn::Linear<>(100, 2, {.bias = false}), nn::ReLU());
    CHECK(nn::summary(net, {1, 2, 2}) ==
          "layer  type       output  parameters\n"
          "0      Flatten    [1, 4]           0\n"
          "1      Linear   [1, 100]         500\n"
          "2      ReLU     [1, 100]           0\n"
          "3      Linear     [1, 2]         200\n"
          "4      ReLU       [1, 2]           0\n"
          "total                            700\n");
}

TEST_CASE("summary: nested layers have their paths; the total knows what is no layer") {
    CHECK(nn::summary(Deep(), {1, 4}) ==
          "layer          type        output  parameters\n"
          "blocks.0.fc    Linear      [1, 4]          16\n"
          "blocks.0.relu  ReLU        [1, 4]           0\n"
          "blocks.1.fc    Linear      [1, 4]          16\n"
          "blocks.1.relu  ReLU        [1, 4]           0\n"
          "head.0         Linear      [1, 3]          15\n"
          "head.1         LogSoftmax  [1, 3]           0\n"
          "total                                      51\n");
}

TEST_CASE("summary: a layer alone, one called twice, one that belongs to nobody, and doubles") {
    CHECK(nn::summary(nn::Linear<>(2, 3), {5, 2}) ==
          "layer    type    output  parameters\n"
          "(model)  Linear  [5, 3]           9\n"
          "total                             9\n");
    struct Twice {
        nn::Linear<double> fc{1, 1};
        Variable<double> operator()(const Variable<double>& x) const { return nn::Tanh()(fc(fc(x))); }
    };
    CHECK(nn::summary<double>(Twice(), {1, 1}) ==
          "layer  type    output  parameters\n"
          "fc     Linear  [1, 1]           2\n"
          "fc     Linear  [1, 1]           2\n"
          "?      Tanh    [1, 1]           0\n"
          "total                           2\n");
}

TEST_CASE("summary: records no history and leaves the model as it was") {
    const Mlp net;
    static_cast<void>(nn::summary(net, {1, 784}));
    CHECK(is_grad_enabled());
    CHECK_FALSE(net.fc1.weight.has_grad());
    CHECK(nn::detail::active_trace() == nullptr);
}

TEST_CASE("summary: a shape that does not fit comes out as the layer's error") {
    CHECK_THROWS_MATCHES(
        nn::summary(Mlp(), {1, 5}), ShapeError,
        Message("linear: needs x [..., in] and weight [out, in]; flatten(x) first?: got [1, 5] and "
                "[350, 784]"));
    CHECK(is_grad_enabled());
    CHECK(nn::detail::active_trace() == nullptr);
}

TEST_CASE("summary: normalisation and dropout are not disturbed, and take a batch of one") {
    nn::Sequential net(nn::Linear<>(4, 3), nn::BatchNorm1d<>(3), nn::Residual(nn::Linear<>(3, 3)),
                       nn::Dropout(), nn::Dropout{.p = 0.1, .training = false});
    auto& norm = std::get<1>(net.layers);
    const auto position = default_generator().position();
    CHECK(nn::summary(net, {1, 4}) ==
          "layer       type         output  parameters\n"
          "0           Linear       [1, 3]          15\n"
          "1           BatchNorm1d  [1, 3]           6\n"
          "2.body      Linear       [1, 3]          12\n"
          "2.shortcut  Identity     [1, 3]           0\n"
          "3           Dropout      [1, 3]           0\n"
          "4           Dropout      [1, 3]           0\n"
          "total                                    33\n");
    CHECK_THROWS_AS(nn::summary(net, {1, 5}), ShapeError);
    CHECK(norm.training);
    CHECK(std::get<3>(net.layers).training);
    CHECK_FALSE(std::get<4>(net.layers).training);
    CHECK(norm.running_mean->value() == zeros({3}));
    CHECK(norm.running_var->value() == ones({3}));
    CHECK(default_generator().position() == position);
    const nn::Sequential constant = net;
    CHECK(nn::summary(constant, {1, 4}) == nn::summary(net, {1, 4}));
}
