// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <csignal>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gradus/gradus.hpp>
#include <gradus/training/fit.hpp>
#include <gradus/training/history_files.hpp>
#include <gradus/training/keep_checkpoints.hpp>
#include <gradus/training/report_data.hpp>
#include <gradus/training/run_folder.hpp>
#include <gradus/training/signals.hpp>

#include "flags.hpp"

/// "adam, learning rate 0.001, schedule constant, batch 100"
void print_choices(const Flags& flags);

/// The folder --out, if there is one. Throws IoError if it cannot be had; ValueError if the run that is to be
/// resumed was started with other settings, and names the first one.
void open_folder(std::optional<gradus::training::RunFolder>& folder, const Flags& flags);

/// Writes report.html to --out: what is known of the run, and what the example adds.
void write_report(const Flags& flags, const gradus::training::History& history,
                  gradus::training::ReportData report);

/// Says what went wrong, or how to go on, and gives the exit code of the program.
int finish(const Flags& flags, const gradus::training::History& history);

/// What the examples do around a training: a callback of training::fit. With --out it keeps checkpoints, history
/// and events in that folder, and the first Ctrl-C saves before it ends the program.
class Run {
public:
    static constexpr const char* state_name = "run";

    /// best.safetensors is of the epoch where the metric `best` is smallest; empty: of none.
    /// Of several processes only the first one writes, the others read what it resumes from.
    explicit Run(const Flags& flags, std::string best = "val_loss", bool is_first = true) {
        options_ = {.epochs = flags.epochs, .progress = gradus::training::progress_from(flags.progress)};
        if (!is_first) {
            if (!flags.out.empty()) signals_.emplace();
            if (flags.resume) options_.resume = flags.out + "/last.safetensors";
            return;
        }
        open_folder(folder_, flags);
        if (!folder_) return;
        if (folder_->resumes()) options_.resume = folder_->last();
        signals_.emplace();
        csv_.emplace(folder_->history());
        events_.emplace(gradus::training::JsonHistoryOptions{.path = folder_->events()});
        keep_.emplace(gradus::training::KeepCheckpointsOptions{
            .folder = flags.out, .every_steps = flags.checkpoint_every, .best = std::move(best)});
    }

    const gradus::training::FitOptions& options() const { return options_; }

    void on_train_begin(auto& run) {
        if (csv_) csv_->on_train_begin(run), events_->on_train_begin(run);
    }
    void on_step_end(auto& run) {
        if (events_) events_->on_step_end(run);
        if (signals_ && signals_->stopped())
            run.interrupt(signals_->signal(), signals_->signal() == SIGINT ? "interrupted" : "terminated");
    }
    void on_epoch_end(auto& run) {
        if (csv_) csv_->on_epoch_end(run), events_->on_epoch_end(run), keep_->on_epoch_end(run);
    }
    void on_save(auto& run) {
        if (keep_) keep_->on_save(run);
    }
    void on_train_end(auto& run) {
        if (keep_) keep_->on_train_end(run);
    }
    void save(gradus::training::StateWriter& state) const {
        if (keep_) keep_->save(state);
    }
    void load(const gradus::training::StateReader& state) {
        if (keep_) keep_->load(state);
    }

private:
    gradus::training::FitOptions options_;
    std::optional<gradus::training::RunFolder> folder_;
    std::optional<gradus::training::SignalGuard> signals_;
    std::optional<gradus::training::CsvHistory> csv_;
    std::optional<gradus::training::JsonHistory> events_;
    std::optional<gradus::training::KeepCheckpoints> keep_;
};

/// The names of Fashion-MNIST's classes.
inline const std::vector<std::string> clothes = {"T-shirt", "Trouser", "Pullover", "Dress", "Coat",
                                                 "Sandal",  "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};

/// "Coat, Bag", of labels [1, 10] that are 0 or 1.
inline std::string names_of(const gradus::Tensor<>& labels) {
    std::string names;
    for (std::size_t c = 0; c < clothes.size(); ++c)
        if (labels.data()[c] > 0.5f) names += (names.empty() ? "" : ", ") + clothes[c];
    return names;
}

/// The first ones of pictures that show several clothes each.
inline std::vector<gradus::training::Picture> labeled_pictures(const gradus::data::Dataset<float, float>& set,
                                                               gradus::Index most) {
    std::vector<gradus::training::Picture> pictures;
    for (gradus::Index i = 0; i < std::min(most, set.size()); ++i)
        pictures.push_back({set.inputs.rows(i, i + 1), names_of(set.labels.rows(i, i + 1))});
    return pictures;
}

/// The report of a model that gives logits: about the images `seen` in training, as people see them, and the
/// `judged` ones, which the model takes as `inputs`.
template <class Net>
gradus::training::ReportData classifier_report(Net& net, const gradus::data::Dataset<>& seen,
                                               const gradus::data::Dataset<>& judged,
                                               const gradus::Tensor<>& inputs,
                                               std::vector<std::string> classes = {}) {
    gradus::training::ReportData report{.score_name = "accuracy", .classes = std::move(classes)};
    const gradus::data::Loader batches(gradus::data::Dataset<>{inputs, judged.labels}, {.batch_size = 500});
    add_examples(report, seen);
    add_predictions(report, judged.inputs, gradus::training::predict(net, batches), judged.labels);
    report.summary = gradus::nn::summary(net, inputs.shape().with(0, 1));
    return report;
}
