// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>

#include "gradus/core/memory.hpp"
#include "gradus/kernels/conv/nchw_pack.hpp"
#include "gradus/kernels/conv/pool_epilogue.hpp"
#include "gradus/kernels/conv/winograd_ranges.hpp"
#include "gradus/kernels/conv/winograd_transforms.hpp"

// Winograd's filtering: from NCHW images to tiles that are transformed, that is values at the interpolation
// points, and back. Both lead through a `band`, a few lines of one image, channel-packed.

namespace gradus::kernels::detail {

/// Images, or max-pooled windows of them if `argmax` is there: what a convolution writes, or the gradient of
/// that.
template <class T, class Argmax>
struct PooledImages {
    T* values;
    Argmax* argmax = nullptr;
    const ConvPoolGeometry* pool = nullptr;
};

namespace winograd {

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

/// A part cut into blocks: rows of one image, or several images.
struct TileBlocks {
    TileRows whole;
    Index columns;       // tiles of a row
    Index rows, images;  // of a block
    Index down, across;  // blocks, in an image and in the batch

    TileBlocks(const TileRows& part, Index row_tiles, Index block_rows, Index block_images)
        : whole(part),
          columns(row_tiles),
          rows(block_rows),
          images(block_images),
          down(ceil_div(part.rows, rows)),
          across(ceil_div(part.images, images)) {}

    /// Of about `tiles` tiles.
    TileBlocks(const TileRows& part, Index row_tiles, Index tiles)
        : TileBlocks(part, row_tiles, std::clamp<Index>(tiles / row_tiles, 1, part.rows),
                     tiles / row_tiles < part.rows ? 1 : even_images(part, row_tiles, tiles)) {}

    Index count() const { return down * across; }
    TileRows operator[](Index i) const {
        const Index image = i / down * images, row = i % down * rows;
        return {whole.image + image, std::min(images, whole.images - image), whole.row + row,
                std::min(rows, whole.rows - row)};
    }

private:
    /// Images of blocks that are about equal, and whose tiles are groups of four as far as possible.
    static Index even_images(const TileRows& part, Index row_tiles, Index tiles) {
        const Index area = part.rows * row_tiles, unit = area % 4 == 0 ? 1 : area % 2 == 0 ? 2 : 4;
        const Index most = std::clamp<Index>(tiles / area, 1, part.images);
        return std::min(most, round_up(ceil_div(part.images, ceil_div(part.images, most)), unit));
    }
};

/// Vectors of a panel that hold channels.
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

/// Some channels of images with `planes` channels, tiles of them, and the band in which rows of tiles lie.
template <class T>
struct TiledImages {
    Index channels, planes;
    Size2 size, grid;          // grid: tiles of an image
    Index panel, pitch, line;  // channels of a panel; pixels and numbers of a line of the band
    gradus::detail::RecycledVector<Index> packed;  // offsets of pixels in the band

    /// `window`: pixels of a tile along one axis.
    TiledImages(Index some, Index all, const Size2& image, const Size2& tiles, Index window)
        : channels(some), planes(all), size(image), grid(tiles), panel(tile_sizes<T>().columns) {
        pitch = grid.width * tile_outputs + window - tile_outputs;
        line = pitch * panel;
        packed = pixel_offsets(window, size.width, pitch, panel);
    }

    Index panels() const { return ceil_div(channels, panel); }
};

/// Images with zeros to the right and below, in input tiles that begin every `tile_outputs` pixels and
/// overlap, as Map transforms them.
template <class T, class Map>
struct InputTiles : TiledImages<T> {
    static constexpr Index window = static_cast<Index>(Map::from), points = static_cast<Index>(Map::to);
    using Base = TiledImages<T>;
    using Base::channels, Base::planes, Base::size, Base::grid, Base::panel, Base::line, Base::packed;

    PooledImages<const T, const std::uint8_t> x;
    Ranges<T>* ranges;  // learn what is read
    Index band_size;

    InputTiles(const PooledImages<const T, const std::uint8_t>& images, Index some, Index all,
               const Size2& image, const Size2& tiles, Ranges<T>& to_learn)
        : Base(some, all, image, tiles, window), x(images), ranges(&to_learn), band_size(window * line) {}

    /// The windows of `part`, those of panel p.
    void run(Index p, const TileRows& part, TransformedTiles<T> to, T* band) const {
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

    /// To be called once for each panel and part. Rows of tiles share lines; each learns those where it begins, and the last one the rest.
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
                                  (end - kept) * size.width, packed.data()};
        simd::run(PackChannels<T>{
            pixels, x.values + (image * planes + p * panel) * size.area() + (top + kept) * size.width,
            band + kept * line});
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

/// The way back: output tiles as Map makes them from values at the points, added up where they overlap, to
/// images, which are part of what the tiles cover: `before` and whatever remains on the other side is left out.
template <class T, class Map>
struct OutputTiles : TiledImages<T> {
    static constexpr Index points = static_cast<Index>(Map::from), patch = static_cast<Index>(Map::to);
    static constexpr Index overlap = patch - tile_outputs;
    using Base = TiledImages<T>;
    using Base::channels, Base::planes, Base::size, Base::grid, Base::panel, Base::line, Base::packed;

    PooledImages<T, std::uint8_t> y;
    Size2 before;
    const T* bias;
    Index unit;  // lines that are written together
    Index band_size;

    OutputTiles(const PooledImages<T, std::uint8_t>& images, Index some, Index all, const Size2& image,
                const Size2& skipped, const Size2& tiles, const T* added = nullptr)
        : Base(some, all, image, tiles, patch), y(images), before(skipped), bias(added) {
        unit = y.argmax ? y.pool->window.height : 1;
        band_size = (patch + unit - 1) * line;
    }

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
                                  packed.data()};
        simd::run(UnpackChannels<T>{
            pixels, band + (first - top) * line + before.width * panel,
            y.values + (image * planes + p * panel) * size.area() + (first - before.height) * size.width});
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
