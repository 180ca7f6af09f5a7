// SPDX-License-Identifier: MIT
// One model with all layers goes through everything that can be done with a model.

#include <filesystem>
#include <fstream>
#include <memory>
#include <regex>
#include <set>
#include <sstream>

#include "gradus/autograd/backward.hpp"
#include "gradus/nn/activations.hpp"
#include "gradus/nn/batch_norm.hpp"
#include "gradus/nn/conv2d.hpp"
#include "gradus/nn/copy_values.hpp"
#include "gradus/nn/dropout.hpp"
#include "gradus/nn/embedding.hpp"
#include "gradus/nn/flatten.hpp"
#include "gradus/nn/layer_norm.hpp"
#include "gradus/nn/linear.hpp"
#include "gradus/nn/model.hpp"
#include "gradus/nn/pool2d.hpp"
#include "gradus/nn/residual.hpp"
#include "gradus/nn/sequential.hpp"
#include "gradus/nn/summary.hpp"
#include "gradus/ops/arithmetic.hpp"
#include "gradus/ops/reduce.hpp"
#include "gradus/optim/sgd.hpp"
#include "support/numbers.hpp"

using namespace gradus;

namespace {

/// Images [batch, 2, 8, 8] to log-probabilities [batch, 3]. A new layer belongs in here.
template <class T = float>
struct EveryLayer {
    nn::Conv2d<T> conv{2, 4, {.kernel_size = 3, .padding = 1}};
    nn::BatchNorm2d<T> norm2d{4};
    nn::ReLU relu;
    nn::MaxPool2d max_pool{{.kernel_size = 2}};
    nn::AvgPool2d avg_pool{{.kernel_size = 2}};
    nn::AdaptiveAvgPool2d adaptive_pool{Size2(2, 2)};
    nn::GlobalAvgPool2d global_avg;
    nn::GlobalMaxPool2d global_max;
    nn::Flatten flatten;
    nn::Linear<T> fc{16, 6};
    nn::BatchNorm1d<T> norm1d{6, {.momentum = std::nullopt}};
    nn::LayerNorm<T> layer_norm{Shape{6}};
    nn::Embedding<T> embedding{5, 6, {.padding_idx = 0}};
    nn::Sequential<nn::LeakyReLU, nn::ELU, nn::GELU, nn::SiLU, nn::Sigmoid, nn::Tanh, nn::Softplus,
                   nn::Softmax>
        activations{{}, {}, {}, {}, {}, {}, {}, {}};
    nn::Residual<nn::Sequential<nn::Linear<T>, nn::Dropout>> residual{
        nn::Sequential(nn::Linear<T>(6, 6), nn::Dropout{.p = 0.25})};
    nn::Linear<T> head{6, 3, {.bias = false}};
    nn::LogSoftmax log_softmax;

    Variable<T> operator()(const Variable<T>& images) const {
        const Variable<T> maps = relu(norm2d(conv(images)));
        const Variable<T> pooled = adaptive_pool(avg_pool(max_pool(maps)));
        Variable<T> x = layer_norm(norm1d(fc(flatten(pooled))));
        x = x + embedding(Tensor<Index>{2}) + mean(global_avg(maps)) - mean(global_max(maps));
        return log_softmax(head(residual(activations(x))));
    }
};

const Shape input{5, 2, 8, 8};

template <class T>
std::vector<std::string> names(EveryLayer<T>& net) {
    std::vector<std::string> result;
    for (const auto& named : nn::named_parameters<T>(net)) result.push_back(named.name);
    return result;
}

/// All numbers of the model, one after the other.
template <class T>
std::vector<T> numbers(EveryLayer<T> net) {
    std::vector<T> all;
    const auto append = [&](const Tensor<T>& x) { all.insert(all.end(), x.begin(), x.end()); };
    for (const auto& parameter : nn::parameters<T>(net)) append(parameter.value());
    for (const auto& buffer : nn::buffers<T>(net)) append(buffer.value());
    return all;
}

/// What the layers in include/gradus/nn call themselves.
std::set<std::string> types_in_headers() {
    namespace fs = std::filesystem;
    const fs::path headers =
        fs::path(__FILE__).parent_path().parent_path().parent_path() / "include" / "gradus" / "nn";
    const std::regex type("static constexpr const char\\* type = \"(\\w+)\"");
    std::set<std::string> types;
    for (const auto& entry : fs::recursive_directory_iterator(headers)) {
        std::stringstream text;
        text << std::ifstream(entry.path()).rdbuf();
        const std::string all = text.str();
        for (std::sregex_iterator at(all.begin(), all.end(), type), end; at != end; ++at)
            types.insert((*at)[1].str());
    }
    return types;
}

}  // namespace

