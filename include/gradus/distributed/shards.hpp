// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/core/random.hpp"
#include "gradus/distributed/broadcast.hpp"
#include "gradus/distributed/reduce.hpp"
#include "gradus/nn/model.hpp"
#include "gradus/training/checksum.hpp"
#include "gradus/training/evaluate.hpp"

namespace gradus::distributed {

struct ShardOptions {
    Index shards = 8;  // that a step's batch is cut into: a power of two, and at least as many as processes
    Index bucket_bytes = Index{25} << 20;  // that are sent at a time; the bits do not depend on it
    Index check_every = 100;               // steps after which all compare their weights; 0: never
};

/// What a step found: means over all its examples, on all processes.
struct StepMeans {
    double loss = 0, score = 0;
    Index examples = 0;
};

namespace detail {

/// Some of a list of batches.
template <class Batches>
struct Slice {
    const Batches& batches;
    Index first, last;

    Index size() const { return last - first; }
    decltype(auto) operator[](Index i) const {
        return batches[static_cast<decltype(batches.size())>(first + i)];
    }
};

}  // namespace detail

/// Steps whose bits do not depend on the number of processes. The batch of a step is cut into a fixed number of
/// shards, each with a forward and backward pass of its own; a process has a block of them, and what they give is
/// added along one fixed binary tree over the numbers of the shards, in the process and across. So one process, two,
/// four and eight make the same weights, for any number of threads, and a run may go on with another number.
///
///     distributed::World world = distributed::mpi_world();
///     distributed::Shards shards(net, world, {.shards = 8});
///     data::Loader loader(train, {.batch_size = 32, .shuffle = true, .seed = 1});  // the batches are the shards
///     for (Index epoch = 0; epoch < 10; ++epoch) {
///         const auto batches = loader.epoch(epoch);
///         for (Index step = 0; step < shards.steps(batches); ++step) {            // of 256 examples
///             auto [loss, score, examples] = shards.backward(batches, step, [&](const auto& batch) {
///                 return cross_entropy(net(batch.inputs), batch.labels);
///             });
///             sgd.step();
///         }
///     }
///
/// `batches` is any epoch of a loader, the same on all processes: augmentation and order are functions of the
/// example and the epoch already. The last step of an epoch may have fewer shards.
///
/// Within a shard, dropout draws from a generator that belongs to the step and the shard; a step takes one stream of
/// the default generator. Batch normalization uses the statistics of the shard; the running ones change by the mean
/// change over all shards. Whole numbers among the buffers change by the greatest change.
///
/// The first process gives the others its weights when this is made; settings that differ between processes are
/// refused then, and numbers of batches in the first step of an epoch.
///
/// With shards = 1 a step is that of a plain loop, to the bit, at no cost, and there can be only one process.
/// Throws ValueError for options out of range, and DistributedError if processes are missing or differ.
template <class T = float>
class Shards {
public:
    template <class Model>
    explicit Shards(Model& model, World world = {}, const ShardOptions& options = {})
        : world_(std::move(world)),
          options_(options),
          parameters_(nn::parameters<T>(model)),
          buffers_(nn::buffers<T>(model)),
          counters_(nn::buffers<Index>(model)) {
        check_options();
        for (const auto& parameter : parameters_) shapes_.push_back(parameter.shape());
        for (const auto& buffer : buffers_) shapes_.push_back(buffer.shape());
        check_same(world_, settings(), "shards");
        broadcast(model, world_);
    }

    const World& world() const { return world_; }
    bool is_first() const { return world_.is_first(); }
    Index shards() const { return options_.shards; }

    /// Of an epoch with so many batches, each of which is a shard.
    Index steps(Index batches) const { return batches / shards() + (batches % shards() != 0); }
    template <class Batches>
    Index steps(const Batches& batches) const {
        return steps(static_cast<Index>(batches.size()));
    }

