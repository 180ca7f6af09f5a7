// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "gradus/autograd/variable.hpp"
#include "gradus/kernels/update.hpp"

namespace gradus::optim {

/// What optimizers share: groups of parameters, each with options of its own.
/// State lies in one flat array per group and kind, in the order of the parameters.
template <class T, class Options>
class Optimizer {
public:
    struct Group {
        std::vector<Variable<T>> parameters;
        Options options;
        std::vector<Tensor<T>>
            state;  // one array for each kind of state (momentum, say): [elements of the group]
        std::vector<Index> offsets;  // where each parameter's part begins
        std::vector<Index> sizes;    // and how many elements it has
        std::vector<Index> steps;    // how often each parameter was updated
    };

    /// Adds parameters with options of their own (nothing is taken over from other groups). Throws ValueError
    /// for no parameters, for a parameter that is here already, and for options out of range; GraphError for
    /// what is not a leaf.
    [[gnu::cold]] void add_group(std::vector<Variable<T>> parameters, Options options) {
        check<ValueError>(!parameters.empty(), name_, "no parameters; does the model have layers as fields?");
        validate_(options);
        Group group{std::move(parameters), options, {}, {}, {}, {}};
        Index size = 0;
        for (std::size_t i = 0; i < group.parameters.size(); ++i) {
            const Variable<T>& parameter = group.parameters[i];
            check<GraphError>(parameter.is_leaf(), name_,
                              "a parameter is the result of an operation; pass leaves");
            bool known = false;
            for (std::size_t j = 0; j < i; ++j)
                known = known || &group.parameters[j].node() == &parameter.node();
            for (const Group& other : groups_)
                for (const auto& p : other.parameters) known = known || &p.node() == &parameter.node();
            if (known)
                throw ValueError(std::string(name_) + ": parameter " + std::to_string(i) +
                                 " is listed twice; it would be updated twice per step");
            group.offsets.push_back(size);
            group.sizes.push_back(parameter.numel());
            size += parameter.numel();
        }
        group.steps.assign(group.parameters.size(), 0);
        for (int kind = 0; kind < kinds_of_state_; ++kind) group.state.push_back(zeros<T>({size}));
        groups_.push_back(std::move(group));
    }

    /// Forgets all gradients; the next backward() starts from nothing.
    void zero_grad() {
        for (Group& group : groups_)
            for (Variable<T>& parameter : group.parameters) parameter.zero_grad();
    }

    std::vector<Group>& groups() { return groups_; }
    const std::vector<Group>& groups() const { return groups_; }

    double lr() const { return static_cast<double>(groups_.front().options.lr); }

    /// Sets the learning rate of all groups. Throws ValueError unless it is finite and not negative.
    void set_lr(double lr) {
        for (Group& group : groups_) {
            Options options = group.options;
            options.lr = static_cast<decltype(options.lr)>(lr);
            validate_(options);
            group.options = options;
        }
    }

protected:
    Optimizer(const char* name, int kinds_of_state, void (*validate)(const Options&),
              std::vector<Variable<T>> parameters, const Options& options)
        : name_(name), kinds_of_state_(kinds_of_state), validate_(validate) {
        add_group(std::move(parameters), options);
    }

    /// Runs f(value, gradient, state...) over those parameters of a group that have a gradient and for which
    /// `chosen(index)` holds.
    template <std::size_t Kinds, class F, class Chosen>
    static void update(Group& group, const F& f, const Chosen& chosen) {
        std::vector<kernels::UpdateSegment<T>> segments;
        for (std::size_t i = 0; i < group.parameters.size(); ++i) {
            Variable<T>& parameter = group.parameters[i];
            if (!parameter.has_grad() || !parameter.requires_grad() || !chosen(i)) continue;
            if (parameter.numel() != group.sizes[i] || parameter.grad().shape() != parameter.shape())
                gradus::detail::fail<ShapeError>("optimizer", "a parameter or its gradient changed shape",
                                                 parameter.shape(), parameter.grad().shape());
            kernels::UpdateSegment<T> segment{parameter.numel(), {}};
            segment.arrays[0] = parameter.mutable_value().mutable_data();
            segment.arrays[1] = const_cast<T*>(parameter.grad().data());  // only read
            for (std::size_t k = 0; k < Kinds; ++k)
                segment.arrays[k + 2] = group.state[k].mutable_data() + group.offsets[i];
            segments.push_back(segment);
        }
        kernels::update<Kinds + 2>(f, segments);
    }

private:
    const char* name_;
    int kinds_of_state_;
    void (*validate_)(const Options&);
    std::vector<Group> groups_;
};

}  // namespace gradus::optim
