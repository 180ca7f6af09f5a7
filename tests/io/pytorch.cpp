// SPDX-License-Identifier: MIT
#include "gradus/io/pytorch.hpp"

#include <cstdio>

#include "archives.hpp"
#include "gradus/io/load_pytorch.hpp"
#include "gradus/io/npz.hpp"
#include "gradus/nn/batch_norm.hpp"
#include "gradus/nn/linear.hpp"
#include "references.hpp"
#include "support/memory_file.hpp"
#include "support/test.hpp"

using namespace gradus;
using io::DType;

namespace {

// Opcodes of a pickle. What torch.save writes is put together from these.
const std::string start = "\x80\x02", stop = ".";

std::string text(const std::string& words) { return "X" + le(words.size(), 4) + words; }
std::string number(std::int64_t value) { return "\x8a\x08" + le(static_cast<std::uint64_t>(value), 8); }
std::string global(const std::string& module, const std::string& name) {
    return "c" + module + "\n" + name + "\n";
}
std::string tuple(const std::vector<std::string>& items) {
    std::string all = "(";
    for (const std::string& item : items) all += item;
    return all + "t";
}
std::string numbers(const std::vector<std::int64_t>& values) {
    std::vector<std::string> items;
    for (const std::int64_t value : values) items.push_back(number(value));
    return tuple(items);
}
std::string dict(const std::vector<std::pair<std::string, std::string>>& items) {
    std::string all = "}(";
    for (const auto& [key, value] : items) all += text(key) + value;
    return all + "u";
}

struct TestTensor {
    std::int64_t offset = 0;
    std::vector<std::int64_t> sizes{2}, strides{1};
    std::string storage = "FloatStorage", key = "0";
    std::int64_t count = 4;
    std::string more = "";  // arguments after the usual ones
    std::string function = "_rebuild_tensor_v2";

    std::string pickled() const {
        const std::string id =
            tuple({text("storage"), global("torch", storage), text(key), text("cpu"), number(count)}) + "Q";
        return global("torch._utils", function) +
               tuple({id, number(offset), numbers(sizes), numbers(strides), "\x89",
                      global("collections", "OrderedDict") + ")R", more}) +
               "R";
    }
};

/// A file like one of torch.save: this pickle and a storage "0" of the floats 0, 1, 2, 3.
std::string file_of(const std::string& pickle, const std::vector<TestMember>& more = {}) {
    const float floats[] = {0, 1, 2, 3};
    TestArchive archive{
        .members = {{.name = "x/data.pkl", .bytes = pickle},
                    {.name = "x/data/0", .bytes = std::string(reinterpret_cast<const char*>(floats), 16)}}};
    archive.members.insert(archive.members.end(), more.begin(), more.end());
    return archive.bytes();
}
std::string file_of(const TestTensor& tensor) {
    return file_of(start + dict({{"w", tensor.pickled()}}) + stop);
}

std::string refusal(const std::string& path, const io::UnpackOptions& options = {}) {
    return refusal_without("read_pytorch: " + path + ": ", [&] { io::read_pytorch(path, options); });
}
std::string refusal_of(const std::string& bytes, const io::UnpackOptions& options = {}) {
    return refusal(MemoryFile(bytes).path(), options);
}
std::string tensor_refusal(const TestTensor& tensor) { return refusal_of(file_of(tensor)); }
/// The same for what is wrong with a pickle.
std::string pickle_refusal(const std::string& pickle) {
    const std::string text = refusal_of(file_of(pickle)), where = "x/data.pkl: ";
    return text.substr(0, where.size()) == where ? text.substr(where.size()) : text;
}

io::AnyTensor read_one(const TestTensor& tensor) {
    const TemporaryFolder folder;
    return io::PytorchFile(folder.write("file", file_of(tensor))).read("w");
}

struct Net {
    nn::Linear<> fc{2, 3};
    nn::BatchNorm1d<> norm{3};
};

}  // namespace

