// SPDX-License-Identifier: MIT
// What must hold on every processor, operating system and compiler, in one program without a test framework:
// it can be compiled for all of them and run in an emulator, which cmake/platforms.sh does.
#include <cmath>
#include <cstdio>
#include <string>

#include "gradus/gradus.hpp"
#include "gradus/io/safetensors.hpp"

using namespace gradus;

namespace {

int failures = 0;

void check(const char* what, bool holds) {
    std::printf("%s: %s\n", holds ? "ok   " : "WRONG", what);
    failures += holds ? 0 : 1;
}

/// FNV-1a over the bytes of all elements, each from its lowest byte on.
template <class T>
std::uint64_t hash(const Tensor<T>& x) {
    using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    std::uint64_t result = 0xcbf29ce484222325u;
    for (const T& value : x.values())
        for (std::size_t byte = 0; byte < sizeof(T); ++byte)
            result = (result ^ (gradus::detail::bit_cast<Bits>(value) >> 8 * byte & 0xff)) * 0x100000001b3u;
    return result;
}

template <class T>
void check_hash(const char* what, const Tensor<T>& x, std::uint64_t expected) {
    check(what, hash(x) == expected);
    if (hash(x) != expected) std::printf("       got 0x%llx\n", static_cast<unsigned long long>(hash(x)));
}

void check_near(const char* what, double got, double expected, double tolerance = 1e-6) {
    const bool near_enough = std::abs(got - expected) <= tolerance * std::abs(expected);
    check(what, near_enough);
    if (!near_enough) std::printf("       got %.9g, expected %.9g\n", got, expected);
}

/// The largest difference, as a share of the largest number.
double error(const Tensor<>& got, const Tensor<>& expected) {
    double largest = 0, difference = 0;
    for (Index i = 0; i < expected.numel(); ++i) {
        largest = std::max(largest, std::abs(static_cast<double>(expected.data()[i])));
        difference = std::max(difference, std::abs(static_cast<double>(got.data()[i]) -
                                                   static_cast<double>(expected.data()[i])));
    }
    return difference / largest;
}

// The same on every machine: these were drawn on x86-64.
void random_bits() {
    Generator generator(7);
    check_hash("random bits: uniform float", uniform({1001}, -1, 1, generator), 0x48c664d0834e265d);
    check_hash("random bits: uniform double", uniform<double>({1001}, -1, 1, generator), 0x83c33cb6edaf7d0f);
    check_hash("random bits: permutation", permutation(1001, generator), 0x6a9edfbbb24d70d0);
    const Tensor<> normal = randn({1001}, generator);  // by the system's sines and logarithms
    check_near("random numbers: normal, the first", static_cast<double>(normal(0)), 0.698658347);
    check_near("random numbers: normal, the last", static_cast<double>(normal(1000)), 1.67011678);
}

void products() {
    Generator generator(1);
    const Tensor<> a = uniform({37, 70}, -1, 1, generator), b = uniform({70, 29}, -1, 1, generator);
    Tensor<> expected = zeros({37, 29});
    for (Index i = 0; i < 37; ++i)
        for (Index j = 0; j < 29; ++j)
            for (Index k = 0; k < 70; ++k) expected.mutable_at(i, j) += a(i, k) * b(k, j);
    check("matmul", error(matmul(Variable<>(a), Variable<>(b)).value(), expected) < 1e-6);

    const Tensor<> image = uniform({2, 3, 9, 8}, -1, 1, generator),
                   filter = uniform({4, 3, 3, 3}, -1, 1, generator);
    Tensor<> windows = zeros({2, 4, 7, 6});
    for (Index n = 0; n < 2; ++n)
        for (Index o = 0; o < 4; ++o)
            for (Index y = 0; y < 7; ++y)
                for (Index x = 0; x < 6; ++x)
                    for (Index i = 0; i < 27; ++i)
                        windows.mutable_at(n, o, y, x) +=
                            image(n, i / 9, y + i / 3 % 3, x + i % 3) * filter(o, i / 9, i / 3 % 3, i % 3);
    check("conv2d", error(conv2d(Variable<>(image), Variable<>(filter)).value(), windows) < 1e-5);
}

struct Net {
    nn::Conv2d<> conv{1, 4, {.kernel_size = 3}};
    nn::BatchNorm2d<> norm{4};
    nn::Linear<> fc{100, 3};

