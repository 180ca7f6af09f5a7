// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <type_traits>

#include "gradus/core/memory.hpp"
#include "gradus/kernels/conv_sizes.hpp"
#include "gradus/kernels/gemm.hpp"

// Convolutions of 3 x 3 with a quarter of the multiplications: Winograd's minimal filtering F(4 x 4, 3 x 3).
//
// Along one axis, 4 outputs of a filter g of 3 taps come from 6 inputs d. A product of polynomials is known
// from its values at as many points as it has coefficients, and the values of a product are products of
// values. So instead of 4 * 3 products, 6: with the points 0, a, -a, b, -b and infinity (the highest power
// alone),
//
//     y = Aᵀ [(G g) . (Bᵀ d)],    A[i][k] = pᵢᵏ,    G[i][k] = pᵢᵏ / Πⱼ (pᵢ - pⱼ),    Bᵀ[i] = Πⱼ (x - pⱼ)
//
// and along both axes y = Aᵀ [(G g Gᵀ) . (Bᵀ d B)] A: 36 products for 16 outputs instead of 144. Summed over
// input channels, the products at each of the 36 places are a matrix product of tiles and channels, where the
// time goes. The gradient of x is the convolution of dy with the weights turned round. The gradient of the
// weight is the adjoint, dg = Gᵀ [Σ (A dy Aᵀ) . (Bᵀ d B)] G, with the sum over all tiles.
//
// The points decide the rounding error, and so does the order of the sums over channels. With the usual
// points 0, 1, -1, 2, -2 and sums from the first channel to the last, the largest error in float is seven to
// eleven times that of direct summation. With a = 3/4 and b = 3/2 it is about twice; with sums in runs of 32,
// which are added up in turn, 0.5 to 1.5 times for y and dx and up to 2 times for dweight, whose direct sums
// are short when there are few images. (F(2 x 2, 3 x 3) has a fifth of the error, and 1.8 times the
// products.) One input that is not finite makes NaN, or infinities, of all outputs of the tiles that see it.
//
// Lavin & Gray, "Fast algorithms for convolutional neural networks", 2016; on points, Barabasz et al., "Error
// analysis and improving the accuracy of Winograd convolution for deep neural networks", 2020.

