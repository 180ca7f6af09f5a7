// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/core/tensor.hpp"
#include "gradus/kernels/layout/strided_copy.hpp"
#include "gradus/kernels/pool/geometry.hpp"

// Pooling by any windows, one plane per lane. Neighboring results have little in common, but neighboring planes
// have everything: the same windows. Some rows of 16 planes, a band, are transposed to [element][plane], pooled,
// and the results transposed back.

namespace gradus::kernels::detail {

/// Rows of results that are made together, and the rows of input that they need.
struct PoolBand {
    Index begin, end, top, bottom;

    /// From row `first` on: as many as stay in the second-level cache, at least one.
    PoolBand(const PoolPlan& plan, Index first) : begin(first), end(first), top(plan.rows.size), bottom(0) {
        constexpr Index most = 1024;  // elements and results of a plane
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

    Index elements(const PoolPlan& plan) const { return (bottom - top) * plan.columns.size; }
    Index results(const PoolPlan& plan) const { return (end - begin) * plan.columns.results(); }
};

/// The memory of one band, [element][plane].
template <class T>
struct PlaneLanesScratch {
    Tensor<T> elements, results, extra;  // `extra` is for the caller, as large as `results`

    explicit PlaneLanesScratch(const PoolPlan& plan) {
        Index most_elements = 0, most_results = 0;
        for (Index row = 0; row < plan.rows.results();) {
            const PoolBand band(plan, row);
            most_elements = std::max(most_elements, band.elements(plan));
            most_results = std::max(most_results, band.results(plan));
            row = band.end;
        }
        elements = zeros<T>({most_elements, lane_planes});  // lanes without a plane are pooled, too
        results = Tensor<T>::uninitialized({most_results, lane_planes});
        extra = Tensor<T>::uninitialized({most_results, lane_planes});
    }
};

/// Pools up to 16 planes from x to y: pool(band, elements, results, extra) for one band after the other.
template <class T, class Pool>
void pool_in_lanes(const PoolPlan& plan, Index planes, const T* x, T* y, PlaneLanesScratch<T>& memory,
                   const Pool& pool) {
    T *const elements = memory.elements.mutable_data(), *const results = memory.results.mutable_data();
    for (Index row = 0; row < plan.rows.results();) {
        const PoolBand band(plan, row);
        transpose_tile(band.elements(plan), planes, x + band.top * plan.columns.size, plan.input(), elements,
                       lane_planes);
        pool(band, elements, results, memory.extra.mutable_data());
        transpose_tile(planes, band.results(plan), results, lane_planes, y + row * plan.columns.results(),
                       plan.output());
        row = band.end;
    }
}

/// Calls visit(where planes hold the element, its index) for all elements of a window.
template <class T, class Visit>
GRADUS_INLINE void for_each_element(const PoolPlan& plan, const PoolBand& band, const PoolWindow& r,
                                    const PoolWindow& c, const T* elements, const Visit& visit) {
    const Index step = plan.columns.dilation * lane_planes;
    const Index row_step = plan.rows.dilation * plan.columns.size * lane_planes;
    const T* row = elements + ((r.start - band.top) * plan.columns.size + c.start) * lane_planes +
                   r.first * row_step + c.first * step;
    for (Index i = r.first; i < r.last; ++i, row += row_step) {
        const T* from = row;
        for (Index j = c.first; j < c.last; ++j, from += step) visit(from, i * plan.columns.kernel + j);
    }
}

}  // namespace gradus::kernels::detail
