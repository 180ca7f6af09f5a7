// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "gradus/data/loader.hpp"
#include "gradus/data/mnist.hpp"
#include "gradus/data/transform.hpp"
#include "measure.hpp"

/// What whole epochs on gradus and on its peers share: the data, its order, the clock and the output.
namespace bench {

/// As measure::Arguments, and --epochs=1 (at most so many) --target=2 (stop at this test accuracy).
struct EpochArguments {
    int threads = 1, epochs = 1;
    double target = 2;
    std::string filter;
    bool channels_last = false;

    EpochArguments(int argc, char** argv) {
        std::vector<char*> others{argv[0]};
        for (int i = 1; i < argc; ++i)
            if (std::sscanf(argv[i], "--epochs=%d", &epochs) != 1 &&
                std::sscanf(argv[i], "--target=%lf", &target) != 1)
                others.push_back(argv[i]);
        const measure::Arguments common(static_cast<int>(others.size()), others.data());
        threads = common.threads;
        filter = common.filter;
        channels_last = common.channels_last;
    }

    bool wants(const std::string& name) const { return name.find(filter) != name.npos; }
};

inline gradus::data::Split<> standardized(gradus::data::Split<> sets) {
    const auto standardize = gradus::data::Standardize::global(sets.train.inputs);
    return {standardize(sets.train), standardize(sets.test)};
}

inline gradus::data::Epoch<> batches(const gradus::data::Dataset<>& set, gradus::Index batch, int epoch) {
    return gradus::data::Loader(set, {.batch_size = batch, .shuffle = true, .seed = 1}).epoch(epoch);
}

/// One line of JSON per epoch: seconds of training alone, the sum of the losses, and the test accuracy after
/// it.
template <class Train, class Test>
void run_epochs(const EpochArguments& arguments, const char* name, const Train& train, const Test& test) {
    double accuracy = 0;
    for (int epoch = 0; epoch < arguments.epochs && accuracy < arguments.target; ++epoch) {
        const double cpu_start = measure::cpu_ms();
        const auto start = std::chrono::steady_clock::now();
        const double loss = train(epoch);
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        const double cpu_seconds = (measure::cpu_ms() - cpu_start) / 1e3;
        accuracy = test();
        std::printf(
            "{\"case\": \"%s\", \"epoch\": %d, \"seconds\": %.6g, \"cpu_seconds\": %.6g, \"loss\": %.6g, "
            "\"accuracy\": %.4f, \"peak_mb\": %.1f}\n",
            name, epoch + 1, seconds.count(), cpu_seconds, loss, accuracy, measure::memory_mb("VmHWM:"));
        std::fflush(stdout);
    }
}

}  // namespace bench
