// SPDX-License-Identifier: MIT
#include "gradus/kernels/winograd_5x5.hpp"

#include <cmath>

#include "gradus/core/random.hpp"
#include "gradus/kernels/conv2d.hpp"
#include "support/convolution.hpp"
#include "support/test.hpp"

using namespace gradus;
using kernels::ConvSizes;
using Winograd = kernels::detail::Winograd5x5<float>;

namespace {

constexpr simd::Isa all_isas[] = {simd::Isa::baseline, simd::Isa::avx2, simd::Isa::avx512};

ConvSizes sizes(Index batch, Index in, Index out, Size2 image, Size2 before, Size2 after) {
    return convolution::sizes(batch, 1, in, out, image, 5, 1, before, after, 1);
}

/// The root mean square of the errors, in units of that of what is expected.
double error(const Tensor<>& given, const Tensor<double>& expected) {
    REQUIRE(given.shape() == expected.shape());
    double errors = 0, squares = 0;
    for (Index i = 0; i < given.numel(); ++i) {
        const double difference = static_cast<double>(given.data()[i]) - expected.data()[i];
        errors += difference * difference;
        squares += expected.data()[i] * expected.data()[i];
    }
    return std::sqrt(errors / squares);
}

/// Against the direct convolution in double.
void check_against_direct(const ConvSizes& s) {
    INFO("batch " << s.batch << ", channels " << s.in << " to " << s.out << ", image " << to_string(s.image)
                  << ", padded " << to_string(s.padded));
    Generator generator(1);
    const Tensor<> x = randn({s.batch, s.in, s.image.height, s.image.width}, generator);
    const Tensor<> w = randn(s.weight_shape(), generator), bias = randn({s.out}, generator);
    const Tensor<> dy = randn(s.y_shape(), generator);
    Tensor<double> y = Tensor<double>::uninitialized(s.y_shape());
    const Tensor<double> padded = kernels::pad_images(s, cast<double>(x)), weight = cast<double>(w);
    const Tensor<double> seed = cast<double>(dy);
    kernels::conv2d(s, padded, weight, cast<double>(bias).data(), y.mutable_data());
    const Tensor<double> dx = kernels::conv2d_dx(s, seed, weight), dw = kernels::conv2d_dw(s, padded, seed);
    for (const simd::Isa isa : all_isas) {
        const simd::ScopedIsa scope(isa);
        INFO("instruction set " << static_cast<int>(isa));
        const Winograd winograd(s);
        Tensor<> result = full(s.y_shape(), NAN), gradient = full(x.shape(), NAN);
        Tensor<> weight_gradient = full(w.shape(), NAN);
        winograd.forward(kernels::pad_images(s, x).data(), w.data(), bias.data(), {result.mutable_data()});
        winograd.input({dy.data()}, w.data(), gradient.mutable_data());
        winograd.weight(kernels::pad_images(s, x).data(), {dy.data()}, weight_gradient.mutable_data());
        // Five times that of plain sums, which err by 5e-7 here, and more with the number of terms.
        CHECK(error(result, y) < 2e-5);
        CHECK(error(gradient, dx) < 2e-5);
        CHECK(error(weight_gradient, dw) < 2e-5);
    }
}

}  // namespace

TEST_CASE("winograd_5x5: the direct convolution, at awkward sizes") {
    const Size2 none{0, 0};
    for (const Index channels : {1, 3, 15, 16, 17, 32, 33, 65}) {  // around the widths of panels
        check_against_direct(sizes(2, channels, 7, {8, 8}, none, none));
        check_against_direct(sizes(2, 7, channels, {8, 8}, none, none));
    }
    for (const Index size : {5, 6, 7, 9, 11, 12, 13})  // around the sizes of tiles
        check_against_direct(sizes(1, 3, 4, {size, 21 - size}, none, none));
    for (const Index batch : {1, 6, 14, 15, 28, 29})  // around the rows of tiles, and more than one task
        check_against_direct(sizes(batch, 5, 4, {8, 8}, none, none));
    check_against_direct(sizes(3, 4, 5, {4, 6}, {2, 2}, {2, 2}));
    check_against_direct(sizes(3, 4, 5, {6, 3}, {4, 1}, {0, 3}));
    check_against_direct(sizes(2, 4, 5, {41, 30}, {2, 2}, {2, 2}));  // more than one chunk of an image
    check_against_direct(sizes(40, 40, 50, {20, 18}, none, none));   // more than one pass over images
}

TEST_CASE("winograd_5x5: the same bits for every number of threads") {
    const ConvSizes s = sizes(30, 33, 20, {14, 9}, {2, 2}, {2, 2});
    REQUIRE(Winograd::suits(s));
    const Tensor<> x = kernels::pad_images(s, randn({s.batch, s.in, 14, 9})), w = randn(s.weight_shape());
    const Tensor<> dy = randn(s.y_shape());
    const auto run = [&](int threads) {
        const int before = num_threads();
        set_num_threads(threads);
        Tensor<> y = Tensor<>::uninitialized(s.y_shape());
        kernels::conv2d(s, x, w, static_cast<const float*>(nullptr), y.mutable_data());
        const std::vector<Tensor<>> all{y, kernels::conv2d_dx(s, dy, w), kernels::conv2d_dw(s, x, dy)};
        set_num_threads(before);
        return all;
    };
    const auto one = run(1);
    for (const int threads : {2, 3}) CHECK(run(threads) == one);
}

TEST_CASE("winograd_5x5: where it is used") {
    const ConvSizes s = sizes(8, 16, 16, {8, 8}, {0, 0}, {0, 0});
    CHECK(Winograd::suits(s));
    CHECK_FALSE(kernels::detail::Winograd5x5<double>::suits(s));
    const auto changed = [&](auto change) {
        ConvSizes other = s;
        change(other);
        return Winograd::suits(other);
    };
    CHECK_FALSE(changed([](ConvSizes& c) { c.stride = 2; }));
    CHECK_FALSE(changed([](ConvSizes& c) { c.dilation = {1, 2}; }));
    CHECK_FALSE(changed([](ConvSizes& c) { c.groups = 2; }));
    CHECK_FALSE(changed([](ConvSizes& c) { c.kernel = {5, 3}; }));
    CHECK_FALSE(changed([](ConvSizes& c) { c.in = 15; }));
    CHECK_FALSE(changed([](ConvSizes& c) { c.out = 1; }));
    CHECK_FALSE(changed([](ConvSizes& c) { c.batch = 0; }));
    CHECK_FALSE(changed([](ConvSizes& c) { c.result = {1, 5}; }));      // tiles mostly outside
    CHECK_FALSE(changed([](ConvSizes& c) { c.result = {200, 200}; }));  // images beyond the caches
}
