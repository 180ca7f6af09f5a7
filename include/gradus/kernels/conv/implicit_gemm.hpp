// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/kernels/conv/geometry.hpp"
#include "gradus/kernels/gemm/gemm.hpp"
#include "gradus/kernels/reduce/pairwise_sum.hpp"

// Implicit GEMM: a convolution and both of its gradients are matrix products in which one operand is never
// written out. Its element (i, k) is x[row_offsets[i] + k_offsets[k]], the sum of an offset of the row and
// one of the column. For the output, rows are pixels and k counts taps (channel, ky, kx); for the gradient of
// the weight, rows are taps and k counts pixels. So no image is unfolded into patches (im2col). The other
// operand, weights or output gradients, is packed in panels as in gemm.hpp. Images are NCHW and padded;
// results are NCHW. (Offsets instead of patches: Dukhan, "The indirect convolution algorithm", 2019.)

namespace gradus::kernels::detail {

inline constexpr Index max_tile_rows = 14;
inline constexpr Index max_tile_columns = 32;
inline constexpr Index strips_per_task = 8;
inline constexpr Index cached_panel_bytes = 256 * 1024;  // in half of a second-level cache

/// A tile of a product: (i, j) = bias[j] + sum over k of x[row_offsets[i] + k_offsets[k]] * b[k][j].
template <class T>
struct ImplicitTile {
    const T* x;
    const Index* row_offsets;  // as many as a tile has rows, the last one repeated
    const Index* k_offsets;
    Index k;
    const T* b;  // panel: (k, j) at b[k * tile_columns + j]
    const T* bias;

    /// sums[i][j] += sum over k of x[row_offsets[i] + k_offsets[k]] * b[k][j], `count` of them from `first`
    /// on, in ascending k.
    template <std::size_t Rows, std::size_t Vectors, class Vec>
    GRADUS_INLINE void add_run(Vec (&sums)[Rows][Vectors], Index first, Index count) const {
        constexpr Index lanes = Vec::size;
        const T* panel = b + first * 2 * lanes;
        const T* at[Rows];
#pragma GCC unroll 14
        for (std::size_t i = 0; i < Rows; ++i) at[i] = x + row_offsets[i];
        const Index* const offsets = k_offsets + first;
        for (Index p = 0; p < count; ++p, panel += 2 * lanes) {
            const Index offset = offsets[p];
            Vec column[Vectors];
            for (std::size_t v = 0; v < Vectors; ++v)
                column[v] = Vec::load(panel + static_cast<Index>(v) * lanes);
#pragma GCC unroll 14
            for (std::size_t i = 0; i < Rows; ++i) {
                const Vec value(at[i][offset]);
#pragma GCC unroll 2
                for (std::size_t v = 0; v < Vectors; ++v) sums[i][v] = fma(value, column[v], sums[i][v]);
            }
        }
    }

    template <std::size_t Rows, std::size_t Vectors, class Vec>
    GRADUS_INLINE void compute(Vec (&sums)[Rows][Vectors]) const {
#pragma GCC unroll 14
        for (std::size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 2
            for (std::size_t v = 0; v < Vectors; ++v)
                sums[i][v] = Vec::load(bias + static_cast<Index>(v) * Vec::size);
        add_runs(sums, k,
                 [&](Index first, Index count) GRADUS_INLINE_LAMBDA { add_run(sums, first, count); });
    }
};

/// tile() in one of four sizes: all rows of a tile or 4, its whole width or half of it.
template <class T, int Bytes, class Tile>
GRADUS_INLINE void run_tile(const Tile& tile, Index count, Index columns) {
    constexpr std::size_t rows = tile_rows<Bytes>;
    const bool narrow = columns <= tile_columns<T, Bytes> / 2;
    if (count <= 4)
        narrow ? tile.template store<4, 1, Bytes>() : tile.template store<4, 2, Bytes>();
    else
        narrow ? tile.template store<rows, 1, Bytes>() : tile.template store<rows, 2, Bytes>();
}

/// A tile of the result: up to tile_rows pixels of up to tile_columns channels, stored channel by channel.
template <class T>
struct NchwTile {
    ImplicitTile<T> product;
    T* y;  // (i, j) at y[out_offsets[i] + j * plane]
    const Index* out_offsets;
    Index plane;
    Index count, columns;  // what of the tile lies inside the result

