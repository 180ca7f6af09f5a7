// SPDX-License-Identifier: MIT
#include "gradus/optim/optimizer.hpp"

#include <cmath>
#include <limits>

#include "gradus/nn/linear.hpp"
#include "gradus/nn/model.hpp"
#include "gradus/ops/arithmetic.hpp"
#include "gradus/ops/reduce.hpp"
#include "gradus/optim/adagrad.hpp"
#include "gradus/optim/adam.hpp"
#include "gradus/optim/rmsprop.hpp"
#include "gradus/optim/sgd.hpp"
#include "support/numbers.hpp"

using namespace gradus;
using optim::SGD, optim::Adam, optim::AdamW, optim::RMSProp, optim::Adagrad;

namespace {

using Leaves = std::vector<Variable<>>;

struct Net {
    nn::Linear<> fc1{2, 3};
    nn::Linear<> fc2{3, 1, {.bias = false}};
};

/// One step with all gradients 1.
void step(SGD<>& sgd) {
    for (Variable<> parameter : sgd.parameters()) parameter.set_grad(ones(parameter.shape()));
    sgd.step();
}

}  // namespace

TEST_CASE("optimizer: groups have options of their own") {
    Variable<> a = leaf({1}), b = leaf({1}), c = leaf({1});
    SGD<> sgd({a}, {.lr = 0.5});
    sgd.add_group({b, c}, {.lr = 0.25, .momentum = 0.5});
    REQUIRE(sgd.groups().size() == 2);
    CHECK(sgd.lr() == 0.5);
    step(sgd);
    step(sgd);
    CHECK(a.value() == Tensor<>{0});
    CHECK(b.value() == Tensor<>{0.375f});  // 1 - 0.25 - 0.25 · 1.5
    CHECK(c.value() == b.value());
}

TEST_CASE("optimizer: the learning rate of all groups can be set") {
    Variable<> a = leaf({1}), b = leaf({1});
    SGD<> sgd({a}, {.lr = 1});
    sgd.add_group({b}, {.lr = 2, .weight_decay = 0});
    sgd.set_lr(0.25);
    CHECK(sgd.lr() == 0.25);
    step(sgd);
    CHECK(a.value() == Tensor<>{0.75f});
    CHECK(b.value() == Tensor<>{0.75f});
    sgd.set_options(1, {.lr = 0.5});  // or of one
    step(sgd);
    CHECK(a.value() == Tensor<>{0.5f});
    CHECK(b.value() == Tensor<>{0.25f});

    sgd.set_lr(0);
    for (const auto& [bad, text] :
         {std::pair{-1.0, "-1"}, {static_cast<double>(NaN), "nan"}, {static_cast<double>(infinity), "inf"}})
        CHECK_THROWS_MATCHES(sgd.set_lr(bad), ValueError,
                             Message(std::string("sgd: lr must be finite and not negative: got ") + text));
    CHECK(sgd.lr() == 0);
}

TEST_CASE("optimizer: lr_scale keeps the ratio of rates under a schedule") {
    Variable<> a = leaf({1}), b = leaf({1});
    SGD<> sgd(Leaves{a}, {.lr = 0.5});
    sgd.add_group(Leaves{b}, {.lr = 0.5, .lr_scale = 0.5});
    step(sgd);
    CHECK(a.value() == Tensor<>{0.5f});
    CHECK(b.value() == Tensor<>{0.75f});
    sgd.set_lr(0.25);
    step(sgd);
    CHECK(a.value() == Tensor<>{0.25f});
    CHECK(b.value() == Tensor<>{0.625f});
}

TEST_CASE("optimizer: the momentum of all groups can be set") {
    Variable<> a = leaf({1}), b = leaf({1});
    SGD<> sgd(Leaves{a}, {.momentum = 0.5});
    sgd.add_group(Leaves{b}, {.momentum = 0.9, .nesterov = true});
    CHECK(sgd.momentum() == 0.5);
    sgd.set_momentum(0.25);
    CHECK(sgd.groups()[0].options.momentum == 0.25);
    CHECK(sgd.groups()[1].options.momentum == 0.25);
    CHECK_THROWS_MATCHES(sgd.set_momentum(0), ValueError,
                         Message("sgd: nesterov needs momentum > 0 and no dampening"));
    CHECK(sgd.momentum() == 0.25);  // of the first group, too: all or none
    CHECK_THROWS_MATCHES(sgd.set_momentum(-1), ValueError,
                         Message("sgd: momentum must be finite and not negative: got -1"));
    CHECK(SGD<>::has_momentum);
    CHECK_FALSE(optim::Adagrad<>::has_momentum);
}

