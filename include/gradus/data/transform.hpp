// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "gradus/core/parallel.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/data/dataset.hpp"

namespace gradus::data {
namespace detail {

/// Sum over the rows of x [rows, features] of term(element, feature), in double: [features]. Rows are added
/// in fixed blocks and the blocks in order, so the bits do not depend on the number of threads.
template <class T, class Term>
Tensor<double> sum_rows(const Tensor<T>& x, Index features, const Term& term) {
    constexpr Index most_blocks = 32;  // bounds the memory for partial sums
    const Index rows = x.numel() / features;
    const Index block = std::max((rows + most_blocks - 1) / most_blocks, parallel_grain / features + 1);
    const Index blocks = (rows + block - 1) / block;
    Tensor<double> partial = zeros<double>({blocks, features});
    double* sums = partial.mutable_data();
    parallel_for(rows, block, [&](Index begin, Index end) {
        double* sum = sums + begin / block * features;
        for (Index row = begin; row < end; ++row) {
            const T* values = x.data() + row * features;
            for (Index j = 0; j < features; ++j) sum[j] += term(static_cast<double>(values[j]), j);
        }
    });
    for (Index i = 1; i < blocks; ++i)
        for (Index j = 0; j < features; ++j) sums[j] += sums[i * features + j];
    return Tensor<double>({features}, partial.values().first(static_cast<std::size_t>(features)));
}

}  // namespace detail

/// Shifts and scales inputs to mean 0 and standard deviation 1: y = (x - mean) / std, in double before
/// rounding to the type of x. Fit it to the training set, then apply it to training and test set alike:
///
///     const auto standardize = data::Standardize::per_feature(train.inputs);
///     train = standardize(train), test = standardize(test);
///
/// A feature that is the same in every example (std 0) is divided by 1: it becomes exactly 0 there.
class Standardize {
public:
    /// With given numbers of the shape of one example, or of shape [] to use the same two for every element.
    /// Throws ShapeError if the two shapes differ, ValueError unless all are finite and std >= 0.
    Standardize(Tensor<double> mean, Tensor<double> std)
        : mean_(std::move(mean)), std_(std::move(std)), divisor_(std_) {
        if (mean_.shape() != std_.shape())
            gradus::detail::raise<ShapeError>("standardize", "mean and std differ in shape", mean_.shape(),
                                              std_.shape());
        double* divisor = divisor_.mutable_data();
        for (Index j = 0; j < std_.numel(); ++j) {
            if (!std::isfinite(mean_.data()[j]) || !std::isfinite(std_.data()[j]) || std_.data()[j] < 0)
                gradus::detail::raise<ValueError>(
                    {"standardize: needs a finite mean and a finite std >= 0: got ",
                     gradus::detail::number_text(mean_.data()[j]), " and ",
                     gradus::detail::number_text(std_.data()[j]), " for feature ", j,
                     "; are there NaN or infinite inputs?"});
            if (divisor[j] == 0) divisor[j] = 1;
        }
    }

    /// Every feature (position in an example) by its own mean and std over the examples of x [count, ...].
    /// The std is that of a population, sqrt(mean((x - mean)^2)), as numpy.std computes it.
    /// Throws ValueError if x is empty or holds numbers that are not finite.
    template <class T>
    static Standardize per_feature(const Tensor<T>& x) {
        check_not_empty(x.shape());
        const Shape feature_shape = x.shape().without(0);
        const Index features = feature_shape.numel();
        const auto rows = static_cast<double>(x.size(0));
        // Summing distances to the first row, not values, gives a constant feature its exact mean and std 0.
        Tensor<double> mean = detail::sum_rows(x, features, [first = x.data()](double value, Index j) {
            return value - static_cast<double>(first[j]);
        });
        double* m = mean.mutable_data();
        for (Index j = 0; j < features; ++j) m[j] = static_cast<double>(x.data()[j]) + m[j] / rows;
        Tensor<double> deviation = detail::sum_rows(
            x, features, [m](double value, Index j) { return (value - m[j]) * (value - m[j]); });
        for (double& square : deviation.mutable_values()) square = std::sqrt(square / rows);
        return Standardize(mean.reshape(feature_shape), deviation.reshape(feature_shape));
    }

    /// Every element by one mean and one std over all of x. Throws as per_feature does.
    template <class T>
    static Standardize global(const Tensor<T>& x) {
        check_not_empty(x.shape());
        const Index features = x.shape().numel() / x.size(0);
        const auto count = static_cast<double>(x.numel());
        const auto first = static_cast<double>(x.data()[0]);
        const auto shifted =
            detail::sum_rows(x, features, [first](double value, Index) { return value - first; });
        const double mean = first + total(shifted) / count;
        const auto squares = detail::sum_rows(
            x, features, [mean](double value, Index) { return (value - mean) * (value - mean); });
        return Standardize(full<double>({}, mean), full<double>({}, std::sqrt(total(squares) / count)));
    }

    /// x [count, ...] of any count, with features of the shape fitted to. Throws ShapeError otherwise.
    template <class T>
    Tensor<T> operator()(const Tensor<T>& x) const {
        if (mean_.rank() > 0 && (x.rank() == 0 || x.shape().without(0) != mean_.shape()))
            gradus::detail::raise<ShapeError>("standardize",
                                              "inputs are not [count, ...] of the features fitted to",
                                              x.shape(), mean_.shape());
        return mean_.rank() == 0 ? apply_one(x) : apply_each(x);
    }

    /// A dataset with its inputs standardized and its labels as they are.
    template <class T, class Label>
    Dataset<T, Label> operator()(const Dataset<T, Label>& dataset) const {
        return {(*this)(dataset.inputs), dataset.labels};
    }

    const Tensor<double>& mean() const { return mean_; }
    const Tensor<double>& std() const { return std_; }  // 0 for a constant feature

private:
    static void check_not_empty(const Shape& shape) {
        if (shape.rank() == 0 || shape.numel() == 0)
            gradus::detail::raise<ValueError>(
                {"standardize: needs at least one example [count, ...] to fit to: got ", to_string(shape)});
    }

    static double total(const Tensor<double>& x) {
        double sum = 0;
        for (const double value : x) sum += value;
        return sum;
    }

    template <class T>
    Tensor<T> apply_one(const Tensor<T>& x) const {
        Tensor<T> result = Tensor<T>::uninitialized(x.shape());
        T* out = result.mutable_data();
        const double mean = mean_.item(), divisor = divisor_.item();
        parallel_for(x.numel(), parallel_grain, [&, from = x.data()](Index begin, Index end) {
            for (Index i = begin; i < end; ++i)
                out[i] = static_cast<T>((static_cast<double>(from[i]) - mean) / divisor);
        });
        return result;
    }

    template <class T>
    Tensor<T> apply_each(const Tensor<T>& x) const {
        Tensor<T> result = Tensor<T>::uninitialized(x.shape());
        if (x.numel() == 0) return result;
        const Index features = mean_.numel();
        const double *mean = mean_.data(), *divisor = divisor_.data();
        T* out = result.mutable_data();
        parallel_for(x.size(0), parallel_grain / features + 1, [&, from = x.data()](Index begin, Index end) {
            for (Index at = begin * features; at < end * features; at += features)
                for (Index j = 0; j < features; ++j)
                    out[at + j] = static_cast<T>((static_cast<double>(from[at + j]) - mean[j]) / divisor[j]);
        });
        return result;
    }

    Tensor<double> mean_, std_, divisor_;
};

}  // namespace gradus::data
