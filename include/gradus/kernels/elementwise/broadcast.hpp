// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>

#include "gradus/core/shape.hpp"

// Which elements of the operands meet in an element-wise operation of broadcast shapes. The way back, the sum of
// a gradient over the axes that were repeated, is sum_to() of reduce/reduce.hpp.

namespace gradus::kernels {

/// The most operands of one map.
inline constexpr std::size_t max_operands = 8;

namespace detail {

/// How operands walk over a broadcast result: neighboring axes are merged as far as every operand allows.
struct BroadcastPlan {
    int rank = 0;
    std::size_t count;
    Index sizes[Shape::max_rank];  // innermost first
    Index strides[Shape::max_rank]
                 [max_operands];  // in elements, per axis and operand; 0 where an operand repeats

    BroadcastPlan(const Shape& result, const Shape* const* shapes, std::size_t operands) : count(operands) {
        Index step[max_operands];
        std::fill_n(step, count, Index{1});
        for (int axis = result.rank() - 1; axis >= 0; --axis) {
            const Index size = result[axis];
            if (size == 1) continue;
            Index stride[max_operands];
            bool merges = rank > 0;
            for (std::size_t k = 0; k < count; ++k) {
                const int own = axis - (result.rank() - shapes[k]->rank());
                const bool repeats = own < 0 || (*shapes[k])[own] == 1;
                stride[k] = repeats ? 0 : step[k];
                if (!repeats) step[k] *= size;
                if (rank > 0) merges = merges && stride[k] == strides[rank - 1][k] * sizes[rank - 1];
            }
            if (merges) {
                sizes[rank - 1] *= size;
            } else {
                sizes[rank] = size;
                std::copy_n(stride, count, strides[rank++]);
            }
        }
        if (rank == 0) {
            sizes[0] = 1;
            std::fill_n(strides[0], count, Index{0});
            rank = 1;
        }
    }

    /// Offset of each operand at the start of a row (a run along the innermost axis).
    void offsets(Index row, Index* result) const {
        std::fill_n(result, count, Index{0});
        for (int axis = 1; axis < rank; ++axis) {
            const Index position = row % sizes[axis];
            row /= sizes[axis];
            for (std::size_t k = 0; k < count; ++k) result[k] += position * strides[axis][k];
        }
    }
};

}  // namespace detail
}  // namespace gradus::kernels
