// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include "gradus/core/error.hpp"
#include "gradus/kernels/conv/bf16.hpp"
#include "gradus/kernels/conv/conv2d.hpp"
#include "gradus/kernels/gemm/bf16_gemm.hpp"
#include "gradus/kernels/gemm/precision_hook.hpp"

namespace gradus {
namespace kernels::detail {

inline constexpr const char* precision_names[] = {"highest", "high", "medium"};

inline constexpr ReducedPrecision in_bf16{
    bf16_choice,
    [](Index m, Index n, Index k, const float* a, Index a_row, Index a_column, const float* b, Index b_row,
       Index b_column, const float* bias, float* c) {
        const Bf16Choice choice = gemm_choice(m, n, k);
        if (choice.unit) gemm_bf16(choice, m, n, k, a, a_row, a_column, b, b_row, b_column, bias, c);
        return choice.unit != nullptr;
    },
    conv2d_bf16, conv2d_backward_input_bf16, conv2d_backward_weight_bf16};

}  // namespace kernels::detail

/// What products of float matrices, and convolutions of float images, may round, forward and backward, in the
/// whole process:
/// "highest" (the default): nothing; operands, products and sums are float;
/// "high": an operand becomes the sum of two bfloat16 numbers, of which each product keeps three of the four
///         terms: errors of about 2^-16 of what is added up, instead of 2^-24;
/// "medium": operands are rounded to bfloat16, errors of up to 2^-8.
/// Sums are float in all of them. It is a permission: each product takes the fastest way that the precision
/// allows, and on processors without a unit for bfloat16 that is always float. Other number types ignore it.
/// Throws ValueError for any other name.
[[gnu::cold]] inline void set_float32_matmul_precision(std::string_view precision) {
    using namespace kernels::detail;
    for (int i = 0; i < 3; ++i)
        if (precision == precision_names[i]) {
            matmul_precision().store(static_cast<MatmulPrecision>(i), std::memory_order_relaxed);
            reduced_precision().store(i == 0 ? nullptr : &in_bf16, std::memory_order_relaxed);
            return;
        }
    throw ValueError("set_float32_matmul_precision: needs \"highest\", \"high\" or \"medium\": got \"" +
                     std::string(precision) + "\"");
}

/// What set_float32_matmul_precision was last called with, or "highest".
inline std::string_view float32_matmul_precision() {
    using namespace kernels::detail;
    return precision_names[static_cast<int>(matmul_precision().load(std::memory_order_relaxed))];
}

}  // namespace gradus
