// SPDX-License-Identifier: MIT
// Fits a line to the 24 galaxies by which Edwin Hubble saw that the universe expands.

#include <cmath>
#include <iostream>

#include <gradus/gradus.hpp>

int main() {
    // Hubble, "A relation between distance and radial velocity among extra-galactic nebulae", 1929.
    const gradus::Tensor<> megaparsecs{0.032f, 0.034f, 0.214f, 0.263f, 0.275f, 0.275f, 0.45f, 0.5f,
                                       0.5f,   0.63f,  0.8f,   0.9f,   0.9f,   0.9f,   0.9f,  1,
                                       1.1f,   1.1f,   1.4f,   1.7f,   2,      2,      2,     2};
    const gradus::Tensor<> km_per_second{170, 290, -130, -70, -185, -220, 200, 290, 270, 200, 300, -30,
                                         650, 150, 500,  920, 450,  500,  500, 960, 500, 850, 800, 1090};
    const gradus::Tensor<> x = megaparsecs.reshape({24, 1}), y = km_per_second.reshape({24, 1});

    gradus::nn::Linear<> line(1, 1);
    gradus::optim::SGD sgd(gradus::nn::parameters(line), {.lr = 0.3});
    for (int step = 1; step <= 100; ++step) {
        const gradus::Variable<> loss = mse(line(x), y);
        sgd.zero_grad();
        loss.backward();
        sgd.step();
        if (step % 20 == 0) std::cout << "off by " << std::sqrt(loss.item()) << " km/s\n";
    }
    const float slope = line.weight.value().item(), intercept = line.bias->value().item();
    std::cout << "slope " << slope << ", intercept " << intercept << "\n";
    return std::cout.flush() ? 0 : 1;  // closed, or on a full disk
}
