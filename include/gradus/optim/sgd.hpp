// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "gradus/optim/optimizer.hpp"

/// Optimizers: built from a model's parameters, stepped after every backward().
namespace gradus::optim {

struct SGDOptions {
    float lr = 1e-3f;
    float momentum = 0;      // μ
    float dampening = 0;     // τ; with τ = μ the buffer is the moving average (1 − μ) Σ μⁱ g
    float weight_decay = 0;  // λ, an L2 penalty
    bool nesterov = false;
};

/// Stochastic gradient descent:
///     g = dw + λ w
///     v = μ v + (1 − τ) g        (v = g in the first step)
///     w = w − lr · v,            or  w − lr · (g + μ v)  with nesterov
/// as in PyTorch. Sources: Polyak 1964; Sutskever et al., "On the importance of initialization and momentum
/// in deep learning", 2013 (nesterov).
template <class T = float>
class SGD : public Optimizer<T, SGDOptions> {
    using Base = Optimizer<T, SGDOptions>;

public:
    /// Throws ValueError unless lr, momentum, dampening and weight_decay are finite and not negative, and
    /// nesterov comes with momentum and without dampening.
    explicit SGD(std::vector<Variable<T>> parameters, SGDOptions options = {})
        : Base("sgd", 1, &validate, std::move(parameters), options) {}

    /// Updates every parameter that has a gradient and is not frozen.
    void step() {
        for (auto& group : this->groups()) {
            const SGDOptions& o = group.options;
            const T lr = T(o.lr), mu = T(o.momentum), fresh = T(1) - T(o.dampening),
                    decay = T(o.weight_decay);
            const bool nesterov = o.nesterov;
            const auto all = [](std::size_t) { return true; };
            if (o.momentum == 0) {
                this->template update<0>(
                    group,
                    [=]<class V>(V& w, const V& dw)
                        GRADUS_INLINE_LAMBDA { w = w - V(lr) * (dw + V(decay) * w); },
                    all);
            } else {
                const auto rule = [=](T keep, T take) {
                    return [=]<class V>(V& w, const V& dw, V& v) GRADUS_INLINE_LAMBDA {
                        const V g = dw + V(decay) * w;
                        v = V(keep) * v + V(take) * g;
                        w = w - V(lr) * (nesterov ? V(g + V(mu) * v) : v);
                    };
                };
                const auto started = [&group](std::size_t i) { return group.steps[i] > 0; };
                this->template update<1>(group, rule(mu, fresh), started);
                this->template update<1>(group, rule(T(0), T(1)), [&](std::size_t i) { return !started(i); });
            }
            for (std::size_t i = 0; i < group.parameters.size(); ++i)
                if (group.parameters[i].has_grad() && group.parameters[i].requires_grad()) ++group.steps[i];
        }
    }

private:
    static void validate(const SGDOptions& o) {
        for (const float value : {o.lr, o.momentum, o.dampening, o.weight_decay})
            check<ValueError>(std::isfinite(value) && value >= 0, "sgd",
                              "lr, momentum, dampening and weight_decay must be finite and not negative");
        check<ValueError>(!o.nesterov || (o.momentum > 0 && o.dampening == 0), "sgd",
                          "nesterov needs momentum > 0 and no dampening");
    }
};

}  // namespace gradus::optim
