// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/kernels/gemm/microkernel.hpp"
#include "gradus/kernels/gemm/offsets.hpp"
#include "gradus/kernels/simd/shuffle.hpp"

// Packing for matrix products: micro-panels in the order in which the micro-kernel reads them, so that it
// reads consecutive memory. One of B is [k][NR], one of A is [k][MR].

namespace gradus::kernels::detail {

/// v[i] = the numbers i of `Lanes` columns, of which those from `count` on are zero.
template <class T, int Lanes>
GRADUS_INLINE void load_transposed(const T* b, Index column, Index count,
                                   simd::Vec<T, Lanes> (&v)[static_cast<std::size_t>(Lanes)]) {
    if (count >= Lanes) {
#pragma GCC unroll 16
        for (int j = 0; j < Lanes; ++j) v[j] = simd::Vec<T, Lanes>::load(b + j * column);
    } else {
#pragma GCC unroll 16
        for (int j = 0; j < Lanes; ++j) {
            v[j] = T(0);
            if (j < count) v[j] = simd::Vec<T, Lanes>::load(b + j * column);
        }
    }
    simd::transpose(v);
}

/// A micro-panel of up to NR columns of B, for all k, padded with zeros: out[k * NR + j].
template <class T>
struct PackB {
    MatrixRef<T> b;
    Index k_count, columns;
    T* out;

    template <int Bytes>
    GRADUS_INLINE void run() const {
        constexpr int lanes = Bytes / static_cast<int>(sizeof(T));
        constexpr Index nr = 2 * lanes;
        using Vec = simd::Vec<T, lanes>;
        Index k = 0;
        if (b.column == 1) {
            if (columns == nr) {
                for (; k < k_count; ++k) {
                    const T* const soon = b.data + std::min(k + 12, k_count - 1) * b.row;
                    __builtin_prefetch(soon);
                    __builtin_prefetch(soon + line<T>);
                    __builtin_prefetch(soon + nr - 1);
                    Vec::load(b.data + k * b.row).store(out + k * nr);
                    Vec::load(b.data + k * b.row + lanes).store(out + k * nr + lanes);
                }
                return;
            }
            for (; k < k_count; ++k) {
                T* const to = out + k * nr;
                Vec(T(0)).store(to);
                Vec(T(0)).store(to + lanes);
                simd::detail::copy_few(to, b.data + k * b.row, static_cast<int>(columns));
            }
            return;
        }
        // Squares of 32 bytes: processors shuffle two such vectors in the time of one of 64 bytes.
        constexpr int side = std::min(lanes, 32 / static_cast<int>(sizeof(T)));
        if (b.row == 1 && k_count >= side) {
            for (Index at = 0; at < k_count; at += side) {
                k = std::min(at, k_count - side);  // the last squares overlap those before them
                if (at % line<T> == 0)
                    for (Index j = 0; j < columns; ++j)
                        __builtin_prefetch(b.data + j * b.column + std::min(at + 2 * line<T>, k_count - 1));
                for (Index j = 0; j < nr; j += side) {
                    simd::Vec<T, side> v[std::size_t{side}];
                    load_transposed(b.data + j * b.column + k, b.column, columns - j, v);
#pragma GCC unroll 16
                    for (int i = 0; i < side; ++i) v[i].store(out + (k + i) * nr + j);
                }
            }
            return;
        }
        for (; k < k_count; ++k) {
            T* const to = out + k * nr;
            Vec(T(0)).store(to);
            Vec(T(0)).store(to + lanes);
            for (Index j = 0; j < columns; ++j) to[j] = b.data[k * b.row + j * b.column];
        }
    }
};

/// A micro-panel of up to MR rows of A, for all k: out[k * MR + i].
template <class T>
struct PackA {
    MatrixRef<T> a;
    Index rows, k_count;
    bool whole_vectors;  // 16 elements can be read from the last k but one on
    T* out;

    template <int Bytes>
    GRADUS_INLINE void run() const {
        constexpr Index mr = tile_rows<Bytes>, lanes = Bytes / static_cast<Index>(sizeof(T));
        using Vec = simd::Vec<T, static_cast<int>(lanes)>;
        Index k = 0;
        if (a.row == 1 && whole_vectors)  // what is too much of one k is overwritten by the next
            for (; k + 1 < k_count; ++k) {
                const T* const soon = a.data + std::min(k + 12, k_count - 1) * a.column;
                __builtin_prefetch(soon);
                __builtin_prefetch(soon + mr - 1);
#pragma GCC unroll 4
                for (Index i = 0; i < mr; i += lanes)
                    Vec::load(a.data + k * a.column + i).store(out + k * mr + i);
            }
        for (; k < k_count; ++k)
            for (Index i = 0; i < rows; ++i) out[k * mr + i] = a.data[i * a.row + k * a.column];
    }
};

}  // namespace gradus::kernels::detail
