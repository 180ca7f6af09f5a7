// SPDX-License-Identifier: MIT
#include "gradus/data/pnm.hpp"

#include "gradus/data/images.hpp"
#include "support/test.hpp"

using namespace gradus;
using data::decode_image;
using Bytes = Tensor<std::uint8_t>;

namespace {

std::string refusal_of(const std::string& bytes, const data::ImageOptions& options = {}) {
    try {
        decode_image(bytes, options, "a.pgm");
    } catch (const IoError& error) {
        const std::string text = error.what(), start = "decode_image: a.pgm: ";
        REQUIRE(text.substr(0, start.size()) == start);
        return text.substr(start.size());
    }
    return "accepted";
}

}  // namespace

TEST_CASE("gray and color images are read, binary and plain") {
    const Bytes gray{{{1, 2, 3}, {4, 5, 6}}};
    CHECK(decode_image(std::string("P5 3 2 255\n\1\2\3\4\5\6", 17)) == gray);
    CHECK(decode_image("P2\n3 2\n255\n1 2 3\n4 5 6\n") == gray);
    CHECK(decode_image("P2 3 2 255 1 2 3 4 5 6") == gray);
    const Bytes color{{{1, 4}}, {{2, 5}}, {{3, 6}}};
    CHECK(decode_image("P6\n2 1\n255\n\1\2\3\4\5\6") == color);
    CHECK(decode_image("P3\t2\r\n1 255 1 2 3 4 5 6") == color);
}

TEST_CASE("comments stand anywhere in the header") {
    CHECK(decode_image("P5 # made by hand\n# 7 7\n1#\n1\n#\n255\nx") == Bytes{{{'x'}}});
    CHECK(decode_image("P2 1 2 255\n1 # the first\n2 # the last") == Bytes{{{1}, {2}}});
    CHECK(decode_image("P5 1 1 255\n#") == Bytes{{{'#'}}});  // a sample, no comment
}

TEST_CASE("other highest values are scaled, and large ones have two bytes") {
    CHECK(decode_image("P2 4 1 3 0 1 2 3") == Bytes{{{0, 85, 170, 255}}});
    CHECK(decode_image<double>("P2 4 1 3 0 1 2 3") == Tensor<double>{{{0, 1 / 3.0, 2 / 3.0, 1}}});
    CHECK(decode_image(std::string("P5 2 1 65535\n\xff\xff\x80\0", 17)) == Bytes{{{255, 128}}});
    CHECK(decode_image<float>(std::string("P5 1 1 256\n\1\0", 13)) == Tensor<>{{{1}}});
    CHECK(decode_image("P2 1 1 65535 65535") == Bytes{{{255}}});
}

TEST_CASE("gray becomes color and color gray") {
    CHECK(decode_image("P2 1 1 255 7", {.channels = 3}) == Bytes{{{7}}, {{7}}, {{7}}});
    CHECK(decode_image("P2 1 1 255 7", {.channels = 4}) == Bytes{{{7}}, {{7}}, {{7}}, {{255}}});
    CHECK(decode_image("P3 1 1 255 10 20 30", {.channels = 1}) == Bytes{{{18}}});  // 0.299, 0.587, 0.114
    CHECK_THROWS_MATCHES(decode_image("P2 1 1 255 7", {.channels = 5}), ValueError,
                         Message("decode_image: channels are 1 to 4, or 0 for those of the file: got 5"));
}

