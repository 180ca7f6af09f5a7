// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "gradus/training/metric_input.hpp"

namespace gradus::metrics {
namespace detail {

/// Examples of one score: how many of them are positive, and how many are not.
struct TiedScores {
    double score;
    Index positive, negative;
};

/// Every score with its target, in columns: one for two classes, else one per class or label. The metrics of it do not
/// depend on the order of the examples, bit for bit.
class RankedScores {
public:
    /// Takes one of
    ///  - scores [batch] and targets [batch] of 0 and 1: two classes;
    ///  - scores [batch, classes] and labels [batch]: each class against the rest;
    ///  - scores and targets [batch, labels], the targets 0 or 1: each label by itself.
    /// Throws ShapeError if the shapes do not fit, ValueError for a score that is NaN or a target out of range.
    template <class Scores, class Targets>
    void update(const Scores& scores, const Targets& targets) {
        add(doubles_of(scores), doubles_of(targets));
    }

    Index count() const { return columns_ == 0 ? 0 : static_cast<Index>(scores_.size()) / columns_; }
    Index columns() const { return columns_; }

    void reset() {
        columns_ = 0;
        scores_.clear();
        targets_.clear();
    }

    template <class Writer>
    void save(Writer& to) const {
        const Shape shape{count(), columns_};
        to.put("scores", Tensor<double>(shape, std::span<const double>(scores_)));
        to.put("targets", Tensor<std::uint8_t>(shape, std::span<const std::uint8_t>(targets_)));
    }
    template <class Reader>
    void load(const Reader& from) {
        const auto scores = from.template get<Tensor<double>>("scores");
        const auto targets = from.template get<Tensor<std::uint8_t>>("targets");
        RankedScores loaded(operation_);
        if (scores.numel() > 0) loaded.add(scores, doubles_of(targets));
        *this = std::move(loaded);
    }

protected:
    explicit RankedScores(const char* operation) : operation_(operation) {}

    void merge(const RankedScores& other) {
        if (other.columns_ == 0) return;
        set_columns(other.columns_);
        scores_.insert(scores_.end(), other.scores_.begin(), other.scores_.end());
        targets_.insert(targets_.end(), other.targets_.begin(), other.targets_.end());
    }

    /// The examples of a column by score, the largest first.
    std::vector<TiedScores> ranked(Index column) const {
        if (column < 0 || column >= columns_)
            raise<ValueError>({operation_, ": there is no class ", column, " among ", columns_});
        std::vector<std::pair<double, bool>> all;
        for (auto i = static_cast<std::size_t>(column); i < scores_.size();
             i += static_cast<std::size_t>(columns_))
            all.emplace_back(scores_[i], targets_[i] != 0);
        std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
        std::vector<TiedScores> groups;
        for (const auto& [score, positive] : all) {
            if (groups.empty() || groups.back().score != score) groups.push_back({score, 0, 0});
            ++(positive ? groups.back().positive : groups.back().negative);
        }
        return groups;
    }

    /// The mean of what of(column) gives, of the columns for which it is defined.
    template <class Of>
    double mean_of(Average average, const Of& of) const {
        if (average == Average::micro) raise<ValueError>(operation_, "has macro and weighted averages only");
        double sum = 0, weights = 0;
        for (Index c = 0; c < columns_; ++c) {
            const double value = of(c);
            if (std::isnan(value)) continue;
            const double weight = average == Average::macro ? 1 : static_cast<double>(positives(c));
            sum += weight * value;
            weights += weight;
        }
        return weights == 0 ? undefined : sum / weights;
    }

private:
    void add(const Tensor<double>& scores, const Tensor<double>& targets) {
        const bool same = scores.shape() == targets.shape() && (scores.rank() == 1 || scores.rank() == 2);
        const bool classes = !same && scores.rank() == 2 && targets.shape() == Shape{scores.size(0)};
        if (!same && !classes)
            raise<ShapeError>(
                operation_,
                "needs scores [batch] and targets [batch], scores [batch, classes] and labels [batch], or "
                "scores and targets [batch, labels]",
                scores.shape(), targets.shape());
        if (classes && scores.size(1) == 1)
            raise<ShapeError>(operation_, "one score for two classes: squeeze(scores, 1) first",
                              scores.shape(), targets.shape());
        for (Index i = 0; i < scores.numel(); ++i)
            if (std::isnan(scores.data()[i]))
                raise<ValueError>({operation_, ": the score at ",
                                   gradus::detail::position_text(scores.shape(), i),
                                   " is NaN: it cannot be ranked"});
        const double most = classes ? static_cast<double>(scores.size(1) - 1) : 1;
        for (Index i = 0; i < targets.numel(); ++i)
            if (const double t = targets.data()[i]; !(t >= 0 && t <= most && t == std::floor(t)))
                raise<ValueError>({operation_, ": the target at ",
                                   gradus::detail::position_text(targets.shape(), i), " must be from 0 to ",
                                   static_cast<Index>(most), ": got ", gradus::detail::number_text(t)});
        const Index columns = scores.rank() == 1 ? 1 : scores.size(1);
        if (scores.numel() == 0) return;
        set_columns(columns);
        scores_.insert(scores_.end(), scores.begin(), scores.end());
        for (Index i = 0; i < scores.numel(); ++i)
            targets_.push_back(classes ? targets.data()[i / columns] == static_cast<double>(i % columns)
                                       : targets.data()[i] == 1);
    }

