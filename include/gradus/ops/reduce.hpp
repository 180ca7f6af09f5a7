// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <initializer_list>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "gradus/autograd/record.hpp"
#include "gradus/kernels/layout/permute.hpp"
#include "gradus/kernels/reduce/argmax.hpp"
#include "gradus/kernels/reduce/reduce.hpp"
#include "gradus/kernels/reduce/scan.hpp"
#include "gradus/kernels/reduce/softmax.hpp"
#include "gradus/ops/operators.hpp"

namespace gradus {

/// The axes to reduce: one number or a list, negative ones counted from the end; none means all.
class Axes {
public:
    Axes() = default;
    Axes(int axis) : axes_{axis}, all_(false) {}
    Axes(std::initializer_list<int> axes) : axes_(axes), all_(axes.size() == 0) {}

    /// As a set of bits. Throws ShapeError in the name of `operation` if one is out of range or named twice.
    kernels::AxisSet in(const char* operation, const Shape& shape) const {
        kernels::AxisSet set = all_ ? (1u << shape.rank()) - 1 : 0;
        for (const int axis : axes_) {
            const kernels::AxisSet bit = 1u << shape.normalize_axis(operation, axis);
            if (set & bit) detail::raise<ShapeError>({operation, ": axis ", axis, " is named twice"});
            set |= bit;
        }
        return set;
    }

private:
    std::vector<int> axes_;
    bool all_ = true;
};

struct ReduceOptions {
    bool keepdim = false;  // reduced axes stay, with size 1
};

namespace detail {

/// The shape after reduction: with keepdim the axes have size 1, else they are gone.
inline Shape reduced_shape(const Shape& shape, kernels::AxisSet axes, bool keepdim) {
    Shape result;
    for (int i = 0; i < shape.rank(); ++i) {
        const bool reduced = axes >> i & 1u;
        if (!reduced) result.push_back(shape[i]);
        if (reduced && keepdim) result.push_back(1);
    }
    return result;
}

inline Index reduced_count(const Shape& shape, kernels::AxisSet axes) {
    Index count = 1;
    for (int i = 0; i < shape.rank(); ++i)
        if (axes >> i & 1u) count *= shape[i];
    return count;
}

/// dy, stretched over the reduced axes again.
template <class T>
Tensor<T> spread(const Tensor<T>& dy, const Shape& kept, const Shape& shape) {
    return kernels::broadcast_to(dy.reshape(kept), shape);
}

}  // namespace detail

/// The sum over the given axes.       dx = dy, repeated along them
template <class T>
Variable<T> sum(const Variable<T>& x, const Axes& over = {}, ReduceOptions options = {}) {
    const auto axes = over.in("sum", x.shape());
    const Shape shape = x.shape(), kept = detail::reduced_shape(shape, axes, true);
    return record("sum",
                  kernels::reduce<kernels::SumOf>(x.value(), axes)
                      .reshape(detail::reduced_shape(shape, axes, options.keepdim)),
                  wrt(x, [shape, kept](const Tensor<T>& dy) { return detail::spread(dy, kept, shape); }));
}

/// The mean over the given axes: NaN of no elements.       dx = dy / count, repeated along them
/// Of integers it is rounded toward zero; ValueError for none of them, or more than their type counts.
template <class T>
Variable<T> mean(const Variable<T>& x, const Axes& over = {}, ReduceOptions options = {}) {
    const auto axes = over.in("mean", x.shape());
    const Shape shape = x.shape(), kept = detail::reduced_shape(shape, axes, true);
    const Index elements = detail::reduced_count(shape, axes);
    const T count = T(elements);
    if constexpr (std::is_integral_v<T>)
        if (elements == 0 || static_cast<Index>(count) != elements)
            detail::raise<ValueError>("mean", "integers cannot be divided by the count; cast<float>() first?",
                                      elements);
    const Tensor<T> total = kernels::reduce<kernels::SumOf>(x.value(), axes);
    return record("mean", (total / count).reshape(detail::reduced_shape(shape, axes, options.keepdim)),
                  wrt(x, [shape, kept, count](const Tensor<T>& dy) {
                      return detail::spread(dy / count, kept, shape);
                  }));
}

namespace detail {

/// All axes in their order, but those of the set last.
inline std::vector<int> order_with_last(int rank, kernels::AxisSet axes) {
    std::vector<int> order;
    for (const unsigned last : {0u, 1u})
        for (int i = 0; i < rank; ++i)
            if ((axes >> i & 1u) == last) order.push_back(i);
    return order;
}

/// Of each element, the product of all others in its reduction.
template <class T>
Tensor<T> products_of_others(const Tensor<T>& x, kernels::AxisSet axes) {
    const std::vector<int> order = order_with_last(x.rank(), axes);
    std::vector<int> back(order.size());
    for (std::size_t i = 0; i < order.size(); ++i)
        back[static_cast<std::size_t>(order[i])] = static_cast<int>(i);
    const Tensor<T> rows = kernels::permute<T>(x, order);
    return kernels::permute<T>(kernels::products_of_others(rows, reduced_count(x.shape(), axes)), back);
}

}  // namespace detail

/// The product over the given axes: 1 of no elements. Of float it is formed in double, so that nothing
/// overflows on the way.
/// dx = dy times the product of the other elements, right where some are 0
template <class T>
Variable<T> prod(const Variable<T>& x, const Axes& over = {}, ReduceOptions options = {}) {
    const auto axes = over.in("prod", x.shape());
    const Tensor<T> X = x.value();
    const Shape kept = detail::reduced_shape(X.shape(), axes, true);
    const auto product = kernels::reduce<kernels::ProductOf>(cast<kernels::detail::ScanType<T>>(X), axes);
    return record("prod", cast<T>(product).reshape(detail::reduced_shape(X.shape(), axes, options.keepdim)),
                  wrt(x, [X, kept, axes](const Tensor<T>& dy) {
                      return detail::products_of_others(X, axes) * dy.reshape(kept);
                  }));
}

namespace detail {

template <class Of, class T>
Variable<T> extreme_over(const char* name, const Variable<T>& x, const Axes& over, ReduceOptions options) {
    const auto axes = over.in(name, x.shape());
    gradus::detail::check<ShapeError>(reduced_count(x.shape(), axes) > 0, name, "no elements to choose from");
    const Tensor<T> X = x.value(), y = kernels::reduce<Of>(X, axes);
    return record(name, y.reshape(reduced_shape(x.shape(), axes, options.keepdim)),
                  wrt(x, [X, y, axes](const Tensor<T>& dy) {
                      const Tensor<T> hit = kernels::map(
                          "max", [](const T& v, const T& m) { return v == m ? T(1) : T(0); }, X, y);
                      const Tensor<T> ties = kernels::reduce<kernels::SumOf>(hit, axes);
                      return hit * (dy.reshape(y.shape()) / ties);
                  }));
}

}  // namespace detail

/// The largest element over the given axes.
/// dx = dy at that element; elements that tie for it share dy equally
/// Throws ShapeError if empty.
template <class T>
Variable<T> max(const Variable<T>& x, const Axes& over = {}, ReduceOptions options = {}) {
    return detail::extreme_over<kernels::MaxOf>("max", x, over, options);
}

/// The smallest element over the given axes.
/// dx = dy at that element; elements that tie for it share dy equally
/// Throws ShapeError if empty.
template <class T>
Variable<T> min(const Variable<T>& x, const Axes& over = {}, ReduceOptions options = {}) {
    return detail::extreme_over<kernels::MinOf>("min", x, over, options);
}

struct VarOptions {
    bool keepdim = false;
    Index correction = 1;  // divides by count - correction; 0 gives the population variance
};

/// The variance over the given axes, Σ (x − mean)² / (count − correction): NaN if that divisor is not positive.
/// dx = dy · 2 (x − mean) / (count − correction)
template <class T>
Variable<T> var(const Variable<T>& x, const Axes& over = {}, VarOptions options = {}) {
    const auto axes = over.in("var", x.shape());
    const Shape kept = detail::reduced_shape(x.shape(), axes, true);
    const Index count = detail::reduced_count(x.shape(), axes), freedom = count - options.correction;
    const T divisor = freedom > 0 ? T(freedom) : T(std::numeric_limits<double>::quiet_NaN());
    const Tensor<T> centered = x.value() - kernels::reduce<kernels::SumOf>(x.value(), axes) / T(count);
    const Tensor<T> y = kernels::reduce<kernels::SumOf>(centered * centered, axes) / divisor;
    return record("var", y.reshape(detail::reduced_shape(x.shape(), axes, options.keepdim)),
                  wrt(x, [centered, kept, divisor](const Tensor<T>& dy) {
                      return centered * (dy.reshape(kept) * (T(2) / divisor));
                  }));
}

/// log Σ eˣ over the given axes, without overflow: −inf of no elements.       dx = dy · softmax(x)
/// Infinities are limits: −inf adds nothing; where all are −inf, so is the result, and the gradient is 0. The
/// gradient goes to +inf alone; several share it equally, as ties do in max.
template <class T>
Variable<T> logsumexp(const Variable<T>& x, const Axes& over = {}, ReduceOptions options = {}) {
    const auto axes = over.in("logsumexp", x.shape());
    const Tensor<T> X = x.value();
    const Tensor<T> largest = kernels::map(
        "logsumexp",
        [](const T& m) {
            return m < T(std::numeric_limits<T>::lowest()) ? T(0) : m;  // −inf cannot be subtracted
        },
        kernels::reduce<kernels::MaxOf>(X, axes));
    const auto exponential = []<class V>(const V& v, const V& top) GRADUS_INLINE_LAMBDA {
        using simd::exp;
        return V(exp(kernels::below_largest<T>(v, top)));
    };
    const Tensor<T> sums = kernels::reduce<kernels::SumOf>(
        kernels::map("logsumexp", kernels::vectorized(exponential), X, largest), axes);
    const Tensor<T> y = kernels::map(
        "logsumexp",
        [](const T& s, const T& top) {
            using std::log;
            return T(log(s) + top);
        },
        sums, largest);
    return record("logsumexp", y.reshape(detail::reduced_shape(x.shape(), axes, options.keepdim)),
                  wrt(x, [X, largest, sums, exponential](const Tensor<T>& dy) {
                      const Tensor<T> scale = kernels::map(
                          "logsumexp", [](const T& d, const T& s) { return s == T(0) ? T(0) : T(d / s); },
                          dy.reshape(sums.shape()), sums);
                      return kernels::map("logsumexp", kernels::vectorized(exponential), X, largest) * scale;
                  }));
}

namespace detail {

/// x of which nothing overflows when it is squared: an infinity counts as the largest number.
template <class T>
Tensor<T> scaled_for_squares(const Tensor<T>& x, const Tensor<T>& scale) {
    return kernels::map("norm", kernels::vectorized([]<class V>(const V& v, const V& s) GRADUS_INLINE_LAMBDA {
                            using simd::max, simd::min;
                            const V highest{T(std::numeric_limits<T>::max())};
                            return V(max(min(v, highest), V(-highest)) * s);
                        }),
                        x, scale);
}

/// Euclidean norms over some axes, and what their gradients need.
template <class T>
struct Norms {
    Tensor<T> scale, root, y;

