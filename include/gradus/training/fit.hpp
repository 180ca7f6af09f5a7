// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdio>
#include <limits>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/autograd/backward.hpp"
#include "gradus/training/accumulate.hpp"
#include "gradus/training/checkpoint.hpp"
#include "gradus/training/evaluate.hpp"
#include "gradus/training/hooks.hpp"
#include "gradus/training/progress.hpp"
#include "gradus/training/run.hpp"

namespace gradus::training {

struct FitOptions {
    Index epochs = 10;                        // in all: a resumed run trains those that are missing
    Progress progress = Progress::automatic;  // what is shown
    std::FILE* output = stdout;               // and where
    Checkpoint resume = {};                   // the path of one to go on from; empty: from the beginning
};

/// In the place of validation data: there is none.
struct NoValidation {};
inline constexpr NoValidation no_validation;

namespace detail {

template <class C>
inline constexpr bool is_accumulate = std::is_same_v<C, Accumulate>;

/// A step of several shards, by several processes: distributed::Distributed of gradus/distributed/fit.hpp.
template <class C>
concept IsDistributed = requires {
    C::is_distributed;
};

/// Among the callbacks is no such one.
struct NoShards {
    static constexpr bool is_first() { return true; }
};
template <class T, class Model>
NoShards shards_among(Model&) {
    return {};
}
template <class T, class Model, class First, class... Others>
auto shards_among(Model& model, const First& first, const Others&... others) {
    if constexpr (IsDistributed<First>)
        return first.template over<T>(model);
    else
        return shards_among<T>(model, others...);
}

#define GRADUS_HAS(hook) \
    requires(C & c, R & run) { c.hook(run); }

template <class C, class R>
concept HasHook = GRADUS_HAS(on_train_begin) || GRADUS_HAS(on_epoch_begin) || GRADUS_HAS(on_batch_begin) ||
    GRADUS_HAS(on_backward_end) || GRADUS_HAS(on_step_end) || GRADUS_HAS(on_validation_begin) ||
    GRADUS_HAS(on_validation_end) || GRADUS_HAS(on_record) || GRADUS_HAS(on_epoch_end) ||
    GRADUS_HAS(on_save) || GRADUS_HAS(on_train_end) ||
    requires(C& c, R& run, const gradus::detail::Anything& values) {
    c.on_outputs(run, values, values);
};
#undef GRADUS_HAS

template <class C, class R>
concept SeesGradients = requires(C& c, R& run) {
    c.on_backward_end(run);
};
template <class C, class R>
concept SeesOutputs = requires(C& c, R& run, const gradus::detail::Anything& values) {
    c.on_outputs(run, values, values);
};

template <class C, class R>
concept IsCallback =
    is_score<std::remove_cv_t<C>> || is_accumulate<std::remove_cv_t<C>> || IsDistributed<C> || HasHook<C, R>;

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
    using Shards = decltype(detail::shards_among<T>(std::declval<Model&>(), std::declval<Callbacks&>()...));
    static constexpr bool accumulates = (detail::is_accumulate<std::remove_cv_t<Callbacks>> || ...);
    static constexpr bool distributes = !std::is_same_v<Shards, detail::NoShards>;
    static_assert(!(accumulates && distributes),
                  "Distributed adds up the gradients of its shards already: leave out Accumulate");

public:
    RunOf(Model& net, Optimizer& optimizer_of_it, const FitOptions& options, Callbacks&... callbacks)
        : model(net),
          optimizer(optimizer_of_it),
          accumulator_(optimizer_of_it.parameters()),
          shards_(detail::shards_among<T>(net, callbacks...)),
          display_(shards_.is_first() ? options.progress : Progress::none, options.output),
          callbacks_(callbacks...) {
        if (options.epochs < 0)
            gradus::detail::raise<ValueError>("fit", "epochs must not be negative", options.epochs);
        epochs_ = options.epochs;
        is_first_ = shards_.is_first();
        each([&](auto& callback) {
            if constexpr (detail::is_accumulate<std::remove_cvref_t<decltype(callback)>>)
                micro_batches_ = callback.batches;
        });
        if (micro_batches_ < 1)
            gradus::detail::raise<ValueError>("fit", "Accumulate must be of at least 1 batch",
                                              micro_batches_);
        if (!options.resume.empty()) resume(options.resume);
    }

    Model& model;
    Optimizer& optimizer;

private:
    template <class M, class O, class L, class D, class V, class... C>
    friend History fit(M&, O&, const L&, D&&, V&&, const FitOptions&, C&&...);

