// SPDX-License-Identifier: MIT
// Matrix products: the shapes of a training step and squares, beside Eigen built for this very processor.

#include "gradus/kernels/gemm.hpp"

#include <string>
#include <vector>

#include "gradus/core/random.hpp"
#include "support/context.hpp"
#include "support/eigen_gemm.hpp"

namespace {

using gradus::Index;

/// c[m, n] = a[m, k] · b[k, n], where a or b may lie in memory transposed.
struct Product {
    const char* name;
    Index m, n, k;
    bool a_transposed = false, b_transposed = false;
};

constexpr Product products[] = {
    {"mlp_forward_1", 256, 350, 784, false, true},
    {"mlp_forward_2", 256, 250, 350, false, true},
    {"mlp_forward_4", 256, 50, 150, false, true},
    {"mlp_forward_5", 256, 10, 50, false, true},
    {"mlp_weight_gradient_1", 350, 784, 256, true, false},
    {"mlp_input_gradient_2", 256, 350, 250},
    {"conv2_as_product", 1600, 64, 800},
    {"square_64", 64, 64, 64},
    {"square_128", 128, 128, 128},
    {"square_256", 256, 256, 256},
    {"square_512", 512, 512, 512},
    {"square_1024", 1024, 1024, 1024},
};

gradus::kernels::MatrixRef<float> matrix(const gradus::Tensor<>& x, Index columns, bool transposed) {
    const gradus::kernels::MatrixRef<float> stored{x.data(), columns, 1};
    return transposed ? stored.transposed() : stored;
}

template <class Multiply>
void time_product(benchmark::State& state, const Product& p, const Multiply& multiply) {
    const bench::ScopedThreads threads(static_cast<int>(state.range(0)));
    const gradus::Tensor<> a = gradus::uniform({p.m * p.k}, -1, 1), b = gradus::uniform({p.k * p.n}, -1, 1);
    gradus::Tensor<> c = gradus::zeros({p.m * p.n});
    for (auto _ : state) {
        multiply(a, b, c);
        benchmark::ClobberMemory();
    }
    state.counters["GF/s"] = bench::giga_per_second(2.0 * static_cast<double>(p.m * p.n * p.k));
}

void gradus_product(benchmark::State& state, const Product& p) {
    time_product(state, p, [&](const gradus::Tensor<>& a, const gradus::Tensor<>& b, gradus::Tensor<>& c) {
        gradus::kernels::gemm(p.m, p.n, p.k, matrix(a, p.a_transposed ? p.m : p.k, p.a_transposed),
                              matrix(b, p.b_transposed ? p.k : p.n, p.b_transposed), c.mutable_data());
    });
}

[[maybe_unused]] void eigen_product(benchmark::State& state, const Product& p) {
    const int threads = static_cast<int>(state.range(0));
    time_product(state, p, [&](const gradus::Tensor<>& a, const gradus::Tensor<>& b, gradus::Tensor<>& c) {
        bench::eigen_gemm(p.m, p.n, p.k, a.data(), p.a_transposed, b.data(), p.b_transposed, c.mutable_data(),
                          threads);
    });
}

void register_products() {
    for (const Product& p : products) {
        const auto add = [&](const char* library, auto function) {
            bench::add_thread_counts(benchmark::RegisterBenchmark(
                (std::string(p.name) + '/' + library).c_str(),
                [&p, function](benchmark::State& state) { function(state, p); }));
        };
        add("gradus", gradus_product);
#if __has_include(<Eigen/Core>)
        add("eigen", eigen_product);
#endif
    }
}

}  // namespace

int main(int argc, char** argv) {
    register_products();
    return bench::run(argc, argv);
}
