// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/loss/elementwise.hpp"

namespace gradus {

template <class T = float>
struct BceWithLogitsOptions {
    Reduction reduction = Reduction::mean;
    Tensor<T> weight = {};      // of the terms; broadcasts to the logits; none if empty
    Tensor<T> pos_weight = {};  // of the positive part, such as one per label [labels]; none if empty
};

/// −w (q t log σ(x) + (1 − t) log(1 − σ(x))), binary cross-entropy of σ = sigmoid. q is pos_weight: above 1
/// it makes up for rare positives. Sigmoid and logarithm are one step, exact for logits of any size, infinite
/// ones too.
/// dx = w ((1 − t) σ(x) − q t σ(−x)) · dy, which is (σ(x) − t) dy without weights; over the number of
/// elements for `mean` (weights do not count).
/// x and t of one shape; the result is one number, or of that shape with `none`.
/// Throws ShapeError if the shapes do not fit.
template <class T>
Variable<T> bce_with_logits(const Variable<T>& x, const Tensor<T>& target,
                            const std::type_identity_t<BceWithLogitsOptions<T>>& options = {}) {
    detail::check_target("bce_with_logits", x.shape(), target.shape());
    const bool uneven = detail::is_given(options.pos_weight);
    if (uneven)
        detail::check_broadcasts("bce_with_logits", "pos_weight must broadcast to the logits", x.shape(),
                                 options.pos_weight.shape());
    const Tensor<T> pos_weight = uneven ? options.pos_weight : ones<T>({});
    return detail::elementwise_loss(
        "bce_with_logits", x, options.reduction,
        detail::divisor("bce_with_logits", options.reduction, T(x.numel())), options.weight,
        // (1 − t) log(1 + eˣ) + q t log(1 + e⁻ˣ), where the larger logarithm is |x| plus the smaller one
        []<class V>(const V& v, const V& t, const V& q) GRADUS_INLINE_LAMBDA {
            using simd::exp, simd::log1p, simd::select;  // max would spoil the tangent of a Dual at 0
            const V above = select(v > V(0), v, V(0)), below = select(v > V(0), V(0), V(-v));
            const V small = log1p(exp(-(above + below)));
            const V negative = V(1) - t,
                    positive = q * t;  // what has no share adds nothing, were it infinite
            return V(select(negative == V(0), V(0), V(negative * (above + small))) +
                     select(positive == V(0), V(0), V(positive * (below + small))));
        },
        []<class V>(const V& dy, const V& v, const V& t, const V& q) GRADUS_INLINE_LAMBDA {
            using simd::exp, simd::select;
            const V e = exp(select(v > V(0), V(-v), v)), high = V(1) / (V(1) + e), low = e * high;
            const V positive = select(v > V(0), high, low), negative = select(v > V(0), low, high);
            return V(dy * ((V(1) - t) * positive - q * t * negative));
        },
        target, pos_weight);
}

}  // namespace gradus
