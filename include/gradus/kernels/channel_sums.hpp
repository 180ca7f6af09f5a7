// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <type_traits>

#include "gradus/kernels/bit_mask.hpp"

// What the first passes of batch_norm.hpp add up, block by block: the moments of x, and the sums of its
// gradient. Of whole rows, which belong to one channel, or of each column.

namespace gradus::kernels::detail {

/// Of one block, `rows` rows of n elements: m ≈ their mean, Σ (x − m) and Σ (x − m)². A quarter of the block
/// is enough to find m: it is off by less than two standard deviations of the block, whatever is in it.
template <class T>
struct PlaneMoments {
    template <class P>
    GRADUS_INLINE static void body(const T* x, Index rows, Index n, Index stride, T* m, T* d, T* q) {
        const Index some_rows = (rows + 3) / 4, some = rows < 4 && n >= 64 ? n / 64 * 16 : n;
        const RowEnd<P> some_end(some), end(n);
        P total[4] = {T(0), T(0), T(0), T(0)}, squares[4] = {T(0), T(0), T(0), T(0)};
        for_packs<P>(some_rows, some, [&](Index r, Index i, int k, auto whole) GRADUS_INLINE_LAMBDA {
            total[k] += some_end.fresh(P::load(x + r * stride + i), P(T(0)), whole);
        });
        *m = sum4(total) / T(static_cast<double>(some_rows * some));
        const P centre(*m);
        for (P& part : total) part = P(T(0));
        for_packs<P>(rows, n, [&](Index r, Index i, int k, auto whole) GRADUS_INLINE_LAMBDA {
            const P off = end.fresh(P::load(x + r * stride + i), centre, whole) - centre;
            total[k] += off;
            squares[k] = fma(off, off, squares[k]);
        });
        *d = sum4(total);
        *q = sum4(squares);
    }
};

/// What the first pass of the backward pass reads; `mask` may be nullptr.
template <class T>
struct GradientSource {
    const T *dy, *x;
    const MaskWord* mask;
    Index stride, mask_stride;

    /// dy where the mask lets it pass.
    template <class P>
    GRADUS_INLINE P slope(Index r, Index i) const {
        const P g = P::load(dy + r * stride + i);
        return mask ? where_set(bits_at(mask + r * mask_stride, i), g) : g;
    }
};

/// Of one block: Σ dy and Σ dy (x − centre).
template <class T>
struct PlaneSums {
    template <class P>
    GRADUS_INLINE static void body(const GradientSource<T>* source, Index rows, Index n, const T* centre,
                                   T* sum_dy, T* sum_dy_x) {
        const RowEnd<P> end(n);
        const GradientSource<T> in = *source;
        const P c(*centre), zero(T(0));
        P total[4] = {T(0), T(0), T(0), T(0)}, products[4] = {T(0), T(0), T(0), T(0)};
        for_packs<P>(rows, n, [&](Index r, Index i, int k, auto whole) GRADUS_INLINE_LAMBDA {
            const P g = end.fresh(in.template slope<P>(r, i), zero, whole);
            total[k] += g;
            products[k] = fma(g, P::load(in.x + r * in.stride + i) - c, products[k]);
        });
        *sum_dy = sum4(total);
        *sum_dy_x = sum4(products);
    }
};

/// Calls f(j, count) for strips of a few packs that begin at column j. The last one may have columns of the
/// one before, which get the same results once more.
template <class P, class F>
GRADUS_INLINE void for_strips(Index columns, const F& f) {
    constexpr Index lanes = P::size;
    Index j = 0;
    for (; j + 4 * lanes <= columns; j += 4 * lanes) f(j, std::integral_constant<int, 4>());
    for (; j < columns; j += lanes) f(std::min(j, columns - lanes), std::integral_constant<int, 1>());
}

/// What PlaneMoments finds, for every column of `rows` rows.
template <class T>
struct ColumnMoments {
    template <class P>
    GRADUS_INLINE static void body(const T* x, Index rows, Index columns, Index stride, T* m, T* d, T* q) {
        const Index some = (rows + 3) / 4;
        for_strips<P>(columns, [&](Index j, auto count) GRADUS_INLINE_LAMBDA {
            constexpr int packs = decltype(count)::value;
            const P share(T(1) / T(static_cast<double>(some)));
            P centre[std::size_t{packs}], off[std::size_t{packs}], squares[std::size_t{packs}];
            for (int k = 0; k < packs; ++k) centre[k] = off[k] = squares[k] = P(T(0));
            for (Index r = 0; r < some; ++r)
#pragma GCC unroll 4
                for (int k = 0; k < packs; ++k) centre[k] += P::load(x + r * stride + j + k * P::size);
            for (int k = 0; k < packs; ++k) centre[k] = centre[k] * share;
            for (Index r = 0; r < rows; ++r)
#pragma GCC unroll 4
                for (int k = 0; k < packs; ++k) {
                    const P deviation = P::load(x + r * stride + j + k * P::size) - centre[k];
                    off[k] += deviation;
                    squares[k] = fma(deviation, deviation, squares[k]);
                }
            for (int k = 0; k < packs; ++k) {
                centre[k].store(m + j + k * P::size);
                off[k].store(d + j + k * P::size);
                squares[k].store(q + j + k * P::size);
            }
        });
    }
};

/// What PlaneSums finds, for every column of `rows` rows.
template <class T>
struct ColumnSums {
    template <class P>
    GRADUS_INLINE static void body(const GradientSource<T>* source, Index rows, Index columns,
                                   const T* centre, T* sum_dy, T* sum_dy_x) {
        const GradientSource<T> in = *source;
        for_strips<P>(columns, [&](Index j, auto count) GRADUS_INLINE_LAMBDA {
            constexpr int packs = decltype(count)::value;
            P c[std::size_t{packs}], total[std::size_t{packs}], products[std::size_t{packs}];
            for (int k = 0; k < packs; ++k) {
                c[k] = P::load(centre + j + k * P::size);
                total[k] = products[k] = P(T(0));
            }
            for (Index r = 0; r < rows; ++r)
#pragma GCC unroll 4
                for (int k = 0; k < packs; ++k) {
                    const Index i = j + k * P::size;
                    const P g = in.template slope<P>(r, i);
                    total[k] += g;
                    products[k] = fma(g, P::load(in.x + r * in.stride + i) - c[k], products[k]);
                }
            for (int k = 0; k < packs; ++k) {
                total[k].store(sum_dy + j + k * P::size);
                products[k].store(sum_dy_x + j + k * P::size);
            }
        });
    }
};

}  // namespace gradus::kernels::detail
