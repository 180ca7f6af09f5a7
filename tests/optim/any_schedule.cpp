// SPDX-License-Identifier: MIT
#include "gradus/optim/any_schedule.hpp"

#include "gradus/optim/adagrad.hpp"
#include "gradus/optim/adam.hpp"
#include "gradus/optim/any_optimizer.hpp"
#include "gradus/optim/schedule.hpp"
#include "gradus/optim/sgd.hpp"
#include "optim/reference.hpp"

using namespace gradus;
using optim::AnySchedule;
namespace schedule = gradus::optim::schedule;

TEST_CASE("AnySchedule: gives what the schedule in it gives") {
    const auto cycle = schedule::one_cycle({.max_lr = 1, .total_steps = 10});
    AnySchedule any = cycle;
    const AnySchedule copy = any;
    for (const Index step : {-1, 0, 3, 9, 12}) {
        CHECK(any(step) == cycle(step));
        CHECK(any.momentum(step) == cycle.momentum(step));
    }
    any = schedule::constant({.lr = 0.5});
    CHECK(any(3) == 0.5);
    CHECK(std::isnan(any.momentum(3)));
    any = [](Index step) { return 1.0 / static_cast<double>(1 + step); };
    CHECK(any(3) == 0.25);
    CHECK(copy(3) == cycle(3));
}

TEST_CASE("AnySchedule: is combined as every other") {
    const auto cycle = schedule::one_cycle({.max_lr = 1, .total_steps = 10});
    const auto warm = schedule::warmup({.steps = 3}, AnySchedule(cycle));
    CHECK(warm(8) == cycle(5));
    CHECK(warm.momentum(8) == cycle.momentum(5));
    CHECK(std::isnan(schedule::scale(2, AnySchedule(schedule::constant({.lr = 1}))).momentum(0)));
}

TEMPLATE_TEST_CASE("schedule: apply sets the rate, and momentum where there is some on both sides", "",
                   decltype(schedule::one_cycle({})), AnySchedule) {
    const Leaves<float> w{leaf({1})};
    const TestType cycle = schedule::one_cycle({.max_lr = 1, .total_steps = 10});
    optim::SGD<> sgd(w, {.momentum = 0.5}), plain(w);
    schedule::apply(sgd, cycle, 4);
    CHECK(sgd.lr() == cycle(4));
    CHECK(sgd.momentum() == cycle.momentum(4));
    schedule::apply(plain, cycle, 4);
    CHECK(plain.lr() == cycle(4));
    CHECK(plain.momentum() == 0);  // stays without
    optim::Adagrad<> adagrad(w);
    schedule::apply(adagrad, cycle, 4);
    CHECK(adagrad.lr() == cycle(4));
    optim::Adam<> adam(w);
    schedule::apply(adam, cycle, 4);
    CHECK(adam.groups()[0].options.beta1 == cycle.momentum(4));
    for (const bool has_momentum : {false, true}) {
        optim::AnyOptimizer any = has_momentum ? optim::AnyOptimizer(adam) : adagrad;
        schedule::apply(any, cycle, 7);
        CHECK(any.lr() == cycle(7));
        CHECK(any.momentum() == (has_momentum ? cycle.momentum(7) : 0));
        schedule::apply(any, AnySchedule(schedule::constant({.lr = 0.5})), 8);
        CHECK(any.lr() == 0.5);
        CHECK(any.momentum() == (has_momentum ? cycle.momentum(7) : 0));
    }
}
