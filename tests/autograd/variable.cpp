// SPDX-License-Identifier: MIT
#include "gradus/autograd/variable.hpp"

#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/ops/arithmetic.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

Variable<> leaf(Tensor<> value) { return Variable<>(std::move(value), {.requires_grad = true}); }

bool same_node(const Variable<>& a, const Variable<>& b) { return &a.node() == &b.node(); }

const char* const text_no_grad =
    "grad: no gradient here: call backward() first, on a result that depends on a value with requires_grad "
    "(or call "
    "retain_grad() on an intermediate one)";
const char* const text_empty = "variable: used while empty (default-constructed or moved from)";

}  // namespace

TEST_CASE("variable: a tensor becomes a constant, an option makes it a leaf that wants a gradient") {
    const Variable constant(Tensor<>{{1, 2, 3}, {4, 5, 6}});
    CHECK(constant.shape() == Shape{2, 3});
    CHECK(constant.rank() == 2);
    CHECK(constant.numel() == 6);
    CHECK(constant.size(-1) == 3);
    CHECK(constant.is_leaf());
    CHECK_FALSE(constant.requires_grad());
    CHECK_FALSE(constant.has_grad());
    CHECK(constant.operation() == std::string("leaf"));

    const Variable wanted(Tensor<>{7}, {.requires_grad = true});
    CHECK(wanted.requires_grad());
    CHECK(wanted.is_leaf());
    CHECK(wanted.item() == 7);

    const Variable<> implicit = Tensor<>{1};
    CHECK_FALSE(implicit.requires_grad());
    static_assert(std::is_same_v<decltype(Variable(Tensor<double>{1})), Variable<double>>);
}

TEST_CASE("variable: copies are handles to one value, gradient and history") {
    const Variable<> a = leaf({1, 2});
    Variable<> b = a;
    CHECK(same_node(a, b));
    b.set_value({5, 6});
    CHECK(a.value() == Tensor<>{5, 6});
    b.set_grad({1, 1});
    CHECK(a.grad() == Tensor<>{1, 1});

    const Variable<>& same = b;
    b = same;
    CHECK(same_node(a, b));
    Variable<> c = std::move(b);
    CHECK(same_node(a, c));
    c = a * a;
    CHECK_FALSE(same_node(a, c));
    CHECK(a.value() == Tensor<>{5, 6});
}

TEST_CASE("variable: an empty one says so") {
    const Variable<> empty;
    CHECK_FALSE(empty.requires_grad());
    CHECK_THROWS_MATCHES(empty.value(), GraphError, Message(text_empty));
    CHECK_THROWS_MATCHES(empty.shape(), GraphError, Message(text_empty));
    CHECK_THROWS_MATCHES(empty.is_leaf(), GraphError, Message(text_empty));
    CHECK_THROWS_MATCHES(empty.has_grad(), GraphError, Message(text_empty));
    CHECK_THROWS_MATCHES(empty.backward(), GraphError, Message(text_empty));
    CHECK_THROWS_MATCHES(empty + empty, GraphError, Message(text_empty));
    Variable<> source = leaf({1});
    const Variable<> target = std::move(source);
    CHECK_THROWS_MATCHES(source.value(), GraphError, Message(text_empty));  // NOLINT: moved from on purpose
    source = target;
    CHECK(source.item() == 1);
}

TEST_CASE("variable: the value of a leaf can be replaced or changed in place") {
    Variable<> x = leaf({1, 2});
    x.set_value({3, 4});
    CHECK(x.value() == Tensor<>{3, 4});
    x.mutable_value().mutable_at(0) = 9;
    CHECK(x.value() == Tensor<>{9, 4});
    CHECK_THROWS_MATCHES(x.set_value({1, 2, 3}), ShapeError,
                         Message("set_value: the shape must stay: got [2] and [3]"));
    CHECK_THROWS_MATCHES(x.set_value(Tensor<>{{1, 2}}), ShapeError,
                         Message("set_value: the shape must stay: got [2] and [1, 2]"));
    CHECK(x.value() == Tensor<>{9, 4});
}

TEST_CASE("variable: the value of a result cannot be changed") {
    Variable<> y = leaf({1, 2}) * leaf({1, 2});
    const std::string rule = ": only a leaf can change; this is the result of an operation";
    CHECK_THROWS_MATCHES(y.set_value({1, 2}), GraphError, Message("set_value" + rule));
    CHECK_THROWS_MATCHES(y.mutable_value(), GraphError, Message("mutable_value" + rule));
    CHECK_THROWS_MATCHES(y.set_requires_grad(false), GraphError, Message("set_requires_grad" + rule));
    y.backward({.seed = ones({2})});
    CHECK_FALSE(y.is_leaf());
    CHECK_THROWS_MATCHES(y.mutable_value(), GraphError, Message("mutable_value" + rule));

    Variable<> constant = Variable<>(Tensor<>{1}) + Variable<>(Tensor<>{2});  // no history: a leaf
    CHECK(constant.is_leaf());
    constant.set_value({7});
    CHECK(constant.item() == 7);
}

