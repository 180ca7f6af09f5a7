// SPDX-License-Identifier: MIT
#include "gradus/kernels/layout/gather_scatter.hpp"

#include "gradus/core/random.hpp"
#include "support/test.hpp"
#include "support/threads.hpp"

using namespace gradus;

namespace {

Tensor<Index> random_indices(const Shape& shape, Index size, Generator& generator) {
    return cast<Index>(uniform<double>(shape, 0, static_cast<double>(size), generator));
}

/// Calls body(place in the indices, place in x) in row-major order, as gather() is defined.
template <class Body>
void for_each_pair(const Tensor<Index>& indices, const Shape& x, int axis, const Body& body) {
    for (Index i = 0; i < indices.numel(); ++i) {
        Index rest = i, at = 0, stride = 1;
        for (int k = x.rank() - 1; k >= 0; --k) {
            at += (k == axis ? indices.data()[i] : rest % indices.size(k)) * stride;
            stride *= x[k];
            rest /= indices.size(k);
        }
        body(i, at);
    }
}

/// What index_add() and scatter_add() make of zeros of this shape.
Tensor<> index_sum(const Tensor<>& dy, const Shape& shape, int axis, const Tensor<Index>& indices) {
    Tensor<> sum = zeros(shape);
    kernels::index_add(dy, sum, axis, indices);
    return sum;
}
Tensor<> scatter_sum(const Tensor<>& dy, const Shape& shape, int axis, const Tensor<Index>& indices) {
    Tensor<> sum = zeros(shape);
    kernels::scatter_add(dy, sum, axis, indices);
    return sum;
}

}  // namespace

TEST_CASE("gather and scatter_add agree with their definition") {
    Generator generator(3);
    struct Case {
        Shape x, indices;
    };
    for (const Case& sample :
         {Case{{5}, {9}}, Case{{4, 3}, {4, 3}}, Case{{4, 3}, {2, 1}}, Case{{3, 4, 5}, {3, 2, 5}},
          Case{{1, 4, 1}, {1, 3, 1}}, Case{{60, 50, 40}, {50, 50, 40}}, Case{{3, 2}, {0, 2}}})
        for (int axis = 0; axis < sample.x.rank(); ++axis) {
            INFO(to_string(sample.x) << " at " << to_string(sample.indices) << " along axis " << axis);
            const Tensor<Index> indices = random_indices(sample.indices, sample.x[axis], generator);
            const Tensor<> x = randn(sample.x, generator), dy = randn(sample.indices, generator);
            Tensor<> picked = zeros(sample.indices), added = zeros(sample.x);
            float *const to = picked.mutable_data(), *const sum = added.mutable_data();
            for_each_pair(indices, sample.x, axis, [&](Index i, Index at) {
                to[i] = x.data()[at];
                sum[at] += dy.data()[i];
            });
            CHECK(kernels::gather(x, axis, indices) == picked);
            CHECK(scatter_sum(dy, sample.x, axis, indices) == added);
        }
}

TEST_CASE("index_select and index_add agree with gather and scatter_add") {
    Generator generator(4);
    for (const Shape& shape :
         {Shape{6}, Shape{6, 1}, Shape{2, 6}, Shape{2, 6, 3}, Shape{3, 6, 130}, Shape{200, 6, 70}})
        for (int axis = 0; axis < shape.rank(); ++axis) {
            INFO(to_string(shape) << " along axis " << axis);
            const Tensor<Index> indices = random_indices({11}, shape[axis], generator);
            Shape along;
            for (int k = 0; k < shape.rank(); ++k) along.push_back(k == axis ? 11 : 1);
            const Shape result = shape.with(axis, 11);
            const Tensor<Index> everywhere = kernels::broadcast_to(indices.reshape(along), result);
            const Tensor<> x = randn(shape, generator), dy = randn(result, generator);
            CHECK(kernels::index_select(x, axis, indices) == kernels::gather(x, axis, everywhere));
            CHECK(index_sum(dy, shape, axis, indices) == scatter_sum(dy, shape, axis, everywhere));
        }
}

TEST_CASE("sums at repeated indices are exact and have the same bits on any number of threads") {
    const Tensor<Index> same = zeros<Index>({100000});
    Tensor<double> sum{5, 7};  // added to
    kernels::index_add(ones<double>({100000}), sum, 0, same);
    CHECK(sum == Tensor<double>{100005, 7});
    Generator generator(5);
    const Tensor<> dy = randn({4000, 70}, generator);
    const Tensor<Index> indices = random_indices({4000}, 30, generator);
    const Tensor<Index> everywhere = kernels::broadcast_to(indices.reshape({4000, 1}), {4000, 70});
    const Threads one_thread(1);
    const Tensor<> by_rows = index_sum(dy, {30, 70}, 0, indices);
    for (const int threads : {2, 3, 8}) {
        const Threads limit(threads);
        CHECK(index_sum(dy, {30, 70}, 0, indices) == by_rows);
        CHECK(scatter_sum(dy, {30, 70}, 0, everywhere) == by_rows);
    }
}

TEST_CASE("index_add leaves one index out") {
    Tensor<> sum{{1, 2}, {3, 4}};
    kernels::index_add(Tensor<>{{10, 20}, {30, 40}, {50, 60}}, sum, 0, Tensor<Index>{1, 0, 1}, 0);
    CHECK(sum == Tensor<>{{1, 2}, {63, 84}});
}

TEST_CASE("one_hot writes one number per label") {
    CHECK(kernels::one_hot<int>(Tensor<Index>{{1, 0}}, 2) == Tensor<int>{{{0, 1}, {1, 0}}});
}
