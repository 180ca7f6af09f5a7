// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "gradus/kernels/conv/geometry.hpp"
#include "gradus/kernels/conv/nchw_pack.hpp"
#include "gradus/kernels/conv/pool_epilogue.hpp"
#include "gradus/kernels/conv/winograd_ranges.hpp"
#include "gradus/kernels/conv/winograd_tiles.hpp"

// Convolutions of 5 taps in a row, of NCHW images of few channels, by Winograd's algorithm F(4, 5) along rows
// alone: 8 multiplications per row of taps and 4 outputs instead of 20. With few input channels, the
// transform of the output is most of the work of an algorithm in two dimensions; along rows it is small, and
// happens in registers. The rounding error is two to four times that of the plain sum. The outputs of a few
// rows stay in the first-level cache until they are pooled or written as planes. Sources: see
// winograd_transforms.hpp.

namespace gradus::kernels::detail {

/// Columns of an image to values at the points, lanes are rows: columns [4 * tiles + 4, width] to
/// [tiles, 8, width].
template <class T>
struct ColumnsToPoints {
    const T* columns;
    Index tiles;
    T* values;

    template <int Bytes>
    GRADUS_INLINE void run() {
        using Vec = simd::VecOf<T, Bytes>;
        constexpr Index width = 2 * Vec::size;
        for (Index i = 0; i < 2 * tiles; ++i) {
            const T* const from = columns + i / 2 * 4 * width + i % 2 * Vec::size;
            T* const to = values + i / 2 * 8 * width + i % 2 * Vec::size;
            Vec in[8], out[8];
#pragma GCC unroll 8
            for (Index k = 0; k < 8; ++k) in[k] = Vec::load(from + k * width);
            winograd::InputTransform<5>::run(in, out);
#pragma GCC unroll 8
            for (Index k = 0; k < 8; ++k) out[k].store(to + k * width);
        }
    }
};

/// Weights in panels [row of taps, 5, width] to values [vector of a panel, row of taps, 8, lanes].
template <class T>
struct WeightsToPoints {
    const T* weights;
    Index rows;
    T* values;

    template <int Bytes>
    GRADUS_INLINE void run() {
        using Vec = simd::VecOf<T, Bytes>;
        constexpr Index width = 2 * Vec::size;
        for (Index v = 0; v < 2; ++v)
            for (Index row = 0; row < rows; ++row, values += 8 * Vec::size) {
                Vec in[5], out[8];
#pragma GCC unroll 5
                for (Index k = 0; k < 5; ++k)
                    in[k] = Vec::load(weights + (row * 5 + k) * width + v * Vec::size);
                winograd::WeightTransform<5>::run(in, out);
#pragma GCC unroll 8
                for (Index k = 0; k < 8; ++k) out[k].store(values + k * Vec::size);
            }
    }
};

/// Rows of the output: per tile of 4 pixels, sums at 8 points, which are transformed in registers.
template <class T>
struct Winograd1dRows {
    const T* values;  // [channel, tile, point, width], lanes are rows of the image
    Index channels, tiles;
    Index taps;        // rows of them in a channel
    const T* filters;  // [vector, channel, row of taps, point, lanes], lanes are output channels
    Index vectors;
    const T* bias;  // a panel's width
    T* y;           // [row, 4 * tiles, width]
    Index rows;

    template <int Bytes>
    GRADUS_INLINE void run() {
        for (Index v = 0; v < vectors; ++v)
            for (Index row = 0; row < rows; ++row) {
                Index tile = 0;
                for (; tile + 3 <= tiles; tile += 3) run_tiles<3, Bytes>(v, row, tile);
                if (tile + 2 == tiles) run_tiles<2, Bytes>(v, row, tile);
                if (tile + 1 == tiles) run_tiles<1, Bytes>(v, row, tile);
            }
    }

