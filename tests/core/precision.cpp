// SPDX-License-Identifier: MIT
#include "gradus/core/precision.hpp"

#include <cmath>
#include <vector>

#include "gradus/autograd/backward.hpp"
#include "gradus/core/random.hpp"
#include "gradus/ops/conv2d.hpp"
#include "gradus/ops/matmul.hpp"
#include "gradus/ops/reduce.hpp"
#include "support/bf16_backends.hpp"
#include "support/test.hpp"

using namespace gradus;
using kernels::Bf16Backend;
using kernels::ScopedBf16Backend;

namespace {

class Precision {
public:
    explicit Precision(std::string_view precision) : previous_(float32_matmul_precision()) {
        set_float32_matmul_precision(precision);
    }
    ~Precision() { set_float32_matmul_precision(previous_); }

private:
    std::string_view previous_;
};

/// A result and the gradients of its operands.
template <class T>
std::vector<Tensor<T>> with_gradients(const Variable<T>& y, const std::vector<Variable<T>>& operands) {
    Generator generator(9);
    y.backward({.gradient = randn<T>(y.shape(), generator)});
    std::vector<Tensor<T>> results{y.value()};
    for (const Variable<T>& x : operands) results.push_back(x.grad());
    return results;
}

template <class T>
std::vector<Tensor<T>> linear_results() {
    Generator generator(1);
    const Variable<T> x(randn<T>({70, 90}, generator), {.requires_grad = true});
    const Variable<T> w(randn<T>({80, 90}, generator), {.requires_grad = true});
    const Variable<T> b(randn<T>({80}, generator), {.requires_grad = true});
    return with_gradients(linear(x, w, b), {x, w, b});
}

template <class T>
std::vector<Tensor<T>> matmul_results() {
    Generator generator(1);
    const Variable<T> a(randn<T>({3, 70, 90}, generator), {.requires_grad = true});
    const Variable<T> b(randn<T>({3, 90, 80}, generator), {.requires_grad = true});
    return with_gradients(matmul(a, b), {a, b});
}

template <class T>
std::vector<Tensor<T>> conv2d_results() {
    Generator generator(1);
    const Variable<T> x(randn<T>({4, 20, 13, 12}, generator), {.requires_grad = true});
    const Variable<T> w(randn<T>({24, 20, 3, 3}, generator), {.requires_grad = true});
    const Variable<T> b(randn<T>({24}, generator), {.requires_grad = true});
    return with_gradients(conv2d(x, w, b, {.stride = {1, 2}, .padding = 1}), {x, w, b});
}

/// The largest difference in units of the root mean square of `expected`.
double difference(const Tensor<>& x, const Tensor<>& expected) {
    double worst = 0, squares = 0;
    for (Index i = 0; i < x.numel(); ++i) {
        const double e = static_cast<double>(expected.data()[i]);
        worst = std::max(worst, std::abs(static_cast<double>(x.data()[i]) - e));
        squares += e * e;
    }
    return worst / std::sqrt(squares / static_cast<double>(x.numel()));
}

}  // namespace

TEST_CASE("set_float32_matmul_precision: three names") {
    CHECK(float32_matmul_precision() == "highest");
    for (const char* const name : {"medium", "high", "highest"}) {
        set_float32_matmul_precision(name);
        CHECK(float32_matmul_precision() == name);
    }
    CHECK_THROWS_MATCHES(
        set_float32_matmul_precision("low"), ValueError,
        Message("set_float32_matmul_precision: needs \"highest\", \"high\" or \"medium\": got \"low\""));
    CHECK_THROWS_AS(set_float32_matmul_precision(""), ValueError);
    CHECK(float32_matmul_precision() == "highest");
}

TEST_CASE("precision: linear, matmul and conv2d, forward and backward") {
    const auto check = [](const char* what, const auto& results) {
        INFO(what);
        const std::vector<Tensor<>> highest = results();
        for (const Bf16Backend& backend : bf16_backends::all()) {
            INFO(backend.name);
            const ScopedBf16Backend scope(backend);
            CHECK(results() == highest);  // the backend alone changes nothing
            for (const bool split : {false, true}) {
                INFO("split " << split);
                const Precision precision(split ? "high" : "medium");
                const std::vector<Tensor<>> lower = results();
                for (std::size_t i = 0; i < lower.size(); ++i) {
                    INFO("result " << i);
                    const double error = difference(lower[i], highest[i]);
                    CAPTURE(error);
                    CHECK(error < (split ? 1e-4 : 0.03));
                    CHECK((i == 3 || error > (split ? 1e-7 : 1e-3)));  // 3: the gradient of the bias is a sum
                }
            }
        }
    };
    check("linear", linear_results<float>);
    check("matmul", matmul_results<float>);
    check("conv2d", conv2d_results<float>);
}

TEST_CASE("precision: other numbers than float ignore it") {
    const auto linear_before = linear_results<double>();
    const auto conv2d_before = conv2d_results<double>();
    const ScopedBf16Backend scope(bf16_backends::model);
    const Precision precision("medium");
    CHECK(linear_results<double>() == linear_before);
    CHECK(conv2d_results<double>() == conv2d_before);
}

TEST_CASE("precision: float where nothing is faster") {
    const std::vector<Tensor<>> highest = linear_results<float>();
    Bf16Backend backend = bf16_backends::model;
    backend.split_is_faster = false;
    {
        const ScopedBf16Backend scope(backend);
        const Precision precision("high");
        CHECK(linear_results<float>() == highest);
        set_float32_matmul_precision("medium");
        CHECK_FALSE(linear_results<float>() == highest);

        Generator generator(1);  // small products
        const Tensor<> a = randn<float>({15, 4000}, generator), b = randn<float>({4000, 80}, generator);
        const Tensor<> c = randn<float>({50, 50}, generator), d = randn<float>({50, 50}, generator);
        const Tensor<> e = randn<float>({99, 23}, generator), f = randn<float>({23, 99}, generator);
        const Tensor<> ab = kernels::matmul(a, b), cd = kernels::matmul(c, d), ef = kernels::matmul(e, f);
        set_float32_matmul_precision("highest");
        CHECK(kernels::matmul(a, b) == ab);
        CHECK(kernels::matmul(c, d) == cd);
        CHECK(kernels::matmul(e, f) == ef);
    }
    for (const simd::Isa isa : {simd::Isa::baseline, simd::Isa::avx2}) {
        const simd::ScopedIsa lower(isa);
        CHECK(kernels::bf16_backend() == nullptr);
        const std::vector<Tensor<>> in_float = linear_results<float>();
        const Precision precision("medium");
        CHECK(linear_results<float>() == in_float);
    }
}
