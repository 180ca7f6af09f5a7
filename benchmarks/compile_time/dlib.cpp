// SPDX-License-Identifier: MIT
#include <dlib/dnn.h>

#include <cstdio>

// clang-format off
using Net = dlib::loss_multiclass_log<dlib::fc<10, dlib::relu<dlib::fc<50, dlib::relu<dlib::fc<150,
            dlib::relu<dlib::fc<250, dlib::relu<dlib::fc<350, dlib::input<dlib::matrix<float>>>>>>>>>>>>;
// clang-format on

int main() {
    Net net;
    std::vector<dlib::matrix<float>> inputs(256, dlib::zeros_matrix<float>(784, 1));
    const std::vector<unsigned long> labels(256);
    dlib::dnn_trainer<Net> trainer(net, dlib::sgd(0, 0));
    trainer.set_learning_rate(0.2);
    trainer.train_one_step(inputs, labels);
    std::printf("%g\n", trainer.get_average_loss());
}
