// SPDX-License-Identifier: MIT
// The other translation unit, compiled with the flags of odr_a.cpp or with more instruction sets allowed.
#include "gradus/gradus.hpp"

bool can_run_b() {
#if defined(__AVX2__) && defined(__FMA__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return true;
#endif
}

gradus::Tensor<> squares_from_b(gradus::Index count) {
    gradus::Tensor<> squares = gradus::arange(count);
    for (float& value : squares.mutable_values()) value *= value;
    return squares;
}
