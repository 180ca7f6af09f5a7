// SPDX-License-Identifier: MIT
#include "gradus/nn/init.hpp"

#include "support/numbers.hpp"

using namespace gradus;
namespace init = nn::init;
using init::FanMode, init::Nonlinearity;

namespace {

struct Moments {
    double mean = 0, std = 0, largest = 0;
};

Moments moments(const Variable<>& x) {
    Moments result;
    double squares = 0;
    for (const float value : x.value()) {
        const auto v = static_cast<double>(value);
        result.mean += v;
        squares += v * v;
        result.largest = std::max(result.largest, std::abs(v));
    }
    const auto count = static_cast<double>(x.numel());
    result.mean /= count;
    result.std = std::sqrt(squares / count - result.mean * result.mean);
    return result;
}

/// 200,000 numbers: the standard error of their standard deviation is 0.16 % (normal) or 0.1 % (uniform).
constexpr double tolerance = 0.01;
Variable<> weight() { return leaf(zeros({400, 500})); }

void check_uniform(const Variable<>& x, double bound) {
    const Moments m = moments(x);
    CHECK(m.largest <= bound);
    CHECK(m.largest > 0.999 * bound);
    CHECK(m.std == Approx(bound / std::sqrt(3.0)).epsilon(tolerance));
    CHECK(std::abs(m.mean) < tolerance * bound);
}

void check_normal(const Variable<>& x, double std) {
    const Moments m = moments(x);
    CHECK(m.std == Approx(std).epsilon(tolerance));
    CHECK(std::abs(m.mean) < tolerance * std);
    CHECK(m.largest > 4 * std);
    CHECK(m.largest < 6.5 * std);
}

}  // namespace

TEST_CASE("init: gains") {
    CHECK(init::calculate_gain(Nonlinearity::linear) == 1);
    CHECK(init::calculate_gain(Nonlinearity::sigmoid) == 1);
    CHECK(init::calculate_gain(Nonlinearity::tanh) == Approx(1.6666666666666667));
    CHECK(init::calculate_gain(Nonlinearity::relu) == Approx(1.4142135623730951));
    CHECK(init::calculate_gain(Nonlinearity::leaky_relu) == Approx(1.4141428569978354));
    CHECK(init::calculate_gain(Nonlinearity::leaky_relu, 0.2) == Approx(1.3867504905630728));
    CHECK(init::calculate_gain(Nonlinearity::selu) == 0.75);
}

TEST_CASE("init: fans") {
    const auto check_fans = [](const Shape& shape, Index in, Index out) {
        CHECK(init::fans(shape).in == in);
        CHECK(init::fans(shape).out == out);
    };
    check_fans({400, 500}, 500, 400);
    check_fans({16, 3, 5, 5}, 75, 400);
    check_fans({8, 4, 3}, 12, 24);
    check_fans({8, 4, 2, 3, 5}, 120, 240);
}

TEST_CASE("init: constants") {
    Variable<> w = leaf(zeros({2, 3}));
    init::constant(w, 2.5f);
    CHECK(w.value() == full({2, 3}, 2.5f));
    init::ones(w);
    CHECK(w.value() == ones({2, 3}));
    init::zeros(w);
    CHECK(w.value() == zeros({2, 3}));
    Variable<> vector = leaf(ones({4}));
    init::zeros(vector);
    CHECK(vector.value() == zeros({4}));
}

TEST_CASE("init: uniform and normal") {
    Generator generator(1);
    Variable<> w = weight();
    init::uniform(w, -0.5, 0.5, generator);
    check_uniform(w, 0.5);
    init::normal(w, 0, 2, generator);
    check_normal(w, 2);
    init::normal(w, 3, 0, generator);
    CHECK(w.value() == full({400, 500}, 3));
    init::uniform(w, 1, 2, generator);
    CHECK(moments(w).mean == Approx(1.5).epsilon(tolerance));
}

