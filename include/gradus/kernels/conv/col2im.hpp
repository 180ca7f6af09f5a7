// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/core/tensor.hpp"
#include "gradus/kernels/conv/flat_rows.hpp"
#include "gradus/kernels/conv/geometry.hpp"
#include "gradus/kernels/gemm/gemm.hpp"
#include "gradus/kernels/layout/strided_copy.hpp"

// col2im: the input gradient of a convolution as a matrix product. What an output pixel adds to the elements
// of its window is a sum over the output channels,
//
//     columns [channel, tap; pixel] = weight [output channel; channel, tap]^T · dy [output channel; pixel],
//
// and what windows share is added up. Some channels and output pixels at a time, so that their columns stay
// in the cache. The sums of pixels whose distance is a multiple of the stride, a phase of the image, lie side
// by side: what is added to them are whole rows. dy and dx are NCHW; there are images, channels and taps.

namespace gradus::kernels::detail {

/// Adds columns to the elements of their windows.
template <class T>
struct AddWindows {
    const T* columns;  // [channels, taps, images, rows, width]
    Index channels, taps, images, rows, width;
    const Index* tap_origins;  // of each tap in the sums of a channel
    T* sums;
    Index channel, image, row;  // their distances in the sums

    template <int Bytes>
    GRADUS_INLINE void run() {
        const T* from = columns;
        for (Index c = 0; c < channels; ++c)
            for (Index tap = 0; tap < taps; ++tap)
                for (Index n = 0; n < images; ++n) {
                    T* to = sums + c * channel + tap_origins[tap] + n * image;
                    for (Index i = 0; i < rows; ++i, from += width, to += row)
                        add_row<Bytes>(from, width, to);
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

/// How the work is cut into blocks: some images or rows of output pixels, and some channels.
struct Col2imPlan {
    static constexpr Index block_pixels = 512, block_values = 64 * 1024;

    Index area, pixels;            // of a window, of the result
    Size2 phase;                   // of the padded image
    Index plane;                   // of the sums: all phases
    bool in_place;                 // the sums are dx
    Index images, rows, channels;  // of a block
    Index columns;                 // of a product

    explicit Col2imPlan(const ConvGeometry& s)
        : area(s.kernel.area()),
          pixels(s.result.area()),
          phase(ceil_div(s.padded.height, s.stride.height), ceil_div(s.padded.width, s.stride.width)) {
        plane = s.stride.area() * phase.area();
        in_place = s.stride == Size2(1) && s.padded == s.image;
        images = std::clamp<Index>(block_pixels / 2 / pixels, 1, s.batch);
        rows = std::clamp<Index>(block_pixels / s.result.width, 1, s.result.height);
        columns = images * rows * s.result.width;
        channels = std::clamp<Index>(block_values / (area * columns), 1, s.in);
    }
};

template <class T>
class Col2im {
public:
    explicit Col2im(const ConvGeometry& sizes)
        : s(sizes), plan(s), tap_origins_(Tensor<Index>::uninitialized({plan.area})) {
        for (Index ky = 0; ky < s.kernel.height; ++ky)
            for (Index kx = 0; kx < s.kernel.width; ++kx) {
                const Index y = ky * s.dilation.height, x = kx * s.dilation.width;
                tap_origins_.mutable_data()[ky * s.kernel.width + kx] =
                    phase_origin(y, x) + y / s.stride.height * plan.phase.width + x / s.stride.width;
            }
    }

    void backward_input(const T* dy, const T* weight, T* dx) const {
        const Index parts = ceil_div(s.in, plan.channels), blocks = ceil_div(s.batch, plan.images);
        const Index work =
            std::max<Index>(1, plan.images * plan.pixels * plan.channels * plan.area * s.out / 8);
        parallel_for(s.groups * blocks * parts, std::max<Index>(1, parallel_grain / work),
                     [&](Index begin, Index end) {
                         const Index products = plan.channels * plan.area * plan.columns;
                         const Index size = plan.in_place ? 0 : plan.images * plan.channels * plan.plane;
                         Tensor<T> memory = Tensor<T>::uninitialized(
                             {products + size + (plan.images > 1 ? s.out * plan.columns : 0)});
                         T *const columns = memory.mutable_data(), *const sums = columns + products;
                         for (Index task = begin; task < end; ++task)
                             run_task(task / parts / blocks, task / parts % blocks * plan.images,
                                      task % parts * plan.channels, dy, weight, columns, sums, sums + size,
                                      dx);
                     });
    }

private:
    /// Channels of a group, from `first` on, of a few images.
    void run_task(Index group, Index image, Index first, const T* dy, const T* weight, T* columns, T* scratch,
                  T* gathered, T* dx) const {
        const Index some = std::min(plan.images, s.batch - image);
        const Index count = std::min(plan.channels, s.in - first), plane = plan.plane;
        const T* const from = dy + (image * s.groups + group) * s.out * plan.pixels;
        T* const to = dx + ((image * s.groups + group) * s.in + first) * s.image.area();
        T* const sums = plan.in_place ? to : scratch;
        const Index image_step = (plan.in_place ? s.groups * s.in : count) * plane;
        for (Index n = 0; n < some; ++n) std::fill_n(sums + n * image_step, count * plane, T(0));
        for (Index row = 0; row < s.result.height; row += plan.rows) {
            const Index rows = std::min(plan.rows, s.result.height - row);
            MatrixRef<T> b{from + row * s.result.width, plan.pixels, 1};
            if (some > 1) b = gather(from, some, gathered);
            const MatrixRef<T> a{weight + group * s.out * s.taps() + first * plan.area, 1, s.taps()};
            Product<T>{count * plan.area, some * rows * s.result.width, s.out, a, b, nullptr, columns}.run();
            simd::run(AddWindows<T>{.columns = columns,
                                    .channels = count,
                                    .taps = plan.area,
                                    .images = some,
                                    .rows = rows,
                                    .width = s.result.width,
                                    .tap_origins = tap_origins_.data(),
                                    .sums = sums + row * plan.phase.width,
                                    .channel = plane,
                                    .image = image_step,
                                    .row = plan.phase.width});
        }
        if (plan.in_place) return;
        for (Index n = 0; n < some; ++n)
            for (Index c = 0; c < count; ++c)
                write(sums + (n * count + c) * plane, to + (n * s.groups * s.in + c) * s.image.area());
    }

    /// dy of some images as [output channel, pixel of all of them].
    MatrixRef<T> gather(const T* dy, Index some, T* out) const {
        for (Index o = 0; o < s.out; ++o)
            for (Index n = 0; n < some; ++n)
                std::copy_n(dy + (n * s.groups * s.out + o) * plan.pixels, plan.pixels,
                            out + (o * some + n) * plan.pixels);
        return {out, some * plan.pixels, 1};
    }

    /// Where the sums of the phase of pixel (y, x) begin.
    Index phase_origin(Index y, Index x) const {
        return (y % s.stride.height * s.stride.width + x % s.stride.width) * plan.phase.area();
    }

    /// One channel of an image from its phases.
    void write(const T* sums, T* dx) const {
        for (Index i = 0; i < s.image.height; ++i) {
            const Index y = i + s.before.height;
            T* const to = dx + i * s.image.width;
            const auto from = [&](Index j) {
                const Index x = j + s.before.width;
                return sums + phase_origin(y, x) + y / s.stride.height * plan.phase.width +
                       x / s.stride.width;
            };
            if (s.stride.width == 2)
                simd::run(Interleave<T>{from(0), from(1), s.image.width, to});
            else
                for (Index j = 0; j < std::min(s.stride.width, s.image.width); ++j)
                    copy_row((s.image.width - 1 - j) / s.stride.width + 1, from(j), Index{1}, to + j,
                             s.stride.width);
        }
    }

    const ConvGeometry& s;
    const Col2imPlan plan;
    Tensor<Index> tap_origins_;
};

}  // namespace gradus::kernels::detail
