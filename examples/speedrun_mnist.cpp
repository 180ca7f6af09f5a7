// SPDX-License-Identifier: MIT
// Reads handwritten digits with 99 % right after as little time as possible; docs/speedruns.md has the rules.

#include <gradus/gradus.hpp>

#include "support/speedrun.hpp"

namespace data = gradus::data;
namespace nn = gradus::nn;
namespace optim = gradus::optim;
using gradus::Index, gradus::Variable;

struct Net {
    nn::Conv2d<> conv1{1, 16, {.kernel_size = 5}}, conv2{16, 32, {.kernel_size = 5}};
    nn::Linear<> fc1{512, 128}, fc2{128, 10};

    Variable<> operator()(Variable<> x) const {              // x [batch, 1, 28, 28]
        x = relu(max_pool2d(conv1(x), {.kernel_size = 2}));  // [batch, 16, 12, 12]
        x = relu(max_pool2d(conv2(x), {.kernel_size = 2}));  // [batch, 32, 4, 4]
        return fc2(relu(fc1(flatten(x))));                   // [batch, 10] logits
    }
};

auto train(const data::Dataset<>& images, std::uint64_t seed) {
    gradus::manual_seed(seed);
    const auto standardize = data::Standardize::global(images.inputs);  // one mean and std for all pixels
    const data::Loader batches(standardize(images), {.batch_size = 192, .shuffle = true, .seed = seed});

    Net net;
    optim::Adam adam(nn::parameters(net), {.beta1 = 0.7, .beta2 = 0.9});
    const auto epoch = batches.epoch(0);
    const Index steps = epoch.size() * 6 / 10;
    const auto rate = optim::schedule::one_cycle({.max_lr = 0.012, .total_steps = steps});
    for (Index step = 0; step < steps; ++step) {
        const auto batch = epoch[step];
        const Variable<> loss = cross_entropy(net(batch.inputs), batch.labels, {.label_smoothing = 0.1});
        adam.zero_grad();
        loss.backward();
        adam.set_lr(rate(step));
        adam.step();
    }
    return [net, standardize](const data::Dataset<>& others) mutable {
        return accuracy_of(net, standardize(others));
    };
}

int main(int argc, char** argv) {
    return speedrun(
        argc, argv, "MNIST to 99 %.", [](const auto& folder) { return data::mnist(folder); }, train);
}
