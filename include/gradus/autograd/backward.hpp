// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "gradus/autograd/variable.hpp"
#include "gradus/kernels/reduce/reduce.hpp"

namespace gradus {
namespace detail {

/// One walk from a result to its leaves. First it counts, for every node, how many contributions to its
/// gradient will come; then it works through the nodes whose gradient is complete. Both passes use a list,
/// not recursion, and visit each edge once, whatever the shape of the graph.
///
/// A node belongs to one walk at a time: from the moment when that counts it until its rule has been called.
/// Hooks and rules may run walks of their own over other nodes.
template <class T>
class BackwardWalk {
public:
    explicit BackwardWalk(bool retain_graph) : retain_graph_(retain_graph), observer_(tape_observer()) {}

    void run(Node<T>& root, Tensor<T> gradient) {
        if (!needs_sum(root)) return accumulate(root, std::move(gradient));
        try {
            hold(root);
            count();
            receive(root, std::move(gradient));
            make_ready(root);
            while (ready_) finish(*std::exchange(ready_, ready_->next));
        } catch (...) {
            while (first_) {  // leave no trace: a later walk starts clean
                first_->pending = 0;
                first_->incoming.reset();
                static_cast<void>(unlink(*first_));
            }
            throw;
        }
    }

    /// Expects a contribution to the gradient of `input`.
    void expect(Node<T>& input) {
        if (!needs_sum(input)) return;
        if (!is_counted(input)) hold(input);
        ++input.pending;
    }

    /// Takes a rule's contribution to the gradient of `input`.
    void deliver(Node<T>& input, Tensor<T>&& gradient) {
        const Shape& shape = input.value.shape();
        if (gradient.shape() != shape || observer_) [[unlikely]]
            gradient = inspected(gradient, input);
        receive(input, std::move(gradient));
        if (is_counted(input)) count_down(input);
    }

    /// Lets add(dx) add a contribution to the gradient dx of `input`, which begins with zeros.
    template <class Add>
    void deliver_by(Node<T>& input, const Add& add) {
        if (is_counted(input)) {
            add(begun(input.incoming, input));
            if (observer_) [[unlikely]]
                report_gradient(*observer_, *current_, input, *input.incoming);
            count_down(input);
        } else if (input.requires_grad) {
            const SpinLock lock(input.busy);
            add(begun(input.grad, input));
            if (observer_) [[unlikely]]
                report_gradient(*observer_, *current_, input, *input.grad);
        }
    }

private:
    /// A leaf takes its contributions as they come, unless a hook wants to see the sum.
    static bool needs_sum(const Node<T>& node) { return !node.is_leaf() || node.hooks; }

    /// Whether the walk counts the contributions to a node. (A leaf that gets its first hook from a hook is
    /// not counted before the next walk.)
    bool is_counted(const Node<T>& node) const { return node.counted_by == this; }

    void count_down(Node<T>& input) {
        if (--input.pending == 0) make_ready(input);
    }

    void make_ready(Node<T>& node) { node.next = std::exchange(ready_, &node); }

    static Tensor<T>& begun(std::optional<Tensor<T>>& gradient, const Node<T>& node) {
        if (!gradient) gradient.emplace(zeros<T>(node.value.shape()));
        return *gradient;
    }

    void count() {
        for (Node<T>* node = first_; node; node = node->next_in_walk) {
            if (node->released)
                detail::raise<GraphError>(
                    {"backward: the history of this ", node->name,
                     " was released by an earlier backward(); call that one with {.retain_graph = true}"});
            node->count_inputs(*this);
        }
    }

    /// Appends a node to the list of the walk, which holds it until it is finished.
    void hold(Node<T>& node) {
        if (node.counted_by) [[unlikely]]
            refuse_shared(node);
        node.counted_by = this;
        node.references.add(Node<T>::holder);
        node.previous_in_walk = last_;
        node.next_in_walk = nullptr;
        (last_ ? last_->next_in_walk : first_) = &node;
        last_ = &node;
    }

    /// Takes a node out of the list and hands over its hold.
    NodeRef<T> unlink(Node<T>& node) {
        (node.previous_in_walk ? node.previous_in_walk->next_in_walk : first_) = node.next_in_walk;
        (node.next_in_walk ? node.next_in_walk->previous_in_walk : last_) = node.previous_in_walk;
        node.counted_by = nullptr;
        return NodeRef<T>(&node);
    }

