// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "gradus/kernels/simd/isa.hpp"

// A kernel is written once, on vectors whose width is a template argument, and is compiled for every
// instruction set in the same translation unit, whatever flags the user chose. That works because a kernel
// and all it calls are inlined into one function that carries the instruction set as an attribute. So
// everything that takes or returns a Vec must be GRADUS_INLINE, and a lambda says GRADUS_INLINE_LAMBDA
// between its parameters and its body. What is not inlined is compiled for the instruction set of the command
// line. At best that is slow; g++ refuses some of it (see keep_form), and clang++ -O3 makes the two sides
// disagree on how a local function gets its vectors.
#define GRADUS_INLINE [[gnu::always_inline]] inline
#define GRADUS_INLINE_LAMBDA __attribute__((always_inline))

/// Vectors of a chosen width.
namespace gradus::simd {

namespace detail {

// Attributes of a dependent alias inside Vec are lost on g++, hence a class of their own.
template <class T, int N>
struct VectorOf {
    using type [[gnu::vector_size(sizeof(T[N]))]] = T;
    using in_memory [[gnu::vector_size(sizeof(T[N])), gnu::aligned(alignof(T)), gnu::may_alias]] = T;
};

// g++ optimizes a body for the instruction set of the command line before it inlines it into a wider one, and
// then picks forms that are slow there: lane after lane for a broadcast, booleans instead of bits for a mask.
// Passing the vector through an empty instruction keeps the form that was written. ("impossible constraint"
// reported here: some function in a kernel is not GRADUS_INLINE.)
template <class Vector>
GRADUS_INLINE void keep_form([[maybe_unused]] Vector& vector) {
#if defined(__x86_64__) && defined(__OPTIMIZE__) && !defined(__clang__)
#if defined(__AVX512F__)
    constexpr int native_bytes = 64;
#elif defined(__AVX2__)
    constexpr int native_bytes = 32;
#else
    constexpr int native_bytes = 16;
#endif
    if constexpr (sizeof(Vector) > native_bytes) asm("" : "+v"(vector));
#endif
}

/// The signed integer as wide as T.
template <class T>
using IntOf =
    std::conditional_t<sizeof(T) <= 2, std::conditional_t<sizeof(T) == 1, std::int8_t, std::int16_t>,
                       std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>>;

/// Copies n <= 64 numbers: the binary digits of n as copies of constant size. Out of line, since every tail
/// of every kernel would repeat it.
template <class T>
[[gnu::noinline]] inline void copy_few(T* to, const T* from, int n) {
    const auto step = [&](auto digit) {
        constexpr int count = decltype(digit)::value;
        if (!(n & count)) return;
        __builtin_memcpy(to, from, sizeof(T[count]));
        to += count;
        from += count;
    };
    step(std::integral_constant<int, 64>());
    step(std::integral_constant<int, 32>());
    step(std::integral_constant<int, 16>());
    step(std::integral_constant<int, 8>());
    step(std::integral_constant<int, 4>());
    step(std::integral_constant<int, 2>());
    step(std::integral_constant<int, 1>());
}

}  // namespace detail

template <class T, int N>
struct Mask;

/// N lanes of a number type, N a power of two. Operators work lane by lane, and a scalar stands for N equal
/// lanes: `2 * x + y`. Comparisons give a Mask<T, N>. The compiler may or may not contract `a * b + c` to one
/// rounding; write fma(a, b, c) where it should.
template <class T, int N>
struct Vec {
    static_assert(std::is_arithmetic_v<T> && N >= 2 && (N & (N - 1)) == 0);

    using Value = T;
    using Vector = typename detail::VectorOf<T, N>::type;
    using Mask = simd::Mask<T, N>;
    static constexpr int size = N;

    Vector v;

    /// Lanes are not initialized.
    Vec() = default;

