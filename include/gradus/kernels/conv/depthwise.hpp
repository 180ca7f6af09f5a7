// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/core/tensor.hpp"
#include "gradus/kernels/conv/depthwise_tiles.hpp"
#include "gradus/kernels/conv/flat_rows.hpp"
#include "gradus/kernels/conv/geometry.hpp"
#include "gradus/kernels/conv/stride_phases.hpp"
#include "gradus/kernels/reduce/pairwise_sum.hpp"

// Depthwise convolutions, in which an output channel sees one input channel. There are no channels to fill
// the lanes of a vector, so these run along the image. A plane of NCHW is copied to the cache, within its zeros
// and in the phases of the stride (flat_rows.hpp), whatever is computed of it:
//
//     y, dx      sums over taps, of rows that several of them share (depthwise_tiles.hpp); of dx, one for each
//                phase of the stride
//     dweight    of each tap, the product of two planes as long rows: dy, with zeros between its rows, and x

namespace gradus::kernels::detail {

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

/// The pixels first, first + stride, ... of dx and the taps that reach them; there may be none.
struct DepthwisePhase {
    Size2 first, count;
    TapColumns taps;
};

template <class T>
class Depthwise {
public:
    explicit Depthwise(const ConvGeometry& sizes)
        : s(sizes),
          taps(s.kernel.area()),
          channels(s.groups * s.out),
          block(std::max<Index>(1, parallel_grain / std::max<Index>(1, s.result.area() * taps / 8))),
          source{s.image,
                 s.before,
                 s.stride,
                 {std::min(s.stride.height, (s.kernel.height - 1) * s.dilation.height + 1),
                  std::min(s.stride.width, (s.kernel.width - 1) * s.dilation.width + 1)},
                 ceil_div(s.padded.width, s.stride.width)} {
        source.rows = ceil_div(s.padded.height, s.stride.height);
        source.ahead = s.image.area();
        source.are_whole = true;
    }

    /// x is not padded: that happens plane by plane.
    void forward(const T* x, const T* weight, const T* bias, T* y) const {
        const FlatRows rows = aligned(source);
        const TapColumns columns = taps_of_windows(rows);
        parallel_for(s.batch * s.groups, block, [&](Index begin, Index end) {
            Tensor<T> memory = zeros<T>({rows.plane() + 2 * flat_slack});
            T* const plane = memory.mutable_data() + to_align(rows);
            for (Index p = begin; p < end; ++p) {
                rows.copy(x + p * s.image.area(), 1, 0, plane, s.image.height);
                for (Index m = 0; m < s.out; ++m) {
                    const Index o = p % s.groups * s.out + m;
                    simd::run(DepthwiseTiles<T>{plane, rows.columns, columns, weight + o * taps,
                                                bias ? bias[o] : T(0), s.result,
                                                y + (p * s.out + m) * s.result.area(), s.result.width});
                }
            }
        });
    }

    void backward_input(const T* dy, const T* weight, T* dx) const {
        const GradientBorder above(vertical(s)), beside(horizontal(s));
        FlatRows rows = aligned({s.result,
                                 {above.before, beside.before},
                                 {1, 1},
                                 {1, 1},
                                 beside.before + s.result.width + beside.after});
        rows.rows = above.before + s.result.height + above.after;
        rows.ahead = s.out * s.result.area();
        rows.are_whole = true;
        const gradus::detail::RecycledVector<DepthwisePhase> phases = phases_of(rows);
        const Index width = ceil_div(s.image.width, s.stride.width);
        const Index sums = s.stride.width == 1 ? 0 : s.image.height * s.stride.width * width;
        parallel_for(s.batch * s.groups, block, [&](Index begin, Index end) {
            const Index size = s.out * rows.plane() + flat_slack;
            Tensor<T> memory = zeros<T>({flat_slack + size + sums});
            T *const planes = memory.mutable_data() + to_align(rows), *const scratch = planes + size;
            for (Index p = begin; p < end; ++p) {
                rows.copy(dy + p * s.out * s.result.area(), s.out, 0, planes, s.result.height);
                T* const to = dx + p * s.image.area();
                for (const DepthwisePhase& phase : phases) {
                    const bool whole = s.stride.width == 1;  // rows; else one of the phases of each
                    const Index row = whole ? s.image.width : s.stride.width * width;
                    simd::run(DepthwiseTiles<T>{
                        planes, rows.columns, phase.taps, weight + p % s.groups * s.out * taps, T(0),
                        phase.count,
                        (whole ? to : scratch + phase.first.width * width) + phase.first.height * row,
                        s.stride.height * row});
                }
                if (s.stride.width > 1) join_columns(scratch, width, to);
            }
        });
    }

