// SPDX-License-Identifier: MIT
#pragma once

#include <utility>
#include <vector>

#include "gradus/autograd/variable.hpp"
#include "gradus/kernels/update/multi_tensor.hpp"
#include "gradus/optim/clip.hpp"

// Sums whose bits do not depend on who adds them: the one definition for a step of many batches, in one process
// (Accumulator) or in several (distributed/).

namespace gradus::training {

/// Adds what comes along a binary tree that depends on its numbers alone: n of them are the first 2ᵏ, the
/// largest power of two below n, plus the others, each side added in the same way. So whoever adds the parts
/// 0 ... 2ᵏ - 1, 2ᵏ ... 2 · 2ᵏ - 1 and so on, and these along the same tree, gets the same bits. A Node has
/// add(Node right). At most log₂ n + 1 are held at a time.
template <class Node>
class TreeSum {
public:
    void add(Node node) {
        for (Index bit = count_++; bit % 2 == 1; bit /= 2) {  // as the carry of a binary counter
            held_.back().add(std::move(node));
            node = std::move(held_.back());
            held_.pop_back();
        }
        held_.push_back(std::move(node));
    }

    Index count() const { return count_; }

    /// The sum of all, of none Node(). Begins anew.
    Node take() {
        Node sum;
        if (!held_.empty()) sum = std::move(held_.back());
        for (std::size_t i = held_.size(); i-- > 1;) {
            held_[i - 1].add(std::move(sum));
            sum = std::move(held_[i - 1]);
        }
        clear();
        return sum;
    }

    void clear() {
        held_.clear();
        count_ = 0;
    }

private:
    std::vector<Node> held_;  // sums of 2ᵏ, of falling k
    Index count_ = 0;
};

namespace detail {

template <class T>
struct AddGradient {
    template <class V>
    GRADUS_INLINE void operator()(V& sum, const V& g) const {
        sum = sum + g;
    }
};

}  // namespace detail

/// A sum of gradients of means over examples, in units of the number of examples that its first one has: as long
/// as all have the same number, nothing is multiplied. Of no examples: 0.
template <class T>
struct GradientSum {
    std::vector<Tensor<T>> gradients;  // one for each parameter; without elements: 0
    Index unit = 0, examples = 0;      // of the first one, and of all

    void add(GradientSum right) {
        if (right.examples == 0) return;
        if (examples == 0) {
            *this = std::move(right);
            return;
        }
        right.change_unit(unit);
        kernels::UpdateSegments<T> segments(gradients.size());
        for (std::size_t i = 0; i < gradients.size(); ++i) {
            Tensor<T>&a = gradients[i], &b = right.gradients[i];
            if (b.numel() == 0) continue;
            if (a.numel() == 0)
                a = std::move(b);
            else
                segments.push_back({a.numel(), {a.mutable_data(), const_cast<T*>(b.data())}});
        }
        const detail::AddGradient<T> rule;
        kernels::update<2>(&rule, segments);
        examples += right.examples;
    }

    void change_unit(Index to) {
        if (unit != to && unit != 0) scale(static_cast<double>(unit) / static_cast<double>(to));
        unit = to;
    }

    /// The mean over all examples.
    void to_mean() { change_unit(examples); }

private:
    void scale(double factor) {
        kernels::UpdateSegments<T> segments(gradients.size());
        for (Tensor<T>& gradient : gradients)
            if (gradient.numel() > 0) segments.push_back({gradient.numel(), {gradient.mutable_data()}});
        const optim::detail::ScaleRule<T> rule{T(factor)};
        kernels::update<2>(&rule, segments);
    }
};

namespace detail {

/// Takes the gradients away from the parameters: of a mean over so many examples.
template <class T>
GradientSum<T> take_gradients(std::vector<Variable<T>>& parameters, Index examples) {
    GradientSum<T> sum{std::vector<Tensor<T>>(parameters.size()), examples, examples};
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        if (!parameters[i].has_grad()) continue;
        sum.gradients[i] = parameters[i].grad();
        parameters[i].zero_grad();
    }
    return sum;
}

/// Gives them back; one that is 0 is none.
template <class T>
void give_gradients(std::vector<Variable<T>>& parameters, GradientSum<T>& sum) {
    for (std::size_t i = 0; i < parameters.size() && i < sum.gradients.size(); ++i)
        if (sum.gradients[i].numel() > 0) parameters[i].set_grad(std::move(sum.gradients[i]));
}

}  // namespace detail
}  // namespace gradus::training
