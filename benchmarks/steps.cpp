// SPDX-License-Identifier: MIT
// Training steps: forward, zero_grad, backward, step. Its peers are in peers/*_steps.cpp; support/measure.hpp
// has the options.

#include "support/measure.hpp"
#include "support/models.hpp"

namespace {

using bench::Tensor;
using bench::Variable;
using workload::Training;

template <class Net>
void time_training(const measure::Arguments& arguments, const Training& training) {
    if (!arguments.wants(training.name)) return;
    Net net;
    bench::fill_parameters(net, training.gain);
    gradus::optim::SGD sgd(bench::nn::parameters(net), {.lr = training.lr});
    const auto sizes = training.input_shape();
    Tensor<> inputs = Tensor<>::uninitialized(gradus::Shape(sizes.begin(), sizes.end()));
    Tensor<gradus::Index> labels = gradus::zeros<gradus::Index>({training.batch});
    training.fill_inputs(inputs.mutable_values());
    training.fill_labels(labels.mutable_values());

    Variable<> loss;
    const auto step = [&] {
        loss = cross_entropy(net(inputs), labels);
        sgd.zero_grad();
        loss.backward();
        sgd.step();
    };
    step();
    const double first = loss.item();
    for (int i = 0; i < training.checked_step; ++i) step();
    const double later = loss.item();
    measure::run(arguments, training.name, {.first = first, .later = later, .flop = training.gflop * 1e9},
                 step);
}

}  // namespace

int main(int argc, char** argv) {
    const measure::Arguments arguments(argc, argv);
    gradus::set_num_threads(arguments.threads);
    gradus::set_float32_matmul_precision(arguments.precision);
    time_training<bench::Mlp>(arguments, workload::mlp);
    time_training<bench::Cnn>(arguments, workload::cnn);
    time_training<bench::SmallResNet18>(arguments, workload::resnet18);
}
