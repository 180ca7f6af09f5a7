// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/core/tensor.hpp"
#include "gradus/kernels/conv/geometry.hpp"
#include "gradus/kernels/elementwise/map.hpp"
#include "gradus/kernels/layout/strided_copy.hpp"
#include "gradus/kernels/reduce/pairwise_sum.hpp"

// Depthwise convolutions, in which an output channel sees one input channel. There are no channels to fill
// the lanes of a vector, so these run along the image: a plane of NCHW, which is padded in the cache, counts
// as one long row, and the output pixel that begins at position q of it is the sum of w[tap] * x[q + offset
// of the tap]. Positions in the last columns belong to no output pixel and are left out when the result is
// copied; so are those between two strides.

namespace gradus::kernels::detail {

/// out[q] = bias + sum over taps of w[tap] * x[q + offsets[tap]].
template <class T>
struct FlatCorrelation {
    const T *x, *w;
    const Index* offsets;
    Index taps;
    T bias;
    Index n;
    T* out;

    /// Positions from q on.
    template <std::size_t Count, class Vec>
    GRADUS_INLINE void block(Index q) const {
        Vec sums[1][Count];
        for (std::size_t v = 0; v < Count; ++v) sums[0][v] = Vec(bias);
        add_runs(sums, taps, [&](Index begin, Index count) GRADUS_INLINE_LAMBDA {
            for (Index tap = begin; tap < begin + count; ++tap) {
                const Vec weight(w[tap]);
                const T* const from = x + q + offsets[tap];
#pragma GCC unroll 4
                for (std::size_t v = 0; v < Count; ++v)
                    sums[0][v] = fma(weight, Vec::load(from + static_cast<Index>(v) * Vec::size), sums[0][v]);
            }
        });
#pragma GCC unroll 4
        for (std::size_t v = 0; v < Count; ++v) sums[0][v].store(out + q + static_cast<Index>(v) * Vec::size);
    }

    template <int Bytes>
    GRADUS_INLINE void run() {
        using Vec = simd::VecOf<T, Bytes>;
        if (n < Vec::size) {
            for (Index q = 0; q < n; ++q) {
                T sum[1][1] = {{bias}};
                add_runs(sum, taps, [&](Index begin, Index count) GRADUS_INLINE_LAMBDA {
                    for (Index tap = begin; tap < begin + count; ++tap)
                        sum[0][0] = simd::fma(w[tap], x[q + offsets[tap]], sum[0][0]);
                });
                out[q] = sum[0][0];
            }
            return;
        }
        Index q = 0;
        for (; q + 4 * Vec::size <= n; q += 4 * Vec::size) block<4, Vec>(q);
        for (; q < n; q += Vec::size) block<1, Vec>(std::min(q, n - Vec::size));  // the last ones overlap
    }
};

/// dw[tap] += sum over q of dy[q] * x[q + offsets[tap]], n a multiple of the lanes.
template <class T>
struct FlatDots {
    const T *dy, *x;
    const Index* offsets;
    Index taps, n;
    T* dw;

    /// The taps from `first` on.
    template <std::size_t Count, class Vec>
    GRADUS_INLINE void block(std::size_t first) const {
        Vec sums[1][Count];
#pragma GCC unroll 9
        for (std::size_t t = 0; t < Count; ++t) sums[0][t] = Vec(T(0));
        add_runs(sums, n / Vec::size, [&](Index begin, Index count) GRADUS_INLINE_LAMBDA {
            for (Index q = begin * Vec::size; q < (begin + count) * Vec::size; q += Vec::size) {
                const Vec gradient = Vec::load(dy + q);
#pragma GCC unroll 9
                for (std::size_t t = 0; t < Count; ++t)
                    sums[0][t] = fma(gradient, Vec::load(x + q + offsets[first + t]), sums[0][t]);
            }
        });
#pragma GCC unroll 9
        for (std::size_t t = 0; t < Count; ++t) dw[first + t] += sum(sums[0][t]);
    }

