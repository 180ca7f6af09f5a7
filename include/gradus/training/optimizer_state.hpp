// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "gradus/core/separate.hpp"
#include "gradus/optim/any_optimizer.hpp"
#include "gradus/training/state.hpp"

// Optimizers: the kind, the options of every group, and step count and state of every parameter.

namespace gradus::training::detail {

template <class T>
[[gnu::cold]] void save_optimizer(const optim::SavedOptions& options,
                                  const std::vector<optim::ParameterState<T>>& parameters,
                                  StateWriter& state) {
    state.put("kind", options.kind);
    state.put("groups", options.groups.size());
    for (std::size_t g = 0; g < options.groups.size(); ++g) {
        StateWriter group = state.in(gradus::detail::text_of({"groups.", g}));
        group.put("parameters", Tensor<Index>(options.groups[g].parameters));
        for (const auto& option : options.groups[g].options) group.put(option.name, option.value);
    }
    std::vector<Index> steps;
    StateWriter tensors = state.in("state");
    for (const auto& parameter : parameters) {
        steps.push_back(parameter.steps);
        for (const auto& kind : parameter.kinds) tensors.put(parameter.name + ":" + kind.name, kind.value);
    }
    state.put("steps", Tensor<Index>(steps));
}

/// Gives `options` and `parameters`, which are those of the program, what is in the file.
template <class T>
[[gnu::cold]] void read_optimizer(const StateReader& state, optim::SavedOptions& options,
                                  std::vector<optim::ParameterState<T>>& parameters) {
    if (const auto kind = state.get<std::string>("kind"); kind != options.kind)
        state.refuse("kind", gradus::detail::text_of({"must be ", options.kind, ": got ", kind}));
    if (const auto count = state.get<std::size_t>("groups"); count != options.groups.size())
        state.refuse("groups", gradus::detail::text_of({"must be ", options.groups.size(), ": got ", count}));
    for (std::size_t g = 0; g < options.groups.size(); ++g) {
        const StateReader group = state.in(gradus::detail::text_of({"groups.", g}));
        const auto indices = group.get<Tensor<Index>>("parameters");
        options.groups[g].parameters.assign(indices.begin(), indices.end());
        for (auto& option : options.groups[g].options) option.value = group.get<double>(option.name);
    }
    const auto steps = state.get<Tensor<Index>>("steps");
    if (steps.numel() != static_cast<Index>(parameters.size()))
        state.refuse("", gradus::detail::text_of({"is of ", steps.numel(), " parameters: got one of ",
                                                  parameters.size(), " in the program"}));
    const StateReader tensors = state.in("state");
    const std::vector<std::string> names = tensors.names();
    std::vector<bool> known(names.size());
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        parameters[i].steps = steps.data()[i];
        parameters[i].kinds.clear();
        const std::string start = parameters[i].name + ":";
        auto at =
            static_cast<std::size_t>(std::lower_bound(names.begin(), names.end(), start) - names.begin());
        for (; at < names.size() && names[at].starts_with(start); ++at) {
            parameters[i].kinds.push_back(
                {names[at].substr(start.size()), tensors.template get<Tensor<T>>(names[at])});
            known[at] = true;
        }
    }
    std::vector<std::string> unexpected;
    for (std::size_t i = 0; i < names.size(); ++i)
        if (!known[i]) unexpected.push_back(names[i]);
    if (!unexpected.empty())
        tensors.refuse("", "is of parameters that the optimizer does not have: " + some_of(unexpected));
}

template <class Optimizer>
[[gnu::cold]] void load_optimizer(Optimizer& optimizer, const StateReader& state) {
    optim::SavedOptions options = saved_options(optimizer);
    const auto before = optimizer.state();
    auto parameters = before;
    read_optimizer(state, options, parameters);
    optimizer.load_state(parameters);
    try {
        load_options(optimizer, options);
    } catch (...) {
        optimizer.load_state(before);
        throw;
    }
}

#if GRADUS_SEPARATE
extern template void save_optimizer(const optim::SavedOptions&,
                                    const std::vector<optim::ParameterState<float>>&, StateWriter&);
extern template void read_optimizer(const StateReader&, optim::SavedOptions&,
                                    std::vector<optim::ParameterState<float>>&);
#endif

}  // namespace gradus::training::detail
