// SPDX-License-Identifier: MIT
#include "gradus/distributed/shards.hpp"

#include "gradus/distributed/fit.hpp"
#include "gradus/training/callbacks.hpp"
#include "support/test.hpp"
#include "support/threads.hpp"
#include "training/small_run.hpp"

using namespace gradus;
using distributed::Distributed;
using distributed::Shards;

namespace {

auto loss_of(SmallNet& net) {
    return [&net](const auto& batch) { return cross_entropy(net(batch.inputs), batch.labels); };
}

/// What a step of `batches` does, as its definition says it: in plain loops, for shards of one size.
struct ByHand {
    std::vector<Tensor<>> gradients, buffers;
    double loss = 0;
};

Tensor<> tree(const std::vector<Tensor<>>& leaves, std::size_t first, std::size_t count) {
    if (count == 1) return leaves[first];
    Tensor<> a = tree(leaves, first, count / 2);
    const Tensor<> b = tree(leaves, first + count / 2, count / 2);
    for (Index j = 0; j < a.numel(); ++j) a.mutable_data()[j] += b.data()[j];
    return a;
}

ByHand by_hand(const SmallNet& start, const data::Loader<>& batches, std::size_t shards,
               const RandomStream& stream) {
    std::vector<std::vector<Tensor<>>> gradients(6), changes(2);
    ByHand result;
    for (std::size_t i = 0; i < shards; ++i) {
        SmallNet net = start;
        const auto words = philox(stream.seed, stream.stream, i);
        manual_seed(std::uint64_t{words[0]} << 32 | words[1]);
        const auto loss = loss_of(net)(batches[static_cast<Index>(i)]);
        loss.backward();
        result.loss += static_cast<double>(loss.item()) / static_cast<double>(shards);
        const auto parameters = nn::parameters(net);
        for (std::size_t p = 0; p < 6; ++p) gradients[p].push_back(parameters[p].grad());
        const auto now = nn::buffers(net), before = nn::buffers(const_cast<SmallNet&>(start));
        for (std::size_t b = 0; b < 2; ++b) {
            Tensor<> change = now[b].value();
            for (Index j = 0; j < change.numel(); ++j)
                change.mutable_data()[j] -= before[b].value().data()[j];
            changes[b].push_back(change);
        }
    }
    const auto mean = [&](const std::vector<Tensor<>>& leaves) {
        Tensor<> sum = tree(leaves, 0, shards);
        for (float& x : sum.mutable_values()) x *= 1.0f / static_cast<float>(shards);
        return sum;
    };
    for (const auto& leaves : gradients) result.gradients.push_back(mean(leaves));
    for (std::size_t b = 0; b < 2; ++b) {
        Tensor<> value = nn::buffers(const_cast<SmallNet&>(start))[b].value();
        const Tensor<> change = mean(changes[b]);
        for (Index j = 0; j < value.numel(); ++j) value.mutable_data()[j] += change.data()[j];
        result.buffers.push_back(value);
    }
    return result;
}

const training::FitOptions quiet{.epochs = 3, .progress = training::Progress::none};

}  // namespace

TEST_CASE("shards: a step is the mean along the tree, with dropout of the shard and averaged statistics") {
    const data::Loader batches(small_data(64), {.batch_size = 4});
    for (const std::size_t count : {2u, 4u, 8u}) {
        for (const int threads : {1, 2}) {
            const Threads these(threads);
            manual_seed(3);
            SmallNet net;
            const RandomStream stream{default_generator().seed(), default_generator().position()};
            const ByHand expected = by_hand(net, batches, count, stream);
            default_generator() = Generator(stream);
            Shards shards(net, {}, {.shards = static_cast<Index>(count)});
            CHECK(shards.steps(batches) == 16 / static_cast<Index>(count));
            const auto means = shards.backward(batches, 0, loss_of(net));
            CHECK(means.examples == 4 * static_cast<Index>(count));
            CHECK_THAT(means.loss, WithinAbs(expected.loss, 1e-12));
            CHECK(default_generator().position() == stream.stream + 1);
            const auto parameters = nn::parameters(net), buffers = nn::buffers(net);
            for (std::size_t p = 0; p < 6; ++p) CHECK(same_bits(parameters[p].grad(), expected.gradients[p]));
            for (std::size_t b = 0; b < 2; ++b) CHECK(same_bits(buffers[b].value(), expected.buffers[b]));
            CHECK(net.norm.num_batches_tracked->value().item() == 1);
        }
    }
}

TEST_CASE("shards: one shard is a plain step, to the bit") {
    const data::Loader batches(small_data(30), {.batch_size = 8, .shuffle = true});
    manual_seed(4);
    SmallNet plain, net = plain;
    optim::SGD sgd(nn::parameters(plain), {.lr = 0.1}), other(nn::parameters(net), {.lr = 0.1});
    const Generator start = default_generator();
    for (auto& batch : batches.epoch(2)) {
        sgd.zero_grad();
        loss_of(plain)(batch).backward();
        sgd.step();
    }
    default_generator() = start;
    Shards shards(net, {}, {.shards = 1});
    const auto epoch = batches.epoch(2);
    for (Index step = 0; step < shards.steps(epoch); ++step) {
        shards.backward(epoch, step, loss_of(net));
        other.step();
    }
    CHECK(same_models(plain, net));
    CHECK(shards.weights() == Shards(plain).weights());
    net.fc1.bias->mutable_value().mutable_data()[0] += 1e-6f;
    CHECK(shards.weights() != Shards(plain).weights());
}

