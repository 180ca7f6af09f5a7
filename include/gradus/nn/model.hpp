// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/autograd/variable.hpp"
#include "gradus/core/reflect.hpp"

/// Layers, and what can be done with any model made of them. A model is a plain struct with layers as fields.
namespace gradus::nn {
namespace detail {

template <class X>
inline constexpr bool is_parameter = false;
template <class T>
inline constexpr bool is_parameter<Parameter<T>> = true;
template <class X>
inline constexpr bool is_buffer = false;
template <class T>
inline constexpr bool is_buffer<Buffer<T>> = true;
template <class X>
inline constexpr bool is_list = false;
template <class X, class A>
inline constexpr bool is_list<std::vector<X, A>> = true;
template <class X, std::size_t N>
inline constexpr bool is_list<std::array<X, N>> = true;
template <class X>
inline constexpr bool is_optional = false;
template <class X>
inline constexpr bool is_optional<std::optional<X>> = true;
template <class X>
inline constexpr bool is_tuple = false;
template <class... X>
inline constexpr bool is_tuple<std::tuple<X...>> = true;
template <class X, class Y>
inline constexpr bool is_tuple<std::pair<X, Y>> = true;
template <class X>
inline constexpr bool is_tensor = false;
template <class T>
inline constexpr bool is_tensor<Tensor<T>> = true;
template <class T>
inline constexpr bool is_tensor<Variable<T>> = true;

/// A callable whose fields cannot be seen and that is more than plain bytes may hide parameters.
template <class X>
inline constexpr bool may_hide_parameters =
    !is_reflectable<X> && !std::is_trivially_copyable_v<X> &&
    (std::is_invocable_v<const X&, Variable<float>> || std::is_invocable_v<const X&, Variable<double>>);

[[gnu::cold]] inline std::string join(const std::string& path, std::string_view name) {
    return path.empty() ? std::string(name) : path + "." + std::string(name);
}

/// Calls visit(path, part) for x and everything in it, outermost first: structs, layers, parameters, numbers,
/// through vectors, arrays, optionals and tuples.
template <class X, class Visit>
void walk(const std::string& path, X& x, Visit& visit) {
    static_assert(
        !may_hide_parameters<X>,
        "gradus cannot see inside this part of the model: make it a plain struct, or give it `auto fields() "
        "{ return std::tuple(gradus::field(\"weight\", weight), ...); }`");
    if constexpr (is_list<X>) {
        std::size_t i = 0;
        for (auto&& item : x) walk(join(path, std::to_string(i++)), item, visit);
    } else if constexpr (is_optional<X>) {
        if (x) walk(path, *x, visit);
    } else if constexpr (is_tuple<X>) {
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            (walk(join(path, std::to_string(I)), std::get<I>(x), visit), ...);
        }
        (std::make_index_sequence<std::tuple_size_v<X>>());
    } else {
        visit(path, x);
        if constexpr (std::is_class_v<X> && !is_parameter<X> && !is_buffer<X> && !is_tensor<X> &&
                      is_reflectable<X>)
            for_each_field(x,
                           [&](std::string_view name, auto& field) { walk(join(path, name), field, visit); });
    }
}

template <class Model, class Visit>
void walk_model(Model& model, Visit&& visit) {
    static_assert(
        is_reflectable<Model> || is_list<Model> || is_tuple<Model>,
        "gradus cannot see the fields of this model: make it a plain struct (no constructor, no private "
        "members), or give it `auto fields() { return std::tuple(gradus::field(\"fc1\", fc1), ...); }`");
    walk(std::string(), model, visit);
}

}  // namespace detail

template <class T>
struct NamedParameter {
    std::string name;  // path of fields: "conv1.weight", "blocks.2.fc.bias"
    Variable<T> parameter;
};

/// Every parameter of a model with its path, in order of declaration. The variables refer to the model's own
/// parameters. For a model of doubles write named_parameters<double>(model).
template <class T = float, class Model>
std::vector<NamedParameter<T>> named_parameters(const Model& model) {
    std::vector<NamedParameter<T>> result;
    detail::walk_model(const_cast<Model&>(model), [&](const std::string& path, auto& part) {
        using Part = std::remove_cvref_t<decltype(part)>;
        if constexpr (detail::is_parameter<Part>) {
            static_assert(std::is_same_v<Part, Parameter<T>>,
                          "the model has parameters of another number type: write parameters<double>(model)");
            result.push_back({path, part});
        }
    });
    return result;
}

/// Every parameter of a model, in order of declaration: what an optimizer takes.
template <class T = float, class Model>
std::vector<Variable<T>> parameters(const Model& model) {
    std::vector<Variable<T>> result;
    for (auto& named : named_parameters<T>(model)) result.push_back(std::move(named.parameter));
    return result;
}

template <class T>
struct NamedBuffer {
    std::string name;
    Variable<T> buffer;
};

/// Every buffer of a model (running statistics) with its path, in order of declaration. The variables refer
/// to the model's own: set_value() changes the model.
template <class T = float, class Model>
std::vector<NamedBuffer<T>> named_buffers(const Model& model) {
    std::vector<NamedBuffer<T>> result;
    detail::walk_model(const_cast<Model&>(model), [&](const std::string& path, auto& part) {
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(part)>, Buffer<T>>)
            result.push_back({path, part});
    });
    return result;
}

/// Every buffer of a model, in order of declaration.
template <class T = float, class Model>
std::vector<Variable<T>> buffers(const Model& model) {
    std::vector<Variable<T>> result;
    for (auto& named : named_buffers<T>(model)) result.push_back(std::move(named.buffer));
    return result;
}

/// How many numbers the parameters hold.
template <class T = float, class Model>
Index parameter_count(const Model& model) {
    Index count = 0;
    for (const auto& parameter : parameters<T>(model)) count += parameter.numel();
    return count;
}

namespace detail {

template <class Model>
void set_training(Model& model, bool training) {
    static_assert(!std::is_const_v<Model>, "nn::train and nn::eval change the model: it must not be const");
    walk_model(model, [&](const std::string&, auto& part) {
        if constexpr (requires {
                          { part.training } -> std::same_as<bool&>;
                      })
            part.training = training;
    });
}

}  // namespace detail

/// Puts every layer that has a `bool training` (dropout, batch normalisation) into training mode, or out of
/// it.
template <class Model>
void train(Model& model) {
    detail::set_training(model, true);
}
template <class Model>
void eval(Model& model) {
    detail::set_training(model, false);
}

}  // namespace gradus::nn
