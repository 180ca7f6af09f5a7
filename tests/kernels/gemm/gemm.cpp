// SPDX-License-Identifier: MIT
#include "gradus/kernels/gemm/gemm.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#if __has_include(<Eigen/Core>)
#include <Eigen/Core>
#endif

#include "gradus/core/random.hpp"
#include "gradus/kernels/gemm/batched.hpp"
#include "support/isas.hpp"
#include "support/random.hpp"
#include "support/same_bits.hpp"
#include "support/test.hpp"
#include "support/threads.hpp"

using namespace gradus;
using kernels::MatrixRef;

namespace {

template <class T>
Tensor<T> transposed(const Tensor<T>& x) {
    Tensor<T> y = Tensor<T>::uninitialized({x.size(1), x.size(0)});
    for (Index i = 0; i < x.size(0); ++i)
        for (Index j = 0; j < x.size(1); ++j)
            y.mutable_data()[j * x.size(0) + i] = x.data()[i * x.size(1) + j];
    return y;
}

/// Three loops over a[m, k] and b[k, n].
template <class T>
Tensor<T> plain_product(const Tensor<T>& a, const Tensor<T>& b, const T* bias) {
    const Index m = a.size(0), k = a.size(1), n = b.size(1);
    Tensor<T> c = zeros<T>({m, n});
    T* const out = c.mutable_data();
    for (Index i = 0; i < m; ++i)
        for (Index j = 0; j < n; ++j) {
            T sum = bias ? bias[j] : T(0);
            for (Index q = 0; q < k; ++q) sum += a.data()[i * k + q] * b.data()[q * n + j];
            out[i * n + j] = sum;
        }
    return c;
}

/// A copy in a heap block of exactly this size: reading past its end is an error that sanitizers see.
template <class T>
std::vector<T> exact_copy(const Tensor<T>& x) {
    return std::vector<T>(x.begin(), x.end());
}

/// gemm() with each operand as it is or stored transposed, with and without bias, against the three loops.
/// Memory around c must stay as it was.
template <class T>
void check_sizes(Index m, Index n, Index k) {
    const Tensor<T> a = whole_numbers<T>({m, k}, 1), b = whole_numbers<T>({k, n}, 2),
                    bias = whole_numbers<T>({n}, 3);
    const std::vector<T> a_rows = exact_copy(a), a_columns = exact_copy(transposed(a)),
                         b_rows = exact_copy(b), b_columns = exact_copy(transposed(b)),
                         bias_values = exact_copy(bias);
    const Index guard = 32;
    for (const T* const use_bias : {static_cast<const T*>(nullptr), bias_values.data()}) {
        if (n == 0 && use_bias) continue;
        const Tensor<T> expected = plain_product(a, b, use_bias);
        for (const bool a_transposed : {false, true})
            for (const bool b_transposed : {false, true}) {
                const MatrixRef<T> a_ref =
                    a_transposed ? MatrixRef<T>{a_columns.data(), 1, m} : MatrixRef<T>{a_rows.data(), k, 1};
                const MatrixRef<T> b_ref =
                    b_transposed ? MatrixRef<T>{b_columns.data(), 1, k} : MatrixRef<T>{b_rows.data(), n, 1};
                std::vector<T> c(static_cast<std::size_t>(m * n + 2 * guard), T(-777));
                kernels::gemm(m, n, k, a_ref, b_ref, c.data() + guard, use_bias);
                bool right = true;
                for (Index i = 0; i < m * n; ++i)
                    right = right && c[static_cast<std::size_t>(guard + i)] == expected.data()[i];
                for (Index i = 0; i < guard; ++i)
                    right = right && c[static_cast<std::size_t>(i)] == T(-777) &&
                            c[static_cast<std::size_t>(guard + m * n + i)] == T(-777);
                INFO("m " << m << ", n " << n << ", k " << k << (a_transposed ? ", aT" : "")
                          << (b_transposed ? ", bT" : "") << (use_bias ? ", bias" : ""));
                CHECK(right);
            }
    }
}

template <class T>
void check_many_sizes() {
    for (const Index m : {0, 1, 2, 3, 5, 6, 7, 13, 14, 15, 29})
        for (const Index n : {0, 1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33})
            for (const Index k : {0, 1, 2, 7, 16, 17}) check_sizes<T>(m, n, k);
    for (const Index k : {399, 400, 401, 799, 801}) check_sizes<T>(7, 17, k);  // around KC
    for (const Index m : {24, 25, 57, 61, 83}) check_sizes<T>(m, 67, 71);  // micro-panels of unequal height
    check_sizes<T>(1, 300, 70);
    check_sizes<T>(300, 1, 70);
    for (const Index n : {4, 15, 16, 17, 130, 500})  // vectors times matrices
        for (const Index k : {3, 4, 31, 64, 65}) {
            check_sizes<T>(1, n, k);
            check_sizes<T>(n, 1, k);
        }
    check_sizes<T>(113, 131, 300);
    check_sizes<T>(70, 40, 512);          // rows of a whole number of 2 KB
    check_sizes<T>(401, 33, 400);         // two blocks of A
    for (const Index n : {39, 46, 63}) {  // a last micro-panel of one to two vectors, in one KC and in two
        check_sizes<T>(5, n, 13);
        check_sizes<T>(83, n, 401);
    }
}

}  // namespace

