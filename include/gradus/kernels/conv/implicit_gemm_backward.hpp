// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>

#include "gradus/kernels/conv/implicit_gemm.hpp"
#include "gradus/kernels/conv/nchw_pack.hpp"
#include "gradus/kernels/conv/stride_phases.hpp"
#include "gradus/kernels/reduce/pairwise_sum.hpp"

// Both gradients of a convolution by implicit GEMM. For dx, rows are input pixels of one phase of the stride
// and k counts (output channel, tap); for dw, rows are taps and k counts output pixels, dy being packed.

namespace gradus::kernels::detail {

template <class T>
void implicit_gemm_backward_input(const ConvGeometry& s, const Tensor<T>& dy, const Tensor<T>& weight,
                                  T* dx) {
    const StridePhases<T> phases(s, dy);
    phases.fill_gaps(dx);
    const TileSizes tile = tile_sizes<T>();
    const Index panels = ceil_div(s.in, tile.columns), area = s.kernel.area();
    const Index width = panels * tile.columns;
    Tensor<T> memory = Tensor<T>::uninitialized({width * (s.out * area + 1)});
    T* const packed = memory.mutable_data();
    T* const no_bias = packed + width * s.out * area;
    std::fill_n(no_bias, width, T(0));
    for (Index g = 0; g < s.groups; ++g)
        phases.for_each([&](const AxisPhase& y, const AxisPhase& x) {
            const Index count = y.taps * x.taps, k = s.out * count;
            const Tensor<Index> taps = offset_table(phases.weight_offsets(y, x), count);
            const Tensor<Index> k_offsets = offset_table(phases.k_offsets(y, x), k);
            parallel_for(panels, 1, [&](Index begin, Index end) {
                for (Index p = begin; p < end; ++p)
                    for (Index o = 0; o < s.out; ++o)
                        for (Index j = 0; j < tile.columns; ++j) {
                            const Index c = p * tile.columns + j;
                            T* const to = packed + (p * k + o * count) * tile.columns + j;
                            const T* const from = weight.data() + ((g * s.out + o) * s.in + c) * area;
                            for (Index t = 0; t < count; ++t)
                                to[t * tile.columns] = c < s.in ? from[taps.data()[t]] : T(0);
                        }
            });
            ImplicitGemm<T>{.x = phases.padded.data(),
                            .row_offsets = phases.row_offsets(g, y, x),
                            .pixels = s.batch * y.count * x.count,
                            .k_offsets = k_offsets.data(),
                            .k = k,
                            .panels = packed,
                            .bias_panels = no_bias,
                            .channels = s.in,
                            .y = dx,
                            .out_offsets = phases.out_offsets(g, y, x),
                            .plane = s.image.area()}
                .run();
        });
}

/// How the product [taps, pixels] · [pixels, output channels] is cut: into strips of taps, groups of which
/// belong to one task, panels of output channels and, if these are few, parts of the pixels, whose sums are
/// added in order. A pass over pixels is a run of pairwise_sum.hpp.
struct ImplicitBackwardWeightPlan {
    static constexpr Index pixels_per_pass = run_terms;  // a panel of so many output gradients stays cached

    TileSizes tile;
    Index pixels, panels, strips, groups, passes, parts;
    Index part_size;  // numbers

    ImplicitBackwardWeightPlan(const ConvGeometry& s, const TileSizes& tile_of_isa) : tile(tile_of_isa) {
        pixels = s.batch * s.result.area();
        panels = ceil_div(s.out, tile.columns);
        strips = ceil_div(s.taps(), tile.rows);
        groups = ceil_div(strips, strips_per_task);
        passes = ceil_div(pixels, pixels_per_pass);
        parts = std::clamp<Index>(16 / (panels * groups), 1, std::max<Index>(1, passes));
        part_size = strips * tile.rows * panels * tile.columns;
    }
};

/// What belongs to one group of dweight.
template <class T>
class ImplicitBackwardWeight {
public:
    ImplicitBackwardWeight(const ConvGeometry& sizes, const T* padded, const T* dy, Index group)
        : s(sizes),
          plan(s, tile_sizes<T>()),
          padded_(padded),
          dy_(dy),
          group_(group),
          taps_(offset_table(tap_offsets(s), s.taps())),
          packed_(offset_table(linear_offsets(pixels_per_pass, plan.tile.columns), pixels_per_pass)) {}

