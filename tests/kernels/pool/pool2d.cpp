// SPDX-License-Identifier: MIT
#include "gradus/kernels/pool/geometry.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "gradus/core/random.hpp"
#include "gradus/kernels/pool/avg.hpp"
#include "gradus/kernels/pool/max.hpp"
#include "support/isas.hpp"
#include "support/same_bits.hpp"
#include "support/test.hpp"

using namespace gradus;
using kernels::PoolAxis;
using kernels::PoolPlan;

namespace {

/// All windows that begin within the padded input, cut off or not: more than the operations ever ask for.
PoolAxis axis(Index size, Index kernel, Index stride, Index padding, Index dilation) {
    PoolAxis result{size, kernel, stride, dilation, {}};
    for (Index start = -padding; start < size; start += stride) {
        kernels::PoolWindow window{start, kernel, 0, kernel};
        for (Index k = 0; k < kernel; ++k) {
            const Index cell = start + k * dilation;
            if (cell < 0 || cell >= size) continue;
            window.first = std::min(window.first, k);
            window.last = k + 1;
        }
        if (window.first < window.last) result.windows.push_back(window);
    }
    return result;
}

/// Calls visit(result, cell, position) for every cell of every window, all as places in memory.
template <class Visit>
void for_each_cell(Index planes, const PoolPlan& plan, const Visit& visit) {
    Index result = 0;
    for (Index plane = 0; plane < planes; ++plane)
        for (const auto& r : plan.rows.windows)
            for (const auto& c : plan.columns.windows) {
                for (Index i = r.first; i < r.last; ++i)
                    for (Index j = c.first; j < c.last; ++j)
                        visit(
                            result,
                            (plane * plan.rows.size + r.start + i * plan.rows.dilation) * plan.columns.size +
                                c.start + j * plan.columns.dilation,
                            i * plan.columns.kernel + j);
                ++result;
            }
}

template <class T>
void check_close(const Tensor<T>& got, const Tensor<T>& expected) {
    REQUIRE(got.shape() == expected.shape());
    Index wrong = 0;
    for (Index i = 0; i < got.numel(); ++i) {
        const double a = static_cast<double>(got.data()[i]), b = static_cast<double>(expected.data()[i]);
        wrong += !(a == b || (a != a && b != b) || std::abs(a - b) < 1e-5);
    }
    CHECK(wrong == 0);
}

template <class T>
void check_max(const Tensor<T>& x, const PoolPlan& plan) {
    const Shape shape{x.size(0), x.size(1), plan.rows.results(), plan.columns.results()};
    Tensor<T> y = full<T>(shape, -std::numeric_limits<T>::infinity()), dx = zeros<T>(x.shape());
    Tensor<Index> cells = full<Index>(shape, -1), positions = zeros<Index>(shape);
    for_each_cell(x.size(0) * x.size(1), plan, [&](Index result, Index cell, Index position) {
        T& best = y.mutable_data()[result];
        const T value = x.data()[cell];
        if (!(cells.data()[result] < 0 || value > best || value != value)) return;
        best = value;
        cells.mutable_data()[result] = cell;
        positions.mutable_data()[result] = position;
    });
    const auto pooled = kernels::max_pool2d(x, plan);
    check_close(pooled.y, y);
    const auto values = kernels::max_pool2d(x, plan, false);  // nobody asks where they were
    CHECK(same_bits(values.y, pooled.y));
    CHECK(values.argmax.narrow.numel() + values.argmax.wide.numel() == 0);
    const bool wide = plan.rows.kernel * plan.columns.kernel > 255;
    CHECK((wide ? cast<Index>(pooled.argmax.wide) : cast<Index>(pooled.argmax.narrow)) == positions);
    Generator generator(5);
    const Tensor<T> dy = randn<T>(shape, generator);
    for (Index i = 0; i < dy.numel(); ++i) dx.mutable_data()[cells.data()[i]] += dy.data()[i];
    check_close(kernels::max_pool2d_backward(dy, plan, pooled.argmax), dx);
}

template <class T>
void check_avg(const Tensor<T>& x, const PoolPlan& plan) {
    const Shape shape{x.size(0), x.size(1), plan.rows.results(), plan.columns.results()};
    const T divisor = static_cast<T>(plan.rows.kernel * plan.columns.kernel);
    Generator generator(5);
    const Tensor<T> dy = randn<T>(shape, generator);
    Tensor<T> y = zeros<T>(shape), dx = zeros<T>(x.shape());
    for_each_cell(x.size(0) * x.size(1), plan, [&](Index result, Index cell, Index) {
        y.mutable_data()[result] += x.data()[cell] / divisor;
        dx.mutable_data()[cell] += dy.data()[result] / divisor;
    });
    check_close(kernels::avg_pool2d(x, plan), y);
    check_close(kernels::avg_pool2d_backward(dy, plan), dx);
}

template <class T>
void check_pools(const Shape& shape, Index kernel, Index stride, Index padding, Index dilation) {
    INFO(to_string(shape) << ", kernel " << kernel << ", stride " << stride << ", padding " << padding
                          << ", dilation " << dilation);
    Generator generator(1);
    Tensor<T> x = randn<T>(shape, generator);
    const PoolPlan plan{axis(shape[2], kernel, stride, padding, dilation),
                        axis(shape[3], kernel, stride, padding, dilation)};
    if (plan.output() == 0) return;  // no window meets the input
    check_max(x, plan);
    if (dilation == 1) check_avg(x, plan);
    for (T& value : x.mutable_values())  // ties, infinities and, in some planes, NaN
        value = value < T(-1.5) ? -std::numeric_limits<T>::infinity() : std::round(value);
    check_max(x, plan);
    for (Index i = 3; i < x.numel(); i += x.numel() / 3 + 1)
        x.mutable_data()[i] = std::numeric_limits<T>::quiet_NaN();
    check_max(x, plan);
}

}  // namespace

