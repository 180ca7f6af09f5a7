// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/autograd/backward.hpp"
#include "gradus/autograd/no_grad.hpp"
#include "gradus/autograd/variable.hpp"

namespace gradus {
namespace detail {

template <class T>
NodeRef<T> wanted(const Variable<T>& input) {
    return input.requires_grad() ? NodeRef<T>::share(&input.node()) : NodeRef<T>();
}

/// A rule, or what is left after it was dropped.
template <class Rule>
class Droppable {
public:
    template <class R>
    Droppable(R&& rule, bool keep) : held_(keep) {
        if (keep) new (&rule_) Rule(std::forward<R>(rule));
    }
    ~Droppable() { drop(); }
    Droppable(const Droppable&) = delete;
    Droppable& operator=(const Droppable&) = delete;

    Rule& operator*() { return rule_; }
    void drop() {
        if (std::exchange(held_, false)) rule_.~Rule();
    }

private:
    union {
        Rule rule_;
    };
    bool held_;
};

/// One input and its rule. An input that wants no gradient is not held, and its rule dies with all it
/// captured.
template <class T, class Rule>
struct One {
    NodeRef<T> input;
    Droppable<Rule> rule;

    template <class R>
    One(const Variable<T>& variable, R&& r)
        : input(wanted(variable)), rule(std::forward<R>(r), bool(input)) {}

    void count_inputs(BackwardWalk<T>& walk) const {
        if (input) walk.expect(*input);
    }
    void pull_back(const Tensor<T>& dy, BackwardWalk<T>& walk) {
        if (!input) return;
        if constexpr (requires(Tensor<T> & dx) { (*rule)(dy, dx); })
            walk.deliver_by(*input, [&](Tensor<T>& dx) { (*rule)(dy, dx); });
        else
            walk.deliver(*input, (*rule)(dy));
    }
    void release() {
        rule.drop();
        input = NodeRef<T>();
    }
};

/// Any number of inputs with one rule, called per input.
template <class T, class Rule>
struct Each {
    RecycledVector<NodeRef<T>> inputs;
    Droppable<Rule> rule;

    template <class R>
    Each(const std::vector<Variable<T>>& variables, R&& r) : rule(std::forward<R>(r), true) {
        inputs.reserve(variables.size());
        for (const auto& variable : variables) inputs.push_back(wanted(variable));
    }
    void count_inputs(BackwardWalk<T>& walk) const {
        for (const auto& input : inputs)
            if (input) walk.expect(*input);
    }
    void pull_back(const Tensor<T>& dy, BackwardWalk<T>& walk) {
        for (std::size_t i = 0; i < inputs.size(); ++i)
            if (inputs[i]) walk.deliver(*inputs[i], (*rule)(dy, static_cast<Index>(i)));
    }
    void release() {
        rule.drop();
        inputs.clear();
    }
};

/// N inputs whose gradients share work: one call gives all of them.
template <class T, std::size_t N, class Rule>
struct Joint {
    std::array<NodeRef<T>, N> inputs;
    Droppable<Rule> rule;

    template <class R>
    Joint(const std::array<Variable<T>, N>& variables, R&& r)
        : inputs(all_wanted(variables)), rule(std::forward<R>(r), any_wanted()) {}
    void count_inputs(BackwardWalk<T>& walk) const {
        for (const auto& input : inputs)
            if (input) walk.expect(*input);
    }
    void pull_back(const Tensor<T>& dy, BackwardWalk<T>& walk) {
        if (!any_wanted()) return;
        std::array<bool, N> want;
        for (std::size_t i = 0; i < N; ++i) want[i] = bool(inputs[i]);
        std::array<Tensor<T>, N> gradients = (*rule)(dy, want);
        for (std::size_t i = 0; i < N; ++i)
            if (want[i]) walk.deliver(*inputs[i], std::move(gradients[i]));
    }
    void release() {
        rule.drop();
        inputs.fill(NodeRef<T>());
    }

private:
    static std::array<NodeRef<T>, N> all_wanted(const std::array<Variable<T>, N>& variables) {
        std::array<NodeRef<T>, N> result;
        for (std::size_t i = 0; i < N; ++i) result[i] = wanted(variables[i]);
        return result;
    }
    bool any_wanted() const {
        for (const auto& input : inputs)
            if (input) return true;
        return false;
    }
};

/// The parts of a node, one after the other (a std::tuple takes longer to compile).
template <class... Parts>
struct PartList {
    void for_each(const auto&) {}
};
template <class First, class... Rest>
struct PartList<First, Rest...> {
    First first;
    PartList<Rest...> rest;

