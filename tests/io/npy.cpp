// SPDX-License-Identifier: MIT
#include "gradus/io/npy.hpp"

#include "archives.hpp"
#include "references.hpp"
#include "support/memory_file.hpp"
#include "support/test.hpp"

using namespace gradus;
using io::DType;

namespace {

/// A .npy file of this header, put together by hand.
std::string npy(const std::string& dictionary, const std::string& data, int major = 1, int minor = 0) {
    return std::string("\x93NUMPY") + static_cast<char>(major) + static_cast<char>(minor) +
           le(dictionary.size(), major == 1 ? 2 : 4) + dictionary + data;
}
std::string typed(const std::string& descr, const std::string& data) {
    return npy("{'descr': " + descr + ", 'fortran_order': False, 'shape': (2,), }\n", data);
}
std::string shaped(const std::string& shape, const std::string& data) {
    return npy("{'descr': '|u1', 'fortran_order': False, 'shape': " + shape + ", }\n", data);
}

std::string refusal_of(const std::string& bytes) {
    const std::string path = MemoryFile(bytes).path();
    return refusal_without("read_npy: " + path + ": ", [&] { io::read_npy(path); });
}
io::AnyTensor parsed(const std::string& bytes) {
    const TemporaryFolder folder;
    return io::read_npy(folder.write("file", bytes));
}

const std::string eight = "abcdefgh";

}  // namespace

TEST_CASE("read_npy reads what numpy wrote") {
    const Tensor<> x{{0, 0.5f, 1}, {1.5f, 2, 2.5f}};
    for (const char* name : {"float32.npy", "version2.npy", "version3.npy"}) {
        const io::AnyTensor tensor = io::read_npy(reference(name));
        CHECK(tensor.dtype() == DType::f32);
        CHECK(tensor.as<float>() == x);
    }
    const io::AnyTensor fortran = io::read_npy(reference("fortran.npy"));
    CHECK(fortran.dtype() == DType::i16);
    CHECK(fortran.shape() == Shape{2, 3, 4});
    for (Index i = 0; i < 24; ++i) CHECK(fortran.as<Index>().data()[i] == i);
    const io::AnyTensor swapped = io::read_npy(reference("big_endian.npy"));
    CHECK(swapped.dtype() == DType::i32);
    CHECK(swapped.as<Index>() == Tensor<Index>{1, 256, -2});
}

TEST_CASE("read_npy takes what the format allows") {
    CHECK(parsed(npy("{'shape':(2,),\"descr\":'<i2','fortran_order':False}", std::string("\1\0\2\0", 4)))
              .as<Index>() == Tensor<Index>{1, 2});  // another order, no spaces, no line end
    CHECK(parsed(shaped("()", "\7")).as<Index>().shape() == Shape{});
    CHECK(parsed(shaped("(2L, 1L)", "ab")).shape() == Shape{2, 1});  // of Python 2
    CHECK(parsed(shaped("(0, 3)", "")).shape() == Shape{0, 3});
    CHECK(parsed(typed("'>f8'", std::string("\x3f\xf8\0\0\0\0\0\0\xc0\0\0\0\0\0\0\0", 16))).as<double>() ==
          Tensor<double>{1.5, -2});
    CHECK(parsed(typed("'>c8'", std::string("\x3f\xc0\0\0", 4) + std::string(12, '\0'))).bytes()[3] ==
          std::byte{0x3f});
    CHECK(parsed(typed("'|b1'", std::string("\0\1", 2))).as<bool>() == Tensor<bool>{false, true});
    CHECK(parsed(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }", eight)).bytes()[0] ==
          std::byte{'a'});
}

