// SPDX-License-Identifier: MIT
#pragma once

#include <limits>
#include <vector>

#include "gradus/kernels/arithmetic.hpp"

namespace gradus::kernels {

namespace detail {

/// The number that is beyond all others on this side: an infinity if T has one.
template <class T>
T extreme(int side) {
    using Limits = std::numeric_limits<T>;
    if constexpr (Limits::is_integer)
        return side < 0 ? Limits::lowest() : Limits::max();
    else
        return T(side * std::numeric_limits<double>::infinity());
}

/// `result`, or NaN if a lane is NaN.
template <class P>
GRADUS_INLINE typename P::Value or_nan(const P& lanes, typename P::Value result) {
    const typename P::Value nan = sum(select(lanes == lanes, P(0), lanes));
    return nan == nan ? result : nan;
}

}  // namespace detail

// What a reduction does with two partial results, and where it starts.
// clang-format off
struct SumOf : Vectorized {
    template <class T> static T start() { return T(0); }
    template <class V> GRADUS_INLINE V operator()(const V& a, const V& b) const { return a + b; }
    template <class P> GRADUS_INLINE static auto across(const P& lanes) { return sum(lanes); }
};
// The largest (smallest) number; NaN as soon as there is one.
struct MaxOf : Vectorized {
    template <class T> static T start() { return detail::extreme<T>(-1); }
    template <class V> GRADUS_INLINE V operator()(const V& a, const V& b) const {
        using simd::max, simd::select;
        return select(b == b, max(a, b), b);  // max itself keeps the NaN of a only
    }
    template <class P> GRADUS_INLINE static auto across(const P& lanes) { return detail::or_nan(lanes, max(lanes)); }
};
struct MinOf : Vectorized {
    template <class T> static T start() { return detail::extreme<T>(1); }
    template <class V> GRADUS_INLINE V operator()(const V& a, const V& b) const {
        using simd::min, simd::select;
        return select(b == b, min(a, b), b);
    }
    template <class P> GRADUS_INLINE static auto across(const P& lanes) { return detail::or_nan(lanes, min(lanes)); }
};
// clang-format on

namespace detail {

/// Elements of a row that one accumulation covers: partial results are combined in order, for any thread
/// count.
inline constexpr Index row_block = 8192;

/// f over x[0..n): lanes first, then across lanes.
template <class F, class T>
struct RowKernel {
    template <int Bytes>
    GRADUS_INLINE static void run(const T* x, Index n, T* result) {
        constexpr int lanes = Bytes / static_cast<int>(sizeof(T));
        using Pack = simd::Pack<T, lanes>;
        const F f;
        Pack total[4] = {F::template start<T>(), F::template start<T>(), F::template start<T>(),
                         F::template start<T>()};
        Index i = 0;
        for (; i + 4 * lanes <= n; i += 4 * lanes)
#pragma GCC unroll 4
            for (int k = 0; k < 4; ++k) total[k] = f(total[k], Pack::load(x + i + k * lanes));
        for (; i + lanes <= n; i += lanes) total[0] = f(total[0], Pack::load(x + i));
        if (i < n)
            total[1] =
                f(total[1], Pack::load_partial(x + i, static_cast<int>(n - i), F::template start<T>()));
        *result = F::across(f(f(total[0], total[1]), f(total[2], total[3])));
    }
};

/// y[j] = f over r of x[r * stride + j], for up to 4 packs of columns.
template <class F, class T>
struct ColumnKernel {
    template <std::size_t Count, int Bytes>
    GRADUS_INLINE static Index strip(const T* x, Index rows, Index stride, Index j, T* y) {
        constexpr int lanes = Bytes / static_cast<int>(sizeof(T));
        using Pack = simd::Pack<T, lanes>;
        const F f;
        Pack total[Count];
        for (std::size_t k = 0; k < Count; ++k) total[k] = Pack(F::template start<T>());
        for (Index first = 0; first < rows; first += 256) {  // blocks keep float sums of many rows accurate
            Pack part[Count];
            for (std::size_t k = 0; k < Count; ++k) part[k] = Pack(F::template start<T>());
            const Index last = std::min(rows, first + 256);
            for (Index r = first; r < last; ++r)
#pragma GCC unroll 4
                for (std::size_t k = 0; k < Count; ++k)
                    part[k] = f(part[k], Pack::load(x + r * stride + j + static_cast<Index>(k) * lanes));
            for (std::size_t k = 0; k < Count; ++k) total[k] = f(total[k], part[k]);
        }
        for (std::size_t k = 0; k < Count; ++k) total[k].store(y + j + static_cast<Index>(k) * lanes);
        return static_cast<Index>(Count) * lanes;
    }

