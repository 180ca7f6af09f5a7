// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <type_traits>

#include "gradus/core/memory.hpp"
#include "gradus/core/parallel.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/kernels/bf16_gemm.hpp"
#include "gradus/kernels/map.hpp"

namespace gradus::kernels {

/// A matrix operand as it lies in memory: element (i, j) is data[i * row + j * column]. Swapping the two
/// strides transposes it at no cost; packing absorbs the difference.
template <class T>
struct MatrixRef {
    const T* data;
    Index row, column;

    MatrixRef transposed() const { return {data, column, row}; }
};

namespace detail {

// The product is built from tiles of `rows x columns` that stay in registers while k runs. B is copied once
// into panels as wide as a tile, so that the inner loop reads consecutive memory; A is read in place if its
// rows are consecutive, else copied into panels as well. Layout after Goto & van de Geijn, "Anatomy of
// high-performance matrix multiplication", 2008.
template <int Bytes>
inline constexpr Index tile_rows = Bytes == 64 ? 14 : 6;  // what the registers of the instruction set hold
template <class T, int Bytes>
inline constexpr Index tile_columns = 2 * Bytes / static_cast<Index>(sizeof(T));
inline constexpr Index block_depth =
    256;  // k per pass: a B panel of this depth stays in the first-level cache
inline constexpr Index tiles_per_task = 4;

struct TileSizes {
    Index rows, columns;
};

/// The tile of the instruction set in use.
template <class T>
TileSizes tile_sizes() {
    switch (simd::isa()) {
        case simd::Isa::avx512:
            return {tile_rows<64>, tile_columns<T, 64>};
        case simd::Isa::avx2:
            return {tile_rows<32>, tile_columns<T, 32>};
        default:
            return {tile_rows<16>, tile_columns<T, 16>};
    }
}

template <class T>
struct TileArgs {
    Index depth;  // length of k in this pass
    const T* a;   // (i, k) at a[i * a_row + k * a_column]
    Index a_row, a_column;
    const T* b;  // panel: (k, j) at b[k * tile_columns + j]
    T* c;
    Index c_row;
    Index rows, columns;  // what of the tile lies inside C
    const T* bias;        // a panel's width of it
    bool first;           // first pass: start from bias, else from C
};

template <class T>
struct TileKernel {
    template <std::size_t Rows, int Bytes>
    GRADUS_INLINE static void tile(const TileArgs<T>& args, Index first_row) {
        constexpr int lanes = Bytes / static_cast<int>(sizeof(T));
        using Pack = simd::Pack<T, lanes>;
        T* const c = args.c + first_row * args.c_row;
        const T* a = args.a + first_row * args.a_row;
        const T* b = args.b;
        const T* const start = args.first ? args.bias : c;
        const Index start_row = args.first ? 0 : args.c_row;
        Pack sum[Rows][2];
#pragma GCC unroll 14
        for (std::size_t i = 0; i < Rows; ++i) {
            const T* const row = start + static_cast<Index>(i) * start_row;
            sum[i][0] = Pack::load(row);
            sum[i][1] = Pack::load(row + lanes);
        }
        for (Index k = 0; k < args.depth; ++k, a += args.a_column, b += 2 * lanes) {
            const Pack b0 = Pack::load(b), b1 = Pack::load(b + lanes);
#pragma GCC unroll 14
            for (std::size_t i = 0; i < Rows; ++i) {
                const Pack x(a[static_cast<Index>(i) * args.a_row]);
                sum[i][0] = fma(x, b0, sum[i][0]);
                sum[i][1] = fma(x, b1, sum[i][1]);
            }
        }
#pragma GCC unroll 14
        for (std::size_t i = 0; i < Rows; ++i) {
            T* const row = c + static_cast<Index>(i) * args.c_row;
            sum[i][0].store(row);
            sum[i][1].store(row + lanes);
        }
    }

    template <int Bytes>
    GRADUS_INLINE static void whole_width(const TileArgs<T>& args) {
        Index i = 0;
        if (args.rows == tile_rows<Bytes>) return tile<tile_rows<Bytes>, Bytes>(args, 0);
        for (; i + 4 <= args.rows; i += 4) tile<4, Bytes>(args, i);
        for (; i < args.rows; ++i) tile<1, Bytes>(args, i);
    }

