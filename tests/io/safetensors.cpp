// SPDX-License-Identifier: MIT
// Files that are right; others are in lies.cpp.
#include "gradus/io/safetensors.hpp"

#include <cmath>
#include <limits>

#include "data/files.hpp"
#include "support/test.hpp"

using namespace gradus;
using io::NamedTensor;

namespace {

const std::string folder_of_this = std::string(__FILE__).substr(0, std::string(__FILE__).rfind('/') + 1);

template <class T>
Tensor<T> list(const std::vector<T>& values) {
    return Tensor<T>({static_cast<Index>(values.size())}, values);
}

/// What reference.py writes.
std::vector<NamedTensor> reference() {
    const float infinity = std::numeric_limits<float>::infinity();
    return {
        {"w", Tensor<>{{1.5f, -2, infinity}, {-infinity, 1e-40f, -0.0f}}},
        {"fc.bias", Tensor<double>{0.1, 0.2}},
        {"fc.weight", Tensor<double>{{0.1}, {1e300}}},
        {"half", io::AnyTensor(Tensor<>{1.5f, 65504, 1e5f, 6e-8f, -0.1f}).as<half>()},
        {"bf", io::AnyTensor(Tensor<>{1.5f, 3e38f, -0.1f}).as<bfloat16>()},
        {"scalar", full<Index>({}, -7)},
        {"count", Tensor<Index>{(Index{1} << 53) + 1}},
        {"i32", list<std::int32_t>({std::numeric_limits<std::int32_t>::min(), 2147483647})},
        {"i16", list<std::int16_t>({-32768, 32767})},
        {"i8", list<std::int8_t>({-128, 127})},
        {"u8", list<std::uint8_t>({0, 255})},
        {"u16", list<std::uint16_t>({65535})},
        {"u32", list<std::uint32_t>({4294967295u})},
        {"u64", list<std::uint64_t>({~std::uint64_t{0}})},
        {"mask", Tensor<bool>{{true, false, true}}},
        {"empty", zeros({0, 3})},
        {"zéro \"\\\n\x01\x7f", zeros({1})},
    };
}

bool same(const io::AnyTensor& a, const io::AnyTensor& b) {
    return a.dtype() == b.dtype() && a.shape() == b.shape() &&
           std::equal(a.bytes().begin(), a.bytes().end(), b.bytes().begin(), b.bytes().end());
}

std::string refusal(const std::vector<NamedTensor>& tensors, const io::Metadata& metadata = {}) {
    const TemporaryFolder folder;
    const std::string path = folder / "x", start = "write_safetensors: " + path + ": ";
    try {
        io::write_safetensors(path, tensors, metadata);
    } catch (const ValueError& error) {
        CHECK_THROWS_AS(content(path), std::runtime_error);  // there is no file
        const std::string text = error.what();
        REQUIRE(text.substr(0, start.size()) == start);
        return text.substr(start.size());
    }
    return "no refusal";
}

}  // namespace

TEST_CASE("safetensors: the same bytes as the format's own library writes") {
    const TemporaryFolder folder;
    const std::string path = folder / "x.safetensors";
    io::write_safetensors(path, reference(), {{"format", "pt"}});
    CHECK(content(path) == content(folder_of_this + "reference.safetensors"));
}

TEST_CASE("safetensors: reads what the format's own library writes") {
    const io::SafetensorsFile file(folder_of_this + "reference.safetensors");
    const auto expected = reference();
    CHECK(file.names().size() == expected.size());
    for (const auto& [name, tensor] : expected) {
        INFO(name);
        REQUIRE(file.contains(name));
        CHECK(file.dtype(name) == tensor.dtype());
        CHECK(file.shape(name) == tensor.shape());
        CHECK(same(file.read(name), tensor));
    }
    CHECK(file.metadata() == io::Metadata{{"format", "pt"}});
    CHECK_FALSE(file.contains(""));
    CHECK_FALSE(file.contains("w2"));
    CHECK_THROWS_MATCHES(
        file.read("w2"), IoError,
        Message("safetensors: " + folder_of_this +
                "reference.safetensors: has no tensor \"w2\"; names() lists those that there are"));
    CHECK(file.names().front() == "u64");  // in the order of their data
    CHECK(file.names().back() == "mask");
    CHECK(file.read("w").as<float>()(1, 1) == 1e-40f);
    CHECK(file.read("fc.weight").as<float>()(1, 0) == std::numeric_limits<float>::infinity());
}

TEST_CASE("safetensors: the order of tensors and metadata that are given does not matter, or stays") {
    const TemporaryFolder folder;
    auto tensors = reference();
    std::reverse(tensors.begin(), tensors.end());
    io::write_safetensors(folder / "x", tensors, {{"format", "pt"}});
    CHECK(content(folder / "x") == content(folder_of_this + "reference.safetensors"));

    const io::Metadata metadata{{"z", "é\"\n"}, {"a", ""}, {"", "empty"}};
    io::write_safetensors(folder / "y", {}, metadata);
    CHECK(io::SafetensorsFile(folder / "y").metadata() == metadata);
    CHECK(io::SafetensorsFile(folder / "y").names().empty());
    io::write_safetensors(folder / "z", {});
    CHECK(content(folder / "z") == std::string("\x08\0\0\0\0\0\0\0{}      ", 16));
}

