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
#include <complex>
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
#include "gradus/ops/activation.hpp"
#include "gradus/ops/arithmetic.hpp"
#include "gradus/ops/conv2d.hpp"
#include "gradus/ops/indexing.hpp"
#include "gradus/ops/layout.hpp"
#include "gradus/ops/matmul.hpp"
#include "gradus/ops/norm.hpp"
#include "gradus/ops/pool2d.hpp"
#include "gradus/ops/reduce.hpp"
#include "gradus/ops/slice.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

// ---- The operations, evaluated plainly ----

using Complex = std::complex<double>;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

struct Array {
    Shape shape;
    std::vector<Complex> values;

    explicit Array(const Shape& s) : shape(s), values(at(s.numel())) {}
    Complex& operator[](Index i) { return values[at(i)]; }
    const Complex& operator[](Index i) const { return values[at(i)]; }
    Index numel() const { return shape.numel(); }
};
using Arrays = std::vector<Array>;

/// How near an evaluation came to where a derivative jumps or explodes: such operations are not taken.
double nearest_trouble = 1;
void avoid(double distance) { nearest_trouble = std::min(nearest_trouble, std::abs(distance)); }

/// The shape of a broadcast result, or nothing.
std::optional<Shape> broadcast(const Shape& a, const Shape& b) {
    std::vector<Index> sizes(at(std::max(a.rank(), b.rank())));
    for (std::size_t i = 0; i < sizes.size(); ++i) {  // counted from the last axis
        const int k = static_cast<int>(i);
        const Index m = k < a.rank() ? a[a.rank() - 1 - k] : 1, n = k < b.rank() ? b[b.rank() - 1 - k] : 1;
        if (m != n && m != 1 && n != 1) return {};
        sizes[sizes.size() - 1 - i] = m == 1 ? n : m;
    }
    return Shape(sizes.begin(), sizes.end());
}

/// Which element of `from` stands at element i of the broadcast shape `to`.
Index source(Index i, const Shape& to, const Shape& from) {
    Index result = 0, stride = 1;
    for (int axis = to.rank() - 1, own = from.rank() - 1; own >= 0; --axis, --own) {
        if (from[own] > 1) result += i % to[axis] * stride;
        i /= to[axis];
        stride *= from[own];
    }
    return result;
}

Array zip(const Array& a, const Array& b, const auto& f) {
    Array y(*broadcast(a.shape, b.shape));
    for (Index i = 0; i < y.numel(); ++i)
        y[i] = f(a[source(i, y.shape, a.shape)], b[source(i, y.shape, b.shape)]);
    return y;
}

Array each(const Array& x, const auto& f) {
    Array y(x.shape);
    for (Index i = 0; i < y.numel(); ++i) y[i] = f(x[i]);
    return y;
}

Array relu_of(const Array& x) {
    return each(x, [](const Complex& v) {
        avoid(v.real());
        return v.real() > 0 ? v : Complex(0);
    });
}

Array reshaped(Array x, const Shape& shape) {
    x.shape = shape;
    return x;
}

/// x [1, C, H, W] with weights [O, C, 2, 2], padding 1.
Array convolved(const Array& x, const Array& w) {
    const Index channels = x.shape[1], height = x.shape[2], width = x.shape[3];
    Array y({1, w.shape[0], height + 1, width + 1});
    for (Index o = 0, to = 0; o < y.shape[1]; ++o)
        for (Index i = 0; i <= height; ++i)
            for (Index j = 0; j <= width; ++j, ++to)
                for (Index c = 0; c < channels; ++c)
                    for (Index k = 0; k < 4; ++k) {
                        const Index row = i - 1 + k / 2, column = j - 1 + k % 2;
                        if (row >= 0 && row < height && column >= 0 && column < width)
                            y[to] += w[(o * channels + c) * 4 + k] * x[(c * height + row) * width + column];
                    }
    return y;
}

/// The largest of each 2 × 2 window; odd rows and columns at the end are left out.
Array pooled(const Array& x) {
    const Index height = x.shape[2], width = x.shape[3];
    Array y({1, x.shape[1], height / 2, width / 2});
    for (Index c = 0, to = 0; c < y.shape[1]; ++c)
        for (Index i = 0; i < y.shape[2]; ++i)
            for (Index j = 0; j < y.shape[3]; ++j, ++to) {
                std::vector<Complex> window;
                for (const Index k : {0, 1, 2, 3})
                    window.push_back(x[(c * height + 2 * i + k / 2) * width + 2 * j + k % 2]);
                std::sort(window.begin(), window.end(),
                          [](const Complex& a, const Complex& b) { return a.real() > b.real(); });
                avoid(window[0].real() - window[1].real());
                y[to] = window[0];
            }
    return y;
}

