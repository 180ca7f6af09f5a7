// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstring>

#include "gradus/core/tensor.hpp"

/// Whether shapes and all bits are equal: NaN equals NaN, and 0 differs from -0.
template <class T>
bool same_bits(const gradus::Tensor<T>& a, const gradus::Tensor<T>& b) {
    return a.shape() == b.shape() &&
           (a.numel() == 0 ||
            std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.numel()) * sizeof(T)) == 0);
}
