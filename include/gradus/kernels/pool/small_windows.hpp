// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "gradus/kernels/pool/geometry.hpp"
#include "gradus/kernels/reduce/reduce.hpp"
#include "gradus/kernels/simd/shuffle.hpp"

// Pooling of wide planes by the usual windows, 2 × 2 and 3 × 3: a plane at a time, in lanes of neighboring
// results. For everything else there is pool_planes.hpp.

namespace gradus::kernels::detail {

/// The columns of results whose windows are not cut off.
struct PoolInner {
    const PoolPlan* plan;
    Index begin = 0, end = 0;
    bool from_memory;

    /// Of planes of so many bytes in all.
    PoolInner(const PoolPlan& p, Index bytes) : plan(&p), from_memory(bytes > (Index{1} << 20)) {
        const auto& windows = p.columns.windows;
        const auto whole = [&](const PoolWindow& w) { return w.last - w.first == p.columns.kernel; };
        const auto first = std::find_if(windows.begin(), windows.end(), whole);
        begin = first - windows.begin();
        end = std::find_if_not(first, windows.end(), whole) - windows.begin();
    }
};

/// Where the results of a plane go.
template <class T>
struct PoolRowsOut {
    T* y;
    std::uint8_t* narrow;  // positions, of max pooling
};

/// Lanes of windows: the largest cells so far, and their positions. NaN does not win here; has_nan() tells
/// of it, and maybe also where there is none but two infinities.
template <class T, int N>
struct LargestCells {
    using Position = simd::detail::IntOf<T>;
    using Vec = simd::Vec<T, N>;
    using Positions = simd::Vec<Position, N>;

    Vec value = extreme<T>(-1);
    Vec total = T(0);
    Positions position;

    GRADUS_INLINE explicit LargestCells(Index first) : position(static_cast<Position>(first)) {}

    GRADUS_INLINE void take(const Vec& cell, const Positions& at) {
        position = Positions::wrap(cell.v > value.v ? at.v : position.v);  // a Mask would take more steps
        value = max(value, cell);
        total += cell;
    }

    GRADUS_INLINE Positions has_nan() const { return is_nan(total).bits(); }

    GRADUS_INLINE void store(const PoolRowsOut<T>& out, Index to, Index) const {
        value.store(out.y + to);
        simd::store_low_bytes(position, out.narrow + to);
    }

    GRADUS_INLINE void store_first(const PoolRowsOut<T>& out, Index to, Index) const {
        out.y[to] = value[0];
        out.narrow[to] = static_cast<std::uint8_t>(position[0]);
    }
};

/// Lanes of windows: the sum of the cells so far.
template <class T, int N>
struct SumOfCells {
    using Vec = simd::Vec<T, N>;
    using Position = simd::detail::IntOf<T>;
    using Positions = simd::Vec<Position, N>;

    Vec value = T(0);

    GRADUS_INLINE explicit SumOfCells(Index) {}
    GRADUS_INLINE void take(const Vec& cell, const Positions&) { value += cell; }
    GRADUS_INLINE Positions has_nan() const { return Position(0); }  // NaN needs no care
    GRADUS_INLINE void store(const PoolRowsOut<T>& out, Index to, Index extent) const {
        (value / static_cast<T>(extent)).store(out.y + to);
    }
    GRADUS_INLINE void store_first(const PoolRowsOut<T>& out, Index to, Index extent) const {
        out.y[to] = value[0] / static_cast<T>(extent);
    }
};

/// A plane, in lanes of neighboring results of a row as long as their windows are not cut off. Kernel and
/// stride of the columns are constants, and their dilation is 1. False if `Cells` met a NaN.
template <class T, template <class, int> class Cells, int Kernel, int Stride>
struct PoolRows {
    static_assert((Stride == 2 && Kernel <= 3) || (Stride == 3 && Kernel == 3));

    /// Lane i of cell k is from[i * Stride + k]; nothing is read behind the last of them.
    template <int N>
    GRADUS_INLINE static void load_cells(const T* from, simd::Vec<T, N>* cells) {
        using Vec = simd::Vec<T, N>;
        if constexpr (Stride == 2) {
            // Cells of the next window, too. What is behind them is aligned where padding is 1.
            constexpr int shared = Kernel - Stride;
            const Vec a = Vec::load(from + shared), b = Vec::load(from + shared + N);
            cells[shared] = simd::unzip_even(a, b);
            cells[shared + 1] = simd::unzip_odd(a, b);
            if constexpr (shared == 1) cells[0] = simd::unzip_even(Vec::load(from), Vec::load(from + N));
        } else {
            const Vec a = Vec::load(from), b = Vec::load(from + N), c = Vec::load(from + 2 * N);
            cells[0] = simd::every_third<0>(a, b, c);
            cells[1] = simd::every_third<1>(a, b, c);
            cells[2] = simd::every_third<2>(a, b, c);
        }
    }

