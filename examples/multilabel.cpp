// SPDX-License-Identifier: MIT
// Trains a ResNet-18 to name all the clothes in a picture: four images of Fashion-MNIST, two by two.

#include <chrono>
#include <cstdio>

#include <gradus/gradus.hpp>
#include <gradus/training/callbacks.hpp>
#include <gradus/training/multilabel.hpp>

#include "support/choices.hpp"
#include "support/flags.hpp"
#include "support/resnet.hpp"
#include "support/run.hpp"

namespace data = gradus::data;
namespace metrics = gradus::metrics;
namespace nn = gradus::nn;
namespace training = gradus::training;
using gradus::Index, gradus::Tensor, gradus::Variable;

struct MultilabelFlags : Flags {
    std::string loss = "bce_with_logits";
    int train_size = 2000;
    bool notebook_shape = false;

    void declare(CommandLine& line) {
        Flags::declare(line);
        line.choice("--loss", loss, {"bce_with_logits", "bce"}, "bce: of sigmoid, the same in two parts");
        line.number("--train-size", train_size, 1, 15000, "pictures to train on");
        line.flag("--notebook-shape", notebook_shape, "only run 5 images of 512 x 512 forward, to 19 labels");
    }
};

/// Pictures [count, 1, 56, 56] and what is in them [count, 10]: 1 for each class that is among the four.
data::Dataset<float, float> mosaics(const data::Dataset<>& images, Index count) {
    const auto [pixels, classes] = images.subset(gradus::permutation(images.size()).rows(0, 4 * count));
    const Variable<> tiles = pixels.reshape({count, 2, 2, 28, 28});  // rows of tiles, then of pixels
    Tensor<> labels = gradus::zeros({count, 10});
    for (Index i = 0; i < 4 * count; ++i) labels.mutable_at(i / 4, classes(i)) = 1;
    return {permute(tiles, {0, 1, 3, 2, 4}).value().reshape({count, 1, 56, 56}), labels};
}

int run_forward() {
    ResNet18<> net{.classes = 19, .dropout = 0.1};
    nn::eval(net);
    const gradus::NoGrad guard;
    const auto start = std::chrono::steady_clock::now();
    const Variable<> probabilities = sigmoid(net(gradus::randn({5, 3, 512, 512})));
    const std::string shape = to_string(probabilities.shape());
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    std::printf("[5, 3, 512, 512] -> %s in %.2f s\n", shape.c_str(), time.count());
    return 0;
}

int train(const MultilabelFlags& flags) {
    gradus::manual_seed(flags.seed);
    if (flags.notebook_shape) return run_forward();
    const auto [train_images, test_images] = data::fashion_mnist(flags.data);
    const auto standardize = data::Standardize::global(train_images.inputs);
    const auto train_set = flags.limited(mosaics(standardize(train_images), flags.train_size));
    const auto test_set = flags.limited(mosaics(standardize(test_images), 500));

    ResNet18<> net{.classes = 10, .dropout = 0.1, .channels = 1};
    auto optimizer = make_optimizer(flags, nn::parameters(net));
    const auto loss_of = [&](const Variable<>& logits, const Tensor<>& labels) {
        return flags.loss == "bce" ? bce(sigmoid(logits), labels) : bce_with_logits(logits, labels);
    };
    metrics::MultiLabel found({.threshold = 0});  // probability > 0.5 means logit > 0
    found.update(gradus::zeros(test_set.labels.shape()), test_set.labels);
    Run run(flags);
    print_choices(flags);
    std::printf("without any label: score %.3f, F1 %.3f\n", found.accuracy(), found.value());
    const auto accuracy = [](const auto& logits, const auto& labels) {
        return gradus::multilabel_accuracy(logits, labels, 0);
    };
    const data::Loader tests(test_set, {.batch_size = 500});
    const training::History history = training::fit(
        net, optimizer, loss_of, data::Loader(train_set, flags.shuffled()), tests, run.options(),
        training::LearningRate(make_schedule(flags, train_set.size())), training::Score(accuracy),
        training::Metric("F1", metrics::MultiLabel({.threshold = 0})), run);
    if (!flags.out.empty() && history.signal == 0) {
        training::ReportData report{.score_name = "accuracy of labels", .classes = clothes};
        found.reset();
        found.update(training::predict(net, tests), test_set.labels);
        report.labels = found.labels();
        report.samples = labeled_pictures(test_set, 12);
        report.summary = nn::summary(net, {1, 1, 56, 56});
        write_report(flags, history, report);
    }
    return finish(flags, history);
}

int main(int argc, char** argv) {
    const MultilabelFlags defaults{{.epochs = 6, .batch = 32, .lr = 1e-4, .optimizer = "adam"}};
    return run_with_flags(argc, argv, "Trains a ResNet-18 on pictures of many clothes.", defaults, train);
}
