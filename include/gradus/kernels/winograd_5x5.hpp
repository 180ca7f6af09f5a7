// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "gradus/kernels/conv_sizes.hpp"
#include "gradus/kernels/gathered_product.hpp"
#include "gradus/kernels/pack_pixels.hpp"
#include "gradus/kernels/pool_block.hpp"

// Convolutions of 5 x 5 taps and stride 1 between many channels, by Winograd's algorithm F(4 x 4, 5 x 5): 64
// multiplications per tile of 4 x 4 outputs and pair of channels instead of 400. A tile of outputs is a
// polynomial product modulo one of degree 8. It is known from its values at 8 points, where it is a product
// of numbers; so the sums over channels are 64 matrix products, one per pair of points (a "spectrum").
//   y = Aᵀ [(G w Gᵀ) ⊙ (Bᵀ x B)] A      dx = B [(G w Gᵀ) ⊙ (A dy Aᵀ)] Bᵀ      dw = Gᵀ [(Bᵀ x B) ⊙ (A dy Aᵀ)]
//   G
// The points 0, ±1, ±2, ±1/2, ∞ keep the rounding error at about five times that of the plain sum. S.
// Winograd, "Arithmetic complexity of computations", 1980; Lavin & Gray, "Fast algorithms for convolutional
// neural networks", 2016; the gradients are the transposes of the forward steps.

namespace gradus::kernels::detail {

/// A linear map from `size` numbers to values at the 8 points. Rows 1 and 2, 3 and 4, 5 and 6 belong to
/// points of opposite sign: they differ in the sign of every other number.
template <std::size_t Size>
struct PointMap {
    static constexpr std::size_t size = Size;
    double at[8][Size] = {};
};

inline constexpr double winograd_points[7] = {0, 1, -1, 2, -2, 0.5, -0.5};  // and infinity

/// The values of a polynomial with these coefficients, divided by `scale` of the point.
template <std::size_t Size>
constexpr PointMap<Size> evaluate(const double (&scale)[7]) {
    PointMap<Size> map;
    for (std::size_t j = 0; j < 7; ++j) {
        double power = 1;
        for (std::size_t i = 0; i < Size; ++i, power *= winograd_points[j]) map.at[j][i] = power / scale[j];
    }
    map.at[7][Size - 1] = 1;
    return map;
}

/// Row j: the coefficients of the product of (t - point) over all points but j.
constexpr PointMap<8> other_points() {
    PointMap<8> map;
    for (std::size_t j = 0; j < 8; ++j) {
        map.at[j][0] = 1;
        for (std::size_t k = 0, degree = 1; k < 7; ++k) {
            if (k == j) continue;
            for (std::size_t i = degree++; i > 0; --i)
                map.at[j][i] = map.at[j][i - 1] - winograd_points[k] * map.at[j][i];
            map.at[j][0] *= -winograd_points[k];
        }
    }
    return map;
}

struct WinogradInput {  // Bᵀ
    static constexpr PointMap<8> map = other_points();
};
struct WinogradOutput {  // A
    static constexpr PointMap<4> map = evaluate<4>({1, 1, 1, 1, 1, 1, 1});
};
struct WinogradWeight {  // G
    static constexpr PointMap<5> map = evaluate<5>({-1, -4.5, -4.5, 90, 90, 1.40625, 1.40625});
};

/// Applies a map along both axes of patches, lanes are channels: of size x size numbers to 8 x 8 values, or
/// by the transpose of the map back.
template <class Map, class T>
struct WinogradTransform {
    static constexpr std::size_t size = Map::map.size;

    /// sum = factor * x, or sum + factor * x; nothing for a factor of 0.
    template <class Pack>
    GRADUS_INLINE static void add(double factor, const Pack& x, Pack& sum, bool& begun) {
        if (factor == 0) return;
        if (!begun)
            sum = factor == 1 ? x : Pack(static_cast<T>(factor)) * x;
        else
            sum = factor == 1 ? sum + x : factor == -1 ? sum - x : fma(Pack(static_cast<T>(factor)), x, sum);
        begun = true;
    }

    /// The sum over every second number from `first` on.
    template <class Pack>
    GRADUS_INLINE static Pack every_second(std::size_t j, std::size_t first, const Pack* in) {
        Pack sum(T(0));
        bool begun = false;
#pragma GCC unroll 4
        for (std::size_t i = first; i < size; i += 2) add(Map::map.at[j][i], in[i], sum, begun);
        return sum;
    }

