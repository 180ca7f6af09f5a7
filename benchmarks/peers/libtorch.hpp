// SPDX-License-Identifier: MIT
#pragma once

#include <torch/torch.h>

#include "../support/workload.hpp"

/// The models of the comparison in libtorch, written as it is fastest: ReLU in place, gradients reset rather
/// than zeroed.
namespace peer {

inline std::span<float> floats(const torch::Tensor& tensor) {
    return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

/// In the order of the axes, whatever the layout.
inline double checksum(const torch::Tensor& values) {
    return workload::checksum(floats(values.detach().contiguous()));
}

/// For clone(), not contiguous(): that leaves an image of one channel as it is, whose strides say
/// channels-first, and the network then runs in that layout.
inline torch::MemoryFormat layout(bool channels_last) {
    return channels_last ? torch::MemoryFormat::ChannelsLast : torch::MemoryFormat::Contiguous;
}

struct MlpImpl : torch::nn::Module {
    torch::nn::Sequential layers;

    MlpImpl() {
        for (int i = 0; i < 5; ++i) {
            if (i > 0) layers->push_back(torch::nn::ReLU(torch::nn::ReLUOptions(true)));
            layers->push_back(torch::nn::Linear(workload::mlp_sizes[i], workload::mlp_sizes[i + 1]));
        }
        register_module("layers", layers);
    }
    torch::Tensor forward(const torch::Tensor& x) { return layers->forward(x.flatten(1)); }
};
TORCH_MODULE(Mlp);

struct CnnImpl : torch::nn::Module {
    torch::nn::Conv2d conv1{register_module("conv1", torch::nn::Conv2d(1, 32, 5))};
    torch::nn::Conv2d conv2{register_module("conv2", torch::nn::Conv2d(32, 64, 5))};
    torch::nn::Linear fc1{register_module("fc1", torch::nn::Linear(256, 200))};
    torch::nn::Linear fc2{register_module("fc2", torch::nn::Linear(200, 10))};

    torch::Tensor forward(torch::Tensor x) {
        x = torch::max_pool2d(conv1(x), 3).relu_();
        x = torch::max_pool2d(conv2(x), 2).relu_();
        return fc2(fc1(x.flatten(1)).relu_());
    }
};
TORCH_MODULE(Cnn);

inline torch::nn::Conv2d conv(int in, int out, int kernel, int stride) {
    return torch::nn::Conv2d(
        torch::nn::Conv2dOptions(in, out, kernel).stride(stride).padding(kernel / 2).bias(false));
}

struct BlockImpl : torch::nn::Module {
    torch::nn::Conv2d conv1, conv2;
    torch::nn::BatchNorm2d bn1, bn2;
    torch::nn::Sequential downsample{nullptr};

    BlockImpl(int in, int out, int stride)
        : conv1(conv(in, out, 3, stride)), conv2(conv(out, out, 3, 1)), bn1(out), bn2(out) {
        register_module("conv1", conv1);
        register_module("bn1", bn1);
        register_module("conv2", conv2);
        register_module("bn2", bn2);
        if (in == out && stride == 1) return;
        downsample = torch::nn::Sequential(conv(in, out, 1, stride), torch::nn::BatchNorm2d(out));
        register_module("downsample", downsample);
    }
    torch::Tensor forward(const torch::Tensor& x) {
        const torch::Tensor change = bn2(conv2(bn1(conv1(x)).relu_()));
        return change.add_(downsample.is_empty() ? x : downsample->forward(x)).relu_();
    }
};
TORCH_MODULE(Block);

struct SmallResNet18Impl : torch::nn::Module {
    torch::nn::Conv2d conv1{register_module("conv1", conv(3, 64, 3, 1))};
    torch::nn::BatchNorm2d bn1{register_module("bn1", torch::nn::BatchNorm2d(64))};
    torch::nn::Sequential layers{Block(64, 64, 1),   Block(64, 64, 1),   Block(64, 128, 2),
                                 Block(128, 128, 1), Block(128, 256, 2), Block(256, 256, 1),
                                 Block(256, 512, 2), Block(512, 512, 1)};
    torch::nn::Linear fc{nullptr};

    SmallResNet18Impl() {
        register_module("layers", layers);
        fc = register_module("fc", torch::nn::Linear(512, 10));
    }
    torch::Tensor forward(torch::Tensor x) {
        x = layers->forward(bn1(conv1(x)).relu_());
        return fc(x.mean({2, 3}));
    }
};
TORCH_MODULE(SmallResNet18);

/// Gives every parameter the values that gradus starts from, and convolutions their layout.
inline void prepare(torch::nn::Module& net, float gain, bool channels_last) {
    const torch::NoGradGuard no_grad;
    int index = 0;
    for (auto& item : net.named_parameters()) {
        torch::Tensor& parameter = item.value();
        const auto rank = static_cast<std::size_t>(parameter.dim());
        workload::fill_parameter(floats(parameter), index++, item.key().ends_with("bias"), rank,
                                 static_cast<std::size_t>(parameter.numel() / parameter.size(0)), gain);
        if (rank == 4) parameter.set_data(parameter.clone(layout(channels_last)));
    }
}

}  // namespace peer
