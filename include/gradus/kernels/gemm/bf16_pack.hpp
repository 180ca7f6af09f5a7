// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>

#include "gradus/kernels/gemm/bf16_microkernel.hpp"
#include "gradus/kernels/simd/shuffle.hpp"

// Rounding to bfloat16 while operands are copied into the blocks of bf16_tile.hpp. An operand need not be a
// matrix: its element (i, k) is x[rows[i] + depths[k]], so images are gathered into patches block by block.

namespace gradus::kernels {

/// A strip of A (16 rows) or a panel of B (16 columns, "rows" here too), for `depth` k.
struct Bf16Packing {
    const float* x;
    const Index* rows;  // 16
    const Index* depths;
    const unsigned char* runs;  // per block of 32 k: in runs of 16, of 4, or less
    Index depth;                // filled up with zeros to whole blocks
    bool panel;                 // B: [pair][row], else A: [row][pair]
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
    using Floats = simd::Vec<float, 16>;
    using Pairs = simd::Vec<Bf16Pair, 16>;

    GRADUS_INLINE static Pairs part(const Floats& x, bool low) {
        const Pairs high = simd::round_bf16(x);
        return low ? simd::round_bf16(x - simd::from_bits<float>(high & ~0xffff)) : high;
    }

    /// The upper halves of `a` and `b` as pairs: of neighbours, or of the same lane.
    GRADUS_INLINE static Pairs join(const Pairs& a, const Pairs& b, bool neighbours) {
        const simd::Bf16Halves u = simd::halves(a), v = simd::halves(b);
        return simd::pairs(neighbours ? simd::unzip_odd(u, v) : simd::interleave_odd<1>(u, v));
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
    GRADUS_INLINE static void run(const Bf16Block* block) {
        for (Index i = 0; i < 16; ++i)
            join(part(Floats::load(block->at[2 * i]), block->low),
                 part(Floats::load(block->at[2 * i + 1]), block->low), block->along_k)
                .store(block->to + 16 * i);
        if (block->transposed) transpose_in_place(block->to);
    }
};

/// The same with the instruction of AVX512-BF16. (It takes denormal numbers for zero, as the products do.)
struct Bf16Instruction : Bf16Rounding {
    [[gnu::noinline, GRADUS_TARGET_AVX512]] static void fill_low(const Bf16Block* block) { run<64>(block); }

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
    for (Index k = 0; k < p.depth; k += bf16_block_depth) {
        const Index count = std::min(bf16_block_depth, p.depth - k);
        const Index* const depths = p.depths + k;
        const unsigned char run = p.runs[k / bf16_block_depth];
        const bool by_16 = run == 16, by_four = run >= 4 && !rows_by_four;
        Bf16Block block;
        for (Index i = 0; i < 32; ++i) block.at[i] = copy + 16 * i;
        if (by_16)
            for (Index i = 0; i < 32; ++i) block.at[i] = p.x + p.rows[i / 2] + depths[i % 2 * 16];
        else if (by_four)
            for (Index i = 0; i < 32; ++i)
                gather_16(p.x + p.rows[i / 2], depths + i % 2 * 16, true, copy + 16 * i);
        else
            for (Index i = 0; i < count; ++i)
                if (one_run)
                    block.at[i] = p.x + p.rows[0] + depths[i];
                else
                    gather_16(p.x + depths[i], p.rows, rows_by_four, copy + 16 * i);
        if (count < 32) std::fill(copy + 16 * count, copy + 16 * 32, 0.0f);
        block.along_k = by_16 || by_four;
        block.transposed = block.along_k == p.panel;
        for (Bf16Pair* const to : {p.high, p.low}) {
            if (!to) continue;
            block.low = to == p.low;
            block.to = to + k * bf16_block_pairs / bf16_block_depth;
            block.low ? FillLow(&block) : Fill(&block);
        }
    }
}

}  // namespace detail
}  // namespace gradus::kernels
