// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <optional>
#include <tuple>

#include "gradus/autograd/parameter.hpp"
#include "gradus/core/random.hpp"
#include "gradus/core/reflect.hpp"
#include "gradus/core/remedy.hpp"
#include "gradus/nn/trace.hpp"
#include "gradus/ops/conv2d.hpp"

namespace gradus::nn {

struct Conv2dLayerOptions {
    Size2 kernel_size;  // must be given
    Size2 stride = 1;
    Padding2 padding = 0;
    Size2 dilation = 1;
    Index groups = 1;
    bool bias = true;
};

/// conv2d(x, weight, bias) with x [batch, in, height, width]; see ops/conv2d.hpp. Weight and bias start from
/// U(−a, a) with a = 1/√(in / groups · kh · kw), as in PyTorch.
/// Throws ValueError or ShapeError for sizes below 1 and groups that do not divide the channels.
template <class T = float>
struct Conv2d {
    static constexpr const char* type = "Conv2d";

    Parameter<T> weight;               // [out, in / groups, kh, kw]
    std::optional<Parameter<T>> bias;  // [out]
    Conv2dOptions options;

    [[gnu::cold]] Conv2d(Index in, Index out, Conv2dLayerOptions o,
                         Generator& generator = default_generator())
        : weight(start(weight_shape(in, out, o), in, o, generator)),
          options{o.stride, o.padding, o.dilation, o.groups} {
        if (o.bias) bias.emplace(start({out}, in, o, generator));
    }
    /// A kernel of this size, a number or a Size2, and all else by default.
    template <gradus::detail::Extent Kernel>
    Conv2d(Index in, Index out, Kernel kernel, Generator& generator = default_generator())
        : Conv2d(in, out, Conv2dLayerOptions{.kernel_size = kernel}, generator) {}
    template <std::size_t N>
    Conv2d(Index in, Index out, gradus::detail::NoSuchOption<N>);

    Variable<T> operator()(const Variable<T>& x) const {
        return traced(this,
                      [&] { return bias ? conv2d(x, weight, *bias, options) : conv2d(x, weight, options); });
    }

    auto fields() { return std::tuple(field("weight", weight), field("bias", bias)); }

private:
    static Shape weight_shape(Index in, Index out, const Conv2dLayerOptions& o) {
        if (o.kernel_size.height < 1 || o.kernel_size.width < 1)
            gradus::detail::raise<ValueError>("conv2d", "the kernel must be at least 1 x 1; set .kernel_size",
                                              o.kernel_size);
        if (in < 1 || out < 1)
            gradus::detail::raise<ShapeError>("conv2d", "needs at least one input and one output channel",
                                              Shape{out, in});
        if (o.groups < 1 || in % o.groups != 0 || out % o.groups != 0)
            gradus::detail::raise<ValueError>({"conv2d: groups must divide the ", in, " input and ", out,
                                               " output channels: got ", o.groups});
        return {out, in / o.groups, o.kernel_size.height, o.kernel_size.width};
    }
    static Tensor<T> start(const Shape& shape, Index in, const Conv2dLayerOptions& o, Generator& generator) {
        const auto fan_in = static_cast<double>(in / o.groups * o.kernel_size.area());
        const T bound = static_cast<T>(1.0 / std::sqrt(fan_in));
        return uniform<T>(shape, -bound, bound, generator);
    }
};

}  // namespace gradus::nn
