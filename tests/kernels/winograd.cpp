// SPDX-License-Identifier: MIT
#include "gradus/kernels/winograd.hpp"

#include <cmath>
#include <limits>

#include "gradus/core/random.hpp"
#include "gradus/kernels/conv2d.hpp"
#include "support/test.hpp"

using namespace gradus;
using kernels::ConvSizes;
namespace winograd = kernels::detail::winograd;

namespace {

constexpr simd::Isa all_isas[] = {simd::Isa::baseline, simd::Isa::avx2, simd::Isa::avx512};

ConvSizes sizes(Index batch, Index in, Index out, Size2 image, Size2 before, Size2 after) {
    ConvSizes s;
    s.batch = batch;
    s.groups = 1;
    s.in = in;
    s.out = out;
    s.kernel = 3;
    s.stride = s.dilation = 1;
    s.image = image;
    s.before = before;
    s.padded = {image.height + before.height + after.height, image.width + before.width + after.width};
    s.result = {s.padded.height - 2, s.padded.width - 2};
    return s;
}

ConvSizes sizes(Index batch, Index in, Index out, Size2 image, Index padding) {
    return sizes(batch, in, out, image, padding, padding);
}

template <class T>
struct Operands {
    Tensor<T> x, weight, bias, dy;

    explicit Operands(const ConvSizes& s) {
        Generator generator(3);
        x = randn<T>({s.batch, s.in, s.image.height, s.image.width}, generator);
        weight = randn<T>(s.weight_shape(), generator);
        bias = randn<T>({s.out}, generator);
        dy = randn<T>(s.y_shape(), generator);
    }
};

template <class T>
struct Passes {
    Tensor<T> y, dx, dweight;
};

template <class T>
Passes<T> filtered(const ConvSizes& s, const Operands<T>& o) {
    const Tensor<T> padded = kernels::pad_images(s, o.x);
    Passes<T> result{full<T>(s.y_shape(), T(7)), winograd::input_gradient(s, o.dy, o.weight),
                     winograd::weight_gradient(s, padded, o.dy)};
    winograd::forward(s, padded, o.weight, o.bias.data(), result.y.mutable_data());
    return result;
}

template <class T>
Passes<T> direct(const ConvSizes& s, const Operands<T>& o) {
    const Tensor<T> padded = kernels::pad_images(s, o.x);
    Passes<T> result{full<T>(s.y_shape(), T(7)), kernels::detail::conv2d_dx_packed(s, o.dy, o.weight),
                     kernels::detail::conv2d_dw_packed(s, padded, o.dy)};
    kernels::detail::conv2d_packed(s, padded, o.weight, o.bias.data(), result.y.mutable_data());
    return result;
}

/// The definition, in double, and the sums of the absolute values of the products.
struct Definition {
    Passes<double> sums, sizes;

    template <class T>
    Definition(const ConvSizes& s, const Operands<T>& o) {
        for (Passes<double>* const p : {&sums, &sizes})
            *p = {zeros<double>(s.y_shape()), zeros<double>(o.x.shape()), zeros<double>(s.weight_shape())};
        for (Index i = 0; i < o.dy.numel(); ++i)
            add(&Passes<double>::y, i, static_cast<double>(o.bias.data()[i / s.result.area() % s.out]));
        for (Index n = 0; n < s.batch; ++n)
            for (Index k = 0; k < s.out; ++k)
                for (Index c = 0; c < s.in; ++c)
                    for (Index ky = 0; ky < 3; ++ky)
                        for (Index kx = 0; kx < 3; ++kx) add_tap(s, o, n, k, c, ky, kx);
    }

private:
    template <class T>
    void add_tap(const ConvSizes& s, const Operands<T>& o, Index n, Index k, Index c, Index ky, Index kx) {
        const Index w = ((k * s.in + c) * 3 + ky) * 3 + kx;
        for (Index i = 0; i < s.result.height; ++i)
            for (Index j = 0; j < s.result.width; ++j) {
                const Index y = i + ky - s.before.height, x = j + kx - s.before.width;
                if (y < 0 || y >= s.image.height || x < 0 || x >= s.image.width) continue;
                const Index to = ((n * s.out + k) * s.result.height + i) * s.result.width + j;
                const Index from = ((n * s.in + c) * s.image.height + y) * s.image.width + x;
                const double value = static_cast<double>(o.x.data()[from]);
                const double weight = static_cast<double>(o.weight.data()[w]);
                const double gradient = static_cast<double>(o.dy.data()[to]);
                add(&Passes<double>::y, to, value * weight);
                add(&Passes<double>::dx, from, gradient * weight);
                add(&Passes<double>::dweight, w, gradient * value);
            }
    }

