// SPDX-License-Identifier: MIT
// Matrix products: the shapes of a training step and squares. Its peers are Eigen, built for this very
// processor, and libtorch's BLAS (peers/).

#include "gradus/kernels/gemm/gemm.hpp"

#include <string>

#include "gradus/core/tensor.hpp"
#include "support/measure.hpp"
#include "support/workload.hpp"

namespace {

using gradus::Tensor;

Tensor<> numbers(gradus::Index count, std::uint32_t stream) {
    Tensor<> values = Tensor<>::uninitialized({count});
    workload::fill(values.mutable_values(), stream, 1.0f);
    return values;
}

gradus::kernels::MatrixRef<float> matrix(const Tensor<>& x, gradus::Index columns, bool transposed) {
    const gradus::kernels::MatrixRef<float> stored{x.data(), columns, 1};
    return transposed ? stored.transposed() : stored;
}

}  // namespace

int main(int argc, char** argv) {
    const measure::Arguments arguments(argc, argv);
    gradus::set_num_threads(arguments.threads);
    for (const workload::Product& p : workload::products) {
        const std::string name = std::string("gemm ") + p.name;
        if (!arguments.wants(name)) continue;
        const Tensor<> a = numbers(p.m * p.k, 6), b = numbers(p.k * p.n, 7);
        Tensor<> c = Tensor<>::uninitialized({p.m * p.n});
        const auto multiply = [&] {
            gradus::kernels::gemm(p.m, p.n, p.k, matrix(a, p.a_transposed ? p.m : p.k, p.a_transposed),
                                  matrix(b, p.b_transposed ? p.k : p.n, p.b_transposed), c.mutable_data());
            measure::keep(c.data());
        };
        multiply();
        measure::run(arguments, name, {.first = workload::checksum(c.values()), .flop = p.flop()}, multiply);
    }
}
