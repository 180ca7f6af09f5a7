// SPDX-License-Identifier: MIT
#include "gradus/training/fit.hpp"

#include <cmath>
#include <stdexcept>
#include <vector>

#include "data/files.hpp"
#include "gradus/training/callbacks.hpp"
#include "gradus/training/stopping.hpp"
#include "support/test.hpp"
#include "support/threads.hpp"
#include "training/small_run.hpp"

using namespace gradus;
using training::Accumulate;
using training::FitOptions;
using training::no_validation;
using training::OnBackwardEnd;
using training::OnBatchBegin;
using training::OnEpochBegin;
using training::OnEpochEnd;
using training::OnStepEnd;
using training::OnTrainBegin;
using training::OnTrainEnd;
using training::Progress;

namespace {

const data::LoaderOptions shuffled{.batch_size = 5, .shuffle = true, .seed = 2};  // 23 examples: 5 batches

FitOptions quiet(Index epochs) { return {.epochs = epochs, .progress = Progress::none}; }

/// Mean loss and accuracy as a hand-written loop finds them.
struct ByHand {
    double loss = 0, score = 0, examples = 0;

    void add(float batch_loss, double batch_score, Index batch) {
        const auto size = static_cast<double>(batch);
        examples += size;
        loss += (static_cast<double>(batch_loss) - loss) * size / examples;
        score += (batch_score - score) * size / examples;
    }
};

}  // namespace

