// SPDX-License-Identifier: MIT
#include "gradus/kernels/conv/conv2d.hpp"

#include <cmath>
#include <vector>

#include "gradus/core/random.hpp"
#include "support/convolution.hpp"
#include "support/isas.hpp"
#include "support/random.hpp"
#include "support/test.hpp"

using namespace gradus;
using convolution::sizes;
using kernels::ConvGeometry;

namespace {

/// The definition: seven loops over the unpadded image. Calls visit(y, x, w) with positions.
template <class Visit>
void for_each_term(const ConvGeometry& s, const Visit& visit) {
    for (Index n = 0; n < s.batch; ++n)
        for (Index o = 0; o < s.groups * s.out; ++o)
            for (Index i = 0; i < s.result.height; ++i)
                for (Index j = 0; j < s.result.width; ++j)
                    for (Index c = 0; c < s.in; ++c)
                        for (Index ky = 0; ky < s.kernel.height; ++ky)
                            for (Index kx = 0; kx < s.kernel.width; ++kx) {
                                const Index y =
                                    i * s.stride.height + ky * s.dilation.height - s.before.height;
                                const Index x = j * s.stride.width + kx * s.dilation.width - s.before.width;
                                if (y < 0 || y >= s.image.height || x < 0 || x >= s.image.width) continue;
                                const Index plane = n * s.groups * s.in + o / s.out * s.in + c;
                                visit(((n * s.groups * s.out + o) * s.result.height + i) * s.result.width + j,
                                      (plane * s.image.height + y) * s.image.width + x,
                                      ((o * s.in + c) * s.kernel.height + ky) * s.kernel.width + kx);
                            }
}

template <class T>
void check_exact(const ConvGeometry& s) {
    INFO("batch " << s.batch << ", groups " << s.groups << ", channels " << s.in << " to " << s.out
                  << ", image " << to_string(s.image) << ", kernel " << to_string(s.kernel) << ", stride "
                  << to_string(s.stride) << ", padded " << to_string(s.padded) << ", dilation "
                  << to_string(s.dilation));
    const Tensor<T> x = whole_numbers<T>({s.batch, s.groups * s.in, s.image.height, s.image.width}, 1);
    const Tensor<T> w = whole_numbers<T>(s.weight_shape(), 2), bias = whole_numbers<T>({s.groups * s.out}, 3);
    const Tensor<T> dy = whole_numbers<T>(s.y_shape(), 4);
    Tensor<T> y = zeros<T>(s.y_shape()), dx = zeros<T>(x.shape()), dw = zeros<T>(w.shape());
    for (Index i = 0; i < y.numel(); ++i)
        y.mutable_data()[i] = bias.data()[i / s.result.area() % (s.groups * s.out)];
    T *const y_out = y.mutable_data(), *const dx_out = dx.mutable_data(), *const dw_out = dw.mutable_data();
    for_each_term(s, [&](Index to, Index from, Index weight) {
        y_out[to] += x.data()[from] * w.data()[weight];
        dx_out[from] += dy.data()[to] * w.data()[weight];
        dw_out[weight] += dy.data()[to] * x.data()[from];
    });
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scope(isa);
        INFO("instruction set " << static_cast<int>(isa));
        const kernels::ConvPlan<T> plan(s);
        const Tensor<T> padded = kernels::pad_images(plan, x);
        Tensor<T> result = Tensor<T>::uninitialized(s.y_shape());
        kernels::conv2d(plan, padded, w, bias.data(), result.mutable_data());
        CHECK(result == y);
        CHECK(kernels::conv2d_backward_input(plan, dy, w) == dx);
        if (dx.numel() > 0 && s.out > 0) {  // both ways, whichever is faster
            Tensor<T> gathered = full<T>(dx.shape(), T(7)), spread = full<T>(dx.shape(), T(7));
            kernels::detail::implicit_gemm_backward_input(s, dy, w, gathered.mutable_data());
            kernels::detail::Col2im<T>(s).backward_input(dy.data(), w.data(), spread.mutable_data());
            CHECK(gathered == dx);
            CHECK(spread == dx);
        }
        if (s.taps() * y.numel() > 0) {
            Tensor<T> flat = full<T>(s.y_shape(), T(7)), flat_dx = full<T>(dx.shape(), T(7));
            kernels::detail::flat_forward(s, x.data(), w.data(), bias.data(), flat.mutable_data());
            CHECK(flat == y);
            Tensor<T> flat_dw = full<T>(dw.shape(), T(7)), of_padded = full<T>(dw.shape(), T(7));
            kernels::detail::flat_backward_weight(s, x, dy, flat_dw.mutable_data());
            kernels::detail::flat_backward_weight(s, kernels::with_padding(s, x), dy,
                                                  of_padded.mutable_data());
            CHECK(flat_dw == dw);
            CHECK(of_padded == dw);
            if (!kernels::detail::has_gaps(s)) {
                kernels::detail::flat_backward_input(s, dy.data(), w.data(), flat_dx.mutable_data());
                CHECK(flat_dx == dx);
            }
        }
        CHECK(kernels::conv2d_backward_weight(plan, padded, dy) == dw);
    }
}

}  // namespace