TEST_CASE("PytorchFile reads every type and every order of elements that torch.save writes") {
    for (const char* name : {"tensors-1.13.pt", "tensors-2.15.pt"}) {
        io::PytorchFile file(reference(name));
        CHECK(file.names().size() == 17);
        const auto check = [&]<class T>(const std::string& of, const Tensor<T>& expected) {
            INFO(name << ": " << of);
            REQUIRE(file.contains(of));
            CHECK(file.dtype(of) == io::dtype_of<T>);
            CHECK(file.shape(of) == expected.shape());
            CHECK(file.read(of).as<T>() == expected);
        };
        check("float32", Tensor<>{{0, 0.5f, 1}, {1.5f, 2, 2.5f}});
        check("float64", Tensor<double>{1e300});
        CHECK(file.dtype("float16") == DType::f16);
        CHECK(file.read("float16").as<float>() == Tensor<>{0.5f, -2});
        CHECK(file.dtype("bfloat16") == DType::bf16);
        CHECK(file.read("bfloat16").as<float>() == Tensor<>{0.5f, -2});
        check("int64", Tensor<Index>{-(Index{1} << 60)});
        check("int32", Tensor<std::int32_t>{{-70000}, {5}});
        check("int16", Tensor<std::int16_t>{-2, 3});
        check("int8", Tensor<std::int8_t>{-128, 127});
        check("uint8", Tensor<std::uint8_t>{0, 255});
        check("bool", Tensor<bool>{true, false, true});
        check("scalar", full<float>({}, 2.5f));
        check("empty", zeros<float>({0, 3}));
        check("parameter", ones({2}));
        check("transposed", Tensor<>{{0, 4, 8}, {1, 5, 9}, {2, 6, 10}, {3, 7, 11}});
        check("part", Tensor<>{{5, 6}, {9, 10}});
        check("every_third", Tensor<>{0, 3, 6, 9});
        check("repeated", Tensor<>{{1.5f, 1.5f, 1.5f}, {2.5f, 2.5f, 2.5f}});
        const auto all = io::read_pytorch(reference(name));
        REQUIRE(all.size() == 17);
        for (std::size_t i = 0; i < 17; ++i) {
            CHECK(all[i].name == file.names()[i]);
            const io::AnyTensor one = file.read(all[i].name);
            CHECK(std::equal(one.bytes().begin(), one.bytes().end(), all[i].tensor.bytes().begin(),
                             all[i].tensor.bytes().end()));
        }
    }
}

TEST_CASE("PytorchFile: dictionaries and lists in each other give names with points") {
    for (const char* name : {"checkpoint-1.13.pt", "checkpoint-2.15.pt"}) {
        io::PytorchFile file(reference(name));
        CHECK(file.names()[0] == "model.fc.weight");
        CHECK(file.read("model.norm.num_batches_tracked").as<Index>().item() == 1);
        CHECK(file.read("optimizer.state.0.step").as<float>().item() == 1);
        CHECK(std::count(file.other_names().begin(), file.other_names().end(), "epoch") == 1);
        CHECK_THROWS_MATCHES(
            file.read("epoch"), IoError,
            Message("pytorch: " + reference(name) + ": what it holds as \"epoch\" is no tensor"));
        CHECK_THROWS_MATCHES(file.read("fc.weight"), IoError,
                             Message("pytorch: " + reference(name) +
                                     ": has no tensor \"fc.weight\"; names() lists those that there are"));
    }
    CHECK(io::PytorchFile(reference("list.pt")).names() == std::vector<std::string>{"0", "1.0"});
    CHECK(io::PytorchFile(reference("one_tensor.pt")).read("").as<Index>() == Tensor<Index>{0, 1, 2});
}

