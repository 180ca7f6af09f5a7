// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace gradus {

/// One field of a struct: its name, for a model that lists its fields by hand.
///
///     auto fields() { return std::tuple(gradus::field("weight", weight), gradus::field("bias", bias)); }
template <class T>
struct Field {
    std::string_view name;
    T& value;
};

template <class T>
Field<T> field(std::string_view name, T& value) {
    return {name, value};
}

namespace detail {

/// Converts to every type. The qualifiers make a constructor template of T that takes any argument the better
/// match: with fewer of them GCC finds the two equally good. Never called, but Clang wants a body for types
/// without linkage.
struct Anything {
    template <class T>
    operator T() const volatile noexcept {
        __builtin_unreachable();
    }
};

template <class T, std::size_t... I>
constexpr bool constructible_from_fields(std::index_sequence<I...>) {
    return requires { T{(static_cast<void>(I), Anything{})...}; };
}

inline constexpr std::size_t max_fields = 32;

/// How many fields the aggregate T has: the largest N for which T is aggregate-initializable from N values.
template <class T, std::size_t N = max_fields + 1>
constexpr std::size_t field_count() {
    if constexpr (N == 0 || constructible_from_fields<T>(std::make_index_sequence<N>()))
        return N;
    else
        return field_count<T, N - 1>();
}

/// Converts to every base class of T and to nothing else.
template <class T>
struct AnyBaseOf {
    template <class Base>
    requires(std::is_base_of_v<Base, T> && !std::is_same_v<Base, T>) operator Base() const noexcept {
        __builtin_unreachable();
    }
};

struct Unrelated {};  // tells a base class from a first field that can be made from whatever it is given

template <class T, class First, std::size_t... I>
constexpr bool starts_with(std::index_sequence<I...>) {
    return requires { T{First{}, (static_cast<void>(I), Anything{})...}; };
}

/// True if the aggregate T has a base class: then its fields cannot be tied.
template <class T>
constexpr bool has_base() {
    constexpr std::size_t count = field_count<T>();
    if constexpr (count == 0) return false;
    using Rest = std::make_index_sequence<count == 0 ? 0 : count - 1>;
    return starts_with<T, AnyBaseOf<T>>(Rest()) && !starts_with<T, Unrelated>(Rest());
}

/// References to all fields of an aggregate, in order of declaration. (An error here about the number of
/// names means that the struct holds a C array, whose elements count as fields: use std::array.)
template <class T>
constexpr auto tie_fields(T& x) {
    constexpr std::size_t count = field_count<std::remove_const_t<T>>();
    static_assert(count <= max_fields,
                  "a struct of more than 32 fields: group some, or declare auto fields()");
    // clang-format off
    if constexpr (count == 0) { return std::tie(); }
    else if constexpr (count == 1) { auto& [a] = x; return std::tie(a); }
    else if constexpr (count == 2) { auto& [a, b] = x; return std::tie(a, b); }
    else if constexpr (count == 3) { auto& [a, b, c] = x; return std::tie(a, b, c); }
    else if constexpr (count == 4) { auto& [a, b, c, d] = x; return std::tie(a, b, c, d); }
    else if constexpr (count == 5) { auto& [a, b, c, d, e] = x; return std::tie(a, b, c, d, e); }
    else if constexpr (count == 6) { auto& [a, b, c, d, e, f] = x; return std::tie(a, b, c, d, e, f); }
    else if constexpr (count == 7) { auto& [a, b, c, d, e, f, g] = x; return std::tie(a, b, c, d, e, f, g); }
    else if constexpr (count == 8) { auto& [a, b, c, d, e, f, g, h] = x; return std::tie(a, b, c, d, e, f, g, h); }
    else if constexpr (count == 9) { auto& [a, b, c, d, e, f, g, h, i] = x; return std::tie(a, b, c, d, e, f, g, h, i); }
    else if constexpr (count == 10) { auto& [a, b, c, d, e, f, g, h, i, j] = x; return std::tie(a, b, c, d, e, f, g, h, i, j); }
    else if constexpr (count == 11) { auto& [a, b, c, d, e, f, g, h, i, j, k] = x; return std::tie(a, b, c, d, e, f, g, h, i, j, k); }
    else if constexpr (count == 12) { auto& [a, b, c, d, e, f, g, h, i, j, k, l] = x; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l); }
    else if constexpr (count == 13) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m] = x; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m); }
    else if constexpr (count == 14) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = x; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n); }
    else if constexpr (count == 15) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o] = x; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o); }
    else if constexpr (count == 16) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = x; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p); }
    else if constexpr (count == 17) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q] = x; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q); }
    else if constexpr (count == 18) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r] = x; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r); }
    else if constexpr (count == 19) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s] = x; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s); }
    else if constexpr (count == 20) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t] = x; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t); }
    else if constexpr (count == 21) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u] = x; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u); }
    else if constexpr (count == 22) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v] = x; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v); }
    else if constexpr (count == 23) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w] = x; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w); }
    else if constexpr (count == 24) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y] = x; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y); }
    else if constexpr (count == 25) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z] = x; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z); }
    else if constexpr (count == 26) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z, a1] = x; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z, a1); }
    else if constexpr (count == 27) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z, a1, a2] = x; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z, a1, a2); }
    else if constexpr (count == 28) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z, a1, a2, a3] = x; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z, a1, a2, a3); }
    else if constexpr (count == 29) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z, a1, a2, a3, a4] = x; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z, a1, a2, a3, a4); }
    else if constexpr (count == 30) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z, a1, a2, a3, a4, a5] = x; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z, a1, a2, a3, a4, a5); }
    else if constexpr (count == 31) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z, a1, a2, a3, a4, a5, a6] = x; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z, a1, a2, a3, a4, a5, a6); }
    else if constexpr (count == 32) { auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z, a1, a2, a3, a4, a5, a6, a7] = x; return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, y, z, a1, a2, a3, a4, a5, a6, a7); }
    // clang-format on
}

