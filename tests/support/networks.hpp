// SPDX-License-Identifier: MIT
#pragma once

#include "../../examples/support/resnet.hpp"
#include "gradus/nn/conv2d.hpp"
#include "gradus/nn/linear.hpp"
#include "gradus/ops/activation.hpp"
#include "gradus/ops/layout.hpp"
#include "gradus/ops/pool2d.hpp"

/// The networks that are compared with PyTorch's, for any type of numbers; ResNet-18 is the examples'.

template <class T>
struct Mlp {
    gradus::nn::Linear<T> fc1{784, 350}, fc2{350, 250}, fc3{250, 150}, fc4{150, 50}, fc5{50, 10};

    gradus::Variable<T> operator()(gradus::Variable<T> x) const {
        x = relu(fc1(flatten(x)));
        x = relu(fc2(x));
        x = relu(fc3(x));
        x = relu(fc4(x));
        return fc5(x);
    }
};

template <class T>
struct Cnn {
    gradus::nn::Conv2d<T> conv1{1, 32, {.kernel_size = 5}};
    gradus::nn::Conv2d<T> conv2{32, 64, {.kernel_size = 5}};
    gradus::nn::Linear<T> fc1{256, 200};
    gradus::nn::Linear<T> fc2{200, 10};

    gradus::Variable<T> operator()(gradus::Variable<T> x) const {
        x = relu(max_pool2d(conv1(x), {.kernel_size = 3}));
        x = relu(max_pool2d(conv2(x), {.kernel_size = 2}));
        return fc2(relu(fc1(flatten(x))));
    }
};
