// SPDX-License-Identifier: MIT
#pragma once

#include <optional>

#include "gradus/autograd/parameter.hpp"
#include "gradus/core/reflect.hpp"
#include "gradus/core/remedy.hpp"
#include "gradus/nn/trace.hpp"
#include "gradus/ops/norm.hpp"

namespace gradus::nn {

struct LayerNormOptions {
    double eps = 1e-5;               // added to the variance
    bool elementwise_affine = true;  // learn a weight and a bias, each of the normalized shape
};

/// Normalizes the last axes of x, whose sizes are `normalized_shape`, to mean 0 and variance 1, sample by
/// sample; then scales by `weight` and adds `bias`. The same while training and after. See
/// gradus::layer_norm. Throws ShapeError for a normalized shape without axes or elements and for an x that
/// does not end in it, ValueError for eps < 0.
template <class T = float>
struct LayerNorm {
    static constexpr const char* type = "LayerNorm";

    std::optional<Parameter<T>> weight, bias;  // of the normalized shape, from 1 and 0
    Shape normalized_shape;
    double eps;

    [[gnu::cold]] explicit LayerNorm(const Shape& shape, LayerNormOptions options = {})
        : normalized_shape(shape), eps(options.eps) {
        if (shape.rank() == 0 || shape.numel() == 0)
            gradus::detail::raise<ShapeError>("layer_norm", "needs a normalized shape with elements", shape);
        gradus::detail::check_eps("layer_norm", eps);
        if (!options.elementwise_affine) return;
        weight.emplace(gradus::ones<T>(shape));
        bias.emplace(gradus::zeros<T>(shape));
    }
    template <std::size_t N>
    LayerNorm(const Shape& shape, gradus::detail::NoSuchOption<N>);

    Variable<T> operator()(const Variable<T>& x) const {
        return traced(this, [&] {
            return weight ? layer_norm(x, *weight, *bias, {.eps = eps})
                          : layer_norm(x, normalized_shape, {.eps = eps});
        });
    }

    auto fields() { return std::tuple(field("weight", weight), field("bias", bias)); }
};

}  // namespace gradus::nn