Array normalized(const Array& x) {
    Array y(x.shape);
    const Index size = x.shape[2] * x.shape[3];
    for (Index first = 0; first < x.numel(); first += size) {
        Complex mean = 0, var = 0;
        for (Index i = 0; i < size; ++i) mean += x[first + i] / static_cast<double>(size);
        for (Index i = 0; i < size; ++i)
            var += (x[first + i] - mean) * (x[first + i] - mean) / static_cast<double>(size);
        avoid(var.real());
        for (Index i = 0; i < size; ++i) y[first + i] = (x[first + i] - mean) / std::sqrt(var + 1e-5);
    }
    return y;
}

// ---- The same operations as the library has them ----

template <class T>
using Variables = std::vector<Variable<T>>;
using Shapes = std::vector<Shape>;

template <class T>
struct Operation {
    const char* name;
    std::size_t inputs;
    bool (*fits)(const Shapes&);
    Variable<T> (*library)(const Variables<T>&);
    Array (*reference)(const Arrays&);
};

bool anything(const Shapes&) { return true; }
bool broadcasts(const Shapes& s) { return broadcast(s[0], s[1]).has_value(); }
bool is_image(const Shape& s) { return s.rank() == 4 && s[0] == 1 && s[2] >= 2 && s[3] >= 2; }
bool is_list(const Shape& s) { return s.rank() > 0 && s.rank() < 4; }

