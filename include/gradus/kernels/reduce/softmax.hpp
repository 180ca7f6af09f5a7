// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "gradus/kernels/elementwise/map.hpp"
#include "gradus/kernels/reduce/softmax_columns.hpp"
#include "gradus/kernels/simd/math.hpp"
#include "gradus/kernels/simd/shuffle.hpp"
#include "gradus/kernels/simd/stream_store.hpp"
#include "gradus/kernels/simd/tail.hpp"

// Softmax along one axis of x [outer, n, inner]: where that is the last axis (inner = 1) by rows, else by
// columns in lanes. Either way a few of them at a time stay in the first-level cache for all passes, and what
// is summed for one of them does not depend on the others. Sums are of runs (SumOfRuns), so long axes keep
// their accuracy. One loop serves every instruction set: simd/dispatch.hpp compiles it for each.
//
// Infinities are what numbers come to that grow without end. A class of -inf, one that is masked out, has the
// share 0. A class of +inf has all; several have equal shares, as ties have in max(). Of a row of -inf alone
// no limit exists, and softmax is NaN.

namespace gradus::kernels {

namespace detail {

/// Rows of n numbers that are done together: they stay in the first-level cache for all passes.
inline constexpr Index row_group = 3072;  // numbers
inline Index rows_together(Index n, Index lanes) {
    return std::clamp<Index>(row_group / (n / lanes * lanes + lanes), 1, lanes);
}

/// Some rows at a time, in three passes: (1) the largest x of each, which is what to subtract; (2) exp and
/// its sums, with one accumulator per row; (3) the division, or else the sums and what goes with them are
/// stored. After (1) and (2) the lanes of the accumulators are folded for all of the rows together.
template <class T, bool Divide>
struct SoftmaxRows {
    const T* x;
    Index rows, n;
    SoftmaxOut<T> out;

    template <int Bytes>
    GRADUS_INLINE void run() {
        using Vec = simd::VecOf<T, Bytes>;
        constexpr Index lanes = Vec::size;
        constexpr T lowest = -gradus::detail::unbounded<T>;
        const simd::Tail<Vec> tail(n);
        const Index together = rows_together(n, lanes);
        const T *const x_end = x + rows * n, *const y_end = out.y + rows * n;
        T* y = out.y;
        alignas(Bytes) T waiting[std::size_t{Divide ? row_group + 2 * lanes : 1}];
        [[maybe_unused]] simd::StreamedRows<Vec> streamed(y);
        for (Index first = 0; first < rows; first += together) {
            const Index count = std::min(together, rows - first);
            Vec each[std::size_t{lanes}];
            for (Vec& v : each) v = Vec(lowest);
            for (Index k = 0; k < count; ++k) {
                const T* const row = x + k * n;
                Vec top(lowest);
                for (Index i = 0; i < tail.whole; i += lanes) top = max(Vec::load(row + i), top);
                if (tail.rest > 0) top = max(tail.own(tail.load(row + tail.whole, x_end), Vec(lowest)), top);
                each[k] = top;
            }
            const Vec top =
                simd::across(each, [](const Vec& a, const Vec& b) GRADUS_INLINE_LAMBDA { return max(a, b); });
            // From a row of all -inf nothing is subtracted: its sum is 0, its softmax NaN.
            const Vec shift = select(top >= Vec(std::numeric_limits<T>::lowest()), top, Vec(T(0)));
            T numbers[std::size_t{lanes}];
            shift.store(numbers);
            // What will be divided waits where rows do not overlap: reading what two stores have written is
            // slow. A long row waits in place.
            const bool waits = Divide && n <= row_group - lanes;
            T* const exps = waits ? waiting + lanes : y;
            const Index pitch = waits ? tail.whole + lanes : n;
            const T* const exps_end = waits ? exps + row_group : y_end;
            for (Index k = 0; k < count; ++k) {
                const T* const row = x + k * n;
                T* const to = exps + k * pitch;
                Vec run(T(0));
                SumOfRuns<Vec> total;
                for (Index i = 0; i < n; i += lanes) {  // one body for all vectors: exp is compiled once
                    const bool last = i == tail.whole;
                    if (out.beyond_cache) {  // memory would wait while exp is computed
                        __builtin_prefetch(row + count * n + i);
                        if (waits && !out.stream) __builtin_prefetch(y + k * n + i, 1);
                    }
                    const Vec v = last ? tail.load(row + i, x_end) : Vec::load(row + i);
                    Vec e = exp_of_negative(below_largest<T>(v, Vec(numbers[k])));
                    last ? tail.store(e, to + i, exps_end) : e.store(to + i);
                    if (last) e = tail.own(e, Vec(T(0)));
                    run += e;
                    if ((i + lanes) % (sum_run * lanes) == 0) total.add(run), run = Vec(T(0));
                }
                each[k] = total.total(run);
            }
            const Vec sum =
                simd::across(each, [](const Vec& a, const Vec& b) GRADUS_INLINE_LAMBDA { return a + b; });
            if constexpr (Divide) {
                (1 / sum).store(numbers);
                for (Index k = 0; k < count; ++k) {
                    const T* const from = exps + k * pitch;
                    T* const to = y + k * n;
                    const Vec factor(numbers[k]);
                    if (waits && out.stream) {
                        streamed.row(n, first + k + 1 == rows, [&](Index i) GRADUS_INLINE_LAMBDA {
                            return Vec::load(from + i) * factor;
                        });
                        continue;
                    }
                    for (Index i = 0; i < tail.whole; i += lanes)
                        (Vec::load(from + i) * factor).store(to + i);
                    if (tail.rest > 0)
                        tail.store(tail.load(from + tail.whole, exps_end) * factor, to + tail.whole, y_end);
                }
            } else {
                sum.store_partial(out.sums + first, static_cast<int>(count));
                log(sum).store_partial(out.log_sums + first, static_cast<int>(count));
                shift.store_partial(out.largest + first, static_cast<int>(count));
            }
            x += count * n;
            y += count * n;
        }
        if (out.stream) simd::store_fence();
    }
};

/// dx = y (dy - Σ y dy).
template <class T>
struct SoftmaxRowsBackward {
    const T *y, *dy;
    Index rows, n;
    T* dx;
    bool stream;

