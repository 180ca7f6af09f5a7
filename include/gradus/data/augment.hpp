// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/core/random.hpp"
#include "gradus/core/reflect.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/data/set_loader.hpp"
#include "gradus/data/tensors.hpp"

// Random changes of batches. Each decision is a pure function of the seed, the epoch, the number of the
// example in its set, and the place of the operation in the chain: so neither threads nor batches nor a
// resumed run change it.

namespace gradus::data {

/// Random numbers for the examples of a batch.
class Draws {
public:
    /// For operation number `place` of a chain. `examples` are the numbers by which to tell examples apart.
    Draws(std::uint64_t seed, std::uint64_t place, Index epoch, std::vector<std::uint64_t> examples)
        : epoch_(static_cast<std::uint64_t>(epoch)), examples_(std::move(examples)) {
        constexpr std::uint64_t stream = std::uint64_t{1}
                                         << 61;  // apart from those of generators, loaders, split()
        const auto words = philox(seed, stream, place);
        key_ = std::uint64_t{words[0]} << 32 | words[1];
    }

    Index size() const { return static_cast<Index>(examples_.size()); }
    Index epoch() const { return static_cast<Index>(epoch_); }

    /// Four random words for example i of the batch, in this epoch; others for each `block`.
    std::array<std::uint32_t, 4> operator()(Index i, std::uint32_t block = 0) const {
        return philox(key_, (epoch_ + 1) << 32 | block, examples_[static_cast<std::size_t>(i)]);
    }

    /// The same in all epochs.
    std::array<std::uint32_t, 4> in_all_epochs(Index i) const {
        return philox(key_, 0, examples_[static_cast<std::size_t>(i)]);
    }

    /// A word as a number in [0, 1), and as one of 0 ... count - 1.
    static double unit(std::uint32_t word) { return word * 0x1p-32; }
    static Index below(std::uint32_t word, Index count) {
        return static_cast<Index>(unit(word) * static_cast<double>(count));
    }
    /// A word as a number in [-amount, amount).
    static double around_zero(std::uint32_t word, double amount) { return (2 * unit(word) - 1) * amount; }

private:
    std::uint64_t key_, epoch_;
    std::vector<std::uint64_t> examples_;
};

struct AugmentOptions {
    std::uint64_t seed = 0;
};

namespace detail {

/// One operation: on the batch, or on its first tensor; with or without random numbers.
template <class Op, class Whole>
auto apply(const Op& op, Whole batch, const Draws& draws) {
    using First = std::remove_cvref_t<decltype(first_tensor(batch))>;
    if constexpr (std::is_invocable_v<const Op&, Whole, const Draws&>) {
        return std::invoke(op, std::move(batch), draws);
    } else if constexpr (std::is_invocable_v<const Op&, Whole>) {
        return std::invoke(op, std::move(batch));
    } else {
        First& first = first_tensor(batch);
        if constexpr (std::is_invocable_r_v<First, const Op&, First, const Draws&>)
            first = std::invoke(op, std::move(first), draws);
        else {
            static_assert(
                std::is_invocable_r_v<First, const Op&, First>,
                "an operation of augment() is called with (batch, draws), (batch), (first tensor, draws) or "
                "(first tensor), and returns what it was given, changed");
            first = std::invoke(op, std::move(first));
        }
        return batch;
    }
}

[[gnu::cold]] inline std::vector<std::uint64_t> example_keys(const BatchInfo& info, Index batch) {
    if (info.rows.numel() != batch || (info.repeats.numel() != 0 && info.repeats.numel() != batch))
        gradus::detail::raise<ValueError>(
            {"augment: needs the number of each of ", batch, " examples: got ", info.rows.numel(), " rows"});
    std::vector<std::uint64_t> keys(info.rows.begin(), info.rows.end());
    for (std::size_t i = 0; i < static_cast<std::size_t>(info.repeats.numel()); ++i)
        keys[i] |= static_cast<std::uint64_t>(info.repeats.data()[i]) << 40;  // of up to 2⁴⁰ examples
    return keys;
}

template <class... Ops>
class Augmentation {
public:
    Augmentation(std::uint64_t seed, Ops... ops) : seed_(seed), ops_(std::move(ops)...) {}

    template <class Whole>
    auto operator()(Whole batch, const BatchInfo& info) const {
        const auto keys = example_keys(info, batch_size(batch));
        return step<0>(std::move(batch), info, keys);
    }

private:
    template <std::size_t I, class Whole>
    auto step(Whole batch, const BatchInfo& info, const std::vector<std::uint64_t>& keys) const {
        if constexpr (I == sizeof...(Ops))
            return batch;
        else
            return step<I + 1>(apply(std::get<I>(ops_), std::move(batch), Draws(seed_, I, info.epoch, keys)),
                               info, keys);
    }

    std::uint64_t seed_;
    std::tuple<Ops...> ops_;
};

template <class Op, class... Members>
struct On {
    Op op;
    std::tuple<Members...> members;

    template <class Whole>
    Whole operator()(Whole batch, const Draws& draws) const {
        std::apply(
            [&](auto... member) { ((batch.*member = apply(op, std::move(batch.*member), draws)), ...); },
            members);
        return batch;
    }
};

}  // namespace detail

/// A chain of random changes, one after the other, for map():
///
///     const auto batches = data::map(loader, data::augment({.seed = 1},
///         data::random_crop({.padding = 4, .padding_mode = data::PaddingMode::reflect}),
///         data::alternating_flip(), data::random_erase({.size = 8}), standardize));
///
/// An operation changes the first tensor of a batch (see on() for others). Of your own it is a function of
/// (batch, draws), (batch), (first tensor, draws) or (first tensor), which returns what it was given,
/// changed. The seed and the place in the chain tell operations apart: give two chains in one program
/// different seeds.
template <class Op, class... Ops>
auto augment(const AugmentOptions& options, Op op, Ops... ops) {
    return detail::Augmentation<Op, Ops...>(options.seed, std::move(op), std::move(ops)...);
}
template <class Op, class... Ops>
auto augment(Op op, Ops... ops) {
    return augment(AugmentOptions{}, std::move(op), std::move(ops)...);
}

/// An operation on tensors by name, with the same random decisions for each: an image and its mask turn
/// together.
///
///     data::augment(data::on(data::random_rotate({.degrees = 10}), &Scan::image, &Scan::mask))
template <class Op, class... Members>
auto on(Op op, Members... members) {
    static_assert((std::is_member_object_pointer_v<Members> && ...),
                  "on(operation, &Scan::image, &Scan::mask)");
    return detail::On<Op, Members...>{std::move(op), {members...}};
}

}  // namespace gradus::data
