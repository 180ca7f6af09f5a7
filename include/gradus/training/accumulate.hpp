// SPDX-License-Identifier: MIT
#pragma once

#include <utility>
#include <vector>

#include "gradus/training/tree_sum.hpp"

namespace gradus::training {

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
/// The gradients are added along the tree of TreeSum. They are of means over the examples of a micro-batch: one
/// with another number of examples than what it is added to is multiplied by the ratio first. At most
/// log₂ S + 1 gradients are held at a time.
template <class T = float>
class Accumulator {
public:
    explicit Accumulator(std::vector<Variable<T>> parameters) : parameters_(std::move(parameters)) {}

    /// Takes the gradients away from the parameters: of the mean over so many examples. A parameter without
    /// one counts as 0.
    void add(Index examples) {
        if (examples < 1)
            gradus::detail::raise<ValueError>("accumulator", "a micro-batch needs examples", examples);
        sum_.add(detail::take_gradients(parameters_, examples));
    }

    /// How many were added since the last finish().
    Index count() const { return sum_.count(); }

    /// Gives the parameters the mean of all gradients that were added. Throws ValueError if there are none.
    void finish() {
        gradus::detail::check<ValueError>(count() > 0, "accumulator", "finish: nothing was added");
        GradientSum<T> sum = sum_.take();
        sum.to_mean();
        detail::give_gradients(parameters_, sum);
    }

    /// Forgets what was added.
    void clear() { sum_.clear(); }

private:
    std::vector<Variable<T>> parameters_;
    TreeSum<GradientSum<T>> sum_;
};

template <class T>
Accumulator(std::vector<Variable<T>>) -> Accumulator<T>;

/// Among the callbacks of fit(): one step for so many batches. At the end of an epoch, for those that are left.
/// The number is part of a checkpoint, as other sums have other bits.
struct Accumulate {
    Index batches = 1;
};

}  // namespace gradus::training
