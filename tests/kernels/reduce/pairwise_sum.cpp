// SPDX-License-Identifier: MIT
// Products of a million terms and more: every algorithm adds up bounded runs, so that the error does not grow
// with the number of terms.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "gradus/core/random.hpp"
#include "gradus/kernels/conv/fused_pool.hpp"
#include "gradus/kernels/gemm/batched.hpp"
#include "support/convolution.hpp"
#include "support/isas.hpp"
#include "support/test.hpp"

using namespace gradus;
using convolution::sizes;
using kernels::ConvGeometry;
using kernels::ConvPoolGeometry;
using kernels::MatrixRef;

namespace {

constexpr double bound = 1e-6;  // one chain of 1.28e6 terms has 3e-4
constexpr Index many = 1280000;

/// Numbers of [0, 1), of which rounding errors do not average out.
Tensor<> uniform(const Shape& shape, std::uint64_t seed) {
    Generator generator(seed);
    return rand(shape, generator);
}

double relative_error(float result, long double exact) {
    return static_cast<double>(std::abs(static_cast<long double>(result) - exact) / std::abs(exact));
}

long double dot(const float* a, const float* b, Index n) {
    long double sum = 0;
    for (Index i = 0; i < n; ++i) sum += static_cast<long double>(a[i]) * static_cast<long double>(b[i]);
    return sum;
}

/// One element of the gradient of a weight by its definition, for convolutions without padding.
long double weight_gradient(const ConvGeometry& s, const Tensor<>& x, const Tensor<>& dy, Index o, Index c,
                            Index ky, Index kx) {
    long double sum = 0;
    for (Index n = 0; n < s.batch; ++n)
        for (Index i = 0; i < s.result.height; ++i) {
            const Index row = i * s.stride.height + ky;
            const float* const from =
                x.data() +
                ((n * s.groups * s.in + o / s.out * s.in + c) * s.image.height + row) * s.image.width + kx;
            const float* const gradient =
                dy.data() + ((n * s.groups * s.out + o) * s.result.height + i) * s.result.width;
            for (Index j = 0; j < s.result.width; ++j)
                sum += static_cast<long double>(from[j * s.stride.width]) *
                       static_cast<long double>(gradient[j]);
        }
    return sum;
}

ConvGeometry convolution_of(Index batch, Index groups, Index in, Index out, Size2 image, Size2 kernel,
                            Size2 stride) {
    return sizes(batch, groups, in, out, image, kernel, stride, {0, 0}, {0, 0}, {1, 1});
}

}  // namespace

TEST_CASE("long sums: 2^25 ones are 33554432") {
    const Index n = Index{1} << 25;
    const Tensor<> x = ones({n, 1});
    CHECK(kernels::matmul(x.reshape({1, n}), x) == Tensor<>{{33554432}});
    CHECK(kernels::matmul_tn(x, x) == Tensor<>{{33554432}});  // the gradient of a linear layer's weight
}

TEST_CASE("long sums: matrix products of 1.28 million terms") {
    const Tensor<> a = uniform({many}, 1), b = uniform({many}, 2), bias = full({100}, 1000.0f);
    const long double exact = dot(a.data(), b.data(), many) + 1000;
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scope(isa);
        INFO(simd::name(isa));
        for (const auto& [m, n] : {std::array<Index, 2>{1, 1}, {1, 40}, {40, 1}, {3, 20}, {31, 17}}) {
            INFO("m " << m << ", n " << n);
            std::vector<float> c(static_cast<std::size_t>(m * n));
            // Rows that are all the same, and columns.
            kernels::gemm<float>(m, n, many, {a.data(), 0, 1}, {b.data(), 1, 0}, c.data(), bias.data());
            for (const float value : c) REQUIRE(relative_error(value, exact) < bound);
        }
        // Columns that lie side by side, as those of a vector times a matrix.
        const Index n = 64, k = 40000;
        const Tensor<> x = uniform({1, k}, 3), w = uniform({k, n}, 4);
        const Tensor<> column = [&] {
            Tensor<> result = zeros({k});
            for (Index i = 0; i < k; ++i) result.mutable_data()[i] = w.data()[i * n + 5];
            return result;
        }();
        CHECK(relative_error(kernels::matmul(x, w).data()[5], dot(x.data(), column.data(), k)) < bound);
    }
}

