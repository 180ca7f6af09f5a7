// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>

#include "gradus/kernels/conv/winograd.hpp"
#include "gradus/kernels/reduce/pairwise_sum.hpp"

// The gradient of the weight by Winograd's filtering, dg = Gᵀ [Σ (A dy Aᵀ) . (Bᵀ d B)] G: at each point, the
// sum over all tiles is a matrix product of input and output channels.

namespace gradus::kernels::detail::winograd {

struct WinogradBackwardWeightPlan {
    static constexpr Index pass_tiles = 128;  // whose values stay in the cache
    static constexpr Index most_passes = 16;  // of a piece of pairwise_sum.hpp: at most 64 of our short runs

    Index taps, side, points;  // of a filter; points along one axis, and of a tile
    Size2 grid;                // tiles of an image
    Index panel;               // channels
    Index part, parts;         // input channels of a task
    TileBlocks passes;
    Index v_tile, v_point, m_point, sum_point;
    bool single;  // pass: sums need not be kept

    /// `kernel`: taps along one axis, 3 or 5. `gap`: room between matrices.
    WinogradBackwardWeightPlan(Index kernel, Index batch, const Size2& tiles, Index width, Index in,
                               Index out_panels, Index gap)
        : taps(kernel * kernel),
          side(kernel + 3),
          points(side * side),
          grid(tiles),
          panel(width),
          part(in * out_panels <= 64 ? 16 : 32),
          parts(ceil_div(in, part)),
          passes({0, batch, 0, grid.height}, grid.width, pass_tiles) {
        const Index most = passes.images * passes.rows * grid.width;  // tiles
        v_tile = round_up(in, panel) + gap;
        v_point = most * v_tile + gap;
        m_point = most * panel + gap;
        sum_point = part * panel + gap;
        single = passes.count() == 1;
    }
};

/// The gradient of the weight [out, in, Taps, Taps].
template <class T, std::size_t Taps>
class WinogradBackwardWeight : WinogradBackwardWeightPlan {
public:
    WinogradBackwardWeight(const InputTiles<T, InputTransform<Taps>>& x_tiles,
                           const InputTiles<T, OutputAdjoint<Taps>>& dy_tiles, Index batch, T* to)
        : WinogradBackwardWeightPlan(static_cast<Index>(Taps), batch, x_tiles.grid, x_tiles.panel,
                                     x_tiles.channels, dy_tiles.panels(), gap<T>),
          x(x_tiles),
          dy(dy_tiles),
          dweight(to),
          packed_weights(pixel_offsets(1, part * taps, 0, panel)) {}

    void run() const {
        const Index tasks = parts * dy.panels(), count = passes.count();
        Tensor<T> memory = Tensor<T>::uninitialized({points * v_point + dy.panels() * points * m_point});
        Tensor<T> sum_memory = Tensor<T>::uninitialized({single ? 0 : tasks * points * sum_point});
        T *const v = memory.mutable_data(), *const m = v + points * v_point;
        const bool pieces = count > most_passes;
        add_pieces(Index{0}, count, most_passes, sum_memory.numel(), sum_memory.mutable_data(),
                   [&](Index first, Index last, T* sums) {
                       for (Index i = first; i < last; ++i) {
                           const TileRows pass = passes[i];
                           transform_images(pass, v, m);
                           parallel_for(tasks, 1, [&](Index begin, Index end) {
                               for (Index task = begin; task < end; ++task)
                                   run_task(task / parts, task % parts, i == first, !pieces && i + 1 == count,
                                            pass.images * pass.rows * grid.width, v, m,
                                            single ? nullptr : sums + task * points * sum_point);
                           });
                       }
                   });
        if (pieces) write_all(tasks, sum_memory.data());
    }

private:
    void write_all(Index tasks, const T* sums) const {
        parallel_for(tasks, 1, [&](Index begin, Index end) {
            Tensor<T> memory = Tensor<T>::uninitialized({part * taps * panel});
            for (Index task = begin; task < end; ++task)
                write(task / parts, task % parts, sums + task * points * sum_point, memory.mutable_data());
        });
    }

