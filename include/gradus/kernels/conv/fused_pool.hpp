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
        const Index blocks = ceil_div(outputs, outputs_per_block);
        const Index panel_count = ceil_div(s.conv.out, tile.columns);
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
        const Size2 pooled = s.pooled(), window = s.window;
        const Index area = window.area(), row = c.stride.height * c.padded.width;
        const Index count = std::min(outputs_per_block, outputs - first);
        Index out_offsets[outputs_per_block], origins[outputs_per_block], elements[max_window];
        Index rows[outputs_per_block * max_window + max_tile_rows];
        OffsetGenerator{pooled.height,          pooled.width,        0,
                        c.in * c.padded.area(), window.height * row, window.width * c.stride.width}
            .run(first, count, origins);
        OffsetGenerator{window.height, window.width, 0, 0, row, c.stride.width}.run(0, area, elements);
        plane_offsets(pooled, c.out, 0).run(first, count, out_offsets);
        Index* next = rows;
        for (Index output = 0; output < count; ++output)
            for (Index i = 0; i < area; ++i) *next++ = origins[output] + elements[i];
        std::fill_n(next, max_tile_rows, next[-1]);

        const Index top = panel * tile.columns;
        const PooledOutputs<T> to{count,
                                  std::min(tile.columns, c.out - top),
                                  s.relu,
                                  y + top * pooled.area(),
                                  argmax + top * pooled.area(),
                                  out_offsets,
                                  pooled.area()};
        const ImplicitTile<T> product{x, rows, taps, c.taps(), panels + top * c.taps(), bias_panels + top};
        const bool done = area == 4   ? simd::run(PooledTile<T, 4>{product, to})
                          : area == 9 ? simd::run(PooledTile<T, 9>{product, to})
                                      : false;
        if (!done) pool_rows(product, to, tile, scratch);
    }

    /// The same by way of memory: for windows that do not fit into the registers, and for NaN.
    void pool_rows(ImplicitTile<T> product, const PooledOutputs<T>& to, const TileSizes& tile,
                   T* scratch) const {
        const Index area = s.window.area(), rows = to.outputs * area;
        for (Index row = 0; row < rows; row += tile.rows, product.row_offsets += tile.rows)
            simd::run(RowTile<T>{.product = product,
                                 .c = scratch + row * tile.columns,
                                 .count = std::min(tile.rows, rows - row),
                                 .columns = to.columns});
        Index window_origins[outputs_per_block], window_elements[max_window];
        linear_offsets(area, tile.columns).run(0, area, window_elements);
        linear_offsets(to.outputs, area * tile.columns).run(0, to.outputs, window_origins);
        simd::run(MaxPoolEpilogue<T>{to, scratch, window_origins, window_elements, area});
    }
};

/// The same by implicit GEMM.
template <class T>
void implicit_gemm_pool(const ConvPoolGeometry& s, const T* padded, const T* weight, const T* bias, T* y,
                        std::uint8_t* argmax) {
    const PackedWeight<T> packed(s.conv, weight, bias);
    const Tensor<Index> taps = offset_table(tap_offsets(s.conv), s.conv.taps());
    FusedPoolForward<T>{s, padded, taps.data(), packed.panels, packed.bias_panels, y, argmax}.run();
}

}  // namespace detail

/// y = max-pool(conv2d(x)), relu of it if s.relu, and its argmax, the position in the window. `padded` as from
/// pad_images.
template <class T>
void conv_pool(const ConvPoolPlan<T>& s, const Tensor<T>& padded, const Tensor<T>& weight, const T* bias,
               T* y, std::uint8_t* argmax) {
    const T *const x = padded.data(), *const w = weight.data();
    detail::winograd::Marks marks;
    if (s.algorithms.y == ConvAlgorithm::winograd) {
        marks = detail::winograd::forward<T>(s.conv, x, w, bias, {y, argmax, &s});
    } else if (s.algorithms.y == ConvAlgorithm::winograd_1d) {
        if constexpr (std::is_same_v<T, float>)
            marks = detail::Winograd1d<T>(s.conv, {y, argmax, &s}).forward(x, w, bias);
    } else {
        return detail::implicit_gemm_pool(s, x, w, bias, y, argmax);
    }
    detail::for_marked(s.conv, marks, [&](const ConvGeometry& one, Index n, Index) {
        const Index at = n * s.conv.out * s.pooled().area();
        detail::implicit_gemm_pool({one, s.window, s.relu}, x + n * one.in * one.padded.area(), w, bias,
                                   y + at, argmax + at);
    });
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
            detail::FusedPoolBackward<T>(sizes).backward_input(
                weight.data(), dy.data() + at, argmax.data() + at, out + n * s.conv.in * s.conv.image.area());
        });
    } else {
        detail::FusedPoolBackward<T>(s).backward_input(weight.data(), dy.data(), argmax.data(), out);
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
    const detail::FusedPoolBackward<T> backward(s);
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
    if (!done) backward.backward_weight(padded.data(), dy.data(), argmax.data(), dweight, dbias);
    return result;
}

}  // namespace gradus::kernels
