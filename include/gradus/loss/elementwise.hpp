// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/loss/reduction.hpp"
#include "gradus/ops/arithmetic.hpp"

// What losses of one term per element share. Their targets are constants, as in a dataset: a gradient goes to
// the prediction alone.

namespace gradus::detail {

/// Throws ShapeError unless the target has the shape of the prediction. Broadcasting is refused: [4, 1] and
/// [4] would make a loss of 16 terms, most of which compare what does not belong together.
inline void check_target(const char* operation, const Shape& prediction, const Shape& target) {
    if (!(prediction == target)) [[unlikely]]
        raise<ShapeError>(operation, "the target needs the shape of the prediction; reshape one of them",
                          prediction, target);
}

inline void check_broadcasts(const char* operation, const char* message, const Shape& prediction,
                             const Shape& weight) {
    if (!kernels::sums_to(prediction, weight)) [[unlikely]]
        raise<ShapeError>(operation, message, prediction, weight);
}

/// The loss of terms term(x, constants...), each times its weight if there are weights. The gradient of a
/// term with respect to x is slope(dy, x, constants...).
template <class T, class Term, class Slope, class... Constants>
Variable<T> elementwise_loss(const char* name, const Variable<T>& x, Reduction reduction, T divisor,
                             const Tensor<T>& weight, const Term& term, const Slope& slope,
                             const Constants&... constants) {
    const Tensor<T> X = x.value();
    const bool weighted = is_given(weight);
    if (weighted)
        check_broadcasts(name, "the weight must broadcast to the prediction", X.shape(), weight.shape());
    const Tensor<T> terms = kernels::map(name, vectorized(term), X, constants...);
    return record(name, reduced(weighted ? terms * weight : terms, reduction, divisor),
                  wrt(x, [=](const Tensor<T>& dy) {
                      const Tensor<T> scaled = reduction == Reduction::none ? dy : dy / divisor;
                      return kernels::map(name, vectorized(slope), weighted ? scaled * weight : scaled, X,
                                          constants...);
                  }));
}

/// A loss of a prediction and a target of one shape.
template <class T, class Term, class Slope>
Variable<T> pairwise_loss(const char* name, const Variable<T>& prediction, const Tensor<T>& target,
                          Reduction reduction, const Term& term, const Slope& slope) {
    check_target(name, prediction.shape(), target.shape());
    return elementwise_loss(name, prediction, reduction,
                            detail::divisor(name, reduction, T(prediction.numel())), Tensor<T>(), term, slope,
                            target);
}

}  // namespace gradus::detail
