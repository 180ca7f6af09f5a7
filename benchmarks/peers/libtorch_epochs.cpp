// SPDX-License-Identifier: MIT
// The work of epochs.cpp done by libtorch, on the batches of gradus's loader, which it takes over without a
// copy.

#include "../support/epochs.hpp"
#include "libtorch.hpp"

namespace {

namespace data = gradus::data;

torch::Tensor view(gradus::Tensor<>& values) {
    std::vector<std::int64_t> shape;
    for (int axis = 0; axis < values.rank(); ++axis) shape.push_back(values.size(axis));
    return torch::from_blob(values.mutable_data(), shape);
}

torch::Tensor view(gradus::Tensor<gradus::Index>& labels) {
    return torch::from_blob(labels.mutable_data(), {labels.numel()}, torch::kInt64);
}

template <class Net>
void train(const bench::EpochArguments& arguments, const char* name, data::Split<> sets,
           const workload::Training& training) {
    if (!arguments.wants(name)) return;
    const auto [train_set, test_set] = bench::standardized(std::move(sets));
    Net net;
    peer::prepare(*net, training.gain, arguments.channels_last);
    std::vector<torch::Tensor> parameters = net->parameters();
    torch::optim::SGD sgd(parameters, torch::optim::SGDOptions(training.lr));
    const torch::MemoryFormat layout = peer::layout(arguments.channels_last);
    bench::run_epochs(
        arguments, name,
        [&, &train_set = train_set](int epoch) {
            double sum = 0;
            for (auto& [images, labels] : bench::batches(train_set, training.batch, epoch)) {
                const torch::Tensor loss = torch::nn::functional::cross_entropy(
                    net->forward(view(images).clone(layout)), view(labels));
                for (torch::Tensor& parameter : parameters) parameter.mutable_grad().reset();
                loss.backward();
                sgd.step();
                sum += loss.item<double>();
            }
            return sum;
        },
        [&, &test_set = test_set] {
            const torch::NoGradGuard no_grad;
            double right = 0;
            for (auto& [images, labels] : data::Loader(test_set, {.batch_size = 1000}))
                right += (net->forward(view(images).clone(layout)).argmax(1) == view(labels))
                             .sum()
                             .template item<double>();
            return right / static_cast<double>(test_set.size());
        });
}

}  // namespace

int main(int argc, char** argv) {
    const bench::EpochArguments arguments(argc, argv);
    torch::set_num_threads(arguments.threads);
    train<peer::Mlp>(arguments, "fashion-mnist mlp", data::fashion_mnist(), workload::mlp);
    train<peer::Cnn>(arguments, "mnist cnn", data::mnist(), workload::cnn);
}
