// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "gradus/core/random.hpp"
#include "gradus/core/remedy.hpp"
#include "gradus/data/dataset.hpp"

namespace gradus::data {

struct LoaderOptions {
    Index batch_size = 32;   // examples per step; the last batch may be smaller
    bool shuffle = false;    // in an order that depends on seed and epoch alone
    std::uint64_t seed = 0;  // of the shuffle
    bool drop_last = false;  // leave out a last batch that is smaller
};

template <class T = float, class Label = Index>
class Loader;

/// The batches of one pass over a dataset, as Loader::epoch() gives them: a range. It shares the dataset's
/// memory and owns the order, so it may outlive the loader.
template <class T = float, class Label = Index>
class Epoch {
public:
    class Iterator;
    struct End {};

    /// Throws ValueError if there are no batches: the dataset is empty, or all of it is left out by
    /// drop_last.
    Iterator begin() const {
        if (batches_ == 0) [[unlikely]]
            refuse_empty();
        return Iterator(*this);
    }
    End end() const { return {}; }

    Index size() const { return batches_; }  // number of batches

    /// Batch number i, 0 <= i < size(). Throws ValueError if there is none.
    Batch<T, Label> operator[](Index i) const {
        const Index first = first_of(i), last = std::min(first + batch_size_, dataset_.size());
        if (order_.numel() == 0)
            return {dataset_.inputs.rows(first, last), dataset_.labels.rows(first, last)};
        return {detail::gather_rows(dataset_.inputs, order_.data() + first, last - first),
                detail::gather_rows(dataset_.labels, order_.data() + first, last - first)};
    }

    /// Numbers in the dataset of the examples in batch i: [batch]. Throws ValueError if there is none.
    Tensor<Index> rows(Index i) const {
        const Index first = first_of(i), last = std::min(first + batch_size_, dataset_.size());
        if (order_.numel() > 0) return order_.rows(first, last);
        Tensor<Index> result = arange<Index>(last - first);
        for (Index& row : result.mutable_values()) row += first;
        return result;
    }

    /// Goes through the batches once. It owns the batch it stands on and must not outlive the epoch.
    class Iterator {
    public:
        using value_type = Batch<T, Label>;
        using difference_type = std::ptrdiff_t;

        explicit Iterator(const Epoch& epoch) : epoch_(&epoch) { load(); }

        value_type& operator*() const { return current_; }
        value_type* operator->() const { return &current_; }

        Iterator& operator++() {
            current_ = {};  // first, so that the next batch can have the memory while it is warm
            ++at_;
            load();
            return *this;
        }
        void operator++(int) { ++*this; }

        bool operator==(End) const { return at_ >= epoch_->batches_; }

    private:
        void load() {
            if (at_ < epoch_->batches_) current_ = (*epoch_)[at_];
        }

        const Epoch* epoch_;
        Index at_ = 0;
        mutable value_type current_;  // the caller's to change, also through a const iterator as usual
    };

private:
    friend class Loader<T, Label>;

    Epoch(Dataset<T, Label> dataset, const LoaderOptions& options)
        : dataset_(std::move(dataset)), batch_size_(options.batch_size) {
        dataset_.check("loader");
        if (batch_size_ < 1)
            gradus::detail::raise<ValueError>("loader", "batch_size must be at least 1", batch_size_);
        const Index count = dataset_.size();
        batches_ = count / batch_size_ + (!options.drop_last && count % batch_size_ != 0);
    }

    Index first_of(Index i) const {
        if (i < 0 || i >= batches_)
            gradus::detail::raise<ValueError>({"loader: the batches are 0 to ", batches_ - 1, ": got ", i});
        return i * batch_size_;
    }

    [[noreturn, gnu::cold]] void refuse_empty() const {
        if (dataset_.size() == 0) gradus::detail::raise<ValueError>("loader", "the dataset is empty");
        gradus::detail::raise<ValueError>({"loader: there are no batches: drop_last leaves out all ",
                                           dataset_.size(), " examples, fewer than the batch of ",
                                           batch_size_});
    }

    Dataset<T, Label> dataset_;
    Tensor<Index> order_;  // of the rows; without elements: as they are
    Index batch_size_, batches_ = 0;
};

/// A dataset in batches, pass after pass.
///
///     const Loader loader(train, {.batch_size = 100, .shuffle = true});
///     for (Index epoch = 0; epoch < 10; ++epoch)
///         for (auto& [images, labels] : loader.epoch(epoch)) ...
///
/// The order is that of the dataset, or a permutation that is a pure function of (seed, epoch): to resume
/// training at an epoch, ask for that epoch. A loader that does not shuffle is a range itself, as all its
/// epochs are alike. Unshuffled batches share the dataset's memory; as with every tensor, writing to one
/// leaves the dataset as it is. A loop without a single batch is refused: ask size() first where a dataset
/// may be empty.
///
/// Throws ValueError if batch_size < 1, ShapeError if inputs and labels differ in number.
template <class T, class Label>
class Loader {
public:
    using Iterator = typename Epoch<T, Label>::Iterator;

    Loader(Dataset<T, Label> dataset, const LoaderOptions& options = {})
        : options_(options), in_order_(std::move(dataset), options) {}
    template <std::size_t N>
    Loader(Dataset<T, Label> dataset, gradus::detail::NoSuchOption<N>);

    /// Pass number `number` over the data, counted from 0. Throws ValueError if it is negative.
    Epoch<T, Label> epoch(Index number) const {
        if (number < 0) gradus::detail::raise<ValueError>("loader", "the epoch must be at least 0", number);
        Epoch<T, Label> result = in_order_;
        if (options_.shuffle)
            result.order_ = permutation(result.dataset_.size(), RandomStream{options_.seed, stream(number)});
        return result;
    }

    Index size() const { return in_order_.size(); }  // number of batches in an epoch

    /// The batches of a loader that does not shuffle. Throw ValueError if it does, and begin() if there are
    /// no batches.
    Iterator begin() const { return in_order().begin(); }
    typename Epoch<T, Label>::End end() const { return {}; }
    Batch<T, Label> operator[](Index i) const { return in_order()[i]; }

private:
    const Epoch<T, Label>& in_order() const {
        if (options_.shuffle) [[unlikely]]
            gradus::detail::raise<ValueError>(
                "loader", "each epoch has its own order: use loader.epoch(number), or shuffle = false");
        return in_order_;
    }

    /// Apart from the small streams that a Generator hands out, should it have the same seed.
    static std::uint64_t stream(Index epoch) {
        return std::uint64_t{1} << 63 | static_cast<std::uint64_t>(epoch);
    }

    LoaderOptions options_;
    Epoch<T, Label> in_order_;
};

template <class T, class Label>
Loader(Dataset<T, Label>, const LoaderOptions& = {}) -> Loader<T, Label>;

}  // namespace gradus::data