TEST_CASE("long sums: terms that cancel") {
    const Index n = 100003, trials = 20;
    Generator generator(5);
    double squares = 0;  // of the error, relative to the sum of the absolute values of the terms
    for (Index trial = 0; trial < trials; ++trial) {
        const Tensor<> a = randn({1, n}, generator), b = randn({n, 1}, generator);
        const long double exact = dot(a.data(), b.data(), n);
        long double size = 0;
        for (Index i = 0; i < n; ++i)
            size += std::abs(static_cast<long double>(a.data()[i]) * static_cast<long double>(b.data()[i]));
        const long double result = static_cast<long double>(kernels::matmul(a, b)(0, 0));
        squares += std::pow(static_cast<double>((result - exact) / size), 2);
    }
    CHECK(std::sqrt(squares / trials) < 4e-9);  // a single chain has several times that
}

TEST_CASE("long sums: an element has the same bits in a vector and in a matrix") {
    for (const Index k : {511, 513, 801, 8192, 8193, 30011}) {
        const Tensor<> a = uniform({7, k}, 1), b = uniform({k, 40}, 2);
        const Tensor<> c = kernels::matmul(a, b);
        for (const Index row : {0, 6})
            CHECK(kernels::matmul(a.rows(row, row + 1), b) == c.rows(row, row + 1));
    }
}

TEST_CASE("long sums: gradients of weights over a million pixels") {
    const std::vector<ConvGeometry> cases = {
        convolution_of(1, 1, 3, 4, {1002, 1282}, 3, 1),       // pixels found by offsets
        convolution_of(20000, 1, 2, 3, {10, 10}, 3, 1),       // of many images
        convolution_of(1, 2, 1, 8, {2003, 1283}, {4, 3}, 2),  // of groups, with a stride
        convolution_of(1, 1, 2, 3, {1000, 1280}, 1, 1),       // 1 x 1
        convolution_of(12500, 1, 2, 40, {10, 10}, 1, 1),      // of many images
        convolution_of(1, 2, 1, 1, {2002, 1282}, 3, 1),       // depthwise
        convolution_of(20000, 2, 1, 1, {10, 10}, 3, 1),       // of many images
        convolution_of(1, 1, 16, 16, {1002, 162}, 3, 1)};     // Winograd's filtering
    for (const ConvGeometry& s : cases) {
        INFO("batch " << s.batch << ", groups " << s.groups << ", channels " << s.in << " to " << s.out
                      << ", kernel " << to_string(s.kernel));
        const Tensor<> x = uniform({s.batch, s.groups * s.in, s.image.height, s.image.width}, 1);
        const Tensor<> dy = uniform(s.y_shape(), 2);
        const Index o = s.groups * s.out - 1, c = s.in - 1, ky = s.kernel.height - 1;
        const long double exact = weight_gradient(s, x, dy, o, c, ky, 0);
        for (const simd::Isa isa : {simd::Isa::baseline, simd::Isa::avx2}) {
            const simd::ScopedIsa scope(isa);
            const Tensor<> dw = kernels::conv2d_backward_weight(kernels::ConvPlan<float>(s), x, dy);
            CHECK(relative_error(dw(o, c, ky, 0), exact) < bound);
        }
    }
}

TEST_CASE("long sums: a constant image") {  // whose rounding errors are all the same
    const ConvGeometry s = convolution_of(1, 1, 1, 1, {5002, 5002}, 3, 1);
    const Tensor<> dw = kernels::conv2d_backward_weight(kernels::ConvPlan<float>(s),
                                                        full({1, 1, 5002, 5002}, 0.1f), ones(s.y_shape()));
    for (const float value : dw.values())
        CHECK(relative_error(value, 25e6L * static_cast<long double>(0.1f)) < 5 * bound);
}