/// An object of type T that is never created: only the names of its fields are asked for.
template <class T>
struct Nowhere {
    T value;
};
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-var-template"
#pragma clang diagnostic ignored "-Wundefined-internal"
#endif
template <class T>
extern Nowhere<T> nowhere;

template <class T>
struct FieldPointer {
    T* pointer;
};

template <class T, std::size_t I>
constexpr auto field_pointer() {
    auto* pointer = &std::get<I>(tie_fields(nowhere<T>.value));
    return FieldPointer<std::remove_pointer_t<decltype(pointer)>>{pointer};
}

template <auto Pointer>
constexpr std::string_view pretty_name() {
    return __PRETTY_FUNCTION__;
}

/// The field's name: the last identifier in the template argument that the compiler spells out, which ends in
/// "nowhere.value.NAME}" (clang) or "Net::NAME)}" (GCC).
template <class T, std::size_t I>
constexpr std::string_view field_name() {
    constexpr std::string_view text = pretty_name<field_pointer<T, I>()>();
    constexpr auto in_name = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               static_cast<unsigned char>(c) >= 0x80;  // a part of a letter beyond ASCII
    };
    std::size_t last = text.rfind('}');
    while (!in_name(text[last - 1])) --last;
    std::size_t first = last;
    while (in_name(text[first - 1])) --first;
    return text.substr(first, last - first);
}
/// A constant: nothing is searched when the program runs.
template <class T, std::size_t I>
inline constexpr std::string_view field_name_of = field_name<T, I>();
#if defined(__clang__)
#pragma clang diagnostic pop
#endif

template <class T>
concept HasFields = requires(T& x) {
    x.fields();
};

template <class T>
constexpr bool can_tie() {
    if constexpr (std::is_class_v<T> && std::is_aggregate_v<T>)  // no count: a field is a reference, say
        return (field_count<T>() > 0 || std::is_empty_v<T>)&&!has_base<T>();
    else
        return false;
}

/// A field of a const struct is const.
template <class Whole, class Part>
auto& as_part_of(Part& part) {
    if constexpr (std::is_const_v<Whole>)
        return std::as_const(part);
    else
        return part;
}

}  // namespace detail

/// True if the fields of T can be visited: a plain struct, or one that declares `auto fields()`.
template <class T>
inline constexpr bool is_reflectable = detail::HasFields<std::remove_const_t<T>> ||
                                       detail::can_tie<std::remove_const_t<T>>();

/// Calls visit(name, field) for every field of a struct, in order of declaration. The fields of a const
/// struct are const, also where its fields() is not.
template <class T, class Visit>
void for_each_field(T& x, Visit&& visit) {
    using Struct = std::remove_const_t<T>;
    static_assert(
        is_reflectable<T>,
        "gradus cannot see the fields of this type: make it a plain struct (no constructor, no private "
        "members, no base class), or give it `auto fields() { return std::tuple(gradus::field(\"weight\", "
        "weight), ...); }`");
    if constexpr (detail::HasFields<Struct>) {
        auto fields = const_cast<Struct&>(x).fields();
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            (visit(std::get<I>(fields).name, detail::as_part_of<T>(std::get<I>(fields).value)), ...);
        }
        (std::make_index_sequence<std::tuple_size_v<decltype(fields)>>());
    } else if constexpr (is_reflectable<T>) {  // else the message above is the only error
        [&]<std::size_t... I>(std::index_sequence<I...>) {
            [[maybe_unused]] const auto fields = detail::tie_fields(x);
            (visit(detail::field_name_of<Struct, I>, std::get<I>(fields)), ...);
        }
        (std::make_index_sequence<detail::field_count<Struct>()>());
    }
}

}  // namespace gradus
