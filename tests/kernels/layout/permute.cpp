// SPDX-License-Identifier: MIT
#include "gradus/kernels/layout/permute.hpp"

#include <cstdint>
#include <numeric>

#include "support/isas.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

/// Numbers that tell positions apart, up to the range of T.
template <class T>
Tensor<T> numbered(const Shape& shape) {
    Tensor<T> x = Tensor<T>::uninitialized(shape);
    T* const out = x.mutable_data();
    for (Index i = 0; i < x.numel(); ++i) out[i] = static_cast<T>(i % 16001 % 251 + i / 251 % 31);
    return x;
}

/// The place of position `i` of row-major `shape` along each axis.
std::vector<Index> places(const Shape& shape, Index i) {
    std::vector<Index> result(static_cast<std::size_t>(shape.rank()));
    for (std::size_t axis = result.size(); axis-- > 0; i /= shape[static_cast<int>(axis)])
        result[axis] = i % shape[static_cast<int>(axis)];
    return result;
}

/// The result that an element-by-element copy gives: y[p] = x[source(p)].
template <class T, class F>
Tensor<T> copied(const Tensor<T>& x, const Shape& shape, const F& source) {
    Tensor<T> y = Tensor<T>::uninitialized(shape);
    T* const out = y.mutable_data();
    for (Index i = 0; i < y.numel(); ++i) {
        Index at = 0;
        const std::vector<Index> from = source(places(shape, i));
        for (int axis = 0; axis < x.rank(); ++axis)
            at = at * x.size(axis) + from[static_cast<std::size_t>(axis)];
        out[i] = x.data()[at];
    }
    return y;
}

template <class T>
void check_permute(const Shape& shape, const std::vector<int>& axes) {
    INFO(to_string(shape));
    const Tensor<T> x = numbered<T>(shape);
    Shape result;
    for (const int axis : axes) result.push_back(shape[axis]);
    const Tensor<T> expected = copied(x, result, [&](const std::vector<Index>& to) {
        std::vector<Index> from(to.size());
        for (std::size_t i = 0; i < to.size(); ++i) from[static_cast<std::size_t>(axes[i])] = to[i];
        return from;
    });
    CHECK(kernels::permute<T>(x, axes) == expected);
}

template <class T>
void check_all_orders(const Shape& shape) {
    std::vector<int> axes(static_cast<std::size_t>(shape.rank()));
    std::iota(axes.begin(), axes.end(), 0);
    do check_permute<T>(shape, axes);
    while (std::next_permutation(axes.begin(), axes.end()));
}

}  // namespace

TEST_CASE("permute agrees with a copy element by element, for every order of the axes") {
    for (const Shape& shape : {Shape{}, Shape{7}, Shape{2, 3}, Shape{17, 33}, Shape{2, 3, 5},
                               Shape{16, 1, 17}, Shape{3, 0, 2}, Shape{2, 20, 3, 19}, Shape{1, 2, 1, 3, 2}}) {
        check_all_orders<float>(shape);
        check_all_orders<double>(shape);
        check_all_orders<std::uint8_t>(shape);
        check_all_orders<Index>(shape);
        check_all_orders<Dual<double>>(shape);
    }
}

TEST_CASE("a matrix is transposed alike by every instruction set, whatever its size") {
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scoped(isa);
        for (const Index rows : {1, 3, 4, 8, 15, 16, 17, 64, 65, 200})
            for (const Index columns : {1, 2, 7, 16, 31, 64, 129}) {
                check_permute<float>({rows, columns}, {1, 0});
                check_permute<double>({rows, columns}, {1, 0});
            }
        check_permute<float>({5, 70, 90}, {0, 2, 1});
        check_permute<float>({40, 50, 30}, {2, 1, 0});
        check_permute<float>({3, 40000}, {1, 0});
        check_permute<float>({40000, 3}, {1, 0});
    }
}

TEST_CASE("permute shares memory where the order in memory stays") {
    const Tensor<> x = numbered<float>({4, 1, 3});
    const int axes[] = {1, 0, 2};
    CHECK(kernels::permute<float>(x, axes).shares_memory_with(x));
    CHECK(kernels::transpose(numbered<float>({5, 1}), 0, 1).shape() == Shape{1, 5});
}

TEST_CASE("flip agrees with a copy element by element") {
    for (const Shape& shape :
         {Shape{5}, Shape{2, 3}, Shape{3, 1, 4}, Shape{2, 3, 4, 5}, Shape{300, 200}, Shape{0, 2}}) {
        const Tensor<> x = numbered<float>(shape);
        for (kernels::AxisSet axes = 0; axes < 1u << shape.rank(); ++axes) {
            INFO(to_string(shape) << ", set " << axes);
            CHECK(kernels::flip(x, axes) == copied(x, shape, [&](std::vector<Index> place) {
                      for (int axis = 0; axis < shape.rank(); ++axis)
                          if (axes >> axis & 1u)
                              place[static_cast<std::size_t>(axis)] =
                                  shape[axis] - 1 - place[static_cast<std::size_t>(axis)];
                      return place;
                  }));
        }
    }
}

