// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdio>
#include <string>
#include <type_traits>

#include "gradus/core/tensor.hpp"

namespace gradus {
namespace detail {

template <class T>
std::string format_number(T value) {
    if constexpr (std::is_integral_v<T>) {
        return std::to_string(value);
    } else if constexpr (std::is_convertible_v<T, double>) {
        char text[32];
        std::snprintf(text, sizeof text, "%.4g", static_cast<double>(value));
        return text;
    } else {
        return to_string(value);
    }
}

/// The axes from `axis` on, in brackets; number(i) is the text of element i, and `at` the next element to
/// print. When abbreviating, "..." stands for all but three positions at each end of a long axis.
inline std::string print_levels(const Shape& shape, int axis, Index& at, bool abbreviate,
                                const auto& number) {
    if (axis == shape.rank()) return number(at++);
    const Index size = shape[axis], inner = shape.span(axis + 1, shape.rank());
    const std::string indent(static_cast<std::size_t>(axis) + 1, ' ');
    const std::string gap = axis + 1 == shape.rank() ? ", " : ",\n" + indent;
    std::string text = "[";
    for (Index i = 0; i < size; ++i) {
        if (i > 0) text += gap;
        if (abbreviate && size > 6 && i == 3) {
            text += "..." + gap;
            at += inner * (size - 6);
            i = size - 3;
        }
        text += print_levels(shape, axis + 1, at, abbreviate, number);
    }
    return text + "]";
}

}  // namespace detail

/// Rows and columns in brackets, aligned, four significant digits; the middle of a tensor of more than 1000
/// elements (or of none: there may be many empty rows) is left out.
///
///     [[1, 2],
///      [3, 4]]
template <class T>
std::string to_string(const Tensor<T>& x) {
    const bool abbreviate = x.numel() > 1000 || x.numel() == 0;
    std::size_t width = 0;
    const auto measure = [&](Index i) {
        width = std::max(width, detail::format_number(x.data()[i]).size());
        return std::string();
    };
    Index at = 0;
    detail::print_levels(x.shape(), 0, at, abbreviate, measure);
    const auto number = [&](Index i) {
        const std::string text = detail::format_number(x.data()[i]);
        return std::string(width - text.size(), ' ') + text;
    };
    at = 0;
    return detail::print_levels(x.shape(), 0, at, abbreviate, number);
}

/// std::cout << x
template <detail::OutputStream Stream, class T>
Stream& operator<<(Stream& out, const Tensor<T>& x) {
    out << to_string(x);
    return out;
}

}  // namespace gradus
