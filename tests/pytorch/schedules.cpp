// SPDX-License-Identifier: MIT
// Learning rates over 1000 steps against PyTorch's schedulers.
#include "gradus/optim/plateau.hpp"
#include "gradus/optim/schedule.hpp"
#include "pytorch/cases.hpp"

using namespace gradus;
using pytorch::Case;
namespace schedule = gradus::optim::schedule;

namespace {

/// All values, and every 20th (which the digest of all may not name).
template <class F>
void check_values(const Case& c, const std::string& name, const F& value) {
    Tensor<double> all = zeros<double>({1000}), some = zeros<double>({50});
    for (Index step = 0; step < 1000; ++step) {
        all.mutable_at(step) = value(step);
        if (step % 20 == 0) some.mutable_at(step / 20) = all(step);
    }
    c.check(name, all);
    c.check(name + "/20", some);
}

/// Checks the schedule that make(case) gives.
template <class Make>
void check_schedule(const char* kind, const Make& make) {
    pytorch::for_cases("pytorch_schedules.txt", kind, [&](const Case& c) {
        const auto s = make(c);
        check_values(c, "lr", s);
        if constexpr (schedule::HasMomentum<decltype(s)>)
            check_values(c, "momentum", [&](Index step) { return s.momentum(step); });
    });
}

}  // namespace

TEST_CASE("pytorch: schedules that decay") {
    check_schedule("inverse_time", [](const Case& c) {
        return schedule::per_epoch(
            c.integer("per_epoch"),
            schedule::inverse_time({.lr = c.number("lr"), .decay = c.number("decay")}));
    });
    check_schedule("inverse_sqrt", [](const Case& c) {
        return schedule::per_epoch(c.integer("per_epoch"),
                                   schedule::inverse_sqrt({.lr = c.number("lr"), .k = c.number("k")}));
    });
    check_schedule("step", [](const Case& c) {
        return schedule::step(
            {.lr = c.number("lr"), .step_size = c.integer("step_size"), .gamma = c.number("gamma")});
    });
    check_schedule("multi_step", [](const Case& c) {
        const Shape milestones = c.shape("milestones");
        return schedule::multi_step({.lr = c.number("lr"),
                                     .milestones = schedule::Milestones(milestones.begin(), milestones.end()),
                                     .gamma = c.number("gamma")});
    });
    check_schedule("exponential", [](const Case& c) {
        return schedule::exponential({.lr = c.number("lr"), .gamma = c.number("gamma")});
    });
    check_schedule("polynomial", [](const Case& c) {
        return schedule::polynomial(
            {.lr = c.number("lr"), .total_steps = c.integer("total_steps"), .power = c.number("power")});
    });
    check_schedule("linear", [](const Case& c) {
        return schedule::linear({.lr = c.number("lr"),
                                 .total_steps = c.integer("total_steps"),
                                 .start_factor = c.number("start_factor"),
                                 .end_factor = c.number("end_factor")});
    });
    check_schedule("cosine", [](const Case& c) {
        return schedule::cosine(
            {.lr = c.number("lr"), .total_steps = c.integer("total_steps"), .min_lr = c.number("min_lr")});
    });
}

TEST_CASE("pytorch: schedules one after the other") {
    check_schedule("warmup", [](const Case& c) {
        return schedule::warmup(
            {.steps = c.integer("steps"), .start = c.number("start")},
            schedule::cosine({.lr = c.number("lr"), .total_steps = c.integer("total_steps")}));
    });
    check_schedule("sequence", [](const Case& c) {
        return schedule::sequence(
            schedule::exponential({.lr = c.number("lr"), .gamma = c.number("gamma")}), c.integer("milestone"),
            schedule::step({.lr = c.number("lr"), .step_size = 10, .gamma = c.number("decay")}));
    });
}

TEST_CASE("pytorch: schedules that go up and down") {
    check_schedule("cosine_restarts", [](const Case& c) {
        return schedule::cosine_restarts({.lr = c.number("lr"),
                                          .period = c.integer("period"),
                                          .period_factor = c.integer("period_factor"),
                                          .min_lr = c.number("min_lr")});
    });
    check_schedule("cyclic", [](const Case& c) {
        using enum schedule::CyclicMode;
        const std::string mode = c.word("mode");
        return schedule::cyclic({.base_lr = c.number("base_lr"),
                                 .max_lr = c.number("max_lr"),
                                 .step_size_up = c.integer("step_size_up"),
                                 .step_size_down = static_cast<Index>(c.number("step_size_down", 0)),
                                 .mode = mode == "triangular"    ? triangular
                                         : mode == "triangular2" ? triangular2
                                                                 : exp_range,
                                 .gamma = c.number("gamma"),
                                 .base_momentum = c.number("base_momentum"),
                                 .max_momentum = c.number("max_momentum")});
    });
    check_schedule("one_cycle", [](const Case& c) {
        return schedule::one_cycle({.max_lr = c.number("max_lr"),
                                    .total_steps = c.integer("total_steps"),
                                    .pct_start = c.number("pct_start"),
                                    .anneal_strategy = c.word("anneal_strategy") == "cos"
                                                           ? schedule::Anneal::cos
                                                           : schedule::Anneal::linear,
                                    .div_factor = c.number("div_factor"),
                                    .final_div_factor = c.number("final_div_factor"),
                                    .three_phase = c.flag("three_phase"),
                                    .base_momentum = c.number("base_momentum"),
                                    .max_momentum = c.number("max_momentum")});
    });
}

TEST_CASE("pytorch: reduce on plateau") {
    pytorch::for_cases("pytorch_schedules.txt", "reduce_on_plateau", [](const Case& c) {
        const bool max = c.word("mode") == "max", rel = c.word("threshold_mode") == "rel";
        optim::ReduceOnPlateau plateau(
            {.lr = c.number("lr"),
             .mode = max ? optim::Mode::max : optim::Mode::min,
             .factor = c.number("factor"),
             .patience = c.integer("patience"),
             .threshold = c.number("threshold"),
             .threshold_mode = rel ? optim::ThresholdMode::rel : optim::ThresholdMode::abs,
             .cooldown = c.integer("cooldown"),
             .min_lr = c.number("min_lr")});
        const Tensor<double> metrics = pytorch::noise<double>(c.name + "/metric", {1000}, -0.125, 0.125);
        check_values(c, "lr", [&](Index epoch) {
            const double metric = metrics(epoch) + 1 / (1 + static_cast<double>(epoch) / 100);
            return plateau(max ? 1 - metric : metric);
        });
    });
}
