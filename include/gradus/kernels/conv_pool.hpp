// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/kernels/conv2d.hpp"

// A convolution, max-pooling of windows that do not overlap, and a relu, as one step. Forward, the output of
// the convolution never reaches memory: it is computed in the order of the pooling windows, in blocks that
// stay in the first-level cache. Backward, only one pixel of each window has a gradient, and none if the relu
// cut it off: both gradients visit these pixels alone, a ninth of the work for windows of 3 x 3, and about
// half of that after a relu. The gain from such zeros: Gong et al., "SparseTrain: leveraging dynamic sparsity
// in training DNNs on general-purpose SIMD processors", 2019.

namespace gradus::kernels {

/// A convolution of one group without dilation, and the windows that are pooled of its output.
struct ConvPoolSizes {
    ConvSizes conv;
    Size2 window;  // at most 16 pixels
    bool relu = false;

    Size2 pooled() const { return {conv.result.height / window.height, conv.result.width / window.width}; }
    Shape y_shape() const { return {conv.batch, conv.out, pooled().height, pooled().width}; }
};

/// The code of a pooled pixel that the relu cut off; others are the position in the window.
inline constexpr std::uint8_t no_winner = 255;

namespace detail {

inline constexpr Index cells_per_block = 16;  // pooled pixels
inline constexpr Index max_window = 16;       // pixels of a pooling window

template <class T>
struct PoolBlockArgs {
    const T* rows;  // [cells, window, tile_columns]
    Index cells, window, columns;
    bool relu;
    T* y;  // (cell, channel) at y[places[cell] + channel * plane]
    std::uint8_t* codes;
    const Index* places;
    Index plane;
};

/// Pools a block of rows over their windows and writes it channel by channel.
template <class T>
struct PoolBlock {
    template <int Bytes>
    GRADUS_INLINE static void run(const PoolBlockArgs<T>* given) {
        constexpr Index lanes = Bytes / static_cast<Index>(sizeof(T)), width = 2 * lanes;
        using Pack = simd::Pack<T, static_cast<int>(lanes)>;
        const PoolBlockArgs<T> args = *given;
        T values[static_cast<std::size_t>(cells_per_block * width)];
        T winners[static_cast<std::size_t>(cells_per_block * width)];
        for (Index cell = 0; cell < args.cells; ++cell)
            for (Index v = 0; v < std::min(width, args.columns); v += lanes) {
                const T* row = args.rows + cell * args.window * width + v;
                Pack best = Pack::load(row), winner(T(0)), probe = best * T(0);
                for (Index i = 1; i < args.window; ++i) {
                    const Pack value = Pack::load(row + i * width);
                    winner = select(value > best, Pack(static_cast<T>(i)), winner);
                    best = max(best, value);
                    probe = fma(value, Pack(T(0)), probe);
                }
                if (!(sum(probe) == T(0))) [[unlikely]]  // NaN or inf
                    careful_pool<Pack>(row, args.window, width, best, winner);
                if (args.relu) {
                    winner = select(best > Pack(T(0)), winner, Pack(T(no_winner)));
                    best = max(best, Pack(T(0)));
                }
                best.store(values + cell * width + v);
                winner.store(winners + cell * width + v);
            }
        for (Index cell = 0; cell < args.cells; cell += lanes)
            for (Index v = 0; v < std::min(width, args.columns); v += lanes) {
                const Index count = std::min(lanes, args.cells - cell);
                const Index columns = std::min(lanes, args.columns - v);
                write_block<Bytes>(values + cell * width + v, args.y + v * args.plane, args, cell, count,
                                   columns);
                write_block<Bytes>(winners + cell * width + v, args.codes + v * args.plane, args, cell, count,
                                   columns);
            }
    }

