// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <utility>

#include "gradus/core/tensor.hpp"
#include "gradus/kernels/conv/geometry.hpp"
#include "gradus/kernels/gemm/gemm.hpp"
#include "gradus/kernels/layout/strided_copy.hpp"

// The input gradient of a convolution as a matrix product. What an output pixel adds to the pixels of its
// window is a sum over the output channels,
//
//     products [channel, tap; pixel] = weight [output channel; channel, tap]^T · dy [output channel; pixel],
//
// and what windows share is added up (the transpose of im2col). Some channels and output pixels at a time, so
// that their products stay in the cache. The sums of pixels whose distance is a multiple of the stride, a
// phase of the image, lie scratch by scratch: what is added to them are whole rows.

namespace gradus::kernels::detail {

template <class T>
struct Col2imArgs {
    const T* products;  // [channels, taps, images, rows, width]
    Index channels, taps, images, rows, width;
    const Index* places;  // of each tap in the sums of a channel
    T* sums;
    Index channel, image, row;  // their distances in the sums
};

/// Adds products to where they belong.
template <class T>
struct AddWindows {
    template <int Bytes>
    GRADUS_INLINE static void run(const Col2imArgs<T>* given) {
        const Col2imArgs<T> args = *given;
        const T* from = args.products;
        for (Index c = 0; c < args.channels; ++c)
            for (Index tap = 0; tap < args.taps; ++tap)
                for (Index n = 0; n < args.images; ++n) {
                    T* to = args.sums + c * args.channel + args.places[tap] + n * args.image;
                    for (Index i = 0; i < args.rows; ++i, from += args.width, to += args.row)
                        add_row<Bytes>(from, args.width, to);
                }
    }

    template <int Bytes>
    GRADUS_INLINE static void add_row(const T* from, Index n, T* to) {
        using Vec = simd::VecOf<T, Bytes>;
        Index i = 0;
        for (; i + Vec::size <= n; i += Vec::size) (Vec::load(to + i) + Vec::load(from + i)).store(to + i);
        if constexpr (Bytes > 16)
            add_row<Bytes / 2>(from + i, n - i, to + i);
        else
            for (; i < n; ++i) to[i] += from[i];
    }
};

/// Two phases scratch by scratch: out[i] = a[i / 2], or b[i / 2] for odd i.
template <class T>
struct Interleave {
    template <int Bytes>
    GRADUS_INLINE static void run(const T* a, const T* b, Index n, T* out) {
        using Vec = simd::VecOf<T, Bytes>;
        Index i = 0;
        for (; i + 2 * Vec::size <= n; i += 2 * Vec::size) {
            const Vec even = Vec::load(a + i / 2), odd = Vec::load(b + i / 2);
            simd::zip_lower(even, odd).store(out + i);
            simd::zip_upper(even, odd).store(out + i + Vec::size);
        }
        for (; i < n; ++i) out[i] = i % 2 == 0 ? a[i / 2] : b[i / 2];
    }
};

template <class T>
struct Col2im {
    static constexpr Index block_pixels = 512, block_values = 64 * 1024;

    const ConvGeometry& s;
    Index area = s.kernel.area(), pixels = s.result.area();
    Size2 phase{(s.padded.height - 1) / s.stride.height + 1, (s.padded.width - 1) / s.stride.width + 1};
    Index plane = s.stride.area() * phase.area();                             // of the sums
    bool in_place = s.stride == Size2(1) && s.padded == s.image;              // the sums are dx
    Index images = std::clamp<Index>(block_pixels / 2 / pixels, 1, s.batch);  // of a block
    Index rows = std::clamp<Index>(block_pixels / s.result.width, 1, s.result.height);
    Index columns = images * rows * s.result.width;  // of a product
    Index channels = std::clamp<Index>(block_values / (area * columns), 1, s.in);
    Tensor<Index> places = tap_places();

    Tensor<Index> tap_places() const {
        Tensor<Index> result = Tensor<Index>::uninitialized({area});
        for (Index ky = 0; ky < s.kernel.height; ++ky)
            for (Index kx = 0; kx < s.kernel.width; ++kx) {
                const Index y = ky * s.dilation.height, x = kx * s.dilation.width;
                const Index number = y % s.stride.height * s.stride.width + x % s.stride.width;
                result.mutable_data()[ky * s.kernel.width + kx] =
                    number * phase.area() + y / s.stride.height * phase.width + x / s.stride.width;
            }
        return result;
    }