    /// Windows of several rows read memory here and there, and nothing would be fetched ahead, unless it is
    /// asked for in order. Pooling from memory takes half the time so, as measured.
    GRADUS_INLINE static void fetch_ahead(const T* next, Index count) {
        constexpr Index size = static_cast<Index>(sizeof(T)), ahead = 4096 / size, line = 64 / size;
        for (Index i = 0; i < count; i += line) __builtin_prefetch(next + ahead + i);
    }

    template <int N>
    GRADUS_INLINE static bool run_lanes(const PoolInner& inner, const T* x, const PoolRowsOut<T>& out) {
        using Positions = typename Cells<T, N>::Positions;
        using Position = typename Cells<T, N>::Position;
        const PoolAxis &rows = inner.plan->rows, &columns = inner.plan->columns;
        const PoolWindow& c = columns.windows.data()[inner.begin];
        const Index row_step = rows.dilation * columns.size, count = inner.end - inner.begin;
        const Index advance = rows.stride * columns.size;
        Positions nan(Position(0));
        for (Index row = 0; row < rows.results(); ++row) {
            if (inner.from_memory) fetch_ahead(x + row * advance, advance);
            const PoolWindow& r = rows.windows.data()[row];
            const T* const first = x + r.start * columns.size + r.first * row_step + c.start;
            const Index to = row * columns.results() + inner.begin;
            for (Index column = 0; column < count; column += N) {
                const Index skipped = std::min(column, count - N);  // the last pack takes some again
                const T* from = first + skipped * Stride;
                Cells<T, N> cells(r.first * Kernel);
                Positions at(static_cast<Position>(r.first * Kernel));
                for (Index i = r.first; i < r.last; ++i, from += row_step) {
                    simd::Vec<T, N> loaded[std::size_t{Kernel}];
                    load_cells<N>(from, loaded);
#pragma GCC unroll 3
                    for (int j = 0; j < Kernel; ++j, at = at + 1) cells.take(loaded[j], at);
                }
                cells.store(out, to + skipped, r.extent * c.extent);
                nan = nan | cells.has_nan();
            }
            for (Index column = 0; column < columns.results(); ++column) {  // what is cut off
                if (column == inner.begin) column = inner.end;
                if (column == columns.results()) break;
                nan = nan | one_window<N>(*inner.plan, r, columns.windows.data()[column], x, out,
                                          row * columns.results() + column);
            }
        }
        return sum(nan) == 0;
    }

    /// In all lanes the same: that takes no branches, which could not be foreseen.
    template <int N>
    GRADUS_INLINE static auto one_window(const PoolPlan& plan, const PoolWindow& r, const PoolWindow& c,
                                         const T* x, const PoolRowsOut<T>& out, Index to) {
        using Positions = typename Cells<T, N>::Positions;
        using Position = typename Cells<T, N>::Position;
        Cells<T, N> cells(r.first * Kernel + c.first);
        for (Index i = r.first; i < r.last; ++i) {
            const T* const from = x + (r.start + i * plan.rows.dilation) * plan.columns.size + c.start;
            for (Index j = c.first; j < c.last; ++j)
                cells.take(simd::Vec<T, N>(from[j]), Positions(static_cast<Position>(i * Kernel + j)));
        }
        cells.store_first(out, to, r.extent * c.extent);
        return cells.has_nan();
    }

    template <int Bytes>
    GRADUS_INLINE static bool run(const PoolInner* inner, const T* x, PoolRowsOut<T> out) {
        return run_lanes<std::min(Kernel == 2 ? 8 : 16, Bytes / static_cast<int>(sizeof(T)))>(*inner, x, out);
    }
};

/// A function that pools a plane, or null where pool_planes() is faster.
template <class T>
using PoolRowsFunction = bool (*)(const PoolInner*, const T* x, PoolRowsOut<T> out);

template <template <class, int> class Cells, class T>
PoolRowsFunction<T> choose_pool_rows(const PoolInner& inner) {
    if constexpr (std::is_floating_point_v<T>) {
        const PoolAxis& columns = inner.plan->columns;
        const auto is = [&](Index kernel, Index stride) {
            return columns.kernel == kernel && columns.stride == stride && columns.dilation == 1;
        };
        if (inner.end - inner.begin < (columns.kernel == 2 ? 8 : 16)) return nullptr;  // measured
        if (is(2, 2)) return simd::run<PoolRows<T, Cells, 2, 2>, const PoolInner*, const T*, PoolRowsOut<T>>;
        if (is(3, 3)) return simd::run<PoolRows<T, Cells, 3, 3>, const PoolInner*, const T*, PoolRowsOut<T>>;
        if (is(3, 2)) return simd::run<PoolRows<T, Cells, 3, 2>, const PoolInner*, const T*, PoolRowsOut<T>>;
    }
    return nullptr;
}

}  // namespace gradus::kernels::detail
