// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <type_traits>
#include <utility>

#include "gradus/core/parallel.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/kernels/elementwise/arithmetic.hpp"

// Scans along one axis of x [outer, n, inner]: what every element becomes depends on those before it. Serial
// along the axis, so the bits do not depend on the number of threads.

namespace gradus::kernels {
namespace detail {

/// The type in which a scan of T adds up and multiplies.
template <class T>
using ScanType = std::conditional_t<std::is_same_v<T, float>, double, T>;

}  // namespace detail

/// y[a, i, j] = the sum of x[a, 0 ... i, j]; in reverse, of x[a, i ... n - 1, j]. Of float in double, and
/// always in runs of 512 beside the total of the runs before: the error does not grow with every element.
template <class T>
Tensor<T> cumsum(const Tensor<T>& x, int axis, bool reverse = false) {
    constexpr Index width = 64, run = 512;
    Tensor<T> y = Tensor<T>::uninitialized(x.shape(), "cumsum");
    if (y.numel() == 0) return y;
    const Index n = x.size(axis), outer = x.shape().span(0, axis), inner = x.shape().span(axis + 1, x.rank());
    const Index strips = (inner + width - 1) / width;
    const T* const in = x.data();
    T* const out = y.mutable_data();
    const Index grain = std::max<Index>(1, parallel_grain / (n * std::min(width, inner)));
    parallel_for(outer * strips, grain, [&](Index begin, Index end) {
        for (Index strip = begin; strip < end; ++strip) {
            const Index first = strip / strips * n * inner + strip % strips * width;
            const Index columns = std::min(width, inner - strip % strips * width);
            detail::ScanType<T> total[std::size_t{width}], part[std::size_t{width}];
            std::fill_n(total, columns, detail::ScanType<T>(0));
            std::fill_n(part, columns, detail::ScanType<T>(0));
            for (Index i = 0; i < n; ++i) {
                const Index row = first + (reverse ? n - 1 - i : i) * inner;
                for (Index j = 0; j < columns; ++j) {
                    if (i % run == 0)
                        total[j] = add(total[j], std::exchange(part[j], detail::ScanType<T>(0)));
                    part[j] = add(part[j], static_cast<detail::ScanType<T>>(in[row + j]));
                    out[row + j] = static_cast<T>(add(total[j], part[j]));
                }
            }
        }
    });
    return y;
}

/// y[r, i] = the product of x[r, k] over all k but i, for rows of n: what a product changes with its factors,
/// without a division that zeros would spoil.
template <class T>
Tensor<T> products_of_others(const Tensor<T>& x, Index n) {
    using Wide = detail::ScanType<T>;
    Tensor<T> y = Tensor<T>::uninitialized(x.shape());
    if (y.numel() == 0) return y;
    const T* const in = x.data();
    T* const out = y.mutable_data();
    parallel_for(x.numel() / n, std::max<Index>(1, parallel_grain / n), [&](Index begin, Index end) {
        Tensor<Wide> memory = Tensor<Wide>::uninitialized({n});
        Wide* const before = memory.mutable_data();
        for (Index row = begin * n; row < end * n; row += n) {
            Wide product(1);
            for (Index i = 0; i < n; ++i) {
                before[i] = product;
                product = product * static_cast<Wide>(in[row + i]);
            }
            product = Wide(1);
            for (Index i = n - 1; i >= 0; --i) {
                out[row + i] = static_cast<T>(before[i] * product);
                product = product * static_cast<Wide>(in[row + i]);
            }
        }
    });
    return y;
}

}  // namespace gradus::kernels
