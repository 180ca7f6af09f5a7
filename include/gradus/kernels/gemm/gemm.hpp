// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <type_traits>

#include "gradus/core/memory.hpp"
#include "gradus/core/parallel.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/kernels/gemm/bf16_gemm.hpp"
#include "gradus/kernels/gemm/gemv.hpp"
#include "gradus/kernels/gemm/microkernel.hpp"
#include "gradus/kernels/gemm/pack.hpp"
#include "gradus/kernels/reduce/pairwise_sum.hpp"

// C = A · B + bias, C row-major, A and B with any strides. B is cut into micro-panels of NR columns, A into
// micro-panels of MR rows and these into blocks of MC rows. A task packs KC of k of one micro-panel of B and
// multiplies all micro-panels of one block of A with it. A micro-panel of A and that part of B pass through
// the first-level cache; the block, as far as it meets that part, stays in the second. A is read in place if
// its rows are consecutive. Elements are summed as reduce/pairwise_sum.hpp says: up to run_terms numbers of k
// are one run, in more each KC is one.

namespace gradus::kernels {
namespace detail {

/// How a product of m × n × k numbers is blocked, which depends on the sizes and the instruction set alone.
template <class T>
struct GemmPlan {
    static constexpr Index max_kc = 400, max_block_bytes = 576 * 1024;
    static_assert(max_kc <= run_terms && 2 * max_kc > run_terms);  // more than a run is several KC of >= half

    Index m, n, k, mr, nr;
    Index a_panels, b_panels;  // micro-panels
    Index full_a_panels;  // have MR rows, those after them one less if that adds up to m: a short one is slow
    Index kc;             // of k, packed at once
    Index run;            // numbers of k that are one run
    Index blocks;         // of A, each of MC rows or some less

    GemmPlan(Index m_rows, Index n_columns, Index k_terms, const TileSizes& tile = tile_sizes<T>())
        : m(m_rows), n(n_columns), k(k_terms), mr(tile.rows), nr(tile.columns) {
        a_panels = ceil_div(m, mr);
        b_panels = ceil_div(n, nr);
        const Index missing_rows = a_panels * mr - m;
        full_a_panels = missing_rows <= a_panels ? a_panels - missing_rows : a_panels;
        kc = ceil_div(k, ceil_div(k, max_kc));
        run = run_of(k);
        blocks = std::min(a_panels, ceil_div(m * kc * static_cast<Index>(sizeof(T)), max_block_bytes));
    }

    static Index run_of(Index k) { return k <= run_terms ? k : ceil_div(k, ceil_div(k, max_kc)); }

    /// The first row of a micro-panel of A, or m for the one after the last.
    Index first_row(Index panel) const {
        return std::min(m, panel * mr - std::max<Index>(0, panel - full_a_panels));
    }
    /// The first micro-panel of a block of A.
    Index first_panel(Index block) const { return a_panels * block / blocks; }
};

/// c[m, n] = a · b, for k > 0, plus bias[n]; or plus a bias for each row, row_bias[m, NR]; or plus what is in
/// c.
template <class T>
struct Product {
    Index m, n, k;
    MatrixRef<T> a, b;
    const T* bias;  // null: none
    T* c;
    bool add = false;             // to c, and no bias
    const T* row_bias = nullptr;  // null: none

    void run() const;

    /// What k in [begin, end) adds, to a matrix of its own. The first of such pieces has the bias.
    Product piece(Index begin, Index end, T* sums) const {
        Product part{m, n, end - begin, a.at(0, begin), b.at(begin, 0), nullptr, sums};
        if (begin == 0) {
            part.bias = bias;
            part.add = add;
            part.row_bias = row_bias;
        }
        return part;
    }
};

/// A product in tiles.
template <class T>
struct BlockedGemm {
    static constexpr Index panel_bytes = 128;  // NR numbers

    const Product<T>& product;
    const GemmPlan<T>& plan;

    void run() const {
        const MatrixRef<T>& a = product.a;
        const Index k = product.k;
        if (plan.a_panels <= 4) return multiply(a, 0, 0, k);  // copying A would not pay
        // Rows whose distance is a multiple of 2 KB fall into the same few places of the first-level cache.
        const bool row_aliases_l1 = a.row * static_cast<Index>(sizeof(T)) % 2048 == 0 && plan.b_panels > 1;
        if (a.column != 1) {
            const Index panel_size = plan.mr * k;
            const Tensor<T> packed = packed_a(panel_size);
            for_each_kc({packed.data(), 1, plan.mr}, panel_size);
        } else if (row_aliases_l1) {
            const Index row = k + line<T>;
            const Tensor<T> padded = padded_rows(row);
            for_each_kc({padded.data(), row, 1}, 0);
        } else {
            for_each_kc(a, 0);
        }
    }

private:
    Tensor<T> packed_a(Index panel_size) const {
        Tensor<T> memory = Tensor<T>::uninitialized({plan.a_panels * panel_size});
        T* const out = memory.mutable_data();
        const MatrixRef<T>& a = product.a;
        const Index block = even_block(plan.a_panels, std::max<Index>(1, parallel_grain / panel_size));
        parallel_for(plan.a_panels, block, [&](Index begin, Index end) {
            for (Index p = begin; p < end; ++p) {
                const Index row = plan.first_row(p), rows = plan.first_row(p + 1) - row;
                simd::run(PackA<T>{.a = a.at(row, 0),
                                   .rows = rows,
                                   .k_count = product.k,
                                   .whole_vectors = a.column + rows >= 16,
                                   .out = out + p * panel_size});
            }
        });
        return memory;
    }

