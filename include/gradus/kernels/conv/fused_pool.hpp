// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <type_traits>

#include "gradus/core/bits.hpp"
#include "gradus/kernels/conv/conv2d.hpp"
#include "gradus/kernels/conv/fused_pool_backward.hpp"
#include "gradus/kernels/conv/pool_epilogue.hpp"
#include "gradus/kernels/conv/winograd_1d.hpp"

// A convolution, max-pooling of windows that do not overlap, and a relu, as one step. Forward, the output of
// the convolution never reaches memory: it is computed in the order of the pooling windows, in blocks that
// stay in the first-level cache. Backward, only one pixel of each window has a gradient, and none if the relu
// cut it off: both gradients visit these pixels alone, a ninth of the work for windows of 3 x 3, and about
// half of that after a relu. The gain from such zeros: Gong et al., "SparseTrain: leveraging dynamic sparsity
// in training DNNs on general-purpose SIMD processors", 2019.

namespace gradus::kernels {
namespace detail {

/// Forward, one block of outputs and one panel of channels at a time.
template <class T>
struct FusedPoolForward {
    const ConvPoolGeometry& s;
    const T* x;
    const Index* taps;
    const T* panels;
    const T* bias_panels;
    T* y;
    std::uint8_t* argmax;

    void run() const {
        const TileSizes tile = tile_sizes<T>();
        const Index outputs = s.conv.batch * s.pooled().area();
        const Index blocks = (outputs + outputs_per_block - 1) / outputs_per_block;
        const Index panel_count = (s.conv.out + tile.columns - 1) / tile.columns;
        const Index work = outputs_per_block * s.window.area() * tile.columns * s.conv.taps() / 8;
        parallel_for(panel_count * blocks, std::max<Index>(1, parallel_grain / std::max<Index>(1, work)),
                     [&](Index begin, Index end) {
                         Tensor<T> memory = Tensor<T>::uninitialized(
                             {(outputs_per_block * s.window.area() + max_tile_rows) * tile.columns});
                         T* const rows = memory.mutable_data();
                         for (Index task = begin; task < end; ++task)
                             run_block(tile, task / blocks, task % blocks * outputs_per_block, outputs, rows);
                     });
    }

    void run_block(const TileSizes& tile, Index panel, Index first, Index outputs, T* scratch) const {
        const ConvGeometry& c = s.conv;
        const Size2 pooled = s.pooled();
        const Index padded_plane = c.padded.area(), area = s.window.area();
        const Index count = std::min(outputs_per_block, outputs - first);
        Index window_origins[outputs_per_block], out_offsets[outputs_per_block];
        Index rows[outputs_per_block * max_window + max_tile_rows];
        OffsetGenerator{pooled.height,
                        pooled.width,
                        0,
                        c.in * padded_plane,
                        s.window.height * c.stride.height * c.padded.width,
                        s.window.width * c.stride.width}
            .run(first, count, window_origins);
        plane_offsets(pooled, c.out, 0).run(first, count, out_offsets);
        Index* next = rows;
        for (Index output = 0; output < count; ++output)
            for (Index y_in = 0; y_in < s.window.height; ++y_in)
                for (Index x_in = 0; x_in < s.window.width; ++x_in)
                    *next++ = window_origins[output] + y_in * c.stride.height * c.padded.width +
                              x_in * c.stride.width;
        std::fill_n(next, max_tile_rows, next[-1]);

        PooledOutputs<T> to;
        to.outputs = count;
        to.columns = std::min(tile.columns, c.out - panel * tile.columns);
        to.relu = s.relu;
        to.plane = pooled.area();
        to.y = y + panel * tile.columns * to.plane;
        to.argmax = argmax + panel * tile.columns * to.plane;
        to.out_offsets = out_offsets;
        const T* const b = panels + panel * tile.columns * c.taps();
        const T* const bias = bias_panels + panel * tile.columns;
        const PooledTileArgs<T> args{{x, rows, taps, c.taps(), b, bias}, to};
        const bool done = area == 4   ? simd::run<PooledTile<T, 4>>(&args)
                          : area == 9 ? simd::run<PooledTile<T, 9>>(&args)
                                      : false;
        if (!done) pool_rows(args, tile, scratch);
    }