    template <class Pack>
    GRADUS_INLINE static void to_points(const Pack* in, Pack* out) {
        out[0] = every_second(0, 0, in);
#pragma GCC unroll 3
        for (std::size_t j = 1; j < 7; j += 2) {
            const Pack even = every_second(j, 0, in), odd = every_second(j, 1, in);
            out[j] = even + odd;
            out[j + 1] = even - odd;
        }
        out[7] = every_second(7, (size - 1) % 2, in);
    }

    template <class Pack>
    GRADUS_INLINE static void from_points(const Pack* in, Pack* out) {
        Pack plus[3], minus[3];
#pragma GCC unroll 3
        for (std::size_t pair = 0; pair < 3; ++pair) {
            plus[pair] = in[2 * pair + 1] + in[2 * pair + 2];
            minus[pair] = in[2 * pair + 1] - in[2 * pair + 2];
        }
#pragma GCC unroll 8
        for (std::size_t i = 0; i < size; ++i) {
            Pack sum(T(0));
            bool begun = false;
            add(Map::map.at[0][i], in[0], sum, begun);
#pragma GCC unroll 3
            for (std::size_t pair = 0; pair < 3; ++pair)
                add(Map::map.at[2 * pair + 1][i], i % 2 == 0 ? plus[pair] : minus[pair], sum, begun);
            add(Map::map.at[7][i], in[7], sum, begun);
            out[i] = sum;
        }
    }
};

/// `vectors` packs of channels of a patch, number (i, j) at patch[i * row + j * column], to values: point
/// (i, j) at values[(8 * i + j) * point].
template <class Map, class T>
struct ToPoints {
    template <int Bytes>
    GRADUS_INLINE static void run(const T* patch, Index row, Index column, T* values, Index point,
                                  Index vectors) {
        using Pack = simd::PackOf<T, Bytes>;
        using Transform = WinogradTransform<Map, T>;
        constexpr std::size_t size = Transform::size;
        for (Index v = 0; v < vectors; ++v, patch += Pack::size, values += Pack::size) {
            Pack half[8][size];
#pragma GCC unroll 1
            for (std::size_t j = 0; j < size; ++j) {
                Pack in[size], out[8];
#pragma GCC unroll 8
                for (std::size_t i = 0; i < size; ++i)
                    in[i] = Pack::load(patch + static_cast<Index>(i) * row + static_cast<Index>(j) * column);
                Transform::to_points(in, out);
#pragma GCC unroll 8
                for (std::size_t i = 0; i < 8; ++i) half[i][j] = out[i];
            }
#pragma GCC unroll 1
            for (std::size_t i = 0; i < 8; ++i) {
                Pack out[8];
                Transform::to_points(half[i], out);
#pragma GCC unroll 8
                for (std::size_t j = 0; j < 8; ++j)
                    out[j].store(values + static_cast<Index>(8 * i + j) * point);
            }
        }
    }
};

/// Adds the transposed map of the values to the patch.
template <class Map, class T>
struct FromPoints {
    template <int Bytes>
    GRADUS_INLINE static void run(const T* values, Index point, T* patch, Index row, Index column,
                                  Index vectors) {
        using Pack = simd::PackOf<T, Bytes>;
        using Transform = WinogradTransform<Map, T>;
        constexpr std::size_t size = Transform::size;
        for (Index v = 0; v < vectors; ++v, patch += Pack::size, values += Pack::size) {
            Pack half[8][size];
#pragma GCC unroll 1
            for (std::size_t i = 0; i < 8; ++i) {
                Pack in[8], out[size];
#pragma GCC unroll 8
                for (std::size_t j = 0; j < 8; ++j)
                    in[j] = Pack::load(values + static_cast<Index>(8 * i + j) * point);
                Transform::from_points(in, out);
#pragma GCC unroll 8
                for (std::size_t j = 0; j < size; ++j) half[i][j] = out[j];
            }
#pragma GCC unroll 1
            for (std::size_t j = 0; j < size; ++j) {
                Pack in[8], out[size];
#pragma GCC unroll 8
                for (std::size_t i = 0; i < 8; ++i) in[i] = half[i][j];
                Transform::from_points(in, out);
#pragma GCC unroll 8
                for (std::size_t i = 0; i < size; ++i) {
                    T* const at = patch + static_cast<Index>(i) * row + static_cast<Index>(j) * column;
                    (Pack::load(at) + out[i]).store(at);
                }
            }
        }
    }
};

/// What the convolution writes, or the gradient of that: images of its result, or of max-pooled windows of
/// it if `codes` is there.
template <class T, class Code>
struct PooledImages {
    T* values;
    Code* codes = nullptr;
    const ConvPoolSizes* pool = nullptr;
};

/// Numbers at 64 points, [point, panel of channels, row, width]; rows are tiles or channels.
template <class T>
struct Spectrum {
    Index rows, panels, width;
    Index point = panels * rows * width + 64 / static_cast<Index>(sizeof(T));  // an odd number of cache lines
    Tensor<T> memory = Tensor<T>::uninitialized({64 * point});
    T* data = memory.mutable_data();

