// SPDX-License-Identifier: MIT
#pragma once

#include <type_traits>
#include <vector>

#include "gradus/training/metric_input.hpp"

namespace gradus::metrics {

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

    Index count() const { return true_positive + false_positive + false_negative + true_negative; }
    Index support() const { return true_positive + false_negative; }

    // Where there is nothing to divide by, 0: a label that was never found scores nothing.
    double accuracy() const { return detail::ratio(true_positive + true_negative, count()); }
    double precision() const { return detail::ratio(true_positive, true_positive + false_positive); }
    double recall() const { return detail::ratio(true_positive, support()); }
    /// The harmonic mean of precision and recall.
    double f1() const {
        return detail::ratio(2 * true_positive, 2 * true_positive + false_positive + false_negative);
    }
};

struct MultiLabelOptions {
    double threshold = 0.5;  // a prediction above it is positive: 1/2 for probabilities, 0 for logits
};

/// Several labels at a time, each there or not: predictions and targets [batch, labels]. A prediction is positive
/// above the threshold (so NaN is not), a target above 1/2. Definitions are scikit-learn's for indicator matrices; a
/// label that never occurs and is never predicted counts 0 in the macro scores.
/// Source: Sokolova & Lapalme, "A systematic analysis of performance measures", 2009.
///
///     metrics::MultiLabel found({.threshold = 0});                              // of logits
///     for (auto& [images, targets] : loader.epoch(0)) found.update(net(images), targets);
///     found.f1(metrics::Average::micro);
class MultiLabel {
public:
    explicit MultiLabel(const MultiLabelOptions& options = {}) : options_(options) {}

    /// Throws ShapeError unless both are [batch, labels], of as many labels as before.
    template <class Predictions, class Targets>
    void update(const Predictions& predictions, const Targets& targets) {
        add(detail::doubles_of(predictions), detail::doubles_of(targets));
    }

    /// How each label fared.
    const std::vector<LabelCounts>& labels() const { return labels_; }
    /// All entries together.
    LabelCounts total() const {
        LabelCounts sum;
        for (const LabelCounts& label : labels_) sum += label;
        return sum;
    }

    double value() const { return f1(Average::micro); }
    /// The share of entries that are right.
    double accuracy() const { return total().count() == 0 ? undefined : total().accuracy(); }
    double precision(Average average) const { return mean_of(&LabelCounts::precision, average); }
    double recall(Average average) const { return mean_of(&LabelCounts::recall, average); }
    double f1(Average average) const { return mean_of(&LabelCounts::f1, average); }

    /// Throws ShapeError if both have labels, but not equally many.
    MultiLabel& operator+=(const MultiLabel& other) {
        if (other.labels_.empty()) return *this;
        set_labels(other.labels_.size());
        for (std::size_t i = 0; i < labels_.size(); ++i) labels_[i] += other.labels_[i];
        return *this;
    }
    void reset() { labels_.clear(); }

    template <class Writer>
    void save(Writer& to) const {
        Tensor<Index> counts = Tensor<Index>::uninitialized({static_cast<Index>(labels_.size()), 4});
        Index* out = counts.mutable_data();
        for (const LabelCounts& l : labels_)
            for (const Index n : {l.true_positive, l.false_positive, l.false_negative, l.true_negative})
                *out++ = n;
        to.put("counts", counts);
    }
    template <class Reader>
    void load(const Reader& from) {
        const auto counts = from.template get<Tensor<Index>>("counts");
        if (counts.rank() != 2 || counts.size(1) != 4)
            detail::raise<ShapeError>("multilabel", "load: needs counts [labels, 4]", counts.shape());
        for (const Index n : counts) detail::checked_count("multilabel", n);
        labels_.clear();
        for (const Index* n = counts.begin(); n != counts.end(); n += 4)
            labels_.push_back({n[0], n[1], n[2], n[3]});
    }

private:
    void add(const Tensor<double>& predictions, const Tensor<double>& targets) {
        if (targets.rank() != 2 || !(predictions.shape() == targets.shape()))
            detail::raise<ShapeError>("multilabel", "needs predictions and targets [batch, labels]",
                                      predictions.shape(), targets.shape());
        const Index labels = targets.size(1);
        if (labels == 0) return;
        set_labels(static_cast<std::size_t>(labels));
        for (Index i = 0; i < targets.numel(); ++i) {
            LabelCounts& count = labels_[static_cast<std::size_t>(i % labels)];
            const bool positive = predictions.data()[i] > options_.threshold;
            if (targets.data()[i] > 0.5)
                ++(positive ? count.true_positive : count.false_negative);
            else
                ++(positive ? count.false_positive : count.true_negative);
        }
    }

    void set_labels(std::size_t count) {
        if (labels_.empty()) labels_.resize(count);
        if (labels_.size() != count)
            detail::raise<ShapeError>("multilabel", "the number of labels differs from that before", count,
                                      labels_.size());
    }

    double mean_of(double (LabelCounts::*score)() const, Average average) const {
        const LabelCounts all = total();
        if (all.count() == 0) return undefined;
        if (average == Average::micro) return (all.*score)();
        double sum = 0;
        for (const LabelCounts& label : labels_)
            sum += (label.*score)() * (average == Average::macro ? 1 : static_cast<double>(label.support()));
        if (average == Average::macro) return sum / static_cast<double>(labels_.size());
        return all.support() == 0 ? 0 : sum / static_cast<double>(all.support());
    }

    MultiLabelOptions options_;
    std::vector<LabelCounts> labels_;
};

}  // namespace gradus::metrics
