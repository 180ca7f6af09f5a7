// SPDX-License-Identifier: MIT
#include "gradus/kernels/reduce/reduce.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "gradus/core/random.hpp"
#include "support/isas.hpp"
#include "support/test.hpp"
#include "support/threads.hpp"

using namespace gradus;
using kernels::AxisSet;
using kernels::MaxOf;
using kernels::MinOf;
using kernels::SumOf;

namespace {

/// Small whole numbers: their sums are exact in any order.
template <class T>
Tensor<T> whole_numbers(const Shape& shape) {
    Generator generator(11);
    Tensor<T> x = Tensor<T>::uninitialized(shape);
    const Tensor<double> source = uniform<double>(shape, -50, 50, generator);
    T* out = x.mutable_data();
    for (const double value : source) *out++ = static_cast<T>(std::floor(value));
    return x;
}

/// One element after the other, in the order of memory.
template <class F, class T>
Tensor<T> plain_reduce(const Tensor<T>& x, AxisSet axes) {
    Shape shape;
    for (int axis = 0; axis < x.rank(); ++axis) shape.push_back(axes >> axis & 1u ? 1 : x.size(axis));
    Tensor<T> result = full<T>(shape, F::template start<T>());
    T* const out = result.mutable_data();
    for (Index i = 0; i < x.numel(); ++i) {
        Index rest = i, at = 0, step = 1;
        for (int axis = x.rank() - 1; axis >= 0; --axis) {
            const Index position = rest % x.size(axis);
            rest /= x.size(axis);
            if (axes >> axis & 1u) continue;
            at += position * step;
            step *= x.size(axis);
        }
        out[at] = F{}(out[at], x.data()[i]);
    }
    return result;
}

template <class T>
void check_all_axes(const Shape& shape) {
    const Tensor<T> x = whole_numbers<T>(shape);
    for (AxisSet axes = 0; axes < 1u << shape.rank(); ++axes) {
        INFO("shape " << to_string(shape) << ", axes " << axes);
        CHECK(kernels::reduce<SumOf>(x, axes) == plain_reduce<SumOf>(x, axes));
        CHECK(kernels::reduce<MaxOf>(x, axes) == plain_reduce<MaxOf>(x, axes));
        CHECK(kernels::reduce<MinOf>(x, axes) == plain_reduce<MinOf>(x, axes));
    }
}

}  // namespace

TEST_CASE("reduce: every set of axes of many shapes, on every instruction set") {
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scope(isa);
        INFO(simd::name(isa));
        for (const Shape& shape :
             {Shape{}, Shape{1}, Shape{7}, Shape{64}, Shape{67}, Shape{3, 5}, Shape{5, 1}, Shape{1, 5},
              Shape{2, 3, 5}, Shape{4, 1, 6}, Shape{2, 3, 4, 5}, Shape{2, 2, 1, 3, 2}}) {
            check_all_axes<float>(shape);
            check_all_axes<double>(shape);
        }
    }
    check_all_axes<Index>({3, 4, 5});
    check_all_axes<std::int32_t>({3, 4, 5});
}

TEST_CASE("reduce: rows and columns of awkward lengths") {
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scope(isa);
        for (const Index length : {1,  2,  3,  4,  5,  7,   8,   9,   15,  16,  17,  31,
                                   32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1021}) {
            INFO(simd::name(isa) << ", length " << length);
            // A heap block of exactly this size: sanitizers see a read past its end.
            const Tensor<> source = whole_numbers<float>({3, length});
            const std::vector<float> memory(source.begin(), source.end());
            const Tensor<> x = Tensor<>::borrow(memory, source.shape());
            const Tensor<double> d = cast<double>(x);
            for (const AxisSet axes : {1u, 2u, 3u}) {
                CHECK(kernels::reduce<SumOf>(x, axes) == plain_reduce<SumOf>(x, axes));
                CHECK(kernels::reduce<MaxOf>(x, axes) == plain_reduce<MaxOf>(x, axes));
                const Tensor<> tall = x.reshape({length, 3});
                CHECK(kernels::reduce<SumOf>(tall, axes) == plain_reduce<SumOf>(tall, axes));
                CHECK(kernels::reduce<MinOf>(d, axes) == plain_reduce<MinOf>(d, axes));
                CHECK(kernels::reduce<SumOf>(d.reshape({length, 3}), axes) ==
                      plain_reduce<SumOf>(d.reshape({length, 3}), axes));
            }
        }
    }
}

