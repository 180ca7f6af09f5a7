// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/autograd/record.hpp"
#include "gradus/kernels/gemm/batched.hpp"
#include "gradus/ops/layout.hpp"

namespace gradus {
namespace detail {

inline void check_leading_axes(const Shape& a, const Shape& b) {
    for (int axis = -3; axis >= -std::min(a.rank(), b.rank()); --axis)
        if (a[axis] != b[axis] && a[axis] != 1 && b[axis] != 1)
            raise<ShapeError>("matmul", "leading axes do not broadcast", a, b);
}

/// All axes but the last as one: [..., n] as [rows, n].
template <class T>
Tensor<T> as_rows(const Tensor<T>& x) {
    return x.reshape({x.shape().span(0, x.rank() - 1), x.size(-1)});
}

}  // namespace detail

/// y[..., M, N] = a[..., M, K] · b[..., K, N], leading axes broadcast.       da = dy · bᵀ       db = aᵀ · dy
/// A vector stands for a matrix of one row (left) or one column (right) and that axis is dropped from the
/// result, as in NumPy. Throws ShapeError for rank 0 and unless the inner sizes are equal and the leading
/// axes broadcast.
template <class T>
Variable<T> matmul(const Variable<T>& a, const Variable<T>& b) {
    if (a.rank() == 0 || b.rank() == 0)
        detail::raise<ShapeError>("matmul", "needs matrices or vectors; use * for numbers", a.shape(),
                                  b.shape());
    if (a.size(-1) != b.size(b.rank() == 1 ? -1 : -2))
        detail::raise<ShapeError>("matmul", "inner sizes differ", a.shape(), b.shape());
    if (a.rank() == 1) {
        const Variable<T> y = matmul(reshape(a, Shape{1, a.size(0)}), b);
        return reshape(y, y.shape().without(b.rank() == 1 ? -1 : -2));
    }
    if (b.rank() == 1) {
        const Variable<T> y = matmul(a, reshape(b, Shape{b.size(0), 1}));
        return reshape(y, y.shape().without(-1));
    }
    detail::check_leading_axes(a.shape(), b.shape());
    const Tensor<T> A = a.value(), B = b.value();
    return record("matmul", kernels::matmul(A, B),
                  wrt(a, [B](const Tensor<T>& dy) { return kernels::matmul_nt(dy, B); }),
                  wrt(b, [A, one_b = b.rank() == 2](const Tensor<T>& dy) {
                      return one_b ? kernels::matmul_tn(detail::as_rows(A), detail::as_rows(dy))
                                   : kernels::matmul_tn(A, dy);
                  }));
}

namespace detail {

template <class T>
void check_linear(const Variable<T>& x, const Variable<T>& weight) {
    if (weight.rank() != 2 || x.rank() == 0 || x.size(-1) != weight.size(1))
        raise<ShapeError>("linear",
                          x.rank() > 2 ? "needs x [..., in] and weight [out, in]; flatten(x) first?"
                                       : "needs x [..., in] and weight [out, in]",
                          x.shape(), weight.shape());
}

/// x · weightᵀ + bias; an undefined bias is none. One kind of node serves both.
template <class T>
Variable<T> linear_of(const Variable<T>& x, const Variable<T>& weight, const Variable<T>& bias) {
    const T* const b = bias.defined() ? bias.value().data() : nullptr;
    if (x.rank() == 2 && is_value_only(x, weight, bias))
        return kernels::matmul_nt(x.value(), weight.value(), b);
    const Tensor<T> X = as_rows(x.value()), W = weight.value();
    return record("linear", kernels::matmul_nt(X, W, b).reshape(x.shape().with(-1, weight.size(0))),
                  wrt(x, [W, shape = x.shape()](
                             const Tensor<T>& dy) { return kernels::matmul(as_rows(dy), W).reshape(shape); }),
                  wrt(weight, [X](const Tensor<T>& dy) { return kernels::matmul_tn(as_rows(dy), X); }),
                  wrt(bias, [](const Tensor<T>& dy) { return dy; }));  // the engine sums it to [out]
}

}  // namespace detail

/// y[..., out] = x[..., in] · weightᵀ + bias, with weight [out, in] and bias [out].
/// dx = dy · weight       dweight = dyᵀ · x       dbias = the sum of dy over all axes but the last
/// Throws ShapeError if sizes differ.
template <class T>
Variable<T> linear(const Variable<T>& x, const Variable<T>& weight, const Variable<T>& bias) {
    detail::check_linear(x, weight);
    if (bias.rank() != 1 || bias.size(0) != weight.size(0))
        detail::raise<ShapeError>("linear", "needs weight [out, in] and bias [out]", weight.shape(),
                                  bias.shape());
    return detail::linear_of(x, weight, bias);
}

/// The same without a bias.
template <class T>
Variable<T> linear(const Variable<T>& x, const Variable<T>& weight) {
    detail::check_linear(x, weight);
    return detail::linear_of(x, weight, Variable<T>());
}

}  // namespace gradus
