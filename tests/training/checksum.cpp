// SPDX-License-Identifier: MIT
#include "gradus/training/checksum.hpp"

#include <string>

#include "support/test.hpp"

using gradus::training::Checksum;

namespace {

std::uint64_t sum_of(std::string_view bytes) {
    Checksum sum;
    sum.update(bytes);
    return sum.value();
}

}  // namespace

// Values of the xxhash library.
TEST_CASE("Checksum: is XXH64") {
    CHECK(sum_of("") == 0xEF46DB3751D8E999u);
    CHECK(sum_of("a") == 0xD24EC4F1A98C6E5Bu);
    CHECK(sum_of("abc") == 0x44BC2CF5AD770999u);
    CHECK(sum_of("The quick brown fox jumps over the lazy dog") == 0x0B242D361FDA71BCu);
    std::string bytes;
    for (int i = 0; i < 1000; ++i) bytes += static_cast<char>(i * 7 % 256);
    CHECK(sum_of(bytes) == 0x25275608A9CFC168u);
}

TEST_CASE("Checksum: how the bytes are cut into pieces does not matter") {
    std::string bytes;
    for (int i = 0; i < 200; ++i) bytes += static_cast<char>(i * 11 % 256);
    for (std::size_t first = 0; first <= bytes.size(); ++first)
        for (std::size_t second = first; second <= bytes.size(); second += 7) {
            Checksum sum;
            const std::string_view all = bytes;
            sum.update(all.substr(0, first));
            sum.update(all.substr(first, second - first));
            sum.update(all.substr(second));
            REQUIRE(sum.value() == sum_of(bytes));
        }
}