namespace gradus::kernels {
namespace detail::winograd {

inline constexpr Index tile_size = 4;    // outputs of a tile, along one axis
inline constexpr Index window_size = 6;  // inputs
inline constexpr Index points = window_size * window_size;
/// The points 0, a, -a, b, -b and infinity, and what the transforms know of them: powers, and the
/// denominators of G.
template <class Pack>
struct At {
    using T = typename Pack::Value;
    static constexpr T a = T(0.75), aa = a * a, aaa = aa * a;
    static constexpr T b = T(1.5), bb = b * b, bbb = bb * b;
    static constexpr T g_0 = 1 / (aa * bb);
    static constexpr T g_a = 1 / (2 * aa * (aa - bb)), g_b = 1 / (2 * bb * (bb - aa));
};

// Each transform along one axis. The points a and -a share their even and their odd powers.

/// Bᵀ.
struct InputTransform {
    static constexpr std::size_t from = 6, to = 6;
    template <class Pack>
    GRADUS_INLINE static void run(const Pack* x, Pack* y) {
        using P = At<Pack>;
        y[0] = fma(P::aa * P::bb, x[0], fma(-P::aa - P::bb, x[2], x[4]));
        y[5] = fma(P::aa * P::bb, x[1], fma(-P::aa - P::bb, x[3], x[5]));
        const Pack even_a = fma(-P::bb, x[2], x[4]), odd_a = fma(-P::bb, x[1], x[3]);
        y[1] = fma(P::a, odd_a, even_a);
        y[2] = fma(-P::a, odd_a, even_a);
        const Pack even_b = fma(-P::aa, x[2], x[4]), odd_b = fma(-P::aa, x[1], x[3]);
        y[3] = fma(P::b, odd_b, even_b);
        y[4] = fma(-P::b, odd_b, even_b);
    }
};

/// Aᵀ.
struct OutputTransform {
    static constexpr std::size_t from = 6, to = 4;
    template <class Pack>
    GRADUS_INLINE static void run(const Pack* x, Pack* y) {
        using P = At<Pack>;
        const Pack even_a = x[1] + x[2], odd_a = x[1] - x[2], even_b = x[3] + x[4], odd_b = x[3] - x[4];
        y[0] = x[0] + even_a + even_b;
        y[1] = fma(P::b, odd_b, P::a * odd_a);
        y[2] = fma(P::bb, even_b, P::aa * even_a);
        y[3] = fma(P::bbb, odd_b, fma(P::aaa, odd_a, x[5]));
    }
};

/// A.
struct OutputAdjoint {
    static constexpr std::size_t from = 4, to = 6;
    template <class Pack>
    GRADUS_INLINE static void run(const Pack* x, Pack* y) {
        using P = At<Pack>;
        const Pack even_a = fma(P::aa, x[2], x[0]), odd_a = fma(P::aaa, x[3], P::a * x[1]);
        const Pack even_b = fma(P::bb, x[2], x[0]), odd_b = fma(P::bbb, x[3], P::b * x[1]);
        y[0] = x[0];
        y[1] = even_a + odd_a;
        y[2] = even_a - odd_a;
        y[3] = even_b + odd_b;
        y[4] = even_b - odd_b;
        y[5] = x[3];
    }
};

/// G.
struct WeightTransform {
    static constexpr std::size_t from = 3, to = 6;
    template <class Pack>
    GRADUS_INLINE static void run(const Pack* x, Pack* y) {
        using P = At<Pack>;
        const Pack even_a = fma(P::g_a * P::aa, x[2], P::g_a * x[0]), odd_a = P::g_a * P::a * x[1];
        const Pack even_b = fma(P::g_b * P::bb, x[2], P::g_b * x[0]), odd_b = P::g_b * P::b * x[1];
        y[0] = P::g_0 * x[0];
        y[1] = even_a + odd_a;
        y[2] = even_a - odd_a;
        y[3] = even_b + odd_b;
        y[4] = even_b - odd_b;
        y[5] = x[2];
    }
};

/// Gᵀ.
struct WeightAdjoint {
    static constexpr std::size_t from = 6, to = 3;
    template <class Pack>
    GRADUS_INLINE static void run(const Pack* x, Pack* y) {
        using P = At<Pack>;
        const Pack even_a = x[1] + x[2], odd_a = x[1] - x[2], even_b = x[3] + x[4], odd_b = x[3] - x[4];
        y[0] = fma(P::g_0, x[0], fma(P::g_a, even_a, P::g_b * even_b));
        y[1] = fma(P::g_a * P::a, odd_a, P::g_b * P::b * odd_b);
        y[2] = fma(P::g_a * P::aa, even_a, fma(P::g_b * P::bb, even_b, x[5]));
    }
};

/// Where the matrices of a transform lie: element (i, j) of number n at data[i * row + j * column + n *
/// item], each element a panel of channels.
template <class T>
struct Layout {
    T* data;
    Index row, column, item;

