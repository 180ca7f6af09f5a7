// SPDX-License-Identifier: MIT
#include "gradus/autograd/parameter.hpp"

#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/ops/arithmetic.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

bool same_node(const Variable<>& a, const Variable<>& b) { return &a.node() == &b.node(); }

const char* const text_empty = "variable: used while empty (default-constructed or moved from)";

}  // namespace

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

    (a * a).backward({.gradient = ones({2})});
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

    CHECK_THROWS_MATCHES((a = Tensor<>{1, 2, 3}), ShapeError,
                         Message("set_value: the shape must stay: got [2] and [3]"));
    CHECK(a.value() == Tensor<>{7, 8});
}

TEST_CASE("parameter: assigning one of another shape makes it another parameter") {
    Parameter<> a(Tensor<>{1, 2});
    const Parameter<> b(Tensor<>{3, 4, 5});
    a.set_grad({1, 1});
    const Variable<> before = a;
    a = b;
    CHECK(a.value() == Tensor<>{3, 4, 5});
    CHECK_FALSE(same_node(a, before));
    CHECK_FALSE(same_node(a, b));
    CHECK_FALSE(a.has_grad());
    CHECK(before.value() == Tensor<>{1, 2});  // whoever holds the old one still reads it
    CHECK_FALSE(before.has_grad());

    Parameter<> frozen(Tensor<>{6});
    frozen.set_requires_grad(false);
    const Variable<> handle = frozen;
    a = std::move(frozen);  // takes the identity of a temporary
    CHECK(same_node(a, handle));
    CHECK_FALSE(a.requires_grad());
    Buffer<> running(zeros({2}));
    running = Buffer<>(zeros({3}));
    CHECK(running.shape() == Shape{3});
    CHECK_FALSE(running.requires_grad());
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
        (weight * weight).backward({.gradient = ones({2})});
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
