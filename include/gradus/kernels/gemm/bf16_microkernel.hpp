// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "gradus/core/shape.hpp"
#include "gradus/kernels/simd/bf16.hpp"
#include "gradus/kernels/simd/vec.hpp"

// The innermost part of matrix products whose operands are rounded to bfloat16. Some processors have units
// that multiply pairs of such numbers and add to float: AVX512-BF16 in vector registers, AMX in tiles of 16
// x 16. Both read the same blocks of 16 x 16 pairs, 1 KiB each.

namespace gradus::kernels {

/// Two bfloat16 numbers that follow each other along the summed axis k; the first is in the lower half.
using Bf16Pair = std::int32_t;

inline constexpr Index bf16_block_rows = 16;                     // rows of A, or columns of B
inline constexpr Index bf16_block_depth = 32;                    // k, in 16 pairs
inline constexpr Index bf16_block_pairs = 16 * bf16_block_rows;  // in memory

/// C = A · B or C += A · B for up to two strips of 16 rows of A and two panels of 16 columns of B. A block of
/// A is [row][pair], one of B is [pair][column]; the blocks of a strip or panel follow each other along k.
struct Bf16Tile {
    int terms;                    // products to be added: 1, or 3 for operands in two parts
    const Bf16Pair *a[3], *b[3];  // the first blocks of each
    Index steps;                  // blocks along k
    Index a_strip, b_panel;       // from a strip, or panel, to the next
    int strips, panels;           // 1 or 2
    Index rows;                   // that are wanted: 1 to 16 · strips
    float* c[2];                  // per panel; 16 · strips rows of 16 columns are written
    Index c_row[2];
    bool add;  // to what is there
};

/// One way to do it. All functions are called on the thread that does the work.
struct Bf16Unit {
    const char* name;
    bool split_pays;  // three products are faster than one in float
    void (*begin)();  // before the first multiply() of a thread, and after the last
    void (*end)();
    void (*multiply)(const Bf16Tile*);
    void (*pack)(const struct Bf16Packing*);
};

namespace detail {

/// AVX512-BF16: a tile of 8 x 16 or 8 x 32 stays in registers.
template <std::size_t Panels>
[[gnu::noinline, GRADUS_TARGET_AVX512]] void multiply_eight_rows(const Bf16Tile& t, Index row) {
    using Vec = simd::Vec<float, 16>;
    Vec sums[8][Panels];
#pragma GCC unroll 8
    for (std::size_t i = 0; i < 8; ++i)
#pragma GCC unroll 2
        for (std::size_t p = 0; p < Panels; ++p)
            sums[i][p] = t.add ? Vec::load(t.c[p] + (row + static_cast<Index>(i)) * t.c_row[p]) : Vec(0.0f);
    const Index first = row / bf16_block_rows * t.a_strip + row % bf16_block_rows * 16;
    for (int term = 0; term < t.terms; ++term) {
        const Bf16Pair* a = t.a[term] + first;
        const Bf16Pair* b = t.b[term];
        for (Index step = 0; step < t.steps; ++step, a += bf16_block_pairs - 16)
            for (Index pair = 0; pair < 16; ++pair, ++a, b += 16) {
                simd::Vec<Bf16Pair, 16> columns[Panels];
#pragma GCC unroll 2
                for (std::size_t p = 0; p < Panels; ++p)
                    columns[p] = simd::Vec<Bf16Pair, 16>::load(b + static_cast<Index>(p) * t.b_panel);
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
        t->panels == 2 ? multiply_eight_rows<2>(*t, row) : multiply_eight_rows<1>(*t, row);
}

}  // namespace detail
}  // namespace gradus::kernels
