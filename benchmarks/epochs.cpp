// SPDX-License-Identifier: MIT
// Whole epochs on real data: the MLP on Fashion-MNIST and the CNN on MNIST, until the test accuracy is
// reached.
//   epochs [--filter=cnn] [--threads=1] [--epochs=1] [--target=2]
// The peer is peers/libtorch_epochs.cpp; both start from the same weights and see the same batches.

#include "support/epochs.hpp"
#include "support/models.hpp"

namespace {

using bench::Variable;
namespace data = gradus::data;

template <class Net>
void train(const bench::EpochArguments& arguments, const char* name, data::Split<> sets,
           const workload::Training& training) {
    if (!arguments.wants(name)) return;
    const auto [train_set, test_set] = bench::standardized(std::move(sets));
    Net net;
    bench::fill_parameters(net, training.gain);
    gradus::optim::SGD sgd(bench::nn::parameters(net), {.lr = training.lr});
    bench::run_epochs(
        arguments, name,
        [&, &train_set = train_set](int epoch) {
            double sum = 0;
            for (auto& [images, labels] : bench::batches(train_set, training.batch, epoch)) {
                const Variable<> loss = cross_entropy(net(images), labels);
                sgd.zero_grad();
                loss.backward();
                sgd.step();
                sum += static_cast<double>(loss.item());
            }
            return sum;
        },
        [&, &test_set = test_set] {
            const gradus::NoGrad no_grad;
            double right = 0;
            for (auto& [images, labels] : data::Loader(test_set, {.batch_size = 1000}))
                right += gradus::accuracy(net(images), labels) * static_cast<double>(labels.numel());
            return right / static_cast<double>(test_set.size());
        });
}

}  // namespace

int main(int argc, char** argv) {
    const bench::EpochArguments arguments(argc, argv);
    gradus::set_num_threads(arguments.threads);
    train<bench::Mlp>(arguments, "fashion-mnist mlp", data::fashion_mnist(), workload::mlp);
    train<bench::Cnn>(arguments, "mnist cnn", data::mnist(), workload::cnn);
}
