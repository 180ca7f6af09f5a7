// SPDX-License-Identifier: MIT
// The work of mlp_step.cpp and op_overhead.cpp done by libtorch:  libtorch_mlp [seconds per case] [threads]
// Prints one line of JSON per case. libtorch's BLAS reads OPENBLAS_CORETYPE and OPENBLAS_NUM_THREADS; see
// compare.sh.

#include <torch/torch.h>

#include <cstdlib>

#include "../support/workload.hpp"

namespace {

std::span<float> floats(torch::Tensor& tensor) {
    return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

torch::nn::Sequential make_mlp() {
    using workload::Mlp;
    torch::nn::Sequential net;
    for (int i = 0; i < Mlp::layers; ++i) {
        if (i > 0) net->push_back(torch::nn::ReLU());
        net->push_back(torch::nn::Linear(Mlp::sizes[i], Mlp::sizes[i + 1]));
    }
    const torch::NoGradGuard no_grad;
    int index = 0;
    for (torch::Tensor& parameter : net->parameters()) {
        Mlp::fill_parameter(floats(parameter), index, Mlp::sizes[index / 2]);
        ++index;
    }
    return net;
}

void mlp_step(double seconds) {
    using workload::Mlp;
    torch::nn::Sequential net = make_mlp();
    std::vector<torch::Tensor> parameters = net->parameters();
    torch::optim::SGD sgd(parameters, torch::optim::SGDOptions(Mlp::lr));
    torch::Tensor inputs = torch::empty({Mlp::batch, Mlp::sizes[0]});
    torch::Tensor labels = torch::empty({Mlp::batch}, torch::kInt64);
    Mlp::fill_inputs(floats(inputs));
    Mlp::fill_labels({labels.data_ptr<std::int64_t>(), Mlp::batch});

    torch::Tensor loss;
    const auto step = [&] {
        loss = torch::nn::functional::cross_entropy(net->forward(inputs), labels);
        for (torch::Tensor& parameter : parameters)
            parameter.mutable_grad().reset();  // cheaper than zero_grad()
        loss.backward();
        sgd.step();
    };
    step();
    const double first = loss.item<double>();
    for (int i = 0; i < Mlp::checked_step; ++i) step();
    workload::measure_and_print("mlp_step", seconds, first, loss.item<double>(), step);
}

void chain(double seconds) {
    using workload::Chain;
    torch::Tensor x = torch::empty({Chain::size}), w = torch::empty({Chain::size});
    Chain::fill_x(floats(x));
    Chain::fill_w(floats(w));
    x.requires_grad_();
    w.requires_grad_();

    torch::Tensor total;
    const auto step = [&] {
        torch::Tensor y = x;
        for (int i = 0; i < Chain::operations; ++i) y = y * w;
        total = y.sum();
        x.mutable_grad().reset();
        w.mutable_grad().reset();
        total.backward();
    };
    step();
    const double first = total.item<double>();
    workload::measure_and_print("chain", seconds, first, w.grad().sum().item<double>(), step);
}

}  // namespace

int main(int argc, char** argv) {
    const double seconds = argc > 1 ? std::atof(argv[1]) : 1.0;
    if (argc > 2) torch::set_num_threads(std::atoi(argv[2]));
    mlp_step(seconds);
    chain(seconds);
}
