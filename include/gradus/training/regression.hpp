// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "gradus/training/metric_input.hpp"

namespace gradus::metrics {

/// Errors of predictions [batch] or [batch, ...] against targets of the same shape. Definitions are scikit-learn's;
/// with several outputs per example, each is the uniform average over the outputs. Sums are compensated and
/// deviations are taken from a running mean, so that large targets cost no accuracy; values do not depend on how the
/// examples were cut into batches, bit for bit. What is NaN in a prediction or a target is NaN in the result.
///
///     metrics::Regression errors;
///     for (auto& [x, y] : loader.epoch(0)) errors.update(net(x), y);
///     errors.rmse();  errors.r2();
class Regression {
public:
    /// Throws ShapeError if the shapes differ (a [batch, 1] against a [batch] would be broadcast elsewhere), or the
    /// number of outputs is not that of before.
    template <class Predictions, class Targets>
    void update(const Predictions& predictions, const Targets& targets) {
        add(detail::doubles_of(predictions), detail::doubles_of(targets));
    }

    Index count() const { return count_; }
    double value() const { return mse(); }

    /// Mean (prediction − target)².
    double mse() const {
        return mean_of([&](const Output& o) { return o.squared.value() / n(); });
    }
    /// √mse of every output, averaged.
    double rmse() const {
        return mean_of([&](const Output& o) { return std::sqrt(o.squared.value() / n()); });
    }
    /// Mean |prediction − target|.
    double mae() const {
        return mean_of([&](const Output& o) { return o.absolute.value() / n(); });
    }
    /// The coefficient of determination, 1 − Σ (target − prediction)² / Σ (target − mean target)²: 1 is perfect, 0 as
    /// good as always the mean. Targets that are all the same give 1 if every prediction is exact, else 0. NaN for
    /// less than two examples.
    double r2() const {
        if (count_ < 2) return undefined;
        return mean_of([](const Output& o) {
            const double error = o.squared.value();
            if (o.targets.squares == 0) return error == 0 ? 1.0 : std::isnan(error) ? undefined : 0.0;
            return 1 - error / o.targets.squares;
        });
    }
    /// The largest |prediction − target| of all.
    double max_error() const { return count_ == 0 ? undefined : largest_; }

    /// Throws ShapeError if both have outputs, but not equally many.
    Regression& operator+=(const Regression& other) {
        if (other.count_ == 0) return *this;
        set_outputs(other.outputs_.size());
        for (std::size_t i = 0; i < outputs_.size(); ++i) {
            outputs_[i].squared.add(other.outputs_[i].squared);
            outputs_[i].absolute.add(other.outputs_[i].absolute);
            outputs_[i].targets.add(other.outputs_[i].targets);
        }
        count_ += other.count_;
        keep_largest(other.largest_);
        return *this;
    }
    void reset() { *this = {}; }

    template <class Writer>
    void save(Writer& to) const {
        Tensor<double> sums = Tensor<double>::uninitialized({static_cast<Index>(outputs_.size()), 7});
        double* out = sums.mutable_data();
        for (const Output& o : outputs_)
            for (const double x : {o.squared.high(), o.squared.low(), o.absolute.high(), o.absolute.low(),
                                   o.targets.weight, o.targets.mean, o.targets.squares})
                *out++ = x;
        to.put("sums", sums);
        to.put("count", count_);
        to.put("largest", largest_);
    }
    template <class Reader>
    void load(const Reader& from) {
        const auto sums = from.template get<Tensor<double>>("sums");
        if (sums.rank() != 2 || sums.size(1) != 7)
            detail::raise<ShapeError>("regression", "load: needs sums [outputs, 7]", sums.shape());
        Regression loaded;
        loaded.count_ = detail::checked_count("regression", from.template get<Index>("count"));
        loaded.largest_ = from.template get<double>("largest");
        for (const double* x = sums.begin(); x != sums.end(); x += 7)
            loaded.outputs_.push_back(
                {detail::Sum::of(x[0], x[1]), detail::Sum::of(x[2], x[3]), {x[4], x[5], x[6]}});
        *this = std::move(loaded);
    }

private:
    struct Output {
        detail::Sum squared, absolute;
        detail::Spread targets;
    };

    void add(const Tensor<double>& predictions, const Tensor<double>& targets) {
        if (predictions.rank() == 0 || !(predictions.shape() == targets.shape()))
            detail::raise<ShapeError>("regression", remedy(predictions.shape(), targets.shape()),
                                      predictions.shape(), targets.shape());
        if (predictions.numel() == 0) return;
        const Index outputs = predictions.numel() / predictions.size(0);
        set_outputs(static_cast<std::size_t>(outputs));
        for (Index i = 0; i < predictions.numel(); ++i) {
            Output& output = outputs_[static_cast<std::size_t>(i % outputs)];
            const double error = predictions.data()[i] - targets.data()[i];
            output.squared.add(error * error);
            output.absolute.add(std::abs(error));
            output.targets.add(targets.data()[i]);
            keep_largest(std::abs(error));
        }
        count_ += predictions.size(0);
    }

    [[gnu::cold]] static const char* remedy(const Shape& predictions, const Shape& targets) {
        if (predictions.rank() == targets.rank() + 1 && predictions == [&] {
                Shape shape = targets;
                shape.push_back(1);
                return shape;
            }())
            return "needs predictions and targets of one shape; squeeze(predictions, -1) first";
        return "needs predictions and targets of one shape, [batch, ...]";
    }

    void set_outputs(std::size_t outputs) {
        if (outputs_.empty()) outputs_.resize(outputs);
        if (outputs_.size() != outputs)
            detail::raise<ShapeError>("regression", "the number of outputs differs from that before", outputs,
                                      outputs_.size());
    }
    void keep_largest(double error) {
        if (error > largest_ || std::isnan(error)) largest_ = error;  // a NaN stays
    }
    double n() const { return static_cast<double>(count_); }
    template <class Of>
    double mean_of(const Of& of) const {
        if (count_ == 0) return undefined;
        detail::Sum sum;
        for (const Output& output : outputs_) sum.add(of(output));
        return sum.value() / static_cast<double>(outputs_.size());
    }

    std::vector<Output> outputs_;
    Index count_ = 0;
    double largest_ = 0;
};

/// The same with another value(), for a column of a table: training::Metric("r2", metrics::R2()).
struct Rmse : Regression {
    double value() const { return rmse(); }
};
struct Mae : Regression {
    double value() const { return mae(); }
};
struct R2 : Regression {
    double value() const { return r2(); }
};

/// "rmse 0.52, mae 0.38, r2 0.81, max error 1.7"
[[gnu::cold]] inline std::string to_string(const Regression& errors) {
    char text[160];
    std::snprintf(text, sizeof text, "rmse %.4g, mae %.4g, r2 %.4g, max error %.4g", errors.rmse(),
                  errors.mae(), errors.r2(), errors.max_error());
    return text;
}

}  // namespace gradus::metrics
