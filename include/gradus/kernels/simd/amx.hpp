// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "gradus/core/shape.hpp"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#define GRADUS_AMX(...) asm volatile(__VA_ARGS__)
#else
#define GRADUS_AMX(...) static_cast<void>(0)
#endif

// AMX: eight tile registers of 16 rows of 64 bytes, and products of them. (Intel 64 and IA-32 Architectures
// Software Developer's Manual, volume 1, chapter 18, and the instructions in volume 2.) Written as
// instructions since the functions of <amxtileintrin.h> do not tell the compiler what memory they use (as of
// g++ 12), and need a target flag.

namespace gradus::simd {

/// The tile registers of the calling thread. Only where usable() is true may the rest be called.
struct AmxTiles {
    /// Whether the processor has AMX with products of bfloat16, the system saves its registers and lets this
    /// process use them.
    [[gnu::cold]] static bool usable() {
#if defined(__x86_64__) && defined(__linux__)
        unsigned a = 0, b = 0, c = 0, d = 0;
        constexpr unsigned xsave = 1u << 27, bf16 = 1u << 22, tile = 1u << 24;
        if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & xsave)) return false;
        if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & (bf16 | tile)) != (bf16 | tile)) return false;
        unsigned low = 0, high = 0;
        asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        constexpr unsigned tile_state = 3u << 17;
        if ((low & tile_state) != tile_state) return false;
        constexpr int request_permission = 0x1023, tile_data = 18;
        return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
        return false;
#endif
    }

    /// All tiles have 16 rows of 64 bytes. Before the first use, and release() after the last.
    static void configure() {
        struct alignas(64) {
            std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
            std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
            std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
        } const config;
        static_assert(sizeof config == 64);
        GRADUS_AMX("ldtilecfg %0" ::"m"(config) : "memory");
    }
    static void release() { GRADUS_AMX("tilerelease" ::: "memory"); }

    template <int Tile>
    static void zero() {
        GRADUS_AMX("tilezero %%tmm%c0" ::"i"(Tile) : "memory");
    }
    template <int Tile>
    static void load([[maybe_unused]] const void* from, [[maybe_unused]] Index row_bytes) {
        GRADUS_AMX("tileloadd (%1,%2,1), %%tmm%c0" ::"i"(Tile), "r"(from), "r"(row_bytes) : "memory");
    }
    template <int Tile>
    static void store([[maybe_unused]] void* to, [[maybe_unused]] Index row_bytes) {
        GRADUS_AMX("tilestored %%tmm%c0, (%1,%2,1)" ::"i"(Tile), "r"(to), "r"(row_bytes) : "memory");
    }
    /// C += A · B, where A has rows and B columns of 16 pairs of bfloat16, and C is float.
    template <int C, int A, int B>
    static void multiply() {
        GRADUS_AMX("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B) : "memory");
    }
};

}  // namespace gradus::simd

#undef GRADUS_AMX
