// SPDX-License-Identifier: MIT
#include "gradus/kernels/reduce/softmax.hpp"

#include "gradus/core/dual.hpp"
#include "gradus/core/random.hpp"
#include "gradus/kernels/layout/permute.hpp"
#include "support/isas.hpp"
#include "support/same_bits.hpp"
#include "support/test.hpp"
#include "support/threads.hpp"

using namespace gradus;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// Compares the parts, softmax and its gradient with the definition, in double; `axis` is 1.
template <class T>
void check_against_definition(const Tensor<T>& x, double tolerance) {
    const Index outer = x.size(0), n = x.size(1), inner = x.shape().span(2, x.rank());
    const auto parts = kernels::softmax_parts(x, 1);
    const Tensor<T> y = kernels::softmax(x, 1);
    Generator generator(7);
    const Tensor<T> dy = randn<T>(x.shape(), generator), dx = kernels::softmax_backward(y, dy, 1);
    REQUIRE(parts.exps.shape() == x.shape());
    for (const auto* part : {&parts.sums, &parts.log_sums, &parts.largest})
        REQUIRE(part->shape() == x.shape().with(1, 1));
    INFO("shape " << to_string(x.shape()));
    double error = 0;
    const auto compare = [&](T got, double expected) {
        error = std::max(error, std::abs(static_cast<double>(got) - expected));
    };
    for (Index o = 0; o < outer; ++o)
        for (Index i = 0; i < inner; ++i) {
            const Index first = o * n * inner + i, last = first + n * inner;
            double largest = -infinity, sum = 0, dot = 0;
            for (Index at = first; at < last; at += inner)
                largest = std::max(largest, static_cast<double>(x.data()[at]));
            const auto e = [&](Index at) { return std::exp(static_cast<double>(x.data()[at]) - largest); };
            for (Index at = first; at < last; at += inner) sum += e(at);
            for (Index at = first; at < last; at += inner)
                dot += e(at) / sum * static_cast<double>(dy.data()[at]);
            for (Index at = first; at < last; at += inner) {
                compare(parts.exps.data()[at], e(at));
                compare(y.data()[at], e(at) / sum);
                compare(dx.data()[at], e(at) / sum * (static_cast<double>(dy.data()[at]) - dot));
            }
            const Index position = o * inner + i;
            compare(parts.largest.data()[position], largest);
            compare(parts.log_sums.data()[position], std::log(sum));
            compare(parts.sums.data()[position] / static_cast<T>(n), sum / static_cast<double>(n));
        }
    CHECK(error <= tolerance);
}

}  // namespace

TEST_CASE("softmax kernel: axes of every length, on every instruction set") {
    Generator generator(1);
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa limit(isa);
        INFO(simd::name(simd::isa()));
        for (const Index inner : {1, 2, 3, 5, 8, 15, 16, 17, 31, 33, 64, 66}) {
            for (Index n = 1; n <= 35; n += inner == 1 ? 1 : 11) {
                check_against_definition(uniform<float>({3, n, inner}, -20, 20, generator), 2e-6);
                check_against_definition(uniform<double>({2, n, inner}, -20, 20, generator), 1e-14);
            }
        }
        check_against_definition(uniform<float>({67, 10}, -9, 9, generator), 2e-6);
        check_against_definition(uniform<float>({9, 350}, -9, 9, generator), 2e-6);
        check_against_definition(uniform<float>({2, 5003}, -9, 9, generator), 2e-6);
        check_against_definition(uniform<float>({2, 3, 1030}, -9, 9, generator), 2e-6);
    }
}

TEST_CASE("softmax kernel: the bits of a row do not depend on its place") {
    Generator generator(1);
    for (const Index n : {10, 37, 350}) {
        const Tensor<> x = randn({40, n}, generator), dy = randn({40, n}, generator);
        const Tensor<> y = kernels::softmax(x, 1), dx = kernels::softmax_backward(y, dy, 1);
        for (Index first = 0; first < 20; ++first) {
            const Index last = 40 - first / 3;
            CHECK(same_bits(kernels::softmax(x.rows(first, last), 1), y.rows(first, last)));
            CHECK(same_bits(kernels::softmax_backward(y.rows(first, last), dy.rows(first, last), 1),
                            dx.rows(first, last)));
        }
    }
}

