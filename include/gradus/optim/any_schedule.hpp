// SPDX-License-Identifier: MIT
#pragma once

#include <limits>
#include <memory>
#include <utility>

#include "gradus/optim/decay_schedules.hpp"

namespace gradus::optim {

/// A schedule of any kind, where the kind is known only when the program runs:
///
///     optim::AnySchedule lr = schedule::constant({.lr = 0.1});
///     if (decays) lr = schedule::cosine({.lr = 0.1, .total_steps = 1000});
///
/// It can be combined with others as every schedule. Copies share what they hold, which never changes.
class AnySchedule {
public:
    template <schedule::Schedule S>
    AnySchedule(S schedule) : held_(std::make_shared<const Held<S>>(std::move(schedule))) {}

    double operator()(Index step) const { return held_->lr(step); }

    /// The momentum that goes with the step; NaN if the schedule has none.
    double momentum(Index step) const { return held_->momentum(step); }

private:
    struct Interface {
        virtual ~Interface() = default;
        virtual double lr(Index step) const = 0;
        virtual double momentum(Index step) const = 0;
    };

    template <class S>
    struct Held final : Interface {
        explicit Held(S held) : schedule(std::move(held)) {}

        double lr(Index step) const override { return schedule(step); }
        double momentum(Index step) const override {
            if constexpr (schedule::HasMomentum<S>)
                return schedule.momentum(step);
            else
                return std::numeric_limits<double>::quiet_NaN();
        }

        S schedule;
    };

    std::shared_ptr<const Interface> held_;
};

}  // namespace gradus::optim
