// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/core/separate.hpp"
#include "gradus/optim/plateau.hpp"
#include "gradus/training/early_stopping.hpp"
#include "gradus/training/ema.hpp"
#include "gradus/training/history.hpp"
#include "gradus/training/model_state.hpp"
#include "gradus/training/optimizer_state.hpp"
#include "gradus/training/state.hpp"

/// The parts of a run that can be saved: models, optimizers, Ema, EarlyStopping, ReduceOnPlateau, Generator, a
/// history, and every class with
///     void save(training::StateWriter&) const;
///     void load(const training::StateReader&);
/// Under a name that is given by part(), also numbers, texts and tensors.
namespace gradus::training {

/// A part and its name in the file.
template <class X>
struct Part {
    std::string name;
    X& value;
};

/// Names a part: for a second one of its kind, and for what has no name of its own.
///
///     save_checkpoint(path, position, student, training::part("teacher", teacher));
template <class X>
Part<X> part(std::string name, X& value) {
    return {std::move(name), value};
}

namespace detail {

template <class X>
inline constexpr bool is_part = false;
template <class X>
inline constexpr bool is_part<Part<X>> = true;
template <class X>
inline constexpr bool is_ema = false;
template <class Model, class T>
inline constexpr bool is_ema<Ema<Model, T>> = true;

template <class X>
concept SavesItself = requires(X& x, StateWriter& to, const StateReader& from) {
    std::as_const(x).save(to);
    x.load(from);
};
template <class X>
concept IsOptimizer = requires(X& x) {
    x.step();
    saved_options(x);
};
template <class X>
inline constexpr bool is_plain =
    std::is_arithmetic_v<X> || std::is_enum_v<X> || is_state_tensor<X> || std::is_same_v<X, std::string>;

/// What a part is called where part() does not say.
template <class X>
constexpr const char* default_name() {
    if constexpr (requires { std::string_view(X::state_name); })
        return X::state_name;
    else if constexpr (IsOptimizer<X>)
        return "optimizer";
    else if constexpr (is_ema<X>)
        return "ema";
    else if constexpr (std::is_same_v<X, EarlyStopping>)
        return "early_stopping";
    else if constexpr (std::is_same_v<X, optim::ReduceOnPlateau>)
        return "plateau";
    else if constexpr (std::is_same_v<X, Generator>)
        return "generator";
    else if constexpr (std::is_same_v<X, std::vector<EpochRecord>>)
        return "history";
    else if constexpr (!SavesItself<X> && !is_plain<X>)
        return "model";
    else
        static_assert(!sizeof(X),
                      "name this part: training::part(\"sampler\", sampler), or give its class `static "
                      "constexpr const char* state_name = \"sampler\";`");
}

/// The numbers of a record in the order in which they are kept; further metrics are kept beside them.
template <class Record>
auto numbers_of(Record& r) {
    return std::array{&r.train_loss, &r.val_loss, &r.train_score, &r.val_score, &r.seconds, &r.lr};
}

[[gnu::cold]] void save_history(const std::vector<EpochRecord>& history, StateWriter& state);

[[gnu::cold]] void load_history(std::vector<EpochRecord>& history, const StateReader& state);

/// Saves x, without its name.
template <class X>
void save_value(const X& x, StateWriter state) {
    if constexpr (SavesItself<X>) {
        x.save(state);
    } else if constexpr (is_plain<X>) {
        state.put("", x);
    } else if constexpr (IsOptimizer<X>) {
        save_optimizer(saved_options(x), x.state(), state);
    } else if constexpr (is_ema<X>) {
        StateWriter weights = state.in("model");
        save_model(parts_of(x.model()), weights);
        state.put("updates", x.updates());
    } else if constexpr (std::is_same_v<X, EarlyStopping>) {
        state.put("best", x.state().best);
        state.put("best_epoch", x.state().best_epoch);
        state.put("epochs", x.state().epochs);
    } else if constexpr (std::is_same_v<X, optim::ReduceOnPlateau>) {
        state.put("lr", x.state().lr);
        state.put("best", x.state().best);
        state.put("bad_epochs", x.state().bad_epochs);
        state.put("cooldown", x.state().cooldown);
    } else if constexpr (std::is_same_v<X, Generator>) {
        state.put("seed", x.seed());
        state.put("position", x.position());
    } else if constexpr (std::is_same_v<X, std::vector<EpochRecord>>) {
        save_history(x, state);
    } else {
        save_model(parts_of(x), state);
    }
}

template <class X>
void load_value(X& x, const StateReader& state) {
    if constexpr (SavesItself<X>) {
        x.load(state);
    } else if constexpr (is_plain<X>) {
        x = state.get<X>("");
    } else if constexpr (IsOptimizer<X>) {
        load_optimizer(x, state);
    } else if constexpr (is_ema<X>) {
        const Index updates = state.get<Index>("updates");
        gradus::detail::check_count("ema", "updates", updates);
        load_model(parts_of(x.model()), state.in("model"));
        x.set_updates(updates);
    } else if constexpr (std::is_same_v<X, EarlyStopping>) {
        x.load_state({state.get<double>("best"), state.get<Index>("best_epoch"), state.get<Index>("epochs")});
    } else if constexpr (std::is_same_v<X, optim::ReduceOnPlateau>) {
        x.load_state({state.get<double>("lr"), state.get<double>("best"), state.get<Index>("bad_epochs"),
                      state.get<Index>("cooldown")});
    } else if constexpr (std::is_same_v<X, Generator>) {
        x = Generator({state.get<std::uint64_t>("seed"), state.get<std::uint64_t>("position")});
    } else if constexpr (std::is_same_v<X, std::vector<EpochRecord>>) {
        load_history(x, state);
    } else {
        load_model(parts_of(x), state);
    }
}

/// A part with its name, whether it was named or not.
template <class X>
auto as_part(X& x) {
    if constexpr (is_part<std::remove_const_t<X>>)
        return x;
    else
        return Part<X>{default_name<std::remove_const_t<X>>(), x};
}

template <class X>
std::string_view part_name(const X& x) {
    if constexpr (is_part<X>)
        return x.name;
    else
        return default_name<X>();
}

/// A part whose type is erased.
struct SavedPart {
    std::string_view name;  // of the part
    const void* value;
    void (*save)(const void* value, StateWriter state);
};
struct LoadedPart : SavedPart {
    void* target;
    void (*load)(void* target, const StateReader& state);
};

template <class X>
SavedPart saved_part(const X& x) {
    const auto named = as_part(x);
    using Value = std::remove_cvref_t<decltype(named.value)>;
    return {part_name(x), &named.value, [](const void* value, StateWriter state) {
                save_value(*static_cast<const Value*>(value), std::move(state));
            }};
}

template <class X>
LoadedPart loaded_part(X& x) {
    const auto named = as_part(x);
    using Value = std::remove_cvref_t<decltype(named.value)>;
    return {saved_part(x), &named.value,
            [](void* target, const StateReader& state) { load_value(*static_cast<Value*>(target), state); }};
}

}  // namespace detail

/// Puts a part into a state, under its name.
template <class X>
void save_part(StateWriter state, const X& x) {
    const auto named = detail::as_part(x);
    detail::save_value<std::remove_cvref_t<decltype(named.value)>>(named.value, state.in(named.name));
}

/// Takes a part from a state. If this throws, the part is as it was.
template <class X>
void load_part(const StateReader& state, X&& x) {
    const auto named = detail::as_part(x);
    detail::load_value(named.value, state.in(named.name));
}

}  // namespace gradus::training

#if !GRADUS_SEPARATE
#include "gradus/training/parts.inc"
#endif
