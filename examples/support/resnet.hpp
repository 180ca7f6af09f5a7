// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <optional>

#include "gradus/nn/batch_norm.hpp"
#include "gradus/nn/conv2d.hpp"
#include "gradus/nn/dropout.hpp"
#include "gradus/nn/linear.hpp"
#include "gradus/nn/sequential.hpp"
#include "gradus/ops/activation.hpp"
#include "gradus/ops/pool2d.hpp"

// ResNet-18. Source: He et al., "Deep residual learning for image recognition", 2016. Its parameters and
// buffers have the names, shapes and order of torchvision's resnet18: "conv1.weight",
// "layer2.0.downsample.1.running_mean", "fc.bias", ...

/// Two convolutions around which the input is added again; where the shape changes, through a 1 × 1
/// convolution.
template <class T = float>
struct BasicBlock {
    using Index = gradus::Index;
    using Conv = gradus::nn::Conv2d<T>;
    using Norm = gradus::nn::BatchNorm2d<T>;

    Index in, out, stride = 1;
    Conv conv1{in, out, {.kernel_size = 3, .stride = stride, .padding = 1, .bias = false}};
    Norm bn1{out};
    Conv conv2{out, out, {.kernel_size = 3, .padding = 1, .bias = false}};
    Norm bn2{out};
    std::optional<gradus::nn::Sequential<Conv, Norm>> downsample = shortcut(in, out, stride);

    gradus::Variable<T> operator()(const gradus::Variable<T>& x) const {
        return relu(bn2(conv2(relu(bn1(conv1(x))))) + (downsample ? (*downsample)(x) : x));
    }

    static decltype(downsample) shortcut(Index in, Index out, Index stride) {
        if (in == out && stride == 1) return {};
        return gradus::nn::Sequential(Conv(in, out, {.kernel_size = 1, .stride = stride, .bias = false}),
                                      Norm(out));
    }
};

/// Images [batch, channels, height, width] to scores [batch, classes]; height and width from 32 on are
/// useful.
template <class T = float>
struct ResNet18 {
    gradus::Index classes = 1000;
    double dropout = 0;  // the share of features dropped before the last layer
    gradus::Index channels = 3;

    gradus::nn::Conv2d<T> conv1{channels, 64, {.kernel_size = 7, .stride = 2, .padding = 3, .bias = false}};
    gradus::nn::BatchNorm2d<T> bn1{64};
    std::array<BasicBlock<T>, 2> layer1{{{64, 64}, {64, 64}}};
    std::array<BasicBlock<T>, 2> layer2{{{64, 128, 2}, {128, 128}}};
    std::array<BasicBlock<T>, 2> layer3{{{128, 256, 2}, {256, 256}}};
    std::array<BasicBlock<T>, 2> layer4{{{256, 512, 2}, {512, 512}}};
    gradus::nn::Dropout drop{.p = dropout};
    gradus::nn::Linear<T> fc{512, classes};

    gradus::Variable<T> operator()(gradus::Variable<T> x) const {
        x = max_pool2d(relu(bn1(conv1(x))), {.kernel_size = 3, .stride = 2, .padding = 1});
        for (const auto& layer : {&layer1, &layer2, &layer3, &layer4})
            for (const BasicBlock<T>& block : *layer) x = block(x);
        return fc(drop(global_avg_pool2d(x)));
    }
};