    template <int Bytes>
    GRADUS_INLINE void run() {
        run_tile<T, Bytes>(*this, count, columns);
    }

    template <std::size_t Rows, std::size_t Vectors, int Bytes>
    GRADUS_INLINE void store() const {
        using Vec = simd::VecOf<T, Bytes>;
        constexpr Index lanes = Vec::size;
        constexpr std::size_t step = std::size_t{Vec::size};
        Vec sums[Rows][Vectors];
        product.compute(sums);
        const bool consecutive = count == static_cast<Index>(Rows) &&
                                 out_offsets[Rows - 1] == out_offsets[0] + static_cast<Index>(Rows) - 1;
        T scratch[step * (Rows + step)];
#pragma GCC unroll 2
        for (std::size_t v = 0; v < Vectors; ++v) {
#pragma GCC unroll 4
            for (std::size_t first = 0; first < Rows; first += step) {
                Vec block[step];
#pragma GCC unroll 16
                for (std::size_t i = 0; i < step; ++i)
                    block[i] = first + i < Rows ? sums[first + i][v] : Vec(T(0));
                simd::transpose(block);
#pragma GCC unroll 16
                for (std::size_t j = 0; j < step; ++j) block[j].store(scratch + j * (Rows + step) + first);
            }
            const Index left = columns - static_cast<Index>(v) * lanes;
            for (Index j = 0; j < std::min(lanes, left); ++j) {
                T* const to = y + (static_cast<Index>(v) * lanes + j) * plane;
                const T* const from = scratch + static_cast<std::size_t>(j) * (Rows + step);
                if (consecutive)
                    __builtin_memcpy(to + out_offsets[0], from, sizeof(T[Rows]));
                else
                    for (Index i = 0; i < count; ++i) to[out_offsets[i]] = from[i];
            }
        }
    }
};

/// A tile that stays as it is computed, row by row.
template <class T>
struct RowTile {
    ImplicitTile<T> product;
    T* c;  // (i, j) at c[i * tile_columns + j]
    Index count, columns;
    bool add = false;  // c += the sums

    template <int Bytes>
    GRADUS_INLINE void run() {
        run_tile<T, Bytes>(*this, count, columns);
    }

