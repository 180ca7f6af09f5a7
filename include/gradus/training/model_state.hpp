// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <string>
#include <type_traits>
#include <vector>

#include "gradus/core/separate.hpp"
#include "gradus/nn/model.hpp"
#include "gradus/training/state.hpp"

// Models: every parameter and buffer under its path, and which parameters are not frozen.

namespace gradus::training::detail {

[[noreturn, gnu::cold]] void refuse_model(const StateReader& state, const std::vector<std::string>& missing,
                                          const std::vector<std::string>& unexpected,
                                          const std::vector<std::string>& other_shape);

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

[[gnu::cold]] void save_model(const std::vector<ModelPart>& parts, StateWriter& state);

[[gnu::cold]] void load_model(const std::vector<ModelPart>& parts, const StateReader& state);

}  // namespace gradus::training::detail

#if !GRADUS_SEPARATE
#include "gradus/training/model_state.inc"
#endif
