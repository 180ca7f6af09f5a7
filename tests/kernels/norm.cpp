// SPDX-License-Identifier: MIT
#include "gradus/kernels/norm.hpp"

#include <vector>

#include "gradus/core/random.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

/// Random numbers in a heap block of exactly their size: reading past its end is an error that sanitizers
/// see.
template <class T>
struct Exact {
    std::vector<T> memory;
    Tensor<T> tensor;

    Exact(const Shape& shape, std::uint64_t seed) {
        Generator generator(seed);
        const Tensor<T> x = normal<T>(shape, T(3), T(2), generator);
        memory.assign(x.begin(), x.end());
        memory.shrink_to_fit();
        tensor = Tensor<T>::borrow(memory, shape);
    }
};

template <class T>
double worst(const Tensor<T>& got, const std::vector<double>& expected) {
    REQUIRE(got.numel() == static_cast<Index>(expected.size()));
    double result = 0;
    for (std::size_t i = 0; i < expected.size(); ++i)
        result = std::max(result, std::abs(static_cast<double>(got.data()[i]) - expected[i]));
    return result;
}

/// Group g of the values: those at start(g) + i for which the caller says so.
struct Groups {
    Index count;                         // of groups
    std::vector<std::vector<Index>> of;  // positions of each
};

Groups channels(const Shape& shape) {
    Groups groups{shape[1], std::vector<std::vector<Index>>(static_cast<std::size_t>(shape[1]))};
    const Index plane = shape.span(2, shape.rank());
    for (Index i = 0; i < shape.numel(); ++i)
        groups.of[static_cast<std::size_t>(i / plane % shape[1])].push_back(i);
    return groups;
}

Groups rows(Index count, Index n) {
    Groups groups{count, std::vector<std::vector<Index>>(static_cast<std::size_t>(count))};
    for (Index i = 0; i < count * n; ++i) groups.of[static_cast<std::size_t>(i / n)].push_back(i);
    return groups;
}

/// Everything by the definition, in double: y is x̂; dx is of g = dy (the factor is left to the caller).
struct Reference {
    std::vector<double> var, xhat, dx, sum_dy, sum_dy_xhat;

    template <class T>
    Reference(const Tensor<T>& x, const std::vector<double>& g, const Groups& groups, double eps)
        : xhat(g.size()), dx(g.size()) {
        for (const auto& positions : groups.of) {
            const double n = static_cast<double>(positions.size());
            double mean = 0, squares = 0, sum = 0, product = 0;
            for (const Index i : positions) mean += static_cast<double>(x.data()[i]) / n;
            for (const Index i : positions) squares += std::pow(static_cast<double>(x.data()[i]) - mean, 2);
            const double rstd = 1 / std::sqrt(squares / n + eps);
            for (const Index i : positions) {
                const auto at = static_cast<std::size_t>(i);
                xhat[at] = (static_cast<double>(x.data()[i]) - mean) * rstd;
                sum += g[at];
                product += g[at] * xhat[at];
            }
            for (const Index i : positions) {
                const auto at = static_cast<std::size_t>(i);
                dx[at] = rstd * (g[at] - sum / n - xhat[at] * product / n);
            }
            var.push_back(squares / n);
            sum_dy.push_back(sum);
            sum_dy_xhat.push_back(product);
        }
    }
};

template <class T>
void check_batch(const Shape& shape, double tolerance) {
    INFO(to_string(shape));
    const Exact<T> x(shape, 1), dy(shape, 2);
    std::vector<double> g(dy.memory.begin(), dy.memory.end());
    const Reference expected(x.tensor, g, channels(shape), 0.01);
    const kernels::ChannelPlan plan(shape);
    const auto [norm, var] = kernels::batch_statistics(x.tensor, plan, 0.01);
    const double n = static_cast<double>(plan.count());
    CHECK(worst(var, expected.var) <= tolerance * 10);
    CHECK(worst(kernels::batch_norm<T>(x.tensor, plan, norm, nullptr, nullptr), expected.xhat) <=
          tolerance * 10);
    const auto sums = kernels::batch_norm_sums(dy.tensor, x.tensor, plan, norm);
    CHECK(worst(sums.dy, expected.sum_dy) <= tolerance * 10 * n);
    CHECK(worst(sums.dy_xhat, expected.sum_dy_xhat) <= tolerance * 10 * n);
    CHECK(worst(kernels::batch_norm_backward<T>(dy.tensor, x.tensor, plan, norm, nullptr, sums),
                expected.dx) <= tolerance * 100);
}

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

