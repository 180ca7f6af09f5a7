// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/loss/elementwise.hpp"

namespace gradus {

struct KlDivOptions {
    Reduction reduction = Reduction::mean;  // batchmean gives the divergence itself
    bool log_target = false;                // the target is log t
};

/// t (log t − x), 0 where t = 0: the terms of the Kullback-Leibler divergence of exp(x) from t. x are
/// logarithms of probabilities, such as log_softmax gives, and t probabilities.
/// dx = −t dy, over the number of elements for `mean` (over the batch size for `batchmean`)
/// x and t of one shape; the result is one number, or of that shape with `none`.
/// Throws ShapeError if the shapes differ, or for `batchmean` without an axis.
/// Source: Kullback & Leibler, "On information and sufficiency", 1951.
template <class T>
Variable<T> kl_div(const Variable<T>& x, const Tensor<T>& target, const KlDivOptions& options = {}) {
    detail::check_target("kl_div", x.shape(), target.shape());
    const bool by_batch = options.reduction == Reduction::batchmean;
    if (by_batch && x.rank() == 0)
        detail::fail<ShapeError>("kl_div", "batchmean needs an axis of the batch; take sum", x.shape());
    const T divisor = by_batch ? T(x.size(0)) : detail::divisor("kl_div", options.reduction, T(x.numel()));
    const auto loss = [&](const auto& term, const auto& slope) {
        return detail::elementwise_loss("kl_div", x, options.reduction, divisor, Tensor<T>(), term, slope,
                                        target);
    };
    if (options.log_target)
        return loss(
            []<class V>(const V& v, const V& t) GRADUS_INLINE_LAMBDA {
                using simd::exp, simd::select;
                const V p = exp(t);
                return V(select(p == V(0), V(0), V(p * (t - v))));
            },
            []<class V>(const V& dy, const V&, const V& t) GRADUS_INLINE_LAMBDA {
                using simd::exp;
                return V(-(dy * exp(t)));
            });
    return loss(
        []<class V>(const V& v, const V& t) GRADUS_INLINE_LAMBDA {
            using simd::log, simd::select;
            return V(select(t == V(0), V(0), V(t * (log(t) - v))));
        },
        []<class V>(const V& dy, const V&, const V& t) GRADUS_INLINE_LAMBDA { return V(-(dy * t)); });
}

}  // namespace gradus
