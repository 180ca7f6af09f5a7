// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/kernels/conv/geometry.hpp"
#include "gradus/kernels/gemm/gemm.hpp"
#include "gradus/kernels/reduce/pairwise_sum.hpp"

// A convolution and both of its gradients are matrix products in which one operand is never written out: its
// element (i, k) is x[rows[i] + k_offsets[k]], a sum of an offset of the row and one of the column. For the
// output, rows are pixels and columns are taps (channel, ky, kx); for the gradient of the weight, rows are
// taps and columns are pixels. So no image is unfolded into patches (im2col). The other operand, weights or
// output gradients, is packed as in gemm.hpp. The idea of offsets instead of patches: Dukhan, "The indirect
// convolution algorithm", 2019.

namespace gradus::kernels::detail {

/// A tile of a product: (i, j) = start[j] + sum over k of x[rows[i] + k_offsets[k]] * b[k][j].
template <class T>
struct ImplicitTile {
    const T* x;
    const Index* rows;  // as many as a tile has, the last one repeated
    const Index* k_offsets;
    Index depth;
    const T* b;  // panel: (k, j) at b[k * tile_columns + j]
    const T* start;
};

/// sums[i][j] += sum over k of x[rows[i] + k_offsets[k]] * b[k][j], in ascending k.
template <std::size_t Rows, std::size_t Vectors, class Vec, class T>
GRADUS_INLINE void multiply_add(Vec (&sums)[Rows][Vectors], const T* x, const Index* rows,
                                const Index* k_offsets, Index depth, const T* b) {
    constexpr Index lanes = Vec::size;
    const T* at[Rows];
#pragma GCC unroll 14
    for (std::size_t i = 0; i < Rows; ++i) at[i] = x + rows[i];
    for (Index k = 0; k < depth; ++k, b += 2 * lanes) {
        const Index d = k_offsets[k];
        Vec column[Vectors];
        for (std::size_t v = 0; v < Vectors; ++v) column[v] = Vec::load(b + static_cast<Index>(v) * lanes);
#pragma GCC unroll 14
        for (std::size_t i = 0; i < Rows; ++i) {
            const Vec value(at[i][d]);
#pragma GCC unroll 2
            for (std::size_t v = 0; v < Vectors; ++v) sums[i][v] = fma(value, column[v], sums[i][v]);
        }
    }
}

template <std::size_t Rows, std::size_t Vectors, class Vec, class T>
GRADUS_INLINE void compute(Vec (&sums)[Rows][Vectors], const ImplicitTile<T>& tile) {
#pragma GCC unroll 14
    for (std::size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 2
        for (std::size_t v = 0; v < Vectors; ++v)
            sums[i][v] = Vec::load(tile.start + static_cast<Index>(v) * Vec::size);
    add_runs(sums, tile.depth, [&](Index begin, Index count) GRADUS_INLINE_LAMBDA {
        multiply_add(sums, tile.x, tile.rows, tile.k_offsets + begin, count, tile.b + begin * 2 * Vec::size);
    });
}

/// Kernel::tile in one of four sizes: all rows of a tile or 4, its whole width or half of it.
template <class Kernel, class T, int Bytes, class Args>
GRADUS_INLINE void run_tile(const Args& args) {
    constexpr std::size_t rows = tile_rows<Bytes>;
    const bool narrow = args.columns <= tile_columns<T, Bytes> / 2;
    if (args.count <= 4)
        narrow ? Kernel::template tile<4, 1, Bytes>(args) : Kernel::template tile<4, 2, Bytes>(args);
    else
        narrow ? Kernel::template tile<rows, 1, Bytes>(args) : Kernel::template tile<rows, 2, Bytes>(args);
}

template <class T>
struct NchwTileArgs : ImplicitTile<T> {
    T* y;  // (i, j) at y[out_offsets[i] + j * plane]
    const Index* out_offsets;
    Index plane;
    Index count, columns;  // what of the tile lies inside the result
};

/// A tile of the result: up to tile_rows pixels of up to tile_columns channels, written channel by channel.
template <class T>
struct NchwTile {
    template <std::size_t Rows, std::size_t Vectors, int Bytes>
    GRADUS_INLINE static void tile(const NchwTileArgs<T>& args) {
        constexpr Index lanes = Bytes / static_cast<Index>(sizeof(T));
        using Vec = simd::Vec<T, static_cast<int>(lanes)>;
        Vec sums[Rows][Vectors];
        compute(sums, args);
        const bool consecutive =
            args.count == static_cast<Index>(Rows) &&
            args.out_offsets[Rows - 1] == args.out_offsets[0] + static_cast<Index>(Rows) - 1;
        T scratch[static_cast<std::size_t>(lanes) * (Rows + static_cast<std::size_t>(lanes))];
#pragma GCC unroll 2
        for (std::size_t v = 0; v < Vectors; ++v) {
            constexpr std::size_t step = static_cast<std::size_t>(lanes);
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
            const Index left = args.columns - static_cast<Index>(v) * lanes;
            for (Index j = 0; j < std::min(lanes, left); ++j) {
                T* const y = args.y + (static_cast<Index>(v) * lanes + j) * args.plane;
                const T* const from = scratch + static_cast<std::size_t>(j) * (Rows + step);
                if (consecutive)
                    __builtin_memcpy(y + args.out_offsets[0], from, sizeof(T[Rows]));
                else
                    for (Index i = 0; i < args.count; ++i) y[args.out_offsets[i]] = from[i];
            }
        }
    }

    template <int Bytes>
    GRADUS_INLINE static void run(const NchwTileArgs<T>* args) {
        run_tile<NchwTile<T>, T, Bytes>(*args);
    }
};

inline constexpr Index max_tile_rows = 14;
inline constexpr Index max_tile_columns = 32;
inline constexpr Index strips_per_task = 8;

/// A product of gathered pixels and packed columns: y at (pixel, channel) = bias[channel] + sum over k of
/// x[from(pixel) + k_offsets[k]] * panels(k, channel).
template <class T>
struct ImplicitGemm {
    const T* x;
    OffsetGenerator from;
    Index pixels;
    const Index* k_offsets;
    Index depth;
    const T* panels;
    const T* bias_panels;
    Index channels;
    T* y;
    OffsetGenerator to;
    Index plane;

    void run() const {
        const TileSizes tile = tile_sizes<T>();
        const Index strips = (pixels + tile.rows - 1) / tile.rows;
        const Index panel_count = (channels + tile.columns - 1) / tile.columns;
        const Index groups = (strips + strips_per_task - 1) / strips_per_task;
        const Index task_work = std::max<Index>(1, strips_per_task * tile.rows * tile.columns * depth / 8);
        parallel_for(panel_count * groups, std::max<Index>(1, parallel_grain / task_work),
                     [&](Index begin, Index end) {
                         for (Index task = begin; task < end; ++task)
                             run_task(tile, task / groups, task % groups);
                     });
    }

    void run_task(const TileSizes& tile, Index panel, Index group) const {
        const Index last = std::min(pixels, (group + 1) * strips_per_task * tile.rows);
        for (Index pixel = group * strips_per_task * tile.rows; pixel < last; pixel += tile.rows) {
            Index rows[max_tile_rows], out_offsets[max_tile_rows];
            const Index count = std::min(tile.rows, last - pixel);
            from.run(pixel, count, rows);
            to.run(pixel, count, out_offsets);
            std::fill(rows + count, rows + tile.rows, rows[count - 1]);
            std::fill(out_offsets + count, out_offsets + tile.rows, out_offsets[count - 1]);
            NchwTileArgs<T> args;
            args.x = x;
            args.rows = rows;
            args.k_offsets = k_offsets;
            args.depth = depth;
            args.b = panels + panel * tile.columns * depth;
            args.start = bias_panels + panel * tile.columns;
            args.y = y + panel * tile.columns * plane;
            args.out_offsets = out_offsets;
            args.plane = plane;
            args.count = count;
            args.columns = std::min(tile.columns, channels - panel * tile.columns);
            simd::run<NchwTile<T>>(&args);
        }
    }
};

template <class T>
struct RowTileArgs : ImplicitTile<T> {
    T* c;  // (i, j) at c[i * tile_columns + j]
    Index count, columns;
    bool add = false;  // c += the sums
};

/// A tile that stays as it is computed, row by row.
template <class T>
struct RowTile {
    template <std::size_t Rows, std::size_t Vectors, int Bytes>
    GRADUS_INLINE static void tile(const RowTileArgs<T>& args) {
        constexpr Index lanes = Bytes / static_cast<Index>(sizeof(T));
        using Vec = simd::Vec<T, static_cast<int>(lanes)>;
        Vec sums[Rows][Vectors];
        compute(sums, args);
        if (args.add) {
#pragma GCC unroll 14
            for (std::size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 2
                for (std::size_t v = 0; v < Vectors; ++v)
                    sums[i][v] =
                        Vec::load(args.c + (2 * static_cast<Index>(i) + static_cast<Index>(v)) * lanes) +
                        sums[i][v];
        }
#pragma GCC unroll 14
        for (std::size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 2
            for (std::size_t v = 0; v < Vectors; ++v)
                sums[i][v].store(args.c + (2 * static_cast<Index>(i) + static_cast<Index>(v)) * lanes);
    }

    template <int Bytes>
    GRADUS_INLINE static void run(const RowTileArgs<T>* args) {
        run_tile<RowTile<T>, T, Bytes>(*args);
    }
};

}  // namespace gradus::kernels::detail