TEST_CASE("conv2d kernels: the definition, at awkward sizes") {
    const Size2 one{1, 1}, none{0, 0};
    std::vector<ConvGeometry> cases;
    for (const Index channels : {1, 2, 15, 16, 17, 33})  // around the widths of tiles
        cases.push_back(sizes(3, 1, 3, channels, {5, 4}, {3, 2}, one, none, none, one));
    for (const Index channels : {1, 7, 16, 31, 65})
        cases.push_back(sizes(2, 1, channels, 3, {4, 5}, {2, 3}, one, one, one, one));
    for (const Index width : {1, 2, 3, 13, 14, 15, 29, 43})  // around the rows of tiles
        cases.push_back(sizes(1, 1, 2, 3, {1, width}, one, one, none, none, one));
    cases.push_back(sizes(5, 1, 4, 6, {3, 3}, {3, 3}, one, none, none, one));  // one pixel per image
    cases.push_back(
        sizes(37, 1, 2, 40, {6, 6}, {3, 3}, one, one, one, one));  // more than one pass over pixels
    cases.push_back(sizes(2, 1, 40, 20, {5, 5}, {5, 6}, one, {2, 2}, {2, 3}, one));  // many taps
    cases.push_back(sizes(9, 1, 100, 80, {5, 4}, {3, 3}, {2, 1}, one, one, one));    // many weights
    cases.push_back(
        sizes(2, 1, 3, 5, {4, 4}, {2, 2}, one, {3, 4}, {2, 1}, one));  // padding beyond the kernel
    cases.push_back(sizes(2, 1, 3, 5, {9, 8}, {3, 3}, {2, 3}, one, {2, 0}, one));
    cases.push_back(
        sizes(2, 1, 3, 5, {9, 8}, {1, 2}, {3, 2}, none, none, one));  // pixels that no window sees
    cases.push_back(sizes(2, 1, 3, 5, {9, 10}, {3, 2}, {2, 2}, {2, 1}, {1, 3}, {3, 2}));
    cases.push_back(sizes(2, 1, 3, 5, {7, 7}, {3, 3}, {4, 5}, {2, 2}, {2, 2}, {2, 2}));
    for (const Size2 stride : {Size2(1, 1), Size2(2, 2), Size2(1, 3)}) {  // a tap per channel
        cases.push_back(sizes(3, 1, 5, 17, {8, 8}, one, stride, none, none, one));
        cases.push_back(sizes(2, 1, 33, 3, {7, 13}, one, stride, none, none, one));
        cases.push_back(sizes(2, 3, 2, 15, {9, 16}, one, stride, none, none, one));
        cases.push_back(sizes(2, 1, 2, 3, {8, 9}, one, stride, one, none, one));
    }
    cases.push_back(sizes(2, 1, 3, 0, {8, 8}, one, one, none, none, one));
    for (const Index channels : {1, 16, 35}) {  // 1 x 1: pixels of several passes, rows that share cache sets
        cases.push_back(sizes(3, 1, channels, 2, {33, 32}, one, one, none, none, one));
        cases.push_back(sizes(19, 1, 1, channels, {32, 16}, one, one, none, none, one));
        cases.push_back(sizes(2, 2, 3, channels, {17, 65}, one, {2, 2}, none, one, one));
        cases.push_back(sizes(9, 2, channels, 31, {16, 63}, one, {1, 2}, one, one, one));
    }
    cases.push_back(sizes(70, 1, 2, 5, {4, 5}, {3, 3}, one, one, one, one));     // blocks of images
    cases.push_back(sizes(2, 1, 3, 7, {40, 39}, {3, 2}, one, none, none, one));  // of rows
    cases.push_back(sizes(1, 1, 3, 17, {71, 64}, {5, 7}, {2, 2}, {2, 3}, {2, 3}, one));
    cases.push_back(sizes(2, 2, 40, 16, {38, 36}, {3, 3}, {2, 1}, one, one, one));  // of channels
    cases.push_back(sizes(1, 1, 2, 16, {9, 1}, {3, 1}, {2, 2}, {1, 0}, {1, 0}, one));
    cases.push_back(  // a stride beyond the image, and taps from outside
        sizes(1, 1, 2, 3, {2, 2}, {7, 7}, {4, 4}, {2, 2}, {3, 3}, one));
    cases.push_back(sizes(2, 3, 2, 5, {5, 5}, {3, 3}, one, one, one, one));  // groups
    cases.push_back(sizes(2, 7, 1, 1, {5, 6}, {3, 3}, one, one, one, one));  // depthwise
    cases.push_back(sizes(2, 5, 1, 2, {7, 6}, {3, 3}, {2, 2}, one, one, one));
    cases.push_back(sizes(3, 6, 1, 1, {33, 35}, {3, 3}, one, one, one, one));
    cases.push_back(sizes(2, 4, 1, 3, {13, 11}, {4, 3}, {3, 2}, {2, 0}, {0, 3}, {1, 2}));
    cases.push_back(sizes(2, 3, 1, 4, {1, 1}, {1, 1}, one, none, none, one));
    cases.push_back(
        sizes(1, 2, 1, 1, {9, 9}, {2, 2}, {4, 4}, none, none, one));  // pixels that no window sees
    cases.push_back(sizes(1, 2, 1, 5, {6, 5}, {3, 3}, one, one, one, one));
    cases.push_back(sizes(0, 2, 1, 1, {6, 5}, {3, 3}, one, one, one, one));
    cases.push_back(sizes(1, 3, 1, 1, {9, 40}, {5, 3}, one, {4, 2}, {4, 2}, {2, 2}));
    cases.push_back(sizes(0, 1, 2, 3, {4, 4}, {2, 2}, one, none, none, one));  // nothing
    cases.push_back(sizes(2, 1, 0, 3, {4, 4}, {2, 2}, one, none, none, one));
    cases.push_back(sizes(2, 1, 3, 0, {4, 4}, {2, 2}, one, none, none, one));
    for (const ConvGeometry& s : cases) {
        check_exact<float>(s);
        check_exact<double>(s);
    }
}

TEST_CASE("conv2d kernels: the definition, at random sizes") {
    const RandomStream draw{1, 2};
    std::uint64_t drawn = 0;
    const auto from = [&](Index first, Index last) {
        return first + static_cast<Index>(draw(drawn++)[0] % static_cast<std::uint32_t>(last - first + 1));
    };
    for (int i = 0; i < 60; ++i) {
        const Size2 kernel{from(1, 7), from(1, 7)}, stride{from(1, 3), from(1, 3)};
        const Size2 dilation = i % 4 == 0 ? Size2{from(1, 2), from(1, 3)} : Size2{1, 1};
        const Size2 before{from(0, 3), from(0, 3)}, after{from(0, 3), from(0, 3)};
        const Size2 image{from(1, 20) + dilation.height * (kernel.height - 1),
                          from(1, 40) + dilation.width * (kernel.width - 1)};
        check_exact<float>(sizes(from(1, 3), from(1, 2), from(1, 20), from(1, 35), image, kernel, stride,
                                 before, after, dilation));
        check_exact<float>(
            sizes(from(1, 3), from(2, 5), 1, from(1, 4), image, kernel, stride, before, after, dilation));
    }
}
