// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "gradus/kernels/pool/geometry.hpp"
#include "gradus/kernels/reduce/reduce.hpp"
#include "gradus/kernels/simd/shuffle.hpp"

// Pooling of wide planes by the usual windows, 2 × 2 and 3 × 3: a plane at a time, in lanes of neighboring
// results, where windows are not clipped. For everything else there is plane_per_lane.hpp.

namespace gradus::kernels::detail {

/// The columns of results whose windows are not clipped.
struct UnclippedColumns {
    const PoolPlan* plan;
    Index begin = 0, end = 0;
    bool from_memory;

    /// Of planes of so many bytes in all.
    UnclippedColumns(const PoolPlan& p, Index bytes) : plan(&p), from_memory(bytes > (Index{1} << 20)) {
        const auto& windows = p.columns.windows;
        const auto whole = [&](const PoolWindow& w) { return w.last - w.first == p.columns.kernel; };
        const auto first = std::find_if(windows.begin(), windows.end(), whole);
        begin = first - windows.begin();
        end = std::find_if_not(first, windows.end(), whole) - windows.begin();
    }
};

/// Where the results of a plane go.
template <class T>
struct PoolOutputs {
    T* y;
    std::uint8_t* narrow;  // argmax, of max pooling
};

/// Lanes of windows: the largest elements so far. NaN does not win here; has_nan() tells of it, and maybe also
/// where there is none but two infinities.
template <class T, int N>
struct WindowLargest {
    using Int = simd::detail::IntOf<T>;
    using Vec = simd::Vec<T, N>;
    using Ints = simd::Vec<Int, N>;

    Vec value = extreme<T>(-1);
    Vec total = T(0);

    GRADUS_INLINE explicit WindowLargest(Index) {}

    GRADUS_INLINE void add(const Vec& x, const Ints&) {
        value = max(value, x);
        total += x;
    }

    GRADUS_INLINE Ints has_nan() const { return is_nan(total).bits(); }

    GRADUS_INLINE void store(const PoolOutputs<T>& out, Index out_offset, Index) const {
        value.store(out.y + out_offset);
    }

    GRADUS_INLINE void store_first(const PoolOutputs<T>& out, Index out_offset, Index) const {
        out.y[out_offset] = value[0];
    }
};

/// And where they are in the window: their argmax.
template <class T, int N>
struct WindowMax : WindowLargest<T, N> {
    using Largest = WindowLargest<T, N>;
    using typename Largest::Int, typename Largest::Ints, typename Largest::Vec;

    Ints argmax;

    GRADUS_INLINE explicit WindowMax(Index first) : Largest(first), argmax(static_cast<Int>(first)) {}

    GRADUS_INLINE void add(const Vec& x, const Ints& index) {
        argmax = Ints::wrap(x.v > this->value.v ? index.v : argmax.v);  // a Mask would take more steps
        Largest::add(x, index);
    }

    GRADUS_INLINE void store(const PoolOutputs<T>& out, Index out_offset, Index extent) const {
        Largest::store(out, out_offset, extent);
        simd::store_low_bytes(argmax, out.narrow + out_offset);
    }

    GRADUS_INLINE void store_first(const PoolOutputs<T>& out, Index out_offset, Index extent) const {
        Largest::store_first(out, out_offset, extent);
        out.narrow[out_offset] = static_cast<std::uint8_t>(argmax[0]);
    }
};

/// Lanes of windows: the sum of the elements so far.
template <class T, int N>
struct WindowSum {
    using Vec = simd::Vec<T, N>;
    using Int = simd::detail::IntOf<T>;
    using Ints = simd::Vec<Int, N>;

    Vec value = T(0);

    GRADUS_INLINE explicit WindowSum(Index) {}
    GRADUS_INLINE void add(const Vec& x, const Ints&) { value += x; }
    GRADUS_INLINE Ints has_nan() const { return Int(0); }  // NaN needs no care
    GRADUS_INLINE void store(const PoolOutputs<T>& out, Index out_offset, Index extent) const {
        (value / static_cast<T>(extent)).store(out.y + out_offset);
    }
    GRADUS_INLINE void store_first(const PoolOutputs<T>& out, Index out_offset, Index extent) const {
        out.y[out_offset] = value[0] / static_cast<T>(extent);
    }
};

/// A plane, in lanes of neighboring results of a row as long as their windows are not clipped. Kernel and
/// stride of the columns are constants, and their dilation is 1. False if `Window` met a NaN.
template <class T, template <class, int> class Window, int Kernel, int Stride>
struct SmallWindows {
    static_assert((Stride == 2 && Kernel <= 3) || (Stride == 3 && Kernel == 3));

    const UnclippedColumns* unclipped;
    const T* x;
    PoolOutputs<T> out;

