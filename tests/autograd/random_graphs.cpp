// SPDX-License-Identifier: MIT
// Many walks from random values of random graphs, with hooks and rules that do what hooks and rules may do.
// What must come out is computed by a model that shares nothing with the engine: the local derivatives are
// taken by complex steps through a plain evaluation of each operation, and one loop backwards over the
// program adds them up.
//
//     GRADUS_RANDOM_GRAPHS=forever     new seeds until one fails
//     GRADUS_RANDOM_GRAPHS=123         seed 123 alone

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/autograd/record.hpp"
#include "gradus/core/print.hpp"
#include "gradus/ops/arithmetic.hpp"
#include "gradus/ops/reduce.hpp"
#include "support/plain_operations.hpp"
#include "support/test.hpp"

using namespace gradus;
using plain::Array;
using plain::Arrays;
using plain::at;
using plain::Complex;
using plain::Operation;
using plain::Shapes;
using plain::Variables;

namespace {

// ---- The model: what backward() must do ----

/// A gradient, and how much was added up to get it: what its error may be measured by.
struct Gradient {
    std::vector<double> sum, size;

    explicit Gradient(Index numel) : sum(at(numel)), size(at(numel)) {}
    void add(const Gradient& other) {
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += other.sum[i], size[i] += other.size[i];
    }
};

/// What a hook or a rule does, once, beside its proper task. The target of its work is the value itself or
/// one that it came from, so that the order in which a walk reaches independent values does not matter.
struct Action {
    enum Kind { add_hook, remove_hook, drop, set_value, zero_grad, retain, other_walk, own_walk, kinds } kind;
    std::size_t target;    // a value
    std::size_t hook = 0;  // of the target: the one to add or to remove
    bool done_by_library = false, done_by_model = false;
};

struct HookSpec {
    std::size_t value;  // that it belongs to
    double factor;
    std::optional<std::size_t> action = {};
    bool removed = false;  // as the model sees it
};

struct Link {
    std::size_t input;
    std::vector<double> jacobian;  // [numel of the result, numel of the input]
};

/// A leaf, or the result of an operation.
struct Value {
    Array value;
    bool is_leaf = false, requires_grad = false;
    std::vector<Link> links = {};  // to the inputs that want a gradient
    bool released = false, retains = false, dropped = false;
    bool targeted = false;  // by an action: nothing else that depends on when it comes may happen
    std::vector<std::size_t> hooks = {};  // in their order
    std::optional<std::size_t> rule_action = {};
    std::optional<Gradient> gradient = {};
};

double changed(double x) { return 0.25 - 0.5 * x; }  // what the action set_value does to a number

/// The derivative of f with respect to input k, by complex steps: exact, without a rule for any operation.
std::vector<double> jacobian(Array (*f)(const Arrays&), Arrays inputs, std::size_t k) {
    constexpr double step = 1e-100;
    std::vector<double> result;
    for (Index j = 0; j < inputs[k].numel(); ++j) {
        inputs[k][j] += Complex(0, step);
        const Array y = f(inputs);
        inputs[k][j] = inputs[k][j].real();
        if (result.empty()) result.resize(at(y.numel() * inputs[k].numel()));
        for (Index i = 0; i < y.numel(); ++i) result[at(i * inputs[k].numel() + j)] = y[i].imag() / step;
    }
    return result;
}

class Model {
public:
    std::vector<Value> values;
    std::vector<HookSpec> hooks;
    std::vector<Action> actions;

    /// Which values a walk from the root reaches.
    std::vector<bool> reached(std::size_t root) const {
        std::vector<bool> result(values.size());
        result[root] = true;
        for (std::size_t i = root + 1; i-- > 0;)
            if (result[i])
                for (const Link& link : values[i].links) result[link.input] = true;
        return result;
    }

    /// Whether backward() must refuse to start.
    bool refuses(std::size_t root) const {
        if (!values[root].requires_grad) return true;
        const std::vector<bool> walked = reached(root);
        for (std::size_t i = 0; i <= root; ++i)
            if (walked[i] && values[i].released) return true;
        return false;
    }