    T* at(Index i, Index panel) const { return data + i * point + panel * rows * width; }
};

template <class T>
class Winograd5x5 {
public:
    explicit Winograd5x5(const ConvSizes& sizes) : s(sizes) {}

    /// Whether fewer operations are worth the transforms and the larger rounding error.
    static bool suits(const ConvSizes& s) {
        const Index tiles = (s.result.height + 3) / 4 * ((s.result.width + 3) / 4);
        return std::is_same_v<T, float> && s.kernel == Size2(5) && s.stride == Size2(1) &&
               s.dilation == Size2(1) && s.groups == 1 && s.in >= 16 && s.out >= 16 && s.batch >= 8 &&
               tiles <= 256 && 64 * tiles <= 12 * s.result.area();
    }

    void forward(const T* padded, const T* weight, const T* bias,
                 const PooledImages<T, std::uint8_t>& to) const {
        const Spectrum<T> filters = weight_spectrum(weight, s.in, area, s.out, s.in * area);
        const Tensor<Index> channels = channel_offsets(s.in, chunk_rows), rows = tile_offsets(chunk);
        Tensor<T> bias_memory = zeros<T>({out_panels * width});
        if (bias) std::copy_n(bias, s.out, bias_memory.mutable_data());
        parallel_for(s.batch, images_per_task, [&](Index begin, Index end) {
            Tensor<T> x = Tensor<T>::uninitialized({(end - begin) * x_size});
            Tensor<T> y = Tensor<T>::uninitialized({(end - begin) * y_size});
            const Spectrum<T> from{chunk_rows, in_panels, width}, sums{chunk_rows, out_panels, width};
            T* const result = y.mutable_data();
            for (Index n = begin; n < end; ++n) {
                read(padded + n * s.in * s.padded.area(), s.padded.area(), s.in,
                     x.mutable_data() + (n - begin) * x_size);
                for (Index p = 0; p < out_panels; ++p)
                    for (Index i = 0; i < s.result.area(); ++i)
                        std::copy_n(bias_memory.data() + p * width, width,
                                    result + (n - begin) * y_size + (p * s.result.area() + i) * width);
            }
            for (Index first = 0; first < (end - begin) * tiles; first += chunk) {
                const Index count = std::min(chunk, (end - begin) * tiles - first);
                to_points<WinogradInput>(x.data(), x_size, s.padded, s.in, 8, first, count, from, 0);
                for (Index point = 0; point < 64; ++point)
                    for (Index p = 0; p < out_panels; ++p)
                        product(from.at(point, 0), rows.data(), channels.data(), s.in, filters.at(point, p),
                                sums.at(point, p), count, s.out - p * width, false);
                from_points<WinogradOutput>(sums, first, count, 4, s.result, s.out, y_size, result);
            }
            for (Index n = begin; n < end; ++n) write(result + (n - begin) * y_size, n, to);
        });
    }

    void input(const PooledImages<const T, const std::uint8_t>& dy, const T* weight, T* dx) const {
        const Spectrum<T> filters = weight_spectrum(weight, s.out, s.in * area, s.in, area);
        const Tensor<Index> channels = channel_offsets(s.out, chunk_rows), rows = tile_offsets(chunk);
        parallel_for(s.batch, images_per_task, [&](Index begin, Index end) {
            Tensor<T> y = Tensor<T>::uninitialized({(end - begin) * y_size});
            Tensor<T> x = zeros<T>({(end - begin) * x_size});
            const Spectrum<T> from{chunk_rows, out_panels, width}, sums{chunk_rows, in_panels, width};
            for (Index n = begin; n < end; ++n) read(dy, n, y.mutable_data() + (n - begin) * y_size);
            for (Index first = 0; first < (end - begin) * tiles; first += chunk) {
                const Index count = std::min(chunk, (end - begin) * tiles - first);
                to_points<WinogradOutput>(y.data(), y_size, s.result, s.out, 4, first, count, from, 0);
                for (Index point = 0; point < 64; ++point)
                    for (Index p = 0; p < in_panels; ++p)
                        product(from.at(point, 0), rows.data(), channels.data(), s.out, filters.at(point, p),
                                sums.at(point, p), count, s.in - p * width, false);
                from_points<WinogradInput>(sums, first, count, 8, s.padded, s.in, x_size, x.mutable_data());
            }
            for (Index n = begin; n < end; ++n) write_inside(x.data() + (n - begin) * x_size, dx, n);
        });
    }

