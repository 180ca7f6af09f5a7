// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <type_traits>
#include <vector>

#include "gradus/kernels/bf16_conv2d.hpp"
#include "gradus/kernels/conv_sizes.hpp"
#include "gradus/kernels/depthwise.hpp"
#include "gradus/kernels/gemm.hpp"
#include "gradus/kernels/layout.hpp"

// A convolution and both of its gradients are matrix products in which one operand is never written out: its
// element (i, k) is x[rows[i] + depths[k]], a sum of an offset of the row and one of the column. For the
// output, rows are pixels and columns are taps (channel, ky, kx); for the gradient of the weight, rows are
// taps and columns are pixels. So no image is unfolded into patches (im2col). The other operand, weights or
// output gradients, is packed as in gemm.hpp. The idea of offsets instead of patches: Dukhan, "The indirect
// convolution algorithm", 2019.

namespace gradus::kernels {
namespace detail {

/// sums[i][j] += sum over k of x[rows[i] + depths[k]] * b[k][j], in ascending k.
template <std::size_t Rows, std::size_t Vectors, class Pack, class T>
GRADUS_INLINE void add_products(Pack (&sums)[Rows][Vectors], const T* x, const Index* rows,
                                const Index* depths, Index depth, const T* b) {
    constexpr Index lanes = Pack::size;
    const T* at[Rows];
#pragma GCC unroll 14
    for (std::size_t i = 0; i < Rows; ++i) at[i] = x + rows[i];
    for (Index k = 0; k < depth; ++k, b += 2 * lanes) {
        const Index d = depths[k];
        Pack column[Vectors];
        for (std::size_t v = 0; v < Vectors; ++v) column[v] = Pack::load(b + static_cast<Index>(v) * lanes);
#pragma GCC unroll 14
        for (std::size_t i = 0; i < Rows; ++i) {
            const Pack value(at[i][d]);
#pragma GCC unroll 2
            for (std::size_t v = 0; v < Vectors; ++v) sums[i][v] = fma(value, column[v], sums[i][v]);
        }
    }
}

/// Kernel::tile in one of four sizes: all rows of a tile or 4, its whole width or half of it.
template <class Kernel, class T, int Bytes, class Args>
GRADUS_INLINE void run_tile(const Args& args) {
    constexpr std::size_t rows = tile_rows<Bytes>;
    const bool narrow = args.columns <= tile_columns<T, Bytes> / 2;
    if (args.count <= 4)
        narrow ? Kernel::template tile<4, 1, Bytes>(args) : Kernel::template tile<4, 2, Bytes>(args);
    else
        narrow ? Kernel::template tile<rows, 1, Bytes>(args) : Kernel::template tile<rows, 2, Bytes>(args);
}

template <class T>
struct ConvTileArgs {
    const T* x;
    const Index* rows;  // as many as a tile has, the last one repeated
    const Index* depths;
    Index depth;
    const T* b;     // panel: (k, j) at b[k * tile_columns + j]
    const T* bias;  // a panel's width of it
    T* y;           // (i, j) at y[places[i] + j * plane]
    const Index* places;
    Index plane;
    Index count, columns;  // what of the tile lies inside the result
};

/// A tile of the result: up to tile_rows pixels of up to tile_columns channels, written channel by channel.
template <class T>
struct ConvTile {
    template <std::size_t Rows, std::size_t Vectors, int Bytes>
    GRADUS_INLINE static void tile(const ConvTileArgs<T>& args) {
        constexpr Index lanes = Bytes / static_cast<Index>(sizeof(T));
        using Pack = simd::Pack<T, static_cast<int>(lanes)>;
        Pack sums[Rows][Vectors];
        for (std::size_t i = 0; i < Rows; ++i)
            for (std::size_t v = 0; v < Vectors; ++v)
                sums[i][v] = Pack::load(args.bias + static_cast<Index>(v) * lanes);
        add_products(sums, args.x, args.rows, args.depths, args.depth, args.b);

        const bool consecutive = args.count == static_cast<Index>(Rows) &&
                                 args.places[Rows - 1] == args.places[0] + static_cast<Index>(Rows) - 1;
        T side[static_cast<std::size_t>(lanes) * (Rows + static_cast<std::size_t>(lanes))];
        for (std::size_t v = 0; v < Vectors; ++v) {
            constexpr std::size_t step = static_cast<std::size_t>(lanes);
            for (std::size_t first = 0; first < Rows; first += step) {
                Pack block[step];
                for (std::size_t i = 0; i < step; ++i)
                    block[i] = first + i < Rows ? sums[first + i][v] : Pack(T(0));
                PackKernel<T>::template swap_blocks<static_cast<int>(step) / 2, static_cast<int>(step)>(
                    block);
                for (std::size_t j = 0; j < step; ++j) block[j].store(side + j * (Rows + step) + first);
            }
            const Index left = args.columns - static_cast<Index>(v) * lanes;
            for (Index j = 0; j < std::min(lanes, left); ++j) {
                T* const y = args.y + (static_cast<Index>(v) * lanes + j) * args.plane;
                const T* const from = side + static_cast<std::size_t>(j) * (Rows + step);
                if (consecutive)
                    __builtin_memcpy(y + args.places[0], from, sizeof(T[Rows]));
                else
                    for (Index i = 0; i < args.count; ++i) y[args.places[i]] = from[i];
            }
        }
    }