    void set_columns(Index columns) {
        if (columns_ == 0) columns_ = columns;
        if (columns_ != columns)
            raise<ShapeError>(operation_, "the number of classes differs from that before", columns,
                              columns_);
    }
    Index positives(Index column) const {
        Index sum = 0;
        for (auto i = static_cast<std::size_t>(column); i < targets_.size();
             i += static_cast<std::size_t>(columns_))
            sum += targets_[i];
        return sum;
    }

    const char* operation_;
    Index columns_ = 0;
    std::vector<double> scores_;         // [count, columns]
    std::vector<std::uint8_t> targets_;  // the same
};

}  // namespace detail

/// A point of a ROC curve: what is predicted positive at this threshold and above.
struct RocPoint {
    double threshold, false_positive_rate, true_positive_rate;
};

/// The area under the ROC curve: the chance that a positive example has a larger score than a negative one, a tie
/// counting one half. NaN for a column without examples of both kinds. Exact: it keeps every score (9 bytes each).
/// Source: Hanley & McNeil, "The meaning and use of the area under a ROC curve", 1982.
class RocAuc : public detail::RankedScores {
public:
    RocAuc() : RankedScores("roc_auc") {}

    /// Of two classes; else the mean over the classes that have it.
    double value() const { return value(Average::macro); }
    double value(Average average) const {
        return mean_of(average, [&](Index c) { return value(c); });
    }
    /// Of one class against the rest, or one label.
    double value(Index column) const {
        Index twice = 0, positive = 0, negative = 0;  // so often (times 2) a negative lies below a positive
        for (const auto& tied : ranked(column)) {
            twice += tied.negative * (2 * positive + tied.positive);
            positive += tied.positive;
            negative += tied.negative;
        }
        if (positive == 0 || negative == 0) return undefined;
        return static_cast<double>(twice) /
               (2 * static_cast<double>(positive) * static_cast<double>(negative));
    }

    /// From (0, 0) at a threshold of infinity to (1, 1), one point per different score; empty where value() is NaN.
    std::vector<RocPoint> curve(Index column = 0) const {
        const auto groups = ranked(column);
        Index all_positive = 0, all_negative = 0;
        for (const auto& tied : groups) all_positive += tied.positive, all_negative += tied.negative;
        if (all_positive == 0 || all_negative == 0) return {};
        std::vector<RocPoint> points{{std::numeric_limits<double>::infinity(), 0, 0}};
        Index positive = 0, negative = 0;
        for (const auto& tied : groups) {
            positive += tied.positive;
            negative += tied.negative;
            points.push_back(
                {tied.score, detail::ratio(negative, all_negative), detail::ratio(positive, all_positive)});
        }
        return points;
    }

    RocAuc& operator+=(const RocAuc& other) {
        merge(other);
        return *this;
    }
};

/// Average precision, Σ (R[n] − R[n−1]) P[n] over the different scores from the largest down, with precision P and
/// recall R of what scores at least so much: the area under the precision-recall curve, without interpolation. NaN for
/// a column without positive examples. Keeps every score (9 bytes each).
class AveragePrecision : public detail::RankedScores {
public:
    AveragePrecision() : RankedScores("average_precision") {}

    /// Of two classes; else the mean over the classes that have it.
    double value() const { return value(Average::macro); }
    double value(Average average) const {
        return mean_of(average, [&](Index c) { return value(c); });
    }
    double value(Index column) const {
        Index found = 0, seen = 0;
        double sum = 0;
        for (const auto& tied : ranked(column)) {
            found += tied.positive;
            seen += tied.positive + tied.negative;
            sum += static_cast<double>(tied.positive) * detail::ratio(found, seen);
        }
        return found == 0 ? undefined : sum / static_cast<double>(found);
    }

    AveragePrecision& operator+=(const AveragePrecision& other) {
        merge(other);
        return *this;
    }
};

}  // namespace gradus::metrics