TEST_CASE("load_pytorch gives a model its parameters and buffers by name") {
    for (const char* version : {"1.13", "2.15"}) {
        Net net;
        const auto report = io::load_pytorch(reference(std::string("state_dict-") + version + ".pt"), net);
        CHECK(report.loaded.size() == 7);
        CHECK(net.fc.weight.value() == Tensor<>{{0, 1}, {2, 3}, {4, 5}});
        CHECK(net.fc.bias->value() == Tensor<>{1, 2, 3});
        CHECK(net.norm.weight->value() == Tensor<>{2, 3, 4});

        Net other;
        const std::string path = reference(std::string("checkpoint-") + version + ".pt");
        CHECK_THROWS_MATCHES(
            io::load_pytorch(path, other), IoError,
            Message("load_pytorch: " + path +
                    ": is no state dict, but has one in it, as \"model\"; try {.part = \"model\"}"));
        io::load_pytorch(path, other, {.part = "model"});
        CHECK(other.fc.weight.value() == net.fc.weight.value());
        CHECK_THROWS_MATCHES(io::load_pytorch(path, other, {.part = "ema"}), IoError,
                             Message("load_pytorch: " + path + ": no tensor lies in \"ema\""));
    }
}

TEST_CASE("PytorchFile: what is no dense tensor with values is refused by name, and the others are read") {
    io::PytorchFile file(reference("unusual.pt"));
    CHECK(file.read("plain").as<float>() == ones({1}));
    CHECK(file.read("unsigned").as<std::uint16_t>() == Tensor<std::uint16_t>{65535});
    CHECK(file.dtype("complex") == DType::c64);
    const auto of = [&](const char* name) {
        return refusal_without("pytorch: " + reference("unusual.pt") + ": ", [&] { file.read(name); });
    };
    CHECK(of("sign") ==
          "tensor \"sign\": is negated or conjugated only when it is read; save it after .resolve_neg()");
    CHECK(of("wide") ==
          "tensor \"wide\": is of type torch.ComplexDoubleStorage, which is not read; convert it first, as "
          "with .float()");
    CHECK(of("sparse") ==
          "tensor \"sparse\": is made by torch._utils._rebuild_sparse_tensor, and only dense tensors with "
          "values are read; "
          "save it as one, as with .to_dense() or .dequantize()");
}

TEST_CASE("PytorchFile: files that are no state dict are refused with what to do") {
    const auto of = [](const char* name) { return refusal(reference(name)); };
    CHECK(of("model.pt") ==
          "model/data.pkl: holds torch.nn.modules.container.Sequential, which is no part of a state dict and "
          "may run code; "
          "save model.state_dict(), not the model");
    CHECK(of("legacy.pt") ==
          "is in the format of PyTorch before 1.6, or a bare pickle; torch.save(torch.load(path), path) with "
          "a newer "
          "PyTorch writes the format that is read here");
    CHECK(of("script.pt") ==
          "is a TorchScript program, which holds code; save model.state_dict() with torch.save");
    CHECK(of("protocol4.pt") ==
          "protocol4/data.pkl: is of pickle protocol 4; only 2, which torch.save writes by itself, is read: "
          "leave "
          "pickle_protocol out");
    CHECK(of("stored.npz") ==
          "is no file of torch.save: it has no data.pkl; it is a .npz file, which NpzFile reads");
    CHECK(of("float32.npy") == "is no file of torch.save, which starts with PK");
    CHECK(refusal_of("") == "is no file of torch.save, which starts with PK");
    CHECK(refusal_of(std::string("\x10\0\0\0\0\0\0\0{}", 10)) ==
          "is no file of torch.save; is it a safetensors file? Then SafetensorsFile reads it");
    CHECK(refusal_of(TestArchive{}.bytes()) == "is no file of torch.save: it has no data.pkl");
    CHECK(refusal_of(file_of("", {{.name = "y/data.pkl", .bytes = ""}})) ==
          "holds two pickles, x/data.pkl and y/data.pkl");
    const std::string empty = start + "}" + stop;
    CHECK(refusal_of(file_of(empty, {{.name = "x/byteorder", .bytes = "little"}})) == "accepted");
    CHECK(refusal_of(file_of(empty, {{.name = "x/byteorder", .bytes = "big"}})) ==
          "its numbers are not little-endian; load and save it on a processor of that kind, or save it as "
          "safetensors");
}

