// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <gradus/gradus.hpp>

#include "race.hpp"

/// How far Adam moves one weight in each step, in units of its learning rate, if all gradients are 1 but for
/// some noise.
inline Points adam_steps(bool corrected, int steps, std::uint64_t seed) {
    constexpr double lr = 1e-3;
    gradus::Generator generator(seed);
    const auto gradients = gradus::normal<double>({steps}, 1, 0.3, generator);
    Var w(gradus::zeros<double>({}), {.requires_grad = true});
    gradus::optim::Adam<double> adam(std::vector<Var>{w}, {.lr = lr, .bias_correction = corrected});
    Points result;
    for (int step = 0; step < steps; ++step) {
        const double before = w.item();
        w.set_grad(gradus::full<double>({}, gradients.data()[step]));
        adam.step();
        result.push_back({step + 1.0, (before - w.item()) / lr});
    }
    return result;
}

inline std::string step_lengths(int steps, std::uint64_t seed) {
    svg::Plot plot({.width = 420,
                    .height = 320,
                    .x = {1, static_cast<double>(steps), "step", true},
                    .y = {0, 8, "length of the step (learning rates)"},
                    .description = "Length of Adam's steps with and without bias correction"});
    plot.horizontal(1);
    plot.line(adam_steps(false, steps, seed), {"orange", 2, "6 4"});
    plot.line(adam_steps(true, steps, seed), {"orange", 2.6});
    return plot.str();
}

/// The first steps down a surface, one dot per step.
inline std::string first_steps(const Surface& surface, double lr, int steps) {
    svg::Plot plot({.width = 420,
                    .height = 320,
                    .x = {surface.from.x, surface.to.x, "x"},
                    .y = {surface.from.y, surface.to.y,
                          "y,  " + std::to_string(steps) + " steps, learning rate " + svg::number(lr, 3)},
                    .description = "Adam's first steps with and without bias correction"});
    plot.inside(contours(surface, plot));
    for (const bool corrected : {false, true}) {
        const Points path = descend(surface, steps, lr, [&](std::vector<Var> parameters, double rate) {
            return gradus::optim::Adam<double>(std::move(parameters),
                                               {.lr = rate, .bias_correction = corrected});
        });
        plot.line(path, {"orange", corrected ? 2.4 : 1.8, corrected ? "" : "6 4"});
        plot.dots(path, {"orange", corrected ? 3.5 : 2.5});
    }
    return plot.str();
}

inline void add_bias_correction(Page& page, const Surface& surface, double lr, std::uint64_t seed) {
    const Points raw = adam_steps(false, 3000, seed);
    double longest = 0;
    for (const Point& p : raw) longest = std::max(longest, p.y);
    page.figure(legend({{"corrected", "orange"}, {"not corrected", "orange", -1, "6 4"}}) +
                    grid({step_lengths(3000, seed), first_steps(surface, lr, 30)}),
                "Left: gradients of 1 with some noise. With correction each step is about one learning rate "
                "long; without, the first is " +
                    svg::readable(raw.front().y) + " and the longest " + svg::readable(longest) +
                    " times as long. Right: the valley of the race, from the same start.");
}

/// A learning rate per step.
template <class Schedule>
Points sampled(const Schedule& schedule, int steps) {
    Points result;
    for (int step = 0; step <= steps; ++step) result.push_back({static_cast<double>(step), schedule(step)});
    return result;
}

/// One policy in a small frame.
template <class Schedule>
std::string policy(const std::string& name, const Schedule& schedule, const char* color = "two",
                   int steps = 1000, const std::string& low_name = "0", double high = 0.1, double low = 0) {
    svg::Plot plot(
        {.width = 220,
         .height = 140,
         .x =
             {0, steps * 1.0, {}, false, {0, steps / 2.0, steps * 1.0}, {"0", "step", std::to_string(steps)}},
         .y = {low, high + 0.04 * (high - low), name, false, {low, high}, {low_name, svg::readable(high)}},
         .description = name + " against the step",
         .font = 12.5,
         .name = "plot mini"});
    plot.line(sampled(schedule, steps), {color, 2});
    return plot.str();
}

/// Every policy for 1000 steps, or 20 epochs of 50, from a learning rate of 0.1.
inline void add_policies(Page& page) {
    namespace schedule = gradus::optim::schedule;
    using schedule::CyclicMode;
    const auto cycle = [](CyclicMode mode) {
        return schedule::cyclic({.base_lr = 0.01, .max_lr = 0.1, .step_size_up = 125, .mode = mode});
    };
    page.figure(
        grid({policy("Inverse time",
                     schedule::per_epoch(50, schedule::inverse_time({.lr = 0.1, .decay = 0.3}))),
              policy("1 / √epoch", schedule::per_epoch(50, schedule::inverse_sqrt({.lr = 0.1}))),
              policy("1 / √mini-batch", schedule::inverse_sqrt({.lr = 0.1})),
              policy("Step", schedule::step({.lr = 0.1, .step_size = 200, .gamma = 0.5})),
              policy("Milestones", schedule::multi_step({.lr = 0.1, .milestones = {500, 800}, .gamma = 0.2})),
              policy("Exponential", schedule::exponential({.lr = 0.1, .gamma = 0.996})),
              policy("Polynomial, p = 2", schedule::polynomial({.lr = 0.1, .total_steps = 1000, .power = 2})),
              policy("Cosine", schedule::cosine({.lr = 0.1, .total_steps = 1000})),
              policy("Cosine, restarts",
                     schedule::cosine_restarts({.lr = 0.1, .period = 143, .period_factor = 2})),
              policy("Warm-up, cosine",
                     schedule::warmup({.steps = 100}, schedule::cosine({.lr = 0.1, .total_steps = 900}))),
              policy("Cyclic", cycle(CyclicMode::triangular)),
              policy("Cyclic, halved", cycle(CyclicMode::triangular2))},
             "three"),
        "Learning rates (0 to 0.1) over 1000 mini-batches; an epoch has 50. The first two change once per "
        "epoch. Decay 0.3; ½ every 200 steps; ⅕ at steps 500 and 800; 0.996 per step; restarts after 143 and "
        "429 steps.");
}

/// Learning rate and momentum of three kinds of cycle.
inline void add_one_cycle(Page& page, double max_lr) {
    using gradus::optim::schedule::Anneal;
    const auto both = [&](const std::string& name, Anneal anneal, bool three_phase) {
        const auto cycle = gradus::optim::schedule::one_cycle(
            {.max_lr = max_lr, .total_steps = 1000, .anneal_strategy = anneal, .three_phase = three_phase});
        return policy(name + ": lr", cycle, "two", 999, "0", max_lr) +
               policy(
                   "momentum", [&](int step) { return cycle.momentum(step); }, "blue", 999, "0.85", 0.95,
                   0.85);
    };
    page.figure(grid({both("Cosine", Anneal::cos, false), both("Linear", Anneal::linear, false),
                      both("Three-phase", Anneal::linear, true)},
                     "three"),
                "The learning rate rises from 1/25 of its peak for 30 % of the 1000 steps and falls to 1/10 "
                "000 of where it began; momentum goes the other way, from 0.95 to 0.85 and back.");
}
