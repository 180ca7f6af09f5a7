// SPDX-License-Identifier: MIT
// Every optimizer reaches known minima, in the number of steps stated here.

#include <functional>
#include <string>

#include "gradus/core/random.hpp"
#include "gradus/ops/activation.hpp"
#include "gradus/ops/arithmetic.hpp"
#include "gradus/ops/matmul.hpp"
#include "gradus/ops/reduce.hpp"
#include "gradus/ops/slice.hpp"
#include "gradus/optim/adagrad.hpp"
#include "gradus/optim/adam.hpp"
#include "gradus/optim/rmsprop.hpp"
#include "gradus/optim/sgd.hpp"
#include "support/numbers.hpp"

using namespace gradus;

namespace {

using Loss = std::function<Variable<double>(const Variable<double>&)>;

/// The weights after so many steps of one optimizer, its lr falling to 0 in a straight line.
template <class Optimizer>
Tensor<double> minimize(const Loss& loss, const Tensor<double>& start, typename Optimizer::Options options,
                        int steps) {
    const Variable<double> w(start, {.requires_grad = true});
    Optimizer optimizer(std::vector<Variable<double>>{w}, options);
    const double lr = options.lr;
    for (int i = 0; i < steps; ++i) {
        optimizer.set_lr(lr * (steps - i) / steps);
        optimizer.zero_grad();
        loss(w).backward();
        optimizer.step();
    }
    return w.value();
}

struct Method {
    std::string name;
    std::function<Tensor<double>(const Loss&, const Tensor<double>& start, double lr, int steps)> run;
};

const Method sgd{"sgd", [](const Loss& f, const Tensor<double>& start, double lr, int steps) {
                     return minimize<optim::SGD<double>>(f, start, {.lr = lr}, steps);
                 }};
const Method momentum{"momentum", [](const Loss& f, const Tensor<double>& start, double lr, int steps) {
                          return minimize<optim::SGD<double>>(f, start, {.lr = lr, .momentum = 0.9}, steps);
                      }};
const Method average{"moving average", [](const Loss& f, const Tensor<double>& start, double lr, int steps) {
                         return minimize<optim::SGD<double>>(
                             f, start, {.lr = lr, .momentum = 0.9, .dampening = 0.9}, steps);
                     }};
const Method nesterov{"nesterov", [](const Loss& f, const Tensor<double>& start, double lr, int steps) {
                          return minimize<optim::SGD<double>>(
                              f, start, {.lr = lr, .momentum = 0.9, .nesterov = true}, steps);
                      }};
const Method adagrad{"adagrad", [](const Loss& f, const Tensor<double>& start, double lr, int steps) {
                         return minimize<optim::Adagrad<double>>(f, start, {.lr = lr}, steps);
                     }};
const Method rmsprop{"rmsprop", [](const Loss& f, const Tensor<double>& start, double lr, int steps) {
                         return minimize<optim::RMSProp<double>>(f, start, {.lr = lr, .alpha = 0.9}, steps);
                     }};
const Method centered{"centered rmsprop with momentum",
                      [](const Loss& f, const Tensor<double>& start, double lr, int steps) {
                          return minimize<optim::RMSProp<double>>(
                              f, start, {.lr = lr, .momentum = 0.5, .centered = true}, steps);
                      }};
const Method adam{"adam", [](const Loss& f, const Tensor<double>& start, double lr, int steps) {
                      return minimize<optim::Adam<double>>(f, start, {.lr = lr}, steps);
                  }};
const Method amsgrad{"amsgrad", [](const Loss& f, const Tensor<double>& start, double lr, int steps) {
                         return minimize<optim::Adam<double>>(f, start, {.lr = lr, .amsgrad = true}, steps);
                     }};
const Method adamw{"adamw without decay",
                   [](const Loss& f, const Tensor<double>& start, double lr, int steps) {
                       return minimize<optim::AdamW<double>>(f, start, {.lr = lr, .weight_decay = 0}, steps);
                   }};

struct Run {
    const Method& method;
    double lr;
    int steps;
};

void check_minimum(const Loss& loss, const Tensor<double>& start, const Tensor<double>& minimum,
                   double tolerance, const std::vector<Run>& runs) {
    for (const auto& [method, lr, steps] : runs) {
        INFO(method.name);
        const Tensor<double> w = method.run(loss, start, lr, steps);
        for (Index i = 0; i < minimum.numel(); ++i)
            CHECK_THAT(w.data()[i], WithinAbs(minimum.data()[i], tolerance));
    }
}

/// 200 points in two clouds that overlap, with a column of ones; every tenth label is wrong.
struct Points {
    Tensor<double> x = zeros<double>({200, 3});
    Tensor<double> y = zeros<double>({200, 1});

