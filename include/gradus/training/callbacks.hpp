// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "gradus/optim/clip.hpp"
#include "gradus/optim/plateau.hpp"
#include "gradus/optim/schedule.hpp"
#include "gradus/training/ema.hpp"
#include "gradus/training/run.hpp"

// What fit() does at every step or epoch beside the step itself. In a loop by hand one calls what these hold:
// schedule::apply, clip_grad_norm, Ema, ReduceOnPlateau, a metric. Those that end a training are in stopping.hpp.

namespace gradus::training {

/// The learning rate, and the momentum if it has one, of a schedule: a function of the step, which counts from 0.
///
///     training::LearningRate(schedule::one_cycle({.max_lr = 0.1, .total_steps = epochs * loader.size()}))
template <class Schedule>
class LearningRate {
public:
    explicit LearningRate(Schedule schedule) : schedule_(std::move(schedule)) {}

    void on_backward_end(auto& run) { optim::schedule::apply(run.optimizer, schedule_, run.position().step); }

private:
    Schedule schedule_;
};

/// optim::ReduceOnPlateau of a metric after every epoch. Without lr it begins with that of the optimizer.
///
///     training::ReduceLr({.factor = 0.5, .patience = 3})
class ReduceLr {
public:
    static constexpr const char* state_name = "reduce_lr";
    static constexpr bool adds_metrics = false;

    /// Throws ValueError for options out of range.
    [[gnu::cold]] explicit ReduceLr(const optim::ReduceOnPlateauOptions& options,
                                    std::string monitor = "val_loss")
        : options_(options), monitor_(std::move(monitor)), plateau_(with_lr(options, 1)) {
        if (options.mode == optim::Mode::min && mode_of(monitor_) == optim::Mode::max)
            gradus::detail::raise<ValueError>(
                {"reduce_lr: more of ", monitor_, " is better: give .mode = optim::Mode::max"});
    }

    void on_train_begin(auto& run) {
        run.check_metric(monitor_, "reduce_lr");
        if (!begun_) plateau_ = optim::ReduceOnPlateau(with_lr(options_, run.optimizer.lr()));
        begun_ = true;
        run.optimizer.set_lr(plateau_.lr());
    }
    void on_epoch_end(auto& run) { run.optimizer.set_lr(plateau_(run.metric(monitor_, "reduce_lr"))); }

    [[gnu::cold]] void save(StateWriter& state) const {
        state.put("begun", begun_);
        save_part(state, plateau_);
    }
    [[gnu::cold]] void load(const StateReader& state) {
        const auto begun = state.get<bool>("begun");
        load_part(state, plateau_);
        begun_ = begun;
    }

private:
    static optim::ReduceOnPlateauOptions with_lr(optim::ReduceOnPlateauOptions options, double lr) {
        if (options.lr == 0) options.lr = lr;
        return options;
    }

    optim::ReduceOnPlateauOptions options_;
    std::string monitor_;
    optim::ReduceOnPlateau plateau_;
    bool begun_ = false;
};

/// optim::clip_grad_norm before every step.
///
///     training::ClipGradNorm clip{.max_norm = 1};
///     training::fit(..., clip);
///     clip.clipped;  // in so many steps the norm was greater
struct ClipGradNorm {
    double max_norm = 1;
    optim::ClipNormOptions options = {};

    double norm = 0;    // of the last step, before it was clipped
    Index clipped = 0;  // steps

    void on_backward_end(auto& run) {
        norm = optim::clip_grad_norm(run.optimizer.parameters(), max_norm, options);
        clipped += norm > max_norm;
    }
};

/// optim::clip_grad_value before every step.
struct ClipGradValue {
    double limit = 1;

    void on_backward_end(auto& run) { optim::clip_grad_value(run.optimizer.parameters(), limit); }
};

/// Updates an Ema, which stays the caller's, after every step. It is part of checkpoints.
///
///     gradus::Ema ema(net, {.decay = 0.99});
///     training::fit(..., training::UpdateEma(ema));
///     training::evaluate(ema.model(), loss, test);
template <class Average>
class UpdateEma {
public:
    static constexpr const char* state_name = "ema";

    explicit UpdateEma(Average& ema) : ema_(ema) {}

    void on_step_end(auto& run) { ema_.update(run.model); }

    [[gnu::cold]] void save(StateWriter& state) const { save_part(state, part("", ema_)); }
    [[gnu::cold]] void load(const StateReader& state) { load_part(state, part("", ema_)); }

private:
    Average& ema_;
};

struct MetricOptions {
    bool train = false;  // also of the training batches, as the outputs were when they were trained on
};

/// A further metric in the record of every epoch, its column in the table and in history.csv, to be monitored:
/// "val_f1", and "train_f1" with {.train = true}. A metric has update(outputs, targets), value() and reset().
///
///     training::Metric("f1", metrics::F1())
template <class M>
class Metric {
public:
    static constexpr const char* state_name = "metric";

    explicit Metric(std::string name, M metric = {}, const MetricOptions& options = {})
        : name_(std::move(name)), train_(metric), validation_(std::move(metric)), options_(options) {}

    [[gnu::cold]] void declare_metrics(Run& run) const {
        if (options_.train) run.declare_metric("train_" + name_);
        if (run.has_validation()) run.declare_metric("val_" + name_);
    }
    void on_epoch_begin(auto& run) {
        if (run.position().batch == 0) train_.reset();
    }
    void on_validation_begin(auto&) { validation_.reset(); }
    template <class Outputs, class Targets>
    void on_outputs(auto& run, const Outputs& outputs, const Targets& targets) {
        if (run.is_validating())
            validation_.update(outputs, targets);
        else if (options_.train)
            train_.update(outputs, targets);
    }
    void on_record(auto& run) {
        if (options_.train) run.add_metric("train_" + name_, static_cast<double>(train_.value()));
        if (run.has_validation()) run.add_metric("val_" + name_, static_cast<double>(validation_.value()));
    }

    /// Of the last validation: value(), and what else it can say.
    const M& validation() const { return validation_; }

    // In the middle of an epoch there is something to keep of the training only.
    [[gnu::cold]] void save(StateWriter& state) const {
        if (options_.train) save_part(state, part("train", train_));
    }
    [[gnu::cold]] void load(const StateReader& state) {
        if (options_.train) load_part(state, part("train", train_));
    }

private:
    std::string name_;
    M train_, validation_;
    MetricOptions options_;
};

}  // namespace gradus::training
