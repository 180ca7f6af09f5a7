// SPDX-License-Identifier: MIT
// Loads what PyTorch wrote into a folder, compares outputs, and writes its own there: see run.sh.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "gradus/io/load.hpp"
#include "gradus/io/save.hpp"
#include "support/networks.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

bool failed = false;

void report(const std::string& what, bool right) {
    std::printf("%s%s\n", what.c_str(), right ? "" : ": FAILED");
    failed = failed || !right;
}

/// The largest difference, as a share of the largest number.
template <class T>
double difference(const Tensor<T>& got, const Tensor<T>& expected) {
    if (got.shape() != expected.shape()) return HUGE_VAL;
    double worst = 0, largest = 0;
    for (Index i = 0; i < got.numel(); ++i) {
        const double a = static_cast<double>(got.data()[i]), b = static_cast<double>(expected.data()[i]);
        worst = std::isnan(a) ? HUGE_VAL : std::max(worst, std::abs(a - b));
        largest = std::max(largest, std::abs(b));
    }
    return worst / largest;
}

template <class T, class Net>
void both_ways(const std::string& path, const std::string& name, Net net, const Shape& shape) {
    const Net fresh = net;
    io::load(path + ".torch.safetensors", net);
    const io::SafetensorsFile example(path + ".torch.example.safetensors");
    nn::eval(net);
    const double error =
        difference(net(Variable<T>(example.read("x").as<T>())).value(), example.read("y").as<T>());
    char text[64];
    std::snprintf(text, sizeof text, "%.2g of the largest output", error);
    report(name + ", PyTorch to gradus: " + text, error <= (sizeof(T) == 4 ? 1e-5 : 1e-12));
    if constexpr (requires { net.bn1; })
        report(name + ": batches counted", net.bn1.num_batches_tracked->item() == 2);

    Net own = fresh;
    Generator generator(2);
    for (int i = 0; i < 2; ++i) own(Variable<T>(randn<T>(shape, generator)));
    nn::eval(own);
    const Tensor<T> x = randn<T>(shape, generator);
    io::save(path + ".gradus.safetensors", own);
    io::write_safetensors(path + ".gradus.example.safetensors",
                          std::vector<io::NamedTensor>{{"x", x}, {"y", own(Variable<T>(x)).value()}});
}

template <class T>
void all_models(const std::string& folder, const std::string& type) {
    both_ways<T>(folder + "/mlp_" + type, "mlp " + type, Mlp<T>(), {8, 1, 28, 28});
    both_ways<T>(folder + "/cnn_" + type, "cnn " + type, Cnn<T>(), {8, 1, 28, 28});
    both_ways<T>(folder + "/resnet18_" + type, "resnet18 " + type, ResNet18<T>{.classes = 19},
                 {4, 3, 64, 64});
}

bool same_bytes(const io::AnyTensor& a, const io::AnyTensor& b) {
    return a.dtype() == b.dtype() && a.shape() == b.shape() &&
           std::equal(a.bytes().begin(), a.bytes().end(), b.bytes().begin(), b.bytes().end());
}

void rounding(const std::string& folder) {
    const io::SafetensorsFile file(folder + "/rounded.safetensors");
    const auto check = [&](const char* name, const io::AnyTensor& got) {
        report(std::string("rounded as PyTorch does: ") + name, same_bytes(got, file.read(name)));
    };
    const io::AnyTensor x = file.read("x"), d = file.read("d");
    check("half", x.as<half>());
    check("bfloat16", x.as<bfloat16>());
    check("back", io::AnyTensor(x.as<half>()).as<float>());
    check("d_float", d.as<float>());
    check("d_half", d.as<half>());
    check("d_bfloat16", d.as<bfloat16>());
}

}  // namespace

TEST_CASE("weights both ways with PyTorch") {
    const char* const named = std::getenv("GRADUS_WEIGHTS");
    REQUIRE(named);
    const std::string folder = named;
    all_models<float>(folder, "float");
    all_models<double>(folder, "double");
    ResNet18<> net{.classes = 19};
    io::load(folder + "/resnet18_float.gradus.safetensors", net);
    io::save(folder + "/resnet18_bf16.gradus.safetensors", net, {.dtype = io::DType::bf16});
    rounding(folder);
    CHECK_FALSE(failed);
}