TEST_CASE("a pickle never runs, imports or makes anything") {
    CHECK(pickle_refusal(start + global("os", "system") + tuple({text("true")}) + "R.") ==
          "holds os.system, which is no part of a state dict and may run code; save model.state_dict(), not "
          "the model");
    CHECK(pickle_refusal(start + global("builtins", "eval") + ".") ==
          "holds builtins.eval, which is no part of a state dict and may run code; save model.state_dict(), "
          "not the model");
    CHECK(pickle_refusal(start + global("torch", "load") + ".") ==
          "holds torch.load, which is no part of a state dict and may run code; save model.state_dict(), not "
          "the model");
    CHECK(pickle_refusal(start + "}" + text("x") + "}R.") == "calls what is no name, at byte 11");
    CHECK(pickle_refusal(start + global("torch", "Size") + "}R.") ==
          "calls torch.Size without arguments, at byte 16");
    for (const auto& [opcode, name] :
         std::initializer_list<std::pair<const char*, const char*>>{{"\x93", "93"},
                                                                    {"i", "69"},
                                                                    {"o", "6f"},
                                                                    {"\x82", "82"},
                                                                    {"\x92", "92"},
                                                                    {"P", "50"},
                                                                    {"I", "49"},
                                                                    {"\x94", "94"}})
        CHECK(pickle_refusal(start + opcode) ==
              "has opcode " + std::string(name) +
                  " at byte 2, which no state dict needs; save model.state_dict()");
}

TEST_CASE("a pickle that is damaged is refused") {
    CHECK(pickle_refusal("") == "is cut short at byte 0");
    CHECK(pickle_refusal(start) == "is cut short at byte 2");
    CHECK(pickle_refusal(start + "X" + le(0xffffffff, 4) + "abc") == "is cut short at byte 10");
    CHECK(pickle_refusal(start + "ctorch") == "is cut short at byte 8");
    CHECK(pickle_refusal(start + stop) == "takes a value where there is none, at byte 3");
    CHECK(pickle_refusal(start + "(" + stop) == "takes a value where there is none, at byte 4");
    CHECK(pickle_refusal(start + "t") == "ends a list that has no beginning, at byte 3");
    CHECK(pickle_refusal(start + "h\5") == "refers to value 5, which there is not, at byte 4");
    CHECK(pickle_refusal(start + "N(NNu") == "adds to what is no dictionary, at byte 7");
    CHECK(pickle_refusal(start + "}(Nu") == "has a key without a value, at byte 6");
    CHECK(pickle_refusal(start + "}Na") == "adds to what is no list, at byte 5");
    CHECK(pickle_refusal(start + "NNb") == "sets attributes of what is no dictionary, at byte 5");
}

TEST_CASE("a pickle that is small and means a lot is refused") {
    std::string bomb = start + "]q" + std::string(1, '\0');
    for (char i = 0; i < 40; ++i) bomb += std::string("](h") + i + "h" + i + "eq" + static_cast<char>(i + 1);
    CHECK(pickle_refusal(bomb + ".") == "has more than 1000000 values, of which a state dict needs few");
    CHECK(pickle_refusal(start + std::string(1000001, 'N')) ==
          "has more than 1000000 values, of which a state dict needs few");
    CHECK(pickle_refusal(start + "]q" + std::string(1, '\0') + "h" + std::string(1, '\0') + "a.") ==
          "dictionaries and lists lie deeper than 64 in each other");  // a list in itself
    CHECK(pickle_refusal(start + std::string(100, ']') + std::string(99, 'a') + ".") ==
          "dictionaries and lists lie deeper than 64 in each other");
    std::string many = start + "Nq" + std::string(1, '\0');
    for (int i = 0; i < 1000001; ++i) many += std::string("h\0", 2);
    CHECK(pickle_refusal(many) == "has more than 1000000 values at once, of which a state dict needs few");
    const std::string long_key(3000, 'k');
    CHECK_THAT(pickle_refusal(start + dict({{long_key, dict({{long_key, "N"}})}}) + "."),
               ContainsSubstring(" is longer than 4096 bytes"));
}