    GRADUS_INLINE T* at(std::size_t i, std::size_t j) const {
        return data + static_cast<Index>(i) * row + static_cast<Index>(j) * column;
    }
};

/// to = M from Mᵀ, for `count` matrices; `bias` (a panel's width, or null) is added.
template <class T, class Transform>
struct TransformKernel {
    template <int Bytes>
    GRADUS_INLINE static void run(Layout<const T> from, Layout<T> to, Index count, const T* bias) {
        using Pack = simd::PackOf<T, Bytes>;
        constexpr std::size_t in = Transform::from, out = Transform::to;
        for (Index n = 0; n < count; ++n, from.data += from.item, to.data += to.item)
            for (Index half = 0; half < 2 * Pack::size; half += Pack::size) {
                Pack side[out][in], x[in], y[out];
                for (std::size_t j = 0; j < in; ++j) {
#pragma GCC unroll 6
                    for (std::size_t i = 0; i < in; ++i) x[i] = Pack::load(from.at(i, j) + half);
                    Transform::run(x, y);
#pragma GCC unroll 6
                    for (std::size_t i = 0; i < out; ++i) side[i][j] = y[i];
                }
                const Pack added = bias ? Pack::load(bias + half) : Pack(T(0));
                for (std::size_t i = 0; i < out; ++i) {
                    Transform::run(side[i], y);
#pragma GCC unroll 6
                    for (std::size_t j = 0; j < out; ++j)
                        (std::is_same_v<Transform, OutputTransform> ? y[j] + added : y[j])
                            .store(to.at(i, j) + half);
                }
            }
    }
};

/// Planes of up to a panel of channels, and the same pixels with the channels side by side: pixel i at
/// lanes[places[i]].
struct Pixels {
    Index plane, channels;  // distance of planes, and how many there are
    Index count;
    const Index* places;
};

/// Planes to lanes. Lanes without a channel repeat the last one: nobody reads what becomes of them.
template <class T>
struct ToLanes {
    template <int Bytes>
    GRADUS_INLINE static void run(const T* planes, Pixels p, T* out) {
        using Pack = simd::PackOf<T, Bytes>;
        constexpr int lanes = Pack::size;
        const auto plane = [&](Index channel)
                               GRADUS_INLINE_LAMBDA { return std::min(channel, p.channels - 1) * p.plane; };
        for (Index channel = 0; channel < 2 * lanes; channel += lanes) {
            if (p.count < lanes) {
                for (Index i = 0; i < p.count; ++i)
                    for (Index j = channel; j < channel + lanes; ++j)
                        out[p.places[i] + j] = planes[plane(j) + i];
                continue;
            }
            for (Index done = 0; done < p.count; done += lanes) {
                const Index first = std::min(done, p.count - lanes);
                const Index* const places = p.places + first;
                Pack v[std::size_t{lanes}];
#pragma GCC unroll 16
                for (int j = 0; j < lanes; ++j) v[j] = Pack::load(planes + plane(channel + j) + first);
                PackKernel<T>::template swap_blocks<lanes / 2, lanes>(v);
#pragma GCC unroll 16
                for (int i = 0; i < lanes; ++i) v[i].store(out + places[i] + channel);
            }
        }
    }
};

/// Lanes to planes.
template <class T>
struct ToPlanes {
    template <int Bytes>
    GRADUS_INLINE static void run(const T* lanes_of, Pixels p, T* planes) {
        using Pack = simd::PackOf<T, Bytes>;
        constexpr int lanes = Pack::size;
        for (Index channel = 0; channel < p.channels; channel += lanes) {
            const Index channels = std::min<Index>(lanes, p.channels - channel);
            T* const to = planes + channel * p.plane;
            if (p.count < lanes) {
                for (Index i = 0; i < p.count; ++i)
                    for (Index j = 0; j < channels; ++j)
                        to[j * p.plane + i] = lanes_of[p.places[i] + channel + j];
                continue;
            }
            for (Index done = 0; done < p.count; done += lanes) {
                const Index first = std::min(done, p.count - lanes);
                Pack v[std::size_t{lanes}];
#pragma GCC unroll 16
                for (int i = 0; i < lanes; ++i) v[i] = Pack::load(lanes_of + p.places[first + i] + channel);
                PackKernel<T>::template swap_blocks<lanes / 2, lanes>(v);
#pragma GCC unroll 16
                for (int j = 0; j < lanes; ++j)
                    if (j < channels) v[j].store(to + j * p.plane + first);
            }
        }
    }
};

template <class T>
struct ProductArgs {
    const T* a;  // element (i, k) at place n: a[n * a_point + i * a_row + k * a_column]
    Index a_point, a_row, a_column;
    const T* b;  // (k, j): b[n * b_point + k * tile_columns + j]
    Index b_point;
    T* c;  // (i, j): c[n * c_point + i * tile_columns + j]
    Index c_point;
    Index rows;  // a multiple of 4
    Index depth;
    bool first;  // c = a · b, else c += a · b
};

inline constexpr Index run_length = 32;  // products that are added up one after the other

/// The matrix products at all places.
template <class T>
struct Products {
    template <std::size_t Rows, int Bytes>
    GRADUS_INLINE static void tile(const ProductArgs<T>& args, const T* a, const T* b, T* c) {
        using Pack = simd::PackOf<T, Bytes>;
        constexpr Index lanes = Pack::size;
        for (Index done = 0; done < args.depth; done += run_length) {
            Pack sum[Rows][2];
#pragma GCC unroll 12
            for (std::size_t i = 0; i < Rows; ++i) sum[i][0] = sum[i][1] = Pack(T(0));
            const Index count = std::min(run_length, args.depth - done);
            for (Index k = 0; k < count; ++k, a += args.a_column, b += 2 * lanes) {
                const Pack b0 = Pack::load(b), b1 = Pack::load(b + lanes);
#pragma GCC unroll 12
                for (std::size_t i = 0; i < Rows; ++i) {
                    const Pack x(a[static_cast<Index>(i) * args.a_row]);
                    sum[i][0] = fma(x, b0, sum[i][0]);
                    sum[i][1] = fma(x, b1, sum[i][1]);
                }
            }
            T* to = c;
            if (!args.first || done > 0) {
#pragma GCC unroll 12
                for (std::size_t i = 0; i < Rows; ++i, to += 2 * lanes) {
                    (Pack::load(to) + sum[i][0]).store(to);
                    (Pack::load(to + lanes) + sum[i][1]).store(to + lanes);
                }
            } else {
#pragma GCC unroll 12
                for (std::size_t i = 0; i < Rows; ++i, to += 2 * lanes) {
                    sum[i][0].store(to);
                    sum[i][1].store(to + lanes);
                }
            }
        }
    }

