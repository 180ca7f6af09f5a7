// SPDX-License-Identifier: MIT
#include "gradus/io/npz.hpp"

#include "archives.hpp"
#include "references.hpp"
#include "support/memory_file.hpp"
#include "support/test.hpp"

using namespace gradus;
using io::DType;

namespace {

std::string npy_bytes(const io::AnyTensor& tensor) {
    const TemporaryFolder folder;
    io::write_npy(folder / "x", tensor);
    return content(folder / "x");
}

std::string refusal_of(const TestArchive& archive, const io::UnpackOptions& options = {}) {
    const TemporaryFolder folder;
    const std::string path = folder.write("file", archive.bytes());
    return refusal_without("read_npz: " + path + ": ", [&] { io::read_npz(path, options); });
}

/// Every array of stored.npz and deflated.npz.
void check_reference(const std::string& path) {
    io::NpzFile file(path);
    const auto check = [&]<class T>(const std::string& name, const Tensor<T>& expected) {
        INFO(name);
        REQUIRE(file.contains(name));
        CHECK(file.dtype(name) == io::dtype_of<T>);
        CHECK(file.shape(name) == expected.shape());
        CHECK(file.read(name).as<T>() == expected);
    };
    check("bool", Tensor<bool>{true, false, true});
    check("int8", Tensor<std::int8_t>{-128, 127});
    check("uint8", Tensor<std::uint8_t>{0, 255});
    check("int16", Tensor<std::int16_t>{-2, 3});
    check("uint16", Tensor<std::uint16_t>{65535});
    check("int32", Tensor<std::int32_t>{{-70000}, {5}});
    check("uint32", Tensor<std::uint32_t>{4000000000});
    check("int64", Tensor<std::int64_t>{-(Index{1} << 60)});
    check("uint64", Tensor<std::uint64_t>{~std::uint64_t{0}});
    CHECK(file.dtype("float16") == DType::f16);
    CHECK(file.read("float16").as<float>() == Tensor<>{0.5f, -2});
    check("float32", Tensor<>{{0, 0.5f, 1}, {1.5f, 2, 2.5f}});
    check("float64", Tensor<double>{1e300});
    check("scalar", full<double>({}, 2.5));
    check("empty", zeros<float>({0, 3}));
    check("../name", Tensor<std::uint8_t>{7});
}

}  // namespace

TEST_CASE("NpzFile reads what numpy.savez wrote") {
    check_reference(reference("stored.npz"));
    const auto all = io::read_npz(reference("stored.npz"));
    REQUIRE(all.size() == 15);
    CHECK(all[0].name == "bool");
    CHECK(all[14].name == "../name");
}

#ifdef GRADUS_WITH_ZLIB
TEST_CASE("NpzFile reads what numpy.savez_compressed wrote") {
    check_reference(reference("deflated.npz"));
    const Tensor<Index> numbers = io::NpzFile(reference("deflated.npz")).read("long").as<Index>();
    REQUIRE(numbers.numel() == 3000);
    for (Index i = 0; i < 3000; ++i) CHECK(numbers.data()[i] == i / 100);
}

TEST_CASE("npz: an array that unpacks to more than it may is refused") {
    const TestMember zeros_of_a_megabyte = deflated("z.npy", npy_bytes(zeros<float>({1 << 18})));
    CHECK(zeros_of_a_megabyte.bytes.size() < 2000);
    CHECK(refusal_of({.members = {zeros_of_a_megabyte}}) == "accepted");
    CHECK(refusal_of({.members = {zeros_of_a_megabyte}}, {.max_bytes = 1 << 20}) ==
          "\"z.npy\": unpacks to 1048704 bytes; if that is right, raise UnpackOptions::max_bytes");
}
#endif

TEST_CASE("npz: what does not fit is refused, with the member's name") {
    const std::string one = npy_bytes(ones({2}));
    CHECK(refusal_of({.members = {{.name = "a.npy", .bytes = one}, {.name = "notes.txt", .bytes = "x"}}}) ==
          "accepted");
    CHECK(refusal_of({.members = {{.name = "a.npy", .bytes = one}, {.name = "a.npy", .bytes = one}}}) ==
          "\"a.npy\": is there twice; which one is meant?");
    CHECK(refusal_of({.members = {{.name = "a.npy", .bytes = one + "x"}}}) ==
          "\"a.npy\": bytes follow the array: [2] needs 8 bytes: got 9; several arrays in one file are saved "
          "by "
          "numpy.savez");
    CHECK(refusal_of({.members = {{.name = "a.npy", .bytes = one.substr(0, one.size() - 1)}}}) ==
          "\"a.npy\": truncated data: [2] needs 8 bytes: got 7");
    CHECK(refusal_of({.members = {{.name = "a.npy", .bytes = ""}}}) ==
          "\"a.npy\": is no .npy file, which starts with \\x93NUMPY: got \"\"");
    CHECK(refusal_of({.members = {{.name = "a.npy", .bytes = one, .crc = 1}}}) ==
          "\"a.npy\": is damaged: its check (CRC-32) differs; copy or download the file again");
}

