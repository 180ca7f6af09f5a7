// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/core/tensor.hpp"
#include "gradus/kernels/elementwise/map.hpp"
#include "gradus/kernels/gemm/gemm.hpp"

// Products of tensors: of matrices, and of stacks of them whose leading axes broadcast.

namespace gradus::kernels {
namespace detail {

/// The last two axes of x as matrices, swapped if asked; x has at least two axes.
template <class T>
struct Matrices {
    const Tensor<T>& x;
    bool transpose;

    Index rows() const { return x.size(transpose ? -1 : -2); }
    Index columns() const { return x.size(transpose ? -2 : -1); }
    Shape batch() const { return Shape(x.shape().begin(), x.shape().end() - 2); }
    MatrixRef<T> at(Index i) const {
        const MatrixRef<T> matrix{x.data() + i * rows() * columns(), x.size(-1), 1};
        return transpose ? matrix.transposed() : matrix;
    }
};

/// c[..., m, n] = a[..., m, k] · b[..., k, n], the leading axes broadcast.
template <class T>
Tensor<T> matmul(const Matrices<T>& a, const Matrices<T>& b, const T* bias = nullptr) {
    const Index m = a.rows(), n = b.columns(), k = a.columns();
    if (a.x.rank() == 2 && b.x.rank() == 2) {
        Tensor<T> c = Tensor<T>::uninitialized({m, n});
        gemm(m, n, k, a.at(0), b.at(0), c.mutable_data(), bias);
        return c;
    }
    const bool rows_only = b.x.rank() == 2 && !a.transpose;  // then a is one tall matrix
    Shape shape = rows_only ? a.batch() : broadcast("matmul", a.batch(), b.batch());
    const Index count = shape.numel();
    shape.push_back(m);
    shape.push_back(n);
    Tensor<T> c = Tensor<T>::uninitialized(shape);
    T* const out = c.mutable_data();
    if (rows_only) {
        gemm(count * m, n, k, a.at(0), b.at(0), out, bias);
        return c;
    }
    const Shape a_batch = a.batch(), b_batch = b.batch();
    const Shape* const batches[] = {&a_batch, &b_batch};
    const BroadcastPlan plan(Shape(shape.begin(), shape.end() - 2), batches, 2);
    // Small products share the threads. Large ones are one block here, and each gets all threads.
    const Index work = std::max<Index>(1, m * n * k),
                block = work < parallel_grain ? parallel_grain / work : count;
    parallel_for(count, block, [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) {
            Index row[2];
            plan.offsets(i / plan.sizes[0], row);
            const Index at = i % plan.sizes[0];
            gemm(m, n, k, a.at(row[0] + at * plan.strides[0][0]), b.at(row[1] + at * plan.strides[0][1]),
                 out + i * m * n, bias);
        }
    });
    return c;
}

}  // namespace detail

/// a · b, of the last two axes.
template <class T>
Tensor<T> matmul(const Tensor<T>& a, const Tensor<T>& b) {
    return detail::matmul<T>({a, false}, {b, false});
}
/// a · bᵀ (+ bias[n]).
template <class T>
Tensor<T> matmul_nt(const Tensor<T>& a, const Tensor<T>& b, const T* bias = nullptr) {
    return detail::matmul<T>({a, false}, {b, true}, bias);
}
/// aᵀ · b.
template <class T>
Tensor<T> matmul_tn(const Tensor<T>& a, const Tensor<T>& b) {
    return detail::matmul<T>({a, true}, {b, false});
}

}  // namespace gradus::kernels
