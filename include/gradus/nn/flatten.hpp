// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/nn/trace.hpp"
#include "gradus/ops/layout.hpp"

namespace gradus::nn {

/// Joins all axes from `start_axis` on: [batch, 1, 28, 28] becomes [batch, 784].
struct Flatten {
    static constexpr const char* type = "Flatten";
    int start_axis = 1;

    template <class T>
    Variable<T> operator()(const Variable<T>& x) const {
        return traced(this, [&] { return flatten(x, start_axis); });
    }
};

}  // namespace gradus::nn
