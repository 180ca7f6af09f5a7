// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <type_traits>

#include "gradus/kernels/norm/statistics.hpp"
#include "gradus/kernels/simd/bit_mask.hpp"
#include "gradus/kernels/simd/shuffle.hpp"

// What the first passes of batch_norm.hpp add up, block by block: the moments of x, and the sums of its
// gradient. Of whole rows, which belong to one channel, or of each column.

namespace gradus::kernels::detail {

/// Some channels of a block, whose sums are put across lanes together: as many as a pack has lanes, or one.
/// The last group takes some again that the one before had.
template <class P, class F>
GRADUS_INLINE void for_channel_groups(Index channels, const F& f) {
    constexpr Index lanes = P::size;
    const Index together = channels < lanes ? 1 : lanes;
    for (Index first = 0; first < channels; first += together)
        f(std::min(first, channels - together), together);
}

/// Writes the sum over the lanes of each of `count` vectors: of all there are, or of one.
template <class P>
GRADUS_INLINE void store_sums(P (&vectors)[std::size_t{P::size}], Index count, typename P::Value* to) {
    if (P::size == 1 || count == 1) {
        *to = sum(vectors[0]);
    } else if constexpr (P::size > 1) {
        const auto add = [](const P& a, const P& b) GRADUS_INLINE_LAMBDA { return a + b; };
        simd::across(vectors, add).store(to);
    }
}

/// Of each channel of a block, `rows` rows of n elements: m ≈ their mean, Σ (x − m) and Σ (x − m)². A quarter
/// of the block is enough to find m: it is off by less than two standard deviations of the block, whatever is
/// in it.
template <class T>
struct PlaneMoments {
    const T* x;
    Index channels, rows, n, stride;
    T *m, *d, *q;

    template <class P>
    GRADUS_INLINE void body() const {
        const Index some_rows = (rows + 3) / 4, some = rows < 4 && n >= 64 ? n / 64 * 16 : n;
        const T share = T(1) / T(static_cast<double>(some_rows * some));
        const simd::Tail<P> some_end(some), end(n);
        for_channel_groups<P>(channels, [&](Index first, Index count) GRADUS_INLINE_LAMBDA {
            P off[std::size_t{P::size}], squares[std::size_t{P::size}];
            for (Index c = 0; c < count; ++c) {
                const T* const from = x + (first + c) * n;
                P total[4] = {T(0), T(0), T(0), T(0)};
                for_vectors<P>(some_rows, some,
                               [&](Index r, Index i, int k, auto whole) GRADUS_INLINE_LAMBDA {
                                   total[k] += some_end.fresh(P::load(from + r * stride + i), P(T(0)), whole);
                               });
                off[c] = add4(total);
            }
            store_sums(off, count, m + first);
            for (Index c = 0; c < count; ++c) {
                const T* const from = x + (first + c) * n;
                const P center(m[first + c] = m[first + c] * share);
                P total[4] = {T(0), T(0), T(0), T(0)}, products[4] = {T(0), T(0), T(0), T(0)};
                for_vectors<P>(rows, n, [&](Index r, Index i, int k, auto whole) GRADUS_INLINE_LAMBDA {
                    const P deviation = end.fresh(P::load(from + r * stride + i), center, whole) - center;
                    total[k] += deviation;
                    products[k] = fma(deviation, deviation, products[k]);
                });
                off[c] = add4(total);
                squares[c] = add4(products);
            }
            store_sums(off, count, d + first);
            store_sums(squares, count, q + first);
        });
    }
};

/// What the first pass of the backward pass reads; `mask` may be nullptr.
template <class T>
struct GradientSource {
    const T *dy, *x;
    const simd::MaskWord* mask;
    Index stride, mask_stride;
};

/// dy where the mask, if there is one, lets it pass: of the vectors of one row.
template <class P, bool Masked>
struct MaskedGradient {
    const typename P::Value* dy;
    const simd::MaskWord* mask;

    template <bool Whole>
    GRADUS_INLINE P operator()(Index i, std::bool_constant<Whole>) const {
        const P g = P::load(dy + i);
        if constexpr (!Masked)
            return g;
        else
            return simd::where_set(Whole ? simd::bits_of_vector<P::size>(mask, i) : simd::bits_at(mask, i),
                                   g);
    }
};

/// Of each channel of a block: Σ dy and Σ dy (x − center).
template <class T>
struct PlaneSums {
    GradientSource<T> in;
    Index channels, rows, n;
    const T* center;
    T *sum_dy, *sum_dy_x;

    template <class P>
    GRADUS_INLINE void body() const {
        in.mask ? add_up<P, true>() : add_up<P, false>();
    }

