// SPDX-License-Identifier: MIT
#include "gradus/data/augment.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>
#include <vector>

#include "gradus/data/augment_images.hpp"
#include "gradus/data/augment_values.hpp"
#include "gradus/data/mix.hpp"
#include "gradus/data/transform.hpp"
#include "gradus/ops/arithmetic.hpp"
#include "gradus/ops/on_tensors.hpp"
#include "support/same_bits.hpp"
#include "support/test.hpp"
#include "support/threads.hpp"

using namespace gradus;
using data::PaddingMode;

namespace {

/// Pixel j of image i is 1000 i + j.
template <class T = float>
Tensor<T> numbered(const Shape& shape) {
    Tensor<T> x = Tensor<T>::uninitialized(shape);
    const Index size = shape.numel() / shape[0];
    T* out = x.mutable_data();
    for (Index i = 0; i < shape.numel(); ++i) out[i] = static_cast<T>(1000 * (i / size) + i % size);
    return x;
}

data::BatchInfo info(Index epoch, Index first, Index count) {
    Tensor<Index> rows = arange<Index>(count);
    for (Index& row : rows.mutable_values()) row += first;
    return {epoch, 0, rows, {}};
}

template <class Op, class T>
Tensor<T> once(const Op& op, const Tensor<T>& x, Index epoch = 0) {
    return data::augment({.seed = 7}, op)(x, info(epoch, 0, x.size(0)));
}

template <class T>
Tensor<T> image(const Tensor<T>& x, Index i) {
    return x.rows(i, i + 1).reshape(x.shape().without(0));
}

/// The pixel of a plane [height, width] beyond its border: mirrored without repeating the outermost, or the fill.
template <class T>
T beyond(const Tensor<T>& plane, Index y, Index x, bool reflect, T fill) {
    const auto mirror = [](Index i, Index size) {
        while (i < 0 || i >= size) i = i < 0 ? -i : 2 * size - 2 - i;
        return i;
    };
    const Index height = plane.size(0), width = plane.size(1);
    if (reflect) return plane(mirror(y, height), mirror(x, width));
    return y < 0 || y >= height || x < 0 || x >= width ? fill : plane(y, x);
}

/// Every operation that draws at random.
template <class Call>
void for_each_operation(const Call& call) {
    call("crop", data::random_crop({.padding = 3, .padding_mode = PaddingMode::reflect}));
    call("shift", data::random_shift({.pixels = 3}));
    call("horizontal flip", data::random_horizontal_flip());
    call("vertical flip", data::random_vertical_flip());
    call("alternating flip", data::alternating_flip());
    call("rotate", data::random_rotate({.degrees = 30}));
    call("erase", data::random_erase({.size = 4, .p = 0.7}));
    call("noise", data::gaussian_noise());
    call("brightness", data::random_brightness());
    call("contrast", data::random_contrast());
}

}  // namespace

TEST_CASE("each decision is a function of seed, epoch and example") {
    Generator generator(1);
    const Tensor<> x = rand({40, 2, 9, 11}, generator);
    const Tensor<> before(x.shape(), x.values());
    for_each_operation([&](const std::string& name, const auto& op) {
        INFO(name);
        const auto augmentation = data::augment({.seed = 3}, op);
        const Tensor<> whole = augmentation(x, info(5, 100, 40));
        CHECK_FALSE(same_bits(whole, x));
        // An example alone, or in other company, comes out the same.
        CHECK(same_bits(augmentation(x.rows(31, 36), info(5, 131, 5)), whole.rows(31, 36)));
        CHECK(same_bits(augmentation(x.rows(7, 8), info(5, 107, 1)), whole.rows(7, 8)));
        for (const int threads : {1, 2, 3}) {
            const Threads set(threads);
            CHECK(same_bits(augmentation(x, info(5, 100, 40)), whole));
        }
        CHECK_FALSE(same_bits(augmentation(x, info(6, 100, 40)), whole));
        CHECK_FALSE(same_bits(augmentation(x, info(5, 101, 40)), whole));
        CHECK_FALSE(same_bits(data::augment({.seed = 4}, op)(x, info(5, 100, 40)), whole));
        data::BatchInfo again = info(5, 100, 40);
        again.repeats = zeros<Index>({40});
        CHECK(same_bits(augmentation(x, again), whole));
        again.repeats = full<Index>({40}, 1);  // an example that is drawn again in an epoch looks different
        CHECK_FALSE(same_bits(augmentation(x, again), whole));
        CHECK(same_bits(x, before));  // a batch of the caller's own is as it was
    });
}

