// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gradus/gradus.hpp>

#include "flags.hpp"

/// The learning rate, and for some the momentum, as functions of the step.
struct AnySchedule {
    std::function<double(gradus::Index)> lr, momentum;

    template <gradus::optim::schedule::Schedule S>
    AnySchedule(S schedule) : lr(schedule) {  // implicit, so that make_schedule can return any
        if constexpr (gradus::optim::schedule::HasMomentum<S>)
            momentum = [schedule](gradus::Index step) { return schedule.momentum(step); };
    }
};

/// An optimizer whose kind is known when the program runs.
class AnyOptimizer {
public:
    template <class Optimizer>
    AnyOptimizer(Optimizer optimizer) : optimizer_(std::move(optimizer)) {}

    void zero_grad() {
        std::visit([](auto& optimizer) { optimizer.zero_grad(); }, optimizer_);
    }
    void step() {
        std::visit([](auto& optimizer) { optimizer.step(); }, optimizer_);
    }

    /// Takes the learning rate of this step; and the momentum, if the schedule says one and the optimizer has
    /// any.
    void follow(const AnySchedule& schedule, gradus::Index step) {
        std::visit(
            [&](auto& optimizer) {
                optimizer.set_lr(schedule.lr(step));
                if (!schedule.momentum || optimizer.momentum() == 0) return;
                optimizer.set_momentum(schedule.momentum(step));
                auto options = optimizer.groups()[0].options;
                if constexpr (requires { options.dampening; }) {
                    if (options.dampening > 0) options.dampening = options.momentum;  // stays an average
                    optimizer.set_options(0, options);
                }
            },
            optimizer_);
    }

private:
    std::variant<gradus::optim::SGD<>, gradus::optim::RMSProp<>, gradus::optim::Adam<>,
                 gradus::optim::AdamW<>>
        optimizer_;
};

struct Penalties {
    double l1 = 0, l2 = 0;  // l2 is adamw's decoupled decay, too
};

/// What --optimizer names. `momentum` is the moving average of the gradients; `nesterov` adds them up.
inline AnyOptimizer make_optimizer(const Flags& flags, const std::vector<gradus::Variable<>>& parameters,
                                   const Penalties& penalties = {}) {
    namespace optim = gradus::optim;
    const auto with_penalties = [&](auto options) {
        options.lr = flags.lr;
        options.l1 = penalties.l1;
        if (penalties.l2 > 0) options.weight_decay = penalties.l2;
        return options;
    };
    const std::string& name = flags.optimizer;
    if (name == "rmsprop") return optim::RMSProp(parameters, with_penalties(optim::RMSPropOptions{}));
    if (name == "adam") return optim::Adam(parameters, with_penalties(optim::AdamOptions{}));
    if (name == "adamw") return optim::AdamW(parameters, with_penalties(optim::AdamWOptions{}));
    optim::SGDOptions options = with_penalties(optim::SGDOptions{});
    if (name == "momentum") options.momentum = options.dampening = 0.9;
    if (name == "nesterov") options.momentum = 0.9, options.nesterov = true;
    return optim::SGD(parameters, options);
}

/// What --schedule names, for training with so many examples. Its highest rate is --lr.
inline AnySchedule make_schedule(const Flags& flags, gradus::Index examples) {
    namespace schedule = gradus::optim::schedule;
    const std::string& name = flags.schedule;
    const double lr = flags.lr;
    const gradus::Index epoch = (examples + flags.batch - 1) / flags.batch,
                        total_steps = flags.epochs * epoch;
    const gradus::Index third = total_steps / 3 + 1;
    if (name == "inverse_time")
        return schedule::per_epoch(epoch, schedule::inverse_time({.lr = lr, .decay = 0.5}));
    if (name == "inverse_sqrt") return schedule::per_epoch(epoch, schedule::inverse_sqrt({.lr = lr}));
    if (name == "step") return schedule::step({.lr = lr, .step_size = third});
    if (name == "exponential")  // down to a hundredth
        return schedule::exponential(
            {.lr = lr, .gamma = std::pow(0.01, 1.0 / static_cast<double>(total_steps))});
    if (name == "polynomial") return schedule::polynomial({.lr = lr, .total_steps = total_steps});
    if (name == "cosine") return schedule::cosine({.lr = lr, .total_steps = total_steps});
    if (name == "cosine_restarts")  // one restart, after a third
        return schedule::cosine_restarts({.lr = lr, .period = third, .period_factor = 2});
    if (name == "warmup_cosine") {
        const gradus::Index warm = total_steps / 20 + 1;
        return schedule::warmup({.steps = warm},
                                schedule::cosine({.lr = lr, .total_steps = total_steps - warm + 1}));
    }
    if (name == "cyclic")
        return schedule::cyclic({.base_lr = lr / 10, .max_lr = lr, .step_size_up = 2 * epoch});
    if (name == "one_cycle") return schedule::one_cycle({.max_lr = lr, .total_steps = total_steps});
    return schedule::constant({lr});
}
