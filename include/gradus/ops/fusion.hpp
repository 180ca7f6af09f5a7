// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

#include "gradus/autograd/fusion.hpp"
#include "gradus/autograd/record.hpp"
#include "gradus/core/size2.hpp"

// Which operations become one with the one before them. relu(max_pool2d(conv2d(x, w), {.kernel = 2})), say:
//
//   conv2d        makes a node and defers its computation: DeferredConv2d     (ops/fused_conv2d.hpp)
//   max_pool2d    has a temporary and asks: fuse(x, MaxPool{2})               (ops/pool2d.hpp)
//                 DeferredConv2d::then(MaxPool) makes a node "conv2d + max_pool2d" with the inputs of conv2d
//                 and a computation for both, DeferredConvPool; the node of conv2d goes, unread
//   relu          asks: fuse(x, Relu{})                                       (ops/activation.hpp)
//                 DeferredConvPool::then(Relu) makes the node "conv2d + max_pool2d + relu"
//   value()       or backward() runs one kernel for all three                 (Node::materialize)
//
// batch_norm does the same with Add and Relu (ops/fused_batch_norm.hpp). With a name for a step between,
// y = conv2d(x, w), somebody may read it later: then each operation is a node of its own.

namespace gradus::detail {

struct Relu {};

/// Windows of this size side by side, without padding or dilation.
struct MaxPool {
    Size2 kernel_size;
};

/// The sum with `other`, of the same shape.
template <class T>
struct Add {
    const Variable<T>& other;
};

/// A deferred computation that may have a form together with the operation after it. then(operation) is the
/// result of both, deferred again, or an undefined variable if there is no such form. (Who overrides one of
/// them says `using Fusible<T>::then;` to keep the others.)
template <class T>
struct Fusible : Deferred<T> {
    Fusible<T>* fusible() final { return this; }

    virtual Variable<T> then(const Relu&) { return {}; }
    virtual Variable<T> then(const MaxPool&) { return {}; }
    virtual Variable<T> then(const Add<T>&) { return {}; }
};

/// x + other as one, or an undefined variable, as fuse(). x is empty then: the sum has taken its memory.
template <class T>
Variable<T> fused_sum(Variable<T>&& x, const Variable<T>& other) {
    if (!deferred_if_unshared(x) || &x.node() == &other.node() || x.shape() != other.shape()) [[likely]]
        return {};
    if (!x.requires_grad() && other.requires_grad() && is_grad_enabled()) return {};  // the sum has history
    Variable<T> y = fuse(x, Add<T>{other});
    if (y.defined()) x = Variable<T>();
    return y;
}

}  // namespace gradus::detail