    void transform_images(const TileRows& pass, T* v, T* m) const {
        const TileBlocks pieces{pass, grid.width, pass_tiles / 4};
        const Index panels = x.panels() + dy.panels();
        parallel_for(pieces.count() * panels, 1, [&](Index begin, Index end) {
            for (Index task = begin; task < end; ++task) {
                const Index p = task % panels, q = p - x.panels();
                const TileRows piece = pieces[task / panels];
                const Index tile = tiles_before(pass, piece, grid.width);
                Tensor<T> band = Tensor<T>::uninitialized({std::max(x.band_size, dy.band_size)});
                if (q < 0) {
                    x.learn_range(p, piece);
                    x.run(p, piece, {v + tile * v_tile + p * panel, v_point, v_tile}, band.mutable_data());
                } else {
                    dy.learn_range(q, piece);
                    dy.run(q, piece, {m + q * points * m_point + tile * panel, m_point, panel},
                           band.mutable_data());
                }
            }
        });
    }

    /// Adds the products of a pass for panel p of output channels and part q of input channels.
    void run_task(Index p, Index q, bool first, bool last, Index tiles, const T* v, const T* m,
                  T* sums) const {
        Tensor<T> memory =
            Tensor<T>::uninitialized({(sums ? 0 : points * sum_point) + (last ? part * taps * panel : 0)});
        T* const sum = sums ? sums : memory.mutable_data();
        const Index count = std::min(part, x.channels - q * part);
        simd::run(PointProducts<T>{.points = points,
                                   .a = v + q * part,
                                   .a_point = v_point,
                                   .a_row = 1,
                                   .a_column = v_tile,
                                   .b = m + p * points * m_point,
                                   .b_point = m_point,
                                   .c = sum,
                                   .c_point = sum_point,
                                   .rows = round_up(count, 4),
                                   .k = tiles,
                                   .vectors = vecs_of(dy.channels - p * panel, panel),
                                   .first = first});
        if (last) write(p, q, sum, memory.mutable_data() + (sums ? 0 : points * sum_point));
    }

    void write(Index p, Index q, const T* sum, T* pixels) const {
        constexpr Index n = static_cast<Index>(Taps);
        const Index count = std::min(part, x.channels - q * part);
        const Index vectors = vecs_of(dy.channels - p * panel, panel);
        transform<WeightAdjoint<Taps>, T>({sum, side * sum_point, sum_point, panel},
                                          {pixels, n * panel, panel, taps * panel}, count, vectors);
        const PackedPixels to{x.channels * taps, std::min(panel, dy.channels - p * panel), count * taps,
                              packed_weights.data()};
        simd::run(UnpackChannels<T>{to, pixels, dweight + (p * panel * x.channels + q * part) * taps});
    }

    const InputTiles<T, InputTransform<Taps>>& x;
    const InputTiles<T, OutputAdjoint<Taps>>& dy;
    T* const dweight;
    const gradus::detail::RecycledVector<Index> packed_weights;  // offsets
};

/// dweight; there must be images. Those of groups that are marked are not accurate.
template <class T>
Marks backward_weight(const ConvGeometry& s, const T* padded,
                      const PooledImages<const T, const std::uint8_t>& dy, T* dweight) {
    Marks marks(static_cast<std::size_t>(s.groups));
    for_groups<T>(s, [&](auto taps, Index g) {
        const Size2 grid = tiles_of(s.result);
        const PooledImages<const T, const std::uint8_t> x{padded + g * s.in * s.padded.area()};
        const auto gradients = group_at(dy, g * s.out * s.result.area());
        Ranges<T> x_ranges = ranges_of(x, s.batch, s.in, s.padded);
        Ranges<T> dy_ranges = ranges_of(gradients, s.batch, s.out, s.result);
        const InputTiles<T, InputTransform<taps()>> x_tiles(x, s.in, s.groups * s.in, s.padded, grid,
                                                            x_ranges);
        const InputTiles<T, OutputAdjoint<taps()>> dy_tiles(gradients, s.out, s.groups * s.out, s.result,
                                                            grid, dy_ranges);
        WinogradBackwardWeight<T, taps()>(x_tiles, dy_tiles, s.batch, dweight + g * s.out * s.taps()).run();
        Marks images(static_cast<std::size_t>(s.batch));
        x_ranges.mark(s.kernel.height, 0, 0, images.data(), 1);
        ConvGeometry group = s;
        group.groups = 1;
        mark_gradients(group, gradients, dy_ranges, 0, images);
        for (const unsigned char image : images) marks[static_cast<std::size_t>(g)] |= image;
    });
    return marks;
}

}  // namespace gradus::kernels::detail::winograd
