// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <gradus/gradus.hpp>

#include "command_line.hpp"
#include "optimizers.hpp"

/// What all training programs take on their command line; the defaults are set by each program, and more
/// flags by deriving from this.
struct Flags {
    std::string data = {};
    int epochs = 10;
    int batch = 100;
    double lr = 0.1;
    std::string optimizer = "sgd";
    std::string schedule = "constant";
    std::uint64_t seed = 1;
    int threads = 0;
    int limit = 0;
    std::string out = {};

    void declare(CommandLine& line) {
        line.text("--data", data, "folder of the four IDX files (default: found by itself)");
        line.number("--epochs", epochs, 1, 100000, "passes over the data");
        line.number("--batch", batch, 1, 60000, "examples per step");
        line.choice("--optimizer", optimizer, optimizer_names(), "what makes steps of gradients");
        line.choice("--schedule", schedule,
                    {"constant", "inverse_time", "inverse_sqrt", "step", "exponential", "polynomial",
                     "cosine", "cosine_restarts", "warmup_cosine", "cyclic", "one_cycle"},
                    "how the learning rate goes on");
        line.number(
            "--lr", lr, 1e-9, 1e3,
            "learning rate, the highest of the schedule (default: the optimizer's usual one, three times "
            "that for one_cycle)");
        line.number("--seed", seed, std::uint64_t{0}, std::uint64_t{1} << 32, "of weights and shuffling");
        line.number("--threads", threads, 0, 1024, "at most (0: all)");
        line.number("--limit", limit, 0, 60000, "use only so many examples to train and to test (0: all)");
        line.text("--out", out, "folder for history.csv");
    }

    /// Of a loader whose order is another one in every epoch.
    gradus::data::LoaderOptions shuffled() const {
        return {.batch_size = batch, .shuffle = true, .seed = seed};
    }

    /// The first examples, as many as --limit allows.
    template <class Dataset>
    Dataset limited(const Dataset& dataset) const {
        return limit == 0 || limit >= dataset.size() ? dataset : dataset.take(0, limit);
    }
};

/// Sends on what was printed. Throws IoError if it does not arrive: the output is closed or its disk full.
inline void flush_output() {
    if (std::fflush(stdout) != 0 || std::ferror(stdout))
        throw gradus::IoError("output: cannot be written: is it closed, or its disk full?");
}

/// Reads the flags, calls train(flags) and returns the exit code: 0, 1 if training fails or its output does
/// not arrive, 2 for a wrong command line.
template <class F, class Train>
int run_with_flags(int argc, char** argv, const char* what, F flags, const Train& train) {
    CommandLine line(what);
    const std::string own_optimizer = flags.optimizer;
    flags.declare(line);
    if (const int code = line.parse(argc, argv); code >= 0) return code;
    if (!line.given("--lr")) {
        if (flags.optimizer != own_optimizer) flags.lr = optimizer_choice(flags.optimizer).usual_lr;
        if (flags.schedule == "one_cycle") flags.lr *= 3;  // reached for a moment only
    }
    try {
        if (flags.threads > 0) gradus::set_num_threads(flags.threads);
        if (!flags.out.empty()) std::filesystem::create_directories(flags.out);
        train(flags);
        flush_output();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
