// SPDX-License-Identifier: MIT
#include "gradus/kernels/conv/depthwise_tiles.hpp"

#include <algorithm>
#include <vector>

#include "support/isas.hpp"
#include "support/random.hpp"
#include "support/test.hpp"

using namespace gradus;
using kernels::detail::add_taps;
using kernels::detail::DepthwiseTiles;
using kernels::detail::TapColumn;
using kernels::detail::TapColumns;

TEST_CASE("depthwise tiles: taps below each other are cut into columns of about equal height") {
    for (const Index taps : {0, 1, 3, 4, 5, 7, 8, 9, 31}) {
        INFO(taps << " taps");
        TapColumns columns;
        add_taps(columns, 10, {100, 7, -2, taps});
        Index next = 0, fewest = taps, most = 0;
        for (const TapColumn& c : columns) {
            CHECK(c.offset == 100 + next * 10);
            CHECK(c.first == 7 - next * 2);
            CHECK(c.step == -2);
            next += c.taps;
            fewest = std::min(fewest, c.taps);
            most = std::max(most, c.taps);
        }
        CHECK(next == taps);
        CHECK(most <= TapColumn::at_most);
        CHECK(most <= fewest + 1);
    }
}

TEST_CASE("depthwise tiles: planes of any size, and nothing beside them is written") {
    constexpr Index row = 48, kernel = 5, beside = 9;
    const Tensor<> x = whole_numbers<float>({40 * row}, 1), w = whole_numbers<float>({kernel * kernel}, 2);
    TapColumns columns;
    for (Index kx = 0; kx < kernel; ++kx) add_taps(columns, row, {kx, kx, kernel, kernel});
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scope(isa);
        for (const Index height : {1, 2, 3, 4, 5, 7, 8, 30})
            for (const Index width : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 33, 40}) {
                INFO(height << " x " << width);
                const Index y_row = width + beside;
                Tensor<> expected = full<float>({height, y_row}, 0.5f);
                for (Index i = 0; i < height; ++i)
                    for (Index j = 0; j < width; ++j) {
                        float sum = 3;
                        for (Index ky = 0; ky < kernel; ++ky)
                            for (Index kx = 0; kx < kernel; ++kx)
                                sum += w.data()[ky * kernel + kx] * x.data()[(i + ky) * row + j + kx];
                        expected.mutable_data()[i * y_row + j] = sum;
                    }
                Tensor<> y = full<float>({height, y_row}, 0.5f);
                simd::run(DepthwiseTiles<float>{
                    x.data(), row, columns, w.data(), 3, {height, width}, y.mutable_data(), y_row});
                CHECK(y == expected);
            }
    }
}
