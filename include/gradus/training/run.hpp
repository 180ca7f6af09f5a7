// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/core/error.hpp"
#include "gradus/core/separate.hpp"
#include "gradus/optim/plateau.hpp"
#include "gradus/training/checkpoint.hpp"
#include "gradus/training/evaluate.hpp"
#include "gradus/training/history.hpp"
#include "gradus/training/state.hpp"

namespace gradus::training {

/// The checkpoint that a run goes on from: a path, or empty. It knows how to read it, so that a program that
/// resumes nothing has nothing of files in it.
class Checkpoint {
public:
    Checkpoint() = default;
    template <class Path>
    requires std::is_convertible_v<const Path&, std::string> Checkpoint(const Path& path)
        : path_(path), read_([](const std::string& from) { return read_checkpoint(from); }) {}

    bool empty() const { return path_.empty(); }
    const std::string& path() const { return path_; }
    State read() const { return read_(path_); }

private:
    std::string path_;
    State (*read_)(const std::string&) = nullptr;
};

/// What fit() returns.
struct History {
    std::vector<EpochRecord> epochs;    // those that were trained to their end, the ones before a resume too
    Position position;                  // where it would go on
    std::string stopped;                // why before the last epoch; empty if all were trained
    std::vector<std::string> failures;  // what went wrong meanwhile: a checkpoint that could not be written
    int signal = 0;                     // that ended it

    /// For main() to return: 128 + the signal that ended it, as shells expect; else 1 after a failure, or 0.
    int exit_code() const { return signal != 0 ? 128 + signal : failures.empty() ? 0 : 1; }
};

namespace detail {

/// The number of this name, or nullptr, and then the names that there are in `known`.
[[gnu::cold]] const double* find_metric(const EpochRecord& record, std::string_view name,
                                        std::string* known = nullptr);

}  // namespace detail

/// A number of a record by its name in history.csv: "val_loss", or that of a further metric. Throws ValueError,
/// in the name of `operation`, if there is none.
[[gnu::cold]] double metric_of(const EpochRecord& record, std::string_view name,
                               const char* operation = "metric_of");

/// Whether more of a metric is better, by its name: of a score, "val_score", or what ends in accuracy, auc, f1,
/// precision, recall, r2 or iou, in any case; less of all others.
[[gnu::cold]] optim::Mode mode_of(std::string_view metric);

/// What fit() shows its callbacks of itself. RunOf adds the model and the optimizer.
class Run {
public:
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    /// The next batch to train on, and how many steps were made: in on_step_end and on_epoch_end what comes
    /// after it.
    const Position& position() const { return position_; }
    Index epochs() const { return epochs_; }    // to train in all
    Index batches() const { return batches_; }  // of this epoch
    Index batch_size() const { return size_; }  // examples of the last batch

    double loss() const { return loss_; }                    // of the last batch
    const Means& means() const { return means_; }            // over this epoch so far
    bool has_validation() const { return has_validation_; }  // whether val_loss will be a number
    bool is_first() const { return is_first_; }  // of several processes the one that prints and saves
    bool is_validating() const { return is_validating_; }                 // in on_outputs
    const std::vector<EpochRecord>& history() const { return history_; }  // of the epochs that ended

    /// Of the epoch that ended last. Further metrics may be added to it until on_epoch_end.
    EpochRecord& record() {
        gradus::detail::check<ValueError>(!history_.empty(), "run", "no epoch has ended yet: no record");
        return history_.back();
    }

    /// A metric of the epoch that ended last, by name. Throws ValueError, in the name of `operation`, if there
    /// is none, as there is no val_loss without validation.
    [[gnu::cold]] double metric(std::string_view name, const char* operation);

    /// What metric() would refuse, known before the first epoch: call it in on_train_begin.
    [[gnu::cold]] void check_metric(std::string_view name, const char* operation) const;

    /// Says before the first epoch that a callback will add this metric, so that a misspelt name is refused then.
    [[gnu::cold]] void declare_metric(std::string name);

    /// Ends the training with this step or epoch. It counts as finished: a resumed run does not train on. If
    /// it is called in on_backward_end, the step is not made.
    void stop(std::string reason) {
        is_finished_ = true;
        interrupt(std::move(reason));
    }
    /// The same, but a resumed run goes on from here.
    void interrupt(std::string reason);
    void interrupt(int signal, std::string reason);
    bool is_stopping() const { return is_stopping_; }

    /// True if there is nothing left to train: stop() was called, or all epochs are done.
    bool is_finished() const { return is_finished_ || position_.epoch >= epochs_; }

    /// Says that something went wrong, remembers it in History::failures, and goes on.
    [[gnu::cold]] void fail(std::string what);

    /// A line below the table, where the table is.
    virtual void note(const std::string& text) = 0;

    /// Adds a metric to the record of the epoch: in on_record. Throws ValueError if there is one of this name.
    [[gnu::cold]] void add_metric(std::string name, double value);

    /// Keeps everything in a file, from which fit() goes on bit for bit: model, optimizer, the state of all
    /// callbacks, the history and the sums of this epoch. It is written when all callbacks had their turn at
    /// the hook from which it is called, as what they do there is part of it, and a failure is then one of
    /// History::failures. In on_save it is written at once, and throws IoError.
    void save(std::string path);

    /// What save() writes, for a write_checkpoint() later or in the background: it is a copy that the training
    /// leaves alone, and costs nothing until that writes. For on_save.
    virtual State snapshot() const = 0;

protected:
    /// By a pointer, so that a program that saves nothing has nothing of files in it.
    struct Save {
        std::string path;
        void (*write)(const std::string& path, const State& state);
    };

    Run() = default;
    ~Run() = default;

    /// What a run knows beside the parts that it was given.
    [[gnu::cold]] void save_progress(StateWriter& state) const;

    [[gnu::cold]] void load_progress(const StateReader& state);

    /// Throws ValueError if the file has the state of a callback that is not among those given.
    [[gnu::cold]] static void check_callbacks(const StateReader& state,
                                              const std::vector<std::string>& given);

    [[gnu::cold]] void begin_epoch(Index batches);

    void add_batch(double loss, double score, Index examples) {
        loss_ = loss;
        size_ = examples;
        means_.add(loss, score, examples);
        ++position_.batch;
    }

    /// How long this epoch has taken, parts of it before a resume too.
    double seconds() const;

    [[gnu::cold]] void end_epoch(const Means& validation, double lr);

    [[gnu::cold]] History result() &&;

    Position position_;
    Index epochs_ = 0, batches_ = 0, size_ = 0, resumed_at_ = 0;
    double loss_ = 0, seconds_ = 0;
    Means means_;
    bool is_first_ = true, has_validation_ = false, has_score_ = false, is_validating_ = false;
    bool is_finished_ = false, is_stopping_ = false, was_asked_ = false, is_settled_ = false;
    int signal_ = 0;
    std::vector<EpochRecord> history_;
    std::vector<NamedNumber> metrics_;  // of the epoch that ends
    EpochRecord declared_;              // the metrics that every epoch will have
    bool has_other_metrics_ = false;    // that nobody declared
    std::string stopped_;
    std::vector<std::string> failures_;
    std::vector<Save> saves_;  // that wait for the other callbacks
    std::chrono::steady_clock::time_point started_;
};

}  // namespace gradus::training

#if !GRADUS_SEPARATE
#include "gradus/training/run.inc"
#endif
