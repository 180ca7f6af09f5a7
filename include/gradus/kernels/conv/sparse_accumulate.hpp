// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "gradus/core/bits.hpp"
#include "gradus/core/shape.hpp"
#include "gradus/kernels/reduce/pairwise_sum.hpp"
#include "gradus/kernels/simd/vec.hpp"

// Sums of scaled patches, whose vectors stay in registers: what the gradients of a fused convolution and
// max-pooling are made of.

namespace gradus::kernels::detail {

/// out[j] += sum over i of scales[i] * b[offsets[i] + j], with the sums in registers.
template <class T>
struct SparseAccumulate {
    template <std::size_t Vectors, class Vec>
    GRADUS_INLINE static void add(Index count, const T* scales, const Index* offsets, const T* b,
                                  const Index* vectors, T* out) {
        Vec sums[1][Vectors];
#pragma GCC unroll 8
        for (std::size_t v = 0; v < Vectors; ++v) sums[0][v] = Vec(T(0));
        add_runs(sums, count, [&](Index begin, Index some) GRADUS_INLINE_LAMBDA {
            for (Index i = begin; i < begin + some; ++i) {
                const Vec scale(scales[i]);
                const T* const from = b + offsets[i];
#pragma GCC unroll 8
                for (std::size_t v = 0; v < Vectors; ++v)
                    sums[0][v] = fma(scale, Vec::load(from + vectors[v]), sums[0][v]);
            }
        });
#pragma GCC unroll 8
        for (std::size_t v = 0; v < Vectors; ++v) {
            T* const to = out + static_cast<Index>(v) * Vec::size;
            (Vec::load(to) + sums[0][v]).store(to);
        }
    }

    /// `total` vectors of `out` are consecutive, those of b lie at `vectors` behind each offset. They fill a
    /// register or, if it is the widest, half of one.
    template <int Bytes>
    GRADUS_INLINE static void run(Index count, const T* scales, const Index* offsets, const T* b, Index total,
                                  const Index* vectors, Index lanes, T* out) {
        if (Bytes == 64 && lanes < Bytes / static_cast<Index>(sizeof(T)))
            add_all<simd::VecOf<T, 32>>(count, scales, offsets, b, total, vectors, out);
        else
            add_all<simd::VecOf<T, Bytes>>(count, scales, offsets, b, total, vectors, out);
    }

    template <class Vec>
    GRADUS_INLINE static void add_all(Index count, const T* scales, const Index* offsets, const T* b,
                                      Index total, const Index* vectors, T* out) {
        Index v = 0;
        for (; v + 8 <= total; v += 8)
            add<8, Vec>(count, scales, offsets, b, vectors + v, out + v * Vec::size);
        if (v + 5 <= total) {
            add<5, Vec>(count, scales, offsets, b, vectors + v, out + v * Vec::size);
            v += 5;
        }
        if (v + 4 <= total) {
            add<4, Vec>(count, scales, offsets, b, vectors + v, out + v * Vec::size);
            v += 4;
        }
        if (v + 2 <= total) {
            add<2, Vec>(count, scales, offsets, b, vectors + v, out + v * Vec::size);
            v += 2;
        }
        if (v < total) add<1, Vec>(count, scales, offsets, b, vectors + v, out + v * Vec::size);
    }
};

/// Where a patch begins that won at some position in its window, seen from that of the window; and all bits
/// set, or none if the element stands for no element.
template <class T>
struct ArgmaxPatch {
    Index offset;
    simd::detail::IntOf<T> active;
};

template <class T>
struct AccumulateWindowsArgs {
    const T* dy;
    const std::uint8_t* argmax;
    Index outputs;
    const Index* window_origins;
    const ArgmaxPatch<T>* patch_of;
    const T* image;
    const Index* vectors;  // as in SparseAccumulate, at most most_vectors
    Index total, lanes;
    T* out;  // followed by a vector for the sum of dy

    static constexpr Index most_vectors = 5;
};

/// out += the sum over consecutive windows of dy * the patch that won. Where nothing won, 0 times some patch
/// is added: patches are short here, a list of the others would take longer.
template <class T>
struct AccumulateWindows {
    template <int Bytes>
    GRADUS_INLINE static void run(const AccumulateWindowsArgs<T>* args) {
        if (Bytes == 64 && args->lanes < Bytes / static_cast<Index>(sizeof(T)))
            add<simd::VecOf<T, 32>>(*args);
        else
            add<simd::VecOf<T, Bytes>>(*args);
    }

    template <class Vec>
    GRADUS_INLINE static void add(const AccumulateWindowsArgs<T>& args) {
        switch (args.total) {
            case 1:
                return add_vectors<1, Vec>(args);
            case 2:
                return add_vectors<2, Vec>(args);
            case 3:
                return add_vectors<3, Vec>(args);
            case 4:
                return add_vectors<4, Vec>(args);
            default:
                return add_vectors<5, Vec>(args);
        }
    }

    /// Two windows at a time have sums of their own, so that the additions overlap.
    template <std::size_t Vectors, class Vec>
    GRADUS_INLINE static void add_vectors(const AccumulateWindowsArgs<T>& given) {
        const AccumulateWindowsArgs<T> args = given;
        Vec sums[2][Vectors + 1];
#pragma GCC unroll 6
        for (std::size_t v = 0; v <= Vectors; ++v) sums[0][v] = sums[1][v] = Vec(T(0));
        add_runs(sums, args.outputs / 2, [&](Index begin, Index count) GRADUS_INLINE_LAMBDA {
            for (Index output = 2 * begin; output < 2 * (begin + count); output += 2) {
                add_window<Vectors>(args, output, sums[0]);
                add_window<Vectors>(args, output + 1, sums[1]);
            }
        });
        if (args.outputs % 2 == 1) add_window<Vectors>(args, args.outputs - 1, sums[0]);
#pragma GCC unroll 6
        for (std::size_t v = 0; v <= Vectors; ++v) {
            T* const to = args.out + static_cast<Index>(v) * Vec::size;
            (Vec::load(to) + (sums[0][v] + sums[1][v])).store(to);
        }
    }

    template <std::size_t Vectors, class Vec>
    GRADUS_INLINE static void add_window(const AccumulateWindowsArgs<T>& args, Index output,
                                         Vec (&sums)[Vectors + 1]) {
        using Int = simd::detail::IntOf<T>;
        const ArgmaxPatch<T>& element = args.patch_of[args.argmax[output]];
        const Vec scale(gradus::detail::bit_cast<T>(
            static_cast<Int>(gradus::detail::bit_cast<Int>(args.dy[output]) & element.active)));
        const T* const from = args.image + args.window_origins[output] + element.offset;
#pragma GCC unroll 5
        for (std::size_t v = 0; v < Vectors; ++v)
            sums[v] = fma(scale, Vec::load(from + args.vectors[v]), sums[v]);
        sums[Vectors] += scale;
    }
};

}  // namespace gradus::kernels::detail
