// SPDX-License-Identifier: MIT
#include "gradus/data/image_folder.hpp"

#include <unistd.h>

#include "files.hpp"
#include "support/test.hpp"
#include "support/threads.hpp"

using namespace gradus;
using data::image_folder;

namespace {

const std::string dark = "P2 2 1 255 1 2", light = "P2 2 1 255 254 255", tall = "P2 1 3 255 7 8 9";

std::string refusal_of(const std::string& path, const data::ImageFolderOptions& options = {}) {
    try {
        image_folder(path, options);
    } catch (const IoError& error) {
        return error.what();
    }
    return "accepted";
}

}  // namespace

TEST_CASE("a folder of images by class becomes a dataset") {
    const TemporaryFolder folder;
    folder.write("dog/2.pgm", light);
    folder.write("dog/10.PGM", dark);
    folder.write("cat/deeper/a.pnm", dark);
    folder.write("cat/b.pgm", light);
    folder.write("README.txt", "beside the classes");
    folder.write(".hidden/x.txt", "");
    folder.write("cat/.thumbnails/x.txt", "");
    const auto [dataset, classes, paths] = image_folder(folder.path(), {.channels = 1});
    CHECK(classes == std::vector<std::string>{"cat", "dog"});
    CHECK(paths == std::vector<std::string>{folder / "cat/b.pgm", folder / "cat/deeper/a.pnm",
                                            folder / "dog/10.PGM", folder / "dog/2.pgm"});
    CHECK(dataset.labels == Tensor<Index>{0, 0, 1, 1});
    CHECK(dataset.inputs == Tensor<std::uint8_t>{{{{254, 255}}}, {{{1, 2}}}, {{{1, 2}}}, {{{254, 255}}}});
    CHECK(image_folder(folder.path()).dataset.inputs.shape() == Shape{4, 3, 1, 2});
    CHECK(image_folder<float>(folder.path(), {.channels = 1}).dataset.inputs(0, 0, 0, 1) == 1.0f);
    CHECK(image_folder(folder.path() + "/", {.channels = 1}).dataset.labels == dataset.labels);
    const data::ImageList list = data::list_images(folder.path());
    CHECK(list.paths == paths);
    CHECK(list.labels == dataset.labels);
}

TEST_CASE("images of unequal sizes are refused by name, or resized") {
    const TemporaryFolder folder;
    folder.write("a/1.pgm", dark);
    folder.write("a/2.pgm", tall);
    folder.write("b/3.pgm", "P2 9 9 255");
    const std::string text = "image_folder: " + (folder / "a/2.pgm") + ": is 1 x 3 pixels, and " +
                             (folder / "a/1.pgm") +
                             " is 2 x 1; set .size = {height, width} to make all alike";
    for (int threads = 1; threads <= 3; ++threads) {
        const Threads limit(threads);
        CHECK(refusal_of(folder.path()) == text);  // the first that is wrong, not the first that was found
    }
    folder.write("b/3.pgm", light);
    const auto all = image_folder(folder.path(), {.channels = 1, .size = {3, 2}});
    CHECK(all.dataset.inputs.shape() == Shape{3, 1, 3, 2});
    CHECK(all.dataset.inputs.rows(1, 2) == Tensor<std::uint8_t>{{{{7, 7}, {8, 8}, {9, 9}}}});
}

TEST_CASE("a folder that is no folder of images by class is refused") {
    const TemporaryFolder folder;
    const std::string path = folder.path();
    CHECK(refusal_of(path) ==
          "image_folder: " + path + ": holds no folders; it needs one for each class, with its images");
    CHECK(refusal_of(path + "/absent") ==
          "image_folder: " + path + "/absent: cannot be opened: No such file or directory; check the path");
    const std::string file = folder.write("file", "");
    CHECK(refusal_of(file) ==
          "image_folder: " + file +
              ": cannot be opened: Not a directory; name the folder that holds a folder for each "
              "class");
    folder.write("a/1.pgm", dark);
    const std::string notes = folder.write("a/notes.txt", "");
    CHECK(refusal_of(path) ==
          "image_folder: " + notes + ": is not called .png, .pgm or .ppm; convert it, or move it elsewhere");
    REQUIRE(::unlink(notes.c_str()) == 0);
    std::filesystem::create_directory(folder / "b");
    CHECK(refusal_of(path) == "image_folder: " + (folder / "b") + ": has no images");
    const std::string empty = folder.write("b/2.pgm", "");
    CHECK(refusal_of(path) == "read_image: " + empty + ": is empty; was it written whole?");
    folder.write("b/2.pgm", light);
    CHECK(refusal_of(path, {.max_bytes = 11}) == "image_folder: " + path +
                                                     ": 2 images of [3, 1, 2] are more than 11 bytes; set "
                                                     ".size to make them smaller, or raise .max_bytes");
    CHECK(refusal_of(path, {.max_bytes = 12}) == "accepted");
    CHECK_THROWS_MATCHES(
        image_folder(path, {.channels = 0}), ValueError,
        Message("image_folder: all images need equally many channels: set 1, 3 or 4: got 0"));
}
