// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "gradus/kernels/softmax.hpp"
#include "gradus/loss/labels.hpp"

namespace gradus::detail {

/// For columns of x [classes, stride], each the scores of one position: m, the largest of a column, y = exp(x
/// − m), and their sum. Some packs of columns are worked on at a time, whose scores stay in the first cache.
template <class T>
struct ColumnSoftmaxKernel {
    template <int Bytes>
    GRADUS_INLINE static void run(const T* x, Index classes, Index stride, Index columns, T* y,
                                  T* largest_out, T* sum_out) {
        constexpr int lanes = Bytes / static_cast<int>(sizeof(T)), most = 8;
        constexpr T lowest = -std::numeric_limits<T>::infinity();
        using Pack = simd::Pack<T, lanes>;
        for (Index begin = 0; begin < columns;) {
            const Index left = (columns - begin) / lanes;
            if (left == 0) begin = columns - lanes;  // the last pack overlaps the one before it
            const int packs = left == 0 ? 1 : static_cast<int>(std::min<Index>(most, left));
            Pack top[most], total[most];
            for (int k = 0; k < packs; ++k) top[k] = Pack(lowest), total[k] = Pack(T(0));
            for (Index c = 0; c < classes; ++c)
                for (int k = 0; k < packs; ++k)
                    top[k] = max(Pack::load(x + c * stride + begin + k * lanes), top[k]);
            // Nothing is subtracted where all scores are -inf, as in kernels/softmax.hpp.
            for (int k = 0; k < packs; ++k) top[k] = select(top[k] > lowest, top[k], T(0));
            for (Index c = 0; c < classes; ++c)
                for (int k = 0; k < packs; ++k) {
                    const Index at = c * stride + begin + k * lanes;
                    const Pack e = exp(Pack::load(x + at) - top[k]);
                    e.store(y + at);
                    total[k] += e;
                }
            for (int k = 0; k < packs; ++k) {
                top[k].store(largest_out + begin + k * lanes);
                total[k].store(sum_out + begin + k * lanes);
            }
            begin += packs * lanes;
        }
    }
};

/// The columns one by one.
template <class T>
void softmax_each_column(const T* x, Index classes, Index stride, Index columns, T* y, T* largest, T* sums) {
    using std::exp;
    const T lowest = T(-std::numeric_limits<double>::infinity());
    for (Index j = 0; j < columns; ++j) {
        T top = lowest, total(0);
        for (Index c = 0; c < classes; ++c)
            if (x[c * stride + j] > top) top = x[c * stride + j];
        largest[j] = top > lowest ? top : T(0);
        for (Index c = 0; c < classes; ++c)
            total = total + (y[c * stride + j] = exp(x[c * stride + j] - largest[j]));
        sums[j] = total;
    }
}

template <class T>
void softmax_columns(const T* x, Index classes, Index stride, Index columns, T* y, T* largest, T* sums) {
    constexpr Index widest = 64 / static_cast<Index>(sizeof(float));  // lanes of a pack
    if constexpr (std::is_floating_point_v<T>)
        if (columns >= widest)
            return simd::run<ColumnSoftmaxKernel<T>>(x, classes, stride, columns, y, largest, sums);
    softmax_each_column(x, classes, stride, columns, y, largest, sums);
}

/// Softmax over the class axis in parts, for scores [batch, classes, inner]: exps / sums, where exps = exp(x
/// − largest).
template <class T>
struct ClassSoftmax {
    Tensor<T> x, exps;                  // [batch, classes, inner]
    Tensor<T> sums, largest, log_sums;  // [batch, 1, inner]

    ClassSoftmax(const Tensor<T>& scores, const ClassAxis& axis) : x(scores.reshape(axis.scores())) {
        if (axis.inner == 1) {
            const auto parts = kernels::softmax_parts(scores.reshape({axis.batch, axis.classes}));
            exps = parts.exps.reshape(axis.scores());
            sums = parts.sums.reshape(axis.per_position());
            largest = parts.largest.reshape(axis.per_position());
        } else {
            over_columns(axis);
        }
        log_sums = kernels::map(
            "softmax",
            [](const T& sum) {
                using std::log;
                return T(log(sum));
            },
            sums);
    }

private:
    void over_columns(const ClassAxis& axis) {
        exps = Tensor<T>::uninitialized(axis.scores());
        sums = Tensor<T>::uninitialized(axis.per_position());
        largest = Tensor<T>::uninitialized(axis.per_position());
        T* const e = exps.mutable_data();
        T* const s = sums.mutable_data();
        T* const m = largest.mutable_data();
        constexpr Index width = 512;
        const Index classes = axis.classes, inner = axis.inner, strips = (inner + width - 1) / width;
        const Index grain = parallel_grain / 8 / std::max<Index>(1, classes * std::min(width, inner));
        parallel_for(axis.batch * strips, std::max<Index>(1, grain), [&](Index begin, Index end) {
            for (Index i = begin; i < end; ++i) {
                const Index n = i / strips, j = i % strips * width, at = n * inner + j;
                softmax_columns(x.data() + n * classes * inner + j, classes, inner,
                                std::min(width, inner - j), e + n * classes * inner + j, m + at, s + at);
            }
        });
    }
};

}  // namespace gradus::detail
