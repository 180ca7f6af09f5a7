// SPDX-License-Identifier: MIT
// Losses that are added up, as in detection and segmentation.

#include <vector>

#include "gradus/loss/bce_with_logits.hpp"
#include "gradus/loss/cross_entropy.hpp"
#include "gradus/loss/smooth_l1.hpp"
#include "gradus/nn/linear.hpp"
#include "gradus/nn/model.hpp"
#include "gradus/ops/activation.hpp"
#include "gradus/ops/layout.hpp"
#include "gradus/ops/reduce.hpp"
#include "gradus/optim/sgd.hpp"
#include "support/numbers.hpp"

using namespace gradus;

namespace {

constexpr Index samples = 24, classes = 3, side = 4;

/// One body and a head for the box, the class of the whole and a score for every pixel and class.
struct Net {
    nn::Linear<> body, box, kind, mask;

    explicit Net(Generator generator)
        : body(8, 16, {}, generator),
          box(16, 4, {}, generator),
          kind(16, classes, {}, generator),
          mask(16, classes * side * side, {}, generator) {}
    auto fields() {
        return std::tuple(field("body", body), field("box", box), field("kind", kind), field("mask", mask));
    }
};

struct Truth {
    Tensor<> inputs, boxes, masks;  // masks [samples, side, side] of 0 and 1
    Tensor<Index> labels, pixels;   // pixels [samples, side, side]: a class for each
};

Truth make_truth() {
    Generator generator(3);
    Truth truth{randn({samples, 8}, generator), rand({samples, 4}, generator), zeros({samples, side, side}),
                zeros<Index>({samples}), zeros<Index>({samples, side, side})};
    for (Index i = 0; i < samples; ++i) truth.labels.mutable_at(i) = truth.inputs(i, 0) > 0 ? 1 : 2 * (i % 2);
    for (Index i = 0; i < truth.masks.numel(); ++i) {
        const bool inside = truth.inputs(i / (side * side), i % 8) > 0;
        truth.masks.mutable_data()[i] = inside ? 1.0f : 0.0f;
        truth.pixels.mutable_data()[i] = inside ? 1 + i % 2 : 0;
    }
    return truth;
}

using Losses = std::vector<Variable<>>;

/// Box regression and weighted cross-entropy of the class.
Losses detection(const Net& net, const Truth& truth) {
    const Variable<> h = relu(net.body(truth.inputs));
    return {smooth_l1(net.box(h), truth.boxes, {.beta = 0.5}),
            cross_entropy(net.kind(h), truth.labels, {.weight = {1, 0.5f, 3}, .label_smoothing = 0.05})};
}

/// Box regression, and every pixel twice: inside or outside, and its class, where class 0 is not counted.
Losses segmentation(const Net& net, const Truth& truth) {
    const Variable<> h = relu(net.body(truth.inputs));
    const Variable<> scores = reshape(net.mask(h), {samples, classes, side, side});
    return {smooth_l1(net.box(h), truth.boxes),
            bce_with_logits(sum(scores, 1), truth.masks, {.pos_weight = {2}}),
            cross_entropy(scores, truth.pixels, {.ignore_index = 0})};
}

template <class F>
std::vector<Tensor<>> gradients(Net& net, const F& loss) {
    auto parameters = nn::parameters(net);
    for (auto& parameter : parameters) parameter.zero_grad();
    loss().backward();
    std::vector<Tensor<>> result;
    for (const auto& parameter : parameters)
        result.push_back(parameter.has_grad() ? parameter.grad() : zeros(parameter.shape()));
    return result;
}

Variable<> total(const Losses& parts) {
    Variable<> result = parts[0];
    for (std::size_t i = 1; i < parts.size(); ++i) result = result + parts[i];
    return result;
}

void check_sum(Losses (*losses)(const Net&, const Truth&)) {
    const Truth truth = make_truth();
    Net net{Generator(5)};
    const Losses parts = losses(net, truth);
    double value = 0;
    std::vector<Tensor<>> expected;
    for (const auto& parameter : nn::parameters(net)) expected.push_back(zeros(parameter.shape()));
    for (std::size_t i = 0; i < parts.size(); ++i) {
        value += static_cast<double>(parts[i].item());
        const auto part = gradients(net, [&] { return losses(net, truth)[i]; });
        for (std::size_t k = 0; k < part.size(); ++k) expected[k] = expected[k] + part[k];
    }
    CHECK(static_cast<double>(total(parts).item()) == Approx(value));
    const auto together = gradients(net, [&] { return total(losses(net, truth)); });
    for (std::size_t k = 0; k < together.size(); ++k) {
        INFO("parameter " << k);
        check_numbers(together[k], expected[k], 1e-6f);
    }
}

void check_learns(Losses (*losses)(const Net&, const Truth&)) {
    const Truth truth = make_truth();
    Net net{Generator(5)};
    optim::SGD sgd(nn::parameters(net), {.lr = 0.1, .momentum = 0.9});
    const Losses before = losses(net, truth);
    for (int step = 0; step < 50; ++step) {
        sgd.zero_grad();
        total(losses(net, truth)).backward();
        sgd.step();
    }
    const Losses after = losses(net, truth);
    for (std::size_t i = 0; i < before.size(); ++i) {
        INFO("part " << i);
        CHECK(after[i].item() < 0.7f * before[i].item());
    }
}

}  // namespace

TEST_CASE("losses: a detection is the sum of its parts, and so is its gradient") { check_sum(detection); }

TEST_CASE("losses: a segmentation is the sum of its parts, and so is its gradient") {
    check_sum(segmentation);
}

TEST_CASE("losses: minimizing the sum makes each part smaller") {
    check_learns(detection);
    check_learns(segmentation);
}

TEST_CASE("losses: weights of a sum weigh the gradients") {
    const Truth truth = make_truth();
    Net net{Generator(5)};
    const auto box_alone = gradients(net, [&] { return detection(net, truth)[0] * 3.0f; });
    const auto weighted = gradients(net, [&] {
        const Losses parts = detection(net, truth);
        return parts[0] * 3.0f + parts[1] * 0.0f;
    });
    for (std::size_t k = 0; k < weighted.size(); ++k) check_numbers(weighted[k], box_alone[k], 1e-7f);
}
