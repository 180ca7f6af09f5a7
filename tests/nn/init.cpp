// SPDX-License-Identifier: MIT
#include "gradus/nn/init.hpp"

#include <algorithm>

#include "gradus/autograd/parameter.hpp"
#include "support/numbers.hpp"
#include "support/threads.hpp"

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
    CHECK(init::calculate_gain(Nonlinearity::conv) == 1);
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
    init::kaiming_uniform(w, {.negative_slope = std::sqrt(5.0)}, generator);
    check_uniform(w, 0.0447213595);  // 1 / √500, as in PyTorch's Linear
    init::kaiming_normal(w, {}, generator);
    check_normal(w, 0.0632455532);  // √(2 / 500)
    init::kaiming_normal(w, {.mode = FanMode::fan_out, .nonlinearity = Nonlinearity::relu}, generator);
    check_normal(w, 0.0707106781);  // √(2 / 400)
    init::kaiming_normal(w, {.nonlinearity = Nonlinearity::tanh}, generator);
    check_normal(w, 0.0745355992);  // 5/3 / √500
    init::kaiming_normal(w, {.nonlinearity = Nonlinearity::selu, .negative_slope = 7}, generator);
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
        Message("uniform: needs low <= high, both finite and not too far apart: got 1 and 0"));
    CHECK_THROWS_MATCHES(init::normal(vector, 0, -1), ValueError,
                         Message("normal: needs a finite mean and a finite std >= 0: got 0 and -1"));
    CHECK_THROWS_AS(init::normal(vector, 0, static_cast<double>(NaN)), ValueError);
    CHECK(vector.value() == zeros({5}));
}

namespace {

/// The largest distance of a matrix from gain² · identity.
double distance_from_identity(const Tensor<double>& w, double gain) {
    const Index rows = w.size(0), columns = w.numel() / rows, count = std::min(rows, columns);
    const auto at = [&](Index i, Index k) {  // element k of the i-th of the fewer vectors
        return rows <= columns ? w.data()[i * columns + k] : w.data()[k * columns + i];
    };
    double worst = 0;
    for (Index i = 0; i < count; ++i)
        for (Index j = 0; j <= i; ++j) {
            double dot = 0;
            for (Index k = 0; k < std::max(rows, columns); ++k) dot += at(i, k) * at(j, k);
            worst = std::max(worst, std::abs(dot - (i == j ? gain * gain : 0)));
        }
    return worst;
}

}  // namespace

TEST_CASE("init: orthogonal rows or columns") {
    Generator generator(1);
    for (const Shape& shape : {Shape{40, 40}, Shape{30, 50}, Shape{50, 30}, Shape{16, 3, 5, 5},
                               Shape{200, 4, 3}, Shape{1, 7}, Shape{7, 1}, Shape{1, 1}, Shape{257, 256}}) {
        INFO(to_string(shape));
        Variable<double> w(zeros<double>(shape));
        init::orthogonal(w, {.gain = 1.5}, generator);
        CHECK(distance_from_identity(w.value(), 1.5) < 1e-13);
    }
    Variable<> w = leaf(zeros({64, 32}));
    init::orthogonal(w, {}, generator);
    CHECK(distance_from_identity(cast<double>(w.value()), 1) < 1e-6);
    Variable<> empty = leaf(zeros({0, 3}));
    init::orthogonal(empty);
    CHECK(empty.shape() == Shape{0, 3});
}

TEST_CASE("init: orthogonal matrices are spread evenly") {
    Generator generator(3);
    const int draws = 4000;
    double corner = 0, squares = 0, determinant = 0;
    for (int i = 0; i < draws; ++i) {
        Variable<double> w(zeros<double>({2, 2}));
        init::orthogonal(w, {}, generator);
        const Tensor<double>& q = w.value();
        corner += q(0, 0);
        squares += q(1, 0) * q(1, 0);
        determinant += q(0, 0) * q(1, 1) - q(0, 1) * q(1, 0);
    }
    CHECK(std::abs(corner / draws) < 5 * std::sqrt(0.5 / draws));
    CHECK(squares / draws == Approx(0.5).epsilon(0.05));
    CHECK(std::abs(determinant / draws) < 5 / std::sqrt(1.0 * draws));  // rotations and reflections alike
}

