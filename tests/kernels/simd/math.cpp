// SPDX-License-Identifier: MIT
#include "gradus/kernels/simd/math.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "gradus/kernels/simd/dispatch.hpp"
#include "support/isas.hpp"
#include "support/test.hpp"

namespace simd = gradus::simd;

namespace {

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float least = std::numeric_limits<float>::denorm_min();
constexpr float greatest = std::numeric_limits<float>::max();

double logistic(double x) {
    const double e = std::exp(-std::abs(x));
    return (x < 0 ? e : 1) / (1 + e);
}

// Each function under test: on any V, in double, and the error in ulp that its comment promises.
#define FUNCTION(Type, call, in_double, promise)                   \
    struct Type {                                                  \
        static constexpr double max_ulp = promise;                 \
        static double reference(double x) { return in_double(x); } \
        template <class V>                                         \
        GRADUS_INLINE static V value(const V& x) {                 \
            using simd::call;                                      \
            return call(x);                                        \
        }                                                          \
    }
FUNCTION(Exp, exp, std::exp, 1.2);
FUNCTION(Expm1, expm1, std::expm1, 1.7);
FUNCTION(Log, log, std::log, 1.0);
FUNCTION(Log1p, log1p, std::log1p, 1.6);
FUNCTION(Tanh, tanh, std::tanh, 2.7);
FUNCTION(Sigmoid, sigmoid, logistic, 2.5);
FUNCTION(Erf, erf, std::erf, 1.4);

double normal_cdf(double x) { return 0.5 * std::erfc(-x * std::sqrt(0.5)); }

/// Of x² the double reference rounds away nothing that a float would show.
struct ExpOfHalfSquare {
    static constexpr double max_ulp = 1.6;
    static double reference(double x) { return std::exp(-0.5 * x * x); }
    template <class V>
    GRADUS_INLINE static V value(const V& x) {
        return simd::exp_of_square(-0.5f, x);
    }
};
struct ExpOfSquare {
    static constexpr double max_ulp = 1.6;
    static double reference(double x) { return std::exp(-x * x); }
    template <class V>
    GRADUS_INLINE static V value(const V& x) {
        return simd::exp_of_square(-1.0f, x);
    }
};
struct Gelu {
    static constexpr double max_ulp = 6.5;
    static double reference(double x) { return std::isinf(x) && x < 0 ? -0.0 : x * normal_cdf(x); }
    template <class V>
    GRADUS_INLINE static V value(const V& x) {
        return simd::gelu(x);
    }
};
struct GeluSlope {
    template <class V>
    GRADUS_INLINE static V value(const V& x) {
        return simd::gelu_slope(x);
    }
};

struct ExpOfNegative {
    template <class V>
    GRADUS_INLINE static V value(const V& x) {
        return simd::exp_of_negative(x);
    }
};
#undef FUNCTION

template <class F, class T>
struct MapKernel {
    const T* x;
    T* y;
    int n;

    template <int Bytes>
    GRADUS_INLINE void run() const {
        using P = simd::VecOf<T, Bytes>;
        int i = 0;
        for (; i + P::size <= n; i += P::size) F::value(P::load(x + i)).store(y + i);
        if (i < n) F::value(P::load_partial(x + i, n - i)).store_partial(y + i, n - i);
    }
};

template <class F, class T>
std::vector<T> map(const std::vector<T>& x) {
    std::vector<T> y(x.size());
    simd::run(MapKernel<F, T>{x.data(), y.data(), static_cast<int>(x.size())});
    return y;
}

template <class F>
float at(float x) {
    return map<F, float>({x})[0];
}

/// |y - exact| in units of the last place of floats around `exact`; huge where only one of them is NaN, where
/// an infinity is wrong, or where zeros differ in sign.
double error_in_ulp(float y, double exact) {
    constexpr double wrong = 1e30, past_greatest = 0x1p128;
    if (std::isnan(exact) || std::isnan(y)) return std::isnan(exact) && std::isnan(y) ? 0 : wrong;
    if (exact == 0 || std::isinf(exact))
        return static_cast<double>(y) == exact && std::signbit(y) == std::signbit(exact) ? 0 : wrong;
    int exponent;
    std::frexp(exact, &exponent);
    const double ulp = std::ldexp(1.0, std::clamp(exponent - 24, -149, 104));
    if (std::isinf(y) && std::abs(exact) >= past_greatest)
        return std::signbit(y) == std::signbit(exact) ? 0 : wrong;
    const double value = std::isinf(y) ? std::copysign(past_greatest, y) : static_cast<double>(y);
    return std::abs(value - exact) / ulp;
}

/// Floats spread evenly over all bit patterns, and all near the places where something changes.
std::vector<float> floats() {
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__)
    constexpr std::uint32_t stride = 2003;  // a prime: all low bits occur
#else
    constexpr std::uint32_t stride = 100003;
#endif
    std::vector<float> result;
    for (std::uint64_t bits = 0; bits < (std::uint64_t(1) << 32); bits += stride)
        result.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
    const float places[] = {0.0f,       least,       1.1754943e-38f, 0x1p-25f,    0x1p-13f,  0.29289323f,
                            0.3465736f, 0.41421356f, 0.5f,           0.70710677f, 1.0f,      1.41421356f,
                            2.0f,       3.92f,       4.0f,           9.01f,       10.0f,     16.64f,
                            17.33f,     20.0f,       87.33655f,      88.37626f,   88.72284f, 89.0f,
                            103.27893f, 103.97208f,  104.0f,         0x1p24f,     0x1p127f,  greatest};
    for (const float place : places) {
        const std::int32_t center = std::bit_cast<std::int32_t>(place);
        for (std::int32_t step = -300; step <= 300; ++step)
            for (const std::int32_t sign : {0, std::numeric_limits<std::int32_t>::min()})
                result.push_back(std::bit_cast<float>(std::max(center + step, 0) | sign));
    }
    return result;
}

}  // namespace

