// SPDX-License-Identifier: MIT
// One training step of a multi-layer perceptron: forward, zero_grad, backward, step. Its peers are in
// peers/*_mlp.cpp.

#include <span>

#include "gradus/gradus.hpp"
#include "support/context.hpp"
#include "support/workload.hpp"

namespace {

namespace nn = gradus::nn;
using gradus::Tensor;
using gradus::Variable;
using workload::Mlp;

struct Net {
    nn::Linear<> fc1{Mlp::sizes[0], Mlp::sizes[1]};
    nn::Linear<> fc2{Mlp::sizes[1], Mlp::sizes[2]};
    nn::Linear<> fc3{Mlp::sizes[2], Mlp::sizes[3]};
    nn::Linear<> fc4{Mlp::sizes[3], Mlp::sizes[4]};
    nn::Linear<> fc5{Mlp::sizes[4], Mlp::sizes[5]};

    Variable<> operator()(Variable<> x) const {
        x = relu(fc1(x));
        x = relu(fc2(x));
        x = relu(fc3(x));
        x = relu(fc4(x));
        return fc5(x);
    }
};

void mlp_step(benchmark::State& state) {
    const bench::ScopedThreads threads(static_cast<int>(state.range(0)));
    Net net;
    int index = 0;
    for (auto& parameter : nn::parameters(net)) {
        Mlp::fill_parameter(parameter.mutable_value().mutable_values(), index, Mlp::sizes[index / 2]);
        ++index;
    }
    gradus::optim::SGD sgd(nn::parameters(net), {.lr = Mlp::lr});
    Tensor<> images = gradus::zeros({Mlp::batch, Mlp::sizes[0]});
    Tensor<gradus::Index> labels = gradus::zeros<gradus::Index>({Mlp::batch});
    Mlp::fill_inputs(images.mutable_values());
    Mlp::fill_labels(labels.mutable_values());

    Variable<> loss;
    const auto step = [&] {
        loss = cross_entropy(net(images), labels);
        sgd.zero_grad();
        loss.backward();
        sgd.step();
    };
    step();
    const float first = loss.item();
    for (int i = 0; i < Mlp::checked_step; ++i) step();
    const float later = loss.item();

    workload::StepTimes times;
    for (auto _ : state) times.time(step);
    bench::report(state, times, first, later);
}
BENCHMARK(mlp_step)->Apply(bench::add_thread_counts)->Unit(benchmark::kMillisecond);

}  // namespace

int main(int argc, char** argv) { return bench::run(argc, argv); }
