// SPDX-License-Identifier: MIT
#pragma once

#include <type_traits>

#include "gradus/ops/reduce.hpp"

namespace gradus {

/// The share of rows whose largest score is at the label: scores [batch, classes], labels [batch]; 0 for no
/// rows. Throws ShapeError if the shapes do not fit.
template <class T>
double accuracy(const Tensor<T>& scores, const Tensor<Index>& labels) {
    if (scores.rank() != 2 || labels.shape() != Shape{scores.size(0)})
        detail::raise<ShapeError>("accuracy", "needs scores [batch, classes] and labels [batch]",
                                  scores.shape(), labels.shape());
    if (labels.numel() == 0) return 0;
    const Index classes = scores.size(1);
    gradus::detail::check<ShapeError>(classes > 0, "accuracy", "no classes to choose from");
    Index right = 0;
    for (Index i = 0; i < labels.numel(); ++i)
        right += kernels::argmax_of(scores.data() + i * classes, classes) == labels.data()[i];
    return static_cast<double>(right) / static_cast<double>(labels.numel());
}
template <class T>
double accuracy(const Variable<T>& scores, const Tensor<Index>& labels) {
    return accuracy(scores.value(), labels);
}

namespace detail {

/// A prediction is positive above the threshold (so NaN is not), a target above 1/2.
template <class T>
bool agrees(const T& prediction, const T& target, T threshold) {
    return (prediction > threshold) == (target > T(0.5));
}

}  // namespace detail

/// The share of entries where prediction and target are on the same side: predictions above `threshold` (1/2
/// for probabilities, 0 for logits) against targets of 0 and 1, of one shape; 0 for no entries. Throws
/// ShapeError if the shapes differ. Precision, recall and F1 are metrics::MultiLabel's.
template <class T>
double multilabel_accuracy(const Tensor<T>& predictions, const Tensor<T>& targets,
                           std::type_identity_t<T> threshold = T(0.5)) {
    if (!(predictions.shape() == targets.shape()))
        detail::raise<ShapeError>("multilabel_accuracy", "needs predictions and targets of one shape",
                                  predictions.shape(), targets.shape());
    if (targets.numel() == 0) return 0;
    Index right = 0;
    for (Index i = 0; i < targets.numel(); ++i)
        right += detail::agrees(predictions.data()[i], targets.data()[i], threshold);
    return static_cast<double>(right) / static_cast<double>(targets.numel());
}
template <class T>
double multilabel_accuracy(const Variable<T>& predictions, const Tensor<T>& targets,
                           std::type_identity_t<T> threshold = T(0.5)) {
    return multilabel_accuracy(predictions.value(), targets, threshold);
}

}  // namespace gradus
