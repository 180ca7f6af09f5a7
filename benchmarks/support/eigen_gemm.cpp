// SPDX-License-Identifier: MIT
// Eigen takes its instruction set from the compiler's flags, so this file alone is built for the machine it
// runs on.

#include "eigen_gemm.hpp"

#define EIGEN_NO_DEBUG
#include <Eigen/Core>

namespace bench {

void eigen_gemm(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, bool a_transposed,
                const float* b, bool b_transposed, float* c, int threads) {
    using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    using Input = Eigen::Map<const Matrix>;
    Eigen::setNbThreads(threads);
    const Input x(a, a_transposed ? k : m, a_transposed ? m : k),
        y(b, b_transposed ? n : k, b_transposed ? k : n);
    Eigen::Map<Matrix> product(c, m, n);
    if (a_transposed)
        product.noalias() = x.transpose() * y;
    else if (b_transposed)
        product.noalias() = x * y.transpose();
    else
        product.noalias() = x * y;
}

}  // namespace bench