    /// The same by way of memory: for windows that do not fit into the registers, and for NaN.
    void pool_rows(const PooledTileArgs<T>& given, const TileSizes& tile, T* scratch) const {
        RowTileArgs<T> args;
        args.x = x;
        args.k_offsets = taps;
        args.depth = given.depth;
        args.b = given.b;
        args.start = given.start;
        args.columns = given.to.columns;
        const Index area = s.window.area(), rows = given.to.outputs * area;
        for (Index row = 0; row < rows; row += tile.rows) {
            args.rows = given.rows + row;
            args.c = scratch + row * tile.columns;
            args.count = std::min(tile.rows, rows - row);
            simd::run<RowTile<T>>(&args);
        }
        Index window_origins[outputs_per_block], offsets[max_window];
        for (Index i = 0; i < area; ++i) offsets[i] = i * tile.columns;
        for (Index output = 0; output < given.to.outputs; ++output)
            window_origins[output] = output * area * tile.columns;
        const MaxPoolArgs<T> pool{given.to, scratch, window_origins, offsets, area};
        simd::run<MaxPoolEpilogue<T>>(&pool);
    }
};

/// Where Winograd's filtering marked images, the same by way of direct sums.
template <class T>
void implicit_gemm_where_marked(const ConvPoolGeometry& s, const winograd::Marks& marks,
                                const Tensor<T>& padded, const Tensor<T>& weight, const T* bias, T* y,
                                std::uint8_t* argmax) {
    for_marked(s.conv, marks, [&](const ConvGeometry& one, Index n, Index) {
        const PackedWeight<T> packed(one, weight.data(), bias);
        const Tensor<Index> taps = tap_offsets(one);
        const Index at = n * s.conv.out * s.pooled().area();
        const ConvPoolGeometry sizes{one, s.window, s.relu};
        FusedPoolForward<T>{sizes,
                            padded.data() + n * one.in * one.padded.area(),
                            taps.data(),
                            packed.panels,
                            packed.bias_panels,
                            y + at,
                            argmax + at}
            .run();
    });
}

}  // namespace detail

/// y = max-pool(conv2d(x)), relu of it if s.relu, and for each number of y the position of the element in its
/// window. `padded` as from pad_images.
template <class T>
void conv_pool(const ConvPoolPlan<T>& s, const Tensor<T>& padded, const Tensor<T>& weight, const T* bias,
               T* y, std::uint8_t* argmax) {
    const auto direct_where = [&](const detail::winograd::Marks& marks) {
        detail::implicit_gemm_where_marked(s, marks, padded, weight, bias, y, argmax);
    };
    if (s.algorithms.y == ConvAlgorithm::winograd)
        return direct_where(
            detail::winograd::forward<T>(s.conv, padded.data(), weight.data(), bias, {y, argmax, &s}));
    if constexpr (std::is_same_v<T, float>)
        if (s.algorithms.y == ConvAlgorithm::winograd_1d)
            return direct_where(
                detail::Winograd1d<T>(s.conv).forward(padded.data(), weight.data(), bias, y, argmax, &s));
    const detail::PackedWeight<T> packed(s.conv, weight.data(), bias);
    const Tensor<Index> taps = detail::tap_offsets(s.conv);
    detail::FusedPoolForward<T>{s, padded.data(), taps.data(), packed.panels, packed.bias_panels, y, argmax}
        .run();
}

/// The gradient of x.
template <class T>
Tensor<T> conv_pool_backward_input(const ConvPoolPlan<T>& s, const Tensor<T>& dy,
                                   const Tensor<std::uint8_t>& argmax, const Tensor<T>& weight) {
    Tensor<T> dx = Tensor<T>::uninitialized(s.conv.x_shape());
    T* const out = dx.mutable_data();
    if (s.algorithms.dx == ConvAlgorithm::winograd) {
        const detail::winograd::Marks marks =
            detail::winograd::backward_input<T>(s.conv, {dy.data(), argmax.data(), &s}, weight.data(), out);
        detail::for_marked(s.conv, marks, [&](const ConvGeometry& one, Index n, Index) {
            const ConvPoolGeometry sizes{one, s.window, s.relu};
            const Index at = n * s.conv.out * s.pooled().area();
            detail::FusedPoolBackward<T>{sizes}.input(weight.data(), dy.data() + at, argmax.data() + at,
                                                      out + n * s.conv.in * s.conv.image.area());
        });
    } else {
        detail::FusedPoolBackward<T>{s}.input(weight.data(), dy.data(), argmax.data(), out);
    }
    return dx;
}

/// The gradient of the bias: the sum of dy where something won.
template <class T>
Tensor<T> conv_pool_backward_bias(const ConvPoolGeometry& s, const Tensor<T>& dy,
                                  const Tensor<std::uint8_t>& argmax) {
    using Int = simd::detail::IntOf<T>;
    const Index outputs = s.pooled().area();
    Tensor<T> dbias = zeros<T>({s.conv.out});
    T* const out = dbias.mutable_data();
    const Index most = std::max<Index>(1, parallel_grain / std::max<Index>(1, 4 * s.conv.batch * outputs));
    parallel_for(s.conv.out, even_block(s.conv.out, most), [&](Index begin, Index end) {
        const Index size = (end - begin) * outputs;
        Tensor<T> memory = Tensor<T>::uninitialized({size});
        const auto add_images = [&](Index first, Index last, T* sums) {
            std::fill_n(sums, size, T(0));
            for (Index n = first; n < last; ++n) {
                const T* const numbers = dy.data() + (n * s.conv.out + begin) * outputs;
                const std::uint8_t* const elements = argmax.data() + (n * s.conv.out + begin) * outputs;
                for (Index i = 0; i < size; ++i) {
                    const Int active =
                        -static_cast<Int>(elements[i] != clipped);  // nobody could guess a branch
                    sums[i] += gradus::detail::bit_cast<T>(
                        static_cast<Int>(gradus::detail::bit_cast<Int>(numbers[i]) & active));
                }
            }
        };
        detail::add_pieces(Index{0}, s.conv.batch, detail::run_terms, size, memory.mutable_data(),
                           add_images);
        for (Index o = begin; o < end; ++o) {
            const T* const sums = memory.data() + (o - begin) * outputs;
            detail::add_pieces(Index{0}, outputs, detail::run_terms, Index{1}, out + o,
                               [&](Index first, Index last, T* sum) {
                                   *sum = T(0);
                                   for (Index i = first; i < last; ++i) *sum += sums[i];
                               });
        }
    });
    return dbias;
}

/// The gradients of weight and bias.
template <class T>
std::array<Tensor<T>, 2> conv_pool_backward_parameters(const ConvPoolPlan<T>& s, const Tensor<T>& dy,
                                                       const Tensor<std::uint8_t>& argmax,
                                                       const Tensor<T>& padded,
                                                       const std::array<bool, 2>& want) {
    if (dy.numel() == 0) return {zeros<T>(s.conv.weight_shape()), zeros<T>({s.conv.out})};
    const bool winograd = s.algorithms.dw == ConvAlgorithm::winograd;
    const detail::FusedPoolBackward<T> backward{s};
    const bool both = want[0] && want[1] && !winograd && backward.short_patches();
    std::array<Tensor<T>, 2> result;
    if (both)
        result[1] = Tensor<T>::uninitialized({s.conv.out});
    else if (want[1])
        result[1] = conv_pool_backward_bias(s, dy, argmax);
    if (!want[0]) return result;
    result[0] = Tensor<T>::uninitialized(s.conv.weight_shape());
    T *const dweight = result[0].mutable_data(), *const dbias = both ? result[1].mutable_data() : nullptr;
    // Of the one group that there is.
    const bool done = winograd && !detail::winograd::backward_weight<T>(
                                      s.conv, padded.data(), {dy.data(), argmax.data(), &s}, dweight)[0];
    if (!done) backward.weight(padded.data(), dy.data(), argmax.data(), dweight, dbias);
    return result;
}

}  // namespace gradus::kernels