TEST_CASE("a crop is a window of the padded image") {
    const Tensor<> x = numbered({60, 2, 5, 6});
    for (const bool reflect : {false, true})
        for (const auto& [height, width] : {std::pair<Index, Index>{5, 6}, {3, 4}, {9, 10}}) {
            const Tensor<> y = once(
                data::random_crop({.height = height,
                                   .width = width,
                                   .padding = 3,
                                   .padding_mode = reflect ? PaddingMode::reflect : PaddingMode::constant,
                                   .fill = -1}),
                x);
            CHECK(y.shape() == Shape{60, 2, height, width});
            std::set<std::pair<Index, Index>> places;
            for (Index i = 0; i < 60; ++i) {
                int fits =
                    0;  // the windows that it could be; each is another one, so there must be exactly one
                for (Index top = -3; top + height <= 8; ++top)
                    for (Index left = -3; left + width <= 9; ++left) {
                        bool equal = true;
                        for (Index c = 0; c < 2; ++c)
                            for (Index r = 0; r < height; ++r)
                                for (Index k = 0; k < width; ++k)
                                    equal &= y(i, c, r, k) ==
                                             beyond(image(image(x, i), c), top + r, left + k, reflect, -1.0f);
                        if (equal) ++fits, places.emplace(top, left);
                    }
                if (fits == 0) FAIL("image " << i << " is no window");
            }
            CHECK(places.size() >= (height > 5 ? 9 : 20));
        }
}

TEST_CASE("windows are at all places equally often") {
    const Tensor<> x = numbered({4000, 1, 4});  // images [1, 4], no channels
    const Tensor<> y = once(data::random_crop({.height = 1, .width = 2}), x);
    double observed[3] = {};
    for (Index i = 0; i < 4000; ++i) ++observed[static_cast<Index>(y(i, 0, 0)) % 1000];
    double chi_square = 0;
    for (const double count : observed)
        chi_square += (count - 4000.0 / 3) * (count - 4000.0 / 3) / (4000.0 / 3);
    CHECK(chi_square < 13.82);  // 2 degrees of freedom, once in 1000
}

TEST_CASE("a shift moves whole pixels and fills the border") {
    const Tensor<> x = numbered({30, 1, 4, 4});
    const Tensor<> y = once(data::random_shift({.pixels = 1, .fill = 9}), x);
    CHECK(same_bits(y, once(data::random_crop({.padding = 1, .fill = 9}), x)));
    std::set<float> corners;
    for (Index i = 0; i < 30; ++i) corners.insert(y(i, 0, 1, 1) - static_cast<float>(1000 * i));
    CHECK(corners == std::set<float>{0, 1, 2, 4, 5, 6, 8, 9, 10});
}

TEST_CASE("flips mirror about half of the images") {
    const Tensor<> x = numbered({400, 2, 3, 5});
    const Tensor<> sideways = once(data::random_horizontal_flip(), x),
                   upside = once(data::random_vertical_flip(), x);
    Index flipped = 0;
    for (Index i = 0; i < 400; ++i) {
        const bool flip = sideways(i, 0, 0, 0) != x(i, 0, 0, 0), turn = upside(i, 0, 0, 0) != x(i, 0, 0, 0);
        flipped += flip;
        for (Index c = 0; c < 2; ++c)
            for (Index row = 0; row < 3; ++row)
                for (Index k = 0; k < 5; ++k)
                    if (sideways(i, c, row, k) != x(i, c, row, flip ? 4 - k : k) ||
                        upside(i, c, row, k) != x(i, c, turn ? 2 - row : row, k))
                        FAIL("image " << i);
    }
    CHECK(std::abs(static_cast<double>(flipped) - 200) < 33);  // 3.3 standard deviations
    CHECK(same_bits(once(data::random_horizontal_flip({.p = 0}), x), x));
    CHECK(once(data::random_horizontal_flip({.p = 1}), numbered({1, 1, 3})) == Tensor<>{{{2, 1, 0}}});
    CHECK(once(data::random_vertical_flip({.p = 1}), numbered({1, 3, 1})) == Tensor<>{{{2}, {1}, {0}}});
}