    template <std::size_t Tiles, int Bytes>
    GRADUS_INLINE void run_tiles(Index v, Index row, Index first) const {
        using Vec = simd::VecOf<T, Bytes>;
        constexpr Index width = 2 * Vec::size;
        Vec sums[Tiles][8];
#pragma GCC unroll 3
        for (std::size_t t = 0; t < Tiles; ++t)
#pragma GCC unroll 8
            for (std::size_t k = 0; k < 8; ++k) sums[t][k] = Vec(T(0));
        const T* filter = filters + v * channels * taps * 8 * Vec::size;
        const T* channel = values + first * 8 * width + row;
        for (Index c = 0; c < channels; ++c, channel += tiles * 8 * width)
            for (Index tap = 0; tap < taps; ++tap, filter += 8 * Vec::size) {
                const T* const x = channel + tap;
#pragma GCC unroll 8
                for (std::size_t k = 0; k < 8; ++k) {
                    Vec weight = Vec::load(filter + static_cast<Index>(k) * Vec::size);
                    simd::detail::keep_form(weight.v);  // in a register, not loaded once more per tile
#pragma GCC unroll 3
                    for (std::size_t t = 0; t < Tiles; ++t)
                        sums[t][k] = fma(Vec(x[static_cast<Index>(8 * t + k) * width]), weight, sums[t][k]);
                }
            }
        const Vec added = Vec::load(bias + v * Vec::size);
        T* const to = y + (row * tiles + first) * 4 * width + v * Vec::size;
#pragma GCC unroll 3
        for (std::size_t t = 0; t < Tiles; ++t) {
            Vec out[4];
            winograd::OutputTransform<5>::run(sums[t], out);
#pragma GCC unroll 4
            for (std::size_t i = 0; i < 4; ++i)
                (out[i] + added).store(to + static_cast<Index>(4 * t + i) * width);
        }
    }
};

struct Winograd1dPlan {
    static constexpr Index cached_pixels = 160;  // of a panel of channels, in the first-level cache

    Index width;              // channels of a panel, and rows of an array of values
    Index panels;             // of output channels
    Index tiles, row_pixels;  // of a row
    Index rows;               // of the result, as many as fill pooling windows
    Index step;               // rows that are computed, and pooled, together: whole windows
    Index pass;               // rows that one array of values gives: whole steps

    Winograd1dPlan(const ConvGeometry& s, Index tile_columns, Index window_rows) : width(tile_columns) {
        panels = ceil_div(s.out, width);
        tiles = ceil_div(s.result.width, 4);
        row_pixels = 4 * tiles;
        rows = s.result.height / window_rows * window_rows;
        const Index most = width - s.kernel.height + 1;  // at least 1
        step = std::clamp<Index>(cached_pixels / (row_pixels * window_rows), 1, most / window_rows) *
               window_rows;
        pass = most / step * step;
    }
};

/// y = the convolution, or what is max-pooled of it.
template <class T>
class Winograd1d : Winograd1dPlan {
public:
    Winograd1d(const ConvGeometry& sizes, const PooledImages<T, std::uint8_t>& result)
        : Winograd1dPlan(sizes, tile_sizes<T>().columns, result.pool ? result.pool->window.height : 1),
          s(sizes),
          y(result),
          packed_(winograd::pixel_offsets(step, s.result.width, row_pixels, width)) {}

