// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <limits>
#include <type_traits>

#include "gradus/core/parallel.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/kernels/simd/dispatch.hpp"
#include "gradus/kernels/simd/shuffle.hpp"
#include "gradus/kernels/simd/vec.hpp"

// The position of the largest number along an axis: the first of equals, and NaN counts as the largest.

namespace gradus::kernels {
namespace detail {

/// Whether `cell`, met later, takes the place of `best`.
template <class T>
bool replaces(const T& cell, const T& best) {
    return !(cell <= best) && best == best;
}

}  // namespace detail

/// The position of the largest of n > 0 numbers that lie `step` apart.
template <class T>
Index argmax_of(const T* x, Index n, Index step = 1) {
    Index best = 0;
    for (Index k = 1; k < n; ++k)
        if (detail::replaces(x[k * step], x[best * step])) best = k;
    return best;
}

namespace detail {

/// Each lane has the largest of the numbers that it took, and where that was. NaN does not win here;
/// may_be_nan() is true of a lane that took one, and maybe of one that took infinities of both signs.
template <class P>
struct LargestSoFar {
    using Positions = typename P::Mask::Lanes;
    P value, total;
    Positions position;

    GRADUS_INLINE LargestSoFar(const P& first, const Positions& at)
        : value(first), total(first), position(at) {}

    GRADUS_INLINE void take(const P& cell, const Positions& at) {
        position = Positions::wrap(cell.v > value.v ? at.v : position.v);  // a Mask would take more steps
        value = max(value, cell);
        total += cell;
    }
    GRADUS_INLINE Positions may_be_nan() const { return is_nan(total).bits(); }

    /// Where it is `top`, and a number behind all positions elsewhere.
    GRADUS_INLINE Positions where(const P& top) const {
        constexpr auto behind = std::numeric_limits<typename Positions::Value>::max();
        return select(typename Positions::Mask(value == top), position, Positions(behind));
    }
};

/// The argmax of each row: of every lane, then across lanes.
template <class T>
struct ArgmaxRows {
    const T* x;
    Index rows, n;
    Index* out;

    template <int Bytes>
    GRADUS_INLINE void run() {
        using P = simd::VecOf<T, Bytes>;
        using Positions = typename LargestSoFar<P>::Positions;
        using Int = typename Positions::Value;
        constexpr Index lanes = P::size, together = 2 * lanes;
        const Positions first = simd::iota<Positions>();
        for (; rows > 0; --rows, x += n, ++out) {
            LargestSoFar<P> a(P::load(x), first),
                b(P::load(x + lanes), first + Positions(static_cast<Int>(lanes)));
            Positions at = a.position;
            Index i = together;
            for (; i + together <= n; i += together) {
                at += Positions(static_cast<Int>(together));
                a.take(P::load(x + i), at);
                b.take(P::load(x + i + lanes), at + Positions(static_cast<Int>(lanes)));
            }
            if (sum(a.may_be_nan() | b.may_be_nan()) != 0) {
                *out = argmax_of(x, n);
                continue;
            }
            const P top(max(max(a.value, b.value)));
            Index best = static_cast<Index>(min(min(a.where(top), b.where(top))));
            for (; i < n; ++i)
                if (replaces(x[i], x[best])) best = i;
            *out = best;
        }
    }
};

/// The argmax of each column, four vectors of columns at a time; rows are `step` numbers apart. Returns how
/// many columns are done: the last ones may not fill the vectors.
template <class T>
struct ArgmaxColumns {
    static constexpr Index vectors = 4;

    const T* x;
    Index rows, step, columns;
    Index* out;

    template <int Bytes>
    GRADUS_INLINE Index run() const {
        using P = simd::VecOf<T, Bytes>;
        using Positions = typename LargestSoFar<P>::Positions;
        using Int = typename Positions::Value;
        constexpr Index lanes = P::size;
        Index column = 0;
        for (; column + vectors * lanes <= columns; column += vectors * lanes) {
            const auto first = [&](Index k) GRADUS_INLINE_LAMBDA {
                return LargestSoFar<P>(P::load(x + column + k * lanes), Positions(Int(0)));
            };
            LargestSoFar<P> best[std::size_t{vectors}] = {first(0), first(1), first(2), first(3)};
            for (Index r = 1; r < rows; ++r) {
                const Positions at(static_cast<Int>(r));
#pragma GCC unroll 4
                for (Index k = 0; k < vectors; ++k)
                    best[k].take(P::load(x + r * step + column + k * lanes), at);
            }
            for (Index k = 0; k < vectors; ++k) {
                const Positions nan = best[k].may_be_nan();
                for (int lane = 0; lane < P::size; ++lane) {
                    const Index j = column + k * lanes + lane;
                    if (nan[lane] != 0)
                        out[j] = argmax_of(x + j, rows, step);
                    else
                        out[j] = static_cast<Index>(best[k].position[lane]);
                }
            }
        }
        return column;
    }
};

}  // namespace detail

/// Positions of the largest of x [outer, n, inner] along n > 0.
template <class T>
Tensor<Index> argmax(const Tensor<T>& x, Index outer, Index n, Index inner, const Shape& shape) {
    Tensor<Index> result = Tensor<Index>::uninitialized(shape);
    Index* const out = result.mutable_data();
    const bool counts_fit = n < (Index{1} << 31);
    if (inner == 1) {
        constexpr Index enough = 64;  // below, lanes do not pay
        parallel_for(outer, std::max<Index>(1, parallel_grain / n), [&](Index begin, Index end) {
            if constexpr (std::is_floating_point_v<T>)
                if (n >= enough && counts_fit)
                    return simd::run(detail::ArgmaxRows<T>{
                        .x = x.data() + begin * n, .rows = end - begin, .n = n, .out = out + begin});
            for (Index i = begin; i < end; ++i) out[i] = argmax_of(x.data() + i * n, n);
        });
        return result;
    }
    const Index strip = 256, strips = (inner + strip - 1) / strip;
    parallel_for(outer * strips, std::max<Index>(1, parallel_grain / (n * strip)),
                 [&](Index begin, Index end) {
                     for (Index i = begin; i < end; ++i) {
                         const Index first = i % strips * strip, columns = std::min(strip, inner - first);
                         const T* const from = x.data() + i / strips * n * inner + first;
                         Index* const to = out + i / strips * inner + first;
                         Index done = 0;
                         if constexpr (std::is_floating_point_v<T>)
                             if (counts_fit)
                                 done = simd::run(detail::ArgmaxColumns<T>{
                                     .x = from, .rows = n, .step = inner, .columns = columns, .out = to});
                         for (; done < columns; ++done) to[done] = argmax_of(from + done, n, inner);
                     }
                 });
    return result;
}

}  // namespace gradus::kernels