TEST_CASE("pool2d kernel: agrees with the definition on every instruction set") {
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa limit(isa);
        INFO(simd::name(isa));
        for (const Index width : {1, 4, 7, 11, 12, 16, 17, 24, 25, 32, 50, 81}) {
            for (Index kernel = 1; kernel <= 4; ++kernel)
                for (Index stride = 1; stride <= 4; ++stride)
                    check_pools<float>({3, 7, 6, width}, kernel, stride, kernel / 2, 1);
            check_pools<float>({1, 2, 6, width}, 2, 2, 0, 1);
            check_pools<float>({3, 3, 7, width}, 3, 2, 1, 2);
            check_pools<float>({3, 3, 7, width}, 3, 1, 0, 2);
            check_pools<float>({3, 3, 7, width}, 2, 1, 1, 2);
            check_pools<float>({3, 3, 20, width}, 16, 3, 8, 1);
            check_pools<float>({3, 3, 7, width}, 12, 12, 0, 1);
            check_pools<double>({3, 3, 6, width}, 2, 2, 0, 1);
            check_pools<double>({3, 3, 7, width}, 3, 2, 1, 1);
            check_pools<double>({3, 3, 6, width}, 3, 3, 0, 1);
            check_pools<double>({3, 3, 6, width}, 3, 1, 1, 1);
        }
    }
}

TEST_CASE("pool2d kernel: rows and columns that no window reaches") {
    const auto whole_windows = [](Index size, Index kernel) {  // side by side
        PoolAxis result = axis(size, kernel, kernel, 0, 1);
        if (size % kernel != 0) result.windows.pop_back();
        return result;
    };
    Generator generator(1);
    for (const Index width : {5, 17, 19, 33, 51})
        for (const Index kernel : {2, 3, 5}) {
            INFO("width " << width << ", kernel " << kernel);
            const PoolPlan plan{whole_windows(7, kernel), whole_windows(width, kernel)};
            check_max(randn({3, 2, 7, width}, generator), plan);
            check_max(randn<double>({3, 2, 7, width}, generator), plan);
            check_avg(randn({3, 2, 7, width}, generator), plan);
            check_avg(randn<double>({3, 2, 7, width}, generator), plan);
        }
}

TEST_CASE("pool2d kernel: the infinities of both signs are no NaN") {
    Tensor<> x = zeros({1, 1, 2, 16});
    x.mutable_at(0, 0, 0, 2) = std::numeric_limits<float>::infinity();
    x.mutable_at(0, 0, 1, 2) = -std::numeric_limits<float>::infinity();
    check_max(x, {axis(2, 2, 2, 0, 1), axis(16, 2, 2, 0, 1)});
}

TEST_CASE("pool2d kernel: nothing in no planes") {
    const PoolPlan plan{axis(4, 2, 2, 0, 1), axis(6, 2, 2, 0, 1)};
    for (const Shape& shape : {Shape{0, 3, 4, 6}, Shape{3, 0, 4, 6}}) {
        check_max(zeros(shape), plan);
        check_avg(zeros(shape), plan);
    }
}

TEST_CASE("pool2d kernel: memory that is borrowed is not read beyond its end") {
    std::vector<float> memory(2 * 3 * 17);  // of its own, for the address sanitizer
    const Tensor<> x = Tensor<>::borrow(memory, {1, 2, 3, 17});
    for (const Index kernel : {2, 3})
        for (const Index stride : {1, 2, 3}) {
            const PoolPlan plan{axis(3, kernel, stride, 0, 1), axis(17, kernel, stride, kernel / 2, 1)};
            check_max(x, plan);
            check_avg(x, plan);
        }
}

TEST_CASE("pool2d kernel: beyond the caches as within them") {
    Generator generator(1);
    const Tensor<> x = randn({160, 8, 105, 64}, generator);  // 34 MB
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa limit(isa);
        INFO(simd::name(isa));
        for (const Index kernel : {2, 3}) {
            PoolPlan plan{axis(105, kernel, 2, kernel / 3, 1), axis(64, kernel, 2, kernel / 3, 1)};
            if (kernel == 2) plan.rows.windows.pop_back();  // it is cut off
            const auto whole = kernels::max_pool2d(x, plan);
            const Tensor<> mean = kernels::avg_pool2d(x, plan);
            const Tensor<> dx = kernels::max_pool2d_backward(whole.y, plan, whole.argmax);
            bool same = true;
            for (Index i = 0; i < x.size(0); ++i) {
                const auto part = kernels::max_pool2d(x.rows(i, i + 1), plan);
                same = same && part.y == whole.y.rows(i, i + 1) &&
                       part.argmax.narrow == whole.argmax.narrow.rows(i, i + 1) &&
                       kernels::avg_pool2d(x.rows(i, i + 1), plan) == mean.rows(i, i + 1) &&
                       kernels::max_pool2d_backward(part.y, plan, part.argmax) == dx.rows(i, i + 1);
            }
            CHECK(same);
        }
    }
}
