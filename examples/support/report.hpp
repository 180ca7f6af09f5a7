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
    for (auto& [inputs, labels] : gradus::data::Loader(dataset, {.batch = 500})) {
        const gradus::Variable<> logits = net(inputs);
        scores.add(cross_entropy(logits, labels).item(), gradus::accuracy(logits, labels), labels.numel());
    }
    gradus::nn::train(net);
    return scores;
}

/// Prints a line per epoch and keeps all of them in history.csv in the folder --out.
class Report {
public:
    explicit Report(const Flags& flags) : flags_(flags) {
        std::printf("%s, learning rate %g, schedule %s, batch %d\n", flags.optimizer.c_str(), flags.lr,
                    flags.schedule.c_str(), flags.batch);
    }

    void epoch(const Scores& train, const Scores& val) {
        history_.push_back({train.loss, val.loss, train.score, val.score, epoch_.seconds()});
        epoch_ = {};
        std::puts(to_string(history_.back(), static_cast<int>(history_.size()), flags_.epochs).c_str());
        std::fflush(stdout);
        if (!flags_.out.empty()) write_history_csv(flags_.out + "/history.csv", history_);
    }

    double best_score() const {
        double best = 0;
        for (const gradus::EpochRecord& record : history_) best = std::max(best, record.val_score);
        return best;
    }

private:
    Flags flags_;
    std::vector<gradus::EpochRecord> history_;
    Stopwatch epoch_;
};
