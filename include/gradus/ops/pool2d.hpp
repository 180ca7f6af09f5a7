// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <utility>

#include "gradus/autograd/record.hpp"
#include "gradus/core/size2.hpp"
#include "gradus/kernels/elementwise/map.hpp"
#include "gradus/kernels/pool/avg.hpp"
#include "gradus/kernels/pool/max.hpp"
#include "gradus/ops/fusion.hpp"

// Pooling over height and width of x [batch, channels, height, width]. Batch and channels may be 0.

namespace gradus {

struct MaxPool2dOptions {
    Size2 kernel_size = {};  // at least 1
    Size2 stride = {};       // 0: as the kernel
    Size2 padding = {};      // on each side, at most half the kernel; never the largest
    Size2 dilation = 1;
    bool ceil_mode = false;  // also windows that reach beyond the end of the padded input
};

struct AvgPool2dOptions {
    Size2 kernel_size = {};         // at least 1
    Size2 stride = {};              // 0: as the kernel
    Size2 padding = {};             // on each side, at most half the kernel
    bool ceil_mode = false;         // also windows that reach beyond the end of the padded input
    bool count_include_pad = true;  // padding counts as zeros of the window; false: it does not count
};

namespace detail {

inline void check_planes(const char* operation, const Shape& x) {
    if (x.rank() != 4) [[unlikely]]
        raise<ShapeError>(operation, "needs x [batch, channels, height, width]; reshape(x, ...) first?", x);
    if (x[2] == 0 || x[3] == 0) [[unlikely]]
        raise<ShapeError>(operation, "needs at least one row and one column", x);
}

/// How windows lie, for both poolings.
struct PoolSizes {
    Size2 kernel, stride, padding, dilation;
    bool ceil_mode, count_include_pad;
};

inline void check_pool_sizes(const char* operation, const PoolSizes& s) {
    constexpr Index limit = Index{1} << 31;  // no product of two of them overflows
    const auto within = [](const Size2& size, Index low, Index high) {
        return size.height >= low && size.width >= low && size.height < high && size.width < high;
    };
    if (!within(s.kernel, 1, limit) || s.kernel.area() >= limit) [[unlikely]]
        raise<ValueError>(operation, "the kernel must be at least 1 and less than 2^31 cells", s.kernel);
    if (!within(s.stride, 0, limit)) [[unlikely]]
        raise<ValueError>(operation,
                          "the stride must be at least 1 and less than 2^31, or 0 for that of the kernel",
                          s.stride);
    if (!within(s.dilation, 1, limit)) [[unlikely]]
        raise<ValueError>(operation, "the dilation must be at least 1 and less than 2^31", s.dilation);
    if (!within(s.padding, 0, limit) || s.padding.height > s.kernel.height / 2 ||
        s.padding.width > s.kernel.width / 2) [[unlikely]]
        raise<ValueError>(operation, "the padding must be from 0 to half the kernel", s.padding, s.kernel);
}

/// There is a list of the windows along an axis: what would fill the memory is refused before it does.
inline void check_window_count(const char* operation, Index count) {
    if (count >= Index{1} << 31) [[unlikely]]
        raise<ShapeError>(operation, "2^31 windows or more along one axis", count);
}

/// The windows along one axis; none if not one fits. As in PyTorch, a window of ceil_mode that would begin
/// behind the input is left out.
inline kernels::PoolAxis pool_axis(const char* operation, Index size, Index kernel, Index stride,
                                   Index padding, Index dilation, const PoolSizes& s) {
    if (stride == 0) stride = kernel;
    if (kernel == 1) dilation = 1;  // any is right, and products of a large one would overflow
    kernels::PoolAxis axis{size, kernel, stride, dilation, {}};
    const Index reach = (kernel - 1) * dilation + 1;
    const Index room = size + 2 * padding - reach + (s.ceil_mode ? stride - 1 : 0);
    Index count = room < 0 ? 0 : room / stride + 1;
    if (s.ceil_mode && (count - 1) * stride >= size + padding) --count;
    check_window_count(operation, count);
    axis.windows.reserve(static_cast<std::size_t>(std::max<Index>(count, 0)));
    for (Index i = 0; i < count; ++i) {
        const Index start = i * stride - padding;
        const Index first = start < 0 ? (dilation - 1 - start) / dilation : 0;
        const Index last = std::min(kernel, (size - start + dilation - 1) / dilation);
        const Index padded = std::min(start + kernel, size + padding) - start;
        axis.windows.push_back({start, first, last, s.count_include_pad ? padded : last - first});
    }
    return axis;
}

inline kernels::PoolPlan pool_plan(const char* operation, const Shape& x, const PoolSizes& s) {
    check_planes(operation, x);
    check_pool_sizes(operation, s);
    kernels::PoolPlan plan{
        pool_axis(operation, x[2], s.kernel.height, s.stride.height, s.padding.height, s.dilation.height, s),
        pool_axis(operation, x[3], s.kernel.width, s.stride.width, s.padding.width, s.dilation.width, s)};
    const auto fits = [](const kernels::PoolAxis& axis) {  // dilated, a window may miss a small input
        return !axis.windows.empty() &&
               std::all_of(axis.windows.begin(), axis.windows.end(),
                           [](const kernels::PoolWindow& w) { return w.first < w.last; });
    };
    if (fits(plan.rows) && fits(plan.columns)) [[likely]]
        return plan;
    const Size2 window{(s.kernel.height - 1) * s.dilation.height + 1,
                       (s.kernel.width - 1) * s.dilation.width + 1};
    const Size2 padded{x[2] + 2 * s.padding.height, x[3] + 2 * s.padding.width};
    raise<ShapeError>(operation, "no window fits the padded input; a smaller kernel or dilation?", window,
                      padded);
}

}  // namespace detail

/// The largest number of each window: y[n, c, i, j] = max over k, l of x[n, c, i·stride + k·dilation −
/// padding, ...]. NaN as soon as there is one.       dx += dy at the first cell that is largest
/// [N, C, H, W] gives [N, C, (H + 2 padding − dilation (kernel − 1) − 1) / stride + 1, ...], rounded down, or
/// up in ceil_mode. As torch.nn.functional.max_pool2d.
/// Throws ShapeError unless x has four axes and at least one window fits, ValueError for sizes out of range.
template <class T>
Variable<T> max_pool2d(Variable<T> x, const MaxPool2dOptions& options) {
    const auto& o = options;
    kernels::PoolPlan plan = detail::pool_plan(
        "max_pool2d", x.shape(), {o.kernel_size, o.stride, o.padding, o.dilation, o.ceil_mode, false});
    const bool plain = (o.stride == Size2() || o.stride == o.kernel_size) && o.padding == Size2() &&
                       o.dilation == Size2(1) && !o.ceil_mode;
    if (plain)
        if (Variable<T> y = detail::fuse(x, detail::MaxPool{o.kernel_size}); y.defined()) return y;
    if (detail::is_value_only(x)) return kernels::max_pool2d(x.value(), plan, false).y;
    kernels::MaxPooled<T> pooled = kernels::max_pool2d(x.value(), plan);
    return record("max_pool2d", std::move(pooled.y),
                  wrt(x, [plan = std::move(plan), argmax = std::move(pooled.argmax)](const Tensor<T>& dy) {
                      return kernels::max_pool2d_backward(dy, plan, argmax);
                  }));
}

/// The mean of each window; shapes as in max_pool2d.       dx += dy / elements for each element of the window
/// Elements in the padding count as zeros, unless count_include_pad is false; those behind the padding never
/// count. As torch.nn.functional.avg_pool2d.
/// Throws ShapeError unless x has four axes and at least one window fits, ValueError for sizes out of range.
template <class T>
Variable<T> avg_pool2d(const Variable<T>& x, const AvgPool2dOptions& options) {
    const auto& o = options;
    kernels::PoolPlan plan = detail::pool_plan(
        "avg_pool2d", x.shape(), {o.kernel_size, o.stride, o.padding, 1, o.ceil_mode, o.count_include_pad});
    Tensor<T> y = kernels::avg_pool2d(x.value(), plan);
    return record("avg_pool2d", std::move(y), wrt(x, [plan = std::move(plan)](const Tensor<T>& dy) {
                      return kernels::avg_pool2d_backward(dy, plan);
                  }));
}

/// Means of windows that cover x [N, C, H, W] evenly, so that the result is [N, C, output]: row i is the mean
/// of rows ⌊i H / output⌋ to ⌈(i + 1) H / output⌉.       dx += dy / elements for each element of the window
/// As torch.nn.functional.adaptive_avg_pool2d. Throws ShapeError unless x has four axes and at least one row
/// and column or if the output is too large, ValueError if it has none.
template <class T>
Variable<T> adaptive_avg_pool2d(const Variable<T>& x, Size2 output) {
    constexpr const char* name = "adaptive_avg_pool2d";
    detail::check_planes(name, x.shape());
    if (output.height < 1 || output.width < 1) [[unlikely]]
        detail::raise<ValueError>(name, "the output must be at least 1", output);
    const Shape shape = Shape::of(name, {x.size(0), x.size(1), output.height, output.width});
    detail::check_window_count(name, std::max(output.height, output.width));
    // The result's memory is asked for before any work goes into the windows.
    static_cast<void>(Tensor<T>::uninitialized(shape, name));
    const auto axis = [](Index size, Index results) {
        kernels::PoolAxis a{size, 0, 0, 1, {}};
        a.windows.reserve(static_cast<std::size_t>(results));
        if (detail::saturated_product(size, results) == detail::saturated) [[unlikely]]
            detail::raise<ShapeError>(name, "too many results for an axis of this size", size, results);
        for (Index i = 0; i < results; ++i) {
            const Index start = i * size / results, count = ((i + 1) * size - 1) / results + 1 - start;
            a.windows.push_back({start, 0, count, count});
        }
        return a;
    };
    kernels::PoolPlan plan{axis(x.shape()[2], output.height), axis(x.shape()[3], output.width)};
    Tensor<T> y = kernels::avg_pool2d(x.value(), plan);
    return record(name, std::move(y), wrt(x, [plan = std::move(plan)](const Tensor<T>& dy) {
                      return kernels::avg_pool2d_backward(dy, plan);
                  }));
}

/// The mean of each plane: [N, C, H, W] gives [N, C].       dx = dy / (H W)
/// Throws ShapeError unless x has four axes and at least one row and column.
template <class T>
Variable<T> global_avg_pool2d(const Variable<T>& x) {
    const Shape& shape = x.shape();
    detail::check_planes("global_avg_pool2d", shape);
    Tensor<T> y = kernels::reduce<kernels::SumOf>(x.value(), 0b1100).reshape({shape[0], shape[1]});
    const T size = static_cast<T>(shape[2] * shape[3]);
    kernels::map_in_place(
        kernels::vectorized([size]<class V>(const V& total) GRADUS_INLINE_LAMBDA { return total / V(size); }),
        y);
    return record("global_avg_pool2d", std::move(y), wrt(x, [shape](const Tensor<T>& dy) {
                      return kernels::global_avg_pool2d_backward(dy, shape);
                  }));
}

/// The largest number of each plane, NaN as soon as there is one: [N, C, H, W] gives [N, C].
/// dx = dy at the first that is largest, 0 elsewhere
/// Throws ShapeError unless x has four axes and at least one row and column.
template <class T>
Variable<T> global_max_pool2d(const Variable<T>& x) {
    const Shape& shape = x.shape();
    detail::check_planes("global_max_pool2d", shape);
    const Tensor<T> y = kernels::reduce<kernels::MaxOf>(x.value(), 0b1100).reshape({shape[0], shape[1]});
    return record("global_max_pool2d", y, wrt(x, [x = x.value(), y](const Tensor<T>& dy) {
                      return kernels::global_max_pool2d_backward(dy, x, y);
                  }));
}

}  // namespace gradus
