// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include <gradus/gradus.hpp>

#include "flags.hpp"

/// What --optimizer names.
inline gradus::optim::AnyOptimizer<> make_optimizer(const Flags& flags,
                                                    const std::vector<gradus::Variable<>>& parameters) {
    return optimizer_choice(flags.optimizer).make({.parameters = parameters, .lr = flags.lr});
}

/// What --schedule names, for training with so many examples. Its highest rate is --lr.
inline gradus::optim::AnySchedule make_schedule(const Flags& flags, gradus::Index examples) {
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
