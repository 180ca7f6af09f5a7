// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <vector>

#include "gradus/core/parallel.hpp"
#include "gradus/core/tensor.hpp"

// The order of elements along one axis. It is a total one, so nothing depends on the algorithm: NaN is
// greater than every number, and equal elements come in the order of their positions.

namespace gradus::kernels {
namespace detail {

template <class T>
struct Ranked {
    T value;
    Index position;
};

/// Whether a comes before b.
template <class T>
struct ComesBefore {
    bool descending;

    static bool less(const T& a, const T& b) { return a < b || (b != b && a == a); }

    bool operator()(const Ranked<T>& a, const Ranked<T>& b) const {
        if (less(a.value, b.value)) return !descending;
        if (less(b.value, a.value)) return descending;
        return a.position < b.position;
    }
};

}  // namespace detail

/// result[a, i, j] = the position along the axis of the element of x[a, :, j] that is number i in order, for
/// the first k.
template <class T>
Tensor<Index> sorted_positions(const Tensor<T>& x, int axis, Index k, bool descending) {
    const Index n = x.size(axis), inner = x.shape().span(axis + 1, x.rank());
    Tensor<Index> result = Tensor<Index>::uninitialized(x.shape().with(axis, k), "sort");
    if (result.numel() == 0) return result;
    const T* const in = x.data();
    Index* const out = result.mutable_data();
    const detail::ComesBefore<T> before{descending};
    parallel_for(x.numel() / n, std::max<Index>(1, parallel_grain / 8 / n), [&](Index begin, Index end) {
        std::vector<detail::Ranked<T>> ranked(static_cast<std::size_t>(n));
        for (Index line = begin; line < end; ++line) {
            const Index a = line / inner, j = line % inner;
            for (Index i = 0; i < n; ++i)
                ranked[static_cast<std::size_t>(i)] = {in[(a * n + i) * inner + j], i};
            detail::Ranked<T>*const first = ranked.data(), *const middle = first + k;
            if (k < n) std::nth_element(first, middle, first + n, before);
            std::sort(first, middle, before);
            for (Index i = 0; i < k; ++i)
                out[(a * k + i) * inner + j] = ranked[static_cast<std::size_t>(i)].position;
        }
    });
    return result;
}

}  // namespace gradus::kernels
