// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/core/memory.hpp"
#include "gradus/kernels/indexing.hpp"
#include "gradus/kernels/pool_planes.hpp"
#include "gradus/kernels/pool_rows.hpp"
#include "gradus/kernels/reduce.hpp"

namespace gradus::kernels {
namespace detail {

/// sums[j] = Σᵢ x[i * width + j].
template <class T>
void sum_rows(const T* x, Index rows, Index width, T* sums) {
    for (Index j = 0; j < width; j += column_strip)
        reduce_strip<SumOf>(x + j, rows, width, std::min(column_strip, width - j), sums + j);
}

/// One plane, by sums of rows and then of columns.
template <class T>
void avg_windows(const PoolPlan& plan, const T* x, T* out, gradus::detail::RecycledVector<T>& sums) {
    const PoolAxis &rows = plan.rows, &columns = plan.columns;
    for (const PoolWindow& r : rows.windows) {
        const T* const in = x + (r.start + r.first) * columns.size;
        sum_rows(in, r.last - r.first, columns.size, sums.data());
        for (const PoolWindow& c : columns.windows) {
            const T* const cells = sums.data() + c.start;
            T sum = cells[c.first];
            for (Index j = c.first + 1; j < c.last; ++j) sum += cells[j];
            *out++ = sum / static_cast<T>(r.extent * c.extent);
        }
    }
}

/// The means of the windows of a band, with one plane per lane.
template <class T>
struct AvgPoolKernel {
    template <int Bytes>
    GRADUS_INLINE static void run(const PoolPlan* plan, const PoolBand* band, const T* cells, T* results) {
        constexpr int lanes = std::min(static_cast<int>(pool_group), Bytes / static_cast<int>(sizeof(T)));
        using Pack = simd::Pack<T, lanes>;
        for (Index row = band->begin; row < band->end; ++row)
            for (const PoolWindow& c : plan->columns.windows) {
                const PoolWindow& r = plan->rows.windows.data()[row];
                for (Index lane = 0; lane < pool_group; lane += lanes, results += lanes) {
                    Pack total(T(0));
                    for_each_cell<Pack>(*plan, *band, r, c, cells + lane,
                                        [&](const Pack& cell, Index) GRADUS_INLINE_LAMBDA { total += cell; });
                    (total / static_cast<T>(r.extent * c.extent)).store(results);
                }
            }
    }
};

/// Planes [begin, end). Large windows go by sums of rows: fewer additions.
template <class T>
void avg_pool_planes(const PoolPlan& plan, const T* x, T* y, Index begin, Index end) {
    const PoolInner inner(plan);
    if (const auto rows = choose_pool_rows<SumOfCells, T>(inner)) {
        for (; begin < end; ++begin)
            rows(&inner, x + begin * plan.input(), {y + begin * plan.output(), nullptr});
        return;
    }
    if constexpr (std::is_floating_point_v<T>) {
        const PoolWindow &r = plan.rows.windows[0], &c = plan.columns.windows.back();
        PoolMemory<T> memory(plan);
        while (end - begin > 3 && (r.last - r.first) * (c.last - c.first) <= 16) {
            const Index planes = std::min(pool_group, end - begin);
            pool_planes(plan, planes, x + begin * plan.input(), y + begin * plan.output(), memory,
                        [&](const PoolBand& band, const T* cells, T* results, T*) {
                            simd::run<AvgPoolKernel<T>>(&plan, &band, cells, results);
                        });
            begin += planes;
        }
    }
    gradus::detail::RecycledVector<T> sums(static_cast<std::size_t>(plan.columns.size));
    for (; begin < end; ++begin) avg_windows(plan, x + begin * plan.input(), y + begin * plan.output(), sums);
}

/// What one row of windows gives to each of its rows of dx. A Kernel > 0 says that the windows lie side by
/// side and none is cut off.
template <int Kernel, class T>
void spread_row(const PoolAxis& columns, Index extent, const T* dy, T* to) {
    if constexpr (Kernel > 0) {
        const T weight = T(1) / static_cast<T>(extent * Kernel);
        T* const end = to + columns.size;
        for (Index column = columns.results(); column > 0; --column) {
            const T share = *dy++ * weight;
            for (int j = 0; j < Kernel; ++j) *to++ = share;
        }
        std::fill(to, end, T(0));
    } else {
        std::fill_n(to, columns.size, T(0));
        for (const PoolWindow& c : columns.windows) {
            const T share = *dy++ / static_cast<T>(extent * c.extent);
            for (Index j = c.first; j < c.last; ++j) to[c.start + j] += share;
        }
    }
}

/// dx of one plane.
template <int Kernel, class T>
void avg_windows_back(const PoolPlan& plan, const T* dy, T* dx, gradus::detail::RecycledVector<T>& shares) {
    const Index width = plan.columns.size;
    Index written = 0;  // rows of dx; those behind hold nothing yet
    for (const PoolWindow& r : plan.rows.windows) {
        const Index from = r.start + r.first, to = r.start + r.last;
        spread_row<Kernel>(plan.columns, r.extent, dy, shares.data());
        dy += plan.columns.results();
        if (written < from) std::fill(dx + written * width, dx + from * width, T(0));
        for (Index row = from; row < to; ++row)
            if (row < written)
                add_row(width, shares.data(), dx + row * width);
            else
                std::copy_n(shares.data(), width, dx + row * width);
        written = std::max(written, to);
    }
    std::fill(dx + written * width, dx + plan.input(), T(0));
}

}  // namespace detail

/// The sum of each window of x [N, C, height, width] divided by its extents. The dilation is 1.
template <class T>
Tensor<T> avg_pool2d(const Tensor<T>& x, const PoolPlan& plan) {
    const Index planes = x.size(0) * x.size(1);
    Tensor<T> y =
        Tensor<T>::uninitialized({x.size(0), x.size(1), plan.rows.results(), plan.columns.results()});
    T* const out = y.mutable_data();
    parallel_for(planes, detail::pool_block(planes, plan.input()),
                 [&](Index begin, Index end) { detail::avg_pool_planes(plan, x.data(), out, begin, end); });
    return y;
}

/// dx of avg_pool2d().
template <class T>
Tensor<T> avg_pool2d_back(const Tensor<T>& dy, const PoolPlan& plan) {
    const Index planes = dy.size(0) * dy.size(1);
    Tensor<T> dx = Tensor<T>::uninitialized({dy.size(0), dy.size(1), plan.rows.size, plan.columns.size});
    T* const out = dx.mutable_data();
    const PoolAxis& columns = plan.columns;
    const bool side_by_side = columns.stride == columns.kernel && columns.windows[0].start == 0 &&
                              columns.results() * columns.kernel <= columns.size;
    const Index kernel = side_by_side ? columns.kernel : 0;
    const auto back = kernel == 2   ? detail::avg_windows_back<2, T>
                      : kernel == 3 ? detail::avg_windows_back<3, T>
                                    : detail::avg_windows_back<0, T>;
    parallel_for(planes, detail::pool_block(planes, plan.input()), [&](Index begin, Index end) {
        gradus::detail::RecycledVector<T> shares(static_cast<std::size_t>(columns.size));
        for (; begin < end; ++begin)
            back(plan, dy.data() + begin * plan.output(), out + begin * plan.input(), shares);
    });
    return dx;
}

/// dx of the mean of each plane, [N, C] from [N, C, height, width].
template <class T>
Tensor<T> global_avg_pool2d_back(const Tensor<T>& dy, const Shape& shape) {
    const Index size = shape.span(2, 4);
    Tensor<T> dx = Tensor<T>::uninitialized(shape);
    T* const out = dx.mutable_data();
    parallel_for(dy.numel(), detail::pool_block(dy.numel(), size), [&](Index begin, Index end) {
        for (Index plane = begin; plane < end; ++plane)
            gradus::detail::fill_copies(out + plane * size, size, dy.data()[plane] / static_cast<T>(size));
    });
    return dx;
}

}  // namespace gradus::kernels
