// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gradus/core/separate.hpp"
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
[[gnu::cold]] std::string class_name(const ReportData& report, Index c);

namespace detail {

[[gnu::cold]] void check_class(Index c);

/// One of many images, if that is what they are.
[[gnu::cold]] Tensor<> image_of(const Tensor<>& images, Index i);

}  // namespace detail

/// Counts the labels of a training set, and takes about `samples` examples from it, equally many of each
/// class, the first ones. The images are to be as people see them: not standardized.
[[gnu::cold]] void add_examples(ReportData& report, const data::Dataset<>& set, Index samples = 20);

/// Counts how often each class was taken for which, and keeps the `mistakes` worst: those with the largest
/// cross-entropy. images [batch, ...] as people see them, scores (logits) [batch, classes], labels [batch];
/// batch by batch. Throws ShapeError if the shapes do not fit, ValueError for a label that is no class.
[[gnu::cold]] void add_predictions(ReportData& report, const Tensor<>& images, const Tensor<>& scores,
                                   const Tensor<Index>& labels, Index mistakes = 12);

}  // namespace gradus::training

#if !GRADUS_SEPARATE
#include "gradus/training/report_data.inc"
#endif
