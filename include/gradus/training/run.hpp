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
[[gnu::cold]] inline const double* find_metric(const EpochRecord& record, std::string_view name,
                                               std::string* known = nullptr) {
    struct Own {
        const char* name;
        const double& value;
    };
    const Own numbers[] = {{"train_loss", record.train_loss},   {"val_loss", record.val_loss},
                           {"train_score", record.train_score}, {"val_score", record.val_score},
                           {"seconds", record.seconds},         {"lr", record.lr}};
    const auto look = [&](std::string_view own_name, const double& value) -> const double* {
        if (known) known->append(known->empty() ? "" : ", ").append(own_name);
        return own_name == name ? &value : nullptr;
    };
    for (const Own& number : numbers)
        if (const double* const found = look(number.name, number.value)) return found;
    for (const NamedNumber& number : record.metrics)
        if (const double* const found = look(number.name, number.value)) return found;
    return nullptr;
}

}  // namespace detail

/// A number of a record by its name in history.csv: "val_loss", or that of a further metric. Throws ValueError,
/// in the name of `operation`, if there is none.
[[gnu::cold]] inline double metric_of(const EpochRecord& record, std::string_view name,
                                      const char* operation = "metric_of") {
    std::string known;
    if (const double* const found = detail::find_metric(record, name, &known)) return *found;
    gradus::detail::raise<ValueError>({operation, ": there is no metric ", name, "; there are ", known});
}