TEST_CASE("an alternating flip shows each side in every second epoch") {
    const Tensor<> x = numbered({200, 1, 2, 3});
    const Tensor<> first = once(data::alternating_flip(), x, 0),
                   second = once(data::alternating_flip(), x, 1);
    Index flipped = 0;
    for (Index i = 0; i < 200; ++i) {
        const bool now = first(i, 0, 0, 0) != x(i, 0, 0, 0), then = second(i, 0, 0, 0) != x(i, 0, 0, 0);
        if (now == then) FAIL("image " << i << " is the same in two epochs");
        flipped += now;
    }
    CHECK(std::abs(static_cast<double>(flipped) - 100) < 24);
    CHECK(same_bits(once(data::alternating_flip(), x, 2), first));
    CHECK(same_bits(once(data::alternating_flip(), x, 9), second));
}

TEST_CASE("rotation is that of the plane, counterclockwise") {
    const data::detail::ImageSizes sizes{1, 1, 3, 3};
    const Tensor<> x{{0, 1, 2}, {3, 4, 5}, {6, 7, 8}};
    Tensor<> y = zeros({3, 3});
    data::detail::rotate_image(y.mutable_data(), x.data(), sizes, std::numbers::pi / 2, 0.0f);
    const Tensor<> quarter{{2, 5, 8}, {1, 4, 7}, {0, 3, 6}};  // numpy.rot90
    for (Index i = 0; i < 9; ++i)
        CHECK_THAT(y.data()[i], WithinAbs(static_cast<double>(quarter.data()[i]), 1e-5));
    // By 45° the middle of the upper side comes from between the right and the upper right pixel.
    data::detail::rotate_image(y.mutable_data(), x.data(), sizes, std::numbers::pi / 4, 0.0f);
    const double s = std::sqrt(0.5);
    // (row, column) = (1 - s, 1 + s): between rows 0 and 1, columns 1 and 2; x = 3 row + column there, as it is linear.
    CHECK_THAT(y(0, 1), WithinAbs(3 * (1 - s) + 1 + s, 1e-5));
    CHECK_THAT(y(1, 1), WithinAbs(4, 1e-6));
    // The upper right corner comes from (row, column) = (1, 1 + 2 s), beyond the right side: from pixel (1, 2) and, as
    // far as it is beyond, from the fill.
    data::detail::rotate_image(y.mutable_data(), x.data(), sizes, std::numbers::pi / 4, 100.0f);
    CHECK_THAT(y(0, 2), WithinAbs(5 * (2 - 2 * s) + 100 * (2 * s - 1), 1e-3));
    Tensor<Index> classes{{0, 1, 2}, {3, 4, 5}, {6, 7, 8}}, turned = zeros<Index>({3, 3});
    data::detail::rotate_image(turned.mutable_data(), classes.data(), sizes, std::numbers::pi / 2, Index{0});
    CHECK(turned == cast<Index>(quarter));
}

TEST_CASE("erased squares are cut off at the border") {
    const Tensor<> x = full({200, 2, 6, 7}, 1);
    const Tensor<> y = once(data::random_erase({.size = 3, .p = 0.5, .fill = 5}), x);
    std::set<Index> areas;
    Index erased = 0;
    for (Index i = 0; i < 200; ++i) {
        Index top = 6, bottom = -1, left = 7, right = -1, area = 0;
        for (Index r = 0; r < 6; ++r)
            for (Index k = 0; k < 7; ++k) {
                if (y(i, 0, r, k) != y(i, 1, r, k)) FAIL("channels differ");
                if (y(i, 0, r, k) == 1) continue;
                CHECK(y(i, 0, r, k) == 5);
                top = std::min(top, r), bottom = std::max(bottom, r);
                left = std::min(left, k), right = std::max(right, k);
                ++area;
            }
        if (area > 0) {
            ++erased;
            areas.insert(area);
            CHECK(area == (bottom - top + 1) * (right - left + 1));  // a rectangle
            CHECK(bottom - top < 3);
            CHECK(right - left < 3);
        }
    }
    CHECK(areas == std::set<Index>{4, 6, 9});  // in a corner, at a side, inside
    CHECK(std::abs(static_cast<double>(erased) - 100) < 24);
}

