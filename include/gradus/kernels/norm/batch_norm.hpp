// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <type_traits>

#include "gradus/kernels/norm/channel_blocks.hpp"
#include "gradus/kernels/norm/channel_sums.hpp"

// Normalization of each channel of [batch, channels, ...], alone or with the sum and the relu after it:
// y = max(0, xhat · weight + bias + residual). What the relu let pass is kept as a mask of one bit per
// element.

namespace gradus::kernels {
namespace detail {

/// What the second pass multiplies and adds.
template <class T>
struct Coefficients {
    const T *center, *scale, *offset, *dy_scale;  // dy_scale: may be nullptr
};

/// The same as vectors. PerColumn: element i of each row has those of column i; else row r has those of its
/// channel.
template <class P, bool PerColumn>
struct CoefficientVectors {
    using T = typename P::Value;
    Coefficients<T> from;
    P center, scale, offset, dy_scale;

    GRADUS_INLINE explicit CoefficientVectors(const Coefficients<T>& c) : from(c) { dy_scale = P(T(0)); }

    GRADUS_INLINE void move_to_row(Index r) {
        if constexpr (!PerColumn) {
            center = P(from.center[r]);
            scale = P(from.scale[r]);
            offset = P(from.offset[r]);
            if (from.dy_scale) dy_scale = P(from.dy_scale[r]);
        }
    }
    GRADUS_INLINE void move_to_column(Index i) {
        if constexpr (PerColumn) {
            center = P::load(from.center + i);
            scale = P::load(from.scale + i);
            offset = P::load(from.offset + i);
            if (from.dy_scale) dy_scale = P::load(from.dy_scale + i);
        }
    }
};

/// y = (x − center) · scale + offset; with `residual`, plus that; with `mask`, at least 0, and the bits of
/// what is more are written.
template <class T>
struct Normalize {
    const T *x, *residual;
    T* y;
    simd::MaskWord* mask;
    Coefficients<T> from;
    bool stream;
};

template <class T, bool PerColumn>
struct NormalizeKernel {
    Normalize<T> a;
    ChannelRun run;

    template <class P>
    GRADUS_INLINE void body() const {
        if (a.mask)
            a.residual ? rows<P, true, true>() : rows<P, true, false>();
        else
            a.residual ? rows<P, false, true>() : rows<P, false, false>();
        if (a.stream) simd::store_fence();
    }

    template <class P, bool Masked, bool Added>
    GRADUS_INLINE void rows() const {
        CoefficientVectors<P, PerColumn> c(a.from);
        const bool stream = a.stream;
        for (Index r = 0; r < run.rows; ++r) {
            c.move_to_row(r);
            const T* const x = a.x + r * run.stride;
            const T* const residual = Added ? a.residual + r * run.stride : nullptr;
            T* const y = a.y + r * run.stride;
            simd::MaskWord* const mask = Masked ? a.mask + r * run.mask_stride : nullptr;
            simd::for_words<P>(run.n, [&](Index word, Index first, int vectors) GRADUS_INLINE_LAMBDA {
                std::uint32_t bits = 0;
#pragma GCC unroll 4
                for (int k = 0; k < vectors; ++k) {
                    const Index i = first + k * P::size;
                    c.move_to_column(i);
                    P out = fma(P::load(x + i) - c.center, c.scale, c.offset);
                    if constexpr (Added) out += P::load(residual + i);
                    if constexpr (Masked && std::is_floating_point_v<T>) {
                        out = max(out, P(T(0)));
                        bits |= simd::nonzero_bits(out) << (k * P::size);
                    }
                    simd::store(out, y + i, stream);
                }
                if constexpr (Masked)
                    mask[word / simd::mask_bits] = static_cast<simd::MaskWord>(bits >> (word - first));
            });
        }
    }
};

/// dx = g · dy_scale + offset + (x − center) · scale, g being what the mask lets pass of dy, and
/// dresidual = g. Without x the last term is left out; dx and dresidual may be nullptr.
template <class T>
struct Gradient {
    GradientSource<T> in;
    T *dx, *dresidual;
    Coefficients<T> from;
    bool stream;
};

template <class T, bool PerColumn>
struct GradientKernel {
    Gradient<T> a;
    Index rows, n;

