// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/core/parallel.hpp"
#include "gradus/data/dataset.hpp"
#include "gradus/data/tensors.hpp"

// A data set is a value with `size()` and `operator[](Index)`, which gives one example and is const: a
// Dataset, a std::vector of examples, a struct of yours. The functions here make sets from sets.

namespace gradus::data {

/// What holds examples. (What has epochs holds batches: a Loader.)
template <class Set>
concept DataSet = requires(const Set& set, std::size_t i) {
    { set.size() } -> std::convertible_to<std::size_t>;
    set[static_cast<decltype(set.size())>(i)];
}
&&!requires(const Set& set) { set.epoch(Index{0}); };

namespace detail {

template <class Set>
Index size_of(const Set& set) {
    return static_cast<Index>(set.size());
}

template <class Set>
decltype(auto) example_of(const Set& set, Index i) {
    return set[static_cast<decltype(set.size())>(i)];
}

template <class Set>
using ExampleOf = std::remove_cvref_t<decltype(example_of(std::declval<const Set&>(), 0))>;

/// A set that makes batches itself, and faster than example by example.
template <class Set>
concept Gathers = requires(const Set& set, std::span<const Index> rows) {
    set.gather(rows);
};

template <class Set>
std::vector<ExampleOf<Set>> examples_of(const Set& set, std::span<const Index> rows) {
    std::vector<ExampleOf<Set>> examples;
    examples.reserve(rows.size());
    for (const Index row : rows) examples.push_back(example_of(set, row));
    return examples;
}

/// The examples with these numbers as a batch. They must exist.
template <class Set>
auto read_batch(const Set& set, std::span<const Index> rows) {
    if constexpr (Gathers<Set>)
        return set.gather(rows);
    else
        return stack(examples_of(set, rows));
}

template <class Set>
using BatchOf = decltype(read_batch(std::declval<const Set&>(), {}));

template <DataSet Set, class F>
class Mapped {
public:
    Mapped(Set set, F f) : set_(std::move(set)), f_(std::move(f)) {}

    Index size() const { return size_of(set_); }
    auto operator[](Index i) const { return std::invoke(f_, example_of(set_, i)); }

private:
    Set set_;
    F f_;
};

template <DataSet Set>
class Subset {
public:
    Subset(Set set, Tensor<Index> rows) : set_(std::move(set)), rows_(std::move(rows)) {}

    Index size() const { return rows_.numel(); }
    auto operator[](Index i) const {
        check_rows("subset", {&i, 1}, size());
        return example_of(set_, rows_.data()[i]);
    }
    auto gather(std::span<const Index> rows) const requires Gathers<Set> {
        check_rows("subset", rows, size());
        const Tensor<Index> chosen = gather_rows(rows_, rows.data(), static_cast<Index>(rows.size()));
        return set_.gather(chosen.values());
    }
    const Tensor<Index>& rows() const { return rows_; }  // numbers in the set that it was taken from

private:
    Set set_;
    Tensor<Index> rows_;
};

template <DataSet First, DataSet... Others>
class Concatenated {
public:
    explicit Concatenated(First first, Others... others) : sets_(std::move(first), std::move(others)...) {}

    Index size() const {
        return std::apply([](const auto&... set) { return (size_of(set) + ...); }, sets_);
    }
    ExampleOf<First> operator[](Index i) const {
        check_rows("concat", {&i, 1}, size());
        return at<0>(i);
    }

private:
    template <std::size_t I>
    ExampleOf<First> at(Index i) const {
        const auto& set = std::get<I>(sets_);
        if constexpr (I < sizeof...(Others))
            if (i >= size_of(set)) return at<I + 1>(i - size_of(set));
        return example_of(set, i);
    }

    std::tuple<First, Others...> sets_;
};

template <class Example>
class Cached {
public:
    explicit Cached(std::vector<Example> examples)
        : examples_(std::make_shared<const std::vector<Example>>(std::move(examples))) {}

    Index size() const { return static_cast<Index>(examples_->size()); }
    const Example& operator[](Index i) const {
        check_rows("cache", {&i, 1}, size());
        return (*examples_)[static_cast<std::size_t>(i)];
    }

private:
    std::shared_ptr<const std::vector<Example>> examples_;
};

template <DataSet Set, class F>
class Collated {
public:
    Collated(Set set, F f) : set_(std::move(set)), f_(std::move(f)) {}

