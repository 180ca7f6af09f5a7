// SPDX-License-Identifier: MIT
#include "gradus/data/png.hpp"

#include "gradus/core/random.hpp"
#include "gradus/data/images.hpp"
#include "support/test.hpp"

using namespace gradus;
using data::decode_image;
using Bytes = Tensor<std::uint8_t>;

namespace {

[[maybe_unused]] std::string refusal_of(const std::string& bytes, const data::ImageOptions& options = {}) {
    try {
        decode_image(bytes, options, "a.png");
    } catch (const IoError& error) {
        const std::string text = error.what(), start = "decode_image: a.png: ";
        REQUIRE(text.substr(0, start.size()) == start);
        return text.substr(start.size());
    }
    return "accepted";
}

/// An image of this shape whose samples are all over the range.
Bytes picture(const Shape& shape) {
    Bytes image = Bytes::uninitialized(shape);
    for (Index i = 0; i < image.numel(); ++i)
        image.mutable_data()[i] =
            static_cast<std::uint8_t>(RandomStream{3, 0}(static_cast<std::uint64_t>(i))[0]);
    return image;
}

}  // namespace

TEST_CASE("encode_png writes what the specification says") {
    const std::string file = data::encode_png(Bytes{{7}});
    CHECK(file.substr(0, 8) == "\x89PNG\r\n\x1a\n");
    CHECK(file.substr(8, 8) == std::string("\0\0\0\x0dIHDR", 8));
    CHECK(file.substr(16, 13) == std::string("\0\0\0\1\0\0\0\1\x08\0\0\0\0", 13));
    CHECK(file.substr(29, 4) == std::string("\x3a\x7e\x9b\x55", 4));  // as every 1 x 1 gray PNG has it
    CHECK(file.substr(file.size() - 12) == std::string("\0\0\0\0IEND\xae\x42\x60\x82", 12));
    CHECK_THROWS_MATCHES(
        data::encode_png(Bytes{7}), ShapeError,
        Message("encode_png: an image is [height, width] or [channels, height, width] of 1 to 4 "
                "channels: got [1]"));
    CHECK_THROWS_AS(data::encode_png(zeros<std::uint8_t>({5, 1, 1})), ShapeError);
    CHECK_THROWS_AS(data::encode_png(zeros<std::uint8_t>({1, 0, 1})), ShapeError);
}

#ifdef GRADUS_WITH_PNG

