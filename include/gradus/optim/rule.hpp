// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <type_traits>

#include "gradus/core/shape.hpp"
#include "gradus/kernels/simd/vec.hpp"
#include "gradus/optim/options.hpp"

/// An optimizer is a rule in a frame. The frame, Optimizer<Rule>, has the parameters, their groups, options
/// and state; a rule has what is particular about one optimizer:
///
///     template <class T>
///     struct LionRule : ElementwiseRule<T> {
///         using Options = LionOptions;                            // with `lr` among them
///         static constexpr const char* name = "lion";             // in messages
///         static constexpr std::array state_names = {"exp_avg"};  // what it keeps of each parameter
///         static void validate(const Options&);                   // throws ValueError
///
///         LionRule(const Options&, Index step);  // for a parameter's step-th step, counted from 1
///
///         template <class V>
///         GRADUS_INLINE void operator()(V& w, const V& dw, V& m) const;  // value, gradient, state
///     };
///
/// docs/add-an-optimizer.md shows it from start to end.
namespace gradus::optim {

namespace detail {

/// What a rule says unless it hides it by a member of the same name.
template <class T>
struct RuleDefaults {
    using value_type = T;

    /// Whether the state of this number is kept. One that is not reads as zeros (ElementwiseRule) or is an
    /// empty tensor (TensorRule).
    static bool uses(const auto& /*options*/, std::size_t /*state*/) { return true; }
    /// What every number of the state is before the first step.
    static double initial_state(const auto& /*options*/) { return 0; }

    // A rule with momentum says which option it is:
    //     static constexpr double Options::*momentum = &Options::beta1;
};

}  // namespace detail

/// Base of a rule that treats every number of a parameter alike. Its operator() takes references to numbers
/// or to vectors of them, at most four of them state, and is run over all parameters in one pass.
template <class T>
struct ElementwiseRule : detail::RuleDefaults<T> {};

/// Base of a rule that sees each parameter as a whole, as those with norms, factors or orthogonalization do:
///     void operator()(Tensor<T>& w, const Tensor<T>& dw, Tensor<T>& state...) const;
/// It may use every operation; none has a history there. w must keep its shape.
template <class T>
struct TensorRule : detail::RuleDefaults<T> {
    /// The shape of a state; [0] for none.
    static Shape state_shape(std::size_t /*state*/, const Shape& parameter) { return parameter; }
};

/// The options weight_decay (λ) and l1: penalties on the size of the weights, as part of the gradient, or
/// decoupled from it.
template <class T>
struct Penalties {
    T l2, l1;
    T shrink;  // what decoupled decay leaves of a weight: 1 − lr λ

    template <class Options>
    Penalties(const Options& o, bool decoupled)
        : l2(T(decoupled ? 0 : o.weight_decay)),
          l1(T(o.l1)),
          shrink(T(decoupled ? 1 - scaled_lr(o) * o.weight_decay : 1)) {}

    /// dw + λ w + l1 sign(w)
    template <class V>
    GRADUS_INLINE V gradient(const V& w, const V& dw) const {
        V g = dw;
        if (l2 > 0) g = g + V(l2) * w;
        if (l1 > 0) g = g + select(w > V(0), V(l1), select(w < V(0), V(-l1), V(0)));
        return g;
    }
};

}  // namespace gradus::optim
