// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "gradus/autograd/record.hpp"
#include "gradus/kernels/layout/permute.hpp"

// The same elements in another shape or order, or several times. What leaves their order in memory as it is
// shares the memory; the rest copies. Negative axes count from the end; ShapeError if there is no such axis.

namespace gradus {
namespace detail {

/// The shape with one axis more, which becomes axis `axis`; -1 puts it last.
inline Shape with_new_axis(const char* operation, const Shape& shape, int axis, Index size) {
    if (axis < -shape.rank() - 1 || axis > shape.rank())
        throw ShapeError(std::string(operation) + ": axis " + std::to_string(axis) +
                         " is out of range for shape " + to_string(shape) + " and one axis more");
    const int target = axis < 0 ? axis + shape.rank() + 1 : axis;
    Shape result(shape.begin(), shape.begin() + target);
    result.push_back(size, operation);
    for (int i = target; i < shape.rank(); ++i) result.push_back(shape[i], operation);
    return result;
}

/// The axes as numbers in [0, rank), each named once.
inline std::vector<int> checked_order(const Shape& shape, const std::vector<int>& axes) {
    const Given<std::vector<int>> given{axes};
    if (axes.size() != static_cast<std::size_t>(shape.rank()))
        fail<ShapeError>("permute", "needs every axis once", shape, given);
    std::vector<int> order;
    for (const int axis : axes) {
        const int wanted = shape.normalize_axis("permute", axis);
        if (std::find(order.begin(), order.end(), wanted) != order.end())
            fail<ShapeError>("permute", "an axis is named twice", shape, given);
        order.push_back(wanted);
    }
    return order;
}

/// The shape of x with an axis for each count, once it is certain that the counts are fit.
inline Shape repeated_shape(const Shape& shape, const std::vector<Index>& times) {
    const Given<std::vector<Index>> given{times};
    const int extra = static_cast<int>(times.size()) - shape.rank();
    if (extra < 0) fail<ShapeError>("repeat", "needs a count for every axis", shape, given);
    Shape result, repeated;
    for (const Index count : times) {
        if (count < 0) fail<ValueError>("repeat", "a count is negative", given);
        const Index size = result.rank() < extra ? 1 : shape[result.rank() - extra];
        const Index product = saturated_product(count, size);
        if (product == saturated)
            fail<ShapeError>("repeat", "more elements than memory can address", shape, given);
        repeated.push_back(product, "repeat");
        result.push_back(size);
    }
    return result;
}

}  // namespace detail

/// The same elements, in row-major order, in another shape; shares memory.
/// dx = dy in the shape of x
/// Throws ShapeError if the element counts differ.
template <class T>
Variable<T> reshape(const Variable<T>& x, const Shape& shape) {
    return record("reshape", x.value().reshape(shape),
                  wrt(x, [from = x.shape()](const Tensor<T>& dy) { return dy.reshape(from); }));
}

/// The same where one size may be -1: it becomes what the element count leaves. reshape(x, {2, -1}) takes
/// [4, 3] to [2, 6].
/// Throws ShapeError if a second size is -1, if nothing whole remains, or if -1 stands beside a size of 0.
template <class T>
Variable<T> reshape(const Variable<T>& x, std::initializer_list<Index> sizes) {
    return reshape(x, detail::inferred_shape(x.shape(), sizes));
}
template <class T, detail::ListOf<Index> Sizes>
Variable<T> reshape(const Variable<T>& x, const Sizes& sizes) {
    return reshape(x, detail::inferred_shape(x.shape(), sizes));
}

/// Joins all axes from start_axis on into one: [batch, 3, 4] becomes [batch, 12]. Like PyTorch's nn.Flatten
/// (not torch.flatten, which joins the batch, too, unless told). With start_axis 0 a single number makes [1].
/// Throws ShapeError if x has no such axis: a list of samples without features is none.
template <class T>
Variable<T> flatten(const Variable<T>& x, int start_axis = 1) {
    const Shape& shape = x.shape();
    const int first = shape.rank() == 0 && start_axis == 0 ? 0 : shape.normalize_axis("flatten", start_axis);
    Shape result(shape.begin(), shape.begin() + first);
    result.push_back(shape.span(first, shape.rank()));
    return reshape(x, result);
}

/// Takes away an axis of size 1.
/// dx = dy in the shape of x
/// Throws ShapeError if its size is not 1 (PyTorch then does nothing).
template <class T>
Variable<T> squeeze(const Variable<T>& x, int axis) {
    if (x.size(x.shape().normalize_axis("squeeze", axis)) != 1)
        throw ShapeError("squeeze: axis " + std::to_string(axis) + " has a size other than 1: got " +
                         to_string(x.shape()));
    return reshape(x, x.shape().without(axis));
}

/// Puts in an axis of size 1 so that it becomes axis `axis` of the result.       dx = dy in the shape of x
template <class T>
Variable<T> unsqueeze(const Variable<T>& x, int axis) {
    return reshape(x, detail::with_new_axis("unsqueeze", x.shape(), axis, 1));
}

/// Swaps two axes.       dx = dy with the same axes swapped
template <class T>
Variable<T> transpose(const Variable<T>& x, int axis_a, int axis_b) {
    const int a = x.shape().normalize_axis("transpose", axis_a);
    const int b = x.shape().normalize_axis("transpose", axis_b);
    return record("transpose", kernels::transpose(x.value(), a, b),
                  wrt(x, [a, b](const Tensor<T>& dy) { return kernels::transpose(dy, a, b); }));
}

/// Swaps the last two axes: xᵀ for a matrix, and for each of a batch of matrices.       dx = dyᵀ
/// Throws ShapeError if there are fewer than two axes.
template <class T>
Variable<T> transpose(const Variable<T>& x) {
    if (x.rank() < 2)
        detail::fail<ShapeError>("transpose", "needs a matrix or a batch of matrices", x.shape());
    return transpose(x, -2, -1);
}

/// Puts the axes in a new order: axis i of the result is axis axes[i] of x, so permute(x, {0, 2, 3, 1}) takes
/// [batch, channels, height, width] to [batch, height, width, channels].
/// dx = dy in the old order
/// Throws ShapeError unless every axis is named once.
template <class T>
Variable<T> permute(const Variable<T>& x, const std::vector<int>& axes) {
    const std::vector<int> order = detail::checked_order(x.shape(), axes);
    std::vector<int> inverse(order.size());
    for (std::size_t i = 0; i < order.size(); ++i)
        inverse[static_cast<std::size_t>(order[i])] = static_cast<int>(i);
    return record("permute", kernels::permute<T>(x.value(), order),
                  wrt(x, [inverse](const Tensor<T>& dy) { return kernels::permute<T>(dy, inverse); }));
}

/// Reverses the order along the axes named.
/// dx = dy, flipped back
/// Throws ShapeError if an axis is named twice.
template <class T>
Variable<T> flip(const Variable<T>& x, const std::vector<int>& axes) {
    kernels::AxisSet set = 0;
    for (const int axis : axes) {
        const kernels::AxisSet bit = 1u << x.shape().normalize_axis("flip", axis);
        if (set & bit)
            detail::fail<ShapeError>("flip", "an axis is named twice", x.shape(),
                                     detail::Given<std::vector<int>>{axes});
        set |= bit;
    }
    return record("flip", kernels::flip(x.value(), set),
                  wrt(x, [set](const Tensor<T>& dy) { return kernels::flip(dy, set); }));
}

/// x repeated along axes of size 1 and along new axes in front, as far as the shape asks for (PyTorch's
/// expand). Operations on two operands broadcast by themselves.
/// dx = dy summed over the repeats
/// Throws ShapeError if x does not stretch to the shape.
template <class T>
Variable<T> broadcast_to(const Variable<T>& x, const Shape& shape) {
    if (!kernels::sums_to(shape, x.shape()))
        detail::fail<ShapeError>("broadcast_to", "only axes of size 1 stretch, and new axes go in front",
                                 x.shape(), shape);
    return record("broadcast_to", kernels::broadcast_to(x.value(), shape),
                  wrt(x, [](const Tensor<T>& dy) { return dy; }));  // the engine sums it
}
/// The same where a size of -1 keeps that of x: broadcast_to(x, {4, -1}) takes [1, 3] to [4, 3].
template <class T>
Variable<T> broadcast_to(const Variable<T>& x, std::initializer_list<Index> sizes) {
    return broadcast_to(x, detail::expanded_shape(x.shape(), sizes));
}
template <class T, detail::ListOf<Index> Sizes>
Variable<T> broadcast_to(const Variable<T>& x, const Sizes& sizes) {
    return broadcast_to(x, detail::expanded_shape(x.shape(), sizes));
}

/// times[i] copies of x, one after another, along each axis: repeat(x, {1, 3}) takes [4, 2] to [4, 6]. If
/// there are more times than axes, new axes go in front. As in PyTorch; NumPy calls it tile.
/// dx = the sum over the copies of dy
/// Throws ShapeError if there are fewer times than axes or the result is too large, ValueError if one is
/// negative.
template <class T>
Variable<T> repeat(const Variable<T>& x, const std::vector<Index>& times) {
    const Shape shape = detail::repeated_shape(x.shape(), times);
    return record("repeat", kernels::repeat<T>(x.value().reshape(shape), times),
                  wrt(x, [times, shape, from = x.shape()](const Tensor<T>& dy) {
                      return kernels::sum_repeats<T>(dy, times, shape).reshape(from);
                  }));
}

}  // namespace gradus
