// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/core/remedy.hpp"

// The functions that take options, called with one that they do not have: see core/remedy.hpp.

namespace gradus::data {

template <std::size_t N>
gradus::detail::AnyValue split(const gradus::detail::AnyValue&, gradus::detail::NoSuchOption<N>);
template <std::size_t N>
gradus::detail::AnyValue read_idx(const gradus::detail::AnyValue&, gradus::detail::NoSuchOption<N>);

}  // namespace gradus::data