    void run(T* dweight) const {
        const TileSizes& tile = plan.tile;
        Tensor<T> memory = Tensor<T>::uninitialized({plan.parts, plan.part_size});
        T* const sums = memory.mutable_data();
        const Index panels = plan.panels, groups = plan.groups, tasks = panels * groups * plan.parts;
        const Index work = plan.pixels * s.taps() * s.out / 8 / tasks;
        parallel_for(tasks, std::max<Index>(1, parallel_grain / std::max<Index>(1, work)),
                     [&](Index begin, Index end) {
                         for (Index task = begin; task < end; ++task)
                             run_task(task % panels, task / panels % groups, task / panels / groups, sums);
                     });
        for (Index o = 0; o < s.out; ++o)
            for (Index k = 0; k < s.taps(); ++k) {
                const T* const at =
                    sums + (o / tile.columns * plan.strips * tile.rows + k) * tile.columns + o % tile.columns;
                T sum = at[0];
                for (Index part = 1; part < plan.parts; ++part) sum += at[part * plan.part_size];
                dweight[o * s.taps() + k] = sum;
            }
    }

private:
    static constexpr Index pixels_per_pass = ImplicitBackwardWeightPlan::pixels_per_pass;

    void run_task(Index panel, Index strip_group, Index part, T* sums) const {
        const TileSizes& tile = plan.tile;
        T* const c = sums + part * plan.part_size + panel * plan.strips * tile.rows * tile.columns;
        const Index first_strip = strip_group * strips_per_task;
        const Index last_strip = std::min(plan.strips, first_strip + strips_per_task);
        Tensor<T> memory = Tensor<T>::uninitialized({pixels_per_pass * tile.columns});
        T* const packed = memory.mutable_data();
        const OffsetGenerator windows = window_offsets(s, group_);
        const std::array<T, static_cast<std::size_t>(max_tile_columns)> no_bias{};
        std::array<Index, static_cast<std::size_t>(pixels_per_pass)> k_offsets;
        const Index first_pass = plan.passes * part / plan.parts;
        const Index last_pass = plan.passes * (part + 1) / plan.parts;
        const Index top = first_strip * tile.rows * tile.columns;
        const Index size = last_strip * tile.rows * tile.columns - top;
        add_pieces(first_pass, last_pass, piece_runs, size, c + top, [&](Index first, Index last, T* to) {
            for (Index pass = first; pass < last; ++pass) {
                const Index pixel = pass * pixels_per_pass;
                const Index k = std::min(pixels_per_pass, plan.pixels - pixel);
                windows.run(pixel, k, k_offsets.data());
                pack(panel, pixel, k, packed);
                for (Index strip = first_strip; strip < last_strip; ++strip) {
                    Index rows[max_tile_rows];
                    const Index tap = strip * tile.rows, count = std::min(tile.rows, s.taps() - tap);
                    std::copy_n(taps_.data() + tap, count, rows);
                    std::fill(rows + count, rows + tile.rows, rows[count - 1]);
                    simd::run(
                        RowTile<T>{.product = {padded_, rows, k_offsets.data(), k, packed, no_bias.data()},
                                   .c = to + tap * tile.columns - top,
                                   .count = count,
                                   .columns = s.out - panel * tile.columns,
                                   .add = pass > first});
                }
            }
        });
    }

    /// Output gradients [pixels, a panel of channels].
    void pack(Index panel, Index pixel, Index count, T* out) const {
        const Index width = plan.tile.columns, area = s.result.area(),
                    channel = group_ * s.out + panel * width;
        for (Index done = 0; done < count;) {
            const Index image = (pixel + done) / area, at = (pixel + done) % area;
            const Index run = std::min(count - done, area - at);
            simd::run(PackChannels<T>{{area, std::min(width, s.out - panel * width), run, packed_.data()},
                                      dy_ + (image * s.groups * s.out + channel) * area + at,
                                      out + done * width});
            done += run;
        }
    }

    const ConvGeometry& s;
    const ImplicitBackwardWeightPlan plan;
    const T *padded_, *dy_;
    Index group_;
    Tensor<Index> taps_, packed_;  // offsets of taps, and of packed pixels
};

/// What belongs to group g of dweight; there are taps.
template <class T>
void implicit_gemm_backward_weight(const ConvGeometry& s, const Tensor<T>& padded, const Tensor<T>& dy,
                                   Index g, T* dweight) {
    ImplicitBackwardWeight<T>(s, padded.data(), dy.data(), g).run(dweight + g * s.out * s.taps());
}

template <class T>
void implicit_gemm_backward_weight(const ConvGeometry& s, const Tensor<T>& padded, const Tensor<T>& dy,
                                   T* dweight) {
    for (Index g = 0; g < s.groups; ++g) implicit_gemm_backward_weight(s, padded, dy, g, dweight);
}

}  // namespace gradus::kernels::detail
