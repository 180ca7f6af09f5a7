// SPDX-License-Identifier: MIT
#include "gradus/io/load.hpp"

#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <map>
#include <memory>
#include <new>

#include "data/files.hpp"
#include "gradus/io/save.hpp"
#include "gradus/nn/batch_norm.hpp"
#include "gradus/nn/linear.hpp"
#include "gradus/nn/sequential.hpp"
#include "gradus/ops/reduce.hpp"
#include "gradus/optim/sgd.hpp"
#include "support/test.hpp"

using namespace gradus;
using io::NamedTensor;

namespace {

template <class T = float>
struct Net {
    nn::Linear<T> fc1{3, 2};
    nn::BatchNorm1d<T> bn{2};
    std::vector<nn::Linear<T>> blocks = {nn::Linear<T>(2, 2, {.bias = false})};
};

struct Small {
    nn::Linear<> fc{2, 1};
};

const std::vector<std::string> names_of_net{"fc1.weight",
                                            "fc1.bias",
                                            "bn.weight",
                                            "bn.bias",
                                            "bn.running_mean",
                                            "bn.running_var",
                                            "bn.num_batches_tracked",
                                            "blocks.0.weight"};

bool same(const std::vector<NamedTensor>& a, const std::vector<NamedTensor>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const NamedTensor& x, const NamedTensor& y) {
        const auto p = x.tensor.bytes(), q = y.tensor.bytes();
        return x.name == y.name && x.tensor.dtype() == y.tensor.dtype() &&
               x.tensor.shape() == y.tensor.shape() && std::equal(p.begin(), p.end(), q.begin(), q.end());
    });
}

template <class T>
void train_a_little(Net<T>& net) {
    static_cast<void>(net.bn(net.fc1(Variable<T>(Tensor<T>{{1, 2, 3}, {-1, 0, 2}, {5, 1, 1}}))));
}

/// What loading is refused with, without what every message begins with. The model must be as it was.
template <class Model>
std::string refusal(const std::string& path, Model& model, const io::LoadOptions& options = {}) {
    const auto before = io::state_dict(model);
    const std::string start = "load: " + path + ": ";
    try {
        io::load(path, model, options);
    } catch (const IoError& error) {
        CHECK(same(io::state_dict(model), before));
        const std::string text = error.what();
        REQUIRE(text.substr(0, start.size()) == start);
        return text.substr(start.size());
    }
    return "no refusal";
}

const std::string unfit = "does not fit the model, which was not changed:";

}  // namespace

TEST_CASE("state_dict: PyTorch's names, and a snapshot") {
    Net<> net;
    const auto state = io::state_dict(std::as_const(net));
    std::vector<std::string> names;
    for (const NamedTensor& t : state) names.push_back(t.name);
    CHECK(names == names_of_net);
    CHECK(state[6].tensor.dtype() == io::DType::i64);
    CHECK(state[0].tensor.bytes().data() == static_cast<const void*>(net.fc1.weight.value().data()));
    const Tensor<> before = state[0].tensor.as<float>();
    net.fc1.weight.mutable_value().mutable_at(0, 0) += 1;
    CHECK(state[0].tensor.as<float>() == before);
}

TEST_CASE("save, load: a model comes back bit for bit, and an optimizer goes on with it") {
    const TemporaryFolder folder;
    const std::string path = folder / "net.safetensors";
    Net<> net, other;
    train_a_little(net);
    train_a_little(net);
    io::save(path, std::as_const(net));
    optim::SGD sgd(nn::parameters(other), {.lr = 0.1});
    other.fc1.weight.set_requires_grad(false);
    nn::eval(other);
    const io::LoadReport report = io::load(path, other);
    CHECK(same(io::state_dict(net), io::state_dict(other)));
    CHECK(other.bn.num_batches_tracked->item() == 2);
    CHECK(report.loaded == names_of_net);
    CHECK((report.missing.empty() && report.unexpected.empty()));
    CHECK_FALSE(other.fc1.weight.requires_grad());  // stays
    CHECK_FALSE(other.bn.training);
    other.fc1.weight.set_requires_grad(true);
    nn::train(other);
    sum(other.fc1(Variable<>(Tensor<>{{1, 2, 3}}))).backward();
    sgd.step();
    CHECK_FALSE(other.fc1.weight.value() == net.fc1.weight.value());
    const io::SafetensorsFile file(path);
    CHECK(file.metadata() == io::Metadata{{"format", "pt"}});
}