TEST_CASE("gemm plan: micro-panels cover every row once, blocks every micro-panel, and KC all of k") {
    using kernels::detail::GemmPlan;
    for (const auto& [mr, nr] : {std::pair<Index, Index>{6, 16}, {14, 32}})
        for (const Index m : {1, 2, 5, 6, 7, 13, 14, 15, 24, 57, 83, 401, 5000})
            for (const Index k : {1, 399, 400, 401, 512, 513, 801, 8192}) {
                INFO(m << " rows in tiles of " << mr << ", k " << k);
                const Index n = m + 3;
                const GemmPlan<float> plan(m, n, k, {mr, nr});
                CHECK(plan.first_row(0) == 0);
                CHECK(plan.first_row(plan.a_panels) == m);
                Index shorter = 0;
                for (Index p = 0; p < plan.a_panels; ++p) {
                    const Index rows = plan.first_row(p + 1) - plan.first_row(p);
                    CHECK((rows >= 1 && rows <= mr));
                    if (rows < mr - 1) ++shorter;
                }
                CHECK(shorter <= 1);                         // micro-panels of MR or MR - 1 rows,
                CHECK((shorter == 0 || m < mr * (mr - 1)));  // where that adds up to m
                CHECK((plan.b_panels - 1) * nr < n);
                CHECK(plan.b_panels * nr >= n);
                CHECK(plan.first_panel(0) == 0);
                CHECK(plan.first_panel(plan.blocks) == plan.a_panels);
                for (Index b = 0; b < plan.blocks; ++b) CHECK(plan.first_panel(b) < plan.first_panel(b + 1));
                CHECK((plan.kc >= 1 && plan.kc <= GemmPlan<float>::max_kc));
                const Index steps = (k + plan.kc - 1) / plan.kc;
                CHECK(k - (steps - 1) * plan.kc > 0);
                CHECK((plan.run >= plan.kc && plan.run <= kernels::detail::run_terms));
                CHECK((plan.run == k || plan.run == plan.kc));
            }
}

TEST_CASE("gemm: sizes around the tiles, all transposes, with and without bias, on every instruction set") {
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scope(isa);
        INFO(simd::name(isa));
        check_many_sizes<float>();
        check_many_sizes<double>();
    }
}

TEST_CASE("gemm: the same bits for any number of threads") {
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scope(isa);
        for (const auto& [m, n, k] : {std::array<Index, 3>{301, 203, 307},
                                      {1, 1000, 900},
                                      {1000, 1, 900},
                                      {17, 19, 20011},
                                      {401, 130, 1024}}) {
            const Tensor<> a = random<float>({m, k}, 1), b = random<float>({k, n}, 2), at = transposed(a),
                           bt = transposed(b);
            const Threads one_thread(1);
            const Tensor<> expected = kernels::matmul(a, b);
            for (const int threads : {1, 2, 3, 5}) {
                const Threads limit(threads);
                CHECK(same_bits(kernels::matmul(a, b), expected));
                CHECK(same_bits(kernels::matmul_nt(a, bt), expected));  // and for any storage order
                CHECK(same_bits(kernels::matmul_tn(at, b), expected));
            }
        }
    }
}

TEST_CASE("gemm: a row's bits do not depend on the other rows") {
    const Tensor<> a = random<float>({40, 300}, 1), b = random<float>({300, 50}, 2);
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scope(isa);
        const Tensor<> whole = kernels::matmul(a, b), b_columns = transposed(b);
        for (const auto& [first, last] : {std::pair<Index, Index>{0, 1}, {3, 10}, {13, 40}, {39, 40}}) {
            CHECK(same_bits(kernels::matmul(a.rows(first, last), b), whole.rows(first, last)));
            CHECK(same_bits(kernels::matmul_nt(a.rows(first, last), b_columns), whole.rows(first, last)));
        }
    }
}

TEST_CASE("gemm: float stays near double") {
    for (const auto& [m, n, k] : {std::array<Index, 3>{33, 35, 37}, {20, 30, 5000}}) {
        const Tensor<> a = random<float>({m, k}, 1), b = random<float>({k, n}, 2);
        const Tensor<double> exact =
            plain_product(cast<double>(a), cast<double>(b), static_cast<const double*>(nullptr));
        for (const simd::Isa isa : available_isas()) {
            const simd::ScopedIsa scope(isa);
            const Tensor<> c = kernels::matmul(a, b);
            double worst = 0;
            for (Index i = 0; i < c.numel(); ++i)
                worst = std::max(worst, std::abs(static_cast<double>(c.data()[i]) - exact.data()[i]));
            CHECK(worst < 1.5e-5 * std::sqrt(static_cast<double>(k)));
        }
    }
}

