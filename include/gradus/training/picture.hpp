// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "gradus/core/tensor.hpp"

namespace gradus::training {
namespace detail {

/// Image files and their text form are bytes; std::string holds both.
[[gnu::cold]] inline void append_big_endian(std::string& to, std::uint32_t number) {
    for (int shift = 24; shift >= 0; shift -= 8) to += static_cast<char>(number >> shift & 0xFF);
}

/// A chunk of a PNG file: length, name and data, CRC-32 of name and data.
[[gnu::cold]] inline void append_chunk(std::string& png, std::string_view name, std::string_view data) {
    append_big_endian(png, static_cast<std::uint32_t>(data.size()));
    const std::size_t checked = png.size();
    png.append(name).append(data);
    std::uint32_t crc = 0xFFFFFFFF;
    for (std::size_t i = checked; i < png.size(); ++i) {
        crc ^= static_cast<unsigned char>(png[i]);
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    append_big_endian(png, ~crc);
}

/// A zlib stream of blocks that are stored, not compressed: pictures of a page are small.
[[gnu::cold]] inline std::string stored(std::string_view data) {
    constexpr std::size_t most = 65535;
    std::string stream = "\x78\x01";
    std::uint32_t a = 1, b = 0;  // Adler-32
    for (const char c : data) {
        a = (a + static_cast<unsigned char>(c)) % 65521;
        b = (b + a) % 65521;
    }
    do {
        const std::string_view block = data.substr(0, most);
        data.remove_prefix(block.size());
        const auto size = static_cast<unsigned>(block.size());
        stream += data.empty() ? '\1' : '\0';
        for (const unsigned number : {size, ~size})
            for (const int shift : {0, 8}) stream += static_cast<char>(number >> shift & 0xFF);
        stream += block;
    } while (!data.empty());
    append_big_endian(stream, b << 16 | a);
    return stream;
}

}  // namespace detail

/// A PNG file of 8 bits per channel from rows of pixels, one channel (gray) or three (red, green, blue) for
/// each pixel. It is not compressed. Source: W3C, "Portable Network Graphics (PNG) Specification", 2003.
[[gnu::cold]] inline std::string encode_png(std::string_view pixels, Index width, Index height,
                                            Index channels) {
    std::string header, rows, png = "\x89PNG\r\n\x1a\n";
    detail::append_big_endian(header, static_cast<std::uint32_t>(width));
    detail::append_big_endian(header, static_cast<std::uint32_t>(height));
    header += '\x08';
    header += channels == 3 ? '\x02' : '\0';
    header.append(3, '\0');  // deflate, filters per row, not interlaced
    const auto row = static_cast<std::size_t>(width * channels);
    for (std::size_t y = 0; y < static_cast<std::size_t>(height); ++y) {
        rows += '\0';  // no filter
        rows += pixels.substr(y * row, row);
    }
    detail::append_chunk(png, "IHDR", header);
    detail::append_chunk(png, "IDAT", detail::stored(rows));
    detail::append_chunk(png, "IEND", "");
    return png;
}

/// Base64 with padding. Source: RFC 4648.
[[gnu::cold]] inline std::string base64(std::string_view bytes) {
    static constexpr const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
        unsigned group = 0;
        for (std::size_t k = 0; k < 3; ++k)
            group = group << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0u);
        for (std::size_t k = 0; k < 4; ++k) text += k <= count ? digits[group >> (18 - 6 * k) & 63] : '=';
    }
    return text;
}

/// An image as the address of a PNG picture that holds all its bytes: image [height, width], [1, height, width]
/// or [3, height, width], with any number of axes of size 1 before these. Numbers from 0 to 1 are black to full
/// light; if some lie outside, the smallest is black and the largest full light. What is not finite is black
/// or, +∞, full light. A picture of more than `most` pixels in a row or column is made smaller, by means over
/// squares. Throws ShapeError for another shape.
[[gnu::cold]] inline std::string data_uri(const Tensor<>& image, Index most = 128) {
    const int rank = image.rank();
    const Index channels = rank >= 3 ? image.size(rank - 3) : 1;
    if (rank < 2 || (channels != 1 && channels != 3) || image.numel() == 0 ||
        image.numel() != channels * image.size(rank - 2) * image.size(rank - 1))
        gradus::detail::raise<ShapeError>(
            "report", "a picture is [height, width], [1, height, width] or [3, height, width]",
            image.shape());
    float low = 0, high = 1;
    for (const float x : image)
        if (std::isfinite(x)) low = std::min(low, x), high = std::max(high, x);
    if (low < 0 || high > 1) {
        low = std::numeric_limits<float>::max(), high = -low;
        for (const float x : image)
            if (std::isfinite(x)) low = std::min(low, x), high = std::max(high, x);
    }
    const double scale = high > low ? 255 / (static_cast<double>(high) - static_cast<double>(low)) : 0;

    const Index height = image.size(rank - 2), width = image.size(rank - 1);
    const Index square = (std::max(height, width) + most - 1) / most;
    const Index rows = (height + square - 1) / square, columns = (width + square - 1) / square;
    std::string pixels;
    for (Index y = 0; y < rows; ++y)
        for (Index x = 0; x < columns; ++x)
            for (Index c = 0; c < channels; ++c) {
                double sum = 0, count = 0;
                for (Index v = y * square; v < std::min(height, (y + 1) * square); ++v)
                    for (Index u = x * square; u < std::min(width, (x + 1) * square); ++u) {
                        const auto value = static_cast<double>(image.data()[(c * height + v) * width + u]);
                        const double shade = (value - static_cast<double>(low)) * scale;
                        sum += std::isnan(shade) ? 0 : std::clamp(shade, 0.0, 255.0);
                        ++count;
                    }
                pixels += static_cast<char>(static_cast<unsigned char>(std::lround(sum / count)));
            }
    return "data:image/png;base64," + base64(encode_png(pixels, columns, rows, channels));
}

}  // namespace gradus::training