    /// NaN wins, the last one if there are several.
    template <class Pack>
    GRADUS_INLINE static void careful_pool(const T* row, Index window, Index width, Pack& best,
                                           Pack& winner) {
        best = Pack::load(row);
        winner = Pack(T(0));
        for (Index i = 1; i < window; ++i) {
            const Pack value = Pack::load(row + i * width);
            const auto better = (value > best) | (value != value);
            best = select(better, value, best);
            winner = select(better, Pack(static_cast<T>(i)), winner);
        }
    }

    /// Cells [cell, cell + count) of `columns` channels, transposed.
    template <int Bytes, class To>
    GRADUS_INLINE static void write_block(const T* from, To* to, const PoolBlockArgs<T>& args, Index cell,
                                          Index count, Index columns) {
        constexpr std::size_t lanes = Bytes / sizeof(T);
        constexpr Index width = 2 * static_cast<Index>(lanes);
        using Pack = simd::Pack<T, static_cast<int>(lanes)>;
        Pack block[lanes];
        for (std::size_t i = 0; i < lanes; ++i)
            block[i] = Pack::load(from + (static_cast<Index>(i) < count ? static_cast<Index>(i) : 0) * width);
        PackKernel<T>::template swap_blocks<static_cast<int>(lanes) / 2, static_cast<int>(lanes)>(block);
        const Index* const places = args.places + cell;
        const bool consecutive =
            count == static_cast<Index>(lanes) && places[lanes - 1] == places[0] + count - 1;
        for (std::size_t j = 0; j < lanes; ++j) {
            To converted[lanes];
            if constexpr (std::is_same_v<To, T>)
                block[j].store(converted);
            else
                simd::convert<To>(block[j]).store(converted);
            To* const out = to + static_cast<Index>(j) * args.plane;
            if (static_cast<Index>(j) >= columns) break;
            if (consecutive)
                __builtin_memcpy(out + places[0], converted, sizeof(converted));
            else
                for (Index i = 0; i < count; ++i) out[places[i]] = converted[i];
        }
    }
};

/// Forward, one block of cells and one panel of channels at a time.
template <class T>
struct ConvPoolForward {
    const ConvPoolSizes& s;
    const T* x;
    const Index* taps;
    const T* panels;
    const T* bias_panels;
    T* y;
    std::uint8_t* codes;

    void run() const {
        const TileSizes tile = tile_sizes<T>();
        const Index cells = s.conv.batch * s.pooled().area();
        const Index blocks = (cells + cells_per_block - 1) / cells_per_block;
        const Index panel_count = (s.conv.out + tile.columns - 1) / tile.columns;
        const Index work = cells_per_block * s.window.area() * tile.columns * s.conv.taps() / 8;
        parallel_for(panel_count * blocks, std::max<Index>(1, parallel_grain / std::max<Index>(1, work)),
                     [&](Index begin, Index end) {
                         Tensor<T> memory = Tensor<T>::uninitialized(
                             {(cells_per_block * s.window.area() + max_tile_rows) * tile.columns});
                         T* const rows = memory.mutable_data();
                         for (Index task = begin; task < end; ++task)
                             run_block(tile, task / blocks, task % blocks * cells_per_block, cells, rows);
                     });
    }

