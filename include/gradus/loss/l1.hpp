// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/loss/elementwise.hpp"

namespace gradus {
namespace detail {

template <class T>
Variable<T> absolute_error(const char* name, const Variable<T>& x, const Tensor<T>& target,
                           Reduction reduction) {
    return pairwise_loss(
        name, x, target, reduction,
        []<class V>(const V& v, const V& t) GRADUS_INLINE_LAMBDA {
            using simd::abs;
            return V(abs(v - t));
        },
        []<class V>(const V& dy, const V& v, const V& t) GRADUS_INLINE_LAMBDA {
            using simd::select;
            return V(select(v > t, dy, select(v < t, V(-dy), V(0))));
        });
}

}  // namespace detail

struct L1Options {
    Reduction reduction = Reduction::mean;
};

/// |x − t|, the absolute error.
/// dx = sign(x − t) dy, 0 where they are equal; over the number of elements for `mean`.
/// x and t of one shape; the result is one number, or of that shape with `none`.
/// Throws ShapeError if the shapes differ.
template <class T>
Variable<T> l1(const Variable<T>& x, const Tensor<T>& target, const L1Options& options = {}) {
    return detail::absolute_error("l1", x, target, options.reduction);
}

}  // namespace gradus
