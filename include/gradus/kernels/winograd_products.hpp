// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>

#include "gradus/kernels/gemm.hpp"

// Winograd's filtering: the matrix products at all points, where the time goes.

namespace gradus::kernels::detail::winograd {

template <class T>
struct ProductArgs {
    Index points;
    const T* a;  // element (i, k) at point n: a[n * a_point + i * a_row + k * a_column]
    Index a_point, a_row, a_column;
    const T* b;  // (k, j): b[n * b_point + k * panel + j]
    Index b_point;
    T* c;  // (i, j): c[n * c_point + i * panel + j]
    Index c_point;
    Index rows;  // a multiple of 4
    Index depth;
    Index packs;  // of b and c that hold channels, 1 or 2
    bool first;   // c = a · b, else c += a · b
};

/// Products that are added up one after the other. The sums of such runs are added up in turn: for 3 x 3 taps
/// and many channels, that halves the error.
inline constexpr Index run_length = 32;

template <class T>
struct Products {
    template <std::size_t Rows, std::size_t Packs, int Bytes>
    GRADUS_INLINE static void tile(const ProductArgs<T>& args, const T* a, const T* b, T* c) {
        using Pack = simd::PackOf<T, Bytes>;
        constexpr Index lanes = Pack::size;
        for (Index done = 0; done < args.depth; done += run_length) {
            Pack sum[Rows][Packs];
#pragma GCC unroll 12
            for (std::size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 2
                for (std::size_t v = 0; v < Packs; ++v) sum[i][v] = Pack(T(0));
            const Index count = std::min(run_length, args.depth - done);
            for (Index k = 0; k < count; ++k, a += args.a_column, b += 2 * lanes) {
                Pack column[Packs];
#pragma GCC unroll 2
                for (std::size_t v = 0; v < Packs; ++v)
                    column[v] = Pack::load(b + static_cast<Index>(v) * lanes);
#pragma GCC unroll 12
                for (std::size_t i = 0; i < Rows; ++i) {
                    const Pack x(a[static_cast<Index>(i) * args.a_row]);
#pragma GCC unroll 2
                    for (std::size_t v = 0; v < Packs; ++v) sum[i][v] = fma(x, column[v], sum[i][v]);
                }
            }
            if (!args.first || done > 0) {
#pragma GCC unroll 12
                for (std::size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 2
                    for (std::size_t v = 0; v < Packs; ++v)
                        sum[i][v] =
                            sum[i][v] +
                            Pack::load(c + (2 * static_cast<Index>(i) + static_cast<Index>(v)) * lanes);
            }
#pragma GCC unroll 12
            for (std::size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 2
                for (std::size_t v = 0; v < Packs; ++v)
                    sum[i][v].store(c + (2 * static_cast<Index>(i) + static_cast<Index>(v)) * lanes);
        }
    }

    template <int Bytes>
    GRADUS_INLINE static void run(const ProductArgs<T>* args) {
        args->packs == 1 ? all_points<1, Bytes>(*args) : all_points<2, Bytes>(*args);
    }

    template <std::size_t Packs, int Bytes>
    GRADUS_INLINE static void all_points(const ProductArgs<T>& given) {
        constexpr Index most = Bytes == 64 ? 12 : 6;     // rows that the registers hold
        constexpr Index awkward = Bytes == 64 ? 16 : 8;  // better halved than cut into `most` and the rest
        const ProductArgs<T> args = given;
        for (Index n = 0; n < args.points; ++n) {
            const T* a = args.a + n * args.a_point;
            const T* const b = args.b + n * args.b_point;
            T* c = args.c + n * args.c_point;
            for (Index left = args.rows; left > 0;) {
                Index rows = 4;
                if (left >= most && left != awkward)
                    tile<most, Packs, Bytes>(args, a, b, c), rows = most;
                else if (Packs == 2 && Bytes == 64 && left >= 8)
                    tile<8, Packs, Bytes>(args, a, b, c), rows = 8;
                else
                    tile<4, Packs, Bytes>(args, a, b, c);
                left -= rows;
                a += rows * args.a_row;
                c += rows * tile_columns<T, Bytes>;
            }
        }
    }
};

}  // namespace gradus::kernels::detail::winograd