    void run_block(const TileSizes& tile, Index panel, Index first, Index cells, T* side) const {
        const ConvSizes& c = s.conv;
        const Size2 pooled = s.pooled();
        const Index padded_plane = c.padded.area(), area = s.window.area();
        const Index count = std::min(cells_per_block, cells - first);
        Index corners[cells_per_block], places[cells_per_block];
        Index rows[cells_per_block * max_window + max_tile_rows];
        PixelWalk{pooled.height,
                  pooled.width,
                  0,
                  c.in * padded_plane,
                  s.window.height * c.stride.height * c.padded.width,
                  s.window.width * c.stride.width}
            .run(first, count, corners);
        plane_walk(pooled, c.out, 0).run(first, count, places);
        Index* next = rows;
        for (Index cell = 0; cell < count; ++cell)
            for (Index y_in = 0; y_in < s.window.height; ++y_in)
                for (Index x_in = 0; x_in < s.window.width; ++x_in)
                    *next++ = corners[cell] + y_in * c.stride.height * c.padded.width + x_in * c.stride.width;
        std::fill_n(next, max_tile_rows, next[-1]);

        RowTileArgs<T> args;
        args.x = x;
        args.depths = taps;
        args.depth = c.taps();
        args.b = panels + panel * tile.columns * c.taps();
        args.start = bias_panels + panel * tile.columns;
        args.start_row = 0;
        args.columns = c.out - panel * tile.columns;
        for (Index row = 0; row < count * area; row += tile.rows) {
            args.rows = rows + row;
            args.c = side + row * tile.columns;
            args.count = std::min(tile.rows, count * area - row);
            simd::run<RowTile<T>>(&args);
        }

        PoolBlockArgs<T> pool;
        pool.rows = side;
        pool.cells = count;
        pool.window = area;
        pool.columns = std::min(tile.columns, args.columns);
        pool.relu = s.relu;
        pool.plane = pooled.area();
        pool.y = y + panel * tile.columns * pool.plane;
        pool.codes = codes + panel * tile.columns * pool.plane;
        pool.places = places;
        simd::run<PoolBlock<T>>(&pool);
    }
};

/// out[j] += sum over i of scales[i] * b[offsets[i] + j], with the sums in registers.
template <class T>
struct SparseSum {
    template <std::size_t Vectors, class Pack>
    GRADUS_INLINE static void add(Index count, const T* scales, const Index* offsets, const T* b,
                                  const Index* vectors, T* out) {
        Pack sums[Vectors];
#pragma GCC unroll 8
        for (std::size_t v = 0; v < Vectors; ++v)
            sums[v] = Pack::load(out + static_cast<Index>(v) * Pack::size);
        for (Index i = 0; i < count; ++i) {
            const Pack scale(scales[i]);
            const T* const from = b + offsets[i];
#pragma GCC unroll 8
            for (std::size_t v = 0; v < Vectors; ++v)
                sums[v] = fma(scale, Pack::load(from + vectors[v]), sums[v]);
        }
#pragma GCC unroll 8
        for (std::size_t v = 0; v < Vectors; ++v) sums[v].store(out + static_cast<Index>(v) * Pack::size);
    }

    /// `total` vectors of `out` are consecutive, those of b lie at `vectors` behind each offset.
    template <int Bytes>
    GRADUS_INLINE static void run(Index count, const T* scales, const Index* offsets, const T* b, Index total,
                                  const Index* vectors, T* out) {
        using Pack = simd::PackOf<T, Bytes>;
        Index v = 0;
        for (; v + 8 <= total; v += 8)
            add<8, Pack>(count, scales, offsets, b, vectors + v, out + v * Pack::size);
        if (v + 5 <= total) {
            add<5, Pack>(count, scales, offsets, b, vectors + v, out + v * Pack::size);
            v += 5;
        }
        if (v + 4 <= total) {
            add<4, Pack>(count, scales, offsets, b, vectors + v, out + v * Pack::size);
            v += 4;
        }
        if (v + 2 <= total) {
            add<2, Pack>(count, scales, offsets, b, vectors + v, out + v * Pack::size);
            v += 2;
        }
        if (v < total) add<1, Pack>(count, scales, offsets, b, vectors + v, out + v * Pack::size);
    }
};

/// What the backward pass knows of the geometry: images lie as [height, width, channels], so that a row of a
/// patch is one run of numbers; runs are counted in vectors.
template <class T>
struct ConvPoolBackward {
    const ConvPoolSizes& s;
    Index lanes = tile_sizes<T>().columns / 2;
    Index run = s.conv.kernel.width * s.conv.in;  // numbers in a row of a patch
    Index run_vectors = (run + lanes - 1) / lanes;
    Index row = s.conv.padded.width * s.conv.in;  // numbers in a row of an image
    Index image = s.conv.padded.height * row;
    Index cells = s.pooled().area();

