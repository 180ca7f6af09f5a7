// SPDX-License-Identifier: MIT
// Optimizers that the library does not have, from a rule each: Lion on numbers, LAMB by norms of whole
// parameters, and Adafactor with state of other shapes.

#include <array>
#include <cmath>

#include "gradus/nn/linear.hpp"
#include "gradus/nn/model.hpp"
#include "gradus/ops/arithmetic.hpp"
#include "gradus/ops/reduce.hpp"
#include "gradus/optim/any_optimizer.hpp"
#include "gradus/optim/schedule.hpp"
#include "optim/reference.hpp"

using namespace gradus;

namespace {

/// Chen et al., "Symbolic discovery of optimization algorithms", 2023.
struct LionOptions {
    double lr = 1e-4;
    double beta1 = 0.9, beta2 = 0.99;
    double weight_decay = 0;
};

template <class T>
struct LionRule : optim::ElementwiseRule<T> {
    using Options = LionOptions;
    static constexpr const char* name = "lion";
    static constexpr std::array state_names = {"exp_avg"};
    static constexpr double Options::*momentum = &Options::beta1;

    static void validate(const Options& o) {
        optim::check_common_settings(name, o);
        optim::check_fraction(name, "beta1", o.beta1);
        optim::check_fraction(name, "beta2", o.beta2);
    }

    T lr, beta1, beta2, decay;
    LionRule(const Options& o, Index)
        : lr(T(o.lr)), beta1(T(o.beta1)), beta2(T(o.beta2)), decay(T(o.weight_decay)) {}

    template <class V>
    GRADUS_INLINE void operator()(V& w, const V& dw, V& m) const {
        const V c = V(beta1) * m + V(T(1) - beta1) * dw;
        const V sign = select(c > V(0), V(1), select(c < V(0), V(-1), c));
        w = w - V(lr) * (sign + V(decay) * w);
        m = V(beta2) * m + V(T(1) - beta2) * dw;
    }
};

template <class T = float>
using Lion = optim::Optimizer<LionRule<T>>;

/// You et al., "Large batch optimization for deep learning: training BERT in 76 minutes", 2020.
struct LambOptions {
    double lr = 1e-3;
    double beta1 = 0.9, beta2 = 0.999;
    double eps = 1e-6;
};

template <class T>
struct LambRule : optim::TensorRule<T> {
    using Options = LambOptions;
    static constexpr const char* name = "lamb";
    static constexpr std::array state_names = {"exp_avg", "exp_avg_sq"};
    static void validate(const Options& o) { optim::check_common_settings(name, o); }

    Options o;
    double correction1, correction2;
    LambRule(const Options& options, Index step)
        : o(options), correction1(1 - std::pow(o.beta1, step)), correction2(1 - std::pow(o.beta2, step)) {}

    static T norm(const Tensor<T>& x) { return std::sqrt(sum(square(Variable<T>(x))).item()); }

    void operator()(Tensor<T>& w, const Tensor<T>& dw, Tensor<T>& m, Tensor<T>& v) const {
        m = T(o.beta1) * m + T(1 - o.beta1) * dw;
        v = T(o.beta2) * v + T(1 - o.beta2) * dw * dw;
        const Variable<T> root = sqrt(Variable<T>(v / T(correction2)));
        const Tensor<T> update = m / T(correction1) / (root.value() + T(o.eps));
        const T trust = norm(w) > 0 && norm(update) > 0 ? norm(w) / norm(update) : T(1);
        w = w - T(o.lr) * trust * update;
    }
};

/// The memory of Shazeer & Stern, "Adafactor: adaptive learning rates with sublinear memory cost", 2018: of a
/// matrix, averages of the squares over its rows and columns.
struct FactoredOptions {
    double lr = 1e-3, beta = 0.5;
};

template <class T>
struct FactoredRule : optim::TensorRule<T> {
    using Options = FactoredOptions;
    static constexpr const char* name = "factored";
    static constexpr std::array state_names = {"exp_avg_sq_row", "exp_avg_sq_col", "exp_avg_sq"};
    static void validate(const Options& o) { optim::check_common_settings(name, o); }
    static Shape state_shape(std::size_t state, const Shape& parameter) {
        if (parameter.rank() != 2) return state == 2 ? parameter : Shape{0};
        return state == 2 ? Shape{0} : state == 0 ? Shape{parameter[0], 1} : Shape{1, parameter[1]};
    }

    T lr, keep, take;
    FactoredRule(const Options& o, Index step)
        : lr(T(o.lr)), keep(T(step == 1 ? 0 : o.beta)), take(T(step == 1 ? 1 : 1 - o.beta)) {}

    void operator()(Tensor<T>& w, const Tensor<T>& dw, Tensor<T>& row, Tensor<T>& col, Tensor<T>& all) const {
        const Variable<T> squares(dw * dw);
        Tensor<T>& v = all;
        Tensor<T> product;
        if (w.rank() == 2) {
            row = keep * row + take * mean(squares, 1, {.keepdim = true}).value();
            col = keep * col + take * mean(squares, 0, {.keepdim = true}).value();
            product = row * col / mean(Variable<T>(row)).value();
        } else {
            product = v = keep * v + take * squares.value();
        }
        w = w - lr * dw / sqrt(Variable<T>(product)).value();
    }
};

template <class T = float>
using Lamb = optim::Optimizer<LambRule<T>>;
template <class T = float>
using Factored = optim::Optimizer<FactoredRule<T>>;

struct Net {
    nn::Linear<> fc{3, 2};
};

}  // namespace