    /// A tile that reaches beyond the right edge of C is computed on the side.
    template <int Bytes>
    GRADUS_INLINE static void run(const TileArgs<T>* given) {
        constexpr Index width = tile_columns<T, Bytes>;
        T side[static_cast<std::size_t>(tile_rows<Bytes> * width)];
        TileArgs<T> args = *given;
        const bool narrow = args.columns < width;
        if (narrow) {
            args.c = side;
            args.c_row = width;
            if (!args.first)
                for (Index i = 0; i < args.rows; ++i)
                    std::copy_n(given->c + i * given->c_row, args.columns, side + i * width);
        }
        whole_width<Bytes>(args);
        if (narrow)
            for (Index i = 0; i < args.rows; ++i)
                std::copy_n(side + i * width, args.columns, given->c + i * given->c_row);
    }
};

/// Copies columns [first, first + width) of B, for all k, into a panel padded with zeros: out[k *
/// width_of_tile + j].
template <class T>
struct PackKernel {
    /// Transposes a square of lanes x lanes: out[j * stride + i] = x[i * row + j], by swapping ever smaller
    /// blocks.
    template <int Step, int Lanes>
    GRADUS_INLINE static void swap_blocks(simd::Pack<T, Lanes>* v) {
        if constexpr (Step > 0) {
#pragma GCC unroll 16
            for (int i = 0; i < Lanes; ++i)
                if (!(i & Step))
                    interleave<Step>(v[i], v[i + Step], std::make_integer_sequence<int, Lanes>());
            swap_blocks<Step / 2, Lanes>(v);
        }
    }
    template <int Step, int Lanes, int... L>
    GRADUS_INLINE static void interleave(simd::Pack<T, Lanes>& a, simd::Pack<T, Lanes>& b,
                                         std::integer_sequence<int, L...>) {
        using Pack = simd::Pack<T, Lanes>;
        const auto low = __builtin_shufflevector(a.v, b.v, ((L & Step) ? Lanes + (L ^ Step) : L)...);
        const auto high = __builtin_shufflevector(a.v, b.v, ((L & Step) ? Lanes + L : (L ^ Step))...);
        a = Pack::wrap(low);
        b = Pack::wrap(high);
    }

