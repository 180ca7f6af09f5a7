// SPDX-License-Identifier: MIT
// What anomaly mode costs while it is on, and what prefetching gains: gradus against itself, the two taking turns, the
// fastest of several rounds.
//   kit [rounds]

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "gradus/data.hpp"
#include "gradus/training/anomaly.hpp"
#include "support/models.hpp"

namespace {

namespace data = gradus::data;
using gradus::Index;

template <class Work>
double milliseconds(const Work& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

template <class First, class Second>
void compare(const std::string& what, int rounds, const First& without, const Second& with) {
    without(), with();
    double best = 1e300, other = 1e300;
    for (int round = 0; round < rounds; ++round) {
        best = std::min(best, milliseconds(without));
        other = std::min(other, milliseconds(with));
    }
    std::printf("%-44s %10.2f ms %10.2f ms   with / without %.3f\n", what.c_str(), best, other, other / best);
    std::fflush(stdout);
}

struct Trainer {
    bench::Cnn net = {};
    gradus::optim::SGD<> sgd{bench::nn::parameters(net), {.lr = 0.01}};

    void step(const gradus::Tensor<>& images, const gradus::Tensor<Index>& labels) {
        sgd.zero_grad();
        cross_entropy(net(images), labels).backward();
        sgd.step();
    }
};

template <class Net>
void anomaly(const char* what, int rounds, Index batch) {
    Net net;
    gradus::optim::SGD sgd(bench::nn::parameters(net), {.lr = 0.01});
    const auto images = gradus::rand({batch, 1, 28, 28});
    const auto labels = gradus::zeros<Index>({batch});
    const auto step = [&] {
        for (int i = 0; i < 3; ++i) {
            sgd.zero_grad();
            cross_entropy(net(images), labels).backward();
            sgd.step();
        }
    };
    compare(what, rounds, step, [&] {
        const gradus::training::Anomaly guard(net);
        step();
    });
}

/// An epoch of training steps on the batches of a loader, made when they are asked for, or before.
template <class Loader>
void prefetching(const char* what, int rounds, const Loader& loader) {
    Trainer trainer;
    const auto epoch = [&](const auto& batches) {
        for (const auto& [images, labels] : batches.epoch(0)) trainer.step(images, labels);
    };
    const auto ahead = data::prefetch(loader);
    compare(
        what, rounds, [&] { epoch(loader); }, [&] { epoch(ahead); });
}

}  // namespace

int main(int argc, char** argv) {
    const int rounds = argc > 1 ? std::atoi(argv[1]) : 21;
    std::printf("%-44s %13s %13s\n", "", "without", "with");
    anomaly<bench::Mlp>("anomaly: MLP [256], 3 steps", rounds, 256);
    anomaly<bench::Cnn>("anomaly: CNN [100], 3 steps", rounds, 100);

    const data::Dataset<> set{gradus::rand({1000, 1, 28, 28}), gradus::zeros<Index>({1000})};
    const data::Loader loader(set, {.batch_size = 100, .shuffle = true, .seed = 1});
    prefetching("prefetch: crop, flip", rounds,
                data::map(loader, data::augment({.seed = 1}, data::random_crop({.padding = 2}),
                                                data::random_horizontal_flip())));
    prefetching("prefetch: rotate, contrast, noise", rounds,
                data::map(loader, data::augment({.seed = 1}, data::random_rotate({.degrees = 15}),
                                                data::random_contrast({.amount = 0.2}),
                                                data::gaussian_noise({.std = 0.05}))));

    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("gradus_kit_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder / "all");
    const gradus::Tensor<std::uint8_t> picture = gradus::full<std::uint8_t>({3, 256, 256}, 90);
    for (int i = 0; i < 300; ++i)
        data::write_image((folder / "all" / (std::to_string(i) + ".ppm")).string(), picture);
    const data::ImageList list = data::list_images(folder.string());
    const auto examples = data::map(list.paths, [](const std::string& path) {
        return data::Batch<>{data::resize(data::read_image<float>(path, {.channels = 1}), {28, 28}),
                             gradus::zeros<Index>({})};
    });
    prefetching("prefetch: files of 256 x 256, made 28 x 28", rounds,
                data::Loader(examples, {.batch_size = 100}));
    std::filesystem::remove_all(folder);
}