    void walk(std::size_t root, const std::vector<double>& dy, bool keep) {
        std::vector<std::optional<Gradient>> incoming(values.size());
        std::vector<bool> hooked(values.size());  // a leaf's first hook is called by the next walk
        for (std::size_t i = 0; i < values.size(); ++i) hooked[i] = !values[i].hooks.empty();
        incoming[root].emplace(values[root].value.numel());
        for (std::size_t i = 0; i < dy.size(); ++i) {
            incoming[root]->sum[i] = dy[i];
            incoming[root]->size[i] = std::abs(dy[i]);
        }
        for (std::size_t i = root + 1; i-- > 0;) {
            if (!incoming[i]) continue;
            Value& value = values[i];
            if (!value.is_leaf || hooked[i]) run_hooks(i, *incoming[i]);
            if (value.rule_action) act(actions[*value.rule_action]);
            for (const Link& link : value.links) {
                auto& to = incoming[link.input];
                if (!to) to.emplace(values[link.input].value.numel());
                take_back(*incoming[i], link, *to);
            }
            if (!value.is_leaf && !keep) value.released = true;
            if (value.is_leaf ? value.requires_grad : value.retains) accumulate(value, *incoming[i]);
        }
    }

private:
    static void take_back(const Gradient& dy, const Link& link, Gradient& dx) {
        const std::size_t columns = dx.sum.size();
        for (std::size_t i = 0; i < dy.sum.size(); ++i)
            for (std::size_t j = 0; j < columns; ++j) {
                dx.sum[j] += dy.sum[i] * link.jacobian[i * columns + j];
                dx.size[j] += dy.size[i] * std::abs(link.jacobian[i * columns + j]);
            }
    }

    static void accumulate(Value& value, const Gradient& gradient) {
        if (!value.gradient) value.gradient.emplace(value.value.numel());
        value.gradient->add(gradient);
    }

    void run_hooks(std::size_t i, Gradient& gradient) {
        for (std::size_t k = 0; k < values[i].hooks.size(); ++k) {  // the list may grow meanwhile
            HookSpec& hook = hooks[values[i].hooks[k]];
            if (hook.removed) continue;
            for (double& v : gradient.sum) v *= hook.factor;
            for (double& v : gradient.size) v *= std::abs(hook.factor);
            if (hook.action) act(actions[*hook.action]);
        }
        std::erase_if(values[i].hooks, [&](std::size_t h) { return hooks[h].removed; });
    }

    void act(Action& action) {
        if (std::exchange(action.done_by_model, true)) return;
        Value& target = values[action.target];
        switch (action.kind) {
            case Action::add_hook:
                target.hooks.push_back(action.hook);
                break;
            case Action::remove_hook:
                hooks[action.hook].removed = true;
                break;
            case Action::drop:
                target.dropped = true;
                break;
            case Action::set_value:
                for (Complex& x : target.value.values) x = changed(x.real());
                break;
            case Action::zero_grad:
                target.gradient.reset();
                break;
            case Action::retain:
                target.retains = true;
                break;
            case Action::other_walk: {
                Gradient gradient(target.value.numel());  // of x² + x² and then of x²
                for (Index i = 0; i < target.value.numel(); ++i) {
                    gradient.sum[at(i)] = 6 * target.value[i].real();
                    gradient.size[at(i)] = std::abs(gradient.sum[at(i)]);
                }
                accumulate(target, gradient);
                break;
            }
            default:
                break;
        }
    }
};

// ---- The two beside each other ----

struct Bomb {};

struct Fault : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// One random program, run by the library with numbers of type T and by the model. Throws Fault where they
/// differ.
template <class T>
class Program {
public:
    explicit Program(std::uint64_t seed) : random_(seed) {}

    void run() {
        for (const Shape& shape : Shapes{{}, {3}, {2, 3}, {2, 1}, {1, 3}, {2, 2, 2, 2}, {1, 2, 4, 4}})
            if (chance(0.8)) add_leaf(shape, chance(0.85));
        if (model_.values.empty()) add_leaf({3}, true);
        for (int i = 0; i < 12; ++i) add_result();
        for (std::size_t steps = 10 + below(30); steps > 0; --steps) take_step();
        check_values();
        variables_.clear();
        if (token_.use_count() > 1) throw Fault("a rule outlived all variables");
    }

private:
    // -- Chance, the same with every standard library --

