// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/loss/l1.hpp"

namespace gradus {

struct SmoothL1Options {
    Reduction reduction = Reduction::mean;
    double beta = 1;  // the error up to which the loss is a parabola; 0 makes it l1
};

/// (x − t)² / (2 beta) where |x − t| < beta, else |x − t| − beta / 2: l1 without its kink.
/// dx = dy · (x − t) / beta, limited to ±dy; over the number of elements for `mean`
/// x and t of one shape; the result is one number, or of that shape with `none`.
/// Throws ShapeError if the shapes differ, ValueError unless beta ≥ 0.
/// Source: Girshick, "Fast R-CNN", 2015 (beta = 1).
template <class T>
Variable<T> smooth_l1(const Variable<T>& x, const Tensor<T>& target, const SmoothL1Options& options = {}) {
    if (!(options.beta >= 0)) detail::raise<ValueError>("smooth_l1", "beta must be at least 0", options.beta);
    const T beta = T(options.beta);
    if (beta == T(0)) return detail::absolute_error("smooth_l1", x, target, options.reduction);
    return detail::pairwise_loss(
        "smooth_l1", x, target, options.reduction,
        [beta]<class V>(const V& v, const V& t) GRADUS_INLINE_LAMBDA {
            using simd::abs, simd::select;
            const V d = v - t, size = abs(d);
            return V(select(size < V(beta), V(V(0.5) * d * (d / V(beta))), V(size - V(0.5) * V(beta))));
        },
        [beta]<class V>(const V& dy, const V& v, const V& t) GRADUS_INLINE_LAMBDA {
            using simd::max, simd::min;
            return V(dy * min(max((v - t) / V(beta), V(-1)), V(1)));
        });
}

}  // namespace gradus
