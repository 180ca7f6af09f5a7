// SPDX-License-Identifier: MIT
#pragma once

#include <utility>
#include <vector>

#include "gradus/optim/optimizer.hpp"

namespace gradus::optim {

struct RMSPropOptions {
    Real lr = 1e-2;
    Real alpha = 0.99;
    Real eps = 1e-8;
    Real weight_decay = 0;  // λ, an L2 penalty
    Real momentum = 0;      // μ
    bool centered = false;
    Real l1 = 0;        // an L1 penalty: its sign(w) is added to the gradient
    Real lr_scale = 1;  // of this group: lr · lr_scale is what it uses
};

namespace detail {

template <class T>
struct RMSPropRule {
    static constexpr std::size_t arrays = 5;

    Penalties<T> penalties;
    T lr, keep, take, eps, mu;
    bool centered;

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
/// a, "momentum_buffer" is b. Sources: Hinton, lecture 6e of "Neural networks for machine learning", 2012;
/// Graves, "Generating sequences with recurrent neural networks", 2013 (centered).
template <class T = float>
class RMSProp : public Optimizer<T, RMSPropOptions> {
    using Base = Optimizer<T, RMSPropOptions>;

public:
    /// Throws ValueError unless all numbers are finite and not negative, and alpha below 1.
    explicit RMSProp(std::vector<Variable<T>> parameters, const RMSPropOptions& options = {})
        : Base(traits, std::move(parameters), options) {}
    explicit RMSProp(std::vector<NamedParameter<T>> parameters, const RMSPropOptions& options = {})
        : Base(traits, std::move(parameters), options) {}
    template <gradus::detail::Text remedy = "nn::parameters(net)", detail::NotParameters Model>
    explicit RMSProp(const Model& net, const RMSPropOptions& options = {}) = delete;  // nn::parameters(net)
    template <std::size_t N>
    RMSProp(std::vector<Variable<T>> parameters, gradus::detail::NoSuchOption<N>);
    template <std::size_t N>
    RMSProp(std::vector<NamedParameter<T>> parameters, gradus::detail::NoSuchOption<N>);

    /// Updates every parameter that has a gradient and is not frozen.
    void step() {
        this->template update<detail::RMSPropRule<T>>([](const RMSPropOptions& o, Index) {
            return detail::RMSPropRule<T>{detail::penalties<T>(o, false),
                                          T(o.lr * o.lr_scale),
                                          T(o.alpha),
                                          T(1 - o.alpha),
                                          T(o.eps),
                                          T(o.momentum),
                                          o.centered};
        });
    }

private:
    static void validate(const RMSPropOptions& o) {
        detail::check_common_settings("rmsprop", o);
        detail::check_setting("rmsprop", "alpha", o.alpha, true);
        detail::check_setting("rmsprop", "eps", o.eps);
        detail::check_setting("rmsprop", "momentum", o.momentum);
    }

    static constexpr OptimizerTraits<RMSPropOptions> traits = {
        "rmsprop",
        {"square_avg", "grad_avg", "momentum_buffer"},
        &validate,
        [](const RMSPropOptions& o, std::size_t kind) {
            return kind == 0 || (kind == 1 ? o.centered : o.momentum > 0);
        },
        [](const RMSPropOptions&) { return 0.0; }};
};

template <class T>
RMSProp(std::vector<Variable<T>>, const RMSPropOptions& = {}) -> RMSProp<T>;
template <class T>
RMSProp(std::vector<NamedParameter<T>>, const RMSPropOptions& = {}) -> RMSProp<T>;

}  // namespace gradus::optim