TEMPLATE_TEST_CASE("the error is as small as promised over all floats", "[functions]", Exp, Expm1, Log, Log1p,
                   Tanh, Sigmoid, Erf, ExpOfHalfSquare, ExpOfSquare, Gelu) {
    static const std::vector<float> x = floats();
    std::vector<double> exact(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) exact[i] = TestType::reference(static_cast<double>(x[i]));
    for_each_isa([&] {
        const std::vector<float> y = map<TestType>(x);
        std::size_t worst = 0;
        double error = -1;
        for (std::size_t i = 0; i < x.size(); ++i) {
            const double e = error_in_ulp(y[i], exact[i]);
            if (e > error) error = e, worst = i;
        }
        INFO("worst at " << x[worst] << ": " << y[worst] << " for " << exact[worst]);
        CHECK(error < TestType::max_ulp);
    });
}

TEST_CASE("the slope of gelu is as exact as promised", "[functions]") {
    std::vector<float> x;
    for (const float each : floats())
        if (std::abs(each) < 1e30f) x.push_back(each);
    for (float each = -14.5f; each < 6; each += 0.0007f) x.push_back(each);
    for_each_isa([&] {
        const std::vector<float> y = map<GeluSlope>(x);
        for (std::size_t i = 0; i < x.size(); ++i) {
            const double at = static_cast<double>(x[i]);
            const double exact = normal_cdf(at) + at * std::exp(-0.5 * at * at) * 0.39894228040143268;
            const bool holds = at < -1 ? error_in_ulp(y[i], exact == 0 ? -0.0 : exact) < 7.5
                                       : std::abs(static_cast<double>(y[i]) - exact) < 2.5e-7;
            if (!holds) FAIL_CHECK("at " << x[i] << ": " << y[i] << " for " << exact);
        }
    });
}

TEST_CASE("exp_of_negative gives the bits of exp, and NaN for NaN") {
    std::vector<float> x;
    for (const float each : floats())
        if (!(each > 0)) x.push_back(each);
    for_each_isa([&] {
        const std::vector<float> y = map<ExpOfNegative>(x), expected = map<Exp>(x);
        CHECK(std::memcmp(y.data(), expected.data(), x.size() * sizeof(float)) == 0);
    });
}

TEMPLATE_TEST_CASE("a number's bits do not depend on its place", "[functions]", Exp, Expm1, Log, Log1p, Tanh,
                   Sigmoid, Erf) {
    std::vector<float> x;
    for (int i = 0; i < 61; ++i) x.push_back(0.37f * static_cast<float>(i) - 9);
    for_each_isa([&] {
        const std::vector<float> whole = map<TestType>(x);
        for (std::size_t begin = 0; begin < 17; ++begin)
            for (std::size_t end = begin; end <= x.size(); ++end) {
                const auto from = x.begin() + static_cast<long>(begin),
                           to = x.begin() + static_cast<long>(end);
                const std::vector<float> part = map<TestType>(std::vector<float>(from, to));
                // As bytes: NaN equals itself, and -0 is not 0.
                const std::size_t bytes = part.size() * sizeof(float);
                if (bytes > 0 && std::memcmp(part.data(), whole.data() + begin, bytes) != 0)
                    FAIL_CHECK("differs in [" << begin << ", " << end << ")");
            }
    });
}