    void weight(const T* padded, const PooledImages<const T, const std::uint8_t>& dy, T* dweight) const {
        const Index images =
            std::clamp<Index>((Index{1} << 20) / (64 * (in_panels + out_panels) * width * tiles), 1,
                              s.batch);  // whose spectra take about 4 MB
        const Index most = images * tiles, in_rows = round_up(s.in, tile.rows);
        const Spectrum<T> x_values{most, in_panels, width}, y_values{most, out_panels, width};
        const Spectrum<T> sums{in_rows, out_panels, width};
        const Tensor<Index> channels = channel_offsets(s.in, most), depths = tile_offsets(most);
        for (Index first = 0; first < s.batch; first += images) {
            const Index last = std::min(s.batch, first + images);
            parallel_for(last - first, images_per_task, [&](Index begin, Index end) {
                Tensor<T> x = Tensor<T>::uninitialized({x_size}), y = Tensor<T>::uninitialized({y_size});
                for (Index n = begin; n < end; ++n) {
                    read(padded + (first + n) * s.in * s.padded.area(), s.padded.area(), s.in,
                         x.mutable_data());
                    read(dy, first + n, y.mutable_data());
                    to_points<WinogradInput>(x.data(), x_size, s.padded, s.in, 8, 0, tiles, x_values,
                                             n * tiles);
                    to_points<WinogradOutput>(y.data(), y_size, s.result, s.out, 4, 0, tiles, y_values,
                                              n * tiles);
                }
            });
            parallel_for(64, 4, [&](Index begin, Index end) {
                for (Index point = begin; point < end; ++point)
                    for (Index p = 0; p < out_panels; ++p)
                        product(x_values.at(point, 0), channels.data(), depths.data(), (last - first) * tiles,
                                y_values.at(point, p), sums.at(point, p), s.in, s.out - p * width, first > 0);
            });
        }
        parallel_for(s.in, 8, [&](Index begin, Index end) {
            Tensor<T> memory = Tensor<T>::uninitialized({area * width});
            T* const side = memory.mutable_data();
            for (Index c = begin; c < end; ++c)
                for (Index p = 0; p < out_panels; ++p) {
                    std::fill_n(side, area * width, T(0));
                    simd::run<FromPoints<WinogradWeight, T>>(static_cast<const T*>(sums.at(0, p) + c * width),
                                                             sums.point, side, 5 * width, width,
                                                             vectors(s.out, p));
                    simd::run<UnpackPixels<T>>(static_cast<const T*>(side), area,
                                               std::min(width, s.out - p * width),
                                               dweight + (p * width * s.in + c) * area, s.in * area);
                }
        });
    }

private:
    static Index round_up(Index n, Index step) { return (n + step - 1) / step * step; }

    Index vectors(Index channels, Index panel) const { return channels - panel * width <= width / 2 ? 1 : 2; }

    /// Where channel k of a pixel lies among the values at one point.
    Tensor<Index> channel_offsets(Index channels, Index rows) const {
        Tensor<Index> offsets = Tensor<Index>::uninitialized({channels});
        for (Index k = 0; k < channels; ++k) offsets.mutable_data()[k] = k / width * rows * width + k % width;
        return offsets;
    }
    Tensor<Index> tile_offsets(Index count) const {
        Tensor<Index> offsets = Tensor<Index>::uninitialized({count});
        for (Index i = 0; i < count; ++i) offsets.mutable_data()[i] = i * width;
        return offsets;
    }

