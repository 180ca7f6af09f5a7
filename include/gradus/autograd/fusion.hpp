// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

#include "gradus/autograd/no_grad.hpp"
#include "gradus/autograd/variable.hpp"

// How an operation can become one with those after it. It defers its computation (defer): its node has memory
// for the value, but nothing is written there before somebody reads it. The next operation is given the
// result as a temporary, which nobody else can read, and asks (fuse) whether the deferred computation has a
// form that does both. If so, the answer is a new node that stands for both, deferred in its turn, and the
// first node goes unread. If not, the operation reads its operand as any other, and that computes it.
//
// The engine knows no operation: ops/fusion.hpp says which ones can be asked for.

namespace gradus::detail {

/// True if nobody but the caller can ever see the value of x: a variable taken by value that was a temporary.
template <class T>
bool is_temporary(const Variable<T>& x) {
    const Node<T>& node = x.node();
    return node.references.get() == Node<T>::reader && !node.hooks && !node.retain_grad;
}

/// The value of x, which is not read again. It is exclusive if x is a temporary whose value no rule saved:
/// then the result of an operation may be written over it.
template <class T>
Tensor<T> last_value(const Variable<T>& x) {
    Tensor<T> value = x.value();
    if (is_temporary(x)) x.node().value.release_storage();
    return value;
}

/// The value of x, if x can become the result of an operation in its place: nobody else ever sees x or its value,
/// and there is no history to keep. Else nullptr.
template <class T>
Tensor<T>* value_to_overwrite(const Variable<T>& x) {
    Node<T>& node = x.node();
    if (node.requires_grad || (tape_flags() & TapeFlags::observed) || node.grad || !is_temporary(x))
        return nullptr;
    static_cast<void>(x.value());
    return node.value.exclusive() ? &node.value : nullptr;
}

/// Leaves it to a `Work`, made from the arguments, to compute the value of y, a new result.
template <class Work, class T, class... Args>
void defer(const Variable<T>& y, Args&&... args) {
    y.node().deferred.store(new Work(std::forward<Args>(args)...), std::memory_order_release);
}

/// The deferred computation of x, if x is a temporary; else nullptr.
template <class T>
Deferred<T>* deferred_if_unshared(const Variable<T>& x) {
    Node<T>& node = x.node();
    Deferred<T>* const work = node.deferred.load(std::memory_order_acquire);
    return work && is_temporary(x) ? work : nullptr;
}

/// x and the operation after it as one, where x is a temporary whose deferred computation has such a form;
/// else an undefined variable.
template <class T, class Operation>
Variable<T> fuse(const Variable<T>& x, const Operation& next) {
    Deferred<T>* const work = deferred_if_unshared(x);
    Fusible<T>* const fusible = work ? work->fusible() : nullptr;
    if (!fusible) [[likely]]
        return {};
    if (x.requires_grad()) return fusible->then(next);
    const NoGrad guard;  // what was made without history stays without
    return fusible->then(next);
}

}  // namespace gradus::detail
