// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/core/remedy.hpp"

// The initializations that take options, called with an option that they do not have: see core/remedy.hpp.

namespace gradus::nn::init {

template <std::size_t N>
gradus::detail::AnyValue xavier_uniform(const gradus::detail::AnyValue&, gradus::detail::NoSuchOption<N>);
template <std::size_t N>
gradus::detail::AnyValue xavier_normal(const gradus::detail::AnyValue&, gradus::detail::NoSuchOption<N>);
template <std::size_t N>
gradus::detail::AnyValue kaiming_uniform(const gradus::detail::AnyValue&, gradus::detail::NoSuchOption<N>);
template <std::size_t N>
gradus::detail::AnyValue kaiming_normal(const gradus::detail::AnyValue&, gradus::detail::NoSuchOption<N>);
template <std::size_t N>
gradus::detail::AnyValue trunc_normal(const gradus::detail::AnyValue&, gradus::detail::NoSuchOption<N>);
template <std::size_t N>
gradus::detail::AnyValue orthogonal(const gradus::detail::AnyValue&, gradus::detail::NoSuchOption<N>);
template <std::size_t N>
gradus::detail::AnyValue dirac(const gradus::detail::AnyValue&, gradus::detail::NoSuchOption<N>);
template <std::size_t N>
gradus::detail::AnyValue sparse(const gradus::detail::AnyValue&, gradus::detail::NoSuchOption<N>);

}  // namespace gradus::nn::init
