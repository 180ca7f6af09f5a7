// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/core/remedy.hpp"

// The losses, called with an option that they do not have: see core/remedy.hpp.

namespace gradus {

template <std::size_t N>
detail::AnyValue cross_entropy(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue nll(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue bce(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue bce_with_logits(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue mse(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue l1(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue smooth_l1(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue huber(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue kl_div(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);

}  // namespace gradus
