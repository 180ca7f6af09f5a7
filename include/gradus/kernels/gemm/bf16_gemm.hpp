// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/core/parallel.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/kernels/gemm/bf16_backend.hpp"
#include "gradus/kernels/gemm/bf16_pack.hpp"
#include "gradus/kernels/gemm/offsets.hpp"
#include "gradus/kernels/reduce/pairwise_sum.hpp"

// Products of float operands that are rounded to bfloat16 on the way into the unit that multiplies them, or
// are split into the sum of two such numbers: a · b = ah · bh + ah · bl + al · bh, without al · bl, which is
// below the rounding of the rest. Sums are in float. After Henry, Tang & Heinecke, "Leveraging the bfloat16
// artificial intelligence datatype for higher-precision computations", 2019.

namespace gradus::kernels::detail {

/// Element (i, k) of A, or (k, i) of B, is x[rows(i) + depths(k)].
struct Bf16Operand {
    const float* x;
    OffsetGenerator rows, depths;
    Index count;           // rows
    bool resident = true;  // packed as a whole, else block by block where it is needed

    Index strips() const { return (count + bf16_block_rows - 1) / bf16_block_rows; }
};

/// Vecs `strips` strips from the first on, for k in [begin, begin + depth), at most 512 of them.
[[gnu::noinline]] inline void pack_bf16(const Bf16Unit& unit, const Bf16Operand& x, bool panel, Index first,
                                        Index strips, Index begin, Index depth, Bf16Pair* high, Bf16Pair* low,
                                        Index stride) {
    Index depths[512], rows[bf16_block_rows];
    x.depths.run(begin, depth, depths);
    unsigned char runs[512 / bf16_block_depth];
    for (Index k = 0; k < depth; k += bf16_block_depth)
        runs[k / bf16_block_depth] = depth - k < bf16_block_depth                ? 0
                                     : in_runs(depths + k, bf16_block_depth, 16) ? 16
                                     : in_runs(depths + k, bf16_block_depth, 4)  ? 4
                                                                                 : 1;
    for (Index s = first; s < first + strips; ++s) {
        const Index count = std::min(bf16_block_rows, x.count - s * bf16_block_rows);
        x.rows.run(s * bf16_block_rows, count, rows);
        std::fill(rows + count, rows + bf16_block_rows, rows[count - 1]);
        const Index at = (s - first) * stride;
        const Bf16Packing packing{x.x, rows, depths, runs, depth, panel, high + at, low ? low + at : nullptr};
        unit.pack(&packing);
    }
}

/// Operands of up to so many numbers are packed as a whole before anything is multiplied.
inline constexpr Index bf16_resident_size = Index{1} << 21;

/// C(i, j) at c[i · c_row + c_columns(j)] = bias + the sum over k of A(i, k) B(k, j). Every element adds up
/// in the same order, whatever the number of threads. Up to piece_terms of them are one run in the unit's
/// registers, longer than those of long_sums.hpp: rounding the operands costs more than that.
struct Bf16Product {
    const Bf16Unit& unit;
    bool split;  // into two parts each
    Bf16Operand a, b;
    Index depth;  // k
    float* c;
    Index c_row;
    OffsetGenerator c_columns;
    const float* row_bias = nullptr;
    const float* column_bias = nullptr;
    Index row_group = 8, column_group = 2;  // strips and panels of one task, even
    Index parts = 1;                        // of k, whose sums are added in the end; without bias
    Index start = 0;                        // where k begins, in a piece of a longer sum

    /// A packed operand, or the place for a block of one.
    struct Packed {
        Tensor<float> memory;  // of numbers as large as a pair
        Bf16Pair* high = nullptr;
        Bf16Pair* low = nullptr;
        Index stride = 0;  // from strip to strip

        void allocate(Index strips, Index steps, bool low_part) {
            stride = steps * bf16_block_pairs;
            memory = Tensor<float>::uninitialized({(low_part ? 2 : 1) * strips * stride});
            high = reinterpret_cast<Bf16Pair*>(memory.mutable_data());
            low = low_part ? high + strips * stride : nullptr;
        }
    };

    /// k that is packed and multiplied in one go: two panels of it stay in the first-level cache.
    Index block_depth() const { return split ? 256 : 512; }
    Index steps() const { return (depth + bf16_block_depth - 1) / bf16_block_depth; }

    /// For few rows and columns beyond number: these are packed block by block, once for all rows.
    void gather_columns() {
        column_group = 8;
        if (b.count * depth <= bf16_resident_size) return;
        b.resident = false;
        row_group = (a.strips() + 1) / 2 * 2;
    }

