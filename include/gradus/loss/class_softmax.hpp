// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/kernels/softmax.hpp"
#include "gradus/loss/labels.hpp"

namespace gradus::detail {

/// Softmax over the class axis in parts, for scores [batch, classes, inner]: exps / sums, where exps = exp(x
/// − largest).
template <class T>
struct ClassSoftmax {
    Tensor<T> x, exps;                  // [batch, classes, inner]
    Tensor<T> sums, log_sums, largest;  // [batch, 1, inner]

    ClassSoftmax(const Tensor<T>& scores, const ClassAxis& axis) : x(scores.reshape(axis.scores())) {
        auto parts = kernels::softmax_parts(x, 1);
        exps = std::move(parts.exps);
        sums = std::move(parts.sums);
        log_sums = std::move(parts.log_sums);
        largest = std::move(parts.largest);
    }
};

}  // namespace gradus::detail
