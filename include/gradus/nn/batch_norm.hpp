// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>

#include "gradus/autograd/parameter.hpp"
#include "gradus/core/reflect.hpp"
#include "gradus/core/remedy.hpp"
#include "gradus/nn/trace.hpp"
#include "gradus/ops/norm.hpp"

namespace gradus::nn {

struct BatchNormLayerOptions {
    double eps = 1e-5;                     // added to the variance
    std::optional<double> momentum = 0.1;  // running = (1 − momentum) · running + momentum · batch;
                                           // nullopt: running is the mean over all batches so far
    bool affine = true;                    // learn a weight and a bias per channel
    bool track_running_stats = true;       // false: a batch is normalized by its own statistics always
};

namespace detail {

/// What the layers for one and two dimensions share.
template <class T>
struct BatchNorm {
    std::optional<Parameter<T>> weight, bias;  // [features], from 1 and 0
    // What a call changes while training, also of a const layer: models are called as what they compute.
    mutable std::optional<Buffer<T>> running_mean, running_var;  // [features], from 0 and 1
    mutable std::optional<Buffer<Index>> num_batches_tracked;    // one number, from 0
    double eps;
    std::optional<double> momentum;
    bool training = true;

    [[gnu::cold]] BatchNorm(Index features, const BatchNormLayerOptions& options)
        : eps(options.eps), momentum(options.momentum) {
        if (features < 1)
            gradus::detail::raise<ValueError>("batch_norm", "needs at least one feature", features);
        gradus::detail::check_batch_norm_options(eps, momentum.value_or(0));
        const Shape shape{features};
        if (options.affine) {
            weight.emplace(gradus::ones<T>(shape));
            bias.emplace(gradus::zeros<T>(shape));
        }
        if (options.track_running_stats) {
            running_mean.emplace(gradus::zeros<T>(shape));
            running_var.emplace(gradus::ones<T>(shape));
            num_batches_tracked.emplace(gradus::zeros<Index>({}));
        }
        features_ = features;
    }

    auto fields() {
        return std::tuple(field("weight", weight), field("bias", bias), field("running_mean", running_mean),
                          field("running_var", running_var),
                          field("num_batches_tracked", num_batches_tracked));
    }

protected:
    Variable<T> normalize(const Variable<T>& x, bool fits, const char* axes) const {
        if (!fits || x.size(1) != features_)
            gradus::detail::raise<ShapeError>("batch_norm",
                                              std::string("this layer needs x ") + axes + " with " +
                                                  std::to_string(features_) + " channels",
                                              x.shape());
        const auto address = [](const auto& held) { return held ? &*held : nullptr; };
        const bool counts = training && num_batches_tracked;
        const double batches = counts ? static_cast<double>(num_batches_tracked->item()) + 1 : 1;
        Variable<T> y = gradus::detail::batch_norm<T>(
            x, {address(weight), address(bias), address(running_mean), address(running_var)},
            {.eps = eps, .momentum = momentum.value_or(1 / batches), .training = training});
        if (counts) ++*num_batches_tracked->mutable_value().mutable_data();
        return y;
    }

private:
    Index features_;
};

}  // namespace detail

/// Normalizes each channel of x [batch, features] or [batch, features, length] to mean 0 and variance 1, then
/// scales it by `weight` and adds `bias`. While training by the statistics of the batch, which also update
/// the running ones (with a variance divided by the count − 1); after nn::eval by the running ones. See
/// gradus::batch_norm for the formulas. relu(norm(x)) and relu(norm(x) + shortcut) are one step.
/// Throws ValueError for features < 1, eps < 0 or a momentum outside [0, 1]; ShapeError for another shape of
/// x and, while training, for one value per channel.
template <class T = float>
struct BatchNorm1d : detail::BatchNorm<T> {
    static constexpr const char* type = "BatchNorm1d";

    explicit BatchNorm1d(Index features, BatchNormLayerOptions options = {})
        : detail::BatchNorm<T>(features, options) {}
    template <std::size_t N>
    BatchNorm1d(Index features, gradus::detail::NoSuchOption<N>);

    Variable<T> operator()(const Variable<T>& x) const {
        return traced(this, [&] {
            return this->normalize(x, x.rank() == 2 || x.rank() == 3,
                                   "[batch, features] or [batch, features, length]");
        });
    }
};

/// BatchNorm1d for images: x [batch, features, height, width].
template <class T = float>
struct BatchNorm2d : detail::BatchNorm<T> {
    static constexpr const char* type = "BatchNorm2d";

    explicit BatchNorm2d(Index features, BatchNormLayerOptions options = {})
        : detail::BatchNorm<T>(features, options) {}
    template <std::size_t N>
    BatchNorm2d(Index features, gradus::detail::NoSuchOption<N>);

    Variable<T> operator()(const Variable<T>& x) const {
        return traced(this,
                      [&] { return this->normalize(x, x.rank() == 4, "[batch, features, height, width]"); });
    }
};

}  // namespace gradus::nn
