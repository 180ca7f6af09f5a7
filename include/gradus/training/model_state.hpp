// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <string>
#include <type_traits>
#include <vector>

#include "gradus/nn/model.hpp"
#include "gradus/training/state.hpp"

// Models: every parameter and buffer under its path, and which parameters are not frozen.

namespace gradus::training::detail {

[[noreturn, gnu::cold]] inline void refuse_model(const StateReader& state,
                                                 const std::vector<std::string>& missing,
                                                 const std::vector<std::string>& unexpected,
                                                 const std::vector<std::string>& other_shape) {
    std::string text = state.where() + ": " + state.path("") + ": is of another model";
    if (!missing.empty()) text += ": only in the program: " + some_of(missing);
    if (!unexpected.empty()) text += ": only in the file: " + some_of(unexpected);
    if (!other_shape.empty()) text += ": of another shape or type: " + some_of(other_shape);
    throw ValueError(text);
}

/// A parameter or buffer of a model, in a form that does not depend on the model's type.
struct ModelPart {
    std::string path;
    void* leaf;
    bool frozen;
    io::AnyTensor (*value)(const void* leaf);
    void (*set)(void* leaf, const io::AnyTensor& value, bool frozen);
};

template <class Leaf>
ModelPart model_part(const std::string& path, Leaf& leaf) {
    bool frozen = false;
    if constexpr (nn::detail::is_parameter<Leaf>) frozen = !leaf.requires_grad();
    return {path, &leaf, frozen,
            [](const void* from) -> io::AnyTensor { return static_cast<const Leaf*>(from)->value(); },
            [](void* to, const io::AnyTensor& value, [[maybe_unused]] bool is_frozen) {
                Leaf& part = *static_cast<Leaf*>(to);
                part.set_value(value.get<typename Leaf::value_type>());
                if constexpr (nn::detail::is_parameter<Leaf>) part.set_requires_grad(!is_frozen);
            }};
}

template <class Model>
std::vector<ModelPart> parts_of(const Model& model) {
    GRADUS_CHECK_MODEL(Model);
    std::vector<ModelPart> parts;
    nn::detail::walk_model(const_cast<Model&>(model), [&](const std::string& path, auto& part) {
        using Leaf = std::remove_cvref_t<decltype(part)>;
        if constexpr (nn::detail::is_parameter<Leaf> || nn::detail::is_buffer<Leaf>)
            parts.push_back(model_part<Leaf>(path, part));
    });
    return parts;
}

[[gnu::cold]] inline void save_model(const std::vector<ModelPart>& parts, StateWriter& state) {
    for (const ModelPart& part : parts) {
        state.put(part.path, part.value(part.leaf));
        if (part.frozen) state.put(part.path + ":frozen", true);
    }
}

[[gnu::cold]] inline void load_model(const std::vector<ModelPart>& parts, const StateReader& state) {
    std::vector<std::string> missing, unexpected, other_shape;
    const std::vector<std::string> names = state.names();
    std::vector<bool> known(names.size());
    for (const ModelPart& part : parts) {  // first see whether everything fits
        const io::AnyTensor value = part.value(part.leaf);
        if (!state.contains(part.path)) {
            missing.push_back(part.path + " " + to_string(value.shape()));
            continue;
        }
        const std::string difference = state.difference(part.path, value.dtype(), value.shape());
        if (!difference.empty()) other_shape.push_back(part.path + " " + difference);
        const auto at = std::lower_bound(names.begin(), names.end(), part.path);
        if (at != names.end() && *at == part.path) known[static_cast<std::size_t>(at - names.begin())] = true;
    }
    for (std::size_t i = 0; i < names.size(); ++i)
        if (!known[i] && !names[i].ends_with(":frozen")) unexpected.push_back(names[i]);
    if (!missing.empty() || !unexpected.empty() || !other_shape.empty())
        refuse_model(state, missing, unexpected, other_shape);
    for (const ModelPart& part : parts)
        part.set(part.leaf, state.get<io::AnyTensor>(part.path), state.contains(part.path + ":frozen"));
}

}  // namespace gradus::training::detail
