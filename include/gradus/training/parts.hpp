// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/nn/model.hpp"
#include "gradus/optim/any_optimizer.hpp"
#include "gradus/optim/plateau.hpp"
#include "gradus/training/early_stopping.hpp"
#include "gradus/training/ema.hpp"
#include "gradus/training/history.hpp"
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

// Models: every parameter and buffer under its path, and which parameters are not frozen.

/// "a, b, c and 4 more"
template <class = void>
[[gnu::cold]] std::string some_of(const std::vector<std::string>& names) {
    constexpr std::size_t most = 8;
    std::string text;
    for (std::size_t i = 0; i < names.size() && i < most; ++i)
        text = gradus::detail::text_of({text, i > 0 ? ", " : "", names[i]});
    return names.size() <= most ? text
                                : gradus::detail::text_of({text, " and ", names.size() - most, " more"});
}

template <class = void>
[[noreturn, gnu::cold]] void refuse_model(const StateReader& state, const std::vector<std::string>& missing,
                                          const std::vector<std::string>& unexpected,
                                          const std::vector<std::string>& other_shape) {
    std::string text = state.where() + ": " + state.path("") + ": is of another model";
    if (!missing.empty()) text += ": only in the program: " + some_of(missing);
    if (!unexpected.empty()) text += ": only in the file: " + some_of(unexpected);
    if (!other_shape.empty()) text += ": of another shape or type: " + some_of(other_shape);
    throw ValueError(text);
}

/// A parameter or buffer of a model, in a form that does not depend on the model's type.
struct ModelPart {
    std::string path;
    void* leaf;
    bool frozen;
    io::AnyTensor (*value)(const void* leaf);
    void (*set)(void* leaf, const io::AnyTensor& value, bool frozen);
};

template <class Leaf>
ModelPart model_part(const std::string& path, Leaf& leaf) {
    bool frozen = false;
    if constexpr (nn::detail::is_parameter<Leaf>) frozen = !leaf.requires_grad();
    return {path, &leaf, frozen,
            [](const void* from) -> io::AnyTensor { return static_cast<const Leaf*>(from)->value(); },
            [](void* to, const io::AnyTensor& value, [[maybe_unused]] bool is_frozen) {
                Leaf& part = *static_cast<Leaf*>(to);
                part.set_value(value.get<typename Leaf::value_type>());
                if constexpr (nn::detail::is_parameter<Leaf>) part.set_requires_grad(!is_frozen);
            }};
}

template <class Model>
std::vector<ModelPart> parts_of(const Model& model) {
    GRADUS_CHECK_MODEL(Model);
    std::vector<ModelPart> parts;
    nn::detail::walk_model(const_cast<Model&>(model), [&](const std::string& path, auto& part) {
        using Leaf = std::remove_cvref_t<decltype(part)>;
        if constexpr (nn::detail::is_parameter<Leaf> || nn::detail::is_buffer<Leaf>)
            parts.push_back(model_part<Leaf>(path, part));
    });
    return parts;
}

template <class = void>
[[gnu::cold]] void save_model(const std::vector<ModelPart>& parts, StateWriter& state) {
    for (const ModelPart& part : parts) {
        state.put(part.path, part.value(part.leaf));
        if (part.frozen) state.put(part.path + ":frozen", true);
    }
}

template <class = void>
[[gnu::cold]] void load_model(const std::vector<ModelPart>& parts, const StateReader& state) {
    std::vector<std::string> missing, unexpected, other_shape;
    const std::vector<std::string> names = state.names();
    std::vector<bool> known(names.size());
    for (const ModelPart& part : parts) {  // first see whether everything fits
        const io::AnyTensor value = part.value(part.leaf);
        if (!state.contains(part.path)) {
            missing.push_back(part.path + " " + to_string(value.shape()));
            continue;
        }
        const std::string difference = state.difference(part.path, value.dtype(), value.shape());
        if (!difference.empty()) other_shape.push_back(part.path + " " + difference);
        const auto at = std::lower_bound(names.begin(), names.end(), part.path);
        if (at != names.end() && *at == part.path) known[static_cast<std::size_t>(at - names.begin())] = true;
    }
    for (std::size_t i = 0; i < names.size(); ++i)
        if (!known[i] && !names[i].ends_with(":frozen")) unexpected.push_back(names[i]);
    if (!missing.empty() || !unexpected.empty() || !other_shape.empty())
        refuse_model(state, missing, unexpected, other_shape);
    for (const ModelPart& part : parts)
        part.set(part.leaf, state.get<io::AnyTensor>(part.path), state.contains(part.path + ":frozen"));
}

// Optimizers: the kind, the options of every group, and step count and state of every parameter.

template <class T>
[[gnu::cold]] void save_optimizer(const optim::SavedOptions& options,
                                  const std::vector<optim::ParameterState<T>>& parameters,
                                  StateWriter& state) {
    state.put("kind", options.kind);
    state.put("groups", options.groups.size());
    for (std::size_t g = 0; g < options.groups.size(); ++g) {
        StateWriter group = state.in(gradus::detail::text_of({"groups.", g}));
        group.put("parameters", Tensor<Index>(options.groups[g].parameters));
        for (const auto& option : options.groups[g].options) group.put(option.name, option.value);
    }
    std::vector<Index> steps;
    StateWriter tensors = state.in("state");
    for (const auto& parameter : parameters) {
        steps.push_back(parameter.steps);
        for (const auto& kind : parameter.kinds) tensors.put(parameter.name + ":" + kind.name, kind.value);
    }
    state.put("steps", Tensor<Index>(steps));
}

