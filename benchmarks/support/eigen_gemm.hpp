// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace bench {

/// c[m, n] = a[m, k] · b[k, n], row-major; a or b may lie in memory transposed. Its file is compiled
/// apart, for the processor at hand.
void eigen_gemm(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, bool a_transposed,
                const float* b, bool b_transposed, float* c, int threads);

}  // namespace bench
