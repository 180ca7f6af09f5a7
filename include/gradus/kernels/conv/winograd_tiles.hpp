// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>

#include "gradus/core/memory.hpp"
#include "gradus/kernels/conv/nchw_pack.hpp"
#include "gradus/kernels/conv/pool_epilogue.hpp"
#include "gradus/kernels/conv/winograd_ranges.hpp"
#include "gradus/kernels/conv/winograd_transforms.hpp"

// Winograd's filtering: from images to values of tiles at the points, and back. Both ways lead through a
// `band`, a few lines of one image with a panel of channels side by side.

namespace gradus::kernels::detail {

/// Images, or max-pooled windows of them if `argmax` is there: what a convolution writes, or the gradient of
/// that.
template <class T, class Code>
struct PooledImages {
    T* values;
    Code* argmax = nullptr;
    const ConvPoolGeometry* pool = nullptr;
};

namespace winograd {

inline constexpr Index ceil_div(Index n, Index unit) { return (n + unit - 1) / unit; }
inline constexpr Index round_up(Index n, Index unit) { return ceil_div(n, unit) * unit; }

inline Size2 tiles_of(const Size2& size) {
    return {ceil_div(size.height, tile_outputs), ceil_div(size.width, tile_outputs)};
}

/// Some rows of tiles, the same of each image.
struct TileRows {
    Index image, images, row, rows;
};

/// The tiles of `part` that come before those of `piece`, if each row has `columns`.
inline Index tiles_before(const TileRows& part, const TileRows& piece, Index columns) {
    return ((piece.image - part.image) * part.rows + piece.row - part.row) * columns;
}

/// A part cut into pieces of about `tiles` tiles: rows of one image, or several images.
struct TileBlocks {
    TileRows whole;
    Index columns, tiles;  // tiles of a row; of a piece
    Index rows = std::clamp<Index>(tiles / columns, 1, whole.rows);
    Index images = rows < whole.rows ? 1 : even_images();
    Index down = ceil_div(whole.rows, rows), across = ceil_div(whole.images, images);

    /// Of pieces that are about equal, and whose tiles are groups of four as far as possible.
    Index even_images() const {
        const Index area = rows * columns, unit = area % 4 == 0 ? 1 : area % 2 == 0 ? 2 : 4;
        const Index most = std::clamp<Index>(tiles / area, 1, whole.images);
        return std::min(most, round_up(ceil_div(whole.images, ceil_div(whole.images, most)), unit));
    }

    Index count() const { return down * across; }
    TileRows operator[](Index i) const {
        const Index image = i / down * images, row = i % down * rows;
        return {whole.image + image, std::min(images, whole.images - image), whole.row + row,
                std::min(rows, whole.rows - row)};
    }
};

/// Vecs of a panel that hold channels.
inline Index vecs_of(Index channels, Index panel) { return channels > panel / 2 ? 2 : 1; }

/// Element (y, x) of a dense array of `width` columns in one of `pitch` columns of panels.
inline gradus::detail::RecycledVector<Index> pixel_offsets(Index rows, Index width, Index pitch,
                                                           Index panel) {
    gradus::detail::RecycledVector<Index> result(static_cast<std::size_t>(rows * width));
    OffsetGenerator{rows, width, 0, 0, pitch * panel, panel}.run(0, rows * width, result.data());
    return result;
}

/// Values at the points: number (i, j) of tile n at data[(i * count of points + j) * point + n * tile].
template <class T>
struct TransformedTiles {
    T* data;
    Index point, tile;
};

/// Images [batch, channels, size] with zeros to the right and below, in windows that begin every
/// `tile_outputs` pixels, as Map transforms them.
template <class T, class Map>
struct InputTiles {
    static constexpr Index window = static_cast<Index>(Map::from), points = static_cast<Index>(Map::to);

    PooledImages<const T, const std::uint8_t> x;
    Index channels, planes;  // planes: channels of an image, of which these are some
    Size2 size, grid;        // grid: windows of an image
    Ranges<T>* ranges;       // learn what is read
    Index panel = tile_sizes<T>().columns;
    Index pitch = grid.width * tile_outputs + window - tile_outputs, line = pitch * panel;
    gradus::detail::RecycledVector<Index> at = pixel_offsets(window, size.width, pitch, panel);

    Index panels() const { return ceil_div(channels, panel); }

    /// The windows of `part`, those of panel p.
    void run(Index p, const TileRows& part, TransformedTiles<T> to) const {
        learn_range(p, part);
        Tensor<T> memory = Tensor<T>::uninitialized({window * line});
        T* const band = memory.mutable_data();
        for (Index i = 0; i < window; ++i)
            std::fill(band + i * line + size.width * panel, band + (i + 1) * line, T(0));
        const Index vectors = vecs_of(channels - p * panel, panel);
        for (Index image = part.image; image < part.image + part.images; ++image)
            for (Index row = part.row; row < part.row + part.rows; ++row) {
                const Index kept = row > part.row ? window - tile_outputs : 0;
                std::copy_n(band + tile_outputs * line, kept * line, band);
                read(p, image, row * tile_outputs, kept, band);
                transform<Map, T>({band, line, panel, tile_outputs * panel},
                                  {to.data, points * to.point, to.point, to.tile}, grid.width, vectors);
                to.data += grid.width * to.tile;
            }
    }