TEST_CASE("save, load: numbers become those of the file, and of the model") {
    const TemporaryFolder folder;
    const std::string path = folder / "net.safetensors";
    Net<double> exact, back;
    exact.fc1.weight.set_value({{0.1, 1e-10, 1e5}, {1e300, -0.0, 1.5}});
    train_a_little(exact);
    Net<> single;
    for (const io::DType dtype : {io::DType::f16, io::DType::bf16, io::DType::f32, io::DType::f64}) {
        INFO(io::name(dtype));
        io::save(path, exact, {.dtype = dtype, .metadata = {}});
        const io::SafetensorsFile file(path);
        CHECK(file.dtype("fc1.weight") == dtype);
        CHECK(file.dtype("bn.running_mean") == dtype);
        CHECK(file.dtype("bn.num_batches_tracked") == io::DType::i64);
        CHECK(file.metadata().empty());
        io::load(path, back);
        io::load(path, single);
        CHECK(single.fc1.weight.value() == cast<float>(back.fc1.weight.value()));
        CHECK(std::isinf(single.fc1.weight.value()(1, 0)));
        CHECK(std::isinf(back.fc1.weight.value()(1, 0)) == (dtype != io::DType::f64));
        CHECK(std::isinf(back.fc1.weight.value()(0, 2)) == (dtype == io::DType::f16));
        CHECK(back.fc1.weight.value()(1, 2) == 1.5);
    }
    CHECK(same(io::state_dict(exact), io::state_dict(back)));
    CHECK_THROWS_MATCHES(io::save(path, exact, {.dtype = io::DType::i64}), ValueError,
                         Message("save: " + path + ": dtype must be f16, bf16, f32 or f64: got I64"));
    CHECK(same(io::state_dict(exact), io::state_dict(back)));
}

TEST_CASE("save: an error names the path, and the old file stays") {
    const TemporaryFolder folder;
    CHECK_THROWS_MATCHES(
        io::save(folder / "none" + "/net", Small()), IoError,
        Message("save: " + folder.path() + "/none/net: cannot write: No such file or directory"));
    std::map<std::string, nn::Linear<>> twice;
    struct Clash {
        std::map<std::string, nn::Linear<>> a;
    } clash;
    clash.a.emplace("b", nn::Linear<>(1, 1));
    clash.a.emplace("b.weight", nn::Linear<>(1, 1));  // not the same: "a.b.weight.weight"
    const std::string path = folder / "net";
    io::save(path, clash);
    const std::string before = content(path);
    struct Same {
        std::tuple<nn::Linear<>> a{nn::Linear<>(1, 1)};
        auto fields() { return std::tuple(field("x", std::get<0>(a)), field("x", std::get<0>(a))); }
    };
    CHECK_THROWS_MATCHES(io::save(path, Same()), ValueError,
                         Message("save: " + path + ": two tensors have the name \"x.bias\""));
    CHECK(content(path) == before);
}

TEST_CASE("load: one report of all that does not fit, and nothing is changed") {
    const TemporaryFolder folder;
    Net<> net;
    std::vector<NamedTensor> tensors = io::state_dict(net);
    tensors[0].tensor = zeros({2, 4});        // another shape
    tensors[1].tensor = Tensor<Index>{1, 2};  // another kind of numbers
    tensors[6].tensor = full({}, 3);          // floats where integers are counted
    tensors[3].name = "bn.shift";             // missing and unexpected
    tensors.push_back({"head.weight", zeros({1})});
    tensors.erase(tensors.begin() + 7);
    const std::string path = folder / "net";
    io::write_safetensors(path, tensors);
    const std::string problems =
        unfit +
        "\n  missing in the file: \"bn.bias\", \"blocks.0.weight\""
        "\n  not in the model: \"bn.shift\", \"head.weight\""
        "\n  of another shape: \"fc1.weight\" ([2, 4] in the file, [2, 3] in the model)"
        "\n  of another type: \"fc1.bias\" (I64 in the file, F32 in the model), "
        "\"bn.num_batches_tracked\" (F32 in the file, I64 in the model)"
        "\n  try {.partial = true} to load what fits, or {.rename = ...}";
    CHECK(refusal(path, net) == problems);
    // What is in both has to fit all the same.
    CHECK(refusal(path, net, {.partial = true}) ==
          unfit +
              "\n  of another shape: \"fc1.weight\" ([2, 4] in the file, [2, 3] in the model)"
              "\n  of another type: \"fc1.bias\" (I64 in the file, F32 in the model), "
              "\"bn.num_batches_tracked\" (F32 in the file, I64 in the model)");
    CHECK_THROWS_MATCHES(io::load_state_dict(net, tensors), IoError,
                         Message("load_state_dict: the tensors: " + problems));
}

