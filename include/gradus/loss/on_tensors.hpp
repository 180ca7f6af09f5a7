// SPDX-License-Identifier: MIT
#pragma once

#include <type_traits>

#include "gradus/loss/bce.hpp"
#include "gradus/loss/bce_with_logits.hpp"
#include "gradus/loss/cross_entropy.hpp"
#include "gradus/loss/huber.hpp"
#include "gradus/loss/kl_div.hpp"
#include "gradus/loss/l1.hpp"
#include "gradus/loss/mse.hpp"
#include "gradus/loss/nll.hpp"
#include "gradus/loss/smooth_l1.hpp"

// The losses of predictions that are tensors, as in an evaluation without gradients: tensors again.

namespace gradus {

template <class T>
Tensor<T> cross_entropy(const Tensor<T>& x, const Tensor<Index>& target,
                        const std::type_identity_t<CrossEntropyOptions<T>>& options = {}) {
    return cross_entropy(Variable<T>(x), target, options).value();
}
template <class T>
Tensor<T> nll(const Tensor<T>& x, const Tensor<Index>& target,
              const std::type_identity_t<NllOptions<T>>& options = {}) {
    return nll(Variable<T>(x), target, options).value();
}
template <class T>
Tensor<T> bce(const Tensor<T>& x, const Tensor<T>& target,
              const std::type_identity_t<BceOptions<T>>& options = {}) {
    return bce(Variable<T>(x), target, options).value();
}
template <class T>
Tensor<T> bce_with_logits(const Tensor<T>& x, const Tensor<T>& target,
                          const std::type_identity_t<BceWithLogitsOptions<T>>& options = {}) {
    return bce_with_logits(Variable<T>(x), target, options).value();
}
template <class T>
Tensor<T> mse(const Tensor<T>& x, const Tensor<T>& target, const MseOptions& options = {}) {
    return mse(Variable<T>(x), target, options).value();
}
template <class T>
Tensor<T> l1(const Tensor<T>& x, const Tensor<T>& target, const L1Options& options = {}) {
    return l1(Variable<T>(x), target, options).value();
}
template <class T>
Tensor<T> smooth_l1(const Tensor<T>& x, const Tensor<T>& target, const SmoothL1Options& options = {}) {
    return smooth_l1(Variable<T>(x), target, options).value();
}
template <class T>
Tensor<T> huber(const Tensor<T>& x, const Tensor<T>& target, const HuberOptions& options = {}) {
    return huber(Variable<T>(x), target, options).value();
}
template <class T>
Tensor<T> kl_div(const Tensor<T>& x, const Tensor<T>& target, const KlDivOptions& options = {}) {
    return kl_div(Variable<T>(x), target, options).value();
}
template <class T, std::same_as<T> U>
Tensor<T> cross_entropy(const Tensor<T>& x, const Tensor<U>& target,
                        const std::type_identity_t<CrossEntropyOptions<T>>& options = {}) {
    return cross_entropy(Variable<T>(x), target, options).value();
}

}  // namespace gradus
