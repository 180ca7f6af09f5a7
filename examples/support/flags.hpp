// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <type_traits>
#include <utility>
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
    bool resume = false, overwrite = false;
    int checkpoint_every = 0;
    std::string progress = "auto";
    std::string precision = "highest";
    const char* data_help = "folder of the four IDX files (default: found by itself)";

    std::vector<std::string> command = {};                           // the words of the command line
    std::vector<std::pair<std::string, std::string>> settings = {};  // all flags and their values

    void declare(CommandLine& line) {
        line.text("--data", data, data_help);
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
        line.choice("--precision", precision, {"highest", "high", "medium"},
                    "of float products: medium lets processors with bfloat16 units round to that");
        line.choice("--progress", progress, {"auto", "bar", "plain", "none"},
                    "what is shown: auto is the bar on a terminal, and lines elsewhere");
        line.text("--out", out, "folder of the run: settings, history, checkpoints, report");
        line.flag("--resume", resume, "go on with the run in --out");
        line.flag("--overwrite", overwrite, "remove the run in --out and begin anew");
        line.number("--checkpoint-every", checkpoint_every, 0, 1000000,
                    "save after so many steps, besides after each epoch (0: after epochs only)");
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

/// Reads the flags, calls train(flags) and returns the exit code that this gives, 0 if it gives none: 0, 1 if training fails or its
/// output does not arrive, 128 + the signal that ended it; 2 for a wrong command line.
template <class F, class Train>
int run_with_flags(int argc, char** argv, const char* what, F flags, const Train& train) {
    CommandLine line(what);
    const std::string own_optimizer = flags.optimizer;
    flags.declare(line);
    if (const int code = line.parse(argc, argv); code >= 0) return code;
    if (flags.out.empty() && (flags.resume || flags.overwrite || flags.checkpoint_every > 0)) {
        std::fprintf(stderr,
                     "--resume, --overwrite and --checkpoint-every need --out, the folder of the run\n");
        return 2;
    }
    if (!line.given("--lr")) {
        if (flags.optimizer != own_optimizer) flags.lr = optimizer_choice(flags.optimizer).usual_lr;
        if (flags.schedule == "one_cycle") flags.lr *= 3;  // reached for a moment only
    }
    flags.command.assign(argv, argv + argc);
    flags.settings = line.settings();
    try {
        if (flags.threads > 0) gradus::set_num_threads(flags.threads);
        gradus::set_float32_matmul_precision(flags.precision);
        int code = 0;
        if constexpr (std::is_void_v<decltype(train(flags))>)
            train(flags);
        else
            code = train(flags);
        flush_output();
        return code;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