TEST_CASE("long sums: windows of a million pixels") {
    const Tensor<> x = uniform({1, 2, 1000, 1280}, 1), w = uniform({1, 2, 1000, 1280}, 2);
    const ConvGeometry s = convolution_of(1, 1, 2, 1, {1000, 1280}, {1000, 1280}, 1);
    const ConvGeometry depthwise = convolution_of(1, 2, 1, 1, {1000, 1280}, {1000, 1280}, 1);
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scope(isa);
        float y, planes[2];
        kernels::conv2d<float>(kernels::ConvPlan<float>(s), x, w, nullptr, &y);
        CHECK(relative_error(y, dot(x.data(), w.data(), 2 * many)) < bound);
        kernels::conv2d<float>(kernels::ConvPlan<float>(depthwise), x, w.reshape({2, 1, 1000, 1280}), nullptr,
                               planes);
        for (Index p = 0; p < 2; ++p)
            CHECK(relative_error(planes[p], dot(x.data() + p * many, w.data() + p * many, many)) < bound);
    }
}

TEST_CASE("long sums: input gradients of a hundred thousand channels") {
    const ConvGeometry s = convolution_of(1, 1, 2, 100000, {2, 2}, 2, 1);
    const Tensor<> dy = uniform(s.y_shape(), 1), w = uniform(s.weight_shape(), 2);
    long double exact = 0;
    for (Index o = 0; o < s.out; ++o)
        exact += static_cast<long double>(dy.data()[o]) * static_cast<long double>(w(o, 1, 0, 1));
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scope(isa);
        CHECK(relative_error(kernels::conv2d_backward_input(kernels::ConvPlan<float>(s), dy, w)(0, 1, 0, 1),
                             exact) < bound);
    }
}

TEST_CASE("long sums: gradients of pooled convolutions") {
    for (const ConvGeometry& c : {convolution_of(1, 1, 1, 2, {1602, 1602}, 3, 1),     // short patches
                                  convolution_of(20000, 1, 1, 2, {14, 14}, 3, 1),     // of many images
                                  convolution_of(1, 1, 8, 2, {1602, 1602}, 3, 1)}) {  // lists of patches
        INFO("batch " << c.batch << ", channels " << c.in);
        const ConvPoolGeometry s{c, {2, 2}, false};
        const Tensor<> x = uniform({c.batch, c.in, c.image.height, c.image.width}, 1);
        const Tensor<> dy = uniform(s.y_shape(), 2);
        const Tensor<std::uint8_t> argmax = zeros<std::uint8_t>(s.y_shape());  // the first pixel always wins
        long double exact = 0, sum = 0;
        for (Index n = 0; n < c.batch; ++n)
            for (Index i = 0; i < s.pooled().height; ++i)
                for (Index j = 0; j < s.pooled().width; ++j) {
                    const auto gradient = static_cast<long double>(dy(n, 1, i, j));
                    sum += gradient;
                    exact += gradient * static_cast<long double>(x(n, c.in - 1, 2 * i + 2, 2 * j + 1));
                }
        for (const simd::Isa isa : {simd::Isa::baseline, simd::Isa::avx2}) {
            const simd::ScopedIsa scope(isa);
            const auto [dw, db] = kernels::conv_pool_backward_parameters(kernels::ConvPoolPlan<float>(s), dy,
                                                                         argmax, x, {true, true});
            CHECK(relative_error(dw(1, c.in - 1, 2, 1), exact) < bound);
            CHECK(relative_error(db(1), sum) < bound);
            CHECK(relative_error(kernels::conv_pool_backward_bias(s, dy, argmax)(1), sum) < bound);
        }
    }
}
