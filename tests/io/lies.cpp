// SPDX-License-Identifier: MIT
// Safetensors files that say what is not so: each is refused with a message that names the file, the tensor and the
// value. In the order in which the rules are checked.

#include <sys/stat.h>

#include <set>

#include "data/files.hpp"
#include "gradus/io/safetensors.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

std::string length_of(std::uint64_t length) {
    std::string bytes;
    for (int shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(length >> shift & 255);
    return bytes;
}

/// A file with this header and so many bytes of data.
std::string file_of(const std::string& header, std::size_t data = 0) {
    return length_of(header.size()) + header + std::string(data, '\x01');
}

/// What the file is refused with, without what every message begins with.
std::string refusal(const std::string& bytes) {
    static const TemporaryFolder folder;
    const std::string path = folder.write("lie.safetensors", bytes), start = "safetensors: " + path + ": ";
    try {
        const io::SafetensorsFile file(path);
    } catch (const IoError& error) {
        const std::string text = error.what();
        REQUIRE(text.substr(0, start.size()) == start);
        return text.substr(start.size());
    }
    return "no refusal";
}

std::string tensor(const std::string& name, const std::string& rest) {
    return "\"" + name + "\":{" + rest + "}";
}

/// The header of one tensor "a".
std::string one(const std::string& rest) { return "{" + tensor("a", rest) + "}"; }

std::string two(const std::string& first, const std::string& second) {
    return "{" + tensor("a", first) + "," + tensor("b", second) + "}";
}

const std::string good = R"("dtype":"F32","shape":[2],"data_offsets":[0,8])";

struct Lie {
    std::string bytes, message;
};

}  // namespace

TEST_CASE("safetensors: what the lies are made of is read when it is true") {
    CHECK(refusal(file_of("{}")) == "no refusal");
    CHECK(refusal(file_of(one(good), 8)) == "no refusal");
    CHECK(refusal(file_of(" \t\r\n" + one(good) + "   ", 8)) == "no refusal");
    CHECK(refusal(file_of(R"({"__metadata__":{},"a":{"shape" : [ ] ,"data_offsets":[0,1],"dtype":"U8"}})",
                          1)) == "no refusal");
    CHECK(refusal(file_of(one(R"("dtype":"F64","shape":[0,99999999],"data_offsets":[0,0])"))) ==
          "no refusal");
    CHECK(refusal(file_of(one(R"("dtype":"F4","shape":[3,2],"data_offsets":[0,3])"), 3)) == "no refusal");
    CHECK(refusal(file_of(two(R"("dtype":"U8","shape":[2],"data_offsets":[1,3])",
                              R"("dtype":"U8","shape":[],"data_offsets":[0,1])"),
                          3)) == "no refusal");
    // Empty tensors may lie where others begin or end.
    CHECK(refusal(file_of(two(R"("dtype":"U8","shape":[0],"data_offsets":[2,2])",
                              R"("dtype":"U8","shape":[2],"data_offsets":[0,2])"),
                          2)) == "no refusal");
}

TEST_CASE("safetensors: the length of the header") {
    const std::vector<Lie> lies{
        {"", "is no safetensors file: needs at least 8 bytes: got 0"},
        {"1234567", "is no safetensors file: needs at least 8 bytes: got 7"},
        {length_of(100'000'001) + "{}",
         "the header has more than 100000000 bytes: got 100000001; is it a safetensors file?"},
        {length_of(~std::uint64_t{0}) + "{}",
         "the header has more than 100000000 bytes: got 18446744073709551615; is it a safetensors file?"},
        {length_of(~std::uint64_t{0} - 7) + "{}",  // 8 more would be 0
         "the header has more than 100000000 bytes: got 18446744073709551608; is it a safetensors file?"},
        {length_of(100'000'000) + "{}",
         "the header is cut short: needs 100000000 bytes: got 2; copy or download the file again"},
        {length_of(3) + "{}",
         "the header is cut short: needs 3 bytes: got 2; copy or download the file again"},
        {"PK\x03\x04\x14\x08\x08\x08 and so on",
         "the header has more than 100000000 bytes: got 578721434176801616; it is a zip file, as torch.save "
         "and "
         "numpy.savez write"},
        {std::string("\x93NUMPY\x01\0 and so on", 18),
         "the header has more than 100000000 bytes: got 379676406402707; it is a .npy file"},
        {"version https://git-lfs.github.com/spec/v1\n",
         "the header has more than 100000000 bytes: got 2336927755350992246; it is a pointer of Git LFS: git "
         "lfs "
         "pull gets the file"},
        {"{\"a\": {}}", "the header has more than 100000000 bytes: got 9041856110933385851; it is a text"},
    };
    for (const Lie& lie : lies) {
        const std::string got = refusal(lie.bytes), number = "got ";
        INFO(lie.message);
        CHECK(got == lie.message);
    }
}