TEST_CASE("norm kernels: channels of every size, on every instruction set") {
    for (const auto isa : {simd::Isa::baseline, simd::Isa::avx2, simd::Isa::avx512}) {
        const simd::ScopedIsa limit(isa);
        INFO(simd::name(simd::isa()));
        for (const Index n : {1, 2, 5, 15, 16, 17, 31, 32, 49, 63, 64, 65, 100, 129}) {
            check_batch<float>({3, 2, n}, 1e-6);
            check_batch<double>({3, 2, n}, 1e-14);
            check_batch<float>({7, n}, 1e-6);
            check_batch<double>({3, n}, 1e-14);
        }
        check_batch<float>({130, 300}, 1e-6);
        check_batch<double>({65, 257}, 1e-14);
        check_batch<float>({130, 3, 33}, 1e-6);
        check_batch<float>({2, 2, 4097}, 1e-6);
        check_batch<float>({1, 1, 8200}, 1e-6);
        check_batch<double>({2, 1, 9001}, 1e-14);
    }
}

TEST_CASE("norm kernels: rows of every length, on every instruction set") {
    for (const auto isa : {simd::Isa::baseline, simd::Isa::avx2, simd::Isa::avx512}) {
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

TEST_CASE("norm kernels: partial results cover each channel once") {
    for (const Shape& shape : {Shape{5, 3}, Shape{200, 3, 2, 2}, Shape{9, 2, 16}, Shape{500, 2, 17},
                               Shape{2, 3, 9000}, Shape{3, 2, 4096}, Shape{1, 1, 4097}}) {
        INFO(to_string(shape));
        const kernels::ChannelPlan plan(shape);
        std::vector<int> seen(static_cast<std::size_t>(plan.partials()));
        for (Index c = 0; c < plan.channels; ++c) {
            Index values = 0;
            plan.for_partials(c, [&](Index i, Index block) {
                ++seen.at(static_cast<std::size_t>(i));
                values += plan.block_size(block);
            });
            CHECK(values == plan.count());
        }
        CHECK(std::all_of(seen.begin(), seen.end(), [](int times) { return times == 1; }));
    }
}

TEST_CASE("norm kernels: the centre and what its rounding left") {
    const float big = 1e4f;
    const Tensor<> x{{big}, {big + 1}, {big + 1}};  // the mean is 10000 + 2/3
    const auto norm = kernels::batch_statistics(x, kernels::ChannelPlan(x.shape()), 0).norm;
    const double mean = static_cast<double>(norm.centre.item()) -
                        static_cast<double>(norm.shift.item()) / static_cast<double>(norm.rstd.item());
    CHECK(mean == Approx(10000.0 + 2.0 / 3).epsilon(1e-10));
    CHECK(norm.rstd.item() == Approx(std::sqrt(4.5)).epsilon(1e-6));
}

TEST_CASE("norm kernels: sizes of 0") {
    CHECK(kernels::batch_statistics(zeros({2, 0}), kernels::ChannelPlan({2, 0}), 0).var.numel() == 0);
    CHECK(kernels::batch_statistics(zeros({2, 0, 20}), kernels::ChannelPlan({2, 0, 20}), 0).var.numel() == 0);
    CHECK(kernels::layer_norm<float>(zeros({0, 3}), 3, nullptr, nullptr, 0).y.shape() == Shape{0, 3});
    CHECK(kernels::layer_norm<float>(zeros({3, 0}), 0, nullptr, nullptr, 0).y.shape() == Shape{3, 0});
}
