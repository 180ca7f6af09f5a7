// SPDX-License-Identifier: MIT
#include "gradus/data/mix.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "gradus/loss/cross_entropy.hpp"
#include "support/same_bits.hpp"
#include "support/test.hpp"
#include "support/threads.hpp"

using namespace gradus;

namespace {

data::BatchInfo info(Index epoch, Index count) { return {epoch, 0, arange<Index>(count), {}}; }

/// Images of one value each, i + 1, and class i.
data::Batch<> constant_images(Index count) {
    Tensor<> images = Tensor<>::uninitialized({count, 2, 8, 10});
    float* out = images.mutable_data();
    for (Index i = 0; i < images.numel(); ++i) out[i] = static_cast<float>(i / 160 + 1);
    return {images, arange<Index>(count)};
}

}  // namespace

TEST_CASE("mixup blends inputs and labels by the same share") {
    const data::Batch<> batch = constant_images(50);
    const auto [inputs, targets] =
        data::augment(data::mixup({.alpha = 1, .classes = 50}))(batch, info(0, 50));
    CHECK(targets.shape() == Shape{50, 50});
    std::set<Index> distances;
    double sum = 0, squares = 0;
    for (Index i = 0; i < 50; ++i) {
        Index partner = -1;
        double total = 0;
        for (Index c = 0; c < 50; ++c) {
            total += static_cast<double>(targets(i, c));
            if (c != i && targets(i, c) > 0) partner = c;
        }
        CHECK_THAT(total, WithinAbs(1, 1e-6));
        const double keep = static_cast<double>(targets(i, i));
        sum += keep, squares += keep * keep;
        distances.insert((partner - i + 50) % 50);
        const double mixed =
            keep * static_cast<double>(i + 1) + (1 - keep) * static_cast<double>(partner + 1);
        for (const Index at : {0, 79, 159})
            CHECK_THAT(inputs.data()[i * 160 + at], WithinRel(static_cast<float>(mixed), 1e-5f));
    }
    CHECK(distances.size() == 1);  // one permutation: everyone is partner once
    CHECK(std::abs(sum / 50 - 0.5) < 3.3 * std::sqrt(1.0 / 12 / 50));  // uniform, as alpha = 1
    CHECK(batch.inputs == constant_images(50).inputs);
    // The loss takes such targets as they are.
    const auto loss = cross_entropy(Variable<>(zeros({50, 50})), targets);
    CHECK_THAT(loss.item(), WithinRel(std::log(50.0f), 1e-5f));
}

TEST_CASE("shares are Beta(alpha, alpha)") {
    for (const double alpha : {0.2, 1.0, 4.0}) {
        const Index count = 4000;
        std::vector<std::uint64_t> examples(4000);
        for (std::size_t i = 0; i < examples.size(); ++i) examples[i] = i;
        const data::Draws draws(1, 0, 0, examples);
        double sum = 0, squares = 0, low = 0;
        for (Index i = 0; i < count; ++i) {
            const double lambda = data::detail::beta_draw(draws, i, alpha);
            if (!(lambda >= 0 && lambda <= 1)) FAIL("not a share: " << lambda);
            sum += lambda, squares += (lambda - 0.5) * (lambda - 0.5), low += lambda < 0.1;
        }
        const double variance = 1 / (4 * (2 * alpha + 1));
        INFO("alpha " << alpha);
        CHECK(std::abs(sum / count - 0.5) < 3.3 * std::sqrt(variance / count));
        CHECK(std::abs(squares / count - variance) < 0.01);
        // P(λ < 0.1), by the series of the incomplete beta function.
        const double expected = alpha == 0.2 ? 0.3367 : alpha == 1 ? 0.1 : 0.0027;
        CHECK(std::abs(low / count - expected) < 3.3 * std::sqrt(expected * (1 - expected) / count));
    }
}

TEST_CASE("cutmix pastes a rectangle and counts its area") {
    const Index count = 60;
    const data::Batch<> batch = constant_images(count);
    const auto [images, targets] =
        data::augment({.seed = 2}, data::cutmix({.classes = count}))(batch, info(0, count));
    Index pasted = 0;
    for (Index i = 0; i < count; ++i) {
        const auto own = static_cast<float>(i + 1);
        Index top = 8, bottom = -1, left = 10, right = -1, area = 0;
        float other = 0;
        for (Index y = 0; y < 8; ++y)
            for (Index x = 0; x < 10; ++x) {
                CHECK(images(i, 0, y, x) == images(i, 1, y, x));
                if (images(i, 0, y, x) == own) continue;
                other = images(i, 0, y, x);
                top = std::min(top, y), bottom = std::max(bottom, y), left = std::min(left, x),
                right = std::max(right, x);
                ++area;
            }
        const float keep = 1 - static_cast<float>(area) / 80;
        CHECK_THAT(targets(i, i), WithinAbs(static_cast<double>(keep), 1e-6));
        if (area == 0) continue;
        ++pasted;
        CHECK(area == (bottom - top + 1) * (right - left + 1));
        CHECK_THAT(targets(i, static_cast<Index>(other) - 1), WithinAbs(static_cast<double>(1 - keep), 1e-6));
    }
    CHECK(pasted > count / 2);
}

TEST_CASE("mixing depends on seed, epoch and batch, on no thread") {
    const data::Batch<> batch = constant_images(33);
    const auto both = data::augment({.seed = 5}, data::cutmix({.classes = 33}), data::mixup({.alpha = 0.4}));
    const auto once = both(batch, info(1, 33));
    for (const int threads : {1, 2, 3}) {
        const Threads set(threads);
        const auto again = both(batch, info(1, 33));
        CHECK(same_bits(again.inputs, once.inputs));
        CHECK(same_bits(again.labels, once.labels));
    }
    CHECK_FALSE(same_bits(both(batch, info(2, 33)).inputs, once.inputs));
    for (Index i = 0; i < 33; ++i) {  // soft labels can be mixed again
        double sum = 0;
        for (Index c = 0; c < 33; ++c) sum += static_cast<double>(once.labels(i, c));
        CHECK_THAT(sum, WithinAbs(1, 1e-6));
    }
    const auto alone = both(data::Batch<>{batch.inputs.rows(0, 1), Tensor<Index>{4}}, info(0, 1));
    CHECK(alone.inputs == batch.inputs.rows(0, 1));
    CHECK(alone.labels(0, 4) == 1);
}

TEST_CASE("mixing refuses labels that it does not know") {
    const data::Batch<> batch = constant_images(4);
    CHECK_THROWS_MATCHES(data::mixup({.alpha = 0}), ValueError,
                         Message("mixup: alpha must be above 0: got 0"));
    CHECK_THROWS_MATCHES(data::cutmix({.classes = -1}), ValueError,
                         Message("cutmix: classes must be at least 1: got -1"));
    CHECK_THROWS_MATCHES(data::augment(data::mixup({}))(batch, info(0, 4)), ValueError,
                         Message("mixup: set classes: how many there are, to mix labels [batch] of them"));
    CHECK_THROWS_MATCHES(data::augment(data::mixup({.classes = 3}))(batch, info(0, 4)), ValueError,
                         Message("mixup: labels are 0 to 2: got 3"));
    CHECK_THROWS_MATCHES(
        data::augment(data::cutmix({.classes = 4}))(data::Batch<>{zeros({4, 3}), batch.labels}, info(0, 4)),
        ShapeError,
        Message("cutmix: images are [batch, channels, height, width] or [batch, height, width]: got [4, 3]"));
}
