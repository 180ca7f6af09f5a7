// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/kernels/reduce/softmax.hpp"
#include "gradus/loss/labels.hpp"

namespace gradus::detail {

/// Softmax over the class axis in parts, for scores [batch, classes, inner]: exps / sums, where exps = exp(x
/// − largest).
template <class T>
struct ClassSoftmax
    : kernels::SoftmaxParts<T> {  // exps [batch, classes, inner], the others [batch, 1, inner]
    Tensor<T> x;                  // [batch, classes, inner]

    ClassSoftmax(const Tensor<T>& scores, const ClassAxis& axis)
        : ClassSoftmax(scores.reshape(axis.scores())) {}

private:
    explicit ClassSoftmax(Tensor<T> scores)
        : kernels::SoftmaxParts<T>(kernels::softmax_parts(scores, 1)), x(std::move(scores)) {}
};

}  // namespace gradus::detail
