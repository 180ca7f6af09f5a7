// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <type_traits>
#include <vector>

#include "gradus/kernels/layout/permute.hpp"

// Reading and adding up elements at positions that a tensor of indices names. The callers in ops/ have
// checked that every index is in range. What is added to one element is added in the order of the indices,
// for any thread count; where it is much, in runs that are added up in pairs.

namespace gradus::kernels {
namespace detail {

/// Calls body(from, to) for every position of the indices: `to` is its place among the indices, `from` the
/// place in x that belongs to it, at 0 along the indexed axis. Split over the largest axis that is not
/// indexed, so that no two threads meet at one element of x. No size may be 0.
template <class Body>
void for_each_index(const Shape& indices, const Shape& x, int indexed_axis, const Body& body) {
    Strides from(x);
    const Strides to(indices);
    from[indexed_axis] = 0;
    int split = indexed_axis;
    for (int axis = 0; axis < indices.rank(); ++axis)
        if (axis != indexed_axis && (split == indexed_axis || indices[axis] > indices[split])) split = axis;
    const Index size = indices[split];
    const Index most_blocks = split == indexed_axis ? 1 : 16;  // narrow blocks would use parts of cache lines
    const Index slab = indices.numel() / size;                 // indices at one position of the axis
    const Index block = std::max((size + most_blocks - 1) / most_blocks, parallel_grain / slab);
    parallel_for(size, block, [&](Index begin, Index end) {
        const StridedBox box(indices.with(split, end - begin), from, to);
        const Index columns = box.rank == 0 ? 1 : box.sizes[0], rows = (end - begin) * slab / columns;
        const Index from_step = box.rank == 0 ? 0 : box.from[0], to_step = box.rank == 0 ? 0 : box.to[0];
        StridedCursor row(box, 1, 0);
        for (Index r = 0; r < rows; ++r, row.next())
            for (Index i = 0; i < columns; ++i)
                body(begin * from[split] + row.from + i * from_step,
                     begin * to[split] + row.to + i * to_step);
    });
}

/// Additions to one element after which a new run begins.
inline constexpr Index indexed_run = 256;

/// Rows to which index_add() adds. An index that comes more often than a run is long, such as that of a
/// padding token, has rows of its own behind those of x: one for each run, all in a line.
struct RowsOfRuns {
    struct Often {
        Index index, first, runs;
    };
    std::vector<Index> row;  // of each position of the indices; empty if no index comes that often
    std::vector<Often> often;
    Index extra = 0;  // rows behind those of x

