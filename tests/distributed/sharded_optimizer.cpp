// SPDX-License-Identifier: MIT
#include "gradus/distributed/sharded_optimizer.hpp"

#include "gradus/gradus.hpp"
#include "gradus/training/checkpoint.hpp"
#include "support/same_bits.hpp"
#include "support/test.hpp"
#include "support/thread_world.hpp"
#include "support/threads.hpp"

using namespace gradus;
using distributed::ShardedOptimizer;
using distributed::World;

namespace {

// Sizes that no number of processes divides, and fewer numbers than processes.
template <class T = float>
std::vector<Variable<T>> weights() {
    Generator generator(5);
    std::vector<Variable<T>> list;
    for (const Shape& shape : {Shape{7, 13}, Shape{3}, Shape{1}, Shape{40, 25}, Shape{5}})
        list.push_back(Variable<T>(randn<T>(shape, generator), {.requires_grad = true}));
    return list;
}

/// Gradients of a step; the last parameter never has one, the second not in every step.
template <class T>
void give(const std::vector<Variable<T>>& parameters, Index step) {
    Generator generator(static_cast<std::uint64_t>(100 + step));
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        Variable<T> p = parameters[i];
        p.zero_grad();
        Tensor<T> gradient = randn<T>(p.shape(), generator);
        if (i != 4 && (i != 1 || step % 2 == 0)) p.set_grad(std::move(gradient));
    }
}

template <class T>
std::vector<Tensor<T>> values(const std::vector<Variable<T>>& parameters) {
    std::vector<Tensor<T>> list;
    for (const auto& p : parameters) list.push_back(p.value());
    return list;
}

template <class T>
void check_same_bits(const std::vector<Tensor<T>>& a, const std::vector<Tensor<T>>& b) {
    REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i) REQUIRE(same_bits(a[i], b[i]));
}

template <class T>
Index state_size(const std::vector<optim::ParameterState<T>>& states) {
    Index size = 0;
    for (const auto& state : states)
        for (const auto& kind : state.kinds) size += kind.value.numel();
    return size;
}

template <class T, class Make>
void check_against_whole(const Make& make) {
    const Threads one(1);
    auto plain = weights<T>();
    auto optimizer = make(plain);
    std::vector<Tensor<T>> half;
    for (Index step = 0; step < 8; ++step) {
        if (step == 4) half = values(plain), optimizer.set_lr(0.005);
        give(plain, step);
        optimizer.step();
    }
    for (const int count : {1, 2, 4, 8}) {
        std::vector<std::vector<Tensor<T>>> results(static_cast<std::size_t>(count));
        std::vector<Index> sizes(static_cast<std::size_t>(count));
        std::vector<std::vector<optim::ParameterState<T>>> gathered(static_cast<std::size_t>(count));
        const auto errors = in_threads(count, {.deadline = 20}, [&](World& world) {
            const auto r = static_cast<std::size_t>(world.rank());
            auto own = weights<T>();
            ShardedOptimizer first(make(own), world);
            for (Index step = 0; step < 4; ++step) {
                give(own, step);
                first.step();
            }
            const auto whole = first.gather();
            ShardedOptimizer second(whole, world);  // it goes on from there
            second.set_lr(0.005);
            for (Index step = 4; step < 8; ++step) {
                give(own, step);
                second.step();
            }
            results[r] = values(own);
            sizes[r] = state_size(second.own().state());
            gathered[r] = second.gather().state();
        });
        REQUIRE(errors == std::vector<std::string>(static_cast<std::size_t>(count)));
        const auto expected = optimizer.state();
        Index total = 0;
        for (std::size_t r = 0; r < results.size(); ++r) {
            check_same_bits(results[r], values(plain));
            REQUIRE(gathered[r].size() == expected.size());
            for (std::size_t i = 0; i < expected.size(); ++i) {
                REQUIRE(gathered[r][i].steps == expected[i].steps);
                REQUIRE(gathered[r][i].kinds.size() == expected[i].kinds.size());
                for (std::size_t k = 0; k < expected[i].kinds.size(); ++k)
                    REQUIRE(same_bits(gathered[r][i].kinds[k].value, expected[i].kinds[k].value));
            }
            total += sizes[r];
            // No process has more than its part, and one number of each tensor.
            CHECK(sizes[r] <= state_size(expected) / count + 2 * 5);
        }
        CHECK(total == state_size(expected));
    }
}

}  // namespace

TEST_CASE("sharded_optimizer: the bits of the optimizer itself, and an equal part of its state") {
    check_against_whole<float>([](auto& p) { return optim::Adam<>(p, {.lr = 0.01, .weight_decay = 0.1}); });
    check_against_whole<double>([](auto& p) { return optim::Adam<double>(p, {.lr = 0.01}); });
    check_against_whole<float>([](auto& p) { return optim::SGD<>(p, {.lr = 0.01, .momentum = 0.9}); });
    check_against_whole<float>([](auto& p) { return optim::SGD<>(p, {.lr = 0.01}); });
    check_against_whole<float>([](auto& p) { return optim::RMSProp<>(p, {.lr = 0.01}); });
}

TEST_CASE("sharded_optimizer: groups keep their options") {
    const auto make = [](std::vector<Variable<>>& p) {
        optim::Adam<> adam(
            std::vector<NamedParameter<float>>{{"a.weight", p[0]}, {"a.bias", p[1]}, {"b.weight", p[3]}},
            {.lr = 0.01});
        adam.configure("*.bias", [](auto& options) { options.lr = 0.5; });
        adam.configure("a.weight", [](auto& options) { options.weight_decay = 0.3; });
        return adam;
    };
    const Threads one(1);
    auto plain = weights();
    auto optimizer = make(plain);
    for (Index step = 0; step < 3; ++step) give(plain, step), optimizer.step();
    const auto errors = in_threads(4, {.deadline = 20}, [&](World& world) {
        auto own = weights();
        ShardedOptimizer sharded(make(own), world);
        for (Index step = 0; step < 3; ++step) give(own, step), sharded.step();
        for (std::size_t i = 0; i < own.size(); ++i)
            if (!same_bits(own[i].value(), plain[i].value())) throw ValueError("other bits");
        const auto whole = sharded.gather();
        if (whole.names() != optimizer.names() || whole.groups().size() != 3 ||
            whole.groups()[1].options.lr != optimizer.groups()[1].options.lr)
            throw ValueError("other groups");
    });
    CHECK(errors == std::vector<std::string>(4));
}

TEST_CASE("sharded_optimizer: refusals") {
    const auto errors = in_threads(
        3, {.deadline = 5}, [](World& world) { ShardedOptimizer sharded(optim::SGD<>(weights()), world); });
    CHECK(errors[0] == "sharded_optimizer: the tree of sums needs 1, 2, 4, 8, ... processes: got 3");
    auto parameters = weights();
    ShardedOptimizer alone((optim::SGD<>(parameters)));
    CHECK_THROWS_WITH(alone.step(), ContainsSubstring("none of the 5 parameters has a gradient"));
}