TEST_CASE("fit: the weights, the means and the table of a loop by hand") {
    const auto train = small_data(23), test = small_data(11, 6);
    const data::Loader batches(train, shuffled), tests(test, {.batch_size = 4});
    manual_seed(1);
    SmallNet by_hand;
    optim::SGD sgd(nn::parameters(by_hand), {.lr = 0.1, .momentum = 0.9});
    std::vector<EpochRecord> records;
    std::string table;
    for (Index epoch = 0; epoch < 3; ++epoch) {
        ByHand scores, val;
        for (auto& [inputs, labels] : batches.epoch(epoch)) {
            const Variable<> logits = by_hand(inputs), loss = cross_entropy(logits, labels);
            sgd.zero_grad();
            loss.backward();
            sgd.step();
            scores.add(loss.item(), accuracy(logits, labels), labels.numel());
        }
        const NoGrad guard;
        nn::eval(by_hand);
        for (auto& [inputs, labels] : tests) {
            const Variable<> logits = by_hand(inputs);
            val.add(cross_entropy(logits, labels).item(), accuracy(logits, labels), labels.numel());
        }
        nn::train(by_hand);
        records.push_back({scores.loss, val.loss, scores.score, val.score, 0});
        table += to_string(records.back(), static_cast<int>(epoch) + 1, 3) + "\n";
    }

    manual_seed(1);
    SmallNet net;
    optim::SGD optimizer(nn::parameters(net), {.lr = 0.1, .momentum = 0.9});
    const Printed out;
    const auto history =
        training::fit(net, optimizer, small_loss, batches, tests, {.epochs = 3, .output = out});
    CHECK(same_models(net, by_hand));
    REQUIRE(history.epochs.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {  // equal, not nearly
        CHECK(history.epochs[i].train_loss == records[i].train_loss);
        CHECK(history.epochs[i].val_loss == records[i].val_loss);
        CHECK(history.epochs[i].train_score == records[i].train_score);
        CHECK(history.epochs[i].val_score == records[i].val_score);
        CHECK(history.epochs[i].seconds > 0);
        CHECK(history.epochs[i].lr == 0.1);
    }
    CHECK(out.table() == [&] {
        const auto at = [&](std::size_t from) { return table.find("Epoch Time: ", from); };
        for (std::size_t i = at(0); i != table.npos; i = at(i + 1)) table.replace(i + 12, 6, " 0.000");
        return table;
    }());
    CHECK(history.position == training::Position{3, 0, 15});
    CHECK(history.stopped.empty());
    CHECK(history.failures.empty());
    CHECK(history.exit_code() == 0);
}

TEST_CASE("fit: means over examples, not over batches") {
    // One weight that does not move: the loss of a batch is the mean of its inputs.
    struct Mean {
        Parameter<> weight{Tensor<>{1}};
        Variable<> operator()(Variable<> x) const { return x * weight; }
    } net;
    optim::SGD sgd(nn::parameters(net), {.lr = 0});
    const data::Dataset set{Tensor<>{{1}, {2}, {3}, {4}, {5}, {6}, {7}}, zeros<Index>({7})};
    const auto loss = [](const Variable<>& y, const Tensor<Index>&) { return mean(y); };
    const data::Loader batches(set, {.batch_size = 3});  // means 2, 5 and 7
    const auto history = training::fit(net, sgd, loss, batches, batches, quiet(1));
    CHECK(history.epochs[0].train_loss == Approx(4).epsilon(1e-15));
    CHECK(history.epochs[0].val_loss == Approx(4).epsilon(1e-15));
    CHECK(training::evaluate(net, loss, batches).loss == Approx(4).epsilon(1e-15));
}

TEST_CASE("fit: without validation, and without a score") {
    SmallNet net;
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
    const data::Loader batches(small_data(23), shuffled);
    const Printed out;
    const auto history =
        training::fit(net, sgd, small_loss, batches, no_validation, {.epochs = 1, .output = out});
    CHECK(std::isnan(history.epochs[0].val_loss));
    CHECK(std::isnan(history.epochs[0].val_score));
    char line[200];
    std::snprintf(line, sizeof line,
                  "Epoch    1 /    1: | Train Loss: %6.3f | Train Score: %6.3f | Epoch Time:  0.000 |\n",
                  history.epochs[0].train_loss, history.epochs[0].train_score);
    CHECK(out.table() == line);

    nn::Linear<> line_fit(1, 1);
    optim::SGD other(nn::parameters(line_fit), {.lr = 0.01});
    const data::Loader points(data::Dataset{Tensor<>{{1}, {2}, {3}}, Tensor<>{{2}, {4}, {6}}},
                              {.batch_size = 2});
    const auto squares = [](const auto& y, const auto& targets) { return mse(y, targets); };
    const Printed regression;
    const auto fitted =
        training::fit(line_fit, other, squares, points, points, {.epochs = 1, .output = regression});
    CHECK(std::isnan(fitted.epochs[0].train_score));
    std::snprintf(line, sizeof line,
                  "Epoch    1 /    1: | Train Loss: %6.3f | Val Loss: %6.3f | Epoch Time:  0.000 |\n",
                  fitted.epochs[0].train_loss, fitted.epochs[0].val_loss);
    CHECK(regression.table() == line);
}

namespace {

struct Pair {  // a batch with other fields
    Tensor<> left, right;
};

}  // namespace

TEST_CASE("fit: other batches, with loss(model, batch)") {
    nn::Linear<> net(2, 2);
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
    const std::vector<Pair> batches{{Tensor<>{{1, 0}, {0, 1}}, Tensor<>{{1, 1}, {1, 1}}},
                                    {Tensor<>{{2, 0}}, Tensor<>{{0, 1}}}};
    const auto loss = [](nn::Linear<>& model, const Pair& batch) {
        return mse(model(batch.left), batch.right);
    };
    nn::Linear<> by_hand = net;
    optim::SGD other(nn::parameters(by_hand), {.lr = 0.1});
    for (const Pair& batch : batches) {
        other.zero_grad();
        loss(by_hand, batch).backward();
        other.step();
    }
    const auto history = training::fit(net, sgd, loss, batches, batches, quiet(1));
    CHECK(same_models(net, by_hand));
    CHECK(std::isnan(history.epochs[0].val_score));
    const double first = static_cast<double>(loss(net, batches[0]).item()),
                 second = static_cast<double>(loss(net, batches[1]).item());
    CHECK(history.epochs[0].val_loss == Approx((2 * first + second) / 3).epsilon(1e-15));

    // With outputs, scores and metrics have something to look at.
    struct Result {
        Variable<> loss, outputs;
    };
    const auto with_outputs = [](nn::Linear<>& model, const Pair& batch) {
        const Variable<> y = model(batch.left);
        return Result{mse(y, batch.right), y};
    };
    const training::Score far([](const Variable<>& y, const Tensor<>& targets) {
        return static_cast<double>(mean(abs(y - targets)).item());
    });
    const auto scored = training::fit(net, sgd, with_outputs, batches, batches, quiet(1), far);
    const auto distance = [&](const Pair& batch) {
        return static_cast<double>(mean(abs(net(batch.left) - batch.right)).item());
    };
    CHECK(scored.epochs[0].val_score == Approx((2 * distance(batches[0]) + distance(batches[1])) / 3));
}

TEST_CASE("fit: a number type of doubles") {
    struct Net {
        nn::Linear<double> fc{4, 3};
        Variable<double> operator()(Variable<double> x) const { return fc(x); }
    } net;
    optim::SGD sgd(nn::parameters<double>(net), {.lr = 0.5});
    const auto set = small_data(23);
    const data::Loader batches(data::Dataset{cast<double>(set.inputs), set.labels}, shuffled);
    const auto history = training::fit(net, sgd, small_loss, batches, batches, quiet(5), Accumulate{2},
                                       training::ClipGradNorm{.max_norm = 1}, training::StopOnNan());
    CHECK(history.epochs[4].val_loss < history.epochs[0].val_loss);
}

TEST_CASE("fit: modes are as they were, also if something throws") {
    SmallNet net;
    net.norm.training = false;  // frozen by its owner
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
    const data::Loader batches(small_data(23), shuffled);
    std::vector<bool> in_training, in_validation;
    training::fit(net, sgd, small_loss, batches, batches, quiet(1),
                  OnBatchBegin([&](auto& run) { in_training.push_back(run.model.norm.training); }));
    CHECK(in_training == std::vector<bool>(5, true));
    CHECK_FALSE(net.norm.training);
    CHECK(net.dropout.training);

    const auto before = nn::parameters(net)[0].value();
    const auto fails = OnBackwardEnd([](auto& run) {
        if (run.position().step == 7) throw std::runtime_error("user: no");
    });
    CHECK_THROWS_WITH(training::fit(net, sgd, small_loss, batches, batches, quiet(3), fails), "user: no");
    CHECK_FALSE(net.norm.training);
    CHECK(net.dropout.training);
    CHECK(is_grad_enabled());
    CHECK_FALSE(same_bits(before, nn::parameters(net)[0].value()));  // seven steps were made
    CHECK(training::fit(net, sgd, small_loss, batches, batches, quiet(1)).epochs.size() == 1);

    // In the validation, too.
    const auto refuses = [&](const Variable<>& y, const Tensor<Index>& labels) {
        if (!net.dropout.training) throw std::runtime_error("user: no loss");
        return cross_entropy(y, labels);
    };
    CHECK_THROWS_WITH(training::fit(net, sgd, refuses, batches, batches, quiet(1)), "user: no loss");
    CHECK_FALSE(net.norm.training);
    CHECK(net.dropout.training);
    CHECK(is_grad_enabled());

    // What a callback sets stays so over validations, until the end.
    std::vector<bool> frozen;
    training::fit(net, sgd, small_loss, batches, batches, quiet(2),
                  OnTrainBegin([](auto& run) { run.model.norm.training = false; }),
                  OnBatchBegin([&](auto& run) { frozen.push_back(run.model.norm.training); }));
    CHECK(frozen == std::vector<bool>(10, false));
}

namespace {

/// Writes down every hook, with its number and what it saw.
struct Journal {
    std::string& text;
    std::string name;

    template <class Run>
    void note(const char* hook, Run& run) {
        const training::Position at = run.position();
        text += name + hook + " " + std::to_string(at.epoch) + " " + std::to_string(at.batch) + " " +
                std::to_string(at.step) + "\n";
    }
    void on_train_begin(auto& run) { note("train_begin", run); }
    void on_epoch_begin(auto& run) { note("epoch_begin", run); }
    void on_batch_begin(auto& run) { note("batch_begin", run); }
    void on_backward_end(auto& run) { note("backward_end", run); }
    void on_step_end(auto& run) { note("step_end", run); }
    void on_validation_begin(auto& run) { note("validation_begin", run); }
    void on_outputs(auto& run, const auto&, const auto&) {
        note(run.is_validating() ? "outputs_v" : "outputs", run);
    }
    void on_validation_end(auto& run) { note("validation_end", run); }
    void on_record(auto& run) { note("record", run); }
    void on_epoch_end(auto& run) { note("epoch_end", run); }
    void on_save(auto& run) { note("save", run); }
    void on_train_end(auto& run) { note("train_end", run); }
};

}  // namespace

TEST_CASE("fit: a callback may have any one hook") {
    struct OnRecord {
        int epochs = 0;
        void on_record(training::Run& run) { run.add_metric("epochs", ++epochs); }
    };
    struct OnOutputs {
        Index examples = 0;
        void on_outputs(training::Run&, const Tensor<>& outputs, const Tensor<Index>&) {
            examples += outputs.size(0);
        }
    };
    struct OnValidation {
        int begun = 0;
        void on_validation_begin(training::Run&) { ++begun; }
    };
    SmallNet net;
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
    const data::Loader batches(small_data(6), {.batch_size = 4});
    OnRecord recorded;
    OnOutputs seen;
    OnValidation validated;
    const training::History history =
        training::fit(net, sgd, small_loss, batches, batches, quiet(2), recorded, seen, validated);
    CHECK(history.epochs[1].metrics == std::vector<NamedNumber>{{"epochs", 2}});
    CHECK(seen.examples == 24);
    CHECK(validated.begun == 2);
}

TEST_CASE("fit: every hook at its moment, in the order given") {
    SmallNet net;
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
    const data::Loader batches(small_data(6), {.batch_size = 3});
    std::string text;
    Journal journal{text, ""};
    training::fit(net, sgd, small_loss, batches, batches, quiet(1), journal);
    CHECK(text ==
          "train_begin 0 0 0\n"
          "epoch_begin 0 0 0\n"
          "batch_begin 0 0 0\nbackward_end 0 0 0\noutputs 0 1 1\nstep_end 0 1 1\nsave 0 1 1\n"
          "batch_begin 0 1 1\nbackward_end 0 1 1\noutputs 0 2 2\nstep_end 0 2 2\nsave 0 2 2\n"
          "validation_begin 0 2 2\noutputs_v 0 2 2\noutputs_v 0 2 2\nvalidation_end 0 2 2\n"
          "record 0 2 2\nepoch_end 1 0 2\nsave 1 0 2\n"
          "save 1 0 2\ntrain_end 1 0 2\nsave 1 0 2\n");

    text.clear();
    Journal a{text, "a "}, b{text, "b "};
    training::fit(net, sgd, small_loss, batches, no_validation, quiet(1), b, a);
    for (const char* const hook : {"train_begin", "step_end", "record", "epoch_end", "save", "train_end"})
        CHECK(text.find(std::string("b ") + hook) < text.find(std::string("a ") + hook));
    CHECK(text.find("validation") == text.npos);
}

TEST_CASE("fit: functions at every hook") {
    SmallNet net;
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
    const data::Loader batches(small_data(10), {.batch_size = 5});
    std::string text;
    training::fit(net, sgd, small_loss, batches, no_validation, quiet(1),
                  OnTrainBegin([&](auto& run) { text += "t" + std::to_string(run.epochs()); }),
                  OnEpochBegin([&](auto& run) { text += "e" + std::to_string(run.batches()); }),
                  OnBatchBegin([&](auto&) { text += "b"; }),
                  OnBackwardEnd([&](auto& run) { text += run.model.fc1.weight.has_grad() ? "g" : "?"; }),
                  OnStepEnd([&](auto& run) { text += "s" + std::to_string(run.batch_size()); }),
                  OnEpochEnd([&](auto& run) { text += run.record().train_loss > 0 ? "E" : "?"; }),
                  OnTrainEnd([&](auto& run) { text += "T" + std::to_string(run.history().size()); }));
    CHECK(text == "t1e2bgs5bgs5ET1");
}

TEST_CASE("fit: a stop is when the step is finished, or before it") {
    SmallNet net;
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
    const data::Loader batches(small_data(23), shuffled);
    const Printed out;
    auto history = training::fit(net, sgd, small_loss, batches, batches, {.epochs = 4, .output = out},
                                 OnStepEnd([](auto& run) {
                                     if (run.position().step == 7) run.stop("enough");
                                 }));
    CHECK(history.stopped == "enough");
    CHECK(history.position == training::Position{1, 2, 7});
    CHECK(history.epochs.size() == 1);
    CHECK(out.text().ends_with("|\nstopped: enough\n"));
    CHECK(history.exit_code() == 0);

    const SmallNet before = net;
    history = training::fit(net, sgd, small_loss, batches, batches, quiet(4),
                            OnBackwardEnd([](auto& run) { run.stop("not this step"); }));
    CHECK(history.position == training::Position{0, 0, 0});
    CHECK(same_bits(before.fc1.weight.value(), net.fc1.weight.value()));

    history = training::fit(net, sgd, small_loss, batches, batches, quiet(4), OnBatchBegin([](auto& run) {
                                if (run.position().batch == 3) run.stop("not this batch");
                            }));
    CHECK(history.position == training::Position{0, 3, 3});

    history = training::fit(net, sgd, small_loss, batches, batches, quiet(4), OnEpochEnd([](auto& run) {
                                if (run.position().epoch == 2) run.interrupt(15, "signal");
                            }));
    CHECK(history.position == training::Position{2, 0, 10});
    CHECK(history.exit_code() == 143);

    history = training::fit(net, sgd, small_loss, batches, batches, quiet(1),
                            OnEpochEnd([](auto& run) { run.fail("no disk"); }));
    CHECK(history.failures == std::vector<std::string>{"no disk"});
    CHECK(history.exit_code() == 1);
}

TEST_CASE("fit: what cannot be trained on is refused") {
    SmallNet net;
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
    const data::Loader batches(small_data(23), shuffled);
    const data::Loader nothing(small_data(0)), dropped(small_data(3), {.batch_size = 4, .drop_last = true});
    const std::string no_batches =
        "fit: the training data has no batches; is the dataset empty, or smaller than the one batch that "
        "drop_last leaves out?";
    CHECK_THROWS_WITH(training::fit(net, sgd, small_loss, nothing, batches, quiet(1)), no_batches);
    CHECK_THROWS_WITH(training::fit(net, sgd, small_loss, dropped, batches, quiet(1)), no_batches);
    CHECK_THROWS_WITH(
        training::fit(net, sgd, small_loss, batches, nothing, quiet(1)),
        "fit: the validation data has no batches; is the dataset empty? Give no_validation for none");
    CHECK_THROWS_WITH(training::fit(net, sgd, small_loss, batches, batches, quiet(-1)),
                      "fit: epochs must not be negative: got -1");
    CHECK_THROWS_WITH(training::fit(net, sgd, small_loss, batches, batches, quiet(1), Accumulate{0}),
                      "fit: Accumulate must be of at least 1 batch: got 0");
    CHECK(training::fit(net, sgd, small_loss, batches, batches, quiet(0)).epochs.empty());

    // A set of examples looks like a list of batches.
    struct Examples {
        data::Dataset<> set = small_data(23);
        Index size() const { return set.size(); }
        auto operator[](Index i) const { return set[i]; }
    };
    const std::string examples =
        "fit, evaluate: a batch has labels [batch, ...]; make batches of a data set: data::Loader(set, "
        "{.batch_size = 32}): got []";
    CHECK_THROWS_WITH(training::fit(net, sgd, small_loss, Examples(), batches, quiet(1)), examples);
    CHECK_THROWS_WITH(training::evaluate(net, small_loss, Examples()), examples);
}

namespace {

/// All that a run leaves.
struct Outcome {
    SmallNet net;
    training::History history;
    std::string table;
};

/// Of the labels, as a metric.
struct Sum {
    double sum = 0;
    void update(const auto&, const Tensor<Index>& labels) {
        for (const Index label : labels) sum += static_cast<double>(label);
    }
    double value() const { return sum; }
    void reset() { sum = 0; }
    void save(training::StateWriter& state) const { state.put("sum", sum); }
    void load(const training::StateReader& state) { sum = state.get<double>("sum"); }
};

struct Interrupt {
    Index step = -1;
    std::string path = {};
};

/// A run with Adam, dropout, batch normalization, a schedule, clipping, averages and a metric; with an
/// interruption, if there is to be one.
Outcome long_run(const std::string& resume, const Interrupt& interrupt, Index micro_batches = 1,
                 int epochs = 3) {
    manual_seed(resume.empty() ? 4 : 99);
    const data::Loader batches(small_data(23), shuffled), tests(small_data(11, 6), {.batch_size = 4});
    Outcome outcome;
    optim::Adam adam(nn::named_parameters(outcome.net), {.lr = 0.01});
    Ema ema(outcome.net, {.decay = 0.9});
    const Printed out;
    outcome.history =
        training::fit(outcome.net, adam, small_loss, batches, tests,
                      {.epochs = epochs, .output = out, .resume = resume}, Accumulate{micro_batches},
                      training::LearningRate(optim::schedule::one_cycle({.max_lr = 0.05, .total_steps = 15})),
                      training::ClipGradNorm{.max_norm = 0.5}, training::UpdateEma(ema),
                      training::Metric("sum", Sum(), {.train = true}),
                      training::StopEarly({.restore_best = true}), OnStepEnd([&](auto& run) {
                          if (run.position().step != interrupt.step) return;
                          run.save(interrupt.path);
                          run.interrupt("a signal");
                      }));
    outcome.table = out.table();
    for (auto& parameter : nn::parameters(ema.model()))  // to be compared with the rest
        outcome.history.failures.push_back(to_string(sum(parameter).value()));
    return outcome;
}

void check_equal(Outcome& a, Outcome& b) {
    CHECK(same_models(a.net, b.net));
    CHECK(a.table == b.table);
    CHECK(a.history.position == b.history.position);
    CHECK(a.history.failures == b.history.failures);
    REQUIRE(a.history.epochs.size() == b.history.epochs.size());
    for (std::size_t i = 0; i < a.history.epochs.size(); ++i) {
        CHECK(a.history.epochs[i].train_loss == b.history.epochs[i].train_loss);
        CHECK(a.history.epochs[i].val_loss == b.history.epochs[i].val_loss);
        CHECK(a.history.epochs[i].lr == b.history.epochs[i].lr);
        CHECK(a.history.epochs[i].metrics == b.history.epochs[i].metrics);
    }
}

}  // namespace

TEST_CASE("fit: a run that is resumed at any batch is the run that was never stopped") {
    const TemporaryFolder folder;
    Outcome whole = long_run("", {});
    CHECK(whole.history.epochs.back().metrics[0].name == "train_sum");
    for (Index step = 1; step <= 15; ++step) {
        const Interrupt interrupt{step, folder / "last"};
        const Outcome part = long_run("", interrupt);
        CHECK(part.history.position.step == step);
        Threads threads(step % 2 == 0 ? 2 : 1);
        Outcome resumed = long_run(interrupt.path, {});
        check_equal(whole, resumed);
    }
}

TEST_CASE("fit: three times within an epoch, with steps of several batches") {
    const TemporaryFolder folder;
    for (const Index micro_batches : {1, 2, 3}) {
        Outcome whole = long_run("", {}, micro_batches);
        const Index per_epoch = (5 + micro_batches - 1) / micro_batches;
        CHECK(whole.history.position == training::Position{3, 0, 3 * per_epoch});
        std::string last;
        for (Index step = per_epoch + 1; step <= per_epoch + 3; ++step) {
            long_run(last, {step, folder / "last"}, micro_batches);
            last = folder / "last";
        }
        Outcome resumed = long_run(last, {}, micro_batches);
        check_equal(whole, resumed);
    }
}

TEST_CASE("fit: a finished run that is resumed is not trained on, and has its table") {
    const TemporaryFolder folder;
    const std::string path = folder / "last";
    const data::Loader batches(small_data(23), shuffled);
    const auto go = [&](const std::string& resume, Index epochs, const std::string& stop,
                        std::string& table) {
        SmallNet net;
        optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
        const Printed out;
        auto history =
            training::fit(net, sgd, small_loss, batches, batches,
                          {.epochs = epochs, .output = out, .resume = resume}, OnEpochEnd([&](auto& run) {
                              run.save(path);
                              if (run.position().epoch == 2 && !stop.empty()) run.stop(stop);
                          }));
        table = out.text();
        return history;
    };
    std::string table, again;
    go("", 2, "", table);
    auto history = go(path, 2, "", again);
    CHECK(history.position == training::Position{2, 0, 10});
    CHECK(table == again);             // the seconds, too
    history = go(path, 3, "", again);  // more epochs than before
    CHECK(history.position == training::Position{3, 0, 15});
    CHECK(again.starts_with("Epoch    1 /    3:"));
    history = go(path, 2, "", again);  // fewer
    CHECK(history.position == training::Position{3, 0, 15});
    CHECK(again.starts_with("Epoch    1 /    3:"));
    CHECK(again.find("\nEpoch    3 /    3:") != again.npos);
    CHECK(again.ends_with(
        "\nfinished: 3 epochs were trained before, and 2 were asked for: nothing is trained\n"));

    go("", 4, "good enough", table);
    history = go(path, 4, "", again);
    CHECK(history.stopped == "good enough");
    CHECK(history.position == training::Position{2, 0, 10});
}

TEST_CASE("fit: a checkpoint of another run is refused, and nothing is changed") {
    const TemporaryFolder folder;
    const std::string path = folder / "last";
    const auto set = small_data(23);
    SmallNet net;
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
    const auto go = [&](const std::string& resume, Index batch_size, Index micro_batches,
                        auto&&... callbacks) {
        return training::fit(net, sgd, small_loss, data::Loader(set, {.batch_size = batch_size}),
                             no_validation, {.epochs = 2, .progress = Progress::none, .resume = resume},
                             Accumulate{micro_batches}, callbacks...);
    };
    go("", 5, 1, OnStepEnd([&](auto& run) {
           if (run.position().step != 4) return;
           run.save(path);
           run.interrupt("now");
       }));
    const SmallNet before = net;
    CHECK_THROWS_WITH(go(folder / "none", 5, 1), ContainsSubstring("load_checkpoint: " + (folder / "none")));
    CHECK_THROWS_WITH(go(path, 5, 2),
                      "load_checkpoint: " + path +
                          ": fit.accumulate: the run adds up the gradients of 1 batches for a step: got "
                          "Accumulate{2}");
    CHECK_THROWS_WITH(go(path, 10, 1),
                      "fit: resume: the checkpoint stands after batch 4 of an epoch of 5, and this one has 3 "
                      "batches: is the "
                      "data or its batch size another one?");
    CHECK_THROWS_WITH(go(path, 4, 1),  // as batches that are smaller would give examples twice, or never
                      "fit: resume: the checkpoint stands after batch 4 of an epoch of 5, and this one has 6 "
                      "batches: is the "
                      "data or its batch size another one?");
    CHECK_THROWS_WITH(go(path, 5, 1, training::StopEarly({.monitor = "train_loss"})),
                      "load_checkpoint: " + path +
                          ": fit.stop_early.metric.best: is not there, nor is anything else of "
                          "fit.stop_early.metric: the file was saved without this part");
    CHECK(same_bits(before.fc1.weight.value(), net.fc1.weight.value()));
    CHECK(go(path, 5, 1).position.step == 10);

    // A callback that had a state, and is not there to go on with it. At the end of an epoch batches may change.
    const std::string stopping = folder / "stopping";
    go("", 5, 1, training::StopEarly({.monitor = "train_loss"}), OnEpochEnd([&](auto& run) {
           if (run.position().epoch == 1) run.save(stopping);
       }));
    CHECK_THROWS_WITH(go(stopping, 5, 1),
                      "load_checkpoint: " + stopping +
                          ": the run had callbacks that are not given to fit(): stop_early: give it the "
                          "same; training::load_parts takes the model and the optimizer alone");
    CHECK(go(stopping, 10, 1, training::StopEarly({.monitor = "train_loss"})).position.step == 8);
}

TEST_CASE("fit: a save that fails leaves the training running") {
    SmallNet net;
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
    const data::Loader batches(small_data(23), shuffled);
    const Printed out;
    const auto history = training::fit(net, sgd, small_loss, batches, no_validation,
                                       {.epochs = 1, .output = out}, OnStepEnd([](auto& run) {
                                           if (run.position().step == 2) run.save("/no/such/folder/x");
                                       }));
    const std::string text = "save_checkpoint: /no/such/folder/x: cannot write: No such file or directory";
    CHECK(history.failures == std::vector<std::string>{text});
    CHECK(history.position.step == 5);
    CHECK(out.text().starts_with(text + "\nEpoch"));
}

TEST_CASE("fit: a batch that is a tensor") {
    nn::Linear<> net(2, 2);
    optim::SGD sgd(nn::parameters(net), {.lr = 0.001});
    const std::vector<Tensor<>> batches{Tensor<>{{1, 2}, {3, 4}}, Tensor<>{{5, 6}}};
    const auto loss = [](nn::Linear<>& model, const Tensor<>& x) { return mse(model(x), x); };
    const auto history = training::fit(net, sgd, loss, batches, batches, quiet(2));
    CHECK(history.epochs[1].val_loss < history.epochs[0].val_loss);
    CHECK(training::evaluate(net, loss, batches).examples == 3);
}

TEST_CASE("fit: the output that cannot be written is a failure at the end") {
    std::FILE* const full = std::fopen("/dev/full", "w");
    if (!full) {
        WARN("there is no /dev/full here");
        return;
    }
    SmallNet net;
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
    const data::Loader batches(small_data(23), shuffled);
    const auto history = training::fit(net, sgd, small_loss, batches, batches, {.epochs = 2, .output = full});
    std::fclose(full);
    CHECK(history.epochs.size() == 2);
    CHECK(history.failures ==
          std::vector<std::string>{"fit: the table could not be written: No space left on device"});
    CHECK(history.exit_code() == 1);
}
