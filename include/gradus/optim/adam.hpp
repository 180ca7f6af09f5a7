// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "gradus/optim/optimizer.hpp"

namespace gradus::optim {

struct AdamOptions {
    Real lr = 1e-3;
    Real beta1 = 0.9;
    Real beta2 = 0.999;
    Real eps = 1e-8;
    Real weight_decay = 0;  // λ, an L2 penalty
    bool amsgrad = false;
    bool bias_correction = true;
    Real l1 = 0;        // an L1 penalty: its sign(w) is added to the gradient
    Real lr_scale = 1;  // of this group: lr · lr_scale is what it uses
};

struct AdamWOptions {
    Real lr = 1e-3;
    Real beta1 = 0.9;
    Real beta2 = 0.999;
    Real eps = 1e-8;
    Real weight_decay = 1e-2;  // λ, decoupled
    bool amsgrad = false;
    bool bias_correction = true;
    Real l1 = 0;        // an L1 penalty: its sign(w) is added to the gradient
    Real lr_scale = 1;  // of this group: lr · lr_scale is what it uses
};

namespace detail {

template <class T>
struct AdamRule {
    static constexpr std::size_t arrays = 5;

    Penalties<T> penalties;
    T keep1, take1, keep2, take2;
    // m / (√v / c + ε) with c = √(1 − β₂ᵗ) is c m / (√v + c ε), which is one division less.
    T eps;   // ε c
    T rate;  // lr c / (1 − β₁ᵗ)
    bool amsgrad;

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

/// 1 − βᵗ, with all its digits also where β is nearly 1.
inline double one_minus_power(double beta, double t) { return -std::expm1(t * std::log(beta)); }

template <class T, class Options>
AdamRule<T> adam_rule(const Options& o, Index step, bool decoupled) {
    const double t = static_cast<double>(step);
    const double correction1 = o.bias_correction ? one_minus_power(o.beta1, t) : 1;
    const double root_correction2 = o.bias_correction ? std::sqrt(one_minus_power(o.beta2, t)) : 1;
    return {penalties<T>(o, decoupled),
            T(o.beta1),
            T(1 - o.beta1),
            T(o.beta2),
            T(1 - o.beta2),
            T(o.eps * root_correction2),
            T(o.lr * o.lr_scale * root_correction2 / correction1),
            o.amsgrad};
}

template <class Options>
bool adam_uses(const Options& o, std::size_t kind) {
    return kind < 2 || o.amsgrad;
}

template <class Options>
void check_adam(const char* name, const Options& o) {
    check_common_settings(name, o);
    check_setting(name, "beta1", o.beta1, true);
    check_setting(name, "beta2", o.beta2, true);
    check_setting(name, "eps", o.eps);
}

}  // namespace detail

/// Adam, with steps of about lr whatever the size of the gradients:
///     g = dw + λ w + l1 sign(w)
///     m = β₁ m + (1 − β₁) g            v = β₂ v + (1 − β₂) g²
///     w = w − lr / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)
/// in a parameter's t-th step, as in PyTorch. Without bias_correction the powers of β are left out; with
/// amsgrad the greatest v so far takes the place of v. State: "exp_avg" is m, "exp_avg_sq" is v,
/// "max_exp_avg_sq" the greatest v. Sources: Kingma & Ba, "Adam: a method for stochastic optimization", 2015;
/// Reddi et al., "On the convergence of Adam and beyond", 2018 (amsgrad).
template <class T = float>
class Adam : public Optimizer<T, AdamOptions> {
    using Base = Optimizer<T, AdamOptions>;

public:
    /// Throws ValueError unless all numbers are finite and not negative, and beta1 and beta2 below 1.
    explicit Adam(std::vector<Variable<T>> parameters, const AdamOptions& options = {})
        : Base(traits, std::move(parameters), options) {}
    explicit Adam(std::vector<NamedParameter<T>> parameters, const AdamOptions& options = {})
        : Base(traits, std::move(parameters), options) {}
    template <gradus::detail::Text remedy = "nn::parameters(net)", detail::NotParameters Model>
    explicit Adam(const Model& net, const AdamOptions& options = {}) = delete;  // nn::parameters(net)
    template <std::size_t N>
    Adam(std::vector<Variable<T>> parameters, gradus::detail::NoSuchOption<N>);
    template <std::size_t N>
    Adam(std::vector<NamedParameter<T>> parameters, gradus::detail::NoSuchOption<N>);

    /// Updates every parameter that has a gradient and is not frozen.
    void step() {
        this->template update<detail::AdamRule<T>>(
            [](const AdamOptions& o, Index step) { return detail::adam_rule<T>(o, step, false); });
    }

private:
    static constexpr OptimizerTraits<AdamOptions> traits = {
        "adam",
        {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"},
        [](const AdamOptions& o) { detail::check_adam("adam", o); },
        &detail::adam_uses<AdamOptions>,
        [](const AdamOptions&) { return 0.0; }};
};

template <class T>
Adam(std::vector<Variable<T>>, const AdamOptions& = {}) -> Adam<T>;
template <class T>
Adam(std::vector<NamedParameter<T>>, const AdamOptions& = {}) -> Adam<T>;

/// Adam whose weight decay is no part of the gradient but shrinks the weights, before everything else:
///     w = w (1 − lr λ)
/// Source: Loshchilov & Hutter, "Decoupled weight decay regularization", 2019.
template <class T = float>
class AdamW : public Optimizer<T, AdamWOptions> {
    using Base = Optimizer<T, AdamWOptions>;

public:
    /// Throws ValueError unless all numbers are finite and not negative, and beta1 and beta2 below 1.
    explicit AdamW(std::vector<Variable<T>> parameters, const AdamWOptions& options = {})
        : Base(traits, std::move(parameters), options) {}
    explicit AdamW(std::vector<NamedParameter<T>> parameters, const AdamWOptions& options = {})
        : Base(traits, std::move(parameters), options) {}
    template <gradus::detail::Text remedy = "nn::parameters(net)", detail::NotParameters Model>
    explicit AdamW(const Model& net, const AdamWOptions& options = {}) = delete;  // nn::parameters(net)
    template <std::size_t N>
    AdamW(std::vector<Variable<T>> parameters, gradus::detail::NoSuchOption<N>);
    template <std::size_t N>
    AdamW(std::vector<NamedParameter<T>> parameters, gradus::detail::NoSuchOption<N>);

    /// Updates every parameter that has a gradient and is not frozen.
    void step() {
        this->template update<detail::AdamRule<T>>(
            [](const AdamWOptions& o, Index step) { return detail::adam_rule<T>(o, step, true); });
    }

private:
    static constexpr OptimizerTraits<AdamWOptions> traits = {
        "adamw",
        {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"},
        [](const AdamWOptions& o) { detail::check_adam("adamw", o); },
        &detail::adam_uses<AdamWOptions>,
        [](const AdamWOptions&) { return 0.0; }};
};

template <class T>
AdamW(std::vector<Variable<T>>, const AdamWOptions& = {}) -> AdamW<T>;
template <class T>
AdamW(std::vector<NamedParameter<T>>, const AdamWOptions& = {}) -> AdamW<T>;

}  // namespace gradus::optim
