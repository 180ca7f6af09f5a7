// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <concepts>
#include <type_traits>

#include "gradus/autograd/variable.hpp"
#include "gradus/kernels/elementwise/map.hpp"

// Conditions: comparisons of tensors, variables and numbers, element by element and with broadcasting, and
// what is made of them. A condition is a Tensor<bool> without history: there is no gradient. Numbers are
// converted to the type of the elements; integers are not compared with fractions: cast<float>(x) first.
// Nothing but `ne` holds for NaN.

namespace gradus {
namespace detail {

/// Tensors and variables of elements of one type.
template <class B, class A>
concept LikeElements =
    Differentiable<A> && Differentiable<B> && std::same_as<typename A::value_type, typename B::value_type>;

/// What can be compared with an A: tensors, variables and numbers, at least one of the two no number.
template <class B, class A>
concept ComparesWith = LikeElements<B, A> ||(Differentiable<A>&& Number<B, typename A::value_type>) ||
                       (Differentiable<B> && Number<A, typename B::value_type>);

/// The type of the elements of two operands of which one may be a number.
template <class A, class B>
struct ValueType {
    using type = typename A::value_type;
};
template <class A, class B>
requires(!Differentiable<A>) struct ValueType<A, B> {
    using type = typename B::value_type;
};

/// The elements of an operand; of a number, itself as a tensor without axes.
template <class T, class X>
decltype(auto) elements_of(const X& x) {
    if constexpr (AnyVariable<X>)
        return x.value();
    else if constexpr (AnyTensor<X>)
        return (x);
    else
        return full<T>({}, static_cast<T>(x));
}

template <class F, class A, class B>
Tensor<bool> compare(const char* name, const F& holds, const A& a, const B& b) {
    using T = typename ValueType<A, B>::type;
    const Tensor<T>&x = elements_of<T>(a), &y = elements_of<T>(b);
    return kernels::map(name, holds, x, y);
}

}  // namespace detail

/// a = b. (a == b asks whether two tensors are equal as a whole, as equal(a, b) does.)
template <class A, detail::ComparesWith<A> B>
Tensor<bool> eq(const A& a, const B& b) {
    return detail::compare(
        "eq", [](const auto& x, const auto& y) { return x == y; }, a, b);
}
/// a ≠ b.
template <class A, detail::ComparesWith<A> B>
Tensor<bool> ne(const A& a, const B& b) {
    return detail::compare(
        "ne", [](const auto& x, const auto& y) { return !(x == y); }, a, b);
}
/// a < b.
template <class A, detail::ComparesWith<A> B>
Tensor<bool> lt(const A& a, const B& b) {
    return detail::compare(
        "lt", [](const auto& x, const auto& y) { return x < y; }, a, b);
}
/// a ≤ b.
template <class A, detail::ComparesWith<A> B>
Tensor<bool> le(const A& a, const B& b) {
    return detail::compare(
        "le", [](const auto& x, const auto& y) { return x <= y; }, a, b);
}
/// a > b.
template <class A, detail::ComparesWith<A> B>
Tensor<bool> gt(const A& a, const B& b) {
    return detail::compare(
        "gt", [](const auto& x, const auto& y) { return x > y; }, a, b);
}
/// a ≥ b.
template <class A, detail::ComparesWith<A> B>
Tensor<bool> ge(const A& a, const B& b) {
    return detail::compare(
        "ge", [](const auto& x, const auto& y) { return x >= y; }, a, b);
}

template <class A, detail::ComparesWith<A> B>
Tensor<bool> operator<(const A& a, const B& b) {
    return lt(a, b);
}
template <class A, detail::ComparesWith<A> B>
Tensor<bool> operator<=(const A& a, const B& b) {
    return le(a, b);
}
template <class A, detail::ComparesWith<A> B>
Tensor<bool> operator>(const A& a, const B& b) {
    return gt(a, b);
}
template <class A, detail::ComparesWith<A> B>
Tensor<bool> operator>=(const A& a, const B& b) {
    return ge(a, b);
}

/// Whether shapes and all elements are equal, as torch.equal: one answer. NaN differs from itself.
template <class A, detail::LikeElements<A> B>
bool equal(const A& a, const B& b) {
    using T = typename A::value_type;
    const Tensor<T>&x = detail::elements_of<T>(a), &y = detail::elements_of<T>(b);
    return x == y;
}

// Logic of conditions, with broadcasting. (Both operands are computed: there is no && and ||.) Templates of
// their one type, so that a program that does not use them does not compile them.

/// Where both hold.
template <std::same_as<bool> B>
Tensor<bool> logical_and(const Tensor<B>& a, const Tensor<B>& b) {
    return kernels::map(
        "logical_and", [](bool x, bool y) { return x && y; }, a, b);
}
/// Where one holds, or both.
template <std::same_as<bool> B>
Tensor<bool> logical_or(const Tensor<B>& a, const Tensor<B>& b) {
    return kernels::map(
        "logical_or", [](bool x, bool y) { return x || y; }, a, b);
}
/// Where one holds, but not both.
template <std::same_as<bool> B>
Tensor<bool> logical_xor(const Tensor<B>& a, const Tensor<B>& b) {
    return kernels::map(
        "logical_xor", [](bool x, bool y) { return x != y; }, a, b);
}
/// Where it does not hold.
template <std::same_as<bool> B>
Tensor<bool> logical_not(const Tensor<B>& a) {
    return kernels::map(
        "logical_not", [](bool x) { return !x; }, a);
}

template <std::same_as<bool> B>
Tensor<bool> operator&(const Tensor<B>& a, const Tensor<B>& b) {
    return logical_and(a, b);
}
template <std::same_as<bool> B>
Tensor<bool> operator|(const Tensor<B>& a, const Tensor<B>& b) {
    return logical_or(a, b);
}
template <std::same_as<bool> B>
Tensor<bool> operator^(const Tensor<B>& a, const Tensor<B>& b) {
    return logical_xor(a, b);
}
template <std::same_as<bool> B>
Tensor<bool> operator!(const Tensor<B>& a) {
    return logical_not(a);
}

/// True if the condition holds everywhere; of no elements, too.
inline bool all(const Tensor<bool>& condition) {
    return std::all_of(condition.begin(), condition.end(), [](bool holds) { return holds; });
}

/// True if the condition holds somewhere.
inline bool any(const Tensor<bool>& condition) {
    return std::any_of(condition.begin(), condition.end(), [](bool holds) { return holds; });
}

}  // namespace gradus
