// SPDX-License-Identifier: MIT
#include "gradus/io/zip.hpp"

#include "archives.hpp"
#include "gradus/io/zip_source.hpp"
#include "gradus/io/zip_writer.hpp"
#include "support/memory_file.hpp"
#include "support/test.hpp"

using namespace gradus;
using io::detail::ZipFile;
using io::detail::ZipSource;

namespace {

std::string read_member(ZipFile& archive, const std::string& name, const io::UnpackOptions& options = {}) {
    const auto* member = archive.find(name);
    REQUIRE(member);
    return ZipSource(archive, *member, options).read_all();
}

/// Opens an archive and reads all members; the text of the error, or "accepted".
std::string refusal_of(const std::string& bytes, const io::UnpackOptions& options = {}) {
    const std::string path = MemoryFile(bytes).path();
    return refusal_without("zip: " + path + ": ", [&] {
        ZipFile archive("zip", path);
        for (const auto& member : archive.members()) ZipSource(archive, member, options).read_all();
    });
}
std::string refusal_of(const TestArchive& archive) { return refusal_of(archive.bytes()); }

const TestMember a{.name = "a", .bytes = "first"}, b{.name = "b", .bytes = std::string(300, 'x')};
const std::string again = "; copy or download the file again";

}  // namespace

TEST_CASE("zip: members are found by name and read whole") {
    const TemporaryFolder folder;
    for (const bool zip64 : {false, true})
        for (const bool sizes_follow : {false, true})
            for (const char* comment : {"", "a comment with PK\5\6 and more than twenty-two letters in it"}) {
                TestArchive archive{
                    .members = {a, b, {.name = "empty", .bytes = ""}}, .comment = comment, .zip64 = zip64};
                for (TestMember& member : archive.members) {
                    member.zip64 = zip64;
                    member.sizes_follow = sizes_follow;
                }
                ZipFile file("zip", folder.write("file", archive.bytes()));
                CHECK(file.members().size() == 3);
                CHECK(read_member(file, "b") == b.bytes);
                CHECK(read_member(file, "a") == "first");
                CHECK(read_member(file, "empty").empty());
                CHECK_FALSE(file.find("c"));
                CHECK_FALSE(file.find(""));
            }
    CHECK(ZipFile("zip", folder.write("file", TestArchive{}.bytes())).members().empty());
}

TEST_CASE("zip: what is no whole archive is refused") {
    const std::string good = TestArchive{.members = {a, b}}.bytes();
    CHECK(refusal_of("") == "is not a zip archive, which starts with PK: it is too short");
    CHECK(refusal_of("PK") == "is not a zip archive, which starts with PK: it is too short");
    CHECK(refusal_of("\x93NUMPY") == "is not a zip archive, which starts with PK");
    CHECK(refusal_of(good.substr(0, good.size() - 1)) ==
          "the zip archive is cut short: it has no end record" + again);
    CHECK(refusal_of(good + "x") == "the zip archive is cut short: it has no end record" + again);
    CHECK(refusal_of("PK\3\4") == "the zip archive is cut short: it has no end record" + again);
    CHECK(refusal_of(std::string("PK\5\6\x14PK", 7)) ==
          "the zip archive is cut short: it has no end record" + again);
    CHECK(refusal_of({.members = {a}, .disk = 1}) ==
          "is one part of a zip archive in several; join them first");
}

TEST_CASE("zip: a directory that is elsewhere, too short or too long is refused") {
    const std::string elsewhere = "the directory of the zip archive is not where its end record says" + again;
    CHECK(refusal_of({.members = {a}, .directory_shift = 1}) == elsewhere);
    CHECK(refusal_of({.members = {a}, .directory_shift = -1}) == elsewhere);
    CHECK(refusal_of({.members = {a}, .directory_shift = 1ll << 40}) == "accepted");  // 32 bits are kept
    CHECK(refusal_of({.members = {a}, .zip64 = true, .directory_shift = 1ll << 40}) == elsewhere);
    CHECK(refusal_of({.members = {a}, .between = "x"}) == elsewhere);
    CHECK(refusal_of({.members = {a}, .entries_more = 1}) ==
          "the zip archive promises 2 members in a directory of 47 bytes" + again);
    CHECK(refusal_of({.members = {a}, .zip64 = true, .entries_more = 1ll << 62}) ==
          "the zip archive promises 4611686018427387905 members in a directory of 47 bytes" + again);
    CHECK(refusal_of({.members = {a, b}, .entries_more = -1}) ==
          "47 bytes follow the last entry of the zip archive's directory" + again);
    std::string bytes = TestArchive{.members = {a}}.bytes();
    bytes[bytes.rfind("PK\1\2")] = 'x';
    CHECK(refusal_of(bytes) == "entry 0 of the zip archive's directory is damaged" + again);
}

