// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/core/parallel.hpp"
#include "gradus/core/tensor.hpp"

namespace gradus::kernels {

enum class Triangle { lower, upper };

/// x [..., rows, columns] with 0 outside a triangle: the lower one keeps column − row <= diagonal, the upper
/// one column − row >= diagonal.
template <class T>
Tensor<T> triangle(const Tensor<T>& x, Triangle part, Index diagonal) {
    Tensor<T> y = Tensor<T>::uninitialized(x.shape(), "triangle");
    if (y.numel() == 0) return y;
    const Index rows = x.size(-2), columns = x.size(-1);
    const Index first = std::clamp(diagonal, -rows, columns) + (part == Triangle::lower ? 1 : 0);
    const T* const in = x.data();
    T* const out = y.mutable_data();
    parallel_for(x.numel() / columns, std::max<Index>(1, parallel_grain / columns),
                 [&](Index begin, Index end) {
                     for (Index row = begin; row < end; ++row) {
                         const T* const from = in + row * columns;
                         T* const to = out + row * columns;
                         const Index border = std::clamp<Index>(row % rows + first, 0, columns);
                         if (part == Triangle::lower) {
                             std::copy_n(from, border, to);
                             std::fill_n(to + border, columns - border, T(0));
                         } else {
                             std::fill_n(to, border, T(0));
                             std::copy_n(from + border, columns - border, to + border);
                         }
                     }
                 });
    return y;
}

}  // namespace gradus::kernels
