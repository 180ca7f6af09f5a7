// SPDX-License-Identifier: MIT
#include "gradus/data/images.hpp"

#include "files.hpp"
#include "gradus/data/resize.hpp"
#include "support/test.hpp"

using namespace gradus;
using Bytes = Tensor<std::uint8_t>;

TEST_CASE("images are read by their contents and written by their names") {
    const TemporaryFolder folder;
    const Bytes gray{{{1, 2}, {3, 255}}}, color{{{1}}, {{2}}, {{3}}};
    data::write_image(folder / "a.pgm", gray);
    data::write_image(folder / "b.ppm", color);
    data::write_image(folder / "c.png", color);
    CHECK(data::read_image(folder / "a.pgm") == gray);
    CHECK(data::read_image(folder.write("a.jpg", content(folder / "a.pgm"))) == gray);
    CHECK(data::read_image<float>(folder / "a.pgm")(0, 1, 1) == 1.0f);
    CHECK(data::read_image(folder / "b.ppm") == color);
    CHECK(content(folder / "c.png") == data::encode_png(color));
    CHECK_THROWS_MATCHES(data::write_image("a.jpg", color), ValueError,
                         Message("write_image: a.jpg: the name must end with .png, .pgm or .ppm"));
    CHECK_THROWS_MATCHES(
        data::write_image(folder / "absent/a.png", color), IoError,
        Message("write_image: " + (folder / "absent/a.png") + ": cannot write: No such file or directory"));
}

TEST_CASE("what is no image is refused with what it is") {
    const TemporaryFolder folder;
    const auto refusal = [&](const std::string& bytes) -> std::string {
        const std::string path = folder.write("a", bytes), start = "read_image: " + path + ": ";
        try {
            data::read_image(path);
        } catch (const IoError& error) {
            const std::string text = error.what();
            REQUIRE(text.substr(0, start.size()) == start);
            return text.substr(start.size());
        }
        return "accepted";
    };
    CHECK(refusal("") == "is empty; was it written whole?");
    CHECK(refusal("hello") == "is no PNG, PGM or PPM image");
    CHECK(refusal("\xff\xd8\xff\xe0") == "is no PNG, PGM or PPM image but JPEG; convert it");
    CHECK(refusal("GIF89a") == "is no PNG, PGM or PPM image but GIF; convert it");
    CHECK(refusal("RIFF....WEBP") == "is no PNG, PGM or PPM image but WebP; convert it");
    CHECK(refusal("BM......") == "is no PNG, PGM or PPM image but BMP; convert it");
    CHECK_THROWS_MATCHES(data::read_image(folder / "absent"), IoError,
                         Message("read_image: " + (folder / "absent") +
                                 ": cannot be opened: No such file or directory; check the path"));
    CHECK_THROWS_MATCHES(data::read_image(folder.path()), IoError,
                         Message("read_image: " + folder.path() + ": is a directory; name a file inside it"));
}
