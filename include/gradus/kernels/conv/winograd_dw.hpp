// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>

#include "gradus/kernels/conv/winograd.hpp"
#include "gradus/kernels/reduce/pairwise_sum.hpp"

// The gradient of the weight by Winograd's filtering, dg = Gᵀ [Σ (A dy Aᵀ) . (Bᵀ d B)] G: at each point, the
// sum over all tiles is a matrix product of input and output channels.

namespace gradus::kernels::detail::winograd {

/// The gradient of the weight [out, in, Taps, Taps].
template <class T, std::size_t Taps>
struct WeightGradient {
    static constexpr Index side = static_cast<Index>(InterpolationPoints<Taps>::count), points = side * side;
    static constexpr Index taps = static_cast<Index>(Taps * Taps);
    static constexpr Index pass_tiles = 128;  // whose values stay in the cache
    static constexpr Index most_passes = 16;  // of a piece of long_sums.hpp: at most 64 of our short runs

    const InputTiles<T, InputTransform<Taps>>& x;
    const InputTiles<T, OutputAdjoint<Taps>>& dy;
    Index batch;
    T* dweight;

    Size2 grid = x.grid;
    Index panel = x.panel;
    Index part = x.channels * dy.panels() <= 64 ? 16 : 32;  // input channels of a task
    Index parts = ceil_div(x.channels, part);
    TileBlocks passes{{0, batch, 0, grid.height}, grid.width, pass_tiles};
    Index most = passes.images * passes.rows * grid.width;  // tiles
    Index v_tile = round_up(x.channels, panel) + gap<T>;
    Index v_point = most * v_tile + gap<T>;
    Index m_point = most * panel + gap<T>;
    Index sum_point = part * panel + gap<T>;
    bool single = passes.count() == 1;
    gradus::detail::RecycledVector<Index> weight_at = pixel_offsets(1, part* taps, 0, panel);

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
                if (q < 0)
                    x.run(p, piece, {v + tile * v_tile + p * panel, v_point, v_tile});
                else
                    dy.run(q, piece, {m + q * points * m_point + tile * panel, m_point, panel});
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
        const Index vectors = vecs_of(dy.channels - p * panel, panel);
        const ProductArgs<T> args{
            points,    v + q * part,       v_point, 1,       v_tile, m + p * points * m_point, m_point, sum,
            sum_point, round_up(count, 4), tiles,   vectors, first};
        simd::run<Products<T>>(&args);
        if (last) write(p, q, sum, memory.mutable_data() + (sums ? 0 : points * sum_point));
    }

    void write(Index p, Index q, const T* sum, T* pixels) const {
        constexpr Index n = static_cast<Index>(Taps);
        const Index count = std::min(part, x.channels - q * part);
        const Index vectors = vecs_of(dy.channels - p * panel, panel);
        transform<WeightAdjoint<Taps>, T>({sum, side * sum_point, sum_point, panel},
                                          {pixels, n * panel, panel, taps * panel}, count, vectors);
        const PackedPixels to{x.channels * taps, std::min(panel, dy.channels - p * panel), count * taps,
                              weight_at.data()};
        simd::run<UnpackChannels<T>>(static_cast<const T*>(pixels), to,
                                     dweight + (p * panel * x.channels + q * part) * taps);
    }
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
        const InputTiles<T, InputTransform<taps()>> x_windows{x,        s.in, s.groups * s.in,
                                                              s.padded, grid, &x_ranges};
        const InputTiles<T, OutputAdjoint<taps()>> dy_windows{gradients, s.out, s.groups * s.out,
                                                              s.result,  grid,  &dy_ranges};
        WeightGradient<T, taps()>{x_windows, dy_windows, s.batch, dweight + g * s.out * s.taps()}.run();
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
