// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/autograd/parameter.hpp"
#include "gradus/core/remedy.hpp"
#include "gradus/kernels/update/multi_tensor.hpp"
#include "gradus/optim/options.hpp"

/// Optimizers: built from a model's parameters, stepped after every backward().
namespace gradus::optim {

/// What an optimizer remembers of one parameter, to be inspected or saved.
template <class T>
struct ParameterState {
    struct Kind {
        std::string name;  // PyTorch's: "momentum_buffer", "exp_avg", ...
        Tensor<T> value;   // of the parameter's shape
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

}  // namespace detail

/// What an optimizer tells its base about itself.
template <class Options>
struct OptimizerTraits {
    const char* name;                  // in messages
    std::array<const char*, 3> kinds;  // of state; null where there are fewer
    void (*validate)(const Options&);
    bool (*uses)(const Options&, std::size_t kind);
    double (*start)(const Options&);  // what state begins with
};

/// What optimizers share: groups of parameters, each with options of its own. step() throws GraphError if no
/// parameter has a gradient, and if one is no longer in its model: an assignment that changes the shape of a
/// layer makes new parameters. Those that got no gradient are left alone, and so are frozen ones.
/// Copying an optimizer copies its
/// state and not the parameters: `auto saved = adam; ...; adam = saved;` goes back.
template <class T, class OptionsOfIt>
class Optimizer {
public:
    using Options = OptionsOfIt;

    /// Some parameters, their options and their state: one flat array for each kind of state in use, in the
    /// order of the parameters.
    struct Group {
        std::vector<Variable<T>> parameters;
        Options options;
        std::array<Tensor<T>, 3> state;  // for each kind: [elements of the group], empty until it is needed
        std::vector<Index> offsets;      // where each parameter's part begins
        std::vector<Index> sizes;        // and how many elements it has
        std::vector<Index> steps;        // how often each parameter was updated
        std::vector<std::string> names;  // its path in the model; its number if that is not known
        std::vector<Index> places;       // its number, counting all groups in the order of their addition
    };

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
            std::vector<std::size_t> chosen, others;
            for (std::size_t i = 0; i < group.parameters.size(); ++i)
                (detail::matches(pattern, group.names[i]) ? chosen : others).push_back(i);
            if (!others.empty()) kept.push_back(subset(group, others));
            if (chosen.empty()) continue;
            split.push_back(subset(group, chosen));
            change(split.back().options);
            traits_->validate(split.back().options);
        }
        if (split.empty()) refuse_pattern(pattern);
        for (Group& group : split) kept.push_back(std::move(group));
        groups_ = std::move(kept);
    }

    /// Replaces the options of a group. Throws ValueError if they are out of range or there is no such group.
    void set_options(std::size_t group, const Options& options) {
        traits_->validate(options);
        if (group >= groups_.size())
            gradus::detail::refuse<ValueError>({traits_->name, ": set_options: there is no group ", group});
        groups_[group].options = options;
    }

    // With an option that there is not.
    template <std::size_t N>
    void add_group(const gradus::detail::AnyValue& parameters, gradus::detail::NoSuchOption<N>);
    template <std::size_t N>
    void configure(const gradus::detail::AnyValue& pattern, gradus::detail::NoSuchOption<N>);
#ifndef __clang__  // which says it where there is one function only
    template <std::size_t N>
    void set_options(std::size_t group, gradus::detail::NoSuchOption<N>);
#endif

    /// Forgets all gradients; the next backward() starts from nothing.
    void zero_grad() {
        for (Group& group : groups_)
            for (Variable<T>& parameter : group.parameters) parameter.zero_grad();
    }

    const std::vector<Group>& groups() const { return groups_; }

    /// All parameters, in the order in which they were added.
    const std::vector<Variable<T>>& parameters() const { return parameters_; }

    /// The learning rate of the first group, without its lr_scale.
    double lr() const { return groups_.front().options.lr; }

    /// Sets the learning rate of all groups. Each multiplies it by its lr_scale: so a schedule and different
    /// rates per group go together. Throws ValueError unless it is finite and not negative.
    void set_lr(double lr) {
        set_all([lr](Options& o) { o.lr = lr; });
    }

    /// Whether there is momentum: the option `momentum`, or `beta1`.
    static constexpr bool has_momentum = detail::HasMomentumOption<Options>;

    /// Momentum of the first group.
    template <detail::HasMomentumOption O = Options>
    double momentum() const {
        return detail::momentum_option<const O>(groups_.front().options);
    }

    /// Sets the momentum of all groups. Throws ValueError if it is out of range.
    template <detail::HasMomentumOption O = Options>
    void set_momentum(double momentum) {
        set_all([momentum](O& o) { detail::momentum_option(o) = momentum; });
    }

    /// Step counts and state of every parameter, in the order in which they were added; copies, which later
    /// steps leave alone. Options are not part of it.
    [[gnu::cold]] std::vector<ParameterState<T>> state() const {
        std::vector<ParameterState<T>> all(parameters_.size());
        for (const Group& group : groups_)
            for (std::size_t i = 0; i < group.parameters.size(); ++i) {
                auto& entry = all[static_cast<std::size_t>(group.places[i])];
                entry.name = group.names[i];
                entry.steps = group.steps[i];
                for (std::size_t k = 0; k < group.state.size(); ++k)
                    if (group.state[k].numel() > 0)
                        entry.kinds.push_back({traits_->kinds[k], part(group, i, k)});
            }
        return all;
    }