    template <int Bytes>
    GRADUS_INLINE void run() {
        using Vec = simd::VecOf<T, Bytes>;
        constexpr Index lanes = Vec::size;
        const simd::Tail<Vec> tail(n);
        const Index together = rows_together(n, lanes);
        simd::StreamedRows<Vec> streamed(dx);
        const T *const y_end = y + rows * n, *const dy_end = dy + rows * n, *const dx_end = dx + rows * n;
        for (Index first = 0; first < rows; first += together) {
            const Index count = std::min(together, rows - first);
            Vec each[std::size_t{lanes}];
            for (Vec& v : each) v = Vec(T(0));
            for (Index k = 0; k < count; ++k) {
                const T *const a = y + k * n, *const b = dy + k * n;
                Vec run(T(0));
                SumOfRuns<Vec> total;
                for (Index i = 0; i < tail.whole;) {
                    const Index run_end = std::min(tail.whole, i + sum_run * lanes);
                    for (; i < run_end; i += lanes) run = fma(Vec::load(a + i), Vec::load(b + i), run);
                    if (i < tail.whole) total.add(run), run = Vec(T(0));
                }
                if (tail.rest > 0) {
                    const Vec product = tail.load(a + tail.whole, y_end) * tail.load(b + tail.whole, dy_end);
                    run += tail.own(product, Vec(T(0)));
                }
                each[k] = total.total(run);
            }
            T dots[std::size_t{lanes}];
            simd::across(each, [](const Vec& a, const Vec& b) GRADUS_INLINE_LAMBDA {
                return a + b;
            }).store(dots);
            for (Index k = 0; k < count; ++k, y += n, dy += n, dx += n) {
                const Vec dot(dots[k]);
                if (stream) {
                    streamed.row(n, first + k + 1 == rows, [&](Index i) GRADUS_INLINE_LAMBDA {
                        __builtin_prefetch(y + count * n + i);
                        __builtin_prefetch(dy + count * n + i);
                        return Vec::load(y + i) * (Vec::load(dy + i) - dot);
                    });
                    continue;
                }
                for (Index i = 0; i < tail.whole; i += lanes)
                    (Vec::load(y + i) * (Vec::load(dy + i) - dot)).store(dx + i);
                if (tail.rest > 0)
                    tail.store(tail.load(y + tail.whole, y_end) * (tail.load(dy + tail.whole, dy_end) - dot),
                               dx + tail.whole, dx_end);
            }
        }
        if (stream) simd::store_fence();
    }
};

/// The sizes around an axis, and how threads share them out: calls rows(first row, count) or
/// columns(outer position, first column, count).
struct SoftmaxSizes {
    Index outer, n, inner;

    SoftmaxSizes(const Shape& x, int axis)
        : outer(x.span(0, axis)), n(x[axis]), inner(x.span(axis + 1, x.rank())) {}

    template <class T>
    bool streams() const {
        return simd::should_stream_rows<T>(outer * inner, n);
    }

