// SPDX-License-Identifier: MIT
#include "gradus/autograd/fusion.hpp"

#include <string>
#include <utility>

#include "gradus/ops/activation.hpp"
#include "gradus/ops/arithmetic.hpp"
#include "gradus/ops/fusion.hpp"
#include "gradus/ops/reduce.hpp"
#include "support/test.hpp"

using namespace gradus;
using detail::Add, detail::MaxPool, detail::Relu;

namespace {

Variable<> leaf(Tensor<> value) { return Variable<>(std::move(value), {.requires_grad = true}); }

/// What became of the computations of this test.
struct Log {
    int computed = 0, deleted = 0;
};

/// 10 x, deferred. It has a form with a relu after it.
struct TenTimes final : detail::Fusible<float> {
    using Fusible<float>::then;

    TenTimes(Tensor<> input, Log& l) : x(std::move(input)), log(&l) {}
    ~TenTimes() override { ++log->deleted; }
    void compute(float* y) override {
        ++log->computed;
        for (Index i = 0; i < x.numel(); ++i) y[i] = 10 * x.data()[i];
    }
    Variable<> then(const Relu&) override {
        return record("ten_times + relu", x * 10.0f,
                      wrt(leaf({1, 2}), [](const Tensor<>& dy) { return dy; }));
    }

    Tensor<> x;
    Log* log;
};

/// A deferred computation that knows of no operation after it.
struct Plain final : detail::Deferred<float> {
    void compute(float* y) override { y[0] = 7; }
};

Variable<> ten_times(const Variable<>& x, Log& log) {
    const Variable<> y = record("ten_times", Tensor<>::uninitialized(x.shape()),
                                wrt(x, [](const Tensor<>& dy) { return dy * 10.0f; }));
    detail::defer<TenTimes>(y, x.value(), log);
    return y;
}

}  // namespace

TEST_CASE("fusion: a deferred value is computed when it is first read, and once") {
    Log log;
    const Variable<> y = ten_times(leaf({1, 2}), log);
    CHECK(y.shape() == Shape{2});
    CHECK(log.computed == 0);
    CHECK(y.value() == Tensor<>{10, 20});
    CHECK(y.value() == Tensor<>{10, 20});
    CHECK(log.computed == 1);
    CHECK(log.deleted == 1);
    ten_times(leaf({1, 2}), log);
    CHECK(log.computed == 1);  // never, if nobody reads it
    CHECK(log.deleted == 2);
}

TEST_CASE("fusion: backward reads what is deferred") {
    Log log;
    const Variable<> x = leaf({1, 2});
    ten_times(x, log).backward({.gradient = Tensor<>{1, 3}});
    CHECK(log.computed == 1);
    CHECK(x.grad() == Tensor<>{10, 30});
}

TEST_CASE("fusion: an operation takes over the computation of a temporary that has a form with it") {
    Log log;
    const Variable<> x = leaf({1, 2});
    CHECK(detail::fuse(ten_times(x, log), Relu{}).operation() == std::string("ten_times + relu"));
    CHECK(log.computed == 0);
    CHECK_FALSE(detail::fuse(ten_times(x, log), MaxPool{2}).defined());
    CHECK_FALSE(detail::fuse(ten_times(x, log), Add<float>{x}).defined());
    CHECK_FALSE(detail::fuse(x * 2.0f, Relu{}).defined());  // nothing is deferred

    const Variable<> plain(Tensor<>::uninitialized({1}));
    detail::defer<Plain>(plain);
    CHECK_FALSE(detail::fuse(plain, Relu{}).defined());
    CHECK(plain.value() == Tensor<>{7});
}

TEST_CASE("fusion: not of a value that somebody else could read, or whose gradient is asked for") {
    Log log;
    const Variable<> x = leaf({1, 2});
    const auto fuses = [](const Variable<>& y) { return detail::fuse(y, Relu{}).defined(); };
    CHECK(fuses(ten_times(x, log)));
    Variable<> shared = ten_times(x, log), kept = ten_times(x, log), hooked = ten_times(x, log);
    {
        const Variable<> other = shared;
        CHECK_FALSE(fuses(shared));
    }
    CHECK(fuses(shared));
    kept.retain_grad();
    CHECK_FALSE(fuses(kept));
    hooked.register_hook([](const Tensor<>& dy) { return dy; });
    CHECK_FALSE(fuses(hooked));
    const Variable<> held = ten_times(x, log), sum = held + x;  // a graph holds it
    CHECK_FALSE(fuses(held));
    static_cast<void>(shared.value());
    CHECK_FALSE(fuses(shared));  // computed
}

TEST_CASE("fusion: what was made without history stays without") {
    Log log;
    const auto constant = [&] {
        const NoGrad guard;
        return ten_times(leaf({1, 2}), log);
    };
    const Variable<> y = detail::fuse(constant(), Relu{});
    CHECK_FALSE(y.requires_grad());
    CHECK(is_grad_enabled());
}

TEST_CASE("fusion: the result of an operation is written over a temporary, and over nothing else") {
    const Variable<> x = leaf({-1, 2});
    const auto memory_of = [](const Variable<>& y) { return y.value().data(); };
    Variable<> temporary = x + 1.0f;
    const float* const memory = memory_of(temporary);
    const Variable<> y = relu(std::move(temporary));
    CHECK(memory_of(y) == memory);
    const Variable<> named = x + 1.0f, z = relu(named);
    CHECK(memory_of(z) != memory_of(named));
    CHECK(named.value() == Tensor<>{0, 3});
    Variable<> saved = exp(x);  // its rule needs the value
    const Tensor<> before = saved.value();
    CHECK(memory_of(relu(std::move(saved))) != before.data());
}

TEST_CASE("fusion: without history, a temporary becomes the result, and nothing else does") {
    const Tensor<> shared{-1, 2};
    CHECK(relu(Variable<>(shared)).value() == Tensor<>{0, 2});
    CHECK(shared == Tensor<>{-1, 2});  // its memory is not the temporary's alone

    const NoGrad guard;
    Variable<> leaf(Tensor<>{-1, 2}, {.requires_grad = true});
    const detail::Node<float>* const node = &leaf.node();
    const Variable<> of_leaf = relu(std::move(leaf));
    CHECK(&of_leaf.node() != node);
    CHECK_FALSE(of_leaf.requires_grad());

    Variable<> with_grad(Tensor<>{-1, 2});
    with_grad.set_grad(Tensor<>{5, 5});
    CHECK_FALSE(relu(std::move(with_grad)).has_grad());

    Variable<> plain(Tensor<>{-1, 2});
    const float* const memory = plain.value().data();
    const Variable<> y = relu(relu(std::move(plain)));
    CHECK(y.value() == Tensor<>{0, 2});
    CHECK(y.value().data() == memory);
    CHECK(relu(y).value().data() != memory);
}

TEST_CASE("fusion: a value goes with its last reader, though a graph holds its node") {
    const Variable<> x = leaf(ones({100'000}));
    const std::size_t before = memory_stats().live;
    Variable<> y = x * 2.0f, copy = y;
    const Variable<> total = sum(y);
    const std::size_t both = memory_stats().live;
    CHECK(both > before);
    y = {};
    CHECK(memory_stats().live == both);  // one reader left
    CHECK(copy.value().data()[0] == 2);
    copy = {};
    CHECK(memory_stats().live == before);
    total.backward();
    CHECK(x.grad() == full({100'000}, 2.0f));
}
