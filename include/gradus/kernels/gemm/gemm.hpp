// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <type_traits>

#include "gradus/core/memory.hpp"
#include "gradus/core/parallel.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/kernels/gemm/bf16_gemm.hpp"
#include "gradus/kernels/gemm/microkernel.hpp"
#include "gradus/kernels/reduce/pairwise_sum.hpp"

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
/// A vector times a matrix: c[j] = bias[j] + sum over i of x[i] · b(i, j), every number of b read once and in
/// place.
template <class T>
struct VectorArgs {
    Index depth;
    const T* x;
    Index x_step;
    MatrixRef<T> b;   // row or column is 1
    const T* bias;    // null: none
    Index bias_step;  // 0: one number for all
    T* c;
    Index run;  // length of the runs that depth is summed in
};

template <class T>
struct VectorKernel {
    /// Columns [begin, end), not less than a vector of them; nor is b less deep if its columns are
    /// consecutive.
    template <int Bytes>
    GRADUS_INLINE static void run(const VectorArgs<T>* args, Index begin, Index end) {
        constexpr int lanes = Bytes / static_cast<int>(sizeof(T));
        Index j = begin;
        if (args->b.column == 1) {
            for (; j + 8 * lanes <= end; j += 8 * lanes) rows<8, lanes>(*args, j);
            for (; j < end; j += lanes) rows<1, lanes>(*args, std::min(j, end - lanes));
        } else {
            constexpr int half = std::min(lanes, 32 / static_cast<int>(sizeof(T)));
            for (; j < end; j += 2 * half) {
                const Index at = std::min(j, std::max(begin, end - 2 * half));
                columns<half>(*args, at, std::min<Index>(half, end - half - at));
            }
        }
    }

    template <int Lanes>
    GRADUS_INLINE static void start(const VectorArgs<T>& args, Index j, simd::Vec<T, Lanes>& sum) {
        using Vec = simd::Vec<T, Lanes>;
        sum = !args.bias ? Vec(T(0)) : args.bias_step ? Vec::load(args.bias + j) : Vec(*args.bias);
    }

    template <int Vectors, int Lanes>
    GRADUS_INLINE static void rows(const VectorArgs<T>& args, Index j) {
        using Vec = simd::Vec<T, Lanes>;
        Vec sum[std::size_t{Vectors}];
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) start(args, j + v * Lanes, sum[v]);
        const T *x = args.x, *b = args.b.data + j;
        for (Index first = 0; first < args.depth; first += args.run) {
            const Index last = std::min(args.depth, first + args.run);
            for (Index k = first; k < last; ++k, x += args.x_step, b += args.b.row) {
                const Vec factor(*x);
#pragma GCC unroll 8
                for (int v = 0; v < Vectors; ++v) sum[v] = fma(factor, Vec::load(b + v * Lanes), sum[v]);
            }
#pragma GCC unroll 8
            for (int v = 0; v < Vectors; ++v) {
                T* const c = args.c + j + v * Lanes;
                (first > 0 ? Vec::load(c) + sum[v] : sum[v]).store(c);
                sum[v] = Vec(T(0));
            }
        }
    }

    /// The columns of two vectors: from j and from j + second on. If that is 0 there is but one.
    template <int Lanes>
    GRADUS_INLINE static void columns(const VectorArgs<T>& args, Index j, Index second) {
        using Vec = simd::Vec<T, Lanes>;
        const T* const b = args.b.data + j * args.b.column;
        const Index next = second * args.b.column;
        Vec sum[2], total[2];
        start(args, j, sum[0]);
        start(args, j + second, sum[1]);
        for (Index first = 0; first < args.depth; first += args.run) {
            const Index end = std::min(args.depth, first + args.run);
            Index k = first;
            for (; k + Lanes <= end; k += Lanes) {
                const T* const x = args.x + k * args.x_step;
#pragma GCC unroll 2
                for (int v = 0; v < 2; ++v) {
                    if (v == 1 && second == 0) break;
                    Vec values[std::size_t{Lanes}];
                    PackKernel<T>::load_transposed(b + v * next + k, args.b.column, Lanes, values);
#pragma GCC unroll 16
                    for (int i = 0; i < Lanes; ++i) sum[v] = fma(Vec(x[i * args.x_step]), values[i], sum[v]);
                }
            }
            const Index rest = end - k, last = end - Lanes;
            for (int v = 0; v < 2; ++v) {  // what is left, compiled once
                Vec values[std::size_t{Lanes}], part = sum[v];
                if (rest > 0)
                    PackKernel<T>::load_transposed(b + v * next + last, args.b.column, Lanes, values);
                for (Index i = Lanes - rest; i < Lanes; ++i)
                    part = fma(Vec(args.x[(last + i) * args.x_step]), values[i], part);
                total[v] = first > 0 ? total[v] + part : part;
                if (second == 0) break;
            }
            sum[0] = sum[1] = Vec(T(0));
        }
        for (int v = 0; v < 2; ++v) {
            total[v].store(args.c + j + v * second);
            if (second == 0) break;
        }
    }
};