    std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }
    bool chance(double probability) { return static_cast<double>(random_() >> 11) * 0x1p-53 < probability; }
    double number() { return (static_cast<double>(below(257)) - 128) / 64; }

    template <class Wanted>
    std::optional<std::size_t> pick(const Wanted& wanted) {
        std::vector<std::size_t> candidates;
        for (std::size_t i = 0; i < model_.values.size(); ++i)
            if (wanted(i, model_.values[i])) candidates.push_back(i);
        if (candidates.empty()) return {};
        const std::size_t n = candidates.size(), recent = std::min<std::size_t>(n, 6);
        return candidates[chance(0.5) ? below(n) : n - 1 - below(recent)];
    }

    // -- Building --

    Tensor<T> numbers(const Shape& shape) {
        Tensor<T> result = zeros<T>(shape);
        for (T& x : result.mutable_values()) x = static_cast<T>(number());
        return result;
    }

    static Array array_of(const Tensor<T>& x) {
        Array result(x.shape());
        for (Index i = 0; i < x.numel(); ++i) result[i] = static_cast<double>(x.data()[i]);
        return result;
    }

    void add_leaf(const Shape& shape, bool requires_grad) {
        const Tensor<T> value = numbers(shape);
        model_.values.push_back({.value = array_of(value), .is_leaf = true, .requires_grad = requires_grad});
        variables_.emplace_back(value, VariableOptions{requires_grad});
    }

    void add_result() {
        for (int attempt = 0; attempt < 20; ++attempt)
            if (chance(0.15) ? try_observed() : try_operation()) return;
    }

    std::optional<std::size_t> pick_input() {
        return pick([](std::size_t, const Value& value) { return !value.dropped; });
    }

    bool try_operation() {
        const Operation<T>& operation = plain::operations<T>()[below(plain::operations<T>().size())];
        std::vector<std::size_t> inputs;
        Shapes shapes;
        Arrays arrays;
        for (std::size_t k = 0; k < operation.inputs; ++k) {
            inputs.push_back(*pick_input());
            arrays.push_back(model_.values[inputs.back()].value);
            shapes.push_back(arrays.back().shape);
        }
        if (!operation.fits(shapes)) return false;
        plain::nearest_trouble = 1;
        Value result{.value = operation.reference(arrays)};
        if (plain::nearest_trouble < 0.01 || result.value.numel() > 100) return false;
        for (const Complex& v : result.value.values)
            if (std::abs(v.real()) > 4) return false;
        const bool constant = chance(0.05);
        for (std::size_t k = 0; k < inputs.size() && !constant; ++k)
            if (model_.values[inputs[k]].requires_grad)
                result.links.push_back({inputs[k], jacobian(operation.reference, arrays, k)});
        result.requires_grad = !result.links.empty();
        result.is_leaf = !result.requires_grad;
        Variables<T> x;
        for (const std::size_t input : inputs) x.push_back(variables_[input]);
        add(std::move(result), constant ? operation.library(x).detach() : operation.library(x));
        return true;
    }

    /// The identity, whose rule does what hooks do.
    bool try_observed() {
        const std::size_t input = *pick_input(), self = model_.values.size();
        const Array& value = model_.values[input].value;
        if (!model_.values[input].requires_grad) return false;
        std::vector<double> identity(at(value.numel() * value.numel()));
        for (Index i = 0; i < value.numel(); ++i) identity[at(i * value.numel() + i)] = 1;
        const Variable<T>& x = variables_[input];
        Variable<T> y =
            record("observed", x.value(), wrt(x, [this, self, token = token_](const Tensor<T>& dy) {
                       explode_at(self);
                       act(model_.values[self].rule_action, self);
                       return dy;
                   }));
        add({.value = value, .requires_grad = true, .links = {{input, std::move(identity)}}}, std::move(y));
        model_.values[self].rule_action = new_action(self);
        return true;
    }