    /// All lanes equal `scalar`.
    GRADUS_INLINE Vec(T scalar) {
        Vector lanes = scalar - Vector{};  // `Vector{} + scalar` would really add, for the sake of -0
        if (!__builtin_constant_p(scalar)) detail::keep_form(lanes);
        v = lanes;
    }

    // Not trivial on purpose: this makes the ABI pass vectors by address. In registers, the convention would
    // depend on the instruction set, and -Wpsabi would warn of that in the user's program.
    GRADUS_INLINE Vec(const Vec& other) : v(other.v) {}
    GRADUS_INLINE Vec& operator=(const Vec& other) {
        v = other.v;
        return *this;
    }

    /// Reads N numbers; `from` needs no more alignment than T.
    GRADUS_INLINE static Vec load(const T* from) {
        Vec result;
        result.v = *reinterpret_cast<const typename detail::VectorOf<T, N>::in_memory*>(from);
        return result;
    }
    GRADUS_INLINE void store(T* to) const {
        *reinterpret_cast<typename detail::VectorOf<T, N>::in_memory*>(to) = v;
    }

    /// Reads n numbers, 0 <= n <= N, and nothing behind them; the other lanes are `fill`.
    GRADUS_INLINE static Vec load_partial(const T* from, int n, T fill = T(0)) {
        T lanes[std::size_t{N}];
        Vec(fill).store(lanes);
        detail::copy_few(lanes, from, n);
        return load(lanes);
    }
    /// Writes the first n lanes, 0 <= n <= N, and nothing behind them.
    GRADUS_INLINE void store_partial(T* to, int n) const {
        T lanes[std::size_t{N}];
        store(lanes);
        detail::copy_few(to, lanes, n);
    }

    GRADUS_INLINE T operator[](int lane) const { return v[lane]; }

    GRADUS_INLINE friend Vec operator+(const Vec& a, const Vec& b) { return wrap(a.v + b.v); }
    GRADUS_INLINE friend Vec operator-(const Vec& a, const Vec& b) { return wrap(a.v - b.v); }
    GRADUS_INLINE friend Vec operator*(const Vec& a, const Vec& b) { return wrap(a.v * b.v); }
    GRADUS_INLINE friend Vec operator/(const Vec& a, const Vec& b) { return wrap(a.v / b.v); }
    GRADUS_INLINE friend Vec operator-(const Vec& a) { return wrap(-a.v); }
    GRADUS_INLINE Vec& operator+=(const Vec& b) { return *this = *this + b; }
    GRADUS_INLINE Vec& operator-=(const Vec& b) { return *this = *this - b; }
    GRADUS_INLINE Vec& operator*=(const Vec& b) { return *this = *this * b; }
    GRADUS_INLINE Vec& operator/=(const Vec& b) { return *this = *this / b; }

    GRADUS_INLINE friend Mask operator<(const Vec& a, const Vec& b) { return Mask(a.v < b.v); }
    GRADUS_INLINE friend Mask operator>(const Vec& a, const Vec& b) { return Mask(a.v > b.v); }
    GRADUS_INLINE friend Mask operator<=(const Vec& a, const Vec& b) { return Mask(a.v <= b.v); }
    GRADUS_INLINE friend Mask operator>=(const Vec& a, const Vec& b) { return Mask(a.v >= b.v); }
    GRADUS_INLINE friend Mask operator==(const Vec& a, const Vec& b) { return Mask(a.v == b.v); }
    GRADUS_INLINE friend Mask operator!=(const Vec& a, const Vec& b) { return Mask(a.v != b.v); }

    // For vectors of integers. Shifts take one count for all lanes; >> keeps the sign.
    GRADUS_INLINE friend Vec operator&(const Vec& a, const Vec& b) { return wrap(a.v & b.v); }
    GRADUS_INLINE friend Vec operator|(const Vec& a, const Vec& b) { return wrap(a.v | b.v); }
    GRADUS_INLINE friend Vec operator^(const Vec& a, const Vec& b) { return wrap(a.v ^ b.v); }
    GRADUS_INLINE friend Vec operator!(const Vec& a) { return wrap(~a.v); }
    GRADUS_INLINE friend Vec operator<<(const Vec& a, int count) { return wrap(a.v << count); }
    GRADUS_INLINE friend Vec operator>>(const Vec& a, int count) { return wrap(a.v >> count); }