TEST_CASE("PytorchFile: a tensor has to lie inside its storage") {
    CHECK(read_one({.sizes = {2, 2}, .strides = {2, 1}}).as<float>() == Tensor<>{{0, 1}, {2, 3}});
    CHECK(read_one({.offset = 1, .sizes = {3}, .strides = {1}}).as<float>() == Tensor<>{1, 2, 3});
    CHECK(read_one({.sizes = {2, 2}, .strides = {1, 2}}).as<float>() == Tensor<>{{0, 2}, {1, 3}});
    CHECK(read_one({.sizes = {1, 4}, .strides = {99, 1}}).as<float>() == Tensor<>{{0, 1, 2, 3}});
    CHECK(read_one({.offset = 3, .sizes = {}, .strides = {}}).as<float>() == full<float>({}, 3));
    CHECK(read_one({.offset = 4, .sizes = {0}, .strides = {1}}).as<float>() == zeros({0}));
    const std::string of = "tensor \"w\": ";
    CHECK(tensor_refusal({.sizes = {5}}) == of + "[5] reaches element 4 of a storage of 4");
    CHECK(tensor_refusal({.offset = 3}) == of + "[2] reaches element 4 of a storage of 4");
    CHECK(tensor_refusal({.strides = {4}}) == of + "[2] reaches element 4 of a storage of 4");
    CHECK(tensor_refusal({.offset = INT64_MAX}) ==
          of + "[2] reaches element 9223372036854775807 of a storage of 4");
    CHECK(tensor_refusal({.strides = {INT64_MAX}}) ==
          of + "[2] reaches element 9223372036854775807 of a storage of 4");
    CHECK(tensor_refusal(
              {.sizes = {std::int64_t{1} << 40, std::int64_t{1} << 15}, .strides = {INT64_MAX, INT64_MAX}}) ==
          of + "[1099511627776, 32768] reaches element 9223372036854775807 of a storage of 4");
    CHECK(tensor_refusal({.offset = -1}) == of + "its offset is no whole number from 0 on");
    CHECK(tensor_refusal({.sizes = {-1}}) == of + "a size is no whole number from 0 on");
    CHECK(tensor_refusal({.strides = {-1}}) == of + "a stride is no whole number from 0 on");
    CHECK(tensor_refusal({.sizes = {2, 2}}) == of + "sizes and strides are not two lists of one length");
    CHECK(tensor_refusal(
              {.sizes = std::vector<std::int64_t>(9, 1), .strides = std::vector<std::int64_t>(9, 1)}) ==
          of + "has 9 axes; at most 8 are read");
    CHECK(tensor_refusal({.sizes = {std::int64_t{1} << 57}}) ==
          of + "no tensor has its shape: shape: more elements than memory can address: got size "
               "144115188075855872 at axis 0");
    CHECK(tensor_refusal({.key = "../0"}) == of + "its storage \"../0\" is not in the archive");
    CHECK(tensor_refusal({.count = 5}) ==
          of + "its storage has 16 bytes, which are not the 5 elements that were saved");
    CHECK(tensor_refusal({.storage = "DoubleStorage"}) ==
          of + "its storage has 16 bytes, which are not the 4 elements that were saved");
    CHECK(tensor_refusal({.storage = "QInt8Storage"}) ==
          of + "is of type torch.QInt8Storage, which is not read; convert it first, as with .float()");
}

TEST_CASE("PytorchFile: an element repeated without end is refused before memory is taken") {
    const TestTensor repeated{.sizes = {std::int64_t{1} << 40}, .strides = {0}};
    CHECK(tensor_refusal(repeated) ==
          "tensor \"w\": [1099511627776] takes 4398046511104 bytes, of which the file has 16; if "
          "that is right, raise UnpackOptions::max_bytes");
    const TestTensor few{.sizes = {100}, .strides = {0}};
    CHECK(refusal_of(file_of(few), {.max_bytes = 399}) ==
          "tensor \"w\": [100] takes 400 bytes, of which the file has 16; if that is right, raise "
          "UnpackOptions::max_bytes");
    CHECK(refusal_of(file_of(few), {.max_bytes = 400}) == "accepted");
}