    void add(Value value, Variable<T> variable) {
        model_.values.push_back(std::move(value));
        variables_.push_back(std::move(variable));
    }

    // -- Hooks and actions --

    std::size_t new_hook(std::size_t value) {
        constexpr double factors[]{-1, -0.5, 0.5, 1, 1, 1, 2};
        model_.hooks.push_back({value, factors[below(std::size(factors))]});
        handles_.emplace_back();
        return model_.hooks.size() - 1;
    }

    void register_hook(std::size_t id) {
        const HookSpec& hook = model_.hooks[id];
        handles_[id] = variables_[hook.value].register_hook([this, id](const Tensor<T>& gradient) {
            const HookSpec called = model_.hooks[id];
            explode_at(called.value);
            act(called.action, called.value);
            return gradient * static_cast<T>(called.factor);
        });
    }

    std::optional<std::size_t> new_action(std::size_t from) {
        if (chance(0.3)) return {};
        const auto kind = static_cast<Action::Kind>(below(Action::kinds));
        const std::vector<bool> below_it = model_.reached(from);
        const auto fits = [&](std::size_t i, const Value& value) {
            if (kind == Action::own_walk) return i == from;
            if (value.targeted || value.dropped || !value.requires_grad) return false;
            if (kind == Action::other_walk) return value.is_leaf && value.hooks.empty();
            if (kind == Action::set_value) return value.is_leaf;
            if (kind == Action::drop) return !value.is_leaf;
            if (i >= below_it.size() || !below_it[i]) return false;
            if (kind == Action::retain) return !value.is_leaf;
            if (kind == Action::zero_grad) return !value.is_leaf || has_live_hook(value);
            if (kind == Action::remove_hook) return has_live_hook(value);
            return std::none_of(value.hooks.begin(), value.hooks.end(),
                                [this](std::size_t h) { return model_.hooks[h].removed; });
        };
        const std::optional<std::size_t> target = pick(fits);
        if (!target) return {};
        Action action{kind, *target};
        Value& value = model_.values[*target];
        if (kind != Action::own_walk) value.targeted = true;
        if (kind == Action::add_hook) action.hook = new_hook(*target);
        if (kind == Action::remove_hook) action.hook = live_hook(value);
        model_.actions.push_back(action);
        return model_.actions.size() - 1;
    }

    bool has_live_hook(const Value& value) const {
        return std::any_of(value.hooks.begin(), value.hooks.end(),
                           [this](std::size_t h) { return !model_.hooks[h].removed; });
    }
    std::size_t live_hook(const Value& value) const {
        return *std::find_if(value.hooks.begin(), value.hooks.end(),
                             [this](std::size_t h) { return !model_.hooks[h].removed; });
    }

    void act(std::optional<std::size_t> which, std::size_t from) {
        if (!which || bomb_) return;
        Action& action = model_.actions[*which];
        if (std::exchange(action.done_by_library, true)) return;
        Variable<T>& target = variables_[action.target];
        switch (action.kind) {
            case Action::add_hook:
                register_hook(action.hook);
                break;
            case Action::remove_hook:
                handles_[action.hook]->remove();
                break;
            case Action::drop:
                target = Variable<T>();
                break;
            case Action::set_value: {
                Tensor<T> value = target.value();
                for (T& x : value.mutable_values()) x = static_cast<T>(changed(static_cast<double>(x)));
                target.set_value(value);
                break;
            }
            case Action::zero_grad:
                target.zero_grad();
                break;
            case Action::retain:
                target.retain_grad();
                break;
            case Action::other_walk: {
                const Variable<T> part = sum(target * target), total = part + part;
                total.backward({.retain_graph = true});
                part.backward();
                break;
            }
            default:
                expect_nested_refusal(root_);
                if (variables_[from].defined()) expect_nested_refusal(variables_[from]);
        }
    }

    static void expect_nested_refusal(const Variable<T>& variable) {
        expect_refusal(variable, {.gradient = ones<T>(variable.shape()), .retain_graph = true});
    }

