// SPDX-License-Identifier: MIT
#include "gradus/nn/model.hpp"

#include <any>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <span>
#include <unordered_map>
#include <variant>

#include "gradus/core/random.hpp"
#include "gradus/nn/activations.hpp"
#include "gradus/nn/batch_norm.hpp"
#include "gradus/nn/dropout.hpp"
#include "gradus/nn/linear.hpp"
#include "gradus/nn/pool2d.hpp"
#include "gradus/nn/residual.hpp"
#include "gradus/nn/sequential.hpp"
#include "gradus/ops/conv2d.hpp"
#include "support/numbers.hpp"

using namespace gradus;

namespace {

using Names = std::vector<std::string>;

template <class T = float, class Model>
Names names(Model&& model) {
    Names result;
    for (const auto& [name, parameter] : nn::named_parameters<T>(model)) result.push_back(name);
    return result;
}

struct Mlp {
    int hidden = 4;
    nn::Linear<> fc1{3, hidden};
    nn::Linear<> fc2{hidden, 2};

    Variable<> operator()(const Variable<>& x) const { return fc2(relu(fc1(x))); }
};

/// A layer that behaves differently while training.
struct Noise {
    double strength = 0.1;
    bool training = true;
};

struct Block {
    nn::Linear<> fc{2, 2, {.bias = false}};
    Noise noise;
    Parameter<> scale{Tensor<>{1, 1}};
};

struct Everything {
    std::string title = "x";
    std::vector<Block> blocks = std::vector<Block>(2);
    std::array<nn::Linear<>, 2> heads{nn::Linear<>(2, 1), nn::Linear<>(2, 1, {.bias = false})};
    std::optional<Block> extra;
    std::tuple<nn::ReLU, Parameter<>> pieces{nn::ReLU(), Parameter<>(zeros({3}))};
    std::pair<Noise, Parameter<>> pair{Noise(), Parameter<>(zeros({1}))};
    nn::Sequential<nn::Linear<>, nn::ReLU, Block> net{nn::Linear<>(2, 2), nn::ReLU(), Block()};
    std::vector<bool> flags{true, false};
    Tensor<> constant = zeros({2});
    Variable<> variable{zeros({2})};
};

/// A model with a constructor and private members lists its fields.
class Listed {
public:
    explicit Listed(Index width) : fc_(width, width), scale_(ones({width})) {}
    Variable<> operator()(const Variable<>& x) const { return fc_(x) * scale_; }
    auto fields() { return std::tuple(field("fc", fc_), field("scale", scale_)); }

private:
    nn::Linear<> fc_;
    Parameter<> scale_;
};

struct Normed {
    nn::Linear<> fc{2, 3};
    nn::BatchNorm1d<> bn{3};
    std::vector<nn::BatchNorm2d<>> more =
        std::vector<nn::BatchNorm2d<>>(1, nn::BatchNorm2d<>(2, {.affine = false}));
    Buffer<> count{zeros({})};

    Variable<> operator()(const Variable<>& x) const { return bn(fc(x)); }
};

struct Holder {
    std::unique_ptr<nn::Linear<>> inner;
};

struct Chain {  // a type that contains itself
    std::unique_ptr<Chain> next;
    int number = 0;
};

struct ChainOfLayers {
    std::unique_ptr<ChainOfLayers> next;
    nn::Linear<> fc{1, 1};
};

struct Layer {  // a base class for layers
    virtual ~Layer() = default;
    virtual Variable<> operator()(const Variable<>& x) const = 0;
};

struct Undefined;

template <class X>
constexpr bool hidden = nn::detail::is_hidden<nn::detail::HiddenPart<std::tuple<X>>>;

}  // namespace

TEST_CASE("model: parameters in order of declaration, with paths") {
    Mlp net;
    CHECK(names(net) == Names{"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"});
    const auto parameters = nn::parameters(net);
    REQUIRE(parameters.size() == 4);
    CHECK(parameters[0].shape() == Shape{4, 3});
    CHECK(parameters[3].shape() == Shape{2});
    for (const auto& parameter : parameters) CHECK((parameter.is_leaf() && parameter.requires_grad()));
    CHECK(&parameters[2].node() == &net.fc2.weight.node());
    CHECK(nn::parameter_count(net) == 4 * 3 + 4 + 2 * 4 + 2);
}

