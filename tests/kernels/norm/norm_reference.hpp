// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "gradus/core/random.hpp"
#include "support/test.hpp"

/// Normalization by its definition, in double, for the tests of kernels/norm/batch_norm.hpp and
/// layer_norm.hpp.
namespace norm_reference {

using gradus::Generator;
using gradus::Index;
using gradus::Shape;
using gradus::Tensor;

/// Random numbers in a heap block of exactly their size: reading past its end is an error that sanitizers
/// see.
template <class T>
struct Exact {
    std::vector<T> memory;
    Tensor<T> tensor;

    Exact(const Shape& shape, std::uint64_t seed) {
        Generator generator(seed);
        const Tensor<T> x = normal<T>(shape, T(3), T(2), generator);
        memory.assign(x.begin(), x.end());
        memory.shrink_to_fit();
        tensor = Tensor<T>::borrow(memory, shape);
    }
};

template <class T>
double worst(const Tensor<T>& got, const std::vector<double>& expected) {
    REQUIRE(got.numel() == static_cast<Index>(expected.size()));
    double result = 0;
    for (std::size_t i = 0; i < expected.size(); ++i)
        result = std::max(result, std::abs(static_cast<double>(got.data()[i]) - expected[i]));
    return result;
}

/// Group g of the values: those at start(g) + i for which the caller says so.
struct Groups {
    Index count;                         // of groups
    std::vector<std::vector<Index>> of;  // positions of each
};

inline Groups channels(const Shape& shape) {
    Groups groups{shape[1], std::vector<std::vector<Index>>(static_cast<std::size_t>(shape[1]))};
    const Index plane = shape.span(2, shape.rank());
    for (Index i = 0; i < shape.numel(); ++i)
        groups.of[static_cast<std::size_t>(i / plane % shape[1])].push_back(i);
    return groups;
}

inline Groups rows(Index count, Index n) {
    Groups groups{count, std::vector<std::vector<Index>>(static_cast<std::size_t>(count))};
    for (Index i = 0; i < count * n; ++i) groups.of[static_cast<std::size_t>(i / n)].push_back(i);
    return groups;
}

/// Everything by the definition, in double: y is x̂; dx is of g = dy (the factor is left to the caller).
struct Reference {
    std::vector<double> var, xhat, dx, sum_dy, sum_dy_xhat;

    template <class T>
    Reference(const Tensor<T>& x, const std::vector<double>& g, const Groups& groups, double eps)
        : xhat(g.size()), dx(g.size()) {
        for (const auto& positions : groups.of) {
            const double n = static_cast<double>(positions.size());
            double mean = 0, squares = 0, sum = 0, product = 0;
            for (const Index i : positions) mean += static_cast<double>(x.data()[i]) / n;
            for (const Index i : positions) squares += std::pow(static_cast<double>(x.data()[i]) - mean, 2);
            const double rstd = 1 / std::sqrt(squares / n + eps);
            for (const Index i : positions) {
                const auto at = static_cast<std::size_t>(i);
                xhat[at] = (static_cast<double>(x.data()[i]) - mean) * rstd;
                sum += g[at];
                product += g[at] * xhat[at];
            }
            for (const Index i : positions) {
                const auto at = static_cast<std::size_t>(i);
                dx[at] = rstd * (g[at] - sum / n - xhat[at] * product / n);
            }
            var.push_back(squares / n);
            sum_dy.push_back(sum);
            sum_dy_xhat.push_back(product);
        }
    }
};

}  // namespace norm_reference