TEST_CASE("read_npy refuses what is no .npy file, or cut short") {
    CHECK(refusal_of("") == "is no .npy file, which starts with \\x93NUMPY: got \"\"");
    CHECK(refusal_of("PK\3\4....") ==
          "is no .npy file, which starts with \\x93NUMPY: got \"PK\\u0003\\u0004..\"");
    CHECK(refusal_of("\x93NUMPY") == "truncated header: needs 12 bytes: got 6");
    CHECK(refusal_of(std::string("\x93NUMPY\1\0\x76", 9)) == "truncated header: needs 10 bytes: got 9");
    CHECK(refusal_of(npy("", "", 9)) == "is of version 9.0; 1.0, 2.0 and 3.0 are read");
    CHECK(refusal_of(npy("", "", 1, 1)) == "is of version 1.1; 1.0, 2.0 and 3.0 are read");
    CHECK(refusal_of(std::string("\x93NUMPY\2\0\xf0\xff\xff\xff{", 13)) ==
          "truncated header: needs 4294967280 bytes more: got 1");
    CHECK(refusal_of(npy(std::string(10001, ' '), "")) ==
          "the header has 10001 bytes; that of an array has at most 10000");
    CHECK(refusal_of(shaped("(3,)", "ab")) == "truncated data: [3] needs 3 bytes: got 2");
    CHECK(refusal_of(shaped("(3,)", "abcd")) ==
          "bytes follow the array: [3] needs 3 bytes: got 4; several arrays in one file are saved by "
          "numpy.savez");
}

TEST_CASE("read_npy refuses other types than numbers") {
    const std::string end = "; booleans, integers and floats of up to 8 bytes are read";
    const auto of = [&](const std::string& descr) { return refusal_of(typed("'" + descr + "'", eight)); };
    CHECK(of("|O") == "holds Python objects, which may run code (descr \"|O\")" + end);
    CHECK(of("<U2") == "holds texts (descr \"<U2\")" + end);
    CHECK(of("|S4") == "holds texts (descr \"|S4\")" + end);
    CHECK(of("|V2") == "holds raw bytes (descr \"|V2\")" + end);
    CHECK(of("<M8[ns]") == "holds dates or times (descr \"<M8[ns]\")" + end);
    CHECK(of("<f16") == "holds numbers of a size that is not read (descr \"<f16\")" + end);
    CHECK(of("<c16") == "holds numbers of a size that is not read (descr \"<c16\")" + end);
    for (const char* descr : {"", "<", "<ixy", "<i3", "i", "<<i4", "<i4 ", "<b2"})
        CHECK(of(descr) == "holds no known type (descr \"" + std::string(descr) + "\")" + end);
    CHECK(refusal_of(typed("[('a', '<f4')]", eight)) ==
          "holds records of several fields, not numbers; save each field as an array of its own");
    CHECK(refusal_without("read_npy: " + reference("objects.npy") + ": ", [] {
              io::read_npy(reference("objects.npy"));
          }) == "holds Python objects, which may run code (descr \"|O\")" + end);
    CHECK(refusal_without("read_npy: " + reference("records.npy") + ": ", [] {
              io::read_npy(reference("records.npy"));
          }) == "holds records of several fields, not numbers; save each field as an array of its own");
    CHECK(refusal_without("read_npy: " + reference("texts.npy") + ": ", [] {
              io::read_npy(reference("texts.npy"));
          }) == "holds texts (descr \"<U2\")" + end);
}

TEST_CASE("read_npy refuses shapes that no tensor has") {
    const std::string none = "the header has a shape that no tensor has: ";
    CHECK(refusal_of(shaped("(9223372036854775808,)", "")) ==
          none + "shape: more elements than memory can address: got size 9223372036854775807 at axis 0");
    CHECK(refusal_of(shaped("(4294967296, 4294967296)", "")) ==
          none + "shape: more elements than memory can address: got size 4294967296 at axis 1");
    CHECK(refusal_of(shaped("(0, 18446744073709551615)", "")) ==
          none + "shape: more elements than memory can address: got size 9223372036854775807 at axis 1");
    CHECK(refusal_of(shaped("(1, 1, 1, 1, 1, 1, 1, 1, 1)", "x")) ==
          none + "shape: more than 8 axes; flatten or reshape first");
    CHECK(refusal_of(shaped("(72057594037927936,)", "")) ==
          "truncated data: [72057594037927936] needs 72057594037927936 bytes: got 0");
    for (const auto& [shape, got] : std::initializer_list<std::pair<const char*, const char*>>{
             {"(-1,)", "a size, which is a whole number from 0 on: got \"-1,), }\\n\""},
             {"(1.5,)", "): got \".5,), }\\n\""},
             {"((2,),)", "a size, which is a whole number from 0 on: got \"(2,),), }\\n\""},
             {"(2*3,)", "): got \"*3,), }\\n\""},
             {"(3)", "a comma after the only size: got \", }\\n\""},
             {"[3]", "(: got \"[3], }\\n\""},
             {"(,)", "a size, which is a whole number from 0 on: got \",), }\\n\""}})
        CHECK_THAT(refusal_of(shaped(shape, "")), ContainsSubstring("the header is damaged at byte ") &&
                                                      ContainsSubstring(std::string(": expected ") + got));
}

