// SPDX-License-Identifier: MIT
#include "gradus/kernels/conv/winograd_1d.hpp"

#include <cmath>

#include "gradus/core/random.hpp"
#include "gradus/kernels/conv/conv2d.hpp"
#include "support/convolution.hpp"
#include "support/test.hpp"

using namespace gradus;
using kernels::ConvGeometry;
using Winograd = kernels::detail::RowWinograd<float>;

namespace {

ConvGeometry sizes(Index batch, Index in, Index out, Size2 image, Index rows_of_taps,
                   Size2 padding = {0, 0}) {
    return convolution::sizes(batch, 1, in, out, image, {rows_of_taps, 5}, 1, padding, padding, 1);
}

/// Against the direct convolution in double.
void check_against_direct(const ConvGeometry& s) {
    INFO("batch " << s.batch << ", channels " << s.in << " to " << s.out << ", image " << to_string(s.image)
                  << ", kernel " << to_string(s.kernel) << ", padded " << to_string(s.padded));
    Generator generator(1);
    const Tensor<> x =
        kernels::pad_images(s, randn({s.batch, s.in, s.image.height, s.image.width}, generator));
    const Tensor<> w = randn(s.weight_shape(), generator), bias = randn({s.out}, generator);
    Tensor<double> expected = Tensor<double>::uninitialized(s.y_shape());
    kernels::conv2d(s, cast<double>(x), cast<double>(w), cast<double>(bias).data(), expected.mutable_data());
    for (const simd::Isa isa : {simd::Isa::baseline, simd::Isa::avx2, simd::Isa::avx512}) {
        const simd::ScopedIsa scope(isa);
        INFO("instruction set " << static_cast<int>(isa));
        Tensor<> y = full(s.y_shape(), NAN);
        Winograd(s).forward(x.data(), w.data(), bias.data(), y.mutable_data());
        double errors = 0, squares = 0;
        for (Index i = 0; i < y.numel(); ++i) {
            const double error = static_cast<double>(y.data()[i]) - expected.data()[i];
            errors += error * error;
            squares += expected.data()[i] * expected.data()[i];
        }
        CHECK(std::sqrt(errors / squares) < 1e-6);  // of plain sums: up to 2e-7
    }
}

}  // namespace

TEST_CASE("row_winograd: the direct convolution, at awkward sizes") {
    for (const Index channels : {1, 7, 8, 15, 16, 17, 32, 33, 65})  // around the widths of panels
        check_against_direct(sizes(2, 1, channels, {9, 8}, 5));
    for (const Index width : {5, 7, 8, 9, 12, 13, 16, 17, 20, 28, 32})  // around the sizes of tiles
        check_against_direct(sizes(1, 2, 9, {7, width}, 5));
    for (const Index height : {5, 6, 11, 12, 28, 32, 33, 61, 70})  // around what one array of values gives
        check_against_direct(sizes(1, 1, 9, {height, 11}, 5));
    for (const Index rows : {1, 2, 3, 4, 7}) check_against_direct(sizes(2, 3, 17, {13, 12}, rows));
    check_against_direct(sizes(3, 3, 20, {6, 9}, 5, {2, 2}));
    check_against_direct(sizes(1, 1, 5, {12, 700}, 5));  // a row that leaves the cache
}

TEST_CASE("row_winograd: where it is used") {
    const simd::ScopedIsa scope(simd::Isa::avx512);
    const ConvGeometry s = sizes(1, 1, 32, {28, 28}, 5);
    CHECK(Winograd::suits(s) == (simd::isa() == simd::Isa::avx512));
    const auto changed = [&](auto change) {
        ConvGeometry other = s;
        change(other);
        return Winograd::suits(other);
    };
    CHECK_FALSE(changed([](ConvGeometry& c) { c.stride = {1, 2}; }));
    CHECK_FALSE(changed([](ConvGeometry& c) { c.dilation = {2, 1}; }));
    CHECK_FALSE(changed([](ConvGeometry& c) { c.groups = 2; }));
    CHECK_FALSE(changed([](ConvGeometry& c) { c.kernel = {5, 3}; }));
    CHECK_FALSE(changed([](ConvGeometry& c) { c.in = 16; }));
    CHECK_FALSE(changed([](ConvGeometry& c) { c.in = 0; }));
    CHECK_FALSE(changed([](ConvGeometry& c) { c.out = 7; }));
    CHECK_FALSE(changed([](ConvGeometry& c) { c.result = {5, 5}; }));  // tiles mostly outside
    const simd::ScopedIsa narrow(simd::Isa::avx2);
    CHECK_FALSE(Winograd::suits(s));
}
