// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <limits>

#include "gradus/kernels/reduce/reduce.hpp"
#include "gradus/kernels/simd/math.hpp"
#include "gradus/kernels/simd/tail.hpp"

// Softmax of columns: x is [n, columns], its rows `inner` numbers apart, and lanes are neighboring columns. A
// few vectors of columns at a time go through all passes: the largest, exp and its sum, the division. What
// softmax.hpp, which does rows, shares with this stands here too.

namespace gradus::kernels {

/// x − largest, where largest is at least x: 0 where both are +inf. T is the type of one number.
template <class T, class V>
GRADUS_INLINE V below_largest(const V& x, const V& largest) {
    using simd::select;
    return V(select(x > V(T(std::numeric_limits<T>::max())), V(0), V(x - largest)));
}

namespace detail {

/// Where softmax leaves y = exp(x - largest) and, per row or column, the sum of it, the logarithm of the sum,
/// and the largest x. Without `sums`, y is divided by the sum and all else left out.
template <class T>
struct SoftmaxOut {
    T* y;
    T *sums = nullptr, *log_sums = nullptr, *largest = nullptr;
    bool beyond_cache = false, stream = false;

    SoftmaxOut from(Index element, Index position) const {
        SoftmaxOut result = *this;
        result.y += element;
        if (sums) {
            result.sums += position;
            result.log_sums += position;
            result.largest += position;
        }
        return result;
    }
};

/// Ends the runs of some columns and begins the next ones.
template <class Vec, std::size_t N>
GRADUS_INLINE void add_runs(SumOfRuns<Vec> (&sums)[N], Vec (&runs)[N], int count) {
    for (int k = 0; k < count; ++k) {
        sums[k].add(runs[k]);
        runs[k] = Vec(typename Vec::Value(0));
    }
}

template <class T, bool Divide>
struct SoftmaxColumns {
    const T* x;
    Index n, inner, columns;
    SoftmaxOut<T> out;

    template <int Bytes>
    GRADUS_INLINE void run() const {
        using Vec = simd::VecOf<T, Bytes>;
        constexpr T lowest = -gradus::detail::unbounded<T>;
        for (simd::ColumnVectors<Vec> vectors(columns); !vectors.done(); vectors.next()) {
            Vec shift[vectors.most], total[vectors.most];
            SumOfRuns<Vec> runs[vectors.most];
            for (int k = 0; k < vectors.count; ++k) shift[k] = Vec(lowest), total[k] = Vec(T(0));
            for (Index i = 0; i < n; ++i)
                for (int k = 0; k < vectors.count; ++k)
                    shift[k] = max(vectors.load(x + i * inner, k), shift[k]);
            for (int k = 0; k < vectors.count; ++k)
                shift[k] = select(shift[k] >= Vec(std::numeric_limits<T>::lowest()), shift[k], Vec(T(0)));
            for (Index i = 0; i < n; ++i) {
                if (i > 0 && i % sum_run == 0) add_runs(runs, total, vectors.count);
                for (int k = 0; k < vectors.count; ++k) {
                    const Vec e = exp(below_largest<T>(vectors.load(x + i * inner, k), shift[k]));
                    vectors.store(e, out.y + i * inner, k);
                    total[k] += e;
                }
            }
            for (int k = 0; k < vectors.count; ++k) total[k] = runs[k].total(total[k]);
            if constexpr (Divide) {
                for (int k = 0; k < vectors.count; ++k) total[k] = 1 / total[k];
                for (Index i = 0; i < n; ++i)
                    for (int k = 0; k < vectors.count; ++k)
                        vectors.store(vectors.load(out.y + i * inner, k) * total[k], out.y + i * inner, k);
            } else {
                for (int k = 0; k < vectors.count; ++k) {
                    vectors.store(total[k], out.sums, k);
                    vectors.store(log(total[k]), out.log_sums, k);
                    vectors.store(shift[k], out.largest, k);
                }
            }
        }
    }
};

template <class T>
struct SoftmaxColumnsBackward {
    const T *y, *dy;
    Index n, inner, columns;
    T* dx;

    template <int Bytes>
    GRADUS_INLINE void run() const {
        using Vec = simd::VecOf<T, Bytes>;
        for (simd::ColumnVectors<Vec> vectors(columns); !vectors.done(); vectors.next()) {
            Vec dot[vectors.most];
            SumOfRuns<Vec> runs[vectors.most];
            for (int k = 0; k < vectors.count; ++k) dot[k] = Vec(T(0));
            for (Index i = 0; i < n; ++i) {
                if (i > 0 && i % sum_run == 0) add_runs(runs, dot, vectors.count);
                for (int k = 0; k < vectors.count; ++k)
                    dot[k] = fma(vectors.load(y + i * inner, k), vectors.load(dy + i * inner, k), dot[k]);
            }
            for (int k = 0; k < vectors.count; ++k) dot[k] = runs[k].total(dot[k]);
            for (Index i = 0; i < n; ++i)
                for (int k = 0; k < vectors.count; ++k)
                    vectors.store(vectors.load(y + i * inner, k) * (vectors.load(dy + i * inner, k) - dot[k]),
                                  dx + i * inner, k);
        }
    }
};

/// One column, of numbers of any type.
template <class T>
void softmax_column(const T* x, Index n, Index inner, const SoftmaxOut<T>& out) {
    using std::exp, std::log;
    T top = extreme<T>(-1);
    for (Index i = 0; i < n; ++i)
        if (x[i * inner] > top || top != top) top = x[i * inner];
    if (!(top >= T(std::numeric_limits<T>::lowest()))) top = T(0);
    const T sum = sum_in_runs<T>(
        n, [&](Index i) { return out.y[i * inner] = exp(below_largest<T>(x[i * inner], top)); });
    if (out.sums)
        *out.sums = sum, *out.log_sums = log(sum), *out.largest = top;
    else
        for (Index i = 0; i < n; ++i) out.y[i * inner] = out.y[i * inner] / sum;
}
template <class T>
void softmax_column_backward(const T* y, const T* dy, Index n, Index inner, T* dx) {
    const T dot = sum_in_runs<T>(n, [&](Index i) { return T(y[i * inner] * dy[i * inner]); });
    for (Index i = 0; i < n; ++i) dx[i * inner] = y[i * inner] * (dy[i * inner] - dot);
}

}  // namespace detail
}  // namespace gradus::kernels
