// SPDX-License-Identifier: MIT
// What -ffast-math may not change: of finite numbers, results are right under any flags of the compiler. All
// that the library computes is a template, so the flags of this file are those of the kernels, too:
//
//     g++ -std=c++20 -O2 -ffast-math -fopenmp -I include -I tests tests/flags/fast_math.cpp -lCatch2Main ...
//
// Numbers that are not exact come from Python, in double.

#include <cmath>
#include <vector>

#include "gradus/gradus.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

template <class T>
void check_close(const Tensor<T>& got, const std::vector<double>& expected, double tolerance = 2e-6) {
    REQUIRE(got.numel() == static_cast<Index>(expected.size()));
    for (Index i = 0; i < got.numel(); ++i) {
        const auto a = static_cast<double>(got.data()[i]), b = expected[static_cast<std::size_t>(i)];
        INFO("element " << i << ": got " << a << ", expected " << b);
        CHECK(std::abs(a - b) <= tolerance * std::abs(b));
    }
}

Variable<> leaf(const Tensor<>& x) { return Variable<>(x, {.requires_grad = true}); }

template <class F>
Tensor<> gradient(const F& f, const Tensor<>& at) {
    const Variable<> x = leaf(at), y = f(x);
    y.backward({.gradient = ones(y.shape())});
    return x.grad();
}

/// -1, -2, ... -n, of which one is -0.5.
template <class T>
Tensor<T> negative_numbers(Index n, Index largest) {
    Tensor<T> x = Tensor<T>::uninitialized({n});
    for (Index i = 0; i < n; ++i) x.mutable_data()[i] = T(-1 - i);
    x.mutable_data()[largest] = T(-0.5);
    return x;
}

template <class T>
void check_extremes() {
    for (Index n = 1; n <= 70; ++n) {
        const Index at = (n * 7) % n, last = n - 1;
        for (const Index largest : {at, last}) {
            const Tensor<T> x = negative_numbers<T>(n, largest);
            INFO("n " << n << ", the largest at " << largest);
            CHECK(max(Variable<T>(x)).item() == T(-0.5));
            CHECK(min(Variable<T>(-x)).item() == T(0.5));
            CHECK(argmax(x).item() == largest);
            const Tensor<T> columns = kernels::broadcast_to(x.reshape({n, 1}), {n, 5});
            CHECK(max(Variable<T>(columns), 0).value() == full<T>({5}, T(-0.5)));
            CHECK(min(Variable<T>(-columns), 0).value() == full<T>({5}, T(0.5)));
            CHECK(argmax(columns, 0) == full<Index>({5}, largest));
        }
    }
}

struct RoundKernel {
    template <int Bytes>
    GRADUS_INLINE static void run(const float* x, float* rounded, float* floored) {
        const auto v = simd::VecOf<float, Bytes>::load(x);
        simd::round(v).store(rounded);
        simd::floor(v).store(floored);
    }
};

}  // namespace

TEST_CASE("flags: the largest and the smallest of negative and positive numbers") {
    check_extremes<float>();
    check_extremes<double>();
    CHECK(max(Variable<>(Tensor<>{1, 3, 2})).item() == 3);
    const Tensor<> lowest = full({40}, -3.4028234663852886e38f);
    CHECK(max(Variable<>(lowest)).item() == lowest(0));
}

TEST_CASE("flags: pooling of negative numbers, with padding") {
    const Variable<> x(Tensor<>{-9, -8, -7, -6, -5, -4, -3, -2, -1}.reshape({1, 1, 3, 3}));
    check_close(max_pool2d(x, {.kernel_size = 3, .stride = 1, .padding = 1}).value(),
                {-5, -4, -4, -2, -1, -1, -2, -1, -1});
    check_close(max_pool2d(x, {.kernel_size = 2, .stride = 1}).value(), {-5, -4, -2, -1});
    check_close(global_max_pool2d(x).value(), {-1});
    check_close(avg_pool2d(x, {.kernel_size = 3}).value(), {-5});
    const Variable<> wide(full({2, 5, 40, 40}, -7));
    for (const Index kernel : {2, 3, 5}) {
        const Tensor<> y =
            max_pool2d(wide, {.kernel_size = kernel, .stride = 2, .padding = kernel / 2}).value();
        CHECK(y == full(y.shape(), -7));
    }
}

