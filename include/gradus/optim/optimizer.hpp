// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/autograd/no_grad.hpp"
#include "gradus/autograd/parameter.hpp"
#include "gradus/core/remedy.hpp"
#include "gradus/kernels/update/multi_tensor.hpp"
#include "gradus/optim/rule.hpp"

/// Optimizers: built from a model's parameters, stepped after every backward().
namespace gradus::optim {

/// What an optimizer remembers of one parameter, to be inspected or saved.
template <class T>
struct ParameterState {
    struct Kind {
        std::string name;  // PyTorch's: "momentum_buffer", "exp_avg", ...
        Tensor<T> value;
    };
    std::string name;  // the parameter's path, or its number if the optimizer was not given paths
    Index steps;       // how often it was updated
    std::vector<Kind> kinds;
};

namespace detail {

/// True if `pattern`, in which * stands for any text, is the path or a leading part of it that ends at a dot.
[[gnu::cold]] inline bool matches(std::string_view pattern, std::string_view path) {
    if (pattern.empty()) return path.empty() || path.front() == '.';
    if (pattern.front() == '*') {
        for (std::size_t i = 0; i <= path.size(); ++i)
            if (matches(pattern.substr(1), path.substr(i))) return true;
        return false;
    }
    return !path.empty() && pattern.front() == path.front() && matches(pattern.substr(1), path.substr(1));
}

template <class X>
concept ParameterList = requires(X x) {
    x.begin();
};

template <class X>
concept CanStep = requires(X x) {
    x.step();
};

/// What is given for parameters and is neither a list of them, nor one, nor another optimizer: a model.
template <class X>
concept NotParameters = std::is_class_v<X> && !ParameterList<X> && !CanStep<X> && !requires(X x) {
    x.backward();
};

template <class Parameters>
struct NumberOfParameters {
    using type = float;
};
template <class T>
struct NumberOfParameters<std::vector<Variable<T>>> {
    using type = T;
};
template <class T>
struct NumberOfParameters<std::vector<NamedParameter<T>>> {
    using type = T;
};

/// The number type of the optimizer of these parameters.
template <class Parameters>
using NumberOf = typename NumberOfParameters<Parameters>::type;

}  // namespace detail

/// The frame of all optimizers: groups of parameters, each with options of its own, and the state of every
/// parameter. What they differ in is the rule, see rule.hpp.
/// Copying an optimizer copies its state and not the parameters: `auto saved = adam; ...; adam = saved;` goes
/// back.
template <class Rule>
class Optimizer {
    using T = typename Rule::value_type;
    static constexpr std::size_t state_count = Rule::state_names.size();
    static constexpr bool is_elementwise = std::is_base_of_v<ElementwiseRule<T>, Rule>;
    static_assert(is_elementwise || std::is_base_of_v<TensorRule<T>, Rule>,
                  "a rule derives from ElementwiseRule<T> or TensorRule<T>");

public:
    using value_type = T;
    using Options = typename Rule::Options;

    /// Parameters that share their options.
    struct Group {
        Options options;
        std::vector<std::size_t> parameters;  // their indices in parameters(), names() and state()
    };

    /// Throws ValueError for options out of range, and as add_group().
    [[gnu::cold]] explicit Optimizer(std::vector<Variable<T>> parameters, const Options& options = {}) {
        add_group(std::move(parameters), options);
    }
    [[gnu::cold]] explicit Optimizer(std::vector<NamedParameter<T>> parameters, const Options& options = {}) {
        add_group(std::move(parameters), options);
    }
    template <gradus::detail::Text remedy = "nn::parameters(net)", detail::NotParameters Model>
    explicit Optimizer(const Model& net, const Options& options = {}) = delete;  // nn::parameters(net)

    /// Updates every parameter that has a gradient and is not frozen; the others are left alone. Throws
    /// GraphError if there is none, and if a parameter is no longer in its model: an assignment that changes
    /// the shape of a layer makes new parameters.
    void step();

    /// Forgets all gradients; the next backward() starts from nothing.
    void zero_grad() {
        for (Variable<T>& parameter : parameters_) parameter.zero_grad();
    }

