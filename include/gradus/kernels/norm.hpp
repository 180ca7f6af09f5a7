// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <type_traits>

#include "gradus/kernels/arithmetic.hpp"
#include "gradus/kernels/map.hpp"

// Normalisation: of each channel of [batch, channels, plane], and of each row of [rows, n]. The result is
// never stored in its normalised form: the backward pass takes that from x, the centre and the scale again.
//
// Statistics are taken block by block, in two passes over a block that fits the cache: first its mean m, then
// the sum of the deviations from m (what rounding left of them) and of their squares. So a large mean costs
// no digits of the variance. Blocks depend on the shape alone and are put together in their order, in double.

namespace gradus::kernels {
namespace detail {

/// What sums of many blocks are kept in.
template <class T>
using Wide = std::conditional_t<std::is_floating_point_v<T>, double, T>;

/// A pack of one number of any type: the kernels below run on Dual numbers, too.
template <class T>
struct Single {
    using Value = T;
    static constexpr int size = 1;
    T v{};

    Single() = default;
    Single(const T& number) : v(number) {}
    static Single load(const T* from) { return *from; }
    static Single load_partial(const T* from, int, const T& = T(0)) { return *from; }
    void store(T* to) const { *to = v; }
    void store_partial(T* to, int) const { *to = v; }
    friend Single operator+(const Single& a, const Single& b) { return T(a.v + b.v); }
    friend Single operator-(const Single& a, const Single& b) { return T(a.v - b.v); }
    friend Single operator*(const Single& a, const Single& b) { return T(a.v * b.v); }
    Single& operator+=(const Single& b) { return *this = *this + b; }
    friend Single fma(const Single& a, const Single& b, const Single& c) { return T(a.v * b.v + c.v); }
    friend T sum(const Single& x) { return x.v; }
};

/// Kernel::body<P>(args...) with P a pack of the chosen instruction set, or Single if T does not fit in one.
template <class Kernel, class T>
struct ForPacks {
    template <int Bytes, class... Args>
    GRADUS_INLINE static void run(Args... args) {
        Kernel::template body<simd::PackOf<T, Bytes>>(args...);
    }
};

template <class Kernel, class T, class... Args>
void run_norm(Args... args) {
    if constexpr (std::is_floating_point_v<T>)
        simd::run<ForPacks<Kernel, T>>(args...);
    else
        Kernel::template body<Single<T>>(args...);
}

template <class T>
inline constexpr T lane_numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/// Reads rows of n elements. What does not fill a pack at the end of a row is read to the full width, if that
/// is still memory of the tensor, and the lanes too many are replaced.
template <class P>
struct RowReader {
    using T = typename P::Value;
    int rest;

    GRADUS_INLINE explicit RowReader(Index n) : rest(static_cast<int>(n % P::size)) {}

