// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <string>
#include <type_traits>

#include "gradus/training/metric_input.hpp"

namespace gradus::metrics {

/// The mean of numbers, and how far it is to be trusted.
///
///     metrics::Mean loss;
///     loss.update(cross_entropy(net(images), labels).item(), images.size(0));  // the mean of that many examples
///     to_string(loss);                                                         // "0.3142 ± 0.0051"
class Mean {
public:
    /// A number; or the mean of `count` examples, which counts as often. Throws ValueError if count is negative.
    template <class Number>
    requires std::is_arithmetic_v<Number>
    void update(Number number, Index count = 1) {
        const auto value = static_cast<double>(number);
        if (count < 0) detail::raise<ValueError>("mean", "count must not be negative", count);
        if (count == 0) return;
        sum_.add(value * static_cast<double>(count));
        spread_.add(value, static_cast<double>(count));
        examples_ += count;
        ++updates_;
    }

    /// Every number of a tensor: losses with {.reduction = Reduction::none}, say.
    template <class T>
    void update(const Tensor<T>& values) {
        for (const T& value : values) update(static_cast<double>(value));
    }
    template <class T>
    void update(const Variable<T>& values) {
        update(values.value());
    }

    double value() const {
        return examples_ == 0 ? undefined : sum_.value() / static_cast<double>(examples_);
    }
    Index count() const { return examples_; }

    /// The sample standard deviation of what was given, √(Σ n (x − mean)² / (k − 1)) for k numbers, each the mean
    /// of n examples. NaN for less than two.
    double standard_deviation() const {
        return updates_ < 2 ? undefined : std::sqrt(spread_.squares / static_cast<double>(updates_ - 1));
    }

    /// The standard error of the mean: standard_deviation() / √count.
    double standard_error() const {
        return examples_ == 0 ? undefined : standard_deviation() / std::sqrt(static_cast<double>(examples_));
    }

    Mean& operator+=(const Mean& other) {
        sum_.add(other.sum_);
        spread_.add(other.spread_);
        examples_ += other.examples_;
        updates_ += other.updates_;
        return *this;
    }
    void reset() { *this = {}; }

    template <class Writer>
    void save(Writer& to) const {
        to.put("examples", examples_);
        to.put("updates", updates_);
        to.put("sums",
               Tensor<double>{sum_.high(), sum_.low(), spread_.weight, spread_.mean, spread_.squares});
    }
    template <class Reader>
    void load(const Reader& from) {
        Mean loaded;
        loaded.examples_ = detail::checked_count("mean", from.template get<Index>("examples"));
        loaded.updates_ = detail::checked_count("mean", from.template get<Index>("updates"));
        const auto sums = from.template get<Tensor<double>>("sums");
        if (!(sums.shape() == Shape{5}))
            detail::raise<ShapeError>("mean", "load: needs 5 sums", sums.shape());
        loaded.sum_ = detail::Sum::of(sums(0), sums(1));
        loaded.spread_ = {sums(2), sums(3), sums(4)};
        *this = loaded;
    }

private:
    detail::Sum sum_;
    detail::Spread spread_;
    Index examples_ = 0, updates_ = 0;
};

/// "0.3142 ± 0.0051"; the value alone where there is no standard error.
[[gnu::cold]] inline std::string to_string(const Mean& mean) {
    return detail::text_with_error(mean.value(), mean.standard_error());
}

}  // namespace gradus::metrics
