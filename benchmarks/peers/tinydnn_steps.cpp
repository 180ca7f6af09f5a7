// SPDX-License-Identifier: MIT
// The MLP and the CNN of steps.cpp done by tiny-dnn: built with -march=native, with its AVX kernels and
// OpenMP. It computes no loss while it trains, so the losses are those of get_loss().

#define CNN_USE_AVX
#define CNN_USE_OMP
#include <omp.h>
#include <tiny_dnn/tiny_dnn.h>

#include "../support/measure.hpp"
#include "../support/workload.hpp"

namespace {

namespace td = tiny_dnn;
using workload::Training;
using Net = td::network<td::sequential>;

Net make_mlp() {
    using Hidden = td::fully_connected_layer<td::activation::relu>;
    Net net;
    net << Hidden(784, 350) << Hidden(350, 250) << Hidden(250, 150) << Hidden(150, 50)
        << td::fully_connected_layer<td::activation::softmax>(50, 10);
    return net;
}

Net make_cnn() {
    using Conv = td::convolutional_layer<td::activation::identity>;
    using Pool = td::max_pooling_layer<td::activation::relu>;
    Net net;
    net << Conv(28, 28, 5, 1, 32) << Pool(24, 24, 32, 3) << Conv(8, 8, 5, 32, 64) << Pool(4, 4, 64, 2)
        << td::fully_connected_layer<td::activation::relu>(256, 200)
        << td::fully_connected_layer<td::activation::softmax>(200, 10);
    return net;
}

/// Linear layers keep their weight as [in, out].
void fill(Net& net, float gain) {
    net.init_weight();
    int index = 0;
    for (std::size_t i = 0; i < net.depth(); ++i) {
        const std::vector<td::vec_t*> parameters = net[i]->weights();
        if (parameters.size() != 2) continue;
        td::vec_t &weight = *parameters[0], &bias = *parameters[1];
        const std::size_t out = bias.size(), in = weight.size() / out;
        std::vector<float> values(weight.size());
        workload::fill_parameter(values, index, false, 2, in, gain);
        workload::fill_parameter({bias.data(), out}, index + 1, true, 1, 1, gain);
        const bool linear = net[i]->layer_type() == "fully-connected";
        for (std::size_t o = 0; o < out; ++o)
            for (std::size_t k = 0; k < in; ++k)
                weight[linear ? k * out + o : o * in + k] = values[o * in + k];
        index += 2;
    }
}

void time_training(const measure::Arguments& arguments, const Training& training, Net (*make)()) {
    if (!arguments.wants(training.name)) return;
    Net net = make();
    fill(net, training.gain);
    const auto batch = static_cast<std::size_t>(training.batch), size = net.in_data_size() + std::size_t{0};
    std::vector<float> numbers(batch * size);
    training.fill_inputs(numbers);
    std::vector<std::int64_t> classes(batch);
    training.fill_labels(classes);
    std::vector<td::vec_t> inputs, targets;
    std::vector<td::label_t> labels(classes.begin(), classes.end());
    for (std::size_t i = 0; i < batch; ++i) {
        const float* const input = &numbers[i * size];
        inputs.emplace_back(input, input + size);
        targets.emplace_back(workload::classes, 0.0f);
        targets.back()[labels[i]] = 1.0f;
    }

    td::gradient_descent sgd;
    sgd.alpha = training.lr;
    const auto loss = [&] {
        return static_cast<double>(net.get_loss<td::cross_entropy_multiclass>(inputs, targets)) /
               training.batch;
    };
    const auto step = [&] { net.train<td::cross_entropy_multiclass>(sgd, inputs, labels, batch, 1); };
    const double first = loss();
    for (int i = 0; i < training.checked_step; ++i) step();
    const double later = loss();
    measure::run(arguments, training.name, {.first = first, .later = later, .flop = training.gflop * 1e9},
                 step);
}

}  // namespace

int main(int argc, char** argv) {
    const measure::Arguments arguments(argc, argv);
    omp_set_num_threads(arguments.threads);
    time_training(arguments, workload::mlp, make_mlp);
    time_training(arguments, workload::cnn, make_cnn);
}