TEST_CASE("variable: tensors taken out of it are values") {
    Variable<> x = leaf({1, 2});
    const Tensor<> before = x.value();
    x.mutable_value().mutable_at(0) = 9;
    CHECK(before == Tensor<>{1, 2});
    Tensor<> outside = x.value();
    outside.mutable_at(1) = 5;
    CHECK(x.value() == Tensor<>{9, 2});
}

TEST_CASE("variable: the gradient can be read, set, changed in place and forgotten") {
    Variable<> x = leaf({1, 2});
    CHECK_THROWS_MATCHES(x.grad(), GraphError, Message(text_no_grad));
    CHECK_THROWS_MATCHES(x.mutable_grad(), GraphError, Message(text_no_grad));
    x.set_grad({3, 4});
    x.mutable_grad().mutable_at(0) = 5;
    CHECK(x.grad() == Tensor<>{5, 4});
    CHECK_THROWS_MATCHES(x.set_grad({1}), ShapeError,
                         Message("set_grad: gradient and value differ in shape: got [1] and [2]"));
    CHECK(x.grad() == Tensor<>{5, 4});
    x.zero_grad();
    CHECK_FALSE(x.has_grad());
    x.zero_grad();
    CHECK_THROWS_MATCHES(x.grad(), GraphError, Message(text_no_grad));
}

TEST_CASE("variable: a gradient taken out is a value, too") {
    const Variable<> x = leaf({1, 2});
    (x * x).backward({.seed = ones({2})});
    const Tensor<> first = x.grad();
    (x * x).backward({.seed = ones({2})});
    CHECK(first == Tensor<>{2, 4});
    CHECK(x.grad() == Tensor<>{4, 8});
}

TEST_CASE("variable: detach gives a constant of the same value") {
    const Variable<> x = leaf({2, 3});
    const Variable<> y = x * x;
    Variable<> constant = y.detach();
    CHECK(constant.value() == y.value());
    CHECK(constant.value().shares_memory_with(y.value()));
    CHECK(constant.is_leaf());
    CHECK_FALSE(constant.requires_grad());
    (constant * x).backward({.seed = ones({2})});
    CHECK(x.grad() == Tensor<>{4, 9});
    constant.mutable_value().mutable_at(0) = 100;
    CHECK(y.value() == Tensor<>{4, 9});
}

TEST_CASE("variable: a frozen leaf gets no gradient") {
    Variable<> x = leaf({2}), w = leaf({3});
    w.set_requires_grad(false);
    (x * w).backward();
    CHECK(x.grad() == Tensor<>{3});
    CHECK_FALSE(w.has_grad());
    w.set_requires_grad(true);
    (x * w).backward();
    CHECK(w.grad() == Tensor<>{2});

    for (const bool with_hook : {false, true}) {  // frozen after the forward pass
        Variable<> late = leaf({3});
        if (with_hook) late.register_hook([](const Tensor<>& gradient) { return gradient; });
        const Variable<> y = x * late;
        late.set_requires_grad(false);
        y.backward();
        CHECK_FALSE(late.has_grad());
    }
}

TEST_CASE("parameter: a copy is another parameter with the same value") {
    const Parameter<> a(Tensor<>{1, 2});
    CHECK(a.requires_grad());
    Parameter<> b = a;
    CHECK_FALSE(same_node(a, b));
    CHECK(b.requires_grad());
    CHECK(b.value().shares_memory_with(a.value()));  // until one is written to
    b.mutable_value().mutable_at(0) = 9;
    CHECK(a.value() == Tensor<>{1, 2});
    CHECK(b.value() == Tensor<>{9, 2});

    (a * a).backward({.seed = ones({2})});
    CHECK_FALSE(b.has_grad());
    const Parameter<> c = a;
    CHECK_FALSE(c.has_grad());  // gradients are not copied

    b.set_requires_grad(false);
    CHECK_FALSE(Parameter<>(b).requires_grad());  // a frozen model stays frozen in its copy
}