    /// Lane i of element k is from[i * Stride + k]; nothing is read behind the last of them.
    template <int N>
    GRADUS_INLINE static void load_elements(const T* from, simd::Vec<T, N>* elements) {
        simd::Vec<T, N> every[std::size_t{Stride}];
        // Elements of the next window, too. What is behind them is aligned where padding is 1.
        constexpr int shared = Kernel - Stride;
        simd::load_interleaved(every, from + shared);
#pragma GCC unroll 3
        for (int k = 0; k < Stride; ++k) elements[shared + k] = every[k];
        if constexpr (shared == 1) {
            simd::load_interleaved(every, from);
            elements[0] = every[0];
        }
    }

    /// Windows of several rows read memory here and there, and nothing would be fetched ahead, unless it is
    /// asked for in order. Pooling from memory takes half the time so, as measured.
    GRADUS_INLINE static void fetch_ahead(const T* next, Index count) {
        constexpr Index size = static_cast<Index>(sizeof(T)), ahead = 4096 / size, line = 64 / size;
        for (Index i = 0; i < count; i += line) __builtin_prefetch(next + ahead + i);
    }

    template <int N>
    GRADUS_INLINE bool run_lanes() const {
        using Ints = typename Window<T, N>::Ints;
        using Int = typename Window<T, N>::Int;
        const PoolAxis &rows = unclipped->plan->rows, &columns = unclipped->plan->columns;
        const PoolWindow& c = columns.windows.data()[unclipped->begin];
        const Index row_step = rows.dilation * columns.size, count = unclipped->end - unclipped->begin;
        const Index advance = rows.stride * columns.size;
        Ints nan(Int(0));
        for (Index row = 0; row < rows.results(); ++row) {
            if (unclipped->from_memory) fetch_ahead(x + row * advance, advance);
            const PoolWindow& r = rows.windows.data()[row];
            const T* const first = x + r.start * columns.size + r.first * row_step + c.start;
            const Index out_offset = row * columns.results() + unclipped->begin;
            for (Index column = 0; column < count; column += N) {
                const Index first_column = std::min(column, count - N);  // the last vector takes some again
                const T* from = first + first_column * Stride;
                Window<T, N> window(r.first * Kernel);
                Ints index(static_cast<Int>(r.first * Kernel));
                for (Index i = r.first; i < r.last; ++i, from += row_step) {
                    simd::Vec<T, N> loaded[std::size_t{Kernel}];
                    load_elements<N>(from, loaded);
#pragma GCC unroll 3
                    for (int j = 0; j < Kernel; ++j, index = index + 1) window.add(loaded[j], index);
                }
                window.store(out, out_offset + first_column, r.extent * c.extent);
                nan = nan | window.has_nan();
            }
            for (Index column = 0; column < columns.results(); ++column) {  // clipped windows
                if (column == unclipped->begin) column = unclipped->end;
                if (column == columns.results()) break;
                nan =
                    nan | one_window<N>(r, columns.windows.data()[column], row * columns.results() + column);
            }
        }
        return sum(nan) == 0;
    }

    /// In all lanes the same: that takes no branches, which could not be foreseen.
    template <int N>
    GRADUS_INLINE auto one_window(const PoolWindow& r, const PoolWindow& c, Index out_offset) const {
        using Ints = typename Window<T, N>::Ints;
        using Int = typename Window<T, N>::Int;
        Window<T, N> window(r.first * Kernel + c.first);
        for (Index i = r.first; i < r.last; ++i) {
            const T* const from =
                x + (r.start + i * unclipped->plan->rows.dilation) * unclipped->plan->columns.size + c.start;
            for (Index j = c.first; j < c.last; ++j)
                window.add(simd::Vec<T, N>(from[j]), Ints(static_cast<Int>(i * Kernel + j)));
        }
        window.store_first(out, out_offset, r.extent * c.extent);
        return window.has_nan();
    }

    template <int Bytes>
    GRADUS_INLINE bool run() const {
        return run_lanes<std::min(Kernel == 2 ? 8 : 16, Bytes / static_cast<int>(sizeof(T)))>();
    }

    static bool pool(const UnclippedColumns* unclipped, const T* x, PoolOutputs<T> out) {
        return simd::run(SmallWindows{.unclipped = unclipped, .x = x, .out = out});
    }
};

/// A function that pools a plane, or null where pool_in_lanes() is faster.
template <class T>
using SmallWindowsFunction = bool (*)(const UnclippedColumns*, const T* x, PoolOutputs<T> out);

template <template <class, int> class Window, class T>
SmallWindowsFunction<T> choose_small_windows(const UnclippedColumns& unclipped) {
    if constexpr (std::is_floating_point_v<T>) {
        const PoolAxis& columns = unclipped.plan->columns;
        const auto is = [&](Index kernel, Index stride) {
            return columns.kernel == kernel && columns.stride == stride && columns.dilation == 1;
        };
        if (unclipped.end - unclipped.begin < (columns.kernel == 2 ? 8 : 16)) return nullptr;  // measured
        if (is(2, 2)) return SmallWindows<T, Window, 2, 2>::pool;
        if (is(3, 3)) return SmallWindows<T, Window, 3, 3>::pool;
        if (is(3, 2)) return SmallWindows<T, Window, 3, 2>::pool;
    }
    return nullptr;
}

}  // namespace gradus::kernels::detail
