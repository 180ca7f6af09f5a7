// SPDX-License-Identifier: MIT
#include "gradus/kernels/norm/layer_norm.hpp"

#include "norm_reference.hpp"
#include "support/isas.hpp"

using namespace gradus;
using namespace norm_reference;

namespace {

template <class T>
void check_layer(Index count, Index n, double tolerance) {
    INFO(count << " rows of " << n);
    const Exact<T> x({count, n}, 1), dy({count, n}, 2), weight({n}, 3), bias({n}, 4);
    std::vector<double> g(dy.memory.begin(), dy.memory.end()), y, dweight(static_cast<std::size_t>(n)),
        dbias(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < g.size(); ++i)
        g[i] *= static_cast<double>(weight.memory[i % weight.memory.size()]);
    const Reference expected(x.tensor, g, rows(count, n), 0.01);
    for (std::size_t i = 0; i < g.size(); ++i) {
        const std::size_t j = i % weight.memory.size();
        y.push_back(expected.xhat[i] * static_cast<double>(weight.memory[j]) +
                    static_cast<double>(bias.memory[j]));
        dweight[j] += static_cast<double>(dy.memory[i]) * expected.xhat[i];
        dbias[j] += static_cast<double>(dy.memory[i]);
    }
    const auto forward = kernels::layer_norm(x.tensor, n, &weight.tensor, &bias.tensor, 0.01);
    CHECK(worst(forward.y, y) <= tolerance * 20);
    CHECK(worst(kernels::layer_norm<T>(x.tensor, n, nullptr, nullptr, 0.01).y, expected.xhat) <=
          tolerance * 10);
    const auto back =
        kernels::layer_norm_backward(dy.tensor, x.tensor, n, forward.norm, &weight.tensor, true, true);
    CHECK(worst(back.dx, expected.dx) <= tolerance * 100);
    const auto total = [n](const Tensor<T>& blocks) {
        Tensor<T> sum = zeros<T>({n});
        for (Index i = 0; i < blocks.numel(); ++i) sum.mutable_data()[i % n] += blocks.data()[i];
        return sum;
    };
    CHECK(worst(total(back.dweight), dweight) <= tolerance * 100 * static_cast<double>(count));
    CHECK(worst(total(back.dbias), dbias) <= tolerance * 100 * static_cast<double>(count));
    CHECK(kernels::layer_norm_backward(dy.tensor, x.tensor, n, forward.norm, &weight.tensor, false, true)
              .dx.numel() == 0);
    CHECK(
        kernels::layer_norm_backward(dy.tensor, x.tensor, n, forward.norm, &weight.tensor, true, false).dx ==
        back.dx);
}

}  // namespace

TEST_CASE("layer_norm kernels: rows of every length, on every instruction set") {
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa limit(isa);
        INFO(simd::name(simd::isa()));
        for (Index n = 1; n <= 70; ++n) {
            check_layer<float>(3, n, 1e-6);
            check_layer<double>(2, n, 1e-14);
        }
        check_layer<float>(2, 10001, 1e-6);
        check_layer<float>(40, 5001, 1e-6);
    }
}

TEST_CASE("layer_norm kernels: sizes of 0") {
    CHECK(kernels::layer_norm<float>(zeros({0, 3}), 3, nullptr, nullptr, 0).y.shape() == Shape{0, 3});
    CHECK(kernels::layer_norm<float>(zeros({3, 0}), 0, nullptr, nullptr, 0).y.shape() == Shape{3, 0});
}
