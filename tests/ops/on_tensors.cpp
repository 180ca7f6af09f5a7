// SPDX-License-Identifier: MIT
// Every operation on tensors, and the names of all of them beside those of the standard library: only map,
// slice and stack need their namespace, and only where <map>, <valarray> or <stack> is included.

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <sstream>
#include <stack>
#include <type_traits>
#include <valarray>
#include <vector>

#include <gradus/gradus.hpp>

#include "support/test.hpp"

using namespace std;
using namespace gradus;

namespace {

/// Collects what the operations give, whatever they are called with.
struct Results {
    vector<Tensor<>> values;

    void operator()(const Tensor<>& y) { values.push_back(y); }
    void operator()(const Variable<>& y) { values.push_back(y.value()); }
    template <class X>
    void operator()(const vector<X>& parts) {
        for (const X& part : parts) (*this)(part);
    }
};

/// X is Tensor<> or Variable<>; what every operation gives must be of this type, too.
template <class X>
vector<Tensor<>> all_operations() {
    const X x(Tensor<>{{1, 2, 3}, {4, 5, 6}}), v(Tensor<>{0.5f, 1, 2}), square_matrix(eye(3));
    const X images(arange(32).reshape({1, 2, 4, 4})), kernels(ones({2, 2, 2, 2})), two(ones({2}));
    const Tensor<Index> first{0, 0};
    Results results;
    const auto keep = [&results](const auto& y) {
        static_assert(is_same_v<remove_cvref_t<decltype(y)>, X> ||
                      is_same_v<remove_cvref_t<decltype(y)>, vector<X>>);
        results(y);
    };
    for (const X& y :
         {neg(x), exp(x), expm1(x), log(x), log1p(x), sqrt(x), square(x), abs(x), sin(x), cos(x)})
        keep(y);
    for (const X& y :
         {relu(x), gelu(x), sigmoid(x), silu(x), tanh(x), erf(x), softplus(x), leaky_relu(x, 0.1f), elu(x)})
        keep(y);
    for (const X& y : {rsqrt(x), sign(x), floor(x), ceil(x), round(x), clamp_min(x, 2), clamp_max(x, 3.5f)})
        keep(y);
    keep(gelu(x, {.approximate = GeluApproximation::tanh})), keep(softplus(x, {.beta = 2}));
    keep(masked_fill(x, x > 2, 0)), keep(tril(x)), keep(triu(x, 1)), keep(pow(2, x));
    keep(add(x, 1)), keep(sub(x, 0.5)), keep(mul(x, 2)), keep(div(x, 4));
    keep(prod(x, 1)), keep(gradus::std(x, 0)), keep(norm(x, {0, 1})), keep(cumsum(x, 1));
    keep(sort(x, 0).values), keep(topk(x, 2).values), keep(scatter_add(x, 1, {{0, 0}, {2, 1}}, x));
    keep(einsum("ij,kj->ik", x, x)), keep(einsum("ij->j", x));
    keep(reshape(x, vector<int>{-1, 2})), keep(broadcast_to(x, {2, -1, -1})),
        keep(broadcast_to(x, vector<int>{-1, 3}));
    keep(softmax(x)), keep(softmax(x, 0)), keep(log_softmax(x));
    keep(clamp(x, 2, 3.5f)), keep(pow(x, 2)), keep(pow(x, v)), keep(add(x, v)), keep(sub(x, v)),
        keep(mul(x, v));
    keep(div(x, v)), keep(maximum(x, v)), keep(minimum(x, v)), keep(maximum(x, 2)), keep(minimum(2.5, x));
    keep(where(x > 2, x, v)), keep(where(x <= 2, x, 0)), keep(where(2 < x, -1.0, x));
    keep(x + 1), keep(1 + x), keep(x - 0.5), keep(1 - x), keep(2 * x), keep(x * 2.0), keep(x / 2),
        keep(1 / x);
    keep(x + v), keep(x - v), keep(x * v), keep(x / v), keep(-x);
    keep(gradus::map([](auto a, auto b) { return a * b + a; }, x, v));
    keep(matmul(x, square_matrix)), keep(linear(x, square_matrix)), keep(linear(x, square_matrix, v));
    keep(conv2d(images, kernels)), keep(conv2d(images, kernels, {.padding = 1}));
    keep(conv2d(images, kernels, two)), keep(conv2d(images, kernels, two, {.stride = 2}));
    keep(max_pool2d(images, 2)), keep(max_pool2d(images, {.kernel_size = 3, .stride = 1}));
    keep(avg_pool2d(images, 2)), keep(avg_pool2d(images, {.kernel_size = {2, 4}}));
    keep(adaptive_avg_pool2d(images, {1, 2})), keep(global_avg_pool2d(images)),
        keep(global_max_pool2d(images));
    keep(batch_norm(x)), keep(batch_norm(x, v, v, {.eps = 0.1})), keep(batch_norm(x, v, v, v, v));
    keep(layer_norm(x, Shape{3})), keep(layer_norm(x, v, v));
    Generator generator(1);
    keep(dropout(x, 0.5, generator)), keep(embedding(first, x)), keep(index_select(x, 0, first));
    keep(gather(x, 1, {{0, 1}, {2, 2}}));
    keep(sum(x)), keep(sum(x, {0, 1}, {.keepdim = true})), keep(mean(x, 0)), keep(max(x, 1)), keep(min(x));
    keep(var(x, 0)), keep(logsumexp(x, -1));
    keep(reshape(x, {-1, 2})), keep(reshape(x, Shape{6})), keep(flatten(images)),
        keep(squeeze(unsqueeze(x, 0), 0));
    keep(transpose(x)), keep(transpose(images, 0, 1)), keep(permute(x, {1, 0})), keep(flip(x, {1}));
    keep(broadcast_to(v, {2, 3})), keep(repeat(x, {1, 2})), keep(gradus::slice(x, 1, 0, 2)),
        keep(pad(x, {{1, 0}}));
    keep(split(x, 2, 1)), keep(split(x, {1, 2}, 1)), keep(concat({x, x}, 1)), keep(concat(split(x, 1)));
    keep(gradus::stack({x, x})), keep(gradus::stack(split(x, 1), 1));
    CHECK(argmax(x) == Tensor<Index>{2, 2});
    return results.values;
}

}  // namespace