TEST_CASE("slice and slice_add agree with a copy element by element") {
    const Shape shape{6, 7, 5};
    const Tensor<> x = numbered<float>(shape);
    for (int axis = 0; axis < 3; ++axis)
        for (Index begin = 0; begin < 5; ++begin)
            for (const Index step : {1, 2, 3}) {
                const Index count = (shape[axis] - begin + step - 1) / step;
                const Tensor<> y = kernels::slice(x, axis, begin, count, step);
                CHECK(y == copied(x, shape.with(axis, count), [&](std::vector<Index> place) {
                          Index& p = place[static_cast<std::size_t>(axis)];
                          p = begin + p * step;
                          return place;
                      }));
                Tensor<> sum = ones(shape);
                kernels::slice_add(y, sum, axis, begin, step);
                CHECK(kernels::slice(sum, axis, begin, count, step) == y + 1.0f);
                CHECK(std::count(sum.begin(), sum.end(), 1.0f) ==
                      sum.numel() - y.numel() + std::count(y.begin(), y.end(), 0.0f));
            }
}

TEST_CASE("repeat and broadcast_to agree with a copy element by element") {
    const Shape shape{2, 1, 3};
    const Tensor<> x = numbered<float>(shape);
    for (const std::vector<Index>& times :
         {std::vector<Index>{1, 1, 1}, {3, 1, 1}, {1, 4, 1}, {1, 1, 2}, {2, 3, 4}}) {
        const Shape result{2 * times[0], times[1], 3 * times[2]};
        CHECK(kernels::repeat<float>(x, times) == copied(x, result, [&](std::vector<Index> place) {
                  for (std::size_t i = 0; i < 3; ++i) place[i] %= shape[static_cast<int>(i)];
                  return place;
              }));
    }
    for (const Shape& result : {Shape{2, 5, 3}, Shape{4, 2, 5, 3}, Shape{1, 2, 1, 3}, Shape{100, 2, 100, 3}})
        CHECK(kernels::broadcast_to(x, result) == copied(x, result, [&](const std::vector<Index>& place) {
                  const std::size_t skip = place.size() - 3;
                  return std::vector<Index>{place[skip], 0, place[skip + 2]};
              }));
    CHECK(kernels::broadcast_to(Tensor<>{{1}, {2}}, {2, 0}).shape() == Shape{2, 0});
}

TEST_CASE("repeat works at the largest rank") {
    const Tensor<> x = numbered<float>({2, 2, 2, 2, 2, 2, 2, 2});
    const std::vector<Index> times(8, 2);
    const Tensor<> y = kernels::repeat<float>(x, times);
    CHECK(y(3, 2, 1, 0, 3, 2, 1, 0) == x(1, 0, 1, 0, 1, 0, 1, 0));
    CHECK(kernels::sum_repeats<float>(y, times, x.shape())(1, 0, 1, 1, 1, 0, 1, 0) ==
          256 * x(1, 0, 1, 1, 1, 0, 1, 0));
}

TEST_CASE("concat and slice undo each other") {
    for (int axis = 0; axis < 3; ++axis) {
        std::vector<Tensor<>> parts;
        for (const Index size : {3, 0, 1, 40})
            parts.push_back(numbered<float>(Shape{20, 30, 50}.with(axis, size)));
        const Tensor<> whole = kernels::concat<float>(parts, axis);
        CHECK(whole.size(axis) == 44);
        Index begin = 0;
        for (const Tensor<>& part : parts) {
            CHECK(kernels::slice(whole, axis, begin, part.size(axis)) == part);
            begin += part.size(axis);
        }
    }
}

TEST_CASE("crop takes back what pad put around") {
    const Tensor<> x = numbered<float>({3, 4});
    const Index before[] = {2, 1};
    const Tensor<> y = kernels::pad<float>(x, {6, 9}, before, 7);
    CHECK(y(0, 0) == 7);
    CHECK(y(2, 1) == x(0, 0));
    CHECK(y(5, 8) == 7);
    CHECK(kernels::crop<float>(y, {3, 4}, before) == x);
}

TEST_CASE("labels and pixels are laid out as numbers are") {
    const std::vector<Tensor<Index>> labels{Tensor<Index>{1, 2}, Tensor<Index>{3}};
    CHECK(kernels::concat<Index>(labels, 0) == Tensor<Index>{1, 2, 3});
    const Tensor<std::uint8_t> pixels{{1, 2}, {3, 4}};
    CHECK(kernels::flip(pixels, 1u << 1) == Tensor<std::uint8_t>{{2, 1}, {4, 3}});
}
