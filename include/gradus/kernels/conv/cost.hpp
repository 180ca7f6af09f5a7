// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/kernels/conv/flat_weight_plan.hpp"
#include "gradus/kernels/conv/geometry.hpp"
#include "gradus/kernels/conv/stride_phases.hpp"
#include "gradus/kernels/gemm/offsets.hpp"
#include "gradus/kernels/reduce/pairwise_sum.hpp"

// What the ways to compute a convolution directly cost: vector multiply-adds for one image of one group, those
// of lanes without a use included, and what else takes time, in the same unit. All of them multiply the same
// numbers; they differ in which lanes they waste.

namespace gradus::kernels::detail {

/// Lanes are channels, of two vectors in a tile. A tile of one loads nearly a number for each multiply-add,
/// which takes half as long again. Results are transposed and written in pieces.
inline double implicit_gemm_cost(Index pixels, Index channels, Index terms, Index lanes,
                                 double to_write = 16) {
    const Index vectors = ceil_div(channels, lanes);
    return static_cast<double>(pixels) *
           (static_cast<double>(vectors) + 0.5 * static_cast<double>(vectors % 2)) *
           (static_cast<double>(terms) + to_write);
}

/// Lanes are positions of a plane, `columns` of which are a row; channels are taken in fours. A tenth is for
/// vectors that begin anywhere, in planes of the second-level cache.
inline double flat_product_cost(Size2 pixels, Index columns, Index channels, Index terms, Index lanes) {
    constexpr double to_write = 3;
    const Index vectors = ceil_div((pixels.height - 1) * columns + pixels.width, lanes);
    return 1.1 * static_cast<double>(vectors * ceil_div(channels, Index{4}) * 4) *
           (static_cast<double>(terms) + to_write);
}

/// Of copying planes to the cache. Every other number takes shuffles, and rows end in parts of vectors.
inline double flat_copy_cost(Index numbers, Index stride, Index lanes) {
    return static_cast<double>(numbers) * (stride == 1 ? 2 : 4) / static_cast<double>(lanes);
}

/// The numbers of x that windows see: whole phases of the stride.
inline Index seen_numbers(const ConvGeometry& s) {
    const Index height = std::min(s.stride.height, (s.kernel.height - 1) * s.dilation.height + 1);
    const Index width = std::min(s.stride.width, (s.kernel.width - 1) * s.dilation.width + 1);
    return s.in * height * ceil_div(s.padded.height, s.stride.height) * width *
           ceil_div(s.padded.width, s.stride.width);
}

/// y by an implicit GEMM, which waits for some numbers of x, and reads images that are padded in memory.
inline double implicit_gemm_cost(const ConvGeometry& s, Index lanes) {
    const double to_read = s.padded == s.image ? 0.5 : 2.5;
    return implicit_gemm_cost(s.result.area(), s.out, s.taps(), lanes) +
           to_read * static_cast<double>(s.in * s.padded.area());
}

inline double flat_cost(const ConvGeometry& s, Index lanes) {
    return flat_product_cost(s.result, ceil_div(s.padded.width, s.stride.width), s.out, s.taps(), lanes) +
           flat_copy_cost(seen_numbers(s), s.stride.width, lanes);
}

/// The same for dx, a product for each phase of the stride.
struct InputGradientCosts {
    double implicit_gemm = 0, flat = 0, col2im;

    InputGradientCosts(const ConvGeometry& s, Index lanes) {
        constexpr double to_add = 14;  // short rows, to where their phase lies
        const double columns = static_cast<double>(s.taps() * s.result.area()) / static_cast<double>(lanes);
        col2im = columns * (static_cast<double>(s.out) + to_add);
        const GradientBorder beside(horizontal(s)), above(vertical(s));
        const Index width = beside.before + s.result.width + beside.after;
        flat = flat_copy_cost(s.out * (above.before + s.result.height + above.after) * width, 1, lanes);
        for (Index i = 0; i < s.stride.height; ++i)
            for (Index j = 0; j < s.stride.width; ++j) {
                const AxisPhase y(i, vertical(s)), x(j, horizontal(s));
                const Index terms = s.out * y.taps * x.taps;
                if (terms * y.count * x.count == 0) continue;
                implicit_gemm += implicit_gemm_cost(y.count * x.count, s.in, terms, lanes);
                flat += flat_product_cost({y.count, x.count}, width, s.in, terms, lanes);
            }
    }
};

/// The same for the gradient of the weight, which has tiles of 4 channels and `taps` in a flat product. An
/// implicit GEMM reads padded images, and what y has read may not be padded yet.
struct WeightGradientCosts {
    double implicit_gemm, flat;

    WeightGradientCosts(const ConvGeometry& s, Index lanes, Index taps, bool is_padded) {
        constexpr Index to_add_lanes = 5;
        constexpr double to_pack = 4;
        const FlatWeightPlan plan(s);
        const Index positions =
            ((plan.images - 1) * plan.rows + plan.band - 1) * plan.columns + s.result.width;
        const Index vectors = (ceil_div(positions, lanes) + to_add_lanes) * plan.bands;
        flat =
            static_cast<double>(vectors * ceil_div(s.out, Index{4}) * 4 * ceil_div(s.taps(), taps) * taps) /
                static_cast<double>(plan.images) +
            flat_copy_cost(s.in * s.padded.area(), s.stride.width, lanes) +
            flat_copy_cost(s.out * plan.bands * plan.rows * plan.columns, 1, lanes);
        implicit_gemm = implicit_gemm_cost(s.result.area(), s.out, s.taps(), lanes, to_pack);
        if (!is_padded) implicit_gemm += 2 * flat_copy_cost(s.in * s.padded.area(), 1, lanes);
    }
};

}  // namespace gradus::kernels::detail
