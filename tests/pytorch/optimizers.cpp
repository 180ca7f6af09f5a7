// SPDX-License-Identifier: MIT
// 20 steps of each optimizer against PyTorch, for random options, on the network of
// tests/reference/pytorch_optimizers.py.
#include "gradus/loss/mse.hpp"
#include "gradus/ops/activation.hpp"
#include "gradus/ops/matmul.hpp"
#include "gradus/optim/adagrad.hpp"
#include "gradus/optim/adam.hpp"
#include "gradus/optim/clip.hpp"
#include "gradus/optim/rmsprop.hpp"
#include "gradus/optim/sgd.hpp"
#include "pytorch/cases.hpp"

using namespace gradus;
using pytorch::Case;

namespace {

/// Calls before_step(parameters, step) after each backward(), and compares the parameters after some steps.
template <class T, class Stepper, class BeforeStep>
void run(const Case& c, const std::vector<Variable<T>>& w, Stepper optimizer, const BeforeStep& before_step) {
    if (c.flag("two_groups")) {
        auto options = optimizer.groups()[0].options;
        optimizer = Stepper({w[0], w[1]}, options);
        options.lr = options.lr / 8;
        optimizer.add_group({w[2]}, options);
    }
    const Variable<T> x(c.input<T>("x"));
    const Tensor<T> target = c.input<T>("target");
    for (const int step : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}) {
        optimizer.zero_grad();
        mse(linear(tanh(linear(x, w[0], w[1])), w[2]), target).backward();
        before_step(step);
        optimizer.step();
        for (const int kept : {1, 2, 3, 5, 10, 20})
            for (std::size_t i = 0; i < 3 && step == kept; ++i)
                c.check("abc"[i] + ("@" + std::to_string(step)), w[i].value());
    }
}

template <class T>
std::vector<Variable<T>> parameters(const Case& c) {
    std::vector<Variable<T>> result;
    for (const char* name : {"a", "b", "c"})
        result.emplace_back(c.input<T>(name), VariableOptions{.requires_grad = true});
    return result;
}

/// Checks an optimizer with the options that set(options, case) gives it.
template <template <class> class Optimizer, class Options, class Set>
void check_optimizer(const char* kind, const Set& set) {
    pytorch::for_cases_in_both("pytorch_optimizers.txt", kind, [&]<class T>(const Case& c, T) {
        Options o;
        o.lr = c.number("lr");
        o.weight_decay = c.number("weight_decay", o.weight_decay);
        set(o, c);
        const auto w = parameters<T>(c);
        run(c, w, Optimizer<T>(w, o), [](int) {});
    });
}

constexpr auto set_adam = [](auto& o, const Case& c) {
    o.beta1 = c.number("beta1");
    o.beta2 = c.number("beta2");
    o.eps = c.number("eps", o.eps);
    o.amsgrad = c.flag("amsgrad");
};

}  // namespace

TEST_CASE("pytorch: SGD") {
    check_optimizer<optim::SGD, optim::SGDOptions>("sgd", [](optim::SGDOptions& o, const Case& c) {
        o.momentum = c.number("momentum");
        o.dampening = c.number("dampening");
        o.nesterov = c.flag("nesterov");
    });
}

TEST_CASE("pytorch: Adagrad") {
    check_optimizer<optim::Adagrad, optim::AdagradOptions>(
        "adagrad", [](optim::AdagradOptions& o, const Case& c) {
            o.lr_decay = c.number("lr_decay", o.lr_decay);
            o.initial_accumulator_value = c.number("initial_accumulator_value", o.initial_accumulator_value);
            o.eps = c.number("eps", o.eps);
        });
}

TEST_CASE("pytorch: RMSProp") {
    check_optimizer<optim::RMSProp, optim::RMSPropOptions>("rmsprop",
                                                           [](optim::RMSPropOptions& o, const Case& c) {
                                                               o.alpha = c.number("alpha", o.alpha);
                                                               o.eps = c.number("eps", o.eps);
                                                               o.momentum = c.number("momentum", o.momentum);
                                                               o.centered = c.flag("centered");
                                                           });
}

TEST_CASE("pytorch: Adam and AdamW") {
    check_optimizer<optim::Adam, optim::AdamOptions>("adam", set_adam);
    check_optimizer<optim::AdamW, optim::AdamWOptions>("adamw", set_adam);
}

TEST_CASE("pytorch: gradient clipping") {
    pytorch::for_cases_in_both("pytorch_optimizers.txt", "clip", []<class T>(const Case& c, T) {
        const auto w = parameters<T>(c);
        const auto clip = c.numbers("clip");
        run(c, w, optim::SGD<T>(w, {.lr = c.number("lr")}), [&](int step) {
            if (c.word("clip").starts_with("value")) {
                optim::clip_grad_value(w, clip[1]);
            } else {
                const double norm = optim::clip_grad_norm(w, clip[1], {.norm_type = clip[2]});
                c.check("norm@" + std::to_string(step), full<T>({}, static_cast<T>(norm)));
            }
        });
    });
}
