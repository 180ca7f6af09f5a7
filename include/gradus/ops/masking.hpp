// SPDX-License-Identifier: MIT
#pragma once

#include <type_traits>

#include "gradus/autograd/record.hpp"
#include "gradus/kernels/elementwise/map.hpp"
#include "gradus/kernels/layout/triangle.hpp"

// Elements chosen by a condition or by their place in a matrix.

namespace gradus {

/// a where the condition holds, else b; all three are broadcast.
/// da = dy where it holds       db = dy elsewhere
template <class T>
Variable<T> where(const Tensor<bool>& condition, const Variable<T>& a, const Variable<T>& b) {
    const auto pick = [](bool c, const T& x, const T& y) { return c ? x : y; };
    return record("where", kernels::map("where", pick, condition, a.value(), b.value()),
                  wrt(a,
                      [condition](const Tensor<T>& dy) {
                          return kernels::map(
                              "where", [](bool c, const T& d) { return c ? d : T(0); }, condition, dy);
                      }),
                  wrt(b, [condition](const Tensor<T>& dy) {
                      return kernels::map(
                          "where", [](bool c, const T& d) { return c ? T(0) : d; }, condition, dy);
                  }));
}

/// `value` where the mask holds, else x, both broadcast: masked_fill(scores, mask, -inf) before a softmax.
/// dx = dy where the mask does not hold, else 0
template <class T>
Variable<T> masked_fill(const Variable<T>& x, const Tensor<bool>& mask, std::type_identity_t<T> value) {
    const auto filled_with = [](const T& filling) {
        return [filling](bool m, const T& v) { return m ? filling : v; };
    };
    return record("masked_fill", kernels::map("masked_fill", filled_with(value), mask, x.value()),
                  wrt(x, [mask, filled_with](const Tensor<T>& dy) {
                      return kernels::map("masked_fill", filled_with(T(0)), mask, dy);
                  }));
}

namespace detail {

template <class T>
Variable<T> triangle(const char* name, const Variable<T>& x, kernels::Triangle part, Index diagonal) {
    if (x.rank() < 2) fail<ShapeError>(name, "needs a matrix or a batch of matrices", x.shape());
    return record(
        name, kernels::triangle(x.value(), part, diagonal),
        wrt(x, [part, diagonal](const Tensor<T>& dy) { return kernels::triangle(dy, part, diagonal); }));
}

}  // namespace detail

/// The lower triangle of the last two axes: 0 where column − row > diagonal.
/// dx = the same part of dy
/// Throws ShapeError if there are fewer than two axes.
template <class T>
Variable<T> tril(const Variable<T>& x, Index diagonal = 0) {
    return detail::triangle("tril", x, kernels::Triangle::lower, diagonal);
}

/// The upper triangle of the last two axes: 0 where column − row < diagonal.
/// dx = the same part of dy
/// Throws ShapeError if there are fewer than two axes.
template <class T>
Variable<T> triu(const Variable<T>& x, Index diagonal = 0) {
    return detail::triangle("triu", x, kernels::Triangle::upper, diagonal);
}

}  // namespace gradus