    template <int Bytes>
    GRADUS_INLINE static void run(const ProductArgs<T>* given) {
        constexpr Index most = Bytes == 64 ? 12 : 6;     // rows that the registers hold
        constexpr Index awkward = Bytes == 64 ? 16 : 8;  // better halved than cut into `most` and the rest
        const ProductArgs<T> args = *given;
        for (Index n = 0; n < points; ++n) {
            const T* a = args.a + n * args.a_point;
            const T* const b = args.b + n * args.b_point;
            T* c = args.c + n * args.c_point;
            for (Index left = args.rows; left > 0;) {
                Index rows = 4;
                if (left >= most && left != awkward)
                    tile<most, Bytes>(args, a, b, c), rows = most;
                else if (Bytes == 64 && left >= 8)
                    tile<8, Bytes>(args, a, b, c), rows = 8;
                else
                    tile<4, Bytes>(args, a, b, c);
                left -= rows;
                a += rows * args.a_row;
                c += rows * tile_columns<T, Bytes>;
            }
        }
    }
};

/// Room between matrices whose sizes are powers of two, so that they do not compete for the same cache lines.
template <class T>
inline constexpr Index gap = 64 / static_cast<Index>(sizeof(T));

inline constexpr Index round_up(Index n, Index unit) { return (n + unit - 1) / unit * unit; }

/// Element (y, x) of a dense array of `width` columns in one of `pitch` columns of panels.
inline gradus::detail::RecycledVector<Index> places(Index rows, Index width, Index pitch, Index panel) {
    gradus::detail::RecycledVector<Index> result(static_cast<std::size_t>(rows * width));
    PixelWalk{rows, width, 0, 0, pitch * panel, panel}.run(0, rows * width, result.data());
    return result;
}

/// Planes [batch, channels, size] with zeros around them, in windows that begin every `tile_size` pixels.
template <class T, class Transform>
struct Tiles {
    static constexpr Index window = static_cast<Index>(Transform::from);

