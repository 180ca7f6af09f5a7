// SPDX-License-Identifier: MIT
#include <gradus/data/images.hpp>
#include <gradus/gradus.hpp>
#if WITH_EIGEN
#include <gradus/interop/eigen.hpp>
#endif

#if defined(WITH_PLUGIN)
gradus::Tensor<> doubled(const gradus::Tensor<>& x);
#else
gradus::Tensor<> doubled(const gradus::Tensor<>& x) { return x * 2.0f; }
#endif

struct Net {
    gradus::nn::Linear<> fc1{8, 16};
    gradus::nn::Linear<> fc2{16, 3};

    gradus::Variable<> operator()(gradus::Variable<> x) const { return fc2(relu(fc1(x))); }
};

int main() {
    Net net;
    const gradus::Variable<> x(gradus::randn({4, 8}));
    const gradus::Tensor<gradus::Index> labels{0, 1, 2, 0};
    gradus::optim::SGD<> sgd(gradus::nn::parameters(net), {.lr = 0.1});
    const auto loss = cross_entropy(net(x), labels);
    loss.backward();
    sgd.step();
    if (doubled({1, 2}) != gradus::Tensor<>{2, 4}) return 2;
#ifdef GRADUS_WITH_PNG
    const gradus::Tensor<std::uint8_t> image{{{0, 100, 255}}};
    if (gradus::data::decode_image(gradus::data::encode_png(image)) != image) return 3;
#endif
    return cross_entropy(net(x), labels).item() < loss.item() ? 0 : 1;
}
