// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "gradus/kernels/conv/winograd_tiles.hpp"
#include "gradus/kernels/reduce/pairwise_sum.hpp"

// Convolutions of 3 x 3 and 5 x 5 taps and stride 1 between many channels with a fraction of the
// multiplications; the formulas are in winograd_transforms.hpp. Images are cut into tiles of 4 x 4 outputs,
// whose inputs overlap. Summed over input channels, the products at each point are a matrix product of tiles
// and channels:
//
//     images  -> InputTiles        -> v [point, tile, channel] ------------.
//     weights -> transform_weights -> u [panel, point, channel, width] ----+-> PointProducts -> OutputTiles
//
// The gradient of x takes the same way with the transposed transforms, dy for x and the channels exchanged.
//
// Sums over channels or tiles are made in runs of 32. The relative error of a result is then about 5e-7 for 3
// x 3 taps (0.4 to 3 times that of a sum in one chain; for the gradient of the weight, the root mean square
// is 2 to 6 times that of direct sums, the more the fewer pixels there are) and 3e-6 for 5 x 5 taps (2 to 7
// times; for the gradient of the weight, 6 to 12 times).
//
// That holds as long as what an output adds up is not much smaller than what its tile reads. Images where it
// is, and those with infinity, NaN or numbers from 2^64 on, are computed by direct sums: winograd_ranges.hpp.

namespace gradus::kernels::detail::winograd {

/// The matrix products at all points, where the time goes.
template <class T>
struct PointProducts {
    Index points;
    const T* a;  // element (i, k) at point n: a[n * a_point + i * a_row + k * a_column]
    Index a_point, a_row, a_column;
    const T* b;  // (k, j): b[n * b_point + k * panel + j]
    Index b_point;
    T* c;  // (i, j): c[n * c_point + i * panel + j]
    Index c_point;
    Index rows;  // a multiple of 4
    Index k;
    Index vectors;  // of b and c that hold channels, 1 or 2
    bool first;     // c = a · b, else c += a · b

    template <int Bytes>
    GRADUS_INLINE void run() {
        vectors == 1 ? all_points<1, Bytes>() : all_points<2, Bytes>();
    }

    template <std::size_t Vecs, int Bytes>
    GRADUS_INLINE void all_points() const {
        constexpr Index most = Bytes == 64 ? 12 : 6;     // rows that the registers hold
        constexpr Index awkward = Bytes == 64 ? 16 : 8;  // better halved than cut into `most` and the rest
        for (Index n = 0; n < points; ++n) {
            const T* from = a + n * a_point;
            const T* const panel = b + n * b_point;
            T* to = c + n * c_point;
            for (Index left = rows; left > 0;) {
                Index done = 4;
                if (left >= most && left != awkward)
                    tile<most, Vecs, Bytes>(from, panel, to), done = most;
                else if (Vecs == 2 && Bytes == 64 && left >= 8)
                    tile<8, Vecs, Bytes>(from, panel, to), done = 8;
                else
                    tile<4, Vecs, Bytes>(from, panel, to);
                left -= done;
                from += done * a_row;
                to += done * tile_columns<T, Bytes>;
            }
        }
    }

