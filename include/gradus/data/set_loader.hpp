// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/data/compose.hpp"
#include "gradus/data/loader.hpp"
#include "gradus/data/sampler.hpp"
#include "gradus/data/tensors.hpp"

// Loaders of any set, with any sampler, and map() of what loaders give. A loader is what has `epoch(Index)`,
// which returns a range of batches with `size()` and `operator[](Index)`: to resume at batch i of epoch e, go
// on from loader.epoch(e)[i].

namespace gradus::data {

template <class L>
concept BatchSource = requires(const L& loader) {
    { loader.epoch(Index{0}).size() } -> std::convertible_to<Index>;
    loader.epoch(Index{0})[Index{0}];
};

/// Where a batch comes from: with the seed, all that a random decision may depend on.
struct BatchInfo {
    Index epoch = 0;
    Index batch = 0;        // its number in the epoch
    Tensor<Index> rows;     // [batch] numbers of the examples in the set
    Tensor<Index> repeats;  // [batch] how often each came before in this epoch; empty: all for the first time
};

namespace detail {

template <class L>
using EpochOf = decltype(std::declval<const L&>().epoch(Index{0}));
template <class Range>
using BatchIn = std::remove_cvref_t<decltype(std::declval<const Range&>()[Index{0}])>;

struct EndOfBatches {};

/// Goes through a range of batches once. It owns the batch it stands on and must not outlive the range.
template <class Range>
class BatchIterator {
public:
    using value_type = BatchIn<Range>;
    using difference_type = std::ptrdiff_t;

    explicit BatchIterator(const Range& range) : range_(&range) { load(); }

    value_type& operator*() const { return *current_; }
    value_type* operator->() const { return &*current_; }
    BatchIterator& operator++() {
        current_.reset();  // first, so that the next batch can have the memory while it is warm
        ++at_;
        load();
        return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(EndOfBatches) const { return at_ >= range_->size(); }

private:
    void load() {
        if (at_ < range_->size()) current_.emplace((*range_)[at_]);
    }

    const Range* range_;
    Index at_ = 0;
    mutable std::optional<value_type> current_;  // the caller's to change
};

/// The order of a Loader that has no sampler.
struct LoaderOrder {
    bool shuffle = false;
    std::uint64_t seed = 0;

    Tensor<Index> operator()(const Pass& pass) const {
        return shuffle ? RandomSampler{seed}(pass) : SequentialSampler{}(pass);
    }
};

[[gnu::cold]] inline void check_options(const LoaderOptions& options, bool has_sampler) {
    if (options.batch_size < 1)
        gradus::detail::raise<ValueError>("loader", "batch_size must be at least 1", options.batch_size);
    if (has_sampler && options.shuffle)
        gradus::detail::raise<ValueError>(
            "loader", "the sampler says in which order: leave out shuffle, or the sampler");
}

[[noreturn, gnu::cold]] inline void refuse_no_batches(const char* operation, const char* why) {
    gradus::detail::raise<ValueError>({operation, ": there are no batches: ", why});
}

/// How often each of the rows came before; empty if none did.
[[gnu::cold]] inline Tensor<Index> repeats_of(const Tensor<Index>& rows, Index examples) {
    std::vector<Index> seen(static_cast<std::size_t>(examples));
    Tensor<Index> result = Tensor<Index>::uninitialized(rows.shape());
    Index* out = result.mutable_data();
    bool any = false;
    for (const Index row : rows) any |= (*out++ = seen[static_cast<std::size_t>(row)]++) > 0;
    return any ? result : Tensor<Index>();
}

}  // namespace detail

/// The batches of one pass over a set, as Loader::epoch() gives them: a range, which may outlive the loader.
template <DataSet Set>
class SetEpoch {
public:
    using Iterator = detail::BatchIterator<SetEpoch>;

    SetEpoch(std::shared_ptr<const Set> set, Plan plan)
        : set_(std::move(set)), plan_(std::move(plan)), examples_(detail::size_of(*set_)) {
        detail::check_plan(plan_, examples_);
        repeats_ = detail::repeats_of(plan_.rows, examples_);
    }

    Index size() const { return plan_.starts.numel() - 1; }  // number of batches

    /// Batch number i, 0 <= i < size(). Throws ValueError if there is none.
    detail::BatchOf<Set> operator[](Index i) const { return detail::read_batch(*set_, rows(i).values()); }

    /// Numbers in the set of the examples in batch i: [batch].
    Tensor<Index> rows(Index i) const { return part(plan_.rows, i); }
    /// How often each of them came before in this epoch: [batch]; empty if no example comes twice.
    Tensor<Index> repeats(Index i) const { return repeats_.numel() == 0 ? repeats_ : part(repeats_, i); }

