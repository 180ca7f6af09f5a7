// SPDX-License-Identifier: MIT
#include "gradus/kernels/conv/winograd_1d.hpp"

#include <cmath>

#include "gradus/core/random.hpp"
#include "gradus/kernels/conv/conv2d.hpp"
#include "support/convolution.hpp"
#include "support/isas.hpp"
#include "support/test.hpp"

using namespace gradus;
using kernels::ConvGeometry;
using Winograd = kernels::detail::Winograd1d<float>;

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
    const Tensor<> images = randn(s.x_shape(), generator), x = kernels::with_padding(s, images);
    const Tensor<> w = randn(s.weight_shape(), generator), bias = randn({s.out}, generator);
    Tensor<double> expected = Tensor<double>::uninitialized(s.y_shape());
    const kernels::ConvPlan<double> plan(s);
    kernels::conv2d(plan, kernels::pad_images(plan, cast<double>(images)), cast<double>(w),
                    cast<double>(bias).data(), expected.mutable_data());
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scope(isa);
        INFO("instruction set " << static_cast<int>(isa));
        Tensor<> y = full(s.y_shape(), NAN);
        Winograd(s, {y.mutable_data()}).forward(x.data(), w.data(), bias.data());
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

TEST_CASE("winograd_1d: the direct convolution, at awkward sizes") {
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

TEST_CASE("winograd_1d: steps are whole windows, passes whole steps, and both fit") {
    using kernels::detail::Winograd1dPlan;
    for (const Index width : {16, 32})
        for (const Index taps : {3, 5, 9})
            for (const Index window : {1, 2, 3})
                for (const Size2 image :
                     {Size2(9, 9), Size2(12, 40), Size2(28), Size2(61, 11), Size2(9, 700)})
                    for (const Index out : {1, 16, 33}) {
                        const Winograd1dPlan plan(sizes(2, 3, out, image, taps), width, window);
                        INFO("image " << to_string(image) << ", taps " << taps << ", window " << window);
                        const Index height = image.height - taps + 1, columns = image.width - 4;
                        CHECK((plan.panels * width >= out && (plan.panels - 1) * width < out));
                        CHECK((plan.row_pixels >= columns && plan.row_pixels < columns + 4));
                        CHECK(
                            (plan.rows <= height && plan.rows + window > height && plan.rows % window == 0));
                        CHECK((plan.step >= window && plan.step % window == 0));
                        CHECK((plan.pass >= plan.step && plan.pass % plan.step == 0));
                        CHECK(plan.pass + taps - 1 <= width);  // its lines are the lanes of one array
                        CHECK((plan.step == window ||
                               plan.step * plan.row_pixels <= Winograd1dPlan::cached_pixels));
                    }
}