#if __has_include(<Eigen/Core>)
TEST_CASE("gemm: agrees with Eigen") {
    using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    for (const auto& sizes :
         {std::array<Index, 3>{64, 64, 64}, {37, 101, 259}, {200, 3, 50}, {1, 97, 1000}}) {
        const Index m = sizes[0], n = sizes[1], k = sizes[2];
        const Tensor<double> a = random<double>({m, k}, 1), b = random<double>({k, n}, 2);
        const Matrix product =
            Eigen::Map<const Matrix>(a.data(), m, k) * Eigen::Map<const Matrix>(b.data(), k, n);
        for (const simd::Isa isa : available_isas()) {
            const simd::ScopedIsa scope(isa);
            const auto far = [&](const auto& c) {
                double worst = 0;
                for (Index i = 0; i < m * n; ++i)
                    worst = std::max(worst, std::abs(static_cast<double>(c.data()[i]) - product.data()[i]));
                return worst;
            };
            CHECK(far(kernels::matmul(a, b)) < 1e-11);
            CHECK(far(kernels::matmul_nt(a, transposed(b))) < 1e-11);
            CHECK(far(kernels::matmul_tn(transposed(a), b)) < 1e-11);
            CHECK(far(kernels::matmul(cast<float>(a), cast<float>(b))) < 1e-3);
        }
    }
}
#endif

TEST_CASE("gemm: NaN and infinities reach their row and column, and nothing else") {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa scope(isa);
        for (const Index n : {5, 16, 35}) {
            Tensor<> a = ones({20, 30}), b = ones({30, n});
            a.mutable_at(17, 29) = nan;
            const Tensor<> c = kernels::matmul(a, b);
            for (Index i = 0; i < 20; ++i)
                for (Index j = 0; j < n; ++j) CHECK(std::isnan(c(i, j)) == (i == 17));
            b.mutable_at(0, n - 1) = nan;
            const Tensor<> d = kernels::matmul(ones({20, 30}), b);
            for (Index i = 0; i < 20; ++i)
                for (Index j = 0; j < n; ++j) CHECK(std::isnan(d(i, j)) == (j == n - 1));
        }
    }
}

TEST_CASE("gemm: other number types") {
    const Tensor<Index> a{{1, 2}, {3, 4}}, b{{5, 6}, {7, 8}};
    CHECK(kernels::matmul(a, b) == Tensor<Index>{{19, 22}, {43, 50}});
    CHECK(kernels::matmul_nt(a, b) == Tensor<Index>{{17, 23}, {39, 53}});
    CHECK(kernels::matmul_tn(a, b) == Tensor<Index>{{26, 30}, {38, 44}});
    const Index bias[] = {100, 200};
    CHECK(kernels::matmul_nt(a, b, bias) == Tensor<Index>{{117, 223}, {139, 253}});
    const Tensor<Dual<double>> d(Shape{1, 2}, std::vector<Dual<double>>{{1, 10}, {2, 20}});
    CHECK(kernels::matmul_nt(d, d).item().value == 5);
    CHECK(kernels::matmul_nt(d, d).item().dual == 100);
}

TEST_CASE("gemm: batches are broadcast") {
    const auto one = [](const Tensor<>& x, Index i) {
        return x.reshape({x.numel() / (x.size(-2) * x.size(-1)), x.size(-2), x.size(-1)})
            .rows(i, i + 1)
            .reshape({x.size(-2), x.size(-1)});
    };
    const Tensor<> a = whole_numbers<float>({2, 1, 5, 7}, 1), b = whole_numbers<float>({3, 7, 4}, 2);
    const Tensor<> c = kernels::matmul(a, b);
    REQUIRE(c.shape() == Shape{2, 3, 5, 4});
    for (Index i = 0; i < 6; ++i)
        CHECK(one(c, i) == plain_product(one(a, i / 3), one(b, i % 3), static_cast<const float*>(nullptr)));

    const Tensor<> tn =
        kernels::matmul_tn(whole_numbers<float>({4, 7, 5}, 1), whole_numbers<float>({7, 6}, 2));
    for (Index i = 0; i < 4; ++i)
        CHECK(one(tn, i) == plain_product(transposed(one(whole_numbers<float>({4, 7, 5}, 1), i)),
                                          whole_numbers<float>({7, 6}, 2),
                                          static_cast<const float*>(nullptr)));

    // Many small products and a few large ones take different ways through the threads.
    for (const auto& [count, size] : {std::pair<Index, Index>{500, 5}, {3, 60}}) {
        const Tensor<> x = whole_numbers<float>({count, size, size}, 1),
                       y = whole_numbers<float>({count, size, size}, 2);
        const Tensor<> z = kernels::matmul_nt(x, y);
        bool right = true;
        for (Index i = 0; i < count; ++i)
            right = right && one(z, i) == plain_product(one(x, i), transposed(one(y, i)),
                                                        static_cast<const float*>(nullptr));
        CHECK(right);
    }
    CHECK(kernels::matmul(zeros({0, 2, 3}), zeros({0, 3, 4})).shape() == Shape{0, 2, 4});
    CHECK(kernels::matmul(ones({2, 2, 0}), ones({2, 0, 3})) == zeros({2, 2, 3}));
}