    template <std::size_t Rows, std::size_t Vectors, int Bytes>
    GRADUS_INLINE void store() const {
        using Vec = simd::VecOf<T, Bytes>;
        Vec sums[Rows][Vectors];
        product.compute(sums);
        const auto at = [](std::size_t i, std::size_t v)
                            GRADUS_INLINE_LAMBDA { return static_cast<Index>(2 * i + v) * Vec::size; };
        if (add) {
#pragma GCC unroll 14
            for (std::size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 2
                for (std::size_t v = 0; v < Vectors; ++v) sums[i][v] = Vec::load(c + at(i, v)) + sums[i][v];
        }
#pragma GCC unroll 14
        for (std::size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 2
            for (std::size_t v = 0; v < Vectors; ++v) sums[i][v].store(c + at(i, v));
    }
};

/// y at (pixel, channel) = bias[channel] + sum over k of x[row_offsets(pixel) + k_offsets[k]] *
/// panels(k, channel).
template <class T>
struct ImplicitGemm {
    const T* x;
    OffsetGenerator row_offsets;
    Index pixels;
    const Index* k_offsets;
    Index k;
    const T* panels;
    const T* bias_panels;
    Index channels;
    T* y;
    OffsetGenerator out_offsets;
    Index plane;  // distance of channels in y

    void run() const {
        const TileSizes tile = tile_sizes<T>();
        const Index groups = ceil_div(ceil_div(pixels, tile.rows), strips_per_task);
        const Index panel_count = ceil_div(channels, tile.columns);
        const Index task_work = std::max<Index>(1, strips_per_task * tile.rows * tile.columns * k / 8);
        // Panels that stay in the cache meet some pixels after the other; larger ones, all pixels in turn.
        const bool panels_stay =
            panel_count * tile.columns * k * static_cast<Index>(sizeof(T)) <= cached_panel_bytes;
        parallel_for(panel_count * groups, std::max<Index>(1, parallel_grain / task_work),
                     [&](Index begin, Index end) {
                         for (Index task = begin; task < end; ++task)
                             panels_stay ? run_task(tile, task % panel_count, task / panel_count)
                                         : run_task(tile, task / groups, task % groups);
                     });
    }

private:
    void run_task(const TileSizes& tile, Index panel, Index group) const {
        const Index last = std::min(pixels, (group + 1) * strips_per_task * tile.rows);
        for (Index pixel = group * strips_per_task * tile.rows; pixel < last; pixel += tile.rows) {
            Index rows[max_tile_rows], out[max_tile_rows];
            const Index count = std::min(tile.rows, last - pixel);
            row_offsets.run(pixel, count, rows);
            out_offsets.run(pixel, count, out);
            std::fill(rows + count, rows + tile.rows, rows[count - 1]);
            std::fill(out + count, out + tile.rows, out[count - 1]);
            simd::run(NchwTile<T>{.product = {x, rows, k_offsets, k, panels + panel * tile.columns * k,
                                              bias_panels + panel * tile.columns},
                                  .y = y + panel * tile.columns * plane,
                                  .out_offsets = out,
                                  .plane = plane,
                                  .count = count,
                                  .columns = std::min(tile.columns, channels - panel * tile.columns)});
        }
    }
};

/// The weights of one group in panels [taps, tile_columns], and the bias [tile_columns] of each.
template <class T>
struct PackedWeight {
    T* panels;
    T* bias_panels;

    PackedWeight(const ConvGeometry& s, const T* weight, const T* bias) {
        const Index width = tile_sizes<T>().columns, count = ceil_div(s.out, width), k = s.taps();
        memory_ = Tensor<T>::uninitialized({count * width * (k + 1)});
        panels = memory_.mutable_data();
        bias_panels = panels + count * width * k;
        parallel_for(count, std::max<Index>(1, parallel_grain / (k * width)), [&](Index begin, Index end) {
            for (Index p = begin; p < end; ++p)
                simd::run(PackB<T>{.b = {weight + p * width * k, 1, k},
                                   .k_count = k,
                                   .columns = std::min(width, s.out - p * width),
                                   .out = panels + p * width * k});
        });
        std::fill_n(bias_panels, count * width, T(0));
        if (bias) std::copy_n(bias, s.out, bias_panels);
    }

private:
    Tensor<T> memory_;
};

/// y = conv2d(x) + bias, which may be null; there are taps.
template <class T>
void implicit_gemm(const ConvGeometry& s, const Tensor<T>& padded, const Tensor<T>& weight, const T* bias,
                   T* y) {
    const Tensor<Index> taps = offset_table(tap_offsets(s), s.taps());
    for (Index g = 0; g < s.groups; ++g) {
        const PackedWeight<T> packed(s, weight.data() + g * s.out * s.taps(),
                                     bias ? bias + g * s.out : nullptr);
        ImplicitGemm<T>{.x = padded.data(),
                        .row_offsets = window_offsets(s, g),
                        .pixels = s.batch * s.result.area(),
                        .k_offsets = taps.data(),
                        .k = s.taps(),
                        .panels = packed.panels,
                        .bias_panels = packed.bias_panels,
                        .channels = s.out,
                        .y = y,
                        .out_offsets = plane_offsets(s.result, s.groups * s.out, g * s.out),
                        .plane = s.result.area()}
            .run();
    }
}

}  // namespace gradus::kernels::detail
