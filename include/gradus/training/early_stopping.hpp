// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include "gradus/core/error.hpp"
#include "gradus/core/limits.hpp"
#include "gradus/core/remedy.hpp"
#include "gradus/optim/plateau.hpp"

namespace gradus {

struct EarlyStoppingOptions {
    Index patience = 5;    // epochs in a row without a better metric, of which the last one stops
    double min_delta = 0;  // a metric is better if it beats the best by more than this
    optim::Mode mode = optim::Mode::min;
};

struct EarlyStoppingState {
    double best = 0;
    Index best_epoch = -1, epochs = 0;
};

/// Says when to stop: when a metric has not become better for `patience` epochs.
///
///     EarlyStopping stop({.patience = 5});
///     for (int epoch = 0; epoch < 100; ++epoch) {
///         ...
///         if (stop(validation_loss)) break;
///         if (stop.improved()) best = net;
///     }
///
/// NaN is no improvement. Epochs count from 0. It is a value; state() is what to save.
class EarlyStopping {
public:
    using State = EarlyStoppingState;

    /// Throws ValueError if patience < 1 or min_delta is not finite or negative.
    [[gnu::cold]] explicit EarlyStopping(const EarlyStoppingOptions& options = {}) : options_(options) {
        if (options.patience < 1)
            detail::raise<ValueError>("early_stopping", "patience must be at least 1", options.patience);
        if (!(options.min_delta >= 0 && std::isfinite(options.min_delta)))
            detail::raise<ValueError>("early_stopping", "min_delta must be finite and not negative",
                                      options.min_delta);
        const double inf = detail::unbounded<double>;
        state_ = {options.mode == optim::Mode::min ? inf : -inf, -1, 0};
    }
    template <std::size_t N>
    explicit EarlyStopping(detail::NoSuchOption<N>);

    /// Takes the metric of one more epoch; true if training should stop.
    bool operator()(double metric) {
        const bool better = options_.mode == optim::Mode::min ? metric < state_.best - options_.min_delta
                                                              : metric > state_.best + options_.min_delta;
        if (better) {
            state_.best = metric;
            state_.best_epoch = state_.epochs;
        }
        ++state_.epochs;
        return state_.epochs - 1 - state_.best_epoch >= options_.patience;
    }

    double best() const { return state_.best; }             // an infinity if no metric was a number
    Index best_epoch() const { return state_.best_epoch; }  // -1 if there is none
    bool improved() const { return state_.epochs > 0 && state_.best_epoch == state_.epochs - 1; }

    const State& state() const { return state_; }
    /// Goes on where the one that gave this state() was. Throws ValueError for what cannot be a state.
    [[gnu::cold]] void load_state(const State& state) {
        if (std::isnan(state.best))
            detail::raise<ValueError>("early_stopping", "load_state: the best metric is not a number",
                                      state.best);
        detail::check_count("early_stopping", "load_state: epochs", state.epochs);
        if (state.best_epoch < -1 || state.best_epoch >= state.epochs)
            detail::raise<ValueError>("early_stopping",
                                      "load_state: the best epoch must be one of the epochs",
                                      state.best_epoch, state.epochs);
        state_ = state;
    }

private:
    EarlyStoppingOptions options_;
    State state_;
};

}  // namespace gradus
