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

// The nodes of inputs that need a gradient; empty for the others, which a result does not hold.

template <class T>
NodeRef<T> node_if_needs_grad(const Variable<T>& input) {
    return input.requires_grad() ? NodeRef<T>::share(&input.node()) : NodeRef<T>();
}
template <class T>
std::array<NodeRef<T>, 1> nodes_that_need_grad(const Variable<T>& input) {
    return {node_if_needs_grad(input)};
}
template <class T, std::size_t N>
std::array<NodeRef<T>, N> nodes_that_need_grad(const std::array<Variable<T>, N>& inputs) {
    std::array<NodeRef<T>, N> nodes;
    for (std::size_t i = 0; i < N; ++i) nodes[i] = node_if_needs_grad(inputs[i]);
    return nodes;
}
template <class T>
RecycledVector<NodeRef<T>> nodes_that_need_grad(const std::vector<Variable<T>>& inputs) {
    RecycledVector<NodeRef<T>> nodes;
    nodes.reserve(inputs.size());
    for (const auto& input : inputs) nodes.push_back(node_if_needs_grad(input));
    return nodes;
}

template <class T>
bool need_grad(const Variable<T>& input) {
    return input.requires_grad();
}
template <class Inputs>
bool need_grad(const Inputs& inputs) {
    for (const auto& input : inputs)
        if (input.requires_grad()) return true;
    return false;
}

/// True if a result of these inputs is its value and nothing else: no rule would be kept, and nobody observes.
/// An operation that small models call often asks first, and then does not make the rules.
template <class... Inputs>
bool is_value_only(const Inputs&... inputs) {
    const unsigned char flags = tape_flags();
    return flags == TapeFlags::no_grad || (flags == 0 && !(need_grad(inputs) || ...));
}

/// A rule, or the place where it was: a std::optional, which takes longer to compile.
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

    explicit operator bool() const { return held_; }
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

/// How a rule gives the gradients of its inputs.
enum class RuleForm {
    gradient,   // dx = rule(dy)
    addition,   // rule(dy, dx) adds to dx
    per_input,  // the gradient of input i = rule(dy, i)
    joint,      // those of all inputs = rule(dy, needs_grad)
};

/// One part of a node: inputs and the rule for them, which is kept if one of them needs a gradient.
template <RuleForm form, class T, class Inputs, class Rule>
struct Part {
    using Nodes = decltype(nodes_that_need_grad(std::declval<const Inputs&>()));

    Nodes nodes;
    Droppable<Rule> rule;

    template <class R>
    Part(const Inputs& inputs, R&& r)
        : nodes(nodes_that_need_grad(inputs)), rule(std::forward<R>(r), need_grad(inputs)) {}

    void count_inputs(BackwardWalk<T>& walk) const {
        for (const auto& node : nodes)
            if (node) walk.expect(*node);
    }
    void pull_back(const Tensor<T>& dy, BackwardWalk<T>& walk) {
        if (!rule) return;
        if constexpr (form == RuleForm::gradient) {
            walk.deliver(*nodes[0], (*rule)(dy));
        } else if constexpr (form == RuleForm::addition) {
            walk.deliver_by(*nodes[0], [&](Tensor<T>& dx) { (*rule)(dy, dx); });
        } else if constexpr (form == RuleForm::per_input) {
            for (std::size_t i = 0; i < nodes.size(); ++i)
                if (nodes[i]) walk.deliver(*nodes[i], (*rule)(dy, static_cast<Index>(i)));
        } else {
            std::array<bool, std::tuple_size_v<Nodes>> needs_grad;
            for (std::size_t i = 0; i < nodes.size(); ++i) needs_grad[i] = bool(nodes[i]);
            auto gradients = (*rule)(dy, needs_grad);
            for (std::size_t i = 0; i < nodes.size(); ++i)
                if (needs_grad[i]) walk.deliver(*nodes[i], std::move(gradients[i]));
        }
    }
    void release() {
        rule.drop();
        nodes = Nodes();
    }
};

