// SPDX-License-Identifier: MIT
#pragma once

#include <cstring>
#include <stdexcept>

#include "gradus/kernels/gemm/bf16_microkernel.hpp"

namespace bf16_backends {

using gradus::Index;
using gradus::kernels::Bf16Pair;

/// The tile registers of AMX, after the operations of TILELOADD, TDPBF16PS, ... in the manual. (It flushes
/// denormal numbers to zero; this does not.) A thread has its own.
class TileRegisters {
public:
    bool configured() const { return configured_; }
    void configure() {
        configured_ = true;
        std::memset(tiles_, 0, sizeof tiles_);
    }
    void release() { configured_ = false; }
    void zero(int tile) { std::memset(at(tile), 0, sizeof(Tile)); }
    void load(int tile, const void* from, Index row_bytes) {
        for (Index i = 0; i < 16; ++i)
            std::memcpy(&at(tile)[i], static_cast<const char*>(from) + i * row_bytes, 64);
    }
    void store(int tile, void* to, Index row_bytes) {
        for (Index i = 0; i < 16; ++i) std::memcpy(static_cast<char*>(to) + i * row_bytes, &at(tile)[i], 64);
    }
    /// C += A · B. (A product of two bfloat16 numbers is exact in float.)
    void multiply(int c_tile, int a_tile, int b_tile) {
        Tile &c = at(c_tile), &a = at(a_tile), &b = at(b_tile);
        for (int m = 0; m < 16; ++m) {
            Floats even = {}, odd = {};
            for (int k = 0; k < 16; ++k) {
                const Pairs a_pair = a[m][k] - Pairs{};  // in all columns
                even += __builtin_bit_cast(Floats, a_pair << 16) * __builtin_bit_cast(Floats, b[k] << 16);
                odd +=
                    __builtin_bit_cast(Floats, a_pair & ~0xffff) * __builtin_bit_cast(Floats, b[k] & ~0xffff);
            }
            c[m] = __builtin_bit_cast(Pairs, __builtin_bit_cast(Floats, c[m]) + (even + odd));
        }
    }

    static TileRegisters& of_this_thread() {
        static thread_local TileRegisters registers;
        return registers;
    }

private:
    using Pairs [[gnu::vector_size(64)]] = Bf16Pair;
    using Floats [[gnu::vector_size(64)]] = float;
    using Tile = Pairs[16];

    Tile& at(int tile) {
        if (!configured_) throw std::logic_error("a tile is used that is not configured");
        return tiles_[tile];
    }

    Tile tiles_[8] = {};
    bool configured_ = false;
};

/// What kernels/gemm/bf16_amx.hpp does its work with: the model in place of instructions.
struct ModelTiles {
    static void configure() { TileRegisters::of_this_thread().configure(); }
    static void release() { TileRegisters::of_this_thread().release(); }
    template <int Tile>
    static void zero() {
        TileRegisters::of_this_thread().zero(Tile);
    }
    template <int Tile>
    static void load(const void* from, Index row_bytes) {
        TileRegisters::of_this_thread().load(Tile, from, row_bytes);
    }
    template <int Tile>
    static void store(void* to, Index row_bytes) {
        TileRegisters::of_this_thread().store(Tile, to, row_bytes);
    }
    template <int C, int A, int B>
    static void multiply() {
        TileRegisters::of_this_thread().multiply(C, A, B);
    }
};

}  // namespace bf16_backends
