// SPDX-License-Identifier: MIT
#pragma once

#include <utility>
#include <vector>

#include "gradus/optim/optimizer.hpp"

namespace gradus::optim {

struct AdagradOptions {
    Real lr = 1e-2;
    Real lr_decay = 0;
    Real weight_decay = 0;  // λ, an L2 penalty
    Real initial_accumulator_value = 0;
    Real eps = 1e-10;
    Real l1 = 0;        // an L1 penalty: its sign(w) is added to the gradient
    Real lr_scale = 1;  // of this group: lr · lr_scale is what it uses
};

namespace detail {

template <class T>
struct AdagradRule {
    static constexpr std::size_t arrays = 3;

    Penalties<T> penalties;
    T rate, eps;

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
/// in a parameter's t-th step, as in PyTorch. State: "sum" is s. Source: Duchi et al., "Adaptive subgradient
/// methods for online learning and stochastic optimization", 2011.
template <class T = float>
class Adagrad : public Optimizer<T, AdagradOptions> {
    using Base = Optimizer<T, AdagradOptions>;

public:
    /// Throws ValueError unless all numbers are finite and not negative.
    explicit Adagrad(std::vector<Variable<T>> parameters, const AdagradOptions& options = {})
        : Base(traits, std::move(parameters), options) {}
    explicit Adagrad(std::vector<NamedParameter<T>> parameters, const AdagradOptions& options = {})
        : Base(traits, std::move(parameters), options) {}
    template <gradus::detail::Text remedy = "nn::parameters(net)", detail::NotParameters Model>
    explicit Adagrad(const Model& net, const AdagradOptions& options = {}) = delete;  // nn::parameters(net)
    template <std::size_t N>
    Adagrad(std::vector<Variable<T>> parameters, gradus::detail::NoSuchOption<N>);
    template <std::size_t N>
    Adagrad(std::vector<NamedParameter<T>> parameters, gradus::detail::NoSuchOption<N>);

    /// Updates every parameter that has a gradient and is not frozen.
    void step() {
        this->template update<detail::AdagradRule<T>>([](const AdagradOptions& o, Index step) {
            const double age = static_cast<double>(step - 1);
            return detail::AdagradRule<T>{detail::penalties<T>(o, false),
                                          T(o.lr * o.lr_scale / (1 + age * o.lr_decay)), T(o.eps)};
        });
    }

private:
    static void validate(const AdagradOptions& o) {
        detail::check_common_settings("adagrad", o);
        detail::check_setting("adagrad", "lr_decay", o.lr_decay);
        detail::check_setting("adagrad", "initial_accumulator_value", o.initial_accumulator_value);
        detail::check_setting("adagrad", "eps", o.eps);
    }

    static constexpr OptimizerTraits<AdagradOptions> traits = {
        "adagrad",
        {"sum"},
        &validate,
        [](const AdagradOptions&, std::size_t kind) { return kind == 0; },
        [](const AdagradOptions& o) { return o.initial_accumulator_value.value; }};
};

template <class T>
Adagrad(std::vector<Variable<T>>, const AdagradOptions& = {}) -> Adagrad<T>;
template <class T>
Adagrad(std::vector<NamedParameter<T>>, const AdagradOptions& = {}) -> Adagrad<T>;

}  // namespace gradus::optim
