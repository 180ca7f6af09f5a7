// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

#include "gradus/distributed/shards.hpp"
#include "gradus/training/fit.hpp"

namespace gradus::distributed {

/// Among the callbacks of fit(): trains with several processes, each of which calls fit() alike.
///
///     distributed::World world = distributed::mpi_world();
///     distributed::run(world, [&] {
///         training::fit(net, sgd, loss, data::Loader(train, {.batch_size = 32, .shuffle = true}),
///                       data::Loader(test, {.batch_size = 500}), {.epochs = 10},
///                       distributed::Distributed{.world = world, .shards = 8});
///     });
///
/// A step takes `shards` batches of the training data, as Accumulate{8} does: those are its shards (see Shards).
/// Weights, history and checkpoints have the same bits for any number of processes, but for the seconds. The number
/// of shards is part of a checkpoint, that of processes is not.
///
/// The first process prints and saves. Each reads the checkpoint to resume from. If one is stopped, by a signal say,
/// all stop with that step. Batches of the validation are shared out, too, unless a callback wants to see outputs: it
/// sees all of the validation, but while training only those of its own process.
struct Distributed {
    static constexpr bool is_distributed = true;

    World world = {};
    Index shards = 8;  // as those of ShardOptions
    Index bucket_bytes = Index{25} << 20;
    Index check_every = 100;

    template <class T, class Model>
    Shards<T> over(Model& model) const {
        return Shards<T>(model, world, {shards, bucket_bytes, check_every});
    }
};

}  // namespace gradus::distributed