namespace {

struct Kind {
    int color_type, bits, interlace;
};

/// A PNG file that libpng wrote, from samples of `bits` bits that follow each other, each in a number of its own. The
/// palette is (i, 2 i, 3 i).
std::string libpng_file(png_uint_32 width, png_uint_32 height, const Kind& kind,
                        const std::vector<unsigned>& samples, int transparent = -1) {
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
    png_infop info = png_create_info_struct(png);
    std::string file;
    png_set_write_fn(
        png, &file,
        [](png_structp p, png_bytep bytes, png_size_t count) {
            static_cast<std::string*>(png_get_io_ptr(p))->append(reinterpret_cast<const char*>(bytes), count);
        },
        nullptr);
    png_set_IHDR(png, info, width, height, kind.bits, kind.color_type, kind.interlace,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (kind.color_type == PNG_COLOR_TYPE_PALETTE) {
        png_color palette[16];
        for (int i = 0; i < 16; ++i)
            palette[i] = {static_cast<png_byte>(i), static_cast<png_byte>(2 * i),
                          static_cast<png_byte>(3 * i)};
        png_set_PLTE(png, info, palette, 1 << std::min(kind.bits, 4));
    }
    if (transparent >= 0) {
        png_color_16 color{};
        color.gray = static_cast<png_uint_16>(transparent);
        png_set_tRNS(png, info, nullptr, 0, &color);
    }
    png_write_info(png, info);
    if (kind.bits < 8) png_set_packing(png);
    const std::size_t per_row = samples.size() / height;
    std::vector<std::vector<png_byte>> rows(height);
    std::vector<png_bytep> pointers;
    for (std::size_t y = 0; y < height; ++y) {
        for (std::size_t x = 0; x < per_row; ++x) {
            const unsigned sample = samples[y * per_row + x];
            if (kind.bits == 16) rows[y].push_back(static_cast<png_byte>(sample >> 8));
            rows[y].push_back(static_cast<png_byte>(sample));
        }
        pointers.push_back(rows[y].data());
    }
    png_write_image(png, pointers.data());
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    return file;
}

std::string chunk(const std::string& type, const std::string& body) {
    return data::detail::big_endian(static_cast<std::uint32_t>(body.size())) + type + body +
           data::detail::big_endian(detail::crc32((type + body).data(), type.size() + body.size()));
}

}  // namespace

TEST_CASE("libpng reads what encode_png writes") {
    for (const Shape& shape :
         {Shape{5, 7}, Shape{1, 1, 1}, Shape{2, 3, 4}, Shape{3, 9, 2}, Shape{4, 2, 5}, Shape{3, 200, 300}}) {
        const Bytes image = picture(shape);
        CHECK(decode_image(data::encode_png(image)) ==
              (shape.rank() == 2 ? image.reshape({1, shape[0], shape[1]}) : image));
    }
}

TEST_CASE("PNG files of every kind are read") {
    for (const int interlace : {PNG_INTERLACE_NONE, PNG_INTERLACE_ADAM7}) {
        for (const int bits : {1, 2, 4, 8, 16}) {
            const unsigned most = (1u << bits) - 1;
            std::vector<unsigned> samples;
            Tensor<double> expected = Tensor<double>::uninitialized({1, 9, 11});
            for (unsigned i = 0; i < 99; ++i) {
                samples.push_back((i * 2654435761u >> 8) & most);
                expected.mutable_data()[i] = samples.back() / static_cast<double>(most);
            }
            const std::string file = libpng_file(11, 9, {PNG_COLOR_TYPE_GRAY, bits, interlace}, samples);
            const Tensor<double> image = decode_image<double>(file);
            REQUIRE(image.shape() == expected.shape());
            for (Index i = 0; i < 99; ++i) CHECK_THAT(image.data()[i], WithinAbs(expected.data()[i], 1e-12));
        }
        for (const int bits : {1, 2, 4, 8}) {
            const unsigned most = (1u << std::min(bits, 4)) - 1;
            std::vector<unsigned> samples;
            for (unsigned i = 0; i < 35; ++i) samples.push_back(i & most);
            const Bytes image =
                decode_image(libpng_file(5, 7, {PNG_COLOR_TYPE_PALETTE, bits, interlace}, samples));
            REQUIRE(image.shape() == Shape{3, 7, 5});
            for (unsigned i = 0; i < 35; ++i)
                for (unsigned c = 0; c < 3; ++c) CHECK(image.data()[c * 35 + i] == (c + 1) * (i & most));
        }
        for (const auto& [type, channels] :
             {std::pair{PNG_COLOR_TYPE_RGB, 3u}, {PNG_COLOR_TYPE_RGBA, 4u}, {PNG_COLOR_TYPE_GRAY_ALPHA, 2u}})
            for (const int bits : {8, 16}) {
                std::vector<unsigned> samples;
                for (unsigned i = 0; i < 12 * channels; ++i) samples.push_back(i * (bits == 8 ? 5 : 1285));
                const Bytes image = decode_image(libpng_file(4, 3, {type, bits, interlace}, samples));
                REQUIRE(image.shape() == Shape{static_cast<Index>(channels), 3, 4});
                for (unsigned i = 0; i < 12; ++i)
                    for (unsigned c = 0; c < channels; ++c)
                        CHECK(image.data()[c * 12 + i] == 5 * (i * channels + c));
            }
    }
    const Kind gray{PNG_COLOR_TYPE_GRAY, 8, PNG_INTERLACE_NONE};
    CHECK(decode_image(libpng_file(2, 1, gray, {5, 9}, 9)) ==
          Bytes{{{5, 9}}, {{255, 0}}});  // a transparent shade
    CHECK(decode_image(libpng_file(2, 1, gray, {5, 9}, 9), {.channels = 1}) == Bytes{{{5, 9}}});
}

TEST_CASE("damaged PNG files are refused") {
    const std::string good = data::encode_png(picture({3, 4, 5}));
    const std::string fix = "; copy or download it again",
                      cut = "the PNG file is damaged: it is cut short" + fix;
    for (std::size_t size = 8; size < good.size(); ++size) CHECK(refusal_of(good.substr(0, size)) == cut);
    CHECK(refusal_of(good + "xyz") == "extra data: 3 bytes follow the end of the PNG file");
    std::string flipped = good;
    flipped[20] = static_cast<char>(flipped[20] ^ 1);  // in the width
    CHECK(refusal_of(flipped) == "the PNG file is damaged: IHDR: CRC error" + fix);
    CHECK(refusal_of("\x89PNG\n\x1a\n") ==
          "is no PNG, PGM or PPM image: a PNG file was changed as if it were text; copy it anew");
    for (std::size_t at = 8; at < good.size(); ++at)
        for (int bit = 0; bit < 8; ++bit) {
            std::string bytes = good;
            bytes[at] = static_cast<char>(bytes[at] ^ 1 << bit);
            CHECK(refusal_of(bytes) != "accepted");
        }
}

TEST_CASE("a PNG file that promises much gets no memory") {
    const auto file = [](std::uint32_t width, std::uint32_t height) {
        return "\x89PNG\r\n\x1a\n" +
               chunk("IHDR", data::detail::big_endian(width) + data::detail::big_endian(height) +
                                 std::string("\x08\0\0\0\0", 5)) +
               chunk("IDAT", data::detail::zlib_stream("x")) + chunk("IEND", "");
    };
    CHECK(refusal_of(file(60000, 60000)) ==
          "the header promises 60000 x 60000 pixels, more than 1073741824 bytes; if that is right, raise "
          "ImageOptions::max_bytes");
    CHECK(refusal_of(file(0x7fffffff, 0x7fffffff)).substr(0, 19) == "the header promises");
    CHECK_THAT(refusal_of(file(30000, 30000)),
               ContainsSubstring("truncated data: 30000 x 30000 pixels are more than"));
    CHECK(refusal_of(file(0, 1)) == "the PNG file is damaged: Invalid IHDR data; copy or download it again");
    CHECK_THAT(refusal_of(file(20, 20)), ContainsSubstring("the PNG file is damaged: "));
}

#else

TEST_CASE("without libpng, a PNG file is refused with what to do") {
    CHECK(refusal_of(data::encode_png(picture({2, 2}))) ==
          "is a PNG file, and this program was built without libpng: link the CMake target gradus::gradus "
          "with libpng "
          "installed (apt install libpng-dev), or compile with -DGRADUS_WITH_PNG and -lpng, or convert it to "
          "PPM");
}

#endif