TEST_CASE("zip: names are keys, and each is there once") {
    const TemporaryFolder folder;
    ZipFile file(
        "zip", folder.write("file", TestArchive{.members = {{.name = "../../etc/x", .bytes = "y"}}}.bytes()));
    CHECK(read_member(file, "../../etc/x") == "y");
    CHECK(refusal_of({.members = {a, b, a}}) == "\"a\": is there twice; which one is meant?");
    CHECK(refusal_of({.members = {{.name = "", .bytes = "x"}}}) == "the name of member 0 is empty");
    CHECK(refusal_of({.members = {a, {.name = std::string("a\0b", 3), .bytes = "x"}}}) ==
          "the name of member 1 is no text: it has a zero byte");
    CHECK(refusal_of({.members = {{.name = std::string(4097, 'n'), .bytes = "x"}}}) ==
          "the name of member 0 is longer than 4096 bytes");
    CHECK(refusal_of({.members = {{.name = std::string(4096, 'n'), .bytes = "x"}}}) == "accepted");
}

TEST_CASE("zip: encryption and other packing are refused by name") {
    const auto with = [](int method, int flags) {
        TestMember member = a;
        member.method = method;
        member.flags = flags;
        return refusal_of({.members = {member}});
    };
    CHECK(with(0, 1) == "\"a\": is encrypted; unpack it and pack it without a password");
    CHECK(with(12, 0) == "\"a\": is packed by method 12; stored (0) and deflated (8) are read");
    CHECK(with(0, 1 << 11) == "accepted");  // the name is UTF-8
}

TEST_CASE("zip: sizes that lie are refused before memory is taken") {
    const auto with = [](std::uint64_t size, std::uint64_t packed, int method = 0) {
        TestMember member = b;
        member.size = size;
        member.packed = packed;
        member.method = method;
        member.zip64 = true;
        return refusal_of({.members = {a, member}});
    };
    CHECK(with(301, 301) == "\"b\": its bytes overlap what follows" + again);
    CHECK(with(~0ull - 1, ~0ull - 1) == "\"b\": its bytes overlap what follows" + again);
    CHECK(with(1ull << 62, 300) ==
          "\"b\": is stored as it is, and yet 4611686018427387904 bytes are said to be 300" + again);
    CHECK(with(1ull << 40, 300, 8) == "\"b\": 300 bytes cannot unpack to 1099511627776" + again);
    // Two members that are the same bytes: a bomb that needs no packing.
    TestArchive twice{.members = {a, b}};
    std::string bytes = twice.bytes();
    const std::size_t second = bytes.rfind("PK\1\2");
    bytes.replace(second + 42, 4, le(0, 4));
    CHECK(refusal_of(bytes) == "\"a\": its bytes overlap what follows" + again);
}

TEST_CASE("zip: damaged bytes and local headers are refused") {
    std::string bytes = TestArchive{.members = {a, b}}.bytes();
    bytes[bytes.find("first")] = 'F';
    CHECK(refusal_of(bytes) == "\"a\": is damaged: its check (CRC-32) differs" + again);
    TestMember other = a;
    other.local_name = "x";
    CHECK(refusal_of({.members = {other}}) ==
          "\"a\": its header differs from the archive's directory" + again);
    bytes = TestArchive{.members = {a, b}}.bytes();
    bytes[bytes.rfind("PK\3\4") + 3] = 5;
    CHECK(refusal_of(bytes) == "\"b\": its header is damaged" + again);
    for (const std::size_t at : {8u, 14u, 18u, 22u}) {  // method, check, sizes
        bytes = TestArchive{.members = {a, b}}.bytes();
        bytes[at] = static_cast<char>(bytes[at] + 1);
        CHECK(refusal_of(bytes) == "\"a\": its header differs from the archive's directory" + again);
    }
}

