// SPDX-License-Identifier: MIT
// flags: -I/usr/include/torch/csrc/api/include
#include <torch/torch.h>

#include <cstdio>

struct NetImpl : torch::nn::Module {
    torch::nn::Linear fc1{register_module("fc1", torch::nn::Linear(784, 350))};
    torch::nn::Linear fc2{register_module("fc2", torch::nn::Linear(350, 250))};
    torch::nn::Linear fc3{register_module("fc3", torch::nn::Linear(250, 150))};
    torch::nn::Linear fc4{register_module("fc4", torch::nn::Linear(150, 50))};
    torch::nn::Linear fc5{register_module("fc5", torch::nn::Linear(50, 10))};

    torch::Tensor forward(torch::Tensor x) {
        x = torch::relu(fc1(x));
        x = torch::relu(fc2(x));
        x = torch::relu(fc3(x));
        x = torch::relu(fc4(x));
        return fc5(x);
    }
};
TORCH_MODULE(Net);

int main() {
    Net net;
    torch::optim::SGD sgd(net->parameters(), torch::optim::SGDOptions(0.2));
    const torch::Tensor loss = torch::nn::functional::cross_entropy(net->forward(torch::rand({256, 784})),
                                                                    torch::zeros({256}, torch::kInt64));
    sgd.zero_grad();
    loss.backward();
    sgd.step();
    std::printf("%g\n", loss.item<double>());
}
