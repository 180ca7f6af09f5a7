// SPDX-License-Identifier: MIT
// The work of steps.cpp and op_overhead.cpp done by libtorch. Its BLAS reads OPENBLAS_CORETYPE and
// OPENBLAS_NUM_THREADS, its other kernels OMP_WAIT_POLICY: run.sh tries which are best.

#include "../support/measure.hpp"
#include "libtorch.hpp"

namespace {

using workload::Training;

template <class Net>
void time_training(const measure::Arguments& arguments, const Training& training) {
    if (!arguments.wants(training.name)) return;
    Net net;
    peer::prepare(*net, training.gain, arguments.channels_last);
    std::vector<torch::Tensor> parameters = net->parameters();
    torch::optim::SGD sgd(parameters, torch::optim::SGDOptions(training.lr));
    torch::Tensor inputs = torch::empty(training.input_shape());
    torch::Tensor labels = torch::empty({training.batch}, torch::kInt64);
    training.fill_inputs(peer::floats(inputs));
    training.fill_labels({labels.data_ptr<std::int64_t>(), static_cast<std::size_t>(training.batch)});
    if (inputs.dim() == 4) inputs = inputs.clone(peer::layout(arguments.channels_last));

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
    for (int i = 0; i < training.checked_step; ++i) step();
    const double later = loss.item<double>();
    measure::run(arguments, training.name, {.first = first, .later = later, .flop = training.gflop * 1e9},
                 step);
}

struct Leaves {
    torch::Tensor x = torch::empty({workload::Chain::size}), w = torch::empty({workload::Chain::size});

    explicit Leaves(bool requires_grad) {
        workload::Chain::fill_x(peer::floats(x));
        workload::Chain::fill_w(peer::floats(w));
        x.requires_grad_(requires_grad);
        w.requires_grad_(requires_grad);
    }
    torch::Tensor run() const {
        torch::Tensor y = x;
        for (int i = 0; i < workload::Chain::operations; ++i) y = y * w;
        return y.sum();
    }
};

void chain(const measure::Arguments& arguments) {
    Leaves leaves(true);
    torch::Tensor total;
    const auto step = [&] {
        total = leaves.run();
        leaves.x.mutable_grad().reset();
        leaves.w.mutable_grad().reset();
        total.backward();
    };
    step();
    const double first = total.item<double>(), later = leaves.w.grad().sum().item<double>();
    measure::run(arguments, "chain", {.first = first, .later = later}, step);
}

void chain_forward(const measure::Arguments& arguments, const char* name, bool requires_grad) {
    const Leaves leaves(requires_grad);
    const auto step = [&] { measure::keep(leaves.run().data_ptr()); };
    measure::run(arguments, name, {.first = leaves.run().item<double>()}, step);
}

}  // namespace

int main(int argc, char** argv) {
    const measure::Arguments arguments(argc, argv);
    torch::set_num_threads(arguments.threads);
    time_training<peer::Mlp>(arguments, workload::mlp);
    time_training<peer::Cnn>(arguments, workload::cnn);
    time_training<peer::SmallResNet18>(arguments, workload::resnet18);
    if (arguments.wants("chain")) chain(arguments);
    if (arguments.wants("chain forward")) chain_forward(arguments, "chain forward", true);
    if (arguments.wants("chain no grad")) chain_forward(arguments, "chain no grad", false);
}
