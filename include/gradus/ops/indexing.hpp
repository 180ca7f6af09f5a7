// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "gradus/autograd/record.hpp"
#include "gradus/kernels/layout/gather_scatter.hpp"

// Elements at positions that a tensor of indices names. An index is in [0, size): ValueError if not, and
// negative ones do not count from the end. Indices have no gradient; where several name one element, its
// gradient is the sum.

namespace gradus {
namespace detail {

/// Throws ValueError, with the index and its place among the indices, unless all are in [0, size). `range`
/// names it.
template <class Range>
void check_indices(const char* operation, const Tensor<Index>& indices, Index size, const Range& range) {
    Index position = 0;
    for (const Index index : indices) {
        if (index < 0 || index >= size) [[unlikely]] {
            std::string place;
            for (int axis = indices.rank() - 1; axis >= 0; --axis) {
                place = std::to_string(position % indices.size(axis)) + (place.empty() ? "" : ", ") + place;
                position /= indices.size(axis);
            }
            if (indices.rank() != 1) place = "[" + place + "]";
            detail::raise<ValueError>(
                {operation, ": index ", index, " at position ", place, " is out of range for ", range()});
        }
        ++position;
    }
}

inline void check_indices(const char* operation, const Tensor<Index>& indices, const Shape& shape, int axis) {
    check_indices(operation, indices, shape[axis],
                  [&] { return "axis " + std::to_string(axis) + " of size " + std::to_string(shape[axis]); });
}

}  // namespace detail

/// The positions along an axis that the indices [n] name, in their order: index_select(x, 0, {2, 2, 0}) is
/// rows 2, 2 and 0 of x.
/// dx[..., indices[j], ...] += dy[..., j, ...], in the order of the indices (in runs of 256, where an index
/// comes that often)
/// Throws ShapeError unless the indices are a list, ValueError if one is out of range.
template <class T>
Variable<T> index_select(const Variable<T>& x, int axis, const Tensor<Index>& indices) {
    axis = x.shape().normalize_axis("index_select", axis);
    if (indices.rank() != 1)
        detail::raise<ShapeError>("index_select", "the indices must be a list [n]", indices.shape());
    detail::check_indices("index_select", indices, x.shape(), axis);
    return record("index_select", kernels::index_select(x.value(), axis, indices),
                  wrt_add(x, [axis, indices](const Tensor<T>& dy, Tensor<T>& dx) {
                      kernels::index_add(dy, dx, axis, indices);
                  }));
}

/// y[i, j, k] = x[i, indices[i, j, k], k] for axis 1 of three, and so on: one index for each element of the
/// result. With logits [batch, classes] and labels [batch, 1], gather(logits, 1, labels) takes from each
/// sample the logit of its label.
/// dx[i, indices[i, j, k], k] += dy[i, j, k], in the order of the indices
/// Throws ShapeError unless the indices have the axes of x and, beside the indexed one, no larger sizes
/// (smaller ones leave the rest of x out, as in PyTorch); ValueError if an index is out of range.
template <class T>
Variable<T> gather(const Variable<T>& x, int axis, const Tensor<Index>& indices) {
    axis = x.shape().normalize_axis("gather", axis);
    bool fits = indices.rank() == x.rank();
    for (int i = 0; fits && i < x.rank(); ++i) fits = i == axis || indices.size(i) <= x.size(i);
    if (!fits)
        detail::raise<ShapeError>("gather", "needs indices with the axes of x and sizes within it", x.shape(),
                                  indices.shape());
    detail::check_indices("gather", indices, x.shape(), axis);
    return record("gather", kernels::gather(x.value(), axis, indices),
                  wrt_add(x, [axis, indices](const Tensor<T>& dy, Tensor<T>& dx) {
                      kernels::scatter_add(dy, dx, axis, indices);
                  }));
}

/// x with source[i, j, k] added at [i, indices[i, j, k], k], for axis 1 of three, and so on: where gather()
/// reads, it writes. Where several come to one element, they are added in the order of the indices; where more
/// than 256 do, of float in double.
/// dx = dy       dsource[i, j, k] = dy[i, indices[i, j, k], k]
/// Throws ShapeError unless x, indices and source have the same axes, the indices no larger sizes than the
/// source and, beside the indexed axis, than x; ValueError if an index is out of range.
template <class T>
Variable<T> scatter_add(const Variable<T>& x, int axis, const Tensor<Index>& indices,
                        const Variable<T>& source) {
    axis = x.shape().normalize_axis("scatter_add", axis);
    bool fits = indices.rank() == x.rank() && source.rank() == x.rank();
    for (int i = 0; fits && i < x.rank(); ++i)
        fits = indices.size(i) <= source.size(i) && (i == axis || indices.size(i) <= x.size(i));
    if (!fits)
        detail::raise<ShapeError>(
            {"scatter_add: needs indices with the axes of x and source and sizes within "
             "theirs: got x ",
             to_string(x.shape()), ", indices ", to_string(indices.shape()), " and source ",
             to_string(source.shape())});
    detail::check_indices("scatter_add", indices, x.shape(), axis);
    Tensor<T> y = x.value();
    kernels::scatter_add(source.value(), y, axis, indices);
    return record("scatter_add", y, wrt(x, [](const Tensor<T>& dy) { return dy; }),
                  wrt(source, [axis, indices, shape = source.shape()](const Tensor<T>& dy) {
                      const Tensor<T> used = kernels::gather(dy, axis, indices);
                      if (used.shape() == shape) return used;
                      return kernels::pad<T>(used, shape, std::vector<Index>(Shape::max_rank), T(0));
                  }));
}

/// 1 at [..., labels[...]] of [..., classes], else 0. A tensor without history: labels have no gradient.
/// Throws ValueError if there is no class or a label is not in [0, classes).
template <class T = float>
Tensor<T> one_hot(const Tensor<Index>& labels, Index classes) {
    if (classes < 1) detail::raise<ValueError>("one_hot", "needs at least one class", classes);
    detail::check_indices("one_hot", labels, classes, [&] { return std::to_string(classes) + " classes"; });
    return kernels::one_hot<T>(labels, classes);
}

}  // namespace gradus
