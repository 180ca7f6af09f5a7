// SPDX-License-Identifier: MIT
// Trains a multi-layer perceptron to tell ten kinds of clothes apart.

#include <chrono>
#include <cstdio>
#include <vector>

#include <gradus/gradus.hpp>

#include "support/flags.hpp"

namespace data = gradus::data;
namespace nn = gradus::nn;
using gradus::Variable;

struct Mlp {
    nn::Linear<> fc1{784, 350}, fc2{350, 250}, fc3{250, 150}, fc4{150, 50}, fc5{50, 10};

    Variable<> operator()(Variable<> x) const {  // x [batch, 1, 28, 28]
        x = relu(fc1(flatten(x)));
        x = relu(fc2(x));
        x = relu(fc3(x));
        x = relu(fc4(x));
        return fc5(x);  // [batch, 10] logits
    }
};

// Relu halves the variance of what passes through it; Kaiming's weights make up for that.
void initialize(const Mlp& net) {
    for (auto& [name, parameter] : nn::named_parameters(net))
        name.ends_with("weight") ? nn::init::kaiming_normal(parameter) : nn::init::zeros(parameter);
}

struct Scores {
    double loss = 0, accuracy = 0;
};

// The mean loss and accuracy over one pass. `learn` is given the loss of every batch.
template <class Learn>
Scores run_epoch(const Mlp& net, const data::Loader<>& batches, const Learn& learn) {
    Scores sum;
    double count = 0;
    for (auto& [images, labels] : batches) {
        const Variable<> logits = net(images);
        const Variable<> loss = cross_entropy(logits, labels);
        learn(loss);
        const auto size = static_cast<double>(labels.numel());
        sum.loss += size * static_cast<double>(loss.item());
        sum.accuracy += size * gradus::accuracy(logits, labels);
        count += size;
    }
    return {sum.loss / count, sum.accuracy / count};
}

void train(const Flags& flags) {
    gradus::manual_seed(flags.seed);
    auto [train_set, val_set] = data::fashion_mnist(flags.data);
    const auto standardize = data::Standardize::per_feature(train_set.inputs);
    train_set = standardize(train_set);
    val_set = standardize(val_set);

    Mlp net;
    initialize(net);
    std::puts(nn::summary(net, {1, 1, 28, 28}).c_str());
    // Momentum as a moving average of the gradients (dampening = momentum), so that one learning rate serves
    // both.
    const float momentum = flags.optimizer == "momentum" ? 0.9f : 0.0f;
    gradus::optim::SGD sgd(nn::parameters(net),
                           {.lr = flags.lr, .momentum = momentum, .dampening = momentum});

    std::vector<gradus::EpochRecord> history;
    for (int epoch = 0; epoch < flags.epochs; ++epoch) {
        const auto start = std::chrono::steady_clock::now();
        const data::Loader batches(
            train_set, {.batch = flags.batch, .shuffle = true, .seed = flags.seed, .epoch = epoch});
        const Scores train_scores = run_epoch(net, batches, [&](const Variable<>& loss) {
            sgd.zero_grad();
            loss.backward();
            sgd.step();
        });
        const gradus::NoGrad guard;
        const Scores val_scores =
            run_epoch(net, data::Loader(val_set, {.batch = flags.batch}), [](const auto&) {});
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;

        history.push_back({train_scores.loss, val_scores.loss, train_scores.accuracy, val_scores.accuracy,
                           seconds.count()});
        std::puts(to_string(history.back(), epoch + 1, flags.epochs).c_str());
        if (!flags.out.empty()) write_history_csv(flags.out + "/history.csv", history);
    }
}

int main(int argc, char** argv) {
    const Flags defaults{.batch = 256, .lr = 0.2f, .seed = 512};
    return run_with_flags(argc, argv, "Trains a multi-layer perceptron on Fashion-MNIST.", defaults, train);
}
