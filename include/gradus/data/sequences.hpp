// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/core/tensor.hpp"
#include "gradus/data/tensors.hpp"

// Batches of sequences of unequal length. Samplers that put similar lengths together: BucketSampler.

namespace gradus::data {

struct PadOptions {
    double value = 0;    // behind the end of the shorter ones
    Index multiple = 1;  // of which the common length is one: fewer different shapes
    Index at_least = 0;  // the common length
};

/// Sequences of one batch, all as long as the longest, and how long they were.
template <class Sequences>
struct Padded {
    Sequences batch;
    Tensor<Index> lengths;  // [batch]
};

namespace detail {

[[gnu::cold]] inline Index common_length(const PadOptions& options, Index longest) {
    if (options.multiple < 1)
        gradus::detail::raise<ValueError>("pad_sequences", "multiple must be at least 1", options.multiple);
    const Index length = std::max(longest, options.at_least);
    return (length + options.multiple - 1) / options.multiple * options.multiple;
}

template <class T>
Tensor<T> pad_parts(std::string_view name, const std::vector<const Tensor<T>*>& parts,
                    const PadOptions& options) {
    const Shape first = parts.front()->shape();
    if (first.rank() == 0) {  // one number for each example: a label
        Tensor<T> result = Tensor<T>::uninitialized({static_cast<Index>(parts.size())});
        T* out = result.mutable_data();
        for (const Tensor<T>* part : parts) {
            if (part->rank() != 0)
                refuse_field("pad_sequences", name, "the examples of a batch must have one shape", first,
                             part->shape());
            *out++ = part->item();
        }
        return result;
    }
    Index longest = 0;
    for (const Tensor<T>* part : parts) {
        if (part->rank() != first.rank() || part->shape().without(0) != first.without(0))
            refuse_field("pad_sequences", name, "sequences [length, ...] may differ in length only", first,
                         part->shape());
        longest = std::max(longest, part->size(0));
    }
    const Shape padded = first.with(0, common_length(options, longest));
    Tensor<T> result =
        full<T>(batch_shape(static_cast<Index>(parts.size()), padded), static_cast<T>(options.value));
    T* out = result.mutable_data();
    for (const Tensor<T>* part : parts) {
        std::copy(part->begin(), part->end(), out);
        out += padded.numel();
    }
    return result;
}

struct PadSequences {
    PadOptions options;

    template <class Example>
    Padded<Example> operator()(const std::vector<Example>& examples) const {
        if (examples.empty())
            gradus::detail::raise<ValueError>("pad_sequences", "needs at least one sequence");
        Padded<Example> result{examples.front(),
                               Tensor<Index>::uninitialized({static_cast<Index>(examples.size())})};
        Index* length = result.lengths.mutable_data();
        std::vector<std::vector<const void*>> tensors;
        for (const Example& example : examples) {
            const auto& sequence = first_tensor(example);
            if (sequence.rank() == 0)
                gradus::detail::raise<ShapeError>("pad_sequences",
                                                  "the first tensor of an example is its sequence "
                                                  "[length, ...]",
                                                  sequence.shape());
            *length++ = sequence.size(0);
            tensors.push_back(tensor_pointers(example));
        }
        std::size_t field = 0;
        for_each_tensor(result.batch, [&]<class T>(std::string_view name, Tensor<T>& padded) {
            std::vector<const Tensor<T>*> parts;
            for (const auto& pointers : tensors)
                parts.push_back(static_cast<const Tensor<T>*>(pointers[field]));
            padded = pad_parts(name, parts, options);
            ++field;
        });
        return result;
    }
};

}  // namespace detail

/// For collate(): makes a batch of sequences [length, ...] of unequal length, [batch, longest, ...], and
/// returns their lengths with it. Every tensor of an example is padded behind its end, along its first axis;
/// tensors of shape [] (labels) are stacked; the lengths are those of the first tensor.
///
///     struct Sentence { Tensor<Index> words, label; };       // [length] and []
///     data::Loader loader(data::collate(sentences, data::pad_sequences({.value = 0})), {.batch_size = 32});
///     for (auto& [batch, lengths] : loader.epoch(epoch)) ... // batch.words [32, longest], batch.label [32]
///
/// Also to be called with a std::vector of tensors or examples. Throws ShapeError if they differ in more than
/// length.
inline auto pad_sequences(const PadOptions& options = {}) { return detail::PadSequences{options}; }

/// The same for a list of sequences: `batch` is [count, longest, ...].
template <class Example>
Padded<Example> pad_sequences(const std::vector<Example>& sequences, const PadOptions& options = {}) {
    return detail::PadSequences{options}(sequences);
}

}  // namespace gradus::data