TEST_CASE("zip: no archive, flipped or cut anywhere, gives other bytes") {
    const std::string good = TestArchive{.members = {a, {.name = "b", .bytes = "second"}}}.bytes();
    const auto content_of = [&](const std::string& bytes) -> std::string {
        try {
            ZipFile file("zip", MemoryFile(bytes).path());
            std::string all;
            for (const auto& member : file.members())
                all += member.name + "=" + ZipSource(file, member, {}).read_all() + ";";
            return all;
        } catch (const IoError&) {
            return "";
        }
    };
    const std::string right = "a=first;b=second;";
    REQUIRE(content_of(good) == right);
    for (std::size_t size = 0; size < good.size(); ++size) CHECK(content_of(good.substr(0, size)).empty());
    for (std::size_t at = 0; at < good.size(); ++at)
        for (const int bit : {0, 3, 7}) {
            std::string bytes = good;
            bytes[at] = static_cast<char>(bytes[at] ^ 1 << bit);
            const std::string got = content_of(bytes);
            const bool same = got.empty() || got == right;  // dates and versions do not matter
            CHECK(same);
        }
}

TEST_CASE("zip: what the writer writes is read") {
    const TemporaryFolder folder;
    io::detail::ZipWriter writer;
    writer.add("a", {"one", "two"});
    writer.add("empty", {});
    writer.write(folder / "file", {});
    ZipFile file("zip", folder / "file");
    CHECK(read_member(file, "a") == "onetwo");
    CHECK(read_member(file, "empty").empty());
    CHECK(file.members().size() == 2);

    io::detail::ZipWriter many;  // more than 16 bits count
    for (int i = 0; i < 65536; ++i) many.add(std::to_string(i), {"x"});
    many.write(folder / "many", {});
    ZipFile large("zip", folder / "many");
    CHECK(large.members().size() == 65536);
    CHECK(read_member(large, "65535") == "x");
}

#ifdef GRADUS_WITH_ZLIB

TEST_CASE("zip: deflated members") {
    const TemporaryFolder folder;
    const std::string text(200000, 'z');
    ZipFile file(
        "zip",
        folder.write("file", TestArchive{.members = {deflated("z", text), deflated("e", ""), a}}.bytes()));
    CHECK(read_member(file, "z") == text);
    CHECK(read_member(file, "e").empty());
    CHECK(read_member(file, "a") == "first");
    ZipSource parts(file, *file.find("z"), {});
    std::string in_parts(text.size(), '\0');
    for (std::size_t at = 0; at < text.size(); at += 777) parts.read(&in_parts[at], 777);
    CHECK(in_parts == text);
    CHECK(parts.remaining() == 0);
}

TEST_CASE("zip: deflated members that lie or are damaged are refused") {
    const std::string text(200000, 'z');
    const TestMember good = deflated("z", text);
    const auto refused = [&](auto&& change) {
        TestMember member = good;
        change(member);
        return refusal_of({.members = {member}});
    };
    CHECK(refused([](TestMember&) {}) == "accepted");
    CHECK(refused([](TestMember& m) { m.size -= 1; }) ==
          "\"z\": unpacks to more than the 199999 bytes that the archive promises" + again);
    CHECK(refused([](TestMember& m) { m.size += 1; }) ==
          "\"z\": unpacks to less than the 200001 bytes that the archive promises" + again);
    CHECK(refused([](TestMember& m) { m.bytes.resize(m.bytes.size() - 5); }) ==
          "\"z\": its compressed stream is cut short" + again);
    CHECK(refused([](TestMember& m) { m.bytes += "tail"; }) ==
          "\"z\": bytes follow its compressed stream" + again);
    CHECK(refused([](TestMember& m) { m.bytes = std::string(400, '\xff'); }) ==
          "\"z\": its compressed stream is damaged: invalid block type" + again);
    CHECK(refused([](TestMember& m) { m.crc ^= 1; }) ==
          "\"z\": is damaged: its check (CRC-32) differs" + again);
    CHECK(refusal_of(TestArchive{.members = {good}}.bytes(), {.max_bytes = 199999}) ==
          "\"z\": unpacks to 200000 bytes; if that is right, raise UnpackOptions::max_bytes");
}

#else

TEST_CASE("zip: deflated members need zlib") {
    TestMember member = a;
    member.method = 8;
    CHECK(refusal_of({.members = {member}}) ==
          "\"a\": is compressed, and this program was built without zlib: write the file uncompressed "
          "(numpy.savez), or link the CMake target gradus::gradus with zlib installed, or compile with "
          "-DGRADUS_WITH_ZLIB and -lz");
}

#endif
