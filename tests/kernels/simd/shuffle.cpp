// SPDX-License-Identifier: MIT
#include "gradus/kernels/simd/shuffle.hpp"

#include <vector>

#include "gradus/kernels/simd/dispatch.hpp"
#include "support/isas.hpp"
#include "support/test.hpp"

// Vectors of 64 bytes too, whatever this processor has: the compiler then takes several registers for one.

namespace simd = gradus::simd;
using simd::Vec;

namespace {

template <class V>
std::vector<int> lanes(const V& x) {
    std::vector<int> result;
    for (int i = 0; i < V::size; ++i) result.push_back(static_cast<int>(x[i]));
    return result;
}

/// first, first + 1, ...
template <class V>
V counting(int first) {
    typename V::Value numbers[V::size];
    for (int i = 0; i < V::size; ++i) numbers[i] = static_cast<typename V::Value>(first + i);
    return V::load(numbers);
}

/// `count` numbers of a sequence, lane by lane.
template <class V, class F>
std::vector<int> expected(F f) {
    std::vector<int> result;
    for (int i = 0; i < V::size; ++i) result.push_back(f(i));
    return result;
}

}  // namespace

#define VECTORS                                                                                    \
    (Vec<float, 4>), (Vec<float, 8>), (Vec<float, 16>), (Vec<double, 2>), (Vec<double, 4>),        \
        (Vec<double, 8>), (Vec<std::int32_t, 4>), (Vec<std::int32_t, 8>), (Vec<std::int32_t, 16>), \
        (Vec<std::int64_t, 2>), (Vec<std::int64_t, 8>), (Vec<std::int16_t, 8>), (Vec<std::int16_t, 32>)

TEMPLATE_TEST_CASE("iota counts lanes", "", VECTORS) {
    CHECK(lanes(simd::iota<TestType>()) == expected<TestType>([](int i) { return i; }));
}

TEMPLATE_TEST_CASE("bit_of_lane is a power of two", "", (Vec<std::int32_t, 4>), (Vec<std::int32_t, 16>),
                   (Vec<std::int64_t, 2>), (Vec<std::int64_t, 8>)) {
    CHECK(lanes(simd::bit_of_lane<TestType>()) == expected<TestType>([](int i) { return 1 << i; }));
}

TEMPLATE_TEST_CASE("zips and their inverses", "", VECTORS) {
    using V = TestType;
    constexpr int n = V::size;
    const V a = counting<V>(0), b = counting<V>(n);
    const V lower = simd::zip_lower(a, b), upper = simd::zip_upper(a, b);
    std::vector<int> zipped;
    for (int i = 0; i < n; ++i) {
        zipped.push_back(i);
        zipped.push_back(n + i);
    }
    CHECK(lanes(lower) == std::vector<int>(zipped.begin(), zipped.begin() + n));
    CHECK(lanes(upper) == std::vector<int>(zipped.begin() + n, zipped.end()));
    CHECK(lanes(simd::unzip_even(lower, upper)) == lanes(a));
    CHECK(lanes(simd::unzip_odd(lower, upper)) == lanes(b));
    CHECK(lanes(simd::zip_halves(a)) == expected<V>([](int i) { return i / 2 + i % 2 * (n / 2); }));
}

TEMPLATE_TEST_CASE("every second number of memory", "", VECTORS) {
    using V = TestType;
    using T = typename V::Value;
    std::vector<T> memory(static_cast<std::size_t>(2 * V::size - 1));  // all that may be read
    for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<T>(i);
    CHECK(lanes(simd::load_every_other<V>(memory.data())) == expected<V>([](int i) { return 2 * i; }));
}

TEMPLATE_TEST_CASE("interleaving by blocks", "", (Vec<float, 8>), (Vec<double, 8>), (Vec<std::int16_t, 32>)) {
    using V = TestType;
    const V a = counting<V>(0), b = counting<V>(100);
    std::vector<int> even, odd, even_pairs, odd_pairs;
    for (int i = 0; i < V::size; i += 2) {
        for (const int x : {i, 100 + i}) even.push_back(x);
        for (const int x : {i + 1, 101 + i}) odd.push_back(x);
    }
    for (int i = 0; i < V::size; i += 4) {
        for (const int x : {i, i + 1, 100 + i, 101 + i}) even_pairs.push_back(x);
        for (const int x : {i + 2, i + 3, 102 + i, 103 + i}) odd_pairs.push_back(x);
    }
    CHECK(lanes(simd::interleave_even<1>(a, b)) == even);
    CHECK(lanes(simd::interleave_odd<1>(a, b)) == odd);
    CHECK(lanes(simd::interleave_even<2>(a, b)) == even_pairs);
    CHECK(lanes(simd::interleave_odd<2>(a, b)) == odd_pairs);
}

TEMPLATE_TEST_CASE("a square transposed", "", VECTORS) {
    using V = TestType;
    V rows[static_cast<std::size_t>(V::size)];
    for (int i = 0; i < V::size; ++i) rows[i] = counting<V>(V::size * i);
    simd::transpose(rows);
    for (int i = 0; i < V::size; ++i)
        CHECK(lanes(rows[i]) == expected<V>([i](int j) { return V::size * j + i; }));
}

