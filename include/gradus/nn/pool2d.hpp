// SPDX-License-Identifier: MIT
#pragma once

#include <tuple>
#include <utility>

#include "gradus/core/remedy.hpp"
#include "gradus/nn/trace.hpp"
#include "gradus/ops/pool2d.hpp"

// The pooling of ops/pool2d.hpp as layers.

namespace gradus::nn {

/// max_pool2d: nn::MaxPool2d(2), nn::MaxPool2d({.kernel_size = 3, .stride = 2}).
struct MaxPool2d {
    static constexpr const char* type = "MaxPool2d";
    MaxPool2dOptions options;

    explicit MaxPool2d(const MaxPool2dOptions& o) : options(o) {}
    template <gradus::detail::Extent Kernel>
    explicit MaxPool2d(Kernel kernel) : options{.kernel_size = kernel} {}
    template <std::size_t N>
    explicit MaxPool2d(gradus::detail::NoSuchOption<N>);
    auto fields() { return std::tuple(); }

    template <class T>
    Variable<T> operator()(Variable<T> x) const {
        return traced(this, [&] { return max_pool2d(std::move(x), options); });
    }
};

/// avg_pool2d: nn::AvgPool2d(2), nn::AvgPool2d({.kernel_size = 3, .stride = 2}).
struct AvgPool2d {
    static constexpr const char* type = "AvgPool2d";
    AvgPool2dOptions options;

    explicit AvgPool2d(const AvgPool2dOptions& o) : options(o) {}
    template <gradus::detail::Extent Kernel>
    explicit AvgPool2d(Kernel kernel) : options{.kernel_size = kernel} {}
    template <std::size_t N>
    explicit AvgPool2d(gradus::detail::NoSuchOption<N>);
    auto fields() { return std::tuple(); }

    template <class T>
    Variable<T> operator()(const Variable<T>& x) const {
        return traced(this, [&] { return avg_pool2d(x, options); });
    }
};

/// adaptive_avg_pool2d: nn::AdaptiveAvgPool2d({7, 7}).
struct AdaptiveAvgPool2d {
    static constexpr const char* type = "AdaptiveAvgPool2d";
    Size2 output;

    explicit AdaptiveAvgPool2d(Size2 size) : output(size) {}
    auto fields() { return std::tuple(); }

    template <class T>
    Variable<T> operator()(const Variable<T>& x) const {
        return traced(this, [&] { return adaptive_avg_pool2d(x, output); });
    }
};

/// global_avg_pool2d: [N, C, H, W] to [N, C].
struct GlobalAvgPool2d {
    static constexpr const char* type = "GlobalAvgPool2d";

    template <class T>
    Variable<T> operator()(const Variable<T>& x) const {
        return traced(this, [&] { return global_avg_pool2d(x); });
    }
};

/// global_max_pool2d: [N, C, H, W] to [N, C].
struct GlobalMaxPool2d {
    static constexpr const char* type = "GlobalMaxPool2d";

    template <class T>
    Variable<T> operator()(const Variable<T>& x) const {
        return traced(this, [&] { return global_max_pool2d(x); });
    }
};

}  // namespace gradus::nn
