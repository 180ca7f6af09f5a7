// SPDX-License-Identifier: MIT
#include "gradus/kernels/elementwise/map.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "gradus/core/random.hpp"
#include "support/isas.hpp"
#include "support/same_bits.hpp"
#include "support/test.hpp"
#include "support/threads.hpp"

using namespace gradus;
using kernels::vectorized;

namespace {

const Index awkward_sizes[] = {0,   1,   2,   3,   4,   5,    7,     8,     9,     11,   13,  15,
                               16,  17,  31,  32,  33,  63,   64,    65,    67,    127,  128, 129,
                               255, 256, 257, 511, 513, 1021, 32767, 32768, 32769, 70001};

const auto plus_one = vectorized([]<class V>(const V& x) GRADUS_INLINE_LAMBDA { return V(x + V(1)); });
const auto product =
    vectorized([]<class V>(const V& x, const V& y) GRADUS_INLINE_LAMBDA { return V(x * y); });
const auto select_larger = vectorized([]<class V>(const V& x, const V& y, const V& z) GRADUS_INLINE_LAMBDA {
    using simd::select;
    return V(select(x > y, x, z));
});
/// Rounds in every step, so that another order or width of the work would show.
const auto rounding =
    vectorized([]<class V>(const V& x) GRADUS_INLINE_LAMBDA { return V((x / V(3)) * x - x / V(7)); });

/// 1, 2, 3, ... in a heap block of exactly this size: reading past its end is an error that sanitizers see.
template <class T>
struct Exact {
    std::vector<T> memory;
    Tensor<T> tensor;

    explicit Exact(const Shape& shape, T first = T(1)) : memory(static_cast<std::size_t>(shape.numel())) {
        for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<T>(i % 1000) + first;
        memory.shrink_to_fit();
        tensor = Tensor<T>::borrow(memory, shape);
    }
};

/// The element of x that belongs to position i (row-major) of the broadcast shape.
template <class T>
T broadcast_element(const Tensor<T>& x, const Shape& shape, Index i) {
    Index at = 0, step = 1;
    for (int axis = shape.rank() - 1, own = x.rank() - 1; own >= 0; --axis, --own) {
        const Index position = i % shape[axis];
        i /= shape[axis];
        if (x.size(own) != 1) at += position * step;
        step *= x.size(own);
    }
    return x.data()[at];
}

template <class T>
void check_equal_shapes(Index size) {
    const Exact<T> x({size}), y({size}, T(5)), z({size}, T(-400));
    const Tensor<T> one = kernels::map("test", plus_one, x.tensor),
                    two = kernels::map("test", product, x.tensor, y.tensor),
                    three = kernels::map("test", select_larger, x.tensor, z.tensor, y.tensor);
    bool right = true;
    for (Index i = 0; i < size; ++i) {
        const T a = x.tensor(i), b = y.tensor(i), c = z.tensor(i);
        right = right && one(i) == a + T(1) && two(i) == a * b && three(i) == (a > c ? a : b);
    }
    CHECK(right);
}

template <class T>
void check_broadcast(const Shape& a, const Shape& b, const Shape& c) {
    const Exact<T> x(a), y(b, T(5)), z(c, T(-3));
    const Tensor<T> two = kernels::map("test", product, x.tensor, y.tensor),
                    three = kernels::map("test", select_larger, x.tensor, y.tensor, z.tensor);
    const Shape both = broadcast("test", a, b), all = broadcast("test", both, c);
    INFO(to_string(a) << ", " << to_string(b) << ", " << to_string(c));
    REQUIRE(two.shape() == both);
    REQUIRE(three.shape() == all);
    bool right = true;
    for (Index i = 0; i < both.numel(); ++i)
        right = right &&
                two.data()[i] == broadcast_element(x.tensor, both, i) * broadcast_element(y.tensor, both, i);
    for (Index i = 0; i < all.numel(); ++i) {
        const T p = broadcast_element(x.tensor, all, i), q = broadcast_element(y.tensor, all, i);
        right = right && three.data()[i] == (p > q ? p : broadcast_element(z.tensor, all, i));
    }
    CHECK(right);
}

}  // namespace

TEST_CASE("map: every size around the vector widths, on every instruction set") {
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scope(isa);
        for (const Index size : awkward_sizes) {
            INFO(simd::name(isa) << ", size " << size);
            check_equal_shapes<float>(size);
            check_equal_shapes<double>(size);
        }
    }
}

TEST_CASE("map: broadcasting") {
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scope(isa);
        INFO(simd::name(isa));
        check_broadcast<float>({}, {}, {});
        check_broadcast<float>({5}, {}, {1});
        check_broadcast<float>({}, {67}, {67});
        check_broadcast<float>({3, 5}, {5}, {3, 1});
        check_broadcast<float>({3, 1}, {5}, {1, 1, 1});
        check_broadcast<float>({4, 3, 5}, {3, 1}, {4, 1, 5});
        check_broadcast<float>({2, 1, 3, 1, 2}, {5, 1, 4, 1}, {2});
        check_broadcast<float>({7, 1, 1}, {1, 3, 17}, {1});
        check_broadcast<float>({2, 3, 4}, {2, 1, 1}, {3, 4});
        check_broadcast<float>({1, 2, 1, 2, 1, 2, 1, 2}, {2, 1, 2, 1, 2, 1, 2, 1}, {});
        check_broadcast<double>({4, 3, 5}, {3, 1}, {4, 1, 5});
        for (const Index inner : {255, 256, 257, 511, 512, 513, 1000}) {
            check_broadcast<float>({3, inner}, {3, 1}, {inner});
            check_broadcast<double>({inner}, {}, {2, inner});
        }
        check_broadcast<float>({40000}, {}, {1});
        check_broadcast<float>({300, 201}, {201}, {300, 1});
    }
}

