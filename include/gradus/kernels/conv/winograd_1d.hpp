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

// Convolutions of 5 taps in a row and few input channels, by Winograd's algorithm F(4, 5) along rows alone: 8
// multiplications per row of taps and 4 outputs instead of 20. With few input channels, the transform of the
// output is most of the work of an algorithm in two dimensions; along rows it is small, and happens in
// registers. The rounding error is two to four times that of the plain sum. The outputs of a few rows stay in
// the first-level cache until they are pooled or written as planes. Sources: see winograd_transforms.hpp.

namespace gradus::kernels::detail {

/// Columns of an image to values at the points, lanes are rows: columns [4 * tiles + 4, width] to
/// [tiles, 8, width].
template <class T>
struct ColumnsToPoints {
    template <int Bytes>
    GRADUS_INLINE static void run(const T* columns, Index tiles, T* values) {
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

/// Taps in panels [row of taps, 5, width] to values [pack of a panel, row of taps, 8, lanes].
template <class T>
struct WeightsToPoints {
    template <int Bytes>
    GRADUS_INLINE static void run(const T* taps, Index rows, T* values) {
        using Vec = simd::VecOf<T, Bytes>;
        constexpr Index width = 2 * Vec::size;
        for (Index v = 0; v < 2; ++v)
            for (Index row = 0; row < rows; ++row, values += 8 * Vec::size) {
                Vec in[5], out[8];
#pragma GCC unroll 5
                for (Index k = 0; k < 5; ++k) in[k] = Vec::load(taps + (row * 5 + k) * width + v * Vec::size);
                winograd::WeightTransform<5>::run(in, out);
#pragma GCC unroll 8
                for (Index k = 0; k < 8; ++k) out[k].store(values + k * Vec::size);
            }
    }
};

template <class T>
struct Winograd1dArgs {
    const T* values;  // [channel, tile, point, width], lanes are rows of the image
    Index channels, tiles;
    Index taps;        // rows of them in a channel
    const T* filters;  // [pack, channel, row of taps, point, lanes], lanes are output channels
    Index vectors;
    const T* bias;  // a panel's width
    T* y;           // [row, 4 * tiles, width]
    Index rows;
};

/// Rows of the output: per tile of 4 pixels, sums at 8 points, which are transformed in registers.
template <class T>
struct Winograd1dRows {
    template <int Bytes>
    GRADUS_INLINE static void run(const Winograd1dArgs<T>* given) {
        const Winograd1dArgs<T> args = *given;
        for (Index v = 0; v < args.vectors; ++v)
            for (Index row = 0; row < args.rows; ++row) {
                Index tile = 0;
                for (; tile + 3 <= args.tiles; tile += 3) tiles<3, Bytes>(args, v, row, tile);
                if (tile + 2 == args.tiles) tiles<2, Bytes>(args, v, row, tile);
                if (tile + 1 == args.tiles) tiles<1, Bytes>(args, v, row, tile);
            }
    }

    template <std::size_t Tiles, int Bytes>
    GRADUS_INLINE static void tiles(const Winograd1dArgs<T>& args, Index v, Index row, Index first) {
        using Vec = simd::VecOf<T, Bytes>;
        constexpr Index width = 2 * Vec::size;
        Vec sums[Tiles][8];
#pragma GCC unroll 3
        for (std::size_t t = 0; t < Tiles; ++t)
#pragma GCC unroll 8
            for (std::size_t k = 0; k < 8; ++k) sums[t][k] = Vec(T(0));
        const T* filter = args.filters + v * args.channels * args.taps * 8 * Vec::size;
        const T* channel = args.values + first * 8 * width + row;
        for (Index c = 0; c < args.channels; ++c, channel += args.tiles * 8 * width)
            for (Index tap = 0; tap < args.taps; ++tap, filter += 8 * Vec::size) {
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
        const Vec bias = Vec::load(args.bias + v * Vec::size);
        T* const y = args.y + (row * args.tiles + first) * 4 * width + v * Vec::size;
#pragma GCC unroll 3
        for (std::size_t t = 0; t < Tiles; ++t) {
            Vec out[4];
            winograd::OutputTransform<5>::run(sums[t], out);
#pragma GCC unroll 4
            for (std::size_t i = 0; i < 4; ++i)
                (out[i] + bias).store(y + static_cast<Index>(4 * t + i) * width);
        }
    }
};

template <class T>
class Winograd1d {
public:
    explicit Winograd1d(const ConvGeometry& sizes) : s(sizes) {}

    /// y = the convolution, or if `pool` is there, max-pooled, with the argmax of conv_pool. Those of images
    /// that are marked are not accurate.
    winograd::Marks forward(const T* padded, const T* weight, const T* bias, T* y,
                            std::uint8_t* argmax = nullptr, const ConvPoolGeometry* pool = nullptr) const {
        winograd::Marks marks(static_cast<std::size_t>(s.batch));
        winograd::Ranges<T> ranges(s.batch, 1, s.padded);
        const Index window_taps = std::min(s.kernel.height, s.kernel.width);
        const Index window = pool ? pool->window.height : 1;
        const Index most = width - s.kernel.height + 1;  // rows that an array of values gives; at least 1
        const Index step =
            std::clamp<Index>(cached_pixels / (row_pixels * window), 1, most / window) * window;
        const Index rows = s.result.height / window * window;
        const Tensor<T> filters = filter_values(weight);
        Tensor<T> biases = zeros<T>({panels * width});
        if (bias) std::copy_n(bias, s.out, biases.mutable_data());
        const auto pixel_offsets = winograd::pixel_offsets(step, s.result.width, row_pixels, width);
        const Index work = s.result.area() * s.out * s.taps() / 8;
        parallel_for(
            s.batch, std::max<Index>(1, parallel_grain / std::max<Index>(1, work)),
            [&](Index begin, Index end) {
                Tensor<T> columns = zeros<T>({(row_pixels + 4) * width});
                Tensor<T> values = Tensor<T>::uninitialized({s.in * tiles * 8 * width});
                Tensor<T> scratch = Tensor<T>::uninitialized({step * row_pixels * width});
                Winograd1dArgs<T> args{
                    values.data(),          s.in, tiles, s.kernel.height, nullptr, 0, nullptr,
                    scratch.mutable_data(), 0};
                for (Index n = begin; n < end; ++n) {
                    ranges.learn(0, n, 0, s.padded.height, padded + n * s.in * s.padded.area(), s.in);
                    if (ranges.uneven(n, window_taps, 0, s.kernel.height - window_taps)) {
                        marks[static_cast<std::size_t>(n)] = 1;
                        continue;
                    }
                    for (Index first = 0; first < rows; first += most / step * step) {
                        const Index last = std::min(rows, first + most / step * step);
                        read(padded + n * s.in * s.padded.area(), first, last, columns.mutable_data(),
                             values.mutable_data());
                        for (Index panel = 0; panel < panels; ++panel)
                            for (Index row = first; row < last; row += step) {
                                const Index columns_left = std::min(width, s.out - panel * width);
                                args.values = values.data() + row - first;
                                args.filters = filters.data() + panel * s.in * s.kernel.height * 8 * width;
                                args.vectors = 2 * columns_left <= width ? 1 : 2;
                                args.bias = biases.data() + panel * width;
                                args.rows = std::min(step, last - row);
                                simd::run<Winograd1dRows<T>>(static_cast<const Winograd1dArgs<T>*>(&args));
                                if (pool)
                                    pool_rows(*pool, n, panel, row, args, y, argmax);
                                else
                                    write_rows(n, panel, row, args, pixel_offsets.data(), y);
                            }
                    }
                }
            });
        return marks;
    }

private:
    static constexpr Index cached_pixels = 160;  // of a panel of channels, in the first-level cache

    Tensor<T> filter_values(const T* weight) const {
        const Index rows = s.in * s.kernel.height;
        Tensor<T> filters = Tensor<T>::uninitialized({panels * rows * 8 * width});
        Tensor<T> scratch = Tensor<T>::uninitialized({s.taps() * width});
        for (Index panel = 0; panel < panels; ++panel) {
            simd::run(PackB<T>{.b = {weight + panel * width * s.taps(), 1, s.taps()},
                               .k_count = s.taps(),
                               .columns = std::min(width, s.out - panel * width),
                               .out = scratch.mutable_data()});
            simd::run<WeightsToPoints<T>>(scratch.data(), rows,
                                          filters.mutable_data() + panel * rows * 8 * width);
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
            simd::run<ColumnsToPoints<T>>(static_cast<const T*>(columns), tiles,
                                          values + c * tiles * 8 * width);
        }
    }

    void write_rows(Index n, Index panel, Index row, const Winograd1dArgs<T>& rows,
                    const Index* pixel_offsets, T* y) const {
        const PackedPixels pixels{s.result.area(), std::min(width, s.out - panel * width),
                                  rows.rows * s.result.width, pixel_offsets};
        simd::run<UnpackChannels<T>>(
            static_cast<const T*>(rows.y), pixels,
            y + (n * s.out + panel * width) * s.result.area() + row * s.result.width);
    }

    void pool_rows(const ConvPoolGeometry& pool, Index n, Index panel, Index row,
                   const Winograd1dArgs<T>& rows, T* y, std::uint8_t* argmax) const {
        const Size2 pooled = pool.pooled();
        const Index plane = (n * s.out + panel * width) * pooled.area();
        max_pool_rows(pool, row / pool.window.height, rows.rows / pool.window.height * pooled.width,
                      static_cast<const T*>(rows.y), row_pixels * width,
                      std::min(width, s.out - panel * width), y + plane, argmax + plane);
    }

    const ConvGeometry& s;
    Index width = tile_sizes<T>().columns;
    Index panels = (s.out + width - 1) / width;
    Index tiles = (s.result.width + 3) / 4;
    Index row_pixels = 4 * tiles;
};

}  // namespace gradus::kernels::detail
