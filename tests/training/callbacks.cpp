// SPDX-License-Identifier: MIT
#include "gradus/training/callbacks.hpp"

#include <vector>

#include "gradus/training/hooks.hpp"
#include "support/test.hpp"
#include "training/small_run.hpp"

using namespace gradus;
using training::no_validation;
using training::OnBackwardEnd;
using training::OnEpochEnd;
using training::OnStepEnd;

namespace schedule = optim::schedule;

namespace {

/// A run of two epochs of five steps with these callbacks.
template <class... Callbacks>
training::History run(SmallNet& net, auto& optimizer, Callbacks&&... callbacks) {
    const data::Loader batches(small_data(23), {.batch_size = 5});
    return training::fit(net, optimizer, small_loss, batches, data::Loader(small_data(11, 6)),
                         {.epochs = 2, .progress = training::Progress::none}, callbacks...);
}

SmallNet new_net() {
    manual_seed(6);
    return {};
}

/// A loop by hand over the same, with something to do at two places of a step.
template <class BeforeStep, class AfterStep>
void loop(SmallNet& net, auto& optimizer, const BeforeStep& before_step, const AfterStep& after_step) {
    const data::Loader batches(small_data(23), {.batch_size = 5});
    for (Index epoch = 0, step = 0; epoch < 2; ++epoch)
        for (auto& [inputs, labels] : batches) {
            optimizer.zero_grad();
            cross_entropy(net(inputs), labels).backward();
            before_step(step++);
            optimizer.step();
            after_step();
        }
}
const auto nothing = [](auto&&...) {};

}  // namespace

TEST_CASE("learning rate: the schedule's at each step") {
    const auto policy = schedule::one_cycle({.max_lr = 0.5, .total_steps = 10});
    SmallNet net = new_net();
    optim::Adam adam(nn::parameters(net));
    std::vector<double> rates, momenta;
    const auto history = run(net, adam, training::LearningRate(policy), OnStepEnd([&](auto& r) {
                                 rates.push_back(r.optimizer.lr());
                                 momenta.push_back(r.optimizer.momentum());
                             }));
    REQUIRE(rates.size() == 10);
    for (Index step = 0; step < 10; ++step) {
        CHECK(rates[static_cast<std::size_t>(step)] == policy(step));
        CHECK(momenta[static_cast<std::size_t>(step)] == policy.momentum(step));
    }
    CHECK(history.epochs[0].lr == policy(4));
    CHECK(history.epochs[1].lr == policy(9));

    SmallNet by_hand = new_net();
    optim::Adam other(nn::parameters(by_hand));
    loop(
        by_hand, other, [&](Index step) { schedule::apply(other, policy, step); }, nothing);
    CHECK(same_models(net, by_hand));

    // Any callable of the step, one that is chosen when the program runs, too.
    run(net, adam, training::LearningRate([](Index step) { return step == 9 ? 0.25 : 0.5; }));
    CHECK(adam.lr() == 0.25);
    run(net, adam, training::LearningRate(optim::AnySchedule(schedule::constant({.lr = 0.125}))));
    CHECK(adam.lr() == 0.125);
}

TEST_CASE("reduce lr: by the metric of every epoch") {
    SmallNet net = new_net();
    optim::SGD sgd(nn::parameters(net), {.lr = 0.5});
    std::vector<double> rates;
    const data::Loader batches(small_data(23), {.batch_size = 5});
    const auto history = training::fit(net, sgd, small_loss, batches, batches,
                                       {.epochs = 5, .progress = training::Progress::none},
                                       training::ReduceLr({.factor = 0.5, .patience = 1, .threshold = 100}),
                                       OnEpochEnd([&](auto& r) { rates.push_back(r.optimizer.lr()); }));
    CHECK(rates == std::vector<double>{0.5, 0.5, 0.25, 0.25, 0.125});  // nothing beats that threshold
    CHECK(history.epochs[2].lr == 0.5);                                // what the epoch was trained with
    CHECK(history.epochs[3].lr == 0.25);

    run(net, sgd, training::ReduceLr({.lr = 0.75}));
    CHECK(sgd.lr() == 0.75);
    CHECK_THROWS_WITH(training::ReduceLr({.factor = 2}),
                      "reduce_on_plateau: factor must be between 0 and 1: got 2");
    CHECK_THROWS_WITH(training::ReduceLr({}, "val_score"),
                      "reduce_lr: more of val_score is better: give .mode = optim::Mode::max");
    CHECK_THROWS_WITH(run(net, sgd, training::ReduceLr({.lr = 1}, "val_f2")),
                      "reduce_lr: there is no metric val_f2; there are train_loss, val_loss, train_score, "
                      "val_score, seconds, lr");
    CHECK_THROWS_WITH(
        training::fit(net, sgd, small_loss, batches, no_validation,
                      {.epochs = 1, .progress = training::Progress::none}, training::ReduceLr({.lr = 1})),
        "reduce_lr: there is no val_loss without validation data: give fit() some, or name a metric of the "
        "training");
}