TEST_CASE("model: parameters through every kind of container") {
    Everything model;
    const Names without_extra = {
        "blocks.0.fc.weight", "blocks.0.scale",  "blocks.1.fc.weight", "blocks.1.scale", "heads.0.weight",
        "heads.0.bias",       "heads.1.weight",  "pieces.1",           "pair.1",         "net.0.weight",
        "net.0.bias",         "net.2.fc.weight", "net.2.scale"};
    CHECK(names(model) == without_extra);
    model.extra.emplace();
    Names all = without_extra;
    all.insert(all.begin() + 7, {"extra.fc.weight", "extra.scale"});
    CHECK(names(model) == all);
    CHECK(nn::parameter_count(model) == 6 + 6 + 3 + 2 + 6 + 3 + 1 + 6 + 6);
}

TEST_CASE("model: containers, layers and listed fields are models, too") {
    CHECK(names(nn::Linear<>(2, 3)) == Names{"weight", "bias"});
    CHECK(names(nn::Linear<>(2, 3, {.bias = false})) == Names{"weight"});
    CHECK(names(std::vector<nn::Linear<>>{nn::Linear<>(1, 1), nn::Linear<>(1, 1, {.bias = false})}) ==
          Names{"0.weight", "0.bias", "1.weight"});
    CHECK(names(std::tuple(nn::ReLU(), Listed(2))) == Names{"1.fc.weight", "1.fc.bias", "1.scale"});
    CHECK(names(Listed(2)) == Names{"fc.weight", "fc.bias", "scale"});
    CHECK(names(nn::ReLU()).empty());
    CHECK(nn::parameter_count(nn::ReLU()) == 0);
    struct Local {
        nn::Linear<> only{1, 2};
    };
    CHECK(names(Local()) == Names{"only.weight", "only.bias"});
}

TEST_CASE("model: of doubles") {
    struct Net {
        nn::Linear<double> fc{2, 1};
    };
    Net net;
    CHECK(names<double>(net) == Names{"fc.weight", "fc.bias"});
    CHECK(nn::parameter_count<double>(net) == 3);
    CHECK(net.fc(Variable<double>(ones<double>({4, 2}))).shape() == Shape{4, 1});
}

TEST_CASE("model: what a handle changes, the model sees") {
    Mlp net;
    for (auto& parameter : nn::parameters(net)) parameter.set_value(ones(parameter.shape()));
    CHECK(net(Variable<>(ones({1, 3}))).value() == full({1, 2}, 17));  // 4 (3 + 1) + 1
    for (auto& [name, parameter] : nn::named_parameters(net))
        if (name == "fc2.bias") parameter.set_requires_grad(false);
    CHECK_FALSE(net.fc2.bias->requires_grad());
    CHECK(nn::parameters(net).size() == 4);  // a frozen parameter is still one
}

TEST_CASE("model: a copy has weights of its own") {
    Mlp net;
    Mlp copy = net;
    CHECK(copy.fc1.weight.value() == net.fc1.weight.value());
    CHECK(&copy.fc1.weight.node() != &net.fc1.weight.node());
    copy.fc1.weight = zeros({4, 3});
    CHECK_FALSE(copy.fc1.weight.value() == net.fc1.weight.value());

    net.fc2.bias->set_grad(ones({2}));
    CHECK_FALSE(Mlp(net).fc2.bias->has_grad());  // weights, not gradients
    net.fc2.bias->set_requires_grad(false);
    CHECK_FALSE(Mlp(net).fc2.bias->requires_grad());

    const auto handle = nn::parameters(net)[0];
    net = copy;  // keeps the identity
    CHECK(handle.value() == zeros({4, 3}));
    CHECK(&handle.node() == &net.fc1.weight.node());
    std::vector<Mlp> models;
    for (int i = 0; i < 5; ++i) models.push_back(net);
    CHECK(&models[3].fc1.weight.node() != &models[4].fc1.weight.node());
    net = Mlp{5};  // of another size: other parameters
    CHECK(net.fc1.weight.shape() == Shape{5, 3});
    CHECK(net(Variable<>(ones({1, 3}))).shape() == Shape{1, 2});
    CHECK(handle.value() == zeros({4, 3}));
}