    template <class P>
    GRADUS_INLINE void body() const {
        a.in.mask ? all_rows<P, true>() : all_rows<P, false>();
        if (a.stream) simd::store_fence();
    }

    template <class P, bool Masked>
    GRADUS_INLINE void all_rows() const {
        CoefficientVectors<P, PerColumn> c(a.from);
        const bool stream = a.stream;
        for (Index r = 0; r < rows; ++r) {
            c.move_to_row(r);
            const Index at = r * a.in.stride;
            const MaskedGradient<P, Masked> slope{a.in.dy + at,
                                                  Masked ? a.in.mask + r * a.in.mask_stride : nullptr};
            const T* const x = a.in.x ? a.in.x + at : nullptr;
            T* const dx = a.dx ? a.dx + at : nullptr;
            T* const dresidual = a.dresidual ? a.dresidual + at : nullptr;
            const auto step = [&](Index i, auto whole) GRADUS_INLINE_LAMBDA {
                c.move_to_column(i);
                const P g = slope(i, whole);
                if (dresidual) simd::store(g, dresidual + i, stream);
                if (!dx) return;
                P d = fma(g, c.dy_scale, c.offset);
                if (x) d = fma(P::load(x + i) - c.center, c.scale, d);
                simd::store(d, dx + i, stream);
            };
            Index i = 0;
            for (; i + P::size <= n; i += P::size) step(i, std::true_type());
            if (i < n) step(n - P::size, std::false_type());
        }
    }
};

template <class T>
Coefficients<T> at_parameter(const Coefficients<T>& c, Index i) {
    return {c.center + i, c.scale + i, c.offset + i, c.dy_scale ? c.dy_scale + i : nullptr};
}

}  // namespace detail

template <class T>
struct BatchStatistics {
    NormStatistics<T> norm;
    Tensor<T> var;  // divided by the count
};

/// Mean and variance of every channel. Expects at least one value per channel.
template <class T>
BatchStatistics<T> batch_statistics(const Tensor<T>& x, const ChannelPlan& plan, double eps) {
    using Wide = detail::Wide<T>;
    const Index size = plan.partials();
    Tensor<T> partial = Tensor<T>::uninitialized({3, size});
    T *const m = partial.mutable_data(), *const d = m + size, *const q = d + size;
    const auto moments = [&, in = x.data(), stride = plan.width()](const ChannelBlock& b) {
        const Index i = b.partial;
        if (plan.columns)
            detail::run_rows<T>(b.n, detail::ColumnMoments<T>{.x = in + b.at,
                                                              .rows = b.rows,
                                                              .columns = b.n,
                                                              .stride = stride,
                                                              .m = m + i,
                                                              .d = d + i,
                                                              .q = q + i});
        else
            detail::run_rows<T>(b.n, detail::PlaneMoments<T>{.x = in + b.at,
                                                             .channels = b.channels,
                                                             .rows = b.rows,
                                                             .n = b.n,
                                                             .stride = stride,
                                                             .m = m + i,
                                                             .d = d + i,
                                                             .q = q + i});
    };
    const Shape shape{plan.channels};
    BatchStatistics<T> result{
        {Tensor<T>::uninitialized(shape), Tensor<T>::uninitialized(shape), Tensor<T>::uninitialized(shape)},
        Tensor<T>::uninitialized(shape)};
    T *const center = result.norm.center.mutable_data(), *const rstd = result.norm.rstd.mutable_data();
    T *const shift = result.norm.shift.mutable_data(), *const var = result.var.mutable_data();
    const Wide share = Wide(1) / Wide(static_cast<double>(plan.count()));
    const auto combine = [=, &plan](Index begin, Index end) {
        for (Index c = begin; c < end; ++c) {
            Wide sum(0), squares(0);
            plan.for_partials(c, [&](Index i, Index j) {
                sum += Wide(static_cast<double>(plan.block_size(j))) * Wide(m[i]) + Wide(d[i]);
            });
            const Wide mean = sum * share;
            plan.for_partials(c, [&](Index i, Index j) {
                const Wide step = Wide(m[i]) - mean, n(static_cast<double>(plan.block_size(j)));
                squares += Wide(q[i]) + step * (Wide(2) * Wide(d[i]) + n * step);
            });
            if (squares < Wide(0)) squares = Wide(0);  // by rounding
            var[c] = static_cast<T>(squares * share);
            detail::write_statistics<T>(mean, squares * share, eps, center + c, rstd + c, shift + c);
        }
    };
    plan.in_one_pass(moments, combine);
    return result;
}

/// The same from a mean and a variance that are given.
template <class T>
NormStatistics<T> given_statistics(const Tensor<T>& mean, const Tensor<T>& var, double eps) {
    NormStatistics<T> result{mean, Tensor<T>::uninitialized(mean.shape()), zeros<T>(mean.shape())};
    T* const rstd = result.rstd.mutable_data();
    for (Index c = 0; c < mean.numel(); ++c) {
        T center, shift;
        detail::write_statistics<T>(detail::Wide<T>(mean.data()[c]), detail::Wide<T>(var.data()[c]), eps,
                                    &center, rstd + c, &shift);
    }
    return result;
}

/// What normalizes a batch. weight and bias: both or neither.
template <class T>
struct BatchNorm {
    ChannelPlan plan;
    NormStatistics<T> norm;
    const Tensor<T>*weight, *bias;
};

/// y = xhat · weight + bias, one of each per channel; plus the residual, if there is one. With a mask (of
/// plan.mask_size() words) y is at least 0, and the mask gets the bits of what is more, or NaN.
template <class T>
void batch_norm(const BatchNorm<T>& b, const Tensor<T>& x, const T* residual, T* y, simd::MaskWord* mask) {
    const ChannelPlan& plan = b.plan;
    const Index size = plan.parameters();
    Tensor<T> numbers = Tensor<T>::uninitialized({3, size});
    T* const out = numbers.mutable_data();
    const T *const weight = b.weight ? b.weight->data() : nullptr, *const bias =
                                                                       b.bias ? b.bias->data() : nullptr;
    const T *const center = b.norm.center.data(), *const rstd = b.norm.rstd.data(),
                   *const shift = b.norm.shift.data();
    for (Index c = 0; c < plan.channels; ++c) {
        const T w = weight ? weight[c] : T(1);
        plan.broadcast_to_columns(c, center[c], out);
        plan.broadcast_to_columns(c, T(rstd[c] * w), out + size);
        plan.broadcast_to_columns(c, bias ? T(shift[c] * w + bias[c]) : shift[c], out + 2 * size);
    }
    const detail::Coefficients<T> all{out, out + size, out + 2 * size, nullptr};
    plan.for_runs([&, in = x.data(),
                   stream = simd::should_stream<T>(plan.rows(), plan.row_size())](const ChannelRun& run) {
        const detail::Normalize<T> work{in + run.at,
                                        residual ? residual + run.at : nullptr,
                                        y + run.at,
                                        mask ? mask + run.mask : nullptr,
                                        detail::at_parameter(all, run.parameter),
                                        stream};
        if (plan.columns)
            detail::run_rows<T>(run.n, detail::NormalizeKernel<T, true>{work, run});
        else
            detail::run_rows<T>(run.n, detail::NormalizeKernel<T, false>{work, run});
    });
}

struct BatchNormNeedsGrad {
    bool x, affine, residual;
};

template <class T>
struct BatchNormGradients {
    Tensor<T> dx, dweight, dbias, dresidual;  // empty where not asked for
};

/// With g what the mask (or nullptr) lets pass of dy: dresidual = g, dbias = Σ g, dweight = Σ g · xhat and
/// dx = weight · rstd · (g − mean(g) − xhat · mean(g · xhat)), or weight · rstd · g by given statistics.
template <class T>
BatchNormGradients<T> batch_norm_backward(const BatchNorm<T>& b, const Tensor<T>& dy, const Tensor<T>& x,
                                          const simd::MaskWord* mask, bool by_batch,
                                          const BatchNormNeedsGrad& needs_grad) {
    using Wide = detail::Wide<T>;
    const ChannelPlan& plan = b.plan;
    const Shape shape{plan.channels};
    BatchNormGradients<T> result;
    if (needs_grad.x) result.dx = Tensor<T>::uninitialized(x.shape());
    if (needs_grad.residual) result.dresidual = Tensor<T>::uninitialized(x.shape());
    T* const dx = needs_grad.x ? result.dx.mutable_data() : nullptr;
    T* const dresidual = needs_grad.residual ? result.dresidual.mutable_data() : nullptr;
    result.dweight = Tensor<T>::uninitialized(shape);
    result.dbias = Tensor<T>::uninitialized(shape);
    T *const dweight = result.dweight.mutable_data(), *const dbias = result.dbias.mutable_data();

    const Index size = plan.partials(), parameters = plan.parameters();
    Tensor<T> partial = Tensor<T>::uninitialized({2, size}),
              numbers = Tensor<T>::uninitialized({4, parameters});
    T *const s = partial.mutable_data(), *const p = s + size;
    T *const center = numbers.mutable_data(), *const scale = center + parameters,
             *const offset = scale + parameters, *const dy_scale = offset + parameters;
    for (Index c = 0; c < plan.channels; ++c) plan.broadcast_to_columns(c, b.norm.center.data()[c], center);

    const bool sums = by_batch || needs_grad.affine;
    const auto source = [&, g = dy.data(), in = x.data()](const auto& part, Index stride, Index mask_stride) {
        return detail::GradientSource<T>{g + part.at, in + part.at, mask ? mask + part.mask : nullptr, stride,
                                         mask_stride};
    };
    const auto add_up = [&](const ChannelBlock& block) {
        if (!sums) return;
        const detail::GradientSource<T> from = source(block, plan.width(), plan.mask_width());
        const T* const c = center + block.parameter;
        T *const sum_dy = s + block.partial, *const sum_dy_x = p + block.partial;
        if (plan.columns)
            detail::run_rows<T>(block.n, detail::ColumnSums<T>{.in = from,
                                                               .rows = block.rows,
                                                               .columns = block.n,
                                                               .center = c,
                                                               .sum_dy = sum_dy,
                                                               .sum_dy_x = sum_dy_x});
        else
            detail::run_rows<T>(block.n, detail::PlaneSums<T>{.in = from,
                                                              .channels = block.channels,
                                                              .rows = block.rows,
                                                              .n = block.n,
                                                              .center = c,
                                                              .sum_dy = sum_dy,
                                                              .sum_dy_x = sum_dy_x});
    };
    const T share = T(1) / T(static_cast<double>(plan.count()));
    const auto combine = [=, &plan, rstds = b.norm.rstd.data(), shifts = b.norm.shift.data(),
                          weight = b.weight ? b.weight->data() : nullptr](Index begin, Index end) {
        for (Index c = begin; c < end; ++c) {
            const T rstd = rstds[c], shift = shifts[c];
            Wide first(0), second(0);
            if (sums)
                plan.for_partials(c, [&](Index i, Index) {
                    first += Wide(s[i]);
                    second += Wide(p[i]);
                });
            dbias[c] = static_cast<T>(first);
            dweight[c] = static_cast<T>(second * Wide(rstd) + first * Wide(shift));
            const T a = weight ? T(rstd * weight[c]) : rstd, slope = -(a * dweight[c] * share);
            plan.broadcast_to_columns(c, a, dy_scale);
            plan.broadcast_to_columns(c, by_batch ? T(slope * rstd) : T(0), scale);
            plan.broadcast_to_columns(c, by_batch ? T(slope * shift - a * dbias[c] * share) : T(0), offset);
        }
    };
    const detail::Coefficients<T> all{center, scale, offset, dy_scale};
    const auto apply = [&, stream =
                               simd::should_stream<T>(plan.rows(), plan.row_size())](const ChannelRun& run) {
        if (!dx && !dresidual) return;
        detail::Gradient<T> work{source(run, run.stride, run.mask_stride), dx ? dx + run.at : nullptr,
                                 dresidual ? dresidual + run.at : nullptr,
                                 detail::at_parameter(all, run.parameter), stream};
        if (!by_batch) work.in.x = nullptr;
        if (plan.columns)
            detail::run_rows<T>(run.n, detail::GradientKernel<T, true>{work, run.rows, run.n});
        else
            detail::run_rows<T>(run.n, detail::GradientKernel<T, false>{work, run.rows, run.n});
    };
    plan.in_two_passes(add_up, combine, apply);
    return result;
}

}  // namespace gradus::kernels
