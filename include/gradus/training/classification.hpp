// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "gradus/nn/summary.hpp"
#include "gradus/training/metric_input.hpp"

namespace gradus::metrics {

struct AccuracyOptions {
    Index top_k = 1;            // right if the label is among so many largest scores
    Index ignore_index = -100;  // positions with this label do not count
};

/// The share of positions whose label is among the top_k largest scores. Of equal scores the first comes first, and
/// NaN counts as the largest, as in argmax.
class Accuracy {
public:
    /// Throws ValueError unless top_k is at least 1.
    explicit Accuracy(const AccuracyOptions& options = {}) : options_(options) {
        if (options.top_k < 1)
            detail::raise<ValueError>("accuracy", "top_k must be at least 1", options.top_k);
    }

    /// scores [batch, classes, ...], labels [batch, ...]. Throws ShapeError if they do not fit, ValueError for a
    /// label out of range or fewer classes than top_k.
    template <class Scores>
    void update(const Scores& scores, const Tensor<Index>& labels) {
        add(detail::doubles_of(scores), labels);
    }

    double value() const { return detail::ratio(right_, count_, undefined); }
    Index count() const { return count_; }

    /// The standard error of the value p, √(p (1 − p) / (count − 1)): that of a mean of zeros and ones.
    double standard_error() const {
        const double p = value();
        return count_ < 2 ? undefined : std::sqrt(p * (1 - p) / static_cast<double>(count_ - 1));
    }

    Accuracy& operator+=(const Accuracy& other) {
        right_ += other.right_;
        count_ += other.count_;
        return *this;
    }
    void reset() { right_ = count_ = 0; }

    template <class Writer>
    void save(Writer& to) const {
        to.put("right", right_);
        to.put("count", count_);
    }
    template <class Reader>
    void load(const Reader& from) {
        const Index count = detail::checked_count("accuracy", from.template get<Index>("count"));
        const Index right = detail::checked_count("accuracy", from.template get<Index>("right"));
        if (right > count)
            detail::raise<ValueError>("accuracy", "load: more are right than there are", right, count);
        right_ = right, count_ = count;
    }

private:
    void add(const Tensor<double>& scores, const Tensor<Index>& labels) {
        const detail::LabeledScores rows("accuracy", scores, labels, options_.ignore_index);
        if (labels.numel() > 0 && options_.top_k > rows.classes())
            detail::raise<ValueError>("accuracy", "top_k is more than there are classes", options_.top_k,
                                      rows.classes());
        rows.for_each([&](Index label, const double* x, Index step) {
            const double mine = x[label * step];
            Index before = 0;
            for (Index c = 0; c < rows.classes(); ++c) before += comes_first(x[c * step], c, mine, label);
            right_ += before < options_.top_k;
            ++count_;
        });
    }
    static bool comes_first(double x, Index i, double y, Index j) {
        if (std::isnan(x) || std::isnan(y)) return std::isnan(x) && (!std::isnan(y) || i < j);
        return x > y || (x == y && i < j);
    }

    AccuracyOptions options_;
    Index right_ = 0, count_ = 0;
};

/// "0.913 ± 0.0028"
[[gnu::cold]] inline std::string to_string(const Accuracy& accuracy) {
    return detail::text_with_error(accuracy.value(), accuracy.standard_error());
}

/// How well one class was told from the others. Where there is nothing to divide by, 0.
struct ClassScores {
    Index support = 0;  // examples of the class
    double precision = 0, recall = 0, f1 = 0;
};

struct ConfusionOptions {
    Index classes = 0;          // 0: as many as the first scores have
    Index ignore_index = -100;  // positions with this label do not count
};

/// How often each class was taken for each other, and what follows from that. Definitions are scikit-learn's.
class ConfusionMatrix {
public:
    explicit ConfusionMatrix(const ConfusionOptions& options = {})
        : options_(options), classes_(options.classes) {
        if (options.classes < 0)
            detail::raise<ValueError>("confusion_matrix", "classes must not be negative", options.classes);
        counts_.resize(static_cast<std::size_t>(classes_ * classes_));
    }

