// SPDX-License-Identifier: MIT
#include "gradus/core/crc.hpp"

#include <string>

#include "io/archives.hpp"
#include "support/test.hpp"

using namespace gradus;

TEST_CASE("crc: checks are those of the standards") {
    const std::string digits = "123456789";
    CHECK(detail::crc32(digits.data(), 9) == 0xcbf43926);
    CHECK(detail::crc32c(digits.data(), 9) == 0xe3069283);
    for (std::size_t count : {0u, 1u, 7u, 8u, 9u, 100u}) {
        std::string bytes(count, 'q');
        for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<char>(i * 37);
        CHECK(detail::crc32(bytes.data(), count) == plain_crc(bytes));
        CHECK(detail::crc32c(bytes.data(), count) == plain_crc(bytes, 0x82f63b78));
        const std::size_t half = count / 2;
        CHECK(detail::crc32(bytes.data() + half, count - half, detail::crc32(bytes.data(), half)) ==
              plain_crc(bytes));
    }
}