    /// Element i of the row and those after it; `readable` elements follow the start of the row.
    template <bool Whole>
    GRADUS_INLINE P read(const T* row, Index i, Index readable, const T& fill,
                         std::bool_constant<Whole>) const {
        if constexpr (Whole || P::size == 1) {
            return P::load(row + i);
        } else {
            if (readable - i < P::size) return P::load_partial(row + i, rest, fill);
            return select(P::load(lane_numbers<T>) < P(static_cast<T>(rest)), P::load(row + i), P(fill));
        }
    }
};

/// Calls f(i, k, whole) for every pack of a row: i is where it begins, k < 4 the accumulator to use.
template <class P, class F>
GRADUS_INLINE void for_packs(Index n, const F& f) {
    constexpr Index lanes = P::size;
    Index i = 0;
    for (; i + 4 * lanes <= n; i += 4 * lanes)
#pragma GCC unroll 4
        for (int k = 0; k < 4; ++k) f(i + k * lanes, k, std::true_type());
    for (; i + lanes <= n; i += lanes) f(i, 0, std::true_type());
    if (i < n) f(i, 1, std::false_type());
}

template <class P>
GRADUS_INLINE typename P::Value sum4(const P* part) {
    return sum((part[0] + part[1]) + (part[2] + part[3]));
}

/// Elements that are summed in T before the sum goes on in Wide.
inline constexpr Index norm_block = 4096;

/// Of one block, `planes` rows of n elements: m ≈ their mean, Σ (x − m) and Σ (x − m)².
template <class T>
struct PlaneMoments {
    template <class P>
    GRADUS_INLINE static void body(const T* x, Index planes, Index stride, Index n, Index readable, T* m,
                                   T* d, T* q) {
        const RowReader<P> reader(n);
        P total[4] = {T(0), T(0), T(0), T(0)}, squares[4] = {T(0), T(0), T(0), T(0)};
        for (Index p = 0; p < planes; ++p)
            for_packs<P>(n, [&](Index i, int k, auto whole) GRADUS_INLINE_LAMBDA {
                total[k] += reader.read(x + p * stride, i, readable - p * stride, T(0), whole);
            });
        const T centre = sum4(total) / T(static_cast<double>(planes * n));
        for (P& part : total) part = P(T(0));
        for (Index p = 0; p < planes; ++p)
            for_packs<P>(n, [&](Index i, int k, auto whole) GRADUS_INLINE_LAMBDA {
                const P off =
                    reader.read(x + p * stride, i, readable - p * stride, centre, whole) - P(centre);
                total[k] += off;
                squares[k] = fma(off, off, squares[k]);
            });
        *m = centre;
        *d = sum4(total);
        *q = sum4(squares);
    }
};

/// Of one block: Σ dy and Σ dy (x − centre).
template <class T>
struct PlaneSums {
    template <class P>
    GRADUS_INLINE static void body(const T* dy, const T* x, Index planes, Index stride, Index n,
                                   Index readable, const T* centre, T* sum_dy, T* sum_dy_x) {
        const RowReader<P> reader(n);
        const P c(*centre);
        P total[4] = {T(0), T(0), T(0), T(0)}, products[4] = {T(0), T(0), T(0), T(0)};
        for (Index p = 0; p < planes; ++p)
            for_packs<P>(n, [&](Index i, int k, auto whole) GRADUS_INLINE_LAMBDA {
                const Index left = readable - p * stride;
                const P g = reader.read(dy + p * stride, i, left, T(0), whole);
                total[k] += g;
                products[k] = fma(g, reader.read(x + p * stride, i, left, *centre, whole) - c, products[k]);
            });
        *sum_dy = sum4(total);
        *sum_dy_x = sum4(products);
    }
};

/// The last argument of a strip of columns: whether its packs are whole.
template <class P, class F>
GRADUS_INLINE void for_strips(Index columns, const F& f) {
    constexpr Index lanes = P::size;
    Index j = 0;
    for (; j + 4 * lanes <= columns; j += 4 * lanes)
        f(j, std::integral_constant<std::size_t, 4>(), std::true_type());
    for (; j + lanes <= columns; j += lanes) f(j, std::integral_constant<std::size_t, 1>(), std::true_type());
    if (j < columns) f(j, std::integral_constant<std::size_t, 1>(), std::false_type());
}

template <bool Whole, class P, class T>
GRADUS_INLINE void put(const P& pack, T* to, int rest) {
    if constexpr (Whole)
        pack.store(to);
    else
        pack.store_partial(to, rest);
}

/// What PlaneMoments finds, for every column of `rows` rows.
template <class T>
struct ColumnMoments {
    template <class P>
    GRADUS_INLINE static void body(const T* x, Index rows, Index stride, Index columns, Index readable, T* m,
                                   T* d, T* q) {
        const RowReader<P> reader(columns);
        const P share(T(1) / T(static_cast<double>(rows)));
        for_strips<P>(columns, [&](Index j, auto count, auto whole) GRADUS_INLINE_LAMBDA {
            constexpr std::size_t packs = decltype(count)::value;
            P centre[packs], off[packs], squares[packs];
            for (std::size_t k = 0; k < packs; ++k) centre[k] = off[k] = squares[k] = P(T(0));
            for (Index r = 0; r < rows; ++r)
#pragma GCC unroll 4
                for (std::size_t k = 0; k < packs; ++k)
                    centre[k] += reader.read(x + r * stride, j + static_cast<Index>(k) * P::size,
                                             readable - r * stride, T(0), whole);
            for (std::size_t k = 0; k < packs; ++k) centre[k] = centre[k] * share;
            for (Index r = 0; r < rows; ++r)
#pragma GCC unroll 4
                for (std::size_t k = 0; k < packs; ++k) {
                    const P deviation = reader.read(x + r * stride, j + static_cast<Index>(k) * P::size,
                                                    readable - r * stride, T(0), whole) -
                                        centre[k];
                    off[k] += deviation;
                    squares[k] = fma(deviation, deviation, squares[k]);
                }
            for (std::size_t k = 0; k < packs; ++k) {
                put<decltype(whole)::value>(centre[k], m + j + static_cast<Index>(k) * P::size, reader.rest);
                put<decltype(whole)::value>(off[k], d + j + static_cast<Index>(k) * P::size, reader.rest);
                put<decltype(whole)::value>(squares[k], q + j + static_cast<Index>(k) * P::size, reader.rest);
            }
        });
    }
};

/// What PlaneSums finds, for every column of `rows` rows.
template <class T>
struct ColumnSums {
    template <class P>
    GRADUS_INLINE static void body(const T* dy, const T* x, Index rows, Index stride, Index columns,
                                   Index readable, const T* centre, T* sum_dy, T* sum_dy_x) {
        const RowReader<P> reader(columns);
        for_strips<P>(columns, [&](Index j, auto count, auto whole) GRADUS_INLINE_LAMBDA {
            constexpr std::size_t packs = decltype(count)::value;
            P c[packs], total[packs], products[packs];
            for (std::size_t k = 0; k < packs; ++k) {
                c[k] = reader.read(centre, j + static_cast<Index>(k) * P::size, columns, T(0), whole);
                total[k] = products[k] = P(T(0));
            }
            for (Index r = 0; r < rows; ++r)
#pragma GCC unroll 4
                for (std::size_t k = 0; k < packs; ++k) {
                    const Index left = readable - r * stride;
                    const P g =
                        reader.read(dy + r * stride, j + static_cast<Index>(k) * P::size, left, T(0), whole);
                    total[k] += g;
                    const P value =
                        reader.read(x + r * stride, j + static_cast<Index>(k) * P::size, left, T(0), whole);
                    products[k] = fma(g, value - c[k], products[k]);
                }
            for (std::size_t k = 0; k < packs; ++k) {
                put<decltype(whole)::value>(total[k], sum_dy + j + static_cast<Index>(k) * P::size,
                                            reader.rest);
                put<decltype(whole)::value>(products[k], sum_dy_x + j + static_cast<Index>(k) * P::size,
                                            reader.rest);
            }
        });
    }
};

/// out = (x − centre) · scale + offset, where backward adds dy · dy_scale. Row r of n elements takes these
/// four numbers from channel (first + r) mod channels or, if PerElement, from the arrays' own n elements.
template <class T>
struct Affine {
    const T *x, *dy;
    T* out;
    const T *centre, *scale, *offset, *dy_scale;
};

template <class T, bool Backward, bool PerElement>
struct AffineKernel {
    template <class P>
    GRADUS_INLINE static void body(const Affine<T>* const a, Index rows, Index n, Index first,
                                   Index channels) {
        constexpr Index lanes = P::size;
        const int rest = static_cast<int>(n % lanes);
        for (Index r = 0; r < rows; ++r) {
            const Index c = PerElement ? 0 : (first + r) % channels;
            const T *const x = a->x + r * n, *const dy = Backward ? a->dy + r * n : nullptr;
            T* const out = a->out + r * n;
            const auto at = [&](Index i, auto whole) GRADUS_INLINE_LAMBDA {
                const auto load = [&](const T* from) GRADUS_INLINE_LAMBDA {
                    return decltype(whole)::value ? P::load(from + i) : P::load_partial(from + i, rest);
                };
                const auto parameter = [&](const T* from) GRADUS_INLINE_LAMBDA {
                    return PerElement ? load(from) : P(from[c]);
                };
                P base = parameter(a->offset);
                if constexpr (Backward) base = fma(load(dy), parameter(a->dy_scale), base);
                put<decltype(whole)::value>(fma(load(x) - parameter(a->centre), parameter(a->scale), base),
                                            out + i, rest);
            };
            Index i = 0;
            for (; i + lanes <= n; i += lanes) at(i, std::true_type());
            if (i == n) continue;
            if (n >= lanes)
                at(n - lanes, std::true_type());  // some elements a second time, with the same result
            else
                at(0, std::false_type());
        }
    }
};

}  // namespace detail

/// How a tensor [batch, channels, ...] is cut into blocks. Small planes are not worth loops of their own:
/// they become columns of the matrix [batch, channels · plane].
struct ChannelPlan {
    static constexpr Index rows_per_block = 64, strip = 256;  // of columns

