// SPDX-License-Identifier: MIT
#pragma once

#include <utility>
#include <vector>

#include "gradus/optim/optimizer.hpp"

namespace gradus::optim {

struct SGDOptions {
    Real lr = 1e-3;
    Real momentum = 0;      // μ
    Real dampening = 0;     // τ
    Real weight_decay = 0;  // λ, an L2 penalty
    bool nesterov = false;
    Real l1 = 0;             // an L1 penalty: its sign(w) is added to the gradient
    bool decoupled = false;  // decay the weights themselves: w (1 − lr λ), and no λ w in the gradient
    Real lr_scale = 1;       // of this group: lr · lr_scale is what it uses
};

namespace detail {

template <class T>
struct SGDRule {
    static constexpr std::size_t arrays = 3;

    Penalties<T> penalties;
    T lr, keep, take, mu;
    bool nesterov;

    template <class V>
    GRADUS_INLINE void operator()(V& w, const V& dw, V& v) const {
        const V g = penalties.gradient(w, dw);
        v = V(keep) * v + V(take) * g;
        w = V(penalties.shrink) * w - V(lr) * (nesterov ? V(g + V(mu) * v) : v);
    }
};

}  // namespace detail

/// Stochastic gradient descent:
///     g = dw + λ w + l1 sign(w)
///     v = μ v + (1 − τ) g        (v = g in the first step)
///     w = w − lr · v,            or  w − lr · (g + μ v)  with nesterov
/// as in PyTorch. State: "momentum_buffer" is v, if there is momentum.
///
/// The other common form of momentum, the moving average v = β v + (1 − β) g, is {.momentum = β, .dampening =
/// β}. It takes steps 1 / (1 − β) times smaller, so its lr is that much larger; but its first step is all of
/// g.
///
/// Sources: Polyak 1964; Sutskever et al., "On the importance of initialization and momentum in deep
/// learning", 2013 (nesterov).
template <class T = float>
class SGD : public Optimizer<T, SGDOptions> {
    using Base = Optimizer<T, SGDOptions>;

public:
    /// Throws ValueError unless all numbers are finite and not negative, and nesterov comes with momentum and
    /// without dampening.
    explicit SGD(std::vector<Variable<T>> parameters, const SGDOptions& options = {})
        : Base(traits, std::move(parameters), options) {}
    explicit SGD(std::vector<NamedParameter<T>> parameters, const SGDOptions& options = {})
        : Base(traits, std::move(parameters), options) {}
    template <gradus::detail::Text remedy = "nn::parameters(net)", detail::NotParameters Model>
    explicit SGD(const Model& net, const SGDOptions& options = {}) = delete;  // nn::parameters(net)
    template <std::size_t N>
    SGD(std::vector<Variable<T>> parameters, gradus::detail::NoSuchOption<N>);
    template <std::size_t N>
    SGD(std::vector<NamedParameter<T>> parameters, gradus::detail::NoSuchOption<N>);

    /// Updates every parameter that has a gradient and is not frozen.
    void step() {
        this->template update<detail::SGDRule<T>>([](const SGDOptions& o, Index step) {
            const bool first = o.momentum == 0 || step == 1;
            return detail::SGDRule<T>{
                detail::penalties<T>(o, o.decoupled), T(o.lr * o.lr_scale), T(first ? 0 : o.momentum.value),
                T(first ? 1 : 1 - o.dampening),       T(o.momentum),        o.nesterov};
        });
    }

private:
    static void validate(const SGDOptions& o) {
        detail::check_common_settings("sgd", o);
        detail::check_setting("sgd", "momentum", o.momentum);
        detail::check_setting("sgd", "dampening", o.dampening);
        check<ValueError>(!o.nesterov || (o.momentum > 0 && o.dampening == 0), "sgd",
                          "nesterov needs momentum > 0 and no dampening");
    }

    static constexpr OptimizerTraits<SGDOptions> traits = {
        "sgd",
        {"momentum_buffer"},
        &validate,
        [](const SGDOptions& o, std::size_t kind) { return kind == 0 && o.momentum > 0; },
        [](const SGDOptions&) { return 0.0; }};
};

template <class T>
SGD(std::vector<Variable<T>>, const SGDOptions& = {}) -> SGD<T>;
template <class T>
SGD(std::vector<NamedParameter<T>>, const SGDOptions& = {}) -> SGD<T>;

}  // namespace gradus::optim
