// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "gradus/ops/indexing.hpp"

namespace gradus {

struct EmbeddingOptions {
    Index padding_idx = -1;  // a row that gets no gradient; -1: none
};

namespace detail {

inline void check_embedding(const Shape& weight, const EmbeddingOptions& options) {
    if (weight.rank() != 2) [[unlikely]]
        raise<ShapeError>("embedding", "needs a weight [count, dim]", weight);
    if (options.padding_idx < -1 || options.padding_idx >= weight[0]) [[unlikely]]
        raise<ValueError>("embedding", "padding_idx must be one of the rows, or -1 for none",
                          options.padding_idx, weight);
}

}  // namespace detail

/// A row of weight [count, dim] for each index: indices of any shape give [indices..., dim].
/// dweight[i] = the sum of dy over all places of index i, added in their order (in runs of 256, where an
/// index comes that often); 0 for padding_idx.
/// As torch.nn.functional.embedding. Throws ShapeError unless the weight is a matrix, ValueError if an index
/// is not in [0, count) or padding_idx not in [-1, count).
template <class T>
Variable<T> embedding(const Tensor<Index>& indices, const Variable<T>& weight,
                      const EmbeddingOptions& options = {}) {
    const Shape& table = weight.shape();
    detail::check_embedding(table, options);
    detail::check_indices("embedding", indices, table[0],
                          [&] { return "a weight of " + std::to_string(table[0]) + " rows"; });
    Shape shape = indices.shape();
    shape.push_back(table[1]);
    return record(
        "embedding", kernels::index_select(weight.value(), 0, indices).reshape(shape),
        wrt_add(weight, [indices, padding = options.padding_idx](const Tensor<T>& dy, Tensor<T>& dx) {
            kernels::index_add(dy, dx, 0, indices, padding);
        }));
}

}  // namespace gradus
