// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "gradus/autograd/backward.hpp"
#include "gradus/core/random.hpp"
#include "gradus/nn/model.hpp"

namespace gradus {

struct FindLrOptions {
    double start = 1e-7;
    double end = 10;
    Index steps = 100;
    double smoothing = 0.98;  // how much of the average of the losses so far is kept at every step
    double stop_factor = 4;   // stop when the smoothed loss is so many times its lowest value
};

/// What find_lr() saw: one entry per step in each list, and two proposals. NaN stands for none: the loss did
/// not fall.
struct LrCurve {
    std::vector<double> lr, loss, smoothed;
    double steepest = std::numeric_limits<double>::quiet_NaN();  // where the smoothed loss falls fastest
    double valley = std::numeric_limits<double>::quiet_NaN();    // half way down its longest fall
    bool diverged = false;                                       // stopped before the end
};

namespace detail {

/// The arithmetic of the range test: which rate comes next, and what the losses say.
class LrSweep {
public:
    [[gnu::cold]] explicit LrSweep(const FindLrOptions& options) : options_(options) {
        const FindLrOptions& o = options;
        if (!(o.start > 0 && o.end > o.start && std::isfinite(o.end)))
            raise<ValueError>("find_lr", "needs 0 < start < end", o.start, o.end);
        if (o.steps < 2) raise<ValueError>("find_lr", "steps must be at least 2", o.steps);
        if (!(o.smoothing >= 0 && o.smoothing < 1))
            raise<ValueError>("find_lr", "smoothing must be at least 0 and below 1", o.smoothing);
        if (!(o.stop_factor > 1)) raise<ValueError>("find_lr", "stop_factor must be above 1", o.stop_factor);
    }

    bool running() const { return !curve_.diverged && size() < options_.steps; }

    double lr() const {
        const double t = static_cast<double>(size()) / static_cast<double>(options_.steps - 1);
        return options_.start * std::pow(options_.end / options_.start, t);
    }

    /// Takes the loss at lr(); false if it was the last one.
    [[gnu::cold]] bool add(double loss) {
        if (!std::isfinite(loss)) {
            gradus::detail::check<ValueError>(
                size() > 0, "find_lr",
                "the loss is not finite before the first step; check the data and the model");
            curve_.diverged = true;
            return false;
        }
        average_ = options_.smoothing * average_ + (1 - options_.smoothing) * loss;
        const double smoothed =
            average_ / (1 - std::pow(options_.smoothing, static_cast<double>(size() + 1)));
        curve_.lr.push_back(lr());
        curve_.loss.push_back(loss);
        curve_.smoothed.push_back(smoothed);
        if (size() == 1 || smoothed < lowest_) lowest_ = smoothed;
        // the distance from the lowest, so that losses below 0 have a meaning, too
        curve_.diverged = smoothed - lowest_ > (options_.stop_factor - 1) * std::abs(lowest_);
        return running();
    }

    [[gnu::cold]] LrCurve finish() && {
        const std::size_t count = curve_.lr.size(), skipped = static_cast<std::size_t>(options_.steps) / 10;
        const bool trim = count >= skipped + 7;  // the average settles at the front, and rises at the end
        const std::size_t first = trim ? skipped : 0, last = trim ? count - 5 : count;
        find_steepest(first, last);
        find_valley(first, last);
        return std::move(curve_);
    }

private:
    Index size() const { return static_cast<Index>(curve_.lr.size()); }

    void find_steepest(std::size_t first, std::size_t last) {
        double best = 0;  // all steps are equally wide on the logarithmic scale
        for (std::size_t i = first; i + 1 < last; ++i) {
            const double slope = curve_.smoothed[i + 1] - curve_.smoothed[i];
            if (slope >= best) continue;
            best = slope;
            curve_.steepest = curve_.lr[i];
        }
    }

    void find_valley(std::size_t first, std::size_t last) {
        std::vector<std::size_t> length(last, 1);  // of the longest falling subsequence that ends here
        std::size_t end = first;
        for (std::size_t i = first; i < last; ++i) {
            for (std::size_t j = first; j < i; ++j)
                if (curve_.smoothed[i] < curve_.smoothed[j] && length[i] <= length[j])
                    length[i] = length[j] + 1;
            if (length[i] > length[end]) end = i;
        }
        if (length[end] < 2) return;
        curve_.valley = curve_.lr[end + length[end] / 3 + length[end] / 6 + (length[end] < 3) - length[end]];
    }

