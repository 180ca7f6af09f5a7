// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <initializer_list>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/ops/activation.hpp"
#include "gradus/ops/arithmetic.hpp"
#include "gradus/ops/comparison.hpp"
#include "gradus/ops/conv2d.hpp"
#include "gradus/ops/dropout.hpp"
#include "gradus/ops/einsum.hpp"
#include "gradus/ops/embedding.hpp"
#include "gradus/ops/indexing.hpp"
#include "gradus/ops/layout.hpp"
#include "gradus/ops/map.hpp"
#include "gradus/ops/masking.hpp"
#include "gradus/ops/matmul.hpp"
#include "gradus/ops/norm.hpp"
#include "gradus/ops/pool2d.hpp"
#include "gradus/ops/reduce.hpp"
#include "gradus/ops/scan.hpp"
#include "gradus/ops/slice.hpp"
#include "gradus/ops/sort.hpp"

// Every operation takes tensors as well. They become constants, and what is made of tensors alone is a tensor
// again: relu(x) of a Tensor is a Tensor; matmul(x, weight) of a Tensor and a Variable is a Variable. Nothing
// is computed here; the formulas, shapes and errors are those of the operation.

namespace gradus {
namespace detail {

/// Of the operands of one operation: tensors and variables of the same T, with at least one tensor.
template <class First, class... Rest>
concept WithTensors = Differentiable<First> &&(Differentiable<Rest>&&...) &&
                      (std::same_as<typename First::value_type, typename Rest::value_type> && ...) &&
                      (AnyTensor<First> || ... || AnyTensor<Rest>);

/// The same, or a tensor and a number.
template <class A, class B>
concept TensorsOrNumbers = WithTensors<A, B> ||(AnyTensor<A>&& Number<B, typename A::value_type>) ||
                           (AnyTensor<B> && Number<A, typename B::value_type>);

/// Of those that may be numbers as well: one is, or a tensor.
template <class A, class B>
concept WithNumbers = WithTensors<A, B> ||(Differentiable<A>&& Number<B, typename A::value_type>) ||
                      (Differentiable<B> && Number<A, typename B::value_type>);

template <class T>
Variable<T> as_variable(const Tensor<T>& x) {
    return Variable<T>(x);
}
template <class T>
const Variable<T>& as_variable(const Variable<T>& x) {
    return x;
}

/// The same where X may be a number.
template <class T, class X>
Variable<T> operand(const X& x) {
    if constexpr (std::is_arithmetic_v<X>)
        return Variable<T>(full<T>({}, static_cast<T>(x)));
    else
        return as_variable(x);
}

/// The result of an operation on operands like these.
template <class... Operands, class T>
auto result_of(Variable<T> y) {
    if constexpr ((AnyVariable<Operands> || ...))
        return y;
    else
        return y.value();
}

template <class T>
std::vector<Variable<T>> as_variables(const std::vector<Tensor<T>>& xs) {
    return {xs.begin(), xs.end()};
}
template <class T>
std::vector<Tensor<T>> values_of(const std::vector<Variable<T>>& xs) {
    std::vector<Tensor<T>> values;
    for (const Variable<T>& x : xs) values.push_back(x.value());
    return values;
}

}  // namespace detail

// ops/arithmetic.hpp

template <class T>
Tensor<T> neg(Tensor<T> x) {
    return neg(Variable<T>(std::move(x))).value();
}
template <class T>
Tensor<T> exp(Tensor<T> x) {
    return exp(Variable<T>(std::move(x))).value();
}
template <class T>
Tensor<T> expm1(Tensor<T> x) {
    return expm1(Variable<T>(std::move(x))).value();
}
template <class T>
Tensor<T> log(Tensor<T> x) {
    return log(Variable<T>(std::move(x))).value();
}
template <class T>
Tensor<T> log1p(Tensor<T> x) {
    return log1p(Variable<T>(std::move(x))).value();
}
template <class T>
Tensor<T> sqrt(Tensor<T> x) {
    return sqrt(Variable<T>(std::move(x))).value();
}
template <class T>
Tensor<T> rsqrt(Tensor<T> x) {
    return rsqrt(Variable<T>(std::move(x))).value();
}
template <class T>
Tensor<T> square(Tensor<T> x) {
    return square(Variable<T>(std::move(x))).value();
}
template <class T>
Tensor<T> abs(Tensor<T> x) {
    return abs(Variable<T>(std::move(x))).value();
}
template <class T>
Tensor<T> sin(Tensor<T> x) {
    return sin(Variable<T>(std::move(x))).value();
}
template <class T>
Tensor<T> cos(Tensor<T> x) {
    return cos(Variable<T>(std::move(x))).value();
}
template <class T>
Tensor<T> sign(Tensor<T> x) {
    return sign(Variable<T>(std::move(x))).value();
}
template <class T>
Tensor<T> floor(Tensor<T> x) {
    return floor(Variable<T>(std::move(x))).value();
}
template <class T>
Tensor<T> ceil(Tensor<T> x) {
    return ceil(Variable<T>(std::move(x))).value();
}
template <class T>
Tensor<T> round(Tensor<T> x) {
    return round(Variable<T>(std::move(x))).value();
}
template <class T>
Tensor<T> clamp_min(Tensor<T> x, std::type_identity_t<T> low) {
    return clamp_min(Variable<T>(std::move(x)), low).value();
}
template <class T>
Tensor<T> clamp_max(Tensor<T> x, std::type_identity_t<T> high) {
    return clamp_max(Variable<T>(std::move(x)), high).value();
}
template <class T>
Tensor<T> clamp(Tensor<T> x, std::type_identity_t<T> low, std::type_identity_t<T> high) {
    return clamp(Variable<T>(std::move(x)), low, high).value();
}
template <class T, class N>
requires std::is_arithmetic_v<N> Tensor<T> pow(Tensor<T> x, N n) {
    return pow(Variable<T>(std::move(x)), n).value();
}
template <class A, class B>
requires detail::TensorsOrNumbers<A, B>
auto add(const A& a, const B& b) { return a + b; }
template <class A, class B>
requires detail::TensorsOrNumbers<A, B>
auto sub(const A& a, const B& b) { return a - b; }
template <class A, class B>
requires detail::TensorsOrNumbers<A, B>
auto mul(const A& a, const B& b) { return a * b; }
template <class A, class B>
requires detail::TensorsOrNumbers<A, B>
auto div(const A& a, const B& b) { return a / b; }
template <class A, class B>
requires detail::WithTensors<A, B>
auto pow(const A& a, const B& b) {
    return detail::result_of<A, B>(pow(detail::as_variable(a), detail::as_variable(b)));
}
template <class N, class X>  // of a number to the power of x
requires(detail::Differentiable<X>&& std::is_arithmetic_v<N>) auto pow(N base, const X& x) {
    using T = typename X::value_type;
    return detail::result_of<X>(pow(detail::operand<T>(base), detail::as_variable(x)));
}
template <class A, class B>
requires detail::WithNumbers<A, B>
auto maximum(const A& a, const B& b) {
    using T = typename detail::ValueType<A, B>::type;
    return detail::result_of<A, B>(maximum(detail::operand<T>(a), detail::operand<T>(b)));
}
template <class A, class B>
requires detail::WithNumbers<A, B>
auto minimum(const A& a, const B& b) {
    using T = typename detail::ValueType<A, B>::type;
    return detail::result_of<A, B>(minimum(detail::operand<T>(a), detail::operand<T>(b)));
}
// ops/masking.hpp

template <class A, class B>
requires detail::WithNumbers<A, B>
auto where(const Tensor<bool>& condition, const A& a, const B& b) {
    using T = typename detail::ValueType<A, B>::type;
    return detail::result_of<A, B>(where(condition, detail::operand<T>(a), detail::operand<T>(b)));
}
template <class T>
Tensor<T> masked_fill(Tensor<T> x, const Tensor<bool>& mask, std::type_identity_t<T> value) {
    return masked_fill(Variable<T>(std::move(x)), mask, value).value();
}
template <class T>
Tensor<T> tril(Tensor<T> x, Index diagonal = 0) {
    return tril(Variable<T>(std::move(x)), diagonal).value();
}
template <class T>
Tensor<T> triu(Tensor<T> x, Index diagonal = 0) {
    return triu(Variable<T>(std::move(x)), diagonal).value();
}

// ops/map.hpp

template <class F, class First, class... Rest>
requires detail::WithTensors<First, Rest...>
auto map(const F& f, const First& first, const Rest&... rest) {
    return detail::result_of<First, Rest...>(
        map(f, detail::as_variable(first), detail::as_variable(rest)...));
}

// ops/activation.hpp

template <class T>
Tensor<T> relu(Tensor<T> x) {
    return relu(Variable<T>(std::move(x))).value();
}
template <class T>
Tensor<T> gelu(Tensor<T> x) {
    return gelu(Variable<T>(std::move(x))).value();
}
template <class T>
Tensor<T> gelu(Tensor<T> x, GeluOptions options) {
    return gelu(Variable<T>(std::move(x)), options).value();
}
template <class T>
Tensor<T> sigmoid(Tensor<T> x) {
    return sigmoid(Variable<T>(std::move(x))).value();
}
template <class T>
Tensor<T> silu(Tensor<T> x) {
    return silu(Variable<T>(std::move(x))).value();
}
template <class T>
Tensor<T> tanh(Tensor<T> x) {
    return tanh(Variable<T>(std::move(x))).value();
}
template <class T>
Tensor<T> erf(Tensor<T> x) {
    return erf(Variable<T>(std::move(x))).value();
}
template <class T>
Tensor<T> softplus(Tensor<T> x, SoftplusOptions options = {}) {
    return softplus(Variable<T>(std::move(x)), options).value();
}
template <class T>
Tensor<T> leaky_relu(Tensor<T> x, std::type_identity_t<T> negative_slope = T(0.01)) {
    return leaky_relu(Variable<T>(std::move(x)), negative_slope).value();
}
template <class T>
Tensor<T> elu(Tensor<T> x, std::type_identity_t<T> alpha = T(1)) {
    return elu(Variable<T>(std::move(x)), alpha).value();
}
template <class T>
Tensor<T> softmax(Tensor<T> x, int axis = -1) {
    return softmax(Variable<T>(std::move(x)), axis).value();
}
template <class T>
Tensor<T> log_softmax(Tensor<T> x, int axis = -1) {
    return log_softmax(Variable<T>(std::move(x)), axis).value();
}

// ops/matmul.hpp, ops/conv2d.hpp, ops/norm.hpp

template <class A, class B>
requires detail::WithTensors<A, B>
auto matmul(const A& a, const B& b) {
    return detail::result_of<A, B>(matmul(detail::as_variable(a), detail::as_variable(b)));
}
template <class X, class W>
requires detail::WithTensors<X, W>
auto linear(const X& x, const W& weight) {
    return detail::result_of<X, W>(linear(detail::as_variable(x), detail::as_variable(weight)));
}
template <class X, class W, class B>
requires detail::WithTensors<X, W, B>
auto linear(const X& x, const W& weight, const B& bias) {
    return detail::result_of<X, W, B>(
        linear(detail::as_variable(x), detail::as_variable(weight), detail::as_variable(bias)));
}
template <class X, class W>
requires detail::WithTensors<X, W>
auto conv2d(const X& x, const W& weight, const Conv2dOptions& options = {}) {
    return detail::result_of<X, W>(conv2d(detail::as_variable(x), detail::as_variable(weight), options));
}
template <class X, class W, class B>
requires detail::WithTensors<X, W, B>
auto conv2d(const X& x, const W& weight, const B& bias, const Conv2dOptions& options = {}) {
    return detail::result_of<X, W, B>(
        conv2d(detail::as_variable(x), detail::as_variable(weight), detail::as_variable(bias), options));
}
template <class T>
Tensor<T> batch_norm(const Tensor<T>& x, NormOptions options = {}) {
    return batch_norm(Variable<T>(x), options).value();
}
template <class X, class W, class B>
requires detail::WithTensors<X, W, B>
auto batch_norm(const X& x, const W& weight, const B& bias, NormOptions options = {}) {
    return detail::result_of<X, W, B>(
        batch_norm(detail::as_variable(x), detail::as_variable(weight), detail::as_variable(bias), options));
}
template <class X, class Mean, class Var, class W, class B>
requires detail::WithTensors<X, Mean, Var, W, B>
auto batch_norm(const X& x, const Mean& running_mean, const Var& running_var, const W& weight, const B& bias,
                BatchNormOptions options = {}) {
    return detail::result_of<X, Mean, Var, W, B>(batch_norm(
        detail::as_variable(x), detail::as_variable(running_mean), detail::as_variable(running_var),
        detail::as_variable(weight), detail::as_variable(bias), options));
}
template <class T>
Tensor<T> layer_norm(const Tensor<T>& x, const Shape& normalized_shape, NormOptions options = {}) {
    return layer_norm(Variable<T>(x), normalized_shape, options).value();
}
template <class X, class W, class B>
requires detail::WithTensors<X, W, B>
auto layer_norm(const X& x, const W& weight, const B& bias, NormOptions options = {}) {
    return detail::result_of<X, W, B>(
        layer_norm(detail::as_variable(x), detail::as_variable(weight), detail::as_variable(bias), options));
}

// ops/einsum.hpp

template <class A, class B>
requires detail::WithTensors<A, B>
auto einsum(std::string_view equation, const A& a, const B& b) {
    return detail::result_of<A, B>(einsum(equation, detail::as_variable(a), detail::as_variable(b)));
}
template <class T>
Tensor<T> einsum(std::string_view equation, Tensor<T> x) {
    return einsum(equation, Variable<T>(std::move(x))).value();
}

// ops/pool2d.hpp

template <class T>
Tensor<T> max_pool2d(Tensor<T> x, const MaxPool2dOptions& options) {
    return max_pool2d(Variable<T>(std::move(x)), options).value();
}
template <class T>
Tensor<T> avg_pool2d(Tensor<T> x, const AvgPool2dOptions& options) {
    return avg_pool2d(Variable<T>(std::move(x)), options).value();
}
template <class X, detail::Extent Kernel>
requires detail::Differentiable<X> X max_pool2d(const X& x,
                                                Kernel kernel) {  // a number or a Size2; all else by default
    return max_pool2d(x, MaxPool2dOptions{.kernel_size = kernel});
}
template <class X, detail::Extent Kernel>
requires detail::Differentiable<X> X avg_pool2d(const X& x,
                                                Kernel kernel) {  // a number or a Size2; all else by default
    return avg_pool2d(x, AvgPool2dOptions{.kernel_size = kernel});
}
template <class T>
Tensor<T> adaptive_avg_pool2d(Tensor<T> x, Size2 output) {
    return adaptive_avg_pool2d(Variable<T>(std::move(x)), output).value();
}
template <class T>
Tensor<T> global_avg_pool2d(Tensor<T> x) {
    return global_avg_pool2d(Variable<T>(std::move(x))).value();
}
template <class T>
Tensor<T> global_max_pool2d(Tensor<T> x) {
    return global_max_pool2d(Variable<T>(std::move(x))).value();
}

// ops/dropout.hpp, ops/embedding.hpp, ops/indexing.hpp

template <class T>
Tensor<T> dropout(Tensor<T> x, double p, Generator& generator = default_generator()) {
    return dropout(Variable<T>(std::move(x)), p, generator).value();
}
template <class T>
Tensor<T> embedding(const Tensor<Index>& indices, const Tensor<T>& weight,
                    const EmbeddingOptions& options = {}) {
    return embedding(indices, Variable<T>(weight), options).value();
}
template <class T>
Tensor<T> index_select(Tensor<T> x, int axis, const Tensor<Index>& indices) {
    return index_select(Variable<T>(std::move(x)), axis, indices).value();
}
template <class T>
Tensor<T> gather(Tensor<T> x, int axis, const Tensor<Index>& indices) {
    return gather(Variable<T>(std::move(x)), axis, indices).value();
}

template <class X, class S>
requires detail::WithTensors<X, S>
auto scatter_add(const X& x, int axis, const Tensor<Index>& indices, const S& source) {
    return detail::result_of<X, S>(
        scatter_add(detail::as_variable(x), axis, indices, detail::as_variable(source)));
}

// ops/reduce.hpp

template <class T>
Tensor<T> sum(Tensor<T> x, const Axes& over = {}, ReduceOptions options = {}) {
    return sum(Variable<T>(std::move(x)), over, options).value();
}
template <class T>
Tensor<T> mean(Tensor<T> x, const Axes& over = {}, ReduceOptions options = {}) {
    return mean(Variable<T>(std::move(x)), over, options).value();
}
template <class T>
Tensor<T> prod(Tensor<T> x, const Axes& over = {}, ReduceOptions options = {}) {
    return prod(Variable<T>(std::move(x)), over, options).value();
}
template <class T>
Tensor<T> max(Tensor<T> x, const Axes& over = {}, ReduceOptions options = {}) {
    return max(Variable<T>(std::move(x)), over, options).value();
}
template <class T>
Tensor<T> min(Tensor<T> x, const Axes& over = {}, ReduceOptions options = {}) {
    return min(Variable<T>(std::move(x)), over, options).value();
}
template <class T>
Tensor<T> logsumexp(Tensor<T> x, const Axes& over = {}, ReduceOptions options = {}) {
    return logsumexp(Variable<T>(std::move(x)), over, options).value();
}
template <class T>
Tensor<T> var(Tensor<T> x, const Axes& over = {}, VarOptions options = {}) {
    return var(Variable<T>(std::move(x)), over, options).value();
}

template <class T>
Tensor<T> norm(Tensor<T> x, const Axes& over = {}, ReduceOptions options = {}) {
    return norm(Variable<T>(std::move(x)), over, options).value();
}
template <class T>
Tensor<T> std(Tensor<T> x, const Axes& over = {}, VarOptions options = {}) {
    return std(Variable<T>(std::move(x)), over, options).value();
}

// ops/scan.hpp, ops/sort.hpp

template <class T>
Tensor<T> cumsum(Tensor<T> x, int axis) {
    return cumsum(Variable<T>(std::move(x)), axis).value();
}
template <class T>
SortResult<Tensor<T>> sort(const Tensor<T>& x, int axis = -1, SortOptions options = {}) {
    SortResult<Variable<T>> result = sort(Variable<T>(x), axis, options);
    return {result.values.value(), result.indices};
}
template <class T>
SortResult<Tensor<T>> topk(const Tensor<T>& x, Index k, int axis = -1, TopkOptions options = {}) {
    SortResult<Variable<T>> result = topk(Variable<T>(x), k, axis, options);
    return {result.values.value(), result.indices};
}

// ops/layout.hpp

template <class T>
Tensor<T> reshape(Tensor<T> x, const Shape& shape) {
    return reshape(Variable<T>(std::move(x)), shape).value();
}
template <class T>
Tensor<T> reshape(Tensor<T> x, std::initializer_list<Index> sizes) {
    return reshape(Variable<T>(std::move(x)), sizes).value();
}
template <class T, detail::ListOf<Index> Sizes>
Tensor<T> reshape(Tensor<T> x, const Sizes& sizes) {
    return reshape(Variable<T>(std::move(x)), sizes).value();
}
template <class T>
Tensor<T> flatten(Tensor<T> x, int start_axis = 1) {
    return flatten(Variable<T>(std::move(x)), start_axis).value();
}
template <class T>
Tensor<T> squeeze(Tensor<T> x, int axis) {
    return squeeze(Variable<T>(std::move(x)), axis).value();
}
template <class T>
Tensor<T> unsqueeze(Tensor<T> x, int axis) {
    return unsqueeze(Variable<T>(std::move(x)), axis).value();
}
template <class T>
Tensor<T> transpose(Tensor<T> x, int axis_a, int axis_b) {
    return transpose(Variable<T>(std::move(x)), axis_a, axis_b).value();
}
template <class T>
Tensor<T> transpose(Tensor<T> x) {
    return transpose(Variable<T>(std::move(x))).value();
}
template <class T>
Tensor<T> permute(Tensor<T> x, const std::vector<int>& axes) {
    return permute(Variable<T>(std::move(x)), axes).value();
}
template <class T>
Tensor<T> flip(Tensor<T> x, const std::vector<int>& axes) {
    return flip(Variable<T>(std::move(x)), axes).value();
}
template <class T>
Tensor<T> broadcast_to(Tensor<T> x, const Shape& shape) {
    return broadcast_to(Variable<T>(std::move(x)), shape).value();
}
template <class T>
Tensor<T> broadcast_to(Tensor<T> x, std::initializer_list<Index> sizes) {
    return broadcast_to(Variable<T>(std::move(x)), sizes).value();
}
template <class T, detail::ListOf<Index> Sizes>
Tensor<T> broadcast_to(Tensor<T> x, const Sizes& sizes) {
    return broadcast_to(Variable<T>(std::move(x)), sizes).value();
}
template <class T>
Tensor<T> repeat(Tensor<T> x, const std::vector<Index>& times) {
    return repeat(Variable<T>(std::move(x)), times).value();
}

// ops/slice.hpp

template <class T>
Tensor<T> slice(Tensor<T> x, int axis, Index begin, Index end, Index step = 1) {
    return slice(Variable<T>(std::move(x)), axis, begin, end, step).value();
}
template <class T>
Tensor<T> pad(Tensor<T> x, const std::vector<PadWidth>& widths, std::type_identity_t<T> value = T(0)) {
    return pad(Variable<T>(std::move(x)), widths, value).value();
}
template <class T>
std::vector<Tensor<T>> split(const Tensor<T>& x, Index size, int axis = 0) {
    return detail::values_of(split(Variable<T>(x), size, axis));
}
template <class T>
std::vector<Tensor<T>> split(const Tensor<T>& x, const std::vector<Index>& sizes, int axis = 0) {
    return detail::values_of(split(Variable<T>(x), sizes, axis));
}
template <class T>
std::vector<Tensor<T>> split(const Tensor<T>& x, std::initializer_list<Index> sizes, int axis = 0) {
    return detail::values_of(split(Variable<T>(x), sizes, axis));
}
template <class T>
Tensor<T> concat(const std::vector<Tensor<T>>& inputs, int axis = 0) {
    return concat(detail::as_variables(inputs), axis).value();
}
template <class T>
Tensor<T> concat(std::initializer_list<Tensor<T>> inputs, int axis = 0) {
    return concat(std::vector<Variable<T>>(inputs.begin(), inputs.end()), axis).value();
}
template <class T>
Tensor<T> stack(const std::vector<Tensor<T>>& inputs, int axis = 0) {
    return stack(detail::as_variables(inputs), axis).value();
}
template <class T>
Tensor<T> stack(std::initializer_list<Tensor<T>> inputs, int axis = 0) {
    return stack(std::vector<Variable<T>>(inputs.begin(), inputs.end()), axis).value();
}

}  // namespace gradus
