// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <utility>

#include "gradus/optim/cyclic_schedules.hpp"
#include "gradus/optim/decay_schedules.hpp"

/// Learning rates as pure functions of the step, which counts from 0:
///
///     const auto lr = schedule::warmup({.steps = 500}, schedule::cosine({.lr = 0.1, .total_steps = 9500}));
///     sgd.set_lr(lr(step));
///
/// A schedule is a small value without state: to resume training, ask for the next step. Any callable of a
/// step is one, a lambda too. Steps before 0 count as 0; after its last step a schedule keeps its last value.
/// Lengths may be 0, as computed ones sometimes are: such a schedule is over when it begins.
/// Options are checked once, by the function that makes the schedule (ValueError). The policies are in
/// decay_schedules.hpp and cyclic_schedules.hpp, what combines them is here, and docs/schedules.md compares
/// them.
namespace gradus::optim::schedule {

struct WarmupOptions {
    Index steps = 0;
    double start = 0;  // the learning rate at step 0
};

template <Schedule Then>
struct Warmup {
    WarmupOptions options;
    Then then;

    constexpr double operator()(Index step) const {
        step = std::max<Index>(step, 0);
        if (step >= options.steps) return then(step - options.steps);
        return options.start + (then(Index{0}) - options.start) * detail::progress(step, options.steps);
    }
    constexpr double momentum(Index step) const requires HasMomentum<Then> {
        return then.momentum(std::max<Index>(std::max<Index>(step, 0) - options.steps, 0));
    }
};

/// From `start` in a straight line to the first value of `then`, which begins after these steps and sees them
/// as its step 0: warmup({.steps = 500}, cosine({.lr = 0.1, .total_steps = 9500})) takes 10000 in all.
/// Source: Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017.
template <Schedule Then>
constexpr Warmup<Then> warmup(WarmupOptions options, Then then) {
    detail::check(options.steps >= 0, "warmup", "steps must not be negative", options.steps);
    detail::check_low_lr("warmup", options.start);
    return {options, std::move(then)};
}

struct LinearWarmupOptions {
    double lr = 0;
    Index steps = 0;
    double start = 0;
};

/// From `start` in a straight line to lr, which then stays.
constexpr Warmup<Constant> linear_warmup(LinearWarmupOptions options) {
    detail::check_lr("linear_warmup", options.lr);
    return warmup({options.steps, options.start}, Constant{options.lr});
}

template <Schedule First, Schedule Then>
struct Sequence {
    First first;
    Index milestone;
    Then then;

    constexpr double operator()(Index step) const {
        step = std::max<Index>(step, 0);
        return step < milestone ? first(step) : then(step - milestone);
    }
    constexpr double momentum(Index step) const requires(HasMomentum<First>&& HasMomentum<Then>) {
        step = std::max<Index>(step, 0);
        return step < milestone ? first.momentum(step) : then.momentum(step - milestone);
    }
};

/// `first` up to the milestone, from there on `then`, which counts its steps from 0 again. As PyTorch's
/// SequentialLR of two; nest for more.
template <Schedule First, Schedule Then>
constexpr Sequence<First, Then> sequence(First first, Index milestone, Then then) {
    detail::check(milestone >= 0, "sequence", "the milestone must not be negative", milestone);
    return {std::move(first), milestone, std::move(then)};
}

template <Schedule S>
struct Scaled {
    double factor;
    S schedule;

    constexpr double operator()(Index step) const { return factor * schedule(step); }
    constexpr double momentum(Index step) const requires HasMomentum<S> { return schedule.momentum(step); }
};

/// factor · s(step): a group of parameters with a smaller rate, say.
template <Schedule S>
constexpr Scaled<S> scale(double factor, S s) {
    detail::check(factor > 0 && factor < detail::infinity, "scale", "the factor must be finite and > 0",
                  factor);
    return {factor, std::move(s)};
}

template <Schedule S>
struct PerEpoch {
    Index steps_per_epoch;
    S schedule;

    constexpr double operator()(Index step) const { return schedule(step / steps_per_epoch); }
    constexpr double momentum(Index step) const requires HasMomentum<S> {
        return schedule.momentum(step / steps_per_epoch);
    }
};

/// A schedule of epochs as one of steps: s(⌊step / steps_per_epoch⌋).
template <Schedule S>
constexpr PerEpoch<S> per_epoch(Index steps_per_epoch, S s) {
    detail::check(steps_per_epoch >= 1, "per_epoch", "steps_per_epoch must be at least 1", steps_per_epoch);
    return {steps_per_epoch, std::move(s)};
}

}  // namespace gradus::optim::schedule
