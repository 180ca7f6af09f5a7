// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/core/memory.hpp"
#include "gradus/kernels/pool/plane_per_lane.hpp"
#include "gradus/kernels/pool/small_windows.hpp"
#include "gradus/kernels/reduce/reduce.hpp"
#include "gradus/kernels/simd/scalar.hpp"
#include "gradus/kernels/simd/vec.hpp"

// Average-pooling of planes, forward and backward. Chooses: usual windows of wide planes in lanes of neighboring
// results (small_windows.hpp), else one plane per lane (plane_per_lane.hpp) while windows have few elements, else
// sums of rows and then of columns.

namespace gradus::kernels {
namespace detail {

/// The sum of n > 0 neighbors.
template <class T>
T sum_of(const T* elements, Index n) {
    T sum = elements[0];
    if (n > sum_run)
        reduce_rows<SumOf>(elements, 1, n, &sum);
    else
        for (Index j = 1; j < n; ++j) sum += elements[j];
    return sum;
}

/// One plane, by sums of rows and then of columns.
template <class T>
void avg_pool_plane(const PoolPlan& plan, const T* x, T* out, gradus::detail::RecycledVector<T>& sums) {
    const PoolAxis &rows = plan.rows, &columns = plan.columns;
    for (const PoolWindow& r : rows.windows) {
        const T* const in = x + (r.start + r.first) * columns.size;
        reduce_columns<SumOf>(in, 1, r.last - r.first, columns.size, sums.data());
        for (const PoolWindow& c : columns.windows) {
            const T sum = sum_of(sums.data() + c.start + c.first, c.last - c.first);
            *out++ = sum / static_cast<T>(r.extent * c.extent);
        }
    }
}

/// The means of the windows of a band, with one plane per lane.
template <class T>
struct AvgPoolInLanes {
    const PoolPlan* plan;
    const PoolBand* band;
    const T* elements;
    T* results;

    template <int Bytes>
    GRADUS_INLINE void run() {
        constexpr int lanes = std::min(static_cast<int>(lane_planes), Bytes / static_cast<int>(sizeof(T)));
        constexpr int vectors = std::min(4, static_cast<int>(lane_planes) / lanes);  // as registers allow
        using Vec = simd::Vec<T, lanes>;
        for (Index row = band->begin; row < band->end; ++row)
            for (const PoolWindow& c : plan->columns.windows) {
                const PoolWindow& r = plan->rows.windows.data()[row];
                for (Index lane = 0; lane < lane_planes;
                     lane += vectors * lanes, results += vectors * lanes) {
                    Vec total[std::size_t{vectors}];
                    for (int v = 0; v < vectors; ++v) total[v] = Vec(T(0));
                    for_each_element(*plan, *band, r, c, elements + lane,
                                     [&](const T* from, Index) GRADUS_INLINE_LAMBDA {
#pragma GCC unroll 4
                                         for (int v = 0; v < vectors; ++v)
                                             total[v] += Vec::load(from + v * lanes);
                                     });
                    for (int v = 0; v < vectors; ++v)
                        (total[v] / static_cast<T>(r.extent * c.extent)).store(results + v * lanes);
                }
            }
    }
};

/// Planes [begin, end) of so many. Large windows go by sums of rows: fewer additions.
template <class T>
void avg_pool_planes(const PoolPlan& plan, Index count, const T* x, T* y, Index begin, Index end) {
    const UnclippedColumns unclipped(plan, count * plan.input() * static_cast<Index>(sizeof(T)));
    if (const auto rows = choose_small_windows<WindowSum, T>(unclipped)) {
        for (; begin < end; ++begin)
            rows(&unclipped, x + begin * plan.input(), {y + begin * plan.output(), nullptr});
        return;
    }
    if constexpr (std::is_floating_point_v<T>) {
        const PoolWindow &r = plan.rows.windows[0], &c = plan.columns.windows.back();
        PlaneLanesScratch<T> memory(plan);
        while (end - begin > 3 && (r.last - r.first) * (c.last - c.first) <= 64) {
            const Index planes = std::min(lane_planes, end - begin);
            pool_in_lanes(plan, planes, x + begin * plan.input(), y + begin * plan.output(), memory,
                          [&](const PoolBand& band, const T* elements, T* results, T*) {
                              simd::run(AvgPoolInLanes<T>{
                                  .plan = &plan, .band = &band, .elements = elements, .results = results});
                          });
            begin += planes;
        }
    }
    gradus::detail::RecycledVector<T> sums(static_cast<std::size_t>(plan.columns.size));
    for (; begin < end; ++begin)
        avg_pool_plane(plan, x + begin * plan.input(), y + begin * plan.output(), sums);
}

/// The memory of avg_pool2d_backward(), made for each block of planes.
template <class T>
struct AvgPoolShares {
    gradus::detail::RecycledVector<T> weights, strided, sums;
    // Windows lie a stride apart, and only the edges clip them. They are not far apart either: sums of
    // neighbors take size · kernel steps, single windows results · kernel.
    bool regular;

