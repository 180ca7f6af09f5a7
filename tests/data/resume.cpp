// SPDX-License-Identifier: MIT
#include <vector>

#include "gradus/data.hpp"
#include "support/same_bits.hpp"
#include "support/test.hpp"
#include "support/threads.hpp"

using namespace gradus;

namespace {

struct Net {
    nn::Conv2d<> conv{1, 4, {.kernel_size = 3}};
    nn::Linear<> fc{4 * 6 * 6, 5};

    Variable<> operator()(const Variable<>& x) const { return fc(flatten(relu(conv(x)))); }
};

/// What a run is made of, saved by copying.
struct Run {
    Net net;
    optim::Adam<> adam{nn::parameters(net), {.lr = 0.01}};
    Index epoch = 0, batch = 0;

    /// Trains until that batch of that epoch is the next.
    template <class L>
    void train(const L& loader, Index last_epoch, Index last_batch) {
        for (; epoch < last_epoch || (epoch == last_epoch && batch < last_batch); ++epoch, batch = 0) {
            const auto batches = loader.epoch(epoch);
            for (; batch < batches.size(); ++batch) {
                if (epoch == last_epoch && batch == last_batch) return;
                const auto [images, targets] = batches[batch];
                const auto loss = cross_entropy(net(images), targets);
                adam.zero_grad();
                loss.backward();
                adam.step();
            }
        }
    }
};

bool same_weights(const Run& a, const Run& b) {
    return same_bits(a.net.conv.weight.value(), b.net.conv.weight.value()) &&
           same_bits(a.net.fc.weight.value(), b.net.fc.weight.value()) &&
           same_bits(a.net.fc.bias->value(), b.net.fc.bias->value());
}

}  // namespace

TEST_CASE("training on augmented data, resumed within an epoch, equals training that never stopped") {
    Generator generator(4);
    Tensor<Index> labels = arange<Index>(46);
    for (Index& label : labels.mutable_values()) label %= 5;
    const data::Dataset<> set{rand({46, 1, 8, 8}, generator), labels};
    const auto augmentation = data::augment(
        {.seed = 2}, data::random_crop({.padding = 2, .padding_mode = data::PaddingMode::reflect}),
        data::alternating_flip(), data::gaussian_noise(), data::mixup({.classes = 5}));
    const auto check = [&](const auto& loader) {
        const auto batches = data::map(loader, augmentation);
        const auto prefetched = data::prefetch(batches, {.ahead = 3});
        manual_seed(1);
        Run whole;
        {
            const Threads threads(1);
            whole.train(batches, 3, 0);
        }
        manual_seed(1);
        Run stopped;
        stopped.train(prefetched, 0, 3);
        for (const auto& [epoch, batch] : {std::pair<Index, Index>{0, 5}, {0, 6}, {1, 0}, {1, 4}, {3, 0}}) {
            const Threads threads(batch % 2 == 0 ? 1 : 2);
            Run resumed;  // another process: nothing is left but the saved state and the position
            nn::copy_values(stopped.net, resumed.net);
            resumed.adam.load_state(stopped.adam.state());
            resumed.epoch = stopped.epoch, resumed.batch = stopped.batch;
            resumed.train(prefetched, epoch, batch);
            nn::copy_values(resumed.net, stopped.net);
            stopped.adam.load_state(resumed.adam.state());
            stopped.epoch = resumed.epoch, stopped.batch = resumed.batch;
        }
        CHECK(same_weights(stopped, whole));
        CHECK_FALSE(same_weights(Run(), whole));
    };
    check(data::Loader(set, {.batch_size = 7, .shuffle = true, .seed = 3}));
    check(data::Loader(set, data::WeightedSampler(data::balanced_weights(labels), {.samples = 40, .seed = 3}),
                       {.batch_size = 7}));
    check(
        data::Loader(data::map(set, [](data::Batch<> x) { return x; }), {.batch_size = 7, .shuffle = true}));
}
