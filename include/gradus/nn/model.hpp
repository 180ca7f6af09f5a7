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

// Structures of the standard library are known by what they have: so no header of theirs is needed here.

template <class X>
inline constexpr bool is_array = false;
template <class X, std::size_t N>
inline constexpr bool is_array<std::array<X, N>> = true;
template <class X>
concept HasAllocator = requires {
    typename X::allocator_type;
};
template <class X>
concept HasKeys = requires {
    typename X::key_type;
};
/// std::vector, std::array, std::deque, std::list: elements are named by their numbers.
template <class X>
concept IsList = is_array<X> ||(HasAllocator<X> && !HasKeys<X>);
/// std::map with keys that can be part of a name: text or whole numbers.
template <class X>
concept IsMap = HasKeys<X> && requires(X& x, const typename X::key_type& key) {
    typename X::key_compare;
    x.at(key);
    gradus::detail::TextPart(key);
};
/// std::unique_ptr and std::shared_ptr.
template <class X>
concept IsPointer = requires(X& x) {
    typename X::element_type;
    requires std::is_pointer_v<decltype(x.get())>;
};
/// Those of them to one object that may be changed.
template <class X>
concept IsOwner = IsPointer<X> && !std::is_const_v<typename X::element_type> && requires(X & x) {
    *x;
};
template <class X>
concept IsText = requires {
    typename X::traits_type;
}
|| requires { typename X::string_type; };
/// Containers that the walk does not enter.
template <class X>
concept IsContainer = (HasAllocator<X> || IsText<X>)&&requires(X& x) {
    *x.begin();
};
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
    } else if constexpr (is_optional<X> || is_tuple<X>) {
        return Each<X, Depth - 1>::look();
    } else if constexpr (IsList<X>) {
        return look_at<typename X::value_type, Depth - 1>();
    } else if constexpr (is_reflectable<X>) {
        if constexpr (HasTrainingFlag<X>)
            return InSight() | look_at_fields<X, Depth - 1>();
        else
            return look_at_fields<X, Depth - 1>();
    } else if constexpr (IsVariant<X>) {
        return Each<X, Depth - 1>::look();
    } else if constexpr (IsOwner<X>) {
        return look_at<typename X::element_type, Depth - 1>();
    } else if constexpr (IsMap<X>) {
        return look_at<typename X::mapped_type, Depth - 1>();
    } else if constexpr (IsPointer<X>) {
        return look_behind<X, std::remove_extent_t<typename X::element_type>, Depth - 1>();
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
    if constexpr (!std::is_class_v<Model> || is_tensor<Model> || is_variable<Model> || is_ignored<Model>)
        return Hidden<Model>();
    else
        return look_at<Model>();
}

/// The part of a model that cannot be looked into: Hidden<its type>. If there is none, Nothing or InSight.
template <class Model>
using HiddenPart = decltype(look_at_model<std::remove_const_t<Model>>());

template <class Part>
concept NothingHidden = !is_hidden<Part>;  // a concept: then g++ says of which type it does not hold

// Each function that takes a model says this itself: further inside, compilers would first list the way
// there.
#define GRADUS_CHECK_MODEL(Model)                                                                          \
    static_assert(                                                                                         \
        gradus::nn::detail::NothingHidden<gradus::nn::detail::HiddenPart<Model>>,                          \
        "gradus cannot look into a part of this model, whose parameters and layers it would miss "         \
        "(Hidden<its type> is named here): make that part a plain struct (no constructor, no private "     \
        "members, no base class, no references), or give it `auto fields() { return "                      \
        "std::tuple(gradus::field(\"fc1\", fc1), ...); }`; hold layers by value or by std::unique_ptr or " \
        "std::shared_ptr, not by raw pointers or std::function; or, if there is nothing to train in it, "  \
        "declare it as "                                                                                   \
        "gradus::nn::Ignored<type>")

// What is done to a model's parts may change them.
#define GRADUS_CHECK_NOT_CONST(Model)                                                                 \
    static_assert(                                                                                    \
        !std::is_const_v<Model>,                                                                      \
        "gradus gives or changes the model's own parameters, buffers and flags here: the model must " \
        "not be const")

/// "blocks.0.fc". A part without a name is at the path of its owner.
[[gnu::cold]] inline std::string join(const std::string& path, std::string_view name) {
    return gradus::detail::text_of({path, path.empty() || name.empty() ? "" : ".", name});
}

[[noreturn, gnu::cold]] inline void refuse_variable(const std::string& path) {
    gradus::detail::raise<GraphError>(
        {"model: ", path,
         " is a Variable that requires a gradient, and no optimizer would find it: declare it as "
         "Parameter<>, or as nn::Ignored<Variable<>> if the model does not own it"});
}

/// Calls visit(path, part) for x and everything in it, outermost first: structs, layers, parameters, through
/// lists, optionals, tuples, the alternative that a variant holds, maps in the order of their keys, and
/// pointers that own, where they are not null. What several shared pointers refer to is entered once.
template <class Visit>
class Walk {
public:
    explicit Walk(Visit& visit) : visit_(visit) {}

