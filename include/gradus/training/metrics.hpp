// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <vector>

#include "gradus/ops/reduce.hpp"

namespace gradus {

/// The share of rows whose largest score is at the label: scores [batch, classes], labels [batch]; 0 for no
/// rows. Throws ShapeError if the shapes do not fit.
template <class T>
double accuracy(const Tensor<T>& scores, const Tensor<Index>& labels) {
    if (scores.rank() != 2 || labels.shape() != Shape{scores.size(0)})
        detail::raise<ShapeError>("accuracy", "needs scores [batch, classes] and labels [batch]",
                                  scores.shape(), labels.shape());
    if (labels.numel() == 0) return 0;
    const Index classes = scores.size(1);
    gradus::detail::check<ShapeError>(classes > 0, "accuracy", "no classes to choose from");
    Index right = 0;
    for (Index i = 0; i < labels.numel(); ++i)
        right += kernels::argmax_of(scores.data() + i * classes, classes) == labels.data()[i];
    return static_cast<double>(right) / static_cast<double>(labels.numel());
}
template <class T>
double accuracy(const Variable<T>& scores, const Tensor<Index>& labels) {
    return accuracy(scores.value(), labels);
}

namespace detail {

/// A prediction is positive above the threshold (so NaN is not), a target above 1/2.
template <class T>
bool agrees(const T& prediction, const T& target, T threshold) {
    return (prediction > threshold) == (target > T(0.5));
}

}  // namespace detail

/// The share of entries where prediction and target are on the same side: predictions above `threshold` (1/2
/// for probabilities, 0 for logits) against targets of 0 and 1, of one shape; 0 for no entries. Throws
/// ShapeError if the shapes differ.
template <class T>
double multilabel_accuracy(const Tensor<T>& predictions, const Tensor<T>& targets,
                           std::type_identity_t<T> threshold = T(0.5)) {
    if (!(predictions.shape() == targets.shape()))
        detail::raise<ShapeError>("multilabel_accuracy", "needs predictions and targets of one shape",
                                  predictions.shape(), targets.shape());
    if (targets.numel() == 0) return 0;
    Index right = 0;
    for (Index i = 0; i < targets.numel(); ++i)
        right += detail::agrees(predictions.data()[i], targets.data()[i], threshold);
    return static_cast<double>(right) / static_cast<double>(targets.numel());
}
template <class T>
double multilabel_accuracy(const Variable<T>& predictions, const Tensor<T>& targets,
                           std::type_identity_t<T> threshold = T(0.5)) {
    return multilabel_accuracy(predictions.value(), targets, threshold);
}

/// How often one label was found, missed and so on.
struct LabelCounts {
    Index true_positive = 0, false_positive = 0, false_negative = 0, true_negative = 0;

    LabelCounts& operator+=(const LabelCounts& other) {
        true_positive += other.true_positive;
        false_positive += other.false_positive;
        false_negative += other.false_negative;
        true_negative += other.true_negative;
        return *this;
    }
    bool operator==(const LabelCounts&) const = default;

    // Where there is nothing to divide by, 0: a label that was never found scores nothing.
    double accuracy() const {
        return ratio(true_positive + true_negative,
                     true_positive + false_positive + false_negative + true_negative);
    }
    double precision() const { return ratio(true_positive, true_positive + false_positive); }
    double recall() const { return ratio(true_positive, true_positive + false_negative); }
    /// The harmonic mean of precision and recall.
    double f1() const {
        return ratio(2 * true_positive, 2 * true_positive + false_positive + false_negative);
    }

private:
    static double ratio(Index part, Index whole) {
        return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
    }
};

/// Counts per label, over as many batches as were added.
///
///     MultilabelCounts counts;
///     for (auto& [images, targets] : batches) counts += multilabel_counts(net(images), targets, 0);
///     const double f1 = multilabel_scores(counts).f1;
struct MultilabelCounts {
    std::vector<LabelCounts> labels;

    /// Throws ShapeError if both have labels, but not equally many.
    MultilabelCounts& operator+=(const MultilabelCounts& other) {
        if (labels.empty()) labels.resize(other.labels.size());
        if (!other.labels.empty() && labels.size() != other.labels.size())
            detail::raise<ShapeError>("multilabel_counts", "numbers of labels differ", labels.size(),
                                      other.labels.size());
        for (std::size_t i = 0; i < other.labels.size(); ++i) labels[i] += other.labels[i];
        return *this;
    }
};

/// Counts hits and misses of predictions [batch, labels], positive above `threshold` (1/2 for probabilities,
/// 0 for logits), against targets of 0 and 1. Throws ShapeError if the shapes do not fit.
template <class T>
MultilabelCounts multilabel_counts(const Tensor<T>& predictions, const Tensor<T>& targets,
                                   std::type_identity_t<T> threshold = T(0.5)) {
    if (targets.rank() != 2 || !(predictions.shape() == targets.shape()))
        detail::raise<ShapeError>("multilabel_counts", "needs predictions and targets [batch, labels]",
                                  predictions.shape(), targets.shape());
    const Index labels = targets.size(1);
    MultilabelCounts counts;
    counts.labels.resize(static_cast<std::size_t>(labels));
    for (Index i = 0; i < targets.numel(); ++i) {
        LabelCounts& count = counts.labels[static_cast<std::size_t>(i % labels)];
        const bool right = detail::agrees(predictions.data()[i], targets.data()[i], threshold);
        if (targets.data()[i] > T(0.5))
            ++(right ? count.true_positive : count.false_negative);
        else
            ++(right ? count.true_negative : count.false_positive);
    }
    return counts;
}
template <class T>
MultilabelCounts multilabel_counts(const Variable<T>& predictions, const Tensor<T>& targets,
                                   std::type_identity_t<T> threshold = T(0.5)) {
    return multilabel_counts(predictions.value(), targets, threshold);
}

/// Scores of all labels, from 0 to 1. The first four take every entry alike ("micro"); the macro ones are the
/// mean over the labels, however rare each is.
struct MultilabelScores {
    double accuracy = 0, precision = 0, recall = 0, f1 = 0;
    double macro_precision = 0, macro_recall = 0, macro_f1 = 0;
};

/// A label that never occurs and is never predicted counts 0 in the macro scores, as in scikit-learn.
/// Source: Sokolova & Lapalme, "A systematic analysis of performance measures", 2009.
inline MultilabelScores multilabel_scores(const MultilabelCounts& counts) {
    LabelCounts all;
    MultilabelScores scores;
    for (const LabelCounts& label : counts.labels) {
        const auto share = 1 / static_cast<double>(counts.labels.size());
        scores.macro_precision += label.precision() * share;
        scores.macro_recall += label.recall() * share;
        scores.macro_f1 += label.f1() * share;
        all += label;
    }
    scores.accuracy = all.accuracy();
    scores.precision = all.precision();
    scores.recall = all.recall();
    scores.f1 = all.f1();
    return scores;
}

/// The scores of one batch: see multilabel_counts for what is taken and thrown.
template <class T>
MultilabelScores multilabel_scores(const Tensor<T>& predictions, const Tensor<T>& targets,
                                   std::type_identity_t<T> threshold = T(0.5)) {
    return multilabel_scores(multilabel_counts(predictions, targets, threshold));
}
template <class T>
MultilabelScores multilabel_scores(const Variable<T>& predictions, const Tensor<T>& targets,
                                   std::type_identity_t<T> threshold = T(0.5)) {
    return multilabel_scores(multilabel_counts(predictions, targets, threshold));
}

}  // namespace gradus
