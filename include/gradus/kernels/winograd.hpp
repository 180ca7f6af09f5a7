// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "gradus/kernels/winograd_products.hpp"
#include "gradus/kernels/winograd_tiles.hpp"

// Convolutions of 3 x 3 and 5 x 5 taps and stride 1 between many channels with a fraction of the
// multiplications; the formulas are in winograd_transforms.hpp. Images are cut into tiles of 4 x 4 outputs,
// whose inputs overlap. Summed over input channels, the products at each point are a matrix product of tiles
// and channels:
//
//     images -> Windows -> values at the points [point, tile, channel]  \.
//     weights -> transform_weights -> [panel, point, channel, panel]    -> Products -> Patches -> images
//
// The gradient of x takes the same way with the transposed transforms, dy for x and the channels exchanged.
//
// With sums over channels in runs of 32, the largest error for 3 x 3 taps is 0.5 to 1.5 times that of direct
// summation, up to 2 times for dweight, whose direct sums are short when there are few images. One input that
// is not finite makes NaN, or infinities, of all outputs of the tiles that see it.

namespace gradus::kernels::detail::winograd {

/// Room between matrices whose sizes are powers of two, so that they do not compete for the same cache lines.
template <class T>
inline constexpr Index gap = 64 / static_cast<Index>(sizeof(T));

/// Weights [.., .., Taps, Taps] of which neither axis need be the output's.
template <class T>
struct Weights {
    const T* data;
    Index out, in;            // channels
    Index out_step, in_step;  // distances
};

/// The images that `x` reads, times the weights, as `y` writes them.
template <class T, std::size_t Taps, class From, class To>
struct Convolution {
    static constexpr Index side = static_cast<Index>(Points<Taps>::count), points = side * side;
    static constexpr Index taps = static_cast<Index>(Taps * Taps);
    static constexpr Index pass_values = 294912 / points;  // numbers at each point: so do those of a pass
    static constexpr Index chunk = Taps == 3 ? 96 : 32;    // input channels whose weights stay in the cache

    const Windows<T, From>& x;
    const Patches<T, To>& y;
    Weights<T> weights;
    Index batch;

    Size2 grid = x.grid;
    Index panel = x.panel;
    Index block_tiles = (Taps == 3 ? 64 : 24) / (y.panels() > 1 ? 1 : 2);  // their products stay in the cache
    Pieces blocks{{0, batch, 0, grid.height}, grid.width, block_tiles};
    bool shared = blocks.count() > 1;  // one transform of the weights for all blocks
    Index room = round_up(blocks.images * blocks.rows * grid.width, 4);  // tiles
    Index pass_blocks = std::max<Index>(1, pass_values / (weights.in * room));
    Index across = std::min(blocks.across, pass_blocks);
    Index down = std::min(blocks.down, std::max<Index>(1, pass_blocks / across));
    Index v_tile = round_up(weights.in, panel) + gap<T>;
    Index v_point = across * down * room * v_tile + gap<T>;
    Index depth = shared ? weights.in : std::min(chunk, weights.in);  // of the weights at hand
    Index u_point = depth * panel + gap<T>;
    Index m_point = room * panel + gap<T>;
    gradus::detail::RecycledVector<Index> weight_at = places(1, chunk* taps, 0, panel);

    void run() const {
        const bool carried = y.ordered() && down < blocks.down;  // from pass to pass
        Tensor<T> memory = Tensor<T>::uninitialized({points * v_point});
        Tensor<T> u_memory = Tensor<T>::uninitialized({shared ? y.panels() * points * u_point : 0});
        Tensor<T> bands = Tensor<T>::uninitialized({carried ? across * y.panels() * y.band_size : 0});
        T *const v = memory.mutable_data(), *const u = u_memory.mutable_data();
        T* const band = bands.mutable_data();
        if (shared)
            parallel_for(y.panels(), 1, [&](Index begin, Index end) {
                for (Index p = begin; p < end; ++p)
                    transform_weights(p, 0, weights.in, u + p * points * u_point);
            });
        for (Index image = 0; image < batch; image += across * blocks.images)
            for (Index row = 0; row < grid.height; row += down * blocks.rows) {
                const Pieces pass{{image, std::min(across * blocks.images, batch - image), row,
                                   std::min(down * blocks.rows, grid.height - row)},
                                  grid.width,
                                  block_tiles,
                                  std::min(blocks.rows, grid.height - row),
                                  std::min(blocks.images, batch - image)};
                transform_images(pass, v);
                multiply(pass, v, u, carried ? band : nullptr);
            }
    }

