// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/loss/elementwise.hpp"

namespace gradus {

struct HuberOptions {
    Reduction reduction = Reduction::mean;
    double delta = 1;  // the error up to which the loss is a parabola
};

/// (x − t)² / 2 where |x − t| ≤ delta, else delta (|x − t| − delta / 2). It is delta times smooth_l1 with
/// beta = delta.
/// dx = dy · (x − t), limited to ±delta · dy; over the number of elements for `mean`
/// x and t of one shape; the result is one number, or of that shape with `none`.
/// Throws ShapeError if the shapes differ, ValueError unless delta > 0.
/// Source: Huber, "Robust estimation of a location parameter", 1964.
template <class T>
Variable<T> huber(const Variable<T>& x, const Tensor<T>& target, const HuberOptions& options = {}) {
    if (!(options.delta > 0))
        detail::fail<ValueError>("huber", "delta must be greater than 0", options.delta);
    const T delta = T(options.delta);
    return detail::pairwise_loss(
        "huber", x, target, options.reduction,
        [delta]<class V>(const V& v, const V& t) GRADUS_INLINE_LAMBDA {
            using simd::abs, simd::select;
            const V d = v - t, size = abs(d);
            return V(select(size <= V(delta), V(V(0.5) * d * d), V(V(delta) * (size - V(0.5) * V(delta)))));
        },
        [delta]<class V>(const V& dy, const V& v, const V& t) GRADUS_INLINE_LAMBDA {
            using simd::max, simd::min;
            return V(dy * min(max(v - t, V(-delta)), V(delta)));
        });
}

}  // namespace gradus
