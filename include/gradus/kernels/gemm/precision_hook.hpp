// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <atomic>

#include "gradus/core/tensor.hpp"

namespace gradus::kernels {
struct ConvGeometry;
struct Bf16Unit;
}  // namespace gradus::kernels

namespace gradus::kernels::detail {

struct Bf16Choice {
    const Bf16Unit* unit = nullptr;  // null: float
    bool split = false;
};

/// Whether a product [m, k] · [k, n] is large enough for packing to pay, and fills a block of 16 x 16.
constexpr bool is_profitable_in_bf16(Index m, Index n, Index k) {
    return std::min(m, n) >= 16 && k >= 24 && m * n * k >= 1 << 17;
}

/// Products of float in less than float, as set_float32_matmul_precision() allows. They are reached by
/// pointers, so that only programs that call that function compile them.
struct ReducedPrecision {
    Bf16Choice (*choice)();  // the fastest that the precision allows, now
    /// False if it leaves the work to the float kernel.
    bool (*gemm)(Index m, Index n, Index k, const float* a, Index a_row, Index a_column, const float* b,
                 Index b_row, Index b_column, const float* bias, float* c);
    void (*conv2d)(const Bf16Choice& choice, const ConvGeometry& s, const float* padded, const float* weight,
                   const float* bias, float* y);
    Tensor<float> (*conv2d_backward_input)(const Bf16Choice& choice, const ConvGeometry& s,
                                           const Tensor<float>& dy, const Tensor<float>& weight);
    Tensor<float> (*conv2d_backward_weight)(const Bf16Choice& choice, const ConvGeometry& s,
                                            const Tensor<float>& padded, const Tensor<float>& dy);
};

/// Null while everything is computed in float.
inline std::atomic<const ReducedPrecision*>& reduced_precision() {
    static std::atomic<const ReducedPrecision*> current{nullptr};
    return current;
}

}  // namespace gradus::kernels::detail