TEST_CASE("optimizer: the options of a group are replaced only by good ones") {
    SGD<> sgd(Leaves{leaf({1})}, {.lr = 0.5});
    CHECK_THROWS_MATCHES(sgd.set_options(0, {.lr = -1}), ValueError,
                         Message("sgd: lr must be finite and not negative: got -1"));
    CHECK(sgd.lr() == 0.5);
    SGD<>::Options options = sgd.groups()[0].options;
    options.lr = 0.25;
    sgd.set_options(0, options);
    CHECK(sgd.lr() == 0.25);
    sgd.set_lr(0.001);
    CHECK(sgd.lr() == 0.001);  // kept as double
    CHECK_THROWS_MATCHES(sgd.set_options(1, options), ValueError,
                         Message("sgd: set_options: there is no group 1"));
}

TEST_CASE("optimizer: zero_grad forgets the gradients of all groups") {
    Variable<> a = leaf({1}), b = leaf({1}), stranger = leaf({1});
    SGD<> sgd({a});
    sgd.add_group({b}, {});
    for (Variable<>* x : {&a, &b, &stranger}) x->set_grad({1});
    sgd.zero_grad();
    CHECK_FALSE(a.has_grad());
    CHECK_FALSE(b.has_grad());
    CHECK(stranger.has_grad());
    CHECK(a.value() == Tensor<>{1});
}

TEST_CASE("optimizer: a step where no parameter has a gradient is refused") {
    Variable<> a = leaf({1}), b = leaf({1});
    SGD<> sgd({a}, {.lr = 1});
    sgd.add_group({b}, {.lr = 1});
    const auto refusal = Message(
        "sgd: step: none of the 2 parameters has a gradient (or all are frozen): call backward() first, on a "
        "loss that depends on them");
    CHECK_THROWS_MATCHES(sgd.step(), GraphError, refusal);
    b.set_grad({1});
    sgd.step();  // one is enough
    CHECK(b.value() == Tensor<>{0});
    CHECK(a.value() == Tensor<>{1});
    b.set_requires_grad(false);
    CHECK_THROWS_MATCHES(sgd.step(), GraphError, refusal);
    sgd.zero_grad();
    CHECK_THROWS_MATCHES(sgd.step(), GraphError, refusal);
    CHECK(sgd.state()[1].steps == 1);

    CHECK_THROWS_MATCHES(optim::Adagrad<>(Leaves{a}).step(), GraphError,
                         Message("adagrad: step: none of the 1 parameters has a gradient (or all are "
                                 "frozen): call backward() first, on a loss that depends on them"));
}

TEST_CASE("optimizer: a layer that is replaced by one of the same shape is trained on") {
    Net net;
    SGD sgd(nn::named_parameters(net), {.lr = 1});
    step(sgd);
    nn::Linear<> other(2, 3);
    net.fc1 = other;
    step(sgd);
    CHECK(net.fc1.weight.value() == other.weight.value() - 1.0f);
    CHECK(net.fc1.bias->value() == other.bias->value() - 1.0f);
    net.fc1 = nn::Linear<>(2, 3);  // and by a temporary
    const Tensor<> before = net.fc1.weight.value();
    step(sgd);
    CHECK(net.fc1.weight.value() == before - 1.0f);
}