TEST_CASE("damaged PGM and PPM files are refused") {
    CHECK(refusal_of("P5") == "is no PNG, PGM or PPM image");
    CHECK(refusal_of("P5 ") == "truncated: it ends before the width");
    CHECK(refusal_of("P5 1 # 1 255\n") == "truncated: it ends before the height");
    CHECK(refusal_of("P5 1 1") == "truncated: it ends before the highest value");
    CHECK(refusal_of("P5 1 1 255") == "truncated header: no space ends it");
    CHECK(refusal_of("P5 2 1 255\nx") == "truncated data: 2 x 1 pixels need 2 bytes: got 1");
    CHECK(refusal_of("P5 2 1 256\nxxx") == "truncated data: 2 x 1 pixels need 4 bytes: got 3");
    CHECK(refusal_of("P5 2 1 255\nxyz") == "extra data: 2 x 1 pixels need 2 bytes: got 3");
    CHECK(refusal_of("P2 2 1 255  11") == "truncated: it ends before a sample");
    CHECK(refusal_of("P2 2 1 255 1") == "truncated data: 2 x 1 pixels need 4 bytes: got 2");
    CHECK(refusal_of("P2 1 1 255 1 2") == "extra data: text follows the last sample");
    CHECK(refusal_of("P2 1 1 7 8") == "a sample is larger than the highest value 7: got 8 at index 0");
    CHECK(refusal_of("P5 1 1 7\n\x9") == "a sample is larger than the highest value 7: got 9 at index 0");
    CHECK(refusal_of("P2 1 1 255 -1") == "a sample is no number: got byte 2d");
    CHECK(refusal_of("P5 1.5 1 255\nx") == "the width is no number: got byte 2e");
    CHECK(refusal_of("P5 0 1 255\n") == "is empty: got 0 x 1 pixels");
    CHECK(refusal_of("P5 1 1 0\nx") == "the highest value is 1 to 65535: got 0");
    CHECK(refusal_of("P5 1 1 65536\nx") == "the highest value is 1 to 65535: got 65536");
    CHECK(refusal_of("P4 8 1\nx") == "is a PBM file (P4); PGM and PPM are read (P2, P3, P5, P6)");
    CHECK(refusal_of("P7\n") == "is a PAM file (P7); PGM and PPM are read (P2, P3, P5, P6)");
}

TEST_CASE("a header that promises much gets no memory") {
    CHECK(refusal_of("P5 30000 30000 255\nx") ==
          "truncated data: 30000 x 30000 pixels need 900000000 bytes: got 1");
    const std::string limit =
        " pixels, more than 1073741824 bytes; if that is right, raise ImageOptions::max_bytes";
    CHECK(refusal_of("P5 65536 65536 255\nx") == "the header promises 65536 x 65536" + limit);
    CHECK(refusal_of("P5 99999999999999999999999 99999999999999999999999 255\nx").find(limit) !=
          std::string::npos);
    CHECK(refusal_of("P5 2 1 255\nxy", {.max_bytes = 1}) ==
          "the header promises 2 x 1 pixels, more than 1 bytes; if that is right, raise "
          "ImageOptions::max_bytes");
}

TEST_CASE("what encode_pnm writes is read again") {
    const Bytes gray{{1, 2}, {3, 4}}, color{{{1, 2}}, {{3, 4}}, {{5, 6}}};
    CHECK(data::encode_pnm(gray) == "P5\n2 2\n255\n\1\2\3\4");
    CHECK(decode_image(data::encode_pnm(gray)) == gray.reshape({1, 2, 2}));
    CHECK(decode_image(data::encode_pnm(color)) == color);
    CHECK_THROWS_MATCHES(data::encode_pnm(Bytes{1, 2}), ShapeError,
                         Message("encode_pnm: an image is [height, width], [1, height, width] or [3, height, "
                                 "width]: got [2]"));
    CHECK_THROWS_AS(data::encode_pnm(zeros<std::uint8_t>({2, 1, 1})), ShapeError);
}

TEST_CASE("no PGM file cut short or with a byte changed does worse than being refused") {
    for (const std::string& good :
         {std::string("P2 3 1 9 1 2 3"), std::string("P6 #\n1 1 300\n\1\1\1\1\1\1")}) {
        for (std::size_t size = 0; size < good.size(); ++size) refusal_of(good.substr(0, size));
        for (std::size_t at = 0; at < good.size(); ++at)
            for (int byte = 0; byte < 256; ++byte) {
                std::string changed = good;
                changed[at] = static_cast<char>(byte);
                refusal_of(changed);
            }
    }
}
