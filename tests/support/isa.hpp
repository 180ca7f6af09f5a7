// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

#include "gradus/kernels/simd/isa.hpp"
#include "support/test.hpp"

inline bool is_told(gradus::simd::Isa isa) {
    static bool told[3];
    return std::exchange(told[static_cast<int>(isa)], true);
}

/// Calls test() once on each instruction set that this processor (and GRADUS_ISA) has, and says once per
/// program which ones it leaves out.
template <class Test>
void for_each_isa(const Test& test) {
    using gradus::simd::Isa;
    for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
        if (isa > gradus::simd::isa()) {
            if (!is_told(isa)) WARN("not tested here: " << gradus::simd::name(isa));
            continue;
        }
        const gradus::simd::ScopedIsa scoped(isa);
        INFO("on " << gradus::simd::name(isa));
        test();
    }
}
