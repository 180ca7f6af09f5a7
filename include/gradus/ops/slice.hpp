// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <exception>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <vector>

#include "gradus/ops/layout.hpp"

// Parts of tensors, and tensors as parts of a larger one. Negative axes count from the end; ShapeError if
// there is no such axis.

namespace gradus {
namespace detail {

/// A position in [-size, size] as one in [0, size].
inline Index checked_position(const char* which, Index position, int axis, Index size) {
    if (position < -size || position > size)
        throw ValueError(std::string("slice: ") + which + " " + std::to_string(position) +
                         " is out of range for axis " + std::to_string(axis) + " of size " +
                         std::to_string(size));
    return position < 0 ? position + size : position;
}

/// Refuses at once what would fill the memory piece by piece: an axis may be long in an empty tensor.
template <class Pieces>
void reserve_pieces(Pieces& pieces, Index count) {
    constexpr Index most = Index{1} << 31;
    if (count > most)
        fail<ValueError>("split", "more than 2^31 pieces; is the size of a piece too small?", count);
    try {
        pieces.reserve(static_cast<std::size_t>(count));
    } catch (const std::exception&) {  // bad_alloc, length_error
        refuse<OutOfMemory>(
            {"split: out of memory for ", count, " pieces; is the size of a piece too small?"});
    }
}

template <class T>
Variable<T> slice_of(const char* name, const Variable<T>& x, int axis, Index begin, Index count, Index step) {
    return record(name, kernels::slice(x.value(), axis, begin, count, step),
                  wrt_add(x, [axis, begin, step](const Tensor<T>& dy, Tensor<T>& dx) {
                      kernels::slice_add(dy, dx, axis, begin, step);
                  }));
}

/// The values of the inputs, whose sizes must be equal along all axes but `axis` (-1: along all). The error
/// names the first input that differs.
template <class T>
std::vector<Tensor<T>> matching_values(const char* operation, const std::vector<Variable<T>>& inputs,
                                       int axis) {
    std::vector<Tensor<T>> values;
    for (const Variable<T>& input : inputs) {
        const Shape& first = inputs[0].shape();
        const Shape& shape = input.shape();
        bool fits = shape.rank() == first.rank();
        for (int i = 0; fits && i < shape.rank(); ++i) fits = i == axis || shape[i] == first[i];
        if (!fits)
            fail<ShapeError>(operation,
                             "input " + std::to_string(values.size()) + " differs from input 0" +
                                 (axis < 0 ? "" : " beside axis " + std::to_string(axis)),
                             first, shape);
        values.push_back(input.value());
    }
    return values;
}

}  // namespace detail

/// Positions begin, begin + step, ... before end along an axis: x[:, begin:end:step] of Python is slice(x, 1,
/// begin, end, step). Negative positions count from the end.
/// dx = dy there, 0 elsewhere
/// Throws ValueError if a position is out of range (Python would cut it to the range), if begin lies behind
/// end, or if the step is not positive.
template <class T>
Variable<T> slice(const Variable<T>& x, int axis, Index begin, Index end, Index step = 1) {
    axis = x.shape().normalize_axis("slice", axis);
    const Index size = x.size(axis);
    const Index first = detail::checked_position("begin", begin, axis, size);
    const Index last = detail::checked_position("end", end, axis, size);
    if (first > last) detail::fail<ValueError>("slice", "begin lies behind end", begin, end);
    if (step < 1)
        detail::fail<ValueError>("slice", "the step must be positive; flip() reverses an axis", step);
    const Index stride = std::min(step, std::max<Index>(size, 1));  // a longer step takes no more positions
    return detail::slice_of("slice", x, axis, first, (last - first + stride - 1) / stride, stride);
}

/// Pieces of `size` positions along an axis; the last may be smaller.
/// dx = each piece's dy in its place
/// Throws ValueError unless size is positive.
template <class T>
std::vector<Variable<T>> split(const Variable<T>& x, Index size, int axis = 0) {
    axis = x.shape().normalize_axis("split", axis);
    if (size < 1) detail::fail<ValueError>("split", "the size of a piece must be positive", size);
    const Index total = x.size(axis);
    std::vector<Variable<T>> pieces;
    detail::reserve_pieces(pieces, total / size + (total % size != 0));
    Index begin = 0;
    do {
        const Index count = std::min(size, total - begin);
        pieces.push_back(detail::slice_of("split", x, axis, begin, count, 1));
        begin += count;
    } while (begin < total);
    return pieces;
}

/// Pieces of these sizes. Throws ShapeError unless they are not negative and add up to the size of the axis.
template <class T>
std::vector<Variable<T>> split(const Variable<T>& x, const std::vector<Index>& sizes, int axis = 0) {
    axis = x.shape().normalize_axis("split", axis);
    std::vector<Variable<T>> pieces;
    Index begin = 0;
    bool fits = true;
    for (const Index size : sizes) {
        fits = fits && size >= 0 && size <= x.size(axis) - begin;
        if (fits) pieces.push_back(detail::slice_of("split", x, axis, begin, size, 1));
        begin += fits ? size : 0;
    }
    if (!fits || begin != x.size(axis))
        detail::fail<ShapeError>("split", "the pieces do not add up to axis " + std::to_string(axis),
                                 x.shape(), detail::Given<std::vector<Index>>{sizes});
    return pieces;
}
template <class T>
std::vector<Variable<T>> split(const Variable<T>& x, std::initializer_list<Index> sizes, int axis = 0) {
    return split(x, std::vector<Index>(sizes), axis);
}

/// The inputs one after another along an axis: [2, 3] and [4, 3] make [6, 3].
/// dx = its part of dy
/// Throws ShapeError if there is no input or sizes differ along another axis.
template <class T>
Variable<T> concat(const std::vector<Variable<T>>& inputs, int axis = 0) {
    check<ShapeError>(!inputs.empty(), "concat", "needs at least one input");
    axis = inputs[0].shape().normalize_axis("concat", axis);
    const std::vector<Tensor<T>> values = detail::matching_values("concat", inputs, axis);
    std::vector<Index> begins{0};
    for (const Tensor<T>& value : values)
        begins.push_back(detail::saturated_sum(begins.back(), value.size(axis)));
    return record("concat", kernels::concat<T>(values, axis),
                  wrt_each(inputs, [axis, begins](const Tensor<T>& dy, Index i) {
                      const Index* const begin = begins.data() + i;
                      return kernels::slice(dy, axis, begin[0], begin[1] - begin[0]);
                  }));
}
template <class T>
Variable<T> concat(std::initializer_list<Variable<T>> inputs, int axis = 0) {
    return concat(std::vector<Variable<T>>(inputs), axis);
}

/// The inputs along a new axis, which becomes axis `axis` of the result: three of [4, 5] make [3, 4, 5].
/// dx = its part of dy       Throws ShapeError if there is no input or shapes differ.
template <class T>
Variable<T> stack(const std::vector<Variable<T>>& inputs, int axis = 0) {
    check<ShapeError>(!inputs.empty(), "stack", "needs at least one input");
    const Shape& shape = inputs[0].shape();
    const Shape unsqueezed = detail::with_new_axis("stack", shape, axis, 1);
    axis = unsqueezed.normalize_axis("stack", axis);
    std::vector<Tensor<T>> values = detail::matching_values("stack", inputs, -1);
    for (Tensor<T>& value : values) value = value.reshape(unsqueezed);
    return record("stack", kernels::concat<T>(values, axis),
                  wrt_each(inputs, [axis, shape](const Tensor<T>& dy, Index i) {
                      return kernels::slice(dy, axis, i, 1).reshape(shape);
                  }));
}
template <class T>
Variable<T> stack(std::initializer_list<Variable<T>> inputs, int axis = 0) {
    return stack(std::vector<Variable<T>>(inputs), axis);
}

/// How many positions to put in front of an axis and behind it.
struct PadWidth {
    Index before = 0;
    Index after = 0;
};

/// x with `value` around it: pad(x, {{1, 1}, {2, 0}}) takes [..., 4, 4] to [..., 6, 6]. The widths are those
/// of the last axes, in the order of the axes (PyTorch counts from the last one).
/// dx = the part of dy that came from x
/// Throws ShapeError if there are more widths than axes, ValueError if one is negative.
template <class T>
Variable<T> pad(const Variable<T>& x, const std::vector<PadWidth>& widths,
                std::type_identity_t<T> value = T(0)) {
    const int first = x.rank() - static_cast<int>(widths.size());
    if (first < 0)
        throw ShapeError("pad: more widths than axes: got " + std::to_string(widths.size()) + " widths and " +
                         to_string(x.shape()));
    std::vector<Index> before;
    Shape shape;
    for (int axis = 0; axis < x.rank(); ++axis) {
        const PadWidth width = axis < first ? PadWidth{} : widths[static_cast<std::size_t>(axis - first)];
        if (width.before < 0 || width.after < 0)
            detail::fail<ValueError>("pad", "a width is negative; slice() cuts off", width.before,
                                     width.after);
        const Index size =
            detail::saturated_sum(x.size(axis), detail::saturated_sum(width.before, width.after));
        if (size == detail::saturated)
            detail::fail<ShapeError>("pad", "more elements than memory can address", width.before,
                                     width.after);
        before.push_back(width.before);
        shape.push_back(size, "pad");
    }
    return record("pad", kernels::pad<T>(x.value(), shape, before, value),
                  wrt(x, [from = x.shape(), before](const Tensor<T>& dy) {
                      return kernels::crop<T>(dy, from, before);
                  }));
}

}  // namespace gradus