    /// scores [batch, classes, ...], whose largest is the prediction (argmax), and labels [batch, ...]. Throws
    /// ShapeError if the shapes do not fit or the number of classes differs, ValueError for a label out of range.
    template <class Scores>
    void update(const Scores& scores, const Tensor<Index>& labels) {
        add_scores(detail::doubles_of(scores), labels);
    }
    /// Predicted classes and labels, of one shape; needs {.classes = ...}.
    void update(const Tensor<Index>& predicted, const Tensor<Index>& labels) {
        if (!(predicted.shape() == labels.shape()))
            detail::raise<ShapeError>("confusion_matrix", "needs predicted classes and labels of one shape",
                                      predicted.shape(), labels.shape());
        detail::check<ValueError>(classes_ > 0, "confusion_matrix",
                                  "needs {.classes = ...} before an update with predicted classes");
        detail::LabeledScores::check_labels("confusion_matrix", labels, classes_, options_.ignore_index);
        detail::LabeledScores::check_labels("confusion_matrix: prediction", predicted, classes_,
                                            -1 - classes_);
        for (Index i = 0; i < labels.numel(); ++i)
            if (labels.data()[i] != options_.ignore_index) ++at(labels.data()[i], predicted.data()[i]);
    }

    Index classes() const { return classes_; }

    /// How many examples of class `label` were taken for `predicted`.
    Index operator()(Index label, Index predicted) const {
        check_class(label), check_class(predicted);
        return counts_[static_cast<std::size_t>(label * classes_ + predicted)];
    }
    /// All of them, [label, predicted].
    Tensor<Index> counts() const {
        return Tensor<Index>(Shape{classes_, classes_}, std::span<const Index>(counts_));
    }
    Index count() const {
        Index sum = 0;
        for (const Index n : counts_) sum += n;
        return sum;
    }

    double value() const { return accuracy(); }
    double accuracy() const {
        Index right = 0;
        for (Index c = 0; c < classes_; ++c) right += (*this)(c, c);
        return detail::ratio(right, count(), undefined);
    }
    /// The mean recall of the classes that occur: what accuracy would be if all were equally frequent.
    double balanced_accuracy() const {
        double sum = 0;
        Index occurring = 0;
        for (Index c = 0; c < classes_; ++c)
            if (const ClassScores s = scores(c); s.support > 0) sum += s.recall, ++occurring;
        return occurring == 0 ? undefined : sum / static_cast<double>(occurring);
    }

    /// Of one class. Throws ValueError if there is no such class.
    ClassScores scores(Index c) const {
        Index labeled = 0, predicted = 0;
        for (Index other = 0; other < classes_; ++other)
            labeled += (*this)(c, other), predicted += (*this)(other, c);
        const Index right = (*this)(c, c);
        return {labeled, detail::ratio(right, predicted), detail::ratio(right, labeled),
                detail::ratio(2 * right, labeled + predicted)};
    }
    /// Of all of them: micro gives the accuracy three times; macro leaves out classes that are neither among the
    /// labels nor among the predictions; weighted is by the number of labels.
    ClassScores scores(Average average) const {
        const Index all = count();
        if (all == 0) return {0, undefined, undefined, undefined};
        if (average == Average::micro) return {all, accuracy(), accuracy(), accuracy()};
        ClassScores mean{all};
        double weights = 0;
        for (Index c = 0; c < classes_; ++c) {
            const ClassScores s = scores(c);
            if (s.support == 0 && !is_predicted(c)) continue;
            const double weight = average == Average::macro ? 1 : static_cast<double>(s.support);
            weights += weight;
            mean.precision += weight * s.precision;
            mean.recall += weight * s.recall;
            mean.f1 += weight * s.f1;
        }
        mean.precision /= weights, mean.recall /= weights, mean.f1 /= weights;
        return mean;
    }
    // The same one by one: f1(3) of class 3, f1(Average::macro) of all.
    double precision(Index c) const { return scores(c).precision; }
    double recall(Index c) const { return scores(c).recall; }
    double f1(Index c) const { return scores(c).f1; }
    double precision(Average average) const { return scores(average).precision; }
    double recall(Average average) const { return scores(average).recall; }
    double f1(Average average) const { return scores(average).f1; }

    /// Throws ShapeError if both have classes, but not equally many.
    ConfusionMatrix& operator+=(const ConfusionMatrix& other) {
        if (other.classes_ == 0) return *this;
        set_classes(other.classes_);
        for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
        return *this;
    }
    void reset() { *this = ConfusionMatrix(options_); }

