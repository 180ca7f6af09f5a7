// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <tuple>
#include <utility>

#include "gradus/autograd/record.hpp"
#include "gradus/core/dual.hpp"
#include "gradus/kernels/elementwise/map.hpp"

namespace gradus {

/// Your own element-wise operation: y = f(x, ...), operands broadcast. f is written once, for numbers of any
/// type; its derivatives are taken with Dual numbers, exactly, and the whole expression is one pass over
/// memory.
///
///     auto y = map([](auto a, auto b) { using std::exp; return a * exp(-b * b); }, x, z);
///
/// dxᵢ = dy · ∂f/∂xᵢ. Inside f, call functions without `std::` after a using declaration, so that Dual's are
/// found.
template <class F, class T, class... Rest>
Variable<T> map(const F& f, const Variable<T>& x, const Rest&... rest) {
    constexpr std::size_t count = 1 + sizeof...(Rest);
    const std::tuple values(x.value(), rest.value()...);
    const auto rule = [&]<std::size_t I>(std::integral_constant<std::size_t, I>) {
        return [f, values](const Tensor<T>& dy) {
            const auto slope = [&f](const T& d, const auto&... at) {
                std::array<Dual<T>, count> duals{Dual<T>(at)...};
                duals[I].dual = d;  // from the start: the slope alone may overflow where dy · slope does not
                return std::apply([&f](const auto&... v) { return Dual<T>(f(v...)); }, duals).dual;
            };
            return std::apply([&](const auto&... v) { return kernels::map("map", slope, dy, v...); }, values);
        };
    };
    const auto value = [&f](const T& a, const auto&... b) { return T(f(a, b...)); };
    const std::tuple inputs(&x, &rest...);
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
        return record("map",
                      std::apply([&](const auto&... v) { return kernels::map("map", value, v...); }, values),
                      wrt(static_cast<const Variable<T>&>(*std::get<I>(inputs)),
                          rule(std::integral_constant<std::size_t, I>()))...);
    }
    (std::make_index_sequence<count>());
}

}  // namespace gradus
