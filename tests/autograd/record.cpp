// SPDX-License-Identifier: MIT
#include "gradus/autograd/record.hpp"

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "gradus/autograd/parameter.hpp"
#include "gradus/ops/arithmetic.hpp"
#include "gradus/ops/reduce.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

Variable<> leaf(Tensor<> value) { return Variable<>(std::move(value), {.requires_grad = true}); }
Variable<> constant(Tensor<> value) { return Variable<>(std::move(value)); }

/// Something a rule captures; alive() counts the copies that rules hold.
struct Token {
    std::shared_ptr<int> counted = std::make_shared<int>();

    long alive() const { return counted.use_count() - 1; }
};

/// Multiplies by 2 and captures the token.
Variable<> doubled(const Variable<>& x, const Token& token) {
    return record("doubled", x.value() * 2.0f,
                  wrt(x, [held = token.counted](const Tensor<>& dy) { return dy * 2.0f; }));
}

/// a + 10 b + 100 c + ... with one rule for all.
Variable<> digits(const std::vector<Variable<>>& inputs, const Token& token = {}) {
    Tensor<> total = zeros(inputs[0].shape());
    float factor = 1;
    for (const auto& input : inputs) {
        total = total + input.value() * factor;
        factor *= 10;
    }
    return record("digits", total, wrt_each(inputs, [held = token.counted](const Tensor<>& dy, Index i) {
                      float scale = 1;
                      for (Index k = 0; k < i; ++k) scale *= 10;
                      return dy * scale;
                  }));
}

/// a·b with a joint rule that tells which gradients it was asked for.
Variable<> product(const Variable<>& a, const Variable<>& b, std::string& asked, const Token& token = {}) {
    const Tensor<> A = a.value(), B = b.value();
    return record("product", A * B,
                  wrt_jointly(std::array{a, b}, [A, B, &asked, held = token.counted](
                                                    const Tensor<>& dy, const std::array<bool, 2>& want) {
                      asked += std::string(want[0] ? "a" : "-") + (want[1] ? "b" : "-");
                      std::array<Tensor<>, 2> gradients;
                      if (want[0]) gradients[0] = dy * B;
                      if (want[1]) gradients[1] = dy * A;
                      return gradients;
                  }));
}

}  // namespace

TEST_CASE("record: a result knows its operation and wants a gradient if an input does") {
    const Token token;
    const Variable<> y = doubled(leaf({1, 2}), token);
    CHECK(y.operation() == std::string("doubled"));
    CHECK(y.requires_grad());
    CHECK_FALSE(y.is_leaf());
    CHECK(y.value() == Tensor<>{2, 4});
    CHECK_FALSE(doubled(constant({1}), token).requires_grad());
    CHECK(doubled(constant({1}), token).operation() == std::string("leaf"));
}

TEST_CASE("record: rules that are not needed are dropped at once") {
    const Token token;
    const Variable<> x = leaf({1}), c = constant({2});
    {
        const Variable<> y = doubled(c, token);  // no input wants a gradient
        CHECK(token.alive() == 0);
    }
    {
        const NoGrad guard;
        const Variable<> y = doubled(x, token);
        CHECK(token.alive() == 0);
    }
    const auto rule = [&] { return [held = token.counted](const Tensor<>& dy) { return dy; }; };
    {
        const Variable<> y = record("pair", x.value() + c.value(), wrt(x, rule()), wrt(c, rule()));
        CHECK(token.alive() == 1);  // the rule of c is gone, that of x is kept
    }
    CHECK(token.alive() == 0);
    {
        const Variable<> y = record("pair", x.value() + x.value(), wrt(x, rule()), wrt(x, rule()));
        CHECK(token.alive() == 2);
    }
    CHECK(token.alive() == 0);
    {
        const auto joint = [held = token.counted](const Tensor<>& dy, const auto&) {
            return std::array{dy, dy};
        };
        const Variable<> y =
            record("mixed", x.value(), wrt(x, rule()), wrt_jointly(std::array{c, Variable<>()}, joint));
        CHECK(token.alive() == 2);  // `joint` itself and the rule of x
        y.backward();
    }
    CHECK(x.grad() == Tensor<>{1});
    {
        const NoGrad guard;
        std::string asked;
        const Variable<> y = product(x, c, asked, token), z = digits({x, c}, token);
        CHECK(token.alive() == 0);
    }
}

