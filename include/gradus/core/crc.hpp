// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

namespace gradus::detail {

/// A cyclic redundancy check of 32 bits whose bits are numbered from the lowest ("reflected"), eight bytes at a
/// time: table[k][b] is what the byte b does to the rest k bytes later.
/// Source: Kounavis & Berry, "A systematic approach to building high performance software-based CRC generators".
class Crc {
public:
    [[gnu::cold]] explicit Crc(std::uint32_t polynomial) {
        for (std::uint32_t byte = 0; byte < 256; ++byte) {
            std::uint32_t rest = byte;
            for (int bit = 0; bit < 8; ++bit) rest = rest >> 1 ^ (rest & 1 ? polynomial : 0);
            table_[0][byte] = rest;
        }
        for (int k = 1; k < 8; ++k)
            for (int byte = 0; byte < 256; ++byte)
                table_[k][byte] = table_[k - 1][byte] >> 8 ^ table_[0][table_[k - 1][byte] & 255];
    }

    /// The check of what `before` is the check of, followed by these bytes.
    std::uint32_t operator()(const void* bytes, std::size_t count, std::uint32_t before = 0) const {
        const auto* at = static_cast<const unsigned char*>(bytes);
        std::uint32_t rest = ~before;
        for (; count >= 8; count -= 8, at += 8) {
            rest ^= std::uint32_t{at[0]} | std::uint32_t{at[1]} << 8 | std::uint32_t{at[2]} << 16 |
                    std::uint32_t{at[3]} << 24;
            rest = table_[7][rest & 255] ^ table_[6][rest >> 8 & 255] ^ table_[5][rest >> 16 & 255] ^
                   table_[4][rest >> 24] ^ table_[3][at[4]] ^ table_[2][at[5]] ^ table_[1][at[6]] ^
                   table_[0][at[7]];
        }
        for (; count > 0; --count) rest = rest >> 8 ^ table_[0][(rest ^ *at++) & 255];
        return ~rest;
    }

private:
    std::uint32_t table_[8][256];
};

/// The check of zip, gzip and PNG files.
inline std::uint32_t crc32(const void* bytes, std::size_t count, std::uint32_t before = 0) {
    static const Crc crc(0xedb88320);
    return crc(bytes, count, before);
}

/// Castagnoli's, the check of TensorBoard's event files.
inline std::uint32_t crc32c(const void* bytes, std::size_t count, std::uint32_t before = 0) {
    static const Crc crc(0x82f63b78);
    return crc(bytes, count, before);
}

}  // namespace gradus::detail
