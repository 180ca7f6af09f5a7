// SPDX-License-Identifier: MIT
#include "gradus/ops/dropout.hpp"

#include "support/isas.hpp"
#include "support/numbers.hpp"
#include "support/op_table.hpp"

using namespace gradus;

namespace {

/// The same mask in every call.
auto with_probability(double p) {
    return [p](const auto& x) {
        Generator generator(3);
        return dropout(x[0], p, generator);
    };
}

/// The definition, element by element.
Tensor<> expected(const Tensor<>& x, double p, const RandomStream& stream) {
    Tensor<> y = zeros(x.shape());
    for (Index i = 0; i < x.numel(); ++i) {
        const auto words = stream(static_cast<std::uint64_t>(i / 4));
        const std::uint32_t word = words[static_cast<std::size_t>(i % 4)];
        if (static_cast<double>(word) >= p * 0x1p32)
            y.mutable_data()[i] = x.data()[i] * static_cast<float>(1 / (1 - p));
    }
    return y;
}

}  // namespace

TEST_CASE("dropout: op table") {
    const std::vector<std::vector<Shape>> shapes = {{{}}, {{1}}, {{7}}, {{2, 3}}, {{37}}, {{0, 3}}};
    check_op("dropout", with_probability(0.5), {.shapes = shapes, .large = {{{70001}}}});
    check_op("dropout", with_probability(0.3), {.shapes = {{{3, 41}}}, .large = {{{33, 1021}}}});
    check_op("dropout", with_probability(1), {.shapes = shapes});
}

TEST_CASE("dropout: element i by word i mod 4 of block i / 4, on every instruction set") {
    for (const simd::Isa isa : available_isas()) {
        const simd::ScopedIsa limit(isa);
        INFO(simd::name(simd::isa()));
        for (const double p : {0.5, 0.1, 0.75})
            for (const Index n : {1, 3, 4, 15, 16, 31, 32, 33, 63, 100, 1000, 40001}) {
                Generator generator(0x123456789abcdefULL);
                generator.next();
                const Tensor<> x = arange(n) + 1.0f;
                CHECK(dropout(Variable<>(x), p, generator).value() ==
                      expected(x, p, RandomStream{0x123456789abcdefULL, 1}));
            }
    }
    // far along in the counter, where the key and both halves of the stream number matter
    const RandomStream stream{~0ULL - 5, (1ULL << 40) + 12345};
    const Tensor<> x = ones({5000});
    CHECK(kernels::dropout(x, stream, 1u << 31, 2).y == expected(x, 0.5, stream));
}

TEST_CASE("dropout: keeps a share of 1 - p, and the mean") {
    Generator generator(1);
    const Index n = 200000;
    for (const double p : {0.01, 0.2, 0.5, 0.9}) {
        const Tensor<> y = dropout(Variable<>(ones({n})), p, generator).value();
        double kept = 0, neighbors = 0, total = 0;
        for (Index i = 0; i < n; ++i) {
            kept += y.data()[i] != 0;
            neighbors += i > 0 && y.data()[i] != 0 && y.data()[i - 1] != 0;
            total += static_cast<double>(y.data()[i]);
        }
        const double q = 1 - p, count = static_cast<double>(n);
        const double deviation = std::sqrt(p * q / count);  // of the share that is kept
        CHECK(std::abs(kept / count - q) < 5 * deviation);
        CHECK(std::abs(neighbors / count - q * q) < 10 * deviation);  // neighbors are independent
        CHECK(total / count == Approx(kept / count / q).epsilon(1e-6));
    }
}

TEST_CASE("dropout: the gradient goes where the value went") {
    Generator generator(5);
    const Variable<> x = leaf(full({1000}, 3));
    const Variable<> y = dropout(x, 0.25, generator);
    y.backward({.gradient = full({1000}, 3)});
    CHECK(x.grad() == y.value());
    CHECK(y.value().data()[0] + y.value().data()[1] + y.value().data()[2] > 0);
}

TEST_CASE("dropout: one stream per call, the next mask is another") {
    Generator generator(1), same(1);
    const Variable<> x(ones({1000}));
    const Tensor<> first = dropout(x, 0.5, generator).value(), second = dropout(x, 0.5, generator).value();
    CHECK_FALSE(first == second);
    CHECK(first == dropout(x, 0.5, same).value());
    static_cast<void>(dropout(x, 0, generator));
    static_cast<void>(dropout(x, 1, generator));
    CHECK(generator.position() == 4);

    manual_seed(9);
    const Tensor<> drawn = dropout(x, 0.5).value();
    manual_seed(9);
    CHECK(dropout(x, 0.5).value() == drawn);
}

TEST_CASE("dropout: p of 0 and 1, and values that are not finite") {
    const Variable<> x = leaf(Tensor<>{1, NaN, infinity});
    CHECK(&dropout(x, 0).node() == &x.node());  // x itself
    CHECK(dropout(x, 1).value() == zeros({3}));
    CHECK(gradient([](const auto& v) { return dropout(v, 1); }, Tensor<>{1, NaN}) == zeros({2}));
    Generator generator(1);
    const Tensor<> y = dropout(Variable<>(full({100}, NaN)), 0.5, generator).value();
    const auto dropped = std::count(y.begin(), y.end(), 0.0f);
    const auto kept = std::count_if(y.begin(), y.end(), [](float value) { return std::isnan(value); });
    CHECK(dropped + kept == 100);
    CHECK((dropped > 20 && kept > 20));
}

TEST_CASE("dropout: refusals") {
    const Variable<> x(ones({2}));
    CHECK_THROWS_MATCHES(dropout(x, -0.1), ValueError,
                         Message("dropout: the probability must be in [0, 1]: got -0.1"));
    CHECK_THROWS_MATCHES(dropout(x, 1.5), ValueError,
                         Message("dropout: the probability must be in [0, 1]: got 1.5"));
    CHECK_THROWS_AS(dropout(x, static_cast<double>(NaN)), ValueError);
}