TEST_CASE("clip: before the step, as by hand") {
    SmallNet net = new_net(), by_hand = new_net();
    optim::SGD sgd(nn::parameters(net), {.lr = 0.5}), other(nn::parameters(by_hand), {.lr = 0.5});
    training::ClipGradNorm clip{.max_norm = 0.3};
    run(net, sgd, clip);
    Index clipped = 0;
    double norm = 0;
    manual_seed(6);
    by_hand = new_net();
    loop(
        by_hand, other,
        [&](Index) {
            norm = optim::clip_grad_norm(other.parameters(), 0.3);
            clipped += norm > 0.3;
        },
        nothing);
    CHECK(same_models(net, by_hand));
    CHECK(clip.norm == norm);
    CHECK(clip.clipped == clipped);
    CHECK(clipped > 0);

    net = new_net();
    run(net, sgd, training::ClipGradValue{.limit = 0.01}, OnBackwardEnd([](auto& r) {
            for (const auto& p : r.optimizer.parameters())
                for (const float g : p.grad()) CHECK(std::abs(g) <= 0.01f);
        }));
}

TEST_CASE("update ema: after every step") {
    SmallNet net = new_net();
    Ema ema(net, {.decay = 0.5});
    optim::SGD sgd(nn::parameters(net), {.lr = 0.5});
    run(net, sgd, training::UpdateEma(ema));
    SmallNet by_hand = new_net();
    Ema expected(by_hand, {.decay = 0.5});
    optim::SGD other(nn::parameters(by_hand), {.lr = 0.5});
    loop(by_hand, other, nothing, [&] { expected.update(by_hand); });
    CHECK(ema.updates() == 10);
    CHECK(same_models(ema.model(), expected.model()));
}

namespace {

/// How many examples it saw.
struct Count {
    Index count = 0;

    void update(const Tensor<>& outputs, const Tensor<Index>& labels) {
        CHECK(outputs.shape() == Shape{labels.size(0), 3});
        count += labels.size(0);
    }
    double value() const { return static_cast<double>(count); }
    void reset() { count = 0; }
    void save(training::StateWriter& state) const { state.put("count", count); }
    void load(const training::StateReader& state) { count = state.get<Index>("count"); }
};

}  // namespace

TEST_CASE("metric: in the record of each epoch, of the validation and of the training") {
    SmallNet net = new_net();
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
    training::Metric counter("count", Count(), {.train = true});
    auto history = run(net, sgd, counter, training::Metric<Count>("other"));
    for (const EpochRecord& record : history.epochs)
        CHECK(record.metrics ==
              std::vector<NamedNumber>{{"train_count", 23}, {"val_count", 11}, {"val_other", 11}});
    CHECK(counter.validation().count == 11);
    CHECK(training::metric_of(history.epochs[0], "val_other") == 11);

    const data::Loader batches(small_data(23), {.batch_size = 5});
    history = training::fit(net, sgd, small_loss, batches, no_validation,
                            {.epochs = 1, .progress = training::Progress::none}, counter);
    CHECK(history.epochs[0].metrics == std::vector<NamedNumber>{{"train_count", 23}});

    CHECK_THROWS_WITH(run(net, sgd, counter, training::Metric<Count>("count")),
                      "run: add_metric: the record needs another name for each metric: got val_count");
    CHECK_THROWS_WITH(run(net, sgd, training::Metric<Count>("loss")),
                      "run: add_metric: the record needs another name for each metric: got val_loss");
}

TEST_CASE("score: instead of the accuracy") {
    SmallNet net = new_net();
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
    const auto history =
        run(net, sgd, training::Score([](const auto&, const auto& labels) { return labels.numel() == 5; }));
    CHECK(history.epochs[0].train_score == Approx(20.0 / 23));
    CHECK(history.epochs[0].val_score == 0);
}