TEST_CASE("map: size 0") {
    check_broadcast<float>({0}, {1}, {});
    check_broadcast<float>({0, 3}, {3}, {1, 1});
    check_broadcast<float>({3, 0}, {3, 1}, {0});
    check_broadcast<float>({2, 0, 3}, {1, 1, 3}, {2, 1, 1});
    check_broadcast<float>({1, 1}, {4, 0}, {});
    CHECK(kernels::map("test", plus_one, zeros({0, 3})).shape() == Shape{0, 3});
}

TEST_CASE("map: an element's bits do not depend on its place") {
    Generator generator(1);
    const Tensor<> x = randn<float>({300}, generator);
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scope(isa);
        const Tensor<> whole = kernels::map("test", rounding, x);
        for (Index first = 0; first < 40; ++first)
            for (const Index last : {300, 299, 290, 260}) {
                const Tensor<> part = kernels::map("test", rounding, x.rows(first, last));
                CHECK(same_bits(part, whole.rows(first, last)));
            }
    }
}

TEST_CASE("map: the same bits for any number of threads") {
    Generator generator(1);
    const Tensor<> x = randn<float>({301, 300}, generator), row = randn<float>({300}, generator),
                   column = randn<float>({301, 1}, generator);
    const Threads one_thread(1);
    const Tensor<> one = kernels::map("test", rounding, x), two = kernels::map("test", product, x, row),
                   three = kernels::map("test", select_larger, x, column, row);
    for (const int threads : {2, 3, 5}) {
        const Threads limit(threads);
        CHECK(same_bits(kernels::map("test", rounding, x), one));
        CHECK(same_bits(kernels::map("test", product, x, row), two));
        CHECK(same_bits(kernels::map("test", select_larger, x, column, row), three));
    }
}

TEST_CASE("map: beyond the caches as within them") {
    const Index size = (Index{1} << 23) + 37, part = size / 50;  // 34 MB
    Tensor<> x = Tensor<>::uninitialized({size});
    for (Index i = 0; i < size; ++i) x.mutable_data()[i] = static_cast<float>(i % 1000) * 0.01f;
    const Tensor<> two{2};
    for (const simd::Isa isa : available_isas()) {
        if (isa > simd::isa()) continue;
        const simd::ScopedIsa limit(isa);
        INFO(simd::name(isa));
        const Tensor<> y = kernels::map("test", rounding, x), scaled = kernels::map("test", product, x, two);
        Tensor<> in_place = x;
        kernels::map_in_place(product, in_place, two);
        bool same = in_place == scaled;
        for (Index begin = 0, end; begin < size; begin = end) {
            end = std::min(size, begin + part);
            const Tensor<> own = x.rows(begin, end);
            same = same && kernels::map("test", rounding, own) == y.rows(begin, end) &&
                   kernels::map("test", product, own, two) == scaled.rows(begin, end);
        }
        CHECK(same);
    }
}

TEST_CASE("map: functions that are not vectorized, and mixed types") {
    const auto pick = [](bool condition, float x, Index y) {
        return condition ? static_cast<double>(x) : static_cast<double>(y);
    };
    const Tensor<double> y =
        kernels::map("test", pick, Tensor<bool>{{true}, {false}}, Tensor<>{0.5f, 1.5f}, Tensor<Index>{7});
    CHECK(y == Tensor<double>{{0.5, 1.5}, {7, 7}});
    CHECK(kernels::map("test", product, Tensor<Index>{2, 3}, Tensor<Index>{{5}, {7}}) ==
          Tensor<Index>{{10, 15}, {14, 21}});

    const Tensor<Dual<float>> d(Shape{2}, std::vector<Dual<float>>{{2, 1}, {3, 0}});
    const Tensor<Dual<float>> squared = kernels::map("test", product, d, d);
    CHECK(squared(0).dual == 4);
    CHECK(squared(1).value == 9);
}

TEST_CASE("map: NaN and infinities pass through every lane") {
    const float nan = std::numeric_limits<float>::quiet_NaN(),
                infinity = std::numeric_limits<float>::infinity();
    for (Index at = 0; at < 37; ++at) {
        Tensor<> x = ones({37});
        x.mutable_at(at) = nan;
        const Tensor<> y = kernels::map("test", plus_one, x);
        Index count = 0;
        for (const float value : y) count += std::isnan(value) ? 1 : 0;
        CHECK(count == 1);
        CHECK(std::isnan(y(at)));
        x.mutable_at(at) = infinity;
        CHECK(kernels::map("test", product, x, zeros({37}))(at) != 0);  // inf · 0 is NaN
    }
}

TEST_CASE("map: in place") {
    const auto scaled_sum =
        vectorized([]<class V>(const V& y, const V& x) GRADUS_INLINE_LAMBDA { return V(y + V(2) * x); });
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scope(isa);
        for (const Index size : awkward_sizes) {
            const Exact<float> x({size});
            Tensor<> y = kernels::map("test", plus_one, x.tensor);
            const Tensor<> before = y;
            kernels::map_in_place(scaled_sum, y, x.tensor);
            CHECK(y == kernels::map("test", scaled_sum, before, x.tensor));
            CHECK(before ==
                  kernels::map("test", plus_one, x.tensor));  // a copy taken before is not written to
        }
    }
    Tensor<> y{1, 2, 3};
    kernels::map_in_place(product, y, y);
    CHECK(y == Tensor<>{1, 4, 9});
}

TEST_CASE("map: refusals") {
    CHECK_THROWS_MATCHES(kernels::map("blend", product, zeros({2, 3}), zeros({2})), ShapeError,
                         Message("blend: shapes do not broadcast: got [2, 3] and [2]"));
}
