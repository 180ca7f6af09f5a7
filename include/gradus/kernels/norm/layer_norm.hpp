// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/core/parallel.hpp"
#include "gradus/kernels/norm/statistics.hpp"

// Normalization of each row of [rows, n], y = xhat · weight + bias with one weight and bias per column, and its
// gradients. A row passes through three times while it is in the cache: its mean, its variance, y. Sums over rows
// are taken in runs whose length depends on n alone.

namespace gradus::kernels {
namespace detail {

template <class T>
struct TwoSums {
    Wide<T> first{0}, second{0};
};

/// Two sums over a row, in Wide from block to block: f(i, whole, first, second) adds a pack to each.
template <class P, class F>
GRADUS_INLINE auto row_sums(Index n, const F& f) {
    using T = typename P::Value;
    TwoSums<T> total;
    // A block is never too short for a pack.
    for (Index begin = 0, size; begin < n; begin += size) {
        size = n - begin < norm_block + shortest_row ? n - begin : norm_block;
        P first[4] = {T(0), T(0), T(0), T(0)}, second[4] = {T(0), T(0), T(0), T(0)};
        for_vectors<P>(1, size, [&](Index, Index i, int k, auto whole) GRADUS_INLINE_LAMBDA {
            f(begin + i, whole, first[k], second[k]);
        });
        total.first += Wide<T>(sum4(first));
        total.second += Wide<T>(sum4(second));
    }
    return total;
}

template <class T>
struct RowNorm {
    const T *x, *weight, *bias;  // weight and bias: both or neither
    T *y, *center, *rstd, *shift;
    double eps;
    Index rows, n;
    bool stream;

    template <class P>
    GRADUS_INLINE void body() const {
        const Index some = n >= 64 ? n / 64 * 16 : n;  // enough for a center, as in PlaneMoments
        const simd::Tail<P> end(n), some_end(some);
        const Wide<T> share = Wide<T>(1) / Wide<T>(static_cast<double>(n));
        for (Index r = 0; r < rows; ++r) {
            const T* const row = x + r * n;
            const auto rough = row_sums<P>(some, [&](Index i, auto whole, P& sum, P&) GRADUS_INLINE_LAMBDA {
                sum += some_end.fresh(P::load(row + i), P(T(0)), whole);
            });
            const T m = static_cast<T>(rough.first / Wide<T>(static_cast<double>(some)));
            const P rough_mean(m);
            const auto fine =
                row_sums<P>(n, [&](Index i, auto whole, P& sum, P& squares) GRADUS_INLINE_LAMBDA {
                    const P off = end.fresh(P::load(row + i), rough_mean, whole) - rough_mean;
                    sum += off;
                    squares = fma(off, off, squares);
                });
            const Wide<T> off = share * fine.first;
            Wide<T> var = share * fine.second - off * off;
            if (var < Wide<T>(0)) var = Wide<T>(0);  // by rounding
            write_statistics<T>(Wide<T>(m) + off, var, eps, center + r, rstd + r, shift + r);
            apply<P>(x + r * n, P(center[r]), P(rstd[r]), P(shift[r]), y + r * n);
        }
        if (stream) simd::store_fence();
    }

    template <class P>
    GRADUS_INLINE void apply(const T* from, const P& mean, const P& scale, const P& offset, T* to) const {
        for_vectors<P>(1, n, [&](Index, Index i, int, auto) GRADUS_INLINE_LAMBDA {
            __builtin_prefetch(from + n + i);  // the next row: nothing of it is read until this one is done
            P xhat = fma(P::load(from + i) - mean, scale, offset);
            if (weight) xhat = fma(xhat, P::load(weight + i), P::load(bias + i));
            simd::store(xhat, to + i, stream);
        });
    }
};

template <class T>
struct RowNormBackward {
    const T *dy, *x, *weight, *center, *rstd, *shift;  // weight: may be nullptr
    T *dx, *sum_dy_xhat, *sum_dy;                      // each may be nullptr; sums are added to
    Index rows, n;
    bool stream;
};

/// Two rows at a time, so that the sums over rows are read and written less often.
template <class T>
struct RowNormBackwardKernel {
    RowNormBackward<T> a;

