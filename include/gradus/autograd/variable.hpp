// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "gradus/autograd/node.hpp"
#include "gradus/core/print.hpp"
#include "gradus/core/remedy.hpp"

namespace gradus {

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
    std::optional<Tensor<T>> gradient = {};  // of the final result with respect to this value; default 1
    bool retain_graph = false;               // keep the history, to call backward() again
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
    template <std::size_t N>
    Variable(Tensor<T> value, detail::NoSuchOption<N>);
    explicit Variable(detail::ReaderRef<T> node) : node_(std::move(node)) {}

    Tensor<T> value() && { return std::as_const(*this).value(); }  // a temporary's value outlives it
    const Tensor<T>& value() const& {
        detail::Node<T>& n = node();
        if (n.deferred.load(std::memory_order_acquire)) [[unlikely]]
            n.materialize();
        return n.value;
    }
    const Shape& shape() const { return node().value.shape(); }
    int rank() const { return shape().rank(); }
    Index numel() const { return shape().numel(); }
    Index size(int axis) const { return shape()[axis]; }
    T item() const { return value().item(); }

    template <detail::Text remedy = "loss.item() is the number", detail::RealOrCondition N>
    operator N() const = delete;  // loss.item() is the number

    bool defined() const { return bool(node_); }  // false of a default-constructed or moved-from variable
    bool requires_grad() const { return node_ && node_->requires_grad; }
    bool is_leaf() const { return node().is_leaf(); }

    /// Turns the gradient of a leaf on or off (a parameter that is off is frozen). Throws GraphError on a
    /// result.
    void set_requires_grad(bool on) {
        check_leaf("set_requires_grad");
        node().requires_grad = on;
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

    /// Calls hook(gradient) -> gradient once per backward(), when this value's gradient is complete. A hook
    /// may register and remove hooks (a leaf's first one is called from the next backward() on), change
    /// leaves, let variables go, throw, and call backward() on another graph.
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
    /// theirs. Releases the history unless {.retain_graph = true}. Throws GraphError if nothing requires a
    /// gradient, if the value is not a single number and no gradient is given, or if the history is gone. If
    /// a rule or a hook throws, leaves keep what they got so far, and history already walked is gone. A rule
    /// or a hook may itself call backward(), but not on results (or leaves with hooks) that this one has yet
    /// to finish: that is a GraphError. Graphs on different threads may share leaves (without hooks), but one
    /// graph is walked by one thread at a time.
    void backward(BackwardOptions<T> options = {}) const;
#ifndef __clang__  // which says without it that there is no such option
    template <std::size_t N>
    void backward(detail::NoSuchOption<N>) const;
#endif

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
    friend Variable operator-(const Variable& a) { return neg(a); }
    Variable& operator+=(const Variable& b) { return *this = *this + b; }
    Variable& operator-=(const Variable& b) { return *this = *this - b; }
    Variable& operator*=(const Variable& b) { return *this = *this * b; }
    Variable& operator/=(const Variable& b) { return *this = *this / b; }
    template <detail::Number<T> N>
    Variable& operator+=(N b) {
        return *this = *this + b;
    }
    template <detail::Number<T> N>
    Variable& operator-=(N b) {
        return *this = *this - b;
    }
    template <detail::Number<T> N>
    Variable& operator*=(N b) {
        return *this = *this * b;
    }
    template <detail::Number<T> N>
    Variable& operator/=(N b) {
        return *this = *this / b;
    }

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

/// The value, as a tensor is written.
template <class T>
std::string to_string(const Variable<T>& x) {
    return x.defined() ? to_string(x.value()) : "(no value)";
}

/// std::cout << x
template <detail::OutputStream Stream, class T>
Stream& operator<<(Stream& out, const Variable<T>& x) {
    out << to_string(x);
    return out;
}

// Operators with a number on either side, which is converted to the type of the values.

template <class T, detail::Number<T> N>
Variable<T> operator+(const Variable<T>& a, N b) {
    return add(a, static_cast<T>(b));
}
template <class T, detail::Number<T> N>
Variable<T> operator+(N a, const Variable<T>& b) {
    return add(b, static_cast<T>(a));
}
template <class T, detail::Number<T> N>
Variable<T> operator-(const Variable<T>& a, N b) {
    return sub(a, static_cast<T>(b));
}
template <class T, detail::Number<T> N>
Variable<T> operator-(N a, const Variable<T>& b) {
    return add(neg(b), static_cast<T>(a));
}
template <class T, detail::Number<T> N>
Variable<T> operator*(const Variable<T>& a, N b) {
    return mul(a, static_cast<T>(b));
}
template <class T, detail::Number<T> N>
Variable<T> operator*(N a, const Variable<T>& b) {
    return mul(b, static_cast<T>(a));
}
template <class T, detail::Number<T> N>
Variable<T> operator/(const Variable<T>& a, N b) {
    return div(a, static_cast<T>(b));
}
template <class T, detail::Number<T> N>
Variable<T> operator/(N a, const Variable<T>& b) {
    return div(static_cast<T>(a), b);
}

// What has no meaning, with what to write instead.

namespace detail {

template <class T>
void variable_of(const Variable<T>&);

/// A Variable, a Parameter, a Buffer.
template <class X>
concept AnyVariable = requires(const X& x) {
    variable_of(x);
};

template <class X>
concept AnyTensor = requires {
    typename X::value_type;
}
&&std::same_as<X, Tensor<typename X::value_type>>;

template <class X>
concept Differentiable = AnyVariable<X> || AnyTensor<X>;

template <class A, class B>
concept DifferInType = Differentiable<A> && Differentiable<B> &&(AnyVariable<A> || AnyVariable<B>)&&  //
    (!std::same_as<typename A::value_type, typename B::value_type>);

}  // namespace detail

template <detail::Text remedy = "cast<float>(x) makes both float", class A, class B>
requires detail::DifferInType<A, B>
void operator+(const A&, const B&) = delete;  // cast<float>(x.value())
template <detail::Text remedy = "cast<float>(x) makes both float", class A, class B>
requires detail::DifferInType<A, B>
void operator-(const A&, const B&) = delete;  // cast<float>(x.value())
template <detail::Text remedy = "cast<float>(x) makes both float", class A, class B>
requires detail::DifferInType<A, B>
void operator*(const A&, const B&) = delete;  // cast<float>(x.value())
template <detail::Text remedy = "cast<float>(x) makes both float", class A, class B>
requires detail::DifferInType<A, B>
void operator/(const A&, const B&) = delete;  // cast<float>(x.value())

template <detail::Text remedy = "total += loss.item()", class N, class T>
requires std::is_arithmetic_v<N>
void operator+=(N& total, const Variable<T>& loss) = delete;  // total += loss.item()
template <detail::Text remedy = "total -= loss.item()", class N, class T>
requires std::is_arithmetic_v<N>
void operator-=(N& total, const Variable<T>& loss) = delete;  // total -= loss.item()

}  // namespace gradus
