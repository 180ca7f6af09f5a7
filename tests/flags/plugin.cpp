// SPDX-License-Identifier: MIT
// What a plugin offers; see plugin_host.cpp.
#include "gradus/gradus.hpp"

extern "C" [[gnu::visibility("default")]] void gradient_of_squares(const gradus::Tensor<>& x,
                                                                   gradus::Tensor<>& result) {
    const gradus::Variable<> leaf(x, {.requires_grad = true});
    sum(leaf * leaf).backward();
    result = leaf.grad();
}

extern "C" [[gnu::visibility("default")]] void refuse_to_multiply(const gradus::Tensor<>& x) {
    matmul(gradus::Variable<>(x), gradus::Variable<>(gradus::zeros({5, 5})));
}
