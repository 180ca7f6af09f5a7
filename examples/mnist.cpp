// SPDX-License-Identifier: MIT
// Trains a convolutional network to read handwritten digits, with or without means against overfitting.

#include <cmath>
#include <cstdio>

#include <gradus/gradus.hpp>

#include "support/choices.hpp"
#include "support/flags.hpp"
#include "support/report.hpp"

namespace data = gradus::data;
namespace nn = gradus::nn;
using gradus::Variable;

struct Net {
    nn::Conv2d<> conv1{1, 32, {.kernel_size = 5}}, conv2{32, 64, {.kernel_size = 5}};
    nn::Linear<> fc1{256, 200}, fc2{200, 10};

    Variable<> operator()(Variable<> x) const {              // x [batch, 1, 28, 28]
        x = relu(max_pool2d(conv1(x), {.kernel_size = 3}));  // [batch, 32, 8, 8]
        x = relu(max_pool2d(conv2(x), {.kernel_size = 2}));  // [batch, 64, 2, 2]
        return fc2(relu(fc1(flatten(x))));                   // [batch, 10] logits
    }
};

struct MnistFlags : Flags {
    std::string loss = "cross_entropy";
    double l1 = 0, l2 = 0;
    bool early_stopping = false;

    void declare(CommandLine& line) {
        Flags::declare(line);
        line.choice("--loss", loss, {"cross_entropy", "nll"}, "nll: of log_softmax, the same in two parts");
        line.number("--l1", l1, 0.0, 1.0, "penalty on the sum of the absolute weights");
        line.number("--l2", l2, 0.0, 1.0, "penalty on half the sum of the squared weights");
        line.flag("--early-stopping", early_stopping,
                  "hold back a tenth of the examples; stop once their loss has not fallen for 2 epochs");
    }
};

void train(const MnistFlags& flags) {
    gradus::manual_seed(flags.seed);
    auto [train_set, test_set] = data::mnist(flags.data);
    const auto standardize = data::Standardize::global(train_set.inputs);  // one mean and std for all pixels
    train_set = flags.limited(standardize(train_set));
    test_set = flags.limited(standardize(test_set));
    const gradus::Index cut = flags.early_stopping ? train_set.size() / 10 * 9 : train_set.size();
    const data::Dataset<> held_back = train_set.take(cut, train_set.size());
    train_set = train_set.take(0, cut);

    Net net;
    auto optimizer =
        optimizer_choice(flags.optimizer)
            .make({.parameters = nn::parameters(net), .lr = flags.lr, .l1 = flags.l1, .l2 = flags.l2});
    const data::Loader batches(train_set, {.batch_size = flags.batch});
    const auto schedule = make_schedule(flags, train_set.size());
    HistoryFile history(flags);
    gradus::EarlyStopping stop({.patience = 2});
    Net best = net;
    gradus::Index step = 0;
    for (int epoch = 1; epoch <= flags.epochs; ++epoch) {
        double sum = 0;
        Scores scores;
        for (auto& [images, labels] : batches) {
            const Variable<> logits = net(images);
            const Variable<> loss =
                flags.loss == "nll" ? nll(log_softmax(logits), labels) : cross_entropy(logits, labels);
            gradus::optim::schedule::apply(optimizer, schedule, step++);
            optimizer.zero_grad();
            loss.backward();
            optimizer.step();
            sum += static_cast<double>(loss.item());
            scores.add(loss.item(), gradus::accuracy(logits, labels), labels.numel());
        }
        std::printf("epoch %d: sum of losses %.4f\n", epoch, sum);
        flush_output();
        const Scores held =
            flags.early_stopping ? evaluate(net, held_back) : Scores{std::nan(""), std::nan("")};
        history.add(scores, held);
        if (flags.early_stopping) {
            std::printf("         held back: loss %.4f, accuracy %.4f\n", held.loss, held.score);
            const bool enough = stop(held.loss);
            if (stop.improved()) best = net;
            if (enough) break;
        }
    }
    if (flags.early_stopping) net = best;
    std::printf("test accuracy %.4f\n", evaluate(net, test_set).score);
}

int main(int argc, char** argv) {
    const MnistFlags defaults{{.epochs = 10, .batch = 100, .lr = 0.1, .seed = 1}};
    return run_with_flags(argc, argv, "Trains a convolutional network on MNIST.", defaults, train);
}