    explicit AvgPoolShares(const PoolAxis& columns)
        : strided(static_cast<std::size_t>(columns.size + columns.kernel), T(0)),
          sums(static_cast<std::size_t>(columns.size)),
          regular(columns.size <= 8 * columns.results()) {
        Index start = columns.windows[0].start;
        for (const PoolWindow& c : columns.windows) {
            weights.push_back(T(1) / static_cast<T>(c.extent));
            regular &= c.start == start && c.first == std::max<Index>(0, -start) &&
                       c.last == std::min(columns.kernel, columns.size - start);
            start += columns.stride;
        }
    }
};

/// Calls f(i, pack) for the vectors of a row of n numbers, and then for its last numbers one by one. Only the
/// type of `pack` counts.
template <class T, int Bytes, class F>
GRADUS_INLINE void for_row(Index n, const F& f) {
    Index i = 0;
    if constexpr (std::is_floating_point_v<T>) {
        using Vec = simd::VecOf<T, std::min(Bytes, 32)>;  // many rows are too short for more
        for (; i + Vec::size <= n; i += Vec::size) f(i, Vec(T(0)));
    }
    for (; i < n; ++i) f(i, simd::Single<T>());
}

/// dx of some planes. The shares of a row of windows are written where these begin, with zeros between them;
/// sums of as many neighbors as a window has columns are what each of its rows of dx gets.
template <class T>
struct AvgPoolBackward {
    const PoolPlan* plan;
    const T* weights;  // of the columns of windows
    T *strided, *sums;
    bool regular;
    Index planes;
    const T* first_dy;
    T* first_dx;

    AvgPoolBackward(const PoolPlan& p, AvgPoolShares<T>& memory, Index count, const T* from, T* to)
        : plan(&p),
          weights(memory.weights.data()),
          strided(memory.strided.data() + p.columns.kernel),
          sums(memory.sums.data()),
          regular(memory.regular),
          planes(count),
          first_dy(from),
          first_dx(to) {}

    template <int Bytes>
    GRADUS_INLINE void run() const {
        for (Index i = 0; i < planes; ++i)
            plane<Bytes>(first_dy + i * plan->output(), first_dx + i * plan->input());
    }

    template <int Bytes>
    GRADUS_INLINE void plane(const T* dy, T* dx) const {
        const Index width = plan->columns.size, results = plan->columns.results();
        Index written = 0;  // rows of dx; those behind hold nothing yet
        for (Index row = 0; row < plan->rows.results(); ++row) {
            const PoolWindow& r = plan->rows.windows.data()[row];
            const Index from = r.start + r.first, to = r.start + r.last;
            sum_shares<Bytes>(dy + row * results, T(1) / static_cast<T>(r.extent));
            if (written < from) std::fill(dx + written * width, dx + from * width, T(0));
            written = std::max(written, from);
            for (T* out = dx + from * width; out < dx + std::min(to, written) * width; out += width)
                for_row<T, Bytes>(width, [&](Index i, auto pack) GRADUS_INLINE_LAMBDA {
                    using P = decltype(pack);
                    (P::load(out + i) + P::load(sums + i)).store(out + i);
                });
            for (; written < to; ++written)
                for_row<T, Bytes>(width, [&](Index i, auto pack) GRADUS_INLINE_LAMBDA {
                    decltype(pack)::load(sums + i).store(dx + written * width + i);
                });
        }
        std::fill(dx + written * width, dx + plan->input(), T(0));
    }

