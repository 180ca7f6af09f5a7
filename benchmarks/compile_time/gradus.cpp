// SPDX-License-Identifier: MIT
// The same program in every library, to see how long the compiler takes: an MLP, one step of SGD.
// flags: -fopenmp -Iinclude
#include <gradus/gradus.hpp>

#include <cstdio>

namespace nn = gradus::nn;
using gradus::Variable;

struct Net {
    nn::Linear<> fc1{784, 350}, fc2{350, 250}, fc3{250, 150}, fc4{150, 50}, fc5{50, 10};

    Variable<> operator()(Variable<> x) const {
        x = relu(fc1(x));
        x = relu(fc2(x));
        x = relu(fc3(x));
        x = relu(fc4(x));
        return fc5(x);
    }
};

int main() {
    Net net;
    gradus::optim::SGD sgd(nn::parameters(net), {.lr = 0.2});
    const auto loss =
        cross_entropy(net(gradus::uniform({256, 784}, 0, 1)), gradus::zeros<gradus::Index>({256}));
    sgd.zero_grad();
    loss.backward();
    sgd.step();
    std::printf("%g\n", static_cast<double>(loss.item()));
}