    template <class P>
    GRADUS_INLINE void body() const {
        Index r = 0;
        for (; r + 2 <= a.rows; r += 2) some_rows<P, 2>(r);
        for (; r < a.rows; ++r) some_rows<P, 1>(r);
        if (a.stream) simd::store_fence();
    }

    template <class P, int Rows>
    GRADUS_INLINE void some_rows(Index first) const {
        const Index n = a.n;
        const simd::Tail<P> end(n);
        constexpr std::size_t count{Rows};
        P center[count], rstd[count], shift[count], slope[count], offset[count];
        for (int k = 0; k < Rows; ++k) {
            P mean(T(0)), mean_product(T(0));
            if (a.dx) means(first + k, end, mean, mean_product);
            center[k] = P(a.center[first + k]);
            rstd[k] = P(a.rstd[first + k]);
            shift[k] = P(a.shift[first + k]);
            slope[k] = -(rstd[k] * rstd[k] * mean_product);
            offset[k] = -(rstd[k] * fma(shift[k], mean_product, mean));
        }
        const T *const dy = a.dy + first * n, *const x = a.x + first * n, *const weights = a.weight;
        T* const dx = a.dx ? a.dx + first * n : nullptr;
        T *const sum_dy = a.sum_dy, *const sum_dy_xhat = a.sum_dy_xhat;
        const bool stream = a.stream;
        // dx = rstd (g − mean − xhat · mean_product), where xhat is taken apart.
        const auto at = [&](Index i, auto whole) GRADUS_INLINE_LAMBDA {
            P products(T(0)), sums(T(0));
#pragma GCC unroll 2
            for (int k = 0; k < Rows; ++k) {
                const P g = P::load(dy + k * n + i), off = P::load(x + k * n + i) - center[k];
                products = fma(g, fma(off, rstd[k], shift[k]), products);
                sums += g;
                if (!dx) continue;
                const P scaled = weights ? g * P::load(weights + i) : g;
                simd::store(fma(scaled, rstd[k], fma(off, slope[k], offset[k])), dx + k * n + i, stream);
            }
            if (!sum_dy) return;
            (P::load(sum_dy_xhat + i) + end.fresh(products, P(T(0)), whole)).store(sum_dy_xhat + i);
            (P::load(sum_dy + i) + end.fresh(sums, P(T(0)), whole)).store(sum_dy + i);
        };
        Index i = 0;
        for (; i + P::size <= n; i += P::size) at(i, std::true_type());
        if (i < n) at(n - P::size, std::false_type());
    }

