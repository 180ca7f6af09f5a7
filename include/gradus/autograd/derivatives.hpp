// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "gradus/autograd/backward.hpp"
#include "gradus/autograd/no_grad.hpp"
#include "gradus/autograd/variable.hpp"
#include "gradus/core/dual.hpp"

namespace gradus {
namespace detail {

template <class T>
Tensor<Dual<T>> with_tangent(const char* operation, const Tensor<T>& value, const Tensor<T>& tangent) {
    if (value.shape() != tangent.shape())
        raise<ShapeError>(operation, "value and tangent differ in shape", value.shape(), tangent.shape());
    Tensor<Dual<T>> result = Tensor<Dual<T>>::uninitialized(value.shape());
    Dual<T>* out = result.mutable_data();
    for (Index i = 0; i < value.numel(); ++i) out[i] = {value.data()[i], tangent.data()[i]};
    return result;
}

template <class T>
Tensor<T> part(const Tensor<Dual<T>>& x, T Dual<T>::*which) {
    Tensor<T> result = Tensor<T>::uninitialized(x.shape());
    T* out = result.mutable_data();
    for (const Dual<T>& element : x) *out++ = element.*which;
    return result;
}

template <class T>
std::vector<Variable<Dual<T>>> dual_inputs(const char* operation, const std::vector<Tensor<T>>& inputs,
                                           const std::vector<Tensor<T>>& tangents, bool requires_grad) {
    gradus::detail::check<ValueError>(inputs.size() == tangents.size(), operation,
                                      "needs one tangent per input");
    std::vector<Variable<Dual<T>>> result;
    for (std::size_t i = 0; i < inputs.size(); ++i)
        result.emplace_back(with_tangent(operation, inputs[i], tangents[i]), VariableOptions{requires_grad});
    return result;
}

}  // namespace detail

template <class T>
struct JvpResult {
    Tensor<T> value;
    Tensor<T> tangent;
};

/// f(x) and the directional derivative J·v in one forward pass, without history. f is a generic function of a
/// vector of variables, for any number type: [](const auto& x) { return tanh(x[0]); }.
template <class T, class F>
JvpResult<T> jvp(const F& f, const std::vector<Tensor<T>>& inputs, const std::vector<Tensor<T>>& tangents) {
    const NoGrad guard;
    const Tensor<Dual<T>> y = f(detail::dual_inputs("jvp", inputs, tangents, false)).value();
    return {detail::part(y, &Dual<T>::value), detail::part(y, &Dual<T>::dual)};
}

template <class T>
struct HvpResult {
    Tensor<T> value;                  // f(x), a single number
    std::vector<Tensor<T>> gradient;  // per input
    std::vector<Tensor<T>> hvp;       // per input: the Hessian times the tangents
};

/// The gradient of a scalar function and its Hessian-vector product H·v: the ordinary forward and backward
/// pass, run with dual numbers. Source: Pearlmutter, "Fast exact multiplication by the Hessian", 1994.
template <class T, class F>
HvpResult<T> hvp(const F& f, const std::vector<Tensor<T>>& inputs, const std::vector<Tensor<T>>& tangents) {
    const auto variables = detail::dual_inputs("hvp", inputs, tangents, true);
    const Variable<Dual<T>> y = f(variables);
    y.backward();
    HvpResult<T> result{detail::part(y.value(), &Dual<T>::value), {}, {}};
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        const bool used = variables[i].has_grad();
        const Tensor<Dual<T>> g = used ? variables[i].grad() : zeros<Dual<T>>(inputs[i].shape());
        result.gradient.push_back(detail::part(g, &Dual<T>::value));
        result.hvp.push_back(detail::part(g, &Dual<T>::dual));
    }
    return result;
}

}  // namespace gradus