TEST_CASE("model: growing a vector of layers keeps their parameters' identity") {
    std::vector<nn::Linear<>> layers;
    layers.emplace_back(1, 1);
    const auto handle = nn::parameters(layers)[0];
    for (int i = 0; i < 20; ++i) layers.emplace_back(1, 1);
    CHECK(&handle.node() == &layers[0].weight.node());
}

TEST_CASE("model: a layer used twice gets the sum of both gradients, a parameter once in the list") {
    struct Twice {
        nn::Linear<> fc{1, 1, {.bias = false}};
        Variable<> operator()(const Variable<>& x) const { return fc(fc(x)); }
    };
    Twice net;
    net.fc.weight = Tensor<>{{3}};
    CHECK(nn::parameters(net).size() == 1);
    net(Variable<>(Tensor<>{{2}})).backward();
    CHECK(net.fc.weight.grad().item() == 12);  // d(w² x)/dw = 2 w x
}

TEST_CASE("model: train and eval reach every layer") {
    Everything model;
    model.extra.emplace();
    const auto all = [&](bool training) {
        return model.blocks[0].noise.training == training && model.blocks[1].noise.training == training &&
               model.extra->noise.training == training && model.pair.first.training == training &&
               model.net.get<2>().noise.training == training;
    };
    CHECK(all(true));
    nn::eval(model);
    CHECK(all(false));
    CHECK(model.flags == std::vector<bool>{true, false});
    nn::train(model);
    CHECK(all(true));
    Noise layer;
    nn::eval(layer);
    CHECK_FALSE(layer.training);
}

TEST_CASE("model: buffers have names, in order of declaration, and are no parameters") {
    Normed net;
    Names found;
    for (const auto& [name, buffer] : nn::named_buffers(net)) found.push_back(name);
    CHECK(found ==
          Names{"bn.running_mean", "bn.running_var", "more.0.running_mean", "more.0.running_var", "count"});
    CHECK(names(net) == Names{"fc.weight", "fc.bias", "bn.weight", "bn.bias"});
    CHECK(nn::parameter_count(net) == 6 + 3 + 3 + 3);
    const auto buffers = nn::buffers(net);
    REQUIRE(buffers.size() == 5);
    CHECK(&buffers[1].node() == &net.bn.running_var->node());
    for (const auto& buffer : buffers) CHECK((buffer.is_leaf() && !buffer.requires_grad()));
    CHECK(nn::buffers<double>(net).empty());
    nn::Linear<> fc(2, 3);
    CHECK(nn::buffers(fc).empty());
    for (auto buffer : nn::buffers(net)) buffer.set_value(full(buffer.shape(), 5));
    CHECK(net.bn.running_mean->value() == full({3}, 5));
    CHECK(net.count.item() == 5);
}

TEST_CASE("model: buffers are copied and assigned with the model") {
    Generator generator(1);
    Normed net;
    const Normed before = net;
    static_cast<void>(net(Variable<>(randn({8, 2}, generator))));
    const Tensor<> mean = net.bn.running_mean->value();
    CHECK_FALSE(mean == zeros({3}));
    CHECK(before.bn.running_mean->value() == zeros({3}));
    const Normed copy = net;
    CHECK(copy.bn.running_mean->value() == mean);
    const auto handle = nn::buffers(net)[0];
    net = before;
    CHECK(handle.value() == zeros({3}));
    CHECK(copy.bn.running_mean->value() == mean);
}

TEST_CASE("model: structures that the walk does not enter are refused if they hold parameters") {
    CHECK(hidden<std::unique_ptr<nn::Linear<>[]>>);  // of how many?
    CHECK(hidden<std::unique_ptr<Layer>>);           // what is behind a base class?
    CHECK(hidden<std::shared_ptr<const Mlp>>);       // not to be changed
    CHECK(hidden<std::weak_ptr<Mlp>>);
    CHECK(hidden<std::unordered_map<std::string, nn::Linear<>>>);  // in another order in every copy
    CHECK(hidden<std::multimap<int, nn::Linear<>>>);               // one name for several
    CHECK(hidden<std::map<double, nn::Linear<>>>);                 // no name
    CHECK(hidden<std::set<Parameter<>>>);
    CHECK(hidden<std::span<nn::Linear<>>>);
    CHECK(hidden<std::deque<std::function<Variable<>(const Variable<>&)>>>);
    CHECK(hidden<std::unique_ptr<std::vector<Mlp*>>>);
}