TEST_CASE("flags: round and floor") {
    const std::vector<float> x = {-2.5f, -1.5f,       -0.75f,        -0.25f,  0,    0.5f,  0.75f,     1.5f,
                                  2.5f,  1e6f + 0.5f, -1e6f - 0.75f, 8388609, 3e9f, -3e9f, 0.499999f, 7};
    std::vector<float> rounded(16), floored(16);
    for (std::size_t i = 0; i < 16; i += 4)
        RoundKernel::run<16>(x.data() + i, rounded.data() + i, floored.data() + i);
    CHECK(rounded ==
          std::vector<float>{-2, -2, -1, 0, 0, 0, 1, 2, 2, 1e6f, -1e6f - 1, 8388609, 3e9f, -3e9f, 0, 7});
    CHECK(floored ==
          std::vector<float>{-3, -2, -1, -1, 0, 0, 0, 1, 2, 1e6f, -1e6f - 1, 8388609, 3e9f, -3e9f, 0, 7});
}

TEST_CASE("flags: functions") {
    check_close(exp(Variable<>(Tensor<>{-80, -10, -1, -1e-3f, 0, 1e-3f, 1, 10, 80, 88.5f})).value(),
                {1.80485139e-35, 4.53999298e-05, 0.367879441, 0.9990005, 1, 1.0010005, 2.71828183, 22026.4658,
                 5.54062238e+34, 2.72308783e+38});
    check_close(expm1(Variable<>(Tensor<>{-10, -1, -1e-3f, -1e-6f, 0, 1e-6f, 1e-3f, 1, 10, 80})).value(),
                {-0.9999546, -0.632120559, -0.000999500167, -9.999995e-07, 0, 1.0000005e-06, 0.00100050017,
                 1.71828183, 22025.4658, 5.54062238e+34});
    check_close(
        log(Variable<>(Tensor<>{1e-30f, 1e-3f, 0.5f, 0.9999f, 1, 1.0001f, 2, 10, 1e10f, 3e38f})).value(),
        {-69.0775528, -6.90775523, -0.693147181, -0.000100021596, 0, 0.000100011593, 0.693147181, 2.30258509,
         23.0258509, 88.5968458});
    check_close(
        log1p(Variable<>(Tensor<>{-0.5f, -1e-3f, -1e-6f, 0, 1e-7f, 1e-6f, 1e-3f, 1, 100, 1e30f})).value(),
        {-0.693147181, -0.00100050038, -1.0000005e-06, 0, 9.99999962e-08, 9.99999497e-07, 0.000999500381,
         0.693147181, 4.61512052, 69.0775528});
    check_close(tanh(Variable<>(Tensor<>{-20, -2, -1e-2f, -1e-4f, 0, 1e-4f, 0.5f, 2, 9, 20})).value(),
                {-1, -0.96402758, -0.00999966646, -9.99999971e-05, 0, 9.99999971e-05, 0.462117157, 0.96402758,
                 0.99999997, 1});
    check_close(sigmoid(Variable<>(Tensor<>{-60, -10, -1, -0.1f, 0, 0.1f, 1, 10, 30, 80})).value(),
                {8.75651076e-27, 4.53978687e-05, 0.268941421, 0.475020812, 0.5, 0.524979188, 0.731058579,
                 0.999954602, 1, 1});
    check_close(
        erf(Variable<>(Tensor<>{-4, -1.5f, -0.5f, -1e-4f, 0, 1e-4f, 0.5f, 0.999f, 1.001f, 3})).value(),
        {-0.999999985, -0.966105146, -0.520499878, -0.000112837913, 0, 0.000112837913, 0.520499878,
         0.842285276, 0.843115505, 0.99997791});
    check_close(softplus(Variable<>(Tensor<>{-80, -20, -1, -1e-3f, 0, 1e-3f, 1, 20, 80, 100})).value(),
                {1.80485139e-35, 2.06115362e-09, 0.313261688, 0.692647306, 0.693147181, 0.693647306,
                 1.31326169, 20, 80, 100});
}

