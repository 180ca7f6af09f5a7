// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#ifdef GRADUS_WITH_PNG
#include <png.h>

#include <csetjmp>
#endif

#include "gradus/core/tensor.hpp"
#include "gradus/data/encode_png.hpp"
#include "gradus/data/pixels.hpp"

namespace gradus::data {
namespace detail {

#ifdef GRADUS_WITH_PNG

/// libpng reports errors by long jumps, over which nothing with a destructor may live: the functions that may be left
/// so have plain variables only, and a text that was left behind becomes an exception outside of them.
class PngReader {
public:
    explicit PngReader(std::string_view bytes) : rest_(bytes) {
        png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, &keep_error, &ignore_warning);
        if (png_) info_ = png_create_info_struct(png_);
        if (!info_) std::snprintf(error_, sizeof error_, "out of memory");
    }
    PngReader(const PngReader&) = delete;
    PngReader& operator=(const PngReader&) = delete;
    ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }

    /// Reads everything in front of the pixels, which takes no memory for them.
    bool read_header() {
        if (!info_ || setjmp(png_jmpbuf(png_))) return false;
        png_set_read_fn(png_, this, &give_bytes);
        png_set_user_limits(png_, 0x7fffffff, 0x7fffffff);  // the caller has its own
        png_read_info(png_, info_);
        return true;
    }

    std::uint64_t width() const { return png_get_image_width(png_, info_); }
    std::uint64_t height() const { return png_get_image_height(png_, info_); }
    int bits() const { return png_get_bit_depth(png_, info_) == 16 ? 16 : 8; }  // as rows will have them
    int channels() const {
        const int type = png_get_color_type(png_, info_);
        const bool alpha = (type & PNG_COLOR_MASK_ALPHA) || png_get_valid(png_, info_, PNG_INFO_tRNS);
        return (type & PNG_COLOR_MASK_COLOR ? 3 : 1) + alpha;
    }
    std::uint64_t packed_row_bytes() const { return png_get_rowbytes(png_, info_); }  // as the file has them

    /// All rows as 8 or 16 bits of gray, gray and alpha, RGB or RGBA, and what follows them. `rows` points to each.
    bool read_rows(unsigned char** rows, std::size_t row_bytes) {
        if (setjmp(png_jmpbuf(png_))) return false;
        png_set_expand(png_);  // palettes, fewer bits than 8, and transparent colors
        png_set_interlace_handling(png_);
        png_read_update_info(png_, info_);
        if (png_get_rowbytes(png_, info_) != row_bytes) png_error(png_, "rows have another size");
        png_read_image(png_, rows);
        png_read_end(png_, nullptr);
        return true;
    }

    std::size_t unread() const { return rest_.size(); }
    const char* error() const { return error_; }

private:
    [[noreturn]] static void keep_error(png_structp png, png_const_charp text) {
        std::snprintf(static_cast<PngReader*>(png_get_error_ptr(png))->error_, sizeof error_, "%s", text);
        png_longjmp(png, 1);
    }
    static void ignore_warning(png_structp, png_const_charp) {}
    static void give_bytes(png_structp png, png_bytep to, png_size_t count) {
        std::string_view& rest = static_cast<PngReader*>(png_get_io_ptr(png))->rest_;
        if (count > rest.size()) png_error(png, "it is cut short");
        std::memcpy(to, rest.data(), count);
        rest.remove_prefix(count);
    }

    png_structp png_ = nullptr;
    png_infop info_ = nullptr;
    std::string_view rest_;
    char error_[200] = "";
};

#endif

[[gnu::cold]] inline Pixels parse_png(const ImageBytes& source,
                                      [[maybe_unused]] const ImageOptions& options) {
#ifdef GRADUS_WITH_PNG
    PngReader reader(source.bytes);
    const auto damaged = [&] {
        source.fail({"the PNG file is damaged: ", reader.error(), "; copy or download it again"});
    };
    if (!reader.read_header()) damaged();
    const Shape shape = source.shape(reader.height(), reader.width(), reader.channels(), options);
    // Deflate spends at least two bits on 258 bytes, and memory is for what can be there.
    if (reader.packed_row_bytes() > std::uint64_t{source.bytes.size()} * 1032 / reader.height())
        source.fail({"truncated data: ", reader.width(), " x ", reader.height(), " pixels are more than ",
                     source.bytes.size(), " bytes can hold"});
    const int bits = reader.bits();
    const auto row_bytes = static_cast<std::size_t>(shape[1] * shape[2] * bits / 8);
    std::string raw(row_bytes * static_cast<std::size_t>(shape[0]), '\0');
    std::vector<unsigned char*> rows;
    for (std::size_t at = 0; at < raw.size(); at += row_bytes)
        rows.push_back(reinterpret_cast<unsigned char*>(raw.data()) + at);
    if (!reader.read_rows(rows.data(), row_bytes)) damaged();
    if (reader.unread() > 0)
        source.fail({"extra data: ", reader.unread(), " bytes follow the end of the PNG file"});
    Pixels pixels{Tensor<std::uint16_t>::uninitialized(shape), bits == 16 ? 65535 : 255};
    std::uint16_t* out = pixels.samples.mutable_data();
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(raw[at]); };
    for (std::size_t i = 0; i < pixels.samples.values().size(); ++i)
        out[i] =
            reader.bits() == 16 ? static_cast<std::uint16_t>(byte(2 * i) << 8 | byte(2 * i + 1)) : byte(i);
    return pixels;
#else
    source.fail(
        {"is a PNG file, and this program was built without libpng: link the CMake target gradus::gradus "
         "with "
         "libpng installed (apt install libpng-dev), or compile with -DGRADUS_WITH_PNG and -lpng, or convert "
         "it to PPM"});
#endif
}

}  // namespace detail
}  // namespace gradus::data