TEST_CASE("shards: the last step of an epoch has those that are left, a small one counts by its examples") {
    const auto set = small_data(30);
    SmallNet net;
    nn::eval(net);
    const data::Loader batches(set, {.batch_size = 4});  // 4 + 4 shards, the last of 2
    Shards shards(net, {}, {.shards = 4});
    CHECK(shards.steps(batches) == 2);
    const auto means = shards.backward(batches, 1, loss_of(net));
    CHECK(means.examples == 14);
    SmallNet whole = net;
    const auto loss = loss_of(whole)(data::Batch<>{set.inputs.rows(16, 30), set.labels.rows(16, 30)});
    loss.backward();
    CHECK_THAT(means.loss, WithinAbs(static_cast<double>(loss.item()), 1e-6));
    const auto a = nn::parameters(net), b = nn::parameters(whole);
    for (std::size_t p = 0; p < a.size(); ++p)
        for (Index j = 0; j < a[p].numel(); ++j)
            CHECK_THAT(static_cast<double>(a[p].grad().data()[j]),
                       WithinAbs(static_cast<double>(b[p].grad().data()[j]), 1e-6));
}

TEST_CASE("shards: refusals") {
    SmallNet net;
    CHECK_THROWS_WITH(Shards(net, {}, {.shards = 6}), "shards: their number must be a power of two: got 6");
    CHECK_THROWS_WITH(Shards(net, {}, {.shards = 0}), "shards: their number must be a power of two: got 0");
    CHECK_THROWS_WITH(Shards(net, {}, {.bucket_bytes = 0}),
                      "reduce_gradients: bucket_bytes must be 1 to 2^30: got 0");
    CHECK_THROWS_WITH(Shards(net, {}, {.check_every = -1}),
                      "shards: check_every must not be negative: got -1");
    Shards shards(net);
    const data::Loader batches(small_data(8), {.batch_size = 4});
    CHECK_THROWS_WITH(shards.backward(batches, 1, loss_of(net)), "shards: the steps are 0 to 0: got 1");
}

TEST_CASE("distributed: fit makes the steps of a loop by hand") {
    const data::Loader batches(small_data(90), {.batch_size = 4, .shuffle = true});
    manual_seed(8);
    SmallNet by_hand;
    optim::SGD sgd(nn::parameters(by_hand), {.lr = 0.1});
    Shards shards(by_hand, {}, {.shards = 8});
    std::vector<double> losses;
    for (Index epoch = 0; epoch < 3; ++epoch) {
        const auto those = batches.epoch(epoch);
        training::Means means;
        for (Index step = 0; step < shards.steps(those); ++step) {
            const auto found = shards.backward(those, step, loss_of(by_hand));
            optim::clip_grad_norm(sgd.parameters(), 0.5);
            sgd.step();
            means.add(found.loss, 0, found.examples);
        }
        losses.push_back(means.loss);
    }
    manual_seed(8);
    SmallNet net;
    optim::SGD other(nn::parameters(net), {.lr = 0.1});
    const auto history =
        training::fit(net, other, small_loss, batches, data::Loader(small_data(40, 6), {.batch_size = 7}),
                      quiet, Distributed{}, training::ClipGradNorm{.max_norm = 0.5});
    CHECK(same_models(net, by_hand));
    for (std::size_t e = 0; e < 3; ++e) CHECK(history.epochs[e].train_loss == losses[e]);
    CHECK(history.position.step == 9);
    CHECK(history.epochs[2].val_loss ==
          training::evaluate(net, small_loss, data::Loader(small_data(40, 6), {.batch_size = 7})).loss);
    CHECK(history.epochs[2].train_score > 0.4);
}

TEST_CASE("distributed: fit with one shard is fit, to the bit") {
    const data::Loader batches(small_data(90), {.batch_size = 16, .shuffle = true});
    const auto train = [&](auto&... callbacks) {
        manual_seed(8);
        SmallNet net;
        optim::Adam adam(nn::parameters(net), {.lr = 0.01});
        const auto history =
            training::fit(net, adam, small_loss, batches, training::no_validation, quiet, callbacks...);
        return std::pair(net, history.epochs[2].train_loss);
    };
    Distributed one{.shards = 1};
    auto [plain, plain_loss] = train();
    auto [net, loss] = train(one);
    CHECK(same_models(plain, net));
    CHECK(loss == plain_loss);
}

TEST_CASE("distributed: a run that was stopped goes on with the same bits, and no other number of shards") {
    const data::Loader batches(small_data(150), {.batch_size = 4, .shuffle = true});
    const std::string path = "distributed_resume.safetensors";
    const auto train = [&](const training::Checkpoint& from, Index stop_at, Distributed shards) {
        manual_seed(8);
        SmallNet net;
        optim::Adam adam(nn::parameters(net), {.lr = 0.01});
        training::fit(net, adam, small_loss, batches, training::no_validation,
                      {.epochs = 3, .progress = training::Progress::none, .resume = from}, shards,
                      training::OnStepEnd([&](auto& run) {
                          if (run.position().step != stop_at) return;
                          run.save(path);
                          run.interrupt("to go on later");
                      }));
        return net;
    };
    SmallNet whole = train({}, -1, {}), half = train({}, 7, {}), resumed = train(path, -1, {});
    CHECK(same_models(whole, resumed));
    CHECK_FALSE(same_models(whole, half));
    CHECK_THROWS_WITH(train(path, -1, {.shards = 4}),
                      "load_checkpoint: " + path + ": fit.shards: the run has 8 shards in a step: got 4");
    std::remove(path.c_str());
}
