// SPDX-License-Identifier: MIT
#pragma once

#include <array>

#include "gradus/optim/optimizer.hpp"

namespace gradus::optim {

struct AdagradOptions {
    double lr = 1e-2;
    double lr_decay = 0;
    double weight_decay = 0;  // λ, an L2 penalty
    double initial_accumulator_value = 0;
    double eps = 1e-10;
    double l1 = 0;        // an L1 penalty: its sign(w) is added to the gradient
    double lr_scale = 1;  // of this group: lr · lr_scale is what it uses
};

namespace detail {

template <class T>
struct AdagradRule : ElementwiseRule<T> {
    using Options = AdagradOptions;
    static constexpr const char* name = "adagrad";
    static constexpr std::array state_names = {"sum"};

    static void validate(const Options& o) {
        check_common_settings(name, o);
        check_setting(name, "lr_decay", o.lr_decay);
        check_setting(name, "initial_accumulator_value", o.initial_accumulator_value);
        check_setting(name, "eps", o.eps);
    }
    static double initial_state(const Options& o) { return o.initial_accumulator_value; }

    Penalties<T> penalties;
    T rate, eps;

    AdagradRule(const Options& o, Index step)
        : penalties(o, false),
          rate(T(scaled_lr(o) / (1 + static_cast<double>(step - 1) * o.lr_decay))),
          eps(T(o.eps)) {}

    template <class V>
    GRADUS_INLINE void operator()(V& w, const V& dw, V& total) const {
        using simd::sqrt;
        const V g = penalties.gradient(w, dw);
        total = total + g * g;
        w = w - V(rate) * g / (sqrt(total) + V(eps));
    }
};

}  // namespace detail

/// Gradients divided by the root of the sum of all their squares so far, so that steps become ever smaller:
///     g = dw + λ w + l1 sign(w)
///     s = s + g²                       (s = initial_accumulator_value at first)
///     w = w − lr / (1 + (t − 1) lr_decay) · g / (√s + ε)
/// in a parameter's t-th step, as in PyTorch. State: "sum" is s. Throws ValueError unless all numbers are
/// finite and not negative. Source: Duchi et al., "Adaptive subgradient methods for online learning and
/// stochastic optimization", 2011.
template <class T = float>
class Adagrad : public Optimizer<detail::AdagradRule<T>> {
public:
    using Optimizer<detail::AdagradRule<T>>::Optimizer;
    template <detail::ParameterList Parameters, std::size_t N>
    Adagrad(const Parameters&, gradus::detail::NoSuchOption<N>);
};

template <class Parameters = std::vector<Variable<>>>
Adagrad(const Parameters&, const AdagradOptions& = {}) -> Adagrad<detail::NumberOf<Parameters>>;

}  // namespace gradus::optim