    template <int Bytes>
    GRADUS_INLINE static void run(const ConvTileArgs<T>* args) {
        run_tile<ConvTile<T>, T, Bytes>(*args);
    }
};

inline constexpr Index max_tile_rows = 14;
inline constexpr Index max_tile_columns = 32;
inline constexpr Index strips_per_task = 8;

/// A product of gathered pixels and packed columns: y at (pixel, channel) = bias[channel] + sum over k of
/// x[from(pixel) + depths[k]] * panels(k, channel).
template <class T>
struct GatheredProduct {
    const T* x;
    PixelWalk from;
    Index pixels;
    const Index* depths;
    Index depth;
    const T* panels;
    const T* bias_panels;
    Index channels;
    T* y;
    PixelWalk to;
    Index plane;

    void run() const {
        const TileSizes tile = tile_sizes<T>();
        const Index strips = (pixels + tile.rows - 1) / tile.rows;
        const Index panel_count = (channels + tile.columns - 1) / tile.columns;
        const Index groups = (strips + strips_per_task - 1) / strips_per_task;
        const Index task_work = std::max<Index>(1, strips_per_task * tile.rows * tile.columns * depth / 8);
        parallel_for(panel_count * groups, std::max<Index>(1, parallel_grain / task_work),
                     [&](Index begin, Index end) {
                         for (Index task = begin; task < end; ++task)
                             run_task(tile, task / groups, task % groups);
                     });
    }

    void run_task(const TileSizes& tile, Index panel, Index group) const {
        const Index last = std::min(pixels, (group + 1) * strips_per_task * tile.rows);
        for (Index pixel = group * strips_per_task * tile.rows; pixel < last; pixel += tile.rows) {
            Index rows[max_tile_rows], places[max_tile_rows];
            const Index count = std::min(tile.rows, last - pixel);
            from.run(pixel, count, rows);
            to.run(pixel, count, places);
            std::fill(rows + count, rows + tile.rows, rows[count - 1]);
            std::fill(places + count, places + tile.rows, places[count - 1]);
            ConvTileArgs<T> args;
            args.x = x;
            args.rows = rows;
            args.depths = depths;
            args.depth = depth;
            args.b = panels + panel * tile.columns * depth;
            args.bias = bias_panels + panel * tile.columns;
            args.y = y + panel * tile.columns * plane;
            args.places = places;
            args.plane = plane;
            args.count = count;
            args.columns = std::min(tile.columns, channels - panel * tile.columns);
            simd::run<ConvTile<T>>(&args);
        }
    }
};

/// The weights of one group in panels [taps, tile_columns], and the bias [tile_columns] of each.
template <class T>
struct PackedWeight {
    T* panels;
    T* bias_panels;

