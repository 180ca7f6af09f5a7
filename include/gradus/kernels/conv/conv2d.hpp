// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <type_traits>

#include "gradus/kernels/conv/bf16.hpp"
#include "gradus/kernels/conv/choose.hpp"
#include "gradus/kernels/conv/col2im.hpp"
#include "gradus/kernels/conv/depthwise.hpp"
#include "gradus/kernels/conv/flat.hpp"
#include "gradus/kernels/conv/flat_weight.hpp"
#include "gradus/kernels/conv/implicit_gemm.hpp"
#include "gradus/kernels/conv/implicit_gemm_backward.hpp"
#include "gradus/kernels/conv/pointwise.hpp"
#include "gradus/kernels/conv/winograd.hpp"
#include "gradus/kernels/conv/winograd_1d.hpp"
#include "gradus/kernels/conv/winograd_dw.hpp"
#include "gradus/kernels/layout/permute.hpp"

// A convolution of NCHW images and both of its gradients: each function is one switch on the algorithm that
// choose.hpp has chosen. Weights are [out, in / groups, kh, kw], bias [out]; results are NCHW. Winograd's
// algorithms mark the images for which they are not accurate (winograd_ranges.hpp), and these are done by
// implicit GEMM.

namespace gradus::kernels {
namespace detail {

/// Calls visit(y, x, w) with the offsets of every product that makes up the result: the definition of the
/// convolution, for numbers that have no vectors.
template <class Visit>
void for_each_product(const ConvGeometry& s, const Visit& visit) {
    const OffsetGenerator to = plane_offsets(s.result, s.groups * s.out, 0);
    const Tensor<Index> taps = offset_table(tap_offsets(s), s.taps());
    for (Index g = 0; g < s.groups; ++g) {
        const OffsetGenerator from = window_offsets(s, g);
        for (Index pixel = 0; pixel < s.batch * s.result.area(); ++pixel)
            for (Index o = 0; o < s.out; ++o)
                for (Index k = 0; k < s.taps(); ++k)
                    visit(to(pixel) + (g * s.out + o) * s.result.area(), from(pixel) + taps.data()[k],
                          (g * s.out + o) * s.taps() + k);
    }
}

/// Calls compute(one, i, g) for each image i = n * groups + g that is marked, with the sizes of that
/// convolution.
template <class Compute>
void for_marked(const ConvGeometry& s, const winograd::Marks& marks, const Compute& compute) {
    ConvGeometry one = s;
    one.batch = one.groups = 1;
    for (Index i = 0; i < s.batch * s.groups; ++i)
        if (marks[static_cast<std::size_t>(i)]) compute(one, i, i % s.groups);
}

/// Number i of x [batch, groups * channels, size], or [groups * out, in, kernel], as an array of its own.
template <class T>
Tensor<T> part_of(const Tensor<T>& x, Index parts, Index i) {
    const Index planes = x.size(0) * x.size(1) / parts;
    return x.reshape({parts, planes, x.size(2), x.size(3)}).rows(i, i + 1);
}

/// The images that Winograd's filtering has marked, by direct sums.
template <class T>
void implicit_gemm_where_marked(const ConvGeometry& s, const winograd::Marks& marks, const Tensor<T>& padded,
                                const Tensor<T>& weight, const T* bias, T* y) {
    for_marked(s, marks, [&](const ConvGeometry& one, Index i, Index g) {
        implicit_gemm(one, part_of(padded, s.batch * s.groups, i), weight.rows(g * s.out, (g + 1) * s.out),
                      bias ? bias + g * s.out : nullptr, y + i * s.out * s.result.area());
    });
}

template <class T>
void winograd_backward_input(const ConvGeometry& s, const Tensor<T>& dy, const Tensor<T>& weight, T* dx) {
    const winograd::Marks marks = winograd::backward_input<T>(s, {dy.data()}, weight.data(), dx);
    for_marked(s, marks, [&](const ConvGeometry& one, Index i, Index g) {
        implicit_gemm_backward_input(one, part_of(dy, s.batch * s.groups, i),
                                     weight.rows(g * s.out, (g + 1) * s.out), dx + i * s.in * s.image.area());
    });
}

template <class T>
void winograd_backward_weight(const ConvGeometry& s, const Tensor<T>& padded, const Tensor<T>& dy,
                              T* dweight) {
    const winograd::Marks marks = winograd::backward_weight<T>(s, padded.data(), {dy.data()}, dweight);
    for (Index g = 0; g < s.groups; ++g)
        if (marks[static_cast<std::size_t>(g)]) implicit_gemm_backward_weight(s, padded, dy, g, dweight);
}

}  // namespace detail

/// x with the zeros around it: itself, if it has them.
template <class T>
Tensor<T> with_padding(const ConvGeometry& s, const Tensor<T>& x) {
    if (x.size(2) == s.padded.height && x.size(3) == s.padded.width) return x;
    const Index before[] = {0, 0, s.before.height, s.before.width};
    return pad<T>(x, {s.batch, s.groups * s.in, s.padded.height, s.padded.width}, before, T(0));
}

/// What conv2d() and conv2d_backward_weight() read: with_padding(x), unless y is computed without.
template <class T>
Tensor<T> pad_images(const ConvPlan<T>& s, const Tensor<T>& x) {
    return s.algorithms.reads_padded() ? with_padding(s, x) : x;
}

/// y[n, o, i, j] = bias[o] + Σ x[n, c, i · stride + ky · dilation, j · stride + kx · dilation] w[o, c, ky,
/// kx], x as from pad_images, bias may be null.
template <class T>
void conv2d(const ConvPlan<T>& s, const Tensor<T>& padded, const Tensor<T>& weight, const T* bias, T* y) {
    if constexpr (detail::has_vectors<T>) {
        const T *const x = padded.data(), *const w = weight.data();
        constexpr bool is_float = std::is_same_v<T, float>;
        switch (s.algorithms.y) {
            case ConvAlgorithm::depthwise:
                return detail::Depthwise<T>(s).forward(x, w, bias, y);
            case ConvAlgorithm::flat:
                return detail::flat_forward(s, x, w, bias, y);
            case ConvAlgorithm::bf16:
                if constexpr (is_float) detail::conv2d_bf16(s.bf16, s, x, w, bias, y);
                return;
            case ConvAlgorithm::winograd:
                return detail::implicit_gemm_where_marked(s, detail::winograd::forward<T>(s, x, w, bias, {y}),
                                                          padded, weight, bias, y);
            case ConvAlgorithm::winograd_1d:
                if constexpr (is_float)
                    detail::implicit_gemm_where_marked(s, detail::Winograd1d<T>(s, {y}).forward(x, w, bias),
                                                       padded, weight, bias, y);
                return;
            case ConvAlgorithm::pointwise:
                return detail::Pointwise<T>(s).forward(x, w, bias, y);
            case ConvAlgorithm::implicit_gemm:
                return detail::implicit_gemm(s, padded, weight, bias, y);
            default:
                break;
        }
    }
    for (Index i = 0; i < s.y_shape().numel(); ++i)
        y[i] = bias ? bias[i / s.result.area() % (s.groups * s.out)] : T(0);
    detail::for_each_product(
        s, [&](Index to, Index from, Index w) { y[to] = y[to] + padded.data()[from] * weight.data()[w]; });
}

/// The gradient of x: dy spread over the windows.
template <class T>
Tensor<T> conv2d_backward_input(const ConvPlan<T>& s, const Tensor<T>& dy, const Tensor<T>& weight) {
    if constexpr (std::is_same_v<T, float>)
        if (s.algorithms.dx == ConvAlgorithm::bf16)
            return detail::conv2d_backward_input_bf16(s.bf16, s, dy, weight);
    if constexpr (detail::has_vectors<T>) {
        Tensor<T> dx = Tensor<T>::uninitialized(s.x_shape());
        T* const out = dx.mutable_data();
        switch (s.algorithms.dx) {
            case ConvAlgorithm::depthwise:
                detail::Depthwise<T>(s).backward_input(dy.data(), weight.data(), out);
                break;
            case ConvAlgorithm::flat:
                detail::flat_backward_input(s, dy.data(), weight.data(), out);
                break;
            case ConvAlgorithm::winograd:
                detail::winograd_backward_input(s, dy, weight, out);
                break;
            case ConvAlgorithm::pointwise:
                detail::Pointwise<T>(s).backward_input(dy.data(), weight.data(), out);
                break;
            case ConvAlgorithm::col2im:
                detail::Col2im<T>(s).backward_input(dy.data(), weight.data(), out);
                break;
            default:
                detail::implicit_gemm_backward_input(s, dy, weight, out);
        }
        return dx;
    }
    Tensor<T> padded = zeros<T>({s.batch, s.groups * s.in, s.padded.height, s.padded.width});
    T* const out = padded.mutable_data();
    detail::for_each_product(
        s, [&](Index to, Index from, Index w) { out[from] = out[from] + dy.data()[to] * weight.data()[w]; });
    if (s.padded == s.image) return padded;
    const Index before[] = {0, 0, s.before.height, s.before.width};
    return crop<T>(padded, s.x_shape(), before);
}

/// The gradient of the weight, x as from pad_images.
template <class T>
Tensor<T> conv2d_backward_weight(const ConvPlan<T>& s, const Tensor<T>& x, const Tensor<T>& dy) {
    if constexpr (detail::has_vectors<T>)
        if (s.algorithms.dw == ConvAlgorithm::flat) {
            Tensor<T> dweight = Tensor<T>::uninitialized(s.weight_shape());
            detail::flat_backward_weight(s, x, dy, dweight.mutable_data());
            return dweight;
        }
    const Tensor<T> padded = s.algorithms.y == ConvAlgorithm::depthwise ? x : with_padding(s, x);
    if constexpr (std::is_same_v<T, float>)
        if (s.algorithms.dw == ConvAlgorithm::bf16)
            return detail::conv2d_backward_weight_bf16(s.bf16, s, padded, dy);
    if (s.algorithms.dw == ConvAlgorithm::definition) {
        Tensor<T> dweight = zeros<T>(s.weight_shape());
        T* const out = dweight.mutable_data();
        detail::for_each_product(
            s, [&](Index to, Index from, Index w) { out[w] = out[w] + dy.data()[to] * padded.data()[from]; });
        return dweight;
    }
    Tensor<T> dweight = Tensor<T>::uninitialized(s.weight_shape());
    if constexpr (detail::has_vectors<T>) {
        T* const out = dweight.mutable_data();
        switch (s.algorithms.dw) {
            case ConvAlgorithm::depthwise:
                detail::Depthwise<T>(s).backward_weight(padded.data(), dy.data(), out);
                break;
            case ConvAlgorithm::winograd:
                detail::winograd_backward_weight(s, padded, dy, out);
                break;
            case ConvAlgorithm::pointwise:
                detail::Pointwise<T>(s).backward_weight(padded.data(), dy.data(), out);
                break;
            default:
                detail::implicit_gemm_backward_weight(s, padded, dy, out);
        }
    }
    return dweight;
}

}  // namespace gradus::kernels