    template <std::size_t Rows, std::size_t Vecs, int Bytes>
    GRADUS_INLINE void tile(const T* from, const T* panel, T* to) const {
        using Vec = simd::VecOf<T, Bytes>;
        constexpr Index lanes = Vec::size;
        const auto at = [](std::size_t i, std::size_t v)
                            GRADUS_INLINE_LAMBDA { return static_cast<Index>(2 * i + v) * lanes; };
        for (Index done = 0; done < k; done += short_run) {
            Vec sum[Rows][Vecs];
#pragma GCC unroll 12
            for (std::size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 2
                for (std::size_t v = 0; v < Vecs; ++v) sum[i][v] = Vec(T(0));
            const Index count = std::min(short_run, k - done);
            for (Index p = 0; p < count; ++p, from += a_column, panel += 2 * lanes) {
                Vec column[Vecs];
#pragma GCC unroll 2
                for (std::size_t v = 0; v < Vecs; ++v)
                    column[v] = Vec::load(panel + static_cast<Index>(v) * lanes);
#pragma GCC unroll 12
                for (std::size_t i = 0; i < Rows; ++i) {
                    const Vec x(from[static_cast<Index>(i) * a_row]);
#pragma GCC unroll 2
                    for (std::size_t v = 0; v < Vecs; ++v) sum[i][v] = fma(x, column[v], sum[i][v]);
                }
            }
            if (!first || done > 0) {
#pragma GCC unroll 12
                for (std::size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 2
                    for (std::size_t v = 0; v < Vecs; ++v) sum[i][v] = sum[i][v] + Vec::load(to + at(i, v));
            }
#pragma GCC unroll 12
            for (std::size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 2
                for (std::size_t v = 0; v < Vecs; ++v) sum[i][v].store(to + at(i, v));
        }
    }
};

/// Room between matrices whose sizes are powers of two, so that they do not compete for the same cache lines.
template <class T>
inline constexpr Index gap = 64 / static_cast<Index>(sizeof(T));

/// Calls run(task, memory) for all tasks, on several threads. Each of these has `size` numbers of its own.
template <class T, class Run>
void for_tasks(Index tasks, Index size, const Run& run) {
    const Index workers = std::min<Index>(tasks, gradus::detail::team_threads());
    const Index own = round_up(size, gap<T>);
    Tensor<T> memory = Tensor<T>::uninitialized({workers * own});
    T* const all = memory.mutable_data();
    parallel_tasks(tasks, static_cast<int>(workers),
                   [&](Index task, int worker) { run(task, all + worker * own); });
}

/// Weights [.., .., Taps, Taps] of which neither axis need be the output's.
template <class T>
struct Weights {
    const T* data;
    Index out, in;            // channels
    Index out_step, in_step;  // distances
};

/// How a convolution is cut into tasks. A task takes a group of tiles and some of the panels of channels that
/// these give, and goes through all stages with them: it transforms the tiles, multiplies, and writes its part
/// of the result. So of what one core computes on the way, another reads the transformed weights alone. Where
/// groups cannot be shared out evenly among the threads, several tasks split one: each transforms all of it.
/// That alone depends on the number of threads, and no sum depends on that.
struct TaskGrid {
    Index groups, panels;
    Index splits;  // of a group

    /// With the fewest splits that take at most a twentieth longer than any other number. `transform`: what
    /// the transform of a group costs, in products of one panel.
    TaskGrid(Index of_tiles, Index of_channels, double transform, int threads)
        : groups(of_tiles), panels(of_channels), splits(1) {
        const auto time = [&](Index n) {
            return static_cast<double>(ceil_div(groups * n, Index{threads})) *
                   (transform + static_cast<double>(ceil_div(panels, n)));
        };
        double least = time(1);
        for (Index n = 2; n <= panels; ++n) least = std::min(least, time(n));
        while (time(splits) > 1.05 * least) ++splits;
    }

    Index count() const { return groups * splits; }
    Index group(Index task) const { return task / splits; }
    /// The panels of a task: [first, last).
    Index first(Index task) const { return task % splits * panels / splits; }
    Index last(Index task) const { return (task % splits + 1) * panels / splits; }
};

/// A task transforms a block of tiles, as many as the second-level cache holds, and multiplies them with one
/// panel of weights after the other. None of the sums depends on where blocks begin.
struct WinogradPlan {
    Index taps, side, points;  // of a filter; points along one axis, and of a tile
    Index chunk;               // input channels whose weights stay in the cache
    Index panel;               // channels
    Size2 grid;                // tiles of an image
    TileBlocks blocks;
    bool shared;     // one transform of the weights for all blocks
    Index together;  // blocks of a group: those of an image, if its rows must stay in order
    TaskGrid tasks;
    Index v_tile, v_point;
    Index k;  // input channels of the transformed weights at hand
    Index u_point, m_point;

    /// `kernel`: taps along one axis, 3 or 5. `gap`: room between matrices.
    WinogradPlan(Index kernel, Index batch, const Size2& tiles, Index width, Index in, Index out_panels,
                 bool ordered, Index gap, int threads)
        : taps(kernel * kernel),
          side(kernel + 3),
          points(side * side),
          chunk(kernel == 3 ? 96 : 32),
          panel(width),
          grid(tiles),
          blocks({0, batch, 0, grid.height}, grid.width, (kernel == 3 ? 64 : 24) / (out_panels > 1 ? 1 : 2)),
          shared(blocks.count() > 1),
          together(ordered ? blocks.down : 1),
          tasks(blocks.count() / together, out_panels, 0.25, threads) {
        const Index room = round_up(blocks.images * blocks.rows * grid.width, 4);  // for the tiles of a block
        v_tile = round_up(in, panel) + gap;
        v_point = room * v_tile + gap;
        k = shared ? in : std::min(chunk, in);
        u_point = k * panel + gap;
        m_point = room * panel + gap;
    }
};

/// The images that `x` reads, times the weights, as `y` writes them.
template <class T, std::size_t Taps, class From, class To>
class Winograd : WinogradPlan {
public:
    Winograd(const InputTiles<T, From>& x_tiles, const OutputTiles<T, To>& y_tiles, const Weights<T>& w,
             Index images)
        : WinogradPlan(static_cast<Index>(Taps), images, x_tiles.grid, x_tiles.panel, w.in, y_tiles.panels(),
                       y_tiles.ordered(), gap<T>, gradus::detail::team_threads()),
          x(x_tiles),
          y(y_tiles),
          weights(w),
          packed_weights(pixel_offsets(1, chunk * taps, 0, panel)) {}

    void run() const {
        Tensor<T> u_memory = Tensor<T>::uninitialized({shared ? y.panels() * points * u_point : 0});
        T* const u = shared ? u_memory.mutable_data() : nullptr;
        if (shared) {
            const Index chunks = ceil_div(weights.in, chunk);
            parallel_for(y.panels() * chunks, 1, [&](Index begin, Index end) {
                for (Index task = begin; task < end; ++task) {
                    const Index p = task / chunks, c = task % chunks * chunk;
                    transform_weights(p, c, std::min(chunk, weights.in - c),
                                      u + p * points * u_point + c * panel);
                }
            });
        }
        const Index bands = together > 1 ? ceil_div(y.panels(), tasks.splits) : 1;
        const Index own =
            points * (v_point + m_point + (shared ? 0 : u_point)) + x.band_size + bands * y.band_size + panel;
        for_tasks<T>(tasks.count(), own, [&](Index task, T* memory) { run_task(task, u, memory); });
    }

private:
    /// The tiles of a group, and the task's panels of what they give. What it computes on the way is in `memory`.
    void run_task(Index task, const T* u, T* memory) const {
        T *const v = memory, *const m = v + points * v_point, *const own_u = m + points * m_point;
        T* const x_band = own_u + (shared ? 0 : points * u_point);
        T *const added = x_band + x.band_size, *const bands = added + panel;
        const Index first = tasks.first(task), last = tasks.last(task), begin = tasks.group(task) * together;
        for (Index block = begin; block < begin + together; ++block) {
            const TileRows part = blocks[block];
            transform_tiles(part, first == 0, v, x_band);
            for (Index p = first; p < last; ++p) {
                std::fill_n(added, panel, T(0));
                if (y.bias) std::copy_n(y.bias + p * panel, std::min(panel, weights.out - p * panel), added);
                sum_products(p, part.images * part.rows * grid.width, v,
                             u ? u + p * points * u_point : nullptr, own_u, m);
                y.run(p, part, {m, m_point, panel}, added,
                      bands + (together > 1 ? p - first : 0) * y.band_size);
            }
        }
    }

    /// v at (k, tile, c).
    void transform_tiles(const TileRows& part, bool learn, T* v, T* band) const {
        const Index tiles = part.images * part.rows * grid.width;
        for (Index p = 0; p < x.panels(); ++p) {
            if (learn) x.learn_range(p, part);
            x.run(p, part, {v + p * panel, v_point, v_tile}, band);
        }
        for (Index point = 0; point < points; ++point)
            for (Index row = tiles; row < round_up(tiles, 4); ++row)
                std::fill_n(v + point * v_point + row * v_tile, x.panels() * panel, T(0));
    }

    /// m = v · u, at each point. If `u` is null, the weights are transformed here.
    void sum_products(Index p, Index tiles, const T* v, const T* u, T* own_u, T* m) const {
        for (Index c = 0; c < weights.in; c += k) {
            const Index count = std::min(k, weights.in - c);
            if (!u) transform_weights(p, c, count, own_u);
            simd::run(PointProducts<T>{.points = points,
                                       .a = v + c,
                                       .a_point = v_point,
                                       .a_row = v_tile,
                                       .a_column = 1,
                                       .b = u ? u : own_u,
                                       .b_point = u_point,
                                       .c = m,
                                       .c_point = m_point,
                                       .rows = round_up(tiles, 4),
                                       .k = count,
                                       .vectors = vecs_of(weights.out - p * panel, panel),
                                       .first = c == 0});
        }
    }

    /// u at (k, c - first, j) = the weight of input channel c and channel j of panel p at point k.
    void transform_weights(Index p, Index first, Index count, T* u) const {
        constexpr Index n = static_cast<Index>(Taps);
        Tensor<T> memory = Tensor<T>::uninitialized({(chunk + 1) * taps * panel});
        T* const pixels = memory.mutable_data();
        const Index vectors = vecs_of(weights.out - p * panel, panel);
        for (Index done = 0; done < count; done += chunk) {
            const Index some = std::min(chunk, count - done);
            read_weights(p, first + done, some, pixels);
            transform<WeightTransform<Taps>, T>({pixels, n * panel, panel, taps * panel},
                                                {u + done * panel, side * u_point, u_point, panel}, some,
                                                vectors);
        }
    }

    void read_weights(Index p, Index first, Index count, T* to) const {
        const T* const from = weights.data + p * panel * weights.out_step + first * weights.in_step;
        const Index channels = std::min(panel, weights.out - p * panel);
        if (weights.in_step == taps) {
            const PackedPixels pixels{weights.out_step, channels, count * taps, packed_weights.data()};
            return simd::run(PackChannels<T>{pixels, from, to});
        }
        for (Index c = 0; c < count; ++c) {
            // The rows lie so far apart that the processor does not foresee the next ones.
            for (Index i = 0; i < channels * taps && first + c + 2 < weights.in; i += gap<T>)
                __builtin_prefetch(from + (c + 2) * weights.in_step + i);
            // What is too much is overwritten by the next.
            const Index read = first + c + 1 < weights.in ? std::max(taps, panel / 2) : taps;
            const PackedPixels pixels{weights.out_step, channels, read, packed_weights.data()};
            simd::run(PackChannels<T>{pixels, from + c * weights.in_step, to + c * taps * panel});
        }
    }

    const InputTiles<T, From>& x;
    const OutputTiles<T, To>& y;
    const Weights<T> weights;
    const gradus::detail::RecycledVector<Index> packed_weights;  // offsets
};

/// The planes of a group of channels, the first number of which has that place. What is pooled has one group,
/// at 0.
template <class T, class Argmax>
PooledImages<T, Argmax> group_at(const PooledImages<T, Argmax>& x, Index place) {
    return {x.values + place, x.argmax ? x.argmax + place : nullptr, x.pool};
}

/// Calls visit(number of taps along one axis, group) for each group.
template <class T, class Visit>
void for_groups(const ConvGeometry& s, const Visit& visit) {
    if (s.batch == 0) return;
    parallel_products(s.groups, s.batch * s.result.area() * s.out * s.taps(), [&](Index g) {
        if (s.kernel.height == 3)
            visit(std::integral_constant<std::size_t, 3>(), g);
        else if constexpr (std::is_same_v<T, float>)
            visit(std::integral_constant<std::size_t, 5>(), g);
    });
}

/// The ranges of images, or of what is pooled of them, of a group.
template <class T, class Argmax>
Ranges<T> ranges_of(const PooledImages<const T, Argmax>& x, Index batch, Index channels, const Size2& size) {
    return Ranges<T>(batch, ceil_div(channels, tile_sizes<T>().columns), x.argmax ? x.pool->pooled() : size);
}

/// Marks the images of group g whose output gradients are uneven. The tiles that add to an input pixel read
/// up to three pixels beyond the window that it sees.
template <class T, class Argmax>
void mark_gradients(const ConvGeometry& s, const PooledImages<const T, Argmax>& dy, const Ranges<T>& ranges,
                    Index g, Marks& marks) {
    const Index cell = dy.argmax ? std::max(dy.pool->window.height, dy.pool->window.width) : 1;
    const Index taps = std::max<Index>(1, s.kernel.height / cell);
    ranges.mark(taps, taps - 1, tile_outputs - 1, marks.data() + g, s.groups);
}

/// y = conv2d(x) + bias, or what is pooled of it. `bias` may be null. The results of images that are marked
/// are not accurate.
template <class T>
Marks forward(const ConvGeometry& s, const T* padded, const T* weight, const T* bias,
              const PooledImages<T, std::uint8_t>& y) {
    Marks marks(static_cast<std::size_t>(s.batch * s.groups));
    for_groups<T>(s, [&](auto taps, Index g) {
        using From = InputTransform<taps()>;
        using To = OutputTransform<taps()>;
        const Size2 grid = tiles_of(s.result);
        const PooledImages<const T, const std::uint8_t> x{padded + g * s.in * s.padded.area()};
        Ranges<T> ranges = ranges_of(x, s.batch, s.in, s.padded);
        const InputTiles<T, From> x_tiles(x, s.in, s.groups * s.in, s.padded, grid, ranges);
        const OutputTiles<T, To> y_tiles(group_at(y, g * s.out * s.result.area()), s.out, s.groups * s.out,
                                         s.result, {0, 0}, grid, bias ? bias + g * s.out : nullptr);
        const Weights<T> weights{weight + g * s.out * s.taps(), s.out, s.in, s.taps(), s.kernel.area()};
        Winograd<T, taps(), From, To>(x_tiles, y_tiles, weights, s.batch).run();
        ranges.mark(s.kernel.height, 0, 0, marks.data() + g, s.groups);
    });
    return marks;
}

/// dx, without the padding. Those of images that are marked are not accurate.
template <class T>
Marks backward_input(const ConvGeometry& s, const PooledImages<const T, const std::uint8_t>& dy,
                     const T* weight, T* dx) {
    Marks marks(static_cast<std::size_t>(s.batch * s.groups));
    for_groups<T>(s, [&](auto taps, Index g) {
        using From = OutputAdjoint<taps()>;
        using To = InputAdjoint<taps()>;
        const Size2 grid = tiles_of(s.result);
        const auto gradients = group_at(dy, g * s.out * s.result.area());
        Ranges<T> ranges = ranges_of(gradients, s.batch, s.out, s.result);
        const InputTiles<T, From> x_tiles(gradients, s.out, s.groups * s.out, s.result, grid, ranges);
        const OutputTiles<T, To> y_tiles({dx + g * s.in * s.image.area()}, s.in, s.groups * s.in, s.image,
                                         s.before, grid);
        const Weights<T> weights{weight + g * s.out * s.taps(), s.in, s.out, s.kernel.area(), s.taps()};
        Winograd<T, taps(), From, To>(x_tiles, y_tiles, weights, s.batch).run();
        mark_gradients(s, gradients, ranges, g, marks);
    });
    return marks;
}

}  // namespace gradus::kernels::detail::winograd