TEST_CASE("model: parameters behind pointers, in variants, maps and lists") {
    struct Net {
        std::unique_ptr<nn::Linear<>> first = std::make_unique<nn::Linear<>>(2, 2);
        std::shared_ptr<Block> block = std::make_shared<Block>();
        std::unique_ptr<nn::Linear<>> none;
        std::variant<nn::ReLU, nn::Linear<>, Block> chosen;
        std::map<std::string, nn::Linear<>> heads{{"b", {2, 1}}, {"a", {2, 1, {.bias = false}}}};
        std::map<int, std::unique_ptr<Noise>> noises;
        std::deque<std::shared_ptr<Block>> blocks{nullptr, std::make_shared<Block>()};
        std::list<Parameter<>> scales{Parameter<>(zeros({1}))};
    };
    Net net;
    net.noises[-3] = std::make_unique<Noise>();
    const Names expected = {"first.weight",   "first.bias",     "block.fc.weight", "block.scale",
                            "heads.a.weight", "heads.b.weight", "heads.b.bias",    "blocks.1.fc.weight",
                            "blocks.1.scale", "scales.0"};
    CHECK(names(net) == expected);
    CHECK(nn::parameter_count(net) == 6 + 6 + 2 + 3 + 6 + 1);
    CHECK(&nn::parameters(net)[0].node() == &net.first->weight.node());
    net.chosen = Block();
    net.none = std::make_unique<nn::Linear<>>(1, 1, nn::LinearOptions{.bias = false});
    Names more = expected;
    more.insert(more.begin() + 4, {"none.weight", "chosen.fc.weight", "chosen.scale"});
    CHECK(names(net) == more);

    nn::eval(net);
    CHECK_FALSE(net.block->noise.training);
    CHECK_FALSE(net.blocks[1]->noise.training);
    CHECK_FALSE(net.noises[-3]->training);
    CHECK_FALSE(std::get<Block>(net.chosen).noise.training);
    nn::train(net);
    CHECK((net.block->noise.training && net.noises[-3]->training));
}

TEST_CASE("model: what two pointers share is one part") {
    struct Net {
        std::shared_ptr<Mlp> encoder = std::make_shared<Mlp>(), decoder = encoder;
    };
    Net net;
    CHECK(names(net) ==
          Names{"encoder.fc1.weight", "encoder.fc1.bias", "encoder.fc2.weight", "encoder.fc2.bias"});
    struct Ring {
        std::shared_ptr<Ring> next;
        nn::Linear<> fc{1, 1, {.bias = false}};
    };
    Ring ring;
    ring.next = std::make_shared<Ring>();
    ring.next->next = ring.next;
    CHECK(names(ring) == Names{"next.fc.weight", "fc.weight"});
    ring.next->next = nullptr;
}

