// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <string>

#include "gradus/autograd/record.hpp"
#include "gradus/kernels/reduce.hpp"
#include "gradus/kernels/softmax.hpp"
#include "gradus/loss/reduction.hpp"

namespace gradus {

struct CrossEntropyOptions {
    Reduction reduction = Reduction::mean;
};

/// −log softmax(logits)[label], per row: the negative log-likelihood of the right class. Softmax and
/// logarithm are one step, so large logits do not overflow and unlikely classes keep their accuracy. logits
/// [batch, classes], labels [batch] in 0 ... classes − 1; the result is one number, or [batch] with `none`.
/// dlogits = (softmax(logits) − one_hot(label)) · dy, over the batch size for `mean` (which is NaN of no
/// rows). Throws ShapeError if shapes differ, ValueError for a label out of range.
template <class T>
Variable<T> cross_entropy(const Variable<T>& logits, const Tensor<Index>& labels,
                          CrossEntropyOptions options = {}) {
    if (logits.rank() != 2 || labels.shape() != Shape{logits.size(0)})
        detail::fail<ShapeError>("cross_entropy", "needs logits [batch, classes] and labels [batch]",
                                 logits.shape(), labels.shape());
    const Index batch = logits.size(0), classes = logits.size(1);
    for (Index i = 0; i < batch; ++i)
        if (const Index label = labels.data()[i]; label < 0 || label >= classes)
            throw ValueError("cross_entropy: label " + std::to_string(label) + " at position " +
                             std::to_string(i) + " is out of range for " + std::to_string(classes) +
                             " classes");

    const auto parts = kernels::softmax_parts(logits.value());
    Tensor<T> losses = parts.sums;
    T* const loss = losses.mutable_data();
    for (Index i = 0; i < batch; ++i) {
        using std::log;
        const T right = logits.value().data()[i * classes + labels.data()[i]];
        loss[i] = log(loss[i]) - (right - parts.largest.data()[i]);
    }

    const bool each = options.reduction == Reduction::none;
    const T count = options.reduction == Reduction::mean ? T(batch) : T(1);
    const Tensor<T> y =
        each ? losses : full<T>({}, kernels::reduce<kernels::SumOf>(losses, 1u).item() / count);
    return record(
        "cross_entropy", y,
        wrt(logits, [exps = parts.exps, sums = parts.sums, labels, each, count](const Tensor<T>& dy) {
            const Index rows = exps.size(0), columns = exps.size(1);
            const auto weight = [&](Index i) { return dy.data()[each ? i : 0] / count; };
            Tensor<T> factor = Tensor<T>::uninitialized({rows, 1});
            for (Index i = 0; i < rows; ++i) factor.mutable_data()[i] = weight(i) / sums.data()[i];
            Tensor<T> gradient = exps * factor;
            for (Index i = 0; i < rows; ++i) {
                T& right = gradient.mutable_data()[i * columns + labels.data()[i]];
                right = right - weight(i);
            }
            return gradient;
        }));
}

}  // namespace gradus