    template <class FirstArgs, class... RestArgs>
    explicit PartList(FirstArgs&& args, RestArgs&&... others)
        : first(args.inputs, std::forward<decltype(args.rule)>(args.rule)),
          rest{std::forward<RestArgs>(others)...} {}

    void for_each(const auto& visit) {
        visit(first);
        rest.for_each(visit);
    }
};

/// A node with history: the parts hold the inputs and the rules.
template <class T, class... Parts>
struct Recorded final : Node<T> {
    template <class... Args>
    Recorded(const char* operation, Tensor<T>&& v, Args&&... args)
        : Node<T>(std::move(v), true), parts(std::move(args)...) {
        this->name = operation;
        this->is_result = true;
    }

    void count_inputs(BackwardWalk<T>& now) override {
        parts.for_each([&](auto& part) { part.count_inputs(now); });
    }
    void pull_back(const Tensor<T>& dy, BackwardWalk<T>& now, bool keep) override {
        parts.for_each([&](auto& part) { part.pull_back(dy, now); });
        if (keep) return;
        parts.for_each([](auto& part) { part.release(); });
        this->released = true;
    }
    void destroy() noexcept override { this->destroy_as(this); }

    PartList<Parts...> parts;
};

/// What wrt() and its kin return: a promise of a part, kept only if record() finds that history is needed. It
/// refers to its arguments, so it lives no longer than the call of record().
template <class Part, class Inputs, class Rule>
struct PartArgs {
    using part = Part;
    const Inputs& inputs;
    Rule&& rule;

    bool any_wanted() const {
        if constexpr (requires { inputs.requires_grad(); }) {
            return inputs.requires_grad();
        } else {
            for (const auto& input : inputs)
                if (input.requires_grad()) return true;
            return false;
        }
    }
};

}  // namespace detail

/// "With respect to `input`, the gradient is rule(dy)", where dy is the gradient of the result. The rule sees
/// tensors and captures tensors, by value. It may return the gradient in the result's broadcast shape: the
/// engine sums it back.
///
/// Where the result comes from a few elements of the input, rule(dy, dx) adds its contribution to dx instead:
/// the sum so far, in the shape of the input. That costs no more than those elements, however many results
/// there are; only the first one has zeros to write. Such a rule must not call backward().
template <class T, class Rule>
auto wrt(const Variable<T>& input, Rule&& rule) {
    using Part = detail::One<T, std::remove_cvref_t<Rule>>;
    return detail::PartArgs<Part, Variable<T>, Rule>{input, std::forward<Rule>(rule)};
}

/// Any number of inputs: the gradient of input i is rule(dy, i).
template <class T, class Rule>
auto wrt_each(const std::vector<Variable<T>>& inputs, Rule&& rule) {
    using Part = detail::Each<T, std::remove_cvref_t<Rule>>;
    return detail::PartArgs<Part, std::vector<Variable<T>>, Rule>{inputs, std::forward<Rule>(rule)};
}

/// Inputs whose gradients share work: rule(dy, want) returns std::array<Tensor<T>, N>; it may leave out what
/// is not wanted (want[i] is false).
template <class T, std::size_t N, class Rule>
auto wrt_jointly(const std::array<Variable<T>, N>& inputs, Rule&& rule) {
    using Part = detail::Joint<T, N, std::remove_cvref_t<Rule>>;
    return detail::PartArgs<Part, std::array<Variable<T>, N>, Rule>{inputs, std::forward<Rule>(rule)};
}

/// The result of an operation: its value, and for each input the rule that takes the gradient back. When no
/// input wants a gradient, or a NoGrad lives, the rules are dropped at once with all that they captured.
///
///     return record("tanh", y, wrt(x, [y](const Tensor<T>& dy) { return dy * (T(1) - y * y); }));
template <class T, class... Parts>
Variable<T> record(const char* operation, Tensor<T> value, Parts... parts) {
    if (!is_grad_enabled() || !(parts.any_wanted() || ...)) return Variable<T>(std::move(value));
    using Node = detail::Recorded<T, typename Parts::part...>;
    return Variable<T>(
        detail::ReaderRef<T>(detail::make_node<Node>(operation, std::move(value), std::move(parts)...)));
}

}  // namespace gradus
