// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/autograd/variable.hpp"

// Comparisons of which one side is a Variable, as those of tensors (kernels/elementwise/arithmetic.hpp). They
// have no gradient.

namespace gradus {
namespace detail {

template <class X>
const auto& value_of(const X& x) {
    if constexpr (AnyVariable<X>)
        return x.value();
    else
        return x;
}

template <class A, class B>
concept ComparedAsValues = (AnyVariable<A> && (Differentiable<B> || std::is_arithmetic_v<B>)) ||
                           (AnyVariable<B> && (Differentiable<A> || std::is_arithmetic_v<A>));

}  // namespace detail

template <class A, class B>
requires detail::ComparedAsValues<A, B> Tensor<bool>
operator<(const A& a, const B& b) { return detail::value_of(a) < detail::value_of(b); }
template <class A, class B>
requires detail::ComparedAsValues<A, B> Tensor<bool>
operator>(const A& a, const B& b) { return detail::value_of(a) > detail::value_of(b); }
template <class A, class B>
requires detail::ComparedAsValues<A, B> Tensor<bool>
operator<=(const A& a, const B& b) { return detail::value_of(a) <= detail::value_of(b); }
template <class A, class B>
requires detail::ComparedAsValues<A, B> Tensor<bool>
operator>=(const A& a, const B& b) { return detail::value_of(a) >= detail::value_of(b); }

}  // namespace gradus
