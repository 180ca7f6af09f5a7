// SPDX-License-Identifier: MIT
#pragma once

#include "gradus/kernels/gemm/bf16_microkernel.hpp"
#include "gradus/kernels/simd/amx.hpp"

// The micro-kernel of bf16_microkernel.hpp in the tile registers of AMX: eight tiles of 16 rows of 64 bytes.
// (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18, and the instructions
// in volume 2.)

namespace gradus::kernels::detail {

/// Up to 2 × 2 tiles of C in tiles 0 to 3, micro-panels of A in 4 and 5, of B in 6 and 7.
template <class Tiles>
void multiply_tiles(const Bf16Tile* given) {
    const Bf16Tile t = *given;
    const bool two_a = t.a_panels == 2, two_b = t.b_panels == 2, all = two_a && two_b;
    const Index row_bytes[] = {t.c_row[0] * 4, t.c_row[1] * 4};
    float* const second_a[] = {t.c[0] + bf16_panel_rows * t.c_row[0],
                               all ? t.c[1] + bf16_panel_rows * t.c_row[1] : nullptr};
    if (t.add) {
        Tiles::template load<0>(t.c[0], row_bytes[0]);
        if (two_b) Tiles::template load<1>(t.c[1], row_bytes[1]);
        if (two_a) Tiles::template load<2>(second_a[0], row_bytes[0]);
        if (all) Tiles::template load<3>(second_a[1], row_bytes[1]);
    } else {
        Tiles::template zero<0>();
        Tiles::template zero<1>();
        Tiles::template zero<2>();
        Tiles::template zero<3>();
    }
    constexpr Index block_row_bytes = 64;
    for (int term = 0; term < t.terms; ++term) {
        const Bf16Pair *a = t.a[term], *b = t.b[term];
        for (Index block = 0; block < t.k_blocks; ++block, a += bf16_block_pairs, b += bf16_block_pairs) {
            Tiles::template load<4>(a, block_row_bytes);
            Tiles::template load<6>(b, block_row_bytes);
            Tiles::template multiply<0, 4, 6>();
            if (two_b) {
                Tiles::template load<7>(b + t.b_stride, block_row_bytes);
                Tiles::template multiply<1, 4, 7>();
            }
            if (two_a) {
                Tiles::template load<5>(a + t.a_stride, block_row_bytes);
                Tiles::template multiply<2, 5, 6>();
            }
            if (all) Tiles::template multiply<3, 5, 7>();
        }
    }
    Tiles::template store<0>(t.c[0], row_bytes[0]);
    if (two_b) Tiles::template store<1>(t.c[1], row_bytes[1]);
    if (two_a) Tiles::template store<2>(second_a[0], row_bytes[0]);
    if (all) Tiles::template store<3>(second_a[1], row_bytes[1]);
}

/// A product of small whole numbers, in which no sum is rounded.
template <class Tiles>
[[gnu::cold]] bool tiles_are_right() {
    alignas(64) Bf16Pair a[2 * bf16_block_pairs], b[2 * bf16_block_pairs];
    alignas(64) float c[32 * 32];
    const auto whole = [](Index value) { return static_cast<float>(value); };
    const auto pair_of = [](float first, float second) {  // whole numbers have no bits in their lower halves
        return __builtin_bit_cast(Bf16Pair, second) | (__builtin_bit_cast(Bf16Pair, first) >> 16 & 0xffff);
    };
    const auto a_at = [&](Index i, Index k) { return whole((i * 7 + k * 3) % 17 - 8); };
    const auto b_at = [&](Index k, Index j) { return whole((k * 5 + j * 11) % 13 - 6); };
    for (Index i = 0; i < 32; ++i)
        for (Index pair = 0; pair < 16; ++pair) {
            const Index at = i / 16 * bf16_block_pairs;
            a[at + i % 16 * 16 + pair] = pair_of(a_at(i, 2 * pair), a_at(i, 2 * pair + 1));
            b[at + pair * 16 + i % 16] = pair_of(b_at(2 * pair, i), b_at(2 * pair + 1, i));
        }
    for (Index i = 0; i < 32 * 32; ++i) c[i] = whole(i % 5);
    Bf16Tile t;
    t.terms = 1;
    t.a[0] = a;
    t.b[0] = b;
    t.k_blocks = 1;
    t.a_stride = t.b_stride = bf16_block_pairs;
    t.a_panels = t.b_panels = 2;
    t.rows = 32;
    t.c[0] = c;
    t.c[1] = c + 16;
    t.c_row[0] = t.c_row[1] = 32;
    t.add = true;
    Tiles::configure();
    multiply_tiles<Tiles>(&t);
    Tiles::release();
    bool right = true;
    for (Index i = 0; i < 32; ++i)
        for (Index j = 0; j < 32; ++j) {
            float sum = whole((i * 32 + j) % 5);
            for (Index k = 0; k < 32; ++k) sum += a_at(i, k) * b_at(k, j);
            right &= c[i * 32 + j] == sum;
        }
    return right;
}

}  // namespace gradus::kernels::detail
