// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gradus/core/random.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/data/dataset.hpp"

// A sampler says which examples an epoch goes through, in which order: it is a value that is called with a
// Pass and returns their numbers [count], which the loader cuts into batches, or a Plan, if it cuts them
// itself. It is a pure function, so that any batch of any epoch can be made again. A lambda will do:
//
//     data::Loader loader(train, [](const data::Pass& pass) { return arange<Index>(pass.examples / 10); });

namespace gradus::data {

/// What a sampler is asked for.
struct Pass {
    Index epoch = 0;
    Index examples = 0;  // in the set
    Index batch_size = 1;
    bool drop_last = false;
};

/// The batches of an epoch: batch i holds the examples rows(starts(i)) ... rows(starts(i + 1) - 1).
struct Plan {
    Tensor<Index> rows;    // [count]
    Tensor<Index> starts;  // [batches + 1], from 0 to the count
};

namespace detail {

/// An order of examples in batches of one size, the last of which may be smaller.
[[gnu::cold]] inline Plan cut(Tensor<Index> rows, const Pass& pass) {
    const Index count = rows.numel(), size = pass.batch_size;
    Tensor<Index> starts = arange<Index>(count / size + (!pass.drop_last && count % size != 0) + 1);
    for (Index& start : starts.mutable_values()) start = std::min(start * size, count);
    return {std::move(rows), std::move(starts)};
}
inline Plan cut(Plan plan, const Pass&) { return plan; }

/// Throws ValueError unless the plan is one, of examples that there are.
[[gnu::cold]] inline void check_plan(const Plan& plan, Index examples) {
    const auto starts = plan.starts.values();
    if (plan.rows.rank() != 1 || plan.starts.rank() != 1 || starts.empty() || starts.front() != 0 ||
        !std::is_sorted(starts.begin(), starts.end()) || starts.back() > plan.rows.numel())
        gradus::detail::raise<ValueError>(
            {"sampler: needs rows [count] and starts [batches + 1] that rise from 0 to the count: got ",
             to_string(plan.rows.shape()), " and ", to_string(plan.starts.shape())});
    check_rows("sampler", plan.rows.values(), examples);
}

/// Apart from the small streams that a Generator hands out, and from those of split().
inline RandomStream epoch_stream(std::uint64_t seed, Index epoch) {
    return {seed, std::uint64_t{1} << 63 | static_cast<std::uint64_t>(epoch)};
}
/// A second one for the same epoch.
inline RandomStream second_stream(std::uint64_t seed, Index epoch) {
    return {seed, std::uint64_t{3} << 62 | static_cast<std::uint64_t>(epoch)};
}

inline double unit_draw(const RandomStream& random, std::uint64_t i) {
    const auto words = random(i);
    return gradus::detail::unit_uniform<double>(words[0], words[1]);
}

[[gnu::cold]] inline void check_examples(const char* operation, const char* what, Index numbers,
                                         const Pass& pass) {
    if (numbers != pass.examples)
        gradus::detail::raise<ValueError>(
            {operation, ": needs one ", what, " for each of ", pass.examples, " examples: got ", numbers});
}

}  // namespace detail

/// The examples as they come.
struct SequentialSampler {
    Tensor<Index> operator()(const Pass& pass) const { return arange<Index>(pass.examples); }
};

/// All examples in random order, another one in every epoch: that of a Loader with .shuffle = true.
struct RandomSampler {
    std::uint64_t seed = 0;

    Tensor<Index> operator()(const Pass& pass) const {
        return permutation(pass.examples, detail::epoch_stream(seed, pass.epoch));
    }
};

struct WeightedSamplerOptions {
    Index samples = 0;        // in an epoch; 0: as many as there are examples
    bool replacement = true;  // an example may come several times in an epoch
    std::uint64_t seed = 0;
};

/// Random examples, each in proportion to its weight.
///
///     data::Loader loader(train, data::WeightedSampler(data::balanced_weights(train.labels)), {.batch_size = 64});
///
/// With replacement every draw is example i with probability w[i] / Σ w. Without, the examples not yet drawn
/// compete anew for each draw; those of weight 0 are never drawn.
/// Throws ValueError unless the weights are finite, none is negative and one is above 0, and, without
/// replacement, unless there are as many weights above 0 as samples.
///
/// Source: Efraimidis & Spirakis, "Weighted random sampling with a reservoir", 2006.
class WeightedSampler {
public:
    [[gnu::cold]] explicit WeightedSampler(Tensor<double> weights, const WeightedSamplerOptions& options = {})
        : sums_(std::move(weights)), options_(options) {
        if (sums_.rank() != 1)
            gradus::detail::raise<ShapeError>("weighted_sampler", "weights are [count]", sums_.shape());
        if (options.samples < 0)
            gradus::detail::raise<ValueError>("weighted_sampler", "samples must be at least 0",
                                              options.samples);
        if (!options.replacement) weights_ = sums_;
        double sum = 0;
        Index positive = 0, i = 0;
        for (double& weight : sums_.mutable_values()) {
            if (!(weight >= 0) || !std::isfinite(weight))
                gradus::detail::raise<ValueError>(
                    {"weighted_sampler: weights must be finite and at least 0: got ",
                     gradus::detail::number_text(weight), " for example ", i});
            positive += weight > 0;
            sum += weight;
            weight = sum;
            ++i;
        }
        if (!(sum > 0) || !std::isfinite(sum))
            gradus::detail::raise<ValueError>(
                {"weighted_sampler: needs a weight above 0, and a finite sum: got ", i,
                 " weights of the sum ", gradus::detail::number_text(sum)});
        const Index samples = options.samples > 0 ? options.samples : i;
        if (!options.replacement && samples > positive)
            gradus::detail::raise<ValueError>(
                {"weighted_sampler: ", samples,
                 " samples without replacement need as many weights above 0: got ", positive,
                 "; set samples, or replacement = true"});
        options_.samples = samples;
    }

