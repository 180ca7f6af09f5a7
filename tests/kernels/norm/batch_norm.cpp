// SPDX-License-Identifier: MIT
#include "gradus/kernels/norm/batch_norm.hpp"

#include "norm_reference.hpp"
#include "support/isas.hpp"

using namespace gradus;
using namespace norm_reference;

namespace {

/// The sum and the relu after the normalization, and what they make of its gradient.
template <class T>
void check_with_relu(const Exact<T>& x, const Exact<T>& dy, const Reference& plain,
                     const kernels::BatchNorm<T>& norm, const Groups& groups, double tolerance) {
    const Shape shape = x.tensor.shape();
    const Exact<T> residual(shape, 3);
    const auto& plan = norm.plan;
    Tensor<T> y = Tensor<T>::uninitialized(shape), alone = y;
    std::vector<std::uint16_t> mask(static_cast<std::size_t>(plan.mask_size()));
    for (const bool with_residual : {false, true}) {
        INFO("residual: " << with_residual);
        const T* const added = with_residual ? residual.tensor.data() : nullptr;
        kernels::batch_norm<T>(norm, x.tensor, added, y.mutable_data(), mask.data());
        kernels::batch_norm<T>(norm, x.tensor, added, alone.mutable_data(), nullptr);
        std::vector<double> expected = plain.xhat, g(dy.memory.begin(), dy.memory.end());
        int wrong = 0;
        for (std::size_t i = 0; i < g.size(); ++i) {
            if (with_residual) expected[i] += static_cast<double>(residual.memory[i]);
            wrong += y.data()[i] != std::max(alone.data()[i], T(0));
            if (!(y.data()[i] > T(0))) g[i] = 0;
        }
        CHECK(wrong == 0);
        CHECK(worst(alone, expected) <= tolerance * 10);
        const Reference through(x.tensor, g, groups, 0.01);
        const auto back = kernels::batch_norm_backward(norm, dy.tensor, x.tensor, mask.data(), true,
                                                       {true, true, with_residual});
        CHECK(worst(back.dx, through.dx) <= tolerance * 100);
        CHECK(worst(back.dbias, through.sum_dy) <= tolerance * 10 * static_cast<double>(plan.count()));
        CHECK(worst(back.dweight, through.sum_dy_xhat) <= tolerance * 10 * static_cast<double>(plan.count()));
        CHECK(worst(back.dresidual, with_residual ? g : std::vector<double>()) == 0);
    }
}

template <class T>
void check_batch(const Shape& shape, double tolerance) {
    INFO(to_string(shape));
    const Exact<T> x(shape, 1), dy(shape, 2);
    std::vector<double> g(dy.memory.begin(), dy.memory.end());
    const Groups groups = channels(shape);
    const Reference expected(x.tensor, g, groups, 0.01);
    const kernels::ChannelPlan plan(shape);
    const auto [statistics, var] = kernels::batch_statistics(x.tensor, plan, 0.01);
    const kernels::BatchNorm<T> norm{plan, statistics, nullptr, nullptr};
    const double n = static_cast<double>(plan.count());
    CHECK(worst(var, expected.var) <= tolerance * 10);
    Tensor<T> y = Tensor<T>::uninitialized(shape);
    kernels::batch_norm<T>(norm, x.tensor, nullptr, y.mutable_data(), nullptr);
    CHECK(worst(y, expected.xhat) <= tolerance * 10);
    const auto back =
        kernels::batch_norm_backward<T>(norm, dy.tensor, x.tensor, nullptr, true, {true, true, false});
    CHECK(worst(back.dbias, expected.sum_dy) <= tolerance * 10 * n);
    CHECK(worst(back.dweight, expected.sum_dy_xhat) <= tolerance * 10 * n);
    CHECK(worst(back.dx, expected.dx) <= tolerance * 100);
    const auto sums =
        kernels::batch_norm_backward<T>(norm, dy.tensor, x.tensor, nullptr, true, {false, true, false});
    CHECK(sums.dx.numel() == 0);
    CHECK(sums.dweight == back.dweight);
    check_with_relu(x, dy, expected, norm, groups, tolerance);
}

}  // namespace

