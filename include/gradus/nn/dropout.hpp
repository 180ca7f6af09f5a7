// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/nn/trace.hpp"
#include "gradus/ops/dropout.hpp"

namespace gradus::nn {

/// While training, zeroes each element with probability p and scales the others by 1 / (1 − p); after
/// nn::eval passes x on. Draws from the default generator: gradus::manual_seed makes a run repeatable. Throws
/// ValueError unless p is in [0, 1].
///
///     nn::Sequential net(nn::Linear<>(784, 100), nn::ReLU(), nn::Dropout{.p = 0.2}, nn::Linear<>(100, 10));
struct Dropout {
    static constexpr const char* type = "Dropout";
    double p = 0.5;
    bool training = true;

    template <class T>
    Variable<T> operator()(const Variable<T>& x) const {
        return traced(this, [&] { return training ? dropout(x, p) : x; });
    }
};

}  // namespace gradus::nn