    void transform_images(const Pieces& pass, T* v) const {
        const Index piece_tiles = (block_tiles + 1) / 2;
        const Index most = Pieces{pass[0], grid.width, piece_tiles}.count();
        parallel_for(pass.count() * most * x.panels(), 1, [&](Index begin, Index end) {
            for (Index task = begin; task < end; ++task) {
                const Index p = task % x.panels(), i = task / x.panels() % most;
                const Index block = task / x.panels() / most;
                const Part part = pass[block];
                const Pieces pieces{part, grid.width, piece_tiles};
                if (i >= pieces.count()) continue;
                T* const to = v + block * room * v_tile + p * panel;
                x.run(p, pieces[i],
                      {to + tiles_before(part, pieces[i], grid.width) * v_tile, v_point, v_tile});
                if (i > 0) continue;
                const Index tiles = part.images * part.rows * grid.width;
                for (Index k = 0; k < points; ++k)
                    for (Index row = tiles; row < round_up(tiles, 4); ++row)
                        std::fill_n(to + k * v_point + row * v_tile, panel, T(0));
            }
        });
    }

    /// Tasks are panels of channels, and blocks or, if the rows of an image must stay in order, the blocks of
    /// the same images.
    void multiply(const Pieces& pass, const T* v, const T* u, T* bands) const {
        const Index together = y.ordered() ? pass.down : 1, groups = pass.count() / together;
        parallel_for(groups * y.panels(), 1, [&](Index begin, Index end) {
            Tensor<T> memory = Tensor<T>::uninitialized(
                {points * m_point + panel + (bands ? 0 : y.band_size) + (shared ? 0 : points * u_point)});
            T *const m = memory.mutable_data(), *const added = m + points * m_point;
            T* const own_u = added + panel;
            T* const own_band = own_u + (shared ? 0 : points * u_point);
            for (Index task = begin; task < end; ++task) {
                const Index group = task / y.panels(), p = task % y.panels();
                std::fill_n(added, panel, T(0));
                if (y.bias) std::copy_n(y.bias + p * panel, std::min(panel, weights.out - p * panel), added);
                for (Index block = group * together; block < (group + 1) * together; ++block) {
                    const Part part = pass[block];
                    sum_products(p, part.images * part.rows * grid.width, v + block * room * v_tile,
                                 shared ? u + p * points * u_point : nullptr, own_u, m);
                    y.run(p, part, {m, m_point, panel}, added, bands ? bands + task * y.band_size : own_band);
                }
            }
        });
    }

    /// `u` is null if there is none yet.
    void sum_products(Index p, Index tiles, const T* v, const T* u, T* own_u, T* m) const {
        ProductArgs<T> args{points,  v,
                            v_point, v_tile,
                            1,       u ? u : own_u,
                            u_point, m,
                            m_point, round_up(tiles, 4),
                            depth,   packs_of(weights.out - p * panel, panel),
                            true};
        for (Index c = 0; c < weights.in; c += depth) {
            args.a = v + c;
            args.depth = std::min(depth, weights.in - c);
            args.first = c == 0;
            if (!u) transform_weights(p, c, args.depth, own_u);
            simd::run<Products<T>>(static_cast<const ProductArgs<T>*>(&args));
        }
    }