TEST_CASE("batch_norm kernels: channels of every size, on every instruction set") {
    for (const simd::Isa isa : available_isas()) {
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
        check_batch<float>({3, 17, 40}, 1e-6);
        check_batch<double>({5, 50, 3, 3}, 1e-14);
        check_batch<float>({130, 3, 33}, 1e-6);
        for (const Index channels : {1, 7, 8, 15, 16, 19, 33}) {
            check_batch<float>({5, channels, 4, 4}, 1e-6);
            check_batch<double>({2, channels, 37}, 1e-14);
        }
        check_batch<float>({2, 2, 4097}, 1e-6);
        check_batch<float>({1, 1, 8200}, 1e-6);
        check_batch<double>({2, 1, 9001}, 1e-14);
    }
}

TEST_CASE("batch_norm kernels: blocks and partial results cover each channel once") {
    for (const Shape& shape :
         {Shape{5, 3}, Shape{200, 3, 2, 2}, Shape{3, 1000}, Shape{70, 40, 3, 3}, Shape{9, 2, 16},
          Shape{500, 2, 17}, Shape{9, 33, 20}, Shape{2, 3, 9000}, Shape{3, 2, 4096}, Shape{1, 1, 4097}}) {
        INFO(to_string(shape));
        const kernels::ChannelPlan plan(shape);
        std::vector<int> elements(static_cast<std::size_t>(shape.numel())),
            words(static_cast<std::size_t>(plan.mask_size())),
            partials(static_cast<std::size_t>(plan.partials()));
        const auto visit = [&](const kernels::ChannelBlock& b) {
            for (Index r = 0; r < b.rows; ++r) {
                for (Index i = 0; i < b.channels * b.n; ++i)
                    ++elements.at(static_cast<std::size_t>(b.at + r * plan.width() + i));
                for (Index w = 0; w < b.channels * ((b.n + 15) / 16); ++w)
                    ++words.at(static_cast<std::size_t>(b.mask + r * plan.mask_width() + w));
            }
        };
        for (Index s = 0; s < plan.slices; ++s)
            for (Index j = 0; j < plan.blocks; ++j) visit(plan.block(s, j));
        for (Index c = 0; c < plan.channels; ++c) {
            Index values = 0;
            plan.for_partials(c, [&](Index i, Index block) {
                ++partials.at(static_cast<std::size_t>(i));
                values += plan.block_size(block);
            });
            CHECK(values == plan.count());
        }
        const auto once = [](int times) { return times == 1; };
        CHECK(std::all_of(elements.begin(), elements.end(), once));
        CHECK(std::all_of(partials.begin(), partials.end(), once));
        CHECK(words.back() == 0);  // for reading beyond the end
        CHECK(std::all_of(words.begin(), words.end() - 1, once));
    }
}

TEST_CASE("batch_norm kernels: the center and what its rounding left") {
    const float big = 1e4f;
    const Tensor<> x{{big}, {big + 1}, {big + 1}};  // the mean is 10000 + 2/3
    const auto norm = kernels::batch_statistics(x, kernels::ChannelPlan(x.shape()), 0).norm;
    const double mean = static_cast<double>(norm.center.item()) -
                        static_cast<double>(norm.shift.item()) / static_cast<double>(norm.rstd.item());
    CHECK(mean == Approx(10000.0 + 2.0 / 3).epsilon(1e-10));
    CHECK(norm.rstd.item() == Approx(std::sqrt(4.5)).epsilon(1e-6));
}

TEST_CASE("batch_norm kernels: sizes of 0") {
    CHECK(kernels::batch_statistics(zeros({2, 0}), kernels::ChannelPlan({2, 0}), 0).var.numel() == 0);
    CHECK(kernels::batch_statistics(zeros({2, 0, 20}), kernels::ChannelPlan({2, 0, 20}), 0).var.numel() == 0);
}
