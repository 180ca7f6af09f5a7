// SPDX-License-Identifier: MIT
#pragma once

#include <limits>

namespace gradus::detail {

#if defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
inline constexpr bool has_infinities = false;
#else
inline constexpr bool has_infinities = true;
#endif

/// What no number exceeds: infinity where T has one. A program built with -ffinite-math-only (a part of
/// -ffast-math) promises that there is none, and the compiler may make any value of a comparison with one;
/// the largest number serves there, and for integers.
template <class T>
inline constexpr T unbounded = has_infinities&& std::numeric_limits<T>::has_infinity
                                   ? std::numeric_limits<T>::infinity()
                                   : std::numeric_limits<T>::max();

}  // namespace gradus::detail