    /// Images one after the other, and of each some channels that make up 8192 numbers, as they lie in
    /// memory.
    void backward_weight(const T* x, const T* dy, T* dweight) const {
        constexpr Index lanes = 64 / static_cast<Index>(sizeof(T));
        const Index columns = source.columns;
        const Index flat = (s.result.height - 1) * columns + s.result.width;
        const Index size = ceil_div(flat, lanes) * lanes;
        const Tensor<Index> offsets = flat_offsets(s, source);
        const Index run = std::min(8192 / s.padded.area(), s.groups / 16);
        parallel_for(s.groups, std::max({Index{1}, run, block / s.batch}), [&](Index begin, Index end) {
            Tensor<T> memory = zeros<T>({size + source.plane() + lanes});
            T *const gradient = memory.mutable_data(), *const plane = gradient + size;
            const Index top = begin * s.out, filters = (end - begin) * s.out;
            const auto add_filter = [&](Index n, Index o, T* to) {
                if (o % s.out == 0)
                    source.copy(x + (n * s.groups + o / s.out) * s.image.area(), 1, 0, plane, s.image.height);
                simd::run(CopyRows<T>{dy + (n * channels + o) * s.result.area(), s.result.width,
                                      s.result.height, s.result.width, gradient, columns, s.result.area()});
                simd::run(FlatDots<T>{gradient, plane, offsets.data(), taps, size, to + (o - top) * taps});
            };
            add_pieces(Index{0}, s.batch, piece_runs, filters * taps, dweight + top * taps,
                       [&](Index first, Index last, T* to) {
                           std::fill_n(to, filters * taps, T(0));
                           for (Index n = first; n < last; ++n)
                               for (Index o = top; o < top + filters; ++o) add_filter(n, o, to);
                       });
        });
    }

private:
    /// Rows of which each pixel is as far into a vector as the first one, which to_align() numbers in front of
    /// them bring to the beginning of one.
    static FlatRows aligned(FlatRows rows) {
        rows.columns = ceil_div(rows.columns, vector) * vector;
        return rows;
    }
    static Index to_align(const FlatRows& rows) {
        return (vector - rows.before.width / rows.stride.width % vector) % vector;
    }
    static constexpr Index vector = 32 / static_cast<Index>(sizeof(T));

    /// Taps below each other read rows of one phase below each other, as far as the dilation allows.
    TapColumns taps_of_windows(const FlatRows& rows) const {
        const Index height = s.kernel.height, dilation = s.dilation.height;
        const bool share = s.stride.height % dilation == 0;
        const Index step = share ? std::min(height, s.stride.height / dilation) : height;
        TapColumns columns;
        for (Index x = 0; x < s.kernel.width; ++x)
            for (Index y = 0; y < step; ++y)
                add_taps(columns, rows.columns,
                         {rows.offset(y * dilation, x * s.dilation.width), y * s.kernel.width + x,
                          step * s.kernel.width, ceil_div(height - y, step)});
        return columns;
    }

    /// Where they find their numbers in dy. What reads in rows above each other is turned around.
    gradus::detail::RecycledVector<DepthwisePhase> phases_of(const FlatRows& rows) const {
        gradus::detail::RecycledVector<DepthwisePhase> phases;
        for (Index i = 0; i < std::min(s.stride.height, s.image.height); ++i)
            for (Index j = 0; j < std::min(s.stride.width, s.image.width); ++j) {
                const AxisPhase y((i + s.before.height) % s.stride.height, vertical(s));
                const AxisPhase x((j + s.before.width) % s.stride.width, horizontal(s));
                DepthwisePhase phase{{i, j}, {y.count, x.count}, {}};
                const bool share = y.shift_step == -1;
                const Index together = share ? y.taps : 1, width = s.kernel.width;
                for (Index m = 0; m < s.out; ++m)
                    for (Index kx = 0; kx < x.taps; ++kx)
                        for (Index ky = together - 1; ky < y.taps; ky += together)
                            add_taps(phase.taps, rows.columns,
                                     {m * rows.plane() +
                                          (rows.before.height + y.shift + ky * y.shift_step) * rows.columns +
                                          rows.before.width + x.shift + kx * x.shift_step,
                                      m * taps + (y.tap + ky * y.tap_step) * width + x.tap + kx * x.tap_step,
                                      -y.tap_step * width, together});
                phases.push_back(phase);
            }
        return phases;
    }

    /// dx from the phases of its columns, which lie side by side in each row.
    void join_columns(const T* phases, Index width, T* dx) const {
        const Index step = s.stride.width;
        for (Index i = 0; i < s.image.height; ++i, phases += step * width, dx += s.image.width)
            if (step == 2)
                simd::run(Interleave<T>{phases, phases + width, s.image.width, dx});
            else
                for (Index j = 0; j < std::min(step, s.image.width); ++j)
                    copy_row(ceil_div(s.image.width - j, step), phases + j * width, Index{1}, dx + j, step);
    }

    const ConvGeometry& s;
    const Index taps, channels, block;  // of a filter, of y, planes of a task
    FlatRows source;                    // a plane of x
};

}  // namespace gradus::kernels::detail