TEST_CASE("parameter: assignment changes the value and keeps the identity") {
    Parameter<> a(Tensor<>{1, 2}), b(Tensor<>{3, 4});
    const Variable<> held_by_optimizer = a;
    a = b;
    CHECK(same_node(a, held_by_optimizer));
    CHECK(held_by_optimizer.value() == Tensor<>{3, 4});
    CHECK(b.value() == Tensor<>{3, 4});
    a = Parameter<>(Tensor<>{5, 6});  // a temporary: move assignment
    CHECK(same_node(a, held_by_optimizer));
    CHECK(held_by_optimizer.value() == Tensor<>{5, 6});
    a = Tensor<>{7, 8};
    CHECK(same_node(a, held_by_optimizer));
    CHECK(held_by_optimizer.value() == Tensor<>{7, 8});
    CHECK(b.value() == Tensor<>{3, 4});

    const Parameter<> other_shape(Tensor<>{1, 2, 3});
    CHECK_THROWS_MATCHES(a = other_shape, ShapeError,
                         Message("set_value: the shape must stay: got [2] and [3]"));
    CHECK(a.value() == Tensor<>{7, 8});
}

TEST_CASE("parameter: assigning it to itself changes nothing") {
    Parameter<> a(Tensor<>{1, 2});
    a.set_grad({3, 4});
    Parameter<>& same = a;
    a = same;
    a = std::move(same);
    CHECK(a.value() == Tensor<>{1, 2});
    CHECK(a.grad() == Tensor<>{3, 4});
}

TEST_CASE("parameter: moving hands over the identity") {
    Parameter<> a(Tensor<>{1, 2});
    const Variable<> handle = a;
    Parameter<> b = std::move(a);
    CHECK(same_node(b, handle));
    CHECK_THROWS_MATCHES(a.value(), GraphError, Message(text_empty));  // NOLINT: moved from on purpose
    CHECK_THROWS_MATCHES(b = a, GraphError, Message(text_empty));
    CHECK(b.value() == Tensor<>{1, 2});
    a = b;  // a moved-from parameter can be filled again
    CHECK(a.value() == Tensor<>{1, 2});
    CHECK_FALSE(same_node(a, b));
    static_assert(std::is_nothrow_move_constructible_v<Parameter<>>);
}

TEST_CASE("parameter: swap exchanges values and loses none") {
    Parameter<> a(Tensor<>{1}), b(Tensor<>{2, 3});
    const Variable<> handle_a = a, handle_b = b;
    std::swap(a, b);
    CHECK(a.value() == Tensor<>{2, 3});
    CHECK(b.value() == Tensor<>{1});
    CHECK((same_node(a, handle_a) || same_node(a, handle_b)));
    CHECK((same_node(b, handle_a) || same_node(b, handle_b)));
    CHECK_FALSE(same_node(a, b));
}

TEST_CASE("parameter: a growing vector keeps every identity") {
    std::vector<Parameter<>> parameters;
    std::vector<Variable<>> handles;
    for (int i = 0; i < 50; ++i) {
        parameters.emplace_back(Tensor<>{i});
        handles.push_back(parameters.back());
    }
    for (std::size_t i = 0; i < 50; ++i) CHECK(same_node(parameters[i], handles[i]));

    const std::vector<Parameter<>> copy = parameters;
    for (std::size_t i = 0; i < 50; ++i) {
        CHECK_FALSE(same_node(copy[i], handles[i]));
        CHECK(copy[i].value() == handles[i].value());
    }
    parameters = copy;  // assigned element by element: the optimizer's handles stay
    for (std::size_t i = 0; i < 50; ++i) CHECK(same_node(parameters[i], handles[i]));
}

TEST_CASE("parameter: an optimizer's handle sees the gradient and changes the value") {
    Parameter<> weight(Tensor<>{1, 2});
    Variable<> handle = weight;
    for (int step = 0; step < 3; ++step) {
        (weight * weight).backward({.seed = ones({2})});
        handle.set_value(handle.value() - handle.grad() * 0.25f);
        handle.zero_grad();
    }
    CHECK(weight.value() == Tensor<>{0.125f, 0.25f});
    CHECK_FALSE(weight.has_grad());
}

TEST_CASE("parameter: what would replace it by a result does not compile") {
    static_assert(!std::is_assignable_v<Parameter<>&, Variable<>>);
    static_assert(!std::is_convertible_v<Tensor<>, Parameter<>>);
    static_assert(!std::is_default_constructible_v<Parameter<>>);
    const auto adds = [](auto& x, const auto& y) {
        return requires { x += y; };
    };
    Parameter<> p(Tensor<>{1});
    Variable<> v = p;
    CHECK_FALSE(adds(p, v));
    CHECK(adds(v, p));
}