TEST_CASE("reduce: rows that are summed in blocks") {
    for (const Index length : {8191, 8192, 8193, 16384, 70001, 300007}) {
        INFO("length " << length);
        const Tensor<double> x = whole_numbers<double>({2, length});
        CHECK(kernels::reduce<SumOf>(x, 2) == plain_reduce<SumOf>(x, 2));
        CHECK(kernels::reduce<SumOf>(x, 3) == plain_reduce<SumOf>(x, 3));
        CHECK(kernels::reduce<MaxOf>(x, 2) == plain_reduce<MaxOf>(x, 2));
        CHECK(kernels::reduce<SumOf>(x.reshape({length, 2}), 1) ==
              plain_reduce<SumOf>(x.reshape({length, 2}), 1));
    }
}

TEST_CASE("reduce: of no elements") {
    const float infinity = std::numeric_limits<float>::infinity();
    CHECK(kernels::reduce<SumOf>(zeros({0}), 1) == Tensor<>{0});
    CHECK(kernels::reduce<MaxOf>(zeros({0}), 1) == Tensor<>{-infinity});
    CHECK(kernels::reduce<MinOf>(zeros({0}), 1) == Tensor<>{infinity});
    CHECK(kernels::reduce<SumOf>(zeros({0, 3}), 1) == Tensor<>{{0, 0, 0}});
    CHECK(kernels::reduce<SumOf>(zeros({3, 0}), 2) == Tensor<>{{0}, {0}, {0}});
    CHECK(kernels::reduce<SumOf>(zeros({0, 3}), 2).shape() == Shape{0, 1});
    CHECK(kernels::reduce<SumOf>(zeros({2, 0, 3}), 7) == Tensor<>{{{0}}});
    CHECK(kernels::reduce<MaxOf>(zeros<Index>({0}), 1) ==
          Tensor<Index>{std::numeric_limits<Index>::lowest()});
    CHECK(kernels::reduce<MinOf>(zeros<Index>({0}), 1) == Tensor<Index>{std::numeric_limits<Index>::max()});
}

TEST_CASE("reduce: NaN reaches the result, wherever it lies") {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scope(isa);
        for (const Index length : {1, 5, 16, 67, 200}) {
            for (Index at = 0; at < length; ++at) {
                Tensor<> x = full({length}, -1);
                x.mutable_at(at) = nan;
                INFO(simd::name(isa) << ", length " << length << ", NaN at " << at);
                CHECK(std::isnan(kernels::reduce<SumOf>(x, 1).item()));
                CHECK(std::isnan(kernels::reduce<MaxOf>(x, 1).item()));
                CHECK(std::isnan(kernels::reduce<MinOf>(x, 1).item()));
                const Tensor<> columns = kernels::reduce<MaxOf>(Tensor<>(x).reshape({1, length}), 1);
                CHECK(std::isnan(columns(0, at)));
                if (length > 1) CHECK(columns(0, (at + 1) % length) == -1);
            }
        }
    }
    const float infinity = std::numeric_limits<float>::infinity();
    CHECK(kernels::reduce<MaxOf>(Tensor<>{-infinity, -infinity}, 1).item() == -infinity);
    CHECK(kernels::reduce<MaxOf>(Tensor<>{1, infinity}, 1).item() == infinity);
}

TEST_CASE("reduce: a float sum of ten million numbers is accurate") {
    const Index count = 10'000'000;
    const Tensor<> x = full({count}, 0.1f);
    const double exact = static_cast<double>(0.1f) * static_cast<double>(count);
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scope(isa);
        CHECK(static_cast<double>(kernels::reduce<SumOf>(x, 1).item()) == Approx(exact).epsilon(1e-5));
        for (const Index columns : {1, 3, 20, 70}) {  // whole vectors and the columns left over
            const Index rows = count / columns;
            const Tensor<> sums =
                kernels::reduce<SumOf>(x.rows(0, rows * columns).reshape({rows, columns}), 1);
            for (const float sum : sums)
                CHECK(static_cast<double>(sum) ==
                      Approx(exact * static_cast<double>(rows) / static_cast<double>(count)).epsilon(2e-4));
        }
    }
}

