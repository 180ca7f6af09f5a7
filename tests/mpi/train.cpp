// SPDX-License-Identifier: MIT
// Trains small models in the processes of mpirun, and prints a hash of weights and losses for each: the same for any
// number of processes and threads, and any bucket. See run.sh.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "gradus/data.hpp"
#include "gradus/distributed.hpp"
#include "gradus/distributed/mpi.hpp"
#include "gradus/gradus.hpp"
#include "gradus/training/callbacks.hpp"
#include "gradus/training/hooks.hpp"

namespace data = gradus::data;
namespace distributed = gradus::distributed;
namespace nn = gradus::nn;
using gradus::Index;
using gradus::Tensor;
using gradus::Variable;

namespace {

struct Mlp {
    nn::Linear<> fc1{192, 64}, fc2{64, 10};

    Variable<> operator()(const Variable<>& x) const { return fc2(relu(fc1(flatten(x)))); }
};

struct DropoutMlp {
    nn::Linear<> fc1{192, 64}, fc2{64, 10};
    nn::Dropout dropout{.p = 0.3};

    Variable<> operator()(const Variable<>& x) const { return fc2(dropout(relu(fc1(flatten(x))))); }
};

struct NormCnn {
    nn::Conv2d<> conv{3, 8, {.kernel_size = 3}};
    nn::BatchNorm2d<> norm{8};
    nn::Linear<> fc{288, 10};
    nn::BatchNorm1d<> last{10, {.momentum = std::nullopt}};

