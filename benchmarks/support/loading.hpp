// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "measure.hpp"

/// What loading data with gradus and with its peers share. Only the standard library here.
namespace loading {

inline constexpr int batch = 256;
inline constexpr double file_bytes = 70000 * (28 * 28 + 1), set_bytes = 70000 * 28 * 28 * sizeof(float),
                        epoch_bytes = 60000 * 28 * 28 * sizeof(float);

/// As measure::Arguments, and --data=folder of the four IDX files, --gzip=folder of the same compressed,
/// --loader=stack|batches and --workers=0 (of the peer).
struct Arguments {
    std::string data, gzip, loader = "stack";
    int workers = 0;
    measure::Arguments common;

    Arguments(int argc, char** argv) : common(others(argc, argv)) {}

private:
    measure::Arguments others(int argc, char** argv) {
        std::vector<char*> rest{argv[0]};
        for (int i = 1; i < argc; ++i) {
            const std::string_view text = argv[i];
            const auto take = [&](std::string_view key, std::string& value) {
                if (!text.starts_with(key)) return false;
                value = text.substr(key.size());
                return true;
            };
            if (!take("--data=", data) && !take("--gzip=", gzip) && !take("--loader=", loader) &&
                std::sscanf(argv[i], "--workers=%d", &workers) != 1)
                rest.push_back(argv[i]);
        }
        return {static_cast<int>(rest.size()), rest.data()};
    }
};

/// Of all images, and of all images with their labels; in any order.
struct Checksum {
    double images = 0, labeled = 0;

    void add(std::span<const float> inputs, std::span<const std::int64_t> labels) {
        const std::size_t size = inputs.size() / labels.size();
        for (std::size_t i = 0; i < labels.size(); ++i) {
            double sum = 0;
            for (const float value : inputs.subspan(i * size, size))
                sum += std::fabs(static_cast<double>(value));
            images += sum;
            labeled += sum * static_cast<double>(labels[i]);
        }
    }
};

}  // namespace loading