    template <class Loss, class Train, class Validation>
    History train(const Loss& loss, Train& data, Validation& validation) {
        const ModeGuard mode(model, true);
        const bool was_running = !is_stopping_;
        has_validation_ = !std::is_same_v<std::remove_cvref_t<Validation>, NoValidation>;
        each([&](auto& callback) { declare_metrics(callback); });
        GRADUS_CALL(on_train_begin);
        show_history();
        while (!is_stopping_ && position_.epoch < epochs_) {
            auto&& batches = detail::epoch_of(data, position_.epoch);
            begin_epoch(static_cast<Index>(batches.size()));
            GRADUS_CALL(on_epoch_begin);
            train_on(loss, batches);
            if (is_stopping_) break;
            const Means validated = validate(loss, validation);
            GRADUS_CALL(on_record);
            end_epoch(validated, optimizer.lr());
            show(record(), position_.epoch);
            GRADUS_CALL(on_epoch_end);
            settle();
            agree_to_stop(is_stopping_);
        }
        if (!stopped_.empty() && was_running) note("stopped: " + stopped_);
        settle();  // what follows may change the model, to the best one, say
        GRADUS_CALL(on_train_end);
        settle();
        if (!display_.error().empty()) fail("fit: the table could not be written: " + display_.error());
        return std::move(*this).result();
    }

    template <class Loss, class Batches>
    void train_on(const Loss& loss, Batches& batches) {
        if constexpr (distributes) return train_on_shards(loss, batches);
        using Size = decltype(batches.size());
        while (position_.batch < batches_ && (!is_stopping_ || gathered() > 0)) {
            GRADUS_CALL(on_batch_begin);
            if (is_stopping_ && gathered() == 0) return;
            const auto batch = batches[static_cast<Size>(position_.batch)];
            const bool stepped = train_on_batch(loss, batch);
            if (display_.has_bar()) draw();
            if (!stepped) continue;
            GRADUS_CALL(on_step_end);
            settle();
        }
    }

    /// The same, with the shards of each step among several processes, which stop together.
    template <class Loss, class Batches>
    void train_on_shards(const Loss& loss, Batches& batches) {
        while (position_.batch < batches_) {
            if (!is_stopping_) GRADUS_CALL(on_batch_begin);
            if (agree_to_stop(is_stopping_)) return;
            const bool stepped = step_on_shards(loss, batches);
            if (display_.has_bar()) draw();
            if (!stepped) continue;
            GRADUS_CALL(on_step_end);
            settle();
        }
        agree_to_stop(is_stopping_);
    }

    template <class Loss, class Batches>
    bool step_on_shards(const Loss& loss, Batches& batches) {
        const Index step = position_.batch / shards_.shards();
        step_began_ = {position_.batch, means_};
        shards_.begin(batches_);
        for (Index i = shards_.first(step); i < shards_.last(step, batches_); ++i) {
            shards_.begin_shard(i % shards_.shards());
            const auto batch = batches[static_cast<decltype(batches.size())>(i)];
            const auto result = detail::forward(model, loss, batch);
            result.loss.backward();
            const auto score = detail::score_of(score_function(), result.outputs, batch);
            shards_.add(detail::examples_of(batch), static_cast<double>(result.loss.item()),
                        score.known ? score.value : std::numeric_limits<double>::quiet_NaN());
            show_outputs(result.outputs, batch);
        }
        const auto means = shards_.finish();
        loss_ = means.loss;
        was_asked_ = false;
        GRADUS_CALL(on_backward_end);
        constexpr bool may_ask = (detail::SeesGradients<Callbacks, RunOf> || ...);
        if (may_ask && agree_to_stop(was_asked_)) return forget_step();
        optimizer.step();
        ++position_.step;
        has_score_ = means.score == means.score;
        add_batch(means.loss, has_score_ ? means.score : 0, means.examples);
        position_.batch = std::min(step_began_.batch + shards_.shards(), batches_);
        return true;
    }

    /// Whether one of the processes wants to stop: then all do.
    bool agree_to_stop(bool own) {
        if constexpr (distributes) {
            if (!shards_.world().any(own, {"fit", position_.step})) return false;
            if (!is_stopping_) interrupt("another process was stopped");
            return true;
        }
        return own;
    }

    /// Forward, backward, and if it is time the step. Says whether there was one.
    template <class Loss, class Batch>
    bool train_on_batch(const Loss& loss, const Batch& batch) {
        if (gathered() == 0) step_began_ = {position_.batch, means_};
        const Index examples = detail::examples_of(batch);
        const auto result = detail::forward(model, loss, batch);
        optimizer.zero_grad();
        result.loss.backward();
        loss_ = static_cast<double>(result.loss.item());
        const bool due = step_is_due(examples);
        if (due) {
            was_asked_ = false;
            GRADUS_CALL(on_backward_end);
            if (was_asked_) return forget_step();
            optimizer.step();
            ++position_.step;
        }
        const auto score = detail::score_of(score_function(), result.outputs, batch);
        has_score_ = score.known;
        add_batch(loss_, score.value, examples);
        show_outputs(result.outputs, batch);
        return due;
    }