    Points() {
        Generator generator(1);
        const Tensor<> noise = randn({200, 2}, generator);
        for (Index i = 0; i < 200; ++i) {
            const bool positive = i % 2 == 0;
            for (Index j = 0; j < 2; ++j)
                x.mutable_at(i, j) = static_cast<double>(noise(i, j)) + (positive ? 1 : -1);
            x.mutable_at(i, 2) = 1;
            y.mutable_at(i, 0) = positive != (i % 10 == 3) ? 1 : 0;
        }
    }

    /// The mean of ln(1 + eᶻ) − y z, z = x w.
    Variable<double> loss(const Variable<double>& w) const {
        const Variable<double> z = matmul(Variable<double>(x), w);
        return mean(softplus(z) - z * Variable<double>(y));
    }

    /// Its minimum, by Newton's method.
    Tensor<double> best() const {
        Tensor<double> w = zeros<double>({3, 1});
        for (int round = 0; round < 20; ++round) {
            double a[3][4] = {};  // Hessian and gradient
            for (Index i = 0; i < 200; ++i) {
                double z = 0;
                for (Index j = 0; j < 3; ++j) z += x(i, j) * w(j, 0);
                const double p = 1 / (1 + std::exp(-z));
                for (int j = 0; j < 3; ++j) {
                    for (int k = 0; k < 3; ++k) a[j][k] += p * (1 - p) * x(i, j) * x(i, k);
                    a[j][3] += (p - y(i, 0)) * x(i, j);
                }
            }
            for (int j = 0; j < 3; ++j)  // positive definite: no pivots needed
                for (int k = 0; k < 3; ++k) {
                    const double factor = a[k][j] / a[j][j];
                    for (int c = 0; c < 4 && k != j; ++c) a[k][c] -= factor * a[j][c];
                }
            for (int j = 0; j < 3; ++j) w.mutable_at(j, 0) -= a[j][3] / a[j][j];
        }
        return w;
    }
};

}  // namespace

TEST_CASE("convergence: a quadratic whose curvature differs by a factor of 100") {
    const Variable<double> curvature(Tensor<double>{1, 10, 100});
    const Tensor<double> target{1, -2, 3};
    const Loss loss = [&](const Variable<double>& w) {
        return sum(curvature * square(w - Variable<double>(target))) * 0.5;
    };
    check_minimum(loss, {5, 5, 5}, target, 1e-4,
                  {{sgd, 0.019, 2000},
                   {momentum, 0.01, 500},
                   {average, 0.1, 500},
                   {nesterov, 0.01, 500},
                   {adagrad, 2, 500},
                   {rmsprop, 0.1, 1000},
                   {centered, 0.05, 1000},
                   {adam, 0.2, 500},
                   {amsgrad, 0.2, 500},
                   {adamw, 0.2, 500}});
}