    Tensor<T> padded_rows(Index row) const {
        const Index m = product.m, k = product.k;
        Tensor<T> memory = Tensor<T>::uninitialized({m * row});
        T* const out = memory.mutable_data();
        parallel_for(m, std::max<Index>(1, parallel_grain / k), [&](Index begin, Index end) {
            for (Index i = begin; i < end; ++i)
                std::copy_n(product.a.data + i * product.a.row, k, out + i * row);
        });
        return memory;
    }

    void for_each_kc(MatrixRef<T> a, Index panel_size) const {
        for (Index q = 0; q < product.k; q += plan.kc)
            multiply(a, panel_size, q, std::min(product.k, q + plan.kc));
    }

    /// What A · B adds to C for k in [k_begin, k_end). `a` is A, or its first micro-panel, the others
    /// following every panel_size numbers.
    void multiply(MatrixRef<T> a, Index panel_size, Index k_begin, Index k_end) const {
        const Index b_panels = plan.b_panels, tasks = b_panels * plan.blocks;
        const Index work = std::max<Index>(1, product.m * (k_end - k_begin) * plan.nr / 8 / plan.blocks);
        const Index grain = std::max<Index>(1, parallel_grain / work);
        // Threads meet in the middle. That task is split in four, so that they end at about the same time.
        const Index parts = grain == 1 && tasks > 1 ? std::min<Index>(4, plan.a_panels / plan.blocks) : 1;
        const Index middle = tasks / 2, threads = num_threads(), ahead = (threads + 1) / 2;
        parallel_for(tasks - 1 + parts, grain, [&](Index begin, Index end) {
            for (Index t = begin; t < end; ++t) {
                const Index part = std::clamp<Index>(t - middle, 0, parts - 1), task = t - part;
                const Index block = task / b_panels, b_panel = task % b_panels;
                Index first = plan.first_panel(block), last = plan.first_panel(block + 1);
                if (task == middle) {
                    const Index count = last - first;
                    last = first + count * (part + 1) / parts;
                    first += count * part / parts;
                }
                const bool upwards = threads == 1 || grain > 1 || task < middle;
                const Index next = upwards ? task + ahead : task - ahead;  // probably this thread's
                multiply_panel(a, panel_size, b_panel, first, last, k_begin, k_end,
                               next >= 0 && next < tasks ? next % b_panels : -1,
                               upwards ? b_panel < ahead : b_panel >= b_panels - ahead);
            }
        });
    }

    /// Micro-panel `b_panel` of B times [first, last) of A. `next` is the micro-panel of B that this thread
    /// probably takes next, or negative; cold_c says that no task before this one has fetched these tiles of
    /// C.
    void multiply_panel(MatrixRef<T> a, Index panel_size, Index b_panel, Index first, Index last,
                        Index k_begin, Index k_end, Index next, bool cold_c) const {
        alignas(64) T packed[static_cast<std::size_t>(GemmPlan<T>::max_kc * panel_bytes) / sizeof(T)];
        alignas(64) T bias[panel_bytes / sizeof(T)];
        static constexpr T zeros[panel_bytes / sizeof(T)] = {};
        const MatrixRef<T>& b = product.b;
        const Index n = product.n, nr = plan.nr, column = b_panel * nr, width = std::min(nr, n - column);
        // In a micro-panel of less than two vectors the second begins before the end of the first, and whole
        // rows are copied, with some columns of the micro-panel before.
        const Index overlap = width > nr / 2 ? nr - width : 0;
        const Index before = n >= nr ? overlap : 0, copied = before + width;
        std::fill(std::copy_n(product.bias ? product.bias + column - before : bias, product.bias ? copied : 0,
                              bias),
                  bias + nr, T(0));
        // With one micro-panel of A, a packed B would be read just once.
        const bool in_place = plan.a_panels == 1 && b.column == 1 && width >= nr / 2;
        const Index step = in_place && k_end - k_begin <= plan.run ? k_end - k_begin : plan.kc;
        for (Index q = k_begin; q < k_end; q += step) {
            const MatrixRef<T> columns = b.at(q, column - before);
            const Index count = std::min(step, k_end - q);
            if (!in_place)
                simd::run(PackB<T>{.b = columns, .k_count = count, .columns = copied, .out = packed});
            const bool new_run = q % plan.run == 0, new_sum = q == 0 && !product.add;
            MicroKernel<T> tile{.k = count,
                                .a = nullptr,
                                .a_row = a.row,
                                .a_column = a.column,
                                .b = before + (in_place ? columns.data : packed),
                                .b_row = in_place ? b.row : nr,
                                .c = nullptr,
                                .c_row = n,
                                .rows = 0,
                                .columns = width,
                                .overlap = overlap,
                                .init = (new_sum ? bias : zeros) + before,
                                .init_row = 0,
                                .add = new_run && !new_sum};
            for (Index p = first; p < last; ++p) {
                const Index row = plan.first_row(p);
                if (new_sum && product.row_bias) {
                    tile.init = product.row_bias + row * nr;
                    tile.init_row = nr;
                }
                tile.a = a.data + (panel_size > 0 ? p * panel_size : row * a.row) + q * a.column;
                tile.c = product.c + row * n + column;
                if (!new_run) {
                    tile.init = tile.c;
                    tile.init_row = n;
                }
                tile.rows = plan.first_row(p + 1) - row;
                if (cold_c)
                    for (Index i = 0; i < tile.rows; ++i)
                        for (const Index j : {Index{0}, width / 2, width - 1})
                            __builtin_prefetch(tile.c + i * n + j, 1);
                look_ahead(tile, p, first, last, k_begin, cold_c && panel_size == 0 && a.column == 1, next);
                simd::run(tile);
            }
        }
    }

