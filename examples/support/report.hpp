// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include <gradus/gradus.hpp>

#include "flags.hpp"

/// Runs from its making on.
class Stopwatch {
public:
    double seconds() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Means of loss and score over the examples of a pass.
struct Scores {
    double loss = 0, score = 0, examples = 0;

    void add(float batch_loss, double batch_score, gradus::Index batch) {
        const auto size = static_cast<double>(batch);
        examples += size;
        loss += (static_cast<double>(batch_loss) - loss) * size / examples;
        score += (batch_score - score) * size / examples;
    }
};

/// Mean cross-entropy and accuracy of a model that gives logits.
template <class Net>
Scores evaluate(Net& net, const gradus::data::Dataset<>& dataset) {
    const gradus::NoGrad guard;
    gradus::nn::eval(net);
    Scores scores;
    for (auto& [inputs, labels] : gradus::data::Loader(dataset, {.batch_size = 500})) {
        const gradus::Variable<> logits = net(inputs);
        scores.add(cross_entropy(logits, labels).item(), gradus::accuracy(logits, labels), labels.numel());
    }
    gradus::nn::train(net);
    return scores;
}

/// Keeps a record of every epoch, and all of them in history.csv in the folder --out if one is given. Whether
/// that can be written shows before the training, not after its first epoch.
class HistoryFile {
public:
    explicit HistoryFile(const Flags& flags) : path_(flags.out.empty() ? "" : flags.out + "/history.csv") {
        if (!path_.empty()) gradus::check_writable(path_, "--out");
    }

    /// The epoch that ends now; it took the time since the one before.
    void add(const Scores& train, const Scores& val) {
        records_.push_back({train.loss, val.loss, train.score, val.score, epoch_.seconds()});
        epoch_ = {};
        if (!path_.empty()) write_history_csv(path_, records_);
    }

    const std::vector<gradus::EpochRecord>& records() const { return records_; }

private:
    std::string path_;
    std::vector<gradus::EpochRecord> records_;
    Stopwatch epoch_;
};

/// Prints a line per epoch and keeps its record.
class Report {
public:
    explicit Report(const Flags& flags) : epochs_(flags.epochs), history_(flags) {
        std::printf("%s, learning rate %g, schedule %s, batch %d\n", flags.optimizer.c_str(), flags.lr,
                    flags.schedule.c_str(), flags.batch);
        flush_output();
    }

    void epoch(const Scores& train, const Scores& val) {
        history_.add(train, val);
        const auto& records = history_.records();
        std::puts(to_string(records.back(), static_cast<int>(records.size()), epochs_).c_str());
        flush_output();
    }

    double best_score() const {
        double best = 0;
        for (const gradus::EpochRecord& record : history_.records()) best = std::max(best, record.val_score);
        return best;
    }

private:
    int epochs_;
    HistoryFile history_;
};