    Index size() const { return size_of(set_); }
    auto operator[](Index i) const { return example_of(set_, i); }
    auto gather(std::span<const Index> rows) const { return std::invoke(f_, examples_of(set_, rows)); }

private:
    Set set_;
    F f_;
};

template <DataSet Set>
class ReadInParallel {
public:
    explicit ReadInParallel(Set set) : set_(std::move(set)) {}

    Index size() const { return size_of(set_); }
    auto operator[](Index i) const { return example_of(set_, i); }
    auto gather(std::span<const Index> rows) const {
        std::vector<ExampleOf<Set>> examples(rows.size());
        parallel_for(static_cast<Index>(rows.size()), 1, [&](Index begin, Index) {
            const auto i = static_cast<std::size_t>(begin);
            examples[i] = example_of(set_, rows[i]);
        });
        return stack(examples);
    }

private:
    Set set_;
};

}  // namespace detail

/// The set of f(example), computed each time that an example is asked for.
///
///     const auto bright = data::map(photos, [](Photo photo) { photo.image = ...; return photo; });
template <DataSet Set, class F>
auto map(Set set, F f) {
    return detail::Mapped<Set, F>(std::move(set), std::move(f));
}

/// The examples with these numbers [count], in this order, repeated if named twice: a Dataset of a Dataset,
/// copied; of other sets one that asks the given one for them. Throws ShapeError unless `rows` is a list,
/// ValueError if there is no such example.
template <DataSet Set>
auto subset(Set set, const Tensor<Index>& rows) {
    if (rows.rank() != 1)
        gradus::detail::raise<ShapeError>("subset", "needs row numbers [count]", rows.shape());
    detail::check_rows("subset", rows.values(), detail::size_of(set));
    if constexpr (requires {
                      { set.subset(rows) } -> std::same_as<Set>;
                  })
        return set.subset(rows);
    else
        return detail::Subset<Set>(std::move(set), rows);
}
template <DataSet Set, gradus::detail::ListOf<Index> Rows>
auto subset(Set set, const Rows& rows) {
    return subset(std::move(set), Tensor<Index>(rows));
}

/// The examples for which keep(example) is true. Reads every example once, now.
template <DataSet Set, class Keep>
auto filter(Set set, const Keep& keep) {
    std::vector<Index> rows;
    for (Index i = 0; i < detail::size_of(set); ++i)
        if (std::invoke(keep, detail::example_of(set, i))) rows.push_back(i);
    return subset(std::move(set), Tensor<Index>(rows));
}

/// The examples of all sets, one set after the other. Their examples must be of one type.
template <DataSet First, DataSet... Others>
auto concat(First first, Others... others) {
    static_assert((std::is_same_v<detail::ExampleOf<First>, detail::ExampleOf<Others>> && ...),
                  "the sets of concat() hold examples of different types: map() them to one type first");
    return detail::Concatenated<First, Others...>(std::move(first), std::move(others)...);
}

/// The same examples, kept in memory: reads every example once, now, so that slow files or a costly map()
/// behind them do not cost every epoch anew.
///
///     const auto decoded = data::cache(data::read_images("photos"));
template <DataSet Set>
auto cache(const Set& set) {
    std::vector<detail::ExampleOf<Set>> examples;
    examples.reserve(static_cast<std::size_t>(detail::size_of(set)));
    for (Index i = 0; i < detail::size_of(set); ++i) examples.push_back(detail::example_of(set, i));
    return detail::Cached<detail::ExampleOf<Set>>(std::move(examples));
}

/// The same examples; but a loader makes a batch of them by f(std::vector<Example>) in place of stack(). Its
/// result may be of any type: see pad_sequences().
template <DataSet Set, class F>
auto collate(Set set, F f) {
    return detail::Collated<Set, F>(std::move(set), std::move(f));
}

/// The same examples; but a loader reads those of a batch on several threads at once: for files to be decoded
/// and a costly map(). operator[] of the set, and what was given to its map(), must allow that. (All sets of
/// gradus do.)
template <DataSet Set>
auto read_in_parallel(Set set) {
    return detail::ReadInParallel<Set>(std::move(set));
}

}  // namespace gradus::data