    const T* x;
    Index channels;
    Size2 size, before;   // zeros above and to the left
    Index rows, columns;  // windows of an image
    Index panel = tile_sizes<T>().columns;
    Index pitch = columns * tile_size + window - tile_size;
    gradus::detail::RecycledVector<Index> at = places(window, size.width, pitch, panel);

    Index panels() const { return (channels + panel - 1) / panel; }

    /// Transforms the windows of rows [first, last), counted through the batch, of panel p.
    void run(Index p, Index first, Index last, Layout<T> to) const {
        const Index line = pitch * panel, overlap = window - tile_size;
        Tensor<T> memory = zeros<T>({window * line});
        T* const side = memory.mutable_data();
        for (Index row = first; row < last; ++row, to.data += columns * to.item) {
            const Index image = row / rows, top = row % rows * tile_size - before.height;
            const Index kept = row > first && row % rows > 0 ? overlap : 0;
            std::copy_n(side + tile_size * line, kept * line, side);
            const Index begin = std::clamp(-top, kept, window);
            const Index end = std::clamp(size.height - top, begin, window);
            std::fill(side + kept * line, side + begin * line, T(0));
            std::fill(side + end * line, side + window * line, T(0));
            const T* const from =
                x + (image * channels + p * panel) * size.area() + (top + begin) * size.width;
            const Pixels pixels{size.area(), std::min(panel, channels - p * panel),
                                (end - begin) * size.width, at.data()};
            simd::run<ToLanes<T>>(from, pixels, side + begin * line + before.width * panel);
            simd::run<TransformKernel<T, Transform>>(Layout<const T>{side, line, panel, tile_size * panel},
                                                     to, columns, static_cast<const T*>(nullptr));
        }
    }
};

/// Weights [.., .., 3, 3] of which neither axis need be the output's, perhaps turned round.
template <class T>
struct Weights {
    const T* data;
    Index out, in;            // channels
    Index out_step, in_step;  // distances
    bool turned;
};

inline constexpr Index taps = 9;
inline constexpr Index chunk = 96;  // input channels whose transformed weights stay in the cache

/// The convolution of x with `weights`; y [batch, weights.out, result].
template <class T>
struct Convolution {
    const Tiles<T, InputTransform>& x;
    Weights<T> weights;
    const T* bias;
    Size2 result;
    Index batch;
    T* y;

    Index panel = x.panel;
    Index out_panels = (weights.out + panel - 1) / panel;
    Index tile_rows = batch * x.rows;
    Index block_rows = std::max<Index>(1, 64 / x.columns);  // tile rows whose products stay in the cache
    Index blocks = (tile_rows + block_rows - 1) / block_rows;
    bool shared = blocks > 1;  // one transform of the weights for all blocks
    Index pass_blocks = std::max<Index>(1, std::min(blocks, 8192 / (weights.in * block_rows * x.columns)));
    Index v_item = round_up(weights.in, panel) + gap<T>;
    Index v_point = round_up(pass_blocks * block_rows * x.columns, 4) * v_item + gap<T>;
    Index depth = shared ? weights.in : std::min(chunk, weights.in);  // of the weights at hand
    Index u_point = depth * panel + gap<T>;
    Index m_rows = round_up(block_rows * x.columns, 4);
    Index m_point = m_rows * panel + gap<T>;
    gradus::detail::RecycledVector<Index> weight_at = places(1, chunk* taps, 0, panel);
    gradus::detail::RecycledVector<Index> y_at = places(tile_size, result.width, x.columns* tile_size, panel);

