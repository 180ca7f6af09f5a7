// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <type_traits>

#include "gradus/core/remedy.hpp"
#include "gradus/loss/cross_entropy.hpp"
#include "gradus/loss/nll.hpp"

// What is no call of a loss, with what to write instead: see core/remedy.hpp.

namespace gradus {

template <detail::Text remedy = "cast<Index>(labels)", class T, detail::WrongLabel<T, Index> L>
void cross_entropy(const Variable<T>&, const Tensor<L>&,  // cast<Index>(labels)
                   const std::type_identity_t<CrossEntropyOptions<T>>& = {}) = delete;
template <detail::Text remedy = "cast<Index>(labels)", class T, detail::WrongLabel<Index> L>
void nll(const Variable<T>&, const Tensor<L>&,  // cast<Index>(labels)
         const std::type_identity_t<NllOptions<T>>& = {}) = delete;

// A target is a constant. (U is deduced by itself, so that a list of labels in braces does not fit.)

template <detail::Text remedy = "target.value()", class T, std::same_as<T> U>
void cross_entropy(const Variable<T>&, const Variable<U>&, const auto&...) = delete;  // target.value()
template <detail::Text remedy = "target.value()", class T, std::same_as<T> U>
void nll(const Variable<T>&, const Variable<U>&, const auto&...) = delete;  // target.value()
template <detail::Text remedy = "target.value()", class T, std::same_as<T> U>
void bce(const Variable<T>&, const Variable<U>&, const auto&...) = delete;  // target.value()
template <detail::Text remedy = "target.value()", class T, std::same_as<T> U>
void bce_with_logits(const Variable<T>&, const Variable<U>&, const auto&...) = delete;  // target.value()
template <detail::Text remedy = "target.value()", class T, std::same_as<T> U>
void mse(const Variable<T>&, const Variable<U>&, const auto&...) = delete;  // target.value()
template <detail::Text remedy = "target.value()", class T, std::same_as<T> U>
void l1(const Variable<T>&, const Variable<U>&, const auto&...) = delete;  // target.value()
template <detail::Text remedy = "target.value()", class T, std::same_as<T> U>
void smooth_l1(const Variable<T>&, const Variable<U>&, const auto&...) = delete;  // target.value()
template <detail::Text remedy = "target.value()", class T, std::same_as<T> U>
void huber(const Variable<T>&, const Variable<U>&, const auto&...) = delete;  // target.value()
template <detail::Text remedy = "target.value()", class T, std::same_as<T> U>
void kl_div(const Variable<T>&, const Variable<U>&, const auto&...) = delete;  // target.value()

// With an option that there is not.

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
