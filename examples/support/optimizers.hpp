// SPDX-License-Identifier: MIT
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include <gradus/gradus.hpp>

/// SGD with a moving average of the gradients as momentum, which it stays when a schedule changes it.
class AveragedSGD : public gradus::optim::SGD<> {
public:
    using gradus::optim::SGD<>::SGD;

    void set_momentum(double momentum) {
        gradus::optim::SGDOptions options = groups()[0].options;
        options.momentum = options.dampening = momentum;
        set_options(0, options);
    }
};

/// What an optimizer is made from.
struct OptimizerSetup {
    std::vector<gradus::Variable<>> parameters;
    double lr;
    double l1 = 0, l2 = 0;  // l2 is adamw's decoupled decay, too

    template <class Optimizer>
    gradus::optim::AnyOptimizer<> make(typename Optimizer::Options options = {}) const {
        options.lr = lr;
        options.l1 = l1;
        if (l2 > 0) options.weight_decay = l2;
        return Optimizer(parameters, options);
    }
};

/// One of what --optimizer can name.
struct OptimizerChoice {
    const char* name;
    double usual_lr;  // a learning rate to begin with
    gradus::optim::AnyOptimizer<> (*make)(const OptimizerSetup&);
};

/// `momentum` is the moving average of the gradients, which has the rate of `sgd`; `nesterov` adds them up,
/// ten of them on average.
inline const std::vector<OptimizerChoice> optimizer_choices = {
    {"sgd", 0.2, [](const OptimizerSetup& s) { return s.make<gradus::optim::SGD<>>(); }},
    {"momentum", 0.2,
     [](const OptimizerSetup& s) { return s.make<AveragedSGD>({.momentum = 0.9, .dampening = 0.9}); }},
    {"nesterov", 0.02,
     [](const OptimizerSetup& s) {
         return s.make<gradus::optim::SGD<>>({.momentum = 0.9, .nesterov = true});
     }},
    {"rmsprop", 1e-3, [](const OptimizerSetup& s) { return s.make<gradus::optim::RMSProp<>>(); }},
    {"adam", 1e-3, [](const OptimizerSetup& s) { return s.make<gradus::optim::Adam<>>(); }},
    {"adamw", 1e-3, [](const OptimizerSetup& s) { return s.make<gradus::optim::AdamW<>>(); }},
};

inline const OptimizerChoice& optimizer_choice(const std::string& name) {
    for (const OptimizerChoice& choice : optimizer_choices)
        if (name == choice.name) return choice;
    throw std::invalid_argument("there is no optimizer " + name);
}

inline std::vector<std::string> optimizer_names() {
    std::vector<std::string> names;
    for (const OptimizerChoice& choice : optimizer_choices) names.push_back(choice.name);
    return names;
}
