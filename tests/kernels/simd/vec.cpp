// SPDX-License-Identifier: MIT
#include "gradus/kernels/simd/vec.hpp"

#include <bit>
#include <cmath>
#include <numeric>
#include <vector>

#include "gradus/kernels/simd/dispatch.hpp"
#include "gradus/kernels/simd/scalar.hpp"
#include "support/isas.hpp"
#include "support/test.hpp"

namespace simd = gradus::simd;
using simd::Vec;
using simd::VecOf;

namespace {

template <class T>
auto bits_of(T x) {
    return std::bit_cast<simd::detail::IntOf<T>>(x);
}

template <class T>
bool same(T a, T b) {
    return bits_of(a) == bits_of(b) || (a != a && b != b);
}

// Every operation that exists on vectors and on plain numbers, in one spelling for both.
struct Operations {
    static constexpr int count = 22;

    template <int Which, class V>
    GRADUS_INLINE static V call(const V& a, const V& b) {
        using simd::abs, simd::floor, simd::max, simd::min, simd::round, simd::select, simd::sqrt;
        const V one = V(1), two = V(2);
        if constexpr (Which == 0) return V(a + b);
        if constexpr (Which == 1) return V(a - b);
        if constexpr (Which == 2) return V(a * b);
        if constexpr (Which == 3) return V(a / b);
        if constexpr (Which == 4) return V(-a);
        if constexpr (Which == 5) return V(max(a, b));
        if constexpr (Which == 6) return V(min(a, b));
        if constexpr (Which == 7) return V(max(a, 0));
        if constexpr (Which == 8) return V(abs(a));
        if constexpr (Which == 9) return V(sqrt(a));
        if constexpr (Which == 10) return V(floor(a));
        if constexpr (Which == 11) return V(round(a));
        if constexpr (Which == 12) return V(select(a < b, one, two));
        if constexpr (Which == 13) return V(select(a > b, one, two));
        if constexpr (Which == 14) return V(select(a <= b, one, two));
        if constexpr (Which == 15) return V(select(a >= b, one, two));
        if constexpr (Which == 16) return V(select(a == b, one, two));
        if constexpr (Which == 17) return V(select(a != b, one, two));
        if constexpr (Which == 18) return V(select((a < b) & (b > 1), a, b));
        if constexpr (Which == 19) return V(select((a < b) | (b > 1), a, b));
        if constexpr (Which == 20) return V(select(!(a < b), a, b));
        if constexpr (Which == 21) return V(select(a < b, select(a < b, a, one) + two, b * two));
    }
};

template <int Which, class T>
struct OperationKernel {
    const T *a, *b;
    T* y;
    int n;

    template <int Bytes>
    GRADUS_INLINE void run() const {
        using P = VecOf<T, Bytes>;
        for (int i = 0; i < n; i += P::size)
            Operations::call<Which>(P::load(a + i), P::load(b + i)).store(y + i);
    }
};

template <int Which, class T>
void check_operation(const std::vector<T>& a, const std::vector<T>& b) {
    std::vector<T> y(a.size());
    simd::run(OperationKernel<Which, T>{a.data(), b.data(), y.data(), static_cast<int>(a.size())});
    for (std::size_t i = 0; i < a.size(); ++i) {
        INFO("operation " << Which << " on " << a[i] << ", " << b[i]);
        CHECK(same(y[i], Operations::call<Which>(a[i], b[i])));
    }
}

}  // namespace

TEMPLATE_TEST_CASE("operations on vectors agree with those on numbers", "[simd]", float, double) {
    using T = TestType;
    using Limits = std::numeric_limits<T>;
    const T inf = Limits::infinity(), nan = Limits::quiet_NaN(), whole = 1 / Limits::epsilon();
    const T numbers[16] = {T(0),          T(-0.0),          T(0.5), T(1.5), T(-2.5), T(3), T(-7.75),
                           T(1e-3),       whole - 1,        whole,  inf,    -inf,    nan,  T(1e30),
                           Limits::max(), Limits::min() / 4};
    std::vector<T> a, b;
    for (const T x : numbers)
        for (const T y : numbers) {
            a.push_back(x);
            b.push_back(y);
        }
    for_each_isa([&] {
        [&]<int... Which>(std::integer_sequence<int, Which...>) { (check_operation<Which>(a, b), ...); }
        (std::make_integer_sequence<int, Operations::count>());
    });
}

namespace {

template <class T>
struct PartialKernel {
    const T* x;
    T *filled, *y;
    int n;

