// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/autograd/parameter.hpp"
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
inline constexpr bool is_field = false;
template <class X>
inline constexpr bool is_field<Field<X>> = true;
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

// Structures that the walk does not enter, known by what they can do: so no header of theirs is needed here.
template <class X>
concept IsPointer = requires(X& x) {
    requires std::is_pointer_v<decltype(x.get())>;
};
template <class X>
concept IsRange = requires(X& x) {
    *x.begin();
    x.begin() != x.end();
};
template <class X>
concept IsVariant = requires(X& x) {
    x.index();
    x.valueless_by_exception();
};

/// True if something in an X may be a parameter or a buffer. Looks `Depth` levels deep: types can contain
/// themselves.
template <class X, int Depth = 8>
constexpr bool may_hold_parameters();

template <class X, int Depth>
inline constexpr bool any_may_hold = false;  // of the template arguments of X, and of the fields of a Field
template <template <class...> class Of, class... X, int Depth>
inline constexpr bool any_may_hold<Of<X...>, Depth> = (may_hold_parameters<X, Depth>() || ...);

template <class X, int Depth>
constexpr bool may_hold_in_fields() {
    if constexpr (gradus::detail::HasFields<X>)
        return any_may_hold<decltype(std::declval<X&>().fields()), Depth>;
    else
        return any_may_hold<decltype(gradus::detail::tie_fields(std::declval<X&>())), Depth>;
}

template <class X, int Depth>
constexpr bool may_hold_parameters() {
    using Plain = std::remove_cvref_t<X>;
    if constexpr (is_parameter<Plain> || is_buffer<Plain>) {
        return true;
    } else if constexpr (is_tensor<Plain> || !std::is_class_v<Plain> || Depth == 0) {
        return false;
    } else if constexpr (!requires { sizeof(Plain); }) {  // declared, but not defined
        return false;
    } else if constexpr (is_field<Plain>) {
        return may_hold_parameters<decltype(Plain::value), Depth>();
    } else if constexpr (is_list<Plain>) {
        return may_hold_parameters<typename Plain::value_type, Depth - 1>();
    } else if constexpr (is_optional<Plain> || is_tuple<Plain> || IsVariant<Plain>) {
        return any_may_hold<Plain, Depth - 1>;
    } else if constexpr (is_reflectable<Plain>) {
        return may_hold_in_fields<Plain, Depth - 1>();
    } else if constexpr (IsPointer<Plain>) {
        return may_hold_parameters<std::remove_pointer_t<decltype(std::declval<Plain&>().get())>,
                                   Depth - 1>();
    } else if constexpr (IsRange<Plain>) {
        return may_hold_parameters<decltype(*std::declval<Plain&>().begin()), Depth - 1>();
    } else {
        return may_hide_parameters<Plain>;
    }
}

/// A smart pointer, a variant or a container other than those that the walk enters, with parameters in it.
template <class X>
constexpr bool keeps_parameters_out_of_sight() {
    if constexpr (is_list<X> || is_optional<X> || is_tuple<X> || is_tensor<X> || is_parameter<X> ||
                  is_buffer<X>)
        return false;
    else if constexpr (!std::is_class_v<X> || is_reflectable<X>)
        return false;
    else if constexpr (IsPointer<X> || IsVariant<X> || IsRange<X>)
        return may_hold_parameters<X>();
    else
        return false;
}

[[gnu::cold]] inline std::string join(const std::string& path, std::string_view name) {
    return gradus::detail::text_of({path, path.empty() ? "" : ".", name});
}

/// Calls visit(path, part) for x and everything in it, outermost first: structs, layers, parameters, numbers,
/// through vectors, arrays, optionals and tuples.
template <class X, class Visit>
void walk(const std::string& path, X& x, Visit& visit) {
    static_assert(
        !may_hide_parameters<X>,
        "gradus cannot see inside this part of the model: make it a plain struct, or give it `auto fields() "
        "{ return std::tuple(gradus::field(\"weight\", weight), ...); }`");
    static_assert(
        !keeps_parameters_out_of_sight<X>(),
        "gradus does not look into smart pointers, std::variant, std::map, std::deque and the like, and "
        "would miss the parameters in this one: hold layers and parameters as plain fields, or in "
        "std::vector, std::array, std::optional, std::tuple, std::pair or nn::Sequential");
    if constexpr (is_list<X>) {
        std::size_t i = 0;
        for (auto&& item : x) walk(join(path, gradus::detail::text_of({i++})), item, visit);
    } else if constexpr (is_optional<X>) {
        if (x) walk(path, *x, visit);
    } else if constexpr (is_tuple<X>) {
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            (walk(join(path, gradus::detail::text_of({I})), std::get<I>(x), visit), ...);
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

/// Calls add(list, path, parameter) for every parameter. The type of the list is erased: the walk through a
/// model is compiled once.
template <class T, class Model>
void for_each_parameter(const Model& model, void* list,
                        void (*add)(void* list, const std::string& path, const Variable<T>& parameter)) {
    walk_model(const_cast<Model&>(model), [&](const std::string& path, auto& part) {
        using Part = std::remove_cvref_t<decltype(part)>;
        if constexpr (is_parameter<Part>) {
            static_assert(std::is_same_v<Part, Parameter<T>>,
                          "the model has parameters of another number type: write parameters<double>(model)");
            add(list, path, part);
        }
    });
}

}  // namespace detail

using gradus::NamedParameter;

/// Every parameter of a model with its path, in order of declaration. The variables refer to the model's own
/// parameters. For a model of doubles write named_parameters<double>(model).
template <class T = float, class Model>
std::vector<NamedParameter<T>> named_parameters(const Model& model) {
    using List = std::vector<NamedParameter<T>>;
    List result;
    const auto add = [](void* list, const std::string& path, const Variable<T>& parameter) {
        static_cast<List*>(list)->push_back({path, parameter});
    };
    detail::for_each_parameter<T>(model, &result, add);
    return result;
}

/// Every parameter of a model, in order of declaration: what an optimizer takes.
template <class T = float, class Model>
std::vector<Variable<T>> parameters(const Model& model) {
    using List = std::vector<Variable<T>>;
    List result;
    const auto add = [](void* list, const std::string&, const Variable<T>& parameter) {
        static_cast<List*>(list)->push_back(parameter);
    };
    detail::for_each_parameter<T>(model, &result, add);
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