    template <int Bytes>
    GRADUS_INLINE void run() {
        using Vec = simd::VecOf<T, Bytes>;
        Index t = 0;
        for (; t + 9 <= taps; t += 9) block<9, Vec>(static_cast<std::size_t>(t));
        for (; t + 3 <= taps; t += 3) block<3, Vec>(static_cast<std::size_t>(t));
        for (; t < taps; ++t) block<1, Vec>(static_cast<std::size_t>(t));
    }
};

/// to[i * to_row + j] = from[i * from_row + j] for j < n. What lies `ahead` of that is fetched meanwhile: the
/// next plane, which is not in the cache, nor foreseen by the processor, since it is on another page.
template <class T>
struct CopyRows {
    const T* from;
    Index from_row, rows, n;
    T* to;
    Index to_row, ahead = 0;

    template <int Bytes>
    GRADUS_INLINE void run() {
        using Vec = simd::VecOf<T, Bytes>;
        if (n < Vec::size) {
            if constexpr (Bytes > 16) return run<Bytes / 2>();
            for (Index i = 0; i < rows; ++i)
                for (Index j = 0; j < n; ++j) to[i * to_row + j] = from[i * from_row + j];
            return;
        }
        for (Index i = 0; i < rows; ++i, from += from_row, to += to_row)
            for (Index j = 0; j < n; j += Vec::size) {
                const Index at = std::min(j, n - Vec::size);  // the last one overlaps the one before it
                __builtin_prefetch(from + at + ahead, 0, 2);
                Vec::load(from + at).store(to + at);
            }
    }
};

/// Positions are numbers of the padded plane, `flat` of them begin a window (or lie between those that do).
struct DepthwisePlan {
    Index taps, plane, flat;
    Index channels;  // of y
    Index block;     // planes of a task

    explicit DepthwisePlan(const ConvGeometry& s) {
        taps = s.kernel.area();
        plane = s.padded.area();
        flat = (s.result.height - 1) * s.stride.height * s.padded.width +
               (s.result.width - 1) * s.stride.width + 1;
        channels = s.groups * s.out;
        block = std::max<Index>(1, parallel_grain / std::max<Index>(1, flat * taps / 8));
    }
};

template <class T>
class Depthwise {
public:
    explicit Depthwise(const ConvGeometry& sizes)
        : s(sizes), plan(s), offsets_(offset_table(tap_offsets(s), plan.taps)) {}

    /// x is not padded: that happens plane by plane.
    void forward(const T* x, const T* weight, const T* bias, T* y) const {
        parallel_for(s.batch * plan.channels, plan.block, [&](Index begin, Index end) {
            Tensor<T> memory = zeros<T>({plan.plane + plan.flat});
            T *const padded = memory.mutable_data(), *const scratch = padded + plan.plane;
            for (Index p = begin; p < end; ++p) {
                const Index o = p % plan.channels;
                if (p == begin || o % s.out == 0) pad_plane(x, p / plan.channels, o / s.out, padded);
                simd::run(FlatCorrelation<T>{padded, weight + o * plan.taps, offsets_.data(), plan.taps,
                                             bias ? bias[o] : T(0), plan.flat, scratch});
                gather(scratch, y + p * s.result.area());
            }
        });
    }

