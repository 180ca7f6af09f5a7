// SPDX-License-Identifier: MIT
#pragma once

// Leaves, gradients and comparisons for tests that state their numbers by hand.

#include <cmath>
#include <limits>
#include <utility>

#include "gradus/autograd/backward.hpp"
#include "support/test.hpp"

inline constexpr float infinity = std::numeric_limits<float>::infinity();
inline constexpr float NaN = std::numeric_limits<float>::quiet_NaN();

inline gradus::Variable<> leaf(gradus::Tensor<> value) {
    return gradus::Variable<>(std::move(value), {.requires_grad = true});
}

/// The gradient of the sum of f(x) at x.
template <class F>
gradus::Tensor<> gradient(const F& f, const gradus::Tensor<>& at) {
    const gradus::Variable<> x = leaf(at), y = f(x);
    y.backward({.gradient = gradus::ones(y.shape())});
    return x.grad();
}

/// Numbers within `tolerance` (plus as much of their size). NaN equals NaN; with tolerance 0 also 0 differs
/// from -0.
inline void check_numbers(const gradus::Tensor<>& got, const gradus::Tensor<>& expected,
                          float tolerance = 0) {
    REQUIRE(got.shape() == expected.shape());
    for (gradus::Index i = 0; i < got.numel(); ++i) {
        const float a = got.data()[i], b = expected.data()[i];
        INFO("element " << i << ": got " << a << ", expected " << b);
        const bool equal = a == b && std::signbit(a) == std::signbit(b);
        const bool near = tolerance > 0 && std::abs(a - b) <= tolerance * (1 + std::abs(b));
        CHECK((std::isnan(b) ? std::isnan(a) : equal || near));
    }
}
