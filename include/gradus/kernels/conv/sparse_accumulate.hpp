// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "gradus/core/bits.hpp"
#include "gradus/core/shape.hpp"
#include "gradus/kernels/reduce/pairwise_sum.hpp"
#include "gradus/kernels/simd/vec.hpp"

// Sparse accumulation: sums of scaled patches, whose vectors stay in registers. That is what the gradients of
// a convolution with max-pooling are made of: of each window, only the patch of its argmax has a gradient. A
// patch is some vectors that lie at the same distances from wherever it begins, so images have their channels
// last.

namespace gradus::kernels::detail {

/// out[j] += sum over i < count of scales[i] * b[offsets[i] + j], with the sums in registers. `total` vectors
/// of `out` are consecutive, those of b lie at `vectors` behind each offset. They fill a register or, if it
/// is the widest, half of one.
template <class T>
struct SparseAccumulate {
    Index count;
    const T* scales;
    const Index* offsets;
    const T* b;
    Index total;
    const Index* vectors;
    Index lanes;
    T* out;

    template <int Bytes>
    GRADUS_INLINE void run() {
        if (Bytes == 64 && lanes < Bytes / static_cast<Index>(sizeof(T)))
            add_all<simd::VecOf<T, 32>>();
        else
            add_all<simd::VecOf<T, Bytes>>();
    }

    template <class Vec>
    GRADUS_INLINE void add_all() {
        while (total >= 8) add<8, Vec>();
        if (total >= 5) add<5, Vec>();
        if (total >= 4) add<4, Vec>();
        if (total >= 2) add<2, Vec>();
        if (total >= 1) add<1, Vec>();
    }

    /// The next of the vectors.
    template <std::size_t Vectors, class Vec>
    GRADUS_INLINE void add() {
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
        for (std::size_t v = 0; v < Vectors; ++v, out += Vec::size) (Vec::load(out) + sums[0][v]).store(out);
        total -= static_cast<Index>(Vectors);
        vectors += Vectors;
    }
};

/// Offset of the argmax patch relative to the first one of its window, and a mask that is 0 if relu clipped
/// it, else all bits.
template <class T>
struct ArgmaxPatch {
    Index offset;
    simd::detail::IntOf<T> active;
};

/// out += the sum over consecutive windows of dy * the patch of the argmax. Where relu clipped it, 0 times
/// some patch is added: patches are short here, a list of the others would take longer.
template <class T>
struct AccumulateWindows {
    static constexpr std::size_t most_vectors = 5;

    const T* dy;
    const std::uint8_t* argmax;
    Index outputs;
    const Index* window_origins;
    const ArgmaxPatch<T>* patch_of;
    const T* image;
    const Index* vectors;  // as in SparseAccumulate, at most most_vectors
    Index total, lanes;
    T* out;  // followed by a vector for the sum of dy

    template <int Bytes>
    GRADUS_INLINE void run() {
        if (Bytes == 64 && lanes < Bytes / static_cast<Index>(sizeof(T)))
            add<simd::VecOf<T, 32>>();
        else
            add<simd::VecOf<T, Bytes>>();
    }

    template <class Vec, std::size_t Vectors = 1>
    GRADUS_INLINE void add() const {
        if constexpr (Vectors < most_vectors)
            if (total != static_cast<Index>(Vectors)) return add<Vec, Vectors + 1>();
        add_vectors<Vectors, Vec>();
    }

    /// Two windows at a time have sums of their own, so that the additions overlap.
    template <std::size_t Vectors, class Vec>
    GRADUS_INLINE void add_vectors() const {
        Vec sums[2][Vectors + 1];
#pragma GCC unroll 6
        for (std::size_t v = 0; v <= Vectors; ++v) sums[0][v] = sums[1][v] = Vec(T(0));
        add_runs(sums, outputs / 2, [&](Index begin, Index count) GRADUS_INLINE_LAMBDA {
            for (Index output = 2 * begin; output < 2 * (begin + count); output += 2) {
                add_window<Vectors>(output, sums[0]);
                add_window<Vectors>(output + 1, sums[1]);
            }
        });
        if (outputs % 2 == 1) add_window<Vectors>(outputs - 1, sums[0]);
#pragma GCC unroll 6
        for (std::size_t v = 0; v <= Vectors; ++v) {
            T* const to = out + static_cast<Index>(v) * Vec::size;
            (Vec::load(to) + (sums[0][v] + sums[1][v])).store(to);
        }
    }

    template <std::size_t Vectors, class Vec>
    GRADUS_INLINE void add_window(Index output, Vec (&sums)[Vectors + 1]) const {
        using Int = simd::detail::IntOf<T>;
        const ArgmaxPatch<T>& patch = patch_of[argmax[output]];
        const Vec scale(gradus::detail::bit_cast<T>(
            static_cast<Int>(gradus::detail::bit_cast<Int>(dy[output]) & patch.active)));
        const T* const from = image + window_origins[output] + patch.offset;
#pragma GCC unroll 5
        for (std::size_t v = 0; v < Vectors; ++v) sums[v] = fma(scale, Vec::load(from + vectors[v]), sums[v]);
        sums[Vectors] += scale;
    }
};

}  // namespace gradus::kernels::detail
