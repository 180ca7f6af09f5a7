// SPDX-License-Identifier: MIT
// Trains in the processes of mpirun with checkpoints, goes on from the last one if there is one, and prints a hash of
// the weights at the end. What goes wrong is done to it by failures.sh.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <unistd.h>

#include "gradus/data.hpp"
#include "gradus/distributed/mpi.hpp"
#include "gradus/distributed/shards.hpp"
#include "gradus/gradus.hpp"
#include "gradus/training/checkpoint.hpp"

namespace data = gradus::data;
namespace distributed = gradus::distributed;
namespace nn = gradus::nn;
namespace training = gradus::training;
using gradus::Index;
using gradus::Variable;

namespace {

constexpr Index steps = 100, save_every = 9;
constexpr double deadline = 2;

struct Net {
    nn::Linear<> fc1{40, 48};
    nn::BatchNorm1d<> norm{48};
    nn::Dropout dropout{.p = 0.2};
    nn::Linear<> fc2{48, 5};

    Variable<> operator()(const Variable<>& x) const { return fc2(dropout(relu(norm(fc1(x))))); }
};

data::Dataset<> examples(Index count) {
    gradus::Generator generator(3);
    gradus::Tensor<Index> labels = gradus::arange<Index>(count);
    for (Index& label : labels.mutable_values()) label = label * 7 % 5;
    return {gradus::randn({count, 40}, generator), labels};
}

/// What is done to this process at a step.
struct Fault {
    std::string what;
    int rank = -1;
    Index step = -1;

    bool operator()(const std::string& name, const distributed::World& world, Index at) const {
        return what == name && rank == world.rank() && step == at;
    }
};

void train(const distributed::World& world, const std::string& folder, const Fault& fault) {
    gradus::manual_seed(11);
    const bool odd = fault.rank == world.rank();
    Net net;
    gradus::optim::Adam<> adam(nn::named_parameters(net), {.lr = 0.01});
    const data::Loader loader(examples(odd && fault.what == "batches" ? 300 : 413),
                              {.batch_size = 8, .shuffle = true, .seed = 4});
    const std::string path = folder + "/last.safetensors";
    training::Position at;
    if (std::filesystem::exists(path)) at = training::load_checkpoint(path, net, adam);
    if (world.is_first()) std::printf("from step %d\n", static_cast<int>(at.step));
    distributed::Shards shards(net, world, {.shards = 8, .check_every = 5});
    for (; at.step < steps; ++at.epoch, at.batch = 0) {
        const auto batches = loader.epoch(at.epoch);
        for (; at.batch < shards.steps(batches) && at.step < steps; ++at.batch) {
            if (world.is_first() && at.step % save_every == 0) training::save_checkpoint(path, at, net, adam);
            if (odd) std::ofstream(folder + "/at", std::ios::app) << at.step << "\n";
            if (fault("kill", world, at.step)) std::ofstream(folder + "/pipe") << ::getpid() << "\n";
            if (fault("throw", world, at.step)) throw gradus::IoError("photos/7.png: is damaged");
            if (fault("exit", world, at.step)) std::_Exit(5);
            if (fault("return", world, at.step)) return;
            if (fault("slow", world, at.step)) std::this_thread::sleep_for(std::chrono::milliseconds(1300));
            if (fault("hang", world, at.step)) std::this_thread::sleep_for(std::chrono::seconds(9));
            if (fault("flip", world, at.step)) {
                auto weight = net.fc2.weight.value();
                reinterpret_cast<unsigned char*>(weight.mutable_data())[17] ^= 4;
                net.fc2.weight.set_value(weight);
            }
            if (fault.what == "kill") std::this_thread::sleep_for(std::chrono::milliseconds(4));
            shards.backward(batches, at.batch, [&](const auto& batch) {
                if (fault("loader", world, at.step)) throw gradus::ValueError("crop: 33 is too large");
                return cross_entropy(net(batch.inputs), batch.labels);
            });
            adam.step();
            ++at.step;
        }
    }
    if (world.is_first()) std::printf("weights %016llx\n", static_cast<unsigned long long>(shards.weights()));
}

/// Settings that one process has otherwise.
void differ(const distributed::World& world, const Fault& fault) {
    const bool odd = fault.rank == world.rank();
    if (fault.what == "model") {
        nn::Linear<> a(4, 3), b(4, 5);
        distributed::broadcast(odd ? b : a, world);
    } else if (fault.what == "bias") {
        nn::Linear<> a(4, 3), b(4, 3, {.bias = false});
        distributed::broadcast(odd ? b : a, world);
    } else {
        distributed::check_same(world, {{"learning rate", odd ? "0.2" : "0.1"}});
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return 2;
    const Fault fault{argc > 2 ? argv[2] : "", argc > 3 ? std::atoi(argv[3]) : -1,
                      argc > 4 ? std::atoi(argv[4]) : -1};
    int rank = -1;
    try {
        const distributed::World world = distributed::mpi_world({.deadline = deadline});
        rank = world.rank();
        distributed::run(world, [&] {
            gradus::set_num_threads(1);
            if (std::string(argv[1]) == "differ") return differ(world, fault);
            train(world, argv[1], fault);
        });
    } catch (const std::exception& e) {
        std::printf("rank %d: error: %s\n", rank, e.what());
        std::fflush(stdout);
        return 3;
    }
}
