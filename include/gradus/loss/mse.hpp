// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/loss/elementwise.hpp"

namespace gradus {

struct MseOptions {
    Reduction reduction = Reduction::mean;
};

/// (x − t)², the squared error.
/// dx = 2 (x − t) dy, over the number of elements for `mean`
/// x and t of one shape; the result is one number, or of that shape with `none`.
/// Throws ShapeError if the shapes differ.
template <class T>
Variable<T> mse(const Variable<T>& x, const Tensor<T>& target, const MseOptions& options = {}) {
    return detail::pairwise_loss(
        "mse", x, target, options.reduction,
        []<class V>(const V& v, const V& t) GRADUS_INLINE_LAMBDA { return V((v - t) * (v - t)); },
        []<class V>(const V& dy, const V& v, const V& t)
            GRADUS_INLINE_LAMBDA { return V(V(2) * ((v - t) * dy)); });
}

}  // namespace gradus
