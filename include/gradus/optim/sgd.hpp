// SPDX-License-Identifier: MIT
#pragma once

#include <array>

#include "gradus/optim/optimizer.hpp"

namespace gradus::optim {

struct SGDOptions {
    double lr = 1e-3;
    double momentum = 0;      // μ
    double dampening = 0;     // τ
    double weight_decay = 0;  // λ, an L2 penalty
    bool nesterov = false;
    double l1 = 0;           // an L1 penalty: its sign(w) is added to the gradient
    bool decoupled = false;  // decay the weights themselves: w (1 − lr λ), and no λ w in the gradient
    double lr_scale = 1;     // of this group: lr · lr_scale is what it uses
};

namespace detail {

template <class T>
struct SGDRule : ElementwiseRule<T> {
    using Options = SGDOptions;
    static constexpr const char* name = "sgd";
    static constexpr std::array state_names = {"momentum_buffer"};
    static constexpr double Options::*momentum = &Options::momentum;

    static void validate(const Options& o) {
        check_common_settings(name, o);
        check_setting(name, "momentum", o.momentum);
        check_setting(name, "dampening", o.dampening);
        check<ValueError>(!o.nesterov || (o.momentum > 0 && o.dampening == 0), name,
                          "nesterov needs momentum > 0 and no dampening");
    }
    static bool uses(const Options& o, std::size_t) { return o.momentum > 0; }

    Penalties<T> penalties;
    T lr, keep, take, mu;
    bool nesterov;

    SGDRule(const Options& o, Index step)
        : penalties(o, o.decoupled), lr(T(scaled_lr(o))), mu(T(o.momentum)), nesterov(o.nesterov) {
        const bool first = o.momentum == 0 || step == 1;
        keep = T(first ? 0 : o.momentum);
        take = T(first ? 1 : 1 - o.dampening);
    }

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
/// as in PyTorch. State: "momentum_buffer" is v, if there is momentum. Throws ValueError unless all numbers
/// are finite and not negative, and nesterov comes with momentum and without dampening.
///
/// The other common form of momentum, the moving average
///     v = β v + (1 − β) g
/// is {.momentum = β, .dampening = β}. It takes steps 1 / (1 − β) times smaller, so its lr is that much larger; but its first step is all of
/// g.
///
/// Sources: Polyak 1964; Sutskever et al., "On the importance of initialization and momentum in deep
/// learning", 2013 (nesterov).
template <class T = float>
class SGD : public Optimizer<detail::SGDRule<T>> {
public:
    using Optimizer<detail::SGDRule<T>>::Optimizer;
    template <detail::ParameterList Parameters, std::size_t N>
    SGD(const Parameters&, gradus::detail::NoSuchOption<N>);
};

template <class Parameters = std::vector<Variable<>>>
SGD(const Parameters&, const SGDOptions& = {}) -> SGD<detail::NumberOf<Parameters>>;

}  // namespace gradus::optim
