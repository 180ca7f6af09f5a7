// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <string>

#include "gradus/core/shape.hpp"

namespace gradus {

struct Size2;
std::string to_string(const Size2& size);

/// Height and width: of a kernel, a stride, a padding. A single number stands for both.
///
///     {.kernel_size = 3, .stride = {2, 1}}
struct Size2 {
    Index height = 0;
    Index width = 0;

    constexpr Size2() = default;
    template <std::integral I>
    constexpr Size2(I both) : height(static_cast<Index>(both)), width(height) {}
    constexpr Size2(Index h, Index w) : height(h), width(w) {}

    friend constexpr bool operator==(const Size2&, const Size2&) = default;
    constexpr Index area() const { return height * width; }

    template <detail::OutputStream Stream>
    friend Stream& operator<<(Stream& out, const Size2& size) {
        out << to_string(size);
        return out;
    }
};

namespace detail {

/// What can stand for height and width: a number or a Size2, but no braces, which are for options.
template <class S>
concept Extent = std::integral<S> || std::same_as<S, Size2>;

}  // namespace detail

/// "[3, 2]".
[[gnu::cold]] inline std::string to_string(const Size2& size) {
    return "[" + std::to_string(size.height) + ", " + std::to_string(size.width) + "]";
}

}  // namespace gradus
