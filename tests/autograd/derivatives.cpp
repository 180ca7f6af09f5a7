// SPDX-License-Identifier: MIT
#include "gradus/autograd/derivatives.hpp"

#include <cmath>
#include <vector>

#include "gradus/ops/arithmetic.hpp"
#include "gradus/ops/reduce.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

using Full = Tensor<double>;
using Tensors = std::vector<Full>;

}  // namespace

TEST_CASE("derivatives: jvp gives the value and the directional derivative") {
    const auto f = [](const auto& x) { return x[0] * x[0] * x[1]; };
    const auto [value, tangent] =
        jvp(f, Tensors{Full{1, 2}, Full{3, 4}}, Tensors{Full{1, 10}, Full{100, 1000}});
    CHECK(value == Full{3, 16});
    CHECK(tangent == Full{2 * 1 * 3 * 1 + 1 * 100, 2 * 2 * 4 * 10 + 4 * 1000});
}

TEST_CASE("derivatives: jvp records no history and leaves gradients alone") {
    bool recorded = true;
    const auto f = [&recorded](const auto& x) {
        auto y = x[0] * x[0];
        recorded = y.requires_grad() || is_grad_enabled();
        return y;
    };
    const auto result = jvp(f, Tensors{Full{3}}, Tensors{Full{1}});
    CHECK(result.tangent == Full{6});
    CHECK_FALSE(recorded);
    CHECK(is_grad_enabled());
}

TEST_CASE("derivatives: jvp of float and with broadcasting") {
    const auto f = [](const auto& x) { return exp(x[0]) + x[1]; };
    const auto result = jvp(f, std::vector<Tensor<>>{Tensor<>{{0, 1}, {2, 3}}, Tensor<>{5, 6}},
                            std::vector<Tensor<>>{Tensor<>{{1, 0}, {0, 2}}, Tensor<>{10, 20}});
    CHECK(result.tangent.shape() == Shape{2, 2});
    CHECK(result.tangent(0, 0) == 11);
    CHECK(result.tangent(1, 1) == Approx(2 * std::exp(3.0) + 20));
}

TEST_CASE("derivatives: hvp of a quadratic is the matrix times the direction") {
    // f = x² y + 3 y², H = [[2 y, 2 x], [2 x, 6]].
    const auto f = [](const auto& x) { return x[0] * x[0] * x[1] + x[1] * x[1] * 3.0; };
    const auto result = hvp(f, Tensors{Full{2}, Full{5}}, Tensors{Full{10}, Full{1}});
    CHECK(result.value == Full{2 * 2 * 5 + 3 * 25});
    CHECK(result.gradient[0] == Full{2 * 2 * 5});
    CHECK(result.gradient[1] == Full{4 + 30});
    CHECK(result.hvp[0] == Full{10 * 10 + 4 * 1});
    CHECK(result.hvp[1] == Full{4 * 10 + 6 * 1});
}

TEST_CASE("derivatives: hvp is symmetric and equals a difference of gradients") {
    const auto f = [](const auto& x) { return sum(exp(x[0] * x[1]) / (x[0] * x[0] + 1.0)); };
    const Tensors at{Full{0.5, -0.25, 1}, Full{2, 0.5, -1}}, u{Full{1, 2, 3}, Full{-1, 0.5, 2}},
        v{Full{0, 1, -2}, Full{3, 1, 1}};
    const auto dot = [](const Tensors& a, const Tensors& b) {
        double total = 0;
        for (std::size_t k = 0; k < a.size(); ++k)
            for (Index i = 0; i < a[k].numel(); ++i) total += a[k](i) * b[k](i);
        return total;
    };
    CHECK(dot(u, hvp(f, at, v).hvp) == Approx(dot(v, hvp(f, at, u).hvp)));

    const double h = 1e-5;
    const auto shifted = [&](double step) {
        Tensors result;
        for (std::size_t k = 0; k < at.size(); ++k) result.push_back(at[k] + v[k] * step);
        return hvp(f, result, v).gradient;
    };
    const auto ahead = shifted(h), behind = shifted(-h), product = hvp(f, at, v).hvp;
    for (std::size_t k = 0; k < at.size(); ++k)
        for (Index i = 0; i < at[k].numel(); ++i)
            CHECK(product[k](i) == Approx((ahead[k](i) - behind[k](i)) / (2 * h)).epsilon(1e-6));
}

TEST_CASE("derivatives: an input that is not used has zeros") {
    const auto f = [](const auto& x) { return x[0] * x[0]; };
    const auto result = hvp(f, Tensors{Full{2}, Full{5, 6}}, Tensors{Full{1}, Full{1, 1}});
    CHECK(result.gradient[1] == Full{0, 0});
    CHECK(result.hvp[1] == Full{0, 0});
    CHECK(jvp(f, Tensors{Full{2}, Full{5, 6}}, Tensors{Full{0}, Full{1, 1}}).tangent == Full{0});
}

TEST_CASE("derivatives: third derivatives by nesting") {
    // The directional derivative of a Hessian-vector product: d³/dx³ x⁴ = 24 x.
    using Twice = Dual<double>;
    const auto f = [](const auto& x) { return x[0] * x[0] * x[0] * x[0]; };
    const auto result =
        hvp(f, std::vector<Tensor<Twice>>{Tensor<Twice>(Shape{1}, std::vector<Twice>{Twice(2, 1)})},
            std::vector<Tensor<Twice>>{Tensor<Twice>(Shape{1}, std::vector<Twice>{Twice(1)})});
    CHECK(result.hvp[0].item().value == 12 * 4);
    CHECK(result.hvp[0].item().dual == 24 * 2);
}

TEST_CASE("derivatives: refusals") {
    const auto f = [](const auto& x) { return x[0] * 2.0; };
    CHECK_THROWS_MATCHES(jvp(f, Tensors{Full{1, 2}}, Tensors{Full{1}}), ShapeError,
                         Message("jvp: value and tangent differ in shape: got [2] and [1]"));
    CHECK_THROWS_MATCHES(hvp(f, Tensors{Full{1, 2}}, Tensors{Full{1}}), ShapeError,
                         Message("hvp: value and tangent differ in shape: got [2] and [1]"));
    CHECK_THROWS_MATCHES(jvp(f, Tensors{Full{1}}, Tensors{}), ValueError,
                         Message("jvp: needs one tangent per input"));
    CHECK_THROWS_MATCHES(hvp(f, Tensors{Full{1}}, Tensors{Full{1}, Full{1}}), ValueError,
                         Message("hvp: needs one tangent per input"));
    CHECK_THROWS_MATCHES(
        hvp(f, Tensors{Full{1, 2}}, Tensors{Full{1, 2}}), GraphError,
        Message("backward: needs a single number or a gradient; sum() or mean() the result first: got [2]"));
    CHECK(is_grad_enabled());
}
