// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>
#include <tuple>
#include <utility>

#include "gradus/autograd/variable.hpp"
#include "gradus/core/reflect.hpp"

namespace gradus::nn {

/// Layers called one after the other. Their parameters are named by position, as in PyTorch: "0.weight",
/// "2.bias".
///
///     nn::Sequential net(nn::Linear<>(784, 100), nn::ReLU(), nn::Linear<>(100, 10));
template <class... Layers>
struct Sequential {
    static_assert(sizeof...(Layers) <= 100, "a Sequential holds at most 100 layers: nest another one");

    std::tuple<Layers...> layers;

    explicit Sequential(Layers... list) : layers(std::move(list)...) {}

    template <class T>
    Variable<T> operator()(const Variable<T>& x) const {
        return std::apply([&x](const auto&... layer) { return call(x, layer...); }, layers);
    }

    template <class T>
    Variable<T> operator()(const Tensor<T>& x) const {
        return (*this)(Variable<T>(x));
    }

    auto fields() {
        return [this]<std::size_t... I>(std::index_sequence<I...>) {
            return std::tuple(field(position_name(I), std::get<I>(layers))...);
        }
        (std::index_sequence_for<Layers...>());
    }

private:
    template <class T, class... Rest>
    static Variable<T> call(Variable<T> x, const auto& first, const Rest&... rest) {
        if constexpr (sizeof...(Rest) == 0)
            return first(std::move(x));  // a temporary: layers that can work in one step with the last one do
        else
            return call<T>(first(std::move(x)), rest...);
    }
    template <class T>
    static Variable<T> call(Variable<T> x) {
        return x;
    }

    /// "0" to "99".
    static constexpr std::string_view position_name(std::size_t i) {
        constexpr std::string_view digits =
            "000102030405060708091011121314151617181920212223242526272829303132333435363738394041424344454647"
            "4849"
            "505152535455565758596061626364656667686970717273747576777879808182838485868788899091929394959697"
            "9899";
        return i < 10 ? digits.substr(2 * i + 1, 1) : digits.substr(2 * i, 2);
    }
};

}  // namespace gradus::nn
