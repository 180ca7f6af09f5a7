// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>

#include "gradus/kernels/gathered_product.hpp"
#include "gradus/kernels/layout.hpp"
#include "gradus/kernels/pack_pixels.hpp"

namespace gradus::kernels::detail {

/// Along one axis: the input positions that share the taps which reach them. With i + before = stride * t +
/// phase, tap k is one of them if phase - k * dilation is a multiple of the stride, and the output position
/// under it is t + (phase - k * dilation) / stride.
struct Phase {
    Index first, count;   // input positions first, first + stride, ...
    Index first_t;        // t of the first
    Index tap_count = 0;  // how many taps reach them
    Tensor<Index> taps;   // k
    Tensor<Index> shift;  // (phase - k * dilation) / stride

    Phase(Index phase, Index size, Index kernel, Index stride, Index dilation, Index before) {
        first = ((phase - before) % stride + stride) % stride;
        count = first < size ? (size - first + stride - 1) / stride : 0;
        first_t = (first + before) / stride;
        taps = Tensor<Index>::uninitialized({kernel});
        shift = Tensor<Index>::uninitialized({kernel});
        Index *const tap = taps.mutable_data(), *const by = shift.mutable_data();
        for (Index k = 0; k < kernel; ++k)
            if ((phase - k * dilation) % stride == 0) {
                tap[tap_count] = k;
                by[tap_count++] = (phase - k * dilation) / stride;
            }
    }
};

/// How far the output gradient must be padded so that every phase finds zeros outside it.
struct Border {
    Index before = 0, after = 0;
    bool gaps = false;  // whether there are input positions that no tap reaches

    Border(Index size, Index kernel, Index stride, Index dilation, Index pad, Index result) {
        for (Index at = 0; at < std::min(stride, size); ++at) {
            const Phase p((at + pad) % stride, size, kernel, stride, dilation, pad);
            gaps |= p.tap_count == 0;
            for (Index i = 0; i < p.tap_count; ++i) {
                const Index shift = p.shift.data()[i];
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

    const Shape shape{s.batch, s.groups * s.in, s.image.height, s.image.width};
    Tensor<T> dx = rows.gaps || columns.gaps ? zeros<T>(shape) : Tensor<T>::uninitialized(shape);
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
                if (y.count == 0 || x.count == 0 || y.tap_count * x.tap_count == 0) continue;
                const Index count = y.tap_count * x.tap_count, depth = s.out * count;
                Tensor<Index> table = Tensor<Index>::uninitialized({count + depth});
                Index *const taps = table.mutable_data(), *const depths = taps + count, *next = taps;
                for (Index i = 0; i < y.tap_count; ++i)
                    for (Index j = 0; j < x.tap_count; ++j)
                        *next++ = y.taps.data()[i] * s.kernel.width + x.taps.data()[j];
                for (Index o = 0; o < s.out; ++o)
                    for (Index i = 0; i < y.tap_count; ++i)
                        for (Index j = 0; j < x.tap_count; ++j)
                            *next++ =
                                (o * size.height + rows.before + y.first_t + y.shift.data()[i]) * size.width +
                                columns.before + x.first_t + x.shift.data()[j];
                parallel_for(panels, 1, [&](Index begin, Index end) {
                    for (Index p = begin; p < end; ++p)
                        for (Index o = 0; o < s.out; ++o)
                            for (Index j = 0; j < tile.columns; ++j) {
                                const Index c = p * tile.columns + j;
                                T* const to = packed + (p * depth + o * count) * tile.columns + j;
                                const T* const from = weight.data() + ((g * s.out + o) * s.in + c) * area;
                                for (Index t = 0; t < count; ++t)
                                    to[t * tile.columns] = c < s.in ? from[taps[t]] : T(0);
                            }
                });
                const Index plane = size.area(), image = s.image.area();
                GatheredProduct<T>{
                    padded.data(),
                    {y.count, x.count, g * s.out * plane, s.groups * s.out * plane, size.width, 1},
                    s.batch * y.count * x.count,
                    depths,
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
            simd::run<PackPixels<T>>(dy + (image * s.groups * s.out + channel) * area + at, area, run, width,
                                     out + done * tile.columns);
            done += run;
        }
    }
};

template <class T>
Tensor<T> conv2d_dw_packed(const ConvSizes& s, const Tensor<T>& padded, const Tensor<T>& dy) {
    Tensor<T> dweight = Tensor<T>::uninitialized(s.weight_shape());
    T* const out = dweight.mutable_data();
    const Tensor<Index> taps = tap_offsets(s);
    for (Index g = 0; g < s.groups; ++g)
        WeightGradient<T>{s, padded.data(), dy.data(), g, taps.data()}.run(out + g * s.out * s.taps());
    return dweight;
}

}  // namespace gradus::kernels::detail