    void explode_at(std::size_t value) const {
        if (bomb_ == value) throw Bomb();
    }

    // -- What happens between two walks, and the walks --

    void take_step() {
        const std::size_t step = below(16);
        if (step < 3) return add_result();
        if (step < 5) return hook_a_value();
        if (step < 6) return remove_a_hook();
        if (step < 7) return chance(0.6) ? retain_a_gradient() : drop_a_variable();
        if (step < 9) return forget_a_gradient();
        if (step < 10) return change_a_leaf();
        if (step < 11) return freeze_or_thaw_a_leaf();
        walk();
    }

    static bool is_free(std::size_t, const Value& value) {
        return !value.targeted && !value.dropped && value.requires_grad;
    }
    static bool is_free_result(std::size_t i, const Value& value) {
        return is_free(i, value) && !value.is_leaf;
    }
    static bool is_free_leaf(std::size_t, const Value& value) { return value.is_leaf && !value.targeted; }

    void hook_a_value() {
        const auto i = pick(is_free);
        if (!i) return;
        const std::size_t hook = new_hook(*i);
        register_hook(hook);
        model_.values[*i].hooks.push_back(hook);
        model_.hooks[hook].action = new_action(*i);
    }

    void remove_a_hook() {
        const auto i = pick([&](std::size_t k, const Value& v) { return is_free(k, v) && has_live_hook(v); });
        if (!i) return;
        const std::size_t hook = live_hook(model_.values[*i]);
        handles_[hook]->remove();
        model_.hooks[hook].removed = true;
    }

    void retain_a_gradient() {
        const auto i = pick(is_free_result);
        if (!i) return;
        variables_[*i].retain_grad();
        model_.values[*i].retains = true;
    }

    void drop_a_variable() {
        const auto i = pick(is_free_result);
        if (!i) return;
        variables_[*i] = Variable<T>();
        model_.values[*i].dropped = true;
    }

    void forget_a_gradient() {
        const std::size_t i = *pick_input();
        variables_[i].zero_grad();
        model_.values[i].gradient.reset();
    }

    void change_a_leaf() {
        const auto i = pick(is_free_leaf);
        if (!i) return;
        const Tensor<T> value = numbers(variables_[*i].shape());
        variables_[*i].set_value(value);
        model_.values[*i].value = array_of(value);
    }

    void freeze_or_thaw_a_leaf() {
        const auto i = pick(is_free_leaf);
        if (!i) return;
        Value& value = model_.values[*i];
        value.requires_grad = !value.requires_grad;
        variables_[*i].set_requires_grad(value.requires_grad);
    }

    void walk() {
        const std::size_t root = *pick_input();
        root_ = variables_[root];
        BackwardOptions<T> options{.retain_graph = chance(0.65)};
        std::vector<double> dy(at(root_.numel()), 1.0);
        const bool given = root_.numel() != 1 || chance(0.5), forgotten = given && chance(0.03);
        if (given && !forgotten) {
            options.gradient = numbers(root_.shape());
            std::copy(options.gradient->begin(), options.gradient->end(), dy.begin());
        }
        if ((forgotten && root_.numel() != 1) || model_.refuses(root)) {
            expect_refusal(root_, options);
        } else if ((bomb_ = chance(0.15) ? pick_bomb(root) : std::nullopt)) {
            expect_explosion(options);
            bomb_.reset();
            start_over(options.retain_graph);
        } else {
            root_.backward(options);
            model_.walk(root, dy, options.retain_graph);
        }
        root_ = Variable<T>();
        check_gradients();
    }

    static void expect_refusal(const Variable<T>& variable, const BackwardOptions<T>& options) {
        try {
            variable.backward(options);
        } catch (const GraphError&) {
            return;
        }
        throw Fault("a walk that cannot be was not refused");
    }

    void expect_explosion(const BackwardOptions<T>& options) const {
        try {
            root_.backward(options);
        } catch (const Bomb&) {
            return;
        }
        throw Fault("a hook or rule was not called");
    }