TEST_CASE("optimizer: a layer can be replaced by one of another shape, and the old optimizer says so") {
    Net net;
    SGD sgd(nn::named_parameters(net), {.lr = 1});
    const auto backward = [&] {
        net.fc2(net.fc1(Variable<>(ones({1, 2})))).backward({.gradient = ones({1, 5})});
    };
    const auto refusal = [](const std::string& optimizer, const std::string& name) {
        return Message(optimizer + ": step: parameter " + name +
                       " is no longer in its model (a layer was replaced or removed, or the model is gone): "
                       "make a new optimizer from nn::parameters(net)");
    };
    step(sgd);  // leaves gradients behind
    net.fc2 = nn::Linear<>(3, 5);
    backward();
    const Tensor<> before = net.fc1.weight.value();
    CHECK_THROWS_MATCHES(sgd.step(), GraphError, refusal("sgd", "fc2.weight"));
    CHECK(net.fc1.weight.value() == before);  // nothing is written
    sgd.zero_grad();
    CHECK_THROWS_MATCHES(sgd.step(), GraphError, refusal("sgd", "fc2.weight"));

    SGD fresh(nn::named_parameters(net), {.lr = 1});
    fresh.zero_grad();
    backward();
    fresh.step();
    CHECK(net.fc2.bias->value().shape() == Shape{5});
    CHECK_FALSE(net.fc1.weight.value() == before);

    SECTION("a bias that goes") {
        net.fc1 = nn::Linear<>(2, 3, {.bias = false});
        fresh.zero_grad();
        backward();
        CHECK_THROWS_MATCHES(fresh.step(), GraphError, refusal("sgd", "fc1.bias"));
    }
    SECTION("by copying, in a model, and by number") {
        SGD unnamed(nn::parameters(net), {.lr = 1});
        const Net other{{4, 3}, {3, 1, {.bias = false}}};
        net = other;
        CHECK_THROWS_MATCHES(unnamed.step(), GraphError, refusal("sgd", "0"));
        CHECK(net.fc1.weight.value() == other.fc1.weight.value());
    }
    SECTION("one layer less in a list") {
        std::vector<nn::Linear<>> list{nn::Linear<>(1, 1), nn::Linear<>(1, 1)};
        optim::Adagrad adagrad(nn::named_parameters(list));
        list.pop_back();
        list[0].weight.set_grad({{1}});
        CHECK_THROWS_MATCHES(adagrad.step(), GraphError, refusal("adagrad", "1.weight"));
    }
    SECTION("swapped layers keep their parameters") {
        nn::Linear<> a(1, 2), b(3, 4);
        SGD both({a.weight, *a.bias, b.weight, *b.bias}, {.lr = 1});
        std::swap(a, b);
        CHECK(a.weight.shape() == Shape{4, 3});
        const Tensor<> start = a.weight.value();
        step(both);
        CHECK(a.weight.value() == start - 1.0f);
    }
}

TEST_CASE("optimizer: each parameter has state of its own, and a copy of it is left alone") {
    Variable<> a = leaf({1, 2}), b = leaf(zeros({2, 2})), c = leaf({5});
    SGD<> sgd({a, b, c}, {.lr = 0, .momentum = 0.5});
    b.set_grad({{1, 2}, {3, 4}});
    c.set_grad({9});
    sgd.step();
    const auto kept = sgd.state();
    CHECK(kept[0].kinds.empty());  // a was never updated
    CHECK(kept[1].kinds[0].value == Tensor<>{{1, 2}, {3, 4}});
    CHECK(kept[2].kinds[0].value == Tensor<>{9});
    sgd.step();
    CHECK(kept[1].kinds[0].value == Tensor<>{{1, 2}, {3, 4}});
    CHECK(sgd.state()[1].kinds[0].value == Tensor<>{{1.5f, 3}, {4.5f, 6}});
    CHECK(sgd.state()[2].kinds[0].value == Tensor<>{13.5f});
}

TEST_CASE("optimizer: holds the parameters of a model that is assigned to, copied or moved") {
    Generator generator(1);
    Net net{{2, 3, {}, generator}, {3, 1, {.bias = false}, generator}};
    SGD<> sgd(nn::parameters(net), {.lr = 1});
    const Net copy = net;
    step(sgd);
    CHECK_FALSE(net.fc1.weight.value() == copy.fc1.weight.value());  // the copy has weights of its own

    net = Net{{2, 3, {}, generator}, {3, 1, {.bias = false}, generator}};
    const Tensor<> before = net.fc1.weight.value();
    step(sgd);
    CHECK(net.fc1.weight.value() == before - 1.0f);
    net = copy;
    step(sgd);
    CHECK(net.fc2.weight.value() == copy.fc2.weight.value() - 1.0f);
    CHECK(net.fc1.bias->value() == copy.fc1.bias->value() - 1.0f);

    const Tensor<> last = net.fc1.weight.value();
    const Net moved = std::move(net);  // takes the identity of the parameters along
    step(sgd);
    CHECK(moved.fc1.weight.value() == last - 1.0f);
}

TEST_CASE("optimizer: keeps parameters alive that nobody else holds") {
    SGD<> sgd = [] {
        const Net net;
        return SGD<>(nn::parameters(net), {.lr = 1});
    }();
    step(sgd);
    CHECK(sgd.groups()[0].parameters.size() == 3);
}

