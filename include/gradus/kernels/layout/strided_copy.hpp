// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <type_traits>
#include <utility>

#include "gradus/core/parallel.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/kernels/simd/dispatch.hpp"
#include "gradus/kernels/simd/shuffle.hpp"
#include "gradus/kernels/simd/vec.hpp"

// One copy between two arrays that hold the same box of elements at different strides. It serves every
// operation that moves elements without changing them; see kernels/layout/permute.hpp.

namespace gradus::kernels {

/// The distance between neighbors along each axis of an array.
struct Strides {
    Index values[Shape::max_rank];

    Strides() = default;
    /// Of a row-major array of this shape. No size may be 0.
    explicit Strides(const Shape& shape) {
        Index stride = 1;
        for (int axis = shape.rank() - 1; axis >= 0; --axis) {
            values[axis] = stride;
            stride *= shape[axis];
        }
    }

    Index& operator[](int axis) { return values[axis]; }
    Index operator[](int axis) const { return values[axis]; }
};

/// A box of elements that two arrays hold at strides of their own. Axes are added from the innermost
/// outwards; those of size 1 are left out, and neighbors are merged where both arrays allow it.
struct StridedBox {
    static constexpr int max_rank = 2 * Shape::max_rank;  // repeat() walks each axis as two

    int rank = 0;
    Index sizes[max_rank];  // innermost first, like the strides
    Index from[max_rank];
    Index to[max_rank];

    StridedBox() = default;
    StridedBox(const Shape& shape, const Strides& from_strides, const Strides& to_strides) {
        for (int axis = shape.rank() - 1; axis >= 0; --axis)
            add_axis(shape[axis], from_strides[axis], to_strides[axis]);
    }

    void add_axis(Index size, Index from_stride, Index to_stride) {
        if (size == 1) return;
        if (rank > 0 && from_stride == from[rank - 1] * sizes[rank - 1] &&
            to_stride == to[rank - 1] * sizes[rank - 1]) {
            sizes[rank - 1] *= size;
            return;
        }
        sizes[rank] = size;
        from[rank] = from_stride;
        to[rank++] = to_stride;
    }

    /// True if both arrays hold the elements in one run.
    bool is_contiguous() const { return rank == 0 || (rank == 1 && from[0] == 1 && to[0] == 1); }

    void bring_to_front(int axis) {
        std::rotate(sizes, sizes + axis, sizes + axis + 1);
        std::rotate(from, from + axis, from + axis + 1);
        std::rotate(to, to + axis, to + axis + 1);
    }
};

/// Walks over the axes of a box from `first_axis` on, in row-major order, and keeps both offsets.
class StridedCursor {
public:
    StridedCursor(const StridedBox& box, int first_axis, Index start) : box_(box), first_(first_axis) {
        for (int axis = first_; axis < box.rank; ++axis) {
            position_[axis] = start % box.sizes[axis];
            start /= box.sizes[axis];
            from += position_[axis] * box.from[axis];
            to += position_[axis] * box.to[axis];
        }
    }

    void next() {
        for (int axis = first_; axis < box_.rank; ++axis) {
            from += box_.from[axis];
            to += box_.to[axis];
            if (++position_[axis] < box_.sizes[axis]) return;
            position_[axis] = 0;
            from -= box_.sizes[axis] * box_.from[axis];
            to -= box_.sizes[axis] * box_.to[axis];
        }
    }

    Index from = 0;
    Index to = 0;

private:
    const StridedBox& box_;
    int first_;
    Index position_[StridedBox::max_rank];
};

/// y[i * to] = x[i * from].
template <class T>
void copy_row(Index n, const T* x, Index from, T* y, Index to) {
    if (from == 1 && to == 1 && n >= 16) {  // fewer are done before the library's copy has begun
        std::copy_n(x, n, y);
    } else if (from == 0 && to == 1) {
        gradus::detail::fill_copies(y, n, *x);
    } else {
        for (Index i = 0; i < n; ++i) y[i * to] = x[i * from];
    }
}

namespace detail {

/// Rows and columns of a tile of a transposition: what is read and what is written stay in the first-level
/// cache.
inline constexpr Index tile_size = 64;

/// y[i * to + j] = x[i + j * from] for a tile. By blocks of 16 bytes: loads put them side by side, so that nothing has
/// to cross the halves of a wider vector, which some processors do slowly.
template <class T>
struct TransposeKernel {
    Index rows, columns;
    const T* x;
    Index from;
    T* y;
    Index to;

    static constexpr int side = 16 / static_cast<int>(sizeof(T));

