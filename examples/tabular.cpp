// SPDX-License-Identifier: MIT
// Learns to tell a number in a table from its other columns: from a CSV file to a saved model, which tabular_predict
// loads. Without --data, the prices of 54,000 diamonds, of whose variance it explains 98 % on those held back.

#include <cmath>
#include <cstdio>

#include <gradus/data.hpp>
#include <gradus/io.hpp>
#include <gradus/training.hpp>

#include "support/command_line.hpp"
#include "support/flags.hpp"
#include "support/regressor.hpp"

namespace data = gradus::data;
namespace training = gradus::training;
using data::TableEncoder;

struct TabularFlags {
    std::string data = {}, target = "price", model = "tabular.safetensors";
    int epochs = 30, batch = 256;
    double lr = 0.002;
    std::uint64_t seed = 1;

    void declare(CommandLine& line) {
        line.text("--data", data, "a CSV file with a header (default: the diamonds, found by itself)");
        line.text("--target", target, "the column to be told from the others");
        line.text("--model", model, "the file to save it to");
        line.number("--epochs", epochs, 1, 100000, "passes over the data");
        line.number("--batch", batch, 1, 60000, "rows per step");
        line.number("--lr", lr, 1e-9, 1e3, "the highest learning rate");
        line.number("--seed", seed, std::uint64_t{0}, std::uint64_t{1} << 32, "of weights and shuffling");
    }
};

void train(const TabularFlags& flags) {
    gradus::manual_seed(flags.seed);
    const std::string path = flags.data.empty() ? data::find_file("diamonds", "diamonds.csv") : flags.data;
    const auto [train_rows, test_rows] = data::split(data::read_csv(path), {.test = 0.1, .seed = flags.seed});

    // What is known of the columns comes from the rows to train on, and is saved with the model.
    const auto inputs =
        TableEncoder::fit(train_rows, {.except = {flags.target}, .unseen = data::Unseen::other});
    const auto target = TableEncoder::fit(train_rows, {.columns = {flags.target}});
    const data::Dataset train_set{inputs(train_rows), target(train_rows)},
        test_set{inputs(test_rows), target(test_rows)};
    const data::Loader train_batches(train_set,
                                     {.batch_size = flags.batch, .shuffle = true, .seed = flags.seed});
    const data::Loader test_batches(test_set, {.batch_size = 1000});

    Regressor net{.features = inputs.width()};
    gradus::optim::AdamW optimizer(gradus::nn::parameters(net), {.lr = flags.lr});
    const auto schedule = gradus::optim::schedule::one_cycle(
        {.max_lr = flags.lr, .total_steps = flags.epochs * train_batches.size()});
    training::fit(
        net, optimizer, [](const auto& y, const auto& t) { return mse(y, t); }, train_batches, test_batches,
        {.epochs = flags.epochs}, training::LearningRate(schedule));
    gradus::io::save(flags.model, net,
                     {.metadata = {{"format", "pt"}, {"inputs", inputs.text()}, {"target", target.text()}}});

    gradus::metrics::Regression errors;
    errors.update(target.inverse(training::predict(net, test_batches)), target.inverse(test_set.labels));
    std::printf("%s: mean error %.4g, R2 %.4f on %lld rows held back; saved as %s\n", flags.target.c_str(),
                errors.mae(), errors.r2(), static_cast<long long>(test_rows.rows()), flags.model.c_str());
}

int main(int argc, char** argv) {
    CommandLine line("Learns to tell a number in a table from its other columns.");
    TabularFlags flags;
    flags.declare(line);
    if (const int code = line.parse(argc, argv); code >= 0) return code;
    try {
        train(flags);
        flush_output();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