    /// A value that the walk reaches and whose hook or rule can throw.
    std::optional<std::size_t> pick_bomb(std::size_t root) {
        const std::vector<bool> walked = model_.reached(root);
        return pick([&](std::size_t i, const Value& value) {
            return walked[i] && (has_live_hook(value) || value.rule_action);
        });
    }

    /// After an exception, leaves keep what they got so far, which depends on the order of the walk, and
    /// history that was walked is gone unless it was to be kept.
    void start_over(bool kept) {
        for (std::size_t i = 0; i < model_.values.size(); ++i) {
            Value& value = model_.values[i];
            if (!kept && !value.is_leaf) {
                variables_[i] = Variable<T>();
                value.dropped = true;
            }
            if (!value.dropped) variables_[i].zero_grad();
            value.gradient.reset();
        }
        if (!kept)
            for (int i = 0; i < 6; ++i) add_result();
    }

    // -- Comparing --

    void check_gradients() const {
        for (const Action& action : model_.actions)
            if (action.done_by_library != action.done_by_model)
                throw Fault("a hook or rule was called too often or not at all");
        for (std::size_t i = 0; i < model_.values.size(); ++i) {
            const Value& value = model_.values[i];
            if (value.dropped) continue;
            const auto fault = [&](const std::string& text) {
                throw Fault("value " + std::to_string(i) + " (" + variables_[i].operation() + " " +
                            to_string(value.value.shape) + "): " + text);
            };
            if (variables_[i].has_grad() != value.gradient.has_value())
                fault(value.gradient ? "no gradient" : "a gradient that should not be");
            if (!value.gradient) continue;
            const Tensor<T>& found = variables_[i].grad();
            if (found.shape() != value.value.shape) fault("gradient of shape " + to_string(found.shape()));
            for (std::size_t k = 0; k < value.gradient->sum.size(); ++k) {
                const double right = value.gradient->sum[k];
                const double error = std::abs(static_cast<double>(found.data()[k]) - right);
                if (!(error <= tolerance * value.gradient->size[k]))
                    fault("gradient[" + std::to_string(k) + "] is " + std::to_string(found.data()[k]) +
                          ", right is " + std::to_string(right));
            }
        }
    }

    void check_values() const {
        for (std::size_t i = 0; i < model_.values.size(); ++i)
            if (!model_.values[i].dropped)
                for (Index k = 0; k < variables_[i].numel(); ++k)
                    if (!(std::abs(static_cast<double>(variables_[i].value().data()[k]) -
                                   model_.values[i].value[k].real()) <= 10 * tolerance))
                        throw Fault("value " + std::to_string(i) + " is wrong");
    }

    static constexpr double tolerance = std::is_same_v<T, float> ? 1e-3 : 1e-10;

    std::mt19937_64 random_;
    std::shared_ptr<int> token_ = std::make_shared<int>();
    Model model_;
    std::vector<std::optional<HookHandle<T>>> handles_;
    Variables<T> variables_;
    Variable<T> root_;                 // of the walk that runs
    std::optional<std::size_t> bomb_;  // the value whose hook or rule throws in this walk
};

template <class T>
void check_seed(std::uint64_t seed) {
    INFO("GRADUS_RANDOM_GRAPHS=" << seed << (std::is_same_v<T, float> ? " (float)" : " (double)"));
    std::string fault;
    try {
        Program<T>(seed).run();
    } catch (const std::exception& e) {
        fault = e.what();
    }
    REQUIRE(fault == "");
}

}  // namespace

TEST_CASE("random graphs: every gradient of every walk is right") {
    const char* const wish = std::getenv("GRADUS_RANDOM_GRAPHS");
    const bool forever = wish && std::string(wish) == "forever";
    const std::uint64_t first = forever ? std::random_device()()
                                : wish  ? std::strtoull(wish, nullptr, 10)
                                        : 0;
    const std::uint64_t count = wish ? 1 : 300;
    for (std::uint64_t seed = first; forever || seed < first + count; ++seed) {
        check_seed<float>(seed);
        check_seed<double>(seed);
    }
}
