// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "gradus/kernels/conv_sizes.hpp"
#include "gradus/kernels/gemm.hpp"

// The last step of a fused convolution: from rows of channels to planes of pooled pixels.

namespace gradus::kernels::detail {

inline constexpr Index cells_per_block = 16;  // pooled pixels

template <class T>
struct PoolBlockArgs {
    const T* rows;  // pixel i of the window of a cell at rows[corners[cell] + offsets[i] ...]
    const Index* corners;
    const Index* offsets;
    Index cells, window, columns;
    bool relu;
    T* y;  // (cell, channel) at y[places[cell] + channel * plane]
    std::uint8_t* codes;
    const Index* places;
    Index plane;
};

/// Pools a block of rows over their windows and writes it channel by channel.
template <class T>
struct PoolBlock {
    template <int Bytes>
    GRADUS_INLINE static void run(const PoolBlockArgs<T>* given) {
        constexpr Index lanes = Bytes / static_cast<Index>(sizeof(T)), width = 2 * lanes;
        using Pack = simd::Pack<T, static_cast<int>(lanes)>;
        const PoolBlockArgs<T> args = *given;
        T values[static_cast<std::size_t>(cells_per_block * width)];
        T winners[static_cast<std::size_t>(cells_per_block * width)];
        for (Index cell = 0; cell < args.cells; ++cell)
            for (Index v = 0; v < std::min(width, args.columns); v += lanes) {
                const T* const corner = args.rows + args.corners[cell] + v;
                Pack best = Pack::load(corner + args.offsets[0]), winner(T(0)), probe = best * T(0);
                for (Index i = 1; i < args.window; ++i) {
                    const Pack value = Pack::load(corner + args.offsets[i]);
                    winner = select(value > best, Pack(static_cast<T>(i)), winner);
                    best = max(best, value);
                    probe = fma(value, Pack(T(0)), probe);
                }
                if (!(sum(probe) == T(0))) [[unlikely]]  // NaN or inf
                    careful_pool<Pack>(corner, args.offsets, args.window, best, winner);
                if (args.relu) {
                    winner = select(best > Pack(T(0)), winner, Pack(T(no_winner)));
                    best = max(best, Pack(T(0)));
                }
                best.store(values + cell * width + v);
                winner.store(winners + cell * width + v);
            }
        for (Index cell = 0; cell < args.cells; cell += lanes)
            for (Index v = 0; v < std::min(width, args.columns); v += lanes) {
                const Index count = std::min(lanes, args.cells - cell);
                const Index columns = std::min(lanes, args.columns - v);
                write_block<Bytes>(values + cell * width + v, args.y + v * args.plane, args, cell, count,
                                   columns);
                write_block<Bytes>(winners + cell * width + v, args.codes + v * args.plane, args, cell, count,
                                   columns);
            }
    }

    /// NaN wins, the last one if there are several.
    template <class Pack>
    GRADUS_INLINE static void careful_pool(const T* corner, const Index* offsets, Index window, Pack& best,
                                           Pack& winner) {
        best = Pack::load(corner + offsets[0]);
        winner = Pack(T(0));
        for (Index i = 1; i < window; ++i) {
            const Pack value = Pack::load(corner + offsets[i]);
            const auto better = (value > best) | (value != value);
            best = select(better, value, best);
            winner = select(better, Pack(static_cast<T>(i)), winner);
        }
    }

    /// Cells [cell, cell + count) of `columns` channels, transposed.
    template <int Bytes, class To>
    GRADUS_INLINE static void write_block(const T* from, To* to, const PoolBlockArgs<T>& args, Index cell,
                                          Index count, Index columns) {
        constexpr std::size_t lanes = Bytes / sizeof(T);
        constexpr Index width = 2 * static_cast<Index>(lanes);
        using Pack = simd::Pack<T, static_cast<int>(lanes)>;
        Pack block[lanes];
        for (std::size_t i = 0; i < lanes; ++i)
            block[i] = Pack::load(from + (static_cast<Index>(i) < count ? static_cast<Index>(i) : 0) * width);
        PackKernel<T>::template swap_blocks<static_cast<int>(lanes) / 2, static_cast<int>(lanes)>(block);
        const Index* const places = args.places + cell;
        const bool consecutive =
            count == static_cast<Index>(lanes) && places[lanes - 1] == places[0] + count - 1;
        for (std::size_t j = 0; j < lanes; ++j) {
            To converted[lanes];
            if constexpr (std::is_same_v<To, T>)
                block[j].store(converted);
            else
                simd::convert<To>(block[j]).store(converted);
            To* const out = to + static_cast<Index>(j) * args.plane;
            if (static_cast<Index>(j) >= columns) break;
            if (consecutive)
                __builtin_memcpy(out + places[0], converted, sizeof(converted));
            else
                for (Index i = 0; i < count; ++i) out[places[i]] = converted[i];
        }
    }
};

}  // namespace gradus::kernels::detail
