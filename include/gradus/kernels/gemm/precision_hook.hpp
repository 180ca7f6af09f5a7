// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>

#include "gradus/core/tensor.hpp"

namespace gradus::kernels {
struct ConvGeometry;
}

namespace gradus::kernels::detail {

/// Products of float in less than float, as set_float32_matmul_precision() allows. Each returns false if it
/// leaves the work to the float kernel. They are reached by pointers, so that only programs that call that
/// function compile them.
struct ReducedPrecision {
    bool (*gemm)(Index m, Index n, Index k, const float* a, Index a_row, Index a_column, const float* b,
                 Index b_row, Index b_column, const float* bias, float* c);
    bool (*conv2d)(const ConvGeometry& s, const float* padded, const float* weight, const float* bias,
                   float* y);
    bool (*conv2d_backward_input)(const ConvGeometry& s, const Tensor<float>& dy, const Tensor<float>& weight,
                                  Tensor<float>& dx);
    bool (*conv2d_backward_weight)(const ConvGeometry& s, const Tensor<float>& padded,
                                   const Tensor<float>& dy, Tensor<float>& dweight);
};

/// Null while everything is computed in float.
inline std::atomic<const ReducedPrecision*>& reduced_precision() {
    static std::atomic<const ReducedPrecision*> current{nullptr};
    return current;
}

}  // namespace gradus::kernels::detail
