// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "gradus/kernels/conv/geometry.hpp"
#include "gradus/kernels/conv/implicit_gemm.hpp"
#include "gradus/kernels/conv/sparse_accumulate.hpp"
#include "gradus/kernels/layout/strided_copy.hpp"
#include "gradus/kernels/reduce/pairwise_sum.hpp"

// The gradients of a convolution with max-pooling (and relu): only the argmax of each window has a gradient,
// and none if relu clipped it. Both gradients visit these pixels alone. Images are transposed to NHWC on the
// way, so that a row of a patch is one run of numbers; dy and argmax are NCHW, as are the results.

namespace gradus::kernels::detail {

/// Runs are counted in vectors.
struct FusedPoolBackwardPlan {
    Index run;  // numbers in a row of a patch
    Index lanes, run_vectors;
    Index row, image;  // numbers of padded images
    Index outputs;

    /// `width`: lanes of a vector.
    FusedPoolBackwardPlan(const ConvPoolGeometry& s, simd::Isa isa, Index width) {
        run = s.conv.kernel.width * s.conv.in;
        // Two loads of half a register cost no more than one of a whole, and half of those cross a cache
        // line.
        lanes = isa == simd::Isa::avx512 && run <= width / 2 ? width / 2 : width;
        run_vectors = ceil_div(run, lanes);
        row = s.conv.padded.width * s.conv.in;
        image = s.conv.padded.height * row;
        outputs = s.pooled().area();
    }
};

template <class T>
class FusedPoolBackward : FusedPoolBackwardPlan {
public:
    explicit FusedPoolBackward(const ConvPoolGeometry& sizes)
        : FusedPoolBackwardPlan(sizes, simd::isa(), tile_sizes<T>().columns / 2), s(sizes) {}

    std::array<ArgmaxPatch<T>, 256> argmax_patches() const {
        std::array<ArgmaxPatch<T>, 256> patches{};
        for (Index element = 0; element < s.window.area(); ++element)
            patches[static_cast<std::size_t>(element)] = {
                element / s.window.width * s.conv.stride.height * row +
                    element % s.window.width * s.conv.stride.width * s.conv.in,
                -1};
        return patches;
    }
    Tensor<Index> output_origins() const {
        const Index down = s.window.height * s.conv.stride.height * row;
        const Index across = s.window.width * s.conv.stride.width * s.conv.in;
        return offset_table({s.pooled().height, s.pooled().width, 0, 0, down, across}, outputs);
    }