    template <class Writer>
    void save(Writer& to) const {
        to.put("counts", counts());
    }
    template <class Reader>
    void load(const Reader& from) {
        const auto counts = from.template get<Tensor<Index>>("counts");
        if (counts.rank() != 2 || counts.size(0) != counts.size(1) ||
            (options_.classes > 0 && counts.size(0) != options_.classes))
            detail::raise<ShapeError>("confusion_matrix", "load: the saved counts are of another shape",
                                      counts.shape(), Shape{options_.classes, options_.classes});
        for (const Index n : counts) detail::checked_count("confusion_matrix", n);
        classes_ = counts.size(0);
        counts_.assign(counts.begin(), counts.end());
    }

private:
    void add_scores(const Tensor<double>& scores, const Tensor<Index>& labels) {
        const detail::LabeledScores rows("confusion_matrix", scores, labels, options_.ignore_index);
        set_classes(rows.classes());
        rows.for_each([&](Index label, const double* x, Index step) {
            ++at(label, kernels::argmax_of(x, classes_, step));
        });
    }

    void set_classes(Index classes) {
        if (classes_ == 0) {
            classes_ = classes;
            counts_.resize(static_cast<std::size_t>(classes * classes));
        }
        if (classes != classes_)
            detail::raise<ShapeError>("confusion_matrix", "the number of classes differs from that before",
                                      classes, classes_);
    }
    Index& at(Index label, Index predicted) {
        return counts_[static_cast<std::size_t>(label * classes_ + predicted)];
    }
    bool is_predicted(Index c) const {
        for (Index label = 0; label < classes_; ++label)
            if ((*this)(label, c) > 0) return true;
        return false;
    }
    void check_class(Index c) const {
        if (c < 0 || c >= classes_) [[unlikely]]
            detail::raise<ValueError>({"confusion_matrix: there is no class ", c, " among ", classes_});
    }

    ConfusionOptions options_;
    Index classes_;
    std::vector<Index> counts_;  // [label, predicted]
};

/// The same whose value() is an F1 score, for a column of a table: training::Metric("f1", metrics::F1()).
class F1 : public ConfusionMatrix {
public:
    explicit F1(Average average = Average::macro, const ConfusionOptions& options = {})
        : ConfusionMatrix(options), average_(average) {}

    double value() const { return f1(average_); }

private:
    Average average_;
};

/// A table of all classes, by these names or by their numbers; then of the averages. Throws ValueError unless there is
/// a name for each class, or none.
///
///     class     precision  recall      f1  support
///     cat          0.9118  0.9300  0.9208      100
///     dog          0.9286  0.9100  0.9192      100
///     macro        0.9202  0.9200  0.9200      200
///     weighted     0.9202  0.9200  0.9200      200
///     accuracy                     0.9200      200
[[gnu::cold]] inline std::string to_string(const ConfusionMatrix& confusion,
                                           std::span<const std::string> names = {}) {
    if (!names.empty() && static_cast<Index>(names.size()) != confusion.classes())
        detail::raise<ValueError>("confusion_matrix", "needs one name per class", names.size(),
                                  confusion.classes());
    const auto digits = [](double x) {
        char text[32];
        std::snprintf(text, sizeof text, "%.4f", x);
        return std::string(text);
    };
    std::vector<std::vector<std::string>> rows{{"class", "", "precision", "recall", "f1", "support"}};
    const auto add = [&](const std::string& name, const ClassScores& s) {
        rows.push_back({name, "", digits(s.precision), digits(s.recall), digits(s.f1),
                        nn::detail::with_thousands(s.support)});
    };
    for (Index c = 0; c < confusion.classes(); ++c)
        add(names.empty() ? std::to_string(c) : names[static_cast<std::size_t>(c)], confusion.scores(c));
    add("macro", confusion.scores(Average::macro));
    add("weighted", confusion.scores(Average::weighted));
    rows.push_back({"accuracy", "", "", "", digits(confusion.accuracy()),
                    nn::detail::with_thousands(confusion.count())});
    return nn::detail::table(rows);
}

}  // namespace gradus::metrics
