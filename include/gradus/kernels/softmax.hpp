// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <limits>

#include "gradus/kernels/functions.hpp"
#include "gradus/kernels/map.hpp"

namespace gradus::kernels {
namespace detail {

/// The largest of n numbers; 0 if that is -inf (or there are none), because it could not be subtracted.
template <class T>
T largest(const T* x, Index n) {
    T result(-std::numeric_limits<double>::infinity());
    for (Index i = 0; i < n; ++i)
        if (x[i] > result || result != result) result = x[i];
    return result > T(-std::numeric_limits<double>::infinity()) ? result : T(0);
}

/// For one row x of n numbers: m, the largest x, y[i] = exp(x[i] - m) and their sum.
/// Short rows keep one block of packs: the largest is found across lanes, the tail is padded with -inf.
template <class T>
struct SoftmaxKernel {
    template <int Bytes>
    GRADUS_INLINE static void run(const T* x, Index rows, Index n, T* y, T* largest_out, T* sum_out) {
        constexpr int lanes = Bytes / static_cast<int>(sizeof(T));
        constexpr T lowest = -std::numeric_limits<T>::infinity();
        using Pack = simd::Pack<T, lanes>;
        for (Index r = 0; r < rows; ++r, x += n, y += n) {
            Pack top(lowest);
            Index i = 0;
            for (; i + lanes <= n; i += lanes) top = max(Pack::load(x + i), top);
            const int rest = static_cast<int>(n - i);
            const Pack tail = Pack::load_partial(x + i, rest, lowest);
            const T m = max(max(tail, top));
            // A row of all -inf (or one with +inf) has no finite shift: then nothing is subtracted, and NaN
            // or inf shows.
            const Pack shift(m > lowest ? m : T(0));
            Pack total(T(0));
            for (i = 0; i + lanes <= n; i += lanes) {
                const Pack e = exp(Pack::load(x + i) - shift);
                e.store(y + i);
                total += e;
            }
            const Pack e = exp(tail - shift);
            e.store_partial(y + i, rest);
            total += e;
            sum_out[r] = sum(total);
            largest_out[r] = shift[0];
        }
    }
};

}  // namespace detail

/// Row by row along the last axis: exps = exp(x - largest), their sum, and the largest x. Softmax is exps /
/// sum; its logarithm is (x - largest) - log(sum), in this order, which keeps all digits where x is large.
template <class T>
struct SoftmaxParts {
    Tensor<T> exps, sums, largest;  // [..., n], [rows], [rows]
};

template <class T>
SoftmaxParts<T> softmax_parts(const Tensor<T>& x) {
    const Index n = x.size(-1), rows = x.shape().span(0, x.rank() - 1);
    SoftmaxParts<T> parts{Tensor<T>::uninitialized(x.shape()), Tensor<T>::uninitialized({rows}),
                          Tensor<T>::uninitialized({rows})};
    T* const exps = parts.exps.mutable_data();
    T* const sums = parts.sums.mutable_data();
    T* const tops = parts.largest.mutable_data();
    parallel_for(rows, std::max<Index>(1, parallel_grain / 8 / std::max<Index>(n, 1)),
                 [&](Index begin, Index end) {
                     if constexpr (std::is_floating_point_v<T>) {
                         simd::run<detail::SoftmaxKernel<T>>(x.data() + begin * n, end - begin, n,
                                                             exps + begin * n, tops + begin, sums + begin);
                     } else {
                         using std::exp;
                         for (Index r = begin; r < end; ++r) {
                             const T m = detail::largest(x.data() + r * n, n);
                             T sum(0);
                             for (Index i = r * n; i < (r + 1) * n; ++i)
                                 sum = sum + (exps[i] = exp(x.data()[i] - m));
                             sums[r] = sum;
                             tops[r] = m;
                         }
                     }
                 });
    return parts;
}

}  // namespace gradus::kernels
