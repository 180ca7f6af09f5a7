// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "gradus/optim/decay_schedules.hpp"

namespace gradus::optim::schedule {
namespace detail {

constexpr void check_momentum(const char* policy, double momentum) {
    check(momentum >= 0 && momentum < 1, policy, "momentum must be from 0 to below 1", momentum);
}

}  // namespace detail

struct CosineRestartsOptions {
    double lr = 0;
    Index period = 0;
    Index period_factor = 1;
    double min_lr = 0;
};

namespace detail {

struct CosineRestarts : CosineRestartsOptions {
    double operator()(Index step) const {
        double length = static_cast<double>(period), at = detail::from_zero(step);
        if (period_factor == 1) at = std::fmod(at, length);
        for (; at >= length; length *= static_cast<double>(period_factor)) at -= length;
        return detail::cosine_between(lr, min_lr, at / length);
    }
};

}  // namespace detail

/// Falls from lr to min_lr along a cosine within `period` steps, then starts again; each period is
/// period_factor times as long as the one before. As PyTorch's CosineAnnealingWarmRestarts (T_0, T_mult).
/// Source: Loshchilov & Hutter, "SGDR: Stochastic gradient descent with warm restarts", 2017.
constexpr detail::CosineRestarts cosine_restarts(CosineRestartsOptions s) {
    detail::check_lr("cosine_restarts", s.lr);
    detail::check(s.period >= 1, "cosine_restarts", "period must be at least 1", s.period);
    detail::check(s.period_factor >= 1, "cosine_restarts", "period_factor must be at least 1",
                  s.period_factor);
    detail::check_low_lr("cosine_restarts", s.min_lr);
    return {s};
}

enum class CyclicMode {
    triangular,   // every cycle is as high as the first
    triangular2,  // every cycle is half as high as the one before
    exp_range     // the height is gamma^step
};

struct CyclicOptions {
    double base_lr = 0;
    double max_lr = 0;
    Index step_size_up = 2000;
    Index step_size_down = 0;  // 0: as step_size_up
    CyclicMode mode = CyclicMode::triangular;
    double gamma = 1;
    double base_momentum = 0.8;
    double max_momentum = 0.9;
};

namespace detail {

struct Cyclic : CyclicOptions {
    double operator()(Index step) const { return base_lr + (max_lr - base_lr) * height(step); }
    double momentum(Index step) const { return max_momentum - (max_momentum - base_momentum) * height(step); }

private:
    /// 0 at base_lr, 1 at max_lr.
    double height(Index step) const {
        const Index down = step_size_down == 0 ? step_size_up : step_size_down, total = step_size_up + down;
        step = std::max<Index>(step, 0);
        const Index cycle = step / total, at = step % total;
        const double h = at <= step_size_up ? static_cast<double>(at) / static_cast<double>(step_size_up)
                                            : static_cast<double>(total - at) / static_cast<double>(down);
        switch (mode) {
            case CyclicMode::triangular2:
                return h * std::exp2(-static_cast<double>(cycle));
            case CyclicMode::exp_range:
                return h * std::pow(gamma, static_cast<double>(step));
            default:
                return h;
        }
    }
};

}  // namespace detail

/// From base_lr to max_lr in step_size_up steps and back in step_size_down, again and again; .momentum(step)
/// goes from max_momentum to base_momentum and back. As PyTorch's CyclicLR.
/// Source: Smith, "Cyclical learning rates for training neural networks", 2017.
constexpr detail::Cyclic cyclic(CyclicOptions s) {
    detail::check(s.max_lr > 0 && s.max_lr < detail::infinity, "cyclic", "max_lr must be finite and > 0",
                  s.max_lr);
    detail::check(s.base_lr >= 0 && s.base_lr <= s.max_lr, "cyclic", "base_lr must be from 0 to max_lr",
                  s.base_lr);
    detail::check(s.step_size_up >= 1, "cyclic", "step_size_up must be at least 1", s.step_size_up);
    detail::check(s.step_size_down >= 0, "cyclic", "step_size_down must be at least 1 (or 0: as up)",
                  s.step_size_down);
    const Index down = s.step_size_down == 0 ? s.step_size_up : s.step_size_down;
    detail::check(down <= std::numeric_limits<Index>::max() - s.step_size_up, "cyclic",
                  "step_size_up and step_size_down are too large to be added up", s.step_size_up);
    detail::check_gamma("cyclic", s.gamma);
    for (const double momentum : {s.base_momentum, s.max_momentum})
        detail::check_momentum("cyclic", momentum);
    return {s};
}

enum class Anneal { cos, linear };

struct OneCycleOptions {
    double max_lr = 0;
    Index total_steps = 0;
    double pct_start = 0.3;  // share of the steps on the way up
    Anneal anneal_strategy = Anneal::cos;
    double div_factor = 25;         // the first lr is max_lr / div_factor
    double final_div_factor = 1e4;  // the last lr is the first / final_div_factor
    bool three_phase = false;       // back to the first lr as slowly as up, then on to the last one
    double base_momentum = 0.85;
    double max_momentum = 0.95;
};

namespace detail {

struct OneCycle : OneCycleOptions {
    double operator()(Index step) const {
        const double first = max_lr / div_factor;
        return anneal(step, first, max_lr, first / final_div_factor);
    }
    double momentum(Index step) const { return anneal(step, max_momentum, base_momentum, max_momentum); }

private:
    double between(double start, double end, double t) const {
        return anneal_strategy == Anneal::cos ? detail::cosine_between(start, end, t)
                                              : (end - start) * t + start;
    }

    /// From first to peak and, in one phase or two, to last. As in PyTorch, phases end between steps if
    /// pct_start says so: the peak itself may fall between two steps.
    double anneal(Index step, double first, double peak, double last) const {
        if (total_steps == 0) return last;
        const double total = static_cast<double>(total_steps), end = total - 1;
        const double s = std::min(detail::from_zero(step), end);
        const double up_end = pct_start * total - 1;
        if (s <= up_end) return up_end == 0 ? peak : between(first, peak, s / up_end);
        if (!three_phase) return between(peak, last, (s - up_end) / (end - up_end));
        const double down_end = 2 * pct_start * total - 2;
        if (s <= down_end) return between(peak, first, (s - up_end) / (down_end - up_end));
        return between(first, last, (s - down_end) / (end - down_end));
    }
};

}  // namespace detail

/// From max_lr / div_factor up to max_lr and down to next to nothing, in total_steps; .momentum(step) goes
/// the other way. As PyTorch's OneCycleLR, digit for digit, except that after total_steps the last value
/// stays (PyTorch: ValueError). With three_phase, a pct_start above 0.5 leaves no room for the third. Source:
/// Smith & Topin, "Super-convergence: very fast training of neural networks using large learning rates",
/// 2018.
constexpr detail::OneCycle one_cycle(OneCycleOptions s) {
    detail::check(s.max_lr > 0 && s.max_lr < detail::infinity, "one_cycle", "max_lr must be finite and > 0",
                  s.max_lr);
    detail::check_total("one_cycle", s.total_steps);
    detail::check(s.pct_start >= 0 && s.pct_start <= 1, "one_cycle", "pct_start must be from 0 to 1",
                  s.pct_start);
    for (const double factor : {s.div_factor, s.final_div_factor})
        detail::check(factor > 0 && factor < detail::infinity, "one_cycle",
                      "div_factor and final_div_factor must be finite and > 0", factor);
    for (const double momentum : {s.base_momentum, s.max_momentum})
        detail::check_momentum("one_cycle", momentum);
    return {s};
}

}  // namespace gradus::optim::schedule
