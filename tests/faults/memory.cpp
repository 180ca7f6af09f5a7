// SPDX-License-Identifier: MIT

// Takes longer than a test should: ./test_faults "memory: stays flat"

#include <unistd.h>

#include <cstdio>
#include <vector>

#include "data/files.hpp"
#include "gradus/gradus.hpp"
#include "gradus/training/async_checkpoint.hpp"
#include "gradus/training/run_folder.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

/// Resident memory of this process in bytes, from Linux.
double resident() {
    std::FILE* const file = std::fopen("/proc/self/statm", "r");
    long all = 0, pages = 0;
    if (file && std::fscanf(file, "%ld %ld", &all, &pages) != 2) pages = 0;
    if (file) std::fclose(file);
    return static_cast<double>(pages) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

struct Net {
    nn::Linear<> fc1{784, 256};
    nn::BatchNorm1d<> norm{256};
    nn::Dropout dropout{.p = 0.2};
    nn::Linear<> fc2{256, 10};

    auto operator()(const Variable<>& x) const { return fc2(dropout(relu(norm(fc1(x))))); }
};

}  // namespace

TEST_CASE("memory: stays flat over 20000 steps with changing batches and a checkpoint every 500", "[.]") {
    if (resident() == 0) {
        WARN("skipped: this system does not tell how much memory is resident");
        return;
    }
    const TemporaryFolder folder;
    const training::RunFolder run(folder.path());
    training::AsyncCheckpoint checkpoint;
    Net net;
    optim::Adam adam(nn::named_parameters(net));
    Ema ema(net);
    const data::Dataset examples{randn({60000, 784}),
                                 cast<Index>(floor(uniform({60000}, 0, 10)))};  // as MNIST
    std::vector<double> megabytes, live;
    for (Index step = 1; step <= 20000; ++step) {
        const RandomStream stream{7, static_cast<std::uint64_t>(step)};
        const Index size = 2 + static_cast<Index>(stream(0)[0] % 63),
                    first = static_cast<Index>(stream(0)[1] % 59900);
        const auto batch = examples.take(first, first + size);
        adam.zero_grad();
        cross_entropy(net(Variable<>(batch.inputs)), batch.labels).backward();
        adam.step();
        ema.update(net);
        if (step % 500 == 0) checkpoint.save(run.last(), {0, step, step}, net, adam, ema);
        // Always after some steps that had to leave what is being written alone: else how many do is up to the
        // disk, and so is by how many copies of the model the memory varies.
        if (step % 500 == 20) checkpoint.wait();
        if (step % 1000 != 100) continue;
        training::save_checkpoint(run.step(step), {0, step, step}, net, adam, ema);
        run.keep_steps(2);
        if (step < 1000) continue;
        megabytes.push_back(resident() / 1e6);
        live.push_back(static_cast<double>(memory_stats().live) / 1e6);
    }
    checkpoint.wait();
    for (std::size_t i = 0; i < megabytes.size(); ++i)
        std::printf("%5zu steps: %.2f MB resident, %.2f MB of tensors\n", 1000 * (i + 1) + 100, megabytes[i],
                    live[i]);
    for (const double each : live) CHECK(each == live.front());
    for (const double each : megabytes) CHECK(each == Approx(megabytes.front()).epsilon(0.02));
}
