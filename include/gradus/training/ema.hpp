// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "gradus/core/remedy.hpp"
#include "gradus/kernels/update/multi_tensor.hpp"
#include "gradus/nn/model.hpp"
#include "gradus/optim/optimizer.hpp"

namespace gradus {

struct EmaOptions {
    double decay = 0.999;
    bool bias_correction = false;
};

namespace detail {

template <class T>
struct EmaRule {
    T share;  // 1 − decay

    template <class V>
    GRADUS_INLINE void operator()(V& average, const V& w) const {
        average = average + V(share) * (w - average);
    }
};

}  // namespace detail

/// A copy of a model whose weights are a moving average of the model's: often better than the last weights.
///     average = decay · average + (1 − decay) · w          at each update()
/// starting from the weights as they were when it was made; with bias_correction from nothing, divided by
/// 1 − decayᵗ after t updates, which forgets them: good for the first 1 / (1 − decay) updates. Buffers
/// (running statistics) are copied. For a model of doubles: Ema<Net, double>. Source: Polyak & Juditsky,
/// "Acceleration of stochastic approximation by averaging", 1992.
///
///     Ema ema(net, {.decay = 0.99});
///     ...  adam.step();  ema.update(net);  ...
///     accuracy(ema.model()(images), labels);
template <class Model, class T = float>
class Ema {
public:
    /// Throws ValueError unless 0 <= decay < 1, and for a model whose copies share parameters.
    explicit Ema(const Model& model, const EmaOptions& options = {}) : model_(model), options_(options) {
        optim::check_fraction("ema", "decay", options.decay);
        nn::detail::check_apart("ema", model, model_);
        nn::eval(model_);
    }
    template <std::size_t N>
    Ema(const Model& model, detail::NoSuchOption<N>);

    /// Moves the average toward the model, in one pass. Throws ShapeError if it is no longer the same shape.
    void update(const Model& model) {
        auto& source = const_cast<Model&>(model);  // read only
        const auto from = nn::parameters<T>(source);
        auto to = nn::parameters<T>(model_);
        gradus::detail::check<ShapeError>(from.size() == to.size(), "ema",
                                          "the model has another number of parameters now; make a new Ema");
        const auto statistics = nn::buffers<T>(source);
        auto copies = nn::buffers<T>(model_);
        gradus::detail::check<ShapeError>(statistics.size() == copies.size(), "ema",
                                          "the model has another number of buffers now; make a new Ema");
        for (std::size_t i = 0; i < copies.size(); ++i)
            if (statistics[i].shape() != copies[i].shape())
                detail::raise<ShapeError>("ema", "a buffer changed shape; make a new Ema",
                                          statistics[i].shape(), copies[i].shape());
        kernels::UpdateSegments<T> segments(to.size());
        kernels::SharedMemory<T> memory(to.size());
        for (std::size_t i = 0; i < to.size(); ++i) {
            if (from[i].shape() != to[i].shape())
                detail::raise<ShapeError>("ema", "a parameter changed shape; make a new Ema", from[i].shape(),
                                          to[i].shape());
            T* const average = memory.to_write(i, 0, to[i].mutable_value());
            segments.push_back({to[i].numel(), {average, const_cast<T*>(from[i].value().data())}});
        }
        ++updates_;
        const detail::EmaRule<T> rule{T(share())};
        kernels::update<2>(&rule, segments, memory);
        for (std::size_t i = 0; i < copies.size(); ++i) copies[i].set_value(statistics[i].value());
        const auto counts = nn::buffers<Index>(source);
        auto counted = nn::buffers<Index>(model_);
        for (std::size_t i = 0; i < std::min(counts.size(), counted.size()); ++i)
            counted[i].set_value(counts[i].value());
    }

    /// The averaged model, in evaluation mode.
    Model& model() { return model_; }
    const Model& model() const { return model_; }

    Index updates() const { return updates_; }
    /// Goes on as if there had been so many: after the weights of model() were loaded. Throws ValueError for
    /// what cannot be a count.
    [[gnu::cold]] void set_updates(Index updates) {
        detail::check_count("ema", "updates", updates);
        updates_ = updates;
    }

private:
    /// What the model's weights contribute: (1 − d) / (1 − dᵗ) is the same as dividing by 1 − dᵗ at the end.
    double share() const {
        const double d = options_.decay;
        return options_.bias_correction ? (1 - d) / (1 - std::pow(d, static_cast<double>(updates_))) : 1 - d;
    }

    Model model_;
    EmaOptions options_;
    Index updates_ = 0;
};

template <class Model>
Ema(const Model&, const EmaOptions& = {}) -> Ema<Model>;

}  // namespace gradus