TEST_CASE("PytorchFile: calls that make no tensor are refused") {
    const auto of = [](const std::string& value) {
        return refusal_of(file_of(start + dict({{"w", value}}) + stop));
    };
    const std::string rebuild = global("torch._utils", "_rebuild_tensor_v2"), tensor = TestTensor{}.pickled();
    CHECK(of(rebuild + ")R") == "tensor \"w\": torch._utils._rebuild_tensor_v2 lacks an argument");
    CHECK(of(rebuild + "(NNNNt" + "R") == "tensor \"w\": its offset is no whole number from 0 on");
    CHECK(of(rebuild + tuple({"N", number(0), numbers({2}), numbers({1})}) + "R") ==
          "tensor \"w\": lies in no storage");
    CHECK(of(global("torch._utils", "_rebuild_parameter") + "(Nt" + "R") ==
          "tensor \"w\": torch._utils._rebuild_parameter is given no tensor");
    CHECK(of(global("torch._tensor", "_rebuild_from_type_v2") + "(NNNNt" + "R") ==
          "tensor \"w\": torch._tensor._rebuild_from_type_v2 is given no tensor");
    const TemporaryFolder folder;
    const std::string typed =
        global("torch._tensor", "_rebuild_from_type_v2") +
        tuple({global("torch._utils", "_rebuild_parameter"), global("torch.nn.parameter", "Parameter"),
               tuple({tensor, "\x88", "N"}), "}"}) +
        "R";
    CHECK(io::PytorchFile(folder.write("file", file_of(start + dict({{"w", typed}}) + stop)))
              .read("w")
              .as<float>() == Tensor<>{0, 1});
    CHECK(refusal_of(file_of(start + dict({{"w", tensor}, {"w", tensor}}) + stop)) ==
          "two tensors have the name \"w\"");
    CHECK(refusal_of(file_of(start + dict({{"a.b", tensor}, {"a", dict({{"b", tensor}})}}) + stop)) ==
          "two tensors have the name \"a.b\"");
}

TEST_CASE("PytorchFile: no file, flipped or cut anywhere, gives other values") {
    const std::string good = file_of(TestTensor{});
    const auto read = [&](const std::string& bytes) -> std::string {
        try {
            const auto all = io::read_pytorch(MemoryFile(bytes).path());
            return all.size() == 1 && all[0].name == "w" && all[0].tensor.as<float>() == Tensor<>{0, 1}
                       ? "right"
                       : "wrong";
        } catch (const IoError&) {
            return "refused";
        }
    };
    REQUIRE(read(good) == "right");
    for (std::size_t size = 0; size < good.size(); ++size) CHECK(read(good.substr(0, size)) == "refused");
    for (std::size_t at = 0; at < good.size(); ++at) {
        std::string bytes = good;
        bytes[at] = static_cast<char>(bytes[at] ^ 1 << at % 8);
        CHECK(read(bytes) != "wrong");
    }
}

TEST_CASE("PytorchFile: what torch writes is what it reads") {
    const std::string python = python_with("torch");
    if (python.empty()) {
        WARN("skipped: no torch for python3; $GRADUS_PYTHON names another Python");
        return;
    }
    const TemporaryFolder folder;
    const std::string theirs = folder / "theirs.pt", ours = folder / "ours.npz";
    REQUIRE(run_python(python, R"(
import sys, torch
torch.manual_seed(1)
model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.LSTM(4, 5, 2), torch.nn.Embedding(9, 2))
tied = torch.randn(6, 7, 8)
more = {str(i): v for i, v in enumerate([tied, tied.permute(2, 0, 1), tied[::2, 1:, 3], tied.double()[2:], tied > 0, tied.half(),
        (tied * 9).short().transpose(0, 2), tied.expand(3, 6, 7, 8), torch.zeros(0), torch.tensor(5)])}
torch.save({**model.state_dict(), **more}, sys.argv[1])
)",
                       theirs));
    io::write_npz(ours, io::read_pytorch(theirs));
    CHECK(run_python(python, R"(
import sys, torch, numpy
a, b = torch.load(sys.argv[1]), numpy.load(sys.argv[2])
assert list(a) == b.files
for name, x in a.items():
    y = b[name]
    assert tuple(x.shape) == y.shape and x.numpy().dtype == y.dtype and (x.numpy() == y).all(), name
)",
                     theirs + " " + ours));
}