    /// Of dy · weight, and of that times xhat.
    template <class P>
    GRADUS_INLINE void means(Index r, const simd::Tail<P>& end, P& mean, P& mean_product) const {
        const T *const dy = a.dy + r * a.n, *const x = a.x + r * a.n;
        const P center(a.center[r]), rstd(a.rstd[r]), shift(a.shift[r]);
        const auto sums = row_sums<P>(a.n, [&](Index i, auto whole, P& sum, P& product) GRADUS_INLINE_LAMBDA {
            P g = end.fresh(P::load(dy + i), P(T(0)), whole);
            if (a.weight) g = g * P::load(a.weight + i);
            sum += g;
            product = fma(g, fma(P::load(x + i) - center, rstd, shift), product);
        });
        const Wide<T> share = Wide<T>(1) / Wide<T>(static_cast<double>(a.n));
        mean = P(static_cast<T>(share * sums.first));
        mean_product = P(static_cast<T>(share * sums.second));
    }
};

}  // namespace detail

template <class T>
struct LayerNormResult {
    Tensor<T> y;
    NormStatistics<T> norm;  // one of each per row
};

/// Each row of n numbers of x, normalized; then times weight plus bias, of n numbers each (or nullptr).
template <class T>
LayerNormResult<T> layer_norm(const Tensor<T>& x, Index n, const Tensor<T>* weight, const Tensor<T>* bias,
                              double eps) {
    const Index rows = n == 0 ? 0 : x.numel() / n;
    LayerNormResult<T> result{Tensor<T>::uninitialized(x.shape()),
                              {Tensor<T>::uninitialized({rows}), Tensor<T>::uninitialized({rows}),
                               Tensor<T>::uninitialized({rows})}};
    const detail::RowNorm<T> whole{x.data(),
                                   weight ? weight->data() : nullptr,
                                   bias ? bias->data() : nullptr,
                                   result.y.mutable_data(),
                                   result.norm.center.mutable_data(),
                                   result.norm.rstd.mutable_data(),
                                   result.norm.shift.mutable_data(),
                                   eps,
                                   rows,
                                   n,
                                   simd::should_stream<T>(rows, n)};
    parallel_for(rows, std::max<Index>(1, parallel_grain / std::max<Index>(n, 1)),
                 [&](Index begin, Index end) {
                     detail::RowNorm<T> part = whole;
                     part.x += begin * n;
                     part.y += begin * n;
                     part.center += begin;
                     part.rstd += begin;
                     part.shift += begin;
                     part.rows = end - begin;
                     detail::run_rows<T>(n, part);
                 });
    return result;
}

template <class T>
struct LayerNormGradients {
    Tensor<T> dx, dweight, dbias;  // empty where not asked for; the last two [blocks, n], to be summed
};

/// dx = rstd (g − mean(g) − xhat · mean(g · xhat)) with g = dy · weight; dweight = Σ dy · xhat, dbias = Σ dy.
template <class T>
LayerNormGradients<T> layer_norm_backward(const Tensor<T>& dy, const Tensor<T>& x, Index n,
                                          const NormStatistics<T>& norm, const Tensor<T>* weight,
                                          bool x_needs_grad, bool affine_needs_grad) {
    const Index rows = norm.center.numel();
    // Rows whose sums are added up one by one; a thread takes several of these runs if rows are short.
    const Index run = std::clamp<Index>(parallel_grain / std::max<Index>(n, 1), 8, 256);
    const Index block = std::max(run, parallel_grain / std::max<Index>(n, 1) / run * run);
    LayerNormGradients<T> result;
    if (x_needs_grad) result.dx = Tensor<T>::uninitialized(x.shape());
    if (affine_needs_grad) {
        result.dweight = zeros<T>({(rows + run - 1) / run, n});
        result.dbias = zeros<T>(result.dweight.shape());
    }
    T* const dx = x_needs_grad ? result.dx.mutable_data() : nullptr;
    T* const dweight = affine_needs_grad ? result.dweight.mutable_data() : nullptr;
    T* const dbias = affine_needs_grad ? result.dbias.mutable_data() : nullptr;
    const auto backward = [&](Index begin, Index end) {
        const Index row = begin / run * n;
        const detail::RowNormBackward<T> part{dy.data() + begin * n,
                                              x.data() + begin * n,
                                              weight ? weight->data() : nullptr,
                                              norm.center.data() + begin,
                                              norm.rstd.data() + begin,
                                              norm.shift.data() + begin,
                                              dx ? dx + begin * n : nullptr,
                                              dweight ? dweight + row : nullptr,
                                              dbias ? dbias + row : nullptr,
                                              end - begin,
                                              n,
                                              simd::should_stream<T>(rows, n)};
        detail::run_rows<T>(n, detail::RowNormBackwardKernel<T>{part});
    };
    parallel_for(rows, block, [&](Index begin, Index end) {
        for (; begin < end; begin += run) backward(begin, std::min(end, begin + run));
    });
    return result;
}

}  // namespace gradus::kernels
