// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <string>
#include <string_view>
#include <vector>

#include <gradus/gradus.hpp>

#include "averages.hpp"

/// All gradients of a model as one list of numbers, taken from a loss.
template <class Model>
std::vector<double> gradient_of(const Model& model, const gradus::Variable<>& loss) {
    std::vector<double> result;
    auto parameters = gradus::nn::parameters(model);
    for (auto& parameter : parameters) parameter.zero_grad();
    loss.backward();
    for (const auto& parameter : parameters)
        result.insert(result.end(), parameter.grad().begin(), parameter.grad().end());
    return result;
}

/// In degrees.
inline double angle_between(const std::vector<double>& a, const std::vector<double>& b) {
    double ab = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < a.size(); ++i) ab += a[i] * b[i], aa += a[i] * a[i], bb += b[i] * b[i];
    return std::acos(std::clamp(ab / std::sqrt(aa * bb), -1.0, 1.0)) * 180 / std::numbers::pi;
}

/// Angles to the gradient of the whole data set, one per mini-batch.
struct Noise {
    int batch;
    std::vector<double> each, averaged;  // of a mini-batch's gradient; of their moving average
};

inline double median(std::vector<double> values) {
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                     values.end());
    return values[values.size() / 2];
}

/// Measures at one point of a logistic regression, the weights after ten steps along the whole gradient. The
/// average does not need its bias corrected: that changes lengths, not angles.
inline std::vector<Noise> measure_noise(const gradus::data::Dataset<>& data, const std::vector<int>& batches,
                                        int count, double beta, std::uint64_t seed) {
    gradus::nn::Linear<> model{784, 10};
    for (auto& parameter : gradus::nn::parameters(model))
        parameter.set_value(gradus::zeros(parameter.shape()));
    gradus::optim::SGD sgd(gradus::nn::parameters(model), {.lr = 0.1});
    const auto gradient = [&](const gradus::Tensor<>& images, const gradus::Tensor<gradus::Index>& labels) {
        return gradient_of(model, cross_entropy(model(flatten(gradus::Variable<>(images))), labels));
    };
    for (int step = 0; step < 10; ++step) gradient(data.inputs, data.labels), sgd.step();
    const std::vector<double> whole = gradient(data.inputs, data.labels);

    std::vector<Noise> result;
    for (const int batch : batches) {
        Noise noise{batch, {}, {}};
        std::vector<double> average(whole.size(), 0.0);
        const auto done = [&] { return static_cast<int>(noise.each.size()) == count; };
        const auto take = [&](const gradus::Tensor<>& images, const gradus::Tensor<gradus::Index>& labels) {
            const std::vector<double> one = gradient(images, labels);
            for (std::size_t i = 0; i < one.size(); ++i) average[i] = beta * average[i] + (1 - beta) * one[i];
            noise.each.push_back(angle_between(one, whole));
            noise.averaged.push_back(angle_between(average, whole));
        };
        const gradus::data::Loader loader(
            data, {.batch_size = batch, .shuffle = true, .seed = seed, .drop_last = data.size() >= batch});
        for (gradus::Index epoch = 0; !done(); ++epoch)
            for (auto& [images, labels] : loader.epoch(epoch))
                if (!done()) take(images, labels);
        result.push_back(noise);
    }
    return result;
}

/// How often each angle occurs, smoothed (a Gaussian kernel of 2.5°) and at most 1.
inline Points density(const std::vector<double>& angles) {
    Points result;
    double highest = 0;
    for (double x = 0; x <= 120; x += 0.5) {
        double sum = 0;
        for (const double angle : angles) sum += std::exp(-0.5 * std::pow((x - angle) / 2.5, 2));
        result.push_back({x, sum});
        highest = std::max(highest, sum);
    }
    for (Point& p : result) p.y /= highest;
    return result;
}

/// One row per batch size: how the angles spread.
inline std::string angle_rows(const std::vector<Noise>& noises) {
    std::vector<double> ticks;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < noises.size(); ++i) {
        ticks.push_back(static_cast<double>(noises.size() - 1 - i));
        names.push_back(std::to_string(noises[i].batch));
    }
    svg::Plot plot(
        {.width = 420,
         .height = 330,
         .x = {0, 120, "angle to the whole gradient (degrees)", false, {0, 30, 60, 90, 120}},
         .y = {0, static_cast<double>(noises.size()), "batch", false, ticks, names},
         .description = "How the angle between mini-batch gradients and the whole gradient spreads"});
    plot.vertical(90);
    for (std::size_t i = 0; i < noises.size(); ++i) {
        const auto draw = [&](const std::vector<double>& angles, const char* color, double opacity,
                              const char* anchor) {
            Points shape = density(angles);
            for (Point& p : shape) p.y = ticks[i] + 0.72 * p.y;
            plot.area(shape, ticks[i], {color, 0, {}, opacity});
            const bool left = std::string_view(anchor) == "end";
            plot.note({median(angles), ticks[i] + 0.76}, svg::number(median(angles), 0) + "°",
                      {left ? 4.0 : -4.0, 0}, anchor, left ? color : "soft");
        };
        draw(noises[i].each, "noise", 0.8, "start");
        draw(noises[i].averaged, "two", 0.75, "end");
    }
    return plot.str();
}

/// One batch size, step by step.
inline std::string angle_steps(const Noise& noise, int steps) {
    svg::Plot plot(
        {.width = 420,
         .height = 330,
         .x = {0, static_cast<double>(steps), "mini-batch number"},
         .y = {0, 130, "angle (degrees), batch " + std::to_string(noise.batch), false, {0, 30, 60, 90, 120}},
         .description = "The angle of successive mini-batch gradients and of their average"});
    Points each, averaged;
    for (int i = 0; i < steps; ++i) {
        const auto at = static_cast<std::size_t>(i);
        each.push_back({i + 1.0, noise.each[at]});
        averaged.push_back({i + 1.0, noise.averaged[at]});
    }
    plot.horizontal(90);
    plot.line(each, {"noise", 1.6});
    plot.line(averaged, {"two", 2.4});
    return plot.str();
}

inline void add_noise(Page& page, const std::vector<Noise>& noises, double beta) {
    const Noise& middle = noises[noises.size() / 2];
    const double effective = middle.batch * (1 + beta) / (1 - beta);
    page.figure(
        legend({{"one mini-batch", "noise"}, {"moving average, β = " + svg::number(beta, 2), "two"}}) +
            grid({angle_rows(noises), angle_steps(middle, 100)}),
        "Left: angles of " + std::to_string(middle.each.size()) +
            " mini-batches per batch size, with their medians; 90° means that the step is of no use. Right: "
            "batch " +
            std::to_string(middle.batch) + " step by step. Averaging with β = " + svg::number(beta, 2) +
            " is worth (1 + β) / (1 − β) times the batch: batch " + std::to_string(middle.batch) +
            " then points as well as a batch of " + svg::number(effective, 0) + " would.");
}