    /// Goes on where the optimizer that gave this state() was, bit for bit. Throws ValueError or ShapeError,
    /// and changes nothing, unless it was an optimizer of the same type with the same parameters.
    [[gnu::cold]] void load_state(const std::vector<ParameterState<T>>& saved) {
        if (saved.size() != parameters_.size())
            gradus::detail::fail<ValueError>(traits_->name, "load_state needs one entry for each parameter",
                                             saved.size(), parameters_.size());
        std::vector<Group> groups = groups_;
        for (Group& group : groups) {
            for (Tensor<T>& state : group.state) state = Tensor<T>();
            for (std::size_t i = 0; i < group.parameters.size(); ++i)
                load(group, i, saved[static_cast<std::size_t>(group.places[i])]);
        }
        groups_ = std::move(groups);
    }

protected:
    Optimizer(const OptimizerTraits<Options>& traits, std::vector<Variable<T>> parameters,
              const Options& options)
        : traits_(&traits) {
        add_group(std::move(parameters), options);
    }
    Optimizer(const OptimizerTraits<Options>& traits, std::vector<NamedParameter<T>> parameters,
              const Options& options)
        : traits_(&traits) {
        add_group(std::move(parameters), options);
    }

    /// Runs a rule over all parameters that have a gradient and are not frozen (GraphError if none has, or if
    /// the model has let go of one): make(options, step) gives it
    /// for those that are updated for the step-th time, and rule(value, gradient, state...) updates a pack.
    template <class Rule, class Make>
    void update(const Make& make) {
        check_step();
        gradus::detail::RecycledList<Rule> rules(parameters_.size());
        kernels::UpdateSegments<T> segments(parameters_.size());
        for (Group& group : groups_) {
            Index step = 0;
            for (std::size_t i = 0; i < group.parameters.size(); ++i) {
                Variable<T>& parameter = group.parameters[i];
                if (!takes_part(parameter)) continue;
                if (parameter.numel() != group.sizes[i] || parameter.grad().shape() != parameter.shape())
                    gradus::detail::fail<ShapeError>("optimizer", "a parameter or its gradient changed shape",
                                                     parameter.shape(), parameter.grad().shape());
                if (group.steps[i] + 1 != step)
                    rules.push_back(make(group.options, step = group.steps[i] + 1));
                kernels::UpdateSegment<T> segment{parameter.numel(), {}, rules.size() - 1};
                segment.arrays[0] = parameter.mutable_value().mutable_data();
                segment.arrays[1] = const_cast<T*>(parameter.grad().data());  // only read
                for (std::size_t k = 0; k < group.state.size(); ++k)
                    if (traits_->uses(group.options, k))
                        segment.arrays[k + 2] = array(group, k).mutable_data() + group.offsets[i];
                segments.push_back(segment);
            }
        }
        kernels::update<Rule::arrays>(rules.data(), segments);
        for (Group& group : groups_)
            for (std::size_t i = 0; i < group.parameters.size(); ++i)
                group.steps[i] += takes_part(group.parameters[i]);
    }

private:
    static bool takes_part(const Variable<T>& parameter) {
        return parameter.has_grad() && parameter.requires_grad();
    }

    void check_step() const {
        bool any = false;
        for (std::size_t i = 0; i < parameters_.size(); ++i) {
            const Variable<T>& parameter = parameters_[i];
            if (parameter.node().abandoned && !parameter.has_grad()) [[unlikely]]
                refuse_abandoned(i);
            any |= takes_part(parameter);
        }
        if (!any) [[unlikely]]
            gradus::detail::refuse<GraphError>(
                {traits_->name, ": step: none of the ", parameters_.size(),
                 " parameters has a gradient (or all are frozen): call backward() first, on a loss that "
                 "depends on them"});
    }

    [[noreturn, gnu::cold]] void refuse_abandoned(std::size_t place) const {
        gradus::detail::refuse<GraphError>(
            {traits_->name, ": step: parameter ", names()[place],
             " is no longer in its model (a layer was replaced or removed, or the model is gone): make a new "
             "optimizer from nn::parameters(net)"});
    }

    template <class Change>
    void set_all(const Change& change) {
        for (const bool write : {false, true})  // first see whether all groups can take it
            for (Group& group : groups_) {
                Options options = group.options;
                change(options);
                traits_->validate(options);
                if (write) group.options = options;
            }
    }