    FindLrOptions options_;
    LrCurve curve_;
    double average_ = 0, lowest_ = 0;
};

/// Puts a model, an optimizer, gradients and the default generator back to where they were, also when an
/// exception passes.
template <class Model, class Optimizer, class T>
class TrainingGuard {
public:
    [[nodiscard]] TrainingGuard(Model& net, Optimizer& optimizer, const char* operation = "find_lr")
        : net_(net),
          optimizer_(optimizer),
          net_before_(net),
          optimizer_before_(optimizer),
          generator_before_(default_generator()) {
        nn::detail::check_apart(operation, net, net_before_);
        for (const Variable<T>& leaf : nn::parameters<T>(net)) keep(leaf);
        for (const Variable<T>& leaf : optimizer.parameters())
            keep(leaf);  // also what is no part of the model
    }
    TrainingGuard(const TrainingGuard&) = delete;
    TrainingGuard& operator=(const TrainingGuard&) = delete;
    ~TrainingGuard() {
        net_ = net_before_;  // not moved: parameters stay the same ones
        optimizer_ = optimizer_before_;
        default_generator() = generator_before_;
        for (Leaf& leaf : leaves_) {
            leaf.variable.set_value(std::move(leaf.value));
            leaf.variable.zero_grad();
            if (leaf.gradient) leaf.variable.set_grad(std::move(*leaf.gradient));
        }
    }

private:
    struct Leaf {
        Variable<T> variable;
        Tensor<T> value;
        std::optional<Tensor<T>> gradient;
    };

    void keep(const Variable<T>& v) {
        leaves_.push_back({v, v.value(), v.has_grad() ? std::optional(v.grad()) : std::nullopt});
    }

    Model& net_;
    Optimizer& optimizer_;
    const Model net_before_;
    const Optimizer optimizer_before_;
    const Generator generator_before_;
    std::vector<Leaf> leaves_;
};

}  // namespace detail

/// The learning-rate range test: trains for some steps while the learning rate grows exponentially from
/// `start` to `end`, and watches the loss.
///
///     const data::Loader loader(train, {.batch_size = 256, .shuffle = true});
///     const LrCurve curve = find_lr(net, sgd, loader.epoch(0), [&](auto& batch) {
///         return cross_entropy(net(batch.inputs), batch.labels);
///     });
///     sgd.set_lr(curve.valley);
///
/// `batches` is a range; after the last one it begins again. The losses are smoothed by a moving average,
/// corrected for its start at 0. The test ends early when the smoothed loss exceeds stop_factor times its
/// lowest value, or a loss is not finite (such a one is not in the curve). In between the model is in
/// training mode and all groups of the optimizer get the same rate, times their lr_scale.
///
/// Afterwards all is as before, bit for bit, also if something throws: parameters, gradients, buffers and
/// training flags (the model must be copyable, and its copies have layers of their own), the optimizer's
/// state and options, the default generator. What loss_of itself changes elsewhere stays changed.
///
/// Both proposals leave out the first tenth of the steps and the last 5 of the curve. `steepest` is the rate
/// before the largest fall of the smoothed loss. `valley` takes the longest subsequence of falling smoothed
/// losses, counts back as many points from its end as it has, and is the rate half way from there to the end.
///
/// Throws ValueError for options out of range, no batches, or a first loss that is not finite.
/// Sources: Smith, "Cyclical learning rates for training neural networks", 2017; the proposals are fastai's
/// (callback/schedule.py: steep, valley), as are smoothing and stop_factor.
template <class Model, class Optimizer, class Batches, class LossOf>
LrCurve find_lr(Model& net, Optimizer& optimizer, Batches&& batches, const LossOf& loss_of,
                const FindLrOptions& options = {}) {
    using T = typename std::remove_cvref_t<decltype(optimizer.parameters())>::value_type::value_type;
    detail::LrSweep sweep(options);
    const detail::TrainingGuard<Model, Optimizer, T> guard(net, optimizer);
    nn::train(net);
    while (sweep.running()) {
        bool any = false;
        for (auto&& batch : batches) {
            any = true;
            const double lr = sweep.lr();
            optimizer.zero_grad();
            const Variable<T> loss = loss_of(batch);
            if (!sweep.add(static_cast<double>(loss.item()))) break;
            loss.backward();
            optimizer.set_lr(lr);
            optimizer.step();
        }
        gradus::detail::check<ValueError>(any, "find_lr", "there are no batches; is the dataset empty?");
    }
    return std::move(sweep).finish();
}

}  // namespace gradus
