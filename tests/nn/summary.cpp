// SPDX-License-Identifier: MIT
#include "gradus/nn/summary.hpp"

#include <memory>
#include <variant>

#include "gradus/core/random.hpp"
#include "gradus/nn/activations.hpp"
#include "gradus/nn/batch_norm.hpp"
#include "gradus/nn/conv2d.hpp"
#include "gradus/nn/dropout.hpp"
#include "gradus/nn/flatten.hpp"
#include "gradus/nn/linear.hpp"
#include "gradus/nn/pool2d.hpp"
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

/// The table alone, without the line about memory.
template <class T = float, class Model>
std::string table_of(Model&& model, const Shape& input) {
    const std::string text = nn::summary<T>(model, input);
    return text.substr(0, text.find("memory: "));
}

}  // namespace

TEST_CASE("summary: a struct") {
    CHECK(table_of(Mlp(), {32, 1, 28, 28}) ==
          "layer       type       output  parameters  multiply-adds\n"
          "fc1         Linear  [32, 350]     274,750      8,780,800\n"
          "activation  ReLU    [32, 350]           0              0\n"
          "fc2         Linear   [32, 10]       3,510        112,000\n"
          "total                             278,260      8,892,800\n");
}

TEST_CASE("summary: memory") {
    // 3 numbers of parameters; x, both of them and y; then y alone
    const nn::Sequential net(nn::Linear<>(2, 1), nn::ReLU());
    CHECK(nn::summary(net, {1, 2}).ends_with("\nmemory: inference 36 B, training 32 B\n"));
    CHECK(nn::summary(nn::Linear<>(1000, 1000), {1, 1000})
              .ends_with("\nmemory: inference 8.02 MB, training 8.01 MB\n"));
}

TEST_CASE("summary: layers behind pointers and in variants; the model is as it was") {
    struct Net {
        std::unique_ptr<nn::Linear<>> fc = std::make_unique<nn::Linear<>>(2, 3);
        std::shared_ptr<nn::BatchNorm1d<>> norm = std::make_shared<nn::BatchNorm1d<>>(3);
        std::vector<std::unique_ptr<nn::Dropout>> dropout;
        std::variant<nn::ReLU, nn::Tanh> activation = nn::Tanh();

        Variable<> operator()(const Variable<>& x) const {
            const Variable<> y = (*dropout[0])((*norm)((*fc)(x)));
            return std::visit([&](const auto& f) { return f(y); }, activation);
        }
    };
    Net net;
    net.dropout.push_back(std::make_unique<nn::Dropout>());
    net.norm->training = false;
    CHECK(table_of(net, {1, 2}) ==
          "layer       type         output  parameters  multiply-adds\n"
          "fc          Linear       [1, 3]           9              6\n"
          "norm        BatchNorm1d  [1, 3]           6              0\n"
          "dropout.0   Dropout      [1, 3]           0              0\n"
          "activation  Tanh         [1, 3]           0              0\n"
          "total                                    15              6\n");
    CHECK((net.dropout[0]->training && !net.norm->training));
    net.norm->training = true;
    CHECK_THROWS_AS(nn::summary(net, {1, 5}), ShapeError);
    CHECK((net.dropout[0]->training && net.norm->training));

    const nn::Sequential shared(nn::Linear<>(2, 2), nn::Dropout());  // const: as a copy
    CHECK_THAT(nn::summary(shared, {1, 2}), ContainsSubstring("6              4\n"));
}

TEST_CASE("summary: a sequence") {
    const nn::Sequential net(nn::Flatten(), nn::Linear<>(4, 100), nn::ReLU(),
                             nn::Linear<>(100, 2, {.bias = false}), nn::ReLU());
    CHECK(table_of(net, {1, 2, 2}) ==
          "layer  type       output  parameters  multiply-adds\n"
          "0      Flatten    [1, 4]           0              0\n"
          "1      Linear   [1, 100]         500            400\n"
          "2      ReLU     [1, 100]           0              0\n"
          "3      Linear     [1, 2]         200            200\n"
          "4      ReLU       [1, 2]           0              0\n"
          "total                            700            600\n");
}

TEST_CASE("summary: layers with a constructor, and none of another's parameters") {
    const nn::Sequential net(nn::Conv2d<>(1, 2, {.kernel_size = 3}), nn::MaxPool2d({.kernel_size = 2}),
                             nn::AvgPool2d({.kernel_size = 2}), nn::AdaptiveAvgPool2d({2, 1}), nn::Flatten(),
                             nn::Linear<>(4, 1), nn::ReLU(), nn::ReLU(), nn::ReLU(), nn::ReLU(),
                             nn::Linear<>(1, 2));  // "10" begins like "1"
    CHECK(table_of(net, {1, 1, 18, 18}) ==
          "layer  type                       output  parameters  multiply-adds\n"
          "0      Conv2d             [1, 2, 16, 16]          20          4,608\n"
          "1      MaxPool2d            [1, 2, 8, 8]           0              0\n"
          "2      AvgPool2d            [1, 2, 4, 4]           0              0\n"
          "3      AdaptiveAvgPool2d    [1, 2, 2, 1]           0              0\n"
          "4      Flatten                    [1, 4]           0              0\n"
          "5      Linear                     [1, 1]           5              4\n"
          "6      ReLU                       [1, 1]           0              0\n"
          "7      ReLU                       [1, 1]           0              0\n"
          "8      ReLU                       [1, 1]           0              0\n"
          "9      ReLU                       [1, 1]           0              0\n"
          "10     Linear                     [1, 2]           4              2\n"
          "total                                             29          4,614\n");
}

