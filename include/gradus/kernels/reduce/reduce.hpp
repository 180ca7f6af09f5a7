// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "gradus/core/limits.hpp"
#include "gradus/kernels/elementwise/arithmetic.hpp"
#include "gradus/kernels/reduce/pairwise_sum.hpp"
#include "gradus/kernels/simd/shuffle.hpp"
#include "gradus/kernels/simd/tail.hpp"

namespace gradus::kernels {

namespace detail {

/// The number that no other is beyond on this side: an infinity if T has one.
template <class T>
T extreme(int side) {
    using Limits = std::numeric_limits<T>;
    using Number = decltype(Limits::max());  // of a Dual, its value
    if constexpr (Limits::is_integer)
        return side < 0 ? Limits::lowest() : Limits::max();
    else
        return T(side < 0 ? -gradus::detail::unbounded<Number> : gradus::detail::unbounded<Number>);
}

}  // namespace detail

// What a reduction does with two partial results, and where it starts.
// clang-format off
struct SumOf : Vectorized {
    template <class T> static T start() { return T(0); }
    template <class V> GRADUS_INLINE V operator()(const V& a, const V& b) const {
        return V(detail::modular(a) + detail::modular(b));
    }
};
struct ProductOf : Vectorized {
    template <class T> static T start() { return T(1); }
    template <class V> GRADUS_INLINE V operator()(const V& a, const V& b) const {
        return V(detail::modular(a) * detail::modular(b));
    }
};
// The largest (smallest) number; NaN as soon as there is one.
struct MaxOf : Vectorized {
    template <class T> static T start() { return detail::extreme<T>(-1); }
    template <class V> GRADUS_INLINE V operator()(const V& a, const V& b) const {
        using simd::is_nan, simd::max, simd::select;
        return select(is_nan(b), b, max(a, b));  // max itself keeps the NaN of a only
    }
};
struct MinOf : Vectorized {
    template <class T> static T start() { return detail::extreme<T>(1); }
    template <class V> GRADUS_INLINE V operator()(const V& a, const V& b) const {
        using simd::is_nan, simd::min, simd::select;
        return select(is_nan(b), b, min(a, b));
    }
};
// clang-format on

namespace detail {

/// Elements of a row that one accumulation covers: partial results are combined in order, for any thread
/// count. In an accumulator of a vector go 32 to 256 of them, and rounding errors do not grow with the row.
inline constexpr Index row_block = 2048;

/// y[r] = f over x[r * n + i]: lanes first, then across lanes, of as many rows as there are lanes.
template <class F, class T>
struct RowKernel {
    const T* x;
    Index rows, n;
    T* y;

    template <int Bytes>
    GRADUS_INLINE void run() {
        using Vec = simd::VecOf<T, Bytes>;
        constexpr Index lanes = Vec::size;
        const F f;
        const Vec start(F::template start<T>());
        const simd::Tail<Vec> tail(n);
        const T* const end = x + rows * n;
        for (Index first = 0; first < rows; first += lanes) {
            const Index count = std::min(lanes, rows - first);
            Vec each[std::size_t{lanes}];
            for (Vec& v : each) v = start;
            for (Index row = 0; row < count; ++row, x += n) {
                Vec total[4] = {start, start, start, start};
                Index i = 0;
                for (; i + 4 * lanes <= n; i += 4 * lanes)
#pragma GCC unroll 4
                    for (int k = 0; k < 4; ++k) total[k] = f(total[k], Vec::load(x + i + k * lanes));
                for (; i < tail.whole; i += lanes) total[0] = f(total[0], Vec::load(x + i));
                if (tail.rest > 0) total[1] = f(total[1], tail.own(tail.load(x + i, end), start));
                each[row] = f(f(total[0], total[1]), f(total[2], total[3]));
            }
            simd::across(each, f).store_partial(y + first, static_cast<int>(count));
        }
    }
};

/// Rows and columns that one ColumnKernel covers: partial results are combined in order, which also keeps
/// float sums of many rows accurate.
inline constexpr Index column_rows = 256, column_strip = 1024;

/// y[j] = f over r of x[r * stride + j], up to column_strip of them. Reads along rows, eight at a time.
template <class F, class T>
struct ColumnKernel {
    const T* x;
    Index rows, stride, columns;
    T* y;

