// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "gradus/core/tensor.hpp"
#include "gradus/core/write_file.hpp"
#include "gradus/data/bytes.hpp"
#include "gradus/data/pixels.hpp"
#include "gradus/data/png.hpp"
#include "gradus/data/pnm.hpp"

namespace gradus::data {
namespace detail {

template <class T>
[[gnu::cold]] Tensor<T> decode_image(const ImageBytes& source, const ImageOptions& options) {
    check_channels(source.operation, options.channels);
    const std::string_view bytes = source.bytes;
    if (bytes.starts_with(png_signature))
        return image_tensor<T>(parse_png(source, options), options.channels);
    if (bytes.size() > 2 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '7')
        return image_tensor<T>(PnmParser(source).parse(options), options.channels);
    if (bytes.empty()) source.fail({"is empty; was it written whole?"});
    source.fail({"is no PNG, PGM or PPM image",
                 bytes.starts_with("\xff\xd8")  ? " but JPEG; convert it"
                 : bytes.starts_with("GIF8")    ? " but GIF; convert it"
                 : bytes.starts_with("RIFF")    ? " but WebP; convert it"
                 : bytes.starts_with("BM")      ? " but BMP; convert it"
                 : bytes.starts_with("\x89PNG") ? ": a PNG file was changed as if it were text; copy it anew"
                                                : ""});
}

}  // namespace detail

/// An image file in memory as [channels, height, width]: std::uint8_t from 0 to 255, or float or double from 0 (black)
/// to 1. What it is tells its beginning: PGM or PPM (P2, P3, P5, P6, up to 16 bits), or PNG of any kind if the program
/// was built with libpng. Colors are taken as they are: nothing is done about gamma or profiles.
/// Throws IoError, in the name that is given, if it is damaged or larger than the options allow.
template <class T = std::uint8_t>
[[gnu::cold]] Tensor<T> decode_image(std::string_view bytes, const ImageOptions& options = {},
                                     std::string_view name = "image") {
    return detail::decode_image<T>({"decode_image", name, bytes}, options);
}

/// The same of a file.
///
///     const Tensor<> photo = data::read_image<float>("photo.png", {.channels = 3});  // [3, height, width]
template <class T = std::uint8_t>
[[gnu::cold]] Tensor<T> read_image(const std::string& path, const ImageOptions& options = {}) {
    const std::string bytes =
        detail::read_bytes("read_image", path, options.max_bytes, "ImageOptions::max_bytes");
    return detail::decode_image<T>({"read_image", path, bytes}, options);
}

/// Writes [height, width] or [channels, height, width] as the file's name says: .png, .pgm or .ppm. The file is replaced
/// as a whole. Throws ValueError for other names, ShapeError for other shapes, IoError as write_file() does.
[[gnu::cold]] inline void write_image(const std::string& path, const Tensor<std::uint8_t>& image) {
    const std::string_view name = path;
    if (name.ends_with(".png"))
        write_file(path, encode_png(image), {.operation = "write_image"});
    else if (name.ends_with(".pgm") || name.ends_with(".ppm"))
        write_file(path, encode_pnm(image), {.operation = "write_image"});
    else
        gradus::detail::raise<ValueError>(
            {"write_image: ", path, ": the name must end with .png, .pgm or .ppm"});
}

}  // namespace gradus::data
