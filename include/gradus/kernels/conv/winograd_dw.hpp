// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>

#include "gradus/kernels/conv/winograd.hpp"
#include "gradus/kernels/reduce/pairwise_sum.hpp"

// The gradient of the weight by Winograd's filtering, dg = Gᵀ [Σ (A dy Aᵀ) . (Bᵀ d B)] G: at each point, the
// sum over all tiles is a matrix product of input and output channels.

namespace gradus::kernels::detail::winograd {

/// How the gradient is cut into tasks. Images are cut into chunks, whose number is a function of the sizes
/// alone: each has a sum of its own, and these are added up in pairs in the end. A task takes a chunk and some
/// slices of the channels, and goes through all stages with them, pass by pass. Slices are panels of output
/// channels, or as many input channels, of whichever there are more; a single slice may also be cut across.
struct WinogradBackwardWeightPlan {
    static constexpr Index pass_tiles = 128;  // whose values stay in the cache
    static constexpr Index most_passes = 16;  // of a piece of pairwise_sum.hpp: at most 64 of our short runs
    static constexpr Index most_chunks = 16;
    // What adding up chunks costs is little beside 3 passes if the sums stay in the cache, and beside a piece.
    static constexpr Index least_passes = 3, cached_sums = 1 << 20, most_sums = 1 << 24;

    Index taps, side, points;       // of a filter; points along one axis, and of a tile
    Size2 grid;                     // tiles of an image
    Index panel;                    // channels
    Index part, parts, out_panels;  // input channels of a product; how many of these, and of panels of output
    Index v_tile, v_point, m_point, sum_point;
    bool slice_inputs;
    Index slice;  // input channels of a slice, if that is what they are
    TileBlocks chunks;
    TaskGrid slices;  // of all chunks
    TaskGrid tasks;   // cuts of these
    bool single;      // pass: no sums need be kept
    bool finishes;    // a task its part of the gradient: no others are added

    /// `kernel`: taps along one axis, 3 or 5. `gap`: room between matrices.
    WinogradBackwardWeightPlan(Index kernel, Index batch, const Size2& tiles, Index width, Index in,
                               Index panels, Index gap, int threads)
        : taps(kernel * kernel),
          side(kernel + 3),
          points(side * side),
          grid(tiles),
          panel(width),
          part(in * panels <= 64 ? 16 : 32),
          parts(ceil_div(in, part)),
          out_panels(panels),
          sum_point(part * panel + gap),
          slice_inputs(ceil_div(in, std::max(part, panel)) > panels),
          slice(std::max(part, panel)),
          chunks(chunks_of(batch, tiles, points * sum_point * parts * panels)),
          slices(chunks.count(), slice_inputs ? ceil_div(in, slice) : out_panels, 0.25, threads),
          tasks(slices.count(),
                slices.splits < slices.panels ? 1
                : slice_inputs                ? out_panels
                                              : ceil_div(in, slice),
                0.25, threads) {
        Index most = 0;  // tiles of a pass
        for (Index i = 0; i < chunks.count(); ++i) {
            const TileBlocks passes = passes_of(chunks[i]);
            most = std::max(most, passes.images * passes.rows * grid.width);
        }
        const Index passes = passes_of(chunks[0]).count();
        single = chunks.count() == 1 && passes == 1;
        finishes = chunks.count() == 1 && passes <= most_passes;
        v_tile = round_up(in, panel) + gap;
        v_point = most * v_tile + gap;
        m_point = most * panel + gap;
    }

    TileBlocks passes_of(const TileRows& chunk) const { return {chunk, grid.width, pass_tiles}; }

private:
    /// Whole images, or equal numbers of rows. There are 1, 2, 4, ... of them.
    static TileBlocks chunks_of(Index batch, const Size2& tiles, Index sums) {
        const TileRows all{0, batch, 0, tiles.height};
        const Index passes = TileBlocks(all, tiles.width, pass_tiles).count();
        const Index most = std::max(std::min(passes / least_passes, cached_sums / sums),
                                    std::min(passes / most_passes, most_sums / sums));
        Index count = 1;
        // Images that do not go up in chunks would leave one of these with less to do.
        const auto even = [&](Index n) { return n > batch || 8 * ceil_div(batch, n) * n <= 9 * batch; };
        while (2 * count <= std::min(most_chunks, most) && even(2 * count)) count *= 2;
        return count <= batch ? TileBlocks(all, tiles.width, tiles.height, ceil_div(batch, count))
                              : TileBlocks(all, tiles.width, ceil_div(tiles.height, count / batch), 1);
    }
};

/// The gradient of the weight [out, in, Taps, Taps].
template <class T, std::size_t Taps>
class WinogradBackwardWeight : WinogradBackwardWeightPlan {
public:
    WinogradBackwardWeight(const InputTiles<T, InputTransform<Taps>>& x_tiles,
                           const InputTiles<T, OutputAdjoint<Taps>>& dy_tiles, Index batch, T* to)
        : WinogradBackwardWeightPlan(static_cast<Index>(Taps), batch, x_tiles.grid, x_tiles.panel,
                                     x_tiles.channels, dy_tiles.panels(), gap<T>,
                                     gradus::detail::team_threads()),
          x(x_tiles),
          dy(dy_tiles),
          dweight(to),
          packed_weights(pixel_offsets(1, part * taps, 0, panel)) {}

