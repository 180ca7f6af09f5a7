// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#ifdef GRADUS_WITH_ZLIB
#include <zlib.h>
#endif

#include "gradus/core/crc.hpp"
#include "gradus/core/tensor.hpp"
#include "gradus/data/pixels.hpp"

namespace gradus::data {
namespace detail {

inline constexpr std::string_view png_signature{"\x89PNG\r\n\x1a\n", 8};

[[gnu::cold]] inline std::string big_endian(std::uint32_t number) {
    std::string bytes;
    for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(number >> shift & 255);
    return bytes;
}

/// Bytes as a zlib stream: compressed if there is zlib, else stored in blocks (RFC 1950, RFC 1951).
[[gnu::cold]] inline std::string zlib_stream(const std::string& bytes) {
#ifdef GRADUS_WITH_ZLIB
    uLongf size = compressBound(static_cast<uLong>(bytes.size()));
    std::string packed(size, '\0');
    if (compress2(reinterpret_cast<Bytef*>(packed.data()), &size,
                  reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uLong>(bytes.size()),
                  Z_BEST_COMPRESSION) != Z_OK)
        gradus::detail::raise<OutOfMemory>({"zlib: out of memory: packing needs about 270 KiB"});
    packed.resize(size);
    return packed;
#else
    std::string stream = "\x78\x01";
    std::uint32_t a = 1, b = 0;  // the Adler checksum
    constexpr std::size_t most = 65535;
    for (std::size_t at = 0; at == 0 || at < bytes.size(); at += most) {
        const std::size_t size = std::min(most, bytes.size() - at);
        stream += static_cast<char>(at + size == bytes.size());
        for (const std::size_t part : {size, ~size})
            stream.append(1, static_cast<char>(part & 255)).append(1, static_cast<char>(part >> 8 & 255));
        stream.append(bytes, at, size);
    }
    for (const char c : bytes) {
        a = (a + static_cast<unsigned char>(c)) % 65521;
        b = (b + a) % 65521;
    }
    return stream + big_endian(b << 16 | a);
#endif
}

}  // namespace detail

/// An image [height, width] or [channels, height, width] of 1 (gray), 2 (gray and alpha), 3 (red, green, blue) or 4
/// (and alpha) channels as a PNG file: to be written, or put into a page. Needs no libpng; without zlib the file is
/// as large as the image. Throws ShapeError for other shapes.
/// Source: W3C, "Portable Network Graphics (PNG) Specification", 2003.
[[gnu::cold]] inline std::string encode_png(const Tensor<std::uint8_t>& image) {
    const Shape full = detail::check_image("encode_png", image.shape(), 4);
    std::string file(detail::png_signature);
    const auto chunk = [&](const char* type, std::string_view body) {
        if (body.size() > 0x7fffffff)
            gradus::detail::raise<ShapeError>("encode_png", "the image is too large for the format",
                                              image.shape());
        const std::string content = std::string(type).append(body);
        file += detail::big_endian(static_cast<std::uint32_t>(body.size()));
        file += content + detail::big_endian(gradus::detail::crc32(content.data(), content.size()));
    };
    constexpr char color_types[] = {0, 4, 2, 6};
    std::string header = detail::big_endian(static_cast<std::uint32_t>(full[2])) +
                         detail::big_endian(static_cast<std::uint32_t>(full[1])) + '\x08' +
                         color_types[full[0] - 1] + std::string(3, '\0');
    chunk("IHDR", header);
    const auto row_bytes = static_cast<std::size_t>(full[0] * full[2]);
    std::string rows((row_bytes + 1) * static_cast<std::size_t>(full[1]),
                     '\0');  // each after its filter: none
    for (Index row = 0; row < full[1]; ++row)
        detail::interleave(image, full, row,
                           rows.data() + static_cast<std::size_t>(row) * (row_bytes + 1) + 1);
    chunk("IDAT", detail::zlib_stream(rows));
    chunk("IEND", "");
    return file;
}

}  // namespace gradus::data