    void finish(Node<T>& node) {
        Tensor<T>& gradient = *node.incoming;
        if (node.hooks) run_hooks(node, gradient);
        if (!node.is_leaf()) {
            current_ = &node;
            if (node.deferred.load(std::memory_order_acquire))
                node.materialize();  // rules may need what it finds
            node.pull_back(gradient, *this, retain_graph_);
        }
        if (node.is_leaf() || node.retain_grad) accumulate(node, std::move(gradient));
        node.incoming.reset();
        static_cast<void>(unlink(node));  // frees what nobody needs, as the walk goes
    }

    static void run_hooks(Node<T>& node, Tensor<T>& gradient) {
        for (Hook<T>* hook = node.hooks; hook; hook = hook->next) {
            if (hook->removed) continue;
            const HookHandle<T> held(hook);  // it may remove itself
            Tensor<T> result = (*hook)(gradient);
            if (result.shape() != node.value.shape()) result = fitted(result, node, "hook");
            gradient = std::move(result);
        }
        node.drop_removed_hooks();
    }

    void receive(Node<T>& node, Tensor<T>&& gradient) {
        if (!is_counted(node))
            accumulate(node, std::move(gradient));
        else if (node.incoming)
            kernels::add_in_place(*node.incoming, gradient);
        else
            node.incoming.emplace(std::move(gradient));
    }

    /// Adds to the gradient that the user sees, unless the leaf was frozen meanwhile. A leaf may be shared by
    /// graphs on several threads.
    static void accumulate(Node<T>& node, Tensor<T>&& gradient) {
        if (!node.requires_grad) return;
        const SpinLock lock(node.busy);
        if (node.grad)
            kernels::add_in_place(*node.grad, gradient);
        else
            node.grad.emplace(std::move(gradient));
    }

    [[noreturn, gnu::cold]] static void refuse_shared(const Node<T>& node) {
        raise<GraphError>(
            {"backward: the gradient of this ", node.name,
             " is still being computed by another backward(), whose hook or rule called this one "
             "or which runs on another thread; call this one after that has returned, or on a "
             "graph of its own that starts from detach()ed values"});
    }

    /// The gradient in the shape of the value, shown to the observer.
    [[gnu::noinline]] Tensor<T> inspected(const Tensor<T>& gradient, const Node<T>& input) const {
        Tensor<T> result =
            gradient.shape() != input.value.shape() ? fitted(gradient, input, current_->name) : gradient;
        if (observer_) report_gradient(*observer_, *current_, input, result);
        return result;
    }

    /// Sums a gradient over the axes along which the value was broadcast.
    [[gnu::noinline]] static Tensor<T> fitted(const Tensor<T>& gradient, const Node<T>& node,
                                              const char* operation) {
        const Shape& shape = node.value.shape();
        if (!kernels::sums_to(gradient.shape(), shape))
            raise<GraphError>(operation, "a rule returned a gradient whose shape does not fit its value",
                              gradient.shape(), shape);
        return kernels::sum_to(gradient, shape);
    }

    Node<T>*first_ = nullptr, *last_ = nullptr;  // the nodes of the walk that are not finished
    Node<T>* ready_ = nullptr;                   // gradient complete, rule not yet called
    const Node<T>* current_ = nullptr;
    bool retain_graph_;
    TapeObserver* const observer_;
};

}  // namespace detail

template <class T>
void Variable<T>::backward(BackwardOptions<T> options) const {
    gradus::detail::check<GraphError>(
        node().requires_grad, "backward",
        "nothing that this value came from requires a gradient (or it was made while a NoGrad lived); "
        "make a leaf with {.requires_grad = true}");
    if (!options.gradient && numel() != 1)
        detail::raise<GraphError>(
            "backward", "needs a single number or a gradient; sum() or mean() the result first", shape());
    if (options.gradient && options.gradient->shape() != shape())
        detail::raise<ShapeError>("backward", "gradient and value differ in shape", options.gradient->shape(),
                                  shape());
    detail::BackwardWalk<T>(options.retain_graph)
        .run(node(), options.gradient ? std::move(*options.gradient) : full<T>(shape(), T(1)));
}

}  // namespace gradus
