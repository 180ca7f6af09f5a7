// SPDX-License-Identifier: MIT
#include "gradus/training/stopping.hpp"

#include <csignal>
#include <limits>
#include <vector>

#include "data/files.hpp"
#include "gradus/training/callbacks.hpp"
#include "gradus/training/classification.hpp"
#include "gradus/training/history_files.hpp"
#include "gradus/training/hooks.hpp"
#include "gradus/training/keep_checkpoints.hpp"
#include "support/test.hpp"
#include "training/small_run.hpp"

using namespace gradus;
using training::OnEpochEnd;
using training::OnStepEnd;

namespace {

/// A run whose validation losses are these: the model does not matter.
template <class... Callbacks>
training::History run_with(const std::vector<double>& losses, SmallNet& net, const std::string& resume,
                           Callbacks&&... callbacks) {
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
    const data::Loader batches(small_data(23), {.batch_size = 5});
    return training::fit(
        net, sgd, small_loss, batches, batches,
        {.epochs = static_cast<Index>(losses.size()), .progress = training::Progress::none, .resume = resume},
        OnEpochEnd([&](auto& run) { run.record().val_loss = losses[run.history().size() - 1]; }),
        callbacks...);
}

}  // namespace

TEST_CASE("stop early: after epochs without a better metric, and the best weights come back") {
    SmallNet net;
    std::vector<SmallNet> models;
    training::StopEarly stop({.patience = 2, .restore_best = true});
    const auto history = run_with({3, 1, 2, 1.5, 0, 0}, net, "", stop,
                                  OnEpochEnd([&](auto& run) { models.push_back(run.model); }));
    CHECK(history.stopped == "val_loss has not become better for 2 epochs; the best was 1 in epoch 2");
    CHECK(history.epochs.size() == 4);
    CHECK(history.position == training::Position{4, 0, 20});
    CHECK(stop.best() == 1);
    CHECK(stop.best_epoch() == 1);
    CHECK(same_models(net, models[1]));
    CHECK_FALSE(same_models(net, models[3]));

    // Without restore_best the last ones stay.
    SmallNet other;
    models.clear();
    run_with({3, 1, 2, 1.5}, other, "", training::StopEarly({.patience = 2}),
             OnEpochEnd([&](auto& run) { models.push_back(run.model); }));
    CHECK(same_models(other, models[3]));

    // They come back also if all epochs are trained.
    models.clear();
    CHECK(run_with({3, 1, 2}, other, "", training::StopEarly({.restore_best = true}),
                   OnEpochEnd([&](auto& run) { models.push_back(run.model); }))
              .stopped.empty());
    CHECK(same_models(other, models[1]));
}

TEST_CASE("stop early: its state and the best weights are in a checkpoint") {
    const TemporaryFolder folder;
    const std::string path = folder / "last";
    const std::vector<double> losses{3, 1, 2, 1.5, 0, 0};
    for (Index at = 1; at <= 4; ++at) {
        manual_seed(7);
        SmallNet whole;
        training::StopEarly first({.patience = 2, .restore_best = true});
        run_with(losses, whole, "", first);
        manual_seed(7);
        SmallNet part;
        run_with(losses, part, "", training::StopEarly({.patience = 2, .restore_best = true}),
                 OnEpochEnd([&](auto& run) {
                     if (run.position().epoch != at) return;
                     run.save(path);
                     run.interrupt("now");
                 }));
        SmallNet resumed;
        training::StopEarly stop({.patience = 2, .restore_best = true});
        const auto history = run_with(losses, resumed, path, stop);
        CHECK(history.epochs.size() == 4);
        CHECK(stop.best_epoch() == 1);
        CHECK(same_models(whole, resumed));
    }
}

TEST_CASE("stop early: more of a score is better, if nothing else is said") {
    const auto best_epoch = [](const training::StopEarlyOptions& options) {
        SmallNet net;
        training::StopEarly stop(options);
        run_with({1, 1, 1}, net, "", OnEpochEnd([](auto& run) {
                     const auto epoch = static_cast<double>(run.history().size());
                     run.record().val_score = epoch / 4;
                     run.record().metrics = {{"val_F1", epoch / 4}, {"val_error", epoch / 4}};
                 }),
                 stop);
        return stop.best_epoch();
    };
    CHECK(best_epoch({.monitor = "val_score"}) == 2);
    CHECK(best_epoch({.monitor = "val_F1"}) == 2);
    CHECK(best_epoch({.monitor = "val_error"}) == 0);
    CHECK(best_epoch({.mode = optim::Mode::min, .monitor = "val_score"}) == 0);
    CHECK(best_epoch({.mode = optim::Mode::max, .monitor = "val_error"}) == 2);
}

namespace {

struct AddsOwn {
    void on_record(training::Run& run) { run.add_metric("own", 1); }
};

}  // namespace