    /// For k beyond number: operands are packed block by block, for many rows and columns.
    void sum_over_many() {
        row_group = 16;
        column_group = 8;
        a.resident = a.count * depth <= bf16_resident_size;
        b.resident = b.count * depth <= bf16_resident_size;
        const Index tasks =
            (a.strips() + row_group - 1) / row_group * ((b.strips() + column_group - 1) / column_group);
        const Index blocks = (depth + block_depth() - 1) / block_depth();
        parts = std::clamp<Index>(16 / tasks, 1, blocks);
    }

    void run() const {
        const Index size = a.count * b.count;
        if (depth > piece_terms) {
            Tensor<float> memory = Tensor<float>::uninitialized({size});
            add_pieces(Index{0}, depth, piece_terms, size, memory.mutable_data(),
                       [this](Index begin, Index end, float* sums) {
                           Bf16Product piece = dense(sums);
                           piece.start = begin;
                           piece.depth = end - begin;
                           piece.parts = std::min(parts, (piece.depth - 1) / block_depth() + 1);
                           piece.row_bias = piece.column_bias = nullptr;
                           piece.run();
                       });
            write(memory.data(), 1);
        } else if (parts > 1) {
            Tensor<float> memory = Tensor<float>::uninitialized({parts, size});
            dense(memory.mutable_data()).run_parts();
            write(memory.data(), parts);
        } else {
            run_parts();
        }
    }

private:
    /// The same product to a matrix without gaps.
    Bf16Product dense(float* sums) const {
        Bf16Product product = *this;
        product.c = sums;
        product.c_row = b.count;
        product.c_columns = linear_offsets(b.count, 1);
        return product;
    }

    /// C = bias + the sum of `count` such matrices.
    void write(const float* sums, Index count) const {
        Index places[bf16_block_rows];
        for (Index i = 0; i < a.count; ++i)
            for (Index j = 0; j < b.count; ++j) {
                if (j % bf16_block_rows == 0)
                    c_columns.run(j, std::min(bf16_block_rows, b.count - j), places);
                const float* const at = sums + i * b.count + j;
                float sum = at[0];
                for (Index part = 1; part < count; ++part) sum += at[part * a.count * b.count];
                if (row_bias) sum += row_bias[i];
                if (column_bias) sum += column_bias[j];
                c[i * c_row + places[j % bf16_block_rows]] = sum;
            }
    }

    void run_parts() const {
        Packed whole_a, whole_b;
        if (a.resident) pack_all(a, false, whole_a);
        if (b.resident) pack_all(b, true, whole_b);
        const Index row_groups = (a.strips() + row_group - 1) / row_group;
        const Index column_groups = (b.strips() + column_group - 1) / column_group;
        const Index work = row_group * column_group * bf16_block_pairs * depth / parts / 8;
        parallel_for(row_groups * column_groups * parts,
                     std::max<Index>(1, parallel_grain / std::max<Index>(1, work)),
                     [&](Index begin, Index end) {
                         Packed block_a, block_b;
                         const Index block_steps = block_depth() / bf16_block_depth;
                         if (!a.resident) block_a.allocate(row_group, block_steps, split);
                         if (!b.resident) block_b.allocate(column_group, block_steps, split);
                         unit.begin();
                         for (Index task = begin; task < end; ++task)
                             run_task(task % row_groups, task / row_groups % column_groups,
                                      task / row_groups / column_groups, a.resident ? whole_a : block_a,
                                      b.resident ? whole_b : block_b);
                         unit.end();
                     });
    }

    void pack_all(const Bf16Operand& x, bool panel, Packed& packed) const {
        packed.allocate(x.strips(), steps(), split);
        const Index work = bf16_block_rows * depth;
        parallel_for(x.strips(), std::max<Index>(1, parallel_grain / work), [&](Index begin, Index end) {
            for (Index k = 0; k < depth; k += block_depth()) {
                const Index at = begin * packed.stride + k * bf16_block_pairs / bf16_block_depth;
                pack_bf16(unit, x, panel, begin, end - begin, start + k, std::min(block_depth(), depth - k),
                          packed.high + at, packed.low ? packed.low + at : nullptr, packed.stride);
            }
        });
    }

