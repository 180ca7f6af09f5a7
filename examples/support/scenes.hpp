// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdio>
#include <vector>

#include <gradus/gradus.hpp>
#include <gradus/training/multilabel.hpp>
#include <gradus/training/run.hpp>

#include "run.hpp"

/// Garments, each in a random place of a larger canvas.
struct Scenes {
    static constexpr gradus::Index canvas = 40, garment = 28, cell = 4, cells = canvas / cell,
                                   pixels = canvas * canvas, all_cells = cells * cells;

    gradus::Tensor<> images;  // [n, canvas²]
    gradus::Tensor<> boxes;   // [n, 4]: left, top, right, bottom in [0, 1]
    gradus::Tensor<> masks;   // [n, cells²]
    gradus::Tensor<gradus::Index> labels;
};

/// Box and mask are where a garment is not dark. The places come from the default generator.
inline Scenes paste(const gradus::data::Dataset<>& garments) {
    using gradus::Index, gradus::zeros;
    constexpr Index canvas = Scenes::canvas, garment = Scenes::garment, cell = Scenes::cell,
                    cells = Scenes::cells;
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

/// The mean of intersection over union.
inline double box_iou(const gradus::Variable<>& a, const gradus::Variable<>& b) {
    using gradus::Variable;
    const auto area = [](const Variable<>& low, const Variable<>& high) {
        const Variable<> sides = relu(high - low);
        return slice(sides, 1, 0, 1) * slice(sides, 1, 1, 2);
    };
    const auto p = split(a, 2, 1), q = split(b, 2, 1);  // the lower and the upper corner
    const Variable<> both = area(maximum(p[0], q[0]), minimum(p[1], q[1]));
    return static_cast<double>(mean(both / (area(p[0], p[1]) + area(q[0], q[1]) - both)).item());
}

/// Of all cells together, by logits.
inline double mask_iou(const gradus::Tensor<>& found, const gradus::Tensor<>& masks) {
    gradus::metrics::MultiLabel cells({.threshold = 0});
    cells.update(found, masks);
    return cells.value() / (2 - cells.value());  // of F1
}

/// Of box, class and mask; training takes their sum.
inline std::vector<gradus::Variable<>> losses(const std::vector<gradus::Variable<>>& found, const Scenes& s) {
    const gradus::Tensor<> weight{1, 1, 1, 1, 1, 1, 2, 1, 1, 1};  // shirts are the hardest to tell
    return {smooth_l1(found[0], s.boxes, {.beta = 0.05}),
            cross_entropy(found[1], s.labels, {.weight = weight}), bce_with_logits(found[2], s.masks)};
}

/// The line of an epoch, which counts from 0.
inline void print_line(const Flags& flags, const std::vector<gradus::EpochRecord>& history,
                       gradus::Index epoch) {
    if (flags.progress == "none") return;
    const gradus::EpochRecord& record = history[static_cast<std::size_t>(epoch)];
    const auto number = [&](const char* name) { return gradus::training::metric_of(record, name); };
    std::printf("epoch %d: box %.4f, class %.3f, mask %.3f; box IoU %.3f, accuracy %.3f, mask IoU %.3f\n",
                static_cast<int>(epoch) + 1, number("val_box"), number("val_class"), number("val_mask"),
                record.val_score, number("val_accuracy"), number("val_mask_iou"));
    flush_output();
}

/// The report: of the classes, by scores [n, classes].
template <class Net>
gradus::training::ReportData scenes_report(Net& net, const Scenes& seen, const Scenes& test,
                                           const gradus::Tensor<>& scores) {
    const auto images = [](const Scenes& s) {
        return s.images.reshape({-1, 1, Scenes::canvas, Scenes::canvas});
    };
    gradus::training::ReportData report{.score_name = "box IoU", .classes = clothes};
    add_examples(report, {images(seen), seen.labels});
    add_predictions(report, images(test), scores, test.labels);
    report.summary = gradus::nn::summary(net, {1, Scenes::pixels});
    return report;
}