TEST_CASE("optimizer: a parameter or gradient that changed its shape is refused, and nothing is written") {
    Variable<> a = leaf({1}), b = leaf({1, 2});
    SGD<> sgd({a, b}, {.lr = 1});
    a.set_grad({1});
    b.set_grad({1, 1});
    b.mutable_grad() = zeros({1});
    CHECK_THROWS_MATCHES(sgd.step(), ShapeError,
                         Message("optimizer: a parameter or its gradient changed shape: got [2] and [1]"));
    b.mutable_value() = zeros({1});
    CHECK_THROWS_MATCHES(sgd.step(), ShapeError,
                         Message("optimizer: a parameter or its gradient changed shape: got [1] and [1]"));
    CHECK(a.value() == Tensor<>{1});
}

TEST_CASE("optimizer: options by path") {
    Net net;
    const std::vector<std::string> paths{"fc1.weight", "fc1.bias", "fc2.weight"};
    const auto groups = [](const SGD<>& sgd) {
        std::vector<std::vector<std::string>> names;
        for (const auto& group : sgd.groups()) {
            names.emplace_back();
            for (const std::size_t i : group.parameters) names.back().push_back(sgd.names()[i]);
        }
        return names;
    };
    using Names = std::vector<std::vector<std::string>>;
    SGD sgd(nn::named_parameters(net), {.lr = 0.5, .momentum = 0.5, .weight_decay = 0.25});
    CHECK(groups(sgd) == Names{paths});

    SECTION("a leading part of the path") {
        sgd.configure("fc1", {.lr = 0.125});
        CHECK(groups(sgd) == Names{{"fc2.weight"}, {"fc1.weight", "fc1.bias"}});
        CHECK(sgd.groups()[1].options.lr == 0.125);
        CHECK(sgd.groups()[1].options.momentum == 0);  // not given: the default
    }
    SECTION("any text, and a change of the options that there are") {
        sgd.configure("*.bias", [](auto& options) { options.weight_decay = 0; });
        CHECK(groups(sgd) == Names{{"fc1.weight", "fc2.weight"}, {"fc1.bias"}});
        CHECK(sgd.groups()[0].options.weight_decay == 0.25);
        CHECK(sgd.groups()[1].options.weight_decay == 0);
        CHECK(sgd.groups()[1].options.lr == 0.5);
        sgd.configure("fc1", [](auto& options) { options.lr_scale = 0.5; });  // of both groups
        CHECK(groups(sgd) == Names{{"fc2.weight"}, {"fc1.weight"}, {"fc1.bias"}});
        CHECK(sgd.groups()[1].options.weight_decay == 0.25);
        CHECK(sgd.groups()[2].options.weight_decay == 0);
        CHECK(sgd.parameters()[1].shape() == Shape{3});  // still in the order of the model
    }
    SECTION("state goes on") {
        step(sgd);
        Net same = net;
        SGD other(nn::named_parameters(same), {.lr = 0.5, .momentum = 0.5, .weight_decay = 0.25});
        other.load_state(sgd.state());
        sgd.configure("fc1.bias", [](auto&) {});
        CHECK(sgd.groups().size() == 2);
        step(sgd);
        step(other);
        CHECK(sgd.state()[1].kinds[0].value == other.state()[1].kinds[0].value);
        for (std::size_t i = 0; i < 3; ++i)
            CHECK(nn::parameters(net)[i].value() == nn::parameters(same)[i].value());
        other.load_state(sgd.state());  // between other groups, too
        CHECK(other.state()[2].kinds[0].value == sgd.state()[2].kinds[0].value);
    }
    SECTION("refusals leave everything as it was") {
        CHECK_THROWS_MATCHES(sgd.configure("fc3", {}), ValueError,
                             Message("sgd: configure: no parameter matches \"fc3\"; there are fc1.weight, "
                                     "fc1.bias, fc2.weight"));
        CHECK_THROWS_MATCHES(sgd.configure("fc", {}), ValueError,  // part of a name is no match
                             Message("sgd: configure: no parameter matches \"fc\"; there are fc1.weight, "
                                     "fc1.bias, fc2.weight"));
        CHECK_THROWS_MATCHES(sgd.configure("*.bias", {.lr = -1}), ValueError,
                             Message("sgd: lr must be finite and not negative: got -1"));
        CHECK(groups(sgd) == Names{paths});
        SGD<> unnamed(nn::parameters(net));
        CHECK_THROWS_MATCHES(
            unnamed.configure("fc1", {}), ValueError,
            Message("sgd: configure needs paths; build the optimizer from nn::named_parameters(net)"));
    }
}