TEST_CASE("flags: sums, means and variances") {
    CHECK(sum(Variable<>(ones({1 << 25}))).item() == 1 << 25);
    CHECK(mean(Variable<>(full({1000, 7}, 0.5f)), 0).value() == full({7}, 0.5f));
    CHECK(var(Variable<>(Tensor<>{1e6f, 1e6f + 1, 1e6f + 2})).item() == Approx(1));
    check_close(sum(Variable<>(Tensor<>{{1, 2, 3}, {4, 5, 6}}), 1).value(), {6, 15});
    check_close(gradient([](const auto& x) { return max(x); }, {1, 3, 2, 3}), {0, 0.5, 0, 0.5});
}

TEST_CASE("flags: logsumexp and softmax") {
    CHECK(logsumexp(Variable<>(Tensor<>{1, 3, 2})).item() == Approx(3.40760596));
    CHECK(logsumexp(Variable<>(Tensor<>{-1000, -1000})).item() == Approx(-999.306853));
    const float lowest = -3.4028234663852886e38f;  // how programs mask without infinities
    for (Index n = 3; n <= 40; ++n) {
        INFO("n " << n);
        Tensor<> x = full({2, n}, lowest);
        for (const Index i : {0, 2}) x.mutable_data()[i] = 1e6f + 1;
        x.mutable_data()[1] = 1e6f;
        const Tensor<> y = softmax(Variable<>(x), 1).value(),
                       columns = transpose(softmax(transpose(Variable<>(x)), 0)).value();
        for (const Tensor<>& share : {y, columns}) {
            check_close(share.rows(0, 1).reshape({n}).rows(0, 3), {0.422318798, 0.155362403, 0.422318798});
            CHECK(share(1, 0) == Approx(1 / static_cast<double>(n)));  // all masked: all alike
        }
        const Tensor<> logs = log_softmax(Variable<>(x), 1).value();
        check_close(logs.rows(0, 1).reshape({n}).rows(0, 3), {-0.861994804, -1.8619948, -0.861994804});
    }
    check_close(gradient([](const auto& x) { return logsumexp(x); }, {0, 1, 0}),
                {0.211941558, 0.576116885, 0.211941558});
}

TEST_CASE("flags: layers") {
    const Variable<> image(ones({1, 3, 9, 9}));
    const Tensor<> y =
        conv2d(image, Variable<>(full({8, 3, 3, 3}, 0.5f)), Variable<>(full({8}, 0.25f)), {.padding = 1})
            .value();
    CHECK(y.values()[0] == 6.25f);    // a corner has 12 pixels in its window
    CHECK(y.values()[10] == 13.75f);  // inside there are 27
    check_close(linear(Variable<>(Tensor<>{{1, 2}}), Variable<>(Tensor<>{{1, 1}, {0, -1}}),
                       Variable<>(Tensor<>{0.5f, 0}))
                    .value(),
                {3.5, -2});
    for (const Index n : {4, 40}) {  // means far from 0
        Tensor<> x = full({n, 2, 4, 4}, 1e4f);
        for (Index i = 0; i < x.numel(); i += 2) x.mutable_data()[i] = 1e4f + 2;
        const Tensor<> normalized = batch_norm(Variable<>(x), {.eps = 0}).value();
        check_close(normalized.reshape({x.numel()}).rows(0, 2), {1, -1});
        const Tensor<> rows = layer_norm(Variable<>(x), Shape{2, 4, 4}, {.eps = 0}).value();
        check_close(rows.reshape({x.numel()}).rows(0, 2), {1, -1});
    }
}

TEST_CASE("flags: losses") {
    const Variable<> logits(Tensor<>{{2, 1, 0}, {1e6f, 1e6f + 1, 0}});
    const Tensor<Index> labels{0, 1};
    check_close(cross_entropy(logits, labels, {.reduction = Reduction::none}).value(),
                {0.407605964, 0.313261688});
    check_close(
        gradient([&](const auto& x) { return cross_entropy(x, labels, {.reduction = Reduction::sum}); },
                 {{2, 1, 0}, {1, 1, 1}}),
        {-0.334759045, 0.244728471, 0.0900305732, 0.333333333, -0.666666667, 0.333333333});
    CHECK(nll(log_softmax(logits), labels).item() == Approx(0.360433826));
    const Variable<> scores(Tensor<>{-100, -1, 0, 1, 100});
    const Tensor<> targets{0, 1, 1, 1, 1};
    check_close(bce_with_logits(scores, targets, {.reduction = Reduction::none}).value().rows(1, 4),
                {1.31326169, 0.693147181, 0.313261688});
    CHECK(bce(Variable<>(Tensor<>{0.25f, 0.5f}), {0, 1}).item() == Approx(0.490414627));
    CHECK(kl_div(Variable<>(Tensor<>{-1, -2}), {0.5f, 0}, {.reduction = Reduction::sum}).item() ==
          Approx(0.153426410));
    CHECK(mse(scores, targets).item() == Approx(3960.4).epsilon(1e-3));
    CHECK(l1(Variable<>(Tensor<>{1, -2}), {0, 0}).item() == 1.5f);
    CHECK(huber(Variable<>(Tensor<>{0.5f, -3}), {0, 0}, {.reduction = Reduction::sum}).item() == 2.625f);
}

