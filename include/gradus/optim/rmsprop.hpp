// SPDX-License-Identifier: MIT
#pragma once

#include <array>

#include "gradus/optim/optimizer.hpp"

namespace gradus::optim {

struct RMSPropOptions {
    double lr = 1e-2;
    double alpha = 0.99;
    double eps = 1e-8;
    double weight_decay = 0;  // λ, an L2 penalty
    double momentum = 0;      // μ
    bool centered = false;
    double l1 = 0;        // an L1 penalty: its sign(w) is added to the gradient
    double lr_scale = 1;  // of this group: lr · lr_scale is what it uses
};

namespace detail {

template <class T>
struct RMSPropRule : ElementwiseRule<T> {
    using Options = RMSPropOptions;
    static constexpr const char* name = "rmsprop";
    static constexpr std::array state_names = {"square_avg", "grad_avg", "momentum_buffer"};
    static constexpr double Options::*momentum = &Options::momentum;

    static void validate(const Options& o) {
        check_common_settings(name, o);
        check_fraction(name, "alpha", o.alpha);
        check_setting(name, "eps", o.eps);
        check_setting(name, "momentum", o.momentum);
    }
    static bool uses(const Options& o, std::size_t state) {
        return state == 0 || (state == 1 ? o.centered : o.momentum > 0);
    }

    Penalties<T> penalties;
    T lr, keep, take, eps, mu;
    bool centered;

    RMSPropRule(const Options& o, Index)
        : penalties(o, false),
          lr(T(scaled_lr(o))),
          keep(T(o.alpha)),
          take(T(1 - o.alpha)),
          eps(T(o.eps)),
          mu(T(o.momentum)),
          centered(o.centered) {}

    template <class V>
    GRADUS_INLINE void operator()(V& w, const V& dw, V& square, V& mean, V& buffer) const {
        using simd::max, simd::sqrt;
        const V g = penalties.gradient(w, dw);
        square = V(keep) * square + V(take) * g * g;
        V variance = square;
        if (centered) {
            mean = V(keep) * mean + V(take) * g;
            variance = max(square - mean * mean, V(0));  // rounding may take it below 0; max keeps a NaN
        }
        buffer = V(mu) * buffer + g / (sqrt(variance) + V(eps));
        w = w - V(lr) * buffer;
    }
};

}  // namespace detail

/// Gradients divided by a moving average of their size:
///     g = dw + λ w + l1 sign(w)
///     s = α s + (1 − α) g²
///     w = w − lr · b,       b = μ b + g / (√s + ε)
/// as in PyTorch: ε is outside the root, and lr inside no average. With `centered`, s − a² takes the place of
/// s, a = α a + (1 − α) g being the average of the gradient itself. State: "square_avg" is s, "grad_avg" is
/// a, "momentum_buffer" is b. Throws ValueError unless all numbers are finite and not negative, and alpha
/// below 1. Sources: Hinton, lecture 6e of "Neural networks for machine learning", 2012; Graves, "Generating
/// sequences with recurrent neural networks", 2013 (centered).
template <class T = float>
class RMSProp : public Optimizer<detail::RMSPropRule<T>> {
public:
    using Optimizer<detail::RMSPropRule<T>>::Optimizer;
    template <detail::ParameterList Parameters, std::size_t N>
    RMSProp(const Parameters&, gradus::detail::NoSuchOption<N>);
};

template <class Parameters = std::vector<Variable<>>>
RMSProp(const Parameters&, const RMSPropOptions& = {}) -> RMSProp<detail::NumberOf<Parameters>>;

}  // namespace gradus::optim