TEST_CASE("record: a rule that adds to the gradient of its input") {
    const auto element = [](const Variable<>& x, Index i) {
        return record("element", Tensor<>{x.value().data()[i]},
                      wrt_add(x, [i](const Tensor<>& dy, Tensor<>& dx) { dx.mutable_at(i) += dy.item(); }));
    };
    const Variable<> x = leaf({1, 2, 3});
    SECTION("a leaf that gets several contributions, of both kinds") {
        (element(x, 2) * element(x, 0) + sum(x * 10.0f) + element(x, 2)).backward({.gradient = Tensor<>{1}});
        CHECK(x.grad() == Tensor<>{13, 10, 12});
        const Tensor<> before = x.grad();
        element(x, 1).backward();
        CHECK(x.grad() == Tensor<>{13, 11, 12});
        CHECK(before == Tensor<>{13, 10, 12});  // a copy stays as it was
    }
    SECTION("a gradient that others share is not written to") {
        const Variable<> w = leaf({4, 5, 6});
        const Variable<> y = x + w;  // both get the same dy
        (sum(y) + element(x, 0)).backward({.gradient = Tensor<>{1}});
        CHECK(x.grad() == Tensor<>{2, 1, 1});
        CHECK(w.grad() == Tensor<>{1, 1, 1});
    }
    SECTION("an intermediate result, its hooks and its kept gradient see the sum") {
        const Variable<> y = x * 2.0f;
        Variable<> seen = y;
        seen.retain_grad();
        int calls = 0;
        seen.register_hook([&](const Tensor<>& g) {
            ++calls;
            return g * 10.0f;
        });
        (element(y, 1) + element(y, 1) + element(y, 2)).backward();
        CHECK(calls == 1);
        CHECK(y.grad() == Tensor<>{0, 20, 10});
        CHECK(x.grad() == Tensor<>{0, 40, 20});
    }
    SECTION("a leaf with a hook, and a graph that is kept") {
        Variable<> hooked = x;
        hooked.register_hook([](const Tensor<>& g) { return g + 1.0f; });
        const Variable<> y = element(x, 0) * element(x, 0);
        y.backward({.retain_graph = true});
        y.backward();
        CHECK(x.grad() == Tensor<>{6, 2, 2});
    }
    SECTION("a leaf that was frozen meanwhile gets nothing") {
        Variable<> frozen = x;
        const Variable<> y = element(x, 0);
        frozen.set_requires_grad(false);
        y.backward();
        CHECK_FALSE(x.has_grad());
    }
}

TEST_CASE("record: an input that wants no gradient is not held") {
    const Tensor<> value{2};
    const Variable<> x = leaf({1});
    Variable<> c = constant(value);
    const auto same = [](const Tensor<>& dy) { return dy; };
    const Variable<> y = record("first", x.value(), wrt(x, same), wrt(c, same));
    CHECK_FALSE(value.exclusive());
    c = {};
    CHECK(value.exclusive());
}

TEST_CASE("record: backward drops the rules, and dropping the result does") {
    const Token token;
    const Variable<> x = leaf({1});
    {
        const Variable<> y = doubled(doubled(x, token), token);
        CHECK(token.alive() == 2);
        y.backward({.retain_graph = true});
        CHECK(token.alive() == 2);
        y.backward();
        CHECK(token.alive() == 0);
        CHECK(x.grad() == Tensor<>{8});
    }
    {
        const Variable<> y = doubled(doubled(x, token), token);  // never walked
        CHECK(token.alive() == 2);
    }
    CHECK(token.alive() == 0);
}

TEST_CASE("record: what a rule saved is not changed by writing to the leaf") {
    Parameter<> w(Tensor<>{2, 3});
    Variable<> x = leaf({5, 7});
    const Variable<> y = w * x;
    w.mutable_value().mutable_at(0) = 100;
    w.set_value({200, 300});
    x.mutable_value().mutable_at(1) = -1;
    CHECK(y.value() == Tensor<>{10, 21});
    y.backward({.gradient = ones({2})});
    CHECK(w.grad() == Tensor<>{5, 7});
    CHECK(x.grad() == Tensor<>{2, 3});
}

TEST_CASE("record: writing to the tensor a leaf was made of changes neither") {
    Tensor<> source{1, 2};
    const Variable<> x = leaf(source);
    const Variable<> y = x * x;
    source.mutable_at(0) = 50;
    CHECK(x.value() == Tensor<>{1, 2});
    y.backward({.gradient = ones({2})});
    CHECK(x.grad() == Tensor<>{2, 4});
}

