// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cmath>

#include "gradus/optim/optimizer.hpp"

namespace gradus::optim {

namespace detail {

template <bool decoupled>
struct AdamOptions {
    double lr = 1e-3;
    double beta1 = 0.9;
    double beta2 = 0.999;
    double eps = 1e-8;
    double weight_decay = decoupled ? 1e-2 : 0;  // λ
    bool amsgrad = false;
    bool bias_correction = true;
    double l1 = 0;        // an L1 penalty: its sign(w) is added to the gradient
    double lr_scale = 1;  // of this group: lr · lr_scale is what it uses
};

}  // namespace detail

using AdamOptions = detail::AdamOptions<false>;
using AdamWOptions = detail::AdamOptions<true>;

namespace detail {

/// 1 − βᵗ, with all its digits also where β is nearly 1.
inline double one_minus_power(double beta, double t) { return -std::expm1(t * std::log(beta)); }

template <class T, bool decoupled>
struct AdamRule : ElementwiseRule<T> {
    using Options = AdamOptions<decoupled>;
    static constexpr const char* name = decoupled ? "adamw" : "adam";
    static constexpr std::array state_names = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"};
    static constexpr double Options::*momentum = &Options::beta1;

    static void validate(const Options& o) {
        check_common_settings(name, o);
        check_fraction(name, "beta1", o.beta1);
        check_fraction(name, "beta2", o.beta2);
        check_setting(name, "eps", o.eps);
    }
    static bool uses(const Options& o, std::size_t state) { return state < 2 || o.amsgrad; }

    Penalties<T> penalties;
    T keep1, take1, keep2, take2;
    // The bias correction: m / (√v / c + ε) with c = √(1 − β₂ᵗ) is c m / (√v + c ε), one division less.
    T eps;   // ε c
    T rate;  // lr c / (1 − β₁ᵗ)
    bool amsgrad;

    AdamRule(const Options& o, Index step)
        : penalties(o, decoupled),
          keep1(T(o.beta1)),
          take1(T(1 - o.beta1)),
          keep2(T(o.beta2)),
          take2(T(1 - o.beta2)),
          amsgrad(o.amsgrad) {
        const double t = static_cast<double>(step);
        const double correction1 = o.bias_correction ? one_minus_power(o.beta1, t) : 1;
        const double root_correction2 = o.bias_correction ? std::sqrt(one_minus_power(o.beta2, t)) : 1;
        eps = T(o.eps * root_correction2);
        rate = T(scaled_lr(o) * root_correction2 / correction1);
    }

    template <class V>
    GRADUS_INLINE void operator()(V& w, const V& dw, V& m, V& v, V& greatest) const {
        using simd::max, simd::sqrt;
        const V g = penalties.gradient(w, dw);
        m = V(keep1) * m + V(take1) * g;
        v = V(keep2) * v + V(take2) * g * g;
        V square = v;  // a copy: choosing one of two references would keep both in memory
        if (amsgrad) square = greatest = max(v, greatest);
        w = V(penalties.shrink) * w - V(rate) * m / (sqrt(square) + V(eps));
    }
};

}  // namespace detail

/// Adam, with steps of about lr whatever the size of the gradients:
///     g = dw + λ w + l1 sign(w)
///     m = β₁ m + (1 − β₁) g            v = β₂ v + (1 − β₂) g²
///     w = w − lr / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)
/// in a parameter's t-th step, as in PyTorch. Without bias_correction the powers of β are left out; with
/// amsgrad the greatest v so far takes the place of v. State: "exp_avg" is m, "exp_avg_sq" is v,
/// "max_exp_avg_sq" the greatest v. Its momentum() is beta1. Throws ValueError unless all numbers are finite
/// and not negative, and beta1 and beta2 below 1. Sources: Kingma & Ba, "Adam: a method for stochastic
/// optimization", 2015; Reddi et al., "On the convergence of Adam and beyond", 2018 (amsgrad).
template <class T = float>
class Adam : public Optimizer<detail::AdamRule<T, false>> {
public:
    using Optimizer<detail::AdamRule<T, false>>::Optimizer;
    template <detail::ParameterList Parameters, std::size_t N>
    Adam(const Parameters&, gradus::detail::NoSuchOption<N>);
};

template <class Parameters = std::vector<Variable<>>>
Adam(const Parameters&, const AdamOptions& = {}) -> Adam<detail::NumberOf<Parameters>>;

/// Adam whose weight decay (by default 0.01) is no part of the gradient but shrinks the weights, before
/// everything else:
///     w = w (1 − lr λ)
/// Source: Loshchilov & Hutter, "Decoupled weight decay regularization", 2019.
template <class T = float>
class AdamW : public Optimizer<detail::AdamRule<T, true>> {
public:
    using Optimizer<detail::AdamRule<T, true>>::Optimizer;
    template <detail::ParameterList Parameters, std::size_t N>
    AdamW(const Parameters&, gradus::detail::NoSuchOption<N>);
};

template <class Parameters = std::vector<Variable<>>>
AdamW(const Parameters&, const AdamWOptions& = {}) -> AdamW<detail::NumberOf<Parameters>>;

}  // namespace gradus::optim
