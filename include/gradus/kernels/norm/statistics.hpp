// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <type_traits>

#include "gradus/core/tensor.hpp"
#include "gradus/kernels/simd/dispatch.hpp"
#include "gradus/kernels/simd/scalar.hpp"
#include "gradus/kernels/simd/stream_store.hpp"
#include "gradus/kernels/simd/tail.hpp"
#include "gradus/kernels/simd/vec.hpp"

// What batch_norm.hpp and layer_norm.hpp share. The result is never stored in its normalized form: the
// backward pass takes that from x, the center and the scale again.
//
// Statistics are taken block by block, in two passes over a block that fits the cache: first its mean m, then
// the sum of the deviations from m (what rounding left of them) and of their squares. So a large mean costs
// no digits of the variance. Blocks depend on the shape alone and are put together in their order, in double.

namespace gradus::kernels {

/// What normalizes a channel or a row: xhat = (x − center) · rstd + shift. The center is the mean, rounded to
/// T; shift makes up for the rounding, which shows where the mean is large.
template <class T>
struct NormStatistics {
    Tensor<T> center, rstd, shift;
};

namespace detail {

/// What sums of many blocks are kept in.
template <class T>
using Wide = std::conditional_t<std::is_floating_point_v<T>, double, T>;

/// Elements that are summed in T before the sum goes on in Wide.
inline constexpr Index norm_block = 4096;

/// Puts mean and variance into the form that kernels use.
template <class T>
void write_statistics(const Wide<T>& mean, const Wide<T>& var, double eps, T* center, T* rstd, T* shift) {
    using std::sqrt;
    const Wide<T> r = Wide<T>(1) / sqrt(var + Wide<T>(eps));
    *center = static_cast<T>(mean);
    *rstd = static_cast<T>(r);
    *shift = static_cast<T>((Wide<T>(*center) - mean) * r);
}

/// Rows of fewer elements are worked on one by one. No vector has more lanes.
inline constexpr Index shortest_row = 16;

/// kernel.body<P>() with P a vector of the chosen instruction set.
template <class T, class Kernel>
struct ForVectors {
    Kernel kernel;

    template <int Bytes>
    GRADUS_INLINE void run() {
        kernel.template body<simd::VecOf<T, Bytes>>();
    }
};

/// The same; with P = Single for rows shorter than that and for numbers that do not fit in a vector.
template <class T, class Kernel>
void run_rows(Index n, Kernel kernel) {
    if constexpr (std::is_floating_point_v<T>)
        if (n >= shortest_row) return simd::run(ForVectors<T, Kernel>{kernel});
    kernel.template body<simd::Single<T>>();
}

/// Calls f(r, i, k, whole) for every vector of `rows` rows: i is where in row r it begins, k < 4 the
/// accumulator to use, and `whole` says whether all of it is new.
template <class P, class F>
GRADUS_INLINE void for_vectors(Index rows, Index n, const F& f) {
    constexpr Index lanes = P::size;
    Index r = 0;
    if (n < 4 * lanes)  // four rows at a time
        for (; r + 4 <= rows; r += 4) {
            Index i = 0;
            for (; i + lanes <= n; i += lanes)
#pragma GCC unroll 4
                for (int k = 0; k < 4; ++k) f(r + k, i, k, std::true_type());
            if (i == n) continue;
#pragma GCC unroll 4
            for (int k = 0; k < 4; ++k) f(r + k, n - lanes, k, std::false_type());
        }
    for (; r < rows; ++r) {
        Index i = 0;
        for (; i + 4 * lanes <= n; i += 4 * lanes)
#pragma GCC unroll 4
            for (int k = 0; k < 4; ++k) f(r, i + k * lanes, k, std::true_type());
        for (; i + lanes <= n; i += lanes) f(r, i, 0, std::true_type());
        if (i < n) f(r, n - lanes, 1, std::false_type());
    }
}

template <class P>
GRADUS_INLINE P add4(const P* part) {
    return (part[0] + part[1]) + (part[2] + part[3]);
}
template <class P>
GRADUS_INLINE typename P::Value sum4(const P* part) {
    return sum(add4(part));
}

}  // namespace detail
}  // namespace gradus::kernels
