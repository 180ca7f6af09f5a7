// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>

#include "gradus/kernels/conv/implicit_gemm.hpp"
#include "gradus/kernels/conv/nchw_pack.hpp"
#include "gradus/kernels/conv/stride_phases.hpp"
#include "gradus/kernels/reduce/pairwise_sum.hpp"

namespace gradus::kernels::detail {

template <class T>
void implicit_gemm_backward_input(const ConvGeometry& s, const Tensor<T>& dy, const Tensor<T>& weight,
                                  T* dx) {
    const StridePhases<T> phases(s, dy);
    phases.fill_gaps(dx);
    const TileSizes tile = tile_sizes<T>();
    const Index panels = (s.in + tile.columns - 1) / tile.columns, area = s.kernel.area();
    const Index width = panels * tile.columns;
    Tensor<T> memory = Tensor<T>::uninitialized({width * (s.out * area + 1)});
    T* const packed = memory.mutable_data();
    T* const no_bias = packed + width * s.out * area;
    std::fill_n(no_bias, width, T(0));
    for (Index g = 0; g < s.groups; ++g)
        phases.for_each([&](const AxisPhase& y, const AxisPhase& x) {
            const Index count = y.taps * x.taps, depth = s.out * count;
            Tensor<Index> table = Tensor<Index>::uninitialized({count + depth});
            Index *const taps = table.mutable_data(), *const k_offsets = taps + count;
            phases.weights(y, x).run(0, count, taps);
            phases.k_offsets(y, x).run(0, depth, k_offsets);
            parallel_for(panels, 1, [&](Index begin, Index end) {
                for (Index p = begin; p < end; ++p)
                    for (Index o = 0; o < s.out; ++o)
                        for (Index j = 0; j < tile.columns; ++j) {
                            const Index c = p * tile.columns + j;
                            T* const to = packed + (p * depth + o * count) * tile.columns + j;
                            const T* const from = weight.data() + ((g * s.out + o) * s.in + c) * area;
                            for (Index t = 0; t < count; ++t)
                                to[t * tile.columns] = c < s.in ? from[taps[t]] : T(0);
                        }
            });
            ImplicitGemm<T>{phases.padded.data(),
                            phases.from(g, y, x),
                            s.batch * y.count * x.count,
                            k_offsets,
                            depth,
                            packed,
                            no_bias,
                            s.in,
                            dx,
                            phases.to(g, y, x),
                            s.image.area()}
                .run();
        });
}

/// dweight as [taps, out] in panels: the work is split into blocks of taps, panels of output channels and, if
/// these are few, parts of the pixels, whose sums are added in order. A pass over pixels is a run of
/// long_sums.hpp.
template <class T>
struct WeightGradient {
    static constexpr Index pixels_per_pass =
        run_terms;  // a panel of so many output gradients stays in the cache

    const ConvGeometry& s;
    const T* padded;
    const T* dy;
    Index group;
    const Index* taps;  // offsets
    TileSizes tile = tile_sizes<T>();
    Index pixels = s.batch * s.result.area();
    Index panels = (s.out + tile.columns - 1) / tile.columns;
    Index strips = (s.taps() + tile.rows - 1) / tile.rows;
    Index groups = (strips + strips_per_task - 1) / strips_per_task;
    Index passes = (pixels + pixels_per_pass - 1) / pixels_per_pass;
    Index parts = std::clamp<Index>(16 / (panels * groups), 1, std::max<Index>(1, passes));
    Index part_size = strips * tile.rows * panels * tile.columns;