TEST_CASE("safetensors: types that are only names go through as bytes") {
    const TemporaryFolder folder;
    const Tensor<std::uint8_t> bytes{1, 2, 3, 4, 5, 6, 7, 8};
    const std::vector<NamedTensor> tensors{{"f8", io::AnyTensor(io::DType::f8_e4m3, {2, 4}, bytes)},
                                           {"f4", io::AnyTensor(io::DType::f4, {16}, bytes)},
                                           {"c64", io::AnyTensor(io::DType::c64, {}, bytes)}};
    io::write_safetensors(folder / "x", tensors);
    const io::SafetensorsFile file(folder / "x");
    CHECK(file.names() == std::vector<std::string>{"c64", "f8", "f4"});
    for (const auto& [name, tensor] : tensors) CHECK(same(file.read(name), tensor));
}

TEST_CASE("safetensors: names that a file cannot have are not written") {
    const Tensor<> x{1};
    CHECK(refusal({{"a", x}, {"b", x}, {"a", Tensor<Index>{1}}}) == "two tensors have the name \"a\"");
    CHECK(refusal({{"__metadata__", x}}) ==
          "the name \"__metadata__\" is what the format calls its metadata");
    CHECK(refusal({{std::string("a\0", 2), x}}) == "the name \"a\\u0000\" has a byte 0");
    CHECK(refusal({{std::string(4097, 'a'), x}}) ==
          "the name \"" + std::string(80, 'a') + "\"... is longer than 4096 bytes");
    CHECK(refusal({{"\xff", x}}) == "the name \"\xff\" is not UTF-8");
    CHECK(refusal({{"a", x}}, {{"k", "1"}, {"k", "2"}}) == "the metadata has the key \"k\" twice");
    CHECK(refusal({{"a", x}}, {{"k", "\xff"}}) == "the metadata at \"k\" is not UTF-8");
}

TEST_CASE("safetensors: open files can be kept in a list") {
    const TemporaryFolder folder;
    std::vector<io::SafetensorsFile> files;
    for (const char* name : {"a", "b", "c"}) {
        io::write_safetensors(folder / name, std::vector<NamedTensor>{{name, Tensor<>{1, 2}}});
        files.emplace_back(folder / name);
    }
    for (std::size_t i = 0; i < 3; ++i) {
        const std::string name(1, static_cast<char>('a' + i));
        CHECK(files[i].read(name).as<float>() == Tensor<>{1, 2});
        CHECK(files[i].path() == folder / name);
    }
}

TEST_CASE("safetensors: a file that shrinks while it is open") {
    const TemporaryFolder folder;
    const std::string path = folder / "x";
    io::write_safetensors(path, std::vector<NamedTensor>{{"a", zeros({1000})}});
    const io::SafetensorsFile file(path);
    REQUIRE(::truncate(path.c_str(), 1000) == 0);
    CHECK_THROWS_MATCHES(
        file.read("a"), IoError,
        Message("safetensors: " + path + ": got shorter while it was read; is a program writing it?"));
}

TEST_CASE("safetensors: files of more than 4 GiB") {
    // Sparse: the file takes no room, and only its last tensor is read.
    const TemporaryFolder folder;
    const std::uint64_t large = (std::uint64_t{5} << 30) / 4;
    std::string header = "{\"large\":{\"dtype\":\"F32\",\"shape\":[" + std::to_string(large) +
                         "],\"data_offsets\":[0," + std::to_string(4 * large) +
                         "]},\"last\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[" +
                         std::to_string(4 * large) + "," + std::to_string(4 * large + 2) + "]}}";
    header.resize((header.size() + 7) / 8 * 8, ' ');
    std::string start(8, '\0');
    start[0] = static_cast<char>(header.size());
    const std::string path = folder.write("large", start + header);
    std::FILE* const out = std::fopen(path.c_str(), "r+b");
    REQUIRE(out);
    const bool written = ::fseeko(out, static_cast<off_t>(8 + header.size() + 4 * large), SEEK_SET) == 0 &&
                         std::fputs("\x07\x09", out) >= 0;
    REQUIRE(std::fclose(out) == 0);
    if (!written) {
        WARN("the temporary folder takes no file of 5 GiB: skipped");
        return;
    }
    const io::SafetensorsFile file(path);
    CHECK(file.shape("large") == Shape{static_cast<Index>(large)});
    CHECK(file.read("last").as<std::uint8_t>() == Tensor<std::uint8_t>{7, 9});
}
