// SPDX-License-Identifier: MIT
#pragma once

#include <span>

#include "gradus/core/tensor.hpp"
#include "gradus/kernels/layout/strided_copy.hpp"
#include "gradus/kernels/reduce/reduce.hpp"

// Copies of tensors in another order, whole or in part: all are one strided copy and differ in the strides
// alone. Arguments are checked by the callers in ops/: axes in [0, rank), ranges inside, shapes that fit.

namespace gradus::kernels {

/// y's axis i is x's axis axes[i]. Shares memory if the order in memory stays the same.
template <class T>
Tensor<T> permute(const Tensor<T>& x, std::span<const int> axes) {
    Shape shape;
    for (const int axis : axes) shape.push_back(x.size(axis));
    if (x.numel() == 0) return x.reshape(shape);
    const Strides strides(x.shape());
    Strides from;
    int i = 0;
    for (const int axis : axes) from[i++] = strides[axis];
    const StridedBox box(shape, from, Strides(shape));
    if (box.is_contiguous()) return x.reshape(shape);
    Tensor<T> y = Tensor<T>::uninitialized(shape, "permute");
    copy_box(box, x.data(), y.mutable_data());
    return y;
}

/// x with two axes swapped.
template <class T>
Tensor<T> transpose(const Tensor<T>& x, int axis_a, int axis_b) {
    int axes[Shape::max_rank];
    for (int i = 0; i < x.rank(); ++i) axes[i] = i == axis_a ? axis_b : i == axis_b ? axis_a : i;
    return permute(x, {axes, static_cast<std::size_t>(x.rank())});
}

/// x in the opposite order along each axis of a set.
template <class T>
Tensor<T> flip(const Tensor<T>& x, AxisSet axes) {
    if (x.numel() == 0 || axes == 0) return x;
    const Strides strides(x.shape());
    Strides from = strides;
    Index start = 0;
    for (int axis = 0; axis < x.rank(); ++axis)
        if (axes >> axis & 1u) {
            from[axis] = -strides[axis];
            start += (x.size(axis) - 1) * strides[axis];
        }
    Tensor<T> y = Tensor<T>::uninitialized(x.shape(), "flip");
    copy_box(StridedBox(x.shape(), from, strides), x.data() + start, y.mutable_data());
    return y;
}

/// x stretched to a shape that it broadcasts to.
template <class T>
Tensor<T> broadcast_to(const Tensor<T>& x, const Shape& shape) {
    if (x.numel() == shape.numel()) return x.reshape(shape);
    Tensor<T> y = Tensor<T>::uninitialized(shape, "broadcast_to");
    if (y.numel() == 0) return y;
    const Strides strides(x.shape());
    Strides from;
    const int missing = shape.rank() - x.rank();
    for (int axis = 0; axis < shape.rank(); ++axis)
        from[axis] = axis < missing || x.size(axis - missing) == 1 ? 0 : strides[axis - missing];
    copy_box(StridedBox(shape, from, Strides(shape)), x.data(), y.mutable_data());
    return y;
}

/// times[i] copies of x one after another along each axis; x has as many axes as there are times.
template <class T>
Tensor<T> repeat(const Tensor<T>& x, std::span<const Index> times) {
    Shape shape;
    for (const Index count : times) shape.push_back(count * x.size(shape.rank()));
    if (shape == x.shape()) return x;
    Tensor<T> y = Tensor<T>::uninitialized(shape, "repeat");
    if (y.numel() == 0) return y;
    const Strides from(x.shape()), to(shape);
    StridedBox box;
    for (int axis = x.rank() - 1; axis >= 0; --axis) {
        box.add_axis(x.size(axis), from[axis], to[axis]);
        box.add_axis(times[static_cast<std::size_t>(axis)], 0, to[axis] * x.size(axis));
    }
    copy_box(box, x.data(), y.mutable_data());
    return y;
}

/// The sum of the copies that repeat() made of a tensor of this shape: its transpose.
template <class T>
Tensor<T> sum_repeats(const Tensor<T>& dy, std::span<const Index> times, const Shape& shape) {
    if (dy.numel() == 0) return zeros<T>(shape);
    Tensor<T> result = dy;
    for (int axis = 0; axis < shape.rank(); ++axis) {
        const Index count = times[static_cast<std::size_t>(axis)];
        if (count == 1) continue;
        const Shape& now = result.shape();
        const Index outer = now.span(0, axis), inner = now.span(axis + 1, now.rank());
        result = reduce<SumOf>(result.reshape({outer, count, shape[axis] * inner}), 1u << 1)
                     .reshape(now.with(axis, shape[axis]));
    }
    return result;
}

/// Positions begin, begin + step, ... along an axis, `count` of them. Shares memory if they are one run.
template <class T>
Tensor<T> slice(const Tensor<T>& x, int axis, Index begin, Index count, Index step = 1) {
    if (count == x.size(axis)) return x;
    const Shape shape = x.shape().with(axis, count);
    if (shape.numel() == 0) return Tensor<T>::uninitialized(shape, "slice");
    const Index inner = x.shape().span(axis + 1, x.rank());
    if (step == 1 && x.shape().span(0, axis) == 1)
        return x.reshape({x.size(axis), inner}).rows(begin, begin + count).reshape(shape);
    Strides from(x.shape());
    from[axis] *= step;
    Tensor<T> y = Tensor<T>::uninitialized(shape, "slice");
    copy_box(StridedBox(shape, from, Strides(shape)), x.data() + begin * inner, y.mutable_data());
    return y;
}

namespace detail {

/// y[i * to] += x[i * from].
template <class T>
void add_row(Index n, const T* x, Index from, T* y, Index to) {
    if (from != 1 || to != 1 || n < 8) {
        for (Index i = 0; i < n; ++i) y[i * to] += x[i * from];
    } else {
        map_rows<Add, T, T, T>(add, {1, n, {y, x}, {}, {-1, -1}}, y, std::make_index_sequence<2>());
    }
}

}  // namespace detail

/// Adds dy to the positions of dx that slice() takes: its transpose.
template <class T>
void slice_add(const Tensor<T>& dy, Tensor<T>& dx, int axis, Index begin, Index step = 1) {
    if (dy.numel() == 0) return;
    Strides to(dx.shape());
    T* const out = dx.mutable_data() + begin * to[axis];
    to[axis] *= step;
    detail::for_rows(StridedBox(dy.shape(), Strides(dy.shape()), to), dy.data(), out, detail::add_row<T>);
}

/// `value` everywhere but for x, which begins at before[i] along axis i of the larger shape.
template <class T>
Tensor<T> pad(const Tensor<T>& x, const Shape& shape, std::span<const Index> before, T value) {
    if (x.shape() == shape) return x;
    Tensor<T> y = Tensor<T>::uninitialized(shape, "pad");
    gradus::detail::fill_copies(y.mutable_data(), shape.numel(), value);
    if (x.numel() == 0) return y;
    const Strides to(shape);
    T* out = y.mutable_data();
    for (int axis = 0; axis < shape.rank(); ++axis) out += before[static_cast<std::size_t>(axis)] * to[axis];
    copy_box(StridedBox(x.shape(), Strides(x.shape()), to), x.data(), out);
    return y;
}

/// The part of dy that pad() took from x: its transpose.
template <class T>
Tensor<T> crop(const Tensor<T>& dy, const Shape& shape, std::span<const Index> before) {
    if (dy.shape() == shape) return dy;
    Tensor<T> y = Tensor<T>::uninitialized(shape, "pad");
    if (y.numel() == 0) return y;
    const Strides from(dy.shape());
    const T* in = dy.data();
    for (int axis = 0; axis < shape.rank(); ++axis) in += before[static_cast<std::size_t>(axis)] * from[axis];
    copy_box(StridedBox(shape, from, Strides(shape)), in, y.mutable_data());
    return y;
}

/// Tensors one after another along an axis; their other sizes are equal, and there is at least one.
template <class T>
Tensor<T> concat(std::span<const Tensor<T>> xs, int axis) {
    if (xs.size() == 1) return xs[0];
    Index size = 0;
    for (const Tensor<T>& x : xs) size = gradus::detail::saturated_sum(size, x.size(axis));
    const Shape shape = xs[0].shape().with(axis, size);
    Tensor<T> y = Tensor<T>::uninitialized(shape, "concat");
    if (y.numel() == 0) return y;
    const Strides to(shape);
    T* out = y.mutable_data();
    for (const Tensor<T>& x : xs) {
        if (x.numel() == 0) continue;
        copy_box(StridedBox(x.shape(), Strides(x.shape()), to), x.data(), out);
        out += x.size(axis) * to[axis];
    }
    return y;
}

}  // namespace gradus::kernels
