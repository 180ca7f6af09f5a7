// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gradus/core/memory.hpp"
#include "gradus/core/size2.hpp"
#include "gradus/core/tensor.hpp"

namespace gradus {

template <class T = float>
class Variable;

namespace detail {

template <class T>
class BackwardWalk;

/// Base of objects that come and go with every step: their memory is recycled.
struct Recycled {
    static void* operator new(std::size_t bytes) { return BlockCache::take(bytes); }
    static void operator delete(void* memory, std::size_t bytes) { BlockCache::give(memory, bytes); }
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

/// The work of a result that nobody has read yet. It runs when somebody does; or an operation that was given
/// the result as a temporary, which nobody else can read, has it done together with its own.
template <class T>
struct Deferred : Recycled {
    virtual ~Deferred() = default;
    virtual void compute(T* value) = 0;
    /// The result of this work and the operation after it in one (for a pooling: with its window); an
    /// undefined variable if there is no such combination.
    virtual Variable<T> followed_by(std::string_view operation, const Size2& window) = 0;
    /// The same for the sum with `other`, of the same shape.
    virtual Variable<T> plus(const Variable<T>&) { return {}; }
};

/// What a Variable points to: a value, its gradient, and (in the derived Recorded) how the value came about.
/// Nodes own the nodes of their inputs, never the other way round, so a graph has no ownership cycle.
template <class T>
struct Node {
    // Owners of a node are variables, which read it, and graphs, which only hold it.
    static constexpr std::int64_t holder = 1;
    static constexpr std::int64_t reader = holder + (std::int64_t{1} << 32);

    Node(Tensor<T>&& v, bool wants) : requires_grad(wants), value(std::move(v)) {}
    virtual ~Node() {
        delete deferred.load(std::memory_order_relaxed);
        while (hooks) Hook<T>::drop(std::exchange(hooks, hooks->next));
    }
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    /// Tells the walk of every input that wants a gradient, once per rule.
    virtual void count_inputs(BackwardWalk<T>&) {}
    /// Calls every rule with dy and delivers each result to the walk.
    virtual void pull_back(const Tensor<T>&, BackwardWalk<T>&) {}
    /// Drops rules, what they saved, and the hold on the inputs.
    virtual void release_history() {}
    virtual std::size_t bytes() const { return sizeof(*this); }

    bool is_leaf() const { return !is_result; }

    /// Does the deferred work. Several threads may ask for a value at a time.
    [[gnu::noinline]] void settle() {
        const SpinLock lock(busy);
        Deferred<T>* const work = deferred.load(std::memory_order_relaxed);
        if (!work) return;
        work->compute(value.mutable_data());
        deferred.store(nullptr, std::memory_order_release);
        delete work;
    }

