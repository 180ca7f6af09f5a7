// SPDX-License-Identifier: MIT
#include "gradus/data/resize.hpp"

#include "gradus/core/random.hpp"
#include "support/test.hpp"
#include "support/threads.hpp"

using namespace gradus;
using data::resize;

TEST_CASE("images that grow are interpolated, those that shrink are averaged") {
    const Tensor<double> line{{0, 1}};
    CHECK(resize(line, {1, 4}) == Tensor<double>{{0, 0.25, 0.75, 1}});
    CHECK(resize(line, {2, 2}) == Tensor<double>{{0, 1}, {0, 1}});
    const Tensor<double> four{
        {0, 1, 2, 3}};  // triangles of weights 1 3 3 1 around the middles, cut at the borders
    CHECK_THAT(resize(four, {1, 2})(0, 0), WithinAbs((3 * 0 + 3 * 1 + 1 * 2) / 7.0, 1e-15));
    CHECK_THAT(resize(four, {1, 2})(0, 1), WithinAbs((1 * 1 + 3 * 2 + 3 * 3) / 7.0, 1e-15));
    CHECK_THAT(resize(four, {1, 1})(0, 0), WithinAbs(1.5, 1e-15));
    CHECK(resize(four, {1, 4}).shares_memory_with(four));
    const Tensor<std::uint8_t> bytes{{{0, 255}}};
    CHECK(resize(bytes, {1, 4}) == Tensor<std::uint8_t>{{{0, 64, 191, 255}}});
}

TEST_CASE("a constant image stays constant, and each image is resized alone") {
    CHECK(resize(full<std::uint8_t>({2, 3, 17, 13}, 200), {5, 29}) == full<std::uint8_t>({2, 3, 5, 29}, 200));
    Generator generator(1);
    const Tensor<> images = rand({4, 3, 9, 7}, generator);
    const Tensor<> all = resize(images, {6, 11});
    CHECK(all.shape() == Shape{4, 3, 6, 11});
    CHECK(resize(images.rows(2, 3), {6, 11}) == all.rows(2, 3));
    for (int threads = 1; threads <= 3; ++threads) {
        const Threads limit(threads);
        CHECK(resize(images, {6, 11}) == all);
    }
}

TEST_CASE("resize refuses what has no size") {
    CHECK_THROWS_MATCHES(
        resize(zeros({3, 4, 4}), {0, 4}), ShapeError,
        Message("resize: needs images [..., height, width] and a size of at least 1 x 1: got "
                "[3, 4, 4] and [0, 4]"));
    CHECK_THROWS_AS(resize(zeros({3}), {1, 1}), ShapeError);
    CHECK_THROWS_AS(resize(zeros({3, 0, 4}), {1, 1}), ShapeError);
    CHECK_THROWS_AS(resize(zeros({3, 4, 4}), {4, -1}), ShapeError);
}
