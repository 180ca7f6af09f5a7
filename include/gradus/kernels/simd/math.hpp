// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>

#include "gradus/kernels/simd/scalar.hpp"
#include "gradus/kernels/simd/vec.hpp"

// exp, expm1, log, log1p, tanh, sigmoid, erf and gelu of vectors of float: without branches, tables or FTZ,
// right over the whole range of float, denormals included. Method: reduction of the argument by multiples of
// ln 2 in two parts (Cody & Waite, Software Manual for the Elementary Functions, 1980), then polynomials of
// least greatest error, fitted by Remez's exchange in 160 bits with coefficients rounded to float one after
// the other.
//
// The errors stated were measured over all 2^32 floats, on every instruction set, against a double reference;
// one ulp is the distance of the floats around the true value. Under -ffast-math they are a little larger,
// and there are no denormals, infinities or NaN. Vecs of double take each lane through the standard library.
// Plain numbers do too: the same names, so that generic code runs on them.
namespace gradus::simd {

namespace detail {

// ln 2 = high + low; high has 15 bits, so its product with an exponent is exact.
inline constexpr float ln2_high = 0x1.62e4p-1f;
inline constexpr float ln2_low = 0x1.7f7d1cp-20f;

/// c + x (rest₀ + x (rest₁ + …)), by Horner's rule.
template <int N>
GRADUS_INLINE Vec<float, N> polynomial(const Vec<float, N>&, float c) {
    return c;
}
template <int N, class... Rest>
GRADUS_INLINE Vec<float, N> polynomial(const Vec<float, N>& x, float c, Rest... rest) {
    return fma(x, polynomial(x, rest...), Vec<float, N>(c));
}

/// magnitude, given the sign of `sign`; its own must be +.
template <int N>
GRADUS_INLINE Vec<float, N> with_sign(const Vec<float, N>& magnitude, const Vec<float, N>& sign) {
    return from_bits<float>(bits(magnitude) | (bits(sign) & std::numeric_limits<std::int32_t>::min()));
}

/// 2^k for -126 <= k <= 127.
template <int N>
GRADUS_INLINE Vec<float, N> power_of_2(const Vec<std::int32_t, N>& k) {
    return from_bits<float>((k + 127) << 23);
}

/// x between low and high, NaN for NaN.
template <int N>
GRADUS_INLINE Vec<float, N> clamped(const Vec<float, N>& x, Vec<float, N> low, Vec<float, N> high) {
    keep_form(low.v);  // g++ turns comparisons with constants round, and they are no minimum any more
    keep_form(high.v);
    return max(min(x, high), low);
}

/// Splits x = k ln 2 + r with |r| <= ln 2 / 2 and gives (e^r - 1 - r) / r²; |x| < 2^21.
template <int N>
GRADUS_INLINE Vec<float, N> split_exp(const Vec<float, N>& x, Vec<std::int32_t, N>& k, Vec<float, N>& r) {
    // Adding 1.5 · 2^23 rounds x / ln 2 to a whole number, which then stands in the low bits.
    const Vec<float, N> shifter = 0x1.8p23f, inverse = 0x1.715476p+0f;
    k = bits(fma(x, inverse, shifter)) - bits(shifter);
    const Vec<float, N> n = convert<float>(k);
    r = fma_as_written(n, Vec<float, N>(-ln2_low), fma_as_written(n, Vec<float, N>(-ln2_high), x));
    // Error 1.4e-8 of the value.
    return polynomial(r, 0x1.fffffep-2f, 0x1.5554aap-3f, 0x1.55579cp-5f, 0x1.122c2ep-7f, 0x1.6abe48p-10f);
}

/// e^r - 1 and e^r for x = k ln 2 + r.
template <int N>
GRADUS_INLINE Vec<float, N> expm1_of_rest(const Vec<float, N>& x, Vec<std::int32_t, N>& k) {
    Vec<float, N> r;
    const Vec<float, N> q = split_exp(x, k, r);
    return fma(r * r, q, r);
}
template <int N>
GRADUS_INLINE Vec<float, N> exp_of_rest(const Vec<float, N>& x, Vec<std::int32_t, N>& k) {
    Vec<float, N> r;
    const Vec<float, N> q = split_exp(x, k, r), one(1.0f);
    return fma(r, fma(r, q, one), one);
}

/// x 2^k for 1/2 < x < 2 and -150 <= k <= 128, rounded once, also to a denormal.
template <int N>
GRADUS_INLINE Vec<float, N> times_power_of_2(const Vec<float, N>& x, const Vec<std::int32_t, N>& k) {
#if defined(__x86_64__) && defined(__OPTIMIZE__) && !defined(__clang__)
    if constexpr (N == 16) {  // one instruction, which is no operator on vectors
        Vec<float, N> result;
        asm("vscalefps %2, %1, %0" : "=v"(result.v) : "v"(x.v), "v"(convert<float>(k).v));
        return result;
    }
#endif
    const Vec<std::int32_t, N> half = k >> 1;  // 2^k in two factors, each of which is a normal float
    return mul_as_written(mul_as_written(x, power_of_2(half)), power_of_2(k - half));
}

/// e^x - 1 for -20 <= x <= 89, not exact for |x| below 2^-25.
template <int N>
GRADUS_INLINE Vec<float, N> expm1_in_range(const Vec<float, N>& x) {
    Vec<std::int32_t, N> k;
    const Vec<float, N> rest = expm1_of_rest(x, k);
    const Vec<float, N> half_scale = power_of_2(k - 1);  // 2^128 is no float, but the result may be one
    const Vec<float, N> half =
        fma_as_written(half_scale, rest, sub_as_written(half_scale, Vec<float, N>(0.5f)));
    return half + half;
}

/// Splits |x| = 2^k m with √½ <= m < √2; x is a normal number.
template <int N>
GRADUS_INLINE Vec<float, N> split_exponent(const Vec<float, N>& x, Vec<std::int32_t, N>& k) {
    constexpr std::int32_t sqrt_half = 0x3f3504f3, mantissa = 0x007fffff;
    const Vec<std::int32_t, N> offset = bits(abs(x)) - sqrt_half;
    k = offset >> 23;
    return from_bits<float>((offset & mantissa) + sqrt_half);
}

/// k ln 2 + ln(1 + f) for √½ - 1 <= f < √2 - 1.
template <int N>
GRADUS_INLINE Vec<float, N> log_of_parts(const Vec<float, N>& k, const Vec<float, N>& f) {
    // ln(1 + f) = f + f² R(f), error 1.4e-8 of the value.
    const Vec<float, N> r =
        polynomial(f, -0.5f, 0x1.555554p-2f, -0x1.000228p-2f, 0x1.99a036p-3f, -0x1.54719cp-3f, 0x1.22d5c2p-3f,
                   -0x1.0d835ep-3f, 0x1.054b64p-3f, -0x1.384824p-4f);
    const Vec<float, N> small = fma(k, Vec<float, N>(ln2_low), f * f * r);
    return fma(k, Vec<float, N>(ln2_high), f + small);
}

/// y with the values of ln at the edges of its domain put in: -inf at 0, NaN below, inf at inf, NaN at NaN.
template <int N>
GRADUS_INLINE Vec<float, N> log_at_edges(const Vec<float, N>& x, const Vec<float, N>& y) {
    using Float = std::numeric_limits<float>;
    constexpr std::int32_t infinity = 0x7f800000;  // as bits: -ffinite-math-only knows no infinity
    const auto finite = bits(x) < Vec<std::int32_t, N>(infinity);
    const Vec<float, N> inside = select(Mask<float, N>(finite), y, x);
    return select(x > 0, inside, select(x == 0, -Float::infinity(), Float::quiet_NaN()));
}

/// x² = high + low; |x| < 2^62, and low is exact from |x| = 2^-50 on.
template <int N>
GRADUS_INLINE void split_square(const Vec<float, N>& x, Vec<float, N>& high, Vec<float, N>& low) {
    const Vec<float, N> upper = from_bits<float>(bits(x) & ~0xfff), lower = x - upper;  // 12 bits each
    high = x * x;
    low = (upper * upper - high) + 2 * upper * lower + lower * lower;
}

/// e^(−x²/2) M(|x|) is Φ(−|x|): this is M, and the distance |x| limited to where that is no float any more.
template <int N>
GRADUS_INLINE Vec<float, N> normal_tail(const Vec<float, N>& x, Vec<float, N>& distance) {
    distance = clamped<N>(abs(x), 0, 15);
    const Vec<float, N> q = 1 / (distance + 4);
    // M = q P((|x| − 4) q), error 2.1e-8 of the value.
    return q * polynomial((distance - 4) * q, 0x1.82b4bcp-1f, -0x1.373e38p-1f, 0x1.8c6d90p-2f,
                          -0x1.7e003ap-3f, 0x1.eed64ep-5f, -0x1.ed02ccp-8f, -0x1.cc85e4p-9f, 0x1.9a5e9cp-10f,
                          0x1.7306c0p-13f, -0x1.15059ap-13f);
}

}  // namespace detail

/// eˣ. Error below 0.9 ulp, 1.2 without FMA. 0 for -inf, inf above 88.72, denormal below -87.34.
template <int N>
GRADUS_INLINE Vec<float, N> exp(const Vec<float, N>& x) {
    Vec<std::int32_t, N> k;
    const Vec<float, N> value = detail::exp_of_rest(detail::clamped<N>(x, -104, 89), k);
    return detail::times_power_of_2(value, k);
}

/// The same for x <= 0, with less work; for x > 0 unspecified.
template <int N>
GRADUS_INLINE Vec<float, N> exp_of_negative(const Vec<float, N>& x) {
    Vec<float, N> low = -104;
    detail::keep_form(low.v);  // as in clamped()
    Vec<std::int32_t, N> k;
    const Vec<float, N> value = detail::exp_of_rest(max(x, low), k);
    return detail::times_power_of_2(value, k);
}

/// eˣ − 1. Error below 1.7 ulp, near 0 too. -1 for -inf, -0 for -0.
template <int N>
GRADUS_INLINE Vec<float, N> expm1(const Vec<float, N>& x) {
    const Vec<float, N> y = detail::expm1_in_range(detail::clamped<N>(x, -20, 89));
    return select(abs(x) < 0x1p-25f, x, y);
}

/// ln x. Error below 1.0 ulp. -inf for 0 and -0, NaN for x < 0.
template <int N>
GRADUS_INLINE Vec<float, N> log(const Vec<float, N>& x) {
    const auto denormal = x < std::numeric_limits<float>::min();
    Vec<std::int32_t, N> k;
    const Vec<float, N> m = detail::split_exponent(select(denormal, x * 0x1p23f, x), k);
    const Vec<float, N> exponent = convert<float>(k) - select(denormal, 23, 0);
    return detail::log_at_edges(x, detail::log_of_parts(exponent, m - 1));
}

/// ln(1 + x). Error below 1.6 ulp, near 0 too. -inf for -1, NaN for x < -1, -0 for -0.
template <int N>
GRADUS_INLINE Vec<float, N> log1p(const Vec<float, N>& x) {
    const Vec<float, N> one(1.0f), u = add_as_written(one, x);
    const Vec<float, N> lost = sub_as_written(x, sub_as_written(u, one));  // what rounding took from u
    Vec<std::int32_t, N> k;
    const Vec<float, N> m = detail::split_exponent(u, k);
    const Vec<float, N> scale = from_bits<float>((128 - k) << 23);  // 2^(1-k), or 0 where u is past 2^127
    const Vec<float, N> f = fma(lost * scale, Vec<float, N>(0.5f), m - 1);
    const Vec<float, N> y = detail::log_at_edges(u, detail::log_of_parts(convert<float>(k), f));
    return select(abs(x) < 0x1p-25f, x, y);
}

/// tanh x = (e²ˣ − 1) / (e²ˣ + 1). Error below 2.7 ulp, near 0 too. -0 for -0.
template <int N>
GRADUS_INLINE Vec<float, N> tanh(const Vec<float, N>& x) {
    const Vec<float, N> size = abs(x);
    const Vec<float, N> e = detail::expm1_in_range(2 * detail::clamped<N>(size, 0, 10));
    return select(size < 0x1p-13f, x, detail::with_sign(e / (e + 2), x));
}

/// 1 / (1 + e⁻ˣ). Error below 2.5 ulp, also where it is tiny: denormal below -87.34, 0 below -103.98.
template <int N>
GRADUS_INLINE Vec<float, N> sigmoid(const Vec<float, N>& x) {
    const Vec<float, N> e = exp(-abs(x));
    return select(x < 0, e, 1) / (1 + e);
}

/// erf x = 2/√π ∫₀ˣ e^(−t²) dt. Error below 1.4 ulp, near 0 too. ±1 from ±3.92 on, -0 for -0.
template <int N>
GRADUS_INLINE Vec<float, N> erf(const Vec<float, N>& x) {
    const Vec<float, N> size = detail::clamped<N>(abs(x), 0, 4);
    // |x| < 1: x + x P(x²), error 1.4e-9 of the value.
    const Vec<float, N> p =
        detail::polynomial(size * size, 0x1.06eba8p-3f, -0x1.81273ep-2f, 0x1.ce2ce6p-4f, -0x1.b7f71ap-6f,
                           0x1.53f224p-8f, -0x1.a3515ep-11f, 0x1.4771fcp-14f);
    const Vec<float, N> near = fma(x, p, x);
    // 1 <= |x| <= 4: 1 - e^-Q(|x|), with Q fitted to -ln(1 - erf), error 1.1e-9 of the value.
    const Vec<float, N> q =
        detail::polynomial(size, 0x1.661d06p-12f, 0x1.2088eap+0f, 0x1.46baf0p-1f, 0x1.a6531cp-4f,
                           -0x1.65cb28p-6f, 0x1.825a70p-9f, -0x1.86dd0cp-13f);
    Vec<std::int32_t, N> k;
    const Vec<float, N> rest = 1 + detail::expm1_of_rest(-q, k);
    const Vec<float, N> far = 1 - rest * detail::power_of_2(k);
    return select(size < 1, near, detail::with_sign(far, x));
}

/// e^(factor x²) for a factor of −1 or −1/2. Error below 1.6 ulp, however large x² is.
template <int N>
GRADUS_INLINE Vec<float, N> exp_of_square(float factor, const Vec<float, N>& x) {
    Vec<float, N> high, low;
    detail::split_square(detail::clamped<N>(x, -15, 15), high, low);
    const Vec<float, N> y = exp_of_negative(factor * high);
    return fma(y, factor * low, y);
}

/// x Φ(x), with Φ the normal distribution function. Error below 6.5 ulp, also where it is tiny. -0 for -0 and
/// -inf.
template <int N>
GRADUS_INLINE Vec<float, N> gelu(const Vec<float, N>& x) {
    Vec<float, N> distance;
    const Vec<float, N> tail = detail::normal_tail(x, distance), e = exp_of_square(-0.5f, distance);
    return select(x < 0, -(distance * tail) * e, x * (1 - tail * e));
}

/// Φ(x) + x φ(x), the derivative of gelu. Error below 7.5 ulp for x < -1, below 2.5e-7 elsewhere.
template <int N>
GRADUS_INLINE Vec<float, N> gelu_slope(const Vec<float, N>& x) {
    Vec<float, N> distance;
    const Vec<float, N> tail = detail::normal_tail(x, distance);
    const Vec<float, N> below = fma(distance, Vec<float, N>(-0x1.988454p-2f), tail) *  // 1/√(2π)
                                exp_of_square(-0.5f, distance);
    return select(x < 0, below, 1 - below);
}

// Plain numbers.

template <std::floating_point T>
GRADUS_INLINE T exp(T x) {
    return std::exp(x);
}
template <std::floating_point T>
GRADUS_INLINE T expm1(T x) {
    return std::expm1(x);
}
template <std::floating_point T>
GRADUS_INLINE T log(T x) {
    return std::log(x);
}
template <std::floating_point T>
GRADUS_INLINE T log1p(T x) {
    return std::log1p(x);
}
template <std::floating_point T>
GRADUS_INLINE T tanh(T x) {
    return std::tanh(x);
}
template <std::floating_point T>
GRADUS_INLINE T sigmoid(T x) {
    const T e = std::exp(-std::abs(x));
    return (x < 0 ? e : T(1)) / (1 + e);
}
template <std::floating_point T>
GRADUS_INLINE T erf(T x) {
    return std::erf(x);
}
template <std::floating_point T>
GRADUS_INLINE T exp_of_square(T factor, T x) {
    const T size = min(abs(x), T(40)), square = size * size;
    return std::exp(factor * square) * (1 + factor * std::fma(size, size, -square));
}
template <std::floating_point T>
GRADUS_INLINE T gelu(T x) {
    return x < -40 ? T(-0.0) : T(0.5) * x * std::erfc(x * T(-0.70710678118654752440));  // 1/√2
}
template <std::floating_point T>
GRADUS_INLINE T gelu_slope(T x) {
    const T size = min(max(x, T(-40)), T(40));
    return T(0.5) * std::erfc(size * T(-0.70710678118654752440)) +
           size * (T(0.39894228040143267794) * exp_of_square(T(-0.5), size));  // 1/√(2π)
}

namespace detail {

template <int N, class Function>
GRADUS_INLINE Vec<double, N> lane_by_lane(const Vec<double, N>& x, Function function) {
    double lanes[std::size_t{N}];
    x.store(lanes);
    for (double& lane : lanes) lane = function(lane);
    return Vec<double, N>::load(lanes);
}

}  // namespace detail

// Vecs of double: for gradient checks and references, where right matters more than fast.

template <int N>
GRADUS_INLINE Vec<double, N> exp(const Vec<double, N>& x) {
    return detail::lane_by_lane(x, [](double lane) { return std::exp(lane); });
}
template <int N>
GRADUS_INLINE Vec<double, N> exp_of_negative(const Vec<double, N>& x) {
    return exp(x);
}
template <int N>
GRADUS_INLINE Vec<double, N> expm1(const Vec<double, N>& x) {
    return detail::lane_by_lane(x, [](double lane) { return std::expm1(lane); });
}
template <int N>
GRADUS_INLINE Vec<double, N> log(const Vec<double, N>& x) {
    return detail::lane_by_lane(x, [](double lane) { return std::log(lane); });
}
template <int N>
GRADUS_INLINE Vec<double, N> log1p(const Vec<double, N>& x) {
    return detail::lane_by_lane(x, [](double lane) { return std::log1p(lane); });
}
template <int N>
GRADUS_INLINE Vec<double, N> tanh(const Vec<double, N>& x) {
    return detail::lane_by_lane(x, [](double lane) { return std::tanh(lane); });
}
template <int N>
GRADUS_INLINE Vec<double, N> sigmoid(const Vec<double, N>& x) {
    return detail::lane_by_lane(x, [](double lane) { return simd::sigmoid(lane); });
}
template <int N>
GRADUS_INLINE Vec<double, N> erf(const Vec<double, N>& x) {
    return detail::lane_by_lane(x, [](double lane) { return std::erf(lane); });
}
template <int N>
GRADUS_INLINE Vec<double, N> exp_of_square(double factor, const Vec<double, N>& x) {
    return detail::lane_by_lane(x, [factor](double lane) { return simd::exp_of_square(factor, lane); });
}
template <int N>
GRADUS_INLINE Vec<double, N> gelu(const Vec<double, N>& x) {
    return detail::lane_by_lane(x, [](double lane) { return simd::gelu(lane); });
}
template <int N>
GRADUS_INLINE Vec<double, N> gelu_slope(const Vec<double, N>& x) {
    return detail::lane_by_lane(x, [](double lane) { return simd::gelu_slope(lane); });
}

}  // namespace gradus::simd
