// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <type_traits>
#include <utility>

#include "gradus/core/shape.hpp"
#include "gradus/kernels/simd/dispatch.hpp"
#include "gradus/kernels/simd/shuffle.hpp"
#include "gradus/kernels/simd/vec.hpp"

// What a matrix product is built from: tiles of `rows x columns` that stay in registers while k runs, and the
// copying of operands into the order in which tiles read them. After Goto & van de Geijn, "Anatomy of
// high-performance matrix multiplication", 2008.

namespace gradus::kernels::detail {

template <int Bytes>
inline constexpr Index tile_rows = Bytes == 64 ? 14 : 6;  // what the registers of the instruction set hold
template <class T, int Bytes>
inline constexpr Index tile_columns = 2 * Bytes / static_cast<Index>(sizeof(T));

template <class T>
inline constexpr Index line = 64 / static_cast<Index>(sizeof(T));  // what caches fetch at a time

struct TileSizes {
    Index rows, columns;
};

/// The tile of an instruction set.
template <class T>
TileSizes tile_sizes(simd::Isa isa = simd::isa()) {
    switch (isa) {
        case simd::Isa::avx512:
            return {tile_rows<64>, tile_columns<T, 64>};
        case simd::Isa::avx2:
            return {tile_rows<32>, tile_columns<T, 32>};
        default:
            return {tile_rows<16>, tile_columns<T, 16>};
    }
}

template <class T>
struct TileArgs {
    Index depth;  // length of k in this pass
    const T* a;   // (i, k) at a[i * a_row + k * a_column]
    Index a_row, a_column;
    const T* b;  // (k, j) at b[k * b_row + j]
    T* c;
    Index c_row;
    Index rows, columns;  // what of the tile lies inside C
    Index overlap = 0;    // how many columns of B, C and bias the second vector shares with the first
    const T* start;       // what sums begin with: (i, j) at start[i * start_row + j], a panel's width, or C
    Index start_row;
    bool add = false;  // C += the sums, else C = the sums
    Index b_row = 0;   // 0: that of a panel, tile_columns
    // What will be needed soon is fetched meanwhile: the lines of the first-level cache at ahead + k *
    // ahead_step and the lines behind them.
    const T* ahead = nullptr;
    Index ahead_step = 0;
};

template <class T>
struct TileKernel {
    /// Rows first_row ... of a tile, and the first 1 or 2 vectors of its columns. Of 4 rows, some may be
    /// behind the last one: they are that row again, which takes no longer than fewer rows would.
    template <std::size_t Rows, int Bytes, std::size_t Vectors = 2>
    GRADUS_INLINE static void tile(const TileArgs<T>& args, Index first_row) {
        constexpr int lanes = Bytes / static_cast<int>(sizeof(T));
        using Vec = simd::Vec<T, lanes>;
        const Index last = args.rows - 1 - first_row;
        const auto row_of = [last](std::size_t i) GRADUS_INLINE_LAMBDA {
            const auto row = static_cast<Index>(i);
            return Rows == 4 ? std::min(row, last) : row;
        };
        T* const c = args.c + first_row * args.c_row;
        const T* a = args.a + first_row * args.a_row;
        const T* b = args.b;
        const Index b_row = args.b_row ? args.b_row : 2 * lanes, second = lanes - args.overlap;
        const T* const start = args.start + first_row * args.start_row;
        Vec sum[Rows][Vectors];
#pragma GCC unroll 14
        for (std::size_t i = 0; i < Rows; ++i) {
            const T* const row = start + row_of(i) * args.start_row;
            sum[i][0] = Vec::load(row);
            if constexpr (Vectors == 2) sum[i][1] = Vec::load(row + second);
        }
        const T* ahead = args.ahead ? args.ahead : args.b;
        for (Index k = 0; k < args.depth; ++k, a += args.a_column, b += b_row, ahead += args.ahead_step) {
            __builtin_prefetch(ahead, 0, 2);
            __builtin_prefetch(ahead + line<T>, 0, 2);
            const Vec b0 = Vec::load(b), b1 = Vectors == 2 ? Vec::load(b + second) : b0;
#pragma GCC unroll 14
            for (std::size_t i = 0; i < Rows; ++i) {
                const Vec x(a[row_of(i) * args.a_row]);
                sum[i][0] = fma(x, b0, sum[i][0]);
                if constexpr (Vectors == 2) sum[i][1] = fma(x, b1, sum[i][1]);
            }
        }
        if (args.add) {
#pragma GCC unroll 14
            for (std::size_t i = 0; i < Rows; ++i) {
                const T* const row = c + row_of(i) * args.c_row;
                sum[i][0] = Vec::load(row) + sum[i][0];
                if constexpr (Vectors == 2) sum[i][1] = Vec::load(row + second) + sum[i][1];
            }
        }
#pragma GCC unroll 14
        for (std::size_t i = 0; i < Rows; ++i) {
            T* const row = c + row_of(i) * args.c_row;
            sum[i][0].store(row);
            if constexpr (Vectors == 2) sum[i][1].store(row + second);
        }
    }

    template <std::size_t Vectors, int Bytes>
    GRADUS_INLINE static void all_rows(const TileArgs<T>& args) {
        constexpr Index most = tile_rows<Bytes>;
        if (args.rows == most) return tile<most, Bytes, Vectors>(args, 0);
        if (args.rows == most - 1) return tile<most - 1, Bytes, Vectors>(args, 0);
        for (Index i = 0; i < args.rows; i += 4) tile<4, Bytes, Vectors>(args, i);
    }

