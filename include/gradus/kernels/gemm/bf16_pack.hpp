// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/kernels/gemm/bf16_microkernel.hpp"
#include "gradus/kernels/gemm/offsets.hpp"
#include "gradus/kernels/simd/shuffle.hpp"

// Packing for products in bfloat16: rounds floats while they are copied into the blocks of
// bf16_microkernel.hpp (and splits them: the second block has what rounding took off). An operand need not be
// a matrix: its element (i, k) is x[rows[i] + k_offsets[k]], so images are gathered into patches block by
// block.

namespace gradus::kernels {

/// One micro-panel: 16 rows of A, or 16 columns of B, called rows here too, filled up with zeros to whole
/// blocks of k.
struct Bf16Packing {
    const float* x;
    const Index* rows;  // 16
    const Index* k_offsets;
    const unsigned char* runs;  // per block of 32 k: k_offsets in runs of 16, of 4, or less
    Index k;
    bool is_b;  // [pair][column], else [row][pair]
    Bf16Pair* high;
    Bf16Pair* low;  // what rounding took off, rounded; may be null
};

namespace detail {

/// offsets[i] .. offsets[i + count - 1] follow each other, for i = 0, count, 2 count, ... below size.
inline bool in_runs(const Index* offsets, Index size, Index count) {
    bool result = true;
    for (Index i = 1; i < size; ++i) result &= i % count == 0 || offsets[i] == offsets[i - 1] + 1;
    return result;
}

/// Copies x[offsets[0]], x[offsets[1]], ...: 16 of them.
inline void gather_16(const float* x, const Index* offsets, bool by_four, float* to) {
    if (by_four)
        for (Index i = 0; i < 16; i += 4) __builtin_memcpy(to + i, x + offsets[i], sizeof(float[4]));
    else
        for (Index i = 0; i < 16; ++i) to[i] = x[offsets[i]];
}

/// A block to be made of 32 times 16 floats: those at 2 i and 2 i + 1 follow each other along k in row i, or
/// else are the rows at k = 2 i and k = 2 i + 1.
struct Bf16Block {
    const float* at[32];
    bool along_k;
    bool transposed;
    bool low;  // what rounding takes off
    Bf16Pair* to;
};

/// Fills a block by integer operations.
struct Bf16Rounding {
    const Bf16Block* block;

    using Floats = simd::Vec<float, 16>;
    using Pairs = simd::Vec<Bf16Pair, 16>;

    GRADUS_INLINE static Pairs part(const Floats& x, bool low) {
        const Pairs high = simd::round_bf16(x);
        return low ? simd::round_bf16(x - simd::from_bits<float>(high & ~0xffff)) : high;
    }

    /// The upper halves of `a` and `b` as pairs: of neighbors, or of the same lane.
    GRADUS_INLINE static Pairs join(const Pairs& a, const Pairs& b, bool neighbors) {
        const simd::Bf16Halves u = simd::halves(a), v = simd::halves(b);
        return simd::pairs(neighbors ? simd::unzip_odd(u, v) : simd::interleave_odd<1>(u, v));
    }

    GRADUS_INLINE static void transpose_in_place(Bf16Pair* block) {
        Pairs v[16];
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) v[i] = Pairs::load(block + 16 * i);
        simd::transpose(v);
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) v[i].store(block + 16 * i);
    }

    template <int Bytes>
    GRADUS_INLINE void run() const {
        for (Index i = 0; i < 16; ++i)
            join(part(Floats::load(block->at[2 * i]), block->low),
                 part(Floats::load(block->at[2 * i + 1]), block->low), block->along_k)
                .store(block->to + 16 * i);
        if (block->transposed) transpose_in_place(block->to);
    }
};

/// The same with the instruction of AVX512-BF16. (It takes denormal numbers for zero, as the products do.)
struct Bf16Instruction : Bf16Rounding {
    [[gnu::noinline, GRADUS_TARGET_AVX512]] static void fill_low(const Bf16Block* block) {
        Bf16Rounding{block}.run<64>();
    }