    void run() const {
        Tensor<T> memory = Tensor<T>::uninitialized({points * v_point});
        Tensor<T> u_memory = Tensor<T>::uninitialized({shared ? out_panels * points * u_point : 0});
        T *const v = memory.mutable_data(), *const u = u_memory.mutable_data();
        if (shared)
            parallel_for(out_panels, 1, [&](Index begin, Index end) {
                for (Index p = begin; p < end; ++p)
                    for (Index c = 0; c < weights.in; c += chunk)
                        transform_weights(p, c, std::min(chunk, weights.in - c),
                                          u + p * points * u_point + c * panel);
            });
        for (Index first = 0; first < tile_rows; first += pass_blocks * block_rows) {
            const Index last = std::min(tile_rows, first + pass_blocks * block_rows);
            transform_images(first, last, v);
            const Index here = (last - first + block_rows - 1) / block_rows;
            parallel_for(here * out_panels, 1, [&](Index begin, Index end) {
                for (Index task = begin; task < end; ++task) {
                    const Index row = first + task / out_panels * block_rows;
                    run_block(task % out_panels, row, std::min(last, row + block_rows),
                              v + (row - first) * x.columns * v_item, u);
                }
            });
        }
    }

    void transform_images(Index first, Index last, T* v) const {
        const Index rows = std::max<Index>(1, 32 / x.columns), parts = (last - first + rows - 1) / rows;
        parallel_for(parts * x.panels(), 1, [&](Index begin, Index end) {
            for (Index task = begin; task < end; ++task) {
                const Index p = task % x.panels(), row = first + task / x.panels() * rows;
                x.run(p, row, std::min(last, row + rows),
                      {v + (row - first) * x.columns * v_item + p * panel, window_size * v_point, v_point,
                       v_item});
            }
        });
        const Index tiles = (last - first) * x.columns;
        for (Index k = 0; k < points; ++k)
            std::fill(v + k * v_point + tiles * v_item, v + k * v_point + round_up(tiles, 4) * v_item, T(0));
    }

    /// u at (k, c - first, j) = the weight of input channel c and channel j of panel p at place k.
    void transform_weights(Index p, Index first, Index count, T* u) const {
        Tensor<T> memory = Tensor<T>::uninitialized({(count + 1) * taps * panel});
        T* const side = memory.mutable_data();
        const T* const from = weights.data + p * panel * weights.out_step + first * weights.in_step;
        const Index channels = std::min(panel, weights.out - p * panel);
        if (weights.in_step == taps) {
            const Pixels pixels{weights.out_step, channels, count * taps, weight_at.data()};
            simd::run<ToLanes<T>>(from, pixels, side);
        } else
            for (Index c = 0; c < count; ++c) {
                // The rows lie so far apart that the processor does not foresee the next ones.
                for (Index i = 0; i < channels * taps && c + 2 < count; i += gap<T>)
                    __builtin_prefetch(from + (c + 2) * weights.in_step + i);
                // What is too much is overwritten by the next.
                const Index read = first + c + 1 < weights.in ? std::max(taps, panel / 2) : taps;
                const Pixels pixels{weights.out_step, channels, read, weight_at.data()};
                simd::run<ToLanes<T>>(from + c * weights.in_step, pixels, side + c * taps * panel);
            }
        const Index column = weights.turned ? -panel : panel;
        simd::run<TransformKernel<T, WeightTransform>>(
            Layout<const T>{side + (weights.turned ? (taps - 1) * panel : 0), 3 * column, column,
                            taps * panel},
            Layout<T>{u, window_size * u_point, u_point, panel}, count, static_cast<const T*>(nullptr));
    }