TEST_CASE("every layer: the model below has them all") {
    const EveryLayer<> net;
    const nn::Trace trace;
    net(Variable<>(ones(input)));
    std::set<std::string> called;
    for (const auto& entry : trace.entries()) called.insert(entry.type);
    const std::set<std::string> known = types_in_headers();
    REQUIRE(known.size() > 20);
    CHECK(called == known);  // one is missing: add it to EveryLayer
}

/// What makes a struct a layer: a name for traces and summaries, and fields that models find.
template <class X>
concept Layer = is_reflectable<X> && requires {
    { X::type } -> std::convertible_to<std::string>;
};

TEST_CASE("every layer: has a type, and fields that can be looked into") {
    EveryLayer<> net;
    std::set<std::string> types;
    for_each_field(net, [&]<class X>(std::string_view, X& layer) {
        const auto add = [&]<class L>(const L&) {
            STATIC_REQUIRE(Layer<L>);
            types.insert(L::type);
        };
        if constexpr (requires { layer.layers; })  // of a Sequential, which calls others
            std::apply([&](const auto&... each) { (add(each), ...); }, layer.layers);
        else
            add(layer);
    });
    types.insert({"Dropout", "Identity"});  // inside of the residual
    CHECK(types == types_in_headers());
}

TEST_CASE("every layer: parameters and buffers have names, and are counted") {
    EveryLayer<> net;
    CHECK(names(net) == std::vector<std::string>{"conv.weight", "conv.bias", "norm2d.weight", "norm2d.bias",
                                                 "fc.weight", "fc.bias", "norm1d.weight", "norm1d.bias",
                                                 "layer_norm.weight", "layer_norm.bias", "embedding.weight",
                                                 "residual.body.0.weight", "residual.body.0.bias",
                                                 "head.weight"});
    CHECK(nn::parameter_count(net) == 76 + 8 + 102 + 12 + 12 + 30 + 42 + 18);
    std::vector<std::string> buffers;
    for (const auto& named : nn::named_buffers(net)) buffers.push_back(named.name);
    CHECK(buffers == std::vector<std::string>{"norm2d.running_mean", "norm2d.running_var",
                                              "norm1d.running_mean", "norm1d.running_var"});
    CHECK(nn::buffers(net).size() == 4);
    CHECK(nn::buffers<Index>(net).size() == 2);  // num_batches_tracked
}

TEST_CASE("every layer: in a summary, which leaves the model as it was") {
    const EveryLayer<> net;
    const auto before = numbers(net);
    const std::string text = nn::summary(net, input);
    for (const std::string& type : types_in_headers()) CHECK_THAT(text, ContainsSubstring(" " + type + " "));
    CHECK_THAT(text, ContainsSubstring("total") && ContainsSubstring("          300  "));
    CHECK_THAT(text, ContainsSubstring("residual.body.0 ") && !ContainsSubstring("?"));
    CHECK(numbers(net) == before);
    CHECK(nn::named_layers(net).size() == 27);
}

TEST_CASE("every layer: trains, evaluates, and every parameter gets a gradient") {
    EveryLayer<> net;
    Generator generator(3);
    const Variable<> x(randn(input, generator));
    nn::eval(net);
    const auto before = numbers(net);
    CHECK(net(x).value() == net(x).value());  // no dropout
    CHECK(numbers(net) == before);            // and no statistics
    nn::train(net);
    optim::SGD sgd(nn::named_parameters(net), {.lr = 0.1});
    const Variable<> y = net(x);
    CHECK(y.shape() == Shape{5, 3});
    CHECK_FALSE(nn::buffers(net)[0].value() == zeros({4}));
    mean(square(y)).backward();
    for (const auto& [name, parameter] : nn::named_parameters(net)) {
        INFO(name);
        CHECK(parameter.has_grad());
    }
    sgd.step();
    CHECK_FALSE(numbers(net) == before);
    CHECK_FALSE(net(x).value() == net(x).value());  // dropout draws again
}