    template <int Bytes>
    GRADUS_INLINE void run() const {
        constexpr int lanes = Bytes / static_cast<int>(sizeof(T));
        if (rows < side || columns < side) {
            for (Index i = 0; i < rows; ++i)
                for (Index j = 0; j < columns; ++j) y[i * to + j] = x[i + j * from];
        } else if (columns < lanes) {
            blocks<side, lanes>();
        } else {
            blocks<lanes, lanes>();
        }
    }

    /// Vectors of `Lanes` columns, and `Step` rows at a time; the last ones overlap those before.
    template <int Lanes, int Step>
    GRADUS_INLINE void blocks() const {
        using Vec = simd::Vec<T, Lanes>;
        Index step[std::size_t{side}];
        for (int k = 0; k < side; ++k) step[k] = k * from;
        for (Index top = 0; top < rows; top += Step)
            for (Index j = 0; j < columns; j += Lanes) {
                const Index column = std::min(j, columns - Lanes);
                for (Index i = top; i < std::min(top + Step, rows); i += side) {
                    const Index row = std::min(i, rows - side);
                    Vec block[std::size_t{side}];
                    simd::load_blocks(block, x + row + column * from, step, side * from);
                    simd::transpose_blocks(block);
#pragma GCC unroll 4
                    for (int k = 0; k < side; ++k) block[k].store(y + (row + k) * to + column);
                }
            }
    }
};

template <class T>
void transpose_tile(Index rows, Index columns, const T* x, Index from, T* y, Index to) {
    if constexpr (std::is_floating_point_v<T>) {
        simd::run(
            TransposeKernel<T>{.rows = rows, .columns = columns, .x = x, .from = from, .y = y, .to = to});
    } else {
        for (Index i = 0; i < rows; ++i)
            for (Index j = 0; j < columns; ++j) y[i * to + j] = x[i + j * from];
    }
}

/// Copies a box whose reading order and writing order run along different axes: tile by tile, so that every
/// line of the cache is used whole. Axis 0 is contiguous in y, axis 1 in x.
template <class T>
void copy_tiles(const StridedBox& box, const T* x, T* y) {
    const Index columns = box.sizes[0], rows = box.sizes[1];
    const Index across = (columns + tile_size - 1) / tile_size, down = (rows + tile_size - 1) / tile_size;
    Index planes = 1;
    for (int axis = 2; axis < box.rank; ++axis) planes *= box.sizes[axis];
    const Index tile = std::min(rows, tile_size) * std::min(columns, tile_size);
    parallel_for(
        planes * down * across, std::max<Index>(1, parallel_grain / tile), [&](Index begin, Index end) {
            StridedCursor plane(box, 2, begin / (down * across));
            Index i = begin / across % down, j = begin % across;
            for (Index count = end - begin; count > 0; --count) {
                const Index row = i * tile_size, column = j * tile_size;
                transpose_tile(std::min(tile_size, rows - row), std::min(tile_size, columns - column),
                               x + plane.from + row + column * box.from[0], box.from[0],
                               y + plane.to + row * box.to[1] + column, box.to[1]);
                if (++j < across) continue;
                j = 0;
                if (++i < down) continue;
                i = 0;
                plane.next();
            }
        });
}

/// Calls visit(n, x, from, y, to) for the rows of a box, along its innermost axis: n elements that lie `from`
/// and `to` apart.
template <class T>
void for_rows(const StridedBox& box, const T* x, T* y, void (*visit)(Index, const T*, Index, T*, Index)) {
    if (box.rank == 0) return visit(1, x, 1, y, 1);
    const Index columns = box.sizes[0], width = std::min(columns, parallel_grain);
    const Index across = (columns + width - 1) / width;  // a long row is work for several threads
    Index rows = 1;
    for (int axis = 1; axis < box.rank; ++axis) rows *= box.sizes[axis];
    parallel_for(rows * across, std::max<Index>(1, parallel_grain / width), [&](Index begin, Index end) {
        StridedCursor row(box, 1, begin / across);
        Index column = begin % across * width;
        for (Index count = end - begin; count > 0; --count) {
            visit(std::min(width, columns - column), x + row.from + column * box.from[0], box.from[0],
                  y + row.to + column * box.to[0], box.to[0]);
            column += width;
            if (column < columns) continue;
            column = 0;
            row.next();
        }
    });
}

}  // namespace detail

/// Copies every element of a box from x to y. No size may be 0.
template <class T>
void copy_box(StridedBox box, const T* x, T* y) {
    if (box.rank > 0 && box.from[0] > 1 && box.to[0] == 1)
        for (int axis = 1; axis < box.rank; ++axis)
            if (box.from[axis] == 1) {
                box.bring_to_front(axis);
                box.bring_to_front(1);
                return detail::copy_tiles(box, x, y);
            }
    detail::for_rows(box, x, y, copy_row<T>);
}

}  // namespace gradus::kernels