    Variable<> operator()(const Variable<>& x) const { return last(fc(flatten(relu(norm(conv(x)))))); }
};

data::Dataset<> examples() {
    gradus::Generator generator(3);
    Tensor<Index> labels =
        gradus::arange<Index>(413);  // the last step of an epoch has fewer shards, one of them small
    for (Index& label : labels.mutable_values()) label = label * 7 % 10;
    return {gradus::randn({413, 3, 8, 8}, generator), labels};
}

struct Case {
    const char* name;
    Index shards = 8, bucket_bytes = Index{25} << 20;
    double clip = 0;
    bool augment = false;
};

/// 50 steps. Prints what came out.
template <class Net, class Optimizer, class Options>
void train(const Case& c, const distributed::World& world, const Options& options) {
    if (world.size() > c.shards) return;
    gradus::manual_seed(11);
    Net net;
    if (!world.is_first())  // they get those of the first
        for (auto& p : nn::parameters(net)) p.set_value(gradus::zeros(p.shape()));
    Optimizer optimizer(nn::parameters(net), options);
    distributed::Shards shards(net, world,
                               {.shards = c.shards, .bucket_bytes = c.bucket_bytes, .check_every = 5});
    const data::Loader loader(examples(), {.batch_size = 64 / c.shards, .shuffle = true, .seed = 4});
    const auto augmented = data::map(loader, data::augment({.seed = 5}, data::random_crop({.padding = 1}),
                                                           data::random_horizontal_flip()));
    gradus::training::Checksum history;
    Index left = 50;
    const auto run = [&](const auto& batches) {
        for (Index step = 0; step < shards.steps(batches) && left > 0; ++step, --left) {
            const auto means = shards.backward(batches, step, [&](const auto& batch) {
                return cross_entropy(net(batch.inputs), batch.labels);
            });
            const double norm =
                c.clip > 0 ? gradus::optim::clip_grad_norm(optimizer.parameters(), c.clip) : 0;
            for (const double number : {means.loss, norm, static_cast<double>(means.examples)})
                history.update({reinterpret_cast<const char*>(&number), sizeof number});
            optimizer.step();
        }
    };
    Index epoch = 0;
    while (left > 0)
        if (c.augment)
            run(augmented.epoch(epoch++));
        else
            run(loader.epoch(epoch++));
    if (world.is_first())
        std::printf("%s S=%d weights %016llx history %016llx\n", c.name, static_cast<int>(c.shards),
                    static_cast<unsigned long long>(shards.weights()),
                    static_cast<unsigned long long>(history.value()));
}

void same_bits(const distributed::World& world) {
    using gradus::optim::Adam;
    using gradus::optim::SGD;
    const gradus::optim::SGDOptions sgd{.lr = 0.1, .momentum = 0.9};
    for (const Index shards : {1, 2, 4}) train<Mlp, SGD<>>({"sgd", shards}, world, sgd);
    for (const Index bucket : {1 << 10, 1 << 20, 25 << 20}) {
        train<Mlp, SGD<>>({"sgd", 8, bucket}, world, sgd);
        train<DropoutMlp, Adam<>>({"adam", 8, bucket, 0.5, true}, world,
                                  gradus::optim::AdamOptions{.lr = 0.01});
        train<NormCnn, SGD<>>({"batch_norm", 8, bucket}, world, sgd);
    }
}

/// Trains with fit(). Stops at a step, if it is not 0, with a checkpoint; `path` is there: goes on from it.
void fit(const distributed::World& world, const std::string& path, Index stop_at) {
    namespace training = gradus::training;
    gradus::manual_seed(2);
    DropoutMlp net;
    gradus::optim::Adam<> adam(nn::parameters(net), {.lr = 0.01});
    const auto augmented = data::map(data::Loader(examples(), {.batch_size = 8, .shuffle = true, .seed = 4}),
                                     data::augment({.seed = 5}, data::random_crop({.padding = 1})));
    training::FitOptions options{.epochs = 4};
    if (stop_at == 0 && !path.empty()) options.resume = path;
    const auto history = training::fit(
        net, adam, [](const auto& logits, const auto& labels) { return cross_entropy(logits, labels); },
        augmented, data::Loader(examples(), {.batch_size = 50}), options,
        distributed::Distributed{.world = world, .check_every = 3}, training::ClipGradNorm{.max_norm = 1},
        training::OnStepEnd([&](auto& run) {
            // Only one process is asked to stop, as by a signal.
            if (run.position().step != stop_at) return;
            run.save(path);
            if (world.rank() == world.size() - 1) run.interrupt("asked to");
        }));
    gradus::training::Checksum sum;
    for (const auto& epoch : history.epochs)
        for (const double number : {epoch.train_loss, epoch.val_loss, epoch.train_score, epoch.val_score})
            sum.update({reinterpret_cast<const char*>(&number), sizeof number});
    if (world.is_first())
        std::printf("fit: step %d weights %016llx history %016llx\n", static_cast<int>(history.position.step),
                    static_cast<unsigned long long>(distributed::Shards(net).weights()),
                    static_cast<unsigned long long>(sum.value()));
}

/// Something that one process does other than the rest. All of them end with an error.
void refused(const distributed::World& world, const std::string& what) {
    const bool odd = world.rank() == world.size() - 1;
    Mlp net;
    distributed::Shards shards(net, world, {.shards = what == "shards" && odd ? 16 : 8, .check_every = 1});
    const data::Loader loader(examples().take(0, what == "batches" && odd ? 100 : 200), {.batch_size = 8});
    const auto loss = [&](const auto& batch) { return cross_entropy(net(batch.inputs), batch.labels); };
    const auto batches = loader.epoch(0);
    for (Index step = 0; step < 3; ++step) {
        if (what == "throws" && odd && step == 1) throw gradus::IoError("photos/7.png: is damaged");
        if (what == "draws" && odd && step == 1) gradus::randn({3});
        shards.backward(batches, step, loss);
        if (what == "weights" && odd) net.fc1.bias->set_value(gradus::ones({64}));
    }
}

}  // namespace

int main(int argc, char** argv) {
    const std::string mode = argc > 1 ? argv[1] : "";
    try {
        const distributed::World world = distributed::mpi_world({.deadline = 20});
        distributed::run(world, [&] {
            if (argc > 2) gradus::set_num_threads(std::atoi(argv[2]));
            if (mode == "bits") return same_bits(world);
            if (mode == "fit") return fit(world, argc > 3 ? argv[3] : "", argc > 4 ? std::atoi(argv[4]) : 0);
            refused(world, mode);
        });
    } catch (const gradus::Error& e) {
        std::printf("error: %s\n", e.what());
        return 3;
    }
}