/// Whether more of a metric is better, by its name: of a score, "val_score", or what ends in accuracy, auc, f1,
/// precision, recall, r2 or iou, in any case; less of all others.
[[gnu::cold]] inline optim::Mode mode_of(std::string_view metric) {
    std::string name(metric);
    for (char& c : name)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    for (const char* end : {"score", "accuracy", "acc", "auc", "f1", "precision", "recall", "r2", "iou"})
        if (name.ends_with(end)) return optim::Mode::max;
    return optim::Mode::min;
}

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
    [[gnu::cold]] double metric(std::string_view name, const char* operation) {
        check_metric(name, operation);
        return metric_of(record(), name, operation);
    }

    /// What metric() would refuse, known before the first epoch: call it in on_train_begin.
    [[gnu::cold]] void check_metric(std::string_view name, const char* operation) const {
        if (!has_validation_ && name.starts_with("val_"))
            gradus::detail::raise<ValueError>(
                {operation, ": there is no ", name,
                 " without validation data: give fit() some, or name a metric of the training"});
    }

    /// Ends the training with this step or epoch. It counts as finished: a resumed run does not train on. If
    /// it is called in on_backward_end, the step is not made.
    void stop(std::string reason) {
        is_finished_ = true;
        interrupt(std::move(reason));
    }
    /// The same, but a resumed run goes on from here.
    void interrupt(std::string reason) {
        if (stopped_.empty()) stopped_ = std::move(reason);
        is_stopping_ = was_asked_ = true;
    }
    void interrupt(int signal, std::string reason) {
        signal_ = signal;
        interrupt(std::move(reason));
    }
    bool is_stopping() const { return is_stopping_; }

    /// True if there is nothing left to train: stop() was called, or all epochs are done.
    bool is_finished() const { return is_finished_ || position_.epoch >= epochs_; }

    /// Says that something went wrong, remembers it in History::failures, and goes on.
    [[gnu::cold]] void fail(std::string what) {
        note(what);
        failures_.push_back(std::move(what));
    }

    /// A line below the table, where the table is.
    virtual void note(const std::string& text) = 0;

    /// Adds a metric to the record of the epoch: in on_record. Throws ValueError if there is one of this name.
    [[gnu::cold]] void add_metric(std::string name, double value) {
        EpochRecord known;
        known.metrics = metrics_;
        if (name.empty() || detail::find_metric(known, name))
            gradus::detail::raise<ValueError>(
                {"run: add_metric: the record needs another name for each metric: got ", name});
        metrics_.push_back({std::move(name), value});
    }

    /// Keeps everything in a file, from which fit() goes on bit for bit: model, optimizer, the state of all
    /// callbacks, the history and the sums of this epoch. It is written when all callbacks had their turn at
    /// the hook from which it is called, as what they do there is part of it, and a failure is then one of
    /// History::failures. In on_save it is written at once, and throws IoError.
    void save(std::string path) {
        if (!is_first_) return;
        if (is_settled_)
            write_checkpoint(path, snapshot());
        else
            saves_.push_back({std::move(path), [](const std::string& to, const State& state) {
                                  write_checkpoint(to, state);
                              }});
    }

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
    [[gnu::cold]] void save_progress(StateWriter& state) const {
        state.put("loss", means_.loss);
        state.put("score", means_.score);
        state.put("examples", means_.examples);
        state.put("has_score", has_score_);
        state.put("seconds", position_.batch == 0 ? 0 : seconds());
        state.put("batches", position_.batch == 0 ? 0 : batches_);
        state.put("finished", is_finished_ ? stopped_ : "");
        save_part(state, history_);
    }

    [[gnu::cold]] void load_progress(const StateReader& state) {
        const Means means{state.get<double>("loss"), state.get<double>("score"),
                          state.get<Index>("examples")};
        gradus::detail::check_count("fit", "examples", means.examples);
        const auto has_score = state.get<bool>("has_score");
        const auto seconds = state.get<double>("seconds");
        const auto batches = state.get<Index>("batches");
        gradus::detail::check_count("fit", "batches", batches);
        auto finished = state.get<std::string>("finished");
        load_part(state, history_);
        means_ = means;
        has_score_ = has_score;
        batches_ = batches;
        seconds_ = seconds;
        is_finished_ = is_stopping_ = !finished.empty();
        stopped_ = std::move(finished);
    }

    /// Throws ValueError if the file has the state of a callback that is not among those given.
    [[gnu::cold]] static void check_callbacks(const StateReader& state,
                                              const std::vector<std::string>& given) {
        std::vector<std::string> others;
        for (const std::string& name : state.names()) {
            const std::string owner = name.substr(0, name.find('.'));
            if (owner.size() < name.size() && owner != "history" &&
                std::find(given.begin(), given.end(), owner) == given.end() &&
                (others.empty() || others.back() != owner))
                others.push_back(owner);
        }
        if (others.empty()) return;
        gradus::detail::raise<ValueError>(
            {state.where(), ": the run had callbacks that are not given to fit(): ", detail::some_of(others),
             ": give it the same; training::load_parts takes the model and the optimizer alone"});
    }

    [[gnu::cold]] void begin_epoch(Index batches) {
        const Index before = std::exchange(batches_, batches);  // of a resumed epoch
        if (batches < 1)
            gradus::detail::raise<ValueError>(
                "fit",
                "the training data has no batches; is the dataset empty, or smaller than the one batch that "
                "drop_last leaves out?");
        if (position_.batch > 0 && (before != batches || position_.batch > batches))
            gradus::detail::raise<ValueError>({"fit: resume: the checkpoint stands after batch ",
                                               position_.batch, " of an epoch of ", before,
                                               ", and this one has ", batches,
                                               " batches: is the data or its batch size another one?"});
        if (position_.batch == 0) {
            means_ = {};
            seconds_ = 0;
        }
        resumed_at_ = position_.batch;
        started_ = std::chrono::steady_clock::now();
    }

    void add_batch(double loss, double score, Index examples) {
        loss_ = loss;
        size_ = examples;
        means_.add(loss, score, examples);
        ++position_.batch;
    }

    /// How long this epoch has taken, parts of it before a resume too.
    double seconds() const {
        return seconds_ + std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
    }

    [[gnu::cold]] void end_epoch(const Means& validation, double lr) {
        const double none = std::numeric_limits<double>::quiet_NaN();
        EpochRecord record;
        record.train_loss = means_.loss;
        record.train_score = has_score_ ? means_.score : none;
        record.val_loss = has_validation_ ? validation.loss : none;
        record.val_score = has_validation_ && has_score_ ? validation.score : none;
        record.lr = lr;
        record.metrics = std::move(metrics_);
        metrics_.clear();
        record.seconds = seconds();
        history_.push_back(std::move(record));
        ++position_.epoch;
        position_.batch = 0;
    }

    [[gnu::cold]] History result() && {
        return {std::move(history_), position_, std::move(stopped_), std::move(failures_), signal_};
    }

    Position position_;
    Index epochs_ = 0, batches_ = 0, size_ = 0, resumed_at_ = 0;
    double loss_ = 0, seconds_ = 0;
    Means means_;
    bool is_first_ = true, has_validation_ = false, has_score_ = false, is_validating_ = false;
    bool is_finished_ = false, is_stopping_ = false, was_asked_ = false, is_settled_ = false;
    int signal_ = 0;
    std::vector<EpochRecord> history_;
    std::vector<NamedNumber> metrics_;  // of the epoch that ends
    std::string stopped_;
    std::vector<std::string> failures_;
    std::vector<Save> saves_;  // that wait for the other callbacks
    std::chrono::steady_clock::time_point started_;
};

}  // namespace gradus::training
