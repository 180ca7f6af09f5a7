// SPDX-License-Identifier: MIT
#include "gradus/optim/clip.hpp"

#include "gradus/core/random.hpp"
#include "support/numbers.hpp"
#include "support/threads.hpp"

using namespace gradus;
using optim::clip_grad_norm, optim::clip_grad_value;

namespace {

using Leaves = std::vector<Variable<>>;

/// Three parameters with gradients {3}, none and {0, -4}: norm 5, sum 7, greatest 4.
Leaves with_gradients() {
    Leaves parameters{leaf({1}), leaf({1}), leaf({1, 2})};
    parameters[0].set_grad({3});
    parameters[2].set_grad({0, -4});
    return parameters;
}

}  // namespace

TEST_CASE("clip_grad_norm: scales all gradients to the norm") {
    const Leaves parameters = with_gradients();
    CHECK(clip_grad_norm(parameters, 2.5) == 5);
    check_numbers(parameters[0].grad(), {1.5f}, 1e-6f);
    CHECK_FALSE(parameters[1].has_grad());
    check_numbers(parameters[2].grad(), {0, -2}, 1e-6f);
    CHECK(clip_grad_norm(parameters, 2.5) == Approx(2.5).epsilon(1e-6));  // it holds now
}

TEST_CASE("clip_grad_norm: other norms") {
    const double infinite = std::numeric_limits<double>::infinity();
    Leaves parameters = with_gradients();
    CHECK(clip_grad_norm(parameters, 3.5, {.norm_type = 1}) == 7);
    check_numbers(parameters[2].grad(), {0, -2}, 1e-6f);
    parameters = with_gradients();
    CHECK(clip_grad_norm(parameters, 1, {.norm_type = infinite}) == 4);
    check_numbers(parameters[0].grad(), {0.75f}, 1e-6f);
    check_numbers(parameters[2].grad(), {0, -1}, 1e-6f);
}

TEST_CASE("clip_grad_norm: small gradients stay, and are not even copied") {
    Leaves parameters{leaf({1, 2})};
    const Tensor<> gradient{3, 4};
    parameters[0].set_grad(gradient);
    CHECK(clip_grad_norm(parameters, 10) == 5);
    CHECK(clip_grad_norm(parameters, static_cast<double>(infinity)) == 5);
    CHECK(parameters[0].grad().data() == gradient.data());
    CHECK(clip_grad_norm(parameters, 1) == 5);
    CHECK(gradient == Tensor<>{3, 4});  // nor is what shares their memory changed
    CHECK(clip_grad_norm(Leaves{leaf({1})}, 1) == 0);
    CHECK(clip_grad_norm(Leaves{}, 1) == 0);
    CHECK(clip_grad_norm(parameters, 0) == Approx(1));
    CHECK(parameters[0].grad() == Tensor<>{0, 0});
}

TEST_CASE("clip_grad_norm: a norm that is not finite") {
    Leaves parameters = with_gradients();
    parameters[0].set_grad({NaN});
    CHECK_THROWS_MATCHES(
        clip_grad_norm(parameters, 1, {.error_if_nonfinite = true}), ValueError,
        Message("clip_grad_norm: a gradient is infinite or NaN; is the learning rate too high?"));
    CHECK(parameters[2].grad() == Tensor<>{0, -4});
    CHECK(std::isnan(clip_grad_norm(parameters, 1)));
    check_numbers(parameters[2].grad(), {NaN, NaN});

    parameters = with_gradients();
    parameters[0].set_grad({-infinity});
    CHECK(clip_grad_norm(parameters, 1) == static_cast<double>(infinity));
    check_numbers(parameters[0].grad(), {NaN});
    check_numbers(parameters[2].grad(), {0, -0.0f});
}

TEST_CASE("clip_grad_norm: the same bits for any number of threads, in double, too") {
    double expected = 0;
    Tensor<> clipped;
    for (const int threads : {1, 2, 3}) {
        const Threads limit(threads);
        Generator generator(1);
        Leaves parameters;
        for (const Shape& shape : {Shape{300, 301}, Shape{7}, Shape{0}, Shape{50001}, Shape{}}) {
            parameters.push_back(leaf(zeros(shape)));
            parameters.back().set_grad(randn(shape, generator));
        }
        const double norm = clip_grad_norm(parameters, 1);
        if (threads == 1) expected = norm, clipped = parameters[0].grad();
        CHECK(norm == expected);
        CHECK(parameters[0].grad() == clipped);
        CHECK(clip_grad_norm(parameters, 2) == Approx(1).epsilon(1e-6));
    }

    Variable<double> x(Tensor<double>{1, 1}, {.requires_grad = true});
    x.set_grad({1e-3, 1});
    CHECK(clip_grad_norm(std::vector<Variable<double>>{x}, 10) == std::sqrt(1 + 1e-6));
}

TEST_CASE("clip_grad_norm: squares neither overflow nor vanish") {
    for (const double scale : {1e-300, 1e-200, 1e-30, 1.0, 1e30, 1e200, 2e307}) {
        INFO("scale " << scale);
        Variable<double> x(Tensor<double>{0, 0}, {.requires_grad = true});
        x.set_grad({3 * scale, -4 * scale});
        CHECK(clip_grad_norm(std::vector<Variable<double>>{x}, 2.5) == Approx(5 * scale).epsilon(1e-14));
        if (scale < 1) continue;
        CHECK(x.grad()(0) == Approx(1.5).epsilon(1e-6));
        CHECK(x.grad()(1) == Approx(-2).epsilon(1e-6));
    }
    for (const float scale : {1e-30f, 1e30f}) {
        const Leaves parameters = with_gradients();
        Variable<>(parameters[0]).set_grad({3 * scale});
        Variable<>(parameters[2]).set_grad({0, -4 * scale});
        CHECK(clip_grad_norm(parameters, 2.5) == Approx(5 * static_cast<double>(scale)).epsilon(1e-6));
        if (scale > 1) check_numbers(parameters[2].grad(), {0, -2}, 1e-6f);
    }
}

TEST_CASE("clip_grad_value: every number by itself") {
    Leaves parameters{leaf(zeros({7})), leaf({1})};
    parameters[0].set_grad({-3, -2, -0.5f, NaN, 0.5f, infinity, -infinity});
    clip_grad_value(parameters, 2);
    check_numbers(parameters[0].grad(), {-2, -2, -0.5f, NaN, 0.5f, 2, -2});
    CHECK_FALSE(parameters[1].has_grad());
    clip_grad_value(parameters, static_cast<double>(infinity));
    check_numbers(parameters[0].grad(), {-2, -2, -0.5f, NaN, 0.5f, 2, -2});
}

TEST_CASE("clip: refusals") {
    const Leaves parameters = with_gradients();
    for (const double bad : {-1.0, std::nan("")}) {
        CHECK_THROWS_MATCHES(clip_grad_norm(parameters, bad), ValueError,
                             Message("clip_grad_norm: max_norm must not be negative"));
        CHECK_THROWS_MATCHES(clip_grad_value(parameters, bad), ValueError,
                             Message("clip_grad_value: the limit must not be negative"));
    }
    for (const double bad : {0.0, -1.0, 3.0, std::nan("")})
        CHECK_THROWS_MATCHES(clip_grad_norm(parameters, 1, {.norm_type = bad}), ValueError,
                             Message("clip_grad_norm: norm_type must be 1, 2 or infinity"));
}