TEST_CASE("convergence: Rosenbrock's valley") {
    const Loss loss = [](const Variable<double>& w) {
        const Variable<double> x = slice(w, 0, 0, 1), y = slice(w, 0, 1, 2);
        return sum(square(1.0 - x) + square(y - square(x)) * 100.0);
    };
    check_minimum(loss, {-1.2, 1}, {1, 1}, 1e-2,
                  {{sgd, 1e-3, 40000},
                   {momentum, 1e-3, 5000},
                   {average, 2e-3, 20000},
                   {nesterov, 1e-3, 5000},
                   {adagrad, 0.5, 20000},
                   {rmsprop, 1e-2, 5000},
                   {centered, 1e-3, 10000},
                   {adam, 0.05, 5000},
                   {amsgrad, 0.05, 5000},
                   {adamw, 0.05, 5000}});
}

TEST_CASE("convergence: logistic regression on points that no line separates") {
    const Points points;
    const Tensor<double> best = points.best();
    const Loss loss = [&](const Variable<double>& w) { return points.loss(w); };
    const Variable<double> at(best, {.requires_grad = true});
    loss(at).backward();
    for (const double slope : at.grad()) CHECK(std::abs(slope) < 1e-12);
    CHECK(loss(at).item() > 0.2);
    check_minimum(loss, zeros<double>({3, 1}), best, 1e-3,
                  {{sgd, 5, 500},
                   {momentum, 0.5, 500},
                   {average, 5, 500},
                   {nesterov, 0.5, 500},
                   {adagrad, 0.5, 500},
                   {rmsprop, 0.02, 500},
                   {centered, 0.02, 500},
                   {adam, 0.1, 500},
                   {amsgrad, 0.1, 500},
                   {adamw, 0.1, 500}});
}

TEST_CASE("convergence: l1 makes weights that do not matter vanish, l2 does not") {
    // y depends on the first of four inputs only; the others carry noise.
    Generator generator(2);
    const Tensor<double> x = cast<double>(randn({100, 4}, generator)),
                         noise = cast<double>(randn({100, 1}, generator));
    Tensor<double> y = zeros<double>({100, 1});
    for (Index i = 0; i < 100; ++i) y.mutable_at(i, 0) = 2 * x(i, 0) + 0.3 * noise(i, 0);
    const Loss loss = [&](const Variable<double>& w) {
        return mean(square(matmul(Variable<double>(x), w) - Variable<double>(y)));
    };
    const auto check = [&](const std::string& name, const Tensor<double>& sparse,
                           const Tensor<double>& small) {
        INFO(name);
        CHECK(sparse(0, 0) == Approx(2).epsilon(0.1));
        for (Index i = 1; i < 4; ++i) CHECK(std::abs(sparse(i, 0)) < 1e-3);
        double largest = 0;
        for (Index i = 1; i < 4; ++i) largest = std::max(largest, std::abs(small(i, 0)));
        CHECK(largest > 1e-2);
    };
    const Tensor<double> start = full<double>({4, 1}, 1);
    const int steps = 2000;
    check("sgd", minimize<optim::SGD<double>>(loss, start, {.lr = 0.05, .l1 = 0.2}, steps),
          minimize<optim::SGD<double>>(loss, start, {.lr = 0.05, .weight_decay = 0.2}, steps));
    check("rmsprop", minimize<optim::RMSProp<double>>(loss, start, {.lr = 0.01, .l1 = 0.2}, steps),
          minimize<optim::RMSProp<double>>(loss, start, {.lr = 0.01, .weight_decay = 0.2}, steps));
    check("adagrad", minimize<optim::Adagrad<double>>(loss, start, {.lr = 0.5, .l1 = 0.2}, steps),
          minimize<optim::Adagrad<double>>(loss, start, {.lr = 0.5, .weight_decay = 0.2}, steps));
    check("adam", minimize<optim::Adam<double>>(loss, start, {.lr = 0.01, .l1 = 0.2}, steps),
          minimize<optim::Adam<double>>(loss, start, {.lr = 0.01, .weight_decay = 0.2}, steps));
    check("adamw",
          minimize<optim::AdamW<double>>(loss, start, {.lr = 0.01, .weight_decay = 0, .l1 = 0.2}, steps),
          minimize<optim::AdamW<double>>(loss, start, {.lr = 0.01, .weight_decay = 0.2}, steps));
}