/// Gives `options` and `parameters`, which are those of the program, what is in the file.
template <class T>
[[gnu::cold]] void read_optimizer(const StateReader& state, optim::SavedOptions& options,
                                  std::vector<optim::ParameterState<T>>& parameters) {
    if (const auto kind = state.get<std::string>("kind"); kind != options.kind)
        state.refuse("kind", gradus::detail::text_of({"must be ", options.kind, ": got ", kind}));
    if (const auto count = state.get<std::size_t>("groups"); count != options.groups.size())
        state.refuse("groups", gradus::detail::text_of({"must be ", options.groups.size(), ": got ", count}));
    for (std::size_t g = 0; g < options.groups.size(); ++g) {
        const StateReader group = state.in(gradus::detail::text_of({"groups.", g}));
        const auto indices = group.get<Tensor<Index>>("parameters");
        options.groups[g].parameters.assign(indices.begin(), indices.end());
        for (auto& option : options.groups[g].options) option.value = group.get<double>(option.name);
    }
    const auto steps = state.get<Tensor<Index>>("steps");
    if (steps.numel() != static_cast<Index>(parameters.size()))
        state.refuse("", gradus::detail::text_of({"is of ", steps.numel(), " parameters: got one of ",
                                                  parameters.size(), " in the program"}));
    const StateReader tensors = state.in("state");
    const std::vector<std::string> names = tensors.names();
    std::vector<bool> known(names.size());
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        parameters[i].steps = steps.data()[i];
        parameters[i].kinds.clear();
        const std::string start = parameters[i].name + ":";
        auto at =
            static_cast<std::size_t>(std::lower_bound(names.begin(), names.end(), start) - names.begin());
        for (; at < names.size() && names[at].starts_with(start); ++at) {
            parameters[i].kinds.push_back(
                {names[at].substr(start.size()), tensors.template get<Tensor<T>>(names[at])});
            known[at] = true;
        }
    }
    std::vector<std::string> unexpected;
    for (std::size_t i = 0; i < names.size(); ++i)
        if (!known[i]) unexpected.push_back(names[i]);
    if (!unexpected.empty())
        tensors.refuse("", "is of parameters that the optimizer does not have: " + some_of(unexpected));
}

template <class Optimizer>
[[gnu::cold]] void load_optimizer(Optimizer& optimizer, const StateReader& state) {
    optim::SavedOptions options = saved_options(optimizer);
    const auto before = optimizer.state();
    auto parameters = before;
    read_optimizer(state, options, parameters);
    optimizer.load_state(parameters);
    try {
        load_options(optimizer, options);
    } catch (...) {
        optimizer.load_state(before);
        throw;
    }
}

/// The numbers of a record in the order in which they are kept; further metrics are kept beside them.
template <class Record>
auto numbers_of(Record& r) {
    return std::array{&r.train_loss, &r.val_loss, &r.train_score, &r.val_score, &r.seconds, &r.lr};
}

template <class = void>
[[gnu::cold]] void save_history(const std::vector<EpochRecord>& history, StateWriter& state) {
    Tensor<double> table = zeros<double>({static_cast<Index>(history.size()), 6});
    double* out = table.mutable_data();
    for (const EpochRecord& record : history)
        for (const double* const number : numbers_of(record)) *out++ = *number;
    state.put("table", table);
    std::vector<std::pair<std::string, std::vector<double>>>
        metrics;  // of each name: epoch, value, epoch, ...
    for (std::size_t i = 0; i < history.size(); ++i)
        for (const NamedNumber& metric : history[i].metrics) {
            std::size_t m = 0;
            while (m < metrics.size() && metrics[m].first != metric.name) ++m;
            if (m == metrics.size()) metrics.push_back({metric.name, {}});
            metrics[m].second.insert(metrics[m].second.end(), {static_cast<double>(i), metric.value});
        }
    for (std::size_t m = 0; m < metrics.size(); ++m)  // numbered, so that their order stays
        state.put(gradus::detail::text_of({"metrics.", m, ".", metrics[m].first}),
                  Tensor<double>(metrics[m].second));
}

template <class = void>
[[gnu::cold]] void load_history(std::vector<EpochRecord>& history, const StateReader& state) {
    const auto table = state.get<Tensor<double>>("table");
    if (table.rank() != 2 || table.size(1) != 6)
        state.refuse("table", "must have shape [epochs, 6]: got " + to_string(table.shape()));
    std::vector<EpochRecord> loaded(static_cast<std::size_t>(table.size(0)));
    const double* from = table.data();
    for (EpochRecord& record : loaded)
        for (double* const number : numbers_of(record)) *number = *from++;
    const StateReader metrics = state.in("metrics");
    const std::vector<std::string> names = metrics.names();  // "0.f1", "1.recall"
    for (std::size_t m = 0; m < names.size(); ++m)
        for (const std::string& name : names) {
            if (!name.starts_with(gradus::detail::text_of({m, "."}))) continue;
            const auto values = metrics.get<Tensor<double>>(name);
            for (Index i = 0; i + 1 < values.numel(); i += 2) {
                const double epoch = values.data()[i];
                if (!(epoch >= 0 && epoch < static_cast<double>(loaded.size())))
                    metrics.refuse(name, "is of an epoch that is not in the table");
                loaded[static_cast<std::size_t>(epoch)].metrics.push_back(
                    {name.substr(name.find('.') + 1), values.data()[i + 1]});
            }
        }
    history = std::move(loaded);
}

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