TEST_CASE("model: what cannot be looked into is known") {
    class WithForward {
    public:
        explicit WithForward(Index width) : fc_(width, width) {}
        Variable<> forward(const Variable<>& x) const { return fc_(x); }

    private:
        nn::Linear<> fc_;
    };
    class OfThree : WithForward {
    public:
        using WithForward::WithForward;
        Variable<> operator()(const Variable<>& q, const Variable<>&, const Variable<>&) const { return q; }
    };
    class NotConst : WithForward {
    public:
        using WithForward::WithForward;
        Variable<> operator()(const Variable<>& x) { return forward(x); }
    };
    class OfIndices : WithForward {
    public:
        using WithForward::WithForward;
        Variable<> operator()(const Tensor<Index>& x) const { return forward(Variable<>(cast<float>(x))); }
    };
    class Switch {
    public:
        void turn() { training_ = p_ > 0; }

    private:
        float p_ = 0;
        bool training_ = false;
    };
    struct Derived : Mlp {
        nn::Linear<> more{1, 1};
    };
    struct DerivedFromLayer : nn::Linear<> {
        DerivedFromLayer() : nn::Linear<>(1, 1) {}
        nn::Dropout dropout;  // not in the fields() of the base class
    };
    struct SameAsLayer : nn::Linear<> {
        SameAsLayer() : nn::Linear<>(1, 1) {}
    };
    struct WithReference {
        nn::Linear<>& tied;
        nn::Linear<> own{1, 1};
    };
    struct NoFields {  // not those of gradus::field
        nn::Linear<> fc{1, 1};
        auto fields() { return std::tie(fc); }
    };
    CHECK(hidden<WithForward>);
    CHECK(hidden<OfThree>);
    CHECK(hidden<NotConst>);
    CHECK(hidden<OfIndices>);
    CHECK(hidden<Switch>);
    CHECK(hidden<Derived>);
    CHECK(hidden<DerivedFromLayer>);
    CHECK_FALSE(hidden<SameAsLayer>);
    CHECK(hidden<WithReference>);
    CHECK(hidden<NoFields>);
    CHECK(hidden<nn::Linear<>*>);
    CHECK(hidden<const Mlp*>);
    CHECK(hidden<nn::Dropout*>);
    CHECK(hidden<nn::Linear<>**>);
    CHECK(hidden<Layer*>);
    CHECK(hidden<std::vector<Mlp*>>);
    CHECK(hidden<std::array<std::optional<WithForward>, 2>>);
    CHECK(hidden<std::unique_ptr<Undefined>>);
    CHECK(hidden<std::reference_wrapper<nn::Linear<>>>);
    CHECK(hidden<std::function<float(float)>>);
    CHECK(hidden<std::any>);
    nn::Linear<> outside(1, 1);
    const auto by_reference = [&](const Variable<>& x) { return outside(x); };
    const auto by_value = [outside](const Variable<>& x) { return outside(x); };
    CHECK(hidden<std::remove_const_t<decltype(by_reference)>>);
    CHECK(hidden<std::remove_const_t<decltype(by_value)>>);
    // which part it is
    struct Inner {
        std::vector<WithForward> list;
    };
    struct Outer {
        nn::Linear<> fc{1, 1};
        Inner inner;
        std::any other;
    };
    STATIC_REQUIRE(std::is_same_v<nn::detail::HiddenPart<Outer>, nn::detail::Hidden<WithForward>>);
    STATIC_REQUIRE(std::is_same_v<nn::detail::HiddenPart<Mlp>, nn::detail::InSight>);
    STATIC_REQUIRE(std::is_same_v<nn::detail::HiddenPart<WithForward>, nn::detail::Hidden<WithForward>>);
    STATIC_REQUIRE(std::is_same_v<nn::detail::HiddenPart<int>, nn::detail::Hidden<int>>);
}

TEST_CASE("model: what is ignored is looked into by nobody") {
    class Vocabulary {
    public:
        Index of(const std::string& word) const { return words_.at(word); }

    private:
        std::map<std::string, Index> words_{{"step", 3}};
    };
    const Mlp big;
    struct Student {
        nn::Linear<> fc{3, 2};
        nn::Ignored<const Mlp*> teacher;
        nn::Ignored<Vocabulary> vocabulary;
        nn::Ignored<std::function<Variable<>(const Variable<>&)>> activation;
        nn::Ignored<Variable<>> shared;
    };
    Student net;
    net.teacher = &big;
    net.activation.value = [](const Variable<>& x) { return relu(x); };
    net.shared.value = leaf({1});
    CHECK(names(net) == Names{"fc.weight", "fc.bias"});
    nn::eval(net);
    CHECK(nn::buffers(net).empty());
    const Variable<> x(ones({1, 3}));
    CHECK((*net.teacher)(x).value() == big(x).value());
    CHECK(net.teacher->hidden == 4);
    CHECK(net.vocabulary->of("step") == 3);
    CHECK(net.activation(Variable<>(Tensor<>{-1, 2})).value() == Tensor<>{0, 2});

    nn::Linear<> tied(2, 2);
    nn::Sequential sequence(nn::Linear<>(2, 2), nn::Ignored([&](const auto& v) { return tied(v); }));
    CHECK(names(sequence) == Names{"0.weight", "0.bias"});
    CHECK(sequence(Variable<>(ones({1, 2}))).shape() == Shape{1, 2});
}