    /// Where the patch of each pixel of a pooling window begins, seen from the window's.
    std::array<Index, 256> code_offsets() const {
        std::array<Index, 256> offsets{};
        for (Index code = 0; code < s.window.area(); ++code)
            offsets[static_cast<std::size_t>(code)] = code / s.window.width * s.conv.stride.height * row +
                                                      code % s.window.width * s.conv.stride.width * s.conv.in;
        return offsets;
    }
    std::vector<Index> cell_offsets() const {
        std::vector<Index> offsets(static_cast<std::size_t>(cells));
        PixelWalk{s.pooled().height,
                  s.pooled().width,
                  0,
                  0,
                  s.window.height * s.conv.stride.height * row,
                  s.window.width * s.conv.stride.width * s.conv.in}
            .run(0, cells, offsets.data());
        return offsets;
    }

    /// [batch, channels, height, width] with the channels last, and room for a vector that begins in the end.
    Tensor<T> channels_last(const T* x) const {
        const ConvSizes& c = s.conv;
        Tensor<T> result = Tensor<T>::uninitialized({c.batch * image + lanes});
        T* const out = result.mutable_data();
        const Shape shape{c.batch, c.in, c.padded.height, c.padded.width};
        Strides to;
        to[0] = image;
        to[1] = 1;
        to[2] = row;
        to[3] = c.in;
        copy_box(StridedBox(shape, Strides(shape), to), x, out);
        std::fill_n(out + c.batch * image, lanes, T(0));
        return result;
    }

    void weight(const T* padded, const T* dy, const std::uint8_t* codes, T* dweight) const {
        const ConvSizes& c = s.conv;
        const Tensor<T> images = channels_last(padded);
        const Index total = c.kernel.height * run_vectors;
        std::vector<Index> vectors(static_cast<std::size_t>(total));
        for (Index i = 0; i < total; ++i)
            vectors[static_cast<std::size_t>(i)] = i / run_vectors * row + i % run_vectors * lanes;
        const std::vector<Index> at_cell = cell_offsets();
        const std::array<Index, 256> at_code = code_offsets();
        const Index channels = std::max<Index>(1, c.out / 16);  // per task
        parallel_for(c.out, channels, [&](Index begin, Index end) {
            Tensor<T> memory = zeros<T>({(end - begin) * total * lanes});
            T* const sums = memory.mutable_data();
            for (Index n = 0; n < c.batch; n += images_per_pass())
                for (Index o = begin; o < end; ++o) {
                    std::array<T, list_size> scales;
                    std::array<Index, list_size> offsets;
                    T* const out = sums + (o - begin) * total * lanes;
                    Index count = 0;
                    const auto flush = [&] {
                        simd::run<SparseSum<T>>(std::exchange(count, 0), static_cast<const T*>(scales.data()),
                                                static_cast<const Index*>(offsets.data()), images.data(),
                                                total, static_cast<const Index*>(vectors.data()), out);
                    };
                    for (Index m = n; m < std::min(c.batch, n + images_per_pass()); ++m)
                        for (Index cell = 0; cell < cells; ++cell) {
                            const Index at = (m * c.out + o) * cells + cell;
                            scales[static_cast<std::size_t>(count)] = dy[at];
                            offsets[static_cast<std::size_t>(count)] =
                                m * image + at_cell[static_cast<std::size_t>(cell)] + at_code[codes[at]];
                            count += codes[at] != no_winner;
                            if (count == list_size) flush();
                        }
                    flush();
                }
            for (Index o = begin; o < end; ++o)
                for (Index i = 0; i < c.in; ++i)
                    for (Index ky = 0; ky < c.kernel.height; ++ky)
                        for (Index kx = 0; kx < c.kernel.width; ++kx)
                            dweight[((o * c.in + i) * c.kernel.height + ky) * c.kernel.width + kx] =
                                sums[(o - begin) * total * lanes + ky * run_vectors * lanes + kx * c.in + i];
        });
    }

