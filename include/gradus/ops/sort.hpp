// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/autograd/record.hpp"
#include "gradus/kernels/layout/gather_scatter.hpp"
#include "gradus/kernels/reduce/sort.hpp"

// The order of elements along one axis. NaN counts as the largest, as in PyTorch; equal elements keep their
// order (PyTorch promises that only of a stable sort). Positions have no gradient.

namespace gradus {

struct SortOptions {
    bool descending = false;
};

struct TopkOptions {
    bool largest = true;
};

/// auto [values, indices] = sort(x): X is Variable<T> or Tensor<T>.
template <class X>
struct SortResult {
    X values;
    Tensor<Index> indices;
};

namespace detail {

/// The elements at these positions along the axis, each of which is named at most once.
template <class T>
Variable<T> in_order(const char* name, const Variable<T>& x, int axis, const Tensor<Index>& positions) {
    return record(name, kernels::gather(x.value(), axis, positions),
                  wrt_add(x, [axis, positions](const Tensor<T>& dy, Tensor<T>& dx) {
                      kernels::scatter_add(dy, dx, axis, positions);
                  }));
}

}  // namespace detail

/// The positions along an axis in the order of their elements: x[argsort(x)] is sorted.
template <class T>
Tensor<Index> argsort(const Tensor<T>& x, int axis = -1, SortOptions options = {}) {
    axis = x.shape().normalize_axis("argsort", axis);
    return kernels::sorted_positions(x, axis, x.size(axis), options.descending);
}
template <class T>
Tensor<Index> argsort(const Variable<T>& x, int axis = -1, SortOptions options = {}) {
    return argsort(x.value(), axis, options);
}

/// The elements in order along an axis, and where they were.       dx[indices[i]] = dvalues[i]
template <class T>
SortResult<Variable<T>> sort(const Variable<T>& x, int axis = -1, SortOptions options = {}) {
    axis = x.shape().normalize_axis("sort", axis);
    const Tensor<Index> indices =
        kernels::sorted_positions(x.value(), axis, x.size(axis), options.descending);
    return {detail::in_order("sort", x, axis, indices), indices};
}

/// The k largest (or smallest) elements along an axis, the largest (smallest) first, and where they were.
/// dx[indices[i]] = dvalues[i], else 0       Throws ValueError unless 0 <= k <= the size of the axis.
template <class T>
SortResult<Variable<T>> topk(const Variable<T>& x, Index k, int axis = -1, TopkOptions options = {}) {
    axis = x.shape().normalize_axis("topk", axis);
    if (k < 0 || k > x.size(axis))
        detail::raise<ValueError>("topk", "k must be from 0 to the size of the axis", k, x.shape());
    const Tensor<Index> indices = kernels::sorted_positions(x.value(), axis, k, options.largest);
    return {detail::in_order("topk", x, axis, indices), indices};
}

}  // namespace gradus