TEST_CASE("stop early: refusals") {
    SmallNet net;
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
    Index steps = 0;  // it is not an epoch later that it says so
    CHECK_THROWS_WITH(
        training::fit(net, sgd, small_loss, data::Loader(small_data(23)), training::no_validation,
                      {.epochs = 1, .progress = training::Progress::none}, OnStepEnd([&](auto&) { ++steps; }),
                      training::StopEarly()),
        "stop_early: there is no val_loss without validation data: give fit() some, or name a "
        "metric of the training");
    CHECK(steps == 0);
    CHECK_THROWS_WITH(training::StopEarly({.patience = 0}),
                      "early_stopping: patience must be at least 1: got 0");
    const TemporaryFolder folder;
    const data::Loader batches(small_data(23));
    const auto count = OnStepEnd([&](auto&) { ++steps; });
    const auto fit = [&](const std::string& monitor, auto... others) {
        training::fit(net, sgd, small_loss, batches, batches,
                      {.epochs = 1, .progress = training::Progress::none}, count, others...,
                      training::CsvHistory(folder / "history.csv"),
                      training::StopEarly({.monitor = monitor}));
    };
    CHECK_THROWS_WITH(fit("val_los"),
                      "stop_early: there is no metric val_los; there are train_loss, val_loss, train_score, "
                      "val_score, seconds, lr");
    const training::Metric f1("f1", metrics::Accuracy(), {.train = true});
    CHECK_THROWS_WITH(fit("val_f2", f1),
                      "stop_early: there is no metric val_f2; there are train_loss, val_loss, train_score, "
                      "val_score, seconds, lr, train_f1, val_f1");
    CHECK(steps == 0);
    CHECK_NOTHROW(fit("val_f1", f1));
    CHECK_NOTHROW(fit("own", AddsOwn()));
    // Who else adds metrics is not known before.
    CHECK_THROWS_WITH(run_with({1}, net, "", training::StopEarly({.monitor = "val_f1"})),
                      "stop_early: there is no metric val_f1; there are train_loss, val_loss, train_score, "
                      "val_score, seconds, lr");
}

TEST_CASE("stop on nan: before the step, with the name of the parameter") {
    SmallNet net;
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
    auto set = small_data(23);
    set.inputs.mutable_data()[4 * 17 + 1] = std::numeric_limits<float>::quiet_NaN();  // in batch 4 of 5
    const data::Loader batches(set, {.batch_size = 5});
    SmallNet before = net;
    const Printed out;
    const auto history =
        training::fit(net, sgd, small_loss, batches, training::no_validation, {.epochs = 2, .output = out},
                      training::StopOnNan(), OnStepEnd([&](auto& run) { before = run.model; }));
    CHECK(history.position == training::Position{0, 3, 3});
    const std::string text =
        "not finite: the loss is nan in epoch 1, batch 4; the first parameter that shows it is fc1.weight: "
        "gradient; is the learning rate too high, or an input not a number?";
    CHECK(history.failures == std::vector<std::string>{text});
    CHECK(history.stopped == "a number is not finite");
    CHECK(history.exit_code() == 1);
    CHECK(out.text() == text + "\nstopped: a number is not finite\n");
    CHECK(same_bits(net.fc1.weight.value(), before.fc1.weight.value()));
    CHECK(training::first_not_finite(net) == "fc1.weight: gradient");
    sgd.zero_grad();
    CHECK(training::first_not_finite(net).empty());
    net.fc2.bias->mutable_value().mutable_data()[1] = std::numeric_limits<float>::infinity();
    CHECK(training::first_not_finite(net) == "fc2.bias: value");
}

TEST_CASE("stop on nan: a gradient alone is enough") {
    struct Root {  // whose gradient is infinite at 0, where its value is 0
        Parameter<> weight{Tensor<>{0}};
        Variable<> operator()(Variable<> x) const { return x * sqrt(weight); }
    } net;
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
    const data::Loader batches(data::Dataset{Tensor<>{{1}, {2}}, Tensor<Index>{0, 0}}, {.batch_size = 2});
    const auto loss = [](const Variable<>& y, const Tensor<Index>&) { return mean(y); };
    const auto history =
        training::fit(net, sgd, loss, batches, training::no_validation,
                      {.epochs = 1, .progress = training::Progress::none}, training::StopOnNan());
    REQUIRE(history.failures.size() == 1);
    CHECK_THAT(
        history.failures[0],
        ContainsSubstring("the loss is 0 in epoch 1, batch 1; the first parameter that shows it is weight: "
                          "gradient"));
    CHECK(net.weight.value()(0) == 0);
}

TEST_CASE("time limit: ends with a step, and a resumed run goes on") {
    const TemporaryFolder folder;
    SmallNet net;
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
    const data::Loader batches(small_data(23), {.batch_size = 5});
    const auto go = [&](double seconds, const std::string& resume) {
        return training::fit(net, sgd, small_loss, batches, batches,
                             {.epochs = 2, .progress = training::Progress::none, .resume = resume},
                             training::TimeLimit({.seconds = seconds}),
                             training::OnTrainEnd([&](auto& run) { run.save(folder / "last"); }));
    };
    const auto history = go(1e-9, "");
    CHECK(history.stopped == "the time of 1e-09 seconds is over");
    CHECK(history.position == training::Position{0, 1, 1});
    CHECK(go(1000, folder / "last").position == training::Position{2, 0, 10});
    CHECK_THROWS_WITH(training::TimeLimit({.seconds = 0}), "time_limit: seconds must be > 0: got 0");
}

TEST_CASE("stop on signal: finishes the step, and the exit code is the shell's") {
    for (const int number : {SIGINT, SIGTERM}) {
        const TemporaryFolder folder;
        SmallNet net;
        optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
        const data::Loader batches(small_data(23), {.batch_size = 5});
        const training::SignalGuard signals;
        const auto history = training::fit(
            net, sgd, small_loss, batches, batches, {.epochs = 2, .progress = training::Progress::none},
            training::OnBatchBegin([&](auto& run) {
                if (run.position().step == 6) std::raise(number);
            }),
            training::StopOnSignal(signals), training::KeepCheckpoints({.folder = folder.path()}));
        CHECK(history.position == training::Position{1, 2, 7});
        CHECK(history.stopped == (number == SIGINT ? "by SIGINT" : "by SIGTERM"));
        CHECK(history.exit_code() == 128 + number);
        CHECK(training::load_parts(folder / "last.safetensors", net) == history.position);
    }
}