    /// Adds parameters with options of their own (nothing is taken over from other groups). Throws ValueError
    /// for no parameters, for a parameter that is here already, and for options out of range; GraphError for
    /// what is not a leaf.
    [[gnu::cold]] void add_group(std::vector<Variable<T>> parameters, const Options& options) {
        add(std::move(parameters), {}, options);
    }
    [[gnu::cold]] void add_group(std::vector<NamedParameter<T>> parameters, const Options& options) {
        std::vector<Variable<T>> variables;
        std::vector<std::string> names;
        for (auto& named : parameters) {
            variables.push_back(std::move(named.parameter));
            names.push_back(std::move(named.name));
        }
        add(std::move(variables), std::move(names), options);
    }

    /// Gives options of their own to the parameters whose path matches: "conv1" means all of conv1,
    /// "conv1.bias" one parameter; * stands for any text: "*.bias", "blocks.*.norm". What is not given has
    /// its default, the learning rate, too. Their state goes on. Throws ValueError if no path matches, or for
    /// options out of range; the optimizer must have been built from nn::named_parameters(net).
    [[gnu::cold]] void configure(std::string_view pattern, const Options& options) {
        configure(pattern, [&](Options& o) { o = options; });
    }

    /// The same, changing some of the options that they have now:
    ///     adam.configure("*.bias", [](auto& options) { options.weight_decay = 0; });
    template <class Change>
    requires std::is_invocable_v<Change, Options&>
    [[gnu::cold]] void configure(std::string_view pattern, const Change& change) {
        std::vector<Group> kept, split;
        for (const Group& group : groups_) {
            Group chosen{group.options, {}}, others{group.options, {}};
            for (const std::size_t i : group.parameters)
                (detail::matches(pattern, slots_[i].name) ? chosen : others).parameters.push_back(i);
            if (!others.parameters.empty()) kept.push_back(std::move(others));
            if (chosen.parameters.empty()) continue;
            change(chosen.options);
            Rule::validate(chosen.options);
            split.push_back(std::move(chosen));
        }
        if (split.empty()) refuse_pattern(pattern);
        for (Group& group : split) kept.push_back(std::move(group));
        groups_ = std::move(kept);
    }

    /// Replaces the options of a group. Throws ValueError if they are out of range or there is no such group.
    void set_options(std::size_t group, const Options& options) {
        Rule::validate(options);
        if (group >= groups_.size())
            gradus::detail::raise<ValueError>({Rule::name, ": set_options: there is no group ", group});
        groups_[group].options = options;
    }

    // With an option that there is not.
    template <detail::ParameterList Parameters, std::size_t N>
    Optimizer(const Parameters& parameters, gradus::detail::NoSuchOption<N>);
    template <std::size_t N>
    void add_group(const gradus::detail::AnyValue& parameters, gradus::detail::NoSuchOption<N>);
    template <std::size_t N>
    void configure(const gradus::detail::AnyValue& pattern, gradus::detail::NoSuchOption<N>);
#ifndef __clang__  // which says it where there is one function only
    template <std::size_t N>
    void set_options(std::size_t group, gradus::detail::NoSuchOption<N>);
#endif

    const std::vector<Group>& groups() const { return groups_; }

    /// All parameters, in the order in which they were added.
    const std::vector<Variable<T>>& parameters() const { return parameters_; }

    /// Their paths in the model, or their numbers if the optimizer was not given paths.
    [[gnu::cold]] std::vector<std::string> names() const {
        std::vector<std::string> all;
        for (const Slot& slot : slots_) all.push_back(slot.name);
        return all;
    }

    /// The learning rate of the first group, without its lr_scale.
    double lr() const { return groups_.front().options.lr; }

    /// Sets the learning rate of all groups. Each multiplies it by its lr_scale: so a schedule and different
    /// rates per group go together. Throws ValueError unless it is finite and not negative.
    void set_lr(double lr) {
        set_all([lr](Options& o) { o.lr = lr; });
    }

    /// Whether there is momentum: the option `momentum`, or β₁ of Adam and its kin, as for the schedulers of
    /// PyTorch that cycle it.
    static constexpr bool has_momentum = requires { Rule::momentum; };

    /// Momentum of the first group.
    template <class R = Rule>
    requires has_momentum double momentum() const { return groups_.front().options.*R::momentum; }

    /// Sets the momentum of all groups. Throws ValueError if it is out of range.
    template <class R = Rule>
    requires has_momentum void set_momentum(double momentum) {
        set_all([momentum](Options& o) { o.*R::momentum = momentum; });
    }

