// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "gradus/kernels/conv_sizes.hpp"
#include "gradus/kernels/gathered_product.hpp"
#include "gradus/kernels/strided_copy.hpp"

namespace gradus::kernels::detail {

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

    /// `total` vectors of `out` are consecutive, those of b lie at `vectors` behind each offset. They fill a
    /// register or, if it is the widest, half of one.
    template <int Bytes>
    GRADUS_INLINE static void run(Index count, const T* scales, const Index* offsets, const T* b, Index total,
                                  const Index* vectors, Index lanes, T* out) {
        if (Bytes == 64 && lanes < Bytes / static_cast<Index>(sizeof(T)))
            add_all<simd::PackOf<T, 32>>(count, scales, offsets, b, total, vectors, out);
        else
            add_all<simd::PackOf<T, Bytes>>(count, scales, offsets, b, total, vectors, out);
    }

    template <class Pack>
    GRADUS_INLINE static void add_all(Index count, const T* scales, const Index* offsets, const T* b,
                                      Index total, const Index* vectors, T* out) {
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
    Index run = s.conv.kernel.width * s.conv.in;  // numbers in a row of a patch
    Index lanes = vector_lanes(run);
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
    Tensor<Index> cell_offsets() const {
        Tensor<Index> offsets = Tensor<Index>::uninitialized({cells});
        PixelWalk{s.pooled().height,
                  s.pooled().width,
                  0,
                  0,
                  s.window.height * s.conv.stride.height * row,
                  s.window.width * s.conv.stride.width * s.conv.in}
            .run(0, cells, offsets.mutable_data());
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
        Tensor<Index> vectors = Tensor<Index>::uninitialized({total});
        for (Index i = 0; i < total; ++i)
            vectors.mutable_data()[i] = i / run_vectors * row + i % run_vectors * lanes;
        const Tensor<Index> at_cell = cell_offsets();
        const std::array<Index, 256> at_code = code_offsets();
        const Index channels = std::max<Index>(1, c.out / 16);  // per task
        parallel_for(c.out, channels, [&](Index begin, Index end) {
            Tensor<T> memory = zeros<T>({(end - begin) * total * lanes});
            T* const sums = memory.mutable_data();
            for (Index n = 0; n < c.batch; n += images_per_pass())
                for (Index o = begin; o < end; ++o) {
                    std::array<T, list_size + 1> scales;
                    std::array<Index, list_size + 1> offsets;
                    T* const out = sums + (o - begin) * total * lanes;
                    Index count = 0;
                    const auto flush = [&] {
                        simd::run<SparseSum<T>>(std::exchange(count, 0), static_cast<const T*>(scales.data()),
                                                static_cast<const Index*>(offsets.data()), images.data(),
                                                total, static_cast<const Index*>(vectors.data()), lanes, out);
                    };
                    for (Index m = n; m < std::min(c.batch, n + images_per_pass()); ++m)
                        for (Index first = 0; first < cells; first += list_size / 2) {
                            if (count > list_size / 2) flush();
                            const Index at = (m * c.out + o) * cells;
                            for (Index cell = first; cell < std::min(cells, first + list_size / 2); ++cell) {
                                const std::uint8_t code = codes[at + cell];
                                scales[static_cast<std::size_t>(count)] = dy[at + cell];
                                offsets[static_cast<std::size_t>(count)] =
                                    m * image + at_cell.data()[cell] + at_code[code];
                                count += code != no_winner;
                            }
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
        const Tensor<Index> at_cell = cell_offsets();
        const std::array<Index, 256> at_code = code_offsets();
        const Index images = std::max<Index>(1, 8192 / image);  // per task
        parallel_for(c.batch, images, [&](Index begin, Index end) {
            Tensor<T> side = zeros<T>({(end - begin) * image + lanes});
            T* const gradient = side.mutable_data();
            const Index most = (end - begin) * cells * c.out;
            Tensor<T> scale_memory = Tensor<T>::uninitialized({most});
            Tensor<Index> offset_memory = Tensor<Index>::uninitialized({most});
            Tensor<Index> live_memory =
                Tensor<Index>::uninitialized({3 * (end - begin) * cells * std::min(c.out, s.window.area())});
            T* const scales = scale_memory.mutable_data();
            Index *const offsets = offset_memory.mutable_data(), *live = live_memory.mutable_data();
            Index count = 0;
            for (Index n = begin; n < end; ++n)
                for (Index cell = 0; cell < cells; ++cell) {
                    const Index at = n * c.out * cells + cell;
                    std::array<Index, 256>
                        next{};  // how many won at each pixel, then where the next one goes
                    for (Index o = 0; o < c.out; ++o) ++next[codes[at + o * cells]];
                    for (Index code = 0; code < s.window.area(); ++code) {
                        const Index winners = std::exchange(next[static_cast<std::size_t>(code)], count);
                        if (winners == 0) continue;
                        *live++ = (n - begin) * image + at_cell.data()[cell] +
                                  at_code[static_cast<std::size_t>(code)];
                        *live++ = count;
                        *live++ = winners;
                        count += winners;
                    }
                    next[no_winner] = count;  // overwritten by the next cell
                    for (Index o = 0; o < c.out; ++o) {
                        const Index to = next[codes[at + o * cells]]++;
                        scales[to] = dy[at + o * cells];
                        offsets[to] = o * filter;
                    }
                }
            add_filters({live_memory.data(), live, scales, offsets, gradient}, filters);
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

    /// Two loads of half a register cost no more than one of a whole, and half of those cross a cache line.
    static Index vector_lanes(Index run) {
        const Index lanes = tile_sizes<T>().columns / 2;
        return simd::isa() == simd::Isa::avx512 && run <= lanes / 2 ? lanes / 2 : lanes;
    }

    /// Images that stay in the first-level cache.
    Index images_per_pass() const { return std::max<Index>(1, 4096 / image); }

    /// Pixels that won in some channels.
    struct Live {
        const Index *begin, *end;  // of each: where its patch begins, its first entry in the lists, how many
        const T* scales;
        const Index* offsets;
        T* gradient;
    };

    /// patch[ky][...] += sum of scaled filters. A few vectors of all filters at a time, so that these stay in
    /// the first-level cache; what lies beside a patch is left alone.
    void add_filters(const Live& live, const T* filters) const {
        constexpr Index block = 5;
        const Index whole = run / lanes, rest = run % lanes;
        for (Index ky = 0; ky < s.conv.kernel.height; ++ky)
            for (Index first = 0; first < run_vectors; first += block) {
                const Index total = std::min(block, whole - first);  // 0 if only the rest is left
                std::array<Index, block + 1> vectors;
                for (Index v = 0; v <= block; ++v)
                    vectors[static_cast<std::size_t>(v)] = (ky * run_vectors + first + v) * lanes;
                const bool ends = rest > 0 && first + block >= run_vectors;
                for (const Index* pixel = live.begin; pixel < live.end; pixel += 3) {
                    T* const to = live.gradient + pixel[0] + ky * row + first * lanes;
                    const T* const scales = live.scales + pixel[1];
                    const Index* const offsets = live.offsets + pixel[1];
                    if (total > 0)
                        simd::run<SparseSum<T>>(pixel[2], scales, offsets, filters, total,
                                                static_cast<const Index*>(vectors.data()), lanes, to);
                    if (!ends) continue;
                    const Index last = whole - first;
                    std::array<T, static_cast<std::size_t>(max_tile_columns)> side{};
                    std::copy_n(to + last * lanes, rest, side.data());
                    simd::run<SparseSum<T>>(pixel[2], scales, offsets, filters, Index{1},
                                            static_cast<const Index*>(vectors.data() + last), lanes,
                                            side.data());
                    std::copy_n(side.data(), rest, to + last * lanes);
                }
            }
    }
};

}  // namespace gradus::kernels::detail