    template <int Bytes>
    GRADUS_INLINE static void run(const T* x, Index rows, Index stride, Index columns, T* y) {
        constexpr int lanes = Bytes / static_cast<int>(sizeof(T));
        Index j = 0;
        while (j + 4 * lanes <= columns) j += strip<4, Bytes>(x, rows, stride, j, y);
        while (j + lanes <= columns) j += strip<1, Bytes>(x, rows, stride, j, y);
        if (j < columns) tail<Bytes>(x + j, rows, stride, columns - j, y + j);
    }

    /// The last columns, fewer than a pack holds, in the same order of additions. Rows are read to the full
    /// width of a pack as long as that is memory of the matrix; what comes of the lanes too many is not
    /// written.
    template <int Bytes>
    GRADUS_INLINE static void tail(const T* x, Index rows, Index stride, Index columns, T* y) {
        constexpr int lanes = Bytes / static_cast<int>(sizeof(T));
        using Pack = simd::Pack<T, lanes>;
        const int width = static_cast<int>(columns) & (lanes - 1);
        const Index whole = rows - (lanes - width + stride - 1) / stride;
        const F f;
        Pack total(F::template start<T>());
        for (Index first = 0; first < rows; first += 256) {
            Pack part(F::template start<T>());
            const Index last = std::min(rows, first + 256);
            for (Index r = first; r < last; ++r)
                part = f(part,
                         r < whole ? Pack::load(x + r * stride) : Pack::load_partial(x + r * stride, width));
            total = f(total, part);
        }
        total.store_partial(y, width);
    }
};

template <class F, class T>
T reduce_row(const T* x, Index n) {
    if constexpr (std::is_floating_point_v<T>) {
        T result;
        simd::run<RowKernel<F, T>>(x, n, &result);
        return result;
    } else {
        T total = F::template start<T>();
        for (Index i = 0; i < n; ++i) total = F{}(total, x[i]);
        return total;
    }
}

/// y[a] = f over x[a, 0..n) for `outer` rows.
template <class F, class T>
void reduce_rows(const T* x, Index outer, Index n, T* y) {
    const Index blocks = std::max<Index>(1, (n + row_block - 1) / row_block);
    Tensor<T> partial = Tensor<T>::uninitialized({blocks > 1 ? outer * blocks : 0});
    T* const out = blocks > 1 ? partial.mutable_data() : y;
    const Index grain = std::max<Index>(1, parallel_grain / std::max<Index>(1, std::min(n, row_block)));
    parallel_for(outer * blocks, grain, [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) {
            const Index start = i % blocks * row_block;
            out[i] = reduce_row<F>(x + i / blocks * n + start, std::min(row_block, n - start));
        }
    });
    if (blocks > 1)
        for (Index a = 0; a < outer; ++a) y[a] = reduce_row<F>(out + a * blocks, blocks);
}

/// y[a, j] = f over r of x[a, r, j].
template <class F, class T>
void reduce_columns(const T* x, Index outer, Index rows, Index columns, T* y) {
    const Index width = 64, strips = (columns + width - 1) / width;
    const Index grain =
        std::max<Index>(1, parallel_grain / std::max<Index>(1, rows * std::min(width, columns)));
    parallel_for(outer * strips, grain, [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) {
            const Index a = i / strips, j = i % strips * width, count = std::min(width, columns - j);
            const T* const in = x + a * rows * columns + j;
            T* const out = y + a * columns + j;
            if constexpr (std::is_floating_point_v<T>) {
                simd::run<ColumnKernel<F, T>>(in, rows, columns, count, out);
            } else {
                for (Index c = 0; c < count; ++c) {
                    T total = F::template start<T>();
                    for (Index r = 0; r < rows; ++r) total = F{}(total, in[r * columns + c]);
                    out[c] = total;
                }
            }
        }
    });
}

}  // namespace detail

/// A set of axes, one bit per axis.
using AxisSet = unsigned;

/// f over the axes of x in `axes`; these axes have size 1 in the result.
template <class F, class T>
Tensor<T> reduce(const Tensor<T>& x, AxisSet axes) {
    Tensor<T> result = x;
    for (int last = x.rank(); last > 0;) {  // one run of neighbouring axes at a time, from the innermost
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

/// y += x, of one shape.
template <class T>
void add_in_place(Tensor<T>& y, const Tensor<T>& x) {
    map_in_place(add, y, x);
}

}  // namespace gradus::kernels
