// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

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

/// Throws ValueError, in the name of `operation`, unless there are all these examples.
inline void check_rows(const char* operation, std::span<const Index> rows, Index count) {
    for (const Index row : rows)
        if (row < 0 || row >= count) [[unlikely]]
            gradus::detail::raise<ValueError>(
                {operation, ": the examples are 0 to ", count - 1, ": got ", row});
}

/// Row i of the outermost axis, without that axis; shares memory. It must exist.
template <class T>
Tensor<T> row_of(const Tensor<T>& x, Index i) {
    return x.rows(i, i + 1).reshape(x.shape().without(0));
}

}  // namespace detail

/// Some examples of a dataset: inputs [batch, ...] and their labels [batch]. One example is the same without
/// the batch: inputs [...] and labels [].
template <class T = float, class Label = Index>
struct Batch {
    Tensor<T> inputs;
    Tensor<Label> labels;
};

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
        detail::check_rows("subset", rows.values(), size());
        return {detail::gather_rows(inputs, rows.data(), rows.numel()),
                detail::gather_rows(labels, rows.data(), rows.numel())};
    }
    template <gradus::detail::ListOf<Index> Rows>
    Dataset subset(const Rows& rows) const {
        return subset(Tensor<Index>(rows));
    }

    /// Example i: inputs [...] and labels []; shares memory. Throws ValueError if there is none.
    Batch<T, Label> operator[](Index i) const {
        detail::check_rows("dataset", {&i, 1}, size());
        return {detail::row_of(inputs, i), detail::row_of(labels, i)};
    }

    /// The examples with these numbers as a batch, copied. Throws ValueError if there is no such example.
    Batch<T, Label> gather(std::span<const Index> rows) const {
        detail::check_rows("dataset", rows, size());
        const auto count = static_cast<Index>(rows.size());
        return {detail::gather_rows(inputs, rows.data(), count),
                detail::gather_rows(labels, rows.data(), count)};
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
    Tensor<Index> stratify = {};  // class of every example: both sides get their share of each
    Tensor<Index> groups = {};    // group of every example, such as a patient: stays together on one side
};