TEST_CASE("init: the normal quantile inverts the distribution function") {
    for (const double z : {-37.0, -8.0, -3.0, -1.0, -1e-3, 0.0, 0.5, 2.0, 5.0}) {
        const double p = init::detail::normal_cdf(z);
        INFO(z);
        CHECK(init::detail::normal_quantile(p, -38, 8) == Approx(z).epsilon(1e-7).margin(1e-15));
    }
    CHECK(init::detail::normal_quantile(0.975, -38, 8) == Approx(1.959963984540054).epsilon(1e-14));
}

TEST_CASE("init: truncated normal numbers") {
    Generator generator(1);
    Variable<> w = weight();
    const auto range = [&] { return std::minmax_element(w.value().begin(), w.value().end()); };
    init::trunc_normal(w, {}, generator);
    Moments m = moments(w);
    CHECK(std::abs(m.mean) < 0.01);
    CHECK(m.std == Approx(0.879625661).epsilon(tolerance));  // of N(0, 1) in [-2, 2]
    CHECK(m.largest <= 2);
    CHECK(m.largest > 1.999);
    double inside = 0;
    for (const float v : w.value()) inside += std::abs(v) < 1;
    CHECK(inside / 200000 == Approx(0.6826894921 / 0.9544997361).epsilon(tolerance));

    init::trunc_normal(w, {.mean = 1, .std = 0.5, .a = 0.9, .b = 3}, generator);
    m = moments(w);
    CHECK(m.mean == Approx(1.33743952).epsilon(tolerance));
    CHECK(m.std == Approx(0.31960603).epsilon(tolerance));
    CHECK((*range().first >= 0.9f && *range().second <= 3));

    init::trunc_normal(w, {.std = 0.1, .a = 1, .b = 2}, generator);  // ten deviations out
    CHECK((*range().first >= 1 && *range().second < 1.2f));
    CHECK(moments(w).mean == Approx(1.00981).epsilon(1e-4));
    init::trunc_normal(w, {.std = 0.1, .a = -2, .b = -1}, generator);
    CHECK(moments(w).mean == Approx(-1.00981).epsilon(1e-4));

    const Threads one_thread(1);
    Generator same(9), again(9);
    init::trunc_normal(w, {}, same);
    const Tensor<> alone = w.value();
    const Threads limit(3);
    init::trunc_normal(w, {}, again);
    CHECK(w.value() == alone);
}

TEST_CASE("init: dirac passes the input of a convolution on") {
    Variable<> line = leaf(ones({3, 2, 3}));
    init::dirac(line);
    CHECK(line.value() == Tensor<>{{{0, 1, 0}, {0, 0, 0}}, {{0, 0, 0}, {0, 1, 0}}, {{0, 0, 0}, {0, 0, 0}}});
    Variable<> grouped = leaf(ones({4, 2, 2}));
    init::dirac(grouped, {.groups = 2});
    CHECK(grouped.value() ==
          Tensor<>{{{0, 1}, {0, 0}}, {{0, 0}, {0, 1}}, {{0, 1}, {0, 0}}, {{0, 0}, {0, 1}}});
    Variable<> image = leaf(ones({2, 3, 3, 5}));
    init::dirac(image);
    CHECK((image.value()(0, 0, 1, 2) == 1 && image.value()(1, 1, 1, 2) == 1 &&
           moments(image).mean == Approx(2.0 / 90)));
    Variable<> volume = leaf(ones({1, 1, 3, 1, 2}));
    init::dirac(volume);
    CHECK((volume.value()(0, 0, 1, 0, 1) == 1 && moments(volume).mean == Approx(1.0 / 6)));
}