TEST_CASE("model: a member Variable that requires a gradient is refused; constants and results are not") {
    struct Scaled {
        nn::Linear<> fc{2, 2};
        std::vector<Variable<>> scales{Variable<>(ones({2}))};
    };
    Scaled net;
    CHECK(names(net) == Names{"fc.weight", "fc.bias"});
    net.scales.push_back(net.fc(net.scales[0]));  // a hidden state, say
    CHECK(nn::parameter_count(net) == 6);
    net.scales.push_back(leaf({1}));
    const auto refusal = Message(
        "model: scales.2 is a Variable that requires a gradient, and no optimizer would find it: declare it "
        "as "
        "Parameter<>, or as nn::Ignored<Variable<>> if the model does not own it");
    CHECK_THROWS_MATCHES(nn::parameters(net), GraphError, refusal);
    CHECK_THROWS_MATCHES(nn::named_parameters(net), GraphError, refusal);
    CHECK_THROWS_MATCHES(nn::buffers(net), GraphError, refusal);
    CHECK_THROWS_MATCHES(nn::train(net), GraphError, refusal);
    CHECK_THROWS_MATCHES(nn::eval(net), GraphError, refusal);
}

TEST_CASE("model: structures without parameters are left alone") {
    enum class Kind { a, b };
    const float scale = 2;
    const auto scaled = [scale](const Variable<>& x) { return x * scale; };  // has no room for a pointer
    struct Options {
        Size2 kernel = 3;
        Kind kind = Kind::a;
        std::optional<double> momentum;
        std::string name = "x";
    };
    CHECK(names(nn::Sequential(nn::Linear<>(1, 1), scaled)) == Names{"0.weight", "0.bias"});
    CHECK_FALSE(hidden<Options>);
    CHECK_FALSE(hidden<Generator>);
    CHECK_FALSE(hidden<std::mt19937>);
    CHECK_FALSE(hidden<std::string_view>);
    CHECK_FALSE(hidden<std::vector<bool>>);
    CHECK_FALSE(hidden<std::vector<std::string>>);
    CHECK_FALSE(hidden<const char*>);
    CHECK_FALSE(hidden<const void*>);
    CHECK_FALSE(hidden<Variable<> (*)(const Variable<>&)>);
    CHECK_FALSE(hidden<double Options::*>);
    CHECK_FALSE(hidden<std::greater<>>);
    CHECK_FALSE(hidden<nn::MaxPool2d>);
    CHECK_FALSE(hidden<Conv2dOptions>);
    CHECK_FALSE(hidden<std::string>);
    CHECK_FALSE(hidden<std::unique_ptr<int>>);
    CHECK_FALSE(hidden<std::shared_ptr<std::string>>);
    CHECK_FALSE(hidden<std::unique_ptr<Chain>>);
    CHECK_FALSE(hidden<std::map<std::string, double>>);
    CHECK_FALSE(hidden<std::set<std::string>>);
    CHECK_FALSE(hidden<std::variant<nn::ReLU, nn::Tanh, std::string>>);
    CHECK_FALSE(hidden<std::deque<Tensor<>>>);
    CHECK_FALSE(hidden<std::map<int, Variable<>>>);
    CHECK_FALSE(hidden<std::deque<std::array<double, 3>>>);
    CHECK_FALSE(hidden<Shape>);
    CHECK_FALSE(hidden<std::vector<nn::Linear<>>>);
    CHECK_FALSE(hidden<std::optional<nn::Linear<>>>);
    CHECK_FALSE(hidden<Tensor<>>);
    CHECK_FALSE(hidden<Parameter<>>);
    CHECK_FALSE(hidden<Mlp>);

    struct Fine {
        nn::Linear<> fc{1, 1};
        std::map<std::string, int> sizes;
        std::shared_ptr<std::string> note;
        std::variant<nn::ReLU, nn::Tanh> activation;
        const float* table = nullptr;
        Shape shape{2, 3};
    };
    CHECK(names(Fine()) == Names{"fc.weight", "fc.bias"});
}

TEST_CASE("model: train and eval reach normalization and dropout inside other layers") {
    nn::Sequential net(nn::Residual(nn::Sequential(nn::BatchNorm1d<>(2), nn::Dropout())), nn::Dropout());
    const auto flags = [&] {
        const auto& body = net.get<0>().body;
        return std::array{body.get<0>().training, body.get<1>().training, net.get<1>().training};
    };
    nn::eval(net);
    CHECK(flags() == std::array{false, false, false});
    nn::train(net.get<0>());
    CHECK(flags() == std::array{true, true, false});
}