    PackedWeight(const ConvSizes& s, const T* weight, const T* bias) {
        const TileSizes tile = tile_sizes<T>();
        const Index count = (s.out + tile.columns - 1) / tile.columns, depth = s.taps();
        memory_ = Tensor<T>::uninitialized({count * tile.columns * (depth + 1)});
        panels = memory_.mutable_data();
        bias_panels = panels + count * tile.columns * depth;
        parallel_for(count, std::max<Index>(1, parallel_grain / (depth * tile.columns)),
                     [&](Index begin, Index end) {
                         for (Index p = begin; p < end; ++p)
                             simd::run<PackKernel<T>>(weight + p * tile.columns * depth, Index{1}, depth,
                                                      depth, std::min(tile.columns, s.out - p * tile.columns),
                                                      panels + p * tile.columns * depth);
                     });
        std::fill_n(bias_panels, count * tile.columns, T(0));
        if (bias) std::copy_n(bias, s.out, bias_panels);
    }

private:
    Tensor<T> memory_;
};

template <class T>
void conv2d_packed(const ConvSizes& s, const Tensor<T>& padded, const Tensor<T>& weight, const T* bias,
                   T* y) {
    const std::vector<Index> taps = tap_offsets(s);
    for (Index g = 0; g < s.groups; ++g) {
        const PackedWeight<T> packed(s, weight.data() + g * s.out * s.taps(),
                                     bias ? bias + g * s.out : nullptr);
        GatheredProduct<T>{padded.data(),
                           window_walk(s, g),
                           s.batch * s.result.area(),
                           taps.data(),
                           s.taps(),
                           packed.panels,
                           packed.bias_panels,
                           s.out,
                           y,
                           plane_walk(s.result, s.groups * s.out, g * s.out),
                           s.result.area()}
            .run();
    }
}

/// Along one axis: the input positions that share the taps which reach them. With i + before = stride * t +
/// phase, tap k is one of them if phase - k * dilation is a multiple of the stride, and the output position
/// under it is t + (phase - k * dilation) / stride.
struct Phase {
    Index first, count;        // input positions first, first + stride, ...
    Index first_t;             // t of the first
    std::vector<Index> taps;   // k
    std::vector<Index> shift;  // (phase - k * dilation) / stride

    Phase(Index phase, Index size, Index kernel, Index stride, Index dilation, Index before) {
        first = ((phase - before) % stride + stride) % stride;
        count = first < size ? (size - first + stride - 1) / stride : 0;
        first_t = (first + before) / stride;
        for (Index k = 0; k < kernel; ++k)
            if ((phase - k * dilation) % stride == 0) {
                taps.push_back(k);
                shift.push_back((phase - k * dilation) / stride);
            }
    }
};

/// How far the output gradient must be padded so that every phase finds zeros outside it.
struct Border {
    Index before = 0, after = 0;

