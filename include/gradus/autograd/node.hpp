// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <optional>
#include <utility>

#include "gradus/autograd/observe.hpp"
#include "gradus/core/memory.hpp"
#include "gradus/core/ref_count.hpp"
#include "gradus/core/tensor.hpp"

namespace gradus {

template <class T = float>
class Variable;

namespace detail {

template <class T>
class BackwardWalk;

/// Base of objects that come and go with every step: their memory is recycled.
struct Recycled {
    static void* operator new(std::size_t bytes) { return BlockCache::allocate(bytes); }
    static void operator delete(void* memory, std::size_t bytes) { BlockCache::deallocate(memory, bytes); }
};

/// A function that the walk calls with a complete gradient; what it returns takes the gradient's place.
template <class T>
struct Hook : Recycled {
    virtual ~Hook() = default;
    virtual Tensor<T> operator()(const Tensor<T>& gradient) = 0;

    Hook* next = nullptr;  // the hooks of a node are called in the order of their registration
    RefCount references;   // of the node, of handles, and of a walk that runs it
    bool removed = false;  // passed over, and dropped by the next walk

    static void drop(Hook* hook) {
        if (hook->references.drop() == 1) delete hook;
    }
};

/// A deferred computation that may become one with the operation after it: ops/fusion.hpp, where the
/// operations are known, says with which.
template <class T>
struct Fusible;

/// The computation of a value that nobody has read yet. It runs when somebody does, unless an operation after
/// it takes it over (autograd/fusion.hpp).
template <class T>
struct Deferred : Recycled {
    Deferred() = default;
    Deferred(const Deferred&) = default;
    virtual ~Deferred() = default;
    virtual void compute(T* value) = 0;
    virtual Fusible<T>* fusible() { return nullptr; }
};

/// What a Variable points to: a value, its gradient, and (in the derived Recorded) how the value came about.
/// Nodes own the nodes of their inputs, never the other way round, so a graph has no ownership cycle.
template <class T>
struct Node {
    // The owners of a node are readers (variables, which read its value) and holders (graphs, which need the
    // node alone). One atomic number counts both:
    //
    //     63            32 31             0
    //     |    readers    |    holders    |
    static constexpr std::int64_t holder = 1;
    static constexpr std::int64_t reader = std::int64_t{1} << 32;

    /// Of these owners, one is a reader and others are holders: when the reader goes, the node stays without
    /// anybody who could read its value.
    static bool has_last_reader(std::int64_t owners) { return owners > reader && owners < 2 * reader; }

    Node(Tensor<T>&& v, bool needs_grad) : requires_grad(needs_grad), value(std::move(v)) {}
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    /// Tells the walk of every input that needs a gradient, once per rule.
    virtual void count_inputs(BackwardWalk<T>&) {}
    /// Calls every rule with dy and delivers each result to the walk. Unless the history is kept, it then
    /// drops the rules, what they saved, and the hold on the inputs.
    virtual void pull_back(const Tensor<T>&, BackwardWalk<T>&, bool /*keep*/) {}
    /// The end of a node that make_node() made.
    virtual void destroy() noexcept { destroy_as(this); }

    bool is_leaf() const { return !is_result; }

    /// Evaluates the deferred computation. Several threads may ask for a value at a time.
    [[gnu::noinline]] void materialize() {
        const SpinLock lock(busy);
        Deferred<T>* const work = deferred.load(std::memory_order_relaxed);
        if (!work) return;
        work->compute(value.mutable_data());
        deferred.store(nullptr, std::memory_order_release);
        delete work;
        if (tape_observer()) [[unlikely]]
            report_computed(*this);
    }

    /// After the last reader, a graph needs no more of the value than its shape.
    void release_value() {
        if (!deferred.load(std::memory_order_acquire)) value.release_storage();
    }

    void drop_removed_hooks() {
        for (Hook<T>** at = &hooks; *at;)
            if ((*at)->removed)
                Hook<T>::drop(std::exchange(*at, (*at)->next));
            else
                at = &(*at)->next;
    }

    RefCount references{reader};
    std::atomic<Deferred<T>*> deferred{nullptr};
    Node* next = nullptr;  // in a list of nodes to be freed, or whose gradient is complete
    const BackwardWalk<T>* counted_by = nullptr;  // a walk that is not finished with this node
    Node *previous_in_walk, *next_in_walk;
    int pending = 0;          // during a walk: contributions still to come
    std::atomic_flag busy{};  // a thread adds to the gradient or computes the value
    bool requires_grad;
    bool is_result = false;
    bool released = false;
    bool retain_grad = false;
    bool abandoned = false;  // the parameter that this was has another shape now, or is gone
    const char* name = "leaf";
    Hook<T>* hooks = nullptr;
    Tensor<T> value;                    // the memory for it, while the computation is deferred
    std::optional<Tensor<T>> incoming;  // during a walk: the contributions so far
    std::optional<Tensor<T>> grad;      // what backward() accumulated for the user

protected:
    template <class N>
    static void destroy_as(N* node) noexcept {
        node->N::~N();
        BlockCache::deallocate(node, sizeof(N));
    }

    ~Node() {
        delete deferred.load(std::memory_order_relaxed);
        while (hooks) Hook<T>::drop(std::exchange(hooks, hooks->next));
    }
};

template <class N, class... Args>
N* make_node(Args&&... args) {
    void* memory = BlockCache::allocate(sizeof(N));
    try {
        return new (memory) N(std::forward<Args>(args)...);
    } catch (...) {
        BlockCache::deallocate(memory, sizeof(N));
        throw;
    }
}

/// Frees a node that nobody owns, and every node that only it held: with a list, not by recursion, so that a
/// chain of a million operations does not need a million stack frames.
template <class T>
[[gnu::noinline]] void free_nodes(Node<T>* node) noexcept {
    static thread_local Node<T>* unowned = nullptr;
    static thread_local bool busy = false;
    node->next = unowned;
    unowned = node;
    if (busy) return;
    busy = true;
    while (unowned) {
        Node<T>* next = std::exchange(unowned, unowned->next);
        next->destroy();  // releases its inputs, which may append to the list
    }
    busy = false;
}

/// A counted reference to a node, of a holder or a reader.
template <class T, std::int64_t Owner>
class OwningRef {
public:
    OwningRef() = default;
    explicit OwningRef(Node<T>* owned) : node_(owned) {}
    static OwningRef share(Node<T>* node) {
        node->references.add(Owner);
        return OwningRef(node);
    }
    OwningRef(const OwningRef& other) noexcept : node_(other.node_) {
        if (node_) node_->references.add(Owner);
    }
    OwningRef(OwningRef&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
    OwningRef& operator=(OwningRef other) noexcept {
        std::swap(node_, other.node_);
        return *this;
    }
    ~OwningRef() {
        if (node_) drop();
    }

    Node<T>* get() const { return node_; }
    Node<T>* operator->() const { return node_; }
    Node<T>& operator*() const { return *node_; }
    explicit operator bool() const { return node_ != nullptr; }

private:
    void drop() noexcept {
        if constexpr (Owner == Node<T>::reader)
            if (Node<T>::has_last_reader(node_->references.get())) node_->release_value();
        if (node_->references.drop(Owner) == Owner) free_nodes(node_);
    }

    Node<T>* node_ = nullptr;
};

template <class T>
using NodeRef = OwningRef<T, Node<T>::holder>;
template <class T>
using ReaderRef = OwningRef<T, Node<T>::reader>;

}  // namespace detail
}  // namespace gradus