    Norms(const Tensor<T>& x, kernels::AxisSet axes) {
        const auto size = []<class V>(const V& v) GRADUS_INLINE_LAMBDA {
            using simd::abs;
            return V(abs(v));
        };
        const Tensor<T> largest =
            kernels::reduce<kernels::MaxOf>(kernels::map("norm", kernels::vectorized(size), x), axes);
        scale = kernels::map(
            "norm", [](const T& m) { return T(kernels::scale_to_1(m)); }, largest);
        const Tensor<T> scaled = scaled_for_squares(x, scale);
        root = kernels::map(
            "norm",
            [](const T& sum) {
                using std::sqrt;
                return sum == T(0) ? T(0) : T(sqrt(sum));  // the tangent of a Dual is 0 there
            },
            kernels::reduce<kernels::SumOf>(scaled * scaled, axes));
        y = kernels::map(
            "norm",
            [](const T& r, const T& s, const T& m) {
                return m > T(std::numeric_limits<T>::max()) ? m : T(r / s);
            },
            root, scale, largest);
    }

    /// dy · x / norm, and 0 where the norm is 0.
    Tensor<T> slope(const Tensor<T>& dy, const Tensor<T>& x) const {
        return kernels::map(
            "norm", [](const T& v, const T& r, const T& d) { return r == T(0) ? T(0) : T(v / r * d); },
            scaled_for_squares(x, scale), root, dy.reshape(root.shape()));
    }
};

}  // namespace detail

/// The Euclidean norm √Σ x² over the given axes, without overflow or underflow: 0 of no elements.
/// dx = dy · x / norm, and 0 where the norm is 0. Of an infinity the norm is infinite and the gradient ±dy;
/// several share it as equal numbers do. Other norms are sum(abs(x)) and max(abs(x)). As
/// torch.linalg.vector_norm with ord 2.
template <class T>
Variable<T> norm(const Variable<T>& x, const Axes& over = {}, ReduceOptions options = {}) {
    const auto axes = over.in("norm", x.shape());
    const Tensor<T> X = x.value();
    const detail::Norms<T> norms(X, axes);
    return record("norm", norms.y.reshape(detail::reduced_shape(x.shape(), axes, options.keepdim)),
                  wrt(x, [X, norms](const Tensor<T>& dy) { return norms.slope(dy, X); }));
}

/// The standard deviation over the given axes, √ of var, without its overflow: NaN if the divisor is not
/// positive.
/// dx = dy · (x − mean) / ((count − correction) · y), and 0 where y is 0
template <class T>
Variable<T> std(const Variable<T>& x, const Axes& over = {}, VarOptions options = {}) {
    using std::sqrt;
    const auto axes = over.in("std", x.shape());
    const Index count = detail::reduced_count(x.shape(), axes), freedom = count - options.correction;
    const T divisor = freedom > 0 ? T(sqrt(T(freedom))) : T(std::numeric_limits<double>::quiet_NaN());
    const Tensor<T> centered = x.value() - kernels::reduce<kernels::SumOf>(x.value(), axes) / T(count);
    const detail::Norms<T> norms(centered, axes);
    return record("std", (norms.y / divisor).reshape(detail::reduced_shape(x.shape(), axes, options.keepdim)),
                  wrt(x, [centered, norms, divisor](const Tensor<T>& dy) {
                      return norms.slope(dy, centered) / divisor;
                  }));
}

/// The position of the largest element along one axis, the first of equals; NaN counts as the largest. No
/// gradient. Throws ShapeError if empty.
template <class T>
Tensor<Index> argmax(const Tensor<T>& x, int axis = -1) {
    const int a = x.shape().normalize_axis("argmax", axis);
    gradus::detail::check<ShapeError>(x.size(a) > 0, "argmax", "no elements to choose from");
    return kernels::argmax(x, x.shape().span(0, a), x.size(a), x.shape().span(a + 1, x.rank()),
                           x.shape().without(a));
}
template <class T>
Tensor<Index> argmax(const Variable<T>& x, int axis = -1) {
    return argmax(x.value(), axis);
}

}  // namespace gradus