    /// The values of all filters; the lanes are their input or output channels, the rows the others.
    Spectrum<T> weight_spectrum(const T* weight, Index row_count, Index row, Index lane_count,
                                Index lane) const {
        const Index panels = (lane_count + width - 1) / width;
        const Spectrum<T> filters{row_count, panels, width};
        parallel_for(row_count, 8, [&](Index begin, Index end) {
            Tensor<T> side = Tensor<T>::uninitialized({area * width});
            for (Index i = begin; i < end; ++i)
                for (Index p = 0; p < panels; ++p) {
                    simd::run<PackPixels<T>>(weight + i * row + p * width * lane, lane, area,
                                             std::min(width, lane_count - p * width), side.mutable_data());
                    simd::run<ToPoints<WinogradWeight, T>>(
                        side.data(), 5 * width, width, filters.at(0, p) + i * width, filters.point, Index{2});
                }
        });
        return filters;
    }

    /// An image in panels of channels: [panel, pixel, width].
    void read(const T* image, Index pixels, Index channels, T* to) const {
        for (Index c = 0; c < channels; c += width, to += pixels * width)
            simd::run<PackPixels<T>>(image + c * pixels, pixels, pixels, std::min(width, channels - c), to);
    }

    void read(const PooledImages<const T, const std::uint8_t>& dy, Index n, T* to) const {
        const Index pixels = s.result.area();
        if (!dy.codes) return read(dy.values + n * s.out * pixels, pixels, s.out, to);
        const Size2 pooled = dy.pool->pooled(), window = dy.pool->window;
        std::fill_n(to, y_size, T(0));
        Index place[max_window];
        PixelWalk{window.height, window.width, 0, 0, s.result.width, 1}.run(0, window.area(), place);
        for (Index o = 0, at = n * s.out * pooled.area(); o < s.out; ++o) {
            T* const channel = to + o / width * pixels * width + o % width;
            for (Index y = 0; y < pooled.height; ++y)
                for (Index x = 0; x < pooled.width; ++x, ++at)
                    if (const std::uint8_t code = dy.codes[at]; code != no_winner)
                        channel[(y * window.height * s.result.width + x * window.width + place[code]) *
                                width] = dy.values[at];
        }
    }

    void write(const T* result, Index n, const PooledImages<T, std::uint8_t>& to) const {
        const Index pixels = s.result.area();
        if (to.codes) return pool(result, n, to);
        for (Index p = 0; p < out_panels; ++p)
            simd::run<UnpackPixels<T>>(result + p * pixels * width, pixels,
                                       std::min(width, s.out - p * width),
                                       to.values + (n * s.out + p * width) * pixels, pixels);
    }

    void pool(const T* result, Index n, const PooledImages<T, std::uint8_t>& to) const {
        const Size2 pooled = to.pool->pooled(), window = to.pool->window;
        Index places[cells_per_block], corners[cells_per_block], offsets[max_window];
        PixelWalk{window.height, window.width, 0, 0, s.result.width * width, width}.run(0, window.area(),
                                                                                        offsets);
        for (Index cell = 0; cell < pooled.area(); cell += cells_per_block) {
            PooledCells<T> cells;
            cells.cells = std::min(cells_per_block, pooled.area() - cell);
            cells.relu = to.pool->relu;
            cells.places = places;
            cells.plane = pooled.area();
            for (Index i = 0; i < cells.cells; ++i) places[i] = cell + i;
            PixelWalk{pooled.height,       pooled.width, 0, 0, window.height * s.result.width * width,
                      window.width * width}
                .run(cell, cells.cells, corners);
            for (Index p = 0; p < out_panels; ++p) {
                cells.columns = std::min(width, s.out - p * width);
                cells.y = to.values + (n * s.out + p * width) * cells.plane;
                cells.codes = to.codes + (n * s.out + p * width) * cells.plane;
                const PoolBlockArgs<T> args{cells, result + p * s.result.area() * width, corners, offsets,
                                            window.area()};
                simd::run<PoolBlock<T>>(&args);
            }
        }
    }

    /// The image without its padding.
    void write_inside(const T* x, T* dx, Index n) const {
        const bool whole = s.padded == s.image;
        const Index rows = whole ? 1 : s.image.height, pixels = whole ? s.image.area() : s.image.width;
        for (Index p = 0; p < in_panels; ++p)
            for (Index i = 0; i < rows; ++i)
                simd::run<UnpackPixels<T>>(
                    x + (p * s.padded.area() + (i + s.before.height) * s.padded.width + s.before.width) *
                            width,
                    pixels, std::min(width, s.in - p * width),
                    dx + (n * s.in + p * width) * s.image.area() + i * s.image.width, s.image.area());
    }

