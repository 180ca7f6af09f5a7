// SPDX-License-Identifier: MIT
#include "gradus/optim/decay_schedules.hpp"

#include "optim/schedules.hpp"

using namespace gradus::optim::schedule;
using gradus::ValueError;

// Tables were printed by tests/reference/schedules.py with PyTorch 1.13.

TEST_CASE("schedule: constant") {
    constexpr auto s = constant({.lr = 0.25});
    static_assert(s(0) == 0.25 && s(-3) == 0.25 && s(1000000) == 0.25);
}

TEST_CASE("schedule: inverse_time") {
    constexpr auto s = inverse_time({.lr = 0.5, .decay = 0.25});
    static_assert(s(0) == 0.5 && s(4) == 0.25 && s(12) == 0.125);
    static_assert(s(-1) == 0.5);
    CHECK(inverse_time({.lr = 0.5})(1) == 0.25);
    CHECK(inverse_time({.lr = 0.5, .decay = 0})(100) == 0.5);
}

TEST_CASE("schedule: inverse_sqrt") {
    const auto s = inverse_sqrt({.lr = 0.5, .k = 2});
    CHECK(s(0) == 1);  // k / √1 · lr
    CHECK(s(3) == 0.5);
    CHECK(s(99) == Approx(0.1).epsilon(1e-15));
    CHECK(s(-5) == 1);
    CHECK(inverse_sqrt({.lr = 0.5})(24) == Approx(0.1).epsilon(1e-15));
}

TEST_CASE("schedule: step") {
    check_lrs(step({.lr = 0.1, .step_size = 3, .gamma = 0.5}),
              {{0, 0.1}, {2, 0.1}, {3, 0.05}, {5, 0.05}, {6, 0.025}, {100, 1.164153218269348e-11}});
    CHECK(step({.lr = 0.1, .step_size = 3})(-100) == 0.1);
    CHECK(step({.lr = 0.1, .step_size = 3})(3) == Approx(0.01).epsilon(1e-15));
}

TEST_CASE("schedule: multi_step") {
    check_lrs(multi_step({.lr = 0.1, .milestones = {2, 5, 9}}),
              {{0, 0.1}, {1, 0.1}, {2, 0.01}, {4, 0.01}, {5, 0.001}, {8, 0.001}, {9, 0.0001}, {50, 0.0001}});
    CHECK(multi_step({.lr = 0.1, .milestones = {2}, .gamma = 0.5})(-1) == 0.1);
    const std::vector<int> steps = {10, 20};
    const auto s = multi_step({.lr = 1, .milestones = Milestones(steps.begin(), steps.end()), .gamma = 0.5});
    CHECK(s(9) == 1);
    CHECK(s(20) == 0.25);
}

TEST_CASE("schedule: exponential") {
    check_lrs(exponential({.lr = 0.1, .gamma = 0.95}),
              {{0, 0.1}, {1, 0.095}, {2, 0.09025}, {10, 0.05987369392383786}, {100, 0.0005920529220333994}});
    CHECK(exponential({.lr = 0.1, .gamma = 0.95})(-2) == 0.1);
}

TEST_CASE("schedule: polynomial") {
    check_lrs(polynomial({.lr = 0.1, .total_steps = 10, .power = 2}),
              {{0, 0.1}, {1, 0.08100000000000002}, {5, 0.025}, {9, 0.001}, {10, 0}, {12, 0}});
    const auto line = polynomial({.lr = 0.5, .total_steps = 4, .end_lr = 0.25});
    check_lrs(line, {{-1, 0.5}, {0, 0.5}, {1, 0.4375}, {3, 0.3125}, {4, 0.25}, {5, 0.25}});
}

TEST_CASE("schedule: linear") {
    check_lrs(
        linear({.lr = 0.1}),
        {{0, 0.03333333333333333}, {1, 0.04666666666666667}, {4, 0.08666666666666668}, {5, 0.1}, {6, 0.1}});
    check_lrs(linear({.lr = 0.1, .total_steps = 8, .start_factor = 1, .end_factor = 0.25}),
              {{-1, 0.1}, {0, 0.1}, {1, 0.09062500000000001}, {4, 0.0625}, {8, 0.025}, {20, 0.025}});
    constexpr auto up = linear({.lr = 1, .total_steps = 2, .start_factor = 0, .end_factor = 3});
    static_assert(up(0) == 0 && up(1) == 1.5 && up(2) == 3);
}

TEST_CASE("schedule: cosine") {
    const auto s = cosine({.lr = 0.1, .total_steps = 10, .min_lr = 0.001});
    check_lrs(s, {{0, 0.1},
                  {1, 0.09757729755661011},
                  {3, 0.07959536998847742},
                  {5, 0.0505},
                  {9, 0.0034227024433899},
                  {10, 0.001}});
    CHECK(s(-1) == 0.1);
    CHECK(s(10) == 0.001);  // exactly, and it stays
    CHECK(s(15) == 0.001);
    CHECK(s(std::numeric_limits<gradus::Index>::max()) == 0.001);
    CHECK(cosine({.lr = 0.1, .total_steps = 1})(1) == 0);
}

