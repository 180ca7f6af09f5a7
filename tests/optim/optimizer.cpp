// SPDX-License-Identifier: MIT
#include "gradus/optim/optimizer.hpp"

#include "gradus/nn/linear.hpp"
#include "gradus/nn/model.hpp"
#include "gradus/ops/arithmetic.hpp"
#include "gradus/optim/sgd.hpp"
#include "support/numbers.hpp"

using namespace gradus;
using optim::SGD;

namespace {

struct Net {
    nn::Linear<> fc1{2, 3};
    nn::Linear<> fc2{3, 1, {.bias = false}};
};

/// One step with all gradients 1.
void step(SGD<>& sgd) {
    for (auto& group : sgd.groups())
        for (auto& parameter : group.parameters) parameter.set_grad(ones(parameter.shape()));
    sgd.step();
}

}  // namespace

TEST_CASE("optimizer: groups have options of their own") {
    Variable<> a = leaf({1}), b = leaf({1}), c = leaf({1});
    SGD<> sgd({a}, {.lr = 0.5f});
    sgd.add_group({b, c}, {.lr = 0.25f, .momentum = 0.5f});
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
    sgd.groups()[1].options.lr = 0.5f;  // or of one
    step(sgd);
    CHECK(a.value() == Tensor<>{0.5f});
    CHECK(b.value() == Tensor<>{0.25f});

    sgd.set_lr(0);
    for (const double bad : {-1.0, static_cast<double>(NaN), static_cast<double>(infinity)})
        CHECK_THROWS_MATCHES(
            sgd.set_lr(bad), ValueError,
            Message("sgd: lr, momentum, dampening and weight_decay must be finite and not negative"));
    CHECK(sgd.lr() == 0);
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
    sgd.step();  // nothing to do
    CHECK(a.value() == Tensor<>{1});
}

TEST_CASE("optimizer: state is one array per group, in the order of the parameters") {
    Variable<> a = leaf({1, 2}), b = leaf(zeros({2, 2})), c = leaf({5});
    SGD<> sgd({a, b, c}, {.lr = 0, .momentum = 0.5f});
    b.set_grad({{1, 2}, {3, 4}});
    c.set_grad({9});
    sgd.step();
    const auto& group = sgd.groups()[0];
    CHECK(group.offsets == std::vector<Index>{0, 2, 6});
    REQUIRE(group.state.size() == 1);
    CHECK(group.state[0] == Tensor<>{0, 0, 1, 2, 3, 4, 9});
    const Tensor<> kept = group.state[0];  // a checkpoint, say: the next step leaves it alone
    sgd.step();
    CHECK(kept == Tensor<>{0, 0, 1, 2, 3, 4, 9});
    CHECK(group.state[0] == Tensor<>{0, 0, 1.5f, 3, 4.5f, 6, 13.5f});
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

TEST_CASE("optimizer: refusals") {
    const Variable<> a = leaf({1}), b = leaf({2});
    const auto none = Message("sgd: no parameters; does the model have layers as fields?");
    CHECK_THROWS_MATCHES(SGD<>({}), ValueError, none);
    struct Empty {};
    CHECK_THROWS_MATCHES(SGD<>(nn::parameters(Empty())), ValueError, none);

    const auto twice = Message("sgd: parameter 1 is listed twice; it would be updated twice per step");
    CHECK_THROWS_MATCHES(SGD<>({a, a}), ValueError, twice);
    SGD<> sgd({a});
    CHECK_THROWS_MATCHES(sgd.add_group({b, a}, {}), ValueError, twice);
    CHECK_THROWS_MATCHES(sgd.add_group({}, {}), ValueError, none);
    CHECK_THROWS_MATCHES(
        sgd.add_group({b}, {.lr = -1}), ValueError,
        Message("sgd: lr, momentum, dampening and weight_decay must be finite and not negative"));
    CHECK_THROWS_MATCHES(sgd.add_group({a * b}, {}), GraphError,
                         Message("sgd: a parameter is the result of an operation; pass leaves"));
    CHECK_THROWS_MATCHES(sgd.add_group({Variable<>()}, {}), GraphError,
                         Message("variable: used while empty (default-constructed or moved from)"));
    CHECK(sgd.groups().size() == 1);  // what was refused left nothing behind
    sgd.add_group({b}, {});
    CHECK(sgd.groups().size() == 2);
}
