// SPDX-License-Identifier: MIT
#pragma once

#include <array>

#include "../../examples/support/resnet.hpp"
#include "gradus/gradus.hpp"
#include "workload.hpp"

/// The models of the comparison, and what every program does with them.
namespace bench {

namespace nn = gradus::nn;
using gradus::Tensor;
using gradus::Variable;

struct Mlp {
    nn::Linear<> fc1{784, 350}, fc2{350, 250}, fc3{250, 150}, fc4{150, 50}, fc5{50, 10};

    Variable<> operator()(Variable<> x) const {
        x = relu(fc1(flatten(x)));
        x = relu(fc2(x));
        x = relu(fc3(x));
        x = relu(fc4(x));
        return fc5(x);
    }
};

struct Cnn {
    nn::Conv2d<> conv1{1, 32, {.kernel_size = 5}}, conv2{32, 64, {.kernel_size = 5}};
    nn::Linear<> fc1{256, 200}, fc2{200, 10};

    Variable<> operator()(Variable<> x) const {
        x = relu(max_pool2d(conv1(x), {.kernel_size = 3}));
        x = relu(max_pool2d(conv2(x), {.kernel_size = 2}));
        return fc2(relu(fc1(flatten(x))));
    }
};

/// ResNet-18 for images of 32 × 32: a first convolution of 3 × 3, and no pooling after it.
struct SmallResNet18 {
    nn::Conv2d<> conv1{3, 64, {.kernel_size = 3, .padding = 1, .bias = false}};
    nn::BatchNorm2d<> bn1{64};
    std::array<BasicBlock<>, 2> layer1{{{64, 64}, {64, 64}}};
    std::array<BasicBlock<>, 2> layer2{{{64, 128, 2}, {128, 128}}};
    std::array<BasicBlock<>, 2> layer3{{{128, 256, 2}, {256, 256}}};
    std::array<BasicBlock<>, 2> layer4{{{256, 512, 2}, {512, 512}}};
    nn::Linear<> fc{512, 10};

    Variable<> operator()(Variable<> x) const {
        x = relu(bn1(conv1(x)));
        for (const auto& layer : {&layer1, &layer2, &layer3, &layer4})
            for (const BasicBlock<>& block : *layer) x = block(x);
        return fc(global_avg_pool2d(x));
    }
};

template <class Net>
void fill_parameters(const Net& net, float gain) {
    int index = 0;
    for (auto& [name, parameter] : nn::named_parameters(net)) {
        const gradus::Shape& shape = parameter.shape();
        Tensor<> values = Tensor<>::uninitialized(shape);
        workload::fill_parameter(values.mutable_values(), index++, name.ends_with("bias"),
                                 static_cast<std::size_t>(shape.rank()),
                                 static_cast<std::size_t>(shape.numel() / shape[0]), gain);
        parameter.set_value(values);
    }
}

}  // namespace bench