TEST_CASE("schedule: decays in no steps are over when they begin") {
    for (const gradus::Index step :
         {gradus::Index{-1}, gradus::Index{0}, gradus::Index{1}, gradus::Index{100},
          std::numeric_limits<gradus::Index>::min(), std::numeric_limits<gradus::Index>::max()}) {
        CHECK(cosine({.lr = 0.5, .total_steps = 0, .min_lr = 0.125})(step) == 0.125);
        CHECK(polynomial({.lr = 0.5, .total_steps = 0, .end_lr = 0.125})(step) == 0.125);
        CHECK(linear({.lr = 0.5, .total_steps = 0, .end_factor = 0.25})(step) == 0.125);
        CHECK(multi_step({.lr = 0.5})(step) == 0.5);
        CHECK(multi_step({.lr = 0.5, .milestones = {0}, .gamma = 0.25})(step) == 0.125);
    }
}

TEST_CASE("schedule: refusals of decays") {
    const double nan = std::numeric_limits<double>::quiet_NaN(),
                 inf = std::numeric_limits<double>::infinity();
    CHECK_REFUSES(constant({}), "constant: lr must be finite and > 0: got 0");
    CHECK_REFUSES(constant({.lr = nan}), "constant: lr must be finite and > 0: got nan");
    CHECK_REFUSES(constant({.lr = inf}), "constant: lr must be finite and > 0: got inf");
    CHECK_REFUSES(inverse_time({.lr = -1}), "inverse_time: lr must be finite and > 0: got -1");
    CHECK_REFUSES(inverse_time({.lr = 1, .decay = -0.5}),
                  "inverse_time: decay must be finite and >= 0: got -0.5");
    CHECK_REFUSES(inverse_sqrt({}), "inverse_sqrt: lr must be finite and > 0: got 0");
    CHECK_REFUSES(inverse_sqrt({.lr = 1, .k = 0}), "inverse_sqrt: k must be finite and > 0: got 0");
    CHECK_REFUSES(step({.step_size = 1}), "step: lr must be finite and > 0: got 0");
    CHECK_REFUSES(step({.lr = 1}), "step: step_size must be at least 1: got 0");
    CHECK_REFUSES(step({.lr = 1, .step_size = 1, .gamma = 0}), "step: gamma must be finite and > 0: got 0");
    CHECK_REFUSES(multi_step({.milestones = {1}}), "multi_step: lr must be finite and > 0: got 0");
    CHECK_REFUSES(multi_step({.lr = 1, .milestones = {1}, .gamma = -1}),
                  "multi_step: gamma must be finite and > 0: got -1");
    CHECK_REFUSES((Milestones{3, 5, 5}), "milestones: must be at least 0 and ascend: got 5 and 5");
    CHECK_REFUSES((Milestones{5, 3}), "milestones: must be at least 0 and ascend: got 5 and 3");
    CHECK_REFUSES((Milestones{-1}), "milestones: must be at least 0 and ascend: got -1 and -1");
    const std::vector<int> many = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17};
    CHECK(Milestones(many.begin(), many.end() - 1).reached(100) == 16);
    CHECK_REFUSES(Milestones(many.begin(), many.end()), "milestones: there can be at most 16: got 17");
    CHECK_REFUSES(exponential({.gamma = 0.9}), "exponential: lr must be finite and > 0: got 0");
    CHECK_REFUSES(exponential({.lr = 1}), "exponential: gamma must be finite and > 0: got 0");
    CHECK_REFUSES(polynomial({.total_steps = 1}), "polynomial: lr must be finite and > 0: got 0");
    CHECK_REFUSES(polynomial({.lr = 1, .total_steps = -1}),
                  "polynomial: total_steps must not be negative: got -1");
    CHECK_REFUSES(polynomial({.lr = 1, .total_steps = 1, .power = 0}),
                  "polynomial: power must be finite and > 0: got 0");
    CHECK_REFUSES(polynomial({.lr = 1, .total_steps = 1, .end_lr = -1}),
                  "polynomial: the lowest lr must be finite and >= 0: got -1");
    CHECK_REFUSES(linear({}), "linear: lr must be finite and > 0: got 0");
    CHECK_REFUSES(linear({.lr = 1, .total_steps = -1}), "linear: total_steps must not be negative: got -1");
    CHECK_REFUSES(linear({.lr = 1, .start_factor = -1}), "linear: factors must be finite and >= 0: got -1");
    CHECK_REFUSES(linear({.lr = 1, .end_factor = inf}), "linear: factors must be finite and >= 0: got inf");
    CHECK_REFUSES(cosine({.total_steps = 1}), "cosine: lr must be finite and > 0: got 0");
    CHECK_REFUSES(cosine({.lr = 1, .total_steps = -1}), "cosine: total_steps must not be negative: got -1");
    CHECK_REFUSES(cosine({.lr = 1, .total_steps = 1, .min_lr = nan}),
                  "cosine: the lowest lr must be finite and >= 0: got nan");
}