    /// Step counts and state of every parameter, in the order in which they were added; copies, which later
    /// steps leave alone. A parameter that was never updated has none. Options are not part of it.
    [[gnu::cold]] std::vector<ParameterState<T>> state() const {
        std::vector<ParameterState<T>> all;
        for (const Slot& slot : slots_) {
            all.push_back({slot.name, slot.steps, {}});
            for (std::size_t k = 0; k < state_count; ++k)
                if (slot.state[k].numel() > 0)
                    all.back().kinds.push_back({Rule::state_names[k], slot.state[k]});
        }
        return all;
    }

    /// Goes on where the optimizer that gave this state() was, bit for bit. Throws ValueError or ShapeError,
    /// and changes nothing, unless it was an optimizer of the same type with the same parameters.
    [[gnu::cold]] void load_state(const std::vector<ParameterState<T>>& saved) {
        if (saved.size() != slots_.size())
            gradus::detail::raise<ValueError>(Rule::name, "load_state needs one entry for each parameter",
                                              saved.size(), slots_.size());
        std::vector<Slot> slots;
        for (std::size_t i = 0; i < saved.size(); ++i)
            slots.push_back(loaded(slots_[i].name, parameters_[i].shape(), saved[i]));
        slots_ = std::move(slots);
    }

private:
    /// What is kept of one parameter.
    struct Slot {
        std::string name;
        Index numel;
        Index steps = 0;                                // how often it was updated
        std::array<Tensor<T>, state_count> state = {};  // empty until it is needed
    };

    static bool takes_part(const Variable<T>& parameter) {
        return parameter.has_grad() && parameter.requires_grad();
    }

    static Shape state_shape(std::size_t k, const Shape& parameter) {
        if constexpr (is_elementwise)
            return parameter;
        else
            return Rule::state_shape(k, parameter);
    }

    /// Makes the state that these options use, if it is not there yet.
    static void make_state(Slot& slot, const Options& options, const Shape& parameter) {
        for (std::size_t k = 0; k < state_count; ++k)
            if (slot.state[k].numel() == 0 && Rule::uses(options, k))
                slot.state[k] = full<T>(state_shape(k, parameter), T(Rule::initial_state(options)));
    }

    void check_step() const {
        bool any = false;
        for (std::size_t i = 0; i < parameters_.size(); ++i) {
            const Variable<T>& parameter = parameters_[i];
            if (parameter.node().abandoned && !parameter.has_grad()) [[unlikely]]
                refuse_abandoned(i);
            if (!takes_part(parameter)) continue;
            any = true;
            if (parameter.numel() != slots_[i].numel || parameter.grad().shape() != parameter.shape())
                gradus::detail::raise<ShapeError>("optimizer", "a parameter or its gradient changed shape",
                                                  parameter.shape(), parameter.grad().shape());
        }
        if (!any) [[unlikely]]
            gradus::detail::raise<GraphError>(
                {Rule::name, ": step: none of the ", parameters_.size(),
                 " parameters has a gradient (or all are frozen): call backward() first, on a loss that "
                 "depends on them"});
    }

    [[noreturn, gnu::cold]] void refuse_abandoned(std::size_t i) const {
        gradus::detail::raise<GraphError>(
            {Rule::name, ": step: parameter ", slots_[i].name,
             " is no longer in its model (a layer was replaced or removed, or the model is gone): make a new "
             "optimizer from nn::parameters(net)"});
    }

    template <class Change>
    void set_all(const Change& change) {
        for (const bool write : {false, true})  // first see whether all groups can take it
            for (Group& group : groups_) {
                Options options = group.options;
                change(options);
                Rule::validate(options);
                if (write) group.options = options;
            }
    }

    [[gnu::cold]] void add(std::vector<Variable<T>> parameters, std::vector<std::string> names,
                           const Options& options) {
        gradus::detail::check<ValueError>(!parameters.empty(), Rule::name,
                                          "no parameters; does the model have layers as fields?");
        Rule::validate(options);
        const bool named = !names.empty();
        Group group{options, {}};
        std::vector<Variable<T>> all = parameters_;
        std::vector<Slot> slots = slots_;
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            gradus::detail::check<GraphError>(parameters[i].is_leaf(), Rule::name,
                                              "a parameter is the result of an operation; pass leaves");
            for (const Variable<T>& other : all)
                if (&other.node() == &parameters[i].node())
                    gradus::detail::raise<ValueError>(
                        {Rule::name, ": parameter ", named ? names[i] : gradus::detail::text_of({i}),
                         " is listed twice; it would be updated twice per step"});
            group.parameters.push_back(all.size());
            slots.push_back(
                {named ? names[i] : gradus::detail::text_of({all.size()}), parameters[i].numel()});
            all.push_back(parameters[i]);
        }
        groups_.push_back(std::move(group));
        parameters_ = std::move(all);
        slots_ = std::move(slots);
        named_ = named_ || named;
    }