    Index batch, channels, plane;
    bool columns;
    Index chunk, chunks;  // of a plane, and how many of them
    Index group, blocks;  // planes of a block, or rows; blocks per channel, or of rows

    explicit ChannelPlan(const Shape& shape)
        : batch(shape[0]), channels(shape[1]), plane(shape.span(2, shape.rank())), columns(plane < 16) {
        chunk = std::clamp<Index>(plane, 1, detail::norm_block);
        chunks = columns ? 1 : (plane + chunk - 1) / chunk;
        group = columns ? rows_per_block : std::max<Index>(1, detail::norm_block / chunk);
        blocks = chunks > 1 ? batch * chunks : (batch + group - 1) / group;
    }

    Index width() const { return channels * plane; }
    Index count() const { return batch * plane; }  // values per channel

    /// Elements of one block, of one column each.
    Index block_size(Index j) const {
        if (chunks > 1) return std::min(chunk, plane - j % chunks * chunk);
        return std::min(group, batch - j * group) * (columns ? 1 : plane);
    }

    /// Calls visit(index, block) for each partial result of a channel, in an order that depends on nothing.
    template <class Visit>
    void for_partials(Index channel, const Visit& visit) const {
        for (Index j = 0; j < blocks; ++j)
            if (columns)
                for (Index s = 0; s < plane; ++s) visit(j * width() + channel * plane + s, j);
            else
                visit(channel * blocks + j, j);
    }
    Index partials() const { return columns ? blocks * width() : channels * blocks; }

