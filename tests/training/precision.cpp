// SPDX-License-Identifier: MIT
// Training curves with lower precisions of matrix products: as in float, but for noise.

#include <cmath>
#include <vector>

#include "gradus/gradus.hpp"
#include "support/bf16_backends.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

struct Net {
    nn::Conv2d<> conv{16, 32, {.kernel_size = 3, .padding = 1}};
    nn::Linear<> fc1{32 * 4 * 4, 48}, fc2{48, 10};
    Variable<> operator()(const Variable<>& x) const { return fc2(relu(fc1(flatten(relu(conv(x)))))); }
};

/// Losses of 30 steps on ten noisy patterns.
std::vector<float> losses() {
    manual_seed(3);
    const Net net;
    optim::SGD<> sgd(nn::parameters(net), {.lr = 0.05, .momentum = 0.9});
    Generator generator(4);
    const Tensor<> patterns = randn<float>({10, 16 * 4 * 4}, generator);
    std::vector<float> curve;
    for (int step = 0; step < 30; ++step) {
        Tensor<> x = randn<float>({20, 16, 4, 4}, generator);
        Tensor<Index> labels = zeros<Index>({20});
        for (Index i = 0; i < 20; ++i) {
            labels.mutable_data()[i] = i % 10;
            for (Index j = 0; j < 16 * 4 * 4; ++j)
                x.mutable_data()[i * 16 * 4 * 4 + j] += 0.5f * patterns.data()[i % 10 * 16 * 4 * 4 + j];
        }
        const Variable<> loss = cross_entropy(net(x), labels);
        sgd.zero_grad();
        loss.backward();
        sgd.step();
        curve.push_back(loss.item());
    }
    return curve;
}

std::vector<float> losses(const kernels::Bf16Backend& backend, const char* precision) {
    const kernels::ScopedBf16Backend scope(backend);
    set_float32_matmul_precision(precision);
    const std::vector<float> curve = losses();
    set_float32_matmul_precision("highest");
    return curve;
}

float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
    float largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
    return largest;
}

}  // namespace

TEST_CASE("precision: training curves are alike", "[training]") {
    const std::vector<float> highest = losses();
    CAPTURE(highest);
    REQUIRE(highest.front() > 2);
    REQUIRE(highest.back() < 0.1f);
    for (const kernels::Bf16Backend& backend : bf16_backends::all()) {
        INFO(backend.name);
        const float medium = largest_difference(losses(backend, "medium"), highest);
        const float high = largest_difference(losses(backend, "high"), highest);
        CAPTURE(medium, high);
        CHECK((0 < high && high < 1e-3f));
        CHECK((high < medium && medium < 0.05f));
    }
}

#if defined(__x86_64__) && defined(__linux__)
TEST_CASE("precision: training with the instructions of AMX is bit-equal to their model", "[training]") {
    if (simd::AmxTiles::usable()) return;  // hardware may add in another order
    for (const char* const precision : {"medium", "high"})
        CHECK(losses(bf16_backends::emulated, precision) == losses(bf16_backends::model, precision));
}
#endif