/// A product in tiles. B is cut into panels as wide as a tile, A into strips of rows as high as a tile and
/// these into blocks. A task copies a part of one panel, so that tiles read consecutive memory, and
/// multiplies all strips of one block with it. The strip and that part pass through the first-level cache;
/// the block, as far as it meets that part, stays in the second. A is read in place if its rows are
/// consecutive. Elements are summed as long_sums.hpp says: up to run_terms numbers of k are one run, in more
/// each pass is one.
template <class T>
struct Product {
    static constexpr Index max_depth = 400;  // of a pass, the part of a panel that is copied at once
    static_assert(max_depth <= run_terms &&
                  2 * max_depth > run_terms);  // more than a run is passes of >= half
    static constexpr Index panel_bytes = 128, block_bytes = 576 * 1024;

    Index m, n, k;
    MatrixRef<T> a, b;
    const T* bias;
    T* c;
    bool add = false;             // c += a · b, and no bias
    const T* row_bias = nullptr;  // or a bias for each row, tile.columns times
    TileSizes tile = tile_sizes<T>();
    Index panels = (n + tile.columns - 1) / tile.columns, strips = (m + tile.rows - 1) / tile.rows;
    // Strips have tile.rows rows, or one less if that adds up to m: a low strip would be slow.
    Index missing = strips * tile.rows - m, high_strips = missing <= strips ? strips - missing : strips;
    Index passes = (k + max_depth - 1) / max_depth, depth = (k + passes - 1) / passes;
    Index run_depth = k <= run_terms ? k : depth;
    Index block_size = m * depth * static_cast<Index>(sizeof(T));
    Index blocks = std::min(strips, (block_size + block_bytes - 1) / block_bytes);

    Index first_row(Index strip) const {
        return std::min(m, strip * tile.rows - std::max<Index>(0, strip - high_strips));
    }

    void run() const {
        if (k > piece_terms) return run_pieces();
        if (!add && !row_bias && vector_times_matrix()) return;
        if (strips <= 4) return multiply(a, 0, 0, k);  // copying A would not pay
        // Rows whose distance is a multiple of 2 KB fall into the same few places of the first-level cache.
        const bool crowded = a.row * static_cast<Index>(sizeof(T)) % 2048 == 0 && panels > 1;
        if (a.column != 1) {
            const Index size = tile.rows * k;
            const Tensor<T> strips_of_a = packed_strips(size);
            all_passes({strips_of_a.data(), 1, tile.rows}, size);
        } else if (crowded) {
            const Index row = k + 64 / static_cast<Index>(sizeof(T));
            const Tensor<T> spread = spread_rows(row);
            all_passes({spread.data(), row, 1}, 0);
        } else {
            all_passes(a, 0);
        }
    }

    void run_pieces() const {
        add_pieces(Index{0}, k, piece_terms, m * n, c, [this](Index begin, Index end, T* sums) {
            Product piece{m,
                          n,
                          end - begin,
                          {a.data + begin * a.column, a.row, a.column},
                          {b.data + begin * b.row, b.row, b.column},
                          nullptr,
                          sums};
            if (begin == 0) {
                piece.bias = bias;
                piece.add = add;
                piece.row_bias = row_bias;
            }
            piece.run();
        });
    }

    bool vector_times_matrix() const {
        if (m > 1 && n > 1) return false;
        const Index size = m * n, lanes = tile.columns / 2;
        VectorArgs<T> args{k, a.data, a.column, b, bias, 1, c, run_depth};
        if (m > 1) args = {k, b.data, b.row, a.transposed(), bias, 0, c, run_depth};
        if (size < lanes || (args.b.column != 1 && (args.b.row != 1 || k < lanes))) return false;
        const Index parts = std::max<Index>(1, std::min(size / (8 * lanes), size * k / 8 / parallel_grain));
        parallel_for(parts, 1, [&](Index part, Index) {
            simd::run<VectorKernel<T>>(static_cast<const VectorArgs<T>*>(&args), size * part / parts,
                                       size * (part + 1) / parts);
        });
        return true;
    }

    Tensor<T> packed_strips(Index size) const {
        Tensor<T> memory = Tensor<T>::uninitialized({strips * size});
        T* const out = memory.mutable_data();
        const Index block = even_block(strips, std::max<Index>(1, parallel_grain / size));
        parallel_for(strips, block, [&](Index begin, Index end) {
            for (Index s = begin; s < end; ++s) {
                const Index row = first_row(s), rows = first_row(s + 1) - row;
                simd::run<PackRowsKernel<T>>(a.data + row * a.row, a.row, a.column, k, rows,
                                             a.column + rows >= 16, out + s * size);
            }
        });
        return memory;
    }

