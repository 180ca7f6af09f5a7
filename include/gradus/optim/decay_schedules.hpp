// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <numbers>

#include "gradus/core/error.hpp"
#include "gradus/core/limits.hpp"
#include "gradus/core/shape.hpp"

namespace gradus::optim::schedule {

template <class S>
concept Schedule = requires(const S& s, Index step) {
    { s(step) } -> std::convertible_to<double>;
};

/// Schedules that also say which momentum goes with the step.
template <class S>
concept HasMomentum = requires(const S& s, Index step) {
    { s.momentum(step) } -> std::convertible_to<double>;
};

namespace detail {

inline constexpr double infinity = gradus::detail::unbounded<double>;

template <class Number>
[[noreturn, gnu::cold, gnu::noinline]] void refuse(const char* policy, const char* rule, Number got) {
    gradus::detail::raise<ValueError>(policy, rule, got);
}

template <class Number>
constexpr void check(bool ok, const char* policy, const char* rule, Number got) {
    if (!ok) refuse(policy, rule, got);
}

constexpr void check_lr(const char* policy, double lr) {
    check(lr > 0 && lr < infinity, policy, "lr must be finite and > 0", lr);
}
constexpr void check_low_lr(const char* policy, double lr) {
    check(lr >= 0 && lr < infinity, policy, "the lowest lr must be finite and >= 0", lr);
}
constexpr void check_total(const char* policy, Index steps) {
    check(steps >= 0, policy, "total_steps must not be negative", steps);
}
constexpr void check_gamma(const char* policy, double gamma) {
    check(gamma > 0 && gamma < infinity, policy, "gamma must be finite and > 0", gamma);
}

constexpr double from_zero(Index step) { return step < 0 ? 0 : static_cast<double>(step); }

/// How much of `total` steps is over: 0 to 1, and of none all.
constexpr double progress(Index step, Index total) {
    return total == 0 || step >= total ? 1 : from_zero(step) / static_cast<double>(total);
}

/// From `start` to `end` along half a wave; t from 0 to 1.
inline double cosine_between(double start, double end, double t) {
    return end + (start - end) / 2 * (std::cos(std::numbers::pi * t) + 1);
}

}  // namespace detail

struct ConstantOptions {
    double lr = 0;
};

namespace detail {

struct Constant : ConstantOptions {
    constexpr double operator()(Index) const { return lr; }
};

}  // namespace detail

/// lr
constexpr detail::Constant constant(ConstantOptions s) {
    detail::check_lr("constant", s.lr);
    return {s};
}

struct InverseTimeOptions {
    double lr = 0;
    double decay = 1;
};

namespace detail {

struct InverseTime : InverseTimeOptions {
    constexpr double operator()(Index step) const { return lr / (1 + decay * detail::from_zero(step)); }
};

}  // namespace detail

/// lr / (1 + decay · step). With per_epoch(), the classical decay per epoch.
constexpr detail::InverseTime inverse_time(InverseTimeOptions s) {
    detail::check_lr("inverse_time", s.lr);
    detail::check(s.decay >= 0 && s.decay < detail::infinity, "inverse_time", "decay must be finite and >= 0",
                  s.decay);
    return {s};
}

struct InverseSqrtOptions {
    double lr = 0;
    double k = 1;
};

namespace detail {

struct InverseSqrt : InverseSqrtOptions {
    double operator()(Index step) const { return k / std::sqrt(detail::from_zero(step) + 1) * lr; }
};

}  // namespace detail

/// k / √t · lr, where t = step + 1 counts from 1: mini-batches, or with per_epoch() epochs.
constexpr detail::InverseSqrt inverse_sqrt(InverseSqrtOptions s) {
    detail::check_lr("inverse_sqrt", s.lr);
    detail::check(s.k > 0 && s.k < detail::infinity, "inverse_sqrt", "k must be finite and > 0", s.k);
    return {s};
}

struct StepOptions {
    double lr = 0;
    Index step_size = 0;
    double gamma = 0.1;
};

namespace detail {

struct Step : StepOptions {
    double operator()(Index step) const {
        return step < 0 ? lr : lr * std::pow(gamma, static_cast<double>(step / step_size));
    }
};

}  // namespace detail

/// lr · gamma^⌊step / step_size⌋, as PyTorch's StepLR.
constexpr detail::Step step(StepOptions s) {
    detail::check_lr("step", s.lr);
    detail::check(s.step_size >= 1, "step", "step_size must be at least 1", s.step_size);
    detail::check_gamma("step", s.gamma);
    return {s};
}

/// A short list of steps, ascending from 0 on, in place. Throws ValueError otherwise or beyond 16.
class Milestones {
public:
    constexpr Milestones() = default;
    constexpr Milestones(std::initializer_list<Index> steps) : Milestones(steps.begin(), steps.end()) {}
    template <class Iterator>
    constexpr Milestones(Iterator first, Iterator last) {
        for (; first != last; ++first) {
            detail::check(count_ < steps_.size(), "milestones", "there can be at most 16", count_ + 1);
            const Index after = count_ == 0 ? -1 : steps_[count_ - 1];
            if (*first <= after)
                gradus::detail::raise<ValueError>("milestones", "must be at least 0 and ascend", after,
                                                  *first);
            steps_[count_++] = *first;
        }
    }

