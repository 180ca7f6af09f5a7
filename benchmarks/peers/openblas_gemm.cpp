// SPDX-License-Identifier: MIT
// The work of gemm.cpp done by sgemm of OpenBLAS, called directly. OPENBLAS_CORETYPE and OPENBLAS_NUM_THREADS
// count, and LD_LIBRARY_PATH, which of Debian's builds it is.

#include <string>
#include <vector>

#include "../support/measure.hpp"
#include "../support/workload.hpp"

/// c[m, n] = alpha · a[m, k] · b[k, n] + beta · c, all stored column by column.
extern "C" void sgemm_(const char* a_transposed, const char* b_transposed, const int* m, const int* n,
                       const int* k, const float* alpha, const float* a, const int* lda, const float* b,
                       const int* ldb, const float* beta, float* c, const int* ldc);

namespace {

std::vector<float> numbers(std::int64_t count, std::uint32_t stream) {
    std::vector<float> values(static_cast<std::size_t>(count));
    workload::fill(values, stream, 1.0f);
    return values;
}

}  // namespace

int main(int argc, char** argv) {
    const measure::Arguments arguments(argc, argv);
    for (const workload::Product& p : workload::products) {
        const std::string name = std::string("gemm ") + p.name;
        if (!arguments.wants(name)) continue;
        const std::vector<float> a = numbers(p.m * p.k, 6), b = numbers(p.k * p.n, 7);
        std::vector<float> c(static_cast<std::size_t>(p.m * p.n));
        const int m = static_cast<int>(p.m), n = static_cast<int>(p.n), k = static_cast<int>(p.k);
        const float one = 1, zero = 0;
        const auto multiply = [&] {  // read column by column, rows are transposed: cᵀ = bᵀ · aᵀ
            sgemm_(p.b_transposed ? "T" : "N", p.a_transposed ? "T" : "N", &n, &m, &k, &one, b.data(),
                   p.b_transposed ? &k : &n, a.data(), p.a_transposed ? &m : &k, &zero, c.data(), &n);
            measure::keep(c.data());
        };
        multiply();
        measure::run(arguments, name, {.first = workload::checksum(c), .flop = p.flop()}, multiply);
    }
}