    /// A tile of less than a vector is computed on the side.
    template <int Bytes>
    GRADUS_INLINE static void run(const TileArgs<T>* given) {
        constexpr Index width = tile_columns<T, Bytes>;
        T side[static_cast<std::size_t>(tile_rows<Bytes> * width)];
        TileArgs<T> args = *given;
        const bool outside = args.columns < width / 2;
        if (outside) {
            args.c = side;
            args.c_row = width;
            const bool from_c = args.start == given->c;
            if (from_c || args.add) copy_rows(*given, given->c, given->c_row, side, width);
            if (from_c) {
                args.start = side;
                args.start_row = width;
            }
        }
        if (args.columns > width / 2)
            all_rows<2, Bytes>(args);
        else
            all_rows<1, Bytes>(args);
        if (outside) copy_rows(*given, side, width, given->c, given->c_row);
    }

    static void copy_rows(const TileArgs<T>& args, const T* from, Index from_row, T* to, Index to_row) {
        for (Index i = 0; i < args.rows; ++i)
            simd::detail::copy_few(to + i * to_row, from + i * from_row, static_cast<int>(args.columns));
    }
};

/// Copies columns [first, first + width) of B, for all k, into a panel padded with zeros: out[k *
/// width_of_tile + j].
template <class T>
struct PackKernel {
    /// v[i] = the numbers i of `Lanes` columns; columns from `count` on are zero.
    template <int Lanes>
    GRADUS_INLINE static void load_transposed(const T* b, Index column, Index count,
                                              simd::Vec<T, Lanes> (&v)[static_cast<std::size_t>(Lanes)]) {
        if (count >= Lanes) {
#pragma GCC unroll 16
            for (int j = 0; j < Lanes; ++j) v[j] = simd::Vec<T, Lanes>::load(b + j * column);
        } else {
#pragma GCC unroll 16
            for (int j = 0; j < Lanes; ++j) {
                v[j] = T(0);
                if (j < count) v[j] = simd::Vec<T, Lanes>::load(b + j * column);
            }
        }
        simd::transpose(v);
    }

    template <int Bytes>
    GRADUS_INLINE static void run(const T* b, Index row, Index column, Index depth, Index width, T* out) {
        constexpr int lanes = Bytes / static_cast<int>(sizeof(T));
        constexpr Index full = 2 * lanes;
        using Vec = simd::Vec<T, lanes>;
        Index k = 0;
        if (column == 1) {
            if (width == full) {
                for (; k < depth; ++k) {
                    const T* const soon = b + std::min(k + 12, depth - 1) * row;
                    __builtin_prefetch(soon);
                    __builtin_prefetch(soon + line<T>);
                    __builtin_prefetch(soon + full - 1);
                    Vec::load(b + k * row).store(out + k * full);
                    Vec::load(b + k * row + lanes).store(out + k * full + lanes);
                }
                return;
            }
            for (; k < depth; ++k) {
                T* const to = out + k * full;
                Vec(T(0)).store(to);
                Vec(T(0)).store(to + lanes);
                simd::detail::copy_few(to, b + k * row, static_cast<int>(width));
            }
            return;
        }
        // Squares of 32 bytes: processors shuffle two such vectors in the time of one of 64 bytes.
        constexpr int side = std::min(lanes, 32 / static_cast<int>(sizeof(T)));
        if (row == 1 && depth >= side) {
            for (Index at = 0; at < depth; at += side) {
                k = std::min(at, depth - side);  // the last squares overlap those before them
                if (at % line<T> == 0)
                    for (Index j = 0; j < width; ++j)
                        __builtin_prefetch(b + j * column + std::min(at + 2 * line<T>, depth - 1));
                for (Index j = 0; j < full; j += side) {
                    simd::Vec<T, side> v[std::size_t{side}];
                    load_transposed(b + j * column + k, column, width - j, v);
#pragma GCC unroll 16
                    for (int i = 0; i < side; ++i) v[i].store(out + (k + i) * full + j);
                }
            }
            return;
        }
        for (; k < depth; ++k) {
            T* const to = out + k * full;
            Vec(T(0)).store(to);
            Vec(T(0)).store(to + lanes);
            for (Index j = 0; j < width; ++j) to[j] = b[k * row + j * column];
        }
    }
};

/// Copies rows of A, for all k, into a panel: out[k * tile_rows + i].
template <class T>
struct PackRowsKernel {
    /// `room`: 16 elements can be read from the last k but one on.
    template <int Bytes>
    GRADUS_INLINE static void run(const T* a, Index row, Index column, Index depth, Index rows, bool room,
                                  T* out) {
        constexpr Index count = tile_rows<Bytes>, lanes = Bytes / static_cast<Index>(sizeof(T));
        using Vec = simd::Vec<T, static_cast<int>(lanes)>;
        Index k = 0;
        if (row == 1 && room)  // whole vectors: what is too much of one k is overwritten by the next
            for (; k + 1 < depth; ++k) {
                const T* const soon = a + std::min(k + 12, depth - 1) * column;
                __builtin_prefetch(soon);
                __builtin_prefetch(soon + count - 1);
#pragma GCC unroll 4
                for (Index i = 0; i < count; i += lanes)
                    Vec::load(a + k * column + i).store(out + k * count + i);
            }
        for (; k < depth; ++k)
            for (Index i = 0; i < rows; ++i) out[k * count + i] = a[i * row + k * column];
    }
};

}  // namespace gradus::kernels::detail