TEST_CASE("noise is normal, brightness and contrast are factors") {
    const Tensor<> x = full({50, 401}, 2);
    const Tensor<> y = once(data::gaussian_noise({.std = 0.5}), x);
    double sum = 0, squares = 0, beyond_two = 0;
    for (const float value : y) {
        const double z = (static_cast<double>(value) - 2) / 0.5;
        sum += z, squares += z * z, beyond_two += std::abs(z) > 2;
    }
    const auto n = static_cast<double>(x.numel());
    CHECK(std::abs(sum / n) < 3.3 / std::sqrt(n));
    CHECK(std::abs(squares / n - 1) < 3.3 * std::sqrt(2 / n));
    CHECK(std::abs(beyond_two / n - 0.0455) < 3.3 * std::sqrt(0.0455 * 0.9545 / n));
    CHECK(std::set<float>(y.begin(), y.end()).size() > 19000);  // no number twice, but by chance

    const Tensor<> z = numbered({30, 4});
    const Tensor<> bright = once(data::random_brightness({.amount = 0.5}), z);
    const Tensor<> strong = once(data::random_contrast({.amount = 0.5}), z);
    std::set<float> factors;
    for (Index i = 0; i < 30; ++i) {
        const float f = bright(i, 3) / z(i, 3), mean = z(i, 0) + 1.5f, g = (strong(i, 3) - strong(i, 0)) / 3;
        factors.insert(f);
        CHECK(f >= 0.5f);
        CHECK(f <= 1.5f);
        CHECK_THAT(bright(i, 1), WithinRel(f * z(i, 1), 1e-5f));
        CHECK(g >= 0.49f);
        CHECK(g <= 1.51f);
        CHECK_THAT(strong(i, 0), WithinAbs(static_cast<double>(mean - 1.5f * g), 0.01));
    }
    CHECK(factors.size() > 25);
}

TEST_CASE("the chain goes on where an operation ends") {
    const data::Batch<> batch{numbered({4, 1, 3, 3}), {0, 1, 2, 3}};
    const auto standardize = data::Standardize(full<double>({}, 1), full<double>({}, 2));
    const auto labels = [](data::Batch<> x, const data::Draws& draws) {
        CHECK(draws.size() == 4);
        CHECK(draws.epoch() == 3);
        x.labels = Tensor<Index>{5, 5, 5, 5};
        return x;
    };
    const auto doubled = [](Tensor<> x, const data::Draws&) { return x * 2; };
    const auto whole = [](data::Batch<> x) { return data::Batch<>{x.inputs + 1, x.labels}; };
    const auto chain = data::augment(doubled, standardize, labels, whole);
    const data::Batch<> result = chain(batch, info(3, 0, 4));
    CHECK(result.labels == Tensor<Index>{5, 5, 5, 5});
    CHECK(result.inputs == (batch.inputs * 2 - 1) / 2 + 1);
    // The order counts: what comes in at the border is standardized, or is not.
    const auto shift = data::random_shift({.pixels = 3, .fill = 0});
    const auto before = data::augment(shift, standardize)(batch.inputs, info(0, 0, 4));
    const auto after = data::augment(standardize, shift)(batch.inputs, info(0, 0, 4));
    CHECK(*std::min_element(before.begin(), before.end()) == -0.5f);
    CHECK(std::count(after.begin(), after.end(), 0.0f) > 0);
    // The same operation twice decides twice.
    const auto flip = data::random_horizontal_flip();
    const Tensor<> x = numbered({64, 1, 1, 2});
    CHECK_FALSE(same_bits(data::augment(flip, flip)(x, info(0, 0, 64)), x));
    CHECK_THROWS_MATCHES(data::augment(flip)(x, info(0, 0, 63)), ValueError,
                         Message("augment: needs the number of each of 64 examples: got 63 rows"));
}

