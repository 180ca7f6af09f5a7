// SPDX-License-Identifier: MIT
#pragma once

#include <tuple>
#include <utility>

#include "gradus/core/reflect.hpp"
#include "gradus/nn/trace.hpp"
#include "gradus/ops/arithmetic.hpp"

namespace gradus::nn {

/// Passes x on.
struct Identity {
    static constexpr const char* type = "Identity";

    template <class T>
    Variable<T> operator()(const Variable<T>& x) const {
        return traced(this, x);
    }
};

/// y = body(x) + shortcut(x). Without a shortcut x itself is added; where the body changes the shape, the
/// shortcut must change it alike (a 1×1 convolution with the body's stride, say). Parameters are named
/// "body. ..." and "shortcut. ...".
/// Throws ShapeError if the two shapes differ.
/// Source: He et al., "Deep residual learning for image recognition", 2016.
///
///     nn::Residual block(nn::Sequential(nn::Linear<>(8, 8), nn::ReLU(), nn::Linear<>(8, 8)));
template <class Body, class Shortcut = Identity>
struct Residual {
    static constexpr const char* type = "Residual";

    Body body;
    Shortcut shortcut;

    explicit Residual(Body b, Shortcut s = {}) : body(std::move(b)), shortcut(std::move(s)) {}

    template <class T>
    Variable<T> operator()(const Variable<T>& x) const {
        return traced(this, [&] {
            Variable<T> change = body(x), kept = shortcut(x);
            if (change.shape() != kept.shape())
                gradus::detail::raise<ShapeError>(
                    "residual",
                    "the shortcut must give the shape of the body; pass one that does as the second argument",
                    change.shape(), kept.shape());
            return std::move(change) + std::move(kept);
        });
    }

    auto fields() { return std::tuple(field("body", body), field("shortcut", shortcut)); }
};

}  // namespace gradus::nn
