// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "gradus/kernels/bf16_unit.hpp"

namespace bf16_units {

using gradus::Index;
using gradus::kernels::Bf16Pair;
using gradus::kernels::Bf16Unit;

/// The tile registers of AMX, after the operations of TILELOADD, TDPBF16PS, ... in the manual. (It flushes
/// denormal numbers to zero; this does not.)
struct ModelTiles {
    using Tile = std::array<std::array<Bf16Pair, 16>, 16>;  // 16 rows of 64 bytes

    static Tile& tile(int number) {
        static thread_local std::array<Tile, 8> tiles;
        return tiles[static_cast<std::size_t>(number)];
    }
    static bool& configured() {
        static thread_local bool value = false;
        return value;
    }
    static Tile& usable(int number) {
        if (!configured()) throw std::logic_error("a tile is used that is not configured");
        return tile(number);
    }
    static void configure() {
        configured() = true;
        for (int t = 0; t < 8; ++t) tile(t) = {};
    }
    static void release() { configured() = false; }

    template <int Number>
    static void zero() {
        usable(Number) = {};
    }
    template <int Number>
    static void load(const void* from, Index row_bytes) {
        for (std::size_t i = 0; i < 16; ++i)
            std::memcpy(usable(Number)[i].data(),
                        static_cast<const char*>(from) + static_cast<Index>(i) * row_bytes, 64);
    }
    template <int Number>
    static void store(void* to, Index row_bytes) {
        for (std::size_t i = 0; i < 16; ++i)
            std::memcpy(static_cast<char*>(to) + static_cast<Index>(i) * row_bytes, usable(Number)[i].data(),
                        64);
    }
    template <int C, int A, int B>
    static void multiply() {
        const auto upper = [](Bf16Pair pair) { return std::bit_cast<float>(pair & ~0xffff); };
        const auto lower = [](Bf16Pair pair) {
            return std::bit_cast<float>(static_cast<std::uint32_t>(pair) << 16);
        };
        Tile &c = usable(C), &a = usable(A), &b = usable(B);
        for (std::size_t m = 0; m < 16; ++m)
            for (std::size_t n = 0; n < 16; ++n) {
                float even = 0, odd = 0;
                for (std::size_t k = 0; k < 16; ++k) {
                    even = std::fma(lower(a[m][k]), lower(b[k][n]), even);
                    odd = std::fma(upper(a[m][k]), upper(b[k][n]), odd);
                }
                c[m][n] = std::bit_cast<Bf16Pair>(std::bit_cast<float>(c[m][n]) + (even + odd));
            }
    }
};

inline void round_block(const gradus::kernels::detail::Bf16Block* block) {
    gradus::simd::run<gradus::kernels::detail::Bf16Rounding>(block);
}

/// AMX but for the instructions themselves; runs everywhere.
inline const Bf16Unit model{"model",
                            true,
                            ModelTiles::configure,
                            ModelTiles::release,
                            gradus::kernels::detail::multiply_tiles<ModelTiles>,
                            gradus::kernels::detail::pack_bf16_blocks<round_block, round_block>};

/// The model, and what this processor has: made to do "high" as well.
inline std::vector<Bf16Unit> all() {
    std::vector<Bf16Unit> units{model};
#if defined(__x86_64__)
    if (gradus::simd::isa() == gradus::simd::Isa::avx512) {
        if (__builtin_cpu_supports("avx512bf16")) {
            units.push_back(gradus::kernels::detail::avx512_bf16_unit);
            units.back().split_pays = true;
        }
        if (const Bf16Unit* best = gradus::kernels::bf16_unit(); best && best->name == std::string("amx"))
            units.push_back(*best);
    }
#endif
    return units;
}

}  // namespace bf16_units
