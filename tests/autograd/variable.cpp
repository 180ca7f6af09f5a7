// SPDX-License-Identifier: MIT
#include "gradus/autograd/variable.hpp"

#include <type_traits>
#include <utility>

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
    y.backward({.gradient = ones({2})});
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
    (x * x).backward({.gradient = ones({2})});
    const Tensor<> first = x.grad();
    (x * x).backward({.gradient = ones({2})});
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
    (constant * x).backward({.gradient = ones({2})});
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