    /// Whether the gradient of a step is complete with this batch: the one place that decides it.
    bool step_is_due(Index examples) {
        if constexpr (accumulates) {
            accumulator_.add(examples);
            if (accumulator_.count() < micro_batches_ && position_.batch + 1 < batches_) return false;
            accumulator_.finish();
        } else {
            static_cast<void>(examples);
        }
        return true;
    }

    /// Batches whose gradients wait for others.
    Index gathered() const {
        if constexpr (accumulates)
            return accumulator_.count();
        else
            return 0;
    }

    /// As if the batches of this step had not been seen.
    [[gnu::cold]] bool forget_step() {
        position_.batch = step_began_.batch;
        means_ = step_began_.means;
        return false;
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
            const auto evaluate_on = [&](const auto& those, const auto& take) {
                detail::for_each_evaluated(
                    model, loss, those, [&](const auto& batch, double batch_loss, const auto& outputs) {
                        const auto score = detail::score_of(score_function(), outputs, batch);
                        take(batch_loss, score.value, detail::examples_of(batch));
                        show_outputs(outputs, batch);
                    });
            };
            const auto add = [&](double batch_loss, double score, Index n) {
                means.add(batch_loss, score, n);
            };
            constexpr bool looks = (detail::SeesOutputs<Callbacks, RunOf> || ...);
            if constexpr (distributes && !looks)
                shards_.share_out(batches, evaluate_on, add);
            else
                evaluate_on(batches, add);
            GRADUS_CALL(on_validation_end);
            is_validating_ = false;
        }
        return means;
    }

    template <class Outputs, class Batch>
    void show_outputs(const Outputs& outputs, const Batch& batch) {
        each([&](auto& callback) {
            using Callback = std::remove_cvref_t<decltype(callback)>;
            const auto& values = detail::values_of(outputs);
            const auto& targets = detail::targets_of(batch);
            constexpr bool looks = requires { callback.on_outputs(*this, values, targets); };
            if constexpr (std::is_same_v<Outputs, detail::NoOutputs>)
                static_assert(
                    !looks && !detail::is_score<Callback>,
                    "this loss(model, batch) shows no outputs to a callback that wants to see them, "
                    "a Metric or a Score: return a struct with `loss` and `outputs`");
            else if constexpr (looks)
                callback.on_outputs(*this, values, targets);
        });
    }

    const auto& score_function() const { return score_function(std::index_sequence_for<Callbacks...>()); }

    template <std::size_t... I>
    const auto& score_function(std::index_sequence<I...>) const {
        return detail::score_among(std::get<I>(callbacks_)...);
    }

    /// What a callback adds to the record of an epoch, as far as it says so.
    template <class Callback>
    [[gnu::cold]] void declare_metrics(Callback& callback) {
        constexpr bool can_add = requires { callback.on_record(*this); }
        || requires { callback.on_validation_end(*this); }
        || requires { callback.on_epoch_end(*this); };
        if constexpr (requires { callback.declare_metrics(*this); })
            callback.declare_metrics(*this);
        else if constexpr (!requires { Callback::adds_metrics; })
            has_other_metrics_ = has_other_metrics_ || can_add;
    }

    /// The moment to save: all callbacks had their turn.
    void settle() {
        is_settled_ = true;
        GRADUS_CALL(on_save);
        is_settled_ = false;
        if (!saves_.empty()) write_saves();
    }

    [[gnu::cold]] void write_saves() {
        const State state = snapshot();
        for (const Save& save : std::exchange(saves_, {})) try {
                save.write(save.path, state);
            } catch (const IoError& e) {
                fail(e.what());
            }
    }

    // What a checkpoint holds: the model, the optimizer, and as a part "fit" how far this is, the history, and
    // by their names the callbacks that have a state.

    struct Kept {
        RunOf& run;

        void save(StateWriter& state) const {
            run.save_progress(state);
            state.put("accumulate", run.micro_batches_);
            if constexpr (distributes) state.put("shards", run.shards_.shards());
            run.each_kept([&](const std::string& name, auto& callback) {
                StateWriter own = state.in(name);
                callback.save(own);
            });
        }
        void load(const StateReader& state) {
            if (const auto given = state.get<Index>("accumulate"); given != run.micro_batches_)
                state.refuse("accumulate",
                             gradus::detail::text_of({"the run adds up the gradients of ", given,
                                                      " batches for a step: got Accumulate{",
                                                      run.micro_batches_, "}"}));
            run.check_shards(state);
            run.load_progress(state);
            std::vector<std::string> given;
            run.each_kept([&](const std::string& name, auto&) { given.push_back(name); });
            check_callbacks(state, given);
            run.each_kept([&](const std::string& name, auto& callback) { callback.load(state.in(name)); });
        }
    };