TEST_CASE("operations on tensors give tensors of the same values as on variables") {
    const vector<Tensor<>> of_tensors = all_operations<Tensor<>>(),
                           of_variables = all_operations<Variable<>>();
    REQUIRE(of_tensors.size() == of_variables.size());
    CHECK(of_tensors.size() > 90);
    for (size_t i = 0; i < of_tensors.size(); ++i) {
        INFO("result " << i);
        CHECK(of_tensors[i] == of_variables[i]);
    }
    CHECK(relu(Tensor<>{-1, 2}) == Tensor<>{0, 2});
    CHECK(1.0f - Tensor<>{1, 3} == Tensor<>{0, -2});
    CHECK(2 / Tensor<>{1, 4} == Tensor<>{2, 0.5f});
    CHECK(concat({Tensor<>{1}, Tensor<>{2, 3}}) == Tensor<>{1, 2, 3});
    CHECK(sum(Tensor<Index>{1, 2, 3}).item() == 6);
    CHECK(10 - Tensor<Index>{1, 2} == Tensor<Index>{9, 8});
}

TEST_CASE("a tensor and a variable give a variable, and the gradient goes to the variable") {
    const Tensor<> x{{1, 2}, {3, 4}};
    Variable<> weight(Tensor<>{{1, 0}, {0, 1}}, {.requires_grad = true});
    for (const auto& f : vector<function<Variable<>(const Variable<>&)>>{
             [&](const Variable<>& w) { return matmul(x, w); },
             [&](const Variable<>& w) { return linear(x, w); },
             [&](const Variable<>& w) { return add(x, w) * w; }, [&](const Variable<>& w) { return x * w; },
             [&](const Variable<>& w) { return maximum(x, w); },
             [&](const Variable<>& w) { return where(w > x, w, x); },
             [&](const Variable<>& w) { return gradus::map([](auto a, auto b) { return a * b; }, x, w); }}) {
        weight.zero_grad();
        sum(f(weight)).backward();
        const Tensor<> gradient = weight.grad();
        weight.zero_grad();
        Variable<> copy(weight.value(), {.requires_grad = true});
        sum(f(copy)).backward();
        CHECK(gradient == copy.grad());
    }
    sum(x * weight).backward();
    CHECK(weight.grad() == x);
    nn::Linear<> layer(2, 1);
    CHECK(linear(x, layer.weight, *layer.bias).value() == layer(x).value());
}

TEST_CASE("the names of the standard library beside those of gradus") {
    std::map<string, int> counts{{"a", 1}};
    std::stack<int> numbers;
    numbers.push(1);
    vector<float> values{3, 1, 2};
    sort(values.begin(), values.end());
    CHECK(accumulate(values.begin(), values.end(), 0.0f) == 6);
    CHECK(max(1, 2) + min(1, 2) == 3);
    CHECK(abs(-1.5) == 1.5);
    CHECK(exp(0.0) + sqrt(4.0) + pow(2.0, 2.0) == 7);
    CHECK(gradus::sum(Tensor<>(values)).item() == 6);
    swap(values[0], values[1]);
    CHECK(values == vector<float>{2, 1, 3});
    const auto [train, test] =
        split(data::Dataset{Tensor<>{1, 2, 3, 4}, Tensor<Index>{0, 1, 0, 1}}, {.test = 0.5});
    CHECK(train.size() == 2);
    CHECK(test.size() == 2);
}
