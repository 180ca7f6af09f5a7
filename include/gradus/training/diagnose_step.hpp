// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

#include "gradus/training/diagnose.hpp"

namespace gradus::training {
namespace detail {

/// True if every number of every gradient is the same, within a percent: what was planted outweighs what came to it,
/// also after clipping.
template <class T>
bool holds_planted_gradient(const std::vector<NamedParameter<T>>& parameters) {
    bool any = false;
    for (const auto& [name, p] : parameters) {
        if (!p.has_grad() || p.numel() < 2) continue;
        const auto [least, most] = std::minmax_element(p.grad().begin(), p.grad().end());
        if (!(*most > T(0)) || static_cast<double>(*most - *least) > 1e-2 * static_cast<double>(*most))
            return false;
        any = true;
    }
    return any;
}

template <class T>
bool same_values(const std::vector<NamedParameter<T>>& parameters, const std::vector<Tensor<T>>& before) {
    for (std::size_t i = 0; i < parameters.size(); ++i)
        if (!(parameters[i].parameter.value() == before[i])) return false;
    return true;
}

}  // namespace detail

/// Looks for what is forgotten in a hand-written training step, by running it three times: zero_grad(), backward(),
/// step(), nn::train(), a NoGrad that lives on. Afterwards model, optimizer, gradients and the default generator are as
/// they were, bit for bit; what the step changes elsewhere stays changed. What the step throws comes out of here.
///
///     const auto diagnosis = training::diagnose_step(net, sgd, [&] { train_on(batch); });
template <class Model, class Optimizer, class Step>
Diagnosis diagnose_step(Model& model, Optimizer& optimizer, const Step& step) {
    using T = typename std::remove_cvref_t<decltype(optimizer.parameters())>::value_type::value_type;
    std::vector<NamedParameter<T>> parameters = nn::named_parameters<T>(model);
    Diagnosis d;
    detail::examine_optimizer(d, parameters, optimizer);
    const gradus::detail::TrainingGuard<Model, Optimizer, T> guard(model, optimizer, "diagnose_step");
    for (auto& named : parameters) named.parameter.zero_grad();
    std::vector<Tensor<T>> before;
    for (const auto& named : parameters) before.push_back(named.parameter.value());
    step();
    const bool keeps_gradients = std::any_of(parameters.begin(), parameters.end(),
                                             [](const auto& p) { return p.parameter.has_grad(); });
    const bool stands_still = detail::same_values(parameters, before);
    step();  // of a loop that steps every other time, say
    const bool stands_still_twice = detail::same_values(parameters, before);
    detail::examine_model(d, model, parameters);
    if (stands_still && !keeps_gradients && !d.find("no_grad"))
        d.add(Severity::error, "backward_forgotten", "",
              "no parameter got a gradient: is loss.backward() called, on a loss of this model?");
    else if (stands_still_twice && !d.find("lr_zero"))
        d.add(Severity::error, "step_forgotten", "",
              "there are gradients, and no parameter changed: is the optimizer's step() called?");
    if (!keeps_gradients) return d;  // the step forgets them itself
    for (auto& named : parameters) named.parameter.set_grad(full<T>(named.parameter.shape(), T(1e6)));
    step();
    if (detail::holds_planted_gradient(parameters))
        d.add(Severity::error, "zero_grad_forgotten", "",
              "gradients of the step before are still there and are added to: call zero_grad() before "
              "backward() (unless "
              "they are accumulated on purpose)");
    return d;
}

}  // namespace gradus::training