    /// The bits depend on the number of shards, not on that of processes.
    [[gnu::cold]] void check_shards(const StateReader& state) const {
        const Index given = state.contains("shards") ? state.get<Index>("shards") : 0;
        Index here = 0;
        if constexpr (distributes) here = shards_.shards();
        if (given != here)
            state.refuse("shards", gradus::detail::text_of({"the run has ", given, " shards in a step: got ",
                                                            here, here == 0 ? ", without Distributed" : ""}));
    }

    /// Calls visit(name, callback) for those that have a state. Second ones of a name are name_2, ...
    template <class Visit>
    [[gnu::cold]] void each_kept(const Visit& visit) {
        std::vector<std::string> names;
        each([&](auto& callback) {
            using Callback = std::remove_cvref_t<decltype(callback)>;
            if constexpr (detail::SavesItself<Callback>) {
                std::string name = "callback";
                if constexpr (requires { std::string(Callback::state_name); }) name = Callback::state_name;
                names.push_back(name);
                const auto count = std::count(names.begin(), names.end(), name);
                visit(count == 1 ? name : gradus::detail::text_of({name, "_", count}), callback);
            }
        });
    }

    [[gnu::cold]] State snapshot() const override {
        Kept kept{const_cast<RunOf&>(*this)};
        return detail::snapshot(position_, part("model", model), part("optimizer", optimizer),
                                part("fit", kept));
    }

    [[gnu::cold]] void resume(const Checkpoint& checkpoint) {
        const std::string& path = checkpoint.path();
        Kept kept{*this};
        position_ = detail::load_state(path, checkpoint.read(), part("model", model),
                                       part("optimizer", optimizer), part("fit", kept));
        if (position_.epoch != static_cast<Index>(history_.size()))
            gradus::detail::raise<ValueError>({"fit: resume: ", path, ": epoch ", position_.epoch,
                                               " does not follow a history of ", history_.size(), " epochs"});
        if constexpr (distributes) shards_.go_on_at(position_.step);
    }

    [[gnu::cold]] void note(const std::string& text) override { display_.line(text); }

    [[gnu::cold]] void show(const EpochRecord& record, Index epoch) {
        display_.line(epoch_line(record, epoch, epochs_, {has_validation_, has_score_}));
    }

    /// Of a resumed run: the table is that of all epochs.
    [[gnu::cold]] void show_history() {
        const auto trained = static_cast<Index>(history_.size());
        const Index asked = std::exchange(epochs_, std::max(epochs_, trained));
        for (Index i = 0; i < trained; ++i) show(history_[static_cast<std::size_t>(i)], i + 1);
        epochs_ = asked;
        if (trained > asked)
            note(gradus::detail::text_of({"finished: ", trained, " epochs were trained before, and ", asked,
                                          " were asked for: nothing is trained"}));
    }

    [[gnu::cold]] void draw() {
        display_.draw({position_.epoch + 1, epochs_, position_.batch, batches_, seconds(),
                       position_.batch - resumed_at_, means_.loss});
    }

    template <class Call>
    void each(const Call& call) {
        each(call, std::index_sequence_for<Callbacks...>());
    }
    template <class Call, std::size_t... I>
    void each([[maybe_unused]] const Call& call, std::index_sequence<I...>) {
        (call(std::get<I>(callbacks_)), ...);
    }

    struct StepBegan {
        Index batch = 0;
        Means means;
    };
    struct NoAccumulator {
        explicit NoAccumulator(const std::vector<Variable<T>>&) {}
    };

    std::conditional_t<accumulates, Accumulator<T>, NoAccumulator> accumulator_;
    [[no_unique_address]] Shards shards_;
    Index micro_batches_ = 1;
    StepBegan step_began_;
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
///     on_outputs(run, outputs, targets)  on_validation_begin  on_validation_end  on_record (add_metric)
///     on_epoch_end  on_save (all is consistent: after each step, each epoch and at the end)  on_train_end
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
        "a callback is not const and has at least one of on_train_begin(run), on_epoch_begin(run), "
        "on_batch_begin(run), on_backward_end(run), on_step_end(run), on_outputs(run, outputs, targets), "
        "on_validation_begin(run), on_validation_end(run), on_record(run), on_epoch_end(run), on_save(run) "
        "and on_train_end(run); wrap a function in OnEpochEnd(function), say");
    Of run(model, optimizer, options, callbacks...);
    return run.train(loss, train, validation);
}

}  // namespace gradus::training