    /// Calls visit(image, first pixel, height, width) with what of each patch of `size` lies inside.
    template <class Visit>
    void for_each_tile(Index first, Index count, Index size, const Size2& plane, const Visit& visit) const {
        for (Index i = 0; i < count; ++i) {
            const Index image = (first + i) / tiles, at = (first + i) % tiles;
            const Index y = at / grid.width * 4, x = at % grid.width * 4;
            visit(i, image, y * plane.width + x, std::min(size, plane.height - y),
                  std::min(size, plane.width - x));
        }
    }

    /// Tiles [first, first + count) of images [panel, pixel, width] to rows of values from `first_row` on.
    template <class Map>
    void to_points(const T* images, Index image_size, const Size2& plane, Index channels, Index size,
                   Index first, Index count, const Spectrum<T>& values, Index first_row) const {
        T patch[64 * max_tile_columns];
        for_each_tile(first, count, size, plane, [&](Index i, Index image, Index pixel, Index h, Index w) {
            for (Index p = 0; p < values.panels; ++p) {
                const T* from = images + image * image_size + (p * plane.area() + pixel) * width;
                Index row = plane.width * width;
                if (h < size || w < size) {
                    std::fill_n(patch, size * size * width, T(0));
                    for (Index y = 0; y < h; ++y)
                        std::copy_n(from + y * row, w * width, patch + y * size * width);
                    from = patch;
                    row = size * width;
                }
                simd::run<ToPoints<Map, T>>(from, row, width, values.at(0, p) + (first_row + i) * width,
                                            values.point, vectors(channels, p));
            }
        });
    }

    /// The way back; adds to the images.
    template <class Map>
    void from_points(const Spectrum<T>& values, Index first, Index count, Index size, const Size2& plane,
                     Index channels, Index image_size, T* images) const {
        T patch[64 * max_tile_columns];
        for_each_tile(first, count, size, plane, [&](Index i, Index image, Index pixel, Index h, Index w) {
            for (Index p = 0; p < values.panels; ++p) {
                T* const to = images + image * image_size + (p * plane.area() + pixel) * width;
                const T* const from = values.at(0, p) + i * width;
                const Index row = plane.width * width;
                if (h == size && w == size) {
                    simd::run<FromPoints<Map, T>>(from, values.point, to, row, width, vectors(channels, p));
                    continue;
                }
                std::fill_n(patch, size * size * width, T(0));
                simd::run<FromPoints<Map, T>>(from, values.point, static_cast<T*>(patch), size * width, width,
                                              vectors(channels, p));
                for (Index y = 0; y < h; ++y)
                    for (Index x = 0; x < w * width; ++x) to[y * row + x] += patch[y * size * width + x];
            }
        });
    }

    /// c[count, width] (+)= a · b, with a(i, k) = a[rows[i] + depths[k]].
    void product(const T* a, const Index* rows, const Index* depths, Index depth, const T* b, T* c,
                 Index count, Index columns, bool add) const {
        static constexpr T nothing[max_tile_columns] = {};
        RowTileArgs<T> args;
        args.x = a;
        args.depths = depths;
        args.depth = depth;
        args.b = b;
        args.columns = columns;
        Index some[max_tile_rows];
        args.rows = some;
        for (Index first = 0; first < count; first += tile.rows) {
            for (Index i = 0; i < tile.rows; ++i) some[i] = rows[std::min(first + i, count - 1)];
            args.c = c + first * width;
            args.start = add ? args.c : nothing;
            args.start_row = add ? width : 0;
            args.count = std::min(tile.rows, count - first);
            simd::run<RowTile<T>>(&args);
        }
    }

    static constexpr Index area = 25;

    const ConvSizes& s;
    TileSizes tile = tile_sizes<T>();
    Index width = tile.columns;
    Index in_panels = (s.in + width - 1) / width, out_panels = (s.out + width - 1) / width;
    Size2 grid{(s.result.height + 3) / 4, (s.result.width + 3) / 4};
    Index tiles = grid.area();  // of an image
    Index chunk = 28;           // tiles whose spectra stay in the second-level cache
    Index chunk_rows = round_up(chunk, tile.rows);
    Index images_per_task = std::max<Index>(1, chunk / tiles);
    Index x_size = in_panels * s.padded.area() * width, y_size = out_panels * s.result.area() * width;
};

}  // namespace gradus::kernels::detail