TEST_CASE("load: a part, and no part") {
    const TemporaryFolder folder;
    const std::string path = folder / "net";
    Small small;
    io::write_safetensors(
        path, std::vector<NamedTensor>{{"fc.weight", Tensor<>{{5, 6}}}, {"head.bias", zeros({1})}});
    const Tensor<> bias = small.fc.bias->value();
    const io::LoadReport report = io::load(path, small, {.partial = true});
    CHECK(small.fc.weight.value() == Tensor<>{{5, 6}});
    CHECK(small.fc.bias->value() == bias);
    CHECK(report.loaded == std::vector<std::string>{"fc.weight"});
    CHECK(report.missing == std::vector<std::string>{"fc.bias"});
    CHECK(report.unexpected == std::vector<std::string>{"head.bias"});
    Net<> net;
    CHECK(refusal(path, net, {.partial = true}) == unfit + "\n  no tensor has the name of one in the model");
}

TEST_CASE("load: names are changed by what they begin with, or by a function") {
    const TemporaryFolder folder;
    const std::string path = folder / "net";
    Small small;
    const std::vector<NamedTensor> tensors{{"module.fc.weight", Tensor<>{{5, 6}}},
                                           {"module.fc.bias", Tensor<>{7}}};
    io::write_safetensors(path, tensors);
    CHECK(refusal(path, small) == unfit +
                                      "\n  missing in the file: \"fc.weight\", \"fc.bias\""
                                      "\n  not in the model: \"module.fc.bias\", \"module.fc.weight\""
                                      "\n  try {.rename = {{\"module.\", \"\"}}}");
    CHECK(refusal(path, small, {.partial = true}) == unfit +
                                                         "\n  no tensor has the name of one in the model"
                                                         "\n  try {.rename = {{\"module.\", \"\"}}}");
    io::load(path, small, {.rename = {{"module.", ""}}});
    CHECK(small.fc.bias->value() == Tensor<>{7});
    struct Wrapped {
        Small model;
    } wrapped;
    io::write_safetensors(
        path, std::vector<NamedTensor>{{"fc.weight", Tensor<>{{1, 2}}}, {"fc.bias", Tensor<>{3}}});
    CHECK(refusal(path, wrapped) == unfit +
                                        "\n  missing in the file: \"model.fc.weight\", \"model.fc.bias\""
                                        "\n  not in the model: \"fc.bias\", \"fc.weight\""
                                        "\n  try {.rename = {{\"\", \"model.\"}}}");
    io::load(path, wrapped, {.rename = {{"x", "y"}, {"", "model."}}});
    CHECK(wrapped.model.fc.bias->value() == Tensor<>{3});

    // A function gets what the beginnings became, and leaves out what it gives no name.
    io::write_safetensors(path, std::vector<NamedTensor>{{"net/fc/w", Tensor<>{{8, 9}}},
                                                         {"net/fc/bias", Tensor<>{10}},
                                                         {"optimizer/step", Tensor<Index>{3}}});
    const std::string separator = "/";
    const auto by = [&](const std::string& name) -> std::string {
        if (name.substr(0, 10) == "optimizer/") return "";
        return name == "fc/w" ? "fc.weight" : "fc." + name.substr(name.find(separator) + 1);
    };
    const io::LoadReport report = io::load(path, small, {.rename = {{"net/", ""}}, .rename_by = by});
    CHECK(small.fc.weight.value() == Tensor<>{{8, 9}});
    CHECK(small.fc.bias->value() == Tensor<>{10});
    CHECK(report.loaded.size() == 2);
    CHECK(report.unexpected.empty());

    CHECK(refusal(path, small, {.rename_by = [](const std::string&) { return "fc.bias"; }})
              .starts_with(unfit + "\n  missing in the file: \"fc.weight\""));
    CHECK(refusal(path, small, {.partial = true, .rename = {{"net/fc/w", "fc.bias"}, {"net/fc/", "fc."}}}) ==
          unfit + "\n  of one name in the model: \"net/fc/bias\" and \"net/fc/w\" as \"fc.bias\"");
}

