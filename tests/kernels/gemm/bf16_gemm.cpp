// SPDX-License-Identifier: MIT
#include "gradus/kernels/gemm/bf16_gemm.hpp"

#include <cmath>

#include "gradus/core/bfloat16.hpp"
#include "gradus/core/random.hpp"
#include "gradus/kernels/gemm/gemm.hpp"
#include "support/bf16_backends.hpp"
#include "support/random.hpp"
#include "support/test.hpp"
#include "support/threads.hpp"

using namespace gradus;
using kernels::Bf16Backend;
using kernels::MatrixRef;
using kernels::detail::Bf16Blocking;
using kernels::detail::Bf16Gemm;
using kernels::detail::Bf16Plan;
using kernels::detail::Bf16Product;
using kernels::detail::Bf16Shape;
using kernels::detail::linear_offsets;
using kernels::detail::OffsetGenerator;

namespace {

/// x[rows, columns] as it is, or stored by columns.
MatrixRef<float> matrix(const Tensor<>& x, Index rows, Index columns, bool by_columns) {
    return by_columns ? MatrixRef<float>{x.data(), 1, rows} : MatrixRef<float>{x.data(), columns, 1};
}

Bf16Product of_matrices(Index m, Index n, Index k, MatrixRef<float> a, MatrixRef<float> b, Tensor<>& c,
                        const float* bias = nullptr) {
    return {.m = m,
            .n = n,
            .k = k,
            .a = {a.data, linear_offsets(m, a.row), linear_offsets(k, a.column)},
            .b = {b.data, linear_offsets(n, b.column), linear_offsets(k, b.row)},
            .c = c.mutable_data(),
            .c_row = n,
            .c_columns = linear_offsets(n, 1),
            .column_bias = bias};
}

Tensor<> product(const Bf16Plan& plan, Index m, Index n, Index k, MatrixRef<float> a, MatrixRef<float> b,
                 const float* bias) {
    Tensor<> c = full({m, n}, 12345.0f);
    plan(of_matrices(m, n, k, a, b, c, bias));
    return c;
}

/// In double, and the sum of absolute values of what is added.
void exact_product(Index m, Index n, Index k, MatrixRef<float> a, MatrixRef<float> b, Tensor<double>& sum,
                   Tensor<double>& size) {
    sum = size = zeros<double>({m, n});
    for (Index i = 0; i < m; ++i)
        for (Index j = 0; j < n; ++j) {
            double total = 0, absolute = 0;
            for (Index q = 0; q < k; ++q) {
                const double term = static_cast<double>(a.data[i * a.row + q * a.column]) *
                                    static_cast<double>(b.data[q * b.row + j * b.column]);
                total += term;
                absolute += std::abs(term);
            }
            sum.mutable_data()[i * n + j] = total;
            size.mutable_data()[i * n + j] = absolute;
        }
}

/// The largest |c - exact| / sum |a b|.
double largest_error(const Tensor<>& c, const Tensor<double>& exact, const Tensor<double>& size) {
    double worst = 0;
    for (Index i = 0; i < c.numel(); ++i)
        worst =
            std::max(worst, std::abs(static_cast<double>(c.data()[i]) - exact.data()[i]) / size.data()[i]);
    return worst;
}

}  // namespace

