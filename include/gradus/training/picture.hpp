// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "gradus/core/tensor.hpp"
#include "gradus/data/encode_png.hpp"

namespace gradus::training {
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
    Tensor<std::uint8_t> pixels = Tensor<std::uint8_t>::uninitialized({channels, rows, columns});
    std::uint8_t* const shades = pixels.mutable_data();
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
                shades[(c * rows + y) * columns + x] = static_cast<std::uint8_t>(std::lround(sum / count));
            }
    return "data:image/png;base64," + base64(data::encode_png(pixels));
}

}  // namespace gradus::training