TEST_CASE("load: a file may lack the number of batches, as in PyTorch") {
    const TemporaryFolder folder;
    const std::string path = folder / "net";
    Net<> net;
    train_a_little(net);
    auto tensors = io::state_dict(net);
    tensors.erase(tensors.begin() + 6);
    io::write_safetensors(path, tensors);
    const io::LoadReport report = io::load(path, net);
    CHECK(report.missing == std::vector<std::string>{"bn.num_batches_tracked"});
    CHECK(net.bn.num_batches_tracked->item() == 1);
    tensors.erase(tensors.begin() + 4);  // but not the statistics themselves
    io::write_safetensors(path, tensors);
    CHECK(refusal(path, net).starts_with(unfit + "\n  missing in the file: \"bn.running_mean\", "
                                                 "\"bn.num_batches_tracked\"\n"));
    // Integers of another size, and one that none of the model's can be.
    tensors = io::state_dict(net);
    tensors[6].tensor = Tensor<std::int32_t>({}, std::vector<std::int32_t>{5});
    io::write_safetensors(path, tensors);
    io::load(path, net);
    CHECK(net.bn.num_batches_tracked->item() == 5);
    tensors[6].tensor = Tensor<std::uint64_t>({}, std::vector<std::uint64_t>{~std::uint64_t{0}});
    io::write_safetensors(path, tensors);
    CHECK(refusal(path, net) == "tensor \"bn.num_batches_tracked\": as: 18446744073709551615 is no I64");
}

TEST_CASE("load: what several parts of a model share is in the file once") {
    struct Tied {
        std::shared_ptr<nn::Linear<>> encoder = std::make_shared<nn::Linear<>>(2, 2), decoder = encoder;
    } tied, other;
    CHECK(io::state_dict(tied).size() == 2);
    const TemporaryFolder folder;
    io::save(folder / "net", tied);
    io::load(folder / "net", other);
    CHECK(other.decoder->weight.value() == tied.encoder->weight.value());
}

// The address sanitizer brings operators of its own, which would be mixed with these.
#if defined(__SANITIZE_ADDRESS__)
#define GRADUS_TEST_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GRADUS_TEST_SANITIZED
#endif
#endif
#if !defined(GRADUS_TEST_SANITIZED)

// From some request for memory on, all fail: whatever load() was about to do, the model is as it was.

namespace {

thread_local int requests_left = -1;  // before they fail; -1: they do not

void* memory_of(std::size_t size, std::size_t alignment) {
    if (requests_left > 0) --requests_left;
    void* const memory =
        requests_left == 0 ? nullptr : std::aligned_alloc(alignment, (size / alignment + 1) * alignment);
    if (!memory) throw std::bad_alloc();
    return memory;
}

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t size) { return memory_of(size, alignof(std::max_align_t)); }
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
    return memory_of(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}

TEST_CASE("load: out of memory at any moment leaves the model as it was") {
    const TemporaryFolder folder;
    const std::string path = folder / "net";
    Net<double> exact;
    train_a_little(exact);
    io::save(path, exact);
    Net<> net;
    const auto before = io::state_dict(net);
    int failures = 0;
    for (bool loaded = false; !loaded; ++failures) {
        REQUIRE(failures < 10000);
        requests_left = failures + 1;
        try {
            io::load(path, net);
            loaded = true;
        } catch (const std::bad_alloc&) {
            requests_left = -1;
            if (!same(io::state_dict(net), before)) FAIL("changed after " << failures);
        }
        requests_left = -1;
    }
    CHECK(failures > 50);
    CHECK(net.fc1.weight.value() == cast<float>(exact.fc1.weight.value()));
}

#endif