TEST_CASE("safetensors: the text of the header") {
    const std::vector<Lie> lies{
        {"", "the header does not begin with {: got nothing"},
        {"    ", "the header does not begin with {: got nothing"},
        {"[]", "the header does not begin with {: got []"},
        {std::string(1, '\0') + "{}", "the header does not begin with {: got  {}"},
        {"\xef\xbb\xbf{}", "the header does not begin with {: got \xef\xbb\xbf{}"},
        {"{\"\xff\":1}", "the header is not UTF-8 at byte 2"},
        {"{\"\xc0\xaf\":1}", "the header is not UTF-8 at byte 2"},          // not the shortest form
        {"{\"ab\xed\xa0\x80\":1}", "the header is not UTF-8 at byte 4"},    // a surrogate
        {"{\"\xf4\x90\x80\x80\":1}", "the header is not UTF-8 at byte 2"},  // beyond the last code point
        {"{\"\xe2\x82\":1}", "the header is not UTF-8 at byte 2"},
        {"{", "the header: not JSON at byte 1: expected a string: got the end"},
        {"{}{}", "the header: not JSON at byte 2: expected the end: got '{'"},
        {std::string("{}\0\0", 4), "the header: not JSON at byte 2: expected the end: got byte 00"},
        {"{" + tensor("a", good) + ",}",
         "the header: not JSON at byte 54: expected a value behind ',': got '}'"},
        {"{'a':1}", "the header: not JSON at byte 1: expected a string: got '''"},
        {"{\"a\" 1}", "the header: not JSON at byte 5: expected ':': got '1'"},
        {"{\"a\":tru}", "the header: not JSON at byte 5: expected a value: got 't'"},
        {"{\"a\":[1 2]}", "the header: not JSON at byte 8: expected ',' or ']': got '2'"},
        {"{\"a\":01}", "the header: not JSON at byte 6: expected ',' or '}': got '1'"},
        {"{\"a\":\"\n\"}", "the header: not JSON at byte 6: expected the end of a string: got byte 0a"},
        {R"({"a":"\x"})", "the header: not JSON at byte 7: expected an escaped character: got 'x'"},
        {R"({"a":"\ud800"})", "the header: not JSON at byte 12: expected a low surrogate: got '\"'"},
        {R"({"a":"\udc00"})",
         "the header: not JSON at byte 12: expected a high surrogate before the low one: got '\"'"},
        {"{" + tensor("a", good) + "," + tensor("a", good) + "}", "the header: the key \"a\" is there twice"},
        {R"({"a":{"dtype":"F32","dtype":"F64"}})", "the header: the key \"dtype\" is there twice"},
        {R"({"a":1,"\u0061":2})", "the header: the key \"a\" is there twice"},
        {R"({"__metadata__":{"x":"1","x":"2"}})", "the header: the key \"x\" is there twice"},
        {"{\"a\":" + std::string(100'000, '[') + std::string(100'000, ']') + "}",
         "the header: nested more than 64 levels deep"},
        // The metadata comes before the tensors.
        {R"({"a":1,"__metadata__":[]})", "__metadata__ is not an object of texts: got []"},
        {R"({"__metadata__":{"epoch":3}})", "__metadata__: \"epoch\" is not a text: got 3"},
        {R"({"__metadata__":{"epoch":null}})", "__metadata__: \"epoch\" is not a text: got null"},
        {R"({"__metadata__":{"e":{"f":"g"}}})", "__metadata__: \"e\" is not a text: got {\"f\":\"g\"}"},
    };
    for (const Lie& lie : lies) {
        INFO(lie.message);
        CHECK(refusal(file_of(lie.bytes)) == lie.message);
    }
}

TEST_CASE("safetensors: the description of a tensor") {
    const std::vector<Lie> lies{
        {R"({"a":1})", "tensor \"a\": is not described by an object: got 1"},
        {R"({"a":null})", "tensor \"a\": is not described by an object: got null"},
        {R"({"a":{}})", "tensor \"a\": has no dtype"},
        {one(R"("dtype":"F32","data_offsets":[0,8])"), "tensor \"a\": has no shape"},
        {one(R"("dtype":"F32","shape":[2])"), "tensor \"a\": has no data_offsets"},
        {one(good + R"(,"strides":[1])"),
         "tensor \"a\": has an unknown field \"strides\"; there are dtype, shape and data_offsets"},
        {one(R"("dtype":"F33","shape":[2],"data_offsets":[0,8])"),
         "tensor \"a\": unknown dtype: got \"F33\""},
        {one(R"("dtype":"f32","shape":[2],"data_offsets":[0,8])"),
         "tensor \"a\": unknown dtype: got \"f32\""},
        {one(R"("dtype":7,"shape":[2],"data_offsets":[0,8])"), "tensor \"a\": unknown dtype: got 7"},
        {one(R"("dtype":"F32","shape":2,"data_offsets":[0,8])"),
         "tensor \"a\": shape is not a list of sizes from 0 on: got 2"},
        {one(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])"),
         "tensor \"a\": shape is not a list of sizes from 0 on: got [-2]"},
        {one(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])"),
         "tensor \"a\": shape is not a list of sizes from 0 on: got [2.0]"},
        {one(R"("dtype":"F32","shape":[2e0],"data_offsets":[0,8])"),
         "tensor \"a\": shape is not a list of sizes from 0 on: got [2e0]"},
        {one(R"("dtype":"F32","shape":["2"],"data_offsets":[0,8])"),
         "tensor \"a\": shape is not a list of sizes from 0 on: got [\"2\"]"},
        {one(R"("dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,8])"),
         "tensor \"a\": shape is not a list of sizes from 0 on: got [18446744073709551616]"},
        {one(R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8])"),
         "tensor \"a\": has 9 axes; at most 8 are read"},
        {one(R"("dtype":"F32","shape":[2],"data_offsets":8)"),
         "tensor \"a\": data_offsets is not two numbers from 0 on: got 8"},
        {one(R"("dtype":"F32","shape":[2],"data_offsets":[8])"),
         "tensor \"a\": data_offsets is not two numbers from 0 on: got [8]"},
        {one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8,8])"),
         "tensor \"a\": data_offsets is not two numbers from 0 on: got [0,8,8]"},
        {one(R"("dtype":"F32","shape":[2],"data_offsets":[-8,0])"),
         "tensor \"a\": data_offsets is not two numbers from 0 on: got [-8,0]"},
        {"{" + tensor(R"(a\u0000b)", good) + "}", "the name \"a\\u0000b\" has a byte 0"},
        {"{" + tensor(std::string(4097, 'n'), good) + "}",
         "the name \"" + std::string(80, 'n') + "\"... is longer than 4096 bytes"},
        // Sizes whose product wraps: to 0, to 2 and to more than a shape takes.
        {one(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])"),
         "tensor \"a\": more elements than memory can address: got shape [4294967296, 4294967296]"},
        {one(R"("dtype":"F32","shape":[9223372036854775809,2],"data_offsets":[0,8])"),
         "tensor \"a\": more elements than memory can address: got shape [9223372036854775809, 2]"},
        {one(R"("dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8])"),
         "tensor \"a\": more elements than memory can address: got shape [18446744073709551615]"},
        {one(R"("dtype":"F32","shape":[0,18446744073709551615],"data_offsets":[0,0])"),
         "tensor \"a\": more elements than memory can address: got shape [0, 18446744073709551615]"},
        {one(R"("dtype":"F4","shape":[3],"data_offsets":[0,8])"),
         "tensor \"a\": [3] of F4 is not a whole number of bytes"},
        {one(R"("dtype":"F6_E2M3","shape":[2],"data_offsets":[0,8])"),
         "tensor \"a\": [2] of F6_E2M3 is not a whole number of bytes"},
    };
    for (const Lie& lie : lies) {
        INFO(lie.message);
        CHECK(refusal(file_of(lie.bytes, 8)) == lie.message);
    }
}

