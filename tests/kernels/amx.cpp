// SPDX-License-Identifier: MIT
#include "gradus/kernels/amx.hpp"

#include "support/bf16_units.hpp"
#include "support/test.hpp"

using namespace gradus;
using kernels::detail::tiles_are_right;

namespace {

struct ForgetsToAdd : bf16_units::ModelTiles {
    template <int C, int A, int B>
    static void multiply() {
        zero<C>();
        bf16_units::ModelTiles::multiply<C, A, B>();
    }
};

struct SwapsOperands : bf16_units::ModelTiles {
    template <int C, int A, int B>
    static void multiply() {
        bf16_units::ModelTiles::multiply<C, B, A>();
    }
};

struct StoresNothing : bf16_units::ModelTiles {
    template <int Tile>
    static void store(void*, Index) {}
};

}  // namespace

// What follows runs the code for AMX with a model of the tile registers; tests/kernels/bf16_gemm.cpp has
// products of all sizes with it.
TEST_CASE("amx: the self-check accepts tiles that are right, and no others") {
    CHECK(tiles_are_right<bf16_units::ModelTiles>());
    CHECK_FALSE(tiles_are_right<ForgetsToAdd>());
    CHECK_FALSE(tiles_are_right<SwapsOperands>());
    CHECK_FALSE(tiles_are_right<StoresNothing>());
}

TEST_CASE("amx: tiles are released after use") {
    bf16_units::ModelTiles::configure();
    CHECK(bf16_units::ModelTiles::configured());
    CHECK(tiles_are_right<bf16_units::ModelTiles>());
    CHECK_FALSE(bf16_units::ModelTiles::configured());
}

#if defined(__x86_64__) && defined(__linux__)
TEST_CASE("amx: the instructions") {
    if (!kernels::detail::may_use_amx()) {
        WARN("skipped: this processor has no AMX, or the system does not let programs use it");
        return;
    }
    CHECK(tiles_are_right<kernels::detail::AmxTiles>());
    CHECK(kernels::bf16_unit()->name == std::string("amx"));
}
#endif