    /// b > a ? b : a. The first operand is kept on a tie and when either is NaN: max(x, 0) keeps x's NaN.
    GRADUS_INLINE friend Vec max(const Vec& a, const Vec& b) { return chosen(b.v > a.v ? b.v : a.v); }
    /// b < a ? b : a. The first operand is kept on a tie and when either is NaN.
    GRADUS_INLINE friend Vec min(const Vec& a, const Vec& b) { return chosen(b.v < a.v ? b.v : a.v); }

    /// a * b + c, with one rounding where the instruction set has it (avx2, avx512), else with two.
    GRADUS_INLINE friend Vec fma(const Vec& a, const Vec& b, const Vec& c) { return wrap(a.v * b.v + c.v); }

    /// The sum of all lanes, always in this order: halves are added to each other until one lane is left.
    GRADUS_INLINE friend T sum(const Vec& x) {
        return fold<N / 2>(x, [](const Vec& a, const Vec& b) GRADUS_INLINE_LAMBDA { return a + b; });
    }
    /// The largest lane; unspecified which one, or NaN, if a lane is NaN.
    GRADUS_INLINE friend T max(const Vec& x) {
        return fold<N / 2>(x, [](const Vec& a, const Vec& b) GRADUS_INLINE_LAMBDA { return max(a, b); });
    }
    /// The smallest lane; unspecified which one, or NaN, if a lane is NaN.
    GRADUS_INLINE friend T min(const Vec& x) {
        return fold<N / 2>(x, [](const Vec& a, const Vec& b) GRADUS_INLINE_LAMBDA { return min(a, b); });
    }

    // A raw vector never crosses a function boundary by value: -Wpsabi again. `wrap` takes it by reference.
    GRADUS_INLINE static Vec wrap(const Vector& vector) {
        Vec result;
        result.v = vector;
        return result;
    }

    /// The same for the result of `?:`. g++ must not see that it is one: a choice within a choice it makes
    /// lane after lane.
    GRADUS_INLINE static Vec chosen(const Vector& vector) {
        Vec result = wrap(vector);
        detail::keep_form(result.v);
        return result;
    }

    /// op of all lanes, in the order of sum().
    template <class Op>
    GRADUS_INLINE static T fold(const Vec& x, Op op) {
        return fold<N / 2>(x, op);
    }

private:
    template <int Step, int... Lane>
    GRADUS_INLINE static Vec swap_lanes(const Vec& x, std::integer_sequence<int, Lane...>) {
        return wrap(__builtin_shufflevector(x.v, x.v, (Lane ^ Step)...));
    }

    template <int Step, class Op>
    GRADUS_INLINE static T fold(const Vec& x, Op op) {
        if constexpr (Step == 0)
            return x[0];
        else
            return fold<Step / 2>(op(x, swap_lanes<Step>(x, std::make_integer_sequence<int, N>())), op);
    }
};

/// What comparing two Vec<T, N> gives: all bits of a lane are set where it is true. Combine with & | !.
template <class T, int N>
struct Mask {
    using Lanes = Vec<detail::IntOf<T>, N>;

    Lanes lanes;

    GRADUS_INLINE explicit Mask(const typename Lanes::Vector& vector) : lanes(Lanes::wrap(vector)) {}
    GRADUS_INLINE explicit Mask(const Lanes& all_or_no_bits) : lanes(all_or_no_bits) {}
    /// The same lanes of vectors with another type of the same width.
    template <class U>
    GRADUS_INLINE explicit Mask(const Mask<U, N>& other) : lanes(other.lanes) {}