    template <int Bytes>
    GRADUS_INLINE void run() const {
        using Vec = simd::VecOf<T, Bytes>;
        constexpr Index lanes = Vec::size, together = 8;
        const F f;
        const Vec start(F::template start<T>());
        // The last vector overlaps the one before. Where there is no other, rows are read to its full width
        // as long as that is memory of the matrix.
        const Index vectors = (columns + lanes - 1) / lanes, last = std::max<Index>(0, columns - lanes);
        const Index missing = std::max<Index>(0, lanes - columns);
        const Index whole = rows - (missing + stride - 1) / stride;
        Vec total[std::size_t{column_strip / lanes}];
        for (Index p = 0; p < vectors; ++p) total[p] = start;
        Index r = 0;
        for (; r + together <= whole; r += together)
            for (Index p = 0; p < vectors; ++p) {
                const T* const from = x + r * stride + std::min(p * lanes, last);
                Vec part = Vec::load(from);
#pragma GCC unroll 8
                for (Index i = 1; i < together; ++i) part = f(part, Vec::load(from + i * stride));
                total[p] = f(total[p], part);
            }
        for (; r < whole; ++r)
            for (Index p = 0; p < vectors; ++p)
                total[p] = f(total[p], Vec::load(x + r * stride + std::min(p * lanes, last)));
        for (; r < rows; ++r)
            total[0] = f(total[0], Vec::load_partial(x + r * stride, static_cast<int>(columns)));
        if (missing > 0) return total[0].store_partial(y, static_cast<int>(columns));
        for (Index p = 0; p < vectors; ++p) total[p].store(y + std::min(p * lanes, last));
    }
};

/// y[r] = f over x[r * n + i].
template <class F, class T>
void reduce_few_rows(const T* x, Index rows, Index n, T* y) {
    if constexpr (std::is_floating_point_v<T>) {
        simd::run(RowKernel<F, T>{.x = x, .rows = rows, .n = n, .y = y});
    } else {
        for (Index r = 0; r < rows; ++r) {
            T total = F::template start<T>();
            for (Index i = 0; i < n;) {
                const Index end = std::min(n, i + sum_run);
                T run = F::template start<T>();
                for (; i < end; ++i) run = F{}(run, *x++);
                total = F{}(total, run);
            }
            y[r] = total;
        }
    }
}

/// y[j] = f over r of x[r * stride + j], up to column_strip of them.
template <class F, class T>
void reduce_strip(const T* x, Index rows, Index stride, Index columns, T* y) {
    if constexpr (std::is_floating_point_v<T>) {
        simd::run(ColumnKernel<F, T>{.x = x, .rows = rows, .stride = stride, .columns = columns, .y = y});
    } else {
        std::fill_n(y, columns, F::template start<T>());
        for (Index r = 0; r < rows; ++r)
            for (Index j = 0; j < columns; ++j) y[j] = F{}(y[j], x[r * stride + j]);
    }
}

/// y[a] = f over x[a, 0..n) for `outer` rows.
template <class F, class T>
void reduce_rows(const T* x, Index outer, Index n, T* y) {
    if (n <= row_block)
        return parallel_for(
            outer, std::max<Index>(1, parallel_grain / std::max<Index>(1, n)),
            [&](Index begin, Index end) { reduce_few_rows<F>(x + begin * n, end - begin, n, y + begin); });
    const Index blocks = (n + row_block - 1) / row_block;
    Tensor<T> partial = Tensor<T>::uninitialized({outer * blocks});
    T* const out = partial.mutable_data();
    parallel_for(outer * blocks, parallel_grain / row_block, [&](Index begin, Index end) {
        // The blocks of one row lie together; the last one may be shorter.
        for (Index i = begin, count; i < end; i += count) {
            const Index block = i % blocks, size = std::min(row_block, n - block * row_block);
            count = size < row_block ? 1 : std::min(end - i, n / row_block - block);
            reduce_few_rows<F>(x + i / blocks * n + block * row_block, count, size, out + i);
        }
    });
    reduce_rows<F>(partial.data(), outer, blocks, y);
}

/// y[a, j] = f over r of x[a, r, j].
template <class F, class T>
void reduce_columns(const T* x, Index outer, Index rows, Index columns, T* y) {
    const Index blocks = std::max<Index>(1, (rows + column_rows - 1) / column_rows);
    const Index strips = (columns + column_strip - 1) / column_strip;
    const Index width = strips == 0 ? 0 : (columns + strips - 1) / strips;  // even: no strip is narrow
    Tensor<T> partial = Tensor<T>::uninitialized({blocks > 1 ? outer * blocks * columns : 0});
    T* const out = blocks > 1 ? partial.mutable_data() : y;
    const Index work = std::max<Index>(1, std::min(rows, column_rows) * width);
    parallel_for(outer * blocks * strips, std::max<Index>(1, parallel_grain / work),
                 [&](Index begin, Index end) {
                     for (Index i = begin; i < end; ++i) {
                         const Index j = i % strips * width, block = i / strips;
                         const Index a = block / blocks, r = block % blocks * column_rows;
                         reduce_strip<F>(x + (a * rows + r) * columns + j, std::min(column_rows, rows - r),
                                         columns, std::min(width, columns - j), out + block * columns + j);
                     }
                 });
    if (blocks > 1) reduce_columns<F>(partial.data(), outer, blocks, columns, y);
}

}  // namespace detail

/// A set of axes, one bit per axis.
using AxisSet = unsigned;

/// f over the axes of x in `axes`; these axes have size 1 in the result.
template <class F, class T>
Tensor<T> reduce(const Tensor<T>& x, AxisSet axes) {
    Tensor<T> result = x;
    for (int last = x.rank(); last > 0;) {  // one run of neighboring axes at a time, from the innermost
        if (!(axes >> (last - 1) & 1u)) {
            --last;
            continue;
        }
        int first = last;
        Shape shape = result.shape();
        while (first > 0 && (axes >> (first - 1) & 1u)) shape = shape.with(--first, 1);
        const Index outer = shape.span(0, first), inner = shape.span(last, shape.rank());
        const Index count = result.shape().span(first, last);
        Tensor<T> reduced = Tensor<T>::uninitialized(shape);
        if (inner == 1)
            detail::reduce_rows<F>(result.data(), outer, count, reduced.mutable_data());
        else
            detail::reduce_columns<F>(result.data(), outer, count, inner, reduced.mutable_data());
        result = std::move(reduced);
        last = first;
    }
    return result;
}

/// True if a gradient of shape `from` can be summed to a value of shape `to` that was broadcast.
inline bool sums_to(const Shape& from, const Shape& to) {
    const int extra = from.rank() - to.rank();
    if (extra < 0) return false;
    for (int i = 0; i < to.rank(); ++i)
        if (to[i] != from[i + extra] && to[i] != 1) return false;
    return true;
}

/// Sums x over the axes along which a value of shape `to` was broadcast to the shape of x.
template <class T>
Tensor<T> sum_to(const Tensor<T>& x, const Shape& to) {
    const int extra = x.rank() - to.rank();
    AxisSet axes = 0;
    for (int i = 0; i < x.rank(); ++i)
        if (i < extra || to[i - extra] != x.size(i)) axes |= 1u << i;
    return reduce<SumOf>(x, axes).reshape(to);
}

/// The power of two that brings a number of this size to [1, 2), or as near as its inverse is no denormal:
/// numbers that it scales can be squared. An infinity counts as the largest number; 1 for 0 and NaN.
template <class T>
auto scale_to_1(const T& size) {
    using Number = decltype(std::numeric_limits<T>::max());  // of a Dual, its value
    using Limits = std::numeric_limits<Number>;
    const auto number = static_cast<Number>(size);
    if (!(number > Number(0))) return Number(1);
    const int exponent = std::ilogb(std::min(number, Limits::max()));
    return std::ldexp(Number(1), std::clamp(-exponent, Limits::min_exponent, Limits::max_exponent - 2));
}

/// y += x, of one shape.
template <class T>
void add_in_place(Tensor<T>& y, const Tensor<T>& x) {
    map_in_place(add, y, x);
}

}  // namespace gradus::kernels
