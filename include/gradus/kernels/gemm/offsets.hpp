// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/core/shape.hpp"

namespace gradus::kernels::detail {

/// Numbers the pixels (image of the batch, row, column) of an array and says where each lies.
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

}  // namespace gradus::kernels::detail
