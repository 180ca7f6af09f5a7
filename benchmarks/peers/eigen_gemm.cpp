// SPDX-License-Identifier: MIT
// The work of gemm.cpp done by Eigen, which takes its instruction set from the compiler's flags: built with
// -march=native.

#define EIGEN_NO_DEBUG
#include <Eigen/Core>
#include <string>
#include <vector>

#include "../support/measure.hpp"
#include "../support/workload.hpp"

namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Matrix numbers(std::int64_t rows, std::int64_t columns, std::uint32_t stream) {
    Matrix values(rows, columns);
    workload::fill({values.data(), static_cast<std::size_t>(values.size())}, stream, 1.0f);
    return values;
}

}  // namespace

int main(int argc, char** argv) {
    const measure::Arguments arguments(argc, argv);
    Eigen::setNbThreads(arguments.threads);
    for (const workload::Product& p : workload::products) {
        const std::string name = std::string("gemm ") + p.name;
        if (!arguments.wants(name)) continue;
        const Matrix a = p.a_transposed ? numbers(p.k, p.m, 6) : numbers(p.m, p.k, 6);
        const Matrix b = p.b_transposed ? numbers(p.n, p.k, 7) : numbers(p.k, p.n, 7);
        Matrix c(p.m, p.n);
        const auto multiply = [&] {
            if (p.a_transposed)
                c.noalias() = a.transpose() * b;
            else if (p.b_transposed)
                c.noalias() = a * b.transpose();
            else
                c.noalias() = a * b;
            measure::keep(c.data());
        };
        multiply();
        measure::run(
            arguments, name,
            {.first = workload::checksum({c.data(), static_cast<std::size_t>(c.size())}), .flop = p.flop()},
            multiply);
    }
}