    template <int Bytes>
    GRADUS_INLINE int run() const {
        using P = VecOf<T, Bytes>;
        if (n > P::size) return P::size;
        const P pack = P::load_partial(x, n, T(7));
        pack.store(filled);
        pack.store_partial(y, n);
        return P::size;
    }
};

}  // namespace

TEMPLATE_TEST_CASE("partial loads and stores touch n numbers only", "[simd]", float, double, std::int8_t,
                   std::int16_t, std::int32_t) {
    for_each_isa([] {
        for (int n = 0; n <= 64; ++n) {
            const std::size_t size = static_cast<std::size_t>(n);
            std::vector<TestType> x(size), y(size);  // of exact size, for the address sanitizer
            std::iota(x.begin(), x.end(), TestType(1));
            TestType filled[64], guarded[65];
            std::fill(std::begin(guarded), std::end(guarded), TestType(-1));
            const int lanes = simd::run(PartialKernel<TestType>{x.data(), filled, y.data(), n});
            simd::run(PartialKernel<TestType>{x.data(), filled, guarded, n});
            if (n > lanes) break;
            INFO("n = " << n);
            CHECK(x == y);
            for (int i = 0; i < lanes; ++i) CHECK(filled[i] == (i < n ? TestType(i + 1) : TestType(7)));
            for (int i = 0; i < 65; ++i) CHECK(guarded[i] == (i < n ? TestType(i + 1) : TestType(-1)));
        }
    });
}

namespace {

template <class T>
struct ReductionKernel {
    const T* x;
    T* results;

    template <int Bytes>
    GRADUS_INLINE int run() const {
        using P = VecOf<T, Bytes>;
        const P pack = P::load(x);
        results[0] = sum(pack);
        results[1] = max(pack);
        results[2] = min(pack);
        return P::size;
    }
};

}  // namespace

TEMPLATE_TEST_CASE("reductions follow a fixed tree", "[simd]", float, double, std::int32_t) {
    TestType x[16];
    for (int i = 0; i < 16; ++i) x[i] = TestType(std::sin(1.0 + i) * std::pow(3.0, i));
    for_each_isa([&] {
        TestType results[3];
        const int lanes = simd::run(ReductionKernel<TestType>{x, results});
        std::vector<TestType> tree(x, x + lanes);
        for (std::size_t half = tree.size() / 2; half > 0; half /= 2)
            for (std::size_t i = 0; i < half; ++i) tree[i] += tree[i + half];
        CHECK(results[0] == tree[0]);
        CHECK(results[1] == *std::max_element(x, x + lanes));
        CHECK(results[2] == *std::min_element(x, x + lanes));
    });
}

namespace {

struct BitsKernel {
    const float* x;
    std::int32_t* i;
    float* y;

    template <int Bytes>
    GRADUS_INLINE int run() const {
        using P = VecOf<float, Bytes>;
        const P pack = P::load(x);
        const Vec<std::int32_t, P::size> pattern = bits(pack);
        (((pattern >> 23) & 255) - 127).store(i);
        simd::convert<std::int32_t>(pack).store(i + 16);
        (pack < 0).bits().store(i + 32);
        simd::from_bits<float>(pattern ^ (1 << 31)).store(y);
        simd::convert<float>(Vec<std::int32_t, P::size>::load(i) << 1).store(y + 16);
        return P::size;
    }
};

}  // namespace

TEST_CASE("bits, conversions and shifts", "[simd]") {
    float x[16];
    for (int i = 0; i < 16; ++i) x[i] = (i % 3 == 1 ? -1.7f : 1.3f) * std::exp2(static_cast<float>(i));
    for_each_isa([&] {
        std::int32_t integers[48];
        float numbers[32];
        const int lanes = simd::run(BitsKernel{x, integers, numbers});
        for (int i = 0; i < lanes; ++i) {
            INFO("lane " << i);
            CHECK(integers[i] == std::ilogb(x[i]));
            CHECK(integers[16 + i] == static_cast<std::int32_t>(x[i]));
            CHECK(integers[32 + i] == (x[i] < 0 ? -1 : 0));
            CHECK(numbers[i] == -x[i]);
            CHECK(numbers[16 + i] == static_cast<float>(2 * integers[i]));
        }
    });
}

TEST_CASE("vectors pass by address, so that no convention depends on the instruction set", "[simd]") {
    static_assert(!std::is_trivially_copyable_v<Vec<float, 16>>);
    static_assert(!std::is_trivially_copyable_v<simd::Mask<float, 16>>);
}
