// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <concepts>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/autograd/parameter.hpp"
#include "gradus/core/random.hpp"
#include "gradus/core/reflect.hpp"
#include "gradus/core/size2.hpp"

/// Layers, and what can be done with any model made of them. A model is a plain struct with layers as fields.
namespace gradus::nn {

/// A member that is no part of the model: nobody looks into it for parameters, buffers or layers, and it is
/// neither trained nor saved with the model. For what belongs to somebody else, and for classes that gradus
/// cannot look into and that hold no layers.
///
///     nn::Ignored<const Teacher*> teacher{&net};       // teacher->fc1, (*teacher)(x)
///     nn::Ignored<Tokenizer> tokenizer;                // tokenizer->encode(text)
///     nn::Sequential(nn::Linear<>(4, 4), nn::Ignored([&](const auto& x) { return x * scale; }));
template <class X>
struct Ignored {
    X value{};

    Ignored() = default;
    Ignored(X x) : value(std::move(x)) {}

    auto& operator*() const { return at(value); }
    auto& operator*() { return at(value); }
    auto* operator->() const { return &at(value); }
    auto* operator->() { return &at(value); }

    template <class... Args>
    requires std::is_invocable_v<const X&, Args...>
    decltype(auto) operator()(Args&&... args) const { return value(std::forward<Args>(args)...); }

private:
    /// What a pointer refers to; anything else itself.
    template <class Value>
    static auto& at(Value& value) {
        if constexpr (requires { *value; })
            return *value;
        else
            return value;
    }
};
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
template <class X>
inline constexpr bool is_variable = false;
template <class T>
inline constexpr bool is_variable<Variable<T>> = true;
template <class X>
inline constexpr bool is_ignored = false;
template <class X>
inline constexpr bool is_ignored<Ignored<X>> = true;

// Structures of the standard library that the walk does not enter, known by what they have: so no header of
// theirs is needed here.
template <class X>
concept IsPointer = requires(X& x) {
    typename X::element_type;
    requires std::is_pointer_v<decltype(x.get())>;
};
template <class X>
concept IsContainer = requires(X& x) {
    *x.begin();
    x.begin() != x.end();
}
&&(
    requires { typename X::allocator_type; } || requires { typename X::traits_type; } ||
    requires { typename X::string_type; });
template <class X>
concept IsVariant = requires(X& x) {
    x.index();
    x.valueless_by_exception();
};
template <class X>
concept IsRandomEngine = requires {
    typename X::result_type;
    X::min();
    X::max();
};

template <class X>
concept HasTrainingFlag = requires(X& x) {
    { x.training } -> std::same_as<bool&>;
};

/// A class that cannot be looked into, and yet holds neither a layer nor a pointer to one: there is no room,
/// or it is known.
template <class X>
inline constexpr bool is_plain_value =
    std::is_empty_v<X> || sizeof(X) < sizeof(void*) || std::is_base_of_v<Size2, X> ||
    std::is_same_v<X, Shape> || std::is_same_v<X, Generator> || IsRandomEngine<X>;

// What a type has for a model: nothing, something that the walk finds, or something that it cannot see.
struct Nothing {};
struct InSight {};
template <class X>
struct Hidden {};

constexpr Nothing operator|(Nothing, Nothing) { return {}; }
constexpr InSight operator|(InSight, Nothing) { return {}; }
constexpr InSight operator|(InSight, InSight) { return {}; }
constexpr InSight operator|(Nothing, InSight) { return {}; }
template <class X, class Other>
constexpr Hidden<X> operator|(Hidden<X>, Other) {
    return {};
}
template <class X>
constexpr Hidden<X> operator|(Nothing, Hidden<X>) {
    return {};
}
template <class X>
constexpr Hidden<X> operator|(InSight, Hidden<X>) {
    return {};
}

template <class X>
inline constexpr bool is_hidden = false;
template <class X>
inline constexpr bool is_hidden<Hidden<X>> = true;

/// Says which of the three an X is; of hidden ones it names the first. Looks `Depth` levels deep: types can
/// contain themselves.
template <class X, int Depth = 8>
constexpr auto look_at();

/// The same of a list of types.
template <class List, int Depth>
struct Each;
template <template <class...> class Of, class... X, int Depth>
struct Each<Of<X...>, Depth> {
    static constexpr bool all_fields = (is_field<std::remove_cvref_t<X>> && ...);
    static constexpr auto look() { return (Nothing() | ... | look_at<std::remove_cvref_t<X>, Depth>()); }
};

/// What `Holder` refers to, or keeps where the walk does not go.
template <class Holder, class X, int Depth>
constexpr auto look_behind() {
    if constexpr (std::is_same_v<decltype(look_at<std::remove_cvref_t<X>, Depth>()), Nothing>)
        return Nothing();
    else
        return Hidden<Holder>();
}

template <class Class, class Member>
Class class_of(Member Class::*);

/// True if X has its fields() from a base class, and fields of its own beside that.
template <class X>
constexpr bool inherits_fields() {
    if constexpr (requires { class_of(&X::fields); })
        return sizeof(decltype(class_of(&X::fields))) != sizeof(X);
    else
        return false;  // overloaded, for const: its own
}

template <class X, int Depth>
constexpr auto look_at_fields() {
    if constexpr (!gradus::detail::HasFields<X>)
        return Each<decltype(gradus::detail::tie_fields(std::declval<X&>())), Depth>::look();
    else if constexpr (inherits_fields<X>() || !Each<decltype(std::declval<X&>().fields()), 0>::all_fields)
        return Hidden<X>();
    else
        return Each<decltype(std::declval<X&>().fields()), Depth>::look();
}

template <class X, int Depth>
constexpr auto look_at() {
    if constexpr (is_parameter<X> || is_buffer<X>) {
        return InSight();
    } else if constexpr (is_tensor<X> || is_variable<X> || is_ignored<X> || Depth == 0) {
        return Nothing();
    } else if constexpr (std::is_pointer_v<X>) {
        return look_behind<X, std::remove_pointer_t<X>, Depth - 1>();
    } else if constexpr (!std::is_class_v<X> && !std::is_union_v<X>) {
        return Nothing();
    } else if constexpr (!requires { sizeof(X); }) {  // declared, but not defined
        return Hidden<X>();
    } else if constexpr (is_field<X>) {
        return look_at<std::remove_cvref_t<decltype(X::value)>, Depth>();
    } else if constexpr (is_list<X>) {
        return look_at<typename X::value_type, Depth - 1>();
    } else if constexpr (is_optional<X> || is_tuple<X>) {
        return Each<X, Depth - 1>::look();
    } else if constexpr (is_reflectable<X>) {
        if constexpr (HasTrainingFlag<X>)
            return InSight() | look_at_fields<X, Depth - 1>();
        else
            return look_at_fields<X, Depth - 1>();
    } else if constexpr (IsVariant<X>) {
        if constexpr (std::is_same_v<decltype(Each<X, Depth - 1>::look()), Nothing>)
            return Nothing();
        else
            return Hidden<X>();
    } else if constexpr (IsPointer<X>) {
        return look_behind<X, typename X::element_type, Depth - 1>();
    } else if constexpr (IsContainer<X>) {
        return look_behind<X, decltype(*std::declval<X&>().begin()), Depth - 1>();
    } else if constexpr (is_plain_value<X>) {
        return Nothing();
    } else {
        return Hidden<X>();
    }
}

template <class Model>
constexpr auto look_at_model() {
    if constexpr (is_reflectable<Model> || is_list<Model> || is_tuple<Model> || is_optional<Model>)
        return look_at<Model>();
    else
        return Hidden<Model>();
}

/// The part of a model that cannot be looked into: Hidden<its type>. If there is none, Nothing or InSight.
template <class Model>
using HiddenPart = decltype(look_at_model<std::remove_const_t<Model>>());

template <class Part>
concept NothingHidden = !is_hidden<Part>;  // a concept: then g++ says of which type it does not hold

// Each function that takes a model says this itself: further inside, compilers would first list the way
// there.
#define GRADUS_CHECK_MODEL(Model)                                                                         \
    static_assert(                                                                                        \
        gradus::nn::detail::NothingHidden<gradus::nn::detail::HiddenPart<Model>>,                         \
        "gradus cannot look into a part of this model, whose parameters and layers it would miss "        \
        "(Hidden<its type> is named here): make that part a plain struct (no constructor, no private "    \
        "members, no base class, no references), or give it `auto fields() { return "                     \
        "std::tuple(gradus::field(\"fc1\", fc1), ...); }`; hold layers by value, not by pointers, "       \
        "std::variant, std::map or std::function; or, if there is nothing to train in it, declare it as " \
        "gradus::nn::Ignored<type>")

[[gnu::cold]] inline std::string join(const std::string& path, std::string_view name) {
    return gradus::detail::text_of({path, path.empty() ? "" : ".", name});
}

[[noreturn, gnu::cold]] inline void refuse_variable(const std::string& path) {
    gradus::detail::refuse<GraphError>(
        {"model: ", path,
         " is a Variable that requires a gradient, and no optimizer would find it: declare it as "
         "Parameter<>, or as nn::Ignored<Variable<>> if the model does not own it"});
}

/// Calls visit(path, part) for x and everything in it, outermost first: structs, layers, parameters, through
/// vectors, arrays, optionals and tuples.
template <class X, class Visit>
void walk(const std::string& path, X& x, Visit& visit) {
    if constexpr (!std::is_class_v<X> || is_ignored<X> || is_tensor<X>) {
        return;
    } else if constexpr (is_variable<X>) {
        if (x.requires_grad() && x.is_leaf()) refuse_variable(path);
    } else if constexpr (is_list<X>) {
        if constexpr (std::is_class_v<typename X::value_type>)
            for (std::size_t i = 0; i < x.size(); ++i)
                walk(join(path, gradus::detail::text_of({i})), x[i], visit);
    } else if constexpr (is_optional<X>) {
        if (x) walk(path, *x, visit);
    } else if constexpr (is_tuple<X>) {
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            (walk(join(path, gradus::detail::text_of({I})), std::get<I>(x), visit), ...);
        }
        (std::make_index_sequence<std::tuple_size_v<X>>());
    } else {
        visit(path, x);
        if constexpr (!is_parameter<X> && !is_buffer<X> && is_reflectable<X>)
            for_each_field(x,
                           [&](std::string_view name, auto& field) { walk(join(path, name), field, visit); });
    }
}