    /// Rows of tiles share lines; each learns those where it begins, and the last one the rest.
    void learn_range(Index p, const TileRows& part) const {
        const Size2 plane = x.argmax ? x.pool->pooled() : size;
        const Index unit = x.argmax ? x.pool->window.height : 1;
        const auto first_line = [&](Index row) {
            return row == grid.height ? plane.height
                                      : std::min(plane.height, ceil_div(row * tile_outputs, unit));
        };
        for (Index image = part.image; image < part.image + part.images; ++image)
            ranges->learn(p, image, first_line(part.row), first_line(part.row + part.rows),
                          x.values + (image * planes + p * panel) * plane.area(),
                          std::min(panel, channels - p * panel));
    }

    /// Lines top + kept ... of the image to the lines of the band from `kept` on.
    void read(Index p, Index image, Index top, Index kept, T* band) const {
        if (x.argmax) return unpool(p, image, top, band);
        const Index end = std::clamp(size.height - top, kept, window);
        std::fill(band + end * line, band + window * line, T(0));
        const PackedPixels pixels{size.area(), std::min(panel, channels - p * panel),
                                  (end - kept) * size.width, at.data()};
        simd::run<PackChannels<T>>(
            x.values + (image * planes + p * panel) * size.area() + (top + kept) * size.width, pixels,
            band + kept * line);
    }

    /// The same for the gradient of what was pooled: zeros, but for the elements of the pooling windows.
    /// These may reach beyond the lines of the band.
    void unpool(Index p, Index image, Index top, T* band) const {
        const Size2 pooled = x.pool->pooled(), cell = x.pool->window;
        std::fill_n(band, window * line, T(0));
        Index window_elements[max_window];
        OffsetGenerator{cell.height, cell.width, 0, 0, line, panel}.run(0, cell.area(), window_elements);
        const Index first = top / cell.height;
        const Index last = std::min(pooled.height, ceil_div(top + window, cell.height));
        for (Index j = 0; j < std::min(panel, channels - p * panel); ++j) {
            Index from = (image * planes + p * panel + j) * pooled.area() + first * pooled.width;
            for (Index y = first; y < last; ++y) {
                const Index begin = (y * cell.height - top) * line + j;
                for (Index i = 0; i < pooled.width; ++i, ++from) {
                    const std::uint8_t element = x.argmax[from];
                    if (element == clipped) continue;
                    const Index to = begin + i * cell.width * panel + window_elements[element];
                    if (to >= 0 && to < window * line) band[to] = x.values[from];
                }
            }
        }
    }
};

/// The way back: tiles as Map transforms them, added up where they overlap, to images [batch, channels,
/// size], which are part of what the tiles cover: `before` and whatever remains on the other side is left
/// out.
template <class T, class Map>
struct OutputTiles {
    static constexpr Index points = static_cast<Index>(Map::from), patch = static_cast<Index>(Map::to);
    static constexpr Index overlap = patch - tile_outputs;

    PooledImages<T, std::uint8_t> y;
    Index channels, planes;
    Size2 size, before, grid;
    const T* bias = nullptr;
    Index panel = tile_sizes<T>().columns;
    Index pitch = grid.width * tile_outputs + overlap, line = pitch * panel;
    Index unit = y.argmax ? y.pool->window.height : 1;  // lines that are written together
    Index band_size = (patch + unit - 1) * line;
    gradus::detail::RecycledVector<Index> at = pixel_offsets(patch, size.width, pitch, panel);

    Index panels() const { return ceil_div(channels, panel); }
    /// Whether the rows of an image must come one after the other, with the same band.
    bool ordered() const { return overlap > 0 || unit > 1; }

    /// The tiles of `part`, those of panel p.
    void run(Index p, const TileRows& part, TransformedTiles<const T> from, const T* added, T* band) const {
        const Index vectors = vecs_of(channels - p * panel, panel);
        for (Index image = part.image; image < part.image + part.images; ++image)
            for (Index row = part.row; row < part.row + part.rows; ++row) {
                const Index top =
                    row * tile_outputs / unit * unit;  // line of the image where the band begins
                T* const begin = band + (row * tile_outputs - top) * line;
                if (row == 0) std::fill_n(begin, overlap * line, T(0));
                for (Index i = overlap; i < patch; ++i) std::fill_n(begin + i * line, overlap * panel, T(0));
                transform<Map, T>({from.data, points * from.point, from.point, from.tile},
                                  {begin, line, panel, tile_outputs * panel}, grid.width, vectors, added);
                const Index done = (row + 1) * tile_outputs;
                const bool last = row + 1 == grid.height;
                const Index end = last ? done + overlap : done / unit * unit;
                y.argmax ? pool(p, image, top, end, band) : write(p, image, top, end, band);
                if (!last && end > top)
                    std::copy(band + (end - top) * line, band + (done + overlap - top) * line, band);
                from.data += grid.width * from.tile;
            }
    }

    /// Lines [top, end) of what the tiles cover, which begin the band.
    void write(Index p, Index image, Index top, Index end, const T* band) const {
        const Index first = std::max(top, before.height);
        const Index count = std::min(end, before.height + size.height) - first;
        if (count <= 0) return;
        const PackedPixels pixels{size.area(), std::min(panel, channels - p * panel), count * size.width,
                                  at.data()};
        simd::run<UnpackChannels<T>>(
            band + (first - top) * line + before.width * panel, pixels,
            y.values + (image * planes + p * panel) * size.area() + (first - before.height) * size.width);
    }

    /// The windows in these lines, pooled.
    void pool(Index p, Index image, Index top, Index end, const T* band) const {
        const Size2 pooled = y.pool->pooled();
        const Index first = top / unit, plane = (image * planes + p * panel) * pooled.area();
        max_pool_rows(*y.pool, first, (std::min(end / unit, pooled.height) - first) * pooled.width, band,
                      line, std::min(panel, channels - p * panel), y.values + plane, y.argmax + plane);
    }
};

}  // namespace winograd
}  // namespace gradus::kernels::detail
