// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "gradus/core/parallel.hpp"
#include "gradus/core/random.hpp"
#include "gradus/core/tensor.hpp"

namespace gradus::data {
namespace detail {

/// Copies rows of so many bytes, in the order that `order` names, `block` of them at a time.
[[gnu::noinline]] inline void copy_rows(void* to, const void* from, Index bytes, const Index* order,
                                        Index count, Index block) {
    parallel_for(count, block, [&](Index begin, Index end) {
        for (Index i = begin; i < end; ++i)
            std::memcpy(static_cast<char*>(to) + i * bytes, static_cast<const char*>(from) + order[i] * bytes,
                        static_cast<std::size_t>(bytes));
    });
}

/// Rows `order[0]` ... `order[count - 1]` of the outermost axis, copied. They must exist.
template <class T>
Tensor<T> gather_rows(const Tensor<T>& x, const Index* order, Index count) {
    Tensor<T> result = Tensor<T>::uninitialized(x.shape().with(0, count));
    const Index width = x.shape().span(1, x.rank());
    if (result.numel() > 0)
        copy_rows(result.mutable_data(), x.data(), width * static_cast<Index>(sizeof(T)), order, count,
                  std::max<Index>(1, parallel_grain / width));
    return result;
}

}  // namespace detail

/// Examples and what they should be mapped to: row i of `inputs` [count, ...] belongs to row i of `labels`,
/// which is [count] class numbers, or with another element type [count, ...] targets of a regression.
/// Copying costs nothing.
///
///     data::Dataset points{Tensor<>{{0, 0}, {0, 1}, {1, 0}, {1, 1}}, Tensor<Index>{0, 1, 1, 0}};
template <class T = float, class Label = Index>
struct Dataset {
    Tensor<T> inputs;
    Tensor<Label> labels;

    Index size() const { return labels.rank() == 0 ? 0 : labels.shape()[0]; }

    /// Throws ShapeError, in the name of `operation`, unless inputs and labels have equally many rows.
    void check(const char* operation = "dataset") const {
        if (inputs.rank() == 0 || labels.rank() == 0 || inputs.size(0) != labels.size(0))
            gradus::detail::raise<ShapeError>(operation, "every input needs one label", inputs.shape(),
                                              labels.shape());
    }

    /// Examples [first, last); shares memory. Throws ShapeError if they are not all there.
    Dataset take(Index first, Index last) const {
        return {inputs.rows(first, last), labels.rows(first, last)};
    }

    /// The examples with these numbers [count], in this order, repeated if named twice. Throws ShapeError
    /// unless `rows` is a list, ValueError if there is no such example.
    Dataset subset(const Tensor<Index>& rows) const {
        check("subset");
        if (rows.rank() != 1)
            gradus::detail::raise<ShapeError>("subset", "needs row numbers [count]", rows.shape());
        for (const Index row : rows)
            if (row < 0 || row >= size())
                gradus::detail::raise<ValueError>(
                    {"subset: the examples are 0 to ", size() - 1, ": got ", row});
        return {detail::gather_rows(inputs, rows.data(), rows.numel()),
                detail::gather_rows(labels, rows.data(), rows.numel())};
    }
    template <gradus::detail::ListOf<Index> Rows>
    Dataset subset(const Rows& rows) const {
        return subset(Tensor<Index>(rows));
    }
};

template <class T, class Label>
Dataset(Tensor<T>, Tensor<Label>) -> Dataset<T, Label>;

/// Examples to learn from and others to judge by.
template <class T = float, class Label = Index>
struct Split {
    Dataset<T, Label> train, test;
};

struct SplitOptions {
    double test = 0.1;  // fraction of the examples, rounded to the nearest count
    std::uint64_t seed = 0;
};

/// Parts a dataset at random; every example lands on one side. Which one depends on the seed alone.
/// Throws ValueError unless 0 <= test <= 1.
template <class T, class Label>
Split<T, Label> split(const Dataset<T, Label>& dataset, const SplitOptions& options = {}) {
    dataset.check("split");
    if (!(options.test >= 0 && options.test <= 1))
        gradus::detail::raise<ValueError>("split", "the test fraction must be 0 to 1", options.test);
    constexpr std::uint64_t stream = std::uint64_t{1} << 62;  // apart from those that a Generator hands out
    const Tensor<Index> order = permutation(dataset.size(), RandomStream{options.seed, stream});
    const Index cut = dataset.size() - std::llround(options.test * static_cast<double>(dataset.size()));
    return {dataset.subset(order.rows(0, cut)), dataset.subset(order.rows(cut, dataset.size()))};
}

}  // namespace gradus::data
