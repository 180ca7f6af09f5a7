// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/core/remedy.hpp"

// The operations that take options, called with an option that they do not have: see core/remedy.hpp.

namespace gradus {

template <std::size_t N>
detail::AnyValue max_pool2d(const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue avg_pool2d(const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue conv2d(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue conv2d(const detail::AnyValue&, const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue sum(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue mean(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue max(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue min(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue var(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue logsumexp(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue embedding(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue layer_norm(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue layer_norm(const detail::AnyValue&, const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue batch_norm(const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue batch_norm(const detail::AnyValue&, const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue batch_norm(const detail::AnyValue&, const detail::AnyValue&, const detail::AnyValue&, const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);

}  // namespace gradus