    void run_task(Index row_task, Index column_task, Index part, const Packed& packed_a,
                  const Packed& packed_b) const {
        const Index strip = row_task * row_group, strips = std::min(row_group, a.strips() - strip);
        const Index panel = column_task * column_group, panels = std::min(column_group, b.strips() - panel);
        const Index blocks = (depth + block_depth() - 1) / block_depth();
        const Index begin = blocks * part / parts * block_depth();
        const Index end = std::min(depth, blocks * (part + 1) / parts * block_depth());
        float* const out = c + part * a.count * b.count;
        for (Index k = begin; k < end; k += block_depth()) {
            const Index count = std::min(block_depth(), end - k);
            if (!a.resident)
                pack_bf16(unit, a, false, strip, strips, start + k, count, packed_a.high, packed_a.low,
                          packed_a.stride);
            if (!b.resident)
                pack_bf16(unit, b, true, panel, panels, start + k, count, packed_b.high, packed_b.low,
                          packed_b.stride);
            const Index at = k * bf16_block_pairs / bf16_block_depth;
            const Index a_at = a.resident ? at + strip * packed_a.stride : 0;
            const Index b_at = b.resident ? at + panel * packed_b.stride : 0;
            for (Index s = 0; s < strips; s += 2)
                for (Index p = 0; p < panels; p += 2) {
                    Bf16Tile tile{};
                    tile.terms = split ? 3 : 1;
                    for (int term = 0; term < tile.terms; ++term) {  // high · high, high · low, low · high
                        tile.a[term] =
                            (term == 2 ? packed_a.low : packed_a.high) + a_at + s * packed_a.stride;
                        tile.b[term] =
                            (term == 1 ? packed_b.low : packed_b.high) + b_at + p * packed_b.stride;
                    }
                    tile.steps = (count + bf16_block_depth - 1) / bf16_block_depth;
                    tile.a_strip = packed_a.stride;
                    tile.b_panel = packed_b.stride;
                    tile.strips = static_cast<int>(std::min<Index>(2, strips - s));
                    tile.panels = static_cast<int>(std::min<Index>(2, panels - p));
                    run_tile(tile, strip + s, panel + p, out, k == begin);
                }
        }
    }

    /// A tile goes straight to C where all of its rows and columns exist and columns follow each other, else
    /// by way of a copy.
    void run_tile(Bf16Tile& tile, Index strip, Index panel, float* out, bool first) const {
        const Index row = strip * bf16_block_rows;
        float* const at = out + row * c_row;
        float copy[2][2 * bf16_block_rows * bf16_block_rows];
        Index places[2][bf16_block_rows], columns[2];
        tile.rows = std::min(tile.strips * bf16_block_rows, a.count - row);
        tile.add = !first || row_bias || column_bias;
        for (int p = 0; p < tile.panels; ++p) {
            const Index column = (panel + p) * bf16_block_rows;
            columns[p] = std::min(bf16_block_rows, b.count - column);
            c_columns.run(column, columns[p], places[p]);
            const bool direct = tile.rows == tile.strips * bf16_block_rows && columns[p] == bf16_block_rows &&
                                in_runs(places[p], bf16_block_rows, bf16_block_rows);
            tile.c[p] = direct ? at + places[p][0] : copy[p];
            tile.c_row[p] = direct ? c_row : bf16_block_rows;
            if (first && tile.add)
                for (Index i = 0; i < tile.rows; ++i)
                    for (Index j = 0; j < columns[p]; ++j)
                        tile.c[p][i * tile.c_row[p] + j] =
                            row_bias ? row_bias[row + i] : column_bias[column + j];
            if (!first && !direct)
                for (Index i = 0; i < tile.rows; ++i)
                    for (Index j = 0; j < columns[p]; ++j)
                        copy[p][i * bf16_block_rows + j] = at[i * c_row + places[p][j]];
        }
        unit.multiply(&tile);
        for (int p = 0; p < tile.panels; ++p)
            for (Index i = 0; tile.c[p] == copy[p] && i < tile.rows; ++i)
                for (Index j = 0; j < columns[p]; ++j)
                    at[i * c_row + places[p][j]] = copy[p][i * bf16_block_rows + j];
    }
};

/// How to compute this product: in float if it is too small for packing to pay or fills less than a tile.
inline Bf16Choice gemm_choice(Index m, Index n, Index k) {
    const Bf16Choice choice = bf16_choice();
    return is_profitable_in_bf16(m, n, k) ? choice : Bf16Choice{};
}

/// c[m, n] = a · b + bias[n] as kernels::gemm.
inline void gemm_bf16(const Bf16Choice& choice, Index m, Index n, Index k, const float* a, Index a_row,
                      Index a_column, const float* b, Index b_row, Index b_column, const float* bias,
                      float* c) {
    Bf16Product{.unit = *choice.unit,
                .split = choice.split,
                .a = {a, linear_offsets(m, a_row), linear_offsets(k, a_column), m},
                .b = {b, linear_offsets(n, b_column), linear_offsets(k, b_row), n},
                .depth = k,
                .c = c,
                .c_row = n,
                .c_columns = linear_offsets(n, 1),
                .column_bias = bias}
        .run();
}

}  // namespace gradus::kernels::detail
