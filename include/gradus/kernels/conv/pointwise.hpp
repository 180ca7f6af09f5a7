// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/core/tensor.hpp"
#include "gradus/kernels/conv/flat_rows.hpp"
#include "gradus/kernels/conv/geometry.hpp"
#include "gradus/kernels/gemm/gemm.hpp"
#include "gradus/kernels/layout/strided_copy.hpp"
#include "gradus/kernels/reduce/pairwise_sum.hpp"

// Pointwise convolutions, of 1 x 1: products of matrices whose columns are the pixels of an NCHW image, as
// they lie in memory,
//
//     y = weight · x        dx = weight^T · dy        dweight = sum over images of dy · x^T
//
// y and dx need stride 1 and no padding; for dweight, the pixels that are seen are gathered first.

namespace gradus::kernels::detail {

template <class T>
class Pointwise {
public:
    explicit Pointwise(const ConvGeometry& sizes)
        : s(sizes),
          pixels(s.result.area()),
          count(s.batch * s.groups),
          multiplications(s.result.area() * s.in * s.out) {}

    void forward(const T* x, const T* weight, const T* bias, T* y) const {
        const Index width = tile_sizes<T>().columns;
        Tensor<T> memory = Tensor<T>::uninitialized({bias ? s.groups * s.out * width : 0});
        T* const biases = memory.mutable_data();
        for (Index o = 0; bias && o < s.groups * s.out; ++o) std::fill_n(biases + o * width, width, bias[o]);
        parallel_products(count, multiplications, [&](Index i) {
            const Index o = i % s.groups * s.out;
            const MatrixRef<T> a{weight + o * s.in, s.in, 1}, b{x + i * s.in * pixels, pixels, 1};
            Product<T> product{s.out, pixels, s.in, a, b, nullptr, y + i * s.out * pixels};
            if (bias) product.row_bias = biases + o * width;
            product.run();
        });
    }

    void backward_input(const T* dy, const T* weight, T* dx) const {
        const Shape shape{s.groups, s.in, s.out};
        Tensor<T> memory = Tensor<T>::uninitialized(shape);
        T* const transposed = memory.mutable_data();
        Strides from;
        from[0] = s.in * s.out;
        from[1] = 1;
        from[2] = s.in;
        copy_box(StridedBox(shape, from, Strides(shape)), weight, transposed);
        parallel_products(count, multiplications, [&](Index i) {
            const MatrixRef<T> a{transposed + i % s.groups * s.in * s.out, s.out, 1};
            const MatrixRef<T> b{dy + i * s.out * pixels, pixels, 1};
            Product<T>{s.in, pixels, s.out, a, b, nullptr, dx + i * s.in * pixels}.run();
        });
    }

    /// The images in a few parts, whose sums are added in order, if a product has too few panels to keep
    /// threads busy. Within a part, a run of pairwise_sum.hpp is at most the pixels of an image.
    void backward_weight(const T* padded, const T* dy, T* dweight) const {
        const Index panels = ceil_div(s.in, tile_sizes<T>().columns);
        const Index parts = std::clamp<Index>(16 / (panels * s.groups), 1, s.batch), size = s.out * s.in;
        Tensor<T> memory = Tensor<T>::uninitialized({(parts - 1) * s.groups * size});
        T* const sums = memory.mutable_data();
        const auto at = [&](Index part, Index g) {
            return part == 0 ? dweight + g * size : sums + ((part - 1) * s.groups + g) * size;
        };
        parallel_products(parts * s.groups, s.batch / parts * multiplications, [&](Index task) {
            const Index part = task / s.groups, g = task % s.groups;
            const Index most = std::max<Index>(1, piece_runs / ceil_div(pixels, run_terms));
            add_pieces(s.batch * part / parts, s.batch * (part + 1) / parts, most, size, at(part, g),
                       [&](Index begin, Index end, T* to) { add_images(begin, end, g, padded, dy, to); });
        });
        for (Index part = 1; part < parts; ++part)
            for (Index i = 0; i < s.groups * size; ++i) dweight[i] += at(part, 0)[i];
    }

private:
    void add_images(Index begin, Index end, Index g, const T* padded, const T* dy, T* sums) const {
        const Index plane = s.padded.area(), row = pixels + line<T>;
        // Rows whose distance is a multiple of 2 KB fall into the same few places of the first-level cache.
        const bool in_place = s.result == s.padded && plane * static_cast<Index>(sizeof(T)) % 2048 != 0;
        Tensor<T> memory = Tensor<T>::uninitialized({in_place ? 0 : s.in * row});
        T* const gathered = memory.mutable_data();
        for (Index n = begin; n < end; ++n) {
            const T* const x = padded + (n * s.groups + g) * s.in * plane;
            for (Index c = 0; !in_place && c < s.in; ++c) gather(x + c * plane, gathered + c * row);
            const MatrixRef<T> a{dy + (n * s.groups + g) * s.out * pixels, pixels, 1};
            const MatrixRef<T> b{in_place ? x : gathered, 1, in_place ? pixels : row};
            Product<T>{s.out, s.in, pixels, a, b, nullptr, sums, n > begin}.run();
        }
    }

    /// The pixels of a plane that the convolution sees.
    void gather(const T* plane, T* out) const {
        const Index step = s.stride.height * s.padded.width;
        if (s.stride.width == 2)
            return simd::run(
                EveryOther<T>{plane, step, s.result.height, s.result.width, out, s.result.width});
        for (Index i = 0; i < s.result.height; ++i)
            copy_row(s.result.width, plane + i * step, s.stride.width, out + i * s.result.width, Index{1});
    }

    const ConvGeometry& s;
    const Index pixels, count;    // of an image, of products
    const Index multiplications;  // of a product
};

}  // namespace gradus::kernels::detail