    Border(Index size, Index kernel, Index stride, Index dilation, Index pad, Index result) {
        for (Index phase = 0; phase < std::min(stride, size); ++phase) {
            const Phase p(phase, size, kernel, stride, dilation, pad);
            if (p.count == 0) continue;
            for (const Index shift : p.shift) {
                before = std::max(before, -(p.first_t + shift));
                after = std::max(after, p.first_t + p.count - 1 + shift - (result - 1));
            }
        }
    }
};

template <class T>
Tensor<T> conv2d_dx_packed(const ConvSizes& s, const Tensor<T>& dy, const Tensor<T>& weight) {
    const Border rows(s.image.height, s.kernel.height, s.stride.height, s.dilation.height, s.before.height,
                      s.result.height);
    const Border columns(s.image.width, s.kernel.width, s.stride.width, s.dilation.width, s.before.width,
                         s.result.width);
    const Size2 size{rows.before + s.result.height + rows.after,
                     columns.before + s.result.width + columns.after};
    const Index zero_before[] = {0, 0, rows.before, columns.before};
    const Tensor<T> padded =
        size == s.result
            ? dy
            : pad<T>(dy, {s.batch, s.groups * s.out, size.height, size.width}, zero_before, T(0));

    Tensor<T> dx = Tensor<T>::uninitialized({s.batch, s.groups * s.in, s.image.height, s.image.width});
    T* const out = dx.mutable_data();
    const TileSizes tile = tile_sizes<T>();
    const Index panels = (s.in + tile.columns - 1) / tile.columns, area = s.kernel.area();
    const Index width = panels * tile.columns;
    Tensor<T> memory = Tensor<T>::uninitialized({width * (s.out * area + 1)});
    T* const packed = memory.mutable_data();
    T* const no_bias = packed + width * s.out * area;
    std::fill_n(no_bias, width, T(0));
    for (Index g = 0; g < s.groups; ++g)
        for (Index py = 0; py < s.stride.height; ++py)
            for (Index px = 0; px < s.stride.width; ++px) {
                const Phase y(py, s.image.height, s.kernel.height, s.stride.height, s.dilation.height,
                              s.before.height);
                const Phase x(px, s.image.width, s.kernel.width, s.stride.width, s.dilation.width,
                              s.before.width);
                if (y.count == 0 || x.count == 0) continue;
                std::vector<Index> depths, taps;
                for (std::size_t i = 0; i < y.taps.size(); ++i)
                    for (std::size_t j = 0; j < x.taps.size(); ++j)
                        taps.push_back(y.taps[i] * s.kernel.width + x.taps[j]);
                for (Index o = 0; o < s.out; ++o)
                    for (const Index dy_shift : y.shift)
                        for (const Index dx_shift : x.shift)
                            depths.push_back((o * size.height + rows.before + y.first_t + dy_shift) *
                                                 size.width +
                                             columns.before + x.first_t + dx_shift);
                const Index count = static_cast<Index>(taps.size()), depth = s.out * count;
                parallel_for(panels, 1, [&](Index begin, Index end) {
                    for (Index p = begin; p < end; ++p)
                        for (Index o = 0; o < s.out; ++o)
                            for (Index j = 0; j < tile.columns; ++j) {
                                const Index c = p * tile.columns + j;
                                T* const to = packed + (p * depth + o * count) * tile.columns + j;
                                const T* const from = weight.data() + ((g * s.out + o) * s.in + c) * area;
                                for (Index t = 0; t < count; ++t)
                                    to[t * tile.columns] =
                                        c < s.in ? from[taps[static_cast<std::size_t>(t)]] : T(0);
                            }
                });
                const Index plane = size.area(), image = s.image.area();
                GatheredProduct<T>{
                    padded.data(),
                    {y.count, x.count, g * s.out * plane, s.groups * s.out * plane, size.width, 1},
                    s.batch * y.count * x.count,
                    depths.data(),
                    depth,
                    packed,
                    no_bias,
                    s.in,
                    out,
                    {y.count, x.count, g * s.in * image + y.first * s.image.width + x.first,
                     s.groups * s.in * image, s.stride.height * s.image.width, s.stride.width},
                    image}
                    .run();
            }
    return dx;
}

template <class T>
struct RowTileArgs {
    const T* x;
    const Index* rows;
    const Index* depths;
    Index depth;
    const T* b;
    const T* start;  // row i begins with start[i * start_row ...]
    Index start_row;
    T* c;  // (i, j) at c[i * tile_columns + j]
    Index count, columns;
};

/// A tile that stays as it is computed, row by row.
template <class T>
struct RowTile {
    template <std::size_t Rows, std::size_t Vectors, int Bytes>
    GRADUS_INLINE static void tile(const RowTileArgs<T>& args) {
        constexpr Index lanes = Bytes / static_cast<Index>(sizeof(T));
        using Pack = simd::Pack<T, static_cast<int>(lanes)>;
        Pack sums[Rows][Vectors];
        for (std::size_t i = 0; i < Rows; ++i)
            for (std::size_t v = 0; v < Vectors; ++v)
                sums[i][v] = Pack::load(args.start + static_cast<Index>(i) * args.start_row +
                                        static_cast<Index>(v) * lanes);
        add_products(sums, args.x, args.rows, args.depths, args.depth, args.b);
        for (std::size_t i = 0; i < Rows; ++i)
            for (std::size_t v = 0; v < Vectors; ++v)
                sums[i][v].store(args.c + (2 * static_cast<Index>(i) + static_cast<Index>(v)) * lanes);
    }

    template <int Bytes>
    GRADUS_INLINE static void run(const RowTileArgs<T>* args) {
        run_tile<RowTile<T>, T, Bytes>(*args);
    }
};

/// dweight as [taps, out] in panels: the work is split into blocks of taps, panels of output channels and, if
/// these are few, parts of the pixels, whose sums are added in order.
template <class T>
struct WeightGradient {
    static constexpr Index pixels_per_pass = 512;  // a panel of so many output gradients stays in the cache

    const ConvSizes& s;
    const T* padded;
    const T* dy;
    Index group;
    const Index* taps;  // offsets
    TileSizes tile = tile_sizes<T>();
    Index pixels = s.batch * s.result.area();
    Index panels = (s.out + tile.columns - 1) / tile.columns;
    Index strips = (s.taps() + tile.rows - 1) / tile.rows;
    Index groups = (strips + strips_per_task - 1) / strips_per_task;
    Index passes = (pixels + pixels_per_pass - 1) / pixels_per_pass;
    Index parts = std::clamp<Index>(16 / (panels * groups), 1, std::max<Index>(1, passes));
    Index part_size = strips * tile.rows * panels * tile.columns;

