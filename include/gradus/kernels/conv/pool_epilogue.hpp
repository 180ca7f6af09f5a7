// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

#include "gradus/kernels/conv/geometry.hpp"
#include "gradus/kernels/conv/implicit_gemm.hpp"

// The last step of a fused convolution: from pixels, whose channels are lanes, to planes of pooled pixels.

namespace gradus::kernels::detail {

inline constexpr Index cells_per_block = 16;  // pooled pixels

/// Up to cells_per_block pooled pixels of a panel of channels, on their way to planes.
template <class T>
struct PooledCells {
    Index cells, columns;
    bool relu;
    T* y;  // (cell, channel) at y[places[cell] + channel * plane]
    std::uint8_t* codes;
    const Index* places;
    Index plane;

    /// The largest pixel of a window so far and its number; NaN shows in `probe`, the sum of the pixels.
    template <class Vec>
    GRADUS_INLINE static void compare(const Vec& pixel, const Vec& number, Vec& best, Vec& winner,
                                      Vec& probe) {
        winner = select(pixel > best, number, winner);
        best = max(best, pixel);
        probe += pixel;
    }

    /// The same where NaN may be: it wins, the last one if there are several. Pixel i is at corner +
    /// offsets[i].
    template <class Vec>
    GRADUS_INLINE static void compare_with_nan(const T* corner, const Index* offsets, Index window, Vec& best,
                                               Vec& winner) {
        best = Vec::load(corner + offsets[0]);
        winner = Vec(T(0));
        for (Index i = 1; i < window; ++i) {
            const Vec pixel = Vec::load(corner + offsets[i]);
            const auto better = (pixel > best) | (pixel != pixel);
            best = select(better, pixel, best);
            winner = select(better, Vec(static_cast<T>(i)), winner);
        }
    }

    template <class Vec>
    GRADUS_INLINE void keep(Vec best, Vec winner, T* value, T* code) const {
        if (relu) {
            winner = select(best <= Vec(T(0)), Vec(T(no_winner)), winner);  // NaN passes the relu
            best = max(best, Vec(T(0)));
        }
        best.store(value);
        winner.store(code);
    }

    /// `values` and `winners` are [cells_per_block, tile_columns].
    template <int Bytes>
    GRADUS_INLINE void write(const T* values, const T* winners) const {
        constexpr Index lanes = Bytes / static_cast<Index>(sizeof(T)), width = 2 * lanes;
        for (Index v = 0; v < std::min(width, columns); v += lanes) {
            for (Index cell = 0; cell < cells; cell += lanes)
                write_values<Bytes>(values + cell * width + v, cell, v);
            write_codes<Bytes>(winners + v, v);
        }
    }

    template <int Bytes>
    GRADUS_INLINE void write_values(const T* from, Index cell, Index channel) const {
        constexpr Index lanes = Bytes / static_cast<Index>(sizeof(T)), width = 2 * lanes;
        using Vec = simd::Vec<T, static_cast<int>(lanes)>;
        const Index count = std::min(lanes, cells - cell);
        Vec block[static_cast<std::size_t>(lanes)];
#pragma GCC unroll 16
        for (Index i = 0; i < lanes; ++i) block[i] = Vec::load(from + (i < count ? i : 0) * width);
        simd::transpose(block);
        T side[static_cast<std::size_t>(lanes * lanes)];
#pragma GCC unroll 16
        for (Index j = 0; j < lanes; ++j) block[j].store(side + j * lanes);
        const Index* const at = places + cell;
        const bool consecutive = count == lanes && at[lanes - 1] == at[0] + lanes - 1;
        for (Index j = 0; j < std::min(lanes, columns - channel); ++j) {
            T* const to = y + (channel + j) * plane;
            if (consecutive)
                __builtin_memcpy(to + at[0], side + j * lanes, sizeof(T[lanes]));
            else
                for (Index i = 0; i < count; ++i) to[at[i]] = side[j * lanes + i];
        }
    }

    /// As many codes as an integer of T's size holds go into one lane: that spares converting and transposing
    /// single bytes.
    template <int Bytes>
    GRADUS_INLINE void write_codes(const T* winners, Index channel) const {
        constexpr Index size = static_cast<Index>(sizeof(T)), lanes = Bytes / size, width = 2 * lanes;
        constexpr Index words = cells_per_block / size;
        using Vec = simd::Vec<T, static_cast<int>(lanes)>;
        using Int = simd::detail::IntOf<T>;
        using Ints = simd::Vec<Int, static_cast<int>(lanes)>;
        constexpr T whole = T(1) / std::numeric_limits<T>::epsilon();  // code + whole ends in the code's bits
        Int side[static_cast<std::size_t>(words * lanes)];
        for (Index word = 0; word < words; ++word) {
            Ints packed(Int(0));
#pragma GCC unroll 8
            for (Index i = size - 1; i >= 0; --i) {
                const Vec code = Vec::load(winners + (word * size + i) * width);
                packed = (packed << 8) | (simd::bits(code + Vec(whole)) & Ints(Int(255)));
            }
            packed.store(side + word * lanes);
        }
        for (Index j = 0; j < std::min(lanes, columns - channel); ++j) {
            std::uint8_t* const to = codes + (channel + j) * plane;
            if (std::endian::native == std::endian::little && cells == cells_per_block &&
                places[cells_per_block - 1] == places[0] + cells_per_block - 1)
                for (Index word = 0; word < words; ++word)
                    __builtin_memcpy(to + places[0] + word * size, side + word * lanes + j, sizeof(Int));
            else
                for (Index i = 0; i < cells; ++i)
                    to[places[i]] = static_cast<std::uint8_t>(side[i / size * lanes + j] >> (8 * (i % size)));
        }
    }
};

/// Whether the sum of all lanes is neither NaN nor infinite.
template <class T, int N>
GRADUS_INLINE bool is_finite(const simd::Vec<T, N>& x) {
    const T total = sum(x);
    return total - total == T(0);
}

template <class T>
struct PoolBlockArgs {
    PooledCells<T> to;
    const T* rows;  // pixel i of the window of a cell at rows[corners[cell] + offsets[i] ...]
    const Index* corners;
    const Index* offsets;
    Index window;
};

/// Pools what a convolution has written, pixel by pixel.
template <class T>
struct PoolBlock {
    template <int Bytes>
    GRADUS_INLINE static void run(const PoolBlockArgs<T>* given) {
        given->to.columns <= tile_columns<T, Bytes> / 2 ? block<1, Bytes>(*given) : block<2, Bytes>(*given);
    }

