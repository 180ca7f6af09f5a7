// SPDX-License-Identifier: MIT
#include "gradus/optim/schedule.hpp"

#include "optim/schedules.hpp"

using namespace gradus::optim::schedule;
using gradus::Index;
using gradus::ValueError;

TEST_CASE("schedule: warmup rises in a line to the start of what follows") {
    const auto s = warmup({.steps = 4}, cosine({.lr = 0.5, .total_steps = 10}));
    const auto then = cosine({.lr = 0.5, .total_steps = 10});
    check_lrs(s, {{-1, 0}, {0, 0}, {1, 0.125}, {3, 0.375}, {4, 0.5}, {14, 0}, {20, 0}});
    for (Index step = 4; step < 16; ++step) CHECK(s(step) == then(step - 4));
    const auto high = warmup({.steps = 2, .start = 1}, constant({.lr = 0.5}));
    check_lrs(high, {{0, 1}, {1, 0.75}, {2, 0.5}, {3, 0.5}});
}

TEST_CASE("schedule: linear_warmup") {
    constexpr auto s = linear_warmup({.lr = 0.5, .steps = 4, .start = 0.25});
    static_assert(s(0) == 0.25 && s(2) == 0.375 && s(4) == 0.5 && s(100) == 0.5);
}

TEST_CASE("schedule: sequence begins the second at its step 0") {
    const auto s = sequence(linear({.lr = 0.1, .total_steps = 4, .start_factor = 0.5}), 4,
                            exponential({.lr = 0.1, .gamma = 0.9}));
    check_lrs(s, {{0, 0.05},
                  {1, 0.0625},
                  {3, 0.08750000000000001},
                  {4, 0.1},
                  {5, 0.09000000000000001},
                  {9, 0.05904900000000002}});  // tests/reference/schedules.py
    const auto three =
        sequence(constant({.lr = 3}), 2, sequence(constant({.lr = 2}), 1, constant({.lr = 1})));
    check_lrs(three, {{0, 3}, {1, 3}, {2, 2}, {3, 1}, {4, 1}});
}

TEST_CASE("schedule: scale and per_epoch") {
    const auto halves = step({.lr = 1, .step_size = 1, .gamma = 0.5});
    check_lrs(scale(0.25, halves), {{0, 0.25}, {1, 0.125}});
    check_lrs(per_epoch(10, halves), {{-1, 1}, {0, 1}, {9, 1}, {10, 0.5}, {29, 0.25}, {30, 0.125}});
}

TEST_CASE("schedule: any callable of a step is one") {
    const auto s = warmup({.steps = 2}, [](Index step) { return 1.0 / static_cast<double>(1 + step); });
    check_lrs(s, {{0, 0}, {1, 0.5}, {2, 1}, {3, 0.5}, {5, 0.25}});
    static_assert(Schedule<double (*)(Index)>);
    static_assert(!Schedule<int>);
}

TEST_CASE("schedule: combinations hand on the momentum of what they are made of") {
    const auto cycle = one_cycle({.max_lr = 1, .total_steps = 10});
    const auto warm = warmup({.steps = 3}, cycle);
    CHECK(warm.momentum(0) == cycle.momentum(0));
    CHECK(warm.momentum(2) == cycle.momentum(0));
    CHECK(warm.momentum(8) == cycle.momentum(5));
    CHECK(scale(0.1, cycle).momentum(5) == cycle.momentum(5));
    CHECK(per_epoch(10, cycle).momentum(59) == cycle.momentum(5));
    const auto twice = sequence(cycle, 10, cycle);
    CHECK(twice.momentum(9) == cycle.momentum(9));
    CHECK(twice.momentum(10) == cycle.momentum(0));
    const auto plain = cosine({.lr = 1, .total_steps = 10});
    static_assert(!HasMomentum<decltype(warmup({}, plain))> && !HasMomentum<decltype(scale(1, plain))> &&
                  !HasMomentum<decltype(per_epoch(1, plain))> &&
                  !HasMomentum<decltype(sequence(cycle, 1, plain))>);
}

TEST_CASE("schedule: after no steps the next schedule follows at once") {
    const auto then = one_cycle({.max_lr = 0.5, .total_steps = 10});
    const auto warm = warmup({.steps = 0, .start = 9}, then);
    const auto after = sequence(cosine({.lr = 9, .total_steps = 0}), 0, then);
    const auto nested = sequence(warmup({.steps = 0}, cosine({.lr = 9, .total_steps = 0})), 0, warm);
    for (const Index step : {Index{-1}, Index{0}, Index{1}, Index{5}, Index{9}, Index{100},
                             std::numeric_limits<Index>::min(), std::numeric_limits<Index>::max()}) {
        INFO(step);
        CHECK(warm(step) == then(step));
        CHECK(after(step) == then(step));
        CHECK(nested(step) == then(step));
        CHECK(warm.momentum(step) == then.momentum(step));
    }
    CHECK(linear_warmup({.lr = 0.5, .steps = 0, .start = 9})(0) == 0.5);
    // A tenth of few steps is none.
    const auto computed = [](Index total) {
        return warmup({.steps = total / 10}, cosine({.lr = 0.5, .total_steps = total - total / 10}));
    };
    CHECK(computed(9)(0) == 0.5);
    CHECK(computed(9)(9) == 0);
    CHECK(computed(0)(0) == 0);
}

TEST_CASE("schedule: the largest lengths and steps") {
    const Index most = std::numeric_limits<Index>::max();
    const auto s = sequence(warmup({.steps = most}, constant({.lr = 1})), most, constant({.lr = 2}));
    CHECK(s(0) == 0);
    CHECK(s(most / 2) == Approx(0.5).epsilon(1e-12));
    CHECK(s(most) == 2);
    CHECK(warmup({.steps = most}, constant({.lr = 1}))(most) == 1);
    CHECK(cosine({.lr = 1, .total_steps = most})(most / 2) == Approx(0.5).epsilon(1e-12));
    CHECK(per_epoch(most, step({.lr = 1, .step_size = 1}))(most) == Approx(0.1));
    CHECK(one_cycle({.max_lr = 1, .total_steps = most})(most) == Approx(1 / 25e4));
    CHECK(cosine_restarts({.lr = 1, .period = most, .period_factor = most})(0) == 1);
}

TEST_CASE("schedule: refusals of combinators") {
    const auto c = constant({.lr = 1});
    CHECK_REFUSES(warmup({.steps = -1}, c), "warmup: steps must not be negative: got -1");
    CHECK_REFUSES(warmup({.steps = 1, .start = -1}, c),
                  "warmup: the lowest lr must be finite and >= 0: got -1");
    CHECK_REFUSES(linear_warmup({.steps = 1}), "linear_warmup: lr must be finite and > 0: got 0");
    CHECK_REFUSES(linear_warmup({.lr = 1, .steps = -1}), "warmup: steps must not be negative: got -1");
    CHECK_REFUSES(sequence(c, -1, c), "sequence: the milestone must not be negative: got -1");
    CHECK_REFUSES(scale(0, c), "scale: the factor must be finite and > 0: got 0");
    CHECK_REFUSES(per_epoch(0, c), "per_epoch: steps_per_epoch must be at least 1: got 0");
}
