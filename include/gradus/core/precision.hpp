// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <string_view>

// How exactly products of float matrices are computed, in the whole process. The kernels read it.

namespace gradus {

/// What products of float matrices, and convolutions of float images, may round, forward and backward, in the
/// whole process:
/// "highest" (the default): nothing; operands, products and sums are float;
/// "high": an operand becomes the sum of two bfloat16 numbers, of which each product keeps three of the four
///         terms: errors of about 2^-16 of what is added up, instead of 2^-24;
/// "medium": operands are rounded to bfloat16, errors of up to 2^-8.
/// Sums are float in all of them. It is a permission: each product takes the fastest way that the precision
/// allows, and on processors that do not multiply bfloat16 that is always float. Other number types ignore
/// it. Throws ValueError for any other name.
///
/// Defined with the kernels that it switches on (kernels/gemm/bf16_gemm.hpp), since only programs that call
/// it compile them: include gradus/gradus.hpp, or a header that multiplies matrices, such as ops/matmul.hpp.
inline void set_float32_matmul_precision(std::string_view precision);

namespace detail {

enum class MatmulPrecision { highest, high, medium };
inline constexpr std::string_view matmul_precision_names[] = {"highest", "high", "medium"};
inline std::atomic<MatmulPrecision> matmul_precision{MatmulPrecision::highest};

}  // namespace detail

/// What set_float32_matmul_precision was last called with, or "highest".
inline std::string_view float32_matmul_precision() {
    return detail::matmul_precision_names[static_cast<int>(
        detail::matmul_precision.load(std::memory_order_relaxed))];
}

}  // namespace gradus
