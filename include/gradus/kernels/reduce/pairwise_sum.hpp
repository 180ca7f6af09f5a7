// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>

#include "gradus/core/parallel.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/kernels/simd/vec.hpp"

// How products add up many terms. In one chain of n additions the error grows with n, and from 2^24 equal
// terms on, a float stands still. So products add up in three levels, which depend on sizes alone:
//
//     a run      up to 512 terms, one after the other, in registers
//     a piece    runs of up to 8192 terms, 32 runs at most, one after the other
//     the sum    pieces in pairs, pairs of pairs, and so on: a binary tree
//
// With u = 2^-24 (2^-53 in double), the error of a sum of K products is at most about
//
//     (min(K, 512) + 32 + log2(K / 8192)) u · Σ |a · b|,    to first order in u,
//
// and usually a few hundredths of it: rounding errors are of both signs. (Higham, "The accuracy of floating
// point summation", 1993.)

namespace gradus::kernels::detail {

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

inline constexpr Index run_terms = 512;  // of a run, at most
inline constexpr Index piece_runs = 32;  // of a piece, at most
inline constexpr Index piece_terms = 8192;

/// The length of runs that are about equal. Up to run_terms, there is but one.
inline constexpr Index run_length(Index terms) {
    const Index runs = (terms + run_terms - 1) / run_terms;
    return runs <= 1 ? std::max<Index>(1, terms) : (terms + runs - 1) / runs;
}

/// sum[i] += x[i] for i < size.
template <class T>
void add_to(T* sum, const T* x, Index size) {
    parallel_for(size, parallel_grain, [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i) sum[i] = sum[i] + x[i];
    });
}

/// sum[size] = the sum of what add_up(first, last, to) writes to `to` for pieces of [begin, end). A piece has
/// at most `most` of these numbers.
template <class T, class AddUp>
void add_pieces(Index begin, Index end, Index most, Index size, T* sum, const AddUp& add_up) {
    if (end - begin <= most) return add_up(begin, end, sum);
    const Index middle = begin + (end - begin) / 2;
    add_pieces(begin, middle, most, size, sum, add_up);
    Tensor<T> memory = Tensor<T>::uninitialized({size});
    T* const other = memory.mutable_data();
    add_pieces(middle, end, most, size, other, add_up);
    add_to(sum, static_cast<const T*>(other), size);
}

/// Sums in registers of any number of terms: add_run(begin, count) adds that many to `sums`, which hold what
/// they begin with. Behind the first run, totals of as many runs each are put together.
template <std::size_t Rows, std::size_t Vecs, class Vec, class AddRun>
GRADUS_INLINE void add_runs(Vec (&sums)[Rows][Vecs], Index terms, const AddRun& add_run) {
    constexpr int levels = 20;
    const Index length = std::max(run_length(terms), terms >> (levels - 1));
    Vec totals[std::size_t{levels}][Rows][Vecs];
    Index done = 0, runs = 0;  // before this run
    for (;;) {
        add_run(done, std::min(length, terms - done));
        done += length;
        if (done >= terms && runs == 0) return;
        // Like adding 1 to `runs` as a binary number; in the end, all that is left.
        int level = 0;
        for (; done >= terms ? runs >> level != 0 : runs >> level & 1; ++level) {
            if (!(runs >> level & 1)) continue;
#pragma GCC unroll 14
            for (std::size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 4
                for (std::size_t v = 0; v < Vecs; ++v) sums[i][v] = totals[level][i][v] + sums[i][v];
        }
        if (done >= terms) return;
#pragma GCC unroll 14
        for (std::size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 4
            for (std::size_t v = 0; v < Vecs; ++v) {
                totals[level][i][v] = sums[i][v];
                sums[i][v] = Vec(0);
            }
        ++runs;
    }
}

}  // namespace gradus::kernels::detail