    [[gnu::cold]] static Slot loaded(const std::string& path, const Shape& parameter,
                                     const ParameterState<T>& saved) {
        if (saved.name != path)
            gradus::detail::raise<ValueError>({Rule::name, ": load_state: the state of ", saved.name,
                                               " stands where that of ", path,
                                               " is expected; is it the same model?"});
        gradus::detail::check_count(Rule::name, "load_state: the steps of " + saved.name, saved.steps);
        Slot slot{path, parameter.numel(), saved.steps};
        for (const auto& [kind, value] : saved.kinds) {
            std::size_t k = 0;
            while (k < state_count && kind != Rule::state_names[k]) ++k;
            if (k == state_count)
                gradus::detail::raise<ValueError>(
                    {Rule::name, ": load_state: there is no state named ", kind, " here"});
            if (value.shape() != state_shape(k, parameter))
                gradus::detail::raise<ShapeError>(
                    Rule::name, "load_state: " + kind + " of " + saved.name + " does not fit", value.shape(),
                    state_shape(k, parameter));
            slot.state[k] = value;
        }
        return slot;
    }

    [[noreturn, gnu::cold]] void refuse_pattern(std::string_view pattern) const {
        gradus::detail::check<ValueError>(
            named_, Rule::name, "configure needs paths; build the optimizer from nn::named_parameters(net)");
        std::string known;
        for (std::size_t i = 0; i < std::min<std::size_t>(slots_.size(), 4); ++i)
            known += (i > 0 ? ", " : "") + slots_[i].name;
        gradus::detail::raise<ValueError>({Rule::name, ": configure: no parameter matches \"", pattern,
                                           "\"; there are ", known, slots_.size() > 4 ? ", ..." : ""});
    }

    std::vector<Group> groups_;
    std::vector<Variable<T>> parameters_;
    std::vector<Slot> slots_;  // one for each parameter
    bool named_ = false;       // at least some parameters came with their paths
};

/// Not inline, so that gradus::compiled holds it.
template <class Rule>
void Optimizer<Rule>::step() {
    check_step();
    if constexpr (is_elementwise) {  // all parameters in one pass over memory
        gradus::detail::RecycledList<Rule> rules(parameters_.size());
        kernels::UpdateSegments<T> segments(parameters_.size());
        kernels::SharedMemory<T> memory(parameters_.size());
        for (const Group& group : groups_) {
            Index step = 0;  // that of the last rule
            for (const std::size_t i : group.parameters) {
                Variable<T>& parameter = parameters_[i];
                if (!takes_part(parameter)) continue;
                Slot& slot = slots_[i];
                make_state(slot, group.options, parameter.shape());
                if (slot.steps + 1 != step) rules.push_back(Rule(group.options, step = slot.steps + 1));
                kernels::UpdateSegment<T> segment{parameter.numel(), {}, rules.size() - 1};
                segment.arrays[0] = memory.to_write(segments.size(), 0, parameter.mutable_value());
                segment.arrays[1] = const_cast<T*>(parameter.grad().data());  // only read
                for (std::size_t k = 0; k < state_count; ++k)
                    if (Rule::uses(group.options, k))
                        segment.arrays[k + 2] = memory.to_write(segments.size(), k + 2, slot.state[k]);
                segments.push_back(segment);
            }
        }
        kernels::update<2 + state_count>(rules.data(), segments, memory);
        for (std::size_t i = 0; i < slots_.size(); ++i) slots_[i].steps += takes_part(parameters_[i]);
    } else {  // one parameter after the other
        const NoGrad no_grad;
        for (const Group& group : groups_)
            for (const std::size_t i : group.parameters) {
                Variable<T>& parameter = parameters_[i];
                if (!takes_part(parameter)) continue;
                Slot& slot = slots_[i];
                const Shape shape = parameter.shape();
                make_state(slot, group.options, shape);
                const Rule rule(group.options, slot.steps + 1);
                std::apply(
                    [&](auto&... state) { rule(parameter.mutable_value(), parameter.grad(), state...); },
                    slot.state);
                if (parameter.shape() != shape)
                    gradus::detail::raise<ShapeError>(Rule::name, "the rule changed the shape of a parameter",
                                                      shape, parameter.shape());
                ++slot.steps;
            }
    }
}

}  // namespace gradus::optim
