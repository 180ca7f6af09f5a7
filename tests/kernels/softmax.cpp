// SPDX-License-Identifier: MIT
#include "gradus/kernels/softmax.hpp"

#include "gradus/core/random.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

template <class T>
bool same_bits(const Tensor<T>& a, const Tensor<T>& b) {
    return a.shape() == b.shape() && std::memcmp(a.data(), b.data(), a.values().size_bytes()) == 0;
}

/// Compares every part with the definition, in double.
template <class T>
void check_parts(const Tensor<T>& x, double tolerance) {
    const auto parts = kernels::softmax_parts(x);
    const Index n = x.size(-1), rows = x.shape().span(0, x.rank() - 1);
    REQUIRE(parts.exps.shape() == x.shape());
    REQUIRE(parts.sums.shape() == Shape{rows});
    REQUIRE(parts.largest.shape() == Shape{rows});
    for (Index r = 0; r < rows; ++r) {
        double largest = -infinity, sum = 0, error = 0;
        for (Index i = r * n; i < (r + 1) * n; ++i)
            largest = std::max(largest, static_cast<double>(x.data()[i]));
        for (Index i = r * n; i < (r + 1) * n; ++i) {
            const double e = std::exp(static_cast<double>(x.data()[i]) - largest);
            sum += e;
            error = std::max(error, std::abs(static_cast<double>(parts.exps.data()[i]) - e));
        }
        INFO("row " << r << " of " << rows << ", length " << n);
        CHECK(static_cast<double>(parts.largest(r)) == largest);
        CHECK(static_cast<double>(parts.sums(r)) == Approx(sum).epsilon(tolerance));
        CHECK(error <= tolerance);
    }
}

}  // namespace

TEST_CASE("softmax kernel: rows of every length, on every instruction set") {
    Generator generator(1);
    for (const auto isa : {simd::Isa::baseline, simd::Isa::avx2, simd::Isa::avx512}) {
        const simd::ScopedIsa limit(isa);
        INFO(simd::name(simd::isa()));
        for (Index n = 1; n <= 35; ++n) {
            check_parts(uniform<float>({3, n}, -20, 20, generator), 1e-6);
            check_parts(uniform<double>({2, n}, -20, 20, generator), 1e-14);
        }
        check_parts(uniform<float>({2, 1001}, -9, 9, generator), 1e-6);
    }
}

TEST_CASE("softmax kernel: dual numbers") {
    using D = Dual<double>;
    const auto parts =
        kernels::softmax_parts(Tensor<D>{{D(1, 1), D(3, 0)}, {D(-infinity, 0), D(-infinity, 0)}});
    CHECK(parts.exps(0, 0).value == Approx(std::exp(-2)));
    CHECK(parts.exps(0, 0).dual == Approx(std::exp(-2)));
    CHECK(parts.sums(0).dual == Approx(std::exp(-2)));
    CHECK(parts.sums(1).value == 0);
    CHECK(parts.largest(1).value == 0);
    CHECK(kernels::softmax_parts(zeros<Dual<double>>({2, 0})).sums == zeros<Dual<double>>({2}));
}

TEST_CASE("softmax kernel: rows without a finite largest number") {
    const auto inf = static_cast<float>(infinity);
    const auto parts = kernels::softmax_parts(
        Tensor<>{{-inf, -inf, -inf}, {inf, 0, -inf}, {std::nanf(""), 5, 100}, {-inf, 7, 7}});
    CHECK(parts.sums(0) == 0);  // nothing to subtract, and nothing that counts
    CHECK(parts.largest(0) == 0);
    CHECK(std::isnan(parts.sums(1)));
    CHECK(std::isnan(parts.sums(2)));
    CHECK(parts.sums(3) == 2);
    CHECK(parts.largest(3) == 7);
}

TEST_CASE("softmax kernel: sizes of 0") {
    CHECK(kernels::softmax_parts(zeros({2, 0})).sums == zeros({2}));
    CHECK(kernels::softmax_parts(zeros({0, 3})).sums.shape() == Shape{0});
    CHECK(kernels::softmax_parts(zeros({0})).exps.shape() == Shape{0});
}

TEST_CASE("softmax kernel: the same bits for any number of threads") {
    const int before = num_threads();
    Generator generator(1);
    const Tensor<> x = randn({3001, 37}, generator);
    set_num_threads(1);
    const auto expected = kernels::softmax_parts(x);
    for (const int threads : {2, 3}) {
        set_num_threads(threads);
        const auto parts = kernels::softmax_parts(x);
        CHECK(same_bits(parts.exps, expected.exps));
        CHECK(same_bits(parts.sums, expected.sums));
    }
    set_num_threads(before);
}
