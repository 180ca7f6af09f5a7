// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/core/memory.hpp"
#include "gradus/core/parallel.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/kernels/layout/strided_copy.hpp"

// What max and average pooling share. They work on planes [height, width], one after the other: [batch,
// channels, height, width]. A result is made of a window of cells. Padding is no memory: every window knows
// which of its cells are input, and has at least one. Planes are independent, and threads share them out.
//
// Windows are cut off at the edges, overlap and lie apart as they like, so neighboring results have little
// in common. Neighboring planes have everything: the same windows. Some rows of 16 planes are transposed to
// [cell][plane], pooled with one plane per lane, and the results transposed back.

namespace gradus::kernels {

/// Where the window of one result lies along one axis: cell k is input start + k * dilation, for the k in
/// [first, last).
struct PoolWindow {
    Index start, first, last;
    Index extent;  // what an average divides by
};

/// One axis of a pooling. Windows begin and end in the order of the results.
struct PoolAxis {
    Index size;    // of the input
    Index kernel;  // cells of a window that is not cut off
    Index stride;
    Index dilation;
    gradus::detail::RecycledVector<PoolWindow> windows;

    Index results() const { return static_cast<Index>(windows.size()); }
};

struct PoolPlan {
    PoolAxis rows, columns;

    Index input() const { return rows.size * columns.size; }
    Index output() const { return rows.results() * columns.results(); }
};

namespace detail {

/// Planes that are pooled together.
inline constexpr Index pool_group = 16;

/// Planes per block of parallel work.
inline Index pool_block(Index planes, Index plane_size) {
    const Index block = std::max<Index>(1, parallel_grain / std::max<Index>(plane_size, 1));
    return planes < 4 * pool_group ? block : (block + pool_group - 1) / pool_group * pool_group;
}

/// Rows of results that are made together, and the rows of input that they need.
struct PoolBand {
    Index begin, end, top, bottom;

    /// From row `first` on: as many as stay in the second-level cache, at least one.
    PoolBand(const PoolPlan& plan, Index first) : begin(first), end(first), top(plan.rows.size), bottom(0) {
        constexpr Index most = 1024;  // cells and results of a plane
        for (; end < plan.rows.results(); ++end) {
            const PoolWindow& w = plan.rows.windows.data()[end];
            const Index low = std::min(top, w.start + w.first * plan.rows.dilation);
            const Index high = std::max(bottom, w.start + (w.last - 1) * plan.rows.dilation + 1);
            const Index size =
                std::max((high - low) * plan.columns.size, (end + 1 - begin) * plan.columns.results());
            if (end > begin && size > most) break;
            top = low;
            bottom = high;
        }
    }

    Index cells(const PoolPlan& plan) const { return (bottom - top) * plan.columns.size; }
    Index results(const PoolPlan& plan) const { return (end - begin) * plan.columns.results(); }
};

/// The memory of one band, [cell][plane].
template <class T>
struct PoolMemory {
    Tensor<T> cells, results, extra;  // `extra` is for the caller, as large as `results`

    explicit PoolMemory(const PoolPlan& plan) {
        Index most_cells = 0, most_results = 0;
        for (Index row = 0; row < plan.rows.results();) {
            const PoolBand band(plan, row);
            most_cells = std::max(most_cells, band.cells(plan));
            most_results = std::max(most_results, band.results(plan));
            row = band.end;
        }
        cells = zeros<T>({most_cells, pool_group});  // lanes without a plane are pooled, too
        results = Tensor<T>::uninitialized({most_results, pool_group});
        extra = Tensor<T>::uninitialized({most_results, pool_group});
    }
};

/// Pools up to 16 planes from x to y: pool(band, cells, results, extra) for one band after the other.
template <class T, class Pool>
void pool_planes(const PoolPlan& plan, Index planes, const T* x, T* y, PoolMemory<T>& memory,
                 const Pool& pool) {
    T *const cells = memory.cells.mutable_data(), *const results = memory.results.mutable_data();
    for (Index row = 0; row < plan.rows.results();) {
        const PoolBand band(plan, row);
        transpose_tile(band.cells(plan), planes, x + band.top * plan.columns.size, plan.input(), cells,
                       pool_group);
        pool(band, cells, results, memory.extra.mutable_data());
        transpose_tile(planes, band.results(plan), results, pool_group, y + row * plan.columns.results(),
                       plan.output());
        row = band.end;
    }
}

/// Calls cell(pack of planes, number of the cell) for all cells of a window.
template <class Vec, class T, class Cell>
GRADUS_INLINE void for_each_cell(const PoolPlan& plan, const PoolBand& band, const PoolWindow& r,
                                 const PoolWindow& c, const T* cells, const Cell& cell) {
    const Index step = plan.columns.dilation * pool_group;
    const Index row_step = plan.rows.dilation * plan.columns.size * pool_group;
    const T* row = cells + ((r.start - band.top) * plan.columns.size + c.start) * pool_group +
                   r.first * row_step + c.first * step;
    for (Index i = r.first; i < r.last; ++i, row += row_step) {
        const T* from = row;
        for (Index j = c.first; j < c.last; ++j, from += step)
            cell(Vec::load(from), i * plan.columns.kernel + j);
    }
}

}  // namespace detail
}  // namespace gradus::kernels
