// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "gradus/core/tensor.hpp"
#include "gradus/data/pixels.hpp"

namespace gradus::data {
namespace detail {

/// Reads what is behind the two letters of a PGM or PPM file.
class PnmParser {
public:
    explicit PnmParser(const ImageBytes& source) : source_(source), rest_(source.bytes) {
        rest_.remove_prefix(2);
    }

    [[gnu::cold]] Pixels parse(const ImageOptions& options) {
        const char kind = source_.bytes[1];
        if (kind != '2' && kind != '3' && kind != '5' && kind != '6')
            source_.fail({"is a ", kind == '7' ? "PAM" : "PBM", " file (P", std::string(1, kind),
                          "); PGM and PPM are read (P2, P3, P5, P6)"});
        const bool plain = kind < '4', color = kind == '3' || kind == '6';
        const std::uint64_t width = number("the width"), height = number("the height");
        const std::uint64_t maximum = number("the highest value");
        if (maximum < 1 || maximum > 65535) source_.fail({"the highest value is 1 to 65535: got ", maximum});
        Pixels pixels{.samples = {}, .maximum = static_cast<int>(maximum)};
        const Shape shape = source_.shape(height, width, color ? 3 : 1, options);
        const auto count = static_cast<std::uint64_t>(shape.numel());
        if (!plain) {
            if (rest_.empty() || !is_space(rest_[0])) source_.fail({"truncated header: no space ends it"});
            rest_.remove_prefix(1);
        }
        const std::uint64_t each =
            plain || maximum > 255 ? 2 : 1;  // a plain number is a space and a digit at least
        if (rest_.size() < count * each) refuse_size("truncated", shape, count * each);
        if (!plain && rest_.size() > count * each) refuse_size("extra", shape, count * each);
        pixels.samples = Tensor<std::uint16_t>::uninitialized(shape);
        std::uint16_t* out = pixels.samples.mutable_data();
        for (std::uint64_t i = 0; i < count; ++i) {
            const std::uint64_t sample = plain ? number("a sample") : binary(i, each);
            if (sample > maximum)
                source_.fail({"a sample is larger than the highest value ", maximum, ": got ", sample,
                              " at index ", i});
            out[i] = static_cast<std::uint16_t>(sample);
        }
        if (plain) {
            skip_space();
            if (!rest_.empty()) source_.fail({"extra data: text follows the last sample"});
        }
        return pixels;
    }

private:
    static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

    /// Comments go from # to the end of the line.
    void skip_space() {
        while (!rest_.empty() && (is_space(rest_[0]) || rest_[0] == '#')) {
            if (rest_[0] == '#')
                rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size()));
            else
                rest_.remove_prefix(1);
        }
    }

    std::uint64_t number(const char* what) {
        skip_space();
        if (rest_.empty()) source_.fail({"truncated: it ends before ", what});
        std::uint64_t value = 0;
        std::size_t digits = 0;
        for (; digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9'; ++digits)
            if (value < std::uint64_t{1} << 40)
                value = value * 10 + static_cast<std::uint64_t>(rest_[digits] - '0');
        if (digits == 0 || (digits < rest_.size() && !is_space(rest_[digits]) && rest_[digits] != '#'))
            source_.fail({what, " is no number: got byte ", hex(static_cast<unsigned char>(rest_[digits]))});
        rest_.remove_prefix(digits);
        return value;
    }

    /// Sample number i; large ones have two bytes, the high one first.
    std::uint64_t binary(std::uint64_t i, std::uint64_t each) const {
        const auto byte = [&](std::uint64_t at) {
            return std::uint64_t{static_cast<unsigned char>(rest_[static_cast<std::size_t>(at)])};
        };
        return each == 1 ? byte(i) : byte(2 * i) << 8 | byte(2 * i + 1);
    }

    [[noreturn, gnu::cold]] void refuse_size(const char* what, const Shape& shape, std::uint64_t need) const {
        source_.fail({what, " data: ", shape[1], " x ", shape[0], " pixels need ", need, " bytes: got ",
                      rest_.size()});
    }

    const ImageBytes& source_;
    std::string_view rest_;
};

}  // namespace detail

/// A gray image [height, width] or [1, height, width] as a binary PGM file, a color image [3, height, width] as PPM.
/// Throws ShapeError for other shapes.
/// Source: Netpbm, "pgm" and "ppm", netpbm.sourceforge.net/doc.
[[gnu::cold]] inline std::string encode_pnm(const Tensor<std::uint8_t>& image) {
    const Shape full = detail::check_image("encode_pnm", image.shape(), 3);
    std::string file =
        gradus::detail::text_of({full[0] == 1 ? "P5\n" : "P6\n", full[2], " ", full[1], "\n255\n"});
    const std::size_t header = file.size(), row_bytes = static_cast<std::size_t>(full[0] * full[2]);
    file.resize(header + row_bytes * static_cast<std::size_t>(full[1]));
    for (Index row = 0; row < full[1]; ++row)
        detail::interleave(image, full, row,
                           file.data() + header + static_cast<std::size_t>(row) * row_bytes);
    return file;
}

}  // namespace gradus::data
