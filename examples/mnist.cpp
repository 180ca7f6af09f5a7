// SPDX-License-Identifier: MIT
// Trains a convolutional network to read handwritten digits, with or without means against overfitting.

#include <cstdio>
#include <utility>

#include <gradus/distributed/fit.hpp>
#include <gradus/gradus.hpp>
#include <gradus/training/callbacks.hpp>
#include <gradus/training/stopping.hpp>

#include "support/choices.hpp"
#include "support/flags.hpp"
#include "support/run.hpp"
#include "support/world.hpp"

namespace data = gradus::data;
namespace distributed = gradus::distributed;
namespace nn = gradus::nn;
namespace training = gradus::training;
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
    int shards = 1;

    void declare(CommandLine& line) {
        Flags::declare(line);
        line.choice("--loss", loss, {"cross_entropy", "nll"}, "nll: of log_softmax, the same in two parts");
        line.number("--l1", l1, 0.0, 1.0, "penalty on the sum of the absolute weights");
        line.number("--l2", l2, 0.0, 1.0, "penalty on half the sum of the squared weights");
        line.flag("--early-stopping", early_stopping,
                  "hold back a tenth of the examples; stop once their loss has not fallen for 2 epochs");
        line.number(
            "--shards", shards, 1, 1024,
            "parts of a batch, for up to as many processes under mpirun: the same bits for any number");
    }
};

/// The sum of the losses of an epoch's batches, as a column of the table.
struct SumOfLosses {
    static constexpr const char* state_name = "sum_of_losses";
    double sum = 0;

    void on_step_end(auto& run) { sum += run.loss(); }
    void on_record(auto& run) { run.add_metric("sum of losses", std::exchange(sum, 0)); }
    void save(training::StateWriter& state) const { state.put("sum", sum); }
    void load(const training::StateReader& state) { sum = state.get<double>("sum"); }
};

int train(const MnistFlags& flags, const distributed::World& world) {
    if (flags.batch % flags.shards != 0)
        throw gradus::ValueError("--batch: must be a multiple of --shards: got " +
                                 std::to_string(flags.batch) + " and " + std::to_string(flags.shards));
    gradus::manual_seed(flags.seed);
    auto [images, test_images] = data::mnist(flags.data);
    const auto standardize = data::Standardize::global(images.inputs);  // one mean and std for all pixels
    images = flags.limited(images), test_images = flags.limited(test_images);
    auto train_set = standardize(images);
    const auto test_set = standardize(test_images);
    const gradus::Index cut = flags.early_stopping ? train_set.size() / 10 * 9 : train_set.size();
    const data::Dataset<> held_back = train_set.take(cut, train_set.size());
    train_set = train_set.take(0, cut);

    Net net;
    auto optimizer =
        optimizer_choice(flags.optimizer)
            .make({.parameters = nn::parameters(net), .lr = flags.lr, .l1 = flags.l1, .l2 = flags.l2});
    const auto loss = [&](const Variable<>& logits, const gradus::Tensor<gradus::Index>& labels) {
        return flags.loss == "nll" ? nll(log_softmax(logits), labels) : cross_entropy(logits, labels);
    };
    const data::Loader batches(train_set, {.batch_size = flags.batch / flags.shards});
    const distributed::Distributed shards{.world = world, .shards = flags.shards};
    training::LearningRate rate(make_schedule(flags, train_set.size()));
    Run run(flags, flags.early_stopping ? "val_loss" : "", world.is_first());
    SumOfLosses sum;
    training::History history;
    if (flags.early_stopping)
        history = training::fit(net, optimizer, loss, batches, data::Loader(held_back, {.batch_size = 500}),
                                run.options(), rate, sum, run, shards,
                                training::StopEarly({.patience = 2, .restore_best = true}));
    else
        history = training::fit(net, optimizer, loss, batches, training::no_validation, run.options(), rate,
                                sum, run, shards);
    if (!world.is_first()) return history.exit_code();
    if (history.signal == 0)
        std::printf("test accuracy %.4f\n",
                    training::evaluate(net, loss, data::Loader(test_set, {.batch_size = 500})).score);
    if (!flags.out.empty() && history.signal == 0)
        write_report(flags, history, classifier_report(net, images, test_images, test_set.inputs));
    return finish(flags, history);
}

int main(int argc, char** argv) {
    const MnistFlags defaults{{.epochs = 10, .batch = 100, .lr = 0.1, .seed = 1}};
    return run_with_flags(argc, argv, "Trains a convolutional network on MNIST.", defaults,
                          [](const MnistFlags& flags) {
                              const distributed::World world = started_world();
                              int code = 0;
                              distributed::run(world, [&] { code = train(flags, world); });
                              return code;
                          });
}
