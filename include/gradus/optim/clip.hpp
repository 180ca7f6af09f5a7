// SPDX-License-Identifier: MIT
#pragma once

#include <limits>
#include <vector>

#include "gradus/optim/optimizer.hpp"

namespace gradus::optim {

struct ClipNormOptions {
    double norm_type = 2;             // 1, 2 or infinity
    bool error_if_nonfinite = false;  // throw, rather than spread NaN over all gradients
};

namespace detail {

/// The gradients that there are, as segments of a fused pass. Clipping writes them; a norm only reads.
template <class T>
kernels::UpdateSegments<T> gradient_segments(const std::vector<Variable<T>>& parameters, bool write) {
    kernels::UpdateSegments<T> segments(parameters.size());
    for (Variable<T> parameter : parameters)
        if (parameter.has_grad())
            segments.push_back({parameter.grad().numel(),
                                {write ? parameter.mutable_grad().mutable_data()
                                       : const_cast<T*>(parameter.grad().data())}});
    return segments;
}

template <class T>
struct ScaleRule {
    T factor;

    template <class V>
    GRADUS_INLINE void operator()(V& g, const V&) const {
        g = g * V(factor);
    }
};

template <class T>
struct ClampRule {
    T limit;

    template <class V>
    GRADUS_INLINE void operator()(V& g, const V&) const {
        using simd::max, simd::min;
        g = max(min(g, V(limit)), V(-limit));  // both keep the NaN of g
    }
};

}  // namespace detail

/// Scales all gradients by min(1, max_norm / (norm + 1e-6)), where norm is that of all of them as one vector:
/// (Σ |g|ᵖ)^(1/p), or the greatest |g| for p = infinity. Returns the norm before that; it is added up in
/// double, the same for any number of threads. Call it between backward() and step(). Parameters without a
/// gradient count as nothing. If the norm is not finite the gradients become NaN and 0, as in PyTorch, unless
/// error_if_nonfinite. Throws ValueError for a max_norm that is negative or NaN, for another norm_type, and
/// with error_if_nonfinite. Source: Pascanu et al., "On the difficulty of training recurrent neural
/// networks", 2013.
template <class T>
double clip_grad_norm(const std::vector<Variable<T>>& parameters, double max_norm,
                      const ClipNormOptions& options = {}) {
    constexpr double greatest = std::numeric_limits<double>::max();
    const double p = options.norm_type;
    gradus::detail::check<ValueError>(max_norm >= 0, "clip_grad_norm", "max_norm must not be negative");
    gradus::detail::check<ValueError>(p == 1 || p == 2 || p > greatest / 2, "clip_grad_norm",
                                      "norm_type must be 1, 2 or infinity");
    const double norm = kernels::total_norm(detail::gradient_segments(parameters, false), p);
    gradus::detail::check<ValueError>(norm <= greatest || !options.error_if_nonfinite, "clip_grad_norm",
                                      "a gradient is infinite or NaN; is the learning rate too high?");
    const double factor = max_norm / (norm + 1e-6);
    if (factor >= 1) return norm;
    const detail::ScaleRule<T> rule{T(factor)};
    kernels::update<2>(&rule, detail::gradient_segments(parameters, true));
    return norm;
}

/// Puts every number of every gradient between -limit and limit; NaN stays. Throws ValueError for a limit
/// that is negative or NaN.
template <class T>
void clip_grad_value(const std::vector<Variable<T>>& parameters, double limit) {
    gradus::detail::check<ValueError>(limit >= 0, "clip_grad_value", "the limit must not be negative");
    const detail::ClampRule<T> rule{T(limit)};
    kernels::update<2>(&rule, detail::gradient_segments(parameters, true));
}

}  // namespace gradus::optim
