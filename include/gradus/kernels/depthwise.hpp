// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/core/tensor.hpp"
#include "gradus/kernels/conv_sizes.hpp"
#include "gradus/kernels/map.hpp"
#include "gradus/kernels/strided_copy.hpp"

// Convolutions in which an output channel sees one input channel. There are no channels to fill the lanes of
// a pack, so these run along the image: a padded plane counts as one long row, and the output pixel that
// begins at position q of it is the sum of w[tap] * x[q + offset of the tap]. Positions in the last columns
// belong to no output pixel and are left out when the result is copied; so are those between two strides.

namespace gradus::kernels::detail {

inline bool is_depthwise(const ConvSizes& s) { return s.in == 1 && s.groups > 1 && s.out <= 4; }

/// out[q] = bias + sum over taps of w[tap] * x[q + offsets[tap]].
template <class T>
struct FlatCorrelation {
    template <std::size_t Count, class Pack>
    GRADUS_INLINE static void block(const T* x, const T* w, const Index* offsets, Index taps, T bias,
                                    T* out) {
        Pack sums[Count];
        for (std::size_t v = 0; v < Count; ++v) sums[v] = Pack(bias);
        for (Index tap = 0; tap < taps; ++tap) {
            const Pack weight(w[tap]);
            const T* const from = x + offsets[tap];
#pragma GCC unroll 4
            for (std::size_t v = 0; v < Count; ++v)
                sums[v] = fma(weight, Pack::load(from + static_cast<Index>(v) * Pack::size), sums[v]);
        }
#pragma GCC unroll 4
        for (std::size_t v = 0; v < Count; ++v) sums[v].store(out + static_cast<Index>(v) * Pack::size);
    }

    template <int Bytes>
    GRADUS_INLINE static void run(const T* x, const T* w, const Index* offsets, Index taps, T bias, Index n,
                                  T* out) {
        using Pack = simd::PackOf<T, Bytes>;
        if (n < Pack::size) {
            for (Index q = 0; q < n; ++q) {
                T sum = bias;
                for (Index tap = 0; tap < taps; ++tap) sum = simd::fma(w[tap], x[q + offsets[tap]], sum);
                out[q] = sum;
            }
            return;
        }
        Index q = 0;
        for (; q + 4 * Pack::size <= n; q += 4 * Pack::size)
            block<4, Pack>(x + q, w, offsets, taps, bias, out + q);
        for (; q < n; q += Pack::size) {  // the last one overlaps the one before it
            const Index at = std::min(q, n - Pack::size);
            block<1, Pack>(x + at, w, offsets, taps, bias, out + at);
        }
    }
};

/// dw[tap] += sum over q of dy[q] * x[q + offsets[tap]].
template <class T>
struct FlatDots {
    template <std::size_t Count, class Pack>
    GRADUS_INLINE static void block(const T* dy, const T* x, const Index* offsets, Index n, T* dw) {
        Pack sums[Count];
        for (std::size_t t = 0; t < Count; ++t) sums[t] = Pack(T(0));
        Index q = 0;
        for (; q + Pack::size <= n; q += Pack::size) {
            const Pack gradient = Pack::load(dy + q);
#pragma GCC unroll 4
            for (std::size_t t = 0; t < Count; ++t)
                sums[t] = fma(gradient, Pack::load(x + q + offsets[t]), sums[t]);
        }
        for (std::size_t t = 0; t < Count; ++t) {
            T rest(0);
            for (Index i = q; i < n; ++i) rest += dy[i] * x[i + offsets[t]];
            dw[t] += sum(sums[t]) + rest;
        }
    }

    template <int Bytes>
    GRADUS_INLINE static void run(const T* dy, const T* x, const Index* offsets, Index taps, Index n, T* dw) {
        using Pack = simd::PackOf<T, Bytes>;
        Index t = 0;
        for (; t + 4 <= taps; t += 4) block<4, Pack>(dy, x, offsets + t, n, dw + t);
        for (; t < taps; ++t) block<1, Pack>(dy, x, offsets + t, n, dw + t);
    }
};

template <class T>
struct Depthwise {
    const ConvSizes& s;
    Tensor<Index> taps = tap_offsets(s);
    Index tap_count = s.kernel.area();
    Index plane = s.padded.area();
    Index last_row = (s.result.height - 1) * s.stride.height;
    Index flat =
        last_row * s.padded.width + (s.result.width - 1) * s.stride.width + 1;  // positions of pixels
    Index channels = s.groups * s.out;
    Index block = std::max<Index>(1, parallel_grain / std::max<Index>(1, flat* tap_count / 8));