    void run(T* dweight) const {
        Tensor<T> memory = Tensor<T>::uninitialized({parts, part_size});
        T* const sums = memory.mutable_data();
        const Index work = pixels * s.taps() * s.out / 8 / (panels * groups * parts);
        parallel_for(panels * groups * parts, std::max<Index>(1, parallel_grain / std::max<Index>(1, work)),
                     [&](Index begin, Index end) {
                         for (Index task = begin; task < end; ++task)
                             run_task(task % panels, task / panels % groups, task / panels / groups, sums);
                     });
        for (Index o = 0; o < s.out; ++o)
            for (Index k = 0; k < s.taps(); ++k) {
                const T* const at =
                    sums + (o / tile.columns * strips * tile.rows + k) * tile.columns + o % tile.columns;
                T sum = at[0];
                for (Index part = 1; part < parts; ++part) sum += at[part * part_size];
                dweight[o * s.taps() + k] = sum;
            }
    }

    void run_task(Index panel, Index group_of_strips, Index part, T* sums) const {
        T* const c = sums + part * part_size + panel * strips * tile.rows * tile.columns;
        const Index first_strip = group_of_strips * strips_per_task;
        const Index last_strip = std::min(strips, first_strip + strips_per_task);
        Tensor<T> memory = Tensor<T>::uninitialized({pixels_per_pass * tile.columns});
        T* const packed = memory.mutable_data();
        const PixelWalk from = window_walk(s, group);
        const std::array<T, static_cast<std::size_t>(max_tile_columns)> nothing{};
        std::array<Index, static_cast<std::size_t>(pixels_per_pass)> depths;
        const Index begin = passes * part / parts * pixels_per_pass;
        const Index end = std::min(pixels, passes * (part + 1) / parts * pixels_per_pass);
        for (Index pixel = begin; pixel < end; pixel += pixels_per_pass) {
            const Index depth = std::min(pixels_per_pass, end - pixel);
            from.run(pixel, depth, depths.data());
            pack(panel, pixel, depth, packed);
            for (Index strip = first_strip; strip < last_strip; ++strip) {
                Index rows[max_tile_rows];
                const Index k = strip * tile.rows, count = std::min(tile.rows, s.taps() - k);
                std::copy_n(taps + k, count, rows);
                std::fill(rows + count, rows + tile.rows, rows[count - 1]);
                RowTileArgs<T> args;
                args.x = padded;
                args.rows = rows;
                args.depths = depths.data();
                args.depth = depth;
                args.b = packed;
                args.c = c + k * tile.columns;
                args.start = pixel == begin ? nothing.data() : args.c;
                args.start_row = pixel == begin ? 0 : tile.columns;
                args.count = count;
                args.columns = s.out - panel * tile.columns;
                simd::run<RowTile<T>>(&args);
            }
        }
    }