    Tensor<T> spread_rows(Index row) const {
        Tensor<T> memory = Tensor<T>::uninitialized({m * row});
        T* const out = memory.mutable_data();
        parallel_for(m, std::max<Index>(1, parallel_grain / k), [&](Index begin, Index end) {
            for (Index i = begin; i < end; ++i) std::copy_n(a.data + i * a.row, k, out + i * row);
        });
        return memory;
    }

    void all_passes(MatrixRef<T> x, Index strip_size) const {
        for (Index q = 0; q < k; q += depth) multiply(x, strip_size, q, std::min(k, q + depth));
    }

    /// What A · B adds to C for k in [from, to). A is x, or x for the first strip and so on every strip_size
    /// numbers.
    void multiply(MatrixRef<T> x, Index strip_size, Index from, Index to) const {
        const Index tasks = panels * blocks;
        const Index work = std::max<Index>(1, m * (to - from) * tile.columns / 8 / blocks);
        const Index block = std::max<Index>(1, parallel_grain / work);
        // Threads meet in the middle. That task is split in four, so that they end at about the same time.
        const Index parts = block == 1 && tasks > 1 ? std::min<Index>(4, strips / blocks) : 1;
        const Index middle = tasks / 2, threads = num_threads(), side = (threads + 1) / 2;
        parallel_for(tasks - 1 + parts, block, [&](Index begin, Index end) {
            for (Index t = begin; t < end; ++t) {
                const Index part = std::clamp<Index>(t - middle, 0, parts - 1), task = t - part;
                const Index i = task / panels, panel = task % panels;
                Index first = strips * i / blocks, last = strips * (i + 1) / blocks;
                if (task == middle) {
                    const Index count = last - first;
                    last = first + count * (part + 1) / parts;
                    first += count * part / parts;
                }
                const bool upwards = threads == 1 || block > 1 || task < middle;
                const Index next = upwards ? task + side : task - side;  // probably this thread's
                panel_times_rows(x, strip_size, panel, first, last, from, to,
                                 next >= 0 && next < tasks ? next % panels : -1,
                                 upwards ? panel < side : panel >= panels - side);
            }
        });
    }

    /// What tile s of [first, last) fetches for those after it, since operands of some megabytes come from
    /// memory: the strips of A while they are `cold`, and in the last tiles what the panel `next` (none if
    /// negative) reads and then what it writes.
    void look_ahead(TileArgs<T>& args, Index s, Index first, Index last, Index from, bool cold,
                    Index next) const {
        constexpr Index both = 2 * line<T>;  // each step of a tile fetches two lines
        const auto fetch = [&args](const T* at, Index step) {
            args.ahead = at;
            args.ahead_step = step;
        };
        fetch(nullptr, 0);
        Index to_go = last - 1 - s;
        if (cold && to_go > 0) {
            if (to_go % 2 == 0 || args.depth * both < 2 * tile.rows * args.a_row)
                return fetch(args.a + args.rows * args.a_row, both);
            to_go = (to_go + 1) / 2;  // a tile fetches two strips, so every other one is free
        }
        if (next < 0) return;
        // Of rows that cross lines, the first line is the last one of the panel before.
        const Index column = next * tile.columns, side = column + line<T> - 1;
        if (b.column == 1) {
            if (to_go == 0) return fetch(b.data + from * b.row + side, b.row);
            --to_go;
        } else if (b.row == 1) {
            const Index part = args.depth * both, parts = (tile.columns * b.column + part - 1) / part;
            if (to_go < parts) return fetch(b.data + from + column * b.column + to_go * part, both);
            to_go -= parts;
        }
        const Index row = first_row(first) + to_go * args.depth;
        if (row < first_row(last)) fetch(c + row * n + side, n);
    }