    /// Calls plane_block(first element, planes, length, index) or column_block(first element, rows, columns,
    /// first column, index) for every block, on several threads.
    template <class PlaneBlock, class ColumnBlock>
    void for_blocks(const PlaneBlock& plane_block, const ColumnBlock& column_block) const {
        if (columns) {
            const Index strips = (width() + strip - 1) / strip;
            const Index grain =
                std::max<Index>(1, parallel_grain / (group * std::min(strip, std::max<Index>(width(), 1))));
            parallel_for(blocks * strips, grain, [&](Index begin, Index end) {
                for (Index i = begin; i < end; ++i) {
                    const Index j = i / strips, column = i % strips * strip;
                    column_block(j * group * width() + column, std::min(group, batch - j * group),
                                 std::min(strip, width() - column), column, j * width() + column);
                }
            });
        } else {
            const Index grain = std::max<Index>(1, parallel_grain / (group * chunk));
            parallel_for(channels * blocks, grain, [&](Index begin, Index end) {
                for (Index i = begin; i < end; ++i) {
                    const Index c = i / blocks, j = i % blocks;
                    const Index sample = chunks > 1 ? j / chunks : j * group;
                    const Index offset = chunks > 1 ? j % chunks * chunk : 0;
                    plane_block((sample * channels + c) * plane + offset,
                                chunks > 1 ? 1 : std::min(group, batch - sample),
                                chunks > 1 ? block_size(j) : plane, c, i);
                }
            });
        }
    }
};

/// What normalises a channel or a row: xhat = (x − centre) · rstd + shift. The centre is the mean, rounded to
/// T; shift makes up for the rounding, which shows where the mean is large.
template <class T>
struct NormStatistics {
    Tensor<T> centre, rstd, shift;
};

template <class T>
struct BatchStatistics {
    NormStatistics<T> norm;
    Tensor<T> var;  // divided by the count
};

namespace detail {

/// Puts mean and variance into the form that kernels use, and returns them rounded.
template <class T>
void write_statistics(const Wide<T>& mean, const Wide<T>& var, double eps, T* centre, T* rstd, T* shift) {
    using std::sqrt;
    const Wide<T> r = Wide<T>(1) / sqrt(var + Wide<T>(eps));
    *centre = static_cast<T>(mean);
    *rstd = static_cast<T>(r);
    *shift = static_cast<T>((Wide<T>(*centre) - mean) * r);
}

/// Runs f(channel) over the channels, which have `partials` partial results to put together.
template <class F>
void for_channels(const ChannelPlan& plan, const F& f) {
    const Index each = std::max<Index>(1, plan.partials() / std::max<Index>(1, plan.channels));
    parallel_for(plan.channels, std::max<Index>(1, parallel_grain / 4 / each), [&](Index begin, Index end) {
        for (Index c = begin; c < end; ++c) f(c);
    });
}

/// One number per channel, repeated for each column if the plan has columns.
template <class T>
Tensor<T> per_column(const ChannelPlan& plan, const Tensor<T>& x) {
    if (!plan.columns || plan.plane == 1) return x;
    Tensor<T> result = Tensor<T>::uninitialized({plan.width()});
    T* out = result.mutable_data();
    for (const T& value : x) out = std::fill_n(out, plan.plane, value);
    return result;
}

}  // namespace detail

/// Mean and variance of every channel. Expects at least one value per channel.
template <class T>
BatchStatistics<T> batch_statistics(const Tensor<T>& x, const ChannelPlan& plan, double eps) {
    using Wide = detail::Wide<T>;
    const Index size = plan.partials(), total = x.numel();
    Tensor<T> partial = Tensor<T>::uninitialized({3, size});
    T *const m = partial.mutable_data(), *const d = m + size, *const q = d + size;
    const T* const in = x.data();
    plan.for_blocks(
        [&](Index at, Index planes, Index n, Index, Index i) {
            detail::run_norm<detail::PlaneMoments<T>, T>(in + at, planes, plan.width(), n, total - at, m + i,
                                                         d + i, q + i);
        },
        [&](Index at, Index rows, Index columns, Index, Index i) {
            detail::run_norm<detail::ColumnMoments<T>, T>(in + at, rows, plan.width(), columns, total - at,
                                                          m + i, d + i, q + i);
        });
    const Shape shape{plan.channels};
    BatchStatistics<T> result{
        {Tensor<T>::uninitialized(shape), Tensor<T>::uninitialized(shape), Tensor<T>::uninitialized(shape)},
        Tensor<T>::uninitialized(shape)};
    T *const centre = result.norm.centre.mutable_data(), *const rstd = result.norm.rstd.mutable_data();
    T *const shift = result.norm.shift.mutable_data(), *const var = result.var.mutable_data();
    const Wide share = Wide(1) / Wide(static_cast<double>(plan.count()));
    detail::for_channels(plan, [&](Index c) {
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
    });
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

namespace detail {

/// Runs AffineKernel over a whole tensor.
template <bool Backward, class T>
void affine_by_channel(const Affine<T>& whole, const ChannelPlan& plan) {
    const bool columns = plan.columns;
    const Index n = columns ? plan.width() : plan.plane;
    const Index rows = columns ? plan.batch : plan.batch * plan.channels;
    if (n == 0) return;
    parallel_for(rows, std::max<Index>(1, parallel_grain / n), [&](Index begin, Index end) {
        Affine<T> part = whole;
        part.x += begin * n;
        part.out += begin * n;
        if (Backward) part.dy += begin * n;
        if (columns)
            run_norm<AffineKernel<T, Backward, true>, T>(&part, end - begin, n, Index{0}, Index{1});
        else
            run_norm<AffineKernel<T, Backward, false>, T>(&part, end - begin, n, begin, plan.channels);
    });
}

}  // namespace detail

/// y = xhat · weight + bias, one of each per channel; without them (nullptr) xhat itself.
template <class T>
Tensor<T> batch_norm(const Tensor<T>& x, const ChannelPlan& plan, const NormStatistics<T>& norm,
                     const Tensor<T>* weight, const Tensor<T>* bias) {
    Tensor<T> y = Tensor<T>::uninitialized(x.shape());
    Tensor<T> scale = norm.rstd, offset = norm.shift;
    if (weight) {
        T *const a = scale.mutable_data(), *const b = offset.mutable_data();
        for (Index c = 0; c < plan.channels; ++c) {
            a[c] = a[c] * weight->data()[c];
            b[c] = b[c] * weight->data()[c] + bias->data()[c];
        }
    }
    const Tensor<T> centre = detail::per_column(plan, norm.centre);
    scale = detail::per_column(plan, scale);
    offset = detail::per_column(plan, offset);
    detail::affine_by_channel<false>(detail::Affine<T>{x.data(), nullptr, y.mutable_data(), centre.data(),
                                                       scale.data(), offset.data(), nullptr},
                                     plan);
    return y;
}

template <class T>
struct BatchNormSums {
    Tensor<T> dy, dy_xhat;  // [channels]
};

/// Σ dy and Σ dy · xhat of every channel: the gradients of bias and weight.
template <class T>
BatchNormSums<T> batch_norm_sums(const Tensor<T>& dy, const Tensor<T>& x, const ChannelPlan& plan,
                                 const NormStatistics<T>& norm) {
    using Wide = detail::Wide<T>;
    const Index size = plan.partials(), total = x.numel();
    Tensor<T> partial = Tensor<T>::uninitialized({2, size});
    T *const s = partial.mutable_data(), *const p = s + size;
    const Tensor<T> centres = detail::per_column(plan, norm.centre);
    const T *const g = dy.data(), *const in = x.data(), *const centre = centres.data();
    plan.for_blocks(
        [&](Index at, Index planes, Index n, Index c, Index i) {
            detail::run_norm<detail::PlaneSums<T>, T>(g + at, in + at, planes, plan.width(), n, total - at,
                                                      centre + c, s + i, p + i);
        },
        [&](Index at, Index rows, Index columns, Index column, Index i) {
            detail::run_norm<detail::ColumnSums<T>, T>(g + at, in + at, rows, plan.width(), columns,
                                                       total - at, centre + column, s + i, p + i);
        });
    BatchNormSums<T> sums{Tensor<T>::uninitialized({plan.channels}),
                          Tensor<T>::uninitialized({plan.channels})};
    T *const sum_dy = sums.dy.mutable_data(), *const sum_dy_xhat = sums.dy_xhat.mutable_data();
    detail::for_channels(plan, [&](Index c) {
        Wide first(0), second(0);
        plan.for_partials(c, [&](Index i, Index) {
            first += Wide(s[i]);
            second += Wide(p[i]);
        });
        sum_dy[c] = static_cast<T>(first);
        sum_dy_xhat[c] =
            static_cast<T>(second * Wide(norm.rstd.data()[c]) + first * Wide(norm.shift.data()[c]));
    });
    return sums;
}

/// dx of normalisation by the batch's own statistics: weight · rstd · (dy − mean(dy) − xhat · mean(dy ·
/// xhat)).
template <class T>
Tensor<T> batch_norm_backward(const Tensor<T>& dy, const Tensor<T>& x, const ChannelPlan& plan,
                              const NormStatistics<T>& norm, const Tensor<T>* weight,
                              const BatchNormSums<T>& sums) {
    Tensor<T> dx = Tensor<T>::uninitialized(x.shape());
    Tensor<T> dy_scale = norm.rstd, scale = norm.rstd, offset = norm.shift;
    T *const a = dy_scale.mutable_data(), *const b = scale.mutable_data(), *const k = offset.mutable_data();
    const T share = T(1) / T(static_cast<double>(plan.count()));
    for (Index c = 0; c < plan.channels; ++c) {
        if (weight) a[c] = a[c] * weight->data()[c];
        const T slope = -(a[c] * sums.dy_xhat.data()[c] * share);
        k[c] = slope * k[c] - a[c] * sums.dy.data()[c] * share;
        b[c] = slope * b[c];
    }
    const Tensor<T> centre = detail::per_column(plan, norm.centre);
    dy_scale = detail::per_column(plan, dy_scale);
    scale = detail::per_column(plan, scale);
    offset = detail::per_column(plan, offset);
    detail::affine_by_channel<true>(detail::Affine<T>{x.data(), dy.data(), dx.mutable_data(), centre.data(),
                                                      scale.data(), offset.data(), dy_scale.data()},
                                    plan);
    return dx;
}

/// dx of normalisation by statistics that are given: dy · weight · rstd.
template <class T>
Tensor<T> scale_channels(const Tensor<T>& dy, const ChannelPlan& plan, Tensor<T> rstd,
                         const Tensor<T>* weight) {
    if (weight) rstd = rstd * *weight;
    const Tensor<T> planes = dy.reshape({plan.batch, plan.channels, plan.plane});
    return (planes * rstd.reshape({plan.channels, 1})).reshape(dy.shape());
}

namespace detail {

template <class T>
struct TwoSums {
    Wide<T> first{0}, second{0};
};

/// Two sums over a row, in Wide from block to block: f(i, whole, first, second) adds a pack to each.
template <class P, class F>
GRADUS_INLINE auto row_sums(Index n, const F& f) {
    using T = typename P::Value;
    TwoSums<T> total;
    for (Index begin = 0; begin < n; begin += norm_block) {
        P first[4] = {T(0), T(0), T(0), T(0)}, second[4] = {T(0), T(0), T(0), T(0)};
        for_packs<P>(std::min(norm_block, n - begin), [&](Index i, int k, auto whole) GRADUS_INLINE_LAMBDA {
            f(begin + i, whole, first[k], second[k]);
        });
        total.first += Wide<T>(sum4(first));
        total.second += Wide<T>(sum4(second));
    }
    return total;
}

template <class T>
struct RowNorm {
    const T *x, *weight, *bias;  // weight and bias: both or neither
    T *y, *centre, *rstd, *shift;
    double eps;
};

template <class T>
struct RowNormKernel {
    template <class P>
    GRADUS_INLINE static void body(const RowNorm<T>* const a, Index rows, Index n) {
        const RowReader<P> reader(n);
        const Wide<T> share = Wide<T>(1) / Wide<T>(static_cast<double>(n));
        for (Index r = 0; r < rows; ++r) {
            const T* const x = a->x + r * n;
            const Index readable = (rows - r) * n;
            const auto rough = row_sums<P>(n, [&](Index i, auto whole, P& sum, P&) GRADUS_INLINE_LAMBDA {
                sum += reader.read(x, i, readable, T(0), whole);
            });
            const T m = static_cast<T>(share * rough.first);
            const auto fine =
                row_sums<P>(n, [&](Index i, auto whole, P& sum, P& squares) GRADUS_INLINE_LAMBDA {
                    const P off = reader.read(x, i, readable, m, whole) - P(m);
                    sum += off;
                    squares = fma(off, off, squares);
                });
            const Wide<T> off = share * fine.first;
            Wide<T> var = share * fine.second - off * off;
            if (var < Wide<T>(0)) var = Wide<T>(0);  // by rounding
            write_statistics<T>(Wide<T>(m) + off, var, a->eps, a->centre + r, a->rstd + r, a->shift + r);
            apply<P>(*a, r, n, reader.rest);
        }
    }

    template <class P>
    GRADUS_INLINE static void apply(const RowNorm<T>& a, Index r, Index n, int rest) {
        const P centre(a.centre[r]), rstd(a.rstd[r]), shift(a.shift[r]);
        const T* const x = a.x + r * n;
        T* const y = a.y + r * n;
        for_packs<P>(n, [&](Index i, int, auto whole) GRADUS_INLINE_LAMBDA {
            const auto load = [&](const T* from) GRADUS_INLINE_LAMBDA {
                return decltype(whole)::value ? P::load(from + i) : P::load_partial(from + i, rest);
            };
            P xhat = fma(load(x) - centre, rstd, shift);
            if (a.weight) xhat = fma(xhat, load(a.weight), load(a.bias));
            put<decltype(whole)::value>(xhat, y + i, rest);
        });
    }
};

template <class T>
struct RowNormBackward {
    const T *dy, *x, *weight, *centre, *rstd, *shift;  // weight: may be nullptr
    T *dx, *sum_dy_xhat, *sum_dy;                      // each may be nullptr; sums are added to
};

template <class T>
struct RowNormBackwardKernel {
    template <class P>
    GRADUS_INLINE static void body(const RowNormBackward<T>* const a, Index rows, Index n) {
        const int rest = static_cast<int>(n % P::size);
        const Wide<T> share = Wide<T>(1) / Wide<T>(static_cast<double>(n));
        for (Index r = 0; r < rows; ++r) {
            const T *const dy = a->dy + r * n, *const x = a->x + r * n;
            const P centre(a->centre[r]), rstd(a->rstd[r]), shift(a->shift[r]);
            const auto load = [&](const T* from, Index i, auto whole) GRADUS_INLINE_LAMBDA {
                return decltype(whole)::value ? P::load(from + i) : P::load_partial(from + i, rest);
            };
            const auto slope = [&](Index i, auto whole) GRADUS_INLINE_LAMBDA {  // of the loss by xhat
                const P g = load(dy, i, whole);
                return a->weight ? g * load(a->weight, i, whole) : g;
            };
            const auto normalized = [&](Index i, auto whole) GRADUS_INLINE_LAMBDA {
                return fma(load(x, i, whole) - centre, rstd, shift);
            };
            TwoSums<T> sums;
            if (a->dx)
                sums = row_sums<P>(n, [&](Index i, auto whole, P& sum, P& product) GRADUS_INLINE_LAMBDA {
                    const P g = slope(i, whole);
                    sum += g;
                    product = fma(g, normalized(i, whole), product);
                });
            const P mean(static_cast<T>(share * sums.first)),
                mean_product(static_cast<T>(share * sums.second));
            for_packs<P>(n, [&](Index i, int, auto whole) GRADUS_INLINE_LAMBDA {
                constexpr bool full = decltype(whole)::value;
                const P xhat = normalized(i, whole);
                if (a->dx)
                    put<full>(rstd * (slope(i, whole) - mean - xhat * mean_product), a->dx + r * n + i, rest);
                if (a->sum_dy) {
                    const P g = load(dy, i, whole);
                    put<full>(fma(g, xhat, load(a->sum_dy_xhat, i, whole)), a->sum_dy_xhat + i, rest);
                    put<full>(load(a->sum_dy, i, whole) + g, a->sum_dy + i, rest);
                }
            });
        }
    }
};

}  // namespace detail

template <class T>
struct LayerNormResult {
    Tensor<T> y;
    NormStatistics<T> norm;  // one of each per row
};

/// Each row of n numbers of x, normalised; then times weight plus bias, of n numbers each (or nullptr).
template <class T>
LayerNormResult<T> layer_norm(const Tensor<T>& x, Index n, const Tensor<T>* weight, const Tensor<T>* bias,
                              double eps) {
    const Index rows = n == 0 ? 0 : x.numel() / n;
    LayerNormResult<T> result{Tensor<T>::uninitialized(x.shape()),
                              {Tensor<T>::uninitialized({rows}), Tensor<T>::uninitialized({rows}),
                               Tensor<T>::uninitialized({rows})}};
    const detail::RowNorm<T> whole{x.data(),
                                   weight ? weight->data() : nullptr,
                                   bias ? bias->data() : nullptr,
                                   result.y.mutable_data(),
                                   result.norm.centre.mutable_data(),
                                   result.norm.rstd.mutable_data(),
                                   result.norm.shift.mutable_data(),
                                   eps};
    parallel_for(rows, std::max<Index>(1, parallel_grain / std::max<Index>(n, 1)),
                 [&](Index begin, Index end) {
                     detail::RowNorm<T> part = whole;
                     part.x += begin * n;
                     part.y += begin * n;
                     part.centre += begin;
                     part.rstd += begin;
                     part.shift += begin;
                     detail::run_norm<detail::RowNormKernel<T>, T>(&part, end - begin, n);
                 });
    return result;
}

template <class T>
struct LayerNormGradients {
    Tensor<T> dx, dweight, dbias;  // empty where not asked for; the last two [blocks, n], to be summed
};

/// dx = rstd (g − mean(g) − xhat · mean(g · xhat)) with g = dy · weight; dweight = Σ dy · xhat, dbias = Σ dy.
template <class T>
LayerNormGradients<T> layer_norm_backward(const Tensor<T>& dy, const Tensor<T>& x, Index n,
                                          const NormStatistics<T>& norm, const Tensor<T>* weight,
                                          bool want_dx, bool want_affine) {
    const Index rows = norm.centre.numel();
    const Index block = std::max<Index>(8, parallel_grain / std::max<Index>(n, 1));
    LayerNormGradients<T> result;
    if (want_dx) result.dx = Tensor<T>::uninitialized(x.shape());
    if (want_affine) {
        result.dweight = zeros<T>({(rows + block - 1) / block, n});
        result.dbias = zeros<T>(result.dweight.shape());
    }
    T* const dx = want_dx ? result.dx.mutable_data() : nullptr;
    T* const dweight = want_affine ? result.dweight.mutable_data() : nullptr;
    T* const dbias = want_affine ? result.dbias.mutable_data() : nullptr;
    parallel_for(rows, block, [&](Index begin, Index end) {
        const Index row = begin / block * n;
        const detail::RowNormBackward<T> part{dy.data() + begin * n,
                                              x.data() + begin * n,
                                              weight ? weight->data() : nullptr,
                                              norm.centre.data() + begin,
                                              norm.rstd.data() + begin,
                                              norm.shift.data() + begin,
                                              dx ? dx + begin * n : nullptr,
                                              dweight ? dweight + row : nullptr,
                                              dbias ? dbias + row : nullptr};
        detail::run_norm<detail::RowNormBackwardKernel<T>, T>(&part, end - begin, n);
    });
    return result;
}

}  // namespace gradus::kernels