    /// Writes dx [batch, in, image].
    void input(const T* w, const T* dy, const std::uint8_t* codes, T* dx) const {
        const ConvSizes& c = s.conv;
        const Index filter = c.kernel.height * run_vectors * lanes;  // of one output channel, rows padded
        Tensor<T> memory = zeros<T>({c.out * filter});
        T* const filters = memory.mutable_data();
        for (Index o = 0; o < c.out; ++o)
            for (Index i = 0; i < c.in; ++i)
                for (Index ky = 0; ky < c.kernel.height; ++ky)
                    for (Index kx = 0; kx < c.kernel.width; ++kx)
                        filters[o * filter + ky * run_vectors * lanes + kx * c.in + i] =
                            w[((o * c.in + i) * c.kernel.height + ky) * c.kernel.width + kx];
        const std::vector<Index> at_cell = cell_offsets();
        const std::array<Index, 256> at_code = code_offsets();
        const Index images = std::max<Index>(1, 8192 / image);  // per task
        parallel_for(c.batch, images, [&](Index begin, Index end) {
            Tensor<T> side = zeros<T>({(end - begin) * image + lanes});
            T* const gradient = side.mutable_data();
            std::vector<Live> live;
            std::vector<T> scales;
            std::vector<Index> offsets;
            for (Index n = begin; n < end; ++n)
                for (Index cell = 0; cell < cells; ++cell)
                    for (Index code = 0; code < s.window.area(); ++code) {
                        const Index first = static_cast<Index>(scales.size());
                        for (Index o = 0; o < c.out; ++o) {
                            const Index at = (n * c.out + o) * cells + cell;
                            if (codes[at] != code) continue;
                            scales.push_back(dy[at]);
                            offsets.push_back(o * filter);
                        }
                        const Index count = static_cast<Index>(scales.size()) - first;
                        if (count > 0)
                            live.push_back({gradient + (n - begin) * image +
                                                at_cell[static_cast<std::size_t>(cell)] +
                                                at_code[static_cast<std::size_t>(code)],
                                            first, count});
                    }
            add_filters(live, scales.data(), offsets.data(), filters);
            const Shape shape{end - begin, c.in, c.image.height, c.image.width};
            Strides from;
            from[0] = image;
            from[1] = 1;
            from[2] = row;
            from[3] = c.in;
            copy_box(StridedBox(shape, from, Strides(shape)),
                     gradient + c.before.height * row + c.before.width * c.in,
                     dx + begin * c.in * c.image.area());
        });
    }

private:
    static constexpr Index list_size = 512;

    /// Images that stay in the first-level cache.
    Index images_per_pass() const { return std::max<Index>(1, 4096 / image); }

    /// A pixel that won in some channels: where its patch begins, and which entries of the lists are its own.
    struct Live {
        T* patch;
        Index first, count;
    };

