// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <type_traits>

// How what does not compile says what to write instead, among the first lines that a compiler prints.

namespace gradus::detail {

/// A text as a template argument. g++ prints the arguments of a deleted function that was called, so its
/// remedy is one of them; clang++ prints the line of its declaration, so the remedy stands there as well.
template <std::size_t N>
struct Text {
    char text[N];
    consteval Text(const char (&words)[N]) {
        for (std::size_t i = 0; i < N; ++i) text[i] = words[i];
    }
};

/// What a tensor or variable is taken for where a number or a condition is meant. No integers: a list {x} of
/// one of them would also fit every std::vector, as its size.
template <class N>
concept RealOrCondition = std::floating_point<N> || std::same_as<N, bool>;

/// A number with a fraction, which elements of an integer type T cannot hold.
template <class N, class T>
concept Fraction = std::is_integral_v<T> && std::is_floating_point_v<N>;

/// A number that becomes T without the loss of a fraction. Operators deduce its type, so that they take
/// neither what has to be converted to a number nor a Variable.
template <class N, class T>
concept Number = std::convertible_to<N, T> && !Fraction<N, T>;

/// A tensor of indices of another type than that.
template <class L, class... Meaningful>
concept WrongLabel = (!std::same_as<L, Meaningful> && ...);

/// Anything that can be written in a call.
struct AnyValue {
    template <class A>
    AnyValue(const A& value);
    AnyValue(std::initializer_list<AnyValue> values);
};

/// What only a list of options can be passed to that has a name in it which is none: where an overload with
/// the options themselves does not take the list, g++ chooses this one, and then says that it does not know
/// the name. Without it g++ says only that no overload fits. (No definition: there is nothing that such a
/// call could do.)
///
///     template <std::size_t N>
///     Loader(const AnyValue&, NoSuchOption<N>);    // beside Loader(Dataset dataset, const LoaderOptions&
///     options)
///
/// It must never be the better choice: the other arguments are AnyValue, or the overload with the options is
/// no template. clang++ cannot be brought to say it; it names the type of the options.
template <std::size_t N>
using NoSuchOption = const AnyValue (&)[N];

}  // namespace gradus::detail