    /// Gives the parameters the mean gradient over the batch of a step, as backward() does; earlier gradients are
    /// forgotten. loss_of(batch) is the loss of a shard: the mean over its examples.
    template <class Batches, class LossOf>
    StepMeans backward(const Batches& batches, Index step, const LossOf& loss_of) {
        const auto count = static_cast<Index>(batches.size());
        if (step < 0 || step >= steps(count))
            gradus::detail::raise<ValueError>(
                {"shards: the steps are 0 to ", steps(count) - 1, ": got ", step});
        begin(count);
        for (Index i = first(step); i < last(step, count); ++i) {
            begin_shard(i % shards());
            const auto batch = batches[static_cast<decltype(batches.size())>(i)];
            const Variable<T> loss = loss_of(batch);
            loss.backward();
            add(training::detail::examples_of(batch), static_cast<double>(loss.item()));
        }
        return finish();
    }

    /// Goes through batches that give numbers, evaluation say, each in one of the processes: on(range, take) goes
    /// through a range of batches and calls take(loss, score, examples) for each in order. Then calls
    /// add(loss, score, examples) for all batches in order, in all processes: sums have the bits of one process.
    template <class Batches, class On, class Add>
    void share_out(const Batches& batches, const On& on, const Add& add) const {
        struct Numbers {
            double loss, score;
            Index examples;
        };
        const auto count = static_cast<Index>(batches.size()), ranks = static_cast<Index>(world_.size());
        const auto begin = [&](Index rank) { return rank * (count / ranks) + std::min(rank, count % ranks); };
        std::vector<Numbers> own;
        on(detail::Slice<Batches>{batches, begin(world_.rank()), begin(world_.rank() + 1)},
           [&](double loss, double score, Index examples) {
               own.push_back({loss, score, examples});
           });
        detail::Bytes bytes;
        bytes.put_all(own);
        for (const std::string& text : world_.all_gather(bytes.text(), {"evaluate", steps_}))
            for (const Numbers& n : detail::Bytes(text).template get_all<Numbers>())
                add(n.loss, n.score, n.examples);
    }

    // The parts of backward(), for loops that do more: begin(), then for each batch from first(step) up to
    // last(step, batches) begin_shard(), forward, backward and add(), and finish().

    /// The batches of this process in a step.
    Index first(Index step) const { return step * shards() + local() * world_.rank(); }
    Index last(Index step, Index batches) const { return std::min(first(step) + local(), batches); }

    /// Forgets gradients. `batches` is how many there are in the epoch; all processes must agree.
    void begin(Index batches = 0) {
        batches_ = batches;
        for (auto& parameter : parameters_) parameter.zero_grad();
        sum_.clear();
        if (shards() == 1) return;
        stream_ = default_generator().next();
        buffers_before_.clear();
        counters_before_.clear();
        for (const auto& buffer : buffers_) buffers_before_.push_back(buffer.value());
        for (const auto& counter : counters_) counters_before_.push_back(counter.value());
    }

    /// Before the forward pass of shard 0 <= number < shards().
    void begin_shard(Index number) {
        if (shards() == 1) return;
        const auto words = stream_(static_cast<std::uint64_t>(number));
        default_generator() = Generator(std::uint64_t{words[0]} << 32 | words[1]);
    }

    /// Takes what backward() of a shard gave: the gradient, and the means over its examples.
    void add(Index examples, double loss, double score = 0) {
        if (examples < 1) gradus::detail::raise<ValueError>("shards", "a shard needs examples", examples);
        const auto n = static_cast<double>(examples);
        Node node;
        node.numbers = {loss * n, score * n};
        if (shards() == 1) {
            node.sum.examples = examples;
        } else {
            node.sum = training::detail::take_gradients(parameters_, examples);
            take_changes(node);
        }
        sum_.add(std::move(node));
    }

