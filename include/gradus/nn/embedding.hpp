// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/autograd/parameter.hpp"
#include "gradus/core/random.hpp"
#include "gradus/core/reflect.hpp"
#include "gradus/core/remedy.hpp"
#include "gradus/nn/trace.hpp"
#include "gradus/ops/embedding.hpp"

namespace gradus::nn {

/// A table of `count` vectors [dim], looked up by index: a Tensor<Index> of any shape gives [indices...,
/// dim]. The weight starts from N(0, 1); the row of padding_idx is 0 and gets no gradient. As
/// torch.nn.Embedding.
/// Throws ShapeError if a size is negative, ValueError if padding_idx is not in [-1, count).
template <class T = float>
struct Embedding {
    static constexpr const char* type = "Embedding";

    Parameter<T> weight;  // [count, dim]
    EmbeddingOptions options;

    [[gnu::cold]] Embedding(Index count, Index dim, EmbeddingOptions o = {},
                            Generator& generator = default_generator())
        : weight(start({count, dim}, o, generator)), options(o) {}
    template <std::size_t N>
    Embedding(Index count, Index dim, gradus::detail::NoSuchOption<N>);

    Variable<T> operator()(const Tensor<Index>& indices) const {
        return traced(this,
                      [&] { return embedding(indices, static_cast<const Variable<T>&>(weight), options); });
    }

    template <gradus::detail::Text remedy = "cast<Index>(indices)", gradus::detail::WrongLabel<Index> L>
    Variable<T> operator()(const Tensor<L>& indices) const = delete;  // cast<Index>(indices)

    auto fields() { return std::tuple(field("weight", weight)); }

private:
    static Tensor<T> start(const Shape& shape, const EmbeddingOptions& options, Generator& generator) {
        gradus::detail::check_embedding(shape, options);
        Tensor<T> weight = randn<T>(shape, generator);
        if (options.padding_idx >= 0)
            std::fill_n(weight.mutable_data() + options.padding_idx * shape[1], shape[1], T(0));
        return weight;
    }
};

}  // namespace gradus::nn
