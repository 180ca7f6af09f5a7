// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>

#include "gradus/loss/elementwise.hpp"

namespace gradus {

template <class T = float>
struct BceOptions {
    Reduction reduction = Reduction::mean;
    Tensor<T> weight = {};  // of the terms; broadcasts to the probabilities; none if empty
};

namespace detail {

/// Throws ValueError if a number is no probability.
template <class T>
[[gnu::cold, gnu::noinline]] void refuse_improbable(const char* operation, const Tensor<T>& p) {
    for (Index i = 0; i < p.numel(); ++i) {
        const auto value = static_cast<double>(p.data()[i]);
        if (value >= 0 && value <= 1) continue;
        const std::string text = value == value ? number_text(value) : "NaN";
        detail::raise<ValueError>({operation, ": probability ", text, " at position ",
                                   position_text(p.shape(), i),
                                   " is not in [0, 1]; for logits take bce_with_logits"});
    }
}

}  // namespace detail

/// −w (t log p + (1 − t) log(1 − p)), binary cross-entropy: p are probabilities, such as sigmoid gives. The
/// logarithms are limited to −100, so that p = 0 and p = 1 have a finite loss and gradient; better is
/// bce_with_logits, which needs no limit.
/// dp = w (p − t) / max(p (1 − p), 1e-12) · dy, over the number of elements for `mean` (weights do not count)
/// p and t of one shape; the result is one number, or of that shape with `none`.
/// Throws ShapeError if the shapes do not fit, ValueError if some p is not in [0, 1].
template <class T>
Variable<T> bce(const Variable<T>& p, const Tensor<T>& target,
                const std::type_identity_t<BceOptions<T>>& options = {}) {
    detail::check_target("bce", p.shape(), target.shape());
    const Variable<T> loss = detail::elementwise_loss(
        "bce", p, options.reduction, detail::divisor("bce", options.reduction, T(p.numel())), options.weight,
        []<class V>(const V& v, const V& t) GRADUS_INLINE_LAMBDA {
            using simd::log, simd::log1p, simd::max;
            return V((t - V(1)) * max(log1p(-v), V(-100)) - t * max(log(v), V(-100)));
        },
        []<class V>(const V& dy, const V& v, const V& t) GRADUS_INLINE_LAMBDA {
            using simd::max;
            return V(dy * (v - t) / max((V(1) - v) * v, V(T(1e-12))));
        },
        target);
    // What is no probability makes its term NaN: nothing is searched as long as the sum is a number.
    using std::isnan;
    if (isnan(detail::sum_all(loss.value()))) detail::refuse_improbable("bce", p.value());
    return loss;
}

}  // namespace gradus
