// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <type_traits>

#include "gradus/kernels/channel_plan.hpp"
#include "gradus/kernels/channel_sums.hpp"

// Normalisation of each channel of [batch, channels, ...], alone or with the sum and the relu after it:
// y = max(0, xhat · weight + bias + residual). What the relu let pass is kept as a mask of one bit per
// element.

namespace gradus::kernels {
namespace detail {

/// What the second pass multiplies and adds.
template <class T>
struct Coefficients {
    const T *centre, *scale, *offset, *dy_scale;  // dy_scale: may be nullptr
};

/// The same as packs. PerColumn: element i of each row has those of column i; else row r has those of its
/// channel.
template <class P, bool PerColumn>
struct CoefficientPacks {
    using T = typename P::Value;
    Coefficients<T> from;
    P centre, scale, offset, dy_scale;

    GRADUS_INLINE explicit CoefficientPacks(const Coefficients<T>& c) : from(c) { dy_scale = P(T(0)); }

    GRADUS_INLINE void move_to_row(Index r) {
        if constexpr (!PerColumn) {
            centre = P(from.centre[r]);
            scale = P(from.scale[r]);
            offset = P(from.offset[r]);
            if (from.dy_scale) dy_scale = P(from.dy_scale[r]);
        }
    }
    GRADUS_INLINE void move_to_column(Index i) {
        if constexpr (PerColumn) {
            centre = P::load(from.centre + i);
            scale = P::load(from.scale + i);
            offset = P::load(from.offset + i);
            if (from.dy_scale) dy_scale = P::load(from.dy_scale + i);
        }
    }
};

/// y = (x − centre) · scale + offset; with `residual`, plus that; with `mask`, at least 0, and the bits of
/// what is more are written.
template <class T>
struct Normalize {
    const T *x, *residual;
    T* y;
    MaskWord* mask;
    Coefficients<T> from;
    bool past_cache;
};

template <class T, bool PerColumn>
struct NormalizeKernel {
    template <class P>
    GRADUS_INLINE static void body(const Normalize<T>* work, const ChannelRun* run) {
        const Normalize<T> a = *work;
        const Index n = run->n, rows = run->rows, stride = run->stride, mask_stride = run->mask_stride;
        CoefficientPacks<P, PerColumn> c(a.from);
        for (Index r = 0; r < rows; ++r) {
            c.move_to_row(r);
            for (Index word = 0; word < n; word += mask_bits) {
                constexpr bool single = P::size == 1;
                const Index first = single ? word : std::min(word, n - mask_bits);
                const int packs = single ? static_cast<int>(std::min(mask_bits, n - word))
                                         : static_cast<int>(mask_bits) / P::size;
                std::uint32_t bits = 0;
#pragma GCC unroll 8
                for (int k = 0; k < packs; ++k) {
                    const Index i = first + k * P::size, at = r * stride + i;
                    c.move_to_column(i);
                    P y = fma(P::load(a.x + at) - c.centre, c.scale, c.offset);
                    if (a.residual) y += P::load(a.residual + at);
                    if constexpr (std::is_floating_point_v<T>)
                        if (a.mask) {
                            bits |= positive_bits(y) << (k * P::size);
                            y = max(y, P(T(0)));
                        }
                    put(y, a.y + at, a.past_cache);
                }
                if (a.mask)
                    a.mask[r * mask_stride + word / mask_bits] =
                        static_cast<MaskWord>(bits >> (word - first));
            }
        }
        if (a.past_cache) finish_past_cache();
    }
};

/// dx = g · dy_scale + offset + (x − centre) · scale, g being what the mask lets pass of dy, and
/// dresidual = g. Without x the last term is left out; dx and dresidual may be nullptr.
template <class T>
struct Gradient {
    GradientSource<T> in;
    T *dx, *dresidual;
    Coefficients<T> from;
    bool past_cache;
};

template <class T, bool PerColumn>
struct GradientKernel {
    template <class P>
    GRADUS_INLINE static void body(const Gradient<T>* work, Index rows, Index n) {
        const Gradient<T> a = *work;
        CoefficientPacks<P, PerColumn> c(a.from);
        for (Index r = 0; r < rows; ++r) {
            c.move_to_row(r);
            for (Index begin = 0; begin < n; begin += P::size) {
                const Index i = std::min(begin, n - P::size), at = r * a.in.stride + i;
                c.move_to_column(i);
                const P g = a.in.template slope<P>(r, i);
                if (a.dresidual) put(g, a.dresidual + at, a.past_cache);
                if (!a.dx) continue;
                P d = fma(g, c.dy_scale, c.offset);
                if (a.in.x) d = fma(P::load(a.in.x + at) - c.centre, c.scale, d);
                put(d, a.dx + at, a.past_cache);
            }
        }
        if (a.past_cache) finish_past_cache();
    }
};

template <class T>
Coefficients<T> at_parameter(const Coefficients<T>& c, Index i) {
    return {c.centre + i, c.scale + i, c.offset + i, c.dy_scale ? c.dy_scale + i : nullptr};
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
            detail::run_norm<detail::ColumnMoments<T>, T>(b.n, in + b.at, b.rows, b.n, stride, m + i, d + i,
                                                          q + i);
        else
            detail::run_norm<detail::PlaneMoments<T>, T>(b.n, in + b.at, b.rows, b.n, stride, m + i, d + i,
                                                         q + i);
    };
    const Shape shape{plan.channels};
    BatchStatistics<T> result{
        {Tensor<T>::uninitialized(shape), Tensor<T>::uninitialized(shape), Tensor<T>::uninitialized(shape)},
        Tensor<T>::uninitialized(shape)};
    T *const centre = result.norm.centre.mutable_data(), *const rstd = result.norm.rstd.mutable_data();
    T *const shift = result.norm.shift.mutable_data(), *const var = result.var.mutable_data();
    const Wide share = Wide(1) / Wide(static_cast<double>(plan.count()));
    const auto combine = [&](Index c) {
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
        detail::write_statistics<T>(mean, squares * share, eps, centre + c, rstd + c, shift + c);
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
        T centre, shift;
        detail::write_statistics<T>(detail::Wide<T>(mean.data()[c]), detail::Wide<T>(var.data()[c]), eps,
                                    &centre, rstd + c, &shift);
    }
    return result;
}

/// What normalises a batch. weight and bias: both or neither.
template <class T>
struct BatchNorm {
    ChannelPlan plan;
    NormStatistics<T> norm;
    const Tensor<T>*weight, *bias;
};

/// y = xhat · weight + bias, one of each per channel; plus the residual, if there is one. With a mask (of
/// plan.mask_size() words) y is at least 0, and the mask gets the bits of what is more.
template <class T>
void batch_norm(const BatchNorm<T>& b, const Tensor<T>& x, const T* residual, T* y, detail::MaskWord* mask) {
    const ChannelPlan& plan = b.plan;
    const Index size = plan.parameters();
    Tensor<T> numbers = Tensor<T>::uninitialized({3, size});
    T* const out = numbers.mutable_data();
    for (Index c = 0; c < plan.channels; ++c) {
        const T w = b.weight ? b.weight->data()[c] : T(1);
        plan.spread(c, b.norm.centre.data()[c], out);
        plan.spread(c, T(b.norm.rstd.data()[c] * w), out + size);
        plan.spread(c, b.bias ? T(b.norm.shift.data()[c] * w + b.bias->data()[c]) : b.norm.shift.data()[c],
                    out + 2 * size);
    }
    const detail::Coefficients<T> all{out, out + size, out + 2 * size, nullptr};
    plan.for_runs([&, in = x.data(), past_cache = detail::goes_past_cache<T>(plan.rows(), plan.row_size())](
                      const ChannelRun& run) {
        const detail::Normalize<T> work{in + run.at,
                                        residual ? residual + run.at : nullptr,
                                        y + run.at,
                                        mask ? mask + run.mask : nullptr,
                                        detail::at_parameter(all, run.parameter),
                                        past_cache};
        if (plan.columns)
            detail::run_norm<detail::NormalizeKernel<T, true>, T>(run.n, &work, &run);
        else
            detail::run_norm<detail::NormalizeKernel<T, false>, T>(run.n, &work, &run);
    });
}

struct BatchNormWant {
    bool dx, affine, residual;
};

template <class T>
struct BatchNormGradients {
    Tensor<T> dx, dweight, dbias, dresidual;  // empty where not asked for
};

/// With g what the mask (or nullptr) lets pass of dy: dresidual = g, dbias = Σ g, dweight = Σ g · xhat and
/// dx = weight · rstd · (g − mean(g) − xhat · mean(g · xhat)), or weight · rstd · g by given statistics.
template <class T>
BatchNormGradients<T> batch_norm_backward(const BatchNorm<T>& b, const Tensor<T>& dy, const Tensor<T>& x,
                                          const detail::MaskWord* mask, bool by_batch,
                                          const BatchNormWant& want) {
    using Wide = detail::Wide<T>;
    const ChannelPlan& plan = b.plan;
    const Shape shape{plan.channels};
    BatchNormGradients<T> result;
    if (want.dx) result.dx = Tensor<T>::uninitialized(x.shape());
    if (want.residual) result.dresidual = Tensor<T>::uninitialized(x.shape());
    T* const dx = want.dx ? result.dx.mutable_data() : nullptr;
    T* const dresidual = want.residual ? result.dresidual.mutable_data() : nullptr;
    result.dweight = Tensor<T>::uninitialized(shape);
    result.dbias = Tensor<T>::uninitialized(shape);
    T *const dweight = result.dweight.mutable_data(), *const dbias = result.dbias.mutable_data();

    const Index size = plan.partials(), parameters = plan.parameters();
    Tensor<T> partial = Tensor<T>::uninitialized({2, size}),
              numbers = Tensor<T>::uninitialized({4, parameters});
    T *const s = partial.mutable_data(), *const p = s + size;
    T *const centre = numbers.mutable_data(), *const scale = centre + parameters,
             *const offset = scale + parameters, *const dy_scale = offset + parameters;
    for (Index c = 0; c < plan.channels; ++c) plan.spread(c, b.norm.centre.data()[c], centre);

    const bool sums = by_batch || want.affine;
    const auto source = [&, g = dy.data(), in = x.data()](const auto& part, Index stride, Index mask_stride) {
        return detail::GradientSource<T>{g + part.at, in + part.at, mask ? mask + part.mask : nullptr, stride,
                                         mask_stride};
    };
    const auto add_up = [&](const ChannelBlock& block) {
        if (!sums) return;
        const detail::GradientSource<T> from = source(block, plan.width(), plan.mask_width());
        const T* const c = centre + block.parameter;
        T *const sum_dy = s + block.partial, *const sum_dy_x = p + block.partial;
        if (plan.columns)
            detail::run_norm<detail::ColumnSums<T>, T>(block.n, &from, block.rows, block.n, c, sum_dy,
                                                       sum_dy_x);
        else
            detail::run_norm<detail::PlaneSums<T>, T>(block.n, &from, block.rows, block.n, c, sum_dy,
                                                      sum_dy_x);
    };
    const T share = T(1) / T(static_cast<double>(plan.count()));
    const auto combine = [&](Index c) {
        const T rstd = b.norm.rstd.data()[c], shift = b.norm.shift.data()[c];
        Wide first(0), second(0);
        if (sums)
            plan.for_partials(c, [&](Index i, Index) {
                first += Wide(s[i]);
                second += Wide(p[i]);
            });
        dbias[c] = static_cast<T>(first);
        dweight[c] = static_cast<T>(second * Wide(rstd) + first * Wide(shift));
        const T a = b.weight ? T(rstd * b.weight->data()[c]) : rstd, slope = -(a * dweight[c] * share);
        plan.spread(c, a, dy_scale);
        plan.spread(c, by_batch ? T(slope * rstd) : T(0), scale);
        plan.spread(c, by_batch ? T(slope * shift - a * dbias[c] * share) : T(0), offset);
    };
    const detail::Coefficients<T> all{centre, scale, offset, dy_scale};
    const auto apply =
        [&, past_cache = detail::goes_past_cache<T>(plan.rows(), plan.row_size())](const ChannelRun& run) {
            if (!dx && !dresidual) return;
            detail::Gradient<T> work{source(run, run.stride, run.mask_stride), dx ? dx + run.at : nullptr,
                                     dresidual ? dresidual + run.at : nullptr,
                                     detail::at_parameter(all, run.parameter), past_cache};
            if (!by_batch) work.in.x = nullptr;
            if (plan.columns)
                detail::run_norm<detail::GradientKernel<T, true>, T>(run.n, &work, run.rows, run.n);
            else
                detail::run_norm<detail::GradientKernel<T, false>, T>(run.n, &work, run.rows, run.n);
        };
    plan.in_two_passes(add_up, combine, apply);
    return result;
}

}  // namespace gradus::kernels