    /// Output gradients [pixels, a panel of channels].
    void pack(Index panel, Index pixel, Index count, T* out) const {
        const Index area = s.result.area(), channel = group * s.out + panel * tile.columns;
        const Index width = std::min(tile.columns, s.out - panel * tile.columns);
        for (Index done = 0; done < count;) {
            const Index image = (pixel + done) / area, at = (pixel + done) % area;
            const Index run = std::min(count - done, area - at);
            simd::run<PackKernel<T>>(dy + (image * s.groups * s.out + channel) * area + at, Index{1}, area,
                                     run, width, out + done * tile.columns);
            done += run;
        }
    }
};

template <class T>
Tensor<T> conv2d_dw_packed(const ConvSizes& s, const Tensor<T>& padded, const Tensor<T>& dy) {
    Tensor<T> dweight = Tensor<T>::uninitialized(s.weight_shape());
    T* const out = dweight.mutable_data();
    const std::vector<Index> taps = tap_offsets(s);
    for (Index g = 0; g < s.groups; ++g)
        WeightGradient<T>{s, padded.data(), dy.data(), g, taps.data()}.run(out + g * s.out * s.taps());
    return dweight;
}

/// Calls visit(y, x, w) with the offsets of every product that makes up the result: the definition of the
/// convolution, for numbers that have no packs.
template <class Visit>
void for_each_product(const ConvSizes& s, const Visit& visit) {
    const PixelWalk to = plane_walk(s.result, s.groups * s.out, 0);
    const std::vector<Index> taps = tap_offsets(s);
    for (Index g = 0; g < s.groups; ++g) {
        const PixelWalk from = window_walk(s, g);
        for (Index pixel = 0; pixel < s.batch * s.result.area(); ++pixel)
            for (Index o = 0; o < s.out; ++o)
                for (Index k = 0; k < s.taps(); ++k)
                    visit(to(pixel) + (g * s.out + o) * s.result.area(),
                          from(pixel) + taps[static_cast<std::size_t>(k)], (g * s.out + o) * s.taps() + k);
    }
}

template <class T>
inline constexpr bool has_packs = std::is_same_v<T, float> || std::is_same_v<T, double>;

}  // namespace detail

/// x with the zeros around it that the convolution reads.
template <class T>
Tensor<T> pad_images(const ConvSizes& s, const Tensor<T>& x) {
    if (s.padded == s.image) return x;
    const Index before[] = {0, 0, s.before.height, s.before.width};
    return pad<T>(x, {s.batch, s.groups * s.in, s.padded.height, s.padded.width}, before, T(0));
}

/// y[n, o, i, j] = bias[o] + Σ x[n, c, i · stride + ky · dilation, j · stride + kx · dilation] w[o, c, ky,
/// kx], x padded, bias may be null.
template <class T>
void conv2d(const ConvSizes& s, const Tensor<T>& padded, const Tensor<T>& weight, const T* bias, T* y) {
    if constexpr (std::is_same_v<T, float>) {
        if (const detail::Bf16Choice bf16 = detail::conv2d_choice(s); bf16.unit)
            return detail::conv2d_bf16(bf16, s, padded.data(), weight.data(), bias, y);
    }
    if constexpr (detail::has_packs<T>) {
        if (detail::is_depthwise(s))
            return detail::Depthwise<T>{s}.forward(padded.data(), weight.data(), bias, y);
        if (s.taps() > 0) return detail::conv2d_packed(s, padded, weight, bias, y);
    }
    for (Index i = 0; i < s.y_shape().numel(); ++i)
        y[i] = bias ? bias[i / s.result.area() % (s.groups * s.out)] : T(0);
    detail::for_each_product(
        s, [&](Index to, Index from, Index w) { y[to] = y[to] + padded.data()[from] * weight.data()[w]; });
}

/// The gradient of x: dy spread over the windows.
template <class T>
Tensor<T> conv2d_dx(const ConvSizes& s, const Tensor<T>& dy, const Tensor<T>& weight) {
    if constexpr (std::is_same_v<T, float>) {
        if (const detail::Bf16Choice bf16 = detail::conv2d_choice(s); bf16.unit)
            return detail::conv2d_dx_bf16(bf16, s, dy, weight);
    }
    if constexpr (detail::has_packs<T>) {
        if (!detail::is_depthwise(s)) return detail::conv2d_dx_packed(s, dy, weight);
        Tensor<T> dx = Tensor<T>::uninitialized({s.batch, s.groups, s.image.height, s.image.width});
        detail::Depthwise<T>{s}.input(dy.data(), weight.data(), dx.mutable_data());
        return dx;
    }
    Tensor<T> padded = zeros<T>({s.batch, s.groups * s.in, s.padded.height, s.padded.width});
    T* const out = padded.mutable_data();
    detail::for_each_product(
        s, [&](Index to, Index from, Index w) { out[from] = out[from] + dy.data()[to] * weight.data()[w]; });
    if (s.padded == s.image) return padded;
    const Index before[] = {0, 0, s.before.height, s.before.width};
    return crop<T>(padded, {s.batch, s.groups * s.in, s.image.height, s.image.width}, before);
}

/// The gradient of the weight.
template <class T>
Tensor<T> conv2d_dw(const ConvSizes& s, const Tensor<T>& padded, const Tensor<T>& dy) {
    if constexpr (std::is_same_v<T, float>) {
        if (const detail::Bf16Choice bf16 = detail::conv2d_choice(s); bf16.unit)
            return detail::conv2d_dw_bf16(bf16, s, padded, dy);
    }
    if constexpr (detail::has_packs<T>) {
        if (detail::is_depthwise(s)) {
            Tensor<T> dweight = Tensor<T>::uninitialized(s.weight_shape());
            detail::Depthwise<T>{s}.weight(padded.data(), dy.data(), dweight.mutable_data());
            return dweight;
        }
        if (s.taps() > 0 && dy.numel() > 0) return detail::conv2d_dw_packed(s, padded, dy);
    }
    Tensor<T> dweight = zeros<T>(s.weight_shape());
    T* const out = dweight.mutable_data();
    detail::for_each_product(
        s, [&](Index to, Index from, Index w) { out[w] = out[w] + dy.data()[to] * padded.data()[from]; });
    return dweight;
}

}  // namespace gradus::kernels