TEMPLATE_TEST_CASE("vectors of double and plain numbers follow the standard library", "[functions]", Exp,
                   Expm1, Log, Log1p, Tanh, Sigmoid, Erf) {
    const std::vector<double> x{-3, -0.5, -0.0, 0, 1e-9, 0.25, 0.75, 1, 2.5, 7, 30};
    for_each_isa([&] {
        const std::vector<double> y = map<TestType>(x);
        for (std::size_t i = 0; i < x.size(); ++i) {
            INFO("x = " << x[i]);
            const double expected = TestType::reference(x[i]);
            const bool both_nan = std::isnan(expected) && std::isnan(y[i]);
            CHECK((both_nan || y[i] == expected));
            CHECK((both_nan || TestType::value(x[i]) == expected));
            const float single = static_cast<float>(x[i]);
            CHECK(error_in_ulp(TestType::value(single), TestType::reference(static_cast<double>(single))) <
                  4);
        }
    });
}

TEST_CASE("special values", "[functions]") {
    for_each_isa([] {
        CHECK(at<Exp>(0) == 1);
        CHECK(at<Exp>(-0.0f) == 1);
        CHECK(at<Exp>(inf) == inf);
        CHECK(at<Exp>(-inf) == 0);
        CHECK(at<Exp>(88.7228317f) < inf);
        CHECK(at<Exp>(88.7228394f) == inf);
        CHECK(at<Exp>(greatest) == inf);
        CHECK(at<Exp>(-103.9f) == least);
        CHECK(at<Exp>(-104) == 0);

        CHECK(at<Expm1>(inf) == inf);
        CHECK(at<Expm1>(-inf) == -1);
        CHECK(at<Expm1>(least) == least);
        CHECK(std::signbit(at<Expm1>(-0.0f)));

        CHECK(at<Log>(1) == 0);
        CHECK(at<Log>(0) == -inf);
        CHECK(at<Log>(-0.0f) == -inf);
        CHECK(at<Log>(inf) == inf);
        CHECK(std::isnan(at<Log>(-least)));
        CHECK(std::isnan(at<Log>(-inf)));

        CHECK(at<Log1p>(-1) == -inf);
        CHECK(at<Log1p>(inf) == inf);
        CHECK(at<Log1p>(least) == least);
        CHECK(std::isnan(at<Log1p>(std::nextafter(-1.0f, -2.0f))));
        CHECK(std::isnan(at<Log1p>(-inf)));
        CHECK(std::signbit(at<Log1p>(-0.0f)));

        CHECK(at<Tanh>(inf) == 1);
        CHECK(at<Tanh>(-inf) == -1);
        CHECK(at<Tanh>(least) == least);
        CHECK(std::signbit(at<Tanh>(-0.0f)));

        CHECK(at<Sigmoid>(0) == 0.5f);
        CHECK(at<Sigmoid>(inf) == 1);
        CHECK(at<Sigmoid>(-inf) == 0);
        CHECK(at<Sigmoid>(-103.9f) == least);

        CHECK(at<Erf>(inf) == 1);
        CHECK(at<Erf>(-inf) == -1);
        CHECK(at<Erf>(4) == 1);
        CHECK(std::signbit(at<Erf>(-0.0f)));
    });
}

TEMPLATE_TEST_CASE("NaN stays NaN", "[functions]", Exp, Expm1, Log, Log1p, Tanh, Sigmoid, Erf) {
    for_each_isa([] {
        CHECK(std::isnan(at<TestType>(std::numeric_limits<float>::quiet_NaN())));
        CHECK(std::isnan(at<TestType>(-std::numeric_limits<float>::quiet_NaN())));
    });
}

TEMPLATE_TEST_CASE("odd functions are odd bit for bit and stay within 1", "[functions]", Tanh, Erf) {
    for_each_isa([] {
        for (float x = 1e-6f; x < 100; x *= 1.01f) {
            const float y = at<TestType>(x);
            if (at<TestType>(-x) != -y || !(y > 0) || !(y <= 1)) FAIL_CHECK("at " << x);
        }
    });
}
