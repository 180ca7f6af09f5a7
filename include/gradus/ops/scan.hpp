// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/autograd/record.hpp"
#include "gradus/kernels/reduce/scan.hpp"

namespace gradus {

/// yᵢ = x₀ + … + xᵢ along one axis.       dxᵢ = dyᵢ + dyᵢ₊₁ + …
/// Of float it is added up in double, so that long axes keep their digits.
template <class T>
Variable<T> cumsum(const Variable<T>& x, int axis) {
    axis = x.shape().normalize_axis("cumsum", axis);
    return record("cumsum", kernels::cumsum(x.value(), axis),
                  wrt(x, [axis](const Tensor<T>& dy) { return kernels::cumsum(dy, axis, true); }));
}

}  // namespace gradus
