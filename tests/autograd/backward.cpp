// SPDX-License-Identifier: MIT
#include "gradus/autograd/backward.hpp"

#include <pthread.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gradus/core/print.hpp"
#include "gradus/core/random.hpp"
#include "gradus/ops/arithmetic.hpp"
#include "gradus/ops/reduce.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

Variable<> leaf(Tensor<> value) { return Variable<>(std::move(value), {.requires_grad = true}); }

/// The identity, with a rule that also runs `action`. The token counts the rules that live.
template <class Action>
Variable<> observed(const Variable<>& x, const std::shared_ptr<int>& token, Action action) {
    return record("observed", x.value(), wrt(x, [token, action](const Tensor<>& dy) {
                      action();
                      return dy;
                  }));
}

/// Runs f on a thread with this much stack.
void on_stack_of(std::size_t bytes, const std::function<void()>& f) {
    pthread_attr_t attributes;
    REQUIRE(pthread_attr_init(&attributes) == 0);
    REQUIRE(pthread_attr_setstacksize(&attributes, bytes) == 0);
    pthread_t thread;
    const auto start = [](void* work) -> void* {
        (*static_cast<const std::function<void()>*>(work))();
        return nullptr;
    };
    REQUIRE(pthread_create(&thread, &attributes, start, const_cast<std::function<void()>*>(&f)) == 0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int chain_length = 50'000;  // sanitizers keep freed memory
#else
constexpr int chain_length = 1'000'000;
#endif

Variable<> chain(Variable<> x, int length) {
    for (int i = 0; i < length; ++i) x = x + 1.0f;
    return x;
}

}  // namespace

TEST_CASE("backward: gradients by hand") {
    const Variable<> x = leaf({3}), y = leaf({4});
    const Variable<> z = x * y + x * x - y / x;  // dz/dx = y + 2 x + y / x², dz/dy = x - 1 / x
    z.backward();
    CHECK(x.grad().item() == Approx(4 + 6 + 4.0 / 9));
    CHECK(y.grad().item() == Approx(3 - 1.0 / 3));
}

TEST_CASE("backward: a second backward adds") {
    const Variable<> x = leaf({3});
    (x * x).backward();
    CHECK(x.grad() == Tensor<>{6});
    (x * x).backward();
    CHECK(x.grad() == Tensor<>{12});
    Variable<> handle = x;
    handle.zero_grad();
    (x * x).backward();
    CHECK(x.grad() == Tensor<>{6});
}

TEST_CASE("backward: the history is kept on request and released otherwise") {
    const Variable<> x = leaf({3});
    const Variable<> y = x * x;
    y.backward({.retain_graph = true});
    y.backward({.retain_graph = true});
    y.backward();
    CHECK(x.grad() == Tensor<>{18});
    const char* const text =
        "backward: the history of this mul was released by an earlier backward(); call that one with "
        "{.retain_graph = true}";
    CHECK_THROWS_MATCHES(y.backward(), GraphError, Message(text));
    const Variable<> z = -y;  // a graph that reaches into released history
    CHECK_THROWS_MATCHES(z.backward(), GraphError, Message(text));
    CHECK(x.grad() == Tensor<>{18});
    CHECK(y.value() == Tensor<>{9});
}

TEST_CASE("backward: graphs that share a part") {
    const Variable<> x = leaf({2});
    const Variable<> shared = x * x, a = shared * 3.0f, b = shared * 5.0f;
    a.backward({.retain_graph = true});
    CHECK(x.grad() == Tensor<>{12});
    b.backward();  // releases the shared part
    CHECK(x.grad() == Tensor<>{32});
    CHECK_THROWS_AS(a.backward(), GraphError);
    CHECK(x.grad() == Tensor<>{32});
}

TEST_CASE("backward: from a part of a graph that was walked as a whole before") {
    Variable<> x = leaf({1, 2});
    const Tensor<> one = ones({2});
    const Variable<> a = x * x, b = x * x;
    SECTION("a summand of a total") {
        const Variable<> total = a + b;
        total.backward({.gradient = one, .retain_graph = true});
        for (const Variable<>& part : {a, b, a}) {
            x.zero_grad();
            part.backward({.gradient = one, .retain_graph = true});
            CHECK(x.grad() == Tensor<>{2, 4});
        }
        x.zero_grad();
        total.backward({.gradient = one});
        CHECK(x.grad() == Tensor<>{4, 8});
    }
    SECTION("two losses, and the second once more") {
        const Variable<> first = sum(a), second = sum(b);
        (first + second).backward({.retain_graph = true});
        second.backward();
        CHECK(x.grad() == Tensor<>{6, 12});
    }
    SECTION("one of many inputs") {
        std::vector<Variable<>> squares;
        for (int i = 0; i < 5; ++i) squares.push_back(x * x);
        const Variable<> joined = record("added", squares[0].value(),
                                         wrt_each(squares, [](const Tensor<>& dy, Index) { return dy; }));
        joined.backward({.gradient = one, .retain_graph = true});
        for (const Variable<>& square : squares) square.backward({.gradient = one});
        CHECK(x.grad() == Tensor<>{20, 40});
    }
    SECTION("after an exception in the walk as a whole") {
        bool broken = true;
        Variable<>(a).register_hook([&broken](const Tensor<>& gradient) {
            if (broken) throw std::runtime_error("hook failed");
            return gradient;
        });
        const Variable<> total = (b + a) + b;
        CHECK_THROWS_AS(total.backward({.gradient = one, .retain_graph = true}), std::runtime_error);
        broken = false;
        for (const Variable<>& part : {b, a}) {
            x.zero_grad();
            part.backward({.gradient = one, .retain_graph = true});
            CHECK(x.grad() == Tensor<>{2, 4});
        }
    }
}

TEST_CASE("backward: a walk within a walk of the same nodes is refused") {
    Variable<> x = leaf({3}), y = x * x, z = y * 2.0f;
    const auto refused = [](const char* operation) {
        return Message(
            std::string("backward: the gradient of this ") + operation +
            " is still being computed by another backward(), whose hook or rule called this one or which "
            "runs "
            "on another thread; call this one after that has returned, or on a graph of its own that starts "
            "from detach()ed values");
    };
    const auto walk = [](const Variable<>& from) { from.backward({.retain_graph = true}); };
    bool nested = true;
    SECTION("from a hook") {
        y.register_hook([&](const Tensor<>& gradient) {
            if (nested) {
                CHECK_THROWS_MATCHES(walk(z), GraphError, refused("mul"));      // itself
                CHECK_THROWS_MATCHES(walk(y), GraphError, refused("mul"));      // a part
                CHECK_THROWS_MATCHES(walk(y + x), GraphError, refused("mul"));  // another result of it
            }
            return gradient;
        });
        walk(z);
        CHECK(x.grad() == Tensor<>{12});
    }
    SECTION("from a hook that lets the refusal pass") {
        y.register_hook([&](const Tensor<>& gradient) {
            if (nested) walk(z);
            return gradient;
        });
        CHECK_THROWS_MATCHES(walk(z), GraphError, refused("mul"));
        CHECK_FALSE(x.has_grad());
        nested = false;
        walk(z);
        walk(y);
        CHECK(x.grad() == Tensor<>{18});
    }
    SECTION("from a rule") {
        const auto token = std::make_shared<int>();
        const Variable<> w = observed(z, token, [&] {
            CHECK_THROWS_MATCHES(walk(z), GraphError, refused("mul"));
            CHECK_THROWS_MATCHES(walk(y * y), GraphError, refused("mul"));
        });
        walk(w);
        CHECK(x.grad() == Tensor<>{12});
    }
    SECTION("from a hook of a leaf that the inner graph would call again") {
        x.register_hook([&](const Tensor<>& gradient) {
            CHECK_THROWS_MATCHES(walk(x * x), GraphError, refused("leaf"));
            return gradient;
        });
        walk(z);
        CHECK(x.grad() == Tensor<>{12});
        walk(x);
        CHECK(x.grad() == Tensor<>{13});
    }
}

TEST_CASE("backward: a hook or a rule may walk other nodes") {
    Variable<> x = leaf({3}), w = leaf({5});
    SECTION("of a graph that shares leaves") {
        Variable<> y = x * w;
        y.register_hook([&](const Tensor<>& gradient) {
            (x * x).backward();
            return gradient;
        });
        (y * y).backward();  // x²w²
        CHECK(x.grad() == Tensor<>{2 * 3 * 25 + 6});
        CHECK(w.grad() == Tensor<>{2 * 9 * 5});
    }
    SECTION("that the outer walk has left behind, or that hang on a value alone") {
        Variable<> a = x * 2.0f, b = w * 3.0f;
        b.retain_grad();
        bool after_b = false;
        a.register_hook([&](const Tensor<>& gradient) {
            after_b = b.has_grad();
            if (after_b) b.backward({.retain_graph = true});
            (a.detach() * w).backward();
            return gradient;
        });
        (b + a).backward({.retain_graph = true});
        CHECK(x.grad() == Tensor<>{2});
        CHECK(w.grad() == Tensor<>{after_b ? 12.0f : 9.0f});
    }
    SECTION("so a part of a graph can be computed again in its rule") {
        const auto cubed = [](const Variable<>& v) { return v * v * v; };
        const Variable<> y = record("recomputed", cubed(x.detach()).value(), wrt(x, [&](const Tensor<>& dy) {
                                        const Variable<> again = leaf(x.value());
                                        cubed(again).backward({.gradient = dy});
                                        return again.grad();
                                    }));
        (y * w).backward();
        CHECK(x.grad() == Tensor<>{5 * 27});
        CHECK(w.grad() == Tensor<>{27});
    }
}

TEST_CASE("backward: hooks that change what the walk works on") {
    Variable<> x = leaf({3}), w = leaf({5});
    Variable<> y = x * w, z = y * y;
    int calls = 0;
    const auto count = [&calls](const Tensor<>& gradient) {
        ++calls;
        return gradient * 2.0f;
    };
    SECTION("a first hook of a leaf counts from the next backward on") {
        HookHandle<float> handle = y.register_hook([&](const Tensor<>& gradient) {
            x.register_hook(count);
            w.register_hook(count);
            return gradient;
        });
        z.backward({.retain_graph = true});
        handle.remove();
        CHECK(calls == 0);
        CHECK(x.grad() == Tensor<>{150});
        z.backward();
        CHECK(calls == 2);
        CHECK(x.grad() == Tensor<>{450});
        CHECK(w.grad() == Tensor<>{270});
    }
    SECTION("a leaf loses its only hook, or gets a second one") {
        HookHandle<float> handle = x.register_hook(count);
        w.register_hook(count);
        y.register_hook([&](const Tensor<>& gradient) {
            handle.remove();
            w.register_hook(count);
            return gradient;
        });
        z.backward();
        CHECK(calls == 2);
        CHECK(x.grad() == Tensor<>{150});
        CHECK(w.grad() == Tensor<>{360});
    }
    SECTION("the variables go, the values change, a leaf is frozen") {
        y.register_hook([&](const Tensor<>& gradient) {
            y = Variable<>();
            z = Variable<>();
            x.set_value(Tensor<>{100});  // the rules saved what it was
            w.set_requires_grad(false);
            return gradient;
        });
        z.backward();
        CHECK(x.grad() == Tensor<>{150});
        CHECK_FALSE(w.has_grad());
    }
    SECTION("gradients are retained, or forgotten") {
        z.backward({.retain_graph = true});
        z.register_hook([&](const Tensor<>& gradient) {
            x.zero_grad();
            y.retain_grad();
            return gradient;
        });
        z.backward();
        CHECK(y.grad() == Tensor<>{30});
        CHECK(x.grad() == Tensor<>{150});
        CHECK(w.grad() == Tensor<>{180});
    }
}

TEST_CASE("backward: {.gradient} is that of what comes after") {
    const Variable<> x = leaf({{1, 2}, {3, 4}});
    Tensor<> dy{{1, 10}, {100, 1000}};
    (x * x).backward({.gradient = dy});
    CHECK(x.grad() == Tensor<>{{2, 40}, {600, 8000}});
    CHECK(dy == Tensor<>{{1, 10}, {100, 1000}});
    (x * x).backward({.gradient = std::move(dy)});
    CHECK(x.grad() == Tensor<>{{4, 80}, {1200, 16000}});

    const Variable<> y = leaf({1, 2});
    (y * y).backward({.gradient = Tensor<>{std::numeric_limits<float>::quiet_NaN(), 1}});
    CHECK(std::isnan(y.grad()(0)));
    CHECK(y.grad()(1) == 4);

    const Variable<> scalar = leaf(full({}, 3)), one = leaf({{3}});
    (scalar * scalar).backward();  // a single number of any rank needs no gradient
    (one * one).backward();
    CHECK(scalar.grad() == full({}, 6));
    CHECK(one.grad() == Tensor<>{{6}});
}

TEST_CASE("backward: refusals") {
    const Variable<> constant(Tensor<>{1}), x = leaf({1, 2});
    const char* const nothing =
        "backward: nothing that this value came from requires a gradient (or it was made while a NoGrad "
        "lived); make a "
        "leaf with {.requires_grad = true}";
    CHECK_THROWS_MATCHES(constant.backward(), GraphError, Message(nothing));
    CHECK_THROWS_MATCHES((constant * constant).backward(), GraphError, Message(nothing));
    CHECK_THROWS_MATCHES((x * x).detach().backward(), GraphError, Message(nothing));
    {
        const NoGrad guard;
        CHECK_THROWS_MATCHES((x * x).backward(), GraphError, Message(nothing));
    }
    CHECK_THROWS_MATCHES(
        (x * x).backward(), GraphError,
        Message("backward: needs a single number or a gradient; sum() or mean() the result first: got [2]"));
    CHECK_THROWS_MATCHES(
        (leaf(zeros({0})) * 2.0f).backward(), GraphError,
        Message("backward: needs a single number or a gradient; sum() or mean() the result first: got [0]"));
    CHECK_THROWS_MATCHES((x * x).backward({.gradient = ones({3})}), ShapeError,
                         Message("backward: gradient and value differ in shape: got [3] and [2]"));
    CHECK_THROWS_MATCHES((x * x).backward({.gradient = ones({1, 2})}), ShapeError,
                         Message("backward: gradient and value differ in shape: got [1, 2] and [2]"));
    CHECK_FALSE(x.has_grad());
}

TEST_CASE("backward: on a leaf, {.gradient} is the gradient") {
    const Variable<> x = leaf({2});
    x.backward();
    x.backward();
    CHECK(x.grad() == Tensor<>{2});
    const Variable<> hooked = leaf({2, 3});
    Variable<>(hooked).register_hook([](const Tensor<>& gradient) { return gradient * 10.0f; });
    hooked.backward({.gradient = Tensor<>{1, 2}});
    CHECK(hooked.grad() == Tensor<>{10, 20});
}

TEST_CASE("backward: size 0") {
    const Variable<> x = leaf(zeros({0, 3}));
    (x * x).backward({.gradient = zeros({0, 3})});
    CHECK(x.grad().shape() == Shape{0, 3});
    const Variable<> row = leaf({1, 2, 3});
    (row * Variable<>(zeros({0, 3}))).backward({.gradient = zeros({0, 3})});
    CHECK(row.grad() == Tensor<>{0, 0, 0});  // a sum of nothing
}

TEST_CASE("backward: accumulating does not change gradients taken out before, nor the one given") {
    const Variable<> x = leaf({1, 2}), y = leaf({1, 2});
    const Tensor<> dy{5, 6};
    const Variable<> z = x + y;  // both gradients are dy itself
    z.backward({.gradient = dy, .retain_graph = true});
    const Tensor<> taken = x.grad();
    z.backward({.gradient = dy});
    Variable<>(x).mutable_grad().mutable_at(0) = -1;
    CHECK(dy == Tensor<>{5, 6});
    CHECK(taken == Tensor<>{5, 6});
    CHECK(x.grad() == Tensor<>{-1, 12});
    CHECK(y.grad() == Tensor<>{10, 12});
}

TEST_CASE("backward: hooks") {
    const Variable<> x = leaf({1, 2});
    std::vector<std::string> calls;
    const auto note = [&calls](const char* name) {
        return [&calls, name](const Tensor<>& gradient) {
            calls.push_back(std::string(name) + " " + to_string(gradient));
            return gradient;
        };
    };
    SECTION("an interior hook sees the complete gradient, once") {
        Variable<> y = x * 2.0f;
        y.register_hook(note("y"));
        (y * 3.0f + y * 4.0f).backward({.gradient = ones({2})});
        CHECK(calls == std::vector<std::string>{"y [7, 7]"});
        CHECK(x.grad() == Tensor<>{14, 14});
    }
    SECTION("a leaf hook sees the sum of all contributions") {
        Variable<>(x).register_hook(note("x"));
        (x * 3.0f + x * x).backward({.gradient = ones({2})});
        CHECK(calls == std::vector<std::string>{"x [5, 7]"});
        (x * 1.0f).backward({.gradient = ones({2})});
        CHECK(calls.back() == "x [1, 1]");  // what this backward() brought, not the total
        CHECK(x.grad() == Tensor<>{6, 8});
    }
    SECTION("what it returns replaces the gradient; several run in the order they came") {
        Variable<> y = x * 2.0f;
        y.register_hook([](const Tensor<>& gradient) { return gradient + 1.0f; });
        y.register_hook([](const Tensor<>& gradient) { return gradient * 10.0f; });
        y.backward({.gradient = ones({2})});
        CHECK(x.grad() == Tensor<>{40, 40});
    }
    SECTION("it runs at every backward of a kept graph") {
        Variable<> y = x * 2.0f;
        y.register_hook(note("y"));
        y.backward({.gradient = ones({2}), .retain_graph = true});
        y.backward({.gradient = ones({2})});
        CHECK(calls.size() == 2);
    }
    SECTION("a result of the wrong shape is refused and leaves no trace") {
        Variable<> y = x * 2.0f;
        bool wrong = true;
        y.register_hook([&wrong](const Tensor<>& gradient) { return wrong ? zeros({3}) : gradient; });
        const Variable<> z = y * 1.0f;
        CHECK_THROWS_MATCHES(
            z.backward({.gradient = ones({2}), .retain_graph = true}), GraphError,
            Message("hook: a rule returned a gradient whose shape does not fit its value: got [3] and [2]"));
        CHECK_FALSE(x.has_grad());
        wrong = false;
        z.backward({.gradient = ones({2})});
        CHECK(x.grad() == Tensor<>{2, 2});
    }
    SECTION("it may register another hook, which runs next") {
        Variable<> y = x * 2.0f;
        y.register_hook(
            [&](const Tensor<>& gradient) {  // by reference: a hook that holds its variable is a cycle
                for (int i = 0; i < 10; ++i) y.register_hook(note("late"));
                return gradient;
            });
        y.backward({.gradient = ones({2})});
        CHECK(calls.size() == 10);
    }
    SECTION("a handle removes it, before a backward or in the middle of one") {
        Variable<> y = x * 2.0f;
        HookHandle<float> first = y.register_hook(note("first")), second = first;
        HookHandle<float> own = y.register_hook([&](const Tensor<>& gradient) {
            own.remove();
            calls.push_back("own");
            return gradient * 10.0f;
        });
        y.register_hook(note("last"));
        y.backward({.gradient = ones({2}), .retain_graph = true});
        CHECK(calls == std::vector<std::string>{"first [1, 1]", "own", "last [10, 10]"});
        second.remove();
        first.remove();  // once more does no harm
        y.backward({.gradient = ones({2})});
        CHECK(calls.size() == 4);
        CHECK(calls.back() == "last [1, 1]");
        CHECK(x.grad() == Tensor<>{22, 22});
    }
    SECTION("a handle may outlive its value") {
        std::optional<HookHandle<float>> handle;
        {
            Variable<> y = x * 2.0f;
            handle = y.register_hook(note("y"));
        }
        handle->remove();
        CHECK(calls.empty());
    }
    SECTION("it may run a backward of its own") {
        const Variable<> other = leaf({7});
        Variable<> y = x * 2.0f;
        y.register_hook([other](const Tensor<>& gradient) {
            (other * other).backward();
            return gradient;
        });
        y.backward({.gradient = ones({2})});
        CHECK(other.grad() == Tensor<>{14});
        CHECK(x.grad() == Tensor<>{2, 2});
    }
}

TEST_CASE("backward: retain_grad keeps the gradient of a result") {
    const Variable<> x = leaf({1, 2});
    Variable<> y = x * 2.0f, z = y * y;
    y.retain_grad();
    z.register_hook([](const Tensor<>& gradient) { return gradient * 2.0f; });
    z.retain_grad();
    z.backward({.gradient = ones({2})});
    CHECK(z.grad() == Tensor<>{2, 2});  // after the hook
    CHECK(y.grad() == Tensor<>{8, 16});
    CHECK(x.grad() == Tensor<>{16, 32});
    CHECK_FALSE((x * 2.0f).has_grad());
    const Variable<> plain = x * 2.0f;
    plain.backward({.gradient = ones({2})});
    CHECK_THROWS_AS(plain.grad(), GraphError);
}

TEST_CASE("backward: an exception in the middle of a walk leaves everything usable") {
    const auto token = std::make_shared<int>();
    const auto live_rules = [&token] { return token.use_count() - 1; };
    const Variable<> x = leaf({3}), w = leaf({5});
    {
        bool broken = true;
        const auto fail_if_broken = [&broken] {
            if (broken) throw std::runtime_error("rule failed");
        };
        const auto nothing = [] {};
        // Several paths to x; one of them breaks while others are pending.
        const Variable<> a = observed(x * w, token, nothing), b = observed(a * a, token, fail_if_broken);
        const Variable<> y = observed(a * b + b * w, token, nothing);
        CHECK_THROWS_WITH(y.backward({.retain_graph = true}), "rule failed");
        CHECK_THROWS_WITH(y.backward({.retain_graph = true}), "rule failed");
        CHECK(live_rules() == 3);
        broken = false;
        Variable<>(x).zero_grad();
        Variable<>(w).zero_grad();
        y.backward({.retain_graph = true});  // y = x³w³ + x²w³
        CHECK(x.grad() == Tensor<>{3 * 9 * 125 + 2 * 3 * 125});
        CHECK(w.grad() == Tensor<>{3 * 27 * 25 + 3 * 9 * 25});
        broken = true;
        CHECK_THROWS_WITH(y.backward(), "rule failed");  // part of the history is released now
    }
    CHECK(live_rules() == 0);
    Variable<>(x).zero_grad();
    (x * x).backward();
    CHECK(x.grad() == Tensor<>{6});
}

TEST_CASE("backward: an exception in a hook or on the way to a leaf") {
    Variable<> x = leaf({3});
    bool broken = true;
    x.register_hook([&broken](const Tensor<>& gradient) {
        if (broken) throw std::runtime_error("hook failed");
        return gradient;
    });
    const Variable<> y = x * x;
    CHECK_THROWS_WITH(y.backward({.retain_graph = true}), "hook failed");
    CHECK_FALSE(x.has_grad());
    broken = false;
    y.backward();
    CHECK(x.grad() == Tensor<>{6});
}

TEST_CASE("backward: no rule lives longer than it must") {
    const auto token = std::make_shared<int>();
    const auto live_rules = [&token] { return token.use_count() - 1; };
    const auto nothing = [] {};
    const Variable<> x = leaf({1});
    {
        Variable<> y = observed(observed(x, token, nothing), token, nothing);
        y = observed(y + y, token, nothing);
        CHECK(live_rules() == 3);
    }
    CHECK(live_rules() == 0);  // dropped without backward

    // History goes while the walk goes: when the first rule runs, the later ones have been released.
    std::vector<long> seen;
    Variable<> y = x;
    for (int i = 0; i < 4; ++i) y = observed(y, token, [&] { seen.push_back(live_rules()); });
    y.backward();
    CHECK(seen == std::vector<long>{4, 3, 2, 1});
    CHECK(live_rules() == 0);
}

TEST_CASE("backward: a value outlives its graph, a graph its values") {
    Variable<> x = leaf({2}), y;
    {
        const Variable<> inner = x * x;
        y = inner * x;
        x = leaf({100});  // the graph still holds the first x
    }
    y.backward();
    CHECK_FALSE(x.has_grad());
    CHECK(y.value() == Tensor<>{8});
}

TEST_CASE("backward: a million operations in a row need no deep stack") {
    const std::size_t kilobytes = GENERATE(256u, 8192u);
    INFO(kilobytes << " KiB of stack");
    const bool walked = GENERATE(true, false);
    Tensor<> gradient;
    float result = 0;
    on_stack_of(kilobytes * 1024, [&] {
        const Variable<> x = leaf({1});
        const Variable<> y = chain(x, chain_length);
        result = y.item();
        if (walked) {
            y.backward();
            gradient = x.grad();
        }
    });
    CHECK(result == static_cast<float>(chain_length) + 1);
    if (walked) CHECK(gradient == Tensor<>{1});
}

TEST_CASE("backward: a kept chain is freed without recursion, too") {
    on_stack_of(256 * 1024, [] {
        const Variable<> x = leaf({1});
        {
            const Variable<> y = chain(x, chain_length / 10);
            y.backward({.retain_graph = true});
            y.backward({.retain_graph = true});
        }
        if (x.grad() != Tensor<>{2}) throw std::logic_error("wrong gradient");
    });
}

TEST_CASE("backward: a diamond of 60 levels is walked once per operation") {
    Variable<double> x(Tensor<double>{1}, {.requires_grad = true});
    Variable<double> y = x;
    int rules = 0;
    for (int i = 0; i < 60; ++i) {
        y = y + y;
        y.register_hook([&rules](const Tensor<double>& gradient) {
            ++rules;
            return gradient;
        });
    }
    y.backward();
    CHECK(rules == 60);
    CHECK(y.item() == 0x1p60);
    CHECK(x.grad().item() == 0x1p60);

    const Variable<double> z(Tensor<double>{-1}, {.requires_grad = true});
    Variable<double> power = z;
    for (int i = 0; i < 40; ++i) power = power * power;  // z to the power of 2⁴⁰; every factor is exact
    power.backward();
    CHECK(power.item() == 1);
    CHECK(z.grad().item() == -0x1p40);
}

TEST_CASE("backward: a ladder of Fibonacci numbers") {
    const Variable<double> x(Tensor<double>{1}, {.requires_grad = true});
    Variable<double> a = x, b = x;
    for (int i = 0; i < 70; ++i) a = std::exchange(b, a + b);
    b.backward();
    CHECK(b.item() == 498454011879264.0);  // the 72nd, where the first two are 1
    CHECK(x.grad().item() == b.item());    // linear in x
}

TEST_CASE("backward: the order in which a graph is written does not matter") {
    const auto gradients = [](const std::vector<int>& order) {
        const Variable<> x = leaf({2}), w = leaf({3});
        std::vector<Variable<>> terms(4);
        for (const int i : order) {
            if (i == 0) terms[0] = x * w;
            if (i == 1) terms[1] = x * x;
            if (i == 2) terms[2] = w * 5.0f;
            if (i == 3) terms[3] = x - w;
        }
        Variable<> total = terms[static_cast<std::size_t>(order[0])];
        for (std::size_t k = 1; k < 4; ++k) total = total + terms[static_cast<std::size_t>(order[k])];
        total.backward();
        return std::pair(x.grad().item(), w.grad().item());
    };
    std::vector<int> order{0, 1, 2, 3};
    do CHECK(gradients(order) == std::pair(3.0f + 4 + 1, 2.0f + 5 - 1));
    while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("backward: the gradient is linear in the one given and in the function") {
    const Variable<> x = leaf({1, 2, 3});
    const auto gradient = [&x](const Variable<>& y, const Tensor<>& dy) {
        Variable<>(x).zero_grad();
        y.backward({.gradient = dy});
        return x.grad();
    };
    const Tensor<> s{1, 2, 4}, t{8, 16, -32};
    CHECK(gradient(x * x, s + t) == gradient(x * x, s) + gradient(x * x, t));
    CHECK(gradient(x * x + x * 3.0f, s) == gradient(x * x, s) + gradient(x * 3.0f, s));
}

TEST_CASE("backward: graphs on several threads may share a leaf") {
    const Variable<> shared = leaf(full({100}, 3)), own_factor = Variable<>(full({100}, 2));
    const int threads = 4, rounds = 200;
    std::vector<std::thread> workers;
    for (int t = 0; t < threads; ++t)
        workers.emplace_back([&] {
            for (int i = 0; i < rounds; ++i)
                (shared * own_factor + shared).backward({.gradient = ones({100})});
        });
    for (auto& worker : workers) worker.join();
    CHECK(shared.grad() == full({100}, 3 * threads * rounds));
}

TEST_CASE("backward: a graph may be built on one thread, walked on another and freed on a third") {
    const Variable<> x = leaf({2});
    const auto token = std::make_shared<int>();
    Variable<> y;
    std::thread([&] {
        y = x;
        for (int i = 0; i < 1000; ++i) y = observed(y, token, [] {});
    }).join();
    std::thread([&] { y.backward({.retain_graph = true}); }).join();
    CHECK(x.grad() == Tensor<>{1});
    std::thread([&] { y = {}; }).join();
    CHECK(token.use_count() == 1);
}

TEST_CASE("backward: a value is given up when its last variable goes") {
    const Index n = 64 * 256;  // 64 KiB, so that the statistics count it
    const Variable<> x(randn({n}), {.requires_grad = true});
    x.node().grad = zeros({n});
    const std::size_t before = memory_stats().live;
    const auto blocks = [&] { return (memory_stats().live - before) / (sizeof(float) * n); };
    {
        const Variable<> y = sum((x + 1.0f) + (x + 2.0f));  // no rule saves any of the three sums
        CHECK(blocks() == 0);
        y.backward();
        CHECK(blocks() == 0);
        CHECK(x.grad() == full({n}, 2));
    }
    {
        const Variable<> a = x * 3.0f, b = a;
        const Variable<> y = sum(a * a);  // saves a
        CHECK(blocks() == 1);
        y.backward();
        CHECK(blocks() == 1);  // what has a variable stays readable
        CHECK(b.value() == x.value() * 3.0f);
    }
    CHECK(blocks() == 0);
}

TEST_CASE("backward: what is saved is given back as the walk goes") {
    const Index n = 64 * 256;
    const Variable<> x(randn({n}), {.requires_grad = true});
    const std::size_t before = memory_stats().live;
    const auto blocks = [&] { return (memory_stats().live - before) / (sizeof(float) * n); };
    Variable<> y = exp(x * 0.1f);
    std::vector<std::size_t> live;
    for (int i = 0; i < 4; ++i) {
        y.register_hook([&](const Tensor<>& gradient) {
            live.push_back(blocks());
            return gradient;
        });
        y = exp(y * 0.1f);  // saves its result
    }
    const Variable<> total = sum(y);
    y = Variable<>();
    total.backward();
    CHECK(live.size() == 4);
    for (std::size_t i = 1; i < live.size(); ++i) CHECK(live[i] < live[i - 1]);
}

TEST_CASE("backward: a last variable may go on one thread while another walks the graph") {
    for (int round = 0; round < 50; ++round) {
        const Variable<> x = leaf({1, 2});
        Variable<> y = x * 2.0f;
        const Variable<> z = sum(y * y);
        std::thread other([moved = std::move(y)]() mutable { moved = Variable<>(); });
        z.backward();
        other.join();
        CHECK(x.grad() == Tensor<>{8, 16});
    }
}
