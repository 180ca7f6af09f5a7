// SPDX-License-Identifier: MIT
#pragma once

#include <limits>

#include "gradus/kernels/reduce/reduce.hpp"
#include "gradus/kernels/reduce/softmax.hpp"
#include "gradus/ops/arithmetic.hpp"

namespace gradus {

/// The value and derivative of the logistic function; kernels/simd/math.hpp has it for numbers and vectors.
template <class T>
Dual<T> sigmoid(const Dual<T>& x) {
    using simd::sigmoid;
    const T y = sigmoid(x.value);
    return detail::chain(x, y, T(y * sigmoid(T(-x.value))));
}

/// The value and derivative of gelu, and of that derivative, for numbers and vectors in
/// kernels/simd/math.hpp.
template <class T>
Dual<T> gelu(const Dual<T>& x) {
    using simd::gelu, simd::gelu_slope;
    return detail::chain(x, T(gelu(x.value)), T(gelu_slope(x.value)));
}
template <class T>
Dual<T> gelu_slope(const Dual<T>& x) {
    using simd::gelu_slope, std::exp;
    const T square = x.value * x.value, density = T(0.39894228040143268) * T(exp(T(-0.5) * square));
    return detail::chain(x, T(gelu_slope(x.value)), T((T(2) - square) * density));
}
/// exp(factor x²) for a constant factor.
template <class T>
Dual<T> exp_of_square(const Dual<T>& factor, const Dual<T>& x) {
    using simd::exp_of_square;
    const T y = exp_of_square(factor.value, x.value);
    return detail::chain(x, y, T(T(2) * factor.value * x.value * y));
}

/// max(x, 0), NaN for NaN.       dx = dy where y > 0 or NaN (as in PyTorch), else 0
template <class T>
Variable<T> relu(Variable<T> x) {
    if (Variable<T> y = detail::fuse(x, detail::Relu{}); y.defined()) return y;
    return detail::elementwise_by_result(
        "relu", std::move(x),
        []<class V>(const V& v) GRADUS_INLINE_LAMBDA {
            using simd::max;
            return V(max(v, V(0)));
        },
        []<class V>(const V& dy, const V& y) GRADUS_INLINE_LAMBDA {
            using simd::select;
            return V(select(y <= V(0), V(0), dy));
        });
}

/// x for x > 0, else negative_slope · x; with 0 it is relu.       dx = dy or negative_slope · dy
/// Source: Maas et al., "Rectifier nonlinearities improve neural network acoustic models", 2013.
template <class T>
Variable<T> leaky_relu(const Variable<T>& x, std::type_identity_t<T> negative_slope = T(0.01)) {
    if (negative_slope == T(0)) return relu(x);  // 0 · inf would be NaN
    return detail::elementwise(
        "leaky_relu", x,
        [negative_slope]<class V>(const V& v) GRADUS_INLINE_LAMBDA {
            using simd::select;
            return V(select(v > V(0), v, V(v * V(negative_slope))));
        },
        [negative_slope]<class V>(const V& dy, const V& v) GRADUS_INLINE_LAMBDA {
            using simd::select;
            return V(select(v > V(0), dy, V(dy * V(negative_slope))));
        });
}

/// x for x > 0, else alpha (eˣ − 1).       dx = dy or dy · alpha · eˣ
/// Source: Clevert et al., "Fast and accurate deep network learning by exponential linear units", 2016.
template <class T>
Variable<T> elu(const Variable<T>& x, std::type_identity_t<T> alpha = T(1)) {
    return detail::elementwise(
        "elu", x,
        [alpha]<class V>(const V& v) GRADUS_INLINE_LAMBDA {
            using simd::expm1, simd::select, simd::min;
            return V(select(v > V(0), v, V(V(alpha) * expm1(min(v, V(0))))));
        },
        [alpha]<class V>(const V& dy, const V& v) GRADUS_INLINE_LAMBDA {
            using simd::exp, simd::select, simd::min;
            return V(select(v > V(0), dy, V(dy * V(alpha) * exp(min(v, V(0))))));
        });
}

/// x · Φ(x), with Φ the normal distribution function; −0 at −inf.       dx = dy · (Φ(x) + x φ(x))
/// Source: Hendrycks & Gimpel, "Gaussian error linear units", 2016 (the exact form, with erf).
template <class T>
Variable<T> gelu(const Variable<T>& x) {
    return detail::elementwise(
        "gelu", x,
        []<class V>(const V& v) GRADUS_INLINE_LAMBDA {
            using simd::gelu;
            return V(gelu(v));
        },
        []<class V>(const V& dy, const V& v) GRADUS_INLINE_LAMBDA {
            using simd::gelu_slope;
            return V(dy * gelu_slope(v));
        });
}

enum class GeluApproximation { none, tanh };

struct GeluOptions {
    GeluApproximation approximate = GeluApproximation::none;
};

namespace detail {

/// x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2 = x · sigmoid(w). Beyond ±30 that is 0 or x: nothing overflows.
template <class V, class T>
struct GeluTanh {
    GRADUS_INLINE explicit GeluTanh(const V& v) {
        using simd::select, simd::sigmoid;
        x = select(v < V(-30), V(-30), V(select(v > V(30), V(30), v)));
        square = x * x;
        w = V(T(1.5957691216057308)) * x * (V(1) + V(T(0.044715)) * square);  // 2 √(2/π)
        share = sigmoid(w);
    }
    V x, square, w, share;
};

}  // namespace detail

/// The same, or with {.approximate = GeluApproximation::tanh} its approximation
/// x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2, which GPT-2 and many other models have.
/// dx = dy · (s + x s (1 − s) w'),  s = sigmoid(w),  w = 2 √(2/π) (x + 0.044715 x³)
template <class T>
Variable<T> gelu(const Variable<T>& x, GeluOptions options) {
    if (options.approximate == GeluApproximation::none) return gelu(x);
    return detail::elementwise(
        "gelu", x,
        []<class V>(const V& v) GRADUS_INLINE_LAMBDA {
            using simd::select;
            const detail::GeluTanh<V, T> p(v);
            return V(select(v > V(30), v, V(p.x * p.share)));
        },
        []<class V>(const V& dy, const V& v) GRADUS_INLINE_LAMBDA {
            using simd::sigmoid;
            const detail::GeluTanh<V, T> p(v);
            const V steepness = V(T(1.5957691216057308)) * (V(1) + V(T(0.134145)) * p.square);
            return V(dy * (p.share + p.x * p.share * sigmoid(V(-p.w)) * steepness));
        });
}

/// 1 / (1 + e⁻ˣ).
/// dx = dy · y (1 − y), so 0 where y is rounded to 1: the slope at the result, with which losses of the
/// result, such as bce, go together; bce_with_logits needs no such care
template <class T>
Variable<T> sigmoid(Variable<T> x) {
    return detail::elementwise_by_result(
        "sigmoid", std::move(x),
        []<class V>(const V& v) GRADUS_INLINE_LAMBDA {
            using simd::sigmoid;
            return V(sigmoid(v));
        },
        []<class V>(const V& dy, const V& y) GRADUS_INLINE_LAMBDA { return V(dy * y * (V(1) - y)); });
}

namespace detail {

/// The parts of x · sigmoid(x): e = root² = e^(−size), of which e alone may be no normal number where the
/// result still is one.
template <class V>
struct SiluParts {
    GRADUS_INLINE explicit SiluParts(const V& x) {
        using simd::exp, simd::select;  // min and abs would spoil the tangent of a Dual
        const V positive = select(x > V(0), x, V(-x));
        size = select(positive > V(2000), V(2000), positive);  // e is 0 long before
        root = exp(V(-0.5) * size);
        e = root * root;
        share = V(1) / (V(1) + e);
    }
    V size, root, e, share;
};

}  // namespace detail

/// x · sigmoid(x), also called swish; −0 at −inf.       dx = dy · s (1 + x (1 − s)),  s = sigmoid(x)
/// Source: Elfwing et al., "Sigmoid-weighted linear units", 2018.
template <class T>
Variable<T> silu(const Variable<T>& x) {
    return detail::elementwise(
        "silu", x,
        []<class V>(const V& v) GRADUS_INLINE_LAMBDA {
            using simd::select;
            const detail::SiluParts<V> p(v);
            return V(select(v > V(0), V(v * p.share), V(-(p.size * p.root) * p.root * p.share)));
        },
        []<class V>(const V& dy, const V& v) GRADUS_INLINE_LAMBDA {
            using simd::select;
            const detail::SiluParts<V> p(v);
            const V above = p.share * (V(1) + p.size * p.e * p.share);
            const V below = p.root * p.share * (V(1) - p.size * p.share) * p.root;
            return V(dy * select(v > V(0), above, below));
        });
}

/// tanh x.       dx = dy · (1 − y²), so 0 where y is rounded to ±1
template <class T>
Variable<T> tanh(Variable<T> x) {
    return detail::elementwise_by_result(
        "tanh", std::move(x),
        []<class V>(const V& v) GRADUS_INLINE_LAMBDA {
            using simd::tanh;
            return V(tanh(v));
        },
        []<class V>(const V& dy, const V& y) GRADUS_INLINE_LAMBDA { return V(dy * (V(1) - y * y)); });
}

/// The error function 2/√π ∫₀ˣ exp(−t²) dt.       dx = dy · 2/√π · exp(−x²)
template <class T>
Variable<T> erf(const Variable<T>& x) {
    return detail::elementwise(
        "erf", x,
        []<class V>(const V& v) GRADUS_INLINE_LAMBDA {
            using simd::erf;
            return V(erf(v));
        },
        []<class V>(const V& dy, const V& v) GRADUS_INLINE_LAMBDA {
            using simd::exp_of_square;
            return V(dy * (V(T(1.1283791670955126)) * exp_of_square(T(-1), v)));  // 2/√π
        });
}

struct SoftplusOptions {
    double beta = 1;  // the larger, the sharper
    /// x itself where beta · x is above; PyTorch says 20.
    double threshold = static_cast<double>(std::numeric_limits<float>::max());
};

/// log(1 + exp(beta · x)) / beta, a smooth relu; x itself where the exponential would overflow, so that it
/// needs no threshold.
/// dx = dy · sigmoid(beta · x), and dy above the threshold
/// Throws ValueError unless beta is positive.
template <class T>
Variable<T> softplus(const Variable<T>& x, SoftplusOptions options = {}) {
    if (!(options.beta > 0)) detail::fail<ValueError>("softplus", "beta must be positive", options.beta);
    const T beta = static_cast<T>(options.beta), inverse = static_cast<T>(1 / options.beta);
    const T threshold = static_cast<T>(options.threshold);
    return detail::elementwise(
        "softplus", x,
        [beta, inverse, threshold]<class V>(const V& u) GRADUS_INLINE_LAMBDA {
            using simd::exp, simd::log1p, simd::select;  // max and abs would spoil the tangent of a Dual at 0
            const V v = V(beta) * u;
            const V y = select(v > V(0), v, V(0)) + log1p(exp(select(v > V(0), V(-v), v)));
            return V(select(v > V(threshold), u, V(y * V(inverse))));
        },
        [beta, threshold]<class V>(const V& dy, const V& u) GRADUS_INLINE_LAMBDA {
            using simd::select, simd::sigmoid;
            const V v = V(beta) * u;
            return V(select(v > V(threshold), dy, V(dy * sigmoid(v))));
        });
}

/// exp(xᵢ) / Σⱼ exp(xⱼ) along one axis, without overflow.       dx = y (dy − Σ dy·y)
/// Infinities are limits: −inf gives 0; +inf takes all, and several share it equally, as ties do in max. NaN
/// where all are −inf: nothing is left to share between.
template <class T>
Variable<T> softmax(const Variable<T>& x, int axis = -1) {
    const int a = x.shape().normalize_axis("softmax", axis);
    const Tensor<T> y = kernels::softmax(x.value(), a);
    return record("softmax", y,
                  wrt(x, [y, a](const Tensor<T>& dy) { return kernels::softmax_backward(y, dy, a); }));
}

/// xᵢ − log Σⱼ exp(xⱼ) along one axis: the logarithm of softmax, accurate where that is tiny.
/// dx = dy − eʸ Σ dy. Infinities as in softmax: −inf gives −inf.
template <class T>
Variable<T> log_softmax(const Variable<T>& x, int axis = -1) {
    const int a = x.shape().normalize_axis("log_softmax", axis);
    const auto p = kernels::softmax_parts(x.value(), a);
    const auto difference = []<class V>(const V& v, const V& largest, const V& log_sum) GRADUS_INLINE_LAMBDA {
        return V(kernels::below_largest<T>(v, largest) - log_sum);
    };
    return record(
        "log_softmax",
        kernels::map("log_softmax", kernels::vectorized(difference), x.value(), p.largest, p.log_sums),
        // In this order nll of it has the gradient of cross_entropy bit for bit.
        wrt(x, [exps = p.exps, sums = p.sums, a](const Tensor<T>& dy) {
            return dy - exps * (kernels::reduce<kernels::SumOf>(dy, 1u << a) / sums);
        }));
}

}  // namespace gradus
