// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/core/parallel.hpp"
#include "gradus/core/tensor.hpp"
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
    bool in_order =
        false;  // along the rows of b: it comes from memory, and its rows are not a multiple of 4 KB apart,
                // which would be one place of the first-level cache

    static constexpr int side = 16 / static_cast<int>(sizeof(T));  // of the squares that are transposed

    /// Columns [begin, end), a vector of them or more if the rows of b are consecutive. If its columns are, k is not
    /// less than `side`, and x_step is 1.
    template <int Bytes>
    GRADUS_INLINE void run() const {
        constexpr int lanes = Bytes / static_cast<int>(sizeof(T));
        if (b.column == 1 && b.row != 1) {
            if (in_order) return rows_in_order<lanes>();
            Index j = begin;
            for (; j + 8 * lanes <= end; j += 8 * lanes) rows<8, lanes>(j);
            for (; j < end; j += lanes) rows<1, lanes>(std::min(j, end - lanes));
        } else if (end - begin >= lanes) {
            all_columns<lanes>();
        } else {
            all_columns<side>();
        }
    }

private:
    template <int Lanes>
    GRADUS_INLINE void init(Index j, simd::Vec<T, Lanes>& sum) const {
        using Vec = simd::Vec<T, Lanes>;
        if (!bias || bias_step == 0)
            sum = Vec(bias ? *bias : T(0));
        else if (end - begin < Lanes)
            sum = Vec::load_partial(bias + j, static_cast<int>(end - begin));
        else
            sum = Vec::load(bias + j);
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

    /// The same where b comes from memory: eight rows at a time, along the rows, so that the processor sees what comes
    /// next and fetches it. Sums wait in the first-level cache.
    template <int Lanes>
    GRADUS_INLINE void rows_in_order() const {
        using Vec = simd::Vec<T, Lanes>;
        constexpr Index together = 8, width = 4096 / static_cast<Index>(sizeof(T));
        alignas(64) T sums[std::size_t{width}];
        const Index whole = end - (end - begin) % Lanes;
        for (Index left = begin; left < whole; left += width) {
            const Index count = std::min(width, whole - left);
            for (Index first = 0; first < k; first += run_length) {
                const Index last = std::min(k, first + run_length);
                for (Index j = 0; j < count; j += Lanes) {
                    Vec start(T(0));
                    if (first == 0) init(left + j, start);
                    start.store(sums + j);
                }
                Index q = first;
                for (; q + together <= last; q += together) add_rows<together, Lanes>(q, left, count, sums);
                for (; q < last; ++q) add_rows<1, Lanes>(q, left, count, sums);
                T* const out = c + left;
                for (Index j = 0; j < count; j += Lanes) {
                    const Vec sum = Vec::load(sums + j);
                    (first > 0 ? Vec::load(out + j) + sum : sum).store(out + j);
                }
            }
        }
        if (whole < end) rows<1, Lanes>(end - Lanes);
    }

    /// sums[j] += x[q] · b(q, left + j), for `Rows` numbers q, one after the other.
    template <Index Rows, int Lanes>
    GRADUS_INLINE void add_rows(Index q, Index left, Index count, T* sums) const {
        using Vec = simd::Vec<T, Lanes>;
        Vec factor[std::size_t{Rows}];
#pragma GCC unroll 8
        for (Index r = 0; r < Rows; ++r) factor[r] = Vec(x[(q + r) * x_step]);
        const T* const row = b.data + q * b.row + left;
        for (Index j = 0; j < count; j += Lanes) {
            Vec sum = Vec::load(sums + j);
#pragma GCC unroll 8
            for (Index r = 0; r < Rows; ++r) sum = fma(factor[r], Vec::load(row + r * b.row + j), sum);
            sum.store(sums + j);
        }
    }

    /// All columns, where they are consecutive: some vectors of them at a time, of which the last one ends with
    /// the last column.
    template <int Lanes>
    GRADUS_INLINE void all_columns() const {
        // Columns whose distance is a multiple of 2 KB share places in the first-level cache, which holds eight or more
        // lines in each: then fewer at a time, and those of one place are copied line by line.
        const Index bytes = b.column * static_cast<Index>(sizeof(T));
        const int most = bytes % 2048 == 0 ? 2 : most_vectors<Lanes>;
        const bool copy = bytes % (32768 / Lanes) == 0 && k >= copied;
        for (Index j = begin; j < end; j += most * Lanes)
            columns<Lanes>(j, static_cast<int>(std::min<Index>(most, ceil_div(end - j, Lanes))), copy);
    }

    /// `vectors` vectors of columns from j on, or further to the left if they end behind the last column.
    template <int Lanes>
    GRADUS_INLINE void columns(Index j, int vectors, bool copy) const {
        using Vec = simd::Vec<T, Lanes>;
        T copies[std::size_t{2 * Lanes * copy_row}];
        j = std::min(j, std::max(begin, end - vectors * Lanes));
        Strip<Lanes> strip;
        strip.vectors = vectors;
        strip.column = copy ? Index{copy_row} : b.column;
        Vec total[std::size_t{most_vectors<Lanes>}];
        for (int v = 0; v < vectors; ++v) {
            strip.begin[v] = std::min<Index>(v * Lanes, std::max<Index>(0, end - Lanes - j));
            init(j + strip.begin[v], strip.sum[v]);
        }
        Index q = 0;
        for (Index first = 0; first < k; first += run_length) {
            const Index end_of_run = std::min(k, first + run_length);
            while (q < end_of_run) {
                const Index last = copy ? std::min<Index>(end_of_run, q + copied) : end_of_run;
                const Index origin = copy ? std::max<Index>(0, last - copied) : 0;
                const T* from = b.data + j * b.column + origin;
                if (copy) {
                    copy_columns<Lanes>(from, std::min(strip.begin[vectors - 1] + Lanes, end - j), copies);
                    from = copies;
                }
                add_terms(strip, from, x + origin, q - origin, last - origin);
                q = last;
            }
            for (int v = 0; v < vectors; ++v) {
                total[v] = first > 0 ? total[v] + strip.sum[v] : strip.sum[v];
                strip.sum[v] = Vec(T(0));
            }
        }
        for (int v = 0; v < vectors; ++v)
            if (end - begin < Lanes)
                total[v].store_partial(c + begin, static_cast<int>(end - begin));
            else
                total[v].store(c + j + strip.begin[v]);
    }

    /// Vectors of columns at a time: as many chains of sums as keep the multipliers busy.
    template <int Lanes>
    static constexpr int most_vectors = Lanes * sizeof(T) == 32 ? 4 : 2;

    template <int Lanes>
    struct Strip {
        int vectors;
        Index column;                                   // from one column to the next
        Index begin[std::size_t{most_vectors<Lanes>}];  // the first column of each vector
        simd::Vec<T, Lanes> sum[std::size_t{most_vectors<Lanes>}];
    };

    /// strip.sum += x[q] · b(q, ...) for q in [first, last), where b(0, 0) is at `from`. Squares of 16 bytes are
    /// transposed in registers, so that lanes are columns. The chains of sums do not wait for each other.
    template <int Lanes>
    GRADUS_INLINE void add_terms(Strip<Lanes>& strip, const T* from, const T* x_from, Index first,
                                 Index last) const {
        using Vec = simd::Vec<T, Lanes>;
        const int vectors = strip.vectors;
        const Index group = side * strip.column;
        Index step[std::size_t{side}], next[std::size_t{most_vectors<Lanes>}];
        Vec sum[std::size_t{most_vectors<Lanes>}];
#pragma GCC unroll 4
        for (int i = 0; i < side; ++i)  // of fewer columns than a square has, the last one is read again
            step[i] = std::min<Index>(i, end - begin - 1) * strip.column;
#pragma GCC unroll 4
        for (int v = 0; v < most_vectors<Lanes>; ++v) {
            const int from_v = std::min(v, vectors - 1);
            next[v] = strip.begin[from_v] * strip.column;
            sum[v] = strip.sum[from_v];
        }
        Index q = first;
        for (; q + side <= last; q += side) {
#pragma GCC unroll 4
            for (int v = 0; v < most_vectors<Lanes>; ++v) {
                if (v >= vectors) break;
                Vec values[std::size_t{side}];
                simd::load_blocks(values, from + next[v] + q, step, group);
                simd::transpose_blocks(values);
#pragma GCC unroll 4
                for (int i = 0; i < side; ++i) sum[v] = fma(Vec(x_from[q + i]), values[i], sum[v]);
            }
        }
#pragma GCC unroll 4
        for (int v = 0; v < most_vectors<Lanes>; ++v)
            if (v < vectors) strip.sum[v] = sum[v];
        if (q == last) return;
        const Index at = last - side, skip = q - at;  // the square that overlaps the one before
        for (int v = 0; v < vectors; ++v) {
            Vec values[std::size_t{side}], added = strip.sum[v];
            simd::load_blocks(values, from + strip.begin[v] * strip.column + at, step, group);
            simd::transpose_blocks(values);
#pragma GCC unroll 4
            for (int i = 1; i < side; ++i)
                if (i >= skip) added = fma(Vec(x_from[at + i]), values[i], added);
            strip.sum[v] = added;
        }
    }

    /// `copied` numbers of each of `columns` columns.
    template <int Lanes>
    GRADUS_INLINE void copy_columns(const T* from, Index columns, T* to) const {
        using Vec = simd::Vec<T, Lanes>;
        for (Index i = 0; i < columns; ++i, from += b.column, to += copy_row)
            for (int q = 0; q < copied; q += Lanes) Vec::load(from + q).store(to + q);
    }

    static constexpr int copied = 2 * static_cast<int>(line<T>), copy_row = copied + side;
};