    /// What a row of windows gives to each of its rows of dx.
    template <int Bytes>
    GRADUS_INLINE void sum_shares(const T* dy, const T& weight) const {
        const PoolAxis& columns = plan->columns;
        const Index results = columns.results(), kernel = columns.kernel, step = columns.stride;
        const PoolWindow* const windows = columns.windows.data();
        if (!regular) {
            std::fill_n(sums, columns.size, T(0));
            for (Index c = 0; c < results; ++c) {
                const T share = dy[c] * (weights[c] * weight);
                for (T *to = sums + windows[c].start + windows[c].first,
                       *end = sums + windows[c].start + windows[c].last;
                     to < end; ++to)
                    *to += share;
            }
            return;
        }
        const Index start = windows[0].start;
        if (kernel == 2 && step == 2 && start == 0 && 2 * results <= columns.size)
            return twice<Bytes>(dy, results, weights[0] * weight);
        for (Index c = 0; c < results; ++c) strided[start + c * step] = dy[c] * (weights[c] * weight);
        for_row<T, Bytes>(columns.size, [&](Index i, auto pack) GRADUS_INLINE_LAMBDA {
            using P = decltype(pack);
            P sum = P::load(strided + i);
            for (Index k = 1; k < kernel; ++k) sum += P::load(strided + i - k);
            sum.store(sums + i);
        });
    }

    /// The usual windows of two columns: each share twice, and zeros in what is left.
    template <int Bytes>
    GRADUS_INLINE void twice(const T* dy, Index n, const T& weight) const {
        for_row<T, Bytes>(n, [&](Index i, auto pack) GRADUS_INLINE_LAMBDA {
            using P = decltype(pack);
            const P share = P::load(dy + i) * P(weight);
            if constexpr (P::size > 1) {
                simd::zip_lower(share, share).store(sums + 2 * i);
                simd::zip_upper(share, share).store(sums + 2 * i + P::size);
            } else {
                sums[2 * i] = sums[2 * i + 1] = share.v;
            }
        });
        std::fill(sums + 2 * n, sums + plan->columns.size, T(0));
    }
};

/// dx of planes [begin, end).
template <class T>
void avg_pool_planes_backward(const PoolPlan& plan, const T* dy, T* dx, Index begin, Index end) {
    AvgPoolShares<T> memory(plan.columns);
    const AvgPoolBackward<T> kernel(plan, memory, end - begin, dy + begin * plan.output(),
                                    dx + begin * plan.input());
    if constexpr (std::is_floating_point_v<T>)
        simd::run(kernel);
    else
        kernel.template run<0>();
}

}  // namespace detail

/// The sum of each window of x [N, C, height, width] divided by its extents. The dilation is 1.
template <class T>
Tensor<T> avg_pool2d(const Tensor<T>& x, const PoolPlan& plan) {
    const Index planes = x.size(0) * x.size(1);
    Tensor<T> y =
        Tensor<T>::uninitialized({x.size(0), x.size(1), plan.rows.results(), plan.columns.results()});
    T* const out = y.mutable_data();
    parallel_for(planes, detail::planes_per_block(planes, plan.input()), [&](Index begin, Index end) {
        detail::avg_pool_planes(plan, planes, x.data(), out, begin, end);
    });
    return y;
}

/// dx of avg_pool2d().
template <class T>
Tensor<T> avg_pool2d_backward(const Tensor<T>& dy, const PoolPlan& plan) {
    const Index planes = dy.size(0) * dy.size(1);
    Tensor<T> dx = Tensor<T>::uninitialized({dy.size(0), dy.size(1), plan.rows.size, plan.columns.size});
    T* const out = dx.mutable_data();
    parallel_for(planes, detail::planes_per_block(planes, plan.input()), [&](Index begin, Index end) {
        detail::avg_pool_planes_backward(plan, dy.data(), out, begin, end);
    });
    return dx;
}

/// dx of the mean of each plane, [N, C] from [N, C, height, width].
template <class T>
Tensor<T> global_avg_pool2d_backward(const Tensor<T>& dy, const Shape& shape) {
    const Index size = shape.span(2, 4);
    Tensor<T> dx = Tensor<T>::uninitialized(shape);
    T* const out = dx.mutable_data();
    parallel_for(dy.numel(), detail::planes_per_block(dy.numel(), size), [&](Index begin, Index end) {
        for (Index plane = begin; plane < end; ++plane)
            gradus::detail::fill_copies(out + plane * size, size, dy.data()[plane] / static_cast<T>(size));
    });
    return dx;
}

}  // namespace gradus::kernels