    void forward(const T* padded, const T* weight, const T* bias, T* y) const {
        parallel_for(s.batch * channels, block, [&](Index begin, Index end) {
            Tensor<T> memory = Tensor<T>::uninitialized({flat});
            T* const side = memory.mutable_data();
            for (Index p = begin; p < end; ++p) {
                const Index o = p % channels;
                simd::run<FlatCorrelation<T>>(padded + (p / channels * s.groups + o / s.out) * plane,
                                              weight + o * tap_count, taps.data(), tap_count,
                                              bias ? bias[o] : T(0), flat, side);
                T* to = y + p * s.result.area();
                for (Index i = 0; i < s.result.height; ++i, to += s.result.width)
                    copy_row(s.result.width, side + i * s.stride.height * s.padded.width, s.stride.width, to,
                             Index{1});
            }
        });
    }

    /// The gradient of plane p of y at the positions of its pixels, zeros between them.
    void spread(const T* dy, Index p, T* out) const {
        std::fill_n(out, flat, T(0));
        const T* from = dy + p * s.result.area();
        for (Index i = 0; i < s.result.height; ++i, from += s.result.width)
            copy_row(s.result.width, from, Index{1}, out + i * s.stride.height * s.padded.width,
                     s.stride.width);
    }

    /// dx[q] = sum of w[tap] * dy[q - offset]: the same sum, with the taps in reverse on zeros, dy, zeros.
    void input(const T* dy, const T* weight, T* dx) const {
        const Index reach = taps.data()[tap_count - 1];
        Tensor<Index> reversed = Tensor<Index>::uninitialized({tap_count});
        for (Index t = 0; t < tap_count; ++t) reversed.mutable_data()[t] = reach - taps.data()[t];
        parallel_for(s.batch * s.groups, block, [&](Index begin, Index end) {
            const Index size = flat + 2 * reach;  // every position that a window covers: flat + reach of them
            Tensor<T> memory = Tensor<T>::uninitialized({size + plane + flat + reach});
            T *const side = memory.mutable_data(), *const sum = side + size, *const part = sum + plane;
            std::fill_n(side, reach, T(0));
            std::fill_n(side + reach + flat, reach, T(0));
            for (Index p = begin; p < end; ++p) {
                std::fill_n(sum + flat + reach, plane - flat - reach, T(0));
                for (Index m = 0; m < s.out; ++m) {
                    const Index o = p % s.groups * s.out + m;
                    spread(dy, p / s.groups * channels + o, side + reach);
                    simd::run<FlatCorrelation<T>>(static_cast<const T*>(side), weight + o * tap_count,
                                                  static_cast<const Index*>(reversed.data()), tap_count, T(0),
                                                  flat + reach, m == 0 ? sum : part);
                    for (Index q = 0; m > 0 && q < flat + reach; ++q) sum[q] += part[q];
                }
                for (Index i = 0; i < s.image.height; ++i)
                    std::copy_n(sum + (i + s.before.height) * s.padded.width + s.before.width, s.image.width,
                                dx + (p * s.image.height + i) * s.image.width);
            }
        });
    }

    void weight(const T* padded, const T* dy, T* dweight) const {
        parallel_for(channels, std::max<Index>(1, block / std::max<Index>(1, s.batch)),
                     [&](Index begin, Index end) {
                         Tensor<T> memory = Tensor<T>::uninitialized({flat});
                         T* const side = memory.mutable_data();
                         for (Index o = begin; o < end; ++o) {
                             T* const dw = dweight + o * tap_count;
                             std::fill_n(dw, tap_count, T(0));
                             for (Index n = 0; n < s.batch; ++n) {
                                 spread(dy, n * channels + o, side);
                                 simd::run<FlatDots<T>>(static_cast<const T*>(side),
                                                        padded + (n * s.groups + o / s.out) * plane,
                                                        taps.data(), tap_count, flat, dw);
                             }
                         }
                     });
    }
};

}  // namespace gradus::kernels::detail