TEST_CASE("custom rule: Lion, two steps by hand") {
    Variable<> w = leaf({8, 8, 8});
    Lion<> lion(Leaves<float>{w}, {.lr = 0.5, .beta1 = 0.75, .beta2 = 0.5, .weight_decay = 0.25});
    w.set_grad({4, -4, 0});
    lion.step();  // 8 − 0.5 (±1 + 2)
    CHECK(w.value() == Tensor<>{6.5f, 7.5f, 7});
    CHECK(lion.state()[0].kinds[0].name == "exp_avg");
    CHECK(lion.state()[0].kinds[0].value == Tensor<>{2, -2, 0});
    w.set_grad({-4, -4, 1});
    lion.step();  // 0.75 · 2 − 0.25 · 4 > 0
    CHECK(w.value() ==
          Tensor<>{6.5f - 0.5f * (1 + 1.625f), 7.5f - 0.5f * (-1 + 1.875f), 7 - 0.5f * (1 + 1.75f)});
}

TEST_CASE("custom rule: one of numbers has all that an optimizer has") {
    const LionOptions options{.lr = 0.1, .weight_decay = 0.1};
    check_absent<Lion<>>(options);
    check_nan<Lion<>>(LionOptions{});
    check_threads<Lion<>>(options);
    check_state<Lion<>>(options);

    Net net;
    Lion<> lion(nn::named_parameters(net), options);
    lion.configure("*.bias", [](auto& o) { o.weight_decay = 0; });
    CHECK(lion.groups().size() == 2);
    lion.set_momentum(0.5);
    CHECK(lion.groups()[1].options.beta1 == 0.5);
    CHECK_THROWS_MATCHES(lion.configure("fc", {.beta2 = 1}), ValueError,
                         Message("lion: beta2 must be at least 0 and below 1: got 1"));
    CHECK_THROWS_AS(lion.step(), GraphError);
    optim::AnyOptimizer any = lion;
    optim::schedule::apply(any, optim::schedule::constant({.lr = 0.25}), 7);
    CHECK(any.lr() == 0.25);
}

TEST_CASE("custom rule: one of whole parameters sees their norms") {
    // The first update is ±1 for every number, so each step is lr · |w| long, whatever the gradients.
    Variable<> small = leaf({{3, 0}, {0, 4}}), large = leaf({300, 400});
    Lamb<> lamb(Leaves<float>{small, large}, {.lr = 0.5, .eps = 0});
    small.set_grad({{1, 2}, {-3, 4}});
    large.set_grad({100, -1000});
    lamb.step();
    check_numbers(small.value(), {{1.75f, -1.25f}, {1.25f, 2.75f}}, 1e-5f);  // 0.5 · 5 / 2
    const float side = 250 / std::sqrt(2.0f);
    check_numbers(large.value(), {300 - side, 400 + side}, 1e-3f);
    CHECK(small.is_leaf());
    CHECK(small.requires_grad());
    check_absent<Lamb<>>(LambOptions{});
    check_threads<Lamb<>>(LambOptions{});
    check_state<Lamb<>>(LambOptions{});
}

TEST_CASE("custom rule: state of other shapes than the parameter") {
    // Squares of an outer product are the product of their averages: one step is then lr · sign(dw).
    Variable<> w = leaf(zeros({2, 3})), bias = leaf({0, 0});
    Factored<> factored(std::vector<NamedParameter<float>>{{"w", w}, {"bias", bias}}, {.lr = 0.5});
    w.set_grad({{1, -2, 3}, {2, -4, 6}});
    bias.set_grad({5, -7});
    factored.step();
    check_numbers(w.value(), {{-0.5f, 0.5f, -0.5f}, {-0.5f, 0.5f, -0.5f}}, 1e-6f);
    check_numbers(bias.value(), {-0.5f, 0.5f}, 1e-6f);

    auto state = factored.state();
    REQUIRE(state[0].kinds.size() == 2);
    CHECK(state[0].kinds[0].value.shape() == Shape{2, 1});
    CHECK(state[0].kinds[1].name == "exp_avg_sq_col");
    CHECK(state[0].kinds[1].value == Tensor<>{{2.5f, 10, 22.5f}});
    REQUIRE(state[1].kinds.size() == 1);
    CHECK(state[1].kinds[0].name == "exp_avg_sq");
    state[0].kinds[0].value = zeros({2, 3});
    CHECK_THROWS_MATCHES(
        factored.load_state(state), ShapeError,
        Message("factored: load_state: exp_avg_sq_row of w does not fit: got [2, 3] and [2, 1]"));
    check_absent<Factored<>>(FactoredOptions{});
    check_state<Factored<>>(FactoredOptions{});
}

namespace {

struct PlainOptions {
    double lr = 1;
};

struct FlatteningRule : optim::TensorRule<float> {
    using Options = PlainOptions;
    static constexpr const char* name = "flattening";
    static constexpr std::array<const char*, 0> state_names = {};
    static void validate(const Options&) {}

    FlatteningRule(const Options&, Index) {}
    void operator()(Tensor<>& w, const Tensor<>& dw) const {
        w = w.reshape({w.numel()}) - dw.reshape({w.numel()});
    }
};

}  // namespace

TEST_CASE("custom rule: a parameter must keep its shape") {
    Variable<> v = leaf({1, 2}), w = leaf({{1, 2}});
    v.set_grad({1, 1});
    w.set_grad({{1, 1}});
    optim::Optimizer<FlatteningRule>(Leaves<float>{v}).step();
    CHECK(v.value() == Tensor<>{0, 1});
    CHECK_THROWS_MATCHES(
        optim::Optimizer<FlatteningRule>(Leaves<float>{w}).step(), ShapeError,
        Message("flattening: the rule changed the shape of a parameter: got [1, 2] and [2]"));
}