    template <class X>
    void operator()(const std::string& path, X& x) {
        if constexpr (!std::is_class_v<X> || is_ignored<X> || is_tensor<X>) {
            return;
        } else if constexpr (is_parameter<X> || is_buffer<X>) {
            visit_(path, x);
        } else if constexpr (is_variable<X>) {
            if (x.requires_grad() && x.is_leaf()) refuse_variable(path);
        } else if constexpr (is_optional<X>) {
            if (x) (*this)(path, *x);
        } else if constexpr (is_tuple<X>) {
            [&]<std::size_t... I>(std::index_sequence<I...>) {
                ((*this)(join(path, gradus::detail::text_of({I})), std::get<I>(x)), ...);
            }
            (std::make_index_sequence<std::tuple_size_v<X>>());
        } else if constexpr (IsList<X>) {
            std::size_t i = 0;
            if constexpr (std::is_class_v<typename X::value_type>)
                for (auto& element : x) (*this)(join(path, gradus::detail::text_of({i++})), element);
        } else if constexpr (is_reflectable<X>) {
            visit_(path, x);
            for_each_field(x, [&](std::string_view name, auto& field) { (*this)(join(path, name), field); });
        } else if constexpr (IsVariant<X>) {
            if (!x.valueless_by_exception()) enter([&](auto& held) { (*this)(path, held); }, x);
        } else if constexpr (IsOwner<X>) {
            if (x && is_first(x)) (*this)(path, *x);
        } else if constexpr (IsMap<X>) {
            for (auto& [key, value] : x) (*this)(join(path, gradus::detail::text_of({key})), value);
        }
    }

private:
    /// std::visit, found by its argument: this class has no visit of its own.
    template <class Each, class Variant>
    static void enter(const Each& each, Variant& variant) {
        visit(each, variant);
    }

    template <class Owner>
    bool is_first(const Owner& owner) {
        if constexpr (requires { owner.use_count(); }) {
            const void* const object = owner.get();
            for (const void* const known : shared_)
                if (known == object) return false;
            shared_.push_back(object);
        }
        return true;
    }

    Visit& visit_;
    std::vector<const void*> shared_;  // objects of shared pointers that were entered
};

template <class Model, class Visit>
void walk_model(Model& model, Visit&& visit) {
    Walk<std::remove_reference_t<Visit>> walk(visit);
    walk(std::string(), model);
}

/// Throws ValueError if a copy of a model shares a parameter or buffer with it, as copies of std::shared_ptr
/// do.
template <class Model>
[[gnu::cold]] void check_apart(const char* operation, const Model& model, const Model& copy) {
    const auto parts = [&](const Model& of) {
        std::vector<std::pair<std::string, const void*>> found;
        walk_model(const_cast<Model&>(of), [&](const std::string& path, auto& part) {
            if constexpr (is_parameter<std::remove_cvref_t<decltype(part)>> ||
                          is_buffer<std::remove_cvref_t<decltype(part)>>)
                found.emplace_back(path, &part);
        });
        return found;
    };
    const auto own = parts(model), copied = parts(copy);
    for (std::size_t i = 0; i < own.size() && i < copied.size(); ++i)
        if (own[i].second == copied[i].second)
            gradus::detail::raise<ValueError>(
                {operation, ": a copy of the model shares ", own[i].first,
                 " with it, as copies of std::shared_ptr do: give the model a copy constructor that copies "
                 "the layer, or hold it by value"});
}

/// Calls add(list, path, parameter) for every parameter. The type of the list is erased: the walk through a
/// model is compiled once.
template <class T, class Model>
void for_each_parameter(Model& model, void* list,
                        void (*add)(void* list, const std::string& path, const Variable<T>& parameter)) {
    walk_model(model, [&](const std::string& path, auto& part) {
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
std::vector<NamedParameter<T>> named_parameters(Model& model) {
    GRADUS_CHECK_MODEL(Model);
    GRADUS_CHECK_NOT_CONST(Model);
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
std::vector<Variable<T>> parameters(Model& model) {
    GRADUS_CHECK_MODEL(Model);
    GRADUS_CHECK_NOT_CONST(Model);
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
/// to the model's own: set_value() changes the model. Those of another number type are left out: how many
/// batches a BatchNorm has seen is one of named_buffers<Index>(model).
template <class T = float, class Model>
std::vector<NamedBuffer<T>> named_buffers(Model& model) {
    GRADUS_CHECK_MODEL(Model);
    GRADUS_CHECK_NOT_CONST(Model);
    std::vector<NamedBuffer<T>> result;
    detail::walk_model(model, [&](const std::string& path, auto& part) {
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(part)>, Buffer<T>>)
            result.push_back({path, part});
    });
    return result;
}

/// Every buffer of a model, in order of declaration.
template <class T = float, class Model>
std::vector<Variable<T>> buffers(Model& model) {
    GRADUS_CHECK_MODEL(Model);
    GRADUS_CHECK_NOT_CONST(Model);
    std::vector<Variable<T>> result;
    for (auto& named : named_buffers<T>(model)) result.push_back(std::move(named.buffer));
    return result;
}

/// How many numbers the parameters hold.
template <class T = float, class Model>
Index parameter_count(const Model& model) {
    GRADUS_CHECK_MODEL(Model);
    Index count = 0;
    detail::for_each_parameter<T>(
        const_cast<Model&>(model), &count,
        [](void* sum, const std::string&, const Variable<T>& p) { *static_cast<Index*>(sum) += p.numel(); });
    return count;
}

namespace detail {

template <class Model>
void set_training(Model& model, bool training) {
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
    GRADUS_CHECK_NOT_CONST(Model);
    detail::set_training(model, true);
}
template <class Model>
void eval(Model& model) {
    GRADUS_CHECK_MODEL(Model);
    GRADUS_CHECK_NOT_CONST(Model);
    detail::set_training(model, false);
}

}  // namespace gradus::nn
