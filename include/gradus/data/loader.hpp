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

/// Some examples of a dataset: inputs [batch, ...] and their labels [batch].
template <class T = float, class Label = Index>
struct Batch {
    Tensor<T> inputs;
    Tensor<Label> labels;
};

struct LoaderOptions {
    Index batch_size = 32;   // examples per step; the last batch may be smaller
    bool shuffle = false;    // in an order that depends on seed and epoch alone
    std::uint64_t seed = 0;  // of the shuffle
    Index epoch = 0;         // which pass over the data this is: each has its own order
    bool drop_last = false;  // leave out a last batch that is smaller
};

/// One pass over a dataset in batches.
///
///     for (auto& [images, labels] : Loader(train, {.batch_size = 100, .shuffle = true, .epoch = epoch})) ...
///
/// The order is that of the dataset, or a permutation that is a pure function of (seed, epoch): to resume
/// training at an epoch, ask for that epoch. Unshuffled batches share the dataset's memory; as with every
/// tensor, writing to one leaves the dataset as it is. A loop without a single batch is refused: ask size()
/// first where a dataset may be empty.
///
/// Throws ValueError if batch_size < 1 or epoch < 0, ShapeError if inputs and labels differ in number.
template <class T = float, class Label = Index>
class Loader {
public:
    Loader(Dataset<T, Label> dataset, const LoaderOptions& options = {})
        : dataset_(std::move(dataset)), batch_(options.batch_size), shuffle_(options.shuffle) {
        dataset_.check("loader");
        if (batch_ < 1) gradus::detail::fail<ValueError>("loader", "batch_size must be at least 1", batch_);
        if (options.epoch < 0)
            gradus::detail::fail<ValueError>("loader", "epoch must be at least 0", options.epoch);
        const Index count = dataset_.size();
        batches_ = count / batch_ + (!options.drop_last && count % batch_ != 0);
        if (shuffle_) order_ = permutation(count, RandomStream{options.seed, stream(options.epoch)});
    }
    template <std::size_t N>
    Loader(Dataset<T, Label> dataset, gradus::detail::NoSuchOption<N>);

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
        if (i < 0 || i >= batches_)
            gradus::detail::refuse<ValueError>({"loader: the batches are 0 to ", batches_ - 1, ": got ", i});
        const Index first = i * batch_, last = std::min(first + batch_, dataset_.size());
        if (!shuffle_) return {dataset_.inputs.rows(first, last), dataset_.labels.rows(first, last)};
        return {detail::gather_rows(dataset_.inputs, order_.data() + first, last - first),
                detail::gather_rows(dataset_.labels, order_.data() + first, last - first)};
    }

    /// Goes through the batches once. It owns the batch it stands on and must not outlive the loader.
    class Iterator {
    public:
        using value_type = Batch<T, Label>;
        using difference_type = std::ptrdiff_t;

        explicit Iterator(const Loader& loader) : loader_(&loader) { load(); }

        value_type& operator*() const { return current_; }
        value_type* operator->() const { return &current_; }

        Iterator& operator++() {
            current_ = {};  // first, so that the next batch can have the memory while it is warm
            ++at_;
            load();
            return *this;
        }
        void operator++(int) { ++*this; }

        bool operator==(End) const { return at_ >= loader_->batches_; }

    private:
        void load() {
            if (at_ < loader_->batches_) current_ = (*loader_)[at_];
        }

        const Loader* loader_;
        Index at_ = 0;
        mutable value_type current_;  // the caller's to change, also through a const iterator as usual
    };

private:
    [[noreturn, gnu::cold]] void refuse_empty() const {
        if (dataset_.size() == 0) gradus::detail::refuse<ValueError>("loader", "the dataset is empty");
        gradus::detail::refuse<ValueError>({"loader: there are no batches: drop_last leaves out all ",
                                            dataset_.size(), " examples, fewer than the batch of ", batch_});
    }

    /// Apart from the small streams that a Generator hands out, should it have the same seed.
    static std::uint64_t stream(Index epoch) {
        return std::uint64_t{1} << 63 | static_cast<std::uint64_t>(epoch);
    }

    Dataset<T, Label> dataset_;
    Tensor<Index> order_;
    Index batch_, batches_ = 0;
    bool shuffle_;
};

template <class T, class Label>
Loader(Dataset<T, Label>, const LoaderOptions& = {}) -> Loader<T, Label>;

}  // namespace gradus::data