    void panel_times_rows(MatrixRef<T> x, Index strip_size, Index panel, Index first, Index last, Index from,
                          Index to, Index next, bool fresh) const {
        alignas(64) T packed[static_cast<std::size_t>(max_depth * panel_bytes) / sizeof(T)];
        alignas(64) T start[panel_bytes / sizeof(T)];
        static constexpr T zeros[panel_bytes / sizeof(T)] = {};
        const Index column = panel * tile.columns, width = std::min(tile.columns, n - column);
        // In a panel of less than two vectors the second begins before the end of the first, and whole rows
        // are copied, with some columns of the panel before.
        const Index overlap = width > tile.columns / 2 ? tile.columns - width : 0;
        const Index before = n >= tile.columns ? overlap : 0, copied = before + width;
        std::fill(std::copy_n(bias ? bias + column - before : start, bias ? copied : 0, start),
                  start + tile.columns, T(0));
        const bool whole_vectors = width >= tile.columns / 2;
        const bool in_place = strips == 1 && b.column == 1 && whole_vectors;  // copied to be read once
        const Index step = in_place && to - from <= run_depth ? to - from : depth;
        for (Index q = from; q < to; q += step) {
            const T* const rows = b.data + q * b.row + (column - before) * b.column;
            TileArgs<T> args;
            args.depth = std::min(step, to - q);
            if (!in_place) simd::run<PackKernel<T>>(rows, b.row, b.column, args.depth, copied, &packed[0]);
            args.b = before + (in_place ? rows : packed);
            args.b_row = in_place ? b.row : tile.columns;
            args.a_row = x.row;
            args.a_column = x.column;
            args.c_row = n;
            args.columns = width;
            args.overlap = overlap;
            const bool new_run = q % run_depth == 0, new_sum = q == 0 && !add;
            args.add = new_run && !new_sum;
            args.start = (new_sum ? start : zeros) + before;
            args.start_row = 0;
            for (Index s = first; s < last; ++s) {
                const Index row = first_row(s);
                if (new_sum && row_bias) {
                    args.start = row_bias + row * tile.columns;
                    args.start_row = tile.columns;
                }
                args.a = x.data + (strip_size > 0 ? s * strip_size : row * x.row) + q * x.column;
                args.c = c + row * n + column;
                if (!new_run) {
                    args.start = args.c;
                    args.start_row = n;
                }
                args.rows = first_row(s + 1) - row;
                if (fresh)  // the tiles of later panels were fetched meanwhile
                    for (Index i = 0; i < args.rows; ++i)
                        for (const Index j : {Index{0}, width / 2, width - 1})
                            __builtin_prefetch(args.c + i * n + j, 1);
                look_ahead(args, s, first, last, from, fresh && strip_size == 0 && x.column == 1, next);
                simd::run<TileKernel<T>>(&args);
            }
        }
    }
};

/// The same for every other type of number (integers, Dual).
template <class T>
void gemm_plain(Index m, Index n, Index k, MatrixRef<T> a, MatrixRef<T> b, const T* bias, T* c) {
    parallel_for(
        m, std::max<Index>(1, parallel_grain / std::max<Index>(1, n * k)), [&](Index begin, Index end) {
            const Index run = run_length(k);
            for (Index i = begin; i < end; ++i)
                for (Index j = 0; j < n; ++j) {
                    T total = T(0);
                    for (Index first = 0; first == 0 || first < k; first += run) {
                        T sum = first == 0 && bias ? bias[j] : T(0);
                        for (Index q = first; q < std::min(k, first + run); ++q)
                            sum = sum + a.data[i * a.row + q * a.column] * b.data[q * b.row + j * b.column];
                        total = first == 0 ? sum : total + sum;
                    }
                    c[i * n + j] = total;
                }
        });
}

}  // namespace detail

/// c[m, n] = a[m, k] · b[k, n] + bias[n] (none if null); c is row-major. Each element starts from its bias
/// and adds up k in an order that depends on k alone, not on m and n, the order in memory or the thread
/// count: see long_sums.hpp, also for the error.
template <class T>
void gemm(Index m, Index n, Index k, MatrixRef<T> a, MatrixRef<T> b, T* c, const T* bias = nullptr) {
    if (m == 0 || n == 0) return;
    if constexpr (std::is_same_v<T, float>)
        if (const detail::Bf16Plan plan = detail::bf16_plan(); plan && detail::is_profitable_in_bf16(m, n, k))
            return plan({.m = m,
                         .n = n,
                         .k = k,
                         .a = {a.data, detail::linear_offsets(m, a.row), detail::linear_offsets(k, a.column)},
                         .b = {b.data, detail::linear_offsets(n, b.column), detail::linear_offsets(k, b.row)},
                         .c = c,
                         .c_row = n,
                         .c_columns = detail::linear_offsets(n, 1),
                         .column_bias = bias});
    if constexpr (std::is_floating_point_v<T>) {
        if (k > 0) return detail::Product<T>{m, n, k, a, b, bias, c}.run();
        for (Index i = 0; i < m * n; ++i) c[i] = bias ? bias[i % n] : T(0);
    } else {
        detail::add_pieces(Index{0}, k, detail::piece_terms, m * n, c, [&](Index begin, Index end, T* sums) {
            detail::gemm_plain(m, n, end - begin, {a.data + begin * a.column, a.row, a.column},
                               {b.data + begin * b.row, b.row, b.column}, begin == 0 ? bias : nullptr, sums);
        });
    }
}

}  // namespace gradus::kernels
