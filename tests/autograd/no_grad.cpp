// SPDX-License-Identifier: MIT
#include "gradus/autograd/no_grad.hpp"

#include <stdexcept>
#include <thread>
#include <type_traits>

#include "gradus/ops/arithmetic.hpp"
#include "support/test.hpp"

using namespace gradus;

TEST_CASE("no_grad: operations record no history while one lives") {
    const Variable x(Tensor<>{1, 2}, {.requires_grad = true});
    CHECK(is_grad_enabled());
    {
        const NoGrad guard;
        CHECK_FALSE(is_grad_enabled());
        const auto y = x * x;
        CHECK_FALSE(y.requires_grad());
        CHECK(y.is_leaf());
        CHECK(y.value() == Tensor<>{1, 4});
    }
    CHECK(is_grad_enabled());
    CHECK((x * x).requires_grad());
}

TEST_CASE("no_grad: guards nest") {
    {
        const NoGrad outer;
        {
            const NoGrad inner;
            CHECK_FALSE(is_grad_enabled());
        }
        CHECK_FALSE(is_grad_enabled());
    }
    CHECK(is_grad_enabled());
}

TEST_CASE("no_grad: an exception ends the guard") {
    try {
        const NoGrad guard;
        throw std::runtime_error("out");
    } catch (const std::runtime_error&) {
    }
    CHECK(is_grad_enabled());
}

TEST_CASE("no_grad: it holds for its own thread only") {
    const NoGrad guard;
    bool enabled_there = false, enabled_after = true;
    std::thread([&] {
        enabled_there = is_grad_enabled();
        const NoGrad other;
        enabled_after = is_grad_enabled();
    }).join();
    CHECK(enabled_there);
    CHECK_FALSE(enabled_after);
    CHECK_FALSE(is_grad_enabled());
}

TEST_CASE("no_grad: backward of an earlier graph still works") {
    const Variable x(Tensor<>{3}, {.requires_grad = true});
    const auto y = x * x;
    const NoGrad guard;
    y.backward();
    CHECK(x.grad() == Tensor<>{6});
}

TEST_CASE("no_grad: a leaf made meanwhile is an ordinary leaf") {
    const auto leaf = [] {
        const NoGrad guard;
        return Variable(Tensor<>{3}, {.requires_grad = true});
    }();
    CHECK(leaf.requires_grad());
    (leaf * leaf).backward();
    CHECK(leaf.grad() == Tensor<>{6});
}

static_assert(!std::is_copy_constructible_v<NoGrad> && !std::is_move_constructible_v<NoGrad>);