TEMPLATE_TEST_CASE("across: lane i is the sum of vector i", "", VECTORS) {
    using V = TestType;
    V x[static_cast<std::size_t>(V::size)];
    std::vector<int> sums;
    for (int i = 0; i < V::size; ++i) {
        x[i] = counting<V>(3 * i);
        sums.push_back(3 * i * V::size + V::size * (V::size - 1) / 2);
    }
    CHECK(lanes(simd::across(x, [](const V& a, const V& b) { return V(a + b); })) == sums);
}

TEMPLATE_TEST_CASE("across adds in the same order for every lane", "", (Vec<float, 4>), (Vec<float, 8>),
                   (Vec<float, 16>)) {
    using V = TestType;
    float numbers[V::size];
    for (int i = 0; i < V::size; ++i) numbers[i] = 1.0f / (0.7f * static_cast<float>(i + 3));
    V x[static_cast<std::size_t>(V::size)];
    for (V& row : x) row = V::load(numbers);  // their sum depends on the order
    const V total = simd::across(x, [](const V& a, const V& b) { return V(a + b); });
    for (int i = 1; i < V::size; ++i) CHECK(total[i] == total[0]);
}

TEMPLATE_TEST_CASE("the lowest bytes of lanes, and no more", "", (Vec<std::int32_t, 4>),
                   (Vec<std::int32_t, 8>), (Vec<std::int32_t, 16>), (Vec<std::int64_t, 2>),
                   (Vec<std::int64_t, 8>)) {
    using V = TestType;
    std::uint8_t bytes[V::size + 1] = {};
    bytes[V::size] = 77;
    simd::store_low_bytes(counting<V>(0x12f8), bytes);
    for (int i = 0; i < V::size; ++i) CHECK(bytes[i] == ((0xf8 + i) & 0xff));
    CHECK(bytes[V::size] == 77);
}

TEMPLATE_TEST_CASE("transpose_blocks swaps rows and lanes within 16 bytes", "", (Vec<float, 4>),
                   (Vec<float, 8>), (Vec<float, 16>), (Vec<double, 2>), (Vec<double, 4>), (Vec<double, 8>)) {
    using V = TestType;
    constexpr int block = 16 / static_cast<int>(sizeof(typename V::Value));
    V rows[std::size_t{block}];
    for (int i = 0; i < block; ++i) rows[i] = counting<V>(100 * i);
    simd::transpose_blocks(rows);
    for (int i = 0; i < block; ++i)
        CHECK(lanes(rows[i]) ==
              expected<V>([i](int lane) { return 100 * (lane % block) + lane / block * block + i; }));
}

namespace {

/// The numbers 0, 1, ... 99 read in blocks.
template <class T>
struct LoadBlocks {
    std::ptrdiff_t group;
    const T* from;
    std::vector<std::vector<int>>* rows;

    template <int Bytes>
    GRADUS_INLINE void run() const {
        constexpr std::size_t block = 16 / sizeof(T);
        std::ptrdiff_t step[block];
        for (std::size_t i = 0; i < block; ++i) step[i] = static_cast<std::ptrdiff_t>(7 * i);
        simd::VecOf<T, Bytes> row[block];
        simd::load_blocks(row, from + 1, step, group);
        for (const auto& x : row) {
            T numbers[Bytes / sizeof(T)];
            x.store(numbers);
            rows->emplace_back(std::begin(numbers), std::end(numbers));
        }
    }
};

/// What load_interleaved() makes of a memory of S vectors, of which nothing behind may be read.
template <class T, std::size_t S>
struct LoadInterleaved {
    std::vector<std::vector<int>>* every;

    template <int Bytes>
    GRADUS_INLINE void run() const {
        using V = simd::VecOf<T, Bytes>;
        std::vector<T> memory(S * V::size);
        for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<T>(i);
        V parts[S];
        simd::load_interleaved(parts, memory.data());
        for (const V& x : parts) {
            T numbers[Bytes / sizeof(T)];
            x.store(numbers);
            every->emplace_back(std::begin(numbers), std::end(numbers));
        }
    }
};

template <class T, std::size_t S>
void check_interleaved() {
    std::vector<std::vector<int>> every;
    simd::run(LoadInterleaved<T, S>{&every});
    REQUIRE(every.size() == S);
    for (std::size_t k = 0; k < S; ++k)
        for (std::size_t i = 0; i < every[0].size(); ++i) CHECK(every[k][i] == static_cast<int>(i * S + k));
}

}  // namespace

TEMPLATE_TEST_CASE("load_blocks puts 16 bytes side by side", "", float, double) {
    std::vector<TestType> numbers;
    for (int i = 0; i < 100; ++i) numbers.push_back(static_cast<TestType>(i));
    for_each_isa([&] {
        std::vector<std::vector<int>> rows;
        simd::run(LoadBlocks<TestType>{.group = 20, .from = numbers.data(), .rows = &rows});
        const int block = 16 / static_cast<int>(sizeof(TestType));
        for (std::size_t i = 0; i < rows.size(); ++i)
            for (std::size_t lane = 0; lane < rows[i].size(); ++lane) {
                const int at = static_cast<int>(lane);
                CHECK(rows[i][lane] == 1 + at / block * 20 + static_cast<int>(i) * 7 + at % block);
            }
    });
}

TEMPLATE_TEST_CASE("load_interleaved takes every second and every third number", "", float, double) {
    for_each_isa([] {
        check_interleaved<TestType, 2>();
        check_interleaved<TestType, 3>();
    });
}
