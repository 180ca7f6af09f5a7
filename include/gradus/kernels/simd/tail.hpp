// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/core/shape.hpp"
#include "gradus/kernels/simd/shuffle.hpp"
#include "gradus/kernels/simd/vec.hpp"

namespace gradus::kernels::detail {

/// Rows of n numbers taken in whole vectors from the first to the last: their tails reach into the next row.
template <class T, int Bytes>
struct VectorsOfRows {
    using Vec = simd::VecOf<T, Bytes>;
    static constexpr Index lanes = Vec::size;

    static constexpr Index group_size = 3072;  // numbers that stay in the first-level cache for all passes

    Index whole, rest;  // numbers of a row in whole vectors, and behind them
    Index group;        // rows done together
    typename Vec::Mask own;

    GRADUS_INLINE explicit VectorsOfRows(Index n)
        : whole(n / lanes * lanes),
          rest(n % lanes),
          group(std::clamp<Index>(group_size / (whole + lanes), 1, lanes)),
          own(simd::iota<typename Vec::Mask::Lanes>() < static_cast<simd::detail::IntOf<T>>(rest)) {}

    GRADUS_INLINE Vec load_tail(const T* from, const T* end) const {
        return end - from < lanes ? Vec::load_partial(from, static_cast<int>(rest)) : Vec::load(from);
    }
    GRADUS_INLINE void store_tail(const Vec& pack, T* to, const T* end) const {
        end - to < lanes ? pack.store_partial(to, static_cast<int>(rest)) : pack.store(to);
    }
};

/// Numbers, or vectors, that are added to one sum before the next one begins.
inline constexpr Index sum_run = 128;

/// The sum of any number of such runs, added up in pairs, and pairs of pairs: rounding errors grow with the
/// logarithm of the number of runs, not with the number.
template <class Number>
class SumOfRuns {
public:
    GRADUS_INLINE void add(Number run) {
        int k = 0;
        for (; count_ >> k & 1; ++k) run = waiting_[k] + run;
        waiting_[k] = run;
        ++count_;
    }
    /// Of all runs and `last`, one that is not yet added.
    GRADUS_INLINE Number total(Number last) const {
        for (int k = 0; count_ >> k; ++k)
            if (count_ >> k & 1) last = waiting_[k] + last;
        return last;
    }

private:
    Number waiting_[40];  // the k-th is the sum of 2^k runs where bit k of count_ is set
    Index count_ = 0;
};

/// term(0) + … + term(n - 1), one number after the other.
template <class Number, class Term>
Number sum_in_runs(Index n, const Term& term) {
    SumOfRuns<Number> total;
    Number run(0);
    for (Index i = 0; i < n; ++i) {
        if (i > 0 && i % sum_run == 0) total.add(run), run = Number(0);
        run = run + term(i);
    }
    return total.total(run);
}

}  // namespace gradus::kernels::detail