    /// `but`, if it is an index, counts as none.
    RowsOfRuns(const Tensor<Index>& indices, Index size, Index but) {
        if (indices.numel() <= indexed_run) return;
        std::vector<Index> hits(static_cast<std::size_t>(size));
        for (const Index index : indices) ++hits[static_cast<std::size_t>(index)];
        if (but >= 0) hits[static_cast<std::size_t>(but)] = 0;
        std::vector<Index> next(hits.size(), -1);  // the place of the next hit, in rows times runs
        for (std::size_t i = 0; i < hits.size(); ++i) {
            if (hits[i] <= indexed_run) continue;
            const Index runs = (hits[i] + indexed_run - 1) / indexed_run;
            often.push_back({static_cast<Index>(i), extra, runs});
            next[i] = extra * indexed_run;
            extra += runs;
        }
        if (often.empty()) return;
        row.reserve(static_cast<std::size_t>(indices.numel()));
        for (const Index index : indices) {
            Index& place = next[static_cast<std::size_t>(index)];
            row.push_back(place < 0 ? index : size + place++ / indexed_run);
        }
    }
};

}  // namespace detail

/// y[..., j, ...] = x[..., indices[j], ...] along an axis.
template <class T>
Tensor<T> index_select(const Tensor<T>& x, int axis, const Tensor<Index>& indices) {
    const Index count = indices.numel();
    Tensor<T> y = Tensor<T>::uninitialized(x.shape().with(axis, count), "index_select");
    if (y.numel() == 0) return y;
    const Index outer = x.shape().span(0, axis), inner = x.shape().span(axis + 1, x.rank());
    const Index size = x.size(axis);
    const T* const in = x.data();
    T* const out = y.mutable_data();
    parallel_for(outer * count, std::max<Index>(1, parallel_grain / inner), [&](Index begin, Index end) {
        Index base = begin / count * size, j = begin % count;
        for (Index row = begin; row < end; ++row) {
            copy_row(inner, in + (base + indices.data()[j]) * inner, 1, out + row * inner, 1);
            if (++j < count) continue;
            j = 0;
            base += size;
        }
    });
    return y;
}

/// dx[..., indices[j], ...] += dy[..., j, ...], where indices[j] is not `but`: the transpose of
/// index_select().
template <class T>
void index_add(const Tensor<T>& dy, Tensor<T>& dx, int axis, const Tensor<Index>& indices, Index but = -1) {
    if (dy.numel() == 0) return;
    const Shape& shape = dx.shape();
    const Index outer = shape.span(0, axis), size = shape[axis], inner = shape.span(axis + 1, shape.rank());
    const Index count = indices.numel();
    const Index width = std::min<Index>(inner, 64), strips = (inner + width - 1) / width;
    const detail::RowsOfRuns runs(indices, size, but);
    const Index* const rows = runs.row.empty() ? indices.data() : runs.row.data();
    Tensor<T> sums = zeros<T>({outer, runs.extra, inner});
    T *const out = dx.mutable_data(), *const extra = sums.mutable_data();
    parallel_for(
        outer * strips, std::max<Index>(1, parallel_grain / (count * width)), [&](Index begin, Index end) {
            for (Index i = begin; i < end; ++i) {
                const Index a = i / strips, column = i % strips * width, n = std::min(width, inner - column);
                for (Index j = 0; j < count; ++j) {
                    if (rows[j] == but) continue;
                    T* const row = rows[j] < size ? out + (a * size + rows[j]) * inner
                                                  : extra + (a * runs.extra + rows[j] - size) * inner;
                    detail::add_row(n, dy.data() + (a * count + j) * inner + column, 1, row + column, 1);
                }
            }
        });
    for (const auto& often : runs.often) {
        const Tensor<T> total = reduce<SumOf>(kernels::slice(sums, 1, often.first, often.runs), 1u << 1);
        slice_add(total.reshape(shape.with(axis, 1)), dx, axis, often.index);
    }
}

/// y[i, j, k] = x[i, indices[i, j, k], k] for axis 1, and so on; y has the shape of the indices.
template <class T>
Tensor<T> gather(const Tensor<T>& x, int axis, const Tensor<Index>& indices) {
    Tensor<T> y = Tensor<T>::uninitialized(indices.shape(), "gather");
    if (y.numel() == 0) return y;
    const Index stride = x.shape().span(axis + 1, x.rank());
    const T* const in = x.data();
    T* const out = y.mutable_data();
    detail::for_each_index(indices.shape(), x.shape(), axis, [&, at = indices.data()](Index from, Index to) {
        out[to] = in[from + at[to] * stride];
    });
    return y;
}

namespace detail {

/// Whether more of the indices than a run is long name one element of x.
inline bool name_one_often(const Tensor<Index>& indices, const Shape& x, int axis) {
    if (indices.size(axis) <= indexed_run) return false;
    const Index stride = x.span(axis + 1, x.rank());
    Tensor<int> hits = zeros<int>(x);
    for_each_index(indices.shape(), x, axis,
                   [out = hits.mutable_data(), stride, at = indices.data()](Index from, Index to) {
                       ++out[from + at[to] * stride];
                   });
    return std::any_of(hits.begin(), hits.end(), [](int count) { return count > indexed_run; });
}

}  // namespace detail

/// dx[i, indices[i, j, k], k] += dy[i, j, k] for axis 1, and so on: the transpose of gather(). dy may be
/// larger than the indices. Where more numbers of float go to one element than a run is long, all are added
/// up in double.
template <class T>
void scatter_add(const Tensor<T>& dy, Tensor<T>& dx, int axis, const Tensor<Index>& indices) {
    if (indices.numel() == 0) return;
    const Tensor<T> given = dy.shape() == indices.shape()
                                ? dy
                                : crop<T>(dy, indices.shape(), std::vector<Index>(Shape::max_rank));
    const Index stride = dx.shape().span(axis + 1, dx.rank());
    const auto add_to = [&](auto* out) {
        detail::for_each_index(indices.shape(), dx.shape(), axis,
                               [&, in = given.data(), at = indices.data()](Index from, Index to) {
                                   auto& sum = out[from + at[to] * stride];
                                   sum = sum + static_cast<std::remove_cvref_t<decltype(sum)>>(in[to]);
                               });
    };
    if constexpr (std::is_same_v<T, float>) {
        if (detail::name_one_often(indices, dx.shape(), axis)) {
            Tensor<double> sums = zeros<double>(dx.shape());
            add_to(sums.mutable_data());
            return add_in_place(dx, cast<float>(sums));
        }
    }
    add_to(dx.mutable_data());
}

/// 1 at [..., labels[...]] of [..., classes], else 0.
template <class T>
Tensor<T> one_hot(const Tensor<Index>& labels, Index classes) {
    Shape shape = labels.shape();
    shape.push_back(classes, "one_hot");
    Tensor<T> y = Tensor<T>::uninitialized(shape, "one_hot");
    T* out = y.mutable_data();
    std::fill_n(out, y.numel(), T(0));
    for (const Index label : labels) {
        out[label] = T(1);
        out += classes;
    }
    return y;
}

}  // namespace gradus::kernels