TEST_CASE("init: Xavier, with PyTorch's numbers") {
    Generator generator(1);
    Variable<> w = weight();
    init::xavier_uniform(w, {}, generator);
    check_uniform(w, 0.0816496581);  // √(6 / 900)
    init::xavier_uniform(w, {.gain = init::calculate_gain(Nonlinearity::tanh)}, generator);
    check_uniform(w, 0.136082763);
    init::xavier_normal(w, {}, generator);
    check_normal(w, 0.0471404521);  // √(2 / 900)
    init::xavier_normal(w, {.gain = 2}, generator);
    check_normal(w, 0.0942809042);
}

TEST_CASE("init: Kaiming, with PyTorch's numbers") {
    Generator generator(1);
    Variable<> w = weight();
    init::kaiming_uniform(w, {}, generator);
    check_uniform(w, 0.109544512);  // √(6 / 500)
    init::kaiming_uniform(w, {.mode = FanMode::fan_out, .nonlinearity = Nonlinearity::linear}, generator);
    check_uniform(w, 0.0866025404);  // √(3 / 400)
    init::kaiming_uniform(w, {.slope = std::sqrt(5.0)}, generator);
    check_uniform(w, 0.0447213595);  // 1 / √500, as in PyTorch's Linear
    init::kaiming_normal(w, {}, generator);
    check_normal(w, 0.0632455532);  // √(2 / 500)
    init::kaiming_normal(w, {.mode = FanMode::fan_out, .nonlinearity = Nonlinearity::relu}, generator);
    check_normal(w, 0.0707106781);  // √(2 / 400)
    init::kaiming_normal(w, {.nonlinearity = Nonlinearity::tanh}, generator);
    check_normal(w, 0.0745355992);  // 5/3 / √500
    init::kaiming_normal(w, {.nonlinearity = Nonlinearity::selu, .slope = 7}, generator);
    check_normal(w, 0.0335410197);

    Variable<> filter = leaf(zeros({160, 30, 5, 5}));
    init::kaiming_normal(filter, {}, generator);
    check_normal(filter, 0.0516397779);  // √(2 / 750)
}

TEST_CASE("init: the same seed gives the same weights, and a parameter stays a leaf") {
    Parameter<> a(zeros({3, 4})), b(zeros({3, 4}));
    manual_seed(5);
    init::kaiming_normal(a);
    manual_seed(5);
    init::kaiming_normal(b);
    CHECK(a.value() == b.value());
    init::kaiming_normal(b);
    CHECK_FALSE(a.value() == b.value());
    CHECK((a.is_leaf() && a.requires_grad()));

    Generator generator(2), same(2);
    init::xavier_uniform(a, {}, generator);
    init::xavier_uniform(b, {}, same);
    CHECK(a.value() == b.value());
}

TEST_CASE("init: refusals") {
    Variable<> vector = leaf(zeros({5})), number = leaf(zeros({}));
    const std::string rule =
        "init: fans need a weight of two axes or more (use uniform, normal or constant): got ";
    CHECK_THROWS_MATCHES(init::xavier_uniform(vector), ShapeError, Message(rule + "[5]"));
    CHECK_THROWS_MATCHES(init::xavier_normal(vector), ShapeError, Message(rule + "[5]"));
    CHECK_THROWS_MATCHES(init::kaiming_uniform(number), ShapeError, Message(rule + "[]"));
    CHECK_THROWS_MATCHES(init::kaiming_normal(vector), ShapeError, Message(rule + "[5]"));
    CHECK_THROWS_MATCHES(
        init::uniform(vector, 1, 0), ValueError,
        Message("uniform: needs low <= high, both finite and not too far apart: got 1.000000 and 0.000000"));
    CHECK_THROWS_MATCHES(
        init::normal(vector, 0, -1), ValueError,
        Message("normal: needs a finite mean and a finite std >= 0: got 0.000000 and -1.000000"));
    CHECK_THROWS_AS(init::normal(vector, 0, static_cast<double>(NaN)), ValueError);
    CHECK(vector.value() == zeros({5}));
}
