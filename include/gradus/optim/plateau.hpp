// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>

#include "gradus/core/error.hpp"
#include "gradus/core/limits.hpp"
#include "gradus/core/remedy.hpp"
#include "gradus/core/shape.hpp"

namespace gradus::optim {

enum class Mode { min, max };  // which metric is better: a lower one (a loss) or a higher one (a score)
enum class ThresholdMode { rel, abs };  // better by a share of the best, or by so much

struct ReduceOnPlateauOptions {
    double lr = 0;
    Mode mode = Mode::min;
    double factor = 0.1;
    Index patience = 10;  // epochs without improvement before lr is reduced
    double threshold = 1e-4;
    ThresholdMode threshold_mode = ThresholdMode::rel;
    Index cooldown = 0;  // epochs after a reduction that do not count
    double min_lr = 0;
    double eps = 1e-8;  // smaller reductions are not made
};

struct ReduceOnPlateauState {
    double lr = 0, best = 0;
    Index bad_epochs = 0, cooldown = 0;
};

/// The learning rate that falls when a metric stops getting better: lr becomes max(factor · lr, min_lr) in
/// the epoch number patience + 1 in a row whose metric is not better than the best so far. As PyTorch's
/// ReduceLROnPlateau, so NaN is no improvement; but with ThresholdMode::rel the share is one of |best|, where
/// PyTorch takes slightly worse metrics for better ones if the best is below 0.
///
///     optim::ReduceOnPlateau plateau({.lr = 0.1, .patience = 5});
///     sgd.set_lr(plateau(validation_loss));  // after every epoch
///
/// The one schedule with state. It is a value: a copy goes on by itself; state() is what to save.
class ReduceOnPlateau {
public:
    using State = ReduceOnPlateauState;

    /// Throws ValueError unless lr is finite and > 0, 0 < factor < 1, and the others are not negative.
    [[gnu::cold]] explicit ReduceOnPlateau(const ReduceOnPlateauOptions& options) : options_(options) {
        const char* const name = "reduce_on_plateau";
        const ReduceOnPlateauOptions& o = options;
        if (!(o.lr > 0 && std::isfinite(o.lr)))
            gradus::detail::raise<ValueError>(name, "lr must be finite and > 0", o.lr);
        if (!(o.factor > 0 && o.factor < 1))
            gradus::detail::raise<ValueError>(name, "factor must be between 0 and 1", o.factor);
        for (const Index epochs : {o.patience, o.cooldown})
            if (epochs < 0)
                gradus::detail::raise<ValueError>(name, "patience and cooldown must not be negative", epochs);
        for (const double value : {o.threshold, o.min_lr, o.eps})
            if (!(value >= 0 && std::isfinite(value)))
                gradus::detail::raise<ValueError>(
                    name, "threshold, min_lr and eps must be finite and not negative", value);
        const double inf = gradus::detail::unbounded<double>;
        state_ = {o.lr, o.mode == Mode::min ? inf : -inf, 0, 0};
    }
    template <std::size_t N>
    explicit ReduceOnPlateau(gradus::detail::NoSuchOption<N>);

    /// The learning rate for the next epoch, after one that gave this metric.
    double operator()(double metric) {
        if (is_better(metric)) {
            state_.best = metric;
            state_.bad_epochs = 0;
        } else {
            ++state_.bad_epochs;
        }
        if (state_.cooldown > 0) {
            --state_.cooldown;
            state_.bad_epochs = 0;
        }
        if (state_.bad_epochs > options_.patience) {
            const double reduced = std::max(state_.lr * options_.factor, options_.min_lr);
            if (state_.lr - reduced > options_.eps) state_.lr = reduced;
            state_.cooldown = options_.cooldown;
            state_.bad_epochs = 0;
        }
        return state_.lr;
    }

    double lr() const { return state_.lr; }
    double best() const { return state_.best; }  // an infinity before the first metric

    const State& state() const { return state_; }
    /// Goes on where the one that gave this state() was. Throws ValueError for what cannot be a state.
    [[gnu::cold]] void load_state(const State& state) {
        const char* const name = "reduce_on_plateau";
        if (!(state.lr > 0 && std::isfinite(state.lr)))
            gradus::detail::raise<ValueError>(name, "load_state: lr must be finite and > 0", state.lr);
        if (std::isnan(state.best))
            gradus::detail::raise<ValueError>(name, "load_state: the best metric is not a number",
                                              state.best);
        for (const Index epochs : {state.bad_epochs, state.cooldown})
            gradus::detail::check_count(name, "load_state: epochs", epochs);
        state_ = state;
    }

private:
    bool is_better(double metric) const {
        const double t = options_.mode == Mode::min ? -options_.threshold : options_.threshold;
        double least = state_.best;  // what must be beaten
        if (options_.threshold_mode == ThresholdMode::abs)
            least += t;
        else if (std::isfinite(least))  // the first metric is better whatever the threshold is
            least *= least < 0 ? 1 - t : 1 + t;
        return options_.mode == Mode::min ? metric < least : metric > least;
    }

    ReduceOnPlateauOptions options_;
    State state_;
};

}  // namespace gradus::optim
