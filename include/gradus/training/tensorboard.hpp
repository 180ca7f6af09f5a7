// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <optional>
#include <string>

#include "gradus/training/event_writer.hpp"
#include "gradus/training/run.hpp"

namespace gradus::training {

struct TensorBoardOptions {
    std::string folder = "runs";
    Index every_steps = 50;  // points of loss and learning rate; 0: for epochs only
};

/// A callback of fit() that writes for TensorBoard: "loss" and "lr" every so many steps, and after each epoch what its
/// record has, under the names of history.csv ("train_loss", "val_score"). What a resumed run does once more replaces
/// what is there of it.
///
///     training::fit(..., training::TensorBoard({.folder = "runs/first"}));
class TensorBoard {
public:
    /// Throws ValueError for a negative every_steps.
    [[gnu::cold]] explicit TensorBoard(const TensorBoardOptions& options = {}) : options_(options) {
        if (options.every_steps < 0)
            gradus::detail::raise<ValueError>("tensorboard", "every_steps must not be negative",
                                              options.every_steps);
    }

    /// Throws IoError if the file cannot be written.
    [[gnu::cold]] void on_train_begin(Run& run) {
        if (!run.is_first()) return;
        EventWriterOptions options;
        if (run.position().step > 0) options.purge_step = run.position().step + 1;
        writer_.emplace(options_.folder, options);
    }

    void on_step_end(auto& run) {
        const Index step = run.position().step;
        if (options_.every_steps == 0 || step % options_.every_steps != 0) return;
        add(run, "loss", run.loss());
        add(run, "lr", run.optimizer.lr());
    }

    [[gnu::cold]] void on_epoch_end(Run& run) {
        const EpochRecord& r = run.record();
        add(run, "train_loss", r.train_loss);
        add(run, "train_score", r.train_score);
        add(run, "val_loss", r.val_loss);
        add(run, "val_score", r.val_score);
        add(run, "seconds", r.seconds);
        for (const NamedNumber& metric : r.metrics) add(run, metric.name, metric.value);
    }

    /// For what else is to be shown: histograms, pictures. Throws ValueError before fit() began, and
    /// in processes that are not the first of several.
    EventWriter& writer() {
        gradus::detail::check<ValueError>(writer_.has_value(), "tensorboard",
                                          "the writer is there once fit() began");
        return *writer_;
    }

private:
    /// Curves that there are none of (no validation, no score) are NaN in the record.
    [[gnu::cold]] void add(Run& run, const std::string& tag, double value) {
        const bool is_absent = std::isnan(value) && tag != "loss" && tag != "train_loss";
        if (failed_ || is_absent || !run.is_first()) return;
        try {
            writer_->add_scalar(tag, value, run.position().step);
        } catch (const IoError& e) {
            failed_ = true;  // a disk that is full stays so: said once
            run.fail(e.what());
        }
    }

    TensorBoardOptions options_;
    std::optional<EventWriter> writer_;
    bool failed_ = false;
};

}  // namespace gradus::training