    Variable<> operator()(Variable<> x) const {
        return fc(flatten(relu(norm(max_pool2d(conv(x), {.kernel_size = 2})))));
    }
};

float loss_after_training() {
    manual_seed(3);
    Net net;
    const Variable<> x(rand({24, 1, 12, 12}));
    Tensor<Index> labels = permutation(24);
    for (Index& label : labels.mutable_values()) label %= 3;
    optim::Adam<> adam(nn::parameters(net), {.lr = 0.01});
    Variable<> loss;
    for (int step = 0; step < 8; ++step) {
        loss = cross_entropy(net(x), labels);
        adam.zero_grad();
        loss.backward();
        adam.step();
    }
    return loss.item();
}

void training() {
    const float loss = loss_after_training();
    check_near("training: the loss after 8 steps", static_cast<double>(loss), 0.428914785, 1e-3);
    set_num_threads(3);
    check("training: the same bits on three threads", loss_after_training() == loss);
}

void errors() {
    std::string text;
    try {
        matmul(Variable<>(zeros({2, 3})), Variable<>(zeros({4, 5})));
    } catch (const ShapeError& refusal) {
        text = refusal.what();
    }
    check("errors arrive as exceptions", text.find("[2, 3] and [4, 5]") != std::string::npos);

    text = "";
    try {
        zeros({Index{1} << 18, Index{1} << 18, Index{1} << 18});  // 2⁵⁶ bytes are 0 in 32 bits
    } catch (const std::bad_alloc& refusal) {
        text = refusal.what();
    }
    check("too many bytes are refused", text.find("[262144, 262144, 262144]") != std::string::npos);
}

void files() {
    // Bytes that a file in text mode would change or end at.
    const unsigned char idx[] = {0, 0, 8, 1, 0, 0, 0, 6, '\r', '\n', 0x1a, '\n', 0, 255};
    const std::string path = "gradus_smoke_idx";
    std::FILE* const file = std::fopen(path.c_str(), "wb");
    check("files: a folder to write to", file && std::fwrite(idx, 1, sizeof idx, file) == sizeof idx);
    if (file) std::fclose(file);
    check("files: IDX", data::read_idx(path) == Tensor<std::uint8_t>{'\r', '\n', 0x1a, '\n', 0, 255});

    write_history_csv("gradus_smoke_csv", {{0.1, 2, 1.0 / 3, 1e-20, 1.5}});
    write_history_csv("gradus_smoke_csv", {{0.1, 2, 1.0 / 3, 1e-20, 2.5}});  // over a file that is there
    std::FILE* const csv = std::fopen("gradus_smoke_csv", "rb");
    char line[200] = "";
    double numbers[5] = {};
    bool read = csv && std::fgets(line, sizeof line, csv) && std::fgets(line, sizeof line, csv);
    read = read && std::sscanf(line, "1,%lf,%lf,%lf,%lf,%lf", &numbers[0], &numbers[1], &numbers[2],
                               &numbers[3], &numbers[4]) == 5;
    if (csv) std::fclose(csv);
    check("files: history.csv, all digits", read && numbers[0] == 0.1 && numbers[1] == 2 &&
                                                numbers[2] == 1.0 / 3 && numbers[3] == 1e-20 &&
                                                numbers[4] == 2.5);

    const char* const tensors = "gradus_smoke_safetensors";
    const Tensor<Index> integers{13, 10, 26, -1};  // \r, \n and what ends a text for some
    io::write_safetensors(tensors, std::vector<io::NamedTensor>{{"integers", integers}});
    io::write_safetensors(tensors, std::vector<io::NamedTensor>{
                                       {"integers", integers},
                                       {"half", io::AnyTensor(Tensor<>{0.1f, 1e-7f, 1e6f}).as<half>()}});
    {
        const io::SafetensorsFile saved(tensors);
        const Tensor<> halves = saved.read("half").as<float>();
        check("files: safetensors", saved.read("integers").as<Index>() == integers &&
                                        halves(0) == 0x1.998p-4f && halves(1) == 0x1p-23f &&
                                        halves(2) > 1e30f);
    }
    for (const char* name : {"gradus_smoke_idx", "gradus_smoke_csv", tensors})
        check("files: they can be removed", std::remove(name) == 0);  // so nobody holds them open
}

}  // namespace

int main() {
    std::printf("%s\n", to_string(build_info()).c_str());
    random_bits();
    products();
    training();
    errors();
    files();
    std::printf("%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}