TEST_CASE("safetensors: where the data lies") {
    const std::string first = R"("dtype":"F32","shape":[2],"data_offsets":[0,8])";
    const std::vector<Lie> lies{
        {one(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"),
         "tensor \"a\": data_offsets end before they begin: got [8, 0]"},
        {one(R"("dtype":"F32","shape":[2],"data_offsets":[8,16])"),
         "tensor \"a\": leaves a gap before it: data_offsets must begin at 0: got [8, 16]"},
        {two(first, R"("dtype":"F32","shape":[2],"data_offsets":[12,20])"),
         "tensor \"b\": leaves a gap before it: data_offsets must begin at 8: got [12, 20]"},
        {two(first, R"("dtype":"F32","shape":[2],"data_offsets":[4,12])"),
         "tensor \"b\": overlaps the tensor before it: data_offsets must begin at 8: got [4, 12]"},
        {two(first, first),
         "tensor \"b\": overlaps the tensor before it: data_offsets must begin at 8: got [0, 8]"},
        {two(first, R"("dtype":"F32","shape":[0],"data_offsets":[4,4])"),
         "tensor \"b\": overlaps the tensor before it: data_offsets must begin at 8: got [4, 4]"},
        {one(R"("dtype":"F32","shape":[3],"data_offsets":[0,16])"),
         "tensor \"a\": [3] of F32 needs 12 bytes: data_offsets give 16"},
        {one(R"("dtype":"F32","shape":[5],"data_offsets":[0,16])"),
         "tensor \"a\": [5] of F32 needs 20 bytes: data_offsets give 16"},
        {one(R"("dtype":"F64","shape":[],"data_offsets":[0,0])"),
         "tensor \"a\": [] of F64 needs 8 bytes: data_offsets give 0"},
        {one(R"("dtype":"U8","shape":[72057594037927936],"data_offsets":[0,16])"),
         "tensor \"a\": [72057594037927936] of U8 needs 72057594037927936 bytes: data_offsets give 16"},
        {one(R"("dtype":"F32","shape":[6],"data_offsets":[0,24])"),
         "the data is cut short: needs 24 bytes: got 16; copy or download the file again"},
        {one(R"("dtype":"U8","shape":[72057594037927936],"data_offsets":[0,72057594037927936])"),
         "the data is cut short: needs 72057594037927936 bytes: got 16; copy or download the file again"},
        {one(first), "bytes follow the last tensor: needs 8 bytes of data: got 16"},
        {"{}", "bytes follow the last tensor: needs 0 bytes of data: got 16"},
    };
    for (const Lie& lie : lies) {
        INFO(lie.message);
        CHECK(refusal(file_of(lie.bytes, 16)) == lie.message);
    }
}

TEST_CASE("safetensors: more keys than any file has") {
    std::string header = "{";
    for (int i = 0; i <= 1'000'001; ++i) header += "\"" + std::to_string(i) + "\":0,";
    header.back() = '}';
    CHECK(refusal(file_of(header)) == "the header: more than 1000001 keys in one object");
}

TEST_CASE("safetensors: what is no file") {
    const TemporaryFolder folder;
    const auto message = [](const std::string& path) {
        try {
            io::SafetensorsFile(path, "load");
        } catch (const IoError& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    CHECK(message(folder / "none") ==
          "load: " + folder.path() + "/none: cannot be opened: No such file or directory; check the path");
    CHECK(message(folder.path()) == "load: " + folder.path() + ": is a directory; name a file inside it");
    REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
    CHECK(message(folder / "pipe") ==
          "load: " + folder.path() +
              "/pipe: is a pipe, socket or device; copy what it holds into a file first");
}

TEST_CASE("safetensors: a file with a byte changed or cut is read or refused, never more") {
    const TemporaryFolder folder;
    const std::string path = folder / "small.safetensors";
    io::write_safetensors(
        path,
        std::vector<io::NamedTensor>{
            {"w", Tensor<>{{1, 2}, {3, 4}}}, {"n", Tensor<Index>{7}}, {"b", Tensor<bool>{true, false, true}}},
        {{"k", "v"}});
    const std::string bytes = content(path);
    int refused = 0, read = 0;
    const auto attempt = [&](const std::string& changed) {
        folder.write("changed", changed);
        try {
            const io::SafetensorsFile file(folder / "changed");
            for (const std::string& name : file.names()) {
                const io::AnyTensor tensor = file.read(name);
                CHECK(tensor.bytes().size() <= bytes.size());
                if (tensor.dtype() == io::DType::boolean) {
                    try {
                        static_cast<void>(tensor.as<bool>());
                    } catch (const ValueError&) {
                    }
                }
            }
            ++read;
        } catch (const IoError&) {
            ++refused;
        }
    };
    for (std::size_t i = 0; i < bytes.size(); ++i)
        for (int bit = 0; bit < 8; ++bit) {
            std::string changed = bytes;
            changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
            attempt(changed);
        }
    CHECK(read > 0);  // the data, and names
    CHECK(refused > 8 * 100);
    read = 0;
    for (std::size_t size = 0; size < bytes.size(); ++size) attempt(bytes.substr(0, size));
    CHECK(read == 0);
    attempt(bytes + "x");
    CHECK(read == 0);
}