TEST_CASE("flags: optimizers, clipping and schedules") {
    const auto step = [](const auto& make) {
        Parameter<> w(Tensor<>{1, -2});
        auto optimizer = make(std::vector<Variable<>>{w});
        for (int i = 0; i < 2; ++i) {
            Variable<>(w).set_grad({0.5f, -4});
            optimizer.step();
        }
        return w.value();
    };
    using Leaves = std::vector<Variable<>>;
    check_close(step([](const Leaves& p) { return optim::SGD(p, {.lr = 0.1}); }), {0.9, -1.2});
    check_close(step([](const Leaves& p) { return optim::Adam(p, {.lr = 0.1}); }), {0.8, -1.8});
    check_close(step([](const Leaves& p) { return optim::RMSProp(p, {.lr = 0.1, .alpha = 0.75, .eps = 0}); }),
                {1 - 0.2 - 0.1 / std::sqrt(0.4375), -2 + 0.2 + 0.1 / std::sqrt(0.4375)});
    check_close(step([](const Leaves& p) { return optim::Adagrad(p, {.lr = 0.1}); }),
                {1 - 0.1 - 0.1 / std::sqrt(2.0), -2 + 0.1 + 0.1 / std::sqrt(2.0)});

    Parameter<> w(Tensor<>{1, 1});
    for (const double p : {1.0, 2.0, HUGE_VAL}) {
        Variable<>(w).set_grad({3, -4});
        CHECK(optim::clip_grad_norm(Leaves{w}, 1, {.norm_type = p}) == (p == 1 ? 7 : p == 2 ? 5 : 4));
        CHECK(w.grad()(0) == Approx(p == 1 ? 3 / 7.0 : p == 2 ? 0.6 : 0.75));
    }
    CHECK(optim::schedule::cosine({.lr = 1, .total_steps = 100})(50) == Approx(0.5));

    optim::ReduceOnPlateau plateau({.lr = 1, .factor = 0.5, .patience = 0});
    for (const double metric : {3.0, 2.0, 1.0}) CHECK(plateau(metric) == 1);
    CHECK(plateau(1) == 0.5);
    EarlyStopping stop({.patience = 1});
    CHECK_FALSE(stop(1e300));
    CHECK(stop.improved());
    CHECK(stop(1e300));
}

TEST_CASE("flags: random numbers") {
    Generator generator(1);
    const Tensor<> x = randn({100000}, generator);
    CHECK(std::abs(mean(Variable<>(x)).item()) < 0.02f);
    CHECK(var(Variable<>(x)).item() == Approx(1).epsilon(0.02));
    CHECK(max(Variable<>(x)).item() < 6);
    const Tensor<> y = dropout(Variable<>(ones({100000})), 0.25, generator).value();
    CHECK(mean(Variable<>(y)).item() == Approx(1).epsilon(0.02));
}

TEST_CASE("flags: a training") {
    Generator generator(3);
    const Tensor<> x = randn({256, 4}, generator);
    const Tensor<Index> labels = argmax(x);
    struct Net {
        nn::Linear<> first{4, 32}, second{32, 4};
        Variable<> operator()(const Variable<>& in) const { return second(relu(first(in))); }
    } net;
    optim::Adam adam(nn::parameters(net), {.lr = 1e-2});
    for (int i = 0; i < 200; ++i) {
        const Variable<> loss = cross_entropy(net(Variable<>(x)), labels);
        adam.zero_grad();
        loss.backward();
        adam.step();
    }
    CHECK(accuracy(net(Variable<>(x)), labels) > 0.97);
}