    /// [batch, channels, height, width] with the channels last, and room for a vector that begins in the end.
    Tensor<T> channels_last(const T* x) const {
        const ConvGeometry& c = s.conv;
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

    /// Whether backward_weight() has the gradient of the bias, too.
    bool short_patches() const {
        return s.conv.kernel.height * run_vectors <= static_cast<Index>(AccumulateWindows<T>::most_vectors);
    }

    /// dbias: only for short patches.
    void backward_weight(const T* padded, const T* dy, const std::uint8_t* argmax, T* dweight,
                         T* dbias) const {
        const ConvGeometry& c = s.conv;
        const Tensor<T> images = channels_last(padded);
        const Index total = c.kernel.height * run_vectors;
        Tensor<Index> vectors = Tensor<Index>::uninitialized({total});
        for (Index i = 0; i < total; ++i)
            vectors.mutable_data()[i] = i / run_vectors * row + i % run_vectors * lanes;
        const Tensor<Index> window_origins = output_origins();
        const std::array<ArgmaxPatch<T>, 256> patch_of = argmax_patches();
        const AccumulateWindows<T> args{
            dy,    argmax, outputs, window_origins.data(), patch_of.data(), images.data(), vectors.data(),
            total, lanes,  nullptr};
        if (short_patches())
            add_windows(args, dweight, dbias);
        else
            add_lists(args, dweight);
    }

    /// Writes dx [batch, in, image].
    void backward_input(const T* w, const T* dy, const std::uint8_t* argmax, T* dx) const {
        const ConvGeometry& c = s.conv;
        const Index filter = c.kernel.height * run_vectors * lanes;  // of one output channel, rows padded
        Tensor<T> memory = zeros<T>({c.out * filter});
        T* const filters = memory.mutable_data();
        for (Index o = 0; o < c.out; ++o)
            for (Index i = 0; i < c.in; ++i)
                for (Index ky = 0; ky < c.kernel.height; ++ky)
                    for (Index kx = 0; kx < c.kernel.width; ++kx)
                        filters[o * filter + ky * run_vectors * lanes + kx * c.in + i] =
                            w[((o * c.in + i) * c.kernel.height + ky) * c.kernel.width + kx];
        const Tensor<Index> window_origins = output_origins();
        const std::array<ArgmaxPatch<T>, 256> patch_of = argmax_patches();
        const Index images = std::max<Index>(1, 8192 / image);  // per task
        parallel_for(c.batch, images, [&](Index begin, Index end) {
            Tensor<T> scratch = zeros<T>({(end - begin) * image + lanes});
            T* const gradient = scratch.mutable_data();
            const Index most = (end - begin) * outputs * c.out;
            Tensor<T> scale_memory = Tensor<T>::uninitialized({most});
            Tensor<Index> offset_memory = Tensor<Index>::uninitialized({most});
            Tensor<Index> active_memory = Tensor<Index>::uninitialized(
                {3 * (end - begin) * outputs * std::min(c.out, s.window.area())});
            T* const scales = scale_memory.mutable_data();
            Index *const offsets = offset_memory.mutable_data(), *active = active_memory.mutable_data();
            Index count = 0;
            for (Index n = begin; n < end; ++n)
                for (Index output = 0; output < outputs; ++output) {
                    const Index at = n * c.out * outputs + output;
                    // How many channels have each argmax, then where the next one of them goes.
                    std::array<Index, 256> next{};
                    for (Index o = 0; o < c.out; ++o) ++next[argmax[at + o * outputs]];
                    for (Index element = 0; element < s.window.area(); ++element) {
                        const Index channels = std::exchange(next[static_cast<std::size_t>(element)], count);
                        if (channels == 0) continue;
                        *active++ = (n - begin) * image + window_origins.data()[output] +
                                    patch_of[static_cast<std::size_t>(element)].offset;
                        *active++ = count;
                        *active++ = channels;
                        count += channels;
                    }
                    next[clipped] = count;  // overwritten by the next output
                    for (Index o = 0; o < c.out; ++o) {
                        const Index to = next[argmax[at + o * outputs]]++;
                        scales[to] = dy[at + o * outputs];
                        offsets[to] = o * filter;
                    }
                }
            add_filters({active_memory.data(), active, scales, offsets, gradient}, filters);
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

    /// The gradients of all filters, a few images at a time, one after the other through all of dy.
    void add_windows(const AccumulateWindows<T>& given, T* dweight, T* dbias) const {
        const Index images = std::max<Index>(1, (s.conv.batch + 15) / 16);  // per task
        const Index size = (given.total + 1) * lanes, tasks = (s.conv.batch + images - 1) / images;
        Tensor<T> memory = Tensor<T>::uninitialized({tasks * s.conv.out * size});
        T* const sums = memory.mutable_data();
        parallel_for(s.conv.batch, images, [&](Index begin, Index end) {
            add_pieces(begin, end, piece_runs, s.conv.out * size, sums + begin / images * s.conv.out * size,
                       [&](Index first, Index last, T* to) {
                           std::fill_n(to, s.conv.out * size, T(0));
                           AccumulateWindows<T> args = given;
                           args.dy += first * s.conv.out * outputs;
                           args.argmax += first * s.conv.out * outputs;
                           for (Index n = first; n < last; ++n)
                               for (Index o = 0; o < s.conv.out;
                                    ++o, args.dy += outputs, args.argmax += outputs) {
                                   args.image = given.image + n * image;
                                   args.out = to + o * size;
                                   simd::run(args);
                               }
                       });
        });
        for (Index task = 1; task < tasks; ++task)
            for (Index i = 0; i < s.conv.out * size; ++i) sums[i] += sums[task * s.conv.out * size + i];
        for (Index o = 0; o < s.conv.out; ++o) {
            write_filter(sums + o * size, o, dweight);
            if (dbias) dbias[o] = sums[o * size + given.total * lanes];
        }
    }

    /// The gradients of a few filters at a time, from lists of the pixels that won.
    void add_lists(const AccumulateWindows<T>& given, T* dweight) const {
        const Index filter = given.total * lanes, blocks = blocks_of_image();
        const Index pass = std::max<Index>(1, 4096 / image) * blocks;  // of images that stay in the cache
        const Index channels = std::max<Index>(1, s.conv.out / 16);    // per task
        parallel_for(s.conv.out, channels, [&](Index begin, Index end) {
            Tensor<T> memory = Tensor<T>::uninitialized({(end - begin) * filter});
            T* const sums = memory.mutable_data();
            add_pieces(Index{0}, s.conv.batch * blocks, piece_runs, memory.numel(), sums,
                       [&](Index first, Index last, T* to) {
                           std::fill_n(to, memory.numel(), T(0));
                           for (Index block = first; block < last; block += pass)
                               for (Index o = begin; o < end; ++o)
                                   add_list(given, block, std::min(last, block + pass), o,
                                            to + (o - begin) * filter);
                       });
            for (Index o = begin; o < end; ++o) write_filter(sums + (o - begin) * filter, o, dweight);
        });
    }

    /// The outputs of an image are cut into blocks.
    static constexpr Index block_cells = list_size / 2;
    Index blocks_of_image() const { return (outputs + block_cells - 1) / block_cells; }

    /// Filter o, blocks [first, last).
    void add_list(const AccumulateWindows<T>& given, Index first, Index last, Index o, T* out) const {
        std::array<T, list_size + 1> scales;
        std::array<Index, list_size + 1> offsets;
        Index count = 0;
        const auto flush = [&] {
            simd::run(SparseAccumulate<T>{std::exchange(count, 0), scales.data(), offsets.data(), given.image,
                                          given.total, given.vectors, lanes, out});
        };
        for (Index block = first; block < last; ++block) {
            if (count > block_cells) flush();
            const Index n = block / blocks_of_image(), begin = block % blocks_of_image() * block_cells;
            const Index at = (n * s.conv.out + o) * outputs;
            for (Index output = begin; output < std::min(outputs, begin + block_cells); ++output) {
                const std::uint8_t element = given.argmax[at + output];
                scales[static_cast<std::size_t>(count)] = given.dy[at + output];
                offsets[static_cast<std::size_t>(count)] =
                    n * image + given.window_origins[output] + given.patch_of[element].offset;
                count += element != clipped;
            }
        }
        flush();
    }

    void write_filter(const T* sums, Index o, T* dweight) const {
        const ConvGeometry& c = s.conv;
        for (Index i = 0; i < c.in; ++i)
            for (Index ky = 0; ky < c.kernel.height; ++ky)
                for (Index kx = 0; kx < c.kernel.width; ++kx)
                    dweight[((o * c.in + i) * c.kernel.height + ky) * c.kernel.width + kx] =
                        sums[ky * run_vectors * lanes + kx * c.in + i];
    }

    /// PackedPixels that won in some channels.
    struct ActivePixels {
        const Index *begin, *end;  // of each: where its patch begins, its first entry in the lists, how many
        const T* scales;
        const Index* offsets;
        T* gradient;
    };

    /// patch[ky][...] += sum of scaled filters. A few vectors of all filters at a time, so that these stay in
    /// the first-level cache; what lies beside a patch is left alone.
    void add_filters(const ActivePixels& active, const T* filters) const {
        constexpr Index block = 5;
        const Index whole = run / lanes, rest = run % lanes;
        for (Index ky = 0; ky < s.conv.kernel.height; ++ky)
            for (Index first = 0; first < run_vectors; first += block) {
                const Index total = std::min(block, whole - first);  // 0 if only the rest is left
                std::array<Index, block + 1> vectors;
                for (Index v = 0; v <= block; ++v)
                    vectors[static_cast<std::size_t>(v)] = (ky * run_vectors + first + v) * lanes;
                const bool ends = rest > 0 && first + block >= run_vectors;
                for (const Index* pixel = active.begin; pixel < active.end; pixel += 3) {
                    T* const to = active.gradient + pixel[0] + ky * row + first * lanes;
                    const T* const scales = active.scales + pixel[1];
                    const Index* const offsets = active.offsets + pixel[1];
                    if (total > 0)
                        simd::run(SparseAccumulate<T>{pixel[2], scales, offsets, filters, total,
                                                      vectors.data(), lanes, to});
                    if (!ends) continue;
                    const Index last = whole - first;
                    std::array<T, static_cast<std::size_t>(max_tile_columns)> scratch{};
                    std::copy_n(to + last * lanes, rest, scratch.data());
                    simd::run(SparseAccumulate<T>{pixel[2], scales, offsets, filters, 1,
                                                  vectors.data() + last, lanes, scratch.data()});
                    std::copy_n(scratch.data(), rest, to + last * lanes);
                }
            }
    }

    const ConvPoolGeometry& s;
};

}  // namespace gradus::kernels::detail