    /// Gives the parameters the mean gradient of the step, and all processes its means.
    StepMeans finish() {
        Node all = sum_.take();
        if (shards() > 1) {
            all.complete(counters_.size());
            if (world_.size() > 1) combine(all);
            all.sum.to_mean();
            training::detail::give_gradients(parameters_, all.sum);
            change_buffers(all);
            default_generator() = Generator(RandomStream{stream_.seed, stream_.stream + 1});
        }
        ++steps_;
        const auto n = static_cast<double>(all.sum.examples);
        return {all.numbers[0] / n, all.numbers[1] / n, all.sum.examples};
    }

    /// Says how many steps were made before: errors and comparisons count from there. Of a resumed run.
    void go_on_at(Index step) { steps_ = step; }

    /// A number that changes if a bit of a parameter or buffer does.
    std::uint64_t weights() const {
        training::Checksum sum;
        const auto add_all = [&](const auto& list) {
            for (const auto& x : list)
                sum.update({reinterpret_cast<const char*>(x.value().data()),
                            static_cast<std::size_t>(x.numel()) * sizeof(*x.value().data())});
        };
        add_all(parameters_);
        add_all(buffers_);
        add_all(counters_);
        return sum.value();
    }

private:
    /// What is added along the tree: gradients and changes of buffers, sums of loss and score; and greatest changes.
    struct Node {
        training::GradientSum<T> sum;
        std::vector<double> numbers{0, 0};
        std::vector<std::vector<Index>> changes;  // of the counters; an empty one is unchanged

        void add(Node right) {
            sum.add(std::move(right.sum));
            add_rest(right.numbers, right.changes);
        }
        void add_rest(const std::vector<double>& other, const std::vector<std::vector<Index>>& others) {
            for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] += other[i];
            for (std::size_t i = 0; i < others.size(); ++i) {
                changes[i].resize(std::max(changes[i].size(), others[i].size()));
                for (std::size_t j = 0; j < others[i].size(); ++j)
                    changes[i][j] = std::max(changes[i][j], others[i][j]);
            }
        }
        void complete(std::size_t counters) { changes.resize(counters); }
    };

    Index local() const { return shards() / world_.size(); }

    [[gnu::cold]] std::vector<Setting> settings() const {
        const auto text = [](auto number) { return gradus::detail::text_of({number}); };
        return {{"shards", text(options_.shards)},
                {"bucket_bytes", text(options_.bucket_bytes)},
                {"check_every", text(options_.check_every)}};
    }

    [[gnu::cold]] void check_options() const {
        const Index count = options_.shards;
        detail::check_power_of_two("shards", world_);
        if (count < 1 || (count & (count - 1)) != 0)
            gradus::detail::raise<ValueError>("shards", "their number must be a power of two", count);
        if (count < world_.size())
            gradus::detail::raise<ValueError>(
                {"shards: each process needs one: got ", count, " shards for ", world_.size(), " processes"});
        if (options_.check_every < 0)
            gradus::detail::raise<ValueError>("shards", "check_every must not be negative",
                                              options_.check_every);
        detail::check_bucket({options_.bucket_bytes});
    }

    /// Takes the changes of the buffers, which are again as before the step.
    void take_changes(Node& node) {
        for (std::size_t i = 0; i < buffers_.size(); ++i) {
            Tensor<T> now = buffers_[i].value();
            const Tensor<T>& before = buffers_before_[i];
            const bool same = std::as_const(now).data() == before.data();
            if (!same) {
                buffers_[i].set_value(before);
                T* const x = now.mutable_data();
                for (Index j = 0; j < now.numel(); ++j) x[j] -= before.data()[j];
            }
            node.sum.gradients.push_back(same ? Tensor<T>() : std::move(now));
        }
        node.changes.resize(counters_.size());
        for (std::size_t i = 0; i < counters_.size(); ++i) {
            const Tensor<Index> now = counters_[i].value();
            const Tensor<Index>& before = counters_before_[i];
            if (now.data() == before.data()) continue;
            for (Index j = 0; j < now.numel(); ++j)
                node.changes[i].push_back(now.data()[j] - before.data()[j]);
            counters_[i].set_value(before);
        }
    }

