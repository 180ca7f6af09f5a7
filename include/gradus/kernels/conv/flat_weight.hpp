// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/core/tensor.hpp"
#include "gradus/kernels/conv/flat.hpp"
#include "gradus/kernels/conv/flat_weight_plan.hpp"

// The gradient of the weight with pixels as lanes: in rows as in flat.hpp, with zeros in dy where a position
// begins no window,
//
//     dweight[channel][tap] = sum over q of dy[channel][q] · x[q + offsets[tap]]
//
// is a product of rows that stay where they are. A tile holds vectors of sums, whose lanes are added up in
// the end; a vector of dy meets as many taps as registers hold. Images lie one after the other in such a row, or
// it is a part of one image.

namespace gradus::kernels::detail {

/// dw(channel, tap) = that sum, or += it, for up to 4 channels.
template <class T>
struct FlatWeightTiles {
    template <int Bytes>
    static constexpr std::size_t columns = Bytes == 64 ? 6 : 3;  // taps of a tile

    const T *x, *dy;
    const Index* offsets;
    Index taps, channels, n, row;  // n: a multiple of the lanes; row: distance of channels in dy
    T* dw;
    bool add;

    template <int Bytes>
    GRADUS_INLINE void run() {
        using Vec = simd::VecOf<T, Bytes>;
        constexpr std::size_t count = columns<Bytes>;
        const T* gradients[4];
        for (Index i = 0; i < 4; ++i) gradients[i] = dy + std::min(i, channels - 1) * row;
        for (Index tap = 0; tap < taps; tap += static_cast<Index>(count)) {
            const T* inputs[count];
            for (std::size_t j = 0; j < count; ++j)
                inputs[j] = x + offsets[std::min(tap + static_cast<Index>(j), taps - 1)];
            Vec sums[4][count];
#pragma GCC unroll 4
            for (std::size_t i = 0; i < 4; ++i)
#pragma GCC unroll 6
                for (std::size_t j = 0; j < count; ++j) sums[i][j] = Vec(T(0));
            add_runs(sums, n / Vec::size, [&](Index begin, Index vectors) GRADUS_INLINE_LAMBDA {
                for (Index q = begin * Vec::size; q < (begin + vectors) * Vec::size; q += Vec::size) {
                    Vec pixels[count];
#pragma GCC unroll 6
                    for (std::size_t j = 0; j < count; ++j) pixels[j] = Vec::load(inputs[j] + q);
#pragma GCC unroll 4
                    for (std::size_t i = 0; i < 4; ++i) {
                        const Vec gradient = Vec::load(gradients[i] + q);
#pragma GCC unroll 6
                        for (std::size_t j = 0; j < count; ++j)
                            sums[i][j] = fma(gradient, pixels[j], sums[i][j]);
                    }
                }
            });
            T totals[4][count];
#pragma GCC unroll 4
            for (std::size_t i = 0; i < 4; ++i)
#pragma GCC unroll 6
                for (std::size_t j = 0; j < count; ++j) totals[i][j] = sum(sums[i][j]);
            for (Index i = 0; i < channels; ++i)
                for (Index j = 0; j < std::min<Index>(count, taps - tap); ++j) {
                    T& to = dw[i * taps + tap + j];
                    const T total = totals[i][j];
                    to = add ? to + total : total;
                }
        }
    }
};

/// dweight of images that are padded or not.
template <class T>
void flat_backward_weight(ConvGeometry s, const Tensor<T>& x, const Tensor<T>& dy, T* dweight) {
    if (x.size(2) != s.image.height || x.size(3) != s.image.width) {
        s.image = s.padded;
        s.before = {0, 0};
    }
    const FlatWeightPlan plan(s);
    FlatRows input{s.image, s.before, s.stride, plan.phases, plan.columns};
    FlatRows gradient{s.result, {0, 0}, {1, 1}, {1, 1}, plan.columns};
    input.rows = gradient.rows = plan.rows;
    input.images = gradient.images = plan.images;
    const Index row = gradient.plane() + line<T>;  // of one channel, and zeros
    const Index taps = s.taps(), size = s.out * taps;
    const Tensor<Index> offsets = flat_offsets(s, input);
    Tensor<T> memory = Tensor<T>::uninitialized({plan.parts, s.groups * size});
    T* const sums = memory.mutable_data();
    const auto add_block = [&](Index block, Index g, T* rows_of_x, T* rows_of_dy, T* to, bool add) {
        const Index first = block / plan.bands * plan.images, top = block % plan.bands * plan.band;
        const Index images = std::min(plan.images, s.batch - first);
        const Index height = std::min(plan.band, s.result.height - top);
        for (Index i = 0; i < images; ++i) {
            const Index image = (first + i) * s.groups + g, at = i * plan.rows * plan.columns;
            input.copy(x.data() + image * s.in * s.image.area(), s.in, top * s.stride.height, rows_of_x + at,
                       s.image.height);
            for (Index o = 0; o < s.out; ++o)
                gradient.copy(dy.data() + (image * s.out + o) * s.result.area(), 1, top,
                              rows_of_dy + o * row + at, top + height);
        }
        const Index n = ((images - 1) * plan.rows + height - 1) * plan.columns + s.result.width;
        for (Index o = 0; o < s.out; ++o) std::fill_n(rows_of_dy + o * row + n, line<T>, T(0));
        for (Index o = 0; o < s.out; o += 4)
            simd::run(FlatWeightTiles<T>{rows_of_x, rows_of_dy + o * row, offsets.data(), taps,
                                         std::min<Index>(4, s.out - o), ceil_div(n, line<T>) * line<T>, row,
                                         to + o * taps, add});
    };
    const Index work = std::max<Index>(1, s.batch * s.result.area() * size / 8 / plan.parts);
    parallel_for(
        plan.parts * s.groups, std::max<Index>(1, parallel_grain / work), [&](Index begin, Index end) {
            const Index x_size = s.in * input.plane() + plan.reach.height * plan.columns + plan.columns;
            const Index dy_size = s.out * row;
            Tensor<T> scratch = zeros<T>({x_size + 2 * line<T> + dy_size});
            T *const rows_of_x = scratch.mutable_data(), *const rows_of_dy = rows_of_x + x_size + 2 * line<T>;
            for (Index task = begin; task < end; ++task) {
                const Index part = task / s.groups, g = task % s.groups;
                add_pieces(plan.blocks * part / plan.parts, plan.blocks * (part + 1) / plan.parts, piece_runs,
                           size, sums + part * s.groups * size + g * size,
                           [&](Index first, Index last, T* to) {
                               for (Index block = first; block < last; ++block)
                                   add_block(block, g, rows_of_x, rows_of_dy, to, block > first);
                           });
            }
        });
    for (Index i = 0; i < s.groups * size; ++i) {
        T total = sums[i];
        for (Index part = 1; part < plan.parts; ++part) total += sums[part * s.groups * size + i];
        dweight[i] = total;
    }
}

}  // namespace gradus::kernels::detail
