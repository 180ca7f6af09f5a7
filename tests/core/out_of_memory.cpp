// SPDX-License-Identifier: MIT
// What happens where there is not enough memory: an error that says for what.

#include <limits>
#include <new>
#include <string>

#include "gradus/core/memory.hpp"
#include "gradus/core/random.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/ops/operators.hpp"
#include "support/test.hpp"

using namespace gradus;

// The sanitizers, too, are to refuse such requests in the way of the standard library.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() { return "allocator_may_return_null=1"; }

namespace {

constexpr Index million = 1000000, huge = Index{1} << 52;

/// What f() says when it fails as std::bad_alloc.
template <class F>
std::string bad_alloc_of(const F& f) {
    try {
        f();
    } catch (const std::bad_alloc& error) {
        return error.what();
    }
    return "no std::bad_alloc";
}

}  // namespace

TEST_CASE("out of memory: the error names operation, shape and bytes", "[core][memory]") {
    const auto needs = [](const std::string& operation, const std::string& what) {
        return operation + ": out of memory: " + what + " bytes; is a size larger than meant?";
    };
    CHECK(bad_alloc_of([] {
              zeros({million * 100, million});
          }) == needs("zeros", "[100000000, 1000000] needs 400000000000000"));
    CHECK(bad_alloc_of([] { ones<double>({huge}); }) ==
          needs("full", "[4503599627370496] needs 36028797018963968"));
    CHECK(bad_alloc_of([] { Tensor<>::uninitialized({huge}); }) ==
          needs("tensor", "[4503599627370496] needs 18014398509481984"));
    CHECK(bad_alloc_of([] { arange(huge); }) ==
          needs("arange", "[4503599627370496] needs 18014398509481984"));
    CHECK(bad_alloc_of([] { linspace(0, 1, huge); }) ==
          needs("linspace", "[4503599627370496] needs 18014398509481984"));
    CHECK(bad_alloc_of([] { eye(Index{1} << 26); }) ==
          needs("zeros", "[67108864, 67108864] needs 18014398509481984"));
    CHECK(bad_alloc_of([] { randn({huge}); }) ==
          needs("normal", "[4503599627370496] needs 18014398509481984"));
    CHECK(bad_alloc_of([] { rand({huge}); }) ==
          needs("uniform", "[4503599627370496] needs 18014398509481984"));
    CHECK(bad_alloc_of([] { permutation(huge); }) ==
          needs("arange", "[4503599627370496] needs 36028797018963968"));
    CHECK(bad_alloc_of([] {
              const Tensor<> column = zeros({1 << 24, 1}), row = zeros({1, 1 << 24});
              static_cast<void>(column * row);
          }) == needs("mul", "[16777216, 16777216] needs 1125899906842624"));
}

TEST_CASE("out of memory: handlers of std::bad_alloc, OutOfMemory and std::exception all see it",
          "[core][memory]") {
    CHECK_THROWS_AS(zeros({huge}), OutOfMemory);
    CHECK_THROWS_AS(zeros({huge}), std::bad_alloc);
    std::string text;
    try {
        zeros({huge});
    } catch (const std::exception& error) {  // not ambiguous
        text = error.what();
    }
    CHECK_THAT(text, ContainsSubstring("zeros: out of memory"));
    const OutOfMemory error("text");
    static_assert(std::is_nothrow_copy_constructible_v<OutOfMemory>);
    CHECK(std::string(OutOfMemory(error).what()) == "text");
}

TEST_CASE("out of memory: lists and blocks say how many bytes", "[core][memory]") {
    const std::string text = "memory: the system does not give 18014398509481984 bytes";
    CHECK(bad_alloc_of([] { gradus::detail::BlockCache::allocate(std::size_t{huge} * 4); }) == text);
    CHECK(bad_alloc_of([] { gradus::detail::RecycledVector<float> list(std::size_t{huge}); }) == text);
    CHECK(bad_alloc_of([] { gradus::detail::RecycledList<float> list(std::size_t{huge}); }) == text);
}

TEST_CASE("out of memory: a write to a shared tensor that cannot be copied leaves it as it was",
          "[core][memory]") {
    const float number = 1;
    Tensor<> borrowed = Tensor<>::borrow({&number, 1}, {1}), copy = borrowed;
    CHECK(memory_stats().live < (std::size_t{1} << 40));  // what failed is not counted
    copy.mutable_at(0) = 2;
    CHECK(borrowed.item() == 1);
}

TEST_CASE("cast to integers refuses what does not fit", "[core][tensor]") {
    const auto refused = [](const auto& x, auto integer) {
        CHECK_THROWS_AS(cast<decltype(integer)>(x), ValueError);
    };
    const float infinity = std::numeric_limits<float>::infinity(),
                nan = std::numeric_limits<float>::quiet_NaN();
    for (const float x : {nan, infinity, -infinity, 0x1p63f, -0x1.000002p63f, 1e30f}) {
        INFO(x);
        refused(Tensor<>{0, x}, Index{});
        refused(Tensor<double>{0, static_cast<double>(x)}, Index{});
    }
    CHECK_THROWS_MATCHES(cast<Index>(Tensor<>{1, nan}), ValueError,
                         Message("cast: a number does not fit the integers: got nan"));
    CHECK(cast<Index>(Tensor<>{-0x1p63f, 0x1.fffffep62f, -2.9f}) ==
          Tensor<Index>{std::numeric_limits<Index>::min(), 0x7fffff8000000000, -2});
    for (const double x : {256.0, -1.0}) refused(Tensor<double>{x}, std::uint8_t{});
    CHECK(cast<std::uint8_t>(Tensor<double>{255.9, -0.9, 0}) == Tensor<std::uint8_t>{255, 0, 0});
    for (const double x : {2147483648.0, -2147483649.0}) refused(Tensor<double>{x}, std::int32_t{});
    CHECK(cast<std::int32_t>(Tensor<double>{2147483647.9, -2147483648.9}) ==
          Tensor<std::int32_t>{2147483647, std::numeric_limits<std::int32_t>::min()});
    CHECK(cast<bool>(Tensor<>{0, 2, nan}) == Tensor<bool>{false, true, true});
    CHECK(cast<std::uint8_t>(Tensor<Index>{256 + 7}) == Tensor<std::uint8_t>{7});  // integers wrap around
}
