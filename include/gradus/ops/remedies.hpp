// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/core/remedy.hpp"
#include "gradus/ops/embedding.hpp"
#include "gradus/ops/indexing.hpp"

// What is no call of an operation, with what to write instead: see core/remedy.hpp.

namespace gradus {

// With an option that there is not.

template <std::size_t N>
detail::AnyValue max_pool2d(const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue avg_pool2d(const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue conv2d(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue conv2d(const detail::AnyValue&, const detail::AnyValue&, const detail::AnyValue&,
                        detail::NoSuchOption<N>);
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
detail::AnyValue std(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue prod(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue norm(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue gelu(const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue softplus(const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue sort(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue argsort(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue topk(const detail::AnyValue&, const detail::AnyValue&, const detail::AnyValue&,
                      detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue logsumexp(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue embedding(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue layer_norm(const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue layer_norm(const detail::AnyValue&, const detail::AnyValue&, const detail::AnyValue&,
                            detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue batch_norm(const detail::AnyValue&, detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue batch_norm(const detail::AnyValue&, const detail::AnyValue&, const detail::AnyValue&,
                            detail::NoSuchOption<N>);
template <std::size_t N>
detail::AnyValue batch_norm(const detail::AnyValue&, const detail::AnyValue&, const detail::AnyValue&,
                            const detail::AnyValue&, const detail::AnyValue&, detail::NoSuchOption<N>);

// With indices of another type than Index.

template <detail::Text remedy = "cast<Index>(indices)", class X, detail::WrongLabel<Index> L>
void gather(const X&, int axis, const Tensor<L>& indices) = delete;  // cast<Index>(indices)
template <detail::Text remedy = "cast<Index>(indices)", class X, detail::WrongLabel<Index> L>
void index_select(const X&, int axis, const Tensor<L>& indices) = delete;  // cast<Index>(indices)
template <detail::Text remedy = "cast<Index>(indices)", class W, detail::WrongLabel<Index> L>
void embedding(const Tensor<L>& indices, const W&,
               const EmbeddingOptions& = {}) = delete;  // cast<Index>(indices)
template <detail::Text remedy = "cast<Index>(indices)", class X, detail::WrongLabel<Index> L, class S>
void scatter_add(const X&, int axis, const Tensor<L>& indices, const S&) = delete;  // cast<Index>(indices)
template <class T = float, detail::Text remedy = "cast<Index>(labels)", detail::WrongLabel<Index> L>
void one_hot(const Tensor<L>& labels, Index classes) = delete;  // cast<Index>(labels)

}  // namespace gradus