TEST_CASE("NpzFile: a name that is not there") {
    const TemporaryFolder folder;
    const std::string path =
        folder.write("file", TestArchive{.members = {{.name = "a.npy", .bytes = npy_bytes(ones({2}))},
                                                     {.name = "b", .bytes = "x"}}}
                                 .bytes());
    io::NpzFile file(path);
    CHECK(file.names() == std::vector<std::string>{"a"});
    CHECK_FALSE(file.contains("b"));
    CHECK_THROWS_MATCHES(
        file.read("b"), IoError,
        Message("npz: " + path + ": has no array \"b\"; names() lists those that there are"));
}

TEST_CASE("write_npz writes what NpzFile reads, always the same bytes") {
    const TemporaryFolder folder;
    const std::string path = folder / "x.npz";
    const std::vector<io::NamedTensor> tensors{{"x", Tensor<>{{1, 2}, {3, 4}}},
                                               {"labels", Tensor<Index>{7}},
                                               {"größe", full<double>({}, 2)},
                                               {"none", zeros<float>({0})}};
    io::write_npz(path, tensors);
    const auto read = io::read_npz(path);
    REQUIRE(read.size() == 4);
    for (std::size_t i = 0; i < 4; ++i) {
        CHECK(read[i].name == tensors[i].name);
        CHECK(read[i].tensor.dtype() == tensors[i].tensor.dtype());
        CHECK(read[i].tensor.shape() == tensors[i].tensor.shape());
        CHECK(std::equal(read[i].tensor.bytes().begin(), read[i].tensor.bytes().end(),
                         tensors[i].tensor.bytes().begin(), tensors[i].tensor.bytes().end()));
    }
    const std::string bytes = content(path);
    io::write_npz(path, tensors);
    CHECK(content(path) == bytes);
    io::write_npz(path, {});
    CHECK(io::read_npz(path).empty());
}

TEST_CASE("write_npz refuses names that an archive cannot have, and types that numpy lacks") {
    const auto refused = [](const std::vector<io::NamedTensor>& tensors) -> std::string {
        try {
            io::write_npz("x.npz", tensors);
        } catch (const ValueError& error) {
            return error.what();
        }
        return "accepted";
    };
    CHECK(refused({{"a", ones({1})}, {"a", ones({1})}}) ==
          "write_npz: x.npz: two tensors have the name \"a\"");
    CHECK(refused({{"", ones({1})}}) ==
          "write_npz: x.npz: the name \"\" is empty, longer than 4000 bytes, or has a zero byte");
    CHECK(refused({{"w", cast<bfloat16>(ones({1}))}}) ==
          "write_npz: x.npz: \"w\": numpy has no BF16; convert it first, as with as<float>(), or save it as "
          "safetensors");
}

TEST_CASE("npz: numpy reads what is written, and what it writes is read") {
    const std::string python = python_with("numpy");
    if (python.empty()) {
        WARN("skipped: no numpy for python3; $GRADUS_PYTHON names another Python");
        return;
    }
    const TemporaryFolder folder;
    const std::string theirs = folder / "theirs.npz", ours = folder / "ours.npz";
    REQUIRE(run_python(python, R"(
import sys, numpy as np
rng = np.random.default_rng(1)
arrays = {}
for dtype in "?bBhHiIqQefd":
    for shape in [(), (0,), (7,), (3, 4), (2, 3, 4, 5)]:
        for order in "CF":
            for swap in "<>":
                x = np.asarray(rng.integers(0, 100, shape), dtype=np.dtype(dtype).newbyteorder(swap), order=order)
                arrays["%s/%s/%s%s" % (dtype, len(x.shape), order, "l" if swap == "<" else "b") + str(x.size)] = x
np.savez(sys.argv[1], **arrays)
)",
                       theirs));
    io::write_npz(ours, io::read_npz(theirs));
    CHECK(run_python(python, R"(
import sys, numpy as np
a, b = np.load(sys.argv[1]), np.load(sys.argv[2])
assert len(a.files) == 240 and a.files == b.files, len(a.files)
for name in a.files:
    x, y = a[name], b[name]
    assert x.shape == y.shape and x.dtype.newbyteorder("=") == y.dtype and (x == y).all(), name
)",
                     theirs + " " + ours));
}
