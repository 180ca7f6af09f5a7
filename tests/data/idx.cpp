// SPDX-License-Identifier: MIT
#include "gradus/data/idx.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include "files.hpp"
#include "support/test.hpp"

using namespace gradus;
using data::read_idx;

namespace {

const std::string six = idx_header({2, 3}) + "abcdef";

/// The text of the IoError that reading this file gives, without its beginning "read_idx: PATH: ".
std::string refusal(const std::string& path, const data::IdxOptions& options = {}) {
    try {
        read_idx(path, options);
    } catch (const IoError& error) {
        const std::string text = error.what(), start = "read_idx: " + path + ": ";
        REQUIRE(text.substr(0, start.size()) == start);
        return text.substr(start.size());
    }
    return "accepted";
}

std::string refusal_of(const std::string& bytes, const data::IdxOptions& options = {}) {
    const TemporaryFolder folder;
    return refusal(folder.write("file", bytes), options);
}

void check_six(const Tensor<std::uint8_t>& x) {
    CHECK(x.shape() == Shape{2, 3});
    CHECK(std::string(x.begin(), x.end()) == "abcdef");
}

}  // namespace

TEST_CASE("read_idx gives the file's shape and bytes") {
    const TemporaryFolder folder;
    check_six(read_idx(folder.write("file", six)));
    check_six(read_idx(folder.write("name.gz", six)));  // the contents count, not the name
    CHECK(read_idx(folder.write("one", idx_header({1}) + "x")).shape() == Shape{1});
    const auto deep = read_idx(folder.write("deep", idx_header({1, 2, 1, 2, 1, 2, 1, 1}) + "12345678"));
    CHECK(deep.shape() == Shape{1, 2, 1, 2, 1, 2, 1, 1});
    CHECK(deep(0, 1, 0, 1, 0, 1, 0, 0) == '8');
}

TEST_CASE("read_idx refuses a header that is cut short") {
    CHECK(refusal_of("") == "truncated header: needs 4 bytes: got 0");
    CHECK(refusal_of(std::string("\0\0\x08", 3)) == "truncated header: needs 4 bytes: got 3");
    CHECK(refusal_of(std::string("\0\0\x08\x03", 4)) == "truncated header: needs 16 bytes: got 4");
    CHECK(refusal_of(idx_header({1, 1, 1}).substr(0, 15)) == "truncated header: needs 16 bytes: got 15");
    CHECK(refusal_of(idx_header({1, 1, 1})) == "truncated data: [1, 1, 1] needs 1 bytes: got at most 0");
}

TEST_CASE("read_idx refuses what is not IDX, or not bytes") {
    const auto with = [](std::size_t at, char byte) {
        std::string bytes = six;
        bytes[at] = byte;
        return refusal_of(bytes);
    };
    CHECK(with(0, 1) ==
          "is not an IDX file, which starts with 00 00 08: got 01 00 08; was it downloaded whole?");
    CHECK(with(1, '\xff') ==
          "is not an IDX file, which starts with 00 00 08: got 00 ff 08; was it downloaded whole?");
    CHECK(refusal_of("<!DOCTYPE html>") ==
          "is not an IDX file, which starts with 00 00 08: got 3c 21 44; was it downloaded whole?");
    CHECK(refusal_of(std::string("\x02\x08\0\0\x02\0\0\0\x03\0\0\0abcdef", 18)) ==
          "is not an IDX file, which starts with 00 00 08: got 02 08 00; the numbers of its header are "
          "little-endian, not big-endian");
    CHECK(with(2, 0x07) == "holds no known type (type 07); only unsigned bytes (type 08) are read");
    CHECK(with(2, 0x09) == "holds signed bytes (type 09); only unsigned bytes (type 08) are read");
    CHECK(with(2, 0x0b) == "holds 16-bit integers (type 0b); only unsigned bytes (type 08) are read");
    CHECK(with(2, 0x0c) == "holds 32-bit integers (type 0c); only unsigned bytes (type 08) are read");
    CHECK(with(2, 0x0d) == "holds floats (type 0d); only unsigned bytes (type 08) are read");
    CHECK(with(2, 0x0e) == "holds doubles (type 0e); only unsigned bytes (type 08) are read");
    CHECK(with(3, 0) == "has 0 axes; 1 to 8 are read");
    CHECK(with(3, 9) == "has 9 axes; 1 to 8 are read");
    CHECK(with(3, '\xff') == "has 255 axes; 1 to 8 are read");
}