TEST_CASE("several tensors of a batch change together") {
    struct Scan {
        Tensor<> image;
        Tensor<Index> mask;
        Tensor<Index> label;
    };
    Tensor<Index> mask = cast<Index>(numbered({20, 6, 6}));
    const Scan scans{numbered({20, 1, 6, 6}), mask, arange<Index>(20)};
    const auto both =
        data::augment(data::on(data::random_crop({.padding = 2, .padding_mode = PaddingMode::reflect}),
                               &Scan::image, &Scan::mask),
                      data::on(data::alternating_flip(), &Scan::image, &Scan::mask));
    const Scan result = both(scans, info(0, 0, 20));
    CHECK(result.image.reshape({20, 6, 6}) == cast<float>(result.mask));
    CHECK_FALSE(result.mask == mask);
    CHECK(result.label == scans.label);
    // Classes are not interpolated.
    const auto turned =
        data::augment(data::on(data::random_rotate({.degrees = 40}), &Scan::mask))(scans, info(0, 0, 20));
    for (Index i = 0; i < 20; ++i)
        for (const Index value : image(turned.mask, i)) CHECK((value == 0 || value / 1000 == i));
    CHECK(turned.image == scans.image);
    // Without on(): the first tensor.
    const Scan first = data::augment(data::random_vertical_flip({.p = 1}))(scans, info(0, 0, 20));
    CHECK(first.mask == mask);
    CHECK(first.image(0, 0, 0, 0) == 30);
}

TEST_CASE("augmentation refuses what it cannot mean") {
    const Tensor<> x = zeros({2, 3, 4, 5});
    CHECK_THROWS_MATCHES(
        data::random_crop({}), ValueError,
        Message("random_crop: there is nothing to choose from: set padding, or height and width"));
    CHECK_THROWS_MATCHES(data::random_crop({.height = -1}), ValueError,
                         Message("random_crop: sizes and padding must be at least 0: got -1, 0 and 0"));
    CHECK_THROWS_MATCHES(
        once(data::random_crop({.height = 7, .padding = 1}), x), ShapeError,
        Message("random_crop: the window must fit into the padded image: got 7 x 5 with padding 1 "
                "for [2, 3, 4, 5]"));
    CHECK_THROWS_MATCHES(
        once(data::random_crop({.padding = 4, .padding_mode = PaddingMode::reflect}), x), ShapeError,
        Message("random_crop: to reflect, the padding must be less than height and width: got 4 for "
                "[2, 3, 4, 5]"));
    CHECK_THROWS_MATCHES(
        once(data::alternating_flip(), zeros({2, 3})), ShapeError,
        Message("alternating_flip: images are [batch, channels, height, width] or [batch, height, "
                "width]: got [2, 3]"));
    CHECK_THROWS_MATCHES(data::random_shift({.pixels = 0}), ValueError,
                         Message("random_shift: pixels must be at least 1: got 0"));
    CHECK_THROWS_MATCHES(data::random_horizontal_flip({.p = 1.5}), ValueError,
                         Message("random_horizontal_flip: p must be 0 to 1: got 1.5"));
    CHECK_THROWS_MATCHES(data::random_vertical_flip({.p = std::nan("")}), ValueError,
                         Message("random_vertical_flip: p must be 0 to 1: got nan"));
    CHECK_THROWS_MATCHES(data::random_rotate({.degrees = 200}), ValueError,
                         Message("random_rotate: degrees must be 0 to 180: got 200"));
    CHECK_THROWS_MATCHES(data::random_erase({.size = 0}), ValueError,
                         Message("random_erase: size must be at least 1: got 0"));
    CHECK_THROWS_MATCHES(data::random_erase({.p = -1}), ValueError,
                         Message("random_erase: p must be 0 to 1: got -1"));
    CHECK_THROWS_MATCHES(data::gaussian_noise({.std = -1}), ValueError,
                         Message("gaussian_noise: std must be finite and at least 0: got -1"));
    CHECK_THROWS_MATCHES(data::random_brightness({.amount = 2}), ValueError,
                         Message("random_brightness: amount must be 0 to 1: got 2"));
    CHECK_THROWS_MATCHES(data::random_contrast({.amount = -1}), ValueError,
                         Message("random_contrast: amount must be 0 to 1: got -1"));
    for_each_operation([](const std::string& name, const auto& op) {  // nothing to change is no error
        INFO(name);
        CHECK(once(op, zeros({0, 1, 8, 8})).shape() == Shape{0, 1, 8, 8});
    });
}