    void run(const T* dy, const T* weight, T* dx) const {
        const Index parts = (s.in + channels - 1) / channels, blocks = (s.batch + images - 1) / images;
        const Index work = std::max<Index>(1, images * pixels * channels * area * s.out / 8);
        parallel_for(s.groups * blocks * parts, std::max<Index>(1, parallel_grain / work),
                     [&](Index begin, Index end) {
                         const Index size = in_place ? 0 : images * channels * plane;
                         Tensor<T> memory = Tensor<T>::uninitialized(
                             {channels * area * columns + size + (images > 1 ? s.out * columns : 0)});
                         T *const products = memory.mutable_data(), *const sums =
                                                                        products + channels * area * columns;
                         for (Index task = begin; task < end; ++task)
                             run_task(task / parts / blocks, task / parts % blocks * images,
                                      task % parts * channels, dy, weight, products, sums, sums + size, dx);
                     });
    }

    /// Channels of a group, from `first` on, of a few images.
    void run_task(Index group, Index image, Index first, const T* dy, const T* weight, T* products,
                  T* scratch, T* gathered, T* dx) const {
        const Index some = std::min(images, s.batch - image), count = std::min(channels, s.in - first);
        const T* const from = dy + (image * s.groups + group) * s.out * pixels;
        T* const to = dx + ((image * s.groups + group) * s.in + first) * s.image.area();
        Col2imArgs<T> args;
        args.products = products;
        args.channels = count;
        args.taps = area;
        args.images = some;
        args.width = s.result.width;
        args.places = places.data();
        args.channel = plane;
        args.image = (in_place ? s.groups * s.in : count) * plane;
        args.row = phase.width;
        T* const sums = in_place ? to : scratch;
        for (Index n = 0; n < some; ++n) std::fill_n(sums + n * args.image, count * plane, T(0));
        for (Index row = 0; row < s.result.height; row += rows) {
            args.rows = std::min(rows, s.result.height - row);
            args.sums = sums + row * phase.width;
            MatrixRef<T> b{from + row * s.result.width, pixels, 1};
            if (some > 1) b = gather(from, some, gathered);
            const MatrixRef<T> a{weight + group * s.out * s.taps() + first * area, 1, s.taps()};
            Product<T>{count * area, some * args.rows * s.result.width, s.out, a, b, nullptr, products}.run();
            simd::run<AddWindows<T>>(static_cast<const Col2imArgs<T>*>(&args));
        }
        if (in_place) return;
        for (Index n = 0; n < some; ++n)
            for (Index c = 0; c < count; ++c)
                write(sums + (n * count + c) * plane, to + (n * s.groups * s.in + c) * s.image.area());
    }

    /// dy of some images as [output channel, pixel of all of them].
    MatrixRef<T> gather(const T* dy, Index some, T* out) const {
        for (Index o = 0; o < s.out; ++o)
            for (Index n = 0; n < some; ++n)
                std::copy_n(dy + (n * s.groups * s.out + o) * pixels, pixels, out + (o * some + n) * pixels);
        return {out, some * pixels, 1};
    }

    /// One channel of an image from its phases.
    void write(const T* sums, T* dx) const {
        for (Index i = 0; i < s.image.height; ++i) {
            const Index y = i + s.before.height;
            const T* const row = sums + y % s.stride.height * s.stride.width * phase.area() +
                                 y / s.stride.height * phase.width;
            T* const to = dx + i * s.image.width;
            const auto from = [&](Index j) {
                const Index x = j + s.before.width;
                return row + x % s.stride.width * phase.area() + x / s.stride.width;
            };
            if (s.stride.width == 2)
                simd::run<Interleave<T>>(from(0), from(1), s.image.width, to);
            else
                for (Index j = 0; j < std::min(s.stride.width, s.image.width); ++j)
                    copy_row((s.image.width - 1 - j) / s.stride.width + 1, from(j), Index{1}, to + j,
                             s.stride.width);
        }
    }
};

}  // namespace gradus::kernels::detail