    GRADUS_INLINE friend Mask operator&(const Mask& a, const Mask& b) { return Mask(a.bits() & b.bits()); }
    GRADUS_INLINE friend Mask operator|(const Mask& a, const Mask& b) { return Mask(a.bits() | b.bits()); }
    GRADUS_INLINE friend Mask operator!(const Mask& a) { return Mask(!a.bits()); }

    /// Lane by lane: mask ? a : b. Both are evaluated; what the mask drops may be NaN or infinite.
    GRADUS_INLINE friend Vec<T, N> select(const Mask& mask, const Vec<T, N>& a, const Vec<T, N>& b) {
        return Vec<T, N>::chosen(mask.lanes.v ? a.v : b.v);
    }

    /// Lanes of -1 where true and 0 where false.
    GRADUS_INLINE Lanes bits() const {
        Lanes result = lanes;
        detail::keep_form(result.v);
        return result;
    }
};

/// True where x is NaN.
template <class T, int N>
GRADUS_INLINE Mask<T, N> is_nan(const Vec<T, N>& x) {
    return x != x;
}

/// The vector that fills a register of `Bytes` bytes.
template <class T, int Bytes>
using VecOf = Vec<T, Bytes / static_cast<int>(sizeof(T))>;

/// The bits of each lane as an integer of the same width, and back.
template <class T, int N>
GRADUS_INLINE Vec<detail::IntOf<T>, N> bits(const Vec<T, N>& x) {
    using Bits = Vec<detail::IntOf<T>, N>;
    return Bits::wrap(reinterpret_cast<typename Bits::Vector>(x.v));
}
template <class T, class Int, int N>
GRADUS_INLINE Vec<T, N> from_bits(const Vec<Int, N>& x) {
    static_assert(sizeof(T) == sizeof(Int));
    return Vec<T, N>::wrap(reinterpret_cast<typename Vec<T, N>::Vector>(x.v));
}

// Sums and products that are rounded as they are written. -fassociative-math, a part of -ffast-math, lets a
// compiler merge an operation with those around it, and so cancel what was added for the sake of the
// rounding. Where that matters, all of the chain must be one of these.
#if defined(__clang__)
#define GRADUS_AS_WRITTEN(expression) _Pragma("clang fp reassociate(off)") return Vec<T, N>::wrap(expression)
#else
#define GRADUS_AS_WRITTEN(expression) return Vec<T, N>::wrap(__builtin_assoc_barrier(expression))
#endif
template <class T, int N>
GRADUS_INLINE Vec<T, N> add_as_written(const Vec<T, N>& a, const Vec<T, N>& b) {
    GRADUS_AS_WRITTEN(a.v + b.v);
}
template <class T, int N>
GRADUS_INLINE Vec<T, N> sub_as_written(const Vec<T, N>& a, const Vec<T, N>& b) {
    GRADUS_AS_WRITTEN(a.v - b.v);
}
template <class T, int N>
GRADUS_INLINE Vec<T, N> mul_as_written(const Vec<T, N>& a, const Vec<T, N>& b) {
    GRADUS_AS_WRITTEN(a.v * b.v);
}
template <class T, int N>
GRADUS_INLINE Vec<T, N> fma_as_written(const Vec<T, N>& a, const Vec<T, N>& b, const Vec<T, N>& c) {
    GRADUS_AS_WRITTEN(a.v * b.v + c.v);
}
#undef GRADUS_AS_WRITTEN

/// Each lane converted as by static_cast<T>.
template <class T, class From, int N>
GRADUS_INLINE Vec<T, N> convert(const Vec<From, N>& x) {
    return Vec<T, N>::wrap(__builtin_convertvector(x.v, typename Vec<T, N>::Vector));
}

/// |x|; clears the sign of NaN and of -0 too.
template <class T, int N>
GRADUS_INLINE Vec<T, N> abs(const Vec<T, N>& x) {
    if constexpr (std::is_floating_point_v<T>)
        return from_bits<T>(bits(x) & std::numeric_limits<detail::IntOf<T>>::max());
    else
        return select(x < T(0), -x, x);
}

/// The product of the lower 32 bits of each lane.
template <int N>
GRADUS_INLINE Vec<std::uint64_t, N> multiply_low(const Vec<std::uint64_t, N>& a,
                                                 const Vec<std::uint64_t, N>& b) {
#if defined(__x86_64__) && defined(__OPTIMIZE__) && !defined(__clang__)
    // g++ 12 does not see that one instruction does it, and spends many on the product of 64 bits.
    Vec<std::uint64_t, N> result = a;
    if constexpr (N == 2)
        asm("pmuludq %1, %0" : "+x"(result.v) : "x"(b.v));
    else
        asm("vpmuludq %1, %0, %0" : "+v"(result.v) : "v"(b.v));
    return result;
#else
    const Vec<std::uint64_t, N> low(0xFFFFFFFFu);
    return (a & low) * (b & low);
#endif
}

/// To the nearest whole number, halves to the even one; keeps -0, infinities and NaN.
template <class T, int N>
GRADUS_INLINE Vec<T, N> round(const Vec<T, N>& x) {
    // Numbers from 2^(digits - 1) on are whole, so adding that number rounds to whole numbers.
    constexpr T whole = T(1) / std::numeric_limits<T>::epsilon();
    const Vec<T, N> size = abs(x);
    const Vec<T, N> sum = add_as_written(size, Vec<T, N>(whole));
    const Vec<T, N> rounded =
        from_bits<T>(bits(sub_as_written(sum, Vec<T, N>(whole))) | (bits(x) ^ bits(size)));
    return select(size < whole, rounded, x);
}

/// The largest whole number <= x; keeps -0, infinities and NaN.
template <class T, int N>
GRADUS_INLINE Vec<T, N> floor(const Vec<T, N>& x) {
    const Vec<T, N> nearest = round(x);
    return nearest - select(nearest > x, 1, 0);
}

namespace detail {

#if defined(__SSE2__)
using Float4 = VectorOf<float, 4>::type;
using Double2 = VectorOf<double, 2>::type;
GRADUS_INLINE void sqrt_16_bytes(Float4& x) { x = __builtin_ia32_sqrtps(x); }
GRADUS_INLINE void sqrt_16_bytes(Double2& x) { x = __builtin_ia32_sqrtpd(x); }
#endif

}  // namespace detail

/// Correctly rounded square root; NaN for x < 0.
template <class T, int N>
GRADUS_INLINE Vec<T, N> sqrt(const Vec<T, N>& x) {
    // The square root is no operator on vectors. Where g++ compiles for a wider set than that of the command
    // line, only the instruction itself keeps the vector in its register (as in keep_form).
#if defined(__x86_64__) && defined(__OPTIMIZE__) && !defined(__clang__)
    if constexpr (sizeof(x.v) > 16) {
        Vec<T, N> result;
        if constexpr (std::is_same_v<T, float>)
            asm("vsqrtps %1, %0" : "=v"(result.v) : "v"(x.v));
        else
            asm("vsqrtpd %1, %0" : "=v"(result.v) : "v"(x.v));
        return result;
    }
#endif
#if defined(__SSE2__)
    constexpr int pieces = N * static_cast<int>(sizeof(T)) / 16;
    typename detail::VectorOf<T, N / pieces>::type piece[std::size_t{pieces}];
    __builtin_memcpy(piece, &x.v, sizeof x.v);
#pragma GCC unroll 4
    for (int i = 0; i < pieces; ++i) detail::sqrt_16_bytes(piece[i]);
    Vec<T, N> result;
    __builtin_memcpy(&result.v, piece, sizeof result.v);
    return result;
#else
    Vec<T, N> result = x;
    for (int i = 0; i < N; ++i) result.v[i] = std::sqrt(x.v[i]);
    return result;
#endif
}

}  // namespace gradus::simd
