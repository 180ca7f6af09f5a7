// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <limits>

#include "gradus/kernels/functions.hpp"
#include "gradus/kernels/map.hpp"

namespace gradus::kernels {
namespace detail {

template <class T>
T largest(const T* x, Index n) {
    T result = x[0];
    for (Index i = 1; i < n; ++i)
        if (x[i] > result || result != result) result = x[i];
    return result;
}

/// For one row x of n numbers: y[i] = exp(x[i] - m) with m the largest x, and log Σ exp(x) = m + log Σ y.
/// Short rows keep one block of packs: the largest is found across lanes, the tail is padded with -inf.
template <class T>
struct SoftmaxKernel {
    template <int Bytes>
    GRADUS_INLINE static void run(const T* x, Index rows, Index n, T* y, T* log_sum, T* sum_out) {
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
            // A row of all -inf (or one with +inf) has no finite shift: then nothing is subtracted, and NaN or inf shows.
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
            log_sum[r] = shift[0] + std::log(sum_out[r]);
        }
    }
};

}  // namespace detail

/// Row by row along the last axis: y = exp(x - max), its sum, and log Σ exp(x). Everything softmax, log-softmax,
/// logsumexp and cross-entropy need.
template <class T>
struct SoftmaxParts {
    Tensor<T> exps, sums, log_sums;  // [..., n], [rows], [rows]
};

template <class T>
SoftmaxParts<T> softmax_parts(const Tensor<T>& x) {
    const Index n = x.size(-1), rows = n == 0 ? 0 : x.numel() / n;
    SoftmaxParts<T> parts{Tensor<T>::uninitialized(x.shape()), Tensor<T>::uninitialized({rows}),
                          Tensor<T>::uninitialized({rows})};
    T* const exps = parts.exps.mutable_data();
    T* const sums = parts.sums.mutable_data();
    T* const log_sums = parts.log_sums.mutable_data();
    parallel_for(rows, std::max<Index>(1, parallel_grain / 8 / std::max<Index>(n, 1)), [&](Index begin, Index end) {
        if constexpr (std::is_floating_point_v<T>) {
            simd::run<detail::SoftmaxKernel<T>>(x.data() + begin * n, end - begin, n, exps + begin * n,
                                                log_sums + begin, sums + begin);
        } else {
            using std::exp, std::log;
            for (Index r = begin; r < end; ++r) {
                const T m = detail::largest(x.data() + r * n, n);
                T sum(0);
                for (Index i = r * n; i < (r + 1) * n; ++i) sum = sum + (exps[i] = exp(x.data()[i] - m));
                sums[r] = sum;
                log_sums[r] = m + log(sum);
            }
        }
    });
    return parts;
}

}  // namespace gradus::kernels
