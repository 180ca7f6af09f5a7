// SPDX-License-Identifier: MIT
#pragma once

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

    /// Layer number I: net.get<0>().weight.
    template <std::size_t I>
    auto& get() {
        return std::get<I>(layers);
    }
    template <std::size_t I>
    const auto& get() const {
        return std::get<I>(layers);
    }

    auto fields() { return std::tuple(field("", layers)); }

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
};

}  // namespace gradus::nn
