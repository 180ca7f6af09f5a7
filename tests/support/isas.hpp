// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "gradus/kernels/simd/isa.hpp"
#include "support/test.hpp"

/// The instruction sets that kernels can be run with here, lowest first, for a loop with a simd::ScopedIsa,
/// which never raises. Those that the processor lacks or GRADUS_ISA forbids are left out, which is said once
/// per program.
inline std::vector<gradus::simd::Isa> available_isas() {
    using gradus::simd::Isa;
    std::vector<Isa> available;
    std::string left_out;
    for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
        if (isa <= gradus::simd::isa())
            available.push_back(isa);
        else
            left_out += std::string(" ") + gradus::simd::name(isa);
    }
    static bool said = false;
    if (!left_out.empty() && !said) WARN("instruction sets that are not tested here:" << left_out);
    said = true;
    return available;
}

/// Calls test() once on each of them.
template <class Test>
void for_each_isa(const Test& test) {
    for (const gradus::simd::Isa isa : available_isas()) {
        const gradus::simd::ScopedIsa scoped(isa);
        INFO("on " << gradus::simd::name(isa));
        test();
    }
}
