// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <gradus/gradus.hpp>
#include <gradus/training/evaluate.hpp>

#include "command_line.hpp"
#include "flags.hpp"

struct SpeedrunFlags {
    std::string data = {};
    int seeds = 1;
    std::uint64_t first_seed = 1;
    int threads = 0;
    bool held_back = false;
    std::string out = {};
};

/// Share of the images that a model puts into the right class.
template <class Model>
double accuracy_of(Model& model, const gradus::data::Dataset<>& images) {
    const auto loss = [](const auto& logits, const auto& labels) { return cross_entropy(logits, labels); };
    return gradus::training::evaluate(model, loss, gradus::data::Loader(images, {.batch_size = 500})).score;
}

/// Mean and standard deviation.
struct Spread {
    double mean = 0, deviation = 0;

    explicit Spread(const std::vector<double>& values) {
        const auto n = static_cast<double>(values.size());
        for (const double x : values) mean += x / n;
        for (const double x : values) deviation += (x - mean) * (x - mean);
        deviation = values.size() > 1 ? std::sqrt(deviation / (n - 1)) : 0;
    }
};

/// A program that trains once for each seed and prints accuracy and time. The clock runs from the images of the
/// files, in memory, to the last update: train(images, seed) gives back what tells the accuracy on other images.
/// Nothing of what is scored is looked at before that. With --held-back, that are the last 10,000 of the images to
/// train on, which train() then does not get: for choosing a recipe.
template <class Load, class Train>
int speedrun(int argc, char** argv, const char* what, const Load& load, const Train& train) {
    SpeedrunFlags flags;
    CommandLine line(what);
    line.text("--data", flags.data, "folder of the four IDX files (default: found by itself)");
    line.number("--seeds", flags.seeds, 1, 100000, "how many times to train");
    line.number("--first-seed", flags.first_seed, std::uint64_t{0}, std::uint64_t{1} << 32,
                "of weights and order; the others follow it");
    line.number("--threads", flags.threads, 0, 1024, "at most (0: all)");
    line.flag("--held-back", flags.held_back,
              "train on all but the last 10,000 images and score those, not the test set");
    line.text("--out", flags.out, "file for a line of CSV per seed");
    if (const int code = line.parse(argc, argv); code >= 0) return code;
    try {
        if (flags.threads > 0) gradus::set_num_threads(flags.threads);
        auto [images, scored] = load(flags.data);
        if (flags.held_back) {
            const gradus::Index cut = images.size() - 10000;
            scored = images.take(cut, images.size());
            images = images.take(0, cut);
        }
        std::string csv = "seed,accuracy,seconds\n";
        std::vector<double> accuracies, seconds;
        for (int i = 0; i < flags.seeds; ++i) {
            const std::uint64_t seed = flags.first_seed + static_cast<std::uint64_t>(i);
            const auto start = std::chrono::steady_clock::now();
            auto accuracy_on = train(images, seed);
            seconds.push_back(
                std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
            accuracies.push_back(accuracy_on(scored));
            std::printf("seed %llu: accuracy %.4f in %.3f s\n", static_cast<unsigned long long>(seed),
                        accuracies.back(), seconds.back());
            char row[100];
            std::snprintf(row, sizeof row, "%llu,%.4f,%.4f\n", static_cast<unsigned long long>(seed),
                          accuracies.back(), seconds.back());
            csv += row;
        }
        const Spread accuracy(accuracies), time(seconds);
        const gradus::BuildInfo build = gradus::build_info();
        std::printf("%d seeds: accuracy %.4f +- %.4f in %.3f +- %.3f s (%s, %d threads, %s)\n", flags.seeds,
                    accuracy.mean, accuracy.deviation, time.mean, time.deviation, build.instructions,
                    build.threads, build.compiler.c_str());
        if (!flags.out.empty()) gradus::write_file(flags.out, {csv}, {.operation = "speedrun"});
        flush_output();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
