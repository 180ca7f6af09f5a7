// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "gradus/autograd/backward.hpp"
#include "gradus/training/evaluate.hpp"
#include "gradus/training/progress.hpp"
#include "gradus/training/run.hpp"

namespace gradus::training {

struct FitOptions {
    Index epochs = 10;                        // in all: a resumed run trains those that are missing
    Progress progress = Progress::automatic;  // what is shown
    std::FILE* output = stdout;               // and where
};

/// In the place of validation data: there is none.
struct NoValidation {};
inline constexpr NoValidation no_validation;

/// Runs f(run) at this moment: a callback from a function.
///
///     training::fit(..., training::OnEpochEnd([&](auto& run) { net.dropout.p = 0.1 * run.position().epoch; }));
template <class F>
struct OnTrainBegin {
    F f;
    explicit OnTrainBegin(F function) : f(std::move(function)) {}
    void on_train_begin(auto& run) { f(run); }
};
template <class F>
struct OnEpochBegin {
    F f;
    explicit OnEpochBegin(F function) : f(std::move(function)) {}
    void on_epoch_begin(auto& run) { f(run); }
};
template <class F>
struct OnBatchBegin {
    F f;
    explicit OnBatchBegin(F function) : f(std::move(function)) {}
    void on_batch_begin(auto& run) { f(run); }
};
template <class F>
struct OnBackwardEnd {
    F f;
    explicit OnBackwardEnd(F function) : f(std::move(function)) {}
    void on_backward_end(auto& run) { f(run); }
};
template <class F>
struct OnStepEnd {
    F f;
    explicit OnStepEnd(F function) : f(std::move(function)) {}
    void on_step_end(auto& run) { f(run); }
};
template <class F>
struct OnEpochEnd {
    F f;
    explicit OnEpochEnd(F function) : f(std::move(function)) {}
    void on_epoch_end(auto& run) { f(run); }
};
template <class F>
struct OnTrainEnd {
    F f;
    explicit OnTrainEnd(F function) : f(std::move(function)) {}
    void on_train_end(auto& run) { f(run); }
};

namespace detail {

template <class C, class R>
concept IsCallback = is_score<C> || requires(C& c, R& run) {
    c.on_train_begin(run);
} || requires(C& c, R& run) {
    c.on_epoch_begin(run);
} || requires(C& c, R& run) {
    c.on_batch_begin(run);
} || requires(C& c, R& run) {
    c.on_backward_end(run);
} || requires(C& c, R& run) {
    c.on_step_end(run);
} || requires(C& c, R& run) {
    c.on_epoch_end(run);
} || requires(C& c, R& run) {
    c.on_save(run);
} || requires(C& c, R& run) {
    c.on_train_end(run);
};

// Calls a hook of all callbacks that have it, in the order in which they were given.
#define GRADUS_CALL(hook)                                                               \
    each([this](auto& callback) {                                                       \
        using Callback = std::remove_cvref_t<decltype(callback)>;                       \
        if constexpr (requires { callback.hook(*this); })                               \
            callback.hook(*this);                                                       \
        else                                                                            \
            static_assert(                                                              \
                !requires { &Callback::hook; },                                         \
                "a callback's " #hook " must take the run: void " #hook "(auto& run)"); \
    })

}  // namespace detail

/// A training as callbacks see it: Run, with the model and the optimizer in their own types.
template <class Model, class Optimizer, class... Callbacks>
class RunOf final : public Run {
    using T = typename Optimizer::value_type;

public:
    RunOf(Model& net, Optimizer& optimizer_of_it, const FitOptions& options, Callbacks&... callbacks)
        : model(net),
          optimizer(optimizer_of_it),
          display_(options.progress, options.output),
          callbacks_(callbacks...) {
        if (options.epochs < 0)
            gradus::detail::raise<ValueError>("fit", "epochs must not be negative", options.epochs);
        epochs_ = options.epochs;
    }

    Model& model;
    Optimizer& optimizer;

private:
    template <class M, class O, class L, class D, class V, class... C>
    friend History fit(M&, O&, const L&, D&&, V&&, const FitOptions&, C&&...);

    template <class Loss, class Train, class Validation>
    History train(const Loss& loss, Train& data, Validation& validation) {
        const ModeGuard mode(model, true);
        has_validation_ = !std::is_same_v<std::remove_cvref_t<Validation>, NoValidation>;
        GRADUS_CALL(on_train_begin);
        while (!is_stopping_ && position_.epoch < epochs_) {
            auto&& batches = detail::epoch_of(data, position_.epoch);
            begin_epoch(static_cast<Index>(batches.size()));
            GRADUS_CALL(on_epoch_begin);
            train_on(loss, batches);
            if (is_stopping_) break;
            const Means validated = validate(loss, validation);
            end_epoch(validated, optimizer.lr());
            display_.line(epoch_line(record(), position_.epoch, epochs_, {has_validation_, has_score_}));
            GRADUS_CALL(on_epoch_end);
            settle();
        }
        GRADUS_CALL(on_train_end);
        settle();
        if (!display_.error().empty()) fail("fit: the table could not be written: " + display_.error());
        return std::move(*this).result();
    }

    template <class Loss, class Batches>
    void train_on(const Loss& loss, Batches& batches) {
        using Size = decltype(batches.size());
        while (!is_stopping_ && position_.batch < batches_) {
            GRADUS_CALL(on_batch_begin);
            if (is_stopping_) return;
            const auto batch = batches[static_cast<Size>(position_.batch)];
            if (!step_on(loss, batch)) return;
            if (display_.has_bar()) draw();
            GRADUS_CALL(on_step_end);
            settle();
        }
    }