    template <int Bytes>
    GRADUS_INLINE static void run(const T* b, Index row, Index column, Index depth, Index width, T* out) {
        constexpr int lanes = Bytes / static_cast<int>(sizeof(T));
        using Pack = simd::Pack<T, lanes>;
        if (column == 1 && width == 2 * lanes) {
            for (Index k = 0; k < depth; ++k) {
                Pack::load(b + k * row).store(out + k * 2 * lanes);
                Pack::load(b + k * row + lanes).store(out + k * 2 * lanes + lanes);
            }
            return;
        }
        Index k = 0;
        if (row == 1 && width == 2 * lanes) {
            for (; k + lanes <= depth; k += lanes)
                for (Index half = 0; half < 2; ++half) {
                    Pack v[static_cast<std::size_t>(lanes)];
#pragma GCC unroll 16
                    for (int j = 0; j < lanes; ++j) v[j] = Pack::load(b + (half * lanes + j) * column + k);
                    swap_blocks<lanes / 2, lanes>(v);
#pragma GCC unroll 16
                    for (int i = 0; i < lanes; ++i) v[i].store(out + (k + i) * 2 * lanes + half * lanes);
                }
        }
        for (; k < depth; ++k)
            for (Index j = 0; j < 2 * lanes; ++j)
                out[k * 2 * lanes + j] = j < width ? b[k * row + j * column] : T(0);
    }
};

/// Copies rows of A, for all k, into a panel: out[k * tile_rows + i].
template <class T>
struct PackRowsKernel {
    /// `room`: 16 elements can be read from the last k on.
    template <int Bytes>
    GRADUS_INLINE static void run(const T* a, Index row, Index column, Index depth, Index rows, bool room,
                                  T* out) {
        constexpr Index count = tile_rows<Bytes>, lanes = Bytes / static_cast<Index>(sizeof(T));
        using Pack = simd::Pack<T, static_cast<int>(lanes)>;
        Index k = 0;
        if (row == 1 && room)  // whole packs: what is too much of one k is overwritten by the next
            for (; k + 1 < depth; ++k)
                for (Index i = 0; i < count; i += lanes)
                    Pack::load(a + k * column + i).store(out + k * count + i);
        for (; k < depth; ++k)
            for (Index i = 0; i < rows; ++i) out[k * count + i] = a[i * row + k * column];
    }
};

template <class T>
void gemm_packed(Index m, Index n, Index k, MatrixRef<T> a, MatrixRef<T> b, const T* bias, T* c) {
    const TileSizes tile = tile_sizes<T>();
    const Index panels = (n + tile.columns - 1) / tile.columns, strips = (m + tile.rows - 1) / tile.rows;
    const bool pack_a = a.column != 1;
    const Index b_size = panels * tile.columns * k, a_size = pack_a ? strips * tile.rows * k : 0;
    const Index bias_size = panels * tile.columns;
    Tensor<T> memory = Tensor<T>::uninitialized({b_size + bias_size + a_size});
    T* const b_panels = memory.mutable_data();
    T* const bias_panels = b_panels + b_size;
    T* const a_panels = bias_panels + bias_size;
    std::fill(std::copy_n(bias, bias ? n : 0, bias_panels), a_panels, T(0));

    const Index pack_grain = std::max<Index>(1, parallel_grain / (k * tile.columns));
    parallel_for(panels, pack_grain, [&](Index begin, Index end) {
        for (Index p = begin; p < end; ++p)
            simd::run<PackKernel<T>>(b.data + p * tile.columns * b.column, b.row, b.column, k,
                                     std::min(tile.columns, n - p * tile.columns),
                                     b_panels + p * tile.columns * k);
    });
    if (pack_a)
        parallel_for(strips, pack_grain, [&](Index begin, Index end) {
            for (Index s = begin; s < end; ++s)
                simd::run<PackRowsKernel<T>>(a.data + s * tile.rows * a.row, a.row, a.column, k,
                                             std::min(tile.rows, m - s * tile.rows), s * tile.rows + 16 <= m,
                                             a_panels + s * tile.rows * k);
        });

    const Index groups = (strips + tiles_per_task - 1) / tiles_per_task;
    const Index task_work = tiles_per_task * tile.rows * tile.columns * k / 8;
    parallel_for(panels * groups, std::max<Index>(1, parallel_grain / task_work),
                 [&](Index begin, Index end) {
                     for (Index task = begin; task < end; ++task) {
                         const Index p = task / groups, first = task % groups * tiles_per_task;
                         for (Index q = 0; q < k; q += block_depth)
                             for (Index s = first; s < std::min(strips, first + tiles_per_task); ++s) {
                                 TileArgs<T> args;
                                 args.depth = std::min(block_depth, k - q);
                                 args.a = pack_a ? a_panels + s * tile.rows * k + q * tile.rows
                                                 : a.data + s * tile.rows * a.row + q;
                                 args.a_row = pack_a ? 1 : a.row;
                                 args.a_column = pack_a ? tile.rows : 1;
                                 args.b = b_panels + p * tile.columns * k + q * tile.columns;
                                 args.c = c + s * tile.rows * n + p * tile.columns;
                                 args.c_row = n;
                                 args.rows = std::min(tile.rows, m - s * tile.rows);
                                 args.columns = std::min(tile.columns, n - p * tile.columns);
                                 args.bias = bias_panels + p * tile.columns;
                                 args.first = q == 0;
                                 simd::run<TileKernel<T>>(&args);
                             }
                     }
                 });
}

/// The same for every other type of number (integers, Dual).
template <class T>
void gemm_plain(Index m, Index n, Index k, MatrixRef<T> a, MatrixRef<T> b, const T* bias, T* c) {
    parallel_for(
        m, std::max<Index>(1, parallel_grain / std::max<Index>(1, n * k)), [&](Index begin, Index end) {
            for (Index i = begin; i < end; ++i)
                for (Index j = 0; j < n; ++j) {
                    T sum = bias ? bias[j] : T(0);
                    for (Index q = 0; q < k; ++q)
                        sum = sum + a.data[i * a.row + q * a.column] * b.data[q * b.row + j * b.column];
                    c[i * n + j] = sum;
                }
        });
}

}  // namespace detail

/// c[m, n] = a[m, k] · b[k, n] + bias[n] (none if null); c is row-major. Each element adds up k in ascending
/// order in blocks of 256, whatever the thread count.
template <class T>
void gemm(Index m, Index n, Index k, MatrixRef<T> a, MatrixRef<T> b, T* c, const T* bias = nullptr) {
    if (m == 0 || n == 0) return;
    if constexpr (std::is_same_v<T, float>) {
        if (const detail::Bf16Choice bf16 = detail::gemm_choice(m, n, k); bf16.unit)
            return detail::gemm_bf16(bf16, m, n, k, a.data, a.row, a.column, b.data, b.row, b.column, bias,
                                     c);
    }
    if constexpr (std::is_floating_point_v<T>) {
        if (k > 0) return detail::gemm_packed(m, n, k, a, b, bias, c);
    }
    detail::gemm_plain(m, n, k, a, b, bias, c);
}

namespace detail {

/// The last two axes of x as matrices, swapped if asked; x has at least two axes.
template <class T>
struct Matrices {
    const Tensor<T>& x;
    bool transpose;

