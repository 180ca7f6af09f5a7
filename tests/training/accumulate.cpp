// SPDX-License-Identifier: MIT
#include "gradus/training/accumulate.hpp"

#include <functional>

#include "gradus/training/hooks.hpp"
#include "support/test.hpp"
#include "support/threads.hpp"
#include "training/small_run.hpp"

using namespace gradus;
using training::Accumulate;
using training::Accumulator;

namespace {

/// The gradient of every parameter.
using Gradients = std::vector<Tensor<>>;

Gradients gradients_of(SmallNet& net, const data::Batch<>& batch) {
    for (auto& p : nn::parameters(net)) p.zero_grad();
    small_loss(net(batch.inputs), batch.labels).backward();
    Gradients all;
    for (auto& p : nn::parameters(net)) all.push_back(p.grad());
    return all;
}

Gradients add(const Gradients& a, const Gradients& b) {
    Gradients sum;
    for (std::size_t i = 0; i < a.size(); ++i) {
        Tensor<> x = a[i];
        for (Index j = 0; j < x.numel(); ++j) x.mutable_data()[j] += b[i].data()[j];
        sum.push_back(x);
    }
    return sum;
}

/// The tree as its definition says it: the first 2ᵏ, the largest power of two below n, and the others.
Gradients tree(const std::vector<Gradients>& leaves, std::size_t first, std::size_t count) {
    if (count == 1) return leaves[first];
    std::size_t left = 1;
    while (2 * left < count) left *= 2;
    return add(tree(leaves, first, left), tree(leaves, first + left, count - left));
}

SmallNet plain_net() {
    manual_seed(3);
    SmallNet net;
    nn::eval(net);  // as dropout draws other numbers for each batch
    return net;
}

}  // namespace

TEST_CASE("accumulator: micro-batches of one size are added along the tree") {
    SmallNet net = plain_net();
    const data::Loader batches(small_data(40), {.batch_size = 4});
    for (std::size_t count = 1; count <= 9; ++count) {
        std::vector<Gradients> leaves;
        for (std::size_t i = 0; i < count; ++i)
            leaves.push_back(gradients_of(net, batches[static_cast<Index>(i)]));
        Gradients expected = tree(leaves, 0, count);
        for (auto& x : expected)
            for (float& value : x.mutable_values())
                value *= static_cast<float>(1.0 / static_cast<double>(count));
        for (const int threads : {1, 2}) {
            const Threads these(threads);
            Accumulator<> accumulator(nn::parameters(net));
            for (std::size_t i = 0; i < count; ++i) {
                gradients_of(net, batches[static_cast<Index>(i)]);
                accumulator.add(4);
                CHECK(accumulator.count() == static_cast<Index>(i) + 1);
                CHECK_FALSE(net.fc1.weight.has_grad());
            }
            accumulator.finish();
            CHECK(accumulator.count() == 0);
            const auto parameters = nn::parameters(net);
            for (std::size_t i = 0; i < parameters.size(); ++i)
                CHECK(same_bits(parameters[i].grad(), expected[i]));
        }
    }
}

TEST_CASE("accumulator: uneven micro-batches give the mean over all examples") {
    SmallNet net = plain_net();
    const auto set = small_data(23);
    const Gradients whole = gradients_of(net, {set.inputs, set.labels});
    Accumulator<> accumulator(nn::parameters(net));
    for (const auto& [first, last] : {std::pair<Index, Index>{0, 5}, {5, 6}, {6, 20}, {20, 23}}) {
        gradients_of(net, {set.inputs.rows(first, last), set.labels.rows(first, last)});
        accumulator.add(last - first);
    }
    accumulator.finish();
    const auto parameters = nn::parameters(net);
    for (std::size_t i = 0; i < whole.size(); ++i)
        for (Index j = 0; j < whole[i].numel(); ++j)
            CHECK_THAT(static_cast<double>(parameters[i].grad().data()[j]),
                       WithinAbs(static_cast<double>(whole[i].data()[j]), 1e-6));
}

TEST_CASE("accumulator: a parameter without a gradient counts as 0, and one that never had any has none") {
    Parameter<> a(Tensor<>{1, 2}), b(Tensor<>{3}), c(Tensor<>{4});
    Accumulator<> accumulator({a, b, c});
    sum(a * 2.0f).backward();
    accumulator.add(1);
    sum(a * 4.0f).backward();
    sum(b * 6.0f).backward();
    accumulator.add(1);
    accumulator.finish();
    CHECK(same_bits(a.grad(), Tensor<>{3, 3}));
    CHECK(same_bits(b.grad(), Tensor<>{3}));
    CHECK_FALSE(c.has_grad());
}

TEST_CASE("accumulator: refusals") {
    Parameter<> a(Tensor<>{1});
    Accumulator<> accumulator({a});
    CHECK_THROWS_WITH(accumulator.finish(), "accumulator: finish: nothing was added");
    CHECK_THROWS_WITH(accumulator.add(0), "accumulator: a micro-batch needs examples: got 0");
    sum(a).backward();
    accumulator.add(1);
    accumulator.clear();
    CHECK(accumulator.count() == 0);
}

TEST_CASE("accumulate: fit makes the steps of a loop by hand, the rest of an epoch among them") {
    for (Index count = 1; count <= 6; ++count) {
        const data::Loader batches(small_data(23), {.batch_size = 5, .shuffle = true});  // 5 batches
        manual_seed(8);
        SmallNet by_hand;
        optim::SGD sgd(nn::parameters(by_hand), {.lr = 0.1});
        Index steps = 0;
        for (Index epoch = 0; epoch < 2; ++epoch) {
            Accumulator<> accumulator(sgd.parameters());
            for (Index i = 0; i < 5; ++i) {
                const auto [inputs, labels] = batches.epoch(epoch)[i];
                sgd.zero_grad();
                cross_entropy(by_hand(inputs), labels).backward();
                accumulator.add(labels.numel());
                if (accumulator.count() < count && i < 4) continue;
                accumulator.finish();
                sgd.step();
                ++steps;
            }
        }
        manual_seed(8);
        SmallNet net;
        optim::SGD other(nn::parameters(net), {.lr = 0.1});
        std::vector<Index> at;
        const auto history =
            training::fit(net, other, small_loss, batches, training::no_validation,
                          {.epochs = 2, .progress = training::Progress::none}, Accumulate{count},
                          training::OnStepEnd([&](auto& run) { at.push_back(run.position().batch); }));
        CHECK(same_models(net, by_hand));
        CHECK(history.position.step == steps);
        CHECK(at.back() == 5);
    }
}

TEST_CASE("accumulate: a step that is not made leaves all its batches to be trained on") {
    SmallNet net;
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
    const data::Loader batches(small_data(23), {.batch_size = 5});
    const auto history = training::fit(net, sgd, small_loss, batches, training::no_validation,
                                       {.epochs = 1, .progress = training::Progress::none}, Accumulate{2},
                                       training::OnBackwardEnd([](auto& run) {
                                           if (run.position().step == 1) run.stop("no");
                                       }));
    CHECK(history.position == training::Position{0, 2, 1});

    // A stop in the middle of a step waits for its end.
    const auto waited = training::fit(net, sgd, small_loss, batches, training::no_validation,
                                      {.epochs = 1, .progress = training::Progress::none}, Accumulate{2},
                                      training::OnBatchBegin([](auto& run) {
                                          if (run.position().batch == 1) run.stop("soon");
                                      }));
    CHECK(waited.position == training::Position{0, 2, 1});
}
