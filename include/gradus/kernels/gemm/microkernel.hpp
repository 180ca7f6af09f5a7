// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/core/shape.hpp"
#include "gradus/kernels/simd/dispatch.hpp"
#include "gradus/kernels/simd/vec.hpp"

// The micro-kernel of a matrix product: a tile of C, of MR rows and NR columns, stays in registers while k
// runs. A is read number by number, from a micro-panel of MR rows or in place; B vector by vector, from a
// micro-panel [k][NR]. After Goto & van de Geijn, "Anatomy of high-performance matrix multiplication", 2008;
// the letters are those of BLIS (Van Zee & van de Geijn, 2015).

namespace gradus::kernels::detail {

template <int Bytes>
inline constexpr Index tile_rows =
    Bytes == 64 ? 14 : 6;  // MR: what the registers of the instruction set hold
template <class T, int Bytes>
inline constexpr Index tile_columns = 2 * Bytes / static_cast<Index>(sizeof(T));  // NR: two vectors

template <class T>
inline constexpr Index line = 64 / static_cast<Index>(sizeof(T));  // what caches fetch at a time

struct TileSizes {
    Index rows, columns;  // MR, NR
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

/// C = init + A · B, or C += that, for a tile.
template <class T>
struct MicroKernel {
    Index k;
    const T* a;  // (i, k) at a[i * a_row + k * a_column]
    Index a_row, a_column;
    const T* b;  // (k, j) at b[k * b_row + j]
    Index b_row;
    T* c;
    Index c_row;
    Index rows, columns;  // what of the tile lies inside C
    Index overlap = 0;    // how many columns of B, C and init the second vector shares with the first
    const T* init;        // (i, j) at init[i * init_row + j]: NR columns; or C
    Index init_row;
    bool add = false;
    // What will be needed soon is fetched meanwhile: the lines of the first-level cache at ahead + k *
    // ahead_step and the lines behind them.
    const T* ahead = nullptr;
    Index ahead_step = 0;

    /// Fewer columns than a vector has are computed in scratch memory.
    template <int Bytes>
    GRADUS_INLINE void run() {
        constexpr Index nr = tile_columns<T, Bytes>;
        T scratch[static_cast<std::size_t>(tile_rows<Bytes> * nr)];
        T* const out = c;
        const Index out_row = c_row;
        const bool narrow = columns < nr / 2;
        if (narrow) {
            c = scratch;
            c_row = nr;
            const bool from_c = init == out;
            if (from_c || add) copy_rows(out, out_row, scratch, nr);
            if (from_c) {
                init = scratch;
                init_row = nr;
            }
        }
        columns > nr / 2 ? all_rows<2, Bytes>() : all_rows<1, Bytes>();
        if (narrow) copy_rows(scratch, nr, out, out_row);
    }

private:
    template <std::size_t Vectors, int Bytes>
    GRADUS_INLINE void all_rows() const {
        constexpr Index mr = tile_rows<Bytes>;
        if (rows == mr) return tile<mr, Bytes, Vectors>(0);
        if (rows == mr - 1) return tile<mr - 1, Bytes, Vectors>(0);
        for (Index i = 0; i < rows; i += 4) tile<4, Bytes, Vectors>(i);
    }

    /// Rows first_row ... of a tile, and the first 1 or 2 vectors of its columns. Of 4 rows, some may be
    /// behind the last one: they are that row again, which takes no longer than fewer rows would.
    template <std::size_t Rows, int Bytes, std::size_t Vectors>
    GRADUS_INLINE void tile(Index first_row) const {
        constexpr int lanes = Bytes / static_cast<int>(sizeof(T));
        using Vec = simd::Vec<T, lanes>;
        const Index last = rows - 1 - first_row;
        const auto row_of = [last](std::size_t i) GRADUS_INLINE_LAMBDA {
            const auto row = static_cast<Index>(i);
            return Rows == 4 ? std::min(row, last) : row;
        };
        T* const out = c + first_row * c_row;
        const T* a_k = a + first_row * a_row;
        const T* b_k = b;
        const Index second = lanes - overlap, a_stride = a_row, c_stride = c_row;
        const T* const first_init = init + first_row * init_row;
        Vec sum[Rows][Vectors];
#pragma GCC unroll 14
        for (std::size_t i = 0; i < Rows; ++i) {
            const T* const row = first_init + row_of(i) * init_row;
            sum[i][0] = Vec::load(row);
            if constexpr (Vectors == 2) sum[i][1] = Vec::load(row + second);
        }
        const T* soon = ahead ? ahead : b;
        for (Index q = 0; q < k; ++q, a_k += a_column, b_k += b_row, soon += ahead_step) {
            __builtin_prefetch(soon, 0, 2);
            __builtin_prefetch(soon + line<T>, 0, 2);
            const Vec b0 = Vec::load(b_k), b1 = Vectors == 2 ? Vec::load(b_k + second) : b0;
#pragma GCC unroll 14
            for (std::size_t i = 0; i < Rows; ++i) {
                const Vec x(a_k[row_of(i) * a_stride]);
                sum[i][0] = fma(x, b0, sum[i][0]);
                if constexpr (Vectors == 2) sum[i][1] = fma(x, b1, sum[i][1]);
            }
        }
        if (add) {
#pragma GCC unroll 14
            for (std::size_t i = 0; i < Rows; ++i) {
                const T* const row = out + row_of(i) * c_stride;
                sum[i][0] = Vec::load(row) + sum[i][0];
                if constexpr (Vectors == 2) sum[i][1] = Vec::load(row + second) + sum[i][1];
            }
        }
#pragma GCC unroll 14
        for (std::size_t i = 0; i < Rows; ++i) {
            T* const row = out + row_of(i) * c_stride;
            sum[i][0].store(row);
            if constexpr (Vectors == 2) sum[i][1].store(row + second);
        }
    }

    void copy_rows(const T* from, Index from_row, T* to, Index to_row) const {
        for (Index i = 0; i < rows; ++i)
            simd::detail::copy_few(to + i * to_row, from + i * from_row, static_cast<int>(columns));
    }
};

}  // namespace gradus::kernels::detail