    void change_buffers(Node& all) {
        for (std::size_t i = 0; i < buffers_.size(); ++i) {
            const Tensor<T>& change = all.sum.gradients[parameters_.size() + i];
            if (change.numel() == 0) continue;
            T* const x = buffers_[i].mutable_value().mutable_data();
            for (Index j = 0; j < change.numel(); ++j) x[j] += change.data()[j];
        }
        for (std::size_t i = 0; i < counters_.size(); ++i) {
            if (all.changes[i].empty()) continue;
            Index* x = counters_[i].mutable_value().mutable_data();
            for (const Index change : all.changes[i]) *x++ += change;
        }
        buffers_before_.clear();
        counters_before_.clear();
    }

    /// With the other processes.
    void combine(Node& all) {
        const ReduceOptions options{options_.bucket_bytes, steps_};
        const bool checks = options_.check_every > 0 && steps_ % options_.check_every == 0;
        const std::uint64_t own_weights = checks ? weights() : 0;
        detail::reduce(all.sum, shapes_, world_, options, [&](int partner) {
            detail::Bytes own;
            own.put(batches_);
            own.put(stream_);
            own.put(own_weights);
            own.put_all(all.numbers);
            for (const auto& changes : all.changes) own.put_all(changes);
            detail::Bytes other(
                world_.exchange_text(partner, own.text(), partner, {detail::reduce_name, steps_}));
            if (const auto batches = other.get<Index>(); batches != batches_)
                refuse(partner, "batches in an epoch", batches_, batches);
            const auto stream = other.get<RandomStream>();
            if (stream.seed != stream_.seed)
                refuse(partner, "the seed of the default generator", stream_.seed, stream.seed);
            if (stream.stream != stream_.stream)
                refuse(partner, "draws from the default generator", stream_.stream, stream.stream);
            if (other.get<std::uint64_t>() != own_weights) refuse_weights(partner);
            const auto numbers = other.get_all<double>();
            std::vector<std::vector<Index>> changes;
            for (std::size_t i = 0; i < all.changes.size(); ++i) changes.push_back(other.get_all<Index>());
            all.add_rest(numbers, changes);
        });
    }

    template <class Number>
    [[noreturn, gnu::cold]] void refuse(int partner, const char* what, Number own, Number other) const {
        const bool first = world_.rank() < partner;
        stop(gradus::detail::text_of({"shards: ", what, ": must be the same in all processes: got ",
                                      first ? own : other, " on rank ", std::min(partner, world_.rank()),
                                      " and ", first ? other : own, " on rank ",
                                      std::max(partner, world_.rank()), " at step ", steps_}));
    }
    [[noreturn, gnu::cold]] void refuse_weights(int partner) const {
        stop(gradus::detail::text_of({"shards: the weights of rank ", std::min(partner, world_.rank()),
                                      " and rank ", std::max(partner, world_.rank()), " differ before step ",
                                      steps_, ": does a process change them on its own?"}));
    }
    [[noreturn, gnu::cold]] void stop(const std::string& text) const {
        world_.stop(text);
        throw DistributedError(text);
    }

    World world_;
    ShardOptions options_;
    std::vector<Variable<T>> parameters_, buffers_;
    std::vector<Variable<Index>> counters_;
    std::vector<Shape> shapes_;
    std::vector<Tensor<T>> buffers_before_;
    std::vector<Tensor<Index>> counters_before_;
    RandomStream stream_;
    training::TreeSum<Node> sum_;
    Index steps_ = 0, batches_ = 0;
};

template <class Model>
explicit Shards(Model&, World = {}, const ShardOptions& = {}) -> Shards<float>;

}  // namespace gradus::distributed