    void run() const {
        const Index products = parts * out_panels, product = points * sum_point, size = products * product;
        Tensor<T> sum_memory = Tensor<T>::uninitialized({single ? 0 : chunks.count() * size});
        T* const sums = sum_memory.mutable_data();
        const Index own = points * (v_point + out_panels * m_point) +
                          std::max({x.band_size, dy.band_size, part * taps * panel + (single ? product : 0)});
        for_tasks<T>(tasks.count(), own, [&](Index task, T* memory) {
            const Part s = part_of(task);
            add_up(s, sums + (single ? 0 : s.chunk * size + s.before * product), memory);
        });
        if (finishes) return;
        parallel_for(products, 1, [&](Index begin, Index end) {
            Tensor<T> memory = Tensor<T>::uninitialized({part * taps * panel});
            for (Index i = begin; i < end; ++i) {
                T* const sum = sums + i * product;
                for (Index step = 1; step < chunks.count(); step *= 2)
                    for (Index c = 0; c + step < chunks.count(); c += 2 * step)
                        add_to(sum + c * size, static_cast<const T*>(sum + (c + step) * size), product);
                const Index p = slice_inputs ? i % out_panels : i / parts;
                write(p, slice_inputs ? i / out_panels : i % parts, sum, memory.mutable_data());
            }
        });
    }

private:
    /// What a task adds up: a chunk's products of panels of output channels and parts of input channels. Their
    /// sums lie one after the other, behind those of `before` products.
    struct Part {
        Index chunk, first_panel, last_panel, first_part, last_part, before;
    };

    Part part_of(Index task) const {
        const Index all = tasks.group(task), each = slice / part, chunk = slices.group(all);
        const Index first = slices.first(all), last = slices.last(all);
        const bool cut = tasks.splits > 1;
        const Index from = cut ? tasks.first(task) : 0, to = tasks.last(task);
        if (slice_inputs)
            return {chunk,
                    from,
                    cut ? to : out_panels,
                    first * each,
                    std::min(parts, last * each),
                    first * each * out_panels + from};
        return {chunk,
                first,
                last,
                from * each,
                cut ? std::min(parts, to * each) : parts,
                first * parts + from * each};
    }

    /// Its sums; or what comes of them, if there are no others to add.
    void add_up(const Part& s, T* sums, T* memory) const {
        const TileBlocks passes = passes_of(chunks[s.chunk]);
        const Index products = (s.last_panel - s.first_panel) * (s.last_part - s.first_part);
        add_pieces(Index{0}, passes.count(), most_passes, products * points * sum_point, sums,
                   [&](Index first, Index last, T* to) {
                       for (Index i = first; i < last; ++i) {
                           transform_tiles(passes[i], s, memory);
                           multiply(passes[i], s, i == first, finishes && i + 1 == last, memory, to);
                       }
                   });
    }

    // In the memory of a task: transformed tiles of x, and of dy.
    T* v(T* memory) const { return memory; }
    T* m(T* memory) const { return memory + points * v_point; }
    T* scratch(T* memory) const { return m(memory) + out_panels * points * m_point; }

    void transform_tiles(const TileRows& pass, const Part& s, T* memory) const {
        const TileBlocks pieces(pass, grid.width, pass_tiles / 4);  // whose pixels stay in the cache
        const Index end = std::min(x.panels(), ceil_div(s.last_part * part, panel));
        for (Index i = 0; i < pieces.count(); ++i) {
            const TileRows piece = pieces[i];
            const Index tile = tiles_before(pass, piece, grid.width);
            for (Index p = s.first_part * part / panel; p < end; ++p) {
                if (s.first_panel == 0) x.learn_range(p, piece);
                x.run(p, piece, {v(memory) + tile * v_tile + p * panel, v_point, v_tile}, scratch(memory));
            }
            for (Index p = s.first_panel; p < s.last_panel; ++p) {
                if (s.first_part == 0) dy.learn_range(p, piece);
                dy.run(p, piece, {m(memory) + (p * points * m_point + tile * panel), m_point, panel},
                       scratch(memory));
            }
        }
    }

    /// Adds the products of a pass to the sums, or begins with them.
    void multiply(const TileRows& pass, const Part& s, bool first, bool last, T* memory, T* sums) const {
        const Index width = s.last_panel - s.first_panel, height = s.last_part - s.first_part;
        T* const pixels = scratch(memory);
        for (Index i = 0; i < width * height; ++i) {  // panel by panel: that of dy stays in the cache
            const Index p = s.first_panel + i / height, q = s.first_part + i % height;
            const Index at = slice_inputs ? i % height * width + i / height : i;
            T* const sum = single ? pixels + part * taps * panel : sums + at * points * sum_point;
            const Index count = std::min(part, x.channels - q * part);
            simd::run(PointProducts<T>{.points = points,
                                       .a = v(memory) + q * part,
                                       .a_point = v_point,
                                       .a_row = 1,
                                       .a_column = v_tile,
                                       .b = m(memory) + p * points * m_point,
                                       .b_point = m_point,
                                       .c = sum,
                                       .c_point = sum_point,
                                       .rows = round_up(count, 4),
                                       .k = pass.images * pass.rows * grid.width,
                                       .vectors = vecs_of(dy.channels - p * panel, panel),
                                       .first = first});
            if (last) write(p, q, sum, pixels);
        }
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
