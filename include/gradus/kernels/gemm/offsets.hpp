// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/core/shape.hpp"

// Where the elements of an operand lie: those of a matrix, by two strides; those of an implicit operand, such
// as the pixels of images, as a sequence of offsets (the indirection buffer of Dukhan, "The indirect
// convolution algorithm", 2019).

namespace gradus::kernels {

/// A matrix operand as it lies in memory: element (i, j) is data[i * row + j * column]. Swapping the two
/// strides transposes it at no cost; packing absorbs the difference.
template <class T>
struct MatrixRef {
    const T* data;
    Index row, column;

    MatrixRef transposed() const { return {data, column, row}; }
    MatrixRef at(Index i, Index j) const { return {data + i * row + j * column, row, column}; }
};

namespace detail {

/// a / b rounded up, for a >= 0 and b > 0.
constexpr Index ceil_div(Index a, Index b) { return (a + b - 1) / b; }

/// Generates the offsets of pixels n, n + 1, ... of an array, in the order image of the batch, row, column.
struct OffsetGenerator {
    Index height, width;              // pixels of one image
    Index start, image, row, column;  // offset of the first pixel, and the distance to the next of each kind

    /// The offsets of pixels first, first + 1, ...
    void run(Index first, Index count, Index* offsets) const {
        Index x = first % width, y = first / width % height;
        Index at = start + first / width / height * image + y * row + x * column;
        for (Index i = 0; i < count; ++i) {
            offsets[i] = at;
            at += column;
            if (++x < width) continue;
            x = 0;
            at += row - width * column;
            if (++y < height) continue;
            y = 0;
            at += image - height * row;
        }
    }
    Index operator()(Index pixel) const {
        Index offset;
        run(pixel, 1, &offset);
        return offset;
    }
};

/// Offsets 0, step, 2 step, ...
inline OffsetGenerator linear_offsets(Index count, Index step) {
    return {1, std::max<Index>(1, count), 0, 0, 0, step};
}

}  // namespace detail
}  // namespace gradus::kernels
