// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "gradus/optim/optimizer.hpp"
#include "gradus/optim/saved_options.hpp"

namespace gradus::optim {

/// An optimizer of any kind, where the kind is known only when the program runs:
///
///     optim::AnyOptimizer optimizer = optim::SGD(nn::parameters(net), {.lr = 0.1});
///     if (use_adam) optimizer = optim::Adam(nn::parameters(net));
///
/// A value, as they are: copying it copies the optimizer with its state. What depends on the kind, as options
/// by path do, is done before.
template <class T = float>
class AnyOptimizer {
public:
    using value_type = T;

    template <detail::CanStep Optimizer>
    AnyOptimizer(Optimizer optimizer) : held_(std::make_unique<Held<Optimizer>>(std::move(optimizer))) {}
    AnyOptimizer(const AnyOptimizer& other) : held_(other.held_->clone()) {}
    AnyOptimizer(AnyOptimizer&&) noexcept = default;
    AnyOptimizer& operator=(AnyOptimizer other) noexcept {
        held_.swap(other.held_);
        return *this;
    }
    ~AnyOptimizer() = default;

    void step() { held_->step(); }
    void zero_grad() { held_->zero_grad(); }

    double lr() const { return held_->lr(); }
    void set_lr(double lr) { held_->set_lr(lr); }

    /// 0 of an optimizer without momentum.
    double momentum() const { return held_->momentum(); }
    /// Throws ValueError for an optimizer without momentum, too.
    void set_momentum(double momentum) { held_->set_momentum(momentum); }

    const std::vector<Variable<T>>& parameters() const { return held_->parameters(); }
    std::vector<ParameterState<T>> state() const { return held_->state(); }
    void load_state(const std::vector<ParameterState<T>>& saved) { held_->load_state(saved); }

    friend SavedOptions saved_options(const AnyOptimizer& optimizer) {
        return optimizer.held_->saved_options();
    }
    friend void load_options(AnyOptimizer& optimizer, const SavedOptions& saved) {
        optimizer.held_->load_options(saved);
    }

private:
    struct Interface {
        virtual ~Interface() = default;
        virtual std::unique_ptr<Interface> clone() const = 0;
        virtual void step() = 0;
        virtual void zero_grad() = 0;
        virtual double lr() const = 0;
        virtual void set_lr(double lr) = 0;
        virtual double momentum() const = 0;
        virtual void set_momentum(double momentum) = 0;
        virtual const std::vector<Variable<T>>& parameters() const = 0;
        virtual std::vector<ParameterState<T>> state() const = 0;
        virtual void load_state(const std::vector<ParameterState<T>>& saved) = 0;
        virtual SavedOptions saved_options() const = 0;
        virtual void load_options(const SavedOptions& saved) = 0;
    };

    // Outside of Held, whose own names would hide the functions.
    template <class Optimizer>
    static SavedOptions options_of(const Optimizer& optimizer) {
        return saved_options(optimizer);
    }
    template <class Optimizer>
    static void give_options(Optimizer& optimizer, const SavedOptions& saved) {
        load_options(optimizer, saved);
    }

    template <class Optimizer>
    struct Held final : Interface {
        explicit Held(Optimizer held) : optimizer(std::move(held)) {}

        std::unique_ptr<Interface> clone() const override { return std::make_unique<Held>(optimizer); }
        void step() override { optimizer.step(); }
        void zero_grad() override { optimizer.zero_grad(); }
        double lr() const override { return optimizer.lr(); }
        void set_lr(double lr) override { optimizer.set_lr(lr); }
        double momentum() const override {
            if constexpr (requires { optimizer.momentum(); })
                return optimizer.momentum();
            else
                return 0;
        }
        void set_momentum(double momentum) override {
            if constexpr (requires { optimizer.set_momentum(momentum); })
                optimizer.set_momentum(momentum);
            else
                gradus::detail::raise<ValueError>("set_momentum", "this optimizer has no momentum", momentum);
        }
        const std::vector<Variable<T>>& parameters() const override { return optimizer.parameters(); }
        std::vector<ParameterState<T>> state() const override { return optimizer.state(); }
        void load_state(const std::vector<ParameterState<T>>& saved) override { optimizer.load_state(saved); }
        SavedOptions saved_options() const override { return options_of(optimizer); }
        void load_options(const SavedOptions& saved) override { give_options(optimizer, saved); }

        Optimizer optimizer;
    };

    std::unique_ptr<Interface> held_;
};

template <detail::CanStep Optimizer>
AnyOptimizer(Optimizer) -> AnyOptimizer<typename Optimizer::value_type>;

}  // namespace gradus::optim