    void run_block(Index p, Index first, Index last, const T* v, const T* u) const {
        const Index line = x.columns * tile_size * panel;
        Tensor<T> memory = Tensor<T>::uninitialized(
            {points * m_point + tile_size * line + panel + (shared ? 0 : points * u_point)});
        T* const m = memory.mutable_data();
        T* const side = m + points * m_point;
        T* const added = side + tile_size * line;
        T* const own = added + panel;
        std::fill_n(added, panel, T(0));
        const Index channels = std::min(panel, weights.out - p * panel);
        if (bias) std::copy_n(bias + p * panel, channels, added);
        for (Index c = 0; c < weights.in; c += depth) {
            const Index count = std::min(depth, weights.in - c);
            if (!shared) transform_weights(p, c, count, own);
            const ProductArgs<T> args{v + c,
                                      v_point,
                                      v_item,
                                      1,
                                      shared ? u + p * points * u_point : own,
                                      u_point,
                                      m,
                                      m_point,
                                      round_up((last - first) * x.columns, 4),
                                      count,
                                      c == 0};
            simd::run<Products<T>>(&args);
        }
        for (Index row = first; row < last; ++row) {
            simd::run<TransformKernel<T, OutputTransform>>(
                Layout<const T>{m + (row - first) * x.columns * panel, window_size * m_point, m_point, panel},
                Layout<T>{side, line, panel, tile_size * panel}, x.columns, static_cast<const T*>(added));
            const Index top = row % x.rows * tile_size;
            const Pixels pixels{result.area(), channels,
                                std::min(tile_size, result.height - top) * result.width, y_at.data()};
            simd::run<ToPlanes<T>>(
                static_cast<const T*>(side), pixels,
                y + (row / x.rows * weights.out + p * panel) * result.area() + top * result.width);
        }
    }
};

/// The gradient of the weight [out, in, 3, 3].
template <class T>
struct WeightGradient {
    static constexpr Index part = 32;  // input channels of a task

    const Tiles<T, InputTransform>& x;
    const Tiles<T, OutputAdjoint>& dy;
    Index batch;
    T* dweight;

    Index panel = x.panel;
    Index parts = (x.channels + part - 1) / part;
    Index tile_rows = batch * x.rows;
    Index pass_rows = std::clamp<Index>(128 / x.columns, 1, tile_rows);
    bool single = pass_rows == tile_rows;
    Index v_item = round_up(x.channels, panel) + gap<T>;
    Index v_point = pass_rows * x.columns * v_item + gap<T>;
    Index m_point = pass_rows * x.columns * panel + gap<T>;
    Index sum_point = part * panel + gap<T>;
    gradus::detail::RecycledVector<Index> weight_at = places(1, part* taps, 0, panel);

    void run() const {
        const Index tasks = parts * dy.panels();
        Tensor<T> memory = Tensor<T>::uninitialized({points * v_point + dy.panels() * points * m_point});
        Tensor<T> sum_memory = Tensor<T>::uninitialized({single ? 0 : tasks * points * sum_point});
        T *const v = memory.mutable_data(), *const m = v + points * v_point;
        T* const sums = sum_memory.mutable_data();
        for (Index first = 0; first < tile_rows; first += pass_rows) {
            const Index last = std::min(tile_rows, first + pass_rows);
            transform_images(first, last, v, m);
            parallel_for(tasks, 1, [&](Index begin, Index end) {
                for (Index task = begin; task < end; ++task)
                    run_task(task / parts, task % parts, first == 0, last == tile_rows,
                             (last - first) * x.columns, v, m,
                             single ? nullptr : sums + task * points * sum_point);
            });
        }
    }

    void transform_images(Index first, Index last, T* v, T* m) const {
        const Index rows = std::max<Index>(1, 32 / x.columns), count = (last - first + rows - 1) / rows;
        const Index panels = x.panels() + dy.panels();
        parallel_for(count * panels, 1, [&](Index begin, Index end) {
            for (Index task = begin; task < end; ++task) {
                const Index p = task % panels, row = first + task / panels * rows;
                const Index tile = (row - first) * x.columns, stop = std::min(last, row + rows);
                const Index q = p - x.panels();
                if (q < 0)
                    x.run(p, row, stop,
                          {v + tile * v_item + p * panel, window_size * v_point, v_point, v_item});
                else
                    dy.run(q, row, stop,
                           {m + q * points * m_point + tile * panel, window_size * m_point, m_point, panel});
            }
        });
    }

