// SPDX-License-Identifier: MIT
#pragma once

#include <sys/stat.h>

#include <cstdio>
#include <exception>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gradus/core/separate.hpp"
#include "gradus/optim/plateau.hpp"
#include "gradus/training/async_checkpoint.hpp"
#include "gradus/training/checkpoint_files.hpp"
#include "gradus/training/run.hpp"

namespace gradus::training {

struct KeepCheckpointsOptions {
    std::string folder = ".";
    Index every_epochs = 1;  // 0: not after epochs
    Index every_steps = 0;   // also after so many steps; 0: not
    Index keep = 0;          // beside last.safetensors so many of the newest, each in a file of its own
    std::string best = {};   // a metric, "val_loss": best.safetensors is of the epoch where it was best
    std::optional<optim::Mode> mode =
        {};                  // whether less or more is better; by default what mode_of(best) says
    bool background = true;  // write while the training goes on
};

/// Checkpoints of a fit(), from which it goes on bit for bit: last.safetensors after every epoch, at the end,
/// and when something ended the training before; best.safetensors; and step-120.safetensors, of which the
/// oldest goes when a newer one is on the disk.
///
///     training::fit(..., {.epochs = 20, .resume = resume ? "run/last.safetensors" : ""},
///                   training::KeepCheckpoints({.folder = "run", .every_steps = 500, .best = "val_loss"}));
///
/// A file that cannot be written leaves the training running: History::failures says so, and its exit_code()
/// is 1. The folder is made if it is not there.
class KeepCheckpoints {
public:
    static constexpr const char* state_name = "checkpoints";
    static constexpr bool adds_metrics = false;

    /// Throws ValueError for options out of range.
    [[gnu::cold]] explicit KeepCheckpoints(const KeepCheckpointsOptions& options);

    /// Throws IoError if the folder cannot be made, ValueError if there is no such metric.
    [[gnu::cold]] void on_train_begin(Run& run);

    [[gnu::cold]] void on_epoch_end(Run& run);

    void on_save(Run& run);

    [[gnu::cold]] void on_train_end(Run& run);

    [[gnu::cold]] void save(StateWriter& state) const;
    [[gnu::cold]] void load(const StateReader& state);

private:
    template <class Act>
    static void attempt(Run& run, const Act& act) {
        try {
            act();
        } catch (const std::exception& e) {
            run.fail(e.what());
        }
    }

    [[gnu::cold]] void save(Run& run, bool due);

    void write(Run& run, const std::string& name, const State& state);

    /// A file that is there is whole and on the disk: only then an older one may go.
    void remove_old(Run& run);

    std::string path(const std::string& name) const { return options_.folder + "/" + name; }

    KeepCheckpointsOptions options_;
    bool less_is_better_;
    double best_ = 0;
    bool is_best_ = false;
    Position saved_{-1, -1, -1};
    std::vector<std::string> files_;  // step-*.safetensors that may be there, oldest first
    AsyncCheckpoint background_;
};

}  // namespace gradus::training

#if !GRADUS_SEPARATE
#include "gradus/training/keep_checkpoints.inc"
#endif