    /// The last variable goes: a graph that still holds the node needs no more of the value than its shape.
    void forget_value() {
        if (!deferred.load(std::memory_order_acquire)) value.give_up_elements();
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
    Node *previous_in_walk, *next_in_walk;
    int pending = 0;                           // during a walk: contributions still to come
    std::atomic_flag busy = ATOMIC_FLAG_INIT;  // a thread adds to the gradient or computes the value
    bool requires_grad;
    bool is_result = false;
    bool released = false;
    bool retain_grad = false;
    const char* name = "leaf";
    Hook<T>* hooks = nullptr;
    Tensor<T> value;                    // of deferred work: the memory that it will write
    std::optional<Tensor<T>> incoming;  // during a walk: the contributions so far
    std::optional<Tensor<T>> grad;      // what backward() accumulated for the user
};

template <class N, class... Args>
N* make_node(Args&&... args) {
    void* memory = BlockCache::take(sizeof(N));
    try {
        return new (memory) N(std::forward<Args>(args)...);
    } catch (...) {
        BlockCache::give(memory, sizeof(N));
        throw;
    }
}

/// Frees a node that nobody owns, and every node that only it held: with a list, not by recursion, so that a
/// chain of a million operations does not need a million stack frames.
template <class T>
[[gnu::noinline]] void free_nodes(Node<T>* node) noexcept {
    static thread_local Node<T>* waiting = nullptr;
    static thread_local bool busy = false;
    node->next = waiting;
    waiting = node;
    if (busy) return;
    busy = true;
    while (waiting) {
        Node<T>* next = std::exchange(waiting, waiting->next);
        const std::size_t bytes = next->bytes();
        next->~Node();  // gives up its inputs, which may append to the list
        BlockCache::give(next, bytes);
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
        if constexpr (Owner == Node<T>::reader) {
            const std::int64_t owners = node_->references.get();
            if (owners != Owner && owners < 2 * (Owner - 1)) node_->forget_value();  // the last reader
        }
        if (node_->references.drop(Owner) == Owner) free_nodes(node_);
    }

    Node<T>* node_ = nullptr;
};

template <class T>
using NodeRef = OwningRef<T, Node<T>::holder>;
template <class T>
using ReaderRef = OwningRef<T, Node<T>::reader>;

}  // namespace detail

struct VariableOptions {
    bool requires_grad = false;
};

/// What register_hook() returns: a way to remove the hook again. The hook stays when the handle goes.
template <class T>
class HookHandle {
public:
    explicit HookHandle(detail::Hook<T>* hook) : hook_(hook) { hook_->references.add(); }
    HookHandle(const HookHandle& other) : HookHandle(other.hook_) {}
    HookHandle& operator=(HookHandle other) {
        std::swap(hook_, other.hook_);
        return *this;
    }
    ~HookHandle() { detail::Hook<T>::drop(hook_); }

    /// The hook is not called any more.
    void remove() { hook_->removed = true; }

private:
    detail::Hook<T>* hook_;
};

template <class T>
struct BackwardOptions {
    std::optional<Tensor<T>> seed = {};  // gradient of the final result with respect to this value; default 1
    bool keep_graph = false;             // keep the history, to call backward() again
};

/// A handle to a value in a computation: copies refer to the same value, gradient and history. Made from a
/// Tensor it is a constant; {.requires_grad = true} makes it a leaf whose gradient backward() computes.
///
///     Variable x(Tensor<>{1, 2, 3}, {.requires_grad = true});
///     sum(x * x).backward();
///     x.grad();                            // [2, 4, 6]
template <class T>
class Variable {
public:
    using value_type = T;

    Variable() = default;
    Variable(Tensor<T> value) : Variable(std::move(value), VariableOptions{}) {}
    Variable(Tensor<T> value, VariableOptions options)
        : node_(detail::make_node<detail::Node<T>>(std::move(value), options.requires_grad)) {}
    explicit Variable(detail::ReaderRef<T> node) : node_(std::move(node)) {}

    Tensor<T> value() && { return std::as_const(*this).value(); }  // a temporary's value outlives it
    const Tensor<T>& value() const& {
        detail::Node<T>& n = node();
        if (n.deferred.load(std::memory_order_acquire)) [[unlikely]]
            n.settle();
        return n.value;
    }
    const Shape& shape() const { return node().value.shape(); }
    int rank() const { return shape().rank(); }
    Index numel() const { return shape().numel(); }
    Index size(int axis) const { return shape()[axis]; }
    T item() const { return value().item(); }

    bool defined() const { return bool(node_); }  // false of a default-constructed or moved-from variable
    bool requires_grad() const { return node_ && node_->requires_grad; }
    bool is_leaf() const { return node().is_leaf(); }

    /// Turns the gradient of a leaf on or off (a parameter that is off is frozen). Throws GraphError on a
    /// result.
    void set_requires_grad(bool wanted) {
        check_leaf("set_requires_grad");
        node().requires_grad = wanted;
    }

