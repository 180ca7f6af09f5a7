// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "gradus/autograd/record.hpp"
#include "gradus/kernels/simd/math.hpp"
#include "gradus/ops/fusion.hpp"
#include "gradus/ops/operators.hpp"

// Operations on every element. Two operands are broadcast as in NumPy (ShapeError if they do not fit); the
// engine sums a gradient back to the shape of its operand. In the comments dy is the gradient of the result.

namespace gradus {
namespace detail {

using kernels::vectorized;

/// An operation on each element with dx = slope(dy, x).
template <class T, class F, class Slope>
Variable<T> elementwise(const char* name, const Variable<T>& x, const F& f, const Slope& slope) {
    return record(name, kernels::map(name, vectorized(f), x.value()),
                  wrt(x, [X = x.value(), name, slope](const Tensor<T>& dy) {
                      return kernels::map(name, vectorized(slope), dy, X);
                  }));
}

/// The same with dx = slope(dy, y), where the result says it more cheaply than the input. It is written to
/// the memory of x if x is a temporary.
template <class T, class F, class Slope>
Variable<T> elementwise_by_result(const char* name, Variable<T> x, const F& f, const Slope& slope) {
    if (Tensor<T>* const value = value_to_overwrite(x)) {
        kernels::map_in_place(vectorized(f), *value);
        return x;
    }
    Tensor<T> y = last_value(x);
    if (y.exclusive())
        kernels::map_in_place(vectorized(f), y);
    else
        y = kernels::map(name, vectorized(f), y);
    return record(name, y, wrt(x, [y, name, slope](const Tensor<T>& dy) {
                      return kernels::map(name, vectorized(slope), dy, y);
                  }));
}

/// −dy · a / b², the gradient of the denominator, which overflows or underflows on the way only where the
/// result does: b² is never formed, and of the factors the one comes first that the division brings nearer
/// to 1.
template <class T>
struct DenominatorSlope : kernels::Vectorized {
    template <class V>
    GRADUS_INLINE V operator()(const V& dy, const V& a, const V& b) const {
        using simd::abs, simd::select;
        const V quotient = a / b, size = abs(quotient);
        const auto swaps = size > abs(dy), shrinks = abs(b) > V(1);
        const V large = select(swaps, quotient, dy), small = select(swaps, dy, quotient);
        const V by_quotient = select(shrinks, large, small) / b * select(shrinks, small, large);
        using Limits = std::numeric_limits<T>;
        const V smallest = V(T(Limits::min())), largest = V(T(Limits::max())), by_factors = dy / b * a / b;
        const V larger = select(shrinks, V(select(size < smallest, by_factors, by_quotient)), by_quotient);
        return -select(size > largest, by_factors, larger);
    }
};

/// A number with the range to spare for the steps between: double for float.
inline double widened(float x) { return static_cast<double>(x); }
template <class T>
const T& widened(const T& x) {
    return x;
}

}  // namespace detail

/// a + b.       da = dy       db = dy
template <class T>
Variable<T> add(const Variable<T>& a, const Variable<T>& b) {
    const auto same = [](const Tensor<T>& dy) { return dy; };
    return record("add", a.value() + b.value(), wrt(a, same), wrt(b, same));
}
template <class T>  // a temporary may be a computation that the sum becomes part of
Variable<T> add(Variable<T>&& a, const Variable<T>& b) {
    Variable<T> y = detail::fused_sum(std::move(a), b);
    return y.defined() ? y : add(std::as_const(a), b);
}
template <class T>
Variable<T> add(const Variable<T>& a, Variable<T>&& b) {
    Variable<T> y = detail::fused_sum(std::move(b), a);
    return y.defined() ? y : add(a, std::as_const(b));
}
template <class T>
Variable<T> add(Variable<T>&& a, Variable<T>&& b) {
    Variable<T> y = detail::fused_sum(std::move(a), b);
    return y.defined() ? y : add(std::as_const(a), std::move(b));
}
template <class T>
Variable<T> add(const Variable<T>& a, std::type_identity_t<T> b) {
    return record("add", a.value() + b, wrt(a, [](const Tensor<T>& dy) { return dy; }));
}

/// a − b.       da = dy       db = −dy
template <class T>
Variable<T> sub(const Variable<T>& a, const Variable<T>& b) {
    return record("sub", a.value() - b.value(), wrt(a, [](const Tensor<T>& dy) { return dy; }),
                  wrt(b, [](const Tensor<T>& dy) { return -dy; }));
}

template <class T>
Variable<T> sub(const Variable<T>& a, std::type_identity_t<T> b) {
    return record("sub", a.value() - b, wrt(a, [](const Tensor<T>& dy) { return dy; }));
}

/// a · b, element by element.       da = dy · b       db = dy · a
template <class T>
Variable<T> mul(const Variable<T>& a, const Variable<T>& b) {
    const Tensor<T>&A = a.value(), &B = b.value();
    return record("mul", A * B, wrt(a, [B = B](const Tensor<T>& dy) { return dy * B; }),
                  wrt(b, [A = A](const Tensor<T>& dy) { return dy * A; }));
}
template <class T>
Variable<T> mul(const Variable<T>& a, std::type_identity_t<T> b) {
    return record("mul", a.value() * b, wrt(a, [b](const Tensor<T>& dy) { return dy * b; }));
}

/// a / b, element by element.       da = dy / b       db = −dy · a / b², computed without b²
template <class T>
Variable<T> div(const Variable<T>& a, const Variable<T>& b) {
    const Tensor<T>&A = a.value(), &B = b.value();
    return record("div", A / B, wrt(a, [B = B](const Tensor<T>& dy) { return dy / B; }),
                  wrt(b, [A = A, B = B](const Tensor<T>& dy) {
                      return kernels::map("div", detail::DenominatorSlope<T>(), dy, A, B);
                  }));
}
template <class T>
Variable<T> div(const Variable<T>& a, std::type_identity_t<T> b) {
    return record("div", a.value() / b, wrt(a, [b](const Tensor<T>& dy) { return dy / b; }));
}
/// s / b for a number s.       db = −dy · s / b²
template <class T>
Variable<T> div(std::type_identity_t<T> s, const Variable<T>& b) {
    return detail::elementwise(
        "div", b,
        [s]<class V>(const V& x) GRADUS_INLINE_LAMBDA { return kernels::detail::quotient(V(s), x); },
        [s]<class V>(const V& dy, const V& x)
            GRADUS_INLINE_LAMBDA { return detail::DenominatorSlope<T>()(dy, V(s), x); });
}

/// −x.       dx = −dy
template <class T>
Variable<T> neg(const Variable<T>& x) {
    return record("neg", -x.value(), wrt(x, [](const Tensor<T>& dy) { return -dy; }));
}

/// eˣ.       dx = dy · y
template <class T>
Variable<T> exp(const Variable<T>& x) {
    return detail::elementwise_by_result(
        "exp", x,
        []<class V>(const V& v) GRADUS_INLINE_LAMBDA {
            using simd::exp;
            return V(exp(v));
        },
        []<class V>(const V& dy, const V& y) GRADUS_INLINE_LAMBDA { return V(dy * y); });
}

/// eˣ − 1, accurate near 0.       dx = dy · eˣ
template <class T>
Variable<T> expm1(const Variable<T>& x) {
    return detail::elementwise(
        "expm1", x,
        []<class V>(const V& v) GRADUS_INLINE_LAMBDA {
            using simd::expm1;
            return V(expm1(v));
        },
        []<class V>(const V& dy, const V& v) GRADUS_INLINE_LAMBDA {
            using simd::exp;  // y + 1 would lose its digits where y is nearly -1
            return V(dy * exp(v));
        });
}

/// The natural logarithm: −inf at 0, NaN below.       dx = dy / x
template <class T>
Variable<T> log(const Variable<T>& x) {
    return detail::elementwise(
        "log", x,
        []<class V>(const V& v) GRADUS_INLINE_LAMBDA {
            using simd::log;
            return V(log(v));
        },
        []<class V>(const V& dy, const V& v) GRADUS_INLINE_LAMBDA { return V(dy / v); });
}

/// log(1 + x), accurate near 0.       dx = dy / (1 + x)
template <class T>
Variable<T> log1p(const Variable<T>& x) {
    return detail::elementwise(
        "log1p", x,
        []<class V>(const V& v) GRADUS_INLINE_LAMBDA {
            using simd::log1p;
            return V(log1p(v));
        },
        []<class V>(const V& dy, const V& v) GRADUS_INLINE_LAMBDA { return V(dy / (V(1) + v)); });
}

/// √x: NaN below 0.       dx = dy / (2 √x), so inf at 0
template <class T>
Variable<T> sqrt(const Variable<T>& x) {
    return detail::elementwise_by_result(
        "sqrt", x,
        []<class V>(const V& v) GRADUS_INLINE_LAMBDA {
            using simd::sqrt;
            return V(sqrt(v));
        },
        []<class V>(const V& dy, const V& y) GRADUS_INLINE_LAMBDA { return V(dy / (V(2) * y)); });
}

/// 1 / √x: inf at 0, NaN below.       dx = −dy · y³ / 2
template <class T>
Variable<T> rsqrt(const Variable<T>& x) {
    return detail::elementwise_by_result(
        "rsqrt", x,
        []<class V>(const V& v) GRADUS_INLINE_LAMBDA {
            using simd::sqrt;
            return V(V(1) / sqrt(v));
        },
        []<class V>(const V& dy, const V& y) GRADUS_INLINE_LAMBDA { return V(V(-0.5) * dy * y * y * y); });
}

/// x².       dx = 2 x dy
template <class T>
Variable<T> square(const Variable<T>& x) {
    return detail::elementwise(
        "square", x, []<class V>(const V& v) GRADUS_INLINE_LAMBDA { return V(v * v); },
        []<class V>(const V& dy, const V& v) GRADUS_INLINE_LAMBDA { return V(V(2) * (v * dy)); });
}

/// |x|.       dx = dy · sign(x), 0 at 0
template <class T>
Variable<T> abs(const Variable<T>& x) {
    return detail::elementwise(
        "abs", x,
        []<class V>(const V& v) GRADUS_INLINE_LAMBDA {
            using simd::abs;
            return V(abs(v));
        },
        []<class V>(const V& dy, const V& v) GRADUS_INLINE_LAMBDA {
            using simd::select;
            return V(select(v > V(0), dy, select(v < V(0), V(-dy), V(0))));
        });
}

namespace detail {

/// A function that is constant between its steps: dx = 0.
template <class T, class F>
Variable<T> steps(const char* name, const Variable<T>& x, const F& f) {
    return record(name, kernels::map(name, vectorized(f), x.value()),
                  wrt(x, [](const Tensor<T>& dy) { return zeros<T>(dy.shape()); }));
}

}  // namespace detail

/// −1, 0 or 1; of NaN 0, as in PyTorch.       dx = 0
template <class T>
Variable<T> sign(const Variable<T>& x) {
    return detail::steps("sign", x, []<class V>(const V& v) GRADUS_INLINE_LAMBDA {
        using simd::select;
        return V(select(v > V(0), V(1), V(select(v < V(0), V(-1), V(0)))));
    });
}

/// The largest whole number that is not greater than x.       dx = 0
template <class T>
Variable<T> floor(const Variable<T>& x) {
    return detail::steps("floor", x, []<class V>(const V& v) GRADUS_INLINE_LAMBDA {
        using simd::floor;
        return V(floor(v));
    });
}

/// The smallest whole number that is not less than x.       dx = 0
template <class T>
Variable<T> ceil(const Variable<T>& x) {
    return detail::steps("ceil", x, []<class V>(const V& v) GRADUS_INLINE_LAMBDA {
        using simd::floor;
        return V(-floor(V(-v)));
    });
}

/// The nearest whole number, halves to the even one.       dx = 0
template <class T>
Variable<T> round(const Variable<T>& x) {
    return detail::steps("round", x, []<class V>(const V& v) GRADUS_INLINE_LAMBDA {
        using simd::round;
        return V(round(v));
    });
}

/// sin x.       dx = dy · cos x
template <class T>
Variable<T> sin(const Variable<T>& x) {
    using std::cos, std::sin;
    const Tensor<T> X = x.value();
    return record("sin",
                  kernels::map(
                      "sin", [](const T& v) { return T(sin(v)); }, X),
                  wrt(x, [X](const Tensor<T>& dy) {
                      return kernels::map(
                          "sin", [](const T& d, const T& v) { return T(d * cos(v)); }, dy, X);
                  }));
}

/// cos x.       dx = −dy · sin x
template <class T>
Variable<T> cos(const Variable<T>& x) {
    using std::cos, std::sin;
    const Tensor<T> X = x.value();
    return record("cos",
                  kernels::map(
                      "cos", [](const T& v) { return T(cos(v)); }, X),
                  wrt(x, [X](const Tensor<T>& dy) {
                      return kernels::map(
                          "cos", [](const T& d, const T& v) { return T(-d * sin(v)); }, dy, X);
                  }));
}

/// xⁿ for a fixed exponent: NaN for x < 0 unless n is whole; 0⁰ = 1.       dx = dy · n · xⁿ⁻¹, 0 for n = 0
template <class T, class N>
requires std::is_arithmetic_v<N> Variable<T> pow(const Variable<T>& x, N n) {
    const Tensor<T> X = x.value();
    const auto power = [](double exponent) {
        return [exponent](const T& v) {
            using std::pow;
            return static_cast<T>(pow(v, exponent));
        };
    };
    const auto e = static_cast<double>(n);
    return record("pow", kernels::map("pow", power(e), X), wrt(x, [X, e](const Tensor<T>& dy) {
                      if (e == 0) return zeros<T>(dy.shape());
                      const auto slope = [e](const T& d, const T& v) {
                          using std::pow;
                          return static_cast<T>(detail::widened(d) * (e * pow(detail::widened(v), e - 1)));
                      };
                      return kernels::map("pow", slope, dy, X);
                  }));
}

/// aᵇ, both varying.
/// da = dy · b · aᵇ⁻¹, 0 where b = 0
/// db = dy · aᵇ · log a, 0 where a = 0 and b ≥ 0, and where a = inf and b < 0
template <class T>
Variable<T> pow(const Variable<T>& a, const Variable<T>& b) {
    const Tensor<T> A = a.value(), B = b.value();
    const auto power = [](const T& x, const T& n) {
        using std::pow;
        return T(pow(x, n));
    };
    return record("pow", kernels::map("pow", power, A, B),
                  wrt(a,
                      [A, B](const Tensor<T>& dy) {
                          const auto slope = [](const T& d, const T& x, const T& n) {
                              using std::pow;
                              const auto base = detail::widened(x), exponent = detail::widened(n);
                              const auto by_base = exponent * pow(base, exponent - 1);
                              return n == T(0) && simd::is_nan(by_base)
                                         ? T(0)
                                         : static_cast<T>(detail::widened(d) * by_base);
                          };
                          return kernels::map("pow", slope, dy, A, B);
                      }),
                  wrt(b, [A, B](const Tensor<T>& dy) {
                      const auto slope = [](const T& d, const T& x, const T& n) {
                          using std::log, std::pow;
                          const auto base = detail::widened(x);
                          const auto value = pow(base, detail::widened(n));
                          const bool is_flat = x == T(0) ? n >= T(0) : x > T(0) && n < T(0) && value == 0;
                          return is_flat ? T(0) : static_cast<T>(detail::widened(d) * (value * log(base)));
                      };
                      return kernels::map("pow", slope, dy, A, B);
                  }));
}

namespace detail {

/// The larger (or smaller) of two operands; a tie shares the gradient equally. loses(x, o) says that x is
/// certainly not the one: a comparison with NaN makes no loser.
template <class T, class F, class Loses>
Variable<T> extreme(const char* name, const Variable<T>& a, const Variable<T>& b, const F& f,
                    const Loses& loses) {
    const Tensor<T> A = a.value(), B = b.value();
    const auto share = [name, loses](const Tensor<T>& dy, const Tensor<T>& own, const Tensor<T>& other) {
        const auto slope = [loses]<class V>(const V& d, const V& x, const V& o) GRADUS_INLINE_LAMBDA {
            using simd::select;
            return V(select(x == o, V(d * V(0.5)), V(select(loses(x, o), V(0), d))));
        };
        return kernels::map(name, vectorized(slope), dy, own, other);
    };
    return record(name, kernels::map(name, vectorized(f), A, B),
                  wrt(a, [A, B, share](const Tensor<T>& dy) { return share(dy, A, B); }),
                  wrt(b, [A, B, share](const Tensor<T>& dy) { return share(dy, B, A); }));
}

}  // namespace detail

/// The larger of a and b; where they are equal, each gets half of dy. NaN if either is NaN; then both get dy,
/// as in PyTorch.
template <class T>
Variable<T> maximum(const Variable<T>& a, const Variable<T>& b) {
    return detail::extreme(
        "maximum", a, b,
        []<class V>(const V& x, const V& y) GRADUS_INLINE_LAMBDA {
            using simd::is_nan, simd::max, simd::select;
            return V(select(is_nan(y), y, max(x, y)));  // max alone keeps the NaN of x only
        },
        []<class V>(const V& x, const V& other) GRADUS_INLINE_LAMBDA { return x < other; });
}

/// The smaller of a and b; where they are equal, each gets half of dy. NaN if either is NaN; then both get
/// dy, as in PyTorch.
template <class T>
Variable<T> minimum(const Variable<T>& a, const Variable<T>& b) {
    return detail::extreme(
        "minimum", a, b,
        []<class V>(const V& x, const V& y) GRADUS_INLINE_LAMBDA {
            using simd::is_nan, simd::min, simd::select;
            return V(select(is_nan(y), y, min(x, y)));
        },
        []<class V>(const V& x, const V& other) GRADUS_INLINE_LAMBDA { return x > other; });
}

/// x limited to [low, high]; NaN stays NaN.
/// dx = dy where low < x < high, else 0: also at the limits, as in PyTorch 2.15 (1.13 passes dy there), and
/// at NaN.
/// Throws ValueError if low > high.
template <class T>
Variable<T> clamp(const Variable<T>& x, std::type_identity_t<T> low, std::type_identity_t<T> high) {
    gradus::detail::check<ValueError>(!(high < low), "clamp", "low is greater than high");
    return detail::elementwise(
        "clamp", x,
        [low, high]<class V>(const V& v) GRADUS_INLINE_LAMBDA {
            using simd::max, simd::min;
            return V(min(max(v, V(low)), V(high)));
        },
        [low, high]<class V>(const V& dy, const V& v) GRADUS_INLINE_LAMBDA {
            using simd::select;
            return V(select(v > V(low), V(select(v < V(high), dy, V(0))), V(0)));
        });
}

/// x, but `low` where it is below; NaN stays NaN.       dx = dy where x > low, else 0, as in clamp
template <class T>
Variable<T> clamp_min(const Variable<T>& x, std::type_identity_t<T> low) {
    return detail::elementwise(
        "clamp_min", x,
        [low]<class V>(const V& v) GRADUS_INLINE_LAMBDA {
            using simd::max;
            return V(max(v, V(low)));
        },
        [low]<class V>(const V& dy, const V& v) GRADUS_INLINE_LAMBDA {
            using simd::select;
            return V(select(v > V(low), dy, V(0)));
        });
}

/// x, but `high` where it is above; NaN stays NaN.       dx = dy where x < high, else 0, as in clamp
template <class T>
Variable<T> clamp_max(const Variable<T>& x, std::type_identity_t<T> high) {
    return detail::elementwise(
        "clamp_max", x,
        [high]<class V>(const V& v) GRADUS_INLINE_LAMBDA {
            using simd::min;
            return V(min(v, V(high)));
        },
        [high]<class V>(const V& dy, const V& v) GRADUS_INLINE_LAMBDA {
            using simd::select;
            return V(select(v < V(high), dy, V(0)));
        });
}

}  // namespace gradus