    void run(T* dweight) const {
        Tensor<T> memory = Tensor<T>::uninitialized({parts, part_size});
        T* const sums = memory.mutable_data();
        const Index work = pixels * s.taps() * s.out / 8 / (panels * groups * parts);
        parallel_for(panels * groups * parts, std::max<Index>(1, parallel_grain / std::max<Index>(1, work)),
                     [&](Index begin, Index end) {
                         for (Index task = begin; task < end; ++task)
                             run_task(task % panels, task / panels % groups, task / panels / groups, sums);
                     });
        for (Index o = 0; o < s.out; ++o)
            for (Index k = 0; k < s.taps(); ++k) {
                const T* const at =
                    sums + (o / tile.columns * strips * tile.rows + k) * tile.columns + o % tile.columns;
                T sum = at[0];
                for (Index part = 1; part < parts; ++part) sum += at[part * part_size];
                dweight[o * s.taps() + k] = sum;
            }
    }

    void run_task(Index panel, Index group_of_strips, Index part, T* sums) const {
        T* const c = sums + part * part_size + panel * strips * tile.rows * tile.columns;
        const Index first_strip = group_of_strips * strips_per_task;
        const Index last_strip = std::min(strips, first_strip + strips_per_task);
        Tensor<T> memory = Tensor<T>::uninitialized({pixels_per_pass * tile.columns});
        T* const packed = memory.mutable_data();
        const OffsetGenerator from = window_offsets(s, group);
        const std::array<T, static_cast<std::size_t>(max_tile_columns)> nothing{};
        std::array<Index, static_cast<std::size_t>(pixels_per_pass)> k_offsets;
        const Index first_pass = passes * part / parts, last_pass = passes * (part + 1) / parts;
        const Index top = first_strip * tile.rows * tile.columns;
        const Index size = last_strip * tile.rows * tile.columns - top;
        add_pieces(first_pass, last_pass, piece_runs, size, c + top, [&](Index first, Index last, T* to) {
            for (Index pass = first; pass < last; ++pass) {
                const Index pixel = pass * pixels_per_pass, depth = std::min(pixels_per_pass, pixels - pixel);
                from.run(pixel, depth, k_offsets.data());
                pack(panel, pixel, depth, packed);
                for (Index strip = first_strip; strip < last_strip; ++strip) {
                    Index rows[max_tile_rows];
                    const Index k = strip * tile.rows, count = std::min(tile.rows, s.taps() - k);
                    std::copy_n(taps + k, count, rows);
                    std::fill(rows + count, rows + tile.rows, rows[count - 1]);
                    RowTileArgs<T> args;
                    args.x = padded;
                    args.rows = rows;
                    args.k_offsets = k_offsets.data();
                    args.depth = depth;
                    args.b = packed;
                    args.c = to + k * tile.columns - top;
                    args.start = nothing.data();
                    args.add = pass > first;
                    args.count = count;
                    args.columns = s.out - panel * tile.columns;
                    simd::run<RowTile<T>>(&args);
                }
            }
        });
    }

    /// Output gradients [pixels, a panel of channels].
    void pack(Index panel, Index pixel, Index count, T* out) const {
        const Index area = s.result.area(), channel = group * s.out + panel * tile.columns;
        const Index width = std::min(tile.columns, s.out - panel * tile.columns);
        for (Index done = 0; done < count;) {
            const Index image = (pixel + done) / area, at = (pixel + done) % area;
            const Index run = std::min(count - done, area - at);
            simd::run<PackPixels<T>>(dy + (image * s.groups * s.out + channel) * area + at, area, run, width,
                                     out + done * tile.columns);
            done += run;
        }
    }
};

/// What belongs to group g of dweight.
template <class T>
void implicit_gemm_backward_weight(const ConvGeometry& s, const Tensor<T>& padded, const Tensor<T>& dy,
                                   Index g, T* dweight) {
    const Tensor<Index> taps = tap_offsets(s);
    WeightGradient<T>{s, padded.data(), dy.data(), g, taps.data()}.run(dweight + g * s.out * s.taps());
}

template <class T>
void implicit_gemm_backward_weight(const ConvGeometry& s, const Tensor<T>& padded, const Tensor<T>& dy,
                                   T* dweight) {
    for (Index g = 0; g < s.groups; ++g) implicit_gemm_backward_weight(s, padded, dy, g, dweight);
}

}  // namespace gradus::kernels::detail
