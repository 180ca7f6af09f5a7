// SPDX-License-Identifier: MIT

// The program that the fault tests start, kill and start again. It is a test case of the same program, so that it
// needs no other: it trains only if the environment says where.

#include "trainer.hpp"

#include <dlfcn.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "gradus/gradus.hpp"
#include "gradus/training/async_checkpoint.hpp"
#include "gradus/training/run_folder.hpp"
#include "gradus/training/signals.hpp"
#include "support/test.hpp"

using namespace gradus;

namespace {

std::string setting(const char* name) {
    const char* const value = std::getenv(name);
    return value ? value : "";
}

std::atomic<int> renames{0};

}  // namespace

/// Stands in for the C library's: dies at the moment that TRAINER_AT_RENAME says.
extern "C" int rename(const char* from, const char* to) {
    static const std::string at = setting("TRAINER_AT_RENAME");
    const int number = ++renames;
    if (at == "before:" + std::to_string(number)) ::kill(::getpid(), SIGKILL);
    static const auto real =
        reinterpret_cast<int (*)(const char*, const char*)>(::dlsym(RTLD_NEXT, "rename"));
    const int result = real(from, to);
    if (at == "after:" + std::to_string(number)) ::kill(::getpid(), SIGKILL);
    return result;
}

namespace {

struct Net {
    nn::Linear<> fc1{16, 32};
    nn::BatchNorm1d<> norm{32};
    nn::Dropout dropout{.p = 0.3};
    nn::Linear<> fc2{32, 4};

    auto operator()(const Variable<>& x) const { return fc2(dropout(relu(norm(fc1(x))))); }
};

/// Noise that is a function of seed, epoch and example, as that of augmentation is.
Tensor<> with_noise(Tensor<> inputs, Index epoch, Index first) {
    float* x = inputs.mutable_data();
    const Index width = inputs.size(1);
    for (Index row = 0; row < inputs.size(0); ++row)
        for (Index i = 0; i < width; ++i) {
            const RandomStream stream{17, static_cast<std::uint64_t>(epoch * 1000 + first + row)};
            x[row * width + i] += static_cast<float>(stream(static_cast<std::uint64_t>(i))[0]) * 0x1p-34f;
        }
    return inputs;
}

int train() {
    const training::SignalGuard signals;
    const bool adam = setting("TRAINER_KIND") == "adam", async = setting("TRAINER_ASYNC") == "1";
    const Index every = std::atoi(setting("TRAINER_EVERY").c_str()),
                last = std::atoi(setting("TRAINER_STEPS").c_str());
    const std::string path = setting("TRAINER_FOLDER");
    const training::RunFolder run(path, {.resume = ::access(path.c_str(), F_OK) == 0});

    manual_seed(1);
    Generator generator(2);
    std::vector<Index> classes(90);
    for (std::size_t i = 0; i < classes.size(); ++i) classes[i] = static_cast<Index>(i % 4);
    const data::Loader loader(data::Dataset{randn({90, 16}, generator), Tensor<Index>(classes)},
                              {.batch_size = 7, .shuffle = true, .seed = 3});
    Net net;
    optim::AnyOptimizer optimizer = optim::SGD(nn::named_parameters(net), {.lr = 0.05});
    if (adam) optimizer = optim::AdamW(nn::named_parameters(net));
    Ema ema(net, {.decay = 0.9});
    const auto lr = optim::schedule::one_cycle({.max_lr = 0.05, .total_steps = 60});
    double loss_sum = 0;
    training::Position at;
    training::AsyncCheckpoint background;
    const auto save = [&](const std::string& file) {
        if (async)
            background.save(file, at, net, optimizer, ema, training::part("loss_sum", loss_sum));
        else
            training::save_checkpoint(file, at, net, optimizer, ema, training::part("loss_sum", loss_sum));
    };
    if (run.resumes())
        at = training::load_checkpoint(run.last(), net, optimizer, ema, training::part("loss_sum", loss_sum));
    int code = 0;
    for (; at.step < last && !signals.stopped();) {
        auto batch = loader.epoch(at.epoch)[at.batch];
        if (adam) batch.inputs = with_noise(std::move(batch.inputs), at.epoch, at.batch * 7);
        optimizer.zero_grad();
        auto loss = cross_entropy(net(batch.inputs), batch.labels);
        loss.backward();
        if (adam) optim::schedule::apply(optimizer, lr, at.step);
        optimizer.step();
        ema.update(net);
        loss_sum += static_cast<double>(loss.item());
        ++at.step;
        if (++at.batch == loader.size()) at = {at.epoch + 1, 0, at.step};
        if (at.step % every != 0) continue;
        try {
            save(run.last());
            if (at.step % (3 * every) == 0) save(run.step(at.step));
            run.keep_steps(2);
        } catch (const IoError& e) {  // training goes on
            std::fprintf(stderr, "%s\n", e.what());
            code = 1;
        }
    }
    try {
        save(run.last());
        background.wait();
    } catch (const IoError& e) {
        std::fprintf(stderr, "%s\n", e.what());
        code = 1;
    }
    return code != 0 ? code : signals.exit_code();
}

}  // namespace

TEST_CASE("trainer", "[.]") {
    if (setting("TRAINER_FOLDER").empty()) return;
    int code = 2;
    try {
        code = train();
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
    }
    std::_Exit(code);
}