template <class Model, class Visit>
void walk_model(Model& model, Visit&& visit) {
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
    GRADUS_CHECK_MODEL(Model);
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
    GRADUS_CHECK_MODEL(Model);
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
    GRADUS_CHECK_MODEL(Model);
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
    GRADUS_CHECK_MODEL(Model);
    std::vector<Variable<T>> result;
    for (auto& named : named_buffers<T>(model)) result.push_back(std::move(named.buffer));
    return result;
}

/// How many numbers the parameters hold.
template <class T = float, class Model>
Index parameter_count(const Model& model) {
    GRADUS_CHECK_MODEL(Model);
    Index count = 0;
    for (const auto& parameter : parameters<T>(model)) count += parameter.numel();
    return count;
}

namespace detail {

template <class Model>
void set_training(Model& model, bool training) {
    static_assert(!std::is_const_v<Model>, "nn::train and nn::eval change the model: it must not be const");
    walk_model(model, [&](const std::string&, auto& part) {
        if constexpr (HasTrainingFlag<std::remove_cvref_t<decltype(part)>>) part.training = training;
    });
}

}  // namespace detail

/// Puts every layer that has a `bool training` (dropout, batch normalization) into training mode, or out of
/// it.
template <class Model>
void train(Model& model) {
    GRADUS_CHECK_MODEL(Model);
    detail::set_training(model, true);
}
template <class Model>
void eval(Model& model) {
    GRADUS_CHECK_MODEL(Model);
    detail::set_training(model, false);
}

}  // namespace gradus::nn
