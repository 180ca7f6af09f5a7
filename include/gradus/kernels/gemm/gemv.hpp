// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/kernels/gemm/pack.hpp"

// A vector times a matrix, c[j] = bias[j] + sum over i of x[i] · b(i, j): every number of b is read once and
// in place, so nothing is packed. One of the strides of b is 1.

namespace gradus::kernels::detail {

template <class T>
struct Gemv {
    Index k;
    const T* x;
    Index x_step;
    MatrixRef<T> b;
    const T* bias;    // null: none
    Index bias_step;  // 0: one number for all
    T* c;
    Index run_length;  // of the runs that k is summed in: see pairwise_sum.hpp
    Index begin = 0, end = 0;

    /// Columns [begin, end), not less than a vector of them; nor is k, if the columns of b are consecutive.
    template <int Bytes>
    GRADUS_INLINE void run() const {
        constexpr int lanes = Bytes / static_cast<int>(sizeof(T));
        Index j = begin;
        if (b.column == 1) {
            for (; j + 8 * lanes <= end; j += 8 * lanes) rows<8, lanes>(j);
            for (; j < end; j += lanes) rows<1, lanes>(std::min(j, end - lanes));
        } else {
            constexpr int half = std::min(lanes, 32 / static_cast<int>(sizeof(T)));
            for (; j < end; j += 2 * half) {
                const Index first = std::min(j, std::max(begin, end - 2 * half));
                columns<half>(first, std::min<Index>(half, end - half - first));
            }
        }
    }

private:
    template <int Lanes>
    GRADUS_INLINE void init(Index j, simd::Vec<T, Lanes>& sum) const {
        using Vec = simd::Vec<T, Lanes>;
        sum = !bias ? Vec(T(0)) : bias_step ? Vec::load(bias + j) : Vec(*bias);
    }

    /// `Vectors` vectors of columns from j on, where rows of b are consecutive.
    template <int Vectors, int Lanes>
    GRADUS_INLINE void rows(Index j) const {
        using Vec = simd::Vec<T, Lanes>;
        Vec sum[std::size_t{Vectors}];
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) init(j + v * Lanes, sum[v]);
        const T *x_k = x, *b_k = b.data + j;
        for (Index first = 0; first < k; first += run_length) {
            const Index last = std::min(k, first + run_length);
            for (Index q = first; q < last; ++q, x_k += x_step, b_k += b.row) {
                const Vec factor(*x_k);
#pragma GCC unroll 8
                for (int v = 0; v < Vectors; ++v) sum[v] = fma(factor, Vec::load(b_k + v * Lanes), sum[v]);
            }
#pragma GCC unroll 8
            for (int v = 0; v < Vectors; ++v) {
                T* const out = c + j + v * Lanes;
                (first > 0 ? Vec::load(out) + sum[v] : sum[v]).store(out);
                sum[v] = Vec(T(0));
            }
        }
    }

    /// Two vectors of columns, from j and from j + second on, where columns of b are consecutive: squares are
    /// transposed in registers. If `second` is 0 there is but one.
    template <int Lanes>
    GRADUS_INLINE void columns(Index j, Index second) const {
        using Vec = simd::Vec<T, Lanes>;
        const T* const b_j = b.data + j * b.column;
        const Index next = second * b.column;
        Vec sum[2], total[2];
        init(j, sum[0]);
        init(j + second, sum[1]);
        for (Index first = 0; first < k; first += run_length) {
            const Index last = std::min(k, first + run_length);
            Index q = first;
            for (; q + Lanes <= last; q += Lanes) {
                const T* const x_k = x + q * x_step;
#pragma GCC unroll 2
                for (int v = 0; v < 2; ++v) {
                    if (v == 1 && second == 0) break;
                    Vec values[std::size_t{Lanes}];
                    load_transposed(b_j + v * next + q, b.column, Lanes, values);
#pragma GCC unroll 16
                    for (int i = 0; i < Lanes; ++i) sum[v] = fma(Vec(x_k[i * x_step]), values[i], sum[v]);
                }
            }
            const Index rest = last - q, tail = last - Lanes;
            for (int v = 0; v < 2; ++v) {  // what is left, compiled once
                Vec values[std::size_t{Lanes}], part = sum[v];
                if (rest > 0) load_transposed(b_j + v * next + tail, b.column, Lanes, values);
                for (Index i = Lanes - rest; i < Lanes; ++i)
                    part = fma(Vec(x[(tail + i) * x_step]), values[i], part);
                total[v] = first > 0 ? total[v] + part : part;
                if (second == 0) break;
            }
            sum[0] = sum[1] = Vec(T(0));
        }
        for (int v = 0; v < 2; ++v) {
            total[v].store(c + j + v * second);
            if (second == 0) break;
        }
    }
};

/// Shares out the columns of a product of n columns among threads. False if n is less than a vector, or b
/// lies such that it has to be packed.
template <class T>
bool gemv(Gemv<T> product, Index n) {
    const Index lanes = tile_sizes<T>().columns / 2;
    const MatrixRef<T>& b = product.b;
    if (n < lanes || (b.column != 1 && (b.row != 1 || product.k < lanes))) return false;
    const Index parts = std::max<Index>(1, std::min(n / (8 * lanes), n * product.k / 8 / parallel_grain));
    parallel_for(parts, 1, [&](Index part, Index) {
        Gemv<T> columns = product;
        columns.begin = n * part / parts;
        columns.end = n * (part + 1) / parts;
        simd::run(columns);
    });
    return true;
}

}  // namespace gradus::kernels::detail
