// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>
#include <tuple>
#include <utility>

#include "gradus/autograd/variable.hpp"
#include "gradus/core/reflect.hpp"

namespace gradus::nn {

/// Layers called one after the other. Their parameters are named by position, as in PyTorch: "0.weight", "2.bias".
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
        }(std::index_sequence_for<Layers...>());
    }

private:
    template <class T, class... Rest>
    static Variable<T> call(const Variable<T>& x, const auto& first, const Rest&... rest) {
        if constexpr (sizeof...(Rest) == 0)
            return first(x);
        else
            return call<T>(first(x), rest...);
    }
    template <class T>
    static Variable<T> call(const Variable<T>& x) {
        return x;
    }

    /// "0" to "99".
    static constexpr std::string_view position_name(std::size_t i) {
        constexpr std::string_view digits =
            "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
            "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";
        return i < 10 ? digits.substr(2 * i + 1, 1) : digits.substr(2 * i, 2);
    }
};

}  // namespace gradus::nn