TEST_CASE("init: sparse columns") {
    Generator generator(1);
    Variable<> w = leaf(zeros({101, 300}));
    init::sparse(w, {.sparsity = 0.3, .std = 2}, generator);
    double squares = 0;
    std::vector<int> by_row(101);
    for (Index j = 0; j < 300; ++j) {
        int zeros_here = 0;
        for (Index i = 0; i < 101; ++i) {
            const auto v = static_cast<double>(w.value()(i, j));
            zeros_here += v == 0;
            by_row[static_cast<std::size_t>(i)] += v == 0;
            squares += v * v;
        }
        CHECK(zeros_here == 31);  // 30.3, rounded up
    }
    CHECK(squares / (70 * 300) == Approx(4).epsilon(0.05));
    for (const int count : by_row)
        CHECK(std::abs(count - 300 * 31.0 / 101) < 5 * std::sqrt(300 * 0.31 * 0.69));
    init::sparse(w, {.sparsity = 1}, generator);
    CHECK(w.value() == zeros({101, 300}));
    init::sparse(w, {.sparsity = 0}, generator);
    CHECK(moments(w).std == Approx(0.01).epsilon(0.02));
}

TEST_CASE("init: the identity, also of matrices that are not square") {
    Variable<> w = leaf(full({2, 3}, 7));
    init::eye(w);
    CHECK(w.value() == Tensor<>{{1, 0, 0}, {0, 1, 0}});
    Variable<> tall = leaf(full({3, 2}, 7));
    init::eye(tall);
    CHECK(tall.value() == Tensor<>{{1, 0}, {0, 1}, {0, 0}});
}

TEST_CASE("init: what the special ones refuse") {
    Variable<> vector = leaf(zeros({5})), matrix = leaf(zeros({3, 4})), filter = leaf(zeros({4, 2, 3}));
    CHECK_THROWS_MATCHES(init::orthogonal(vector), ShapeError,
                         Message("orthogonal: needs a weight of two axes or more: got [5]"));
    CHECK_THROWS_MATCHES(init::dirac(matrix), ShapeError,
                         Message("dirac: needs the weight of a convolution, three to five axes: got [3, 4]"));
    const std::string groups = "dirac: the groups must divide the output channels: got ";
    CHECK_THROWS_MATCHES(init::dirac(filter, {.groups = 3}), ValueError, Message(groups + "3 and 4"));
    CHECK_THROWS_MATCHES(init::dirac(filter, {.groups = 0}), ValueError, Message(groups + "0 and 4"));
    CHECK_THROWS_MATCHES(init::sparse(filter), ShapeError, Message("sparse: needs a matrix: got [4, 2, 3]"));
    CHECK_THROWS_MATCHES(init::sparse(matrix, {.sparsity = 1.5}), ValueError,
                         Message("sparse: the sparsity must be in [0, 1]: got 1.5"));
    CHECK_THROWS_MATCHES(init::eye(vector), ShapeError, Message("eye: needs a matrix: got [5]"));
    const std::string limits = "trunc_normal: needs std > 0 and a < b, all finite: got std ";
    CHECK_THROWS_MATCHES(init::trunc_normal(matrix, {.std = 0}), ValueError,
                         Message(limits + "0, a -2 and b 2"));
    CHECK_THROWS_MATCHES(init::trunc_normal(matrix, {.a = 1, .b = 1}), ValueError,
                         Message(limits + "1, a 1 and b 1"));
    CHECK_THROWS_AS(init::trunc_normal(matrix, {.b = static_cast<double>(infinity)}), ValueError);
    CHECK_THROWS_MATCHES(
        init::trunc_normal(matrix, {.a = 50, .b = 51}), ValueError,
        Message("trunc_normal: [a, b] is so far from the mean that it holds no probability, in "
                "standard deviations: got 50 and 51"));
    CHECK(matrix.value() == zeros({3, 4}));
}

TEST_CASE("init: trunc_normal of the draws at the ends of their range") {
    // A generator whose very first word is below 2⁸, so that a float draw is 0: 442941 weights, one of which
    // lay 38.5 standard deviations from the mean.
    Variable<> weights = leaf(zeros({442941}));
    Generator generator(33);
    init::trunc_normal(weights, {.std = 0.02}, generator);
    const auto [low, high] = std::minmax_element(weights.value().begin(), weights.value().end());
    CHECK(*low > -0.02f * 5.5f);
    CHECK(*high < 0.02f * 5.5f);
}