TEST_CASE("softmax kernel: dual numbers") {
    using D = Dual<double>;
    const Tensor<D> x{{D(1, 1), D(3, 0)}, {D(-infinity, 0), D(-infinity, 0)}};
    const auto parts = kernels::softmax_parts(x, 1);
    CHECK(parts.exps(0, 0).value == Approx(std::exp(-2)));
    CHECK(parts.exps(0, 0).dual == Approx(std::exp(-2)));
    CHECK(parts.sums(0, 0).dual == Approx(std::exp(-2)));
    CHECK(parts.log_sums(0, 0).value == Approx(std::log(1 + std::exp(-2))));
    CHECK(parts.sums(1, 0).value == 0);
    CHECK(parts.largest(1, 0).value == 0);
    CHECK(kernels::softmax_parts(zeros<D>({2, 0}), 1).sums == zeros<D>({2, 1}));

    const Tensor<D> y = kernels::softmax(x.rows(0, 1), 1),
                    columns = kernels::softmax(x.rows(0, 1).reshape({2, 1}), 0);
    const double p = 1 / (1 + std::exp(2));
    CHECK(y(0, 0).value == Approx(p));
    CHECK(y(0, 0).dual == Approx(p * (1 - p)));
    CHECK(y.reshape({2, 1}) == columns);
    CHECK(kernels::softmax_backward(y, Tensor<D>{{D(1), D(0)}}, 1)(0, 0).value == Approx(p * (1 - p)));
}

TEST_CASE("softmax kernel: rows and columns without a finite largest number") {
    const auto inf = static_cast<float>(infinity);
    const Tensor<> x{{-inf, -inf, -inf}, {inf, 0, -inf}, {std::nanf(""), 5, 100}, {-inf, 7, 7}};
    const Tensor<> transposed{{-inf, inf, std::nanf(""), -inf}, {-inf, 0, 5, 7}, {-inf, -inf, 100, 7}};
    for (const bool by_rows : {true, false}) {
        const auto parts = by_rows ? kernels::softmax_parts(x, 1) : kernels::softmax_parts(transposed, 0);
        const Tensor<> sums = parts.sums.reshape({4}), largest = parts.largest.reshape({4});
        CHECK(sums(0) == 0);  // nothing to subtract, and nothing that counts
        CHECK(largest(0) == 0);
        CHECK(sums(1) == 1);  // nothing counts beside the infinity
        CHECK(largest(1) == inf);
        CHECK(std::isnan(sums(2)));
        CHECK(sums(3) == 2);
        CHECK(largest(3) == 7);
    }
    const Tensor<> y = kernels::softmax(x, 1);
    for (const Index row : {0, 2}) CHECK(std::isnan(y(row, 1)));
    CHECK(y.rows(1, 2) == Tensor<>{{1, 0, 0}});
    CHECK(y.rows(3, 4) == Tensor<>{{0, 0.5f, 0.5f}});
}

TEST_CASE("softmax kernel: infinities take all, in rows and columns of any length and number type") {
    const auto check = []<class T>(const T& inf) {
        for (Index n = 2; n <= 40; ++n) {
            Tensor<T> x = full<T>({n}, T(1e30));
            x.mutable_data()[0] = -inf;
            x.mutable_data()[n - 1] = inf;
            Tensor<T> right = zeros<T>({n}), shared = right;
            right.mutable_data()[n - 1] = T(1);
            for (const Index i : {n / 2, n - 1}) shared.mutable_data()[i] = T(n == 1 ? 1 : 0.5);
            INFO("n " << n);
            const Tensor<T> columns = kernels::broadcast_to(x.reshape({n, 1}), {n, 19});
            const Tensor<T> y = kernels::softmax(columns, 0);
            CHECK(kernels::softmax(x, 0) == right);
            CHECK(y == kernels::broadcast_to(right.reshape({n, 1}), {n, 19}));
            const Tensor<T> dx = kernels::softmax_backward(right, full<T>({n}, T(3)), 0);
            CHECK(dx == zeros<T>({n}));
            if (n < 3) continue;
            x.mutable_data()[n / 2] = inf;
            CHECK(kernels::softmax(x, 0) == shared);
        }
    };
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa limit(isa);
        check(static_cast<float>(infinity));
        check(infinity);
    }
    check(Dual<double>(infinity, 0));
}