template <class T>
const std::vector<Operation<T>>& operations() {
    static const std::vector<Operation<T>> list{
        {"add", 2, broadcasts, [](const Variables<T>& x) { return x[0] + x[1]; },
         [](const Arrays& x) { return zip(x[0], x[1], [](auto a, auto b) { return a + b; }); }},
        {"sub", 2, broadcasts, [](const Variables<T>& x) { return x[0] - x[1]; },
         [](const Arrays& x) { return zip(x[0], x[1], [](auto a, auto b) { return a - b; }); }},
        {"mul", 2, broadcasts, [](const Variables<T>& x) { return x[0] * x[1]; },
         [](const Arrays& x) { return zip(x[0], x[1], [](auto a, auto b) { return a * b; }); }},
        {"quotient", 2, broadcasts, [](const Variables<T>& x) { return x[0] / (x[1] * x[1] + T(1)); },
         [](const Arrays& x) { return zip(x[0], x[1], [](auto a, auto b) { return a / (b * b + 1.0); }); }},
        {"square", 1, anything, [](const Variables<T>& x) { return x[0] * x[0]; },
         [](const Arrays& x) { return each(x[0], [](auto v) { return v * v; }); }},
        {"tanh", 1, anything, [](const Variables<T>& x) { return tanh(x[0]); },
         [](const Arrays& x) { return each(x[0], [](auto v) { return std::tanh(v); }); }},
        {"relu", 1, anything, [](const Variables<T>& x) { return relu(x[0]); },
         [](const Arrays& x) { return relu_of(x[0]); }},
        {"affine", 1, anything, [](const Variables<T>& x) { return T(0.25) - x[0] * T(0.75); },
         [](const Arrays& x) { return each(x[0], [](auto v) { return 0.25 - 0.75 * v; }); }},
        {"mean", 1, anything, [](const Variables<T>& x) { return mean(x[0]); },
         [](const Arrays& x) {
             Array y{Shape{}};
             for (const Complex& v : x[0].values) y[0] += v / static_cast<double>(x[0].numel());
             return y;
         }},
        {"matmul", 2,
         [](const Shapes& s) { return s[0].rank() == 2 && s[1].rank() == 2 && s[0][1] == s[1][1]; },
         [](const Variables<T>& x) { return matmul(x[0], transpose(x[1])); },
         [](const Arrays& x) {
             const Index rows = x[0].shape[0], columns = x[1].shape[0], inner = x[0].shape[1];
             Array y({rows, columns});
             for (Index i = 0; i < rows * columns; ++i)
                 for (Index k = 0; k < inner; ++k)
                     y[i] += x[0][i / columns * inner + k] * x[1][i % columns * inner + k];
             return y;
         }},
        {"flatten", 1, anything, [](const Variables<T>& x) { return reshape(x[0], Shape{x[0].numel()}); },
         [](const Arrays& x) { return reshaped(x[0], Shape{x[0].numel()}); }},
        // Adds its contribution to the gradient in place.
        {"index_select", 1, [](const Shapes& s) { return is_list(s[0]); },
         [](const Variables<T>& x) {
             return index_select(x[0], 0, Tensor<Index>{0, x[0].size(0) - 1, 0});
         },
         [](const Arrays& x) {
             const Index row = x[0].numel() / x[0].shape[0];
             std::vector<Index> sizes(x[0].shape.begin(), x[0].shape.end());
             sizes[0] = 3;
             Array y(Shape(sizes.begin(), sizes.end()));
             for (Index i = 0; i < y.numel(); ++i)
                 y[i] = x[0][i / row == 1 ? x[0].numel() - row + i % row : i % row];
             return y;
         }},
        // Any number of inputs with one rule.
        {"concat", 2, [](const Shapes& s) { return is_list(s[0]) && s[0] == s[1]; },
         [](const Variables<T>& x) {
             return concat({x[0], x[1], x[0]});
         },
         [](const Arrays& x) {
             std::vector<Index> sizes(x[0].shape.begin(), x[0].shape.end());
             sizes[0] *= 3;
             Array y(Shape(sizes.begin(), sizes.end()));
             for (Index i = 0; i < y.numel(); ++i) y[i] = x[i / x[0].numel() == 1 ? 1 : 0][i % x[0].numel()];
             return y;
         }},
        // A joint rule.
        {"joint product", 2, [](const Shapes& s) { return s[0] == s[1]; },
         [](const Variables<T>& x) {
             return record(
                 "joint product", x[0].value() * x[1].value(),
                 wrt_jointly(
                     std::array{x[0], x[1]}, [a = x[0].value(), b = x[1].value()](
                                                 const Tensor<T>& dy, const std::array<bool, 2>& want) {
                         return std::array{want[0] ? dy * b : Tensor<T>(), want[1] ? dy * a : Tensor<T>()};
                     }));
         },
         [](const Arrays& x) { return zip(x[0], x[1], [](auto a, auto b) { return a * b; }); }},
        // Work that the library defers, to do it together with what comes next.
        {"convolution", 2,
         [](const Shapes& s) {
             return is_image(s[0]) && s[1] == Shape{2, 2, 2, 2};
         },
         [](const Variables<T>& x) { return conv2d(x[0], x[1], {.padding = 1}); },
         [](const Arrays& x) { return convolved(x[0], x[1]); }},
        {"convolution, pooling, relu", 2,
         [](const Shapes& s) {
             return is_image(s[0]) && s[1] == Shape{2, 2, 2, 2};
         },
         [](const Variables<T>& x) {
             return relu(max_pool2d(conv2d(x[0], x[1], {.padding = 1}), MaxPool2dOptions{2}));
         },
         [](const Arrays& x) { return relu_of(pooled(convolved(x[0], x[1]))); }},
        {"pooling", 1, [](const Shapes& s) { return is_image(s[0]); },
         [](const Variables<T>& x) { return max_pool2d(x[0], MaxPool2dOptions{2}); },
         [](const Arrays& x) { return pooled(x[0]); }},
        {"norm", 1, [](const Shapes& s) { return is_image(s[0]); },
         [](const Variables<T>& x) { return batch_norm(x[0]); },
         [](const Arrays& x) { return normalized(x[0]); }},
        {"norm, sum, relu", 2, [](const Shapes& s) { return is_image(s[0]) && s[0] == s[1]; },
         [](const Variables<T>& x) { return relu(batch_norm(x[0]) + x[1]); },
         [](const Arrays& x) {
             return relu_of(zip(normalized(x[0]), x[1], [](auto a, auto b) { return a + b; }));
         }},
    };
    return list;
}

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

    void walk(std::size_t root, const std::vector<double>& seed, bool keep) {
        std::vector<std::optional<Gradient>> incoming(values.size());
        std::vector<bool> hooked(values.size());  // a leaf's first hook is called by the next walk
        for (std::size_t i = 0; i < values.size(); ++i) hooked[i] = !values[i].hooks.empty();
        incoming[root].emplace(values[root].value.numel());
        for (std::size_t i = 0; i < seed.size(); ++i) {
            incoming[root]->sum[i] = seed[i];
            incoming[root]->size[i] = std::abs(seed[i]);
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
        const Operation<T>& operation = operations<T>()[below(operations<T>().size())];
        std::vector<std::size_t> inputs;
        Shapes shapes;
        Arrays arrays;
        for (std::size_t k = 0; k < operation.inputs; ++k) {
            inputs.push_back(*pick_input());
            arrays.push_back(model_.values[inputs.back()].value);
            shapes.push_back(arrays.back().shape);
        }
        if (!operation.fits(shapes)) return false;
        nearest_trouble = 1;
        Value result{.value = operation.reference(arrays)};
        if (nearest_trouble < 0.01 || result.value.numel() > 100) return false;
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
                total.backward({.keep_graph = true});
                part.backward();
                break;
            }
            default:
                expect_refusal(root_);
                if (variables_[from].defined()) expect_refusal(variables_[from]);
        }
    }

    void expect_refusal(const Variable<T>& variable) {
        try {
            variable.backward({.seed = ones<T>(variable.shape()), .keep_graph = true});
        } catch (const GraphError&) {
            return;
        }
        throw Fault("a walk within a walk of the same values was not refused");
    }

    void explode_at(std::size_t value) const {
        if (bomb_ == value) throw Bomb();
    }

    // -- What happens between two walks, and the walks --

    void take_step() {
        const auto untargeted = [](std::size_t, const Value& value) {
            return !value.targeted && !value.dropped && value.requires_grad;
        };
        const auto untargeted_leaf = [](std::size_t, const Value& value) {
            return value.is_leaf && !value.targeted && !value.dropped;
        };
        switch (below(16)) {
            case 0:
            case 1:
            case 2:
                return add_result();
            case 3:
            case 4:
                if (const auto i = pick(untargeted)) {
                    const std::size_t hook = new_hook(*i);
                    register_hook(hook);
                    model_.values[*i].hooks.push_back(hook);
                    model_.hooks[hook].action = new_action(*i);
                }
                return;
            case 5:
                if (const auto i = pick(untargeted); i && has_live_hook(model_.values[*i])) {
                    const std::size_t hook = live_hook(model_.values[*i]);
                    handles_[hook]->remove();
                    model_.hooks[hook].removed = true;
                }
                return;
            case 6:
                if (const auto i = pick(untargeted); i && !model_.values[*i].is_leaf) {
                    if (chance(0.6)) {
                        variables_[*i].retain_grad();
                        model_.values[*i].retains = true;
                    } else {
                        variables_[*i] = Variable<T>();
                        model_.values[*i].dropped = true;
                    }
                }
                return;
            case 7:
            case 8:
                if (const auto i = pick_input()) {
                    variables_[*i].zero_grad();
                    model_.values[*i].gradient.reset();
                }
                return;
            case 9:
                if (const auto i = pick(untargeted_leaf)) {
                    const Tensor<T> value = numbers(variables_[*i].shape());
                    variables_[*i].set_value(value);
                    model_.values[*i].value = array_of(value);
                }
                return;
            case 10:
                if (const auto i = pick(untargeted_leaf)) {
                    model_.values[*i].requires_grad = !model_.values[*i].requires_grad;
                    variables_[*i].set_requires_grad(model_.values[*i].requires_grad);
                }
                return;
            default:
                return walk();
        }
    }

    void walk() {
        const std::size_t root = *pick_input();
        const bool keep = chance(0.65);
        root_ = variables_[root];
        BackwardOptions<T> options{.keep_graph = keep};
        const bool seeded = root_.numel() != 1 || chance(0.5), forgotten = seeded && chance(0.03);
        if (seeded && !forgotten) options.seed = numbers(root_.shape());
        std::vector<double> seed(at(root_.numel()), 1.0);
        if (options.seed)
            for (Index i = 0; i < root_.numel(); ++i)
                seed[at(i)] = static_cast<double>(options.seed->data()[i]);

        if ((forgotten && root_.numel() != 1) || model_.refuses(root)) {
            bool refused = false;
            try {
                root_.backward(std::move(options));
            } catch (const GraphError&) {
                refused = true;
            }
            if (!refused) throw Fault("a walk that cannot be was not refused");
        } else if (const auto at_value = chance(0.15) ? pick_bomb(root) : std::nullopt) {
            bomb_ = at_value;
            bool exploded = false;
            try {
                root_.backward(std::move(options));
            } catch (const Bomb&) {
                exploded = true;
            }
            bomb_.reset();
            if (!exploded) throw Fault("a hook or rule was not called");
            start_over(keep);
        } else {
            root_.backward(std::move(options));
            model_.walk(root, seed, keep);
        }
        root_ = Variable<T>();
        check_gradients();
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
    const std::uint64_t count = wish ? 1 : 1000;
    for (std::uint64_t seed = first; forever || seed < first + count; ++seed) {
        check_seed<float>(seed);
        check_seed<double>(seed);
    }
}