TEST_CASE("init: uniform draws above 0") {
    using gradus::detail::above_zero;
    CHECK(above_zero(0.0f) == 0x1p-25f);  // the middle of what 0 stands for
    CHECK(above_zero(0x1p-24f) == 0x1p-24f);
    CHECK(above_zero(1 - 0x1p-24f) == 1 - 0x1p-24f);
    CHECK(above_zero(0.0) == 0x1p-54);
    CHECK(above_zero(0x1p-53) == 0x1p-53);
    // What trunc_normal makes of the ends, when its limits are too far off to matter.
    const auto z = [](double u) { return init::detail::normal_quantile(u, -100, 100); };
    CHECK(z(0x1p-25) == Approx(-5.41998317).epsilon(1e-8));  // by mpmath
    CHECK(z(1 - 0x1p-24) == Approx(5.29470408).epsilon(1e-8));
    CHECK(z(0x1p-54) == Approx(-8.29236108).epsilon(1e-8));
    CHECK(z(1 - 0x1p-53) == Approx(8.2095).epsilon(0.01));  // one step below 1
}

TEST_CASE("init: the fans of a grouped convolution") {
    const Shape shape{8, 2, 3, 3};  // of 8 to 8 channels in 4 groups
    CHECK(init::fans(shape, 4).in == 18);
    CHECK(init::fans(shape, 4).out == 18);
    CHECK(init::fans(shape).out == 72);
    CHECK_THROWS_MATCHES(init::fans(shape, 3), ValueError,
                         Message("init: the groups must divide the output channels: got 3 and 8"));
    const auto first = [&](const auto& fill) {
        Variable<> w(zeros(shape));
        Generator generator(1);
        fill(w, generator);
        return w.value().data()[0];
    };
    const auto kaiming = [&](Index groups) {
        return first([groups](auto& w, auto& g) {
            init::kaiming_normal(w, {.mode = init::FanMode::fan_out, .groups = groups}, g);
        });
    };
    CHECK(static_cast<double>(kaiming(4)) ==
          Approx(static_cast<double>(2 * kaiming(1))));  // a quarter of the fan
    const auto xavier = [&](Index groups) {
        return first([groups](auto& w, auto& g) { init::xavier_uniform(w, {.groups = groups}, g); });
    };
    CHECK(static_cast<double>(xavier(4)) == Approx(static_cast<double>(xavier(1)) * std::sqrt(90.0 / 36.0)));
}

TEST_CASE("init: orthogonal within each group") {
    Variable<> w(zeros({6, 1, 2, 2}));  // depthwise: every output is a group
    init::orthogonal(w, {.groups = 6});
    for (Index i = 0; i < 6; ++i) {
        double square = 0;
        for (Index k = 0; k < 4; ++k) square += std::pow(static_cast<double>(w.value().data()[4 * i + k]), 2);
        CHECK(square == Approx(1));
    }
    CHECK_THROWS_MATCHES(init::orthogonal(w, {.groups = 4}), ValueError,
                         Message("orthogonal: the groups must divide the output channels: got 4 and 6"));
}

TEST_CASE("init: empty weights stay empty") {
    for (const Shape& shape : {Shape{0, 3}, Shape{3, 0}, Shape{0, 0}}) {
        Variable<> w(zeros(shape));
        init::kaiming_uniform(w);
        init::kaiming_normal(w);
        init::kaiming_normal(w, {.mode = init::FanMode::fan_out});
        init::xavier_uniform(w);
        init::xavier_normal(w);
        init::trunc_normal(w);
        init::orthogonal(w);
        init::sparse(w);
        init::eye(w);
        init::uniform(w, -1, 1);
        init::normal(w, 0, 1);
        CHECK(w.shape() == shape);
    }
    Variable<> kernel(zeros({0, 3, 3, 3}));
    init::dirac(kernel);
    CHECK(kernel.numel() == 0);
}