TEST_CASE("read_idx refuses sizes that are zero or multiply to too much") {
    const std::string too_much =
        "the header promises more than 4294967296 bytes; if that is right, raise IdxOptions::max_bytes";
    CHECK(refusal_of(idx_header({0xffffffff, 0xffffffff, 0xffffffff}) + "x") == too_much);
    CHECK(refusal_of(idx_header({65536, 65536, 65536, 65536}) + "x") == too_much);  // 2^64 wraps to 0
    CHECK(refusal_of(idx_header({65536, 65536, 1}) + "x") ==
          "truncated data: [65536, 65536, 1] needs 4294967296 bytes: got at most 1");
    CHECK(refusal_of(idx_header({0xffffffff, 0xffffffff, 0xffffffff}), {.max_bytes = ~std::uint64_t{0}}) ==
          "the header promises more than 72057594037927936 bytes; if that is right, raise "
          "IdxOptions::max_bytes");
    CHECK(refusal_of(six, {.max_bytes = 5}) ==
          "the header promises more than 5 bytes; if that is right, raise IdxOptions::max_bytes");
    CHECK(refusal_of(six, {.max_bytes = 6}) == "accepted");
    CHECK(refusal_of(idx_header({0})) == "is empty: got size 0 at axis 0");
    CHECK(refusal_of(idx_header({3, 0, 0xffffffff})) == "is empty: got size 0 at axis 1");
}

TEST_CASE("read_idx refuses one byte too few and one too many") {
    CHECK(refusal_of(six.substr(0, six.size() - 1)) == "truncated data: [2, 3] needs 6 bytes: got at most 5");
    CHECK(refusal_of(six + "g") == "extra data: [2, 3] needs 6 bytes: got more");
}

TEST_CASE("read_idx refuses what is no readable file, and does not wait for a pipe") {
    const TemporaryFolder folder;
    CHECK(refusal(folder / "absent") == "cannot be opened: No such file or directory; check the path");
    CHECK(refusal("") == "cannot be opened: No such file or directory; check the path");
    CHECK(refusal(folder.write("file", six) + "/below") ==
          "cannot be opened: Not a directory; check the path");
    CHECK(refusal(std::string(5000, 'x')) == "cannot be opened: File name too long");
    CHECK(refusal(folder.path()) == "is a directory; name a file inside it");
    REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
    CHECK(refusal(folder / "pipe") == "is a pipe, socket or device; copy what it holds into a file first");
    CHECK(refusal("/dev/null") == "is a pipe, socket or device; copy what it holds into a file first");
    REQUIRE(::symlink("circle", (folder / "circle").c_str()) == 0);
    CHECK(refusal(folder / "circle") ==
          "cannot be opened: Too many levels of symbolic links; a symbolic link leads back to itself");
    REQUIRE(::symlink("file", (folder / "link").c_str()) == 0);
    check_six(read_idx(folder / "link"));
    ::chmod(folder.write("closed", six).c_str(), 0);
    const bool root = ::geteuid() == 0;  // who may read everything
    constexpr ::uid_t nobody = 65534;
    if (!root || ::seteuid(nobody) == 0) {
        CHECK(refusal(folder / "closed") ==
              "cannot be opened: Permission denied; check the permissions of the file and its folders");
        if (root) REQUIRE(::seteuid(0) == 0);
    }
}

TEST_CASE("no header, flipped or cut anywhere, is read as something else") {
    for (std::size_t at = 0; at < 12; ++at)
        for (int bit = 0; bit < 8; ++bit) {
            std::string bytes = six;
            bytes[at] = static_cast<char>(bytes[at] ^ 1 << bit);
            CHECK(refusal_of(bytes) != "accepted");
        }
    for (std::size_t size = 0; size < six.size(); ++size)
        CHECK(refusal_of(six.substr(0, size)) != "accepted");
}

#ifdef GRADUS_WITH_ZLIB

TEST_CASE("read_idx unpacks gzip, whatever the file is called") {
    const TemporaryFolder folder;
    check_six(read_idx(folder.write("file.gz", gzip(six))));
    check_six(read_idx(folder.write("file", gzip(six))));
    const std::string large =
        idx_header({300000}) + std::string(300000, 'x');  // several fills of every buffer
    CHECK(read_idx(folder.write("large", gzip(large))).numel() == 300000);
}