    template <class Rows, class Columns>
    void share_out(const Rows& rows, const Columns& columns) const {
        const Index size = std::max<Index>(n, 1), grain = parallel_grain / 8;
        if (inner == 1) {
            parallel_for(outer, std::max<Index>(1, 4 * grain / size),
                         [&](Index begin, Index end) { rows(begin, end - begin); });
            return;
        }
        const Index width = std::min<Index>(512, inner),
                    strips = inner == 0 ? 0 : (inner + width - 1) / width;
        parallel_for(outer * strips, std::max<Index>(1, grain / (size * std::max<Index>(width, 1))),
                     [&](Index begin, Index end) {
                         for (Index i = begin; i < end; ++i) {
                             const Index column = i % strips * width;
                             columns(i / strips, column, std::min(width, inner - column));
                         }
                     });
    }
};

template <bool Divide, class T>
void softmax_into(const Tensor<T>& x, int axis, SoftmaxOut<T> out) {
    const SoftmaxSizes s(x.shape(), axis);
    out.beyond_cache = x.numel() > (Index{1} << 22);
    out.stream = Divide && s.streams<T>();
    s.share_out(
        [&](Index row, Index count) {
            const T* const from = x.data() + row * s.n;
            if constexpr (std::is_floating_point_v<T>)
                simd::run(SoftmaxRows<T, Divide>{
                    .x = from, .rows = count, .n = s.n, .out = out.from(row * s.n, row)});
            else
                for (Index r = 0; r < count; ++r)
                    softmax_column(from + r * s.n, s.n, 1, out.from((row + r) * s.n, row + r));
        },
        [&](Index outer, Index column, Index count) {
            const Index at = outer * s.n * s.inner + column, position = outer * s.inner + column;
            if constexpr (std::is_floating_point_v<T>)
                simd::run(SoftmaxColumns<T, Divide>{.x = x.data() + at,
                                                    .n = s.n,
                                                    .inner = s.inner,
                                                    .columns = count,
                                                    .out = out.from(at, position)});
            else
                for (Index c = 0; c < count; ++c)
                    softmax_column(x.data() + at + c, s.n, s.inner, out.from(at + c, position + c));
        });
}

}  // namespace detail

/// exp(x - largest) along an axis, the sums of that and their logarithms, and the largest x (0 where all are
/// -inf). Softmax is exps / sums; its logarithm is below_largest(x, largest) - log_sums, in this order, which
/// keeps all digits where x is large.
template <class T>
struct SoftmaxParts {
    Tensor<T> exps, sums, log_sums, largest;  // of x's shape; the others have size 1 along the axis
};

template <class T>
SoftmaxParts<T> softmax_parts(const Tensor<T>& x, int axis) {
    const Shape one = x.shape().with(axis, 1);
    SoftmaxParts<T> p{Tensor<T>::uninitialized(x.shape()), Tensor<T>::uninitialized(one),
                      Tensor<T>::uninitialized(one), Tensor<T>::uninitialized(one)};
    detail::softmax_into<false>(
        x, axis,
        {p.exps.mutable_data(), p.sums.mutable_data(), p.log_sums.mutable_data(), p.largest.mutable_data()});
    return p;
}

/// exp(x) / Σ exp(x) along an axis.
template <class T>
Tensor<T> softmax(const Tensor<T>& x, int axis) {
    Tensor<T> y = Tensor<T>::uninitialized(x.shape());
    detail::softmax_into<true>(x, axis, {y.mutable_data()});
    return y;
}

/// dx of softmax(), y (dy - Σ y dy).
template <class T>
Tensor<T> softmax_backward(const Tensor<T>& y, const Tensor<T>& dy, int axis) {
    const detail::SoftmaxSizes s(y.shape(), axis);
    Tensor<T> dx = Tensor<T>::uninitialized(y.shape());
    T* const out = dx.mutable_data();
    const bool stream = s.streams<T>();
    s.share_out(
        [&](Index row, Index count) {
            const Index at = row * s.n;
            if constexpr (std::is_floating_point_v<T>)
                simd::run(detail::SoftmaxRowsBackward<T>{.y = y.data() + at,
                                                         .dy = dy.data() + at,
                                                         .rows = count,
                                                         .n = s.n,
                                                         .dx = out + at,
                                                         .stream = stream});
            else
                for (Index i = at; i < at + count * s.n; i += s.n)
                    detail::softmax_column_backward(y.data() + i, dy.data() + i, s.n, 1, out + i);
        },
        [&](Index outer, Index column, Index count) {
            const Index at = outer * s.n * s.inner + column;
            if constexpr (std::is_floating_point_v<T>)
                simd::run(detail::SoftmaxColumnsBackward<T>{.y = y.data() + at,
                                                            .dy = dy.data() + at,
                                                            .n = s.n,
                                                            .inner = s.inner,
                                                            .columns = count,
                                                            .dx = out + at});
            else
                for (Index c = at; c < at + count; ++c)
                    detail::softmax_column_backward(y.data() + c, dy.data() + c, s.n, s.inner, out + c);
        });
    return dx;
}

}  // namespace gradus::kernels
