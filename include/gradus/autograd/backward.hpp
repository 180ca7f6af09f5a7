// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "gradus/autograd/variable.hpp"
#include "gradus/kernels/reduce.hpp"

namespace gradus {
namespace detail {

/// One walk from a result to its leaves. First it counts, for every node, how many contributions to its
/// gradient will come; then it works through the nodes whose gradient is complete. Both passes use a list,
/// not recursion, and visit each edge once, whatever the shape of the graph.
template <class T>
class BackwardWalk {
public:
    explicit BackwardWalk(bool keep_graph) : keep_graph_(keep_graph) {}

    void run(Node<T>& root, Tensor<T> seed) {
        try {
            count(root);
            receive(root, std::move(seed));
            if (!is_counted(root)) return;
            ready_.push_back(&root);
            while (!ready_.empty()) {
                Node<T>& node = *ready_.back();
                ready_.pop_back();
                finish(node);
            }
        } catch (...) {
            for (const NodeRef<T>& node : counted_)  // leave no trace: a later walk starts clean
                if (node) {
                    node->pending = 0;
                    node->incoming.reset();
                }
            throw;
        }
    }

    /// Takes a rule's contribution to the gradient of `input`.
    void deliver(Node<T>& input, Tensor<T> gradient) {
        receive(input, fitted(std::move(gradient), input, current_->name));
        if (is_counted(input) && --input.pending == 0) ready_.push_back(&input);
    }

private:
    /// A leaf takes its contributions as they come, unless a hook wants to see the sum.
    static bool is_counted(const Node<T>& node) { return !node.is_leaf() || node.hooks; }

    void count(Node<T>& root) {
        hold(root);
        std::vector<Node<T>*> inputs;
        for (std::size_t next = 0; next < counted_.size(); ++next) {
            Node<T>& node = *counted_[next];
            if (node.released)
                throw GraphError(
                    std::string("backward: the history of this ") + node.name +
                    " was released by an earlier backward(); call that one with {.keep_graph = true}");
            inputs.clear();
            node.append_inputs(inputs);
            for (Node<T>* input : inputs)
                if (is_counted(*input) && input->pending++ == 0) hold(*input);
        }
    }

    void hold(Node<T>& node) {
        node.position = counted_.size();
        counted_.push_back(NodeRef<T>::share(&node));
    }

    void finish(Node<T>& node) {
        const NodeRef<T> last_hold =
            std::move(counted_[node.position]);  // frees what nobody needs, as the walk goes
        Tensor<T> gradient = *std::exchange(node.incoming, std::nullopt);
        for (Hook<T>* hook = node.hooks; hook; hook = hook->next)
            gradient = fitted((*hook)(gradient), node, "hook");
        if (!node.is_leaf()) {
            current_ = &node;
            if (node.deferred.load(std::memory_order_acquire)) node.settle();  // rules may need what it finds
            node.pull_back(gradient, *this);
            if (!keep_graph_) node.release_history();
        }
        if (node.is_leaf() || node.retain_grad) accumulate(node, std::move(gradient));
    }

    static void receive(Node<T>& node, Tensor<T> gradient) {
        if (!is_counted(node))
            accumulate(node, std::move(gradient));
        else if (node.incoming)
            kernels::add_in_place(*node.incoming, gradient);
        else
            node.incoming.emplace(std::move(gradient));
    }

    /// Adds to the gradient that the user sees, unless the leaf was frozen meanwhile. A leaf may be shared by
    /// graphs on several threads.
    static void accumulate(Node<T>& node, Tensor<T> gradient) {
        if (!node.requires_grad) return;
        const SpinLock lock(node.busy);
        if (node.grad)
            kernels::add_in_place(*node.grad, gradient);
        else
            node.grad.emplace(std::move(gradient));
    }

    /// Sums a gradient over the axes along which the value was broadcast.
    static Tensor<T> fitted(Tensor<T> gradient, const Node<T>& node, const char* operation) {
        const Shape& shape = node.value.shape();
        if (gradient.shape() == shape) return gradient;
        if (!kernels::sums_to(gradient.shape(), shape))
            fail<GraphError>(operation, "a rule returned a gradient whose shape does not fit its value",
                             gradient.shape(), shape);
        return kernels::sum_to(gradient, shape);
    }

    std::vector<NodeRef<T>> counted_;  // the nodes of the walk, held until they are finished
    std::vector<Node<T>*> ready_;      // gradient complete, rule not yet called
    const Node<T>* current_ = nullptr;
    bool keep_graph_;
};

}  // namespace detail

template <class T>
void Variable<T>::backward(BackwardOptions<T> options) const {
    check<GraphError>(
        node().requires_grad, "backward",
        "nothing that this value came from requires a gradient (or it was made while a NoGrad lived); "
        "make a leaf with {.requires_grad = true}");
    if (!options.seed && numel() != 1)
        detail::fail<GraphError>(
            "backward", "needs a single number or a seed; sum() or mean() the result first", shape());
    if (options.seed && options.seed->shape() != shape())
        detail::fail<ShapeError>("backward", "seed and value differ in shape", options.seed->shape(),
                                 shape());
    detail::BackwardWalk<T>(options.keep_graph)
        .run(node(), options.seed ? std::move(*options.seed) : full<T>(shape(), T(1)));
}

}  // namespace gradus