    /// Forward, backward and step; false if a callback stopped it before the step.
    template <class Loss, class Batch>
    bool step_on(const Loss& loss, const Batch& batch) {
        const auto result = detail::forward(model, loss, batch);
        optimizer.zero_grad();
        result.loss.backward();
        loss_ = static_cast<double>(result.loss.item());
        GRADUS_CALL(on_backward_end);
        if (is_stopping_) return false;
        optimizer.step();
        ++position_.step;
        const auto score = detail::score_of(score_function(), result.outputs, batch);
        has_score_ = score.known;
        add_batch(loss_, score.value, detail::examples_of(batch));
        show_outputs(result.outputs, batch);
        return true;
    }

    template <class Loss, class Validation>
    Means validate(const Loss& loss, Validation& validation) {
        Means means;
        if constexpr (!std::is_same_v<std::remove_cvref_t<Validation>, NoValidation>) {
            auto&& batches = detail::epoch_of(validation, 0);
            gradus::detail::check<ValueError>(
                batches.size() > 0, "fit",
                "the validation data has no batches; is the dataset empty? Give no_validation for none");
            is_validating_ = true;
            GRADUS_CALL(on_validation_begin);
            detail::for_each_evaluated(
                model, loss, batches, [&](const auto& batch, double batch_loss, const auto& outputs) {
                    const auto score = detail::score_of(score_function(), outputs, batch);
                    means.add(batch_loss, score.value, detail::examples_of(batch));
                    show_outputs(outputs, batch);
                });
            GRADUS_CALL(on_validation_end);
            is_validating_ = false;
        }
        return means;
    }

    template <class Outputs, class Batch>
    void show_outputs(const Outputs& outputs, const Batch& batch) {
        each([&](auto& callback) {
            if constexpr (requires {
                              callback.on_outputs(*this, detail::values_of(outputs),
                                                  detail::targets_of(batch));
                          })
                callback.on_outputs(*this, detail::values_of(outputs), detail::targets_of(batch));
        });
    }

    const auto& score_function() const {
        return std::apply(
            [](const auto&... callback) -> const auto& { return detail::score_among(callback...); },
            callbacks_);
    }

    /// The moment to save: all callbacks had their turn.
    void settle() {
        is_settled_ = true;
        GRADUS_CALL(on_save);
        for (const std::string& path : std::exchange(saves_, {})) save_now(path);
        is_settled_ = false;
    }

    [[gnu::cold]] void save_now(const std::string&) override {}

    [[gnu::cold]] void draw() {
        display_.draw({position_.epoch + 1, epochs_, position_.batch, batches_, seconds(), position_.batch,
                       means_.loss});
    }

    template <class Call>
    void each(const Call& call) {
        std::apply([&](auto&... callback) { (call(callback), ...); }, callbacks_);
    }

    Display display_;
    std::tuple<Callbacks&...> callbacks_;
};
#undef GRADUS_CALL

/// Trains a model, and prints a line per epoch.
///
///     const auto loss = [](const auto& logits, const auto& labels) { return cross_entropy(logits, labels); };
///     const History history = training::fit(net, sgd, loss, data::Loader(train, {.batch_size = 100, .shuffle = true}),
///                                           data::Loader(test, {.batch_size = 500}), {.epochs = 10},
///                                           training::StopEarly({.patience = 3}));
///
/// loss      loss(model(batch.inputs), batch.labels), the mean over the batch; or loss(model, batch) for other
///           batches, which returns the loss, or what has `loss` and `outputs`. Name the types of its arguments
///           in the second form.
/// train     what has epoch(number), a list of batches, as data::Loader has; or such a list, the same in every
///           epoch. A list has size() and operator[]; a batch is data::Batch or another struct of tensors, of
///           which the first counts the examples.
/// validation   the same, or no_validation. Evaluated after each epoch as by evaluate().
/// callbacks   values with any of the hooks below, each of which takes the run (RunOf); called in the order
///           given. Those that are lvalues are used where they are, and can be asked afterwards.
///
///     on_train_begin  on_epoch_begin  on_batch_begin  on_backward_end (before the step)  on_step_end
///     on_validation_begin  on_validation_end  on_outputs(run, outputs, targets)  on_epoch_end
///     on_save (everything is consistent: after all on_step_end, on_epoch_end, on_train_end)  on_train_end
///
/// Each step does what a loop by hand does, in the same order and to the same bits: forward, zero_grad(),
/// backward(), step(). Means are over examples, in double. During it the model is in training mode; afterwards
/// each layer is in the mode in which it was, also if something throws.
/// Throws ValueError for options out of range and for data without batches.
template <class Model, class Optimizer, class Loss, class Train, class Validation, class... Callbacks>
History fit(Model& model, Optimizer& optimizer, const Loss& loss, Train&& train, Validation&& validation,
            const FitOptions& options = {}, Callbacks&&... callbacks) {
    using Of = RunOf<Model, Optimizer, std::remove_reference_t<Callbacks>...>;
    static_assert(
        (detail::IsCallback<std::remove_reference_t<Callbacks>, Of> && ...),
        "a callback has at least one of on_train_begin(run), on_epoch_begin(run), "
        "on_batch_begin(run), on_backward_end(run), on_step_end(run), on_epoch_end(run), on_save(run) "
        "and on_train_end(run); wrap a function in OnEpochEnd(function), say");
    Of run(model, optimizer, options, callbacks...);
    return run.train(loss, train, validation);
}

}  // namespace gradus::training
