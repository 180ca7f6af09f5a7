// SPDX-License-Identifier: MIT
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>

#include <gradus/gradus.hpp>

/// What the training programs take on their command line; the defaults are set by each program.
struct Flags {
    std::string data = {};
    int epochs = 10;
    int batch = 100;
    float lr = 0.1f;
    std::string optimizer = "sgd";
    std::uint64_t seed = 1;
    int threads = 0;
    std::string out = {};
};

/// Reads the flags, calls train(flags) and returns the exit code: 0, 1 if training fails, 2 for a wrong
/// command line.
template <class Train>
int run_with_flags(int argc, char** argv, const char* what, Flags flags, const Train& train) {
    CLI::App app(what);
    app.add_option("--data", flags.data, "folder of the four IDX files (default: found by itself)");
    app.add_option("--epochs", flags.epochs, "passes over the data")
        ->check(CLI::Range(1, 100000))
        ->capture_default_str();
    app.add_option("--batch", flags.batch, "examples per step")
        ->check(CLI::Range(1, 60000))
        ->capture_default_str();
    app.add_option("--lr", flags.lr, "learning rate")->check(CLI::PositiveNumber)->capture_default_str();
    app.add_option("--optimizer", flags.optimizer)
        ->check(CLI::IsMember({"sgd", "momentum"}))
        ->capture_default_str();
    app.add_option("--seed", flags.seed, "of weights and shuffling")->capture_default_str();
    app.add_option("--threads", flags.threads, "at most (default: all)")->check(CLI::Range(1, 1024));
    app.add_option("--out", flags.out, "folder for history.csv");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    try {
        if (flags.threads > 0) gradus::set_num_threads(flags.threads);
        if (!flags.out.empty()) std::filesystem::create_directories(flags.out);
        train(flags);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