    template <class P, bool Masked>
    GRADUS_INLINE void add_up() const {
        const simd::Tail<P> end(n);
        const P zero(T(0));
        const Index words = simd::mask_words(n);
        for_channel_groups<P>(channels, [&](Index first, Index count) GRADUS_INLINE_LAMBDA {
            P all[std::size_t{P::size}], all_products[std::size_t{P::size}];
            for (Index k = 0; k < count; ++k) {
                const T *const dy = in.dy + (first + k) * n, *const x = in.x + (first + k) * n;
                const simd::MaskWord* const mask = Masked ? in.mask + (first + k) * words : nullptr;
                const P c(center[first + k]);
                P total[4] = {zero, zero, zero, zero}, products[4] = {zero, zero, zero, zero};
                for_vectors<P>(rows, n, [&](Index r, Index i, int part, auto whole) GRADUS_INLINE_LAMBDA {
                    const MaskedGradient<P, Masked> slope{dy + r * in.stride,
                                                          Masked ? mask + r * in.mask_stride : nullptr};
                    const P g = end.fresh(slope(i, whole), zero, whole);
                    total[part] += g;
                    products[part] = fma(g, P::load(x + r * in.stride + i) - c, products[part]);
                });
                all[k] = add4(total);
                all_products[k] = add4(products);
            }
            store_sums(all, count, sum_dy + first);
            store_sums(all_products, count, sum_dy_x + first);
        });
    }
};

/// Calls f(j, count) for strips of a few vectors that begin at column j. The last one may have columns of the
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
    const T* x;
    Index rows, columns, stride;
    T *m, *d, *q;

    template <class P>
    GRADUS_INLINE void body() const {
        const Index some = (rows + 3) / 4;
        for_strips<P>(columns, [&](Index j, auto count) GRADUS_INLINE_LAMBDA {
            constexpr int vectors = decltype(count)::value;
            const P share(T(1) / T(static_cast<double>(some)));
            P center[std::size_t{vectors}], off[std::size_t{vectors}], squares[std::size_t{vectors}];
            for (int k = 0; k < vectors; ++k) center[k] = off[k] = squares[k] = P(T(0));
            for (Index r = 0; r < some; ++r)
#pragma GCC unroll 4
                for (int k = 0; k < vectors; ++k) center[k] += P::load(x + r * stride + j + k * P::size);
            for (int k = 0; k < vectors; ++k) center[k] = center[k] * share;
            for (Index r = 0; r < rows; ++r)
#pragma GCC unroll 4
                for (int k = 0; k < vectors; ++k) {
                    const P deviation = P::load(x + r * stride + j + k * P::size) - center[k];
                    off[k] += deviation;
                    squares[k] = fma(deviation, deviation, squares[k]);
                }
            for (int k = 0; k < vectors; ++k) {
                center[k].store(m + j + k * P::size);
                off[k].store(d + j + k * P::size);
                squares[k].store(q + j + k * P::size);
            }
        });
    }
};

/// What PlaneSums finds, for every column of `rows` rows.
template <class T>
struct ColumnSums {
    GradientSource<T> in;
    Index rows, columns;
    const T* center;
    T *sum_dy, *sum_dy_x;

    template <class P>
    GRADUS_INLINE void body() const {
        in.mask ? add_up<P, true>() : add_up<P, false>();
    }

    template <class P, bool Masked>
    GRADUS_INLINE void add_up() const {
        for_strips<P>(columns, [&](Index j, auto count) GRADUS_INLINE_LAMBDA {
            constexpr int vectors = decltype(count)::value;
            P c[std::size_t{vectors}], total[std::size_t{vectors}], products[std::size_t{vectors}];
            for (int k = 0; k < vectors; ++k) {
                c[k] = P::load(center + j + k * P::size);
                total[k] = products[k] = P(T(0));
            }
            for (Index r = 0; r < rows; ++r) {
                const MaskedGradient<P, Masked> slope{in.dy + r * in.stride,
                                                      Masked ? in.mask + r * in.mask_stride : nullptr};
#pragma GCC unroll 4
                for (int k = 0; k < vectors; ++k) {
                    const Index i = j + k * P::size;
                    const P g = slope(i, std::false_type());
                    total[k] += g;
                    products[k] = fma(g, P::load(in.x + r * in.stride + i) - c[k], products[k]);
                }
            }
            for (int k = 0; k < vectors; ++k) {
                total[k].store(sum_dy + j + k * P::size);
                products[k].store(sum_dy_x + j + k * P::size);
            }
        });
    }
};

}  // namespace gradus::kernels::detail
