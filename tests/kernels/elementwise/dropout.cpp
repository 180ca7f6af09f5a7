// SPDX-License-Identifier: MIT
#include "gradus/kernels/elementwise/dropout.hpp"

#include <vector>

#include "support/isas.hpp"
#include "support/test.hpp"
#include "support/threads.hpp"

using namespace gradus;

namespace {

/// philox_lanes for block numbers `first` and following, as whole blocks.
struct Lanes {
    RandomStream stream;
    std::uint64_t first;
    std::uint64_t* words;

    template <int Bytes>
    GRADUS_INLINE int run() {
        using P = simd::Vec<std::uint64_t, Bytes / 8>;
        std::uint64_t block[std::size_t{Bytes / 8}];
        for (std::uint64_t& each : block) each = first++;
        P low, high;
        kernels::detail::philox_lanes(stream.seed, stream.stream, P::load(block), low, high);
        low.store(words);
        high.store(words + Bytes / 8);
        return Bytes / 8;
    }
};

}  // namespace

TEST_CASE("dropout kernel: vectors of Philox blocks are those of core/random.hpp") {
    for (const auto isa : available_isas()) {
        const simd::ScopedIsa limit(isa);
        INFO(simd::name(simd::isa()));
        for (const std::uint64_t first :
             {std::uint64_t{0}, std::uint64_t{0xFFFFFFFE}, ~std::uint64_t{0} - 20}) {
            const RandomStream stream{0xFEDCBA9876543210u, 0x89ABCDEF01234567u};
            std::uint64_t words[16];
            const int lanes = simd::run(Lanes{stream, first, &words[0]});
            for (int i = 0; i < lanes; ++i) {
                const auto expected = stream(first + static_cast<std::uint64_t>(i));
                CHECK(words[i] == (expected[0] | std::uint64_t{expected[1]} << 32));
                CHECK(words[lanes + i] == (expected[2] | std::uint64_t{expected[3]} << 32));
            }
        }
    }
}

TEST_CASE("dropout kernel: the mask, bit by bit, and what it does to numbers") {
    for (const auto isa : available_isas()) {
        const simd::ScopedIsa limit(isa);
        INFO(simd::name(simd::isa()));
        for (const std::uint32_t threshold :
             {0u, 1u, 0x7FFFFFFFu, 0x80000000u, 0x80000001u, 0xF0000000u, ~0u})
            for (const Index n : {0, 1, 31, 32, 33, 77, 128}) {
                const RandomStream stream{3, 9};
                std::vector<double> numbers(static_cast<std::size_t>(n), 1.5);  // of exactly this size
                const auto [y, mask] =
                    kernels::dropout(Tensor<double>::borrow(numbers, {n}), stream, threshold, 2.0);
                const Tensor<> dx = kernels::dropout_backward(full({n}, 3), mask, 0.5);
                for (Index i = 0; i < n; ++i) {
                    const auto words = stream(static_cast<std::uint64_t>(i / 4));
                    const bool keep = words[static_cast<std::size_t>(i % 4)] >= threshold;
                    CHECK((mask.data()[i / 8] >> (i % 8) & 1) == keep);
                    CHECK(y.data()[i] == (keep ? 3.0 : 0.0));
                    CHECK(dx.data()[i] == (keep ? 1.5f : 0.0f));
                }
            }
    }
}

TEST_CASE("dropout kernel: the same bits for any number of threads") {
    const Tensor<> x = ones({100003});
    const Threads one_thread(1);
    const auto expected = kernels::dropout(x, RandomStream{1, 2}, 1u << 30, 1.25);
    for (const int threads : {2, 3}) {
        const Threads limit(threads);
        const auto again = kernels::dropout(x, RandomStream{1, 2}, 1u << 30, 1.25);
        CHECK(again.y == expected.y);
        CHECK(again.mask == expected.mask);
        CHECK(kernels::dropout_backward(x, again.mask, 1.25) == expected.y);
    }
}