    template <std::size_t Vectors, int Bytes>
    GRADUS_INLINE static void block(const PoolBlockArgs<T>& given) {
        constexpr Index lanes = Bytes / static_cast<Index>(sizeof(T)), width = 2 * lanes;
        using Vec = simd::Vec<T, static_cast<int>(lanes)>;
        const PoolBlockArgs<T> args = given;
        T values[static_cast<std::size_t>(cells_per_block * width)];
        T winners[static_cast<std::size_t>(cells_per_block * width)];
        Vec probe(T(0));
        for (Index cell = 0; cell < args.to.cells; ++cell) {
            const T* const corner = args.rows + args.corners[cell];
            Vec best[Vectors], winner[Vectors], seen[Vectors], number(T(0));
#pragma GCC unroll 2
            for (std::size_t v = 0; v < Vectors; ++v) {
                best[v] = Vec::load(corner + args.offsets[0] + static_cast<Index>(v) * lanes);
                winner[v] = Vec(T(0));
                seen[v] = best[v];
            }
            for (Index i = 1; i < args.window; ++i) {
                number += Vec(T(1));
#pragma GCC unroll 2
                for (std::size_t v = 0; v < Vectors; ++v)
                    args.to.compare(Vec::load(corner + args.offsets[i] + static_cast<Index>(v) * lanes),
                                    number, best[v], winner[v], seen[v]);
            }
#pragma GCC unroll 2
            for (std::size_t v = 0; v < Vectors; ++v) {
                const Index at = cell * width + static_cast<Index>(v) * lanes;
                args.to.keep(best[v], winner[v], values + at, winners + at);
                probe += seen[v];
            }
        }
        if (!is_finite(probe)) [[unlikely]]
            with_nan<Bytes>(args, values, winners);
        args.to.template write<Bytes>(values, winners);
    }

    template <int Bytes>
    GRADUS_INLINE static void with_nan(const PoolBlockArgs<T>& args, T* values, T* winners) {
        constexpr Index lanes = Bytes / static_cast<Index>(sizeof(T)), width = 2 * lanes;
        for (Index cell = 0; cell < args.to.cells; ++cell)
            for (Index v = 0; v < std::min(width, args.to.columns); v += lanes) {
                simd::VecOf<T, Bytes> best, winner;
                args.to.compare_with_nan(args.rows + args.corners[cell] + v, args.offsets, args.window, best,
                                         winner);
                args.to.keep(best, winner, values + cell * width + v, winners + cell * width + v);
            }
    }
};

template <class T>
struct PooledProductArgs : GatheredTile<T> {  // rows: [cells, window], followed by another tile of any
    PooledCells<T> to;
};

/// Convolves whole windows and pools them before they leave the registers, which must hold one. False, and
/// nothing written, if there is NaN or infinity.
template <class T, std::size_t Window>
struct PooledProduct {
    template <int Bytes>
    GRADUS_INLINE static bool run(const PooledProductArgs<T>* given) {
        if constexpr (Window <= static_cast<std::size_t>(tile_rows<Bytes>))
            return given->to.columns <= tile_columns<T, Bytes> / 2 ? tiles<1, Bytes>(*given)
                                                                   : tiles<2, Bytes>(*given);
        else
            return false;
    }

    template <std::size_t Vectors, int Bytes>
    GRADUS_INLINE static bool tiles(const PooledProductArgs<T>& given) {
        constexpr Index lanes = Bytes / static_cast<Index>(sizeof(T)), width = 2 * lanes;
        constexpr std::size_t cells = static_cast<std::size_t>(tile_rows<Bytes>) / Window;
        using Vec = simd::Vec<T, static_cast<int>(lanes)>;
        PooledProductArgs<T> args = given;
        constexpr std::size_t room = (static_cast<std::size_t>(cells_per_block) + cells) * width;
        T values[room], winners[room];
        Vec probe(T(0));
        for (Index cell = 0; cell < args.to.cells; cell += static_cast<Index>(cells)) {
            Vec sums[cells * Window][Vectors];
            compute(sums, args);
            args.rows += cells * Window;
#pragma GCC unroll 14
            for (std::size_t i = 0; i < cells; ++i)
#pragma GCC unroll 2
                for (std::size_t v = 0; v < Vectors; ++v) {
                    const Index at = (cell + static_cast<Index>(i)) * width + static_cast<Index>(v) * lanes;
                    Vec best = sums[i * Window][v], winner(T(0));
                    probe += best;
#pragma GCC unroll 9
                    for (std::size_t k = 1; k < Window; ++k)
                        args.to.compare(sums[i * Window + k][v], Vec(static_cast<T>(k)), best, winner, probe);
                    args.to.keep(best, winner, values + at, winners + at);
                }
        }
        if (!is_finite(probe)) return false;
        args.to.template write<Bytes>(values, winners);
        return true;
    }
};

}  // namespace gradus::kernels::detail