TEST_CASE("softmax kernel: long axes keep their digits") {
    const Index n = 100'003;
    Tensor<double> exact = Tensor<double>::uninitialized({n});
    Tensor<> x = Tensor<>::uninitialized({n}), dy = full({n}, 0.1f);
    double sum = 0, dot = 0;
    for (Index i = 0; i < n; ++i) {
        x.mutable_data()[i] = i == 7 ? 0 : -0.1f - 0.001f * static_cast<float>(i % 3);
        sum += exact.mutable_data()[i] = std::exp(static_cast<double>(x.data()[i]));
        dy.mutable_data()[i] += i % 2 == 0 ? 0.01f : 0;
    }
    for (Index i = 0; i < n; ++i) dot += exact.data()[i] / sum * static_cast<double>(dy.data()[i]);
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa limit(isa);
        INFO(simd::name(isa));
        for (const Index columns : {1, 3}) {
            const auto wide = [&](const Tensor<>& v) {
                return kernels::broadcast_to(v.reshape({n, 1}), {n, columns});
            };
            const Tensor<> y = kernels::softmax(wide(x), 0), dx = kernels::softmax_backward(y, wide(dy), 0);
            double error = 0, slope_error = 0;
            for (Index i = 0; i < n; ++i) {
                const double share = exact.data()[i] / sum, slope = static_cast<double>(dy.data()[i]) - dot;
                error = std::max(error, std::abs(static_cast<double>(y.data()[i * columns]) / share - 1));
                slope_error = std::max(slope_error,
                                       std::abs(static_cast<double>(dx.data()[i * columns]) / share - slope));
            }
            CHECK(error < 1e-6);
            CHECK(slope_error < 1e-7);  // of slopes around 0.1
        }
    }
}

TEST_CASE("softmax kernel: sizes of 0") {
    CHECK(kernels::softmax_parts(zeros({2, 0}), 1).sums == zeros({2, 1}));
    CHECK(kernels::softmax_parts(zeros({0, 3}), 1).sums.shape() == Shape{0, 1});
    CHECK(kernels::softmax_parts(zeros({0}), 0).exps.shape() == Shape{0});
    CHECK(kernels::softmax_parts(zeros({2, 0, 3}), 1).sums == zeros({2, 1, 3}));
    CHECK(kernels::softmax(zeros({2, 3, 0}), 1).shape() == Shape{2, 3, 0});
    CHECK(kernels::softmax_backward(zeros({2, 0, 3}), zeros({2, 0, 3}), 1).shape() == Shape{2, 0, 3});
}

TEST_CASE("softmax kernel: the same bits for any number of threads") {
    Generator generator(1);
    const Tensor<> x = randn({3001, 37}, generator), dy = randn({3001, 37}, generator);
    for (const int axis : {0, 1}) {
        const Threads one_thread(1);
        const auto expected = kernels::softmax_parts(x, axis);
        const Tensor<> y = kernels::softmax(x, axis), dx = kernels::softmax_backward(y, dy, axis);
        for (const int threads : {2, 3}) {
            const Threads limit(threads);
            const auto parts = kernels::softmax_parts(x, axis);
            CHECK(same_bits(parts.exps, expected.exps));
            CHECK(same_bits(parts.sums, expected.sums));
            CHECK(same_bits(kernels::softmax(x, axis), y));
            CHECK(same_bits(kernels::softmax_backward(y, dy, axis), dx));
        }
    }
}

TEST_CASE("softmax kernel: beyond the caches as within them") {
    Generator generator(1);
    const Index size = Index{1} << 23;  // 34 MB
    const Tensor<> numbers = randn({size + 3100}, generator);
#if defined(__SANITIZE_ADDRESS__)
    const auto sizes = {350};
#else
    const auto sizes = {17, 350, 3100};
#endif
    for (const Index n : sizes) {
        const Index rows = size / n + 1, part = rows / 7;
        const Tensor<> x = numbers.rows(0, rows * n).reshape({rows, n});
        for (const simd::Isa isa : available_isas()) {
            const simd::ScopedIsa limit(isa);
            INFO("rows of " << n << ", " << simd::name(isa));
            const Tensor<> y = kernels::softmax(x, 1), dx = kernels::softmax_backward(y, x, 1);
            bool same = true;
            for (Index begin = 0, end; begin < rows; begin = end) {
                end = std::min(rows, begin + part);
                const Tensor<> own = kernels::softmax(x.rows(begin, end), 1);
                same = same && own == y.rows(begin, end) &&
                       kernels::softmax_backward(own, x.rows(begin, end), 1) == dx.rows(begin, end);
            }
            CHECK(same);
        }
    }
}