TEST_CASE(
    "bf16 blocking: operands beyond 2^21 numbers are packed block by block where their shape asks for it") {
    const auto blocking = [](Index m, Index n, Index k, Bf16Shape shape) {
        const OffsetGenerator offsets = linear_offsets(1, 1);
        const Bf16Product product{.m = m,
                                  .n = n,
                                  .k = k,
                                  .a = {nullptr, offsets, offsets},
                                  .b = {nullptr, offsets, offsets},
                                  .c = nullptr,
                                  .c_row = n,
                                  .c_columns = offsets,
                                  .shape = shape};
        return Bf16Blocking(product, false);
    };
    for (const Index m : {1, 16, 17, 300})
        for (const Index n : {1, 40, 100'000})
            for (const Index k : {24, 512, 8192})
                for (const Bf16Shape shape :
                     {Bf16Shape::general, Bf16Shape::many_columns, Bf16Shape::long_k}) {
                    INFO(m << " x " << n << " x " << k);
                    const Bf16Blocking b = blocking(m, n, k, shape);
                    CHECK(b.m_panels * 16 >= m);
                    CHECK((b.m_panels - 1) * 16 < m);
                    CHECK(b.m_tasks() * b.mc >= b.m_panels);
                    CHECK((b.m_tasks() - 1) * b.mc < b.m_panels);
                    CHECK(b.n_tasks() * b.nc >= b.n_panels);
                    CHECK((b.n_tasks() - 1) * b.nc < b.n_panels);
                    CHECK((b.mc % 2 == 0 && b.nc % 2 == 0));
                    CHECK((b.k_parts >= 1 && (b.k_parts - 1) * b.kc < k));
                    CHECK((b.a_resident || shape == Bf16Shape::long_k));
                    CHECK((b.b_resident || (shape != Bf16Shape::general && n * k > 1 << 21)));
                    if (!b.b_resident && shape == Bf16Shape::many_columns) CHECK(b.m_tasks() == 1);
                }
    CHECK(blocking(32, 32, 8192, Bf16Shape::long_k).k_parts == 16);  // one task would keep one thread busy
    CHECK(blocking(1000, 1000, 8192, Bf16Shape::long_k).k_parts == 1);
}

TEST_CASE("bf16 products: exact where nothing is rounded, at awkward sizes") {
    const Index sizes[][3] = {{1, 1, 1},    {1, 16, 32},   {15, 17, 31},   {16, 16, 32},
                              {17, 15, 33}, {8, 32, 64},   {9, 33, 65},    {31, 1, 511},
                              {1, 47, 512}, {33, 34, 513}, {130, 35, 100}, {35, 130, 1030}};
    for (const Bf16Backend& backend : bf16_backends::all())
        for (const auto& [m, n, k] : sizes)
            for (const bool a_by_columns : {false, true})
                for (const bool b_by_columns : {false, true}) {
                    INFO(backend.name << ": " << m << " x " << n << " x " << k
                                      << ", by columns: " << a_by_columns << ", " << b_by_columns);
                    const Tensor<> a = whole_numbers({m * k}, 1), b = whole_numbers({k * n}, 2);
                    const Tensor<> bias = whole_numbers({n}, 3);
                    const MatrixRef<float> A = matrix(a, m, k, a_by_columns),
                                           B = matrix(b, k, n, b_by_columns);
                    Tensor<double> exact, size;
                    exact_product(m, n, k, A, B, exact, size);
                    const Tensor<> plain =
                        product(bf16_backends::plan(backend, false), m, n, k, A, B, nullptr);
                    CHECK(cast<double>(plain) == exact);
                    for (Index i = 0; i < m * n; ++i)
                        exact.mutable_data()[i] += static_cast<double>(bias.data()[i % n]);
                    CHECK(cast<double>(product(bf16_backends::plan(backend, false), m, n, k, A, B,
                                               bias.data())) == exact);
                    CHECK(cast<double>(product(bf16_backends::plan(backend, true), m, n, k, A, B,
                                               bias.data())) == exact);
                }
}

TEST_CASE("bf16 products: each operand is split into two parts") {
    // (1 + 2^-9) and (1 + 2^-9): bfloat16 holds 8 bits, so one part loses the 2^-9, and two lose 2^-18 alone.
    const Tensor<> ones = full({32 * 32}, 1.0f + 0x1p-9f);
    const MatrixRef<float> x{ones.data(), 32, 1};
    for (const Bf16Backend& backend : bf16_backends::all()) {
        INFO(backend.name);
        CHECK(product(bf16_backends::plan(backend, false), 32, 32, 32, x, x, nullptr) ==
              full({32, 32}, 32.0f));
        CHECK(product(bf16_backends::plan(backend, true), 32, 32, 32, x, x, nullptr) ==
              full({32, 32}, 32.0f + 0x1p-3f));
    }
}

TEST_CASE("bf16 products: the order of sums in parts is that of the parts") {
    const Index m = 20, n = 40, k = 2000;
    const Tensor<> a = whole_numbers({m, k}, 1), b = whole_numbers({k, n}, 2);
    const MatrixRef<float> A{a.data(), k, 1}, B{b.data(), n, 1};
    Tensor<double> exact, size;
    exact_product(m, n, k, A, B, exact, size);
    for (const Bf16Backend& backend : bf16_backends::all())
        for (const bool split : {false, true})
            for (const bool a_resident : {false, true})
                for (const bool b_resident : {false, true})
                    for (const Index parts : {1, 2, 3}) {
                        INFO(backend.name << ", split " << split << ", resident " << a_resident << b_resident
                                          << ", " << parts << " parts");
                        Tensor<> c = full({m, n}, 12345.0f);
                        const Bf16Product ab = of_matrices(m, n, k, A, B, c);
                        Bf16Blocking blocking(ab, split);
                        blocking.mc = blocking.nc = 2;
                        blocking.a_resident = a_resident;
                        blocking.b_resident = b_resident;
                        blocking.k_parts = parts;
                        Bf16Gemm{backend, split, ab, blocking}.run();
                        CHECK(cast<double>(c) == exact);
                    }
}

TEST_CASE("bf16 products: operands are rounded to nearest as bfloat16 rounds them") {
    // Against the unit matrix, the product is the rounded operand.
    const Index m = 48, k = 64;
    Tensor<> a = random({m, k}, 4), identity = zeros({k, k});
    for (Index i = 0; i < k; ++i) identity.mutable_at(i, i) = 1;
    a.mutable_at(0, 0) = 1 + 0x1p-8f;  // a tie, to even
    a.mutable_at(0, 1) = 1 + 0x1p-7f + 0x1p-8f;
    a.mutable_at(0, 2) = -3.0e38f;
    a.mutable_at(0, 3) = 1e-30f;
    Tensor<> rounded = a;
    for (float& value : rounded.mutable_values()) value = bfloat16(value);
    const Tensor<> columns = a.reshape({m * k});
    for (const Bf16Backend& backend : bf16_backends::all()) {
        INFO(backend.name);
        CHECK(product(bf16_backends::plan(backend, false), m, k, k, {a.data(), k, 1}, {identity.data(), k, 1},
                      nullptr) == rounded);
        CHECK(product(bf16_backends::plan(backend, false), k, m, k, {identity.data(), k, 1}, {a.data(), 1, k},
                      nullptr) == [&] {
            Tensor<> t = zeros({k, m});
            for (Index i = 0; i < m; ++i)
                for (Index j = 0; j < k; ++j) t.mutable_at(j, i) = rounded(i, j);
            return t;
        }());
    }
}

TEST_CASE("bf16 products: NaN and infinity are kept") {
    const Index m = 16, k = 40, n = 16;
    for (const Bf16Backend& backend : bf16_backends::all()) {
        INFO(backend.name);
        Tensor<> a = full({m, k}, 1.0f);
        const Tensor<> b = full({k, n}, 1.0f);
        a.mutable_at(2, 39) = std::bit_cast<float>(0x7fffffffu);  // rounding must not carry into the sign
        a.mutable_at(3, 0) = INFINITY;
        const Tensor<> c = product(bf16_backends::plan(backend, false), m, n, k, {a.data(), k, 1},
                                   {b.data(), n, 1}, nullptr);
        for (Index i = 0; i < m; ++i) {
            INFO("row " << i);
            if (i == 2) CHECK(std::isnan(c(i, 5)));
            if (i == 3) CHECK(c(i, 5) == INFINITY);
            if (i != 2 && i != 3) CHECK(c(i, 5) == 40);
        }
        const Tensor<> split =
            product(bf16_backends::plan(backend, true), m, n, k, {a.data(), k, 1}, {b.data(), n, 1}, nullptr);
        CHECK(std::isnan(split(2, 5)));
        CHECK(std::isnan(split(3, 5)));  // inf - inf
        CHECK(split(4, 5) == 40);
    }
}

TEST_CASE("bf16 products: errors stay below their bounds") {
    const Index sizes[][3] = {{64, 64, 16}, {256, 350, 784}, {784, 350, 256}, {40, 50, 4608}};
    for (const Bf16Backend& backend : bf16_backends::all())
        for (const auto& [m, n, k] : sizes) {
            INFO(backend.name << ": " << m << " x " << n << " x " << k);
            const Tensor<> a = random({m * k}, 1), b = random({k * n}, 2);
            const MatrixRef<float> A{a.data(), k, 1}, B{b.data(), 1, k};
            Tensor<double> exact, size;
            exact_product(m, n, k, A, B, exact, size);
            const double medium = largest_error(
                product(bf16_backends::plan(backend, false), m, n, k, A, B, nullptr), exact, size);
            const double high = largest_error(
                product(bf16_backends::plan(backend, true), m, n, k, A, B, nullptr), exact, size);
            CAPTURE(medium * 0x1p8, high * 0x1p16);
            CHECK(medium < 0x1p-8 * 1.01);  // one rounding, of at most 2^-9, per operand
            CHECK(medium > 0x1p-16);        // and it did round
            CHECK(high < 0x1p-16);
            CHECK(high < medium / 50);
        }
}

TEST_CASE("bf16 products: the same bits for every number of threads") {
    const Index m = 200, n = 150, k = 700;
    const Tensor<> a = random({m * k}, 1), b = random({k * n}, 2);
    for (const Bf16Backend& backend : bf16_backends::all())
        for (const bool split : {false, true}) {
            INFO(backend.name << ", split " << split);
            const Threads one_thread(1);
            const Tensor<> one = product(bf16_backends::plan(backend, split), m, n, k, {a.data(), k, 1},
                                         {b.data(), n, 1}, nullptr);
            for (const int threads : {2, 3, 5}) {
                const Threads limit(threads);
                CHECK(product(bf16_backends::plan(backend, split), m, n, k, {a.data(), k, 1},
                              {b.data(), n, 1}, nullptr) == one);
            }
        }
}
