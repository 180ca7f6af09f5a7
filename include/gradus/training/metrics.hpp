// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/ops/reduce.hpp"

namespace gradus {

/// The share of rows whose largest score is at the label: scores [batch, classes], labels [batch]; 0 for no
/// rows. Throws ShapeError if the shapes do not fit.
template <class T>
double accuracy(const Tensor<T>& scores, const Tensor<Index>& labels) {
    if (scores.rank() != 2 || labels.shape() != Shape{scores.size(0)})
        detail::fail<ShapeError>("accuracy", "needs scores [batch, classes] and labels [batch]",
                                 scores.shape(), labels.shape());
    if (labels.numel() == 0) return 0;
    const Tensor<Index> best = argmax(scores);
    Index right = 0;
    for (Index i = 0; i < labels.numel(); ++i) right += best.data()[i] == labels.data()[i];
    return static_cast<double>(right) / static_cast<double>(labels.numel());
}
template <class T>
double accuracy(const Variable<T>& scores, const Tensor<Index>& labels) {
    return accuracy(scores.value(), labels);
}

}  // namespace gradus
