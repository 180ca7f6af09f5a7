// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/core/memory.hpp"
#include "gradus/core/parallel.hpp"
#include "gradus/core/tensor.hpp"

// Where the windows of a pooling lie. Pooling works on planes [height, width], one after the other: [batch,
// channels, height, width]. A result is made of a window of elements. Padding is no memory: every window knows
// which of its elements are input, and has at least one. Windows may be clipped at the edges, overlap or leave
// gaps. Planes are independent, and threads share them out.

namespace gradus::kernels {

/// Where the window of one result lies along one axis: element k is input start + k * dilation, for the k in
/// [first, last).
struct PoolWindow {
    Index start, first, last;
    Index extent;  // what an average divides by
};

/// One axis of a pooling. Windows begin and end in the order of the results.
struct PoolAxis {
    Index size;    // of the input
    Index kernel;  // elements of a window that is not clipped
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
inline constexpr Index lane_planes = 16;

/// Planes per block of parallel work.
inline Index planes_per_block(Index planes, Index plane_size) {
    const Index block = std::max<Index>(1, parallel_grain / std::max<Index>(plane_size, 1));
    return planes < 4 * lane_planes ? block : (block + lane_planes - 1) / lane_planes * lane_planes;
}

}  // namespace detail
}  // namespace gradus::kernels
