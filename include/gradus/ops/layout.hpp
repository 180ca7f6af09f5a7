// SPDX-License-Identifier: MIT
#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "gradus/autograd/record.hpp"
#include "gradus/kernels/layout.hpp"

// The same elements in another shape or order. Reshaping shares memory; the rest copies where the order in memory
// changes. Negative axes count from the end; ShapeError if there is no such axis.

namespace gradus {
namespace detail {

/// Numbers as the caller wrote them, for a message: "[2, -1]".
template <class Numbers>
struct Given {
    const Numbers& numbers;

    friend std::string to_string(const Given& given) {
        std::string text = "[";
        for (const auto& number : given.numbers) text += (text.size() > 1 ? ", " : "") + std::to_string(number);
        return text + "]";
    }
};

inline Shape inferred_shape(const Shape& shape, std::initializer_list<Index> sizes) {
    const Given<std::initializer_list<Index>> wanted{sizes};
    Shape known;
    int unknown = 0;
    for (const Index size : sizes) {
        if (size < -1) fail<ShapeError>("reshape", "a size is negative (only -1 has a meaning)", shape, wanted);
        if (size == -1) ++unknown;
        known.push_back(size == -1 ? 1 : size);
    }
    if (unknown == 0) return known;
    if (unknown > 1) fail<ShapeError>("reshape", "only one size can be -1", shape, wanted);
    if (known.numel() == 0) fail<ShapeError>("reshape", "-1 beside a size of 0 could be any size", shape, wanted);
    if (shape.numel() % known.numel() != 0)
        fail<ShapeError>("reshape", "the element count is no multiple of the sizes beside -1", shape, wanted);
    Shape result;
    for (const Index size : sizes) result.push_back(size == -1 ? shape.numel() / known.numel() : size);
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

}  // namespace detail

/// The same elements, in row-major order, in another shape; shares memory.       dx = dy in the shape of x
/// Throws ShapeError if the element counts differ.
template <class T>
Variable<T> reshape(const Variable<T>& x, const Shape& shape) {
    return record("reshape", x.value().reshape(shape),
                  wrt(x, [from = x.shape()](const Tensor<T>& dy) { return dy.reshape(from); }));
}

/// The same where one size may be -1: it becomes what the element count leaves. reshape(x, {2, -1}) of [4, 3] is [2, 6].
/// Throws ShapeError if a second size is -1, if nothing whole remains, or if -1 stands beside a size of 0.
template <class T>
Variable<T> reshape(const Variable<T>& x, std::initializer_list<Index> sizes) {
    return reshape(x, detail::inferred_shape(x.shape(), sizes));
}

/// Joins all axes from start_axis on into one: [batch, 3, 4] becomes [batch, 12]. Like PyTorch's nn.Flatten (not
/// torch.flatten, which joins the batch, too, unless told). With start_axis 0 a single number becomes [1].
template <class T>
Variable<T> flatten(const Variable<T>& x, int start_axis = 1) {
    const Shape& shape = x.shape();
    const int first = shape.rank() == 0 && start_axis == 0 ? 0 : shape.normalize_axis("flatten", start_axis);
    Shape result(shape.begin(), shape.begin() + first);
    result.push_back(shape.span(first, shape.rank()));
    return reshape(x, result);
}

/// Swaps two axes.       dx = dy with the same axes swapped
template <class T>
Variable<T> transpose(const Variable<T>& x, int axis_a, int axis_b) {
    const int a = x.shape().normalize_axis("transpose", axis_a), b = x.shape().normalize_axis("transpose", axis_b);
    return record("transpose", kernels::transpose(x.value(), a, b),
                  wrt(x, [a, b](const Tensor<T>& dy) { return kernels::transpose(dy, a, b); }));
}

/// Swaps the last two axes: xᵀ for a matrix, and for each of a batch of matrices.       dx = dyᵀ
/// Throws ShapeError if there are fewer than two axes.
template <class T>
Variable<T> transpose(const Variable<T>& x) {
    if (x.rank() < 2) detail::fail<ShapeError>("transpose", "needs a matrix or a batch of matrices", x.shape());
    return transpose(x, -2, -1);
}

/// Puts the axes in a new order: axis i of the result is axis axes[i] of x, so permute(x, {0, 2, 3, 1}) takes
/// [batch, channels, height, width] to [batch, height, width, channels].       dx = dy in the old order
/// Throws ShapeError unless every axis is named once.
template <class T>
Variable<T> permute(const Variable<T>& x, const std::vector<int>& axes) {
    const std::vector<int> order = detail::checked_order(x.shape(), axes);
    std::vector<int> inverse(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) inverse[static_cast<std::size_t>(order[i])] = static_cast<int>(i);
    return record("permute", kernels::permute<T>(x.value(), order), wrt(x, [inverse](const Tensor<T>& dy) {
                      return kernels::permute<T>(dy, inverse);
                  }));
}

}  // namespace gradus
