// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cmath>
#include <csignal>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/kernels/update/multi_tensor.hpp"
#include "gradus/optim/clip.hpp"
#include "gradus/training/early_stopping.hpp"
#include "gradus/training/run.hpp"
#include "gradus/training/signals.hpp"

// Callbacks of fit() that end a training: when it does not get better, when its numbers are broken, when the
// time is over, when the program is told to stop.

namespace gradus::training {

struct StopEarlyOptions {
    Index patience = 5;    // epochs in a row without a better metric, of which the last one stops
    double min_delta = 0;  // a metric is better if it beats the best by more than this
    std::optional<optim::Mode> mode =
        {};  // whether less or more is better; by default what mode_of(monitor) says
    std::string monitor = "val_loss";
    bool restore_best = false;  // at the end, the model gets the weights and buffers of the best epoch
};

/// EarlyStopping in fit(). Without validation, monitor "train_loss".
///
///     training::StopEarly stop({.patience = 3, .restore_best = true});
///     training::fit(..., stop);
///     stop.best_epoch();  // counted from 0
///
/// The best weights are part of checkpoints. They share memory with the model until that trains on.
class StopEarly {
public:
    static constexpr const char* state_name = "stop_early";
    static constexpr bool adds_metrics = false;

    /// Throws ValueError for options out of range.
    [[gnu::cold]] explicit StopEarly(const StopEarlyOptions& options = {})
        : options_(options),
          stop_({options.patience, options.min_delta, options.mode.value_or(mode_of(options.monitor))}) {}

    void on_train_begin(Run& run) { run.check_metric(options_.monitor, "stop_early"); }

    void on_epoch_end(auto& run) {
        if (add(run) && options_.restore_best) {
            best_.clear();
            save_part(StateWriter(best_), part("model", run.model));
        }
    }
    void on_train_end(auto& run) {
        if (!best_.empty() && run.is_finished()) load_part(StateReader(best_), part("model", run.model));
    }

    double best() const { return stop_.best(); }             // an infinity if no metric was a number
    Index best_epoch() const { return stop_.best_epoch(); }  // -1 if there is none

    [[gnu::cold]] void save(StateWriter& state) const {
        save_part(state, part("metric", stop_));
        state.in("best").put_all(best_);
    }
    [[gnu::cold]] void load(const StateReader& state) {
        load_part(state, part("metric", stop_));
        best_ = state.in("best").get_all();
    }

private:
    /// Takes the metric of one more epoch, and says whether it is the best.
    [[gnu::cold]] bool add(Run& run) {
        if (stop_(run.metric(options_.monitor, "stop_early")))
            run.stop(gradus::detail::text_of(
                {options_.monitor, " has not become better for ", options_.patience, " epochs; the best was ",
                 gradus::detail::number_text(stop_.best()), " in epoch ", stop_.best_epoch() + 1}));
        return stop_.improved();
    }

    StopEarlyOptions options_;
    EarlyStopping stop_;
    State best_;
};

/// The name of the first parameter that has a number in its value or gradient that is not finite, and which of
/// them: "fc1.weight: gradient". Empty if there is none.
template <class T = float, class Model>
[[gnu::cold]] std::string first_not_finite(Model& model) {
    const auto bad = [](const Tensor<T>& x) {
        for (const T number : x)
            if (!std::isfinite(static_cast<double>(number))) return true;
        return false;
    };
    for (const auto& [name, parameter] : nn::named_parameters<T>(model)) {
        if (bad(parameter.value())) return name + ": value";
        if (parameter.has_grad() && bad(parameter.grad())) return name + ": gradient";
    }
    return {};
}

/// Ends the training, as a failure, before a step with a loss or a gradient that is NaN or infinite, and names
/// the first parameter where it shows. The weights stay as they were before that step.
///
///     training::fit(..., training::StopOnNan());
class StopOnNan {
public:
    void on_backward_end(auto& run) {
        if (std::isfinite(run.loss()) && std::isfinite(norm(run.optimizer.parameters()))) return;
        using T = typename std::remove_cvref_t<decltype(run.optimizer)>::value_type;
        refuse(run, first_not_finite<T>(run.model));
    }

private:
    /// In one pass, by the greatest |g|: a sum of squares could overflow.
    template <class T>
    static double norm(const std::vector<Variable<T>>& parameters) {
        return kernels::total_norm(optim::detail::gradient_segments(parameters, false), 2);
    }

    [[gnu::cold]] static void refuse(Run& run, const std::string& first) {
        const Position& at = run.position();
        const std::string text = gradus::detail::text_of(
            {"not finite: the loss is ", gradus::detail::number_text(run.loss()), " in epoch ", at.epoch + 1,
             ", batch ", at.batch + 1, "; the first parameter that shows it is ",
             first.empty() ? "none" : first.c_str(),
             "; is the learning rate too high, or an input not a number?"});
        run.fail(text);
        run.interrupt("a number is not finite");
    }
};

struct TimeLimitOptions {
    double seconds = 3600;
};

/// Ends the training with the step that exceeds a time. A resumed run gets the whole time again, and goes on.
///
///     training::fit(..., training::TimeLimit({.seconds = 3600}), training::KeepCheckpoints({.folder = "run"}));
class TimeLimit {
public:
    /// Throws ValueError unless seconds > 0.
    [[gnu::cold]] explicit TimeLimit(const TimeLimitOptions& options) : seconds_(options.seconds) {
        if (!(options.seconds > 0))
            gradus::detail::raise<ValueError>("time_limit", "seconds must be > 0", options.seconds);
    }

    void on_train_begin(Run&) { begin_ = std::chrono::steady_clock::now(); }
    void on_step_end(Run& run) {
        if (std::chrono::steady_clock::now() - begin_ < std::chrono::duration<double>(seconds_)) return;
        run.interrupt("the time of " + gradus::detail::number_text(seconds_) + " seconds is over");
    }

private:
    double seconds_;
    std::chrono::steady_clock::time_point begin_;
};

/// Ends the training with the step in which a SignalGuard, which stays the caller's, took SIGINT (Ctrl-C) or
/// SIGTERM. A resumed run goes on. History::exit_code() is then 130 or 143.
///
///     const training::SignalGuard signals;
///     const auto history = training::fit(..., training::StopOnSignal(signals), training::KeepCheckpoints(...));
///     return history.exit_code();
class StopOnSignal {
public:
    explicit StopOnSignal(const SignalGuard& signals) : signals_(signals) {}

    void on_step_end(Run& run) {
        if (!signals_.stopped()) return;
        run.interrupt(signals_.signal(), signals_.signal() == SIGINT ? "by SIGINT" : "by SIGTERM");
    }

private:
    const SignalGuard& signals_;
};

}  // namespace gradus::training
