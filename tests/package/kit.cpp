// SPDX-License-Identifier: MIT
// A training with checkpoints and a report, in a folder of its own; then the same once more, which has nothing left to do.
#include <gradus/gradus.hpp>
#include <gradus/training/fit.hpp>
#include <gradus/training/keep_checkpoints.hpp>
#include <gradus/training/report.hpp>
#include <gradus/training/run_folder.hpp>

namespace data = gradus::data;
namespace nn = gradus::nn;
namespace training = gradus::training;

struct Net {
    nn::Linear<> fc1{16, 8};
    nn::Linear<> fc2{8, 2};

    gradus::Variable<> operator()(gradus::Variable<> x) const { return fc2(relu(fc1(flatten(x)))); }
};

training::History train(const training::RunFolder& run, Net& net, const data::Dataset<>& set) {
    gradus::optim::SGD<> sgd(nn::parameters(net), {.lr = 0.1});
    const auto loss = [](const auto& logits, const auto& labels) { return cross_entropy(logits, labels); };
    const data::Loader<> batches(set, {.batch_size = 4, .shuffle = true, .seed = 1});
    return training::fit(net, sgd, loss, batches, batches,
                         {.epochs = 2, .resume = run.resumes() ? run.last() : ""},
                         training::KeepCheckpoints({.folder = run.path(), .best = "val_loss"}));
}

int main() {
    const data::Dataset<> set{gradus::uniform({8, 1, 4, 4}, 0, 1), {0, 1, 0, 1, 0, 1, 0, 1}};
    Net net, again;
    train(training::RunFolder("run", {.overwrite = true}), net, set);
    const training::RunFolder run("run", {.resume = true});
    const training::History history = train(run, again, set);
    training::ReportData report{.title = "kit", .history = history.epochs, .score_name = "accuracy"};
    report.summary = nn::summary(again, {1, 1, 4, 4});
    training::add_examples(report, set);
    training::add_predictions(report, set.inputs, again(set.inputs).value(), set.labels);
    gradus::write_file(run.report(), training::report_html(report));
    return again(set.inputs).value() == net(set.inputs).value() ? history.exit_code() : 2;
}
