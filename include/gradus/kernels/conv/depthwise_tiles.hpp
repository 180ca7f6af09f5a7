// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/core/memory.hpp"
#include "gradus/core/shape.hpp"
#include "gradus/kernels/conv/geometry.hpp"
#include "gradus/kernels/reduce/pairwise_sum.hpp"
#include "gradus/kernels/simd/dispatch.hpp"
#include "gradus/kernels/simd/vec.hpp"

// The inner loop of depthwise convolutions: sums over taps of planes as flat_rows.hpp has them,
//
//     y[i][j] = bias + sum over taps of weight[tap] · x[offset of the tap + i · row + j]
//
// Lanes are pixels of a row, and a tile is four rows high. Taps below each other read the same rows: one that
// is loaded is multiplied with up to four of them, each for another row of y. The last tiles of a row and of a
// plane overlap those before them.

namespace gradus::kernels::detail {

/// Taps in rows below each other: tap t reads at offset + t · row, its weight is weight[first + t · step].
struct TapColumn {
    static constexpr Index at_most = 4;

    Index offset, first, step, taps;
};
using TapColumns = gradus::detail::RecycledVector<TapColumn>;

/// Adds columns of about equal height for such taps.
inline void add_taps(TapColumns& columns, Index row, const TapColumn& all) {
    const Index parts = ceil_div(all.taps, TapColumn::at_most);
    for (Index part = 0; part < parts; ++part) {
        const Index begin = all.taps * part / parts, end = all.taps * (part + 1) / parts;
        columns.push_back({all.offset + begin * row, all.first + begin * all.step, all.step, end - begin});
    }
}

/// Those sums of a plane. Behind the last number that a tap reads, there is a vector of others.
template <class T>
struct DepthwiseTiles {
    const T* x;
    Index row;
    const TapColumns& columns;
    const T* weight;
    T bias;
    Size2 size;  // of y
    T* y;
    Index y_row;

    template <int Bytes>
    GRADUS_INLINE void run() {
        using Vec = simd::VecOf<T, Bytes>;
        if constexpr (Bytes > 16)
            if (size.width < Vec::size) return run<Bytes / 2>();
        size.height < 4 ? tiles<1, Vec>() : tiles<4, Vec>();
    }

private:
    template <std::size_t Rows, class Vec>
    GRADUS_INLINE void tiles() const {
        constexpr Index rows = Rows, lanes = Vec::size;
        for (Index i = 0; i < size.height; i += rows) {
            const Index top = std::min(i, size.height - rows);
            Index j = 0;
            for (; size.width >= 2 * lanes && j + lanes < size.width; j += 2 * lanes)
                tile<Rows, 2, Vec>(top, std::min(j, size.width - 2 * lanes));
            for (; j < size.width; j += lanes)
                tile<Rows, 1, Vec>(top, std::max<Index>(0, std::min(j, size.width - lanes)));
        }
    }

    template <std::size_t Rows, std::size_t Vectors, class Vec>
    GRADUS_INLINE void tile(Index top, Index left) const {
        Vec sums[Rows][Vectors];
#pragma GCC unroll 4
        for (std::size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 2
            for (std::size_t v = 0; v < Vectors; ++v) sums[i][v] = Vec(bias);
        const T* const from = x + top * row + left;
        const TapColumn* const all = columns.data();
        const auto column_of = [](Index term) { return ceil_div(term, TapColumn::at_most); };
        add_runs(sums, static_cast<Index>(columns.size()) * TapColumn::at_most,
                 [&](Index begin, Index count) GRADUS_INLINE_LAMBDA {
                     const TapColumn* const end = all + column_of(begin + count);
                     for (const TapColumn* c = all + column_of(begin); c != end; ++c) switch (c->taps) {
                             case 1:
                                 add_column<1>(sums, from, *c);
                                 break;
                             case 2:
                                 add_column<2>(sums, from, *c);
                                 break;
                             case 3:
                                 add_column<3>(sums, from, *c);
                                 break;
                             default:
                                 add_column<4>(sums, from, *c);
                         }
                 });
        const Index lanes = std::min<Index>(Vec::size, size.width);
        T* const to = y + top * y_row + left;
#pragma GCC unroll 4
        for (std::size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 2
            for (std::size_t v = 0; v < Vectors; ++v) {
                T* const at = to + static_cast<Index>(i) * y_row + static_cast<Index>(v) * Vec::size;
                lanes == Vec::size ? sums[i][v].store(at)
                                   : sums[i][v].store_partial(at, static_cast<int>(lanes));
            }
    }

    template <std::size_t Taps, std::size_t Rows, std::size_t Vectors, class Vec>
    GRADUS_INLINE void add_column(Vec (&sums)[Rows][Vectors], const T* from, const TapColumn& c) const {
        Vec weights[Taps];
#pragma GCC unroll 4
        for (std::size_t t = 0; t < Taps; ++t)
            weights[t] = Vec(weight[c.first + static_cast<Index>(t) * c.step]);
        const T* pixels = from + c.offset;
#pragma GCC unroll 7
        for (std::size_t i = 0; i < Rows + Taps - 1; ++i, pixels += row)
#pragma GCC unroll 2
            for (std::size_t v = 0; v < Vectors; ++v) {
                const Vec loaded = Vec::load(pixels + static_cast<Index>(v) * Vec::size);
#pragma GCC unroll 4
                for (std::size_t t = 0; t < Taps; ++t)
                    if (i >= t && i - t < Rows) sums[i - t][v] = fma(weights[t], loaded, sums[i - t][v]);
            }
    }
};

}  // namespace gradus::kernels::detail
