// SPDX-License-Identifier: MIT
#include "gradus/core/random.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "support/test.hpp"
#include "support/threads.hpp"

using gradus::Generator;
using gradus::Index;
using gradus::permutation;
using gradus::RandomStream;
using gradus::Shape;
using gradus::Tensor;
using gradus::ValueError;

namespace {

using Words = std::array<std::uint32_t, 4>;

/// Mean of f over a tensor.
template <class T>
double mean(const Tensor<T>& x, const auto& f) {
    double sum = 0;
    for (const T value : x) sum += f(static_cast<double>(value));
    return sum / static_cast<double>(x.numel());
}

/// What make() returns with 1, 2 and 3 threads.
template <class Make>
auto for_thread_counts(const Make& make) {
    std::vector<decltype(make())> results;
    for (const int threads : {1, 2, 3}) {
        const Threads limit(threads);
        results.push_back(make());
    }
    return results;
}

}  // namespace

TEST_CASE("Philox gives the known answers of its authors", "[core][random]") {  // Random123, kat_vectors
    constexpr std::uint64_t ones = std::numeric_limits<std::uint64_t>::max();
    CHECK(gradus::philox(0, 0, 0) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    CHECK(gradus::philox(ones, ones, ones) == Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    CHECK(gradus::philox(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88) ==
          Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("a stream is a pure function of seed, stream and position", "[core][random]") {
    const RandomStream stream{5, 7};
    CHECK(stream(9) == gradus::philox(5, 7, 9));
    CHECK(stream(9) == stream(9));
    CHECK(stream(9) != stream(10));
    CHECK(stream(9) != RandomStream{5, 8}(9));
    CHECK(stream(9) != RandomStream{6, 7}(9));
}

TEST_CASE("equal seeds give equal tensors, every draw a new one", "[core][random]") {
    Generator a(3), b(3), c(4);
    const auto first = gradus::rand({100}, a);
    CHECK(first == gradus::rand({100}, b));
    CHECK_FALSE(first == gradus::rand({100}, c));
    CHECK_FALSE(first == gradus::rand({100}, a));
    CHECK(gradus::rand({100}, a) != gradus::randn({100}, a));
    CHECK(a.seed() == 3);
    CHECK(a.position() == 4);
}

TEST_CASE("what a generator gives does not depend on how much was drawn before", "[core][random]") {
    Generator a(1), b(1);
    gradus::rand({1}, a);
    gradus::rand({1000000}, b);
    CHECK(gradus::randn({10}, a) == gradus::randn({10}, b));
}

TEST_CASE("a short tensor begins like a long one", "[core][random]") {
    Generator a(1), b(1);
    CHECK(gradus::randn({101}, a).rows(0, 7) == gradus::randn({7}, b));
}

TEST_CASE("a copied generator continues alone", "[core][random]") {
    Generator a(1);
    gradus::rand({1}, a);
    Generator b = a;
    CHECK(b.position() == 1);
    CHECK(gradus::rand({8}, a) == gradus::rand({8}, b));
    gradus::rand({8}, a);
    CHECK(a.position() == 3);
    CHECK(b.position() == 2);
    b = a;
    CHECK(gradus::rand({8}, a) == gradus::rand({8}, b));
}

TEST_CASE("manual_seed makes a program repeat itself", "[core][random]") {
    const auto program = [] {
        gradus::manual_seed(11);
        return std::tuple(gradus::rand({5}), gradus::randn<double>({5}), permutation(5));
    };
    const auto first = program();
    CHECK(gradus::default_generator().seed() == 11);
    CHECK(gradus::default_generator().position() == 3);
    CHECK(program() == first);
    gradus::manual_seed(12);
    CHECK_FALSE(gradus::rand({5}) == std::get<0>(first));
}

TEST_CASE("manual_seed beside draws of other threads: every stream is whole, and none comes twice",
          "[core][random]") {
    using Streams = std::vector<std::pair<std::uint64_t, std::uint64_t>>;  // seed and number
    std::vector<Streams> drawn(2);
    std::atomic<int> drawing{2};
    gradus::manual_seed(0);
    std::vector<std::thread> threads;
    for (Streams& streams : drawn)
        threads.emplace_back([&drawing, &streams] {
            while (streams.size() < 100'000) {
                const RandomStream next = gradus::default_generator().next();
                streams.emplace_back(next.seed, next.stream);
            }
            --drawing;
        });
    std::uint64_t seeds = 0;
    while (drawing > 0)
        if (gradus::default_generator().position() >= 20) gradus::manual_seed(++seeds);
    for (std::thread& thread : threads) thread.join();
    Streams all = drawn[0];
    all.insert(all.end(), drawn[1].begin(), drawn[1].end());
    std::sort(all.begin(), all.end());
    bool in_order = all.back().first <= seeds;  // of each seed that was seen: 0, 1, 2, ...
    for (std::size_t i = 0; i < all.size(); ++i) {
        const bool same_seed = i > 0 && all[i].first == all[i - 1].first;
        in_order = in_order && all[i].second == (same_seed ? all[i - 1].second + 1 : 0);
    }
    CHECK(in_order);
    CHECK(gradus::default_generator().seed() == seeds);
}

TEST_CASE("the bits do not depend on the thread count", "[core][random]") {
    const Shape shape{100003};
    const auto uniforms = for_thread_counts([&] {
        Generator generator(1);
        return gradus::uniform(shape, -1, 1, generator);
    });
    CHECK(uniforms[0] == uniforms[1]);
    CHECK(uniforms[0] == uniforms[2]);
    const auto normals = for_thread_counts([&] {
        Generator generator(1);
        return gradus::randn<double>(shape, generator);
    });
    CHECK(normals[0] == normals[1]);
    CHECK(normals[0] == normals[2]);
    const auto orders = for_thread_counts([&] { return permutation(1000, RandomStream{1, 2}); });
    CHECK(orders[0] == orders[1]);
    CHECK(orders[0] == orders[2]);
}

TEST_CASE("sizes 0, 1 and rank 0", "[core][random]") {
    Generator generator(1);
    CHECK(gradus::rand({0}, generator).numel() == 0);
    CHECK(gradus::randn({3, 0}, generator).shape() == Shape{3, 0});
    CHECK(gradus::rand({}, generator).rank() == 0);
    CHECK(gradus::randn({1}, generator).numel() == 1);
}

TEMPLATE_TEST_CASE("uniform numbers fill [low, high) evenly", "[core][random]", float, double) {
    Generator generator(2);
    const auto x = gradus::uniform<TestType>({200000}, -2, 4, generator);
    const auto [least, most] = std::minmax_element(x.begin(), x.end());
    CHECK(*least >= -2);
    CHECK(*least < TestType(-1.999));
    CHECK(*most < 4);
    CHECK(*most > TestType(3.999));
    // Five standard errors of each moment: 6/√12/√n and so on.
    CHECK_THAT(mean(x, [](double v) { return v; }), WithinAbs(1, 5 * 1.7321 / std::sqrt(2e5)));
    CHECK_THAT(mean(x, [](double v) { return (v - 1) * (v - 1); }),
               WithinAbs(3, 5 * 2.6833 / std::sqrt(2e5)));
    CHECK_THAT(mean(x, [](double v) { return v < -0.5 ? 1 : 0; }),
               WithinAbs(0.25, 5 * 0.4331 / std::sqrt(2e5)));
}

TEST_CASE("neighbors in a uniform tensor are not correlated", "[core][random]") {
    Generator generator(3);
    const auto x = gradus::rand<double>({200001}, generator);
    for (const Index lag : {1, 2, 3}) {
        double sum = 0;
        for (Index i = 0; i + lag < x.numel(); ++i) sum += (x(i) - 0.5) * (x(i + lag) - 0.5);
        CHECK(std::abs(sum / 200000) < 5 * (1.0 / 12) / std::sqrt(200000.0));
    }
}

TEST_CASE("unit uniforms use all their bits and never reach 1", "[core][random]") {
    using gradus::detail::unit_uniform;
    constexpr std::uint32_t all = 0xffffffff;
    CHECK(unit_uniform<float>(0, 0) == 0.0f);
    CHECK(unit_uniform<float>(all, all) == 1.0f - 0x1p-24f);
    CHECK(unit_uniform<float>(0x80000000, 0) == 0.5f);
    CHECK(unit_uniform<double>(0, 0) == 0.0);
    CHECK(unit_uniform<double>(all, all) == 1.0 - 0x1p-53);
    CHECK(unit_uniform<double>(0, 1u << 11) == 0x1p-53);
}

TEST_CASE("uniform: edges of the interval", "[core][random]") {
    Generator generator(4);
    CHECK(gradus::uniform({3}, 5, 5, generator) == Tensor<>{5, 5, 5});
    const float next = std::nextafter(1.0f, 2.0f);  // an interval that holds one number
    CHECK(gradus::uniform({1000}, 1, next, generator) == gradus::ones({1000}));

    const float infinity = std::numeric_limits<float>::infinity(), most = std::numeric_limits<float>::max();
    const auto refused = [&](float low, float high) { gradus::uniform({1}, low, high, generator); };
    const std::string rule = "uniform: needs low <= high, both finite and not too far apart: got ";
    CHECK_THROWS_MATCHES(refused(2, 1), ValueError, Message(rule + "2 and 1"));
    CHECK_THROWS_MATCHES(refused(0, infinity), ValueError, Message(rule + "0 and inf"));
    CHECK_THROWS_MATCHES(refused(-infinity, 0), ValueError, Message(rule + "-inf and 0"));
    CHECK_THROWS_AS(refused(infinity, infinity), ValueError);
    CHECK_THROWS_AS(refused(std::numeric_limits<float>::quiet_NaN(), 1), ValueError);
    CHECK_THROWS_AS(refused(-most, most), ValueError);  // high - low overflows
}

TEMPLATE_TEST_CASE("normal numbers have the moments of a normal", "[core][random]", float, double) {
    Generator generator(5);
    const auto x = gradus::randn<TestType>({200000}, generator);
    const double error =
        5 / std::sqrt(2e5);  // five standard errors of the mean; E x⁴ = 3, E x⁶ = 15, E x⁸ = 105
    CHECK_THAT(mean(x, [](double v) { return v; }), WithinAbs(0, error));
    CHECK_THAT(mean(x, [](double v) { return v * v; }), WithinAbs(1, error * std::sqrt(2.0)));
    CHECK_THAT(mean(x, [](double v) { return v * v * v; }), WithinAbs(0, error * std::sqrt(15.0)));
    CHECK_THAT(mean(x, [](double v) { return v * v * v * v; }), WithinAbs(3, error * std::sqrt(96.0)));
    CHECK_THAT(mean(x, [](double v) { return std::abs(v) < 1 ? 1 : 0; }), WithinAbs(0.6827, error * 0.4654));
    CHECK(std::all_of(x.begin(), x.end(), [](TestType v) { return std::abs(v) < TestType(8.6); }));
}

TEST_CASE("the two numbers of a Box-Muller pair are independent", "[core][random]") {
    Generator generator(6);
    const auto x = gradus::randn<double>({200000}, generator);
    double product = 0, squares = 0;
    for (Index i = 0; i < x.numel(); i += 2) {
        product += x(i) * x(i + 1);
        squares += (x(i) * x(i) - 1) * (x(i + 1) * x(i + 1) - 1);
    }
    CHECK(std::abs(product / 1e5) < 5 / std::sqrt(1e5));
    CHECK(std::abs(squares / 1e5) < 5 * 2 / std::sqrt(1e5));
}

TEST_CASE("normal: mean, standard deviation and refusals", "[core][random]") {
    Generator a(7), b(7);
    const auto standard = gradus::randn({50}, a), moved = gradus::normal({50}, 10, 2, b);
    for (Index i = 0; i < 50; ++i) CHECK(moved(i) == 10 + 2 * standard(i));
    CHECK(gradus::normal({2}, 3, 0, a) == Tensor<>{3, 3});

    const float infinity = std::numeric_limits<float>::infinity();
    const auto refused = [&](float mean, float std) { gradus::normal({1}, mean, std, a); };
    const std::string rule = "normal: needs a finite mean and a finite std >= 0: got ";
    CHECK_THROWS_MATCHES(refused(0, -1), ValueError, Message(rule + "0 and -1"));
    CHECK_THROWS_MATCHES(refused(0, infinity), ValueError, Message(rule + "0 and inf"));
    CHECK_THROWS_MATCHES(refused(infinity, 1), ValueError, Message(rule + "inf and 1"));
    CHECK_THROWS_AS(refused(0, std::numeric_limits<float>::quiet_NaN()), ValueError);
}

TEST_CASE("a permutation holds every number once", "[core][random]") {
    for (const Index count : {0, 1, 2, 3, 10, 1000}) {
        const auto order = permutation(count, RandomStream{1, static_cast<std::uint64_t>(count)});
        CHECK(order.shape() == Shape{count});
        std::vector<Index> sorted(order.begin(), order.end());
        std::sort(sorted.begin(), sorted.end());
        bool complete = true;
        for (std::size_t i = 0; i < sorted.size(); ++i)
            complete = complete && sorted[i] == static_cast<Index>(i);
        CHECK(complete);
    }
    CHECK_THROWS_AS(permutation(-1), gradus::ShapeError);
    CHECK(permutation(20, RandomStream{1, 2}) == permutation(20, RandomStream{1, 2}));
    CHECK_FALSE(permutation(20, RandomStream{1, 2}) == permutation(20, RandomStream{1, 3}));
}

TEST_CASE("every order is equally likely", "[core][random]") {
    Generator generator(8);
    std::map<std::vector<Index>, int> counts;
    constexpr int draws = 24000;
    for (int i = 0; i < draws; ++i) {
        const auto order = permutation(4, generator);
        ++counts[{order.begin(), order.end()}];
    }
    REQUIRE(counts.size() == 24);
    double chi_square = 0;  // 23 degrees of freedom
    for (const auto& [order, count] : counts)
        chi_square += std::pow(count - draws / 24.0, 2) / (draws / 24.0);
    CHECK(chi_square < 49.7);  // exceeded once in a thousand
    CHECK(chi_square > 7.5);   // and too even to be random once in a thousand
}
