// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "gradus/core/shape.hpp"

namespace gradus::io::detail {

/// Copies the elements of `width` bytes that lie `strides` elements apart along each axis, one after the other
/// in row-major order.
template <int Width>
void gather_elements(const unsigned char* in, const Shape& shape, const Index* strides, unsigned char* out) {
    const int last = shape.rank() - 1;
    const Index row = shape.begin()[last], step = strides[last] * Width;
    Index position[Shape::max_rank] = {};
    for (Index rows = shape.numel() / row; rows > 0; --rows) {
        const unsigned char* from = in;
        for (int axis = 0; axis < last; ++axis) from += position[axis] * strides[axis] * Width;
        if (step == Width)
            std::memcpy(out, from, static_cast<std::size_t>(row) * Width);
        else
            for (Index i = 0; i < row; ++i) std::memcpy(out + i * Width, from + i * step, Width);
        out += row * Width;
        for (int axis = last; axis-- > 0 && ++position[axis] == shape.begin()[axis];) position[axis] = 0;
    }
}

/// The same for a width that is known when the program runs: 1, 2, 4 or 8.
[[gnu::cold]] inline void gather(const void* in, int width, const Shape& shape, const Index* strides,
                                 void* out) {
    if (shape.numel() == 0) return;
    const auto* from = static_cast<const unsigned char*>(in);
    auto* to = static_cast<unsigned char*>(out);
    if (shape.rank() == 0)
        std::memcpy(to, from, static_cast<std::size_t>(width));
    else if (width == 1)
        gather_elements<1>(from, shape, strides, to);
    else if (width == 2)
        gather_elements<2>(from, shape, strides, to);
    else if (width == 4)
        gather_elements<4>(from, shape, strides, to);
    else
        gather_elements<8>(from, shape, strides, to);
}

/// The strides of row-major order, or of the order in which the first axis is the fastest (Fortran's).
[[gnu::cold]] inline void set_strides(const Shape& shape, bool first_fastest, Index* strides) {
    Index step = 1;
    for (int i = 0; i < shape.rank(); ++i) {
        const int axis = first_fastest ? i : shape.rank() - 1 - i;
        strides[axis] = step;
        step *= std::max<Index>(shape.begin()[axis], 1);
    }
}

}  // namespace gradus::io::detail