TEST_CASE("read_idx joins the members of a gzip file and refuses anything else behind them") {
    CHECK(refusal_of(gzip(six.substr(0, 7)) + gzip(six.substr(7))) == "accepted");
    CHECK(refusal_of(gzip(six) + gzip("")) == "accepted");  // as bgzip ends its files
    CHECK(refusal_of(gzip(six) + gzip("x")) == "extra data: [2, 3] needs 6 bytes: got more");
    CHECK(refusal_of(gzip(six) + gzip(six)) == "extra data: [2, 3] needs 6 bytes: got more");
    const std::string behind = "bytes follow the end of the gzip stream; copy or download the file again";
    CHECK(refusal_of(gzip(six) + "garbage") == behind);
    CHECK(refusal_of(gzip(six) + std::string(3, '\0')) == behind);
    CHECK(refusal_of(gzip(six) + "\x1f") == "the gzip stream is cut short; copy or download the file again");
}

TEST_CASE("read_idx refuses damaged gzip") {
    const std::string good = gzip(six);
    const auto with_flip = [&](std::size_t from_end) {
        std::string bytes = good;
        char& byte = bytes[bytes.size() - from_end];
        byte = static_cast<char>(byte ^ 1);
        return refusal_of(bytes);
    };
    CHECK(with_flip(8) ==
          "the gzip stream is damaged: incorrect data check; copy or download the file again");
    CHECK(with_flip(1) ==
          "the gzip stream is damaged: incorrect length check; copy or download the file again");
    CHECK(refusal_of("\x1f\x8b") == "the gzip stream is cut short; copy or download the file again");
    CHECK(refusal_of("\x1f\x8b garbage") ==
          "the gzip stream is damaged: unknown compression method; copy or download the file again");
    CHECK(refusal_of(gzip("")) == "truncated header: needs 4 bytes: got 0");
    CHECK(refusal_of(gzip(six.substr(0, 10))) == "truncated header: needs 12 bytes: got 10");
    CHECK(refusal_of(gzip(six.substr(0, 17))) == "truncated data: [2, 3] needs 6 bytes: got at most 5");
    CHECK(refusal_of(gzip(six + "g")) == "extra data: [2, 3] needs 6 bytes: got more");
    CHECK(refusal_of(gzip(gzip(six))) ==
          "is not an IDX file, which starts with 00 00 08: got 1f 8b 08; was it downloaded whole?");
    for (std::size_t size = 2; size < good.size(); ++size)
        CHECK(refusal_of(good.substr(0, size)) ==
              "the gzip stream is cut short; copy or download the file again");
}

TEST_CASE("a gzip file with any bit flipped is refused or gives the same bytes") {
    const TemporaryFolder folder;
    const std::string good = gzip(six);
    for (std::size_t at = 0; at < good.size(); ++at)
        for (int bit = 0; bit < 8; ++bit) {
            std::string bytes = good;
            bytes[at] = static_cast<char>(bytes[at] ^ 1 << bit);
            const std::string path = folder.write("file", bytes);
            if (refusal(path) == "accepted") check_six(read_idx(path));
        }
}

TEST_CASE("a gzip bomb is neither unpacked nor given memory") {
    const std::string megabytes(std::size_t{64} << 20, '\0');
    CHECK(refusal_of(gzip(idx_header({1, 2}) + megabytes)) == "extra data: [1, 2] needs 2 bytes: got more");
    const std::string huge = gzip(idx_header({65535, 65535}) + "x");  // promises all but 4 GiB
    CHECK(refusal_of(huge) == "truncated data: [65535, 65535] needs 4294836225 bytes: got at most " +
                                  std::to_string(huge.size() * 1032 - 12));
    CHECK(refusal_of(gzip(idx_header({1024, 65536}) + megabytes), {.max_bytes = 1000}) ==
          "the header promises more than 1000 bytes; if that is right, raise IdxOptions::max_bytes");
}

#else

TEST_CASE("without zlib, a gzip file is refused with what to do") {
    CHECK(refusal_of("\x1f\x8b\x08") ==
          "is compressed, and this program was built without zlib: gunzip the file, or link the CMake target "
          "gradus::gradus with zlib installed, or compile with -DGRADUS_WITH_ZLIB and -lz");
}

#endif