    void add(Tensor<double> Passes<double>::*pass, Index at, double term) {
        (sums.*pass).mutable_data()[at] += term;
        (sizes.*pass).mutable_data()[at] += std::abs(term);
    }
};

/// The largest error, relative to the largest sum of the absolute values of the products.
template <class T>
double error(const Tensor<T>& result, const Tensor<double>& sums, const Tensor<double>& sizes) {
    double largest = 0, size = 0;
    for (Index i = 0; i < result.numel(); ++i) {
        const double difference = std::abs(static_cast<double>(result.data()[i]) - sums.data()[i]);
        if (!(difference <= largest)) largest = difference;  // NaN too
        size = std::max(size, sizes.data()[i]);
    }
    return largest / size;
}

template <class T>
void check(const ConvSizes& s) {
    INFO("batch " << s.batch << ", channels " << s.in << " to " << s.out << ", image " << to_string(s.image)
                  << ", before " << to_string(s.before) << ", padded " << to_string(s.padded));
    const Operands<T> operands(s);
    const Definition exact(s, operands);
    for (const simd::Isa isa : all_isas) {
        const simd::ScopedIsa scope(isa);
        INFO("instruction set " << simd::name(isa));
        const Passes<T> passes = filtered(s, operands);
        const double bound = 16 * static_cast<double>(std::numeric_limits<T>::epsilon());
        CHECK(error(passes.y, exact.sums.y, exact.sizes.y) <= bound);
        CHECK(error(passes.dx, exact.sums.dx, exact.sizes.dx) <= bound);
        CHECK(error(passes.dweight, exact.sums.dweight, exact.sizes.dweight) <= bound);
    }
}

template <class T>
void check_all() {
    for (const Index channels : {1, 3, 8, 15, 16, 17, 31, 32, 33, 64, 65, 70}) {
        check<T>(sizes(2, channels, 5, {5, 6}, 1));
        check<T>(sizes(1, 4, channels, {4, 4}, 1));
    }
    for (const Index width : {1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 18, 29, 43}) {
        check<T>(sizes(2, 3, 4, {3, width}, 1));
        check<T>(sizes(1, 2, 17, {width, 5}, {0, 2}, {2, 0}));
    }
    for (const Index padding : {0, 1, 2})
        for (const Size2 image : {Size2(3, 3), Size2(4, 9), Size2(11, 6)})
            check<T>(sizes(3, 6, 7, image, padding));
    check<T>(sizes(1, 1, 1, {1, 1}, 1));
    check<T>(sizes(2, 2, 2, {1, 2}, {2, 1}, {0, 1}));
    check<T>(sizes(3, 5, 6, {7, 5}, {0, 1}, {2, 0}));
    check<T>(sizes(131, 3, 2, {3, 3}, 1));      // several blocks of tiles
    check<T>(sizes(5, 131, 37, {9, 9}, 1));     // and of input channels
    check<T>(sizes(19, 130, 66, {17, 18}, 1));  // and several passes
    check<T>(sizes(1, 2, 3, {9, 300}, 1));      // one row of tiles is a block
}

}  // namespace

TEST_CASE("winograd: the definition, at awkward sizes") {
    check_all<float>();
    check_all<double>();
}

TEST_CASE("winograd: the error stays near that of direct summation") {
    for (const ConvSizes& s : {sizes(2, 64, 64, {16, 16}, 1), sizes(8, 256, 32, {4, 4}, 1)}) {
        const Operands<float> operands(s);
        const Definition exact(s, operands);
        const Passes<float> a = filtered(s, operands), b = direct(s, operands);
        const auto ratio = [&](Tensor<float> Passes<float>::*pass, Tensor<double> Passes<double>::*sum) {
            return error(a.*pass, exact.sums.*sum, exact.sizes.*sum) /
                   error(b.*pass, exact.sums.*sum, exact.sizes.*sum);
        };
        CHECK(ratio(&Passes<float>::y, &Passes<double>::y) < 3);
        CHECK(ratio(&Passes<float>::dx, &Passes<double>::dx) < 3);
        CHECK(ratio(&Passes<float>::dweight, &Passes<double>::dweight) < 3);
    }
}