    void run_task(Index p, Index q, bool first, bool last, Index tiles, const T* v, const T* m,
                  T* sums) const {
        Tensor<T> memory =
            Tensor<T>::uninitialized({(sums ? 0 : points * sum_point) + (last ? part * taps * panel : 0)});
        T* const sum = sums ? sums : memory.mutable_data();
        const Index count = std::min(part, x.channels - q * part);
        const ProductArgs<T> args{
            v + q * part,       v_point, 1,    v_item, m + p * points * m_point, m_point, sum, sum_point,
            round_up(count, 4), tiles,   first};
        simd::run<Products<T>>(&args);
        if (!last) return;
        T* const side = memory.mutable_data() + (sums ? 0 : points * sum_point);
        simd::run<TransformKernel<T, WeightAdjoint>>(
            Layout<const T>{sum, window_size * sum_point, sum_point, panel},
            Layout<T>{side, 3 * panel, panel, taps * panel}, count, static_cast<const T*>(nullptr));
        const Pixels pixels{x.channels * taps, std::min(panel, dy.channels - p * panel), count * taps,
                            weight_at.data()};
        simd::run<ToPlanes<T>>(static_cast<const T*>(side), pixels,
                               dweight + (p * panel * x.channels + q * part) * taps);
    }
};

/// Whether the convolution is one that these kernels compute.
inline bool fits(const ConvSizes& s) {
    const Size2 after{s.padded.height - s.image.height - s.before.height,
                      s.padded.width - s.image.width - s.before.width};
    return s.kernel == Size2(3) && s.stride == Size2(1) && s.dilation == Size2(1) && s.groups == 1 &&
           std::max({s.before.height, s.before.width, after.height, after.width}) <= 2;
}

/// Whether it is faster than the direct convolution, as far as measured: with few channels the transforms
/// take longer than the products they save, and a small result fills too little of its tiles. The number of
/// images has no say, so that the result for one does not depend on the others.
inline bool pays(const ConvSizes& s) {
    return fits(s) && std::min(s.in, s.out) >= 24 && std::min(s.result.height, s.result.width) >= 3;
}

inline Size2 tiles_of(const Size2& size) {
    return {(size.height + tile_size - 1) / tile_size, (size.width + tile_size - 1) / tile_size};
}

template <class T>
void forward(const ConvSizes& s, const Tensor<T>& padded, const Tensor<T>& weight, const T* bias, T* y) {
    const Size2 tiles = tiles_of(s.result);
    const Tiles<T, InputTransform> x{padded.data(), s.in, s.padded, {0, 0}, tiles.height, tiles.width};
    Convolution<T>{x, {weight.data(), s.out, s.in, s.in * taps, taps, false}, bias, s.result, s.batch, y}
        .run();
}

template <class T>
Tensor<T> input_gradient(const ConvSizes& s, const Tensor<T>& dy, const Tensor<T>& weight) {
    Tensor<T> dx = Tensor<T>::uninitialized({s.batch, s.in, s.image.height, s.image.width});
    const Size2 tiles = tiles_of(s.image), before{2 - s.before.height, 2 - s.before.width};
    const Tiles<T, InputTransform> x{dy.data(), s.out, s.result, before, tiles.height, tiles.width};
    Convolution<T>{x,       {weight.data(), s.in, s.out, taps, s.in * taps, true},
                   nullptr, s.image,
                   s.batch, dx.mutable_data()}
        .run();
    return dx;
}

template <class T>
Tensor<T> weight_gradient(const ConvSizes& s, const Tensor<T>& padded, const Tensor<T>& dy) {
    Tensor<T> dweight = Tensor<T>::uninitialized(s.weight_shape());
    const Size2 tiles = tiles_of(s.result);
    const Tiles<T, InputTransform> x{padded.data(), s.in, s.padded, {0, 0}, tiles.height, tiles.width};
    const Tiles<T, OutputAdjoint> g{dy.data(), s.out, s.result, {0, 0}, tiles.height, tiles.width};
    WeightGradient<T>{x, g, s.batch, dweight.mutable_data()}.run();
    return dweight;
}

}  // namespace detail::winograd
}  // namespace gradus::kernels