/// Shares out the columns of a product of n columns among threads. False if b lies such that it has to be packed.
template <class T>
bool gemv(Gemv<T> product, Index n) {
    const Index lanes = tile_sizes<T>().columns / 2;
    const MatrixRef<T>& b = product.b;
    if (b.row == 1 ? product.k < Gemv<T>::side : b.column != 1 || n < lanes) return false;
    Tensor<T> x;
    if (b.row == 1 && product.x_step != 1) {
        x = Tensor<T>::uninitialized({product.k});
        T* const to = x.mutable_data();
        for (Index i = 0; i < product.k; ++i) to[i] = product.x[i * product.x_step];
        product.x = to;
        product.x_step = 1;
    }
    constexpr Index size = static_cast<Index>(sizeof(T)), in_cache = Index{1} << 21;
    product.in_order = n * product.k * size > in_cache && b.row * size % 4096 != 0;
    const Index grains = n * product.k / 8 / parallel_grain;
    if (grains <= 1) {
        product.end = n;
        simd::run(product);
        return true;
    }
    const Index parts = std::max<Index>(1, std::min(n / (8 * lanes), grains));
    parallel_for(parts, 1, [&](Index part, Index) {
        Gemv<T> columns = product;
        columns.begin = n * part / parts;
        columns.end = n * (part + 1) / parts;
        simd::run(columns);
    });
    return true;
}

}  // namespace gradus::kernels::detail