TEST_CASE("reduce: the same bits for any number of threads") {
    Generator generator(5);
    for (const Shape& shape :
         {Shape{300007}, Shape{500, 300}, Shape{3, 40000}, Shape{40000, 3}, Shape{20, 70, 90}}) {
        const Tensor<> x = randn<float>(shape, generator);
        for (AxisSet axes = 1; axes < 1u << shape.rank(); ++axes) {
            const Threads one_thread(1);
            const Tensor<> expected = kernels::reduce<SumOf>(x, axes);
            for (const int threads : {2, 3, 5}) {
                const Threads limit(threads);
                CHECK(kernels::reduce<SumOf>(x, axes) == expected);
            }
        }
    }
}

TEST_CASE("reduce: dual numbers") {
    const Tensor<Dual<double>> x(Shape{2, 2}, std::vector<Dual<double>>{{1, 10}, {2, 20}, {3, 30}, {4, 40}});
    const auto columns = kernels::reduce<SumOf>(x, 1);
    CHECK(columns(0, 1).value == 6);
    CHECK(columns(0, 1).dual == 60);
    CHECK(kernels::reduce<MaxOf>(x, 3)(0, 0).dual == 40);
    CHECK(kernels::reduce<MinOf>(x, 2)(1, 0).dual == 30);
}

TEST_CASE("reduce: which shapes a gradient can be summed to") {
    using kernels::sums_to;
    CHECK(sums_to({2, 3}, {2, 3}));
    CHECK(sums_to({2, 3}, {3}));
    CHECK(sums_to({2, 3}, {2, 1}));
    CHECK(sums_to({2, 3}, {1, 3}));
    CHECK(sums_to({2, 3}, {}));
    CHECK(sums_to({4, 2, 3}, {1, 1}));
    CHECK(sums_to({0, 3}, {3}));
    CHECK(sums_to({0}, {1}));
    CHECK_FALSE(sums_to({2, 3}, {2}));
    CHECK_FALSE(sums_to({3}, {2, 3}));
    CHECK_FALSE(sums_to({}, {1}));
    CHECK_FALSE(sums_to({1, 3}, {2, 3}));
    CHECK_FALSE(sums_to({2, 3}, {0}));
}

TEST_CASE("reduce: sum_to undoes broadcasting") {
    const Tensor<> x = whole_numbers<float>({4, 2, 3});
    CHECK(kernels::sum_to(x, {4, 2, 3}) == x);
    CHECK(kernels::sum_to(x, {2, 3}) == plain_reduce<SumOf>(x, 1).reshape({2, 3}));
    CHECK(kernels::sum_to(x, {2, 1}) == plain_reduce<SumOf>(x, 5).reshape({2, 1}));
    CHECK(kernels::sum_to(x, {3}) == plain_reduce<SumOf>(x, 3).reshape({3}));
    CHECK(kernels::sum_to(x, {4, 1, 1}) == plain_reduce<SumOf>(x, 6));
    CHECK(kernels::sum_to(x, {}) == plain_reduce<SumOf>(x, 7).reshape({}));
    CHECK(kernels::sum_to(zeros({0, 3}), {3}) == Tensor<>{0, 0, 0});
    CHECK(kernels::sum_to(zeros({0}), {1}) == Tensor<>{0});
}

TEST_CASE("reduce: add_in_place") {
    Tensor<> y{1, 2, 3};
    const Tensor<> before = y;
    kernels::add_in_place(y, Tensor<>{10, 20, 30});
    CHECK(y == Tensor<>{11, 22, 33});
    CHECK(before == Tensor<>{1, 2, 3});
    kernels::add_in_place(y, y);
    CHECK(y == Tensor<>{22, 44, 66});
    kernels::add_in_place(y, Tensor<>(y));  // a copy that shares memory
    CHECK(y == Tensor<>{44, 88, 132});
}