TEST_CASE("optimizer: patterns") {
    const auto matches = optim::detail::matches;
    CHECK(matches("a.b", "a.b"));
    CHECK(matches("a", "a.b.c"));
    CHECK(matches("a.b", "a.b.c"));
    CHECK_FALSE(matches("a", "ab.c"));
    CHECK_FALSE(matches("b", "a.b"));
    CHECK(matches("*", "a.b"));
    CHECK(matches("*.bias", "conv.1.bias"));
    CHECK_FALSE(matches("*.bias", "bias"));
    CHECK(matches("*bias", "bias"));
    CHECK(matches("blocks.*.norm", "blocks.2.norm.weight"));
    CHECK(matches("*.norm*.weight", "blocks.2.norm1.weight"));
    CHECK_FALSE(matches("blocks.*.norm", "blocks.2.conv.weight"));
    CHECK_FALSE(matches("a.b.c", "a.b"));
}

TEST_CASE("optimizer: a copy is a snapshot of the state") {
    Variable<> w = leaf({1});
    SGD<> sgd(Leaves{w}, {.lr = 1, .momentum = 0.5});
    step(sgd);
    const SGD<> before = sgd;
    step(sgd);
    CHECK(sgd.state()[0].kinds[0].value == Tensor<>{1.5f});
    sgd = before;
    CHECK(sgd.state()[0].kinds[0].value == Tensor<>{1});
    step(sgd);
    CHECK(sgd.state()[0].kinds[0].value == Tensor<>{1.5f});
}

TEST_CASE("optimizer: what is no state of these parameters is refused, and nothing is changed") {
    Net net;
    SGD sgd(nn::named_parameters(net), {.momentum = 0.5});
    step(sgd);
    const auto good = sgd.state();
    CHECK(good[0].name == "fc1.weight");
    CHECK(good[1].kinds[0].value.shape() == Shape{3});
    const auto load = [&](const auto& change) {
        auto state = good;
        change(state);
        sgd.load_state(state);
    };
    CHECK_THROWS_MATCHES(load([](auto& s) { s.pop_back(); }), ValueError,
                         Message("sgd: load_state needs one entry for each parameter: got 2 and 3"));
    CHECK_THROWS_MATCHES(
        load([](auto& s) { std::swap(s[0], s[2]); }), ValueError,
        Message("sgd: load_state: the state of fc2.weight stands where that of fc1.weight is "
                "expected; is it the same model?"));
    CHECK_THROWS_MATCHES(load([](auto& s) { s[1].kinds[0].name = "sum"; }), ValueError,
                         Message("sgd: load_state: there is no state named sum here"));
    CHECK_THROWS_MATCHES(
        load([](auto& s) { s[1].kinds[0].value = ones({4}); }), ShapeError,
        Message("sgd: load_state: momentum_buffer of fc1.bias does not fit: got [4] and [3]"));
    CHECK_THROWS_MATCHES(load([](auto& s) { s[1].steps = -1; }), ValueError,
                         Message("sgd: load_state: the steps of fc1.bias must be from 0 to 2^53: got -1"));
    CHECK(sgd.state()[0].kinds[0].value == good[0].kinds[0].value);
    CHECK(sgd.state()[1].steps == 1);
    load([](auto& s) { s[1].kinds.clear(); });  // never updated, say
    CHECK(sgd.state()[1].kinds.empty());
    step(sgd);
    CHECK(sgd.state()[1].kinds[0].value == Tensor<>{1, 1, 1});
}

namespace {

/// Step counts from outside: what would overflow is refused, and the largest that is taken gives numbers.
template <class Optimizer>
void check_step_counts() {
    Variable<> w = leaf(Tensor<>{1, 2});
    Optimizer optimizer(std::vector<Variable<>>{w});
    w.set_grad(Tensor<>{0.5f, -0.5f});
    optimizer.step();
    auto state = optimizer.state();
    const Index most = std::numeric_limits<Index>::max();
    for (const Index steps :
         {most, most - 1, (Index{1} << 53) + 1, Index{-1}, std::numeric_limits<Index>::min()}) {
        state[0].steps = steps;
        CHECK_THROWS_AS(optimizer.load_state(state), ValueError);
        CHECK(optimizer.state()[0].steps == 1);
    }
    state[0].steps = Index{1} << 53;
    optimizer.load_state(state);
    for (int i = 0; i < 3; ++i) {
        w.set_grad(Tensor<>{0.5f, -0.5f});
        optimizer.step();
    }
    for (const float value : w.value()) CHECK(std::isfinite(value));
    CHECK(optimizer.state()[0].steps == (Index{1} << 53) + 3);
}

}  // namespace

