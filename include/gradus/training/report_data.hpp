// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gradus/core/tensor.hpp"
#include "gradus/data/dataset.hpp"
#include "gradus/kernels/reduce/argmax.hpp"
#include "gradus/training/history.hpp"
#include "gradus/training/multilabel.hpp"

namespace gradus::training {

/// An example to be shown: its image, and what is written below it.
struct Picture {
    Tensor<> image = {};         // [height, width], [1, height, width] or [3, height, width]; see data_uri()
    std::string label = {};      // what it is
    std::string predicted = {};  // what it was taken for
    double probability = std::numeric_limits<double>::quiet_NaN();  // that the model gave to that
    double loss = 0;
};

/// What a report shows. What is empty is left out.
struct ReportData {
    std::string title = "Training";
    std::vector<EpochRecord> history = {};
    std::string stopped = {};                 // why before the last epoch, as History::stopped
    std::string score_name = "score";         // what the scores of the history are: "accuracy"
    std::vector<double> learning_rates = {};  // of every step; without them those of the history

    std::vector<std::string> classes = {};  // their names; without them their numbers
    std::vector<Index> label_counts = {};   // how many examples of each class there are
    std::vector<Picture> samples = {};

    Tensor<Index> confusion = {};                   // [label, prediction]: how often
    std::vector<metrics::LabelCounts> labels = {};  // of each label, where an example can have many
    std::vector<Picture> mistakes = {};             // the worst first

    std::string summary = {};  // of the model, as from nn::summary()
    std::vector<std::pair<std::string, std::string>> settings = {};
    std::string machine = {};  // to_string(build_info())
    std::string command = {};  // that runs it again
};

/// The name of a class, or its number.
[[gnu::cold]] inline std::string class_name(const ReportData& report, Index c) {
    const auto i = static_cast<std::size_t>(c);
    return i < report.classes.size() ? report.classes[i] : std::to_string(c);
}

namespace detail {

[[gnu::cold]] inline void check_class(Index c) {
    if (c < 0 || c > 1000000)
        gradus::detail::raise<ValueError>("report", "labels are classes, counted from 0, at most 1000000", c);
}

/// One of many images, if that is what they are.
[[gnu::cold]] inline Tensor<> image_of(const Tensor<>& images, Index i) {
    return images.rank() < 3 ? Tensor<>() : images.rows(i, i + 1);
}

}  // namespace detail

/// Counts the labels of a training set, and takes about `samples` examples from it, equally many of each
/// class, the first ones. The images are to be as people see them: not standardized.
[[gnu::cold]] inline void add_examples(ReportData& report, const data::Dataset<>& set, Index samples = 20) {
    Index classes = static_cast<Index>(std::max(report.classes.size(), report.label_counts.size()));
    for (const Index c : set.labels) {
        detail::check_class(c);
        classes = std::max(classes, c + 1);
    }
    report.label_counts.resize(static_cast<std::size_t>(classes));
    const Index each = std::max<Index>(1, samples / std::max<Index>(1, classes));
    std::vector<std::vector<Index>> chosen(static_cast<std::size_t>(classes));
    for (Index i = 0; i < set.size(); ++i) {
        const auto c = static_cast<std::size_t>(set.labels(i));
        ++report.label_counts[c];
        if (static_cast<Index>(chosen[c].size()) < each) chosen[c].push_back(i);
    }
    for (Index c = 0; c < classes; ++c)
        for (const Index i : chosen[static_cast<std::size_t>(c)])
            if (static_cast<Index>(report.samples.size()) < samples)
                report.samples.push_back({detail::image_of(set.inputs, i), class_name(report, c)});
}

/// Counts how often each class was taken for which, and keeps the `mistakes` worst: those with the largest
/// cross-entropy. images [batch, ...] as people see them, scores (logits) [batch, classes], labels [batch];
/// batch by batch. Throws ShapeError if the shapes do not fit, ValueError for a label that is no class.
[[gnu::cold]] inline void add_predictions(ReportData& report, const Tensor<>& images, const Tensor<>& scores,
                                          const Tensor<Index>& labels, Index mistakes = 12) {
    if (scores.rank() != 2 || images.rank() < 1 || scores.size(0) != images.size(0) ||
        labels.shape() != Shape{scores.size(0)})
        gradus::detail::raise<ShapeError>(
            "report", "needs images [batch, ...], scores [batch, classes], labels [batch]", images.shape(),
            scores.shape(), labels.shape());
    const Index classes = scores.size(1);
    for (const Index label : labels)
        if (label < 0 || label >= classes)
            gradus::detail::raise<ValueError>("report", "labels are 0 to the number of classes − 1", label);
    if (report.confusion.numel() == 0) report.confusion = zeros<Index>({classes, classes});
    if (report.confusion.size(0) != classes)
        gradus::detail::raise<ShapeError>("report", "the number of classes differs from that before", classes,
                                          report.confusion.size(0));
    for (Index i = 0; i < labels.numel(); ++i) {
        const Index label = labels(i);
        const float* row = scores.data() + i * classes;
        const Index predicted = kernels::argmax_of(row, classes);
        ++report.confusion.mutable_at(label, predicted);
        if (predicted == label) continue;
        double sum = 0;  // of exp(x − largest)
        const auto from_top = [&](Index c) {
            return static_cast<double>(row[c]) - static_cast<double>(row[predicted]);
        };
        for (Index c = 0; c < classes; ++c) sum += std::exp(from_top(c));
        const double loss = std::log(sum) - from_top(label);
        Picture mistake{detail::image_of(images, i), class_name(report, label), class_name(report, predicted),
                        1 / sum, std::isnan(loss) ? HUGE_VAL : loss};
        auto at = report.mistakes.end();
        while (at != report.mistakes.begin() && (at - 1)->loss < mistake.loss) --at;
        report.mistakes.insert(at, std::move(mistake));
        if (static_cast<Index>(report.mistakes.size()) > mistakes) report.mistakes.pop_back();
    }
}

}  // namespace gradus::training