    /// Replaces the value of a leaf. Throws GraphError on a result, ShapeError if the shape differs.
    void set_value(Tensor<T> value) {
        check_leaf("set_value");
        if (value.shape() != shape())
            detail::fail<ShapeError>("set_value", "the shape must stay", shape(), value.shape());
        node().value = std::move(value);
    }

    /// The value of a leaf, to be changed in place (what an earlier operation saved of it stays as it was).
    Tensor<T>& mutable_value() {
        check_leaf("mutable_value");
        return node().value;
    }

    bool has_grad() const { return node().grad.has_value(); }

    /// The gradient that backward() accumulated. Throws GraphError if there is none.
    const Tensor<T>& grad() const {
        check<GraphError>(has_grad(), "grad",
                          "no gradient here: call backward() first, on a result that depends on a value with "
                          "requires_grad (or call retain_grad() on an intermediate one)");
        return *node().grad;
    }

    void set_grad(Tensor<T> gradient) {
        if (gradient.shape() != shape())
            detail::fail<ShapeError>("set_grad", "gradient and value differ in shape", gradient.shape(),
                                     shape());
        node().grad = std::move(gradient);
    }

    /// The gradient, to be changed in place (clipped, say). Throws GraphError if there is none.
    Tensor<T>& mutable_grad() {
        static_cast<void>(grad());
        return *node().grad;
    }

    /// Forgets the gradient; the next backward() starts from nothing.
    void zero_grad() { node().grad.reset(); }

    /// The same value as a constant: no gradient flows through it.
    Variable detach() const { return Variable(value()); }

    /// Keeps the gradient of an intermediate result, too.
    void retain_grad() { node().retain_grad = true; }

    /// Calls hook(gradient) -> gradient once per backward(), when this value's gradient is complete.
    template <class F>
    HookHandle<T> register_hook(F hook) {
        struct Holder final : detail::Hook<T> {
            explicit Holder(F&& f) : function(std::move(f)) {}
            Tensor<T> operator()(const Tensor<T>& gradient) override { return function(gradient); }
            F function;
        };
        detail::Hook<T>** last = &node().hooks;
        while (*last) last = &(*last)->next;
        *last = new Holder(std::move(hook));
        return HookHandle<T>(*last);
    }

    /// Computes the gradient of this value with respect to every leaf that it came from, and adds it to
    /// theirs. Releases the history unless {.keep_graph = true}. Throws GraphError if nothing requires a
    /// gradient, if the value is not a single number and no seed is given, or if the history is gone. If a
    /// rule or a hook throws, leaves keep what they got so far, and history already walked is gone. Graphs on
    /// different threads may share leaves (without hooks), but one graph is walked by one thread at a time.
    void backward(BackwardOptions<T> options = {}) const;

    /// The name of the operation that made this value; "leaf" for a leaf.
    const char* operation() const { return node().name; }

    detail::Node<T>& node() const {
        if (!node_) [[unlikely]]
            throw GraphError("variable: used while empty (default-constructed or moved from)");
        return *node_;
    }

    // Operators; their meaning and gradients are in ops/arithmetic.hpp.
    friend Variable operator+(const Variable& a, const Variable& b) { return add(a, b); }
    friend Variable operator+(Variable&& a, const Variable& b) { return add(std::move(a), b); }
    friend Variable operator+(const Variable& a, Variable&& b) { return add(a, std::move(b)); }
    friend Variable operator+(Variable&& a, Variable&& b) { return add(std::move(a), std::move(b)); }
    friend Variable operator-(const Variable& a, const Variable& b) { return sub(a, b); }
    friend Variable operator*(const Variable& a, const Variable& b) { return mul(a, b); }
    friend Variable operator/(const Variable& a, const Variable& b) { return div(a, b); }
    friend Variable operator+(const Variable& a, T b) { return add(a, b); }
    friend Variable operator-(const Variable& a, T b) { return add(a, -b); }
    friend Variable operator*(const Variable& a, T b) { return mul(a, b); }
    friend Variable operator/(const Variable& a, T b) { return div(a, b); }
    friend Variable operator+(T a, const Variable& b) { return add(b, a); }
    friend Variable operator-(T a, const Variable& b) { return add(neg(b), a); }
    friend Variable operator*(T a, const Variable& b) { return mul(b, a); }
    friend Variable operator/(T a, const Variable& b) { return div(a, b); }
    friend Variable operator-(const Variable& a) { return neg(a); }
    Variable& operator+=(const Variable& b) { return *this = *this + b; }
    Variable& operator-=(const Variable& b) { return *this = *this - b; }
    Variable& operator*=(const Variable& b) { return *this = *this * b; }
    Variable& operator/=(const Variable& b) { return *this = *this / b; }

protected:
    void check_leaf(const char* operation) const {
        check<GraphError>(is_leaf(), operation, "only a leaf can change; this is the result of an operation");
        static_cast<void>(value());  // work that was deferred without history must not overwrite the change
    }

