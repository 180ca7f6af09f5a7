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

#include "gradus/optim/plateau.hpp"
#include "gradus/training/async_checkpoint.hpp"
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
/// is 1. The folder has to exist.
class KeepCheckpoints {
public:
    static constexpr const char* state_name = "checkpoints";

    /// Throws ValueError for options out of range.
    [[gnu::cold]] explicit KeepCheckpoints(const KeepCheckpointsOptions& options)
        : options_(options),
          less_is_better_(options.mode.value_or(mode_of(options.best)) == optim::Mode::min) {
        for (const Index number : {options.every_epochs, options.every_steps, options.keep})
            if (number < 0)
                gradus::detail::raise<ValueError>(
                    "keep_checkpoints", "every_epochs, every_steps and keep must not be negative", number);
        const double infinity = std::numeric_limits<double>::infinity();
        best_ = less_is_better_ ? infinity : -infinity;
    }

    [[gnu::cold]] void on_train_begin(Run& run) { run.check_metric(options_.best, "keep_checkpoints"); }

    [[gnu::cold]] void on_epoch_end(Run& run) {
        if (options_.best.empty()) return;
        const double metric = run.metric(options_.best, "keep_checkpoints");
        is_best_ = less_is_better_ ? metric < best_ : metric > best_;
        if (is_best_) best_ = metric;
    }

    void on_save(Run& run) {
        const Position& at = run.position();
        const bool at_epoch = at.batch == 0;
        if (at == saved_) return;  // at the end, when callbacks may have changed the model
        const bool due = (options_.every_steps > 0 && at.step % options_.every_steps == 0 && !at_epoch) ||
                         (at_epoch && options_.every_epochs > 0 && at.epoch % options_.every_epochs == 0) ||
                         (at_epoch && options_.every_steps > 0 && at.step % options_.every_steps == 0) ||
                         run.is_stopping() || run.is_finished();
        if ((due || is_best_) && run.is_first()) save(run, due);
    }

    [[gnu::cold]] void on_train_end(Run& run) {
        if (!run.is_first()) return;
        attempt(run, [&] { background_.wait(); });
        remove_old(run);
    }

    [[gnu::cold]] void save(StateWriter& state) const {
        state.put("best", best_);
        std::string files;
        for (const std::string& file : files_) files.append(file).append("\n");
        state.put("files", files);
    }
    [[gnu::cold]] void load(const StateReader& state) {
        const auto best = state.get<double>("best");
        const auto files = state.get<std::string>("files");
        files_.clear();
        for (std::size_t from = 0, to; (to = files.find('\n', from)) != files.npos; from = to + 1)
            files_.push_back(files.substr(from, to - from));
        best_ = best;
    }

private:
    template <class Act>
    static void attempt(Run& run, const Act& act) {
        try {
            act();
        } catch (const std::exception& e) {
            run.fail(e.what());
        }
    }

    [[gnu::cold]] void save(Run& run, bool due) {
        saved_ = run.position();
        std::string numbered;
        if (due && options_.keep > 0) {
            numbered = gradus::detail::text_of({"step-", saved_.step, ".safetensors"});
            if (files_.empty() || files_.back() != numbered) files_.push_back(numbered);
        }
        const State state = run.snapshot();
        if (std::exchange(is_best_, false)) write(run, "best.safetensors", state);
        if (!numbered.empty()) write(run, numbered, state);
        if (due) write(run, "last.safetensors", state);
        remove_old(run);
    }

    void write(Run& run, const std::string& name, const State& state) {
        attempt(run, [&] {
            if (options_.background)
                background_.save(path(name), state);
            else
                write_checkpoint(path(name), state);
        });
    }

    /// A file that is there is whole and on the disk: only then an older one may go.
    void remove_old(Run& run) {
        std::vector<std::string> there;
        for (const std::string& file : files_) {
            struct stat status;
            if (::stat(path(file).c_str(), &status) == 0) there.push_back(file);
        }
        const auto keep = static_cast<std::size_t>(options_.keep);
        for (std::size_t i = 0; i + keep < there.size(); ++i) {
            if (std::remove(path(there[i]).c_str()) != 0) run.fail(path(there[i]) + ": cannot be removed");
            std::erase(files_, there[i]);
        }
    }

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