TEST_CASE("summary: nested layers have their paths; the total knows what is no layer") {
    CHECK(table_of(Deep(), {1, 4}) ==
          "layer          type        output  parameters  multiply-adds\n"
          "blocks.0.fc    Linear      [1, 4]          16             16\n"
          "blocks.0.relu  ReLU        [1, 4]           0              0\n"
          "blocks.1.fc    Linear      [1, 4]          16             16\n"
          "blocks.1.relu  ReLU        [1, 4]           0              0\n"
          "head.0         Linear      [1, 3]          15             12\n"
          "head.1         LogSoftmax  [1, 3]           0              0\n"
          "total                                      51             44\n");
}

TEST_CASE("summary: a layer alone, one called twice, one that belongs to nobody, and doubles") {
    CHECK(table_of(nn::Linear<>(2, 3), {5, 2}) ==
          "layer    type    output  parameters  multiply-adds\n"
          "(model)  Linear  [5, 3]           9             30\n"
          "total                             9             30\n");
    struct Twice {
        nn::Linear<double> fc{1, 1};
        Variable<double> operator()(const Variable<double>& x) const { return nn::Tanh()(fc(fc(x))); }
    };
    CHECK(table_of<double>(Twice(), {1, 1}) ==
          "layer  type    output  parameters  multiply-adds\n"
          "fc     Linear  [1, 1]           2              1\n"
          "fc     Linear  [1, 1]           2              1\n"
          "?      Tanh    [1, 1]           0              0\n"
          "total                           2              2\n");
}

TEST_CASE("summary: records no history and leaves the model as it was") {
    const Mlp net;
    static_cast<void>(nn::summary(net, {1, 784}));
    CHECK(is_grad_enabled());
    CHECK_FALSE(net.fc1.weight.has_grad());
    CHECK(nn::detail::active_trace() == nullptr);
}

TEST_CASE("summary: a shape that does not fit comes out as the layer's error, with its path") {
    CHECK_THROWS_MATCHES(nn::summary(Mlp(), {1, 5}), ShapeError,
                         Message("fc1: linear: needs x [..., in] and weight [out, in]: got [1, 5] and [350, "
                                 "784]"));
    CHECK(is_grad_enabled());
    CHECK(nn::detail::active_trace() == nullptr);
    std::vector<nn::Linear<>> chain;
    for (Index i = 0; i < 10; ++i) chain.emplace_back(i == 6 ? 9 : 8, 8);
    struct Ten {
        std::vector<nn::Linear<>> fc;
        Variable<> operator()(Variable<> x) const {
            for (const auto& layer : fc) x = layer(x);
            return x;
        }
    };
    struct Outer {
        nn::Sequential<nn::ReLU, Ten> body;
        Variable<> operator()(const Variable<>& x) const { return body(x); }
    };
    const Outer net{nn::Sequential(nn::ReLU(), Ten{chain})};
    CHECK_THROWS_MATCHES(
        nn::summary(net, {2, 8}), ShapeError,
        Message("body.1.fc.6: linear: needs x [..., in] and weight [out, in]: got [2, 8] and "
                "[8, 9]"));
    CHECK_THROWS_MATCHES(nn::summary(chain[0], {2, 7}), ShapeError,  // no path, no prefix
                         Message("linear: needs x [..., in] and weight [out, in]: got [2, 7] and [8, 8]"));
    CHECK_THROWS_MATCHES(nn::summary(nn::Sequential(nn::Linear<>(4, 2)), {1, 2, 2}), ShapeError,
                         Message("0: linear: needs x [..., in] and weight [out, in]; flatten(x) first?: got "
                                 "[1, 2, 2] and [2, 4]"));
}

TEST_CASE("summary: normalization and dropout are not disturbed, and take a batch of one") {
    nn::Sequential net(nn::Linear<>(4, 3), nn::BatchNorm1d<>(3), nn::Residual(nn::Linear<>(3, 3)),
                       nn::Dropout(), nn::Dropout{.p = 0.1, .training = false});
    auto& norm = net.get<1>();
    const auto position = default_generator().position();
    CHECK(table_of(net, {1, 4}) ==
          "layer       type         output  parameters  multiply-adds\n"
          "0           Linear       [1, 3]          15             12\n"
          "1           BatchNorm1d  [1, 3]           6              0\n"
          "2.body      Linear       [1, 3]          12              9\n"
          "2.shortcut  Identity     [1, 3]           0              0\n"
          "2           Residual     [1, 3]          12              9\n"
          "3           Dropout      [1, 3]           0              0\n"
          "4           Dropout      [1, 3]           0              0\n"
          "total                                    33             21\n");
    CHECK_THROWS_AS(nn::summary(net, {1, 5}), ShapeError);
    CHECK(norm.training);
    CHECK(net.get<3>().training);
    CHECK_FALSE(net.get<4>().training);
    CHECK(norm.running_mean->value() == zeros({3}));
    CHECK(norm.running_var->value() == ones({3}));
    CHECK(default_generator().position() == position);
    const nn::Sequential constant = net;
    CHECK(nn::summary(constant, {1, 4}) == nn::summary(net, {1, 4}));
}
