// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "gradus/core/shape.hpp"
#include "gradus/kernels/simd/bf16.hpp"
#include "gradus/kernels/simd/vec.hpp"

// The micro-kernel of products in bfloat16. Some processors multiply pairs of such numbers and add to float:
// AVX512-BF16 in vector registers, AMX in tiles of 16 × 16. Both read the same micro-panels: blocks of 16 ×
// 16 pairs, 1 KiB each, that follow each other along k. A block of A is [row][pair], one of B is
// [pair][column].

namespace gradus::kernels {

/// Two bfloat16 numbers that follow each other along the summed axis k; the first is in the lower half.
using Bf16Pair = std::int32_t;

inline constexpr Index bf16_panel_rows = 16;  // rows of a micro-panel of A, or columns of one of B
inline constexpr Index bf16_block_k = 32;     // k of a block, in 16 pairs
inline constexpr Index bf16_block_pairs = 16 * bf16_panel_rows;

/// C = A · B or C += A · B for up to two micro-panels of each.
struct Bf16Tile {
    int terms;                    // products to be added: 1, or 3 for operands in two parts
    const Bf16Pair *a[3], *b[3];  // the first blocks of each
    Index k_blocks;
    Index a_stride, b_stride;  // from a micro-panel to the next
    int a_panels, b_panels;    // 1 or 2
    Index rows;                // that are wanted: 1 to 16 · a_panels
    float* c[2];               // per micro-panel of B; 16 · a_panels rows of 16 columns are written
    Index c_row[2];
    bool add;  // to what is there
};

/// What multiplies bfloat16 numbers. All functions are called on the thread that does the work.
struct Bf16Backend {
    const char* name;
    bool split_is_faster;  // three products are faster than one in float
    void (*begin)();       // before the first multiply() of a thread, and after the last
    void (*end)();
    void (*multiply)(const Bf16Tile*);
    void (*pack)(const struct Bf16Packing*);
};

namespace detail {

/// AVX512-BF16: a tile of 8 × 16 or 8 × 32 stays in registers.
template <std::size_t Panels>
[[gnu::noinline, GRADUS_TARGET_AVX512]] void multiply_eight_rows(const Bf16Tile& t, Index row) {
    using Vec = simd::Vec<float, 16>;
    Vec sums[8][Panels];
#pragma GCC unroll 8
    for (std::size_t i = 0; i < 8; ++i)
#pragma GCC unroll 2
        for (std::size_t p = 0; p < Panels; ++p)
            sums[i][p] = t.add ? Vec::load(t.c[p] + (row + static_cast<Index>(i)) * t.c_row[p]) : Vec(0.0f);
    const Index first = row / bf16_panel_rows * t.a_stride + row % bf16_panel_rows * 16;
    for (int term = 0; term < t.terms; ++term) {
        const Bf16Pair* a = t.a[term] + first;
        const Bf16Pair* b = t.b[term];
        for (Index block = 0; block < t.k_blocks; ++block, a += bf16_block_pairs - 16)
            for (Index pair = 0; pair < 16; ++pair, ++a, b += 16) {
                simd::Vec<Bf16Pair, 16> columns[Panels];
#pragma GCC unroll 2
                for (std::size_t p = 0; p < Panels; ++p)
                    columns[p] = simd::Vec<Bf16Pair, 16>::load(b + static_cast<Index>(p) * t.b_stride);
#pragma GCC unroll 8
                for (std::size_t i = 0; i < 8; ++i)
#pragma GCC unroll 2
                    for (std::size_t p = 0; p < Panels; ++p)
                        simd::add_products(sums[i][p], columns[p], a[i * 16]);
            }
    }
#pragma GCC unroll 8
    for (std::size_t i = 0; i < 8; ++i)
#pragma GCC unroll 2
        for (std::size_t p = 0; p < Panels; ++p)
            sums[i][p].store(t.c[p] + (row + static_cast<Index>(i)) * t.c_row[p]);
}

inline void multiply_avx512_bf16(const Bf16Tile* t) {
    for (Index row = 0; row < t->rows; row += 8)
        t->b_panels == 2 ? multiply_eight_rows<2>(*t, row) : multiply_eight_rows<1>(*t, row);
}

}  // namespace detail
}  // namespace gradus::kernels
