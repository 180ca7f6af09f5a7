// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

/// Functions as callbacks of fit(): each runs f(run) at the moment of its name.
///
///     training::fit(..., training::OnEpochEnd([&](auto& run) const { std::puts(best_guess(run.model).c_str()); }));
namespace gradus::training {

/// Before the first epoch; of a resumed run, when it has been loaded.
template <class F>
struct OnTrainBegin {
    mutable F f;
    explicit OnTrainBegin(F function) : f(std::move(function)) {}
    void on_train_begin(auto& run) const { f(run); }
};

/// Before the first batch of an epoch, and where a resumed run goes on in the middle of one.
template <class F>
struct OnEpochBegin {
    mutable F f;
    explicit OnEpochBegin(F function) : f(std::move(function)) {}
    void on_epoch_begin(auto& run) const { f(run); }
};

template <class F>
struct OnBatchBegin {
    mutable F f;
    explicit OnBatchBegin(F function) : f(std::move(function)) {}
    void on_batch_begin(auto& run) const { f(run); }
};

/// When all gradients of a step are there, before the step.
template <class F>
struct OnBackwardEnd {
    mutable F f;
    explicit OnBackwardEnd(F function) : f(std::move(function)) {}
    void on_backward_end(auto& run) const { f(run); }
};

template <class F>
struct OnStepEnd {
    mutable F f;
    explicit OnStepEnd(F function) : f(std::move(function)) {}
    void on_step_end(auto& run) const { f(run); }
};

/// After the validation, when the epoch's line is printed.
template <class F>
struct OnEpochEnd {
    mutable F f;
    explicit OnEpochEnd(F function) : f(std::move(function)) {}
    void on_epoch_end(auto& run) const { f(run); }
};

/// At the end, however it came; not if something throws.
template <class F>
struct OnTrainEnd {
    mutable F f;
    explicit OnTrainEnd(F function) : f(std::move(function)) {}
    void on_train_end(auto& run) const { f(run); }
};

}  // namespace gradus::training