    /// What the tile of micro-panel p of [first, last) fetches for those after it, since operands of some
    /// megabytes come from memory: the micro-panels of A while they are `cold`, and in the last tiles what
    /// the micro-panel `next` of B (none if negative) reads and then what it writes.
    void look_ahead(MicroKernel<T>& tile, Index p, Index first, Index last, Index k_begin, bool cold,
                    Index next) const {
        constexpr Index both = 2 * line<T>;  // each step of a tile fetches two lines
        const MatrixRef<T>& b = product.b;
        // Nothing is asked for behind the `left` numbers that there are: looking for memory that is not there takes
        // longer than the products.
        const auto fetch = [&tile](const T* from, Index step, Index left) {
            tile.ahead = from;
            tile.ahead_step = std::min(step, std::max<Index>(left, 0) / tile.k);
        };
        fetch(nullptr, 0, 0);
        Index to_go = last - 1 - p;
        if (cold && to_go > 0) {
            if (to_go % 2 == 0 || tile.k * both < 2 * plan.mr * tile.a_row)
                return fetch(tile.a + tile.rows * tile.a_row, both,
                             (plan.first_row(last) - plan.first_row(p + 1)) * tile.a_row);
            to_go = (to_go + 1) / 2;  // a tile fetches two micro-panels, so every other one is free
        }
        if (next < 0) return;
        // Of rows that cross lines, the first line is the last one of the micro-panel before.
        const Index column = next * plan.nr, last_of_line = column + line<T> - 1;
        if (b.column == 1) {
            if (to_go == 0)
                return fetch(b.data + k_begin * b.row + last_of_line, b.row, (product.k - k_begin) * b.row);
            --to_go;
        } else if (b.row == 1) {
            const Index part = tile.k * both, parts = ceil_div(plan.nr * b.column, part);
            if (to_go < parts)
                return fetch(b.data + k_begin + column * b.column + to_go * part, both,
                             (product.n - column) * b.column - k_begin - to_go * part);
            to_go -= parts;
        }
        const Index row = plan.first_row(first) + to_go * tile.k;
        if (row < plan.first_row(last))
            fetch(product.c + row * product.n + last_of_line, product.n,
                  (plan.first_row(last) - row) * product.n);
    }
};

template <class T>
void Product<T>::run() const {
    if (k > piece_terms)
        return add_pieces(Index{0}, k, piece_terms, m * n, c,
                          [this](Index begin, Index end, T* sums) { piece(begin, end, sums).run(); });
    if (!add && !row_bias && (m == 1 || n == 1)) {
        const Index run = GemmPlan<T>::run_of(k);
        if (m == 1 ? gemv(Gemv<T>{k, a.data, a.column, b, bias, 1, c, run}, n)
                   : gemv(Gemv<T>{k, b.data, b.row, a.transposed(), bias, 0, c, run}, m))
            return;
    }
    const GemmPlan<T> plan(m, n, k);
    BlockedGemm<T>{*this, plan}.run();
}

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
/// count: see reduce/pairwise_sum.hpp, also for the error.
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
            detail::gemm_plain(m, n, end - begin, a.at(0, begin), b.at(begin, 0), begin == 0 ? bias : nullptr,
                               sums);
        });
    }
}

}  // namespace gradus::kernels