TEST_CASE("optimizer: step counts of saved states") {
    check_step_counts<SGD<>>();
    check_step_counts<Adam<>>();
    check_step_counts<AdamW<>>();
    check_step_counts<RMSProp<>>();
    check_step_counts<Adagrad<>>();
}

TEST_CASE("optimizer: settings that a float cannot hold are refused") {
    const std::vector<Variable<>> w{leaf(Tensor<>{1})};
    CHECK_THROWS_MATCHES(SGD<>(w, {.lr = 1e39}), ValueError,
                         Message("sgd: lr must be finite and not negative: got 1e+39"));
    CHECK_THROWS_MATCHES(Adam<>(w, {.lr = 1e30, .lr_scale = 1e30}), ValueError,
                         Message("adam: lr · lr_scale must be finite and not negative: got 1e+60"));
    CHECK_THROWS_AS(AdamW<>(w, {.weight_decay = 1e300}), ValueError);
    CHECK_THROWS_AS(RMSProp<>(w, {.momentum = 1e300}), ValueError);
    CHECK_THROWS_AS(Adagrad<>(w, {.initial_accumulator_value = 1e300}), ValueError);
}

TEST_CASE("optimizer: gradients of micro-batches accumulate to that of the batch") {
    Generator generator(1);
    const Variable<> inputs(randn({8, 2}, generator)), targets(randn({8, 1}, generator));
    nn::Linear<> whole(2, 1, {}, generator), parts = whole;
    SGD all(nn::parameters(whole), {.lr = 0.1}), accumulated(nn::parameters(parts), {.lr = 0.1});
    const auto loss = [](const nn::Linear<>& model, const Variable<>& x, const Variable<>& y) {
        return mean(square(model(x) - y));
    };
    loss(whole, inputs, targets).backward();
    all.step();
    for (Index i = 0; i < 4; ++i) {
        const auto rows = [i](const Variable<>& x) { return Variable<>(x.value().rows(2 * i, 2 * i + 2)); };
        (loss(parts, rows(inputs), rows(targets)) / 4.0f).backward();
    }
    accumulated.step();
    check_numbers(parts.weight.value(), whole.weight.value(), 1e-6f);
    check_numbers(parts.bias->value(), whole.bias->value(), 1e-6f);
}

TEST_CASE("optimizer: refusals") {
    const Variable<> a = leaf({1}), b = leaf({2});
    const auto none = Message("sgd: no parameters; does the model have layers as fields?");
    CHECK_THROWS_MATCHES(SGD<>(Leaves{}), ValueError, none);
    struct Empty {};
    CHECK_THROWS_MATCHES(SGD<>(nn::parameters(Empty())), ValueError, none);

    const auto twice = Message("sgd: parameter 1 is listed twice; it would be updated twice per step");
    CHECK_THROWS_MATCHES(SGD<>({a, a}), ValueError, twice);
    CHECK_THROWS_MATCHES(SGD<>(std::vector<NamedParameter<float>>{{"w", a}, {"tied", a}}), ValueError,
                         Message("sgd: parameter tied is listed twice; it would be updated twice per step"));
    SGD<> sgd({a});
    CHECK_THROWS_MATCHES(sgd.add_group({b, a}, {}), ValueError, twice);
    CHECK_THROWS_MATCHES(sgd.add_group(Leaves{}, {}), ValueError, none);
    CHECK_THROWS_MATCHES(sgd.add_group({b}, {.lr = -1}), ValueError,
                         Message("sgd: lr must be finite and not negative: got -1"));
    CHECK_THROWS_MATCHES(sgd.add_group({a * b}, {}), GraphError,
                         Message("sgd: a parameter is the result of an operation; pass leaves"));
    CHECK_THROWS_MATCHES(sgd.add_group({Variable<>()}, {}), GraphError,
                         Message("variable: used while empty (default-constructed or moved from)"));
    CHECK(sgd.groups().size() == 1);  // what was refused left nothing behind
    sgd.add_group({b}, {});
    CHECK(sgd.groups().size() == 2);
}