    /// u at (k, c - first, j) = the weight of input channel c and channel j of panel p at point k.
    void transform_weights(Index p, Index first, Index count, T* u) const {
        constexpr Index n = static_cast<Index>(Taps);
        Tensor<T> memory = Tensor<T>::uninitialized({(chunk + 1) * taps * panel});
        T* const pixels = memory.mutable_data();
        const Index packs = packs_of(weights.out - p * panel, panel);
        for (Index done = 0; done < count; done += chunk) {
            const Index some = std::min(chunk, count - done);
            read_weights(p, first + done, some, pixels);
            transform<WeightTransform<Taps>, T>({pixels, n * panel, panel, taps * panel},
                                                {u + done * panel, side * u_point, u_point, panel}, some,
                                                packs);
        }
    }

    void read_weights(Index p, Index first, Index count, T* to) const {
        const T* const from = weights.data + p * panel * weights.out_step + first * weights.in_step;
        const Index channels = std::min(panel, weights.out - p * panel);
        if (weights.in_step == taps) {
            const Pixels pixels{weights.out_step, channels, count * taps, weight_at.data()};
            return simd::run<ToLanes<T>>(from, pixels, to);
        }
        for (Index c = 0; c < count; ++c) {
            // The rows lie so far apart that the processor does not foresee the next ones.
            for (Index i = 0; i < channels * taps && first + c + 2 < weights.in; i += gap<T>)
                __builtin_prefetch(from + (c + 2) * weights.in_step + i);
            // What is too much is overwritten by the next.
            const Index read = first + c + 1 < weights.in ? std::max(taps, panel / 2) : taps;
            const Pixels pixels{weights.out_step, channels, read, weight_at.data()};
            simd::run<ToLanes<T>>(from + c * weights.in_step, pixels, to + c * taps * panel);
        }
    }
};

/// Whether the convolution is one that these kernels compute, faster than the direct one as far as measured:
/// with few channels the transforms take longer than the products they save, and a small result fills too
/// little of its tiles. The number of images has no say, so that the result for one does not depend on the
/// others.
template <class T>
bool pays(const ConvSizes& s) {
    if (s.stride != Size2(1) || s.dilation != Size2(1) || s.groups != 1) return false;
    const Index channels = std::min(s.in, s.out);
    if (s.kernel == Size2(3)) return channels >= 24 && std::min(s.result.height, s.result.width) >= 3;
    return std::is_same_v<T, float> && s.kernel == Size2(5) && channels >= 16 &&
           64 * tiles_of(s.result).area() <= 12 * s.result.area();
}

/// Calls visit with the number of taps along one axis.
template <class T, class Visit>
void with_taps(const ConvSizes& s, const Visit& visit) {
    if (s.batch == 0) return;
    if (s.kernel.height == 3) return visit(std::integral_constant<std::size_t, 3>());
    if constexpr (std::is_same_v<T, float>) visit(std::integral_constant<std::size_t, 5>());
}

template <class T>
void forward(const ConvSizes& s, const T* padded, const T* weight, const T* bias,
             const PooledImages<T, std::uint8_t>& y) {
    with_taps<T>(s, [&](auto taps) {
        using From = InputTransform<taps()>;
        using To = OutputTransform<taps()>;
        const Size2 grid = tiles_of(s.result);
        const Windows<T, From> windows{{padded}, s.in, s.padded, grid};
        const Patches<T, To> patches{y, s.out, s.result, {0, 0}, grid, bias};
        const Weights<T> weights{weight, s.out, s.in, s.taps(), s.kernel.area()};
        Convolution<T, taps(), From, To>{windows, patches, weights, s.batch}.run();
    });
}

template <class T>
void input_gradient(const ConvSizes& s, const PooledImages<const T, const std::uint8_t>& dy, const T* weight,
                    T* dx) {
    with_taps<T>(s, [&](auto taps) {
        using From = OutputAdjoint<taps()>;
        using To = InputAdjoint<taps()>;
        const Size2 grid = tiles_of(s.result);
        const Windows<T, From> windows{dy, s.out, s.result, grid};
        const Patches<T, To> patches{{dx}, s.in, s.image, s.before, grid};
        const Weights<T> weights{weight, s.in, s.out, s.kernel.area(), s.taps()};
        Convolution<T, taps(), From, To>{windows, patches, weights, s.batch}.run();
    });
}

}  // namespace gradus::kernels::detail::winograd
