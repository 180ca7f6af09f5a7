// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "gradus/core/random.hpp"

/// Normal numbers that depend on the seed alone.
template <class T = float>
gradus::Tensor<T> random(const gradus::Shape& shape, std::uint64_t seed) {
    gradus::Generator generator(seed);
    return gradus::randn<T>(shape, generator);
}

/// Whole numbers from -8 to 8: exact as bfloat16, and so are sums of thousands of their products in float.
template <class T = float>
gradus::Tensor<T> whole_numbers(const gradus::Shape& shape, std::uint64_t seed) {
    gradus::Tensor<T> x = random<T>(shape, seed);
    for (T& value : x.mutable_values()) value = std::max(T(-8), std::min(T(8), std::round(value * T(4))));
    return x;
}