    Index rows() const { return x.size(transpose ? -1 : -2); }
    Index columns() const { return x.size(transpose ? -2 : -1); }
    Shape batch() const { return Shape(x.shape().begin(), x.shape().end() - 2); }
    MatrixRef<T> at(Index i) const {
        const MatrixRef<T> matrix{x.data() + i * rows() * columns(), x.size(-1), 1};
        return transpose ? matrix.transposed() : matrix;
    }
};

/// c[..., m, n] = a[..., m, k] · b[..., k, n], the leading axes broadcast.
template <class T>
Tensor<T> matmul(const Matrices<T>& a, const Matrices<T>& b, const T* bias = nullptr) {
    const Index m = a.rows(), n = b.columns(), k = a.columns();
    const bool rows_only = b.x.rank() == 2 && !a.transpose;  // then a is one tall matrix
    Shape shape = rows_only ? a.batch() : broadcast("matmul", a.batch(), b.batch());
    const Index count = shape.numel();
    shape.push_back(m);
    shape.push_back(n);
    Tensor<T> c = Tensor<T>::uninitialized(shape);
    T* const out = c.mutable_data();
    if (rows_only) {
        gemm(count * m, n, k, a.at(0), b.at(0), out, bias);
        return c;
    }
    const Shape a_batch = a.batch(), b_batch = b.batch();
    const Shape* const batches[] = {&a_batch, &b_batch};
    const BroadcastPlan plan(Shape(shape.begin(), shape.end() - 2), batches, 2);
    const auto product = [&](Index i) {
        Index row[2];
        plan.offsets(i / plan.sizes[0], row);
        const Index at = i % plan.sizes[0];
        gemm(m, n, k, a.at(row[0] + at * plan.strides[0][0]), b.at(row[1] + at * plan.strides[0][1]),
             out + i * m * n, bias);
    };
    if (m * n * k < parallel_grain) {  // small products share the threads, large ones get them all
        parallel_for(count, std::max<Index>(1, parallel_grain / std::max<Index>(1, m * n * k)),
                     [&](Index begin, Index end) {
                         for (Index i = begin; i < end; ++i) product(i);
                     });
    } else {
        for (Index i = 0; i < count; ++i) product(i);
    }
    return c;
}

}  // namespace detail

/// a · b, of the last two axes.
template <class T>
Tensor<T> matmul(const Tensor<T>& a, const Tensor<T>& b) {
    return detail::matmul<T>({a, false}, {b, false});
}
/// a · bᵀ (+ bias[n]).
template <class T>
Tensor<T> matmul_nt(const Tensor<T>& a, const Tensor<T>& b, const T* bias = nullptr) {
    return detail::matmul<T>({a, false}, {b, true}, bias);
}
/// aᵀ · b.
template <class T>
Tensor<T> matmul_tn(const Tensor<T>& a, const Tensor<T>& b) {
    return detail::matmul<T>({a, true}, {b, false});
}

}  // namespace gradus::kernels
