// SPDX-License-Identifier: MIT
#pragma once

#if defined(__x86_64__) && defined(__linux__)

#include <ucontext.h>
#include <csignal>

#include "support/model_tiles.hpp"

// Runs the instructions of AMX on processors that do not have them: each is trapped as illegal, decoded from
// its bytes and done with the model of the registers. So the bytes that the compiler wrote are tested, down
// to the order of operands, addresses and the layout of the configuration. (Intel 64 and IA-32 Architectures
// Software Developer's Manual, volume 2: chapter 2.3, the VEX prefix, and the instructions.)

namespace bf16_backends {
namespace detail {

using Bytes = const std::uint8_t*;

inline long long& general_register(mcontext_t& machine, int number) {
    constexpr int order[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                             REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    return machine.gregs[order[number]];
}

/// An operand in memory, from the ModRM byte on.
struct MemoryOperand {
    Index base = 0, index = 0;  // values; the index is not scaled
    int scale = 0;
    int bytes = 1;  // of ModRM, SIB and displacement
    bool has_sib = false;

    std::uint8_t* address() const { return reinterpret_cast<std::uint8_t*>(base + (index << scale)); }
    std::uint8_t* row_address() const { return reinterpret_cast<std::uint8_t*>(base); }
    Index row_bytes() const { return index << scale; }
};

inline MemoryOperand memory_operand(mcontext_t& machine, Bytes modrm, int high_index, int high_base) {
    MemoryOperand operand;
    const int mode = *modrm >> 6;
    int base = *modrm & 7;
    if (base == 4) {
        operand.has_sib = true;
        const int sib = modrm[operand.bytes++];
        const int index = (sib >> 3 & 7) | high_index;
        if (index != 4) operand.index = general_register(machine, index);
        operand.scale = sib >> 6;
        base = sib & 7;
    }
    const bool no_base = mode == 0 && base == 5;
    const int displacement_bytes = no_base || mode == 2 ? 4 : mode;
    std::int32_t displacement = 0;
    if (displacement_bytes == 1) displacement = static_cast<std::int8_t>(modrm[operand.bytes]);
    if (displacement_bytes == 4) std::memcpy(&displacement, modrm + operand.bytes, 4);
    operand.bytes += displacement_bytes;
    operand.base = displacement;
    if (!no_base)
        operand.base += general_register(machine, base | high_base);
    else if (!operand.has_sib)  // relative to the next instruction
        operand.base += reinterpret_cast<Index>(modrm + operand.bytes);
    return operand;
}

/// Eight tiles of 16 rows of 64 bytes: all that the model has.
inline bool configures_whole_tiles(Bytes config) {
    bool whole = config[0] == 1 && config[1] == 0;  // palette, row to start at
    for (int i = 2; i < 16; ++i) whole &= config[i] == 0;
    for (int tile = 0; tile < 8; ++tile)
        whole &= config[16 + 2 * tile] == 64 && config[17 + 2 * tile] == 0 && config[48 + tile] == 16;
    return whole;
}

/// Does the instruction at the program counter and steps over it; false if it is none of AMX that may run.
inline bool run_tile_instruction(mcontext_t& machine) {
    const auto at = reinterpret_cast<Bytes>(machine.gregs[REG_RIP]);
    const int vex_1 = at[1], vex_2 = at[2], opcode = at[3], modrm = at[4];
    constexpr int map_0f38 = 2, width_bits = 0x84;  // W and L are 0
    if (at[0] != 0xc4 || (vex_1 & 0x1f) != map_0f38 || (vex_2 & width_bits) != 0) return false;
    enum Prefix { none, p66, pf3, pf2 };
    const int prefix = vex_2 & 3, source = ~vex_2 >> 3 & 15;
    const int reg = modrm >> 3 & 7, rm = modrm & 7;
    TileRegisters& tiles = TileRegisters::of_this_thread();
    int bytes = 5;
    if (modrm >> 6 == 3) {
        if (opcode == 0x49 && prefix == none && modrm == 0xc0)
            tiles.release();
        else if (!tiles.configured())
            return false;
        else if (opcode == 0x49 && prefix == pf2 && rm == 0 && source == 0)
            tiles.zero(reg);
        else if (opcode == 0x5c && prefix == pf3 && source < 8 && reg != rm && rm != source && reg != source)
            tiles.multiply(reg, rm, source);
        else
            return false;
    } else {
        const MemoryOperand memory =
            memory_operand(machine, at + 4, vex_1 & 0x40 ? 0 : 8, vex_1 & 0x20 ? 0 : 8);
        bytes = 4 + memory.bytes;
        if (source != 0) return false;
        if (opcode == 0x49 && prefix == none && reg == 0 && configures_whole_tiles(memory.address()))
            tiles.configure();
        else if (!tiles.configured() || !memory.has_sib)
            return false;
        else if (opcode == 0x4b && prefix == pf2)
            tiles.load(reg, memory.row_address(), memory.row_bytes());
        else if (opcode == 0x4b && prefix == pf3)
            tiles.store(reg, memory.row_address(), memory.row_bytes());
        else
            return false;
    }
    machine.gregs[REG_RIP] += bytes;
    return true;
}

}  // namespace detail

/// From now on; others that are illegal end the program as ever. Tests of Catch2 begin with its own handler.
inline void emulate_tile_instructions() {
    struct sigaction action = {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int signal, siginfo_t*, void* context) {
        if (!detail::run_tile_instruction(static_cast<ucontext_t*>(context)->uc_mcontext))
            std::signal(signal, SIG_DFL);  // and it faults again
    };
    sigaction(SIGILL, &action, nullptr);
}

}  // namespace bf16_backends

#endif
