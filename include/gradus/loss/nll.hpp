// SPDX-License-Identifier: MIT
#pragma once

#include <type_traits>

#include "gradus/autograd/record.hpp"
#include "gradus/loss/labels.hpp"

namespace gradus {

template <class T = float>
struct NllOptions {
    Reduction reduction = Reduction::mean;
    Tensor<T> weight = {};      // per class [classes]; all 1 if empty
    Index ignore_index = -100;  // positions with this label do not count
};

/// −w x[label] at every position: the negative log-likelihood of the right class, where x are logarithms of
/// probabilities, such as log_softmax gives. `mean` is weighted: over the sum of w[label], so NaN if nothing
/// counts.       dx = −w dy at the label, else 0; over that sum for `mean`
/// A label of a class with x = −inf costs infinitely much, and nothing if its weight is 0.
/// x [batch, classes] or [batch, classes, ...], labels [batch] or [batch, ...]; the result is one number, or
/// of the labels' shape with `none`.
/// Throws ShapeError if the shapes do not fit, ValueError for a label out of range.
template <class T>
Variable<T> nll(const Variable<T>& x, const Tensor<Index>& labels,
                const std::type_identity_t<NllOptions<T>>& options = {}) {
    const detail::WeightedLabels<T> right("nll", "log-probabilities", x.shape(), labels, options.weight,
                                          options.ignore_index);
    const T divisor = detail::divisor("nll", options.reduction, right.total_weight());
    Tensor<T> losses = Tensor<T>::uninitialized(labels.shape());
    T* const loss = losses.mutable_data();
    const T* const score = x.value().data();
    right.axis.for_each([&](Index i, Index first) {
        const bool counts = !right.ignores(i) && !(right.weight(i) == T(0));  // 0 · inf is not 0
        loss[i] = counts ? T(-right.weight(i) * score[first + right[i] * right.axis.inner]) : T(0);
    });
    const bool each = options.reduction == Reduction::none;
    return record("nll", detail::reduced(losses, options.reduction, divisor),
                  wrt(x, [right, divisor, each, shape = x.shape()](const Tensor<T>& dy) {
                      Tensor<T> gradient = zeros<T>(shape);
                      T* const out = gradient.mutable_data();
                      right.axis.for_each([&](Index i, Index first) {
                          if (right.ignores(i)) return;
                          out[first + right[i] * right.axis.inner] =
                              -right.weight(i) * (dy.data()[each ? i : 0] / divisor);
                      });
                      return gradient;
                  }));
}

}  // namespace gradus
