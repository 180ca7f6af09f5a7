// SPDX-License-Identifier: MIT
#pragma once

#include <utility>
#include <vector>

#include "gradus/autograd/variable.hpp"
#include "gradus/kernels/update/multi_tensor.hpp"
#include "gradus/optim/clip.hpp"

namespace gradus::training {
namespace detail {

template <class T>
struct AddGradient {
    template <class V>
    GRADUS_INLINE void operator()(V& sum, const V& g) const {
        sum = sum + g;
    }
};

}  // namespace detail

/// Steps with the gradient of S micro-batches, as if they were one batch, when that does not fit in memory:
///
///     training::Accumulator<> accumulator(sgd.parameters());
///     for (auto& [inputs, labels] : loader.epoch(epoch)) {
///         sgd.zero_grad();
///         cross_entropy(net(inputs), labels).backward();
///         accumulator.add(labels.numel());
///         if (accumulator.count() < 4) continue;
///         accumulator.finish();  // the mean over all examples
///         sgd.step();
///     }
///
/// The gradients are added along a binary tree that depends on their numbers alone: n of them are the first
/// 2ᵏ, the largest power of two below n, plus the others, each side added in the same way. So whoever adds
/// gradients of parts of the tree and then along it, as several processes can, gets the same bits. Gradients
/// are of means over the examples of a micro-batch: one with another number of examples than the first is
/// multiplied by n / n₀, and the sum divided by the sum of these weights. At most log₂ S + 1 gradients are
/// held at a time.
template <class T = float>
class Accumulator {
public:
    explicit Accumulator(std::vector<Variable<T>> parameters) : parameters_(std::move(parameters)) {}

    /// Takes the gradients away from the parameters: of the mean over so many examples. A parameter without
    /// one counts as 0.
    void add(Index examples) {
        if (examples < 1)
            gradus::detail::raise<ValueError>("accumulator", "a micro-batch needs examples", examples);
        if (count_ == 0) first_ = examples;
        Gradients gradients(parameters_.size());
        for (std::size_t i = 0; i < parameters_.size(); ++i) {
            if (!parameters_[i].has_grad()) continue;
            gradients[i] = parameters_[i].grad();
            parameters_[i].zero_grad();
        }
        if (examples != first_) scale(gradients, static_cast<double>(examples) / static_cast<double>(first_));
        examples_ += examples;
        for (Index bit = count_++; bit % 2 == 1; bit /= 2) {  // as the carry of a binary counter
            sum(held_.back(), gradients);
            gradients = std::move(held_.back());
            held_.pop_back();
        }
        held_.push_back(std::move(gradients));
    }

    /// How many were added since the last finish().
    Index count() const { return count_; }

    /// Gives the parameters the mean of all gradients that were added. Throws ValueError if there are none.
    void finish() {
        gradus::detail::check<ValueError>(count_ > 0, "accumulator", "finish: nothing was added");
        Gradients gradients = std::move(held_.back());
        for (std::size_t i = held_.size() - 1; i-- > 0;) {
            sum(held_[i], gradients);
            gradients = std::move(held_[i]);
        }
        if (examples_ != first_)
            scale(gradients, static_cast<double>(first_) / static_cast<double>(examples_));
        for (std::size_t i = 0; i < parameters_.size(); ++i)
            if (gradients[i].numel() > 0) parameters_[i].set_grad(std::move(gradients[i]));
        clear();
    }

    /// Forgets what was added.
    void clear() {
        held_.clear();
        count_ = first_ = examples_ = 0;
    }

private:
    using Gradients = std::vector<Tensor<T>>;  // one for each parameter; without elements: 0

    static void sum(Gradients& a, const Gradients& b) {
        kernels::UpdateSegments<T> segments(a.size());
        for (std::size_t i = 0; i < a.size(); ++i) {
            if (b[i].numel() == 0) continue;
            if (a[i].numel() == 0)
                a[i] = b[i];
            else
                segments.push_back({a[i].numel(), {a[i].mutable_data(), const_cast<T*>(b[i].data())}});
        }
        const detail::AddGradient<T> rule;
        kernels::update<2>(&rule, segments);
    }

    static void scale(Gradients& gradients, double factor) {
        kernels::UpdateSegments<T> segments(gradients.size());
        for (Tensor<T>& gradient : gradients)
            if (gradient.numel() > 0) segments.push_back({gradient.numel(), {gradient.mutable_data()}});
        const optim::detail::ScaleRule<T> rule{T(factor)};
        kernels::update<2>(&rule, segments);
    }

    std::vector<Variable<T>> parameters_;
    std::vector<Gradients> held_;  // sums of 2ᵏ gradients, of falling k
    Index count_ = 0, first_ = 0, examples_ = 0;
};

template <class T>
Accumulator(std::vector<Variable<T>>) -> Accumulator<T>;

/// Among the callbacks of fit(): one step for so many batches. At the end of an epoch, for those that are left.
/// The number is part of a checkpoint, as other sums have other bits.
struct Accumulate {
    Index batches = 1;
};

}  // namespace gradus::training