TEST_CASE("record: a rule may answer in the broadcast shape; the engine sums") {
    const Variable<> row = leaf({1, 2, 3}), column = leaf(Tensor<>{{1}, {2}}), number = leaf(full({}, 5));
    const Variable<> y = row + column + number;
    y.backward({.gradient = Tensor<>{{1, 2, 3}, {4, 5, 6}}});
    CHECK(row.grad() == Tensor<>{5, 7, 9});
    CHECK(column.grad() == Tensor<>{{6}, {15}});
    CHECK(number.grad() == full({}, 21));
}

TEST_CASE("record: a rule that answers in a shape that does not fit is named") {
    const auto wrong = [](const Variable<>& x, const Tensor<>& answer) {
        return record("wrong", x.value(), wrt(x, [answer](const Tensor<>&) { return answer; }));
    };
    const Variable<> x = leaf({1, 2});
    CHECK_THROWS_MATCHES(
        wrong(x, zeros({3})).backward({.gradient = ones({2})}), GraphError,
        Message("wrong: a rule returned a gradient whose shape does not fit its value: got [3] and [2]"));
    CHECK_THROWS_MATCHES(
        wrong(x, zeros({})).backward({.gradient = ones({2})}), GraphError,
        Message("wrong: a rule returned a gradient whose shape does not fit its value: got [] and [2]"));
    CHECK_THROWS_MATCHES(
        wrong(x, Tensor<>()).backward({.gradient = ones({2})}), GraphError,
        Message("wrong: a rule returned a gradient whose shape does not fit its value: got [0] and [2]"));
    CHECK_FALSE(x.has_grad());
}

TEST_CASE("record: one rule for any number of inputs") {
    const Token token;
    const Variable<> a = leaf({1}), b = constant({2}), c = leaf({3});
    const Variable<> y = digits({a, b, c, a}, token);
    CHECK(y.value() == Tensor<>{1 + 20 + 300 + 1000});
    CHECK(token.alive() == 1);
    y.backward();
    CHECK(a.grad() == Tensor<>{1001});
    CHECK_FALSE(b.has_grad());
    CHECK(c.grad() == Tensor<>{100});
    CHECK(token.alive() == 0);
    CHECK_FALSE(digits({b, b}).requires_grad());
}

TEST_CASE("record: a joint rule is told which gradients are wanted") {
    std::string asked;
    const Token token;
    const Variable<> a = leaf({2}), b = leaf({3}), c = constant({5});
    product(a, b, asked, token).backward();
    CHECK(a.grad() == Tensor<>{3});
    CHECK(b.grad() == Tensor<>{2});
    product(a, c, asked, token).backward();
    CHECK(a.grad() == Tensor<>{8});
    product(c, b, asked, token).backward();
    CHECK(b.grad() == Tensor<>{7});
    product(a, a, asked, token).backward();
    CHECK(a.grad() == Tensor<>{12});
    CHECK(asked == "aba--bab");
    CHECK_FALSE(product(c, c, asked, token).requires_grad());
    CHECK_FALSE(c.has_grad());
    CHECK(token.alive() == 0);
}

TEST_CASE("record: kinds of rules mix in one operation") {
    const Variable<> a = leaf({1}), b = leaf({2}), c = leaf({3});
    const Variable<> y = record(
        "mixed", a.value() + b.value() + c.value(), wrt(a, [](const Tensor<>& dy) { return dy * 2.0f; }),
        wrt_each(std::vector<Variable<>>{b, c},
                 [](const Tensor<>& dy, Index i) { return dy * (i == 0 ? 3.0f : 4.0f); }),
        wrt_jointly(std::array{a, c}, [](const Tensor<>& dy, const std::array<bool, 2>&) {
            return std::array{dy * 100.0f, dy * 200.0f};
        }));
    y.backward();
    CHECK(a.grad() == Tensor<>{102});
    CHECK(b.grad() == Tensor<>{3});
    CHECK(c.grad() == Tensor<>{204});
}

TEST_CASE("record: an exception while an operation is recorded loses nothing") {
    struct Thrower {
        std::shared_ptr<int> held;
        explicit Thrower(std::shared_ptr<int> h) : held(std::move(h)) {}
        Thrower(const Thrower&) = default;
        Thrower(Thrower&& other) : held(std::move(other.held)) {
            if (moves_left-- == 0) throw std::runtime_error("moved too often");
        }
        Tensor<> operator()(const Tensor<>& dy) const { return dy; }
        int moves_left = 0;
    };
    const Token token;
    const Variable<> x = leaf({1});
    CHECK_THROWS_AS(record("thrower", x.value(), wrt(x, Thrower(token.counted))), std::runtime_error);
    CHECK(token.alive() == 0);
}