    [[gnu::noinline, GRADUS_TARGET_AVX512]] static void fill(const Bf16Block* block) {
        for (Index i = 0; i < 16; ++i) {
            const Floats first = Floats::load(block->at[2 * i]), second = Floats::load(block->at[2 * i + 1]);
            Pairs pairs = simd::round_to_pairs(first, second);
            if (!block->along_k) pairs = simd::pairs(simd::zip_halves(simd::halves(pairs)));
            pairs.store(block->to + 16 * i);
        }
        if (block->transposed) transpose_in_place(block->to);
    }
};

/// Fills blocks by one of these functions, and those with what rounding took off by the other. What follows
/// each other in memory is read in place, the rest copied together.
template <void (*Fill)(const Bf16Block*), void (*FillLow)(const Bf16Block*)>
void pack_bf16_blocks(const Bf16Packing* given) {
    const Bf16Packing p = *given;
    const bool one_run = in_runs(p.rows, 16, 16), rows_by_four = in_runs(p.rows, 16, 4);
    alignas(64) float copy[16 * 32];
    for (Index k = 0; k < p.k; k += bf16_block_k) {
        const Index count = std::min(bf16_block_k, p.k - k);
        const Index* const k_offsets = p.k_offsets + k;
        const unsigned char run = p.runs[k / bf16_block_k];
        const bool by_16 = run == 16, by_four = run >= 4 && !rows_by_four;
        Bf16Block block;
        for (Index i = 0; i < 32; ++i) block.at[i] = copy + 16 * i;
        if (by_16)
            for (Index i = 0; i < 32; ++i) block.at[i] = p.x + p.rows[i / 2] + k_offsets[i % 2 * 16];
        else if (by_four)
            for (Index i = 0; i < 32; ++i)
                gather_16(p.x + p.rows[i / 2], k_offsets + i % 2 * 16, true, copy + 16 * i);
        else
            for (Index i = 0; i < count; ++i)
                if (one_run)
                    block.at[i] = p.x + p.rows[0] + k_offsets[i];
                else
                    gather_16(p.x + k_offsets[i], p.rows, rows_by_four, copy + 16 * i);
        if (count < 32) std::fill(copy + 16 * count, copy + 16 * 32, 0.0f);
        block.along_k = by_16 || by_four;
        block.transposed = block.along_k == p.is_b;
        for (Bf16Pair* const to : {p.high, p.low}) {
            if (!to) continue;
            block.low = to == p.low;
            block.to = to + k * bf16_block_pairs / bf16_block_k;
            block.low ? FillLow(&block) : Fill(&block);
        }
    }
}

/// Element (i, k) of A, or (k, i) of B, is x[rows(i) + k_offsets(k)].
struct Bf16Operand {
    const float* x;
    OffsetGenerator rows, k_offsets;
};

/// Packs `panels` micro-panels from the first on, of an operand of `rows` rows, for k in [begin, begin +
/// count), at most 512 of them. A last one is filled up with copies of its last row.
[[gnu::noinline]] inline void pack_bf16_panels(const Bf16Backend& backend, const Bf16Operand& x, Index rows,
                                               bool is_b, Index first, Index panels, Index begin, Index count,
                                               Bf16Pair* high, Bf16Pair* low, Index stride) {
    Index k_offsets[512], row_offsets[bf16_panel_rows];
    x.k_offsets.run(begin, count, k_offsets);
    unsigned char runs[512 / bf16_block_k];
    for (Index k = 0; k < count; k += bf16_block_k)
        runs[k / bf16_block_k] = count - k < bf16_block_k                   ? 0
                                 : in_runs(k_offsets + k, bf16_block_k, 16) ? 16
                                 : in_runs(k_offsets + k, bf16_block_k, 4)  ? 4
                                                                            : 1;
    for (Index p = 0; p < panels; ++p) {
        const Index row = (first + p) * bf16_panel_rows, n = std::min(bf16_panel_rows, rows - row);
        x.rows.run(row, n, row_offsets);
        std::fill(row_offsets + n, row_offsets + bf16_panel_rows, row_offsets[n - 1]);
        const Bf16Packing packing{x.x,   row_offsets, k_offsets,         runs,
                                  count, is_b,        high + p * stride, low ? low + p * stride : nullptr};
        backend.pack(&packing);
    }
}

}  // namespace detail
}  // namespace gradus::kernels