    /// patch[ky][...] += sum of scaled filters. A few vectors of all filters at a time, so that these stay in
    /// the first-level cache; what lies beside a patch is left alone.
    void add_filters(const std::vector<Live>& live, const T* scales, const Index* offsets,
                     const T* filters) const {
        constexpr Index block = 5;
        const Index whole = run / lanes, rest = run % lanes;
        for (Index ky = 0; ky < s.conv.kernel.height; ++ky)
            for (Index first = 0; first < run_vectors; first += block) {
                const Index total = std::min(block, whole - first);  // 0 if only the rest is left
                std::array<Index, block + 1> vectors;
                for (Index v = 0; v <= block; ++v)
                    vectors[static_cast<std::size_t>(v)] = (ky * run_vectors + first + v) * lanes;
                const bool ends = rest > 0 && first + block >= run_vectors;
                for (const Live& pixel : live) {
                    T* const to = pixel.patch + ky * row + first * lanes;
                    if (total > 0)
                        simd::run<SparseSum<T>>(pixel.count, scales + pixel.first, offsets + pixel.first,
                                                filters, total, static_cast<const Index*>(vectors.data()),
                                                to);
                    if (!ends) continue;
                    const Index last = whole - first;
                    std::array<T, static_cast<std::size_t>(max_tile_columns)> side{};
                    std::copy_n(to + last * lanes, rest, side.data());
                    simd::run<SparseSum<T>>(pixel.count, scales + pixel.first, offsets + pixel.first, filters,
                                            Index{1}, static_cast<const Index*>(vectors.data() + last),
                                            side.data());
                    std::copy_n(side.data(), rest, to + last * lanes);
                }
            }
    }
};

}  // namespace detail

/// y = max-pool(conv2d(x)), relu of it if s.relu, and for each number of y the position of the winner in its
/// window. `padded` as from pad_images.
template <class T>
void conv_pool(const ConvPoolSizes& s, const Tensor<T>& padded, const Tensor<T>& weight, const T* bias, T* y,
               std::uint8_t* codes) {
    const detail::PackedWeight<T> packed(s.conv, weight.data(), bias);
    const std::vector<Index> taps = detail::tap_offsets(s.conv);
    detail::ConvPoolForward<T>{s, padded.data(), taps.data(), packed.panels, packed.bias_panels, y, codes}
        .run();
}

/// The gradient of x.
template <class T>
Tensor<T> conv_pool_dx(const ConvPoolSizes& s, const Tensor<T>& dy, const Tensor<std::uint8_t>& codes,
                       const Tensor<T>& weight) {
    Tensor<T> dx =
        Tensor<T>::uninitialized({s.conv.batch, s.conv.in, s.conv.image.height, s.conv.image.width});
    detail::ConvPoolBackward<T>{s}.input(weight.data(), dy.data(), codes.data(), dx.mutable_data());
    return dx;
}

/// The gradient of the weight.
template <class T>
Tensor<T> conv_pool_dw(const ConvPoolSizes& s, const Tensor<T>& dy, const Tensor<std::uint8_t>& codes,
                       const Tensor<T>& padded) {
    if (dy.numel() == 0) return zeros<T>(s.conv.weight_shape());
    Tensor<T> dweight = Tensor<T>::uninitialized(s.conv.weight_shape());
    detail::ConvPoolBackward<T>{s}.weight(padded.data(), dy.data(), codes.data(), dweight.mutable_data());
    return dweight;
}

/// The gradient of the bias: the sum of dy where something won.
template <class T>
Tensor<T> conv_pool_dbias(const ConvPoolSizes& s, const Tensor<T>& dy, const Tensor<std::uint8_t>& codes) {
    const Index cells = s.pooled().area();
    Tensor<T> dbias = zeros<T>({s.conv.out});
    T* const out = dbias.mutable_data();
    parallel_for(s.conv.out, std::max<Index>(1, parallel_grain / std::max<Index>(1, s.conv.batch * cells)),
                 [&](Index begin, Index end) {
                     for (Index n = 0; n < s.conv.batch; ++n)
                         for (Index o = begin; o < end; ++o) {
                             const Index at = (n * s.conv.out + o) * cells;
                             const auto term = [&](Index i) {
                                 return codes.data()[at + i] != no_winner ? dy.data()[at + i] : T(0);
                             };
                             T even(0), odd(0);  // two chains of additions overlap
                             for (Index i = 0; i + 1 < cells; i += 2) {
                                 even += term(i);
                                 odd += term(i + 1);
                             }
                             if (cells % 2 == 1) even += term(cells - 1);
                             out[o] += even + odd;
                         }
                 });
    return dbias;
}

}  // namespace gradus::kernels