TEST_CASE("read_npy refuses headers that are no dictionary of the three keys") {
    const auto of = [](const std::string& header) { return refusal_of(npy(header, "")); };
    CHECK(of("") == "the header is damaged at byte 0: expected {: got its end");
    CHECK(of("__import__('os')") == "the header is damaged at byte 0: expected {: got \"__import__('os')\"");
    CHECK(of("{}") == "the header has no descr");
    CHECK(of("{'descr': '|u1', 'shape': (2,)}") == "the header has no fortran_order");
    CHECK(of("{'descr': '|u1', 'descr': '|u1'}") == "the header has descr twice");
    CHECK(of("{'descr': '|u1', 'x': 1}") ==
          "the header has an unknown key \"x\"; there are descr, fortran_order and shape");
    CHECK(of("{'descr': '|u1', 'fortran_order': 1}") ==
          "the header is damaged at byte 34: expected True or False: got \"1}\"");
    CHECK(of("{'descr': '|u1'") == "the header is damaged at byte 15: expected }: got its end");
    CHECK(of("{'descr': '|u") == "the header is damaged at byte 10: expected a text in quotes: got \"'|u\"");
    CHECK(of("{'de\\x73cr': '|u1'}") ==
          "the header is damaged at byte 1: expected a text in quotes: got \"'de\\\\x73cr': '|u1\"");
    CHECK(of("{'descr': '|u1', 'fortran_order': False, 'shape': ()} x") ==
          "the header is damaged at byte 54: expected its end: got \"x\"");
}

TEST_CASE("read_npy: no header, flipped or cut anywhere, gives a crash") {
    const std::string good = typed("'<f4'", eight);
    for (std::size_t size = 0; size < good.size(); ++size)
        CHECK(refusal_of(good.substr(0, size)) != "accepted");
    for (std::size_t at = 0; at < good.size() - 8; ++at)
        for (int bit = 0; bit < 8; ++bit) {
            std::string bytes = good;
            bytes[at] = static_cast<char>(bytes[at] ^ 1 << bit);
            refusal_of(bytes);
        }
}

TEST_CASE("write_npy writes what read_npy reads, and the bytes that numpy writes") {
    const TemporaryFolder folder;
    const std::string path = folder / "x.npy";
    io::write_npy(path, Tensor<>{{0, 0.5f, 1}, {1.5f, 2, 2.5f}});
    CHECK(content(path) == content(reference("float32.npy")));
    const auto check = [&]<class T>(const Tensor<T>& x) {
        io::write_npy(path, x);
        const io::AnyTensor read = io::read_npy(path);
        CHECK(read.dtype() == io::dtype_of<T>);
        CHECK(read.shape() == x.shape());
        CHECK(read.as<T>() == x);
        CHECK(content(path).find('\n') % 64 == 63);
    };
    check(Tensor<double>{1e300, -0.0});
    check(Tensor<Index>{{1}, {-2}});
    check(Tensor<std::uint8_t>{1, 255});
    check(Tensor<bool>{true, false});
    check(full<float>({}, 3));
    check(zeros<float>({0, 4}));
    check(zeros<float>({1, 1, 1, 1, 1, 1, 1, 2}));
}

TEST_CASE("write_npy refuses what numpy lacks") {
    const TemporaryFolder folder;
    const std::string path = folder / "x.npy";
    CHECK_THROWS_MATCHES(
        io::write_npy(path, cast<bfloat16>(ones({2}))), ValueError,
        Message("write_npy: " + path +
                ": numpy has no BF16; convert it first, as with as<float>(), or save it as safetensors"));
    CHECK_THROWS_MATCHES(
        io::write_npy(folder / "no/x.npy", ones({2})), IoError,
        Message("write_npy: " + (folder / "no/x.npy") + ": cannot write: No such file or directory"));
}
