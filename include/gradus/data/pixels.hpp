// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#include "gradus/core/tensor.hpp"
#include "gradus/data/bytes.hpp"

namespace gradus::data {

struct ImageOptions {
    int channels = 0;  // 1 gray, 3 red, green and blue, 4 with alpha; 0: those of the file
    std::uint64_t max_bytes = std::uint64_t{1} << 30;  // of one image, unpacked
};

namespace detail {

/// Samples as a file has them, 0 ... maximum: [height, width, channels], of which 2 and 4 end with alpha.
struct Pixels {
    Tensor<std::uint16_t> samples;
    int maximum = 255;
};

/// An image in memory and the name that messages give it.
struct ImageBytes {
    const char* operation;
    std::string_view name;
    std::string_view bytes;

    [[noreturn, gnu::cold]] void fail(std::initializer_list<TextPart> problem) const {
        gradus::detail::raise<IoError>({operation, ": ", name, ": ", text_of(problem)});
    }

    /// Height, width and channels from a header, before memory is taken for them.
    [[gnu::cold]] Shape shape(std::uint64_t height, std::uint64_t width, int channels,
                              const ImageOptions& options) const {
        if (height == 0 || width == 0) fail({"is empty: got ", width, " x ", height, " pixels"});
        constexpr std::uint64_t most = 0x7fffffff;
        if (height > most || width > most ||
            height * width > options.max_bytes / static_cast<std::uint64_t>(channels))
            fail({"the header promises ", width, " x ", height, " pixels, more than ", options.max_bytes,
                  " bytes; if that is right, raise ImageOptions::max_bytes"});
        return {static_cast<Index>(height), static_cast<Index>(width), channels};
    }
};

/// A sample as a number of type T: 0 ... 255 rounded, or 0 ... 1.
template <class T>
T shade(double sample, int maximum) {
    if constexpr (std::is_same_v<T, std::uint8_t>)
        return static_cast<T>(std::lround(sample * 255.0 / maximum));
    else
        return static_cast<T>(sample / maximum);
}

/// Pixels as a tensor [channels, height, width]: alpha is left out or is full, gray is repeated, and colors are
/// weighed as in ITU-R BT.601.
template <class T>
[[gnu::cold]] Tensor<T> image_tensor(const Pixels& pixels, int channels) {
    static_assert(std::is_same_v<T, std::uint8_t> || std::is_floating_point_v<T>,
                  "an image is of std::uint8_t from 0 to 255, or of float or double from 0 to 1");
    const int from = static_cast<int>(pixels.samples.size(2)), to = channels == 0 ? from : channels;
    const Index count = pixels.samples.size(0) * pixels.samples.size(1);
    Tensor<T> image = Tensor<T>::uninitialized({to, pixels.samples.size(0), pixels.samples.size(1)});
    T* const out = image.mutable_data();
    const bool color = from >= 3, alpha = from % 2 == 0;
    for (Index i = 0; i < count; ++i) {
        const std::uint16_t* in = pixels.samples.data() + i * from;
        for (int c = 0; c < to; ++c) {
            double sample;
            if (to % 2 == 0 && c == to - 1)
                sample = alpha ? in[from - 1] : pixels.maximum;
            else if (color && to < 3)
                sample = (299.0 * in[0] + 587.0 * in[1] + 114.0 * in[2]) / 1000.0;
            else
                sample = in[color ? c : 0];
            out[c * count + i] = shade<T>(sample, pixels.maximum);
        }
    }
    return image;
}

[[gnu::cold]] inline void check_channels(const char* operation, int channels) {
    if (channels < 0 || channels > 4)
        gradus::detail::raise<ValueError>(operation, "channels are 1 to 4, or 0 for those of the file",
                                          channels);
}

/// [height, width] or [channels, height, width] of an image that is to be written, as three sizes.
[[gnu::cold]] inline Shape check_image(const char* operation, const Shape& shape, int most_channels) {
    const Shape full = shape.rank() == 2 ? Shape{1, shape[0], shape[1]} : shape;
    if (full.rank() != 3 || full.numel() == 0 || full[0] > most_channels ||
        (most_channels == 3 && full[0] == 2))
        gradus::detail::raise<ShapeError>(
            operation,
            most_channels == 3 ? "an image is [height, width], [1, height, width] or [3, height, width]"
                               : "an image is [height, width] or [channels, height, width] of 1 to 4 "
                                 "channels",
            shape);
    return full;
}

/// Rows of pixels, channels side by side, as files have them.
[[gnu::cold]] inline void interleave(const Tensor<std::uint8_t>& image, const Shape& full, Index row,
                                     char* to) {
    const Index plane = full[1] * full[2];
    for (Index x = 0; x < full[2]; ++x)
        for (Index c = 0; c < full[0]; ++c)
            *to++ = static_cast<char>(image.data()[c * plane + row * full[2] + x]);
}

}  // namespace detail
}  // namespace gradus::data