    /// Throws ValueError if there are no batches.
    Iterator begin() const {
        if (size() == 0)
            detail::refuse_no_batches("loader", examples_ == 0
                                                    ? "the set is empty"
                                                    : "drop_last or the sampler leaves out all examples");
        return Iterator(*this);
    }
    detail::EndOfBatches end() const { return {}; }

private:
    Tensor<Index> part(const Tensor<Index>& of, Index i) const {
        if (i < 0 || i >= size())
            gradus::detail::raise<ValueError>({"loader: the batches are 0 to ", size() - 1, ": got ", i});
        return of.rows(plan_.starts.data()[i], plan_.starts.data()[i + 1]);
    }

    std::shared_ptr<const Set> set_;
    Plan plan_;
    Tensor<Index> repeats_;
    Index examples_;
};

/// Any set in batches, in the order of any sampler.
///
///     data::Loader loader(data::map(photos, normalize), {.batch_size = 64, .shuffle = true});
///     data::Loader balanced(train, data::WeightedSampler(weights), {.batch_size = 64});
///
/// Its batches are what the set's gather() or collate() makes of the examples, else stack(). As with a Loader
/// of a Dataset, each is a pure function of (seed, epoch, number).
template <DataSet Set, class Sampler>
requires std::invocable<const Sampler&, const Pass&>
class Loader<Set, Sampler> {
public:
    /// Throws ValueError if batch_size < 1.
    Loader(Set set, const LoaderOptions& options = {}) requires std::same_as<Sampler, detail::LoaderOrder>
        : Loader(std::move(set), {options.shuffle, options.seed}, options, false) {}
    /// The sampler says which examples, and in which order: `shuffle` and `seed` have no meaning here.
    Loader(Set set, Sampler sampler, const LoaderOptions& options = {})
        : Loader(std::move(set), std::move(sampler), options, true) {}

    /// Pass number `number` over the data, counted from 0. Throws ValueError if it is negative.
    SetEpoch<Set> epoch(Index number) const {
        if (number < 0) gradus::detail::raise<ValueError>("loader", "the epoch must be at least 0", number);
        const Pass pass{number, detail::size_of(*set_), options_.batch_size, options_.drop_last};
        return {set_, detail::cut(std::invoke(sampler_, pass), pass)};
    }

private:
    Loader(Set set, Sampler sampler, const LoaderOptions& options, bool own_sampler)
        : set_(std::make_shared<const Set>(std::move(set))), sampler_(std::move(sampler)), options_(options) {
        detail::check_options(options, own_sampler);
    }

    std::shared_ptr<const Set> set_;  // which may be large, and is the same in all epochs
    Sampler sampler_;
    LoaderOptions options_;
};

template <DataSet Set>
Loader(Set, const LoaderOptions& = {}) -> Loader<Set, detail::LoaderOrder>;
template <DataSet Set, class Sampler>
requires std::invocable<const Sampler&, const Pass&> Loader(Set, Sampler, const LoaderOptions& = {})
->Loader<Set, Sampler>;

namespace detail {

template <class F, class Range>
class MappedEpoch {
    using In = BatchIn<Range>;
    static constexpr bool wants_info = std::is_invocable_v<const F&, In, const BatchInfo&>;

public:
    using Iterator = BatchIterator<MappedEpoch>;

    MappedEpoch(Range range, F f, Index epoch) : range_(std::move(range)), f_(std::move(f)), epoch_(epoch) {}

    Index size() const { return range_.size(); }
    auto operator[](Index i) const {
        if constexpr (wants_info) {
            static_assert(
                requires { range_.rows(i); },
                "a map() of (batch, info) needs epochs with rows(i): the numbers of the examples");
            return std::invoke(f_, range_[i], BatchInfo{epoch_, i, range_.rows(i), repeats(i)});
        } else {
            return std::invoke(f_, range_[i]);
        }
    }

    Tensor<Index> rows(Index i) const requires requires(const Range& range) { range.rows(i); }
    { return range_.rows(i); }
    Tensor<Index> repeats([[maybe_unused]] Index i) const {
        if constexpr (requires { range_.repeats(i); })
            return range_.repeats(i);
        else
            return {};
    }

    Iterator begin() const {
        if (size() == 0) static_cast<void>(range_.begin());  // which says why
        return Iterator(*this);
    }
    EndOfBatches end() const { return {}; }

private:
    Range range_;
    F f_;
    Index epoch_;
};

template <BatchSource L, class F>
class MappedLoader {
public:
    MappedLoader(L loader, F f) : loader_(std::move(loader)), f_(std::move(f)) {}

    MappedEpoch<F, EpochOf<L>> epoch(Index number) const { return {loader_.epoch(number), f_, number}; }
    Index size() const requires requires(const L& loader) { loader.size(); }
    { return loader_.size(); }

private:
    L loader_;
    F f_;
};

}  // namespace detail

/// The batches of a loader, each as f(batch) or f(batch, info), where a BatchInfo says which examples they
/// are.
///
///     const auto batches = data::map(loader, data::augment(data::random_crop({.padding = 4})));
///     for (auto& [images, labels] : batches.epoch(epoch)) ...
template <BatchSource L, class F>
auto map(L loader, F f) {
    return detail::MappedLoader<L, F>(std::move(loader), std::move(f));
}

}  // namespace gradus::data