    /// How many are not after `step`.
    constexpr Index reached(Index step) const {
        Index n = 0;
        for (std::size_t i = 0; i < count_ && steps_[i] <= std::max<Index>(step, 0); ++i) ++n;
        return n;
    }

private:
    std::array<Index, 16> steps_{};
    std::size_t count_ = 0;
};

struct MultiStepOptions {
    double lr = 0;
    Milestones milestones = {};
    double gamma = 0.1;
};

namespace detail {

struct MultiStep : MultiStepOptions {
    double operator()(Index step) const {
        return lr * std::pow(gamma, static_cast<double>(milestones.reached(step)));
    }
};

}  // namespace detail

/// lr · gamma^(number of milestones reached), as PyTorch's MultiStepLR. Without milestones, lr.
constexpr detail::MultiStep multi_step(MultiStepOptions s) {
    detail::check_lr("multi_step", s.lr);
    detail::check_gamma("multi_step", s.gamma);
    return {s};
}

struct ExponentialOptions {
    double lr = 0;
    double gamma = 0;
};

namespace detail {

struct Exponential : ExponentialOptions {
    double operator()(Index step) const { return lr * std::pow(gamma, detail::from_zero(step)); }
};

}  // namespace detail

/// lr · gamma^step, as PyTorch's ExponentialLR.
constexpr detail::Exponential exponential(ExponentialOptions s) {
    detail::check_lr("exponential", s.lr);
    detail::check_gamma("exponential", s.gamma);
    return {s};
}

struct PolynomialOptions {
    double lr = 0;
    Index total_steps = 0;
    double power = 1;
    double end_lr = 0;
};

namespace detail {

struct Polynomial : PolynomialOptions {
    double operator()(Index step) const {
        return end_lr + (lr - end_lr) * std::pow(1 - detail::progress(step, total_steps), power);
    }
};

}  // namespace detail

/// end_lr + (lr − end_lr) · (1 − step / total_steps)^power, as PyTorch's PolynomialLR (end_lr 0).
constexpr detail::Polynomial polynomial(PolynomialOptions s) {
    detail::check_lr("polynomial", s.lr);
    detail::check_total("polynomial", s.total_steps);
    detail::check(s.power > 0 && s.power < detail::infinity, "polynomial", "power must be finite and > 0",
                  s.power);
    detail::check_low_lr("polynomial", s.end_lr);
    return {s};
}

struct LinearOptions {
    double lr = 0;
    Index total_steps = 5;
    double start_factor = 1.0 / 3;
    double end_factor = 1;
};

namespace detail {

struct Linear : LinearOptions {
    constexpr double operator()(Index step) const {
        return lr * (start_factor + (end_factor - start_factor) * detail::progress(step, total_steps));
    }
};

}  // namespace detail

/// lr · factor, which goes from start_factor to end_factor in total_steps, as PyTorch's LinearLR (also with
/// factors above 1).
constexpr detail::Linear linear(LinearOptions s) {
    detail::check_lr("linear", s.lr);
    detail::check_total("linear", s.total_steps);
    for (const double factor : {s.start_factor, s.end_factor})
        detail::check(factor >= 0 && factor < detail::infinity, "linear", "factors must be finite and >= 0",
                      factor);
    return {s};
}

struct CosineOptions {
    double lr = 0;
    Index total_steps = 0;
    double min_lr = 0;
};

namespace detail {

struct Cosine : CosineOptions {
    double operator()(Index step) const {
        return detail::cosine_between(lr, min_lr, detail::progress(step, total_steps));
    }
};

}  // namespace detail

/// min_lr + (lr − min_lr) · (1 + cos(π · step / total_steps)) / 2, as PyTorch's CosineAnnealingLR up to T_max
/// = total_steps; then min_lr, where PyTorch's rises again. Source: Loshchilov & Hutter, "SGDR: Stochastic
/// gradient descent with warm restarts", 2017.
constexpr detail::Cosine cosine(CosineOptions s) {
    detail::check_lr("cosine", s.lr);
    detail::check_total("cosine", s.total_steps);
    detail::check_low_lr("cosine", s.min_lr);
    return {s};
}

}  // namespace gradus::optim::schedule