TEST_CASE("every layer: copies, assignments and moves") {
    EveryLayer<> net;
    Generator generator(4);
    const Variable<> x(randn(input, generator));
    net(x);  // moves the running statistics
    EveryLayer<> copy = net, other;
    CHECK(numbers(copy) == numbers(net));
    CHECK_FALSE(numbers(other) == numbers(net));
    for (auto& parameter : nn::parameters(copy)) parameter.set_value(zeros(parameter.shape()));
    CHECK_FALSE(numbers(copy) == numbers(net));  // has numbers of its own

    const auto handles = nn::parameters(other);
    other = net;
    CHECK(numbers(other) == numbers(net));
    CHECK(handles[0].value() == net.conv.weight.value());  // the same parameter as before
    EveryLayer<> moved = std::move(other);
    CHECK(numbers(moved) == numbers(net));
    CHECK(&nn::parameters(moved)[0].node() == &handles[0].node());
    net = EveryLayer<>();
    CHECK_FALSE(numbers(moved) == numbers(net));
    std::swap(net, copy);
    CHECK(nn::parameters(net)[0].value() == zeros({4, 2, 3, 3}));
}

TEST_CASE("every layer: cast to double and back") {
    EveryLayer<> net;
    Generator generator(5);
    const Variable<> x(randn(input, generator));
    net(x);
    EveryLayer<double> exact;
    nn::copy_values(net, exact);
    CHECK(names(exact) == names(net));
    CHECK(nn::parameter_count<double>(exact) == nn::parameter_count(net));
    const auto doubles = numbers(exact);
    const auto floats = numbers(net);
    CHECK(doubles == std::vector<double>(floats.begin(), floats.end()));
    nn::eval(net);
    nn::eval(exact);
    const Variable<double> y = exact(Variable<double>(cast<double>(x.value())));
    check_numbers(net(x).value(), cast<float>(y.value()), 1e-5f);
    mean(square(y)).backward();
    CHECK(exact.conv.weight.has_grad());
    CHECK_THAT(nn::summary<double>(exact, input), ContainsSubstring("          300  "));

    EveryLayer<> back;
    nn::copy_values(exact, back);
    CHECK(numbers(back) == floats);
}

TEST_CASE("copy_values: through pointers, whose layers may be held otherwise") {
    struct Net {
        std::unique_ptr<nn::Linear<>> fc = std::make_unique<nn::Linear<>>(2, 2);
    };
    struct Exact {
        nn::Linear<double> fc{2, 2};
    };
    Net net;
    Exact exact;
    nn::copy_values(net, exact);
    CHECK(exact.fc.weight.value() == cast<double>(net.fc->weight.value()));
}

TEST_CASE("copy_values: refuses another model, and changes nothing") {
    nn::Sequential net(nn::Linear<>(2, 2), nn::Linear<>(2, 2, {.bias = false}));
    const Tensor<> before = net.get<0>().weight.value();
    const auto refuses = [&](const auto& from, const std::string& text) {
        CHECK_THROWS_MATCHES(nn::copy_values(from, net), Error, Message("copy_values: " + text));
        CHECK(net.get<0>().weight.value() == before);
    };
    const std::string rule = "the models must have the same parameters and buffers: got ";
    const nn::Linear<> a(2, 2);
    const nn::Linear<double> wide(3, 2, {.bias = false});
    refuses(nn::Sequential(a, a), rule + "1.bias and nothing");
    refuses(nn::Sequential(a), rule + "nothing and 1.weight");
    refuses(a, rule + "weight and 0.weight");
    refuses(nn::Sequential(nn::Linear<double>(2, 2), wide),
            "1.weight has another shape: got [2, 3] and [2, 2]");
}
