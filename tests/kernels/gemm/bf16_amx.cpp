// SPDX-License-Identifier: MIT
#include "gradus/kernels/gemm/bf16_amx.hpp"

#include "support/bf16_backends.hpp"
#include "support/test.hpp"

using namespace gradus;
using kernels::detail::tiles_are_right;

namespace {

struct ForgetsToAdd : bf16_backends::ModelTiles {
    template <int C, int A, int B>
    static void multiply() {
        zero<C>();
        bf16_backends::ModelTiles::multiply<C, A, B>();
    }
};

struct SwapsOperands : bf16_backends::ModelTiles {
    template <int C, int A, int B>
    static void multiply() {
        bf16_backends::ModelTiles::multiply<C, B, A>();
    }
};

struct StoresNothing : bf16_backends::ModelTiles {
    template <int Tile>
    static void store(void*, Index) {}
};

}  // namespace

// Products of all sizes are in tests/kernels/bf16_gemm.cpp.
TEST_CASE("amx: the self-check accepts tiles that are right, and no others") {
    CHECK(tiles_are_right<bf16_backends::ModelTiles>());
    CHECK_FALSE(tiles_are_right<ForgetsToAdd>());
    CHECK_FALSE(tiles_are_right<SwapsOperands>());
    CHECK_FALSE(tiles_are_right<StoresNothing>());
}

TEST_CASE("amx: tiles are released after use") {
    const auto& tiles = bf16_backends::TileRegisters::of_this_thread();
    bf16_backends::ModelTiles::configure();
    CHECK(tiles.configured());
    CHECK(tiles_are_right<bf16_backends::ModelTiles>());
    CHECK_FALSE(tiles.configured());
}

#if defined(__x86_64__) && defined(__linux__)
TEST_CASE("amx: the instructions") {
    const bool in_hardware = simd::AmxTiles::usable();
    if (!in_hardware) bf16_backends::emulate_tile_instructions();
    CHECK(tiles_are_right<simd::AmxTiles>());
    if (in_hardware && simd::isa() == simd::Isa::avx512)
        CHECK(kernels::bf16_backend()->name == std::string("amx"));
}
#endif