namespace detail {

/// Numbers of examples.
struct SplitRows {
    Tensor<Index> train, test;
};

/// Throws ShapeError unless there is one number for each example.
[[gnu::cold]] inline void check_numbers(const char* operation, const char* what, const Shape& shape,
                                        Index count) {
    if (shape.rank() != 1 || shape[0] != count)
        gradus::detail::raise<ShapeError>({operation, ": ", what, " needs one number for each example, [",
                                           count, "]: got ", to_string(shape)});
}

// What follows is templates of the row numbers' type only so that a program without split() compiles none of
// it.

/// Row numbers, those of one class or group together, smaller classes first; within one, in the order of
/// `order`.
template <class Row>
[[gnu::cold]] std::vector<std::vector<Row>> together(const Tensor<Row>& numbers, const Tensor<Row>& order) {
    const auto number = [&](Row place) { return numbers.data()[order.data()[place]]; };
    std::vector<Row> places;  // in `order`
    for (Row place = 0; place < order.numel(); ++place) places.push_back(place);
    std::sort(places.begin(), places.end(),
              [&](Row a, Row b) { return number(a) != number(b) ? number(a) < number(b) : a < b; });
    std::vector<std::vector<Row>> result;
    for (std::size_t i = 0; i < places.size(); ++i) {
        if (i == 0 || number(places[i]) != number(places[i - 1])) result.emplace_back();
        result.back().push_back(order.data()[places[i]]);
    }
    return result;
}

/// Marks the first examples of every class: the fraction of it, so rounded that the sum is what is wanted;
/// but at least one on either side, where there are two.
template <class Row>
[[gnu::cold]] void mark_shares(const std::vector<std::vector<Row>>& classes, Index wanted, double test,
                               std::vector<char>& marks) {
    std::vector<Index> shares;
    std::vector<std::pair<double, std::size_t>> cut_off;  // by rounding down, negative: largest first
    for (const auto& rows : classes) {
        const auto size = static_cast<Index>(rows.size());
        const double exact = test * static_cast<double>(size);
        auto share = static_cast<Index>(exact);
        if (test > 0 && test < 1) share = size < 2 ? 0 : std::clamp<Index>(share, 1, size - 1);
        if (share < size - (test < 1))
            cut_off.emplace_back(static_cast<double>(share) - exact, shares.size());
        shares.push_back(share);
        wanted -= share;
    }
    std::sort(cut_off.begin(), cut_off.end());
    for (std::size_t i = 0; wanted > 0 && i < cut_off.size(); ++i, --wanted) ++shares[cut_off[i].second];
    for (std::size_t c = 0; c < classes.size(); ++c)
        for (std::size_t i = 0; i < static_cast<std::size_t>(shares[c]); ++i)
            marks[static_cast<std::size_t>(classes[c][i])] = 1;
}

/// Marks the examples of groups, in this order, that bring the count nearer to what is wanted. At least one
/// group stays on either side of a true fraction.
template <class Row>
[[gnu::cold]] void mark_groups(const std::vector<std::vector<Row>>& groups, const Tensor<Row>& order,
                               Index wanted, double test, std::vector<char>& marks) {
    if (groups.size() < 2 && test > 0 && test < 1)
        gradus::detail::raise<ValueError>("split", "all examples are of one group, which is not cut up");
    const auto mark = [&](const std::vector<Row>& group) {
        for (const Row row : group) marks[static_cast<std::size_t>(row)] = 1;
        wanted = std::max<Index>(0, wanted - static_cast<Index>(group.size()));
    };
    std::size_t marked = 0, smallest = 0;
    for (const Row g : order) {
        const auto& group = groups[static_cast<std::size_t>(g)];
        if (group.size() < groups[smallest].size()) smallest = static_cast<std::size_t>(g);
        if (wanted == 0 || static_cast<Index>(group.size()) > 2 * wanted) continue;
        if (test < 1 && marked + 1 == groups.size()) break;
        mark(group), ++marked;
    }
    if (test > 0 && marked == 0) mark(groups[smallest]);
}

/// In the order of a permutation that depends on the seed.
template <class Row>
[[gnu::cold]] SplitRows split_rows(Row count, const SplitOptions& options) {
    if (!(options.test >= 0 && options.test <= 1))
        gradus::detail::raise<ValueError>("split", "the test fraction must be 0 to 1", options.test);
    constexpr std::uint64_t stream = std::uint64_t{1} << 62;  // apart from those that a Generator hands out
    const Tensor<Row> order = permutation(count, RandomStream{options.seed, stream});
    const Row wanted = std::llround(options.test * static_cast<double>(count));
    const bool stratify = options.stratify.numel() > 0, groups = options.groups.numel() > 0;
    if (!stratify && !groups) return {order.rows(0, count - wanted), order.rows(count - wanted, count)};
    if (stratify && groups)
        gradus::detail::raise<ValueError>("split", "stratify or groups, not both: a group is not cut up");

    const Tensor<Row>& numbers = stratify ? options.stratify : options.groups;
    check_numbers("split", stratify ? "stratify" : "groups", numbers.shape(), count);
    const auto parts = together(numbers, order);
    std::vector<char> marks(static_cast<std::size_t>(count));
    if (stratify)
        mark_shares(parts, wanted, options.test, marks);
    else
        mark_groups(parts,
                    permutation(static_cast<Row>(parts.size()), RandomStream{options.seed, stream + 1}),
                    wanted, options.test, marks);
    std::vector<Row> sides[2];
    for (const Row row : order) sides[marks[static_cast<std::size_t>(row)] != 0].push_back(row);
    return {Tensor<Row>(sides[0]), Tensor<Row>(sides[1])};
}

}  // namespace detail

/// Parts a dataset at random; every example lands on one side. Which one depends on the seed alone.
///
/// With `stratify`, both sides have the same share of every class, up to rounding. A class of two examples or
/// more has one on either side at least, so with many rare classes there are more tests than asked for; the
/// only example of a class is for training. With `groups`, all examples of a group land on the same side, and
/// the count is as near to the fraction as whole groups come.
///
///     auto [train, validation] = data::split(all, {.test = 0.2, .stratify = all.labels});
///
/// Throws ValueError unless 0 <= test <= 1, ShapeError unless there is a class or group for each example.
template <class T, class Label>
Split<T, Label> split(const Dataset<T, Label>& dataset, const SplitOptions& options = {}) {
    dataset.check("split");
    const detail::SplitRows rows = detail::split_rows(dataset.size(), options);
    return {dataset.subset(rows.train), dataset.subset(rows.test)};
}

}  // namespace gradus::data
