// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>

#include "gradus/autograd/variable.hpp"
#include "gradus/kernels/reduce/argmax.hpp"
#include "gradus/loss/labels.hpp"

/// Metrics over as many batches as there are, of any sizes: each has update(...), value() and reset(), adds up with +=
/// (what several threads or folds have seen), and is a part of a checkpoint (save, load). What they have counted does
/// not depend on how the examples were cut into batches. value() of no examples is NaN.
///
///     metrics::ConfusionMatrix confusion;
///     for (auto& [images, labels] : loader.epoch(0)) confusion.update(net(images), labels);
///     confusion.accuracy();  confusion.f1(metrics::Average::macro);  confusion.f1(3);
namespace gradus::metrics {

inline constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

/// How scores of classes become one number.
enum class Average {
    micro,     // every example counts alike: hits and misses of all classes are added up first
    macro,     // every class counts alike, however rare it is
    weighted,  // the classes by their number of examples
};

namespace detail {

using gradus::detail::check;
using gradus::detail::raise;

inline double ratio(Index part, Index whole, double otherwise = 0) {
    return whole == 0 ? otherwise : static_cast<double>(part) / static_cast<double>(whole);
}

/// The numbers of a tensor, as doubles: that keeps their order and their ties.
template <class T>
Tensor<double> doubles_of(const Tensor<T>& x) {
    Tensor<double> result = Tensor<double>::uninitialized(x.shape(), "metrics");
    std::transform(x.begin(), x.end(), result.mutable_data(),
                   [](T value) { return static_cast<double>(value); });
    return result;
}
inline Tensor<double> doubles_of(const Tensor<double>& x) { return x; }
template <class T>
Tensor<double> doubles_of(const Variable<T>& x) {
    return doubles_of(x.value());
}

/// Scores [batch, classes, ...] and the label of each position [batch, ...], checked.
class LabeledScores {
public:
    LabeledScores(const char* operation, const Tensor<double>& scores, const Tensor<Index>& labels,
                  Index ignore_index)
        : scores_(scores), labels_(labels), ignored_(ignore_index) {
        if (scores.rank() < 2 || !(labels.shape() == scores.shape().without(1)))
            raise<ShapeError>(
                operation,
                gradus::detail::text_of({"needs scores [batch, classes, ...] and labels [batch, ...]",
                                         gradus::detail::label_remedy(scores.shape(), labels.shape())}),
                scores.shape(), labels.shape());
        classes_ = scores.size(1);
        step_ = scores.shape().span(2, scores.rank());
        check<ShapeError>(classes_ > 0 || labels.numel() == 0, operation, "no classes to choose from");
        check_labels(operation, labels, classes_, ignore_index);
    }

    /// Throws ValueError if a label is neither a class nor the ignored one.
    static void check_labels(const char* operation, const Tensor<Index>& labels, Index classes,
                             Index ignored) {
        for (Index i = 0; i < labels.numel(); ++i)
            if (const Index label = labels.data()[i]; label != ignored && (label < 0 || label >= classes))
                refuse_label(operation, labels, i, classes);
    }

    Index classes() const { return classes_; }

    /// Calls f(label, scores of the position, distance from one class to the next) where there is a label.
    template <class F>
    void for_each(const F& f) const {
        for (Index i = 0; i < labels_.numel(); ++i)
            if (const Index label = labels_.data()[i]; label != ignored_)
                f(label, scores_.data() + (i / step_ * classes_ * step_ + i % step_), step_);
    }

private:
    [[noreturn, gnu::cold]] static void refuse_label(const char* operation, const Tensor<Index>& labels,
                                                     Index i, Index classes) {
        raise<ValueError>({operation, ": label ", labels.data()[i], " at position ",
                           gradus::detail::position_text(labels.shape(), i), " is out of range for ", classes,
                           " classes"});
    }

    Tensor<double> scores_;
    Tensor<Index> labels_;
    Index ignored_, classes_ = 0, step_ = 1;
};

/// A sum whose error does not grow with the number of terms. Source: Neumaier, "Rundungsfehleranalyse einiger
/// Verfahren zur Summation endlicher Summen", 1974.
class Sum {
public:
    void add(double x) {
        const double sum = high_ + x;
        low_ += std::abs(high_) >= std::abs(x) ? (high_ - sum) + x : (x - sum) + high_;
        high_ = sum;
    }
    void add(const Sum& other) {
        add(other.high_);
        low_ += other.low_;
    }
    double value() const { return std::isfinite(high_) ? high_ + low_ : high_; }

    double high() const { return high_; }
    double low() const { return low_; }
    static Sum of(double high, double low) {
        Sum sum;
        sum.high_ = high, sum.low_ = low;
        return sum;
    }

private:
    double high_ = 0, low_ = 0;
};

/// Weight, mean and sum of squared deviations from it, of numbers that come one after the other. Source: West,
/// "Updating mean and variance estimates", 1979; of two such: Chan, Golub, LeVeque, 1983.
struct Spread {
    double weight = 0, mean = 0, squares = 0;

    void add(double x, double w = 1) {
        weight += w;
        const double step = x - mean;
        mean += step * (w / weight);
        squares += w * step * (x - mean);
    }
    void add(const Spread& other) {
        if (other.weight == 0) return;
        const double step = other.mean - mean, all = weight + other.weight;
        mean += step * (other.weight / all);
        squares += other.squares + step * step * (weight / all) * other.weight;
        weight = all;
    }
};

/// "0.913 ± 0.0028"; the value alone where there is no standard error.
[[gnu::cold]] inline std::string text_with_error(double value, double error) {
    char text[64];
    if (std::isnan(error))
        std::snprintf(text, sizeof text, "%.4g", value);
    else
        std::snprintf(text, sizeof text, "%.4g ± %.2g", value, error);
    return text;
}

/// Throws ValueError unless a saved number of examples can be one.
[[gnu::cold]] inline Index checked_count(const char* operation, Index count) {
    gradus::detail::check_count(operation, "load: the number of examples", count);
    return count;
}

}  // namespace detail
}  // namespace gradus::metrics