    [[gnu::cold]] void add(std::vector<Variable<T>> parameters, std::vector<std::string> names,
                           const Options& options) {
        check<ValueError>(!parameters.empty(), traits_->name,
                          "no parameters; does the model have layers as fields?");
        traits_->validate(options);
        const bool named = !names.empty();
        Group group{{}, options, {}, {}, {}, {}, {}, {}};
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            check<GraphError>(parameters[i].is_leaf(), traits_->name,
                              "a parameter is the result of an operation; pass leaves");
            if (holds(parameters_, parameters[i]) || holds(group.parameters, parameters[i]))
                gradus::detail::refuse<ValueError>({traits_->name, ": parameter ",
                                                    named ? names[i] : gradus::detail::text_of({i}),
                                                    " is listed twice; it would be updated twice per step"});
            const auto place = static_cast<Index>(parameters_.size() + i);
            append(group, parameters[i], named ? std::move(names[i]) : gradus::detail::text_of({place}),
                   place, 0);
        }
        for (const Variable<T>& parameter : parameters) parameters_.push_back(parameter);
        groups_.push_back(std::move(group));
        named_ = named_ || named;
    }

    static bool holds(const std::vector<Variable<T>>& list, const Variable<T>& parameter) {
        for (const Variable<T>& p : list)
            if (&p.node() == &parameter.node()) return true;
        return false;
    }

    static Index elements(const Group& group) {
        return group.sizes.empty() ? 0 : group.offsets.back() + group.sizes.back();
    }

    [[gnu::cold]] static void append(Group& group, const Variable<T>& parameter, std::string name,
                                     Index place, Index steps) {
        group.offsets.push_back(elements(group));
        group.sizes.push_back(parameter.numel());
        group.steps.push_back(steps);
        group.names.push_back(std::move(name));
        group.places.push_back(place);
        group.parameters.push_back(parameter);
    }

    /// State of one kind; it comes into being when it is first needed.
    Tensor<T>& array(Group& group, std::size_t kind) const {
        if (group.state[kind].numel() == 0)
            group.state[kind] = full<T>({elements(group)}, T(traits_->start(group.options)));
        return group.state[kind];
    }

    static Tensor<T> part(const Group& group, std::size_t i, std::size_t kind) {
        const auto values = group.state[kind].values();
        return Tensor<T>(group.parameters[i].shape(),
                         values.subspan(static_cast<std::size_t>(group.offsets[i]),
                                        static_cast<std::size_t>(group.sizes[i])));
    }

    void put(Group& group, std::size_t i, std::size_t kind, const Tensor<T>& value) const {
        std::copy(value.begin(), value.end(), array(group, kind).mutable_data() + group.offsets[i]);
    }

    /// Some of the parameters of a group, with their state.
    [[gnu::cold]] Group subset(const Group& from, const std::vector<std::size_t>& chosen) const {
        Group group{{}, from.options, {}, {}, {}, {}, {}, {}};
        for (const std::size_t i : chosen)
            append(group, from.parameters[i], from.names[i], from.places[i], from.steps[i]);
        for (std::size_t k = 0; k < from.state.size(); ++k)
            if (from.state[k].numel() > 0)
                for (std::size_t i = 0; i < chosen.size(); ++i) put(group, i, k, part(from, chosen[i], k));
        return group;
    }

    [[gnu::cold]] void load(Group& group, std::size_t i, const ParameterState<T>& saved) const {
        const char* const name = traits_->name;
        check<ValueError>(saved.name == group.names[i], name,
                          ("load_state: the state of " + saved.name + " stands where that of " +
                           group.names[i] + " is expected; is it the same model?")
                              .c_str());
        gradus::detail::check_count(name, "load_state: the steps of " + saved.name, saved.steps);
        group.steps[i] = saved.steps;
        for (const auto& [kind, value] : saved.kinds) {
            std::size_t k = 0;
            while (k < traits_->kinds.size() && !(traits_->kinds[k] && kind == traits_->kinds[k])) ++k;
            check<ValueError>(k < traits_->kinds.size(), name,
                              ("load_state: there is no state named " + kind + " here").c_str());
            if (value.shape() != group.parameters[i].shape())
                gradus::detail::fail<ShapeError>(
                    name, "load_state: " + kind + " of " + saved.name + " does not fit", value.shape(),
                    group.parameters[i].shape());
            put(group, i, k, value);
        }
    }

    [[noreturn, gnu::cold]] void refuse_pattern(std::string_view pattern) const {
        check<ValueError>(named_, traits_->name,
                          "configure needs paths; build the optimizer from nn::named_parameters(net)");
        const std::vector<std::string> all = names();
        std::string known;
        for (std::size_t i = 0; i < std::min<std::size_t>(all.size(), 4); ++i)
            known += (i > 0 ? ", " : "") + all[i];
        gradus::detail::refuse<ValueError>({traits_->name, ": configure: no parameter matches \"", pattern,
                                            "\"; there are ", known, all.size() > 4 ? ", ..." : ""});
    }

    /// In the order in which the parameters were added.
    [[gnu::cold]] std::vector<std::string> names() const {
        std::vector<std::string> all(parameters_.size());
        for (const Group& group : groups_)
            for (std::size_t i = 0; i < group.names.size(); ++i)
                all[static_cast<std::size_t>(group.places[i])] = group.names[i];
        return all;
    }

    const OptimizerTraits<Options>* traits_;
    std::vector<Group> groups_;
    std::vector<Variable<T>> parameters_;
    bool named_ = false;  // at least some parameters came with their paths
};

}  // namespace gradus::optim
