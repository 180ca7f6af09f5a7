// SPDX-License-Identifier: MIT
#pragma once

// Targets of a loss in an op table row: the same numbers whatever the number type.

#include <type_traits>

#include "gradus/core/random.hpp"
#include "gradus/core/tensor.hpp"

/// The number type of a variable.
template <class V>
using number_of = typename std::remove_cvref_t<decltype(std::declval<V>().value())>::value_type;

/// Uniform in [low, high), and exact in float.
template <class T>
gradus::Tensor<T> targets(const gradus::Shape& shape, double low, double high) {
    gradus::Generator generator(11);
    return gradus::cast<T>(gradus::cast<float>(gradus::uniform<double>(shape, low, high, generator)));
}

/// Class numbers: 0, 1, ..., classes - 1, 0, 1, ...
inline gradus::Tensor<gradus::Index> some_labels(const gradus::Shape& shape, gradus::Index classes) {
    gradus::Tensor<gradus::Index> result = gradus::arange<gradus::Index>(shape.numel()).reshape(shape);
    for (gradus::Index& label : result.mutable_values()) label %= classes;
    return result;
}
