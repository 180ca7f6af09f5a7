// SPDX-License-Identifier: MIT
// Finds a garment on a larger canvas: its box, its class and a coarse mask. Three losses, one sum.

#include <algorithm>
#include <cstdio>
#include <vector>

#include <gradus/gradus.hpp>
#include <gradus/training/multilabel.hpp>

#include "support/choices.hpp"
#include "support/flags.hpp"
#include "support/report.hpp"

namespace data = gradus::data;
namespace nn = gradus::nn;
using gradus::Index, gradus::Tensor, gradus::Variable, gradus::zeros;

constexpr Index canvas = 40, garment = 28, cell = 4, cells = canvas / cell;

struct Scenes {  // [n, canvas²]; [n, 4]: left, top, right, bottom in [0, 1]; [n, cells²]; [n]
    Tensor<> images, boxes, masks;
    Tensor<Index> labels;
};

// Puts each garment in a random place. Box and mask are where it is not dark.
Scenes paste(const data::Dataset<>& garments) {
    const Index n = garments.size();
    Scenes s{zeros({n, canvas * canvas}), zeros({n, 4}), zeros({n, cells * cells}), garments.labels};
    const auto places = gradus::cast<Index>(gradus::uniform({n, 2}, 0, canvas - garment + 1));
    const float* pixel = garments.inputs.data();
    for (Index i = 0; i < n; ++i) {
        const Index left = places(i, 0), top = places(i, 1);
        Index box[] = {canvas, canvas, 0, 0};
        for (Index y = top; y < top + garment; ++y)
            for (Index x = left; x < left + garment; ++x) {
                if ((s.images.mutable_at(i, y * canvas + x) = *pixel++) < 0.2f) continue;
                s.masks.mutable_at(i, y / cell * cells + x / cell) = 1;
                box[0] = std::min(box[0], x), box[2] = std::max(box[2], x + 1);
                box[1] = std::min(box[1], y), box[3] = std::max(box[3], y + 1);
            }
        for (int k = 0; k < 4; ++k) s.boxes.mutable_at(i, k) = static_cast<float>(box[k]) / canvas;
    }
    return s;
}

// Of box, class and mask; training takes their sum.
std::vector<Variable<>> losses(const std::vector<Variable<>>& found, const Scenes& s) {
    const Tensor<> weight{1, 1, 1, 1, 1, 1, 2, 1, 1, 1};  // shirts are the hardest to tell
    return {smooth_l1(found[0], s.boxes, {.beta = 0.05}),
            cross_entropy(found[1], s.labels, {.weight = weight}), bce_with_logits(found[2], s.masks)};
}

// The mean of intersection over union.
double box_iou(const Variable<>& a, const Variable<>& b) {
    const auto area = [](const Variable<>& low, const Variable<>& high) {
        const Variable<> sides = relu(high - low);
        return slice(sides, 1, 0, 1) * slice(sides, 1, 1, 2);
    };
    const auto p = split(a, 2, 1), q = split(b, 2, 1);  // the lower and the upper corner
    const Variable<> both = area(maximum(p[0], q[0]), minimum(p[1], q[1]));
    return static_cast<double>(mean(both / (area(p[0], p[1]) + area(q[0], q[1]) - both)).item());
}

void train(const Flags& flags) {
    gradus::manual_seed(flags.seed);
    const auto [train_set, test_set] = data::fashion_mnist(flags.data);
    const data::Dataset<> garments = flags.limited(train_set);
    const Scenes seen = paste(garments), test = paste(test_set);
    std::printf("baselines: box IoU %.3f (the mean box), accuracy %.3f (one class). Losses and scores:\n",
                box_iou(mean(Variable<>(seen.boxes), 0, {.keepdim = true}), test.boxes),
                accuracy(gradus::one_hot(zeros<Index>(test.labels.shape()), 10), test.labels));
    nn::Sequential net(nn::Linear<>(canvas * canvas, 256), nn::ReLU(), nn::Linear<>(256, 128), nn::ReLU(),
                       nn::Linear<>(128, 4 + 10 + cells * cells));
    const auto find = [&](const Tensor<>& images) { return split(net(images), {4, 10, cells * cells}, 1); };
    auto optimizer = make_optimizer(flags, nn::parameters(net));
    const auto schedule = make_schedule(flags, garments.size());
    const data::Loader batches(garments, flags.shuffled());
    HistoryFile history(flags);  // of the sum of the losses, and of the box IoU as the score
    for (Index epoch = 0, step = 0; epoch < flags.epochs; ++epoch) {
        Scores train_scores;
        for (auto& [images, labels] : batches.epoch(epoch)) {
            const Scenes scenes = paste({images, labels});
            const auto found = find(scenes.images), parts = losses(found, scenes);
            const Variable<> loss = parts[0] + parts[1] + parts[2];
            gradus::optim::schedule::apply(optimizer, schedule, step++);
            optimizer.zero_grad();
            loss.backward();
            optimizer.step();
            train_scores.add(loss.item(), box_iou(found[0], scenes.boxes), labels.numel());
        }
        const gradus::NoGrad guard;
        const auto found = find(test.images), parts = losses(found, test);
        const Tensor<double> value{parts[0].item(), parts[1].item(), parts[2].item()};
        gradus::metrics::MultiLabel masks({.threshold = 0});
        masks.update(found[2], test.masks);
        const double f1 = masks.value();  // of cells; IoU is f1 / (2 - f1)
        const double iou = box_iou(found[0], test.boxes);
        std::printf("epoch %d: box %.4f, class %.3f, mask %.3f; box IoU %.3f, accuracy %.3f, mask IoU %.3f\n",
                    static_cast<int>(epoch) + 1, value(0), value(1), value(2), iou,
                    accuracy(found[1], test.labels), f1 / (2 - f1));
        history.add(train_scores, {value(0) + value(1) + value(2), iou});
    }
}

int main(int argc, char** argv) {
    const Flags defaults{.epochs = 8, .batch = 250, .lr = 1e-3, .optimizer = "adam", .schedule = "cosine"};
    return run_with_flags(argc, argv, "Finds garments on a canvas.", defaults, train);
}