    detail::ReaderRef<T> node_;
};

template <class T>
Variable(Tensor<T>) -> Variable<T>;
template <class T>
Variable(Tensor<T>, VariableOptions) -> Variable<T>;

namespace detail {

/// A leaf with the meaning of a value: a copy has a value of its own, and assigning to it changes its value
/// but not its identity, so an optimizer that holds it never holds a stale one.
template <class T>
class OwnedLeaf : public Variable<T> {
public:
    OwnedLeaf(Tensor<T> value, bool requires_grad) : Variable<T>(std::move(value), {requires_grad}) {}
    OwnedLeaf(const OwnedLeaf& other) : OwnedLeaf(other.value(), other.requires_grad()) {}
    // Out of line, since g++ 12 takes a moved std::optional<Parameter> for uninitialized.
    [[gnu::noinline]] OwnedLeaf(OwnedLeaf&& other) noexcept : Variable<T>(std::move(other)) {}

    OwnedLeaf& operator=(const OwnedLeaf& other) {
        if (this == &other) return *this;
        if (this->node_)
            this->set_value(other.value());
        else
            static_cast<Variable<T>&>(*this) = Variable<T>(other.value(), {other.requires_grad()});
        return *this;
    }
    OwnedLeaf& operator=(OwnedLeaf&& other) {
        if (this == &other) return *this;
        if (this->node_)
            this->set_value(other.value());
        else
            static_cast<Variable<T>&>(*this) = std::move(static_cast<Variable<T>&>(other));
        return *this;
    }
    ~OwnedLeaf() = default;

    void operator+=(const Variable<T>&) = delete;  // would replace the leaf by a result: use set_value
    void operator-=(const Variable<T>&) = delete;
    void operator*=(const Variable<T>&) = delete;
    void operator/=(const Variable<T>&) = delete;
};

}  // namespace detail

/// What a model learns: a leaf that requires a gradient. Copying a model copies its parameters.
template <class T = float>
class Parameter : public detail::OwnedLeaf<T> {
public:
    explicit Parameter(Tensor<T> value) : detail::OwnedLeaf<T>(std::move(value), true) {}
    Parameter& operator=(Tensor<T> value) {
        this->set_value(std::move(value));
        return *this;
    }
};

/// What a model keeps but does not learn by gradients: running statistics, say. It is saved with the model
/// and copied with it, and no optimizer sees it.
template <class T = float>
class Buffer : public detail::OwnedLeaf<T> {
public:
    explicit Buffer(Tensor<T> value) : detail::OwnedLeaf<T>(std::move(value), false) {}
    Buffer& operator=(Tensor<T> value) {
        this->set_value(std::move(value));
        return *this;
    }
};

/// A parameter and where it is in its model: what nn::named_parameters gives, and optimizers take.
template <class T>
struct NamedParameter {
    std::string name;  // path of fields: "conv1.weight", "blocks.2.fc.bias"
    Variable<T> parameter;
};

}  // namespace gradus
