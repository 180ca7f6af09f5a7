// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>

#include "gradus/core/shape.hpp"

namespace gradus {

/// Height and width: of a kernel, a stride, a padding. A single number stands for both.
///
///     {.kernel = 3, .stride = {2, 1}}
struct Size2 {
    Index height = 0;
    Index width = 0;

    constexpr Size2() = default;
    template <std::integral I>
    constexpr Size2(I both) : height(static_cast<Index>(both)), width(height) {}
    constexpr Size2(Index h, Index w) : height(h), width(w) {}

    friend constexpr bool operator==(const Size2&, const Size2&) = default;
    constexpr Index area() const { return height * width; }
    constexpr Shape shape() const { return {height, width}; }  // for error messages
};

}  // namespace gradus