    [[gnu::cold]] Tensor<Index> operator()(const Pass& pass) const {
        detail::check_examples("weighted_sampler", "weight", sums_.numel(), pass);
        const RandomStream random = detail::epoch_stream(options_.seed, pass.epoch);
        return options_.replacement ? with_replacement(random) : without_replacement(random);
    }

private:
    Tensor<Index> with_replacement(const RandomStream& random) const {
        Tensor<Index> rows = Tensor<Index>::uninitialized({options_.samples});
        Index* out = rows.mutable_data();
        const double* sums = sums_.data();
        const Index count = sums_.numel();
        for (Index i = 0; i < options_.samples; ++i) {
            const double at = detail::unit_draw(random, static_cast<std::uint64_t>(i)) * sums[count - 1];
            Index row = std::upper_bound(sums, sums + count, at) - sums;
            if (row == count)
                row = std::lower_bound(sums, sums + count, sums[count - 1]) - sums;  // at was rounded up
            out[i] = row;
        }
        return rows;
    }

    /// The least of exponential times, each at the rate of its weight.
    Tensor<Index> without_replacement(const RandomStream& random) const {
        std::vector<std::pair<double, Index>> times;
        for (Index i = 0; i < weights_.numel(); ++i) {
            const double u = 1 - detail::unit_draw(random, static_cast<std::uint64_t>(i));  // above 0
            if (weights_.data()[i] > 0) times.emplace_back(-std::log(u) / weights_.data()[i], i);
        }
        std::sort(times.begin(), times.end());
        Tensor<Index> rows = Tensor<Index>::uninitialized({options_.samples});
        Index* out = rows.mutable_data();
        for (Index i = 0; i < options_.samples; ++i) out[i] = times[static_cast<std::size_t>(i)].second;
        return rows;
    }

    Tensor<double> sums_;     // of the weights up to each, with it
    Tensor<double> weights_;  // only kept without replacement
    WeightedSamplerOptions options_;
};

/// Weights by which every class is drawn equally often: 1 / (examples of the class). Labels are [count].
[[gnu::cold]] inline Tensor<double> balanced_weights(const Tensor<Index>& labels) {
    std::vector<Index> sorted(labels.begin(), labels.end());
    std::sort(sorted.begin(), sorted.end());
    Tensor<double> weights = Tensor<double>::uninitialized(labels.shape());
    double* out = weights.mutable_data();
    for (const Index label : labels) {
        const auto [first, last] = std::equal_range(sorted.begin(), sorted.end(), label);
        *out++ = 1.0 / static_cast<double>(last - first);
    }
    return weights;
}

struct StratifiedSamplerOptions {
    std::uint64_t seed = 0;
};

/// All examples in random order, but the examples of each class evenly over the epoch: so every batch has
/// about the share of each class that the whole set has. Labels are [count]; a class of a few examples comes
/// in as many batches, far apart.
class StratifiedSampler {
public:
    explicit StratifiedSampler(Tensor<Index> labels, const StratifiedSamplerOptions& options = {})
        : labels_(std::move(labels)), seed_(options.seed) {
        detail::check_numbers("stratified_sampler", "labels", labels_.shape(), labels_.numel());
    }