    /// dx[q] = sum of w[tap] * dy[q - offset]: the same sum, with the taps in reverse on zeros, dy, zeros.
    void backward_input(const T* dy, const T* weight, T* dx) const {
        const Index reach = offsets_.data()[plan.taps - 1];
        Tensor<Index> reversed = Tensor<Index>::uninitialized({plan.taps});
        for (Index t = 0; t < plan.taps; ++t) reversed.mutable_data()[t] = reach - offsets_.data()[t];
        parallel_for(s.batch * s.groups, plan.block, [&](Index begin, Index end) {
            const Index size = plan.flat + 2 * reach;  // every position that a window covers
            Tensor<T> memory = zeros<T>({size + plan.plane + plan.flat + reach});
            T *const scratch = memory.mutable_data(), *const sum = scratch + size,
                     *const part = sum + plan.plane;
            for (Index p = begin; p < end; ++p) {
                for (Index m = 0; m < s.out; ++m) {
                    const Index o = p % s.groups * s.out + m;
                    spread(dy + (p / s.groups * plan.channels + o) * s.result.area(), scratch + reach);
                    simd::run(FlatCorrelation<T>{scratch, weight + o * plan.taps, reversed.data(), plan.taps,
                                                 T(0), plan.flat + reach, m == 0 ? sum : part});
                    for (Index q = 0; m > 0 && q < plan.flat + reach; ++q) sum[q] += part[q];
                }
                simd::run(CopyRows<T>{sum + s.before.height * s.padded.width + s.before.width, s.padded.width,
                                      s.image.height, s.image.width, dx + p * s.image.area(), s.image.width});
            }
        });
    }

    /// Images one after the other, and of each some channels that make up 8192 numbers, as they lie in
    /// memory.
    void backward_weight(const T* x, const T* dy, T* dweight) const {
        constexpr Index lanes = 64 / static_cast<Index>(sizeof(T));
        const Index size = (plan.flat + lanes - 1) / lanes * lanes;
        const Index run = std::min(8192 / plan.plane, s.groups / 16);
        parallel_for(s.groups, std::max({Index{1}, run, plan.block / s.batch}), [&](Index begin, Index end) {
            Tensor<T> memory = zeros<T>({size + plan.plane + lanes});
            T *const scratch = memory.mutable_data(), *const padded = scratch + size;
            const Index top = begin * s.out, filters = (end - begin) * s.out;
            add_pieces(Index{0}, s.batch, piece_runs, filters * plan.taps, dweight + top * plan.taps,
                       [&](Index first, Index last, T* to) {
                           std::fill_n(to, filters * plan.taps, T(0));
                           for (Index n = first; n < last; ++n)
                               for (Index o = top; o < top + filters; ++o) {
                                   if (o % s.out == 0) pad_plane(x, n, o / s.out, padded);
                                   spread(dy + (n * plan.channels + o) * s.result.area(), scratch);
                                   simd::run(FlatDots<T>{scratch, padded, offsets_.data(), plan.taps, size,
                                                         to + (o - top) * plan.taps});
                               }
                       });
        });
    }

private:
    /// One plane of x within zeros, which are there.
    void pad_plane(const T* x, Index image, Index group, T* padded) const {
        simd::run(CopyRows<T>{x + (image * s.groups + group) * s.image.area(), s.image.width, s.image.height,
                              s.image.width, padded + s.before.height * s.padded.width + s.before.width,
                              s.padded.width, s.image.area()});
    }

    /// The pixels of a plane: rows that are `from_row` and `to_row` apart, and pixels.
    void copy_pixels(const T* from, Index from_row, Index from_step, T* to, Index to_row, Index to_step,
                     Index ahead) const {
        if (s.stride.width == 1)
            return simd::run(CopyRows<T>{from, from_row, s.result.height, s.result.width, to, to_row, ahead});
        for (Index i = 0; i < s.result.height; ++i)
            copy_row(s.result.width, from + i * from_row, from_step, to + i * to_row, to_step);
    }

    /// A plane of y, from the positions of its pixels or to them.
    void gather(const T* positions, T* y) const {
        copy_pixels(positions, s.stride.height * s.padded.width, s.stride.width, y, s.result.width, 1, 0);
    }
    void spread(const T* y, T* positions) const {
        copy_pixels(y, s.result.width, 1, positions, s.stride.height * s.padded.width, s.stride.width,
                    s.result.area());
    }

    const ConvGeometry& s;
    const DepthwisePlan plan;
    const Tensor<Index> offsets_;  // of the taps
};

}  // namespace gradus::kernels::detail
