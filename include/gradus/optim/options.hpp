// SPDX-License-Identifier: MIT
#pragma once

#include <limits>
#include <string>
#include <type_traits>

#include "gradus/core/error.hpp"
#include "gradus/kernels/simd/vec.hpp"

/// What the options of all optimizers share.
namespace gradus::optim {

/// A number among the options: made from a float, a double or an integer, and kept as double.
struct Real {
    double value;

    template <class Number>
    requires std::is_arithmetic_v<Number>
    constexpr Real(Number number) : value(static_cast<double>(number)) {}
    constexpr operator double() const { return value; }
};

namespace detail {

[[gnu::cold]] inline void check_setting(const char* optimizer, const char* setting, double value,
                                        bool below_1 = false) {
    // as large as a float, in which the optimizer may compute
    const bool good =
        value >= 0 && (below_1 ? value < 1 : value <= static_cast<double>(std::numeric_limits<float>::max()));
    if (good) return;
    gradus::detail::refuse<ValueError>({optimizer, ": ", setting, " must be ",
                                        below_1 ? "at least 0 and below 1" : "finite and not negative",
                                        ": got ", gradus::detail::number_text(value)});
}

/// What is given for parameters and is neither a list of them, nor one, nor another optimizer: a model.
template <class X>
concept NotParameters = std::is_class_v<X> && !requires(X x) {
    x.begin();
}
&&!requires(X x) { x.backward(); }
&&!requires(X x) { x.step(); };

template <class Options>
concept HasMomentumOption = requires(Options o) {
    o.momentum;
}
|| requires(Options o) { o.beta1; };

template <HasMomentumOption Options>
auto& momentum_option(Options& options) {
    if constexpr (requires { options.momentum; })
        return options.momentum;
    else
        return options.beta1;
}

/// The settings that all optimizers have.
template <class Options>
[[gnu::cold]] void check_common_settings(const char* optimizer, const Options& o) {
    check_setting(optimizer, "lr", o.lr);
    check_setting(optimizer, "weight_decay", o.weight_decay);
    check_setting(optimizer, "l1", o.l1);
    check_setting(optimizer, "lr_scale", o.lr_scale);
    check_setting(optimizer, "lr · lr_scale", o.lr * o.lr_scale);
}

/// The penalties on the size of the weights: those that are part of the gradient, and decoupled decay.
template <class T>
struct Penalties {
    T l2, l1;
    T shrink = 1;  // what decoupled decay leaves of a weight

    template <class V>
    GRADUS_INLINE V gradient(const V& w, const V& dw) const {
        V g = dw;
        if (l2 > 0) g = g + V(l2) * w;
        if (l1 > 0) g = g + select(w > V(0), V(l1), select(w < V(0), V(-l1), V(0)));
        return g;
    }
};

template <class T, class Options>
Penalties<T> penalties(const Options& o, bool decoupled) {
    const double decay = o.weight_decay;
    return {T(decoupled ? 0 : decay), T(o.l1), T(decoupled ? 1 - o.lr * o.lr_scale * decay : 1)};
}

}  // namespace detail
}  // namespace gradus::optim