/// What wrt() and its kin return: the arguments from which record() builds one part of the node, if history
/// is needed at all. It refers to them, so it lives no longer than the call of record().
template <RuleForm form, class T, class Inputs, class Rule>
struct PartArgs {
    using part = Part<form, T, Inputs, std::remove_cvref_t<Rule>>;
    const Inputs& inputs;
    Rule&& rule;
};

/// The parts of a node, one after the other: a std::tuple, which would have to move them and takes longer to
/// compile.
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

/// A node with history.
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

}  // namespace detail

/// "With respect to `input`, the gradient is rule(dy)", where dy is the gradient of the result. The rule sees
/// tensors and captures tensors, by value. It may return the gradient in the result's broadcast shape: the
/// engine sums it back.
template <class T, class Rule>
auto wrt(const Variable<T>& input, Rule&& rule) {
    static_assert(
        requires(const Tensor<T>& dy) { rule(dy); },
        "wrt(x, rule): the rule takes the gradient dy of the result; a rule (dy, dx) is for wrt_add");
    return detail::PartArgs<detail::RuleForm::gradient, T, Variable<T>, Rule>{input,
                                                                              std::forward<Rule>(rule)};
}

/// Where the result comes from a few elements of the input: rule(dy, dx) adds its contribution to dx, the sum
/// so far, in the shape of the input. That costs no more than those elements, however many results there are;
/// only the first one has zeros to write. The rule must not call backward().
template <class T, class Rule>
auto wrt_add(const Variable<T>& input, Rule&& rule) {
    return detail::PartArgs<detail::RuleForm::addition, T, Variable<T>, Rule>{input,
                                                                              std::forward<Rule>(rule)};
}

/// Any number of inputs: the gradient of input i is rule(dy, i).
template <class T, class Rule>
auto wrt_each(const std::vector<Variable<T>>& inputs, Rule&& rule) {
    return detail::PartArgs<detail::RuleForm::per_input, T, std::vector<Variable<T>>, Rule>{
        inputs, std::forward<Rule>(rule)};
}

/// Inputs whose gradients share work: rule(dy, needs_grad) returns std::array<Tensor<T>, N>; it may leave out
/// those of inputs that need none (needs_grad[i] is false).
template <class T, std::size_t N, class Rule>
auto wrt_jointly(const std::array<Variable<T>, N>& inputs, Rule&& rule) {
    return detail::PartArgs<detail::RuleForm::joint, T, std::array<Variable<T>, N>, Rule>{
        inputs, std::forward<Rule>(rule)};
}

namespace detail {

/// Always inline: as it stands between an operation and its node, a call would cost more than all it does.
template <bool is_deferred, class T, class... Parts>
[[gnu::always_inline]] inline Variable<T> record(const char* operation, Tensor<T>&& value, Parts&&... parts) {
    using Node = Recorded<T, typename Parts::part...>;
    Variable<T> y =
        is_grad_enabled() && (need_grad(parts.inputs) || ...)
            ? Variable<T>(ReaderRef<T>(make_node<Node>(operation, std::move(value), std::move(parts)...)))
            : Variable<T>(std::move(value));
    if (tape_flags() & TapeFlags::observed) [[unlikely]]
        report_result(operation, y.node(), is_deferred, {InputsOfPart::of(parts.inputs)...});
    return y;
}

}  // namespace detail

/// The result of an operation: its value, and for each input the rule that takes the gradient back. When no
/// input needs a gradient, or a NoGrad lives, the rules are dropped at once with all that they captured.
///
///     return record("tanh", y, wrt(x, [y](const Tensor<T>& dy) { return dy * (T(1) - y * y); }));
template <class T, class... Parts>
[[gnu::always_inline]] inline Variable<T> record(const char* operation, Tensor<T> value, Parts... parts) {
    return detail::record<false>(operation, std::move(value), std::move(parts)...);
}

/// The same for a result whose value defer() computes (autograd/fusion.hpp): `memory` is for it, and holds nothing yet.
template <class T, class... Parts>
Variable<T> record_deferred(const char* operation, Tensor<T> memory, Parts... parts) {
    return detail::record<true>(operation, std::move(memory), std::move(parts)...);
}

}  // namespace gradus
