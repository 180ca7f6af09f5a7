// SPDX-License-Identifier: MIT
// flags: -Ibenchmarks/support/tinydnn
#include <tiny_dnn/tiny_dnn.h>

#include <cstdio>

namespace td = tiny_dnn;

int main() {
    using Hidden = td::fully_connected_layer<td::activation::relu>;
    td::network<td::sequential> net;
    net << Hidden(784, 350) << Hidden(350, 250) << Hidden(250, 150) << Hidden(150, 50)
        << td::fully_connected_layer<td::activation::softmax>(50, 10);
    const std::vector<td::vec_t> inputs(256, td::vec_t(784)), targets(256, td::vec_t(10));
    const std::vector<td::label_t> labels(256);
    td::gradient_descent sgd;
    sgd.alpha = 0.2f;
    net.train<td::cross_entropy_multiclass>(sgd, inputs, labels, 256, 1);
    std::printf("%g\n", static_cast<double>(net.get_loss<td::cross_entropy_multiclass>(inputs, targets)));
}
