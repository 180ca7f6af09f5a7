// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/core/remedy.hpp"
#include "gradus/optim/clip.hpp"
#include "gradus/optim/options.hpp"

// The schedules and the clipping of gradients, called with an option that they do not have: see
// core/remedy.hpp.

namespace gradus::optim {

template <std::size_t N>
gradus::detail::AnyValue clip_grad_norm(const gradus::detail::AnyValue&, const gradus::detail::AnyValue&,
                                        gradus::detail::NoSuchOption<N>);

template <gradus::detail::Text remedy = "nn::parameters(net)", detail::NotParameters Model, class... Options>
double clip_grad_norm(const Model& net, double max_norm, const Options&...) = delete;  // nn::parameters(net)
template <gradus::detail::Text remedy = "nn::parameters(net)", detail::NotParameters Model>
void clip_grad_value(const Model& net, double limit) = delete;  // nn::parameters(net)

namespace schedule {

template <std::size_t N>
gradus::detail::AnyValue constant(gradus::detail::NoSuchOption<N>);
template <std::size_t N>
gradus::detail::AnyValue inverse_time(gradus::detail::NoSuchOption<N>);
template <std::size_t N>
gradus::detail::AnyValue inverse_sqrt(gradus::detail::NoSuchOption<N>);
template <std::size_t N>
gradus::detail::AnyValue step(gradus::detail::NoSuchOption<N>);
template <std::size_t N>
gradus::detail::AnyValue multi_step(gradus::detail::NoSuchOption<N>);
template <std::size_t N>
gradus::detail::AnyValue exponential(gradus::detail::NoSuchOption<N>);
template <std::size_t N>
gradus::detail::AnyValue polynomial(gradus::detail::NoSuchOption<N>);
template <std::size_t N>
gradus::detail::AnyValue linear(gradus::detail::NoSuchOption<N>);
template <std::size_t N>
gradus::detail::AnyValue cosine(gradus::detail::NoSuchOption<N>);
template <std::size_t N>
gradus::detail::AnyValue cosine_restarts(gradus::detail::NoSuchOption<N>);
template <std::size_t N>
gradus::detail::AnyValue cyclic(gradus::detail::NoSuchOption<N>);
template <std::size_t N>
gradus::detail::AnyValue one_cycle(gradus::detail::NoSuchOption<N>);
template <std::size_t N>
gradus::detail::AnyValue linear_warmup(gradus::detail::NoSuchOption<N>);
template <std::size_t N>
gradus::detail::AnyValue warmup(gradus::detail::NoSuchOption<N>, const gradus::detail::AnyValue&);

}  // namespace schedule
}  // namespace gradus::optim
