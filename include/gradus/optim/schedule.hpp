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
/// decay_schedules.hpp and cyclic_schedules.hpp, what combines and applies them is here, and
/// docs/schedules.md compares them. AnySchedule holds one that is chosen when the program runs.
namespace gradus::optim::schedule {

struct WarmupOptions {
    Index steps = 0;
    double start = 0;  // the learning rate at step 0
};

namespace detail {

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

}  // namespace detail

/// From `start` in a straight line to the first value of `then`, which begins after these steps and sees them
/// as its step 0: warmup({.steps = 500}, cosine({.lr = 0.1, .total_steps = 9500})) takes 10000 in all.
/// Source: Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017.
template <Schedule Then>
constexpr detail::Warmup<Then> warmup(WarmupOptions options, Then then) {
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
constexpr detail::Warmup<detail::Constant> linear_warmup(LinearWarmupOptions options) {
    detail::check_lr("linear_warmup", options.lr);
    return warmup({options.steps, options.start}, detail::Constant{{options.lr}});
}

namespace detail {

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

}  // namespace detail

/// `first` up to the milestone, from there on `then`, which counts its steps from 0 again. As PyTorch's
/// SequentialLR of two; nest for more.
template <Schedule First, Schedule Then>
constexpr detail::Sequence<First, Then> sequence(First first, Index milestone, Then then) {
    detail::check(milestone >= 0, "sequence", "the milestone must not be negative", milestone);
    return {std::move(first), milestone, std::move(then)};
}

namespace detail {

template <Schedule S>
struct Scaled {
    double factor;
    S schedule;

    constexpr double operator()(Index step) const { return factor * schedule(step); }
    constexpr double momentum(Index step) const requires HasMomentum<S> { return schedule.momentum(step); }
};

}  // namespace detail

/// factor · s(step): a group of parameters with a smaller rate, say.
template <Schedule S>
constexpr detail::Scaled<S> scale(double factor, S s) {
    detail::check(factor > 0 && factor < detail::infinity, "scale", "the factor must be finite and > 0",
                  factor);
    return {factor, std::move(s)};
}

namespace detail {

template <Schedule S>
struct PerEpoch {
    Index steps_per_epoch;
    S schedule;

    constexpr double operator()(Index step) const { return schedule(step / steps_per_epoch); }
    constexpr double momentum(Index step) const requires HasMomentum<S> {
        return schedule.momentum(step / steps_per_epoch);
    }
};

}  // namespace detail

/// A schedule of epochs as one of steps: s(⌊step / steps_per_epoch⌋).
template <Schedule S>
constexpr detail::PerEpoch<S> per_epoch(Index steps_per_epoch, S s) {
    detail::check(steps_per_epoch >= 1, "per_epoch", "steps_per_epoch must be at least 1", steps_per_epoch);
    return {steps_per_epoch, std::move(s)};
}

/// Gives an optimizer the learning rate of the step; and the momentum, if the schedule has one and the
/// optimizer works with momentum (its momentum() is not 0): as PyTorch's schedulers with cycle_momentum do,
/// for which that of Adam is beta1, too. Call it before step().
template <class Optimizer, Schedule S>
void apply(Optimizer& optimizer, const S& schedule, Index step) {
    optimizer.set_lr(schedule(step));
    if constexpr (HasMomentum<S> && requires { optimizer.momentum(); }) {
        const double momentum = schedule.momentum(step);
        if (momentum >= 0 && optimizer.momentum() != 0) optimizer.set_momentum(momentum);  // not NaN
    }
}

}  // namespace gradus::optim::schedule