    /// The results of images that are marked are not accurate. `bias` may be null.
    winograd::Marks forward(const T* padded, const T* weight, const T* bias) const {
        winograd::Marks marks(static_cast<std::size_t>(s.batch));
        winograd::Ranges<T> ranges(s.batch, 1, s.padded);
        const Index window_taps = std::min(s.kernel.height, s.kernel.width);
        const Tensor<T> filters = filter_values(weight);
        Tensor<T> biases = zeros<T>({panels * width});
        if (bias) std::copy_n(bias, s.out, biases.mutable_data());
        const Index work = s.result.area() * s.out * s.taps() / 8;
        parallel_for(
            s.batch, std::max<Index>(1, parallel_grain / std::max<Index>(1, work)),
            [&](Index begin, Index end) {
                Tensor<T> columns = zeros<T>({(row_pixels + 4) * width});
                Tensor<T> values = Tensor<T>::uninitialized({s.in * tiles * 8 * width});
                Tensor<T> scratch = Tensor<T>::uninitialized({step * row_pixels * width});
                for (Index n = begin; n < end; ++n) {
                    const T* const image = padded + n * s.in * s.padded.area();
                    ranges.learn(0, n, 0, s.padded.height, image, s.in);
                    if (ranges.uneven(n, window_taps, 0, s.kernel.height - window_taps)) {
                        marks[static_cast<std::size_t>(n)] = 1;
                        continue;
                    }
                    for (Index first = 0; first < rows; first += pass) {
                        const Index last = std::min(rows, first + pass);
                        read(image, first, last, columns.mutable_data(), values.mutable_data());
                        for (Index panel = 0; panel < panels; ++panel)
                            for (Index row = first; row < last; row += step) {
                                const Index count = std::min(step, last - row);
                                simd::run(Winograd1dRows<T>{
                                    .values = values.data() + row - first,
                                    .channels = s.in,
                                    .tiles = tiles,
                                    .taps = s.kernel.height,
                                    .filters = filters.data() + panel * s.in * s.kernel.height * 8 * width,
                                    .vectors = winograd::vecs_of(s.out - panel * width, width),
                                    .bias = biases.data() + panel * width,
                                    .y = scratch.mutable_data(),
                                    .rows = count});
                                write_rows(n, panel, row, count, scratch.data());
                            }
                    }
                }
            });
        return marks;
    }

private:
    Tensor<T> filter_values(const T* weight) const {
        const Index rows_of_taps = s.in * s.kernel.height;
        Tensor<T> filters = Tensor<T>::uninitialized({panels * rows_of_taps * 8 * width});
        Tensor<T> scratch = Tensor<T>::uninitialized({s.taps() * width});
        for (Index panel = 0; panel < panels; ++panel) {
            simd::run(PackB<T>{.b = {weight + panel * width * s.taps(), 1, s.taps()},
                               .k_count = s.taps(),
                               .columns = std::min(width, s.out - panel * width),
                               .out = scratch.mutable_data()});
            simd::run(WeightsToPoints<T>{scratch.data(), rows_of_taps,
                                         filters.mutable_data() + panel * rows_of_taps * 8 * width});
        }
        return filters;
    }

    /// The values that rows [first, last) of the output need.
    void read(const T* image, Index first, Index last, T* columns, T* values) const {
        for (Index c = 0; c < s.in; ++c) {
            simd::run(PackB<T>{.b = {image + c * s.padded.area() + first * s.padded.width, 1, s.padded.width},
                               .k_count = s.padded.width,
                               .columns = last - first + s.kernel.height - 1,
                               .out = columns});
            simd::run(ColumnsToPoints<T>{columns, tiles, values + c * tiles * 8 * width});
        }
    }

    /// `count` rows of the output from `row` on.
    void write_rows(Index n, Index panel, Index row, Index count, const T* from) const {
        const Index channels = std::min(width, s.out - panel * width), plane = n * s.out + panel * width;
        if (!y.argmax) {
            const PackedPixels pixels{s.result.area(), channels, count * s.result.width, packed_.data()};
            T* const to = y.values + plane * s.result.area() + row * s.result.width;
            return simd::run(UnpackChannels<T>{pixels, from, to});
        }
        const Size2 pooled = y.pool->pooled(), window = y.pool->window;
        max_pool_rows(*y.pool, row / window.height, count / window.height * pooled.width, from,
                      row_pixels * width, channels, y.values + plane * pooled.area(),
                      y.argmax + plane * pooled.area());
    }

    const ConvGeometry& s;
    const PooledImages<T, std::uint8_t> y;
    const gradus::detail::RecycledVector<Index> packed_;  // offsets of pixels
};

}  // namespace gradus::kernels::detail