    [[gnu::cold]] Tensor<Index> operator()(const Pass& pass) const {
        detail::check_examples("stratified_sampler", "label", labels_.numel(), pass);
        const RandomStream offset = detail::second_stream(seed_, pass.epoch);
        const Tensor<Index> order = permutation(pass.examples, detail::epoch_stream(seed_, pass.epoch));
        std::vector<std::pair<double, Index>> places;  // within the epoch, from 0 to 1
        std::uint64_t number = 0;
        for (const auto& rows : detail::together(labels_, order)) {
            double at = detail::unit_draw(offset, number++);
            for (const Index row : rows) places.emplace_back(at++ / static_cast<double>(rows.size()), row);
        }
        std::sort(places.begin(), places.end());
        Tensor<Index> result = Tensor<Index>::uninitialized({pass.examples});
        std::transform(places.begin(), places.end(), result.mutable_data(),
                       [](const auto& p) { return p.second; });
        return result;
    }

private:
    Tensor<Index> labels_;
    std::uint64_t seed_;
};

struct BucketSamplerOptions {
    std::uint64_t seed = 0;
    Index batches = 100;  // in a bucket: the more, the less padding and the less random
};

/// All examples in random order, but examples of about the same length in one batch, so that little of it is
/// padding: buckets of `batches` batches are sorted by length, cut, and all batches shuffled. Lengths are
/// [count].
class BucketSampler {
public:
    explicit BucketSampler(Tensor<Index> lengths, const BucketSamplerOptions& options = {})
        : lengths_(std::move(lengths)), options_(options) {
        detail::check_numbers("bucket_sampler", "lengths", lengths_.shape(), lengths_.numel());
        if (options.batches < 1)
            gradus::detail::raise<ValueError>("bucket_sampler", "batches must be at least 1",
                                              options.batches);
    }

    [[gnu::cold]] Plan operator()(const Pass& pass) const {
        detail::check_examples("bucket_sampler", "length", lengths_.numel(), pass);
        Tensor<Index> order = permutation(pass.examples, detail::epoch_stream(options_.seed, pass.epoch));
        const Index bucket = pass.batch_size > pass.examples / options_.batches
                                 ? std::max<Index>(1, pass.examples)
                                 : pass.batch_size * options_.batches;
        Index* rows = order.mutable_data();
        for (Index first = 0; first < pass.examples; first += bucket)
            std::stable_sort(rows + first, rows + std::min(first + bucket, pass.examples),
                             [&](Index a, Index b) { return lengths_.data()[a] < lengths_.data()[b]; });
        const Plan sorted = detail::cut(std::move(order), pass);
        const Index batches = sorted.starts.numel() - 1;
        std::vector<Index> shuffled, starts{0};
        for (const Index i : permutation(batches, detail::second_stream(options_.seed, pass.epoch))) {
            const Index *from = sorted.rows.data(), *start = sorted.starts.data() + i;
            shuffled.insert(shuffled.end(), from + start[0], from + start[1]);
            starts.push_back(static_cast<Index>(shuffled.size()));
        }
        return {Tensor<Index>(shuffled), Tensor<Index>(starts)};
    }

private:
    Tensor<Index> lengths_;
    BucketSamplerOptions options_;
};

struct DistributedSamplerOptions {
    Index rank = 0, ranks = 1;
};

/// The share of one of several processes in what another sampler chooses: of the batches of every step,
/// process `rank` of `ranks` gets one. All have equally many batches and together exactly the chosen
/// examples: what is left at the end is dealt evenly, in batches that are smaller and differ by at most one
/// example. (drop_last leaves it out.) The seed has to be the same in all processes.
///
///     data::Loader loader(train, data::DistributedSampler(data::RandomSampler{.seed = 1}, {.rank = 0, .ranks = 4}),
///                         {.batch_size = 32});
///
/// Until the end, step s of rank r is batch s * ranks + r of a single process.
/// Throws ValueError unless 0 <= rank < ranks, and if there are too few examples for every rank to have one
/// in each step.
template <class Sampler = RandomSampler>
class DistributedSampler {
public:
    DistributedSampler(Sampler sampler, const DistributedSamplerOptions& options)
        : sampler_(std::move(sampler)), options_(options) {
        if (options.rank < 0 || options.rank >= options.ranks)
            gradus::detail::raise<ValueError>({"distributed_sampler: the rank must be 0 to ranks - 1: got ",
                                               options.rank, " of ", options.ranks});
    }

    [[gnu::cold]] Plan operator()(const Pass& pass) const {
        const Tensor<Index> all = sampler_(pass);
        const Index count = all.numel(), ranks = options_.ranks;
        const Index step = ranks > count ? count + 1 : ranks * std::min(pass.batch_size, count);
        const Index steps = count / step + (!pass.drop_last && count % step != 0);
        if (!pass.drop_last && count / ranks < steps)
            gradus::detail::raise<ValueError>(
                {"distributed_sampler: ", count, " examples in batches of ", pass.batch_size,
                 " are too few for each of ", ranks,
                 " ranks to have one in every step: use drop_last or fewer ranks"});
        std::vector<Index> rows, starts{0};
        for (Index s = 0, first = 0, last; s < steps; ++s, first = last) {
            last = std::min((s + 1) * step, count);
            if (last < count)
                last = std::min(last, count - ranks * (steps - s - 1));  // what later steps need
            const auto cut = [&](Index rank) { return first + (last - first) * rank / ranks; };
            rows.insert(rows.end(), all.data() + cut(options_.rank), all.data() + cut(options_.rank + 1));
            starts.push_back(static_cast<Index>(rows.size()));
        }
        return {Tensor<Index>(rows), Tensor<Index>(starts)};
    }

private:
    Sampler sampler_;
    DistributedSamplerOptions options_;
};

}  // namespace gradus::data
