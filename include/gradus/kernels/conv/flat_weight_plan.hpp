// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/kernels/conv/geometry.hpp"
#include "gradus/kernels/gemm/offsets.hpp"

namespace gradus::kernels::detail {

/// How images are cut into blocks of about 1024 positions whose planes stay in the second-level cache.
struct FlatWeightPlan {
    static constexpr Index positions = 1024, cached = 48 * 1024, parts_at_most = 16;

    Size2 reach, phases;
    Index columns, band, rows;  // of a row, result rows of a block, rows with what windows reach
    Index images, bands, blocks, parts;

    explicit FlatWeightPlan(const ConvGeometry& s)
        : reach((s.kernel.height - 1) * s.dilation.height, (s.kernel.width - 1) * s.dilation.width),
          phases(std::min(s.stride.height, reach.height + 1), std::min(s.stride.width, reach.width + 1)),
          columns(ceil_div(s.padded.width, s.stride.width)) {
        const Index below = reach.height / s.stride.height;
        const Index a_row = std::max<Index>(1, columns * (s.in * phases.area() + s.out));
        const Index fitting = std::min(std::max(std::min(s.result.height, below + 1),
                                                cached / a_row - below),  // at least what they reach
                                       std::max<Index>(1, positions / columns));
        bands = ceil_div(s.result.height, fitting);
        band = ceil_div(s.result.height, bands);
        bands = ceil_div(s.result.height, band);
        rows = band + below;
        images = 1;
        if (bands == 1)
            images = std::clamp<Index>(std::min(positions / (rows * columns), cached / (a_row * rows)), 1,
                                       std::max<Index>(1, s.batch / parts_at_most));
        blocks = ceil_div(s.batch, images) * bands;
        parts = std::clamp<Index>(parts_at_most / s.groups, 1, std::max<Index>(1, blocks));
    }
};

}  // namespace gradus::kernels::detail
