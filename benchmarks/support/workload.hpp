// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <span>
#include <string>
#include <vector>

/// The work that gradus and its peers are compared on. Only the standard library here: every program starts
/// from the same numbers, takes the same steps and is timed by the same clock, whatever framework it uses.
namespace workload {

/// A deterministic number in [-1, 1): the hash of (stream, i). The mixer is the finalizer of MurmurHash3.
inline float number(std::uint32_t stream, std::size_t i) {
    std::uint32_t h = static_cast<std::uint32_t>(i) * 2654435761u + stream * 0x9E3779B9u;
    h = (h ^ (h >> 16)) * 0x85EBCA6Bu;
    h = (h ^ (h >> 13)) * 0xC2B2AE35u;
    h ^= h >> 16;
    return static_cast<float>(h >> 8) * 0x1p-23f - 1.0f;
}

inline void fill(std::span<float> values, std::uint32_t stream, float scale, float shift = 0.0f) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = shift + scale * number(stream, i);
}

/// A multi-layer perceptron on one fixed batch: ReLU between the layers, cross entropy, plain SGD.
struct Mlp {
    static constexpr int sizes[] = {784, 350, 250, 150, 50, 10};
    static constexpr int layers = 5, batch = 256, classes = 10;
    static constexpr float lr = 0.2f;
    static constexpr int checked_step = 10;  // the loss before this step shows that ten updates were right

    /// Fills parameter `index` (weight, bias, weight, ...) of a layer with `fan_in` inputs: uniform, as He et
    /// al. 2015.
    static void fill_parameter(std::span<float> values, int index, int fan_in) {
        const float bound = index % 2 == 0 ? std::sqrt(6.0f / static_cast<float>(fan_in)) : 0.01f;
        fill(values, static_cast<std::uint32_t>(100 + index), bound);
    }
    static void fill_inputs(std::span<float> values) { fill(values, 1, 1.0f); }
    static void fill_labels(std::span<std::int64_t> labels) {
        for (std::size_t i = 0; i < labels.size(); ++i)
            labels[i] = static_cast<std::int64_t>((number(2, i) + 1.0f) * 0.5f * static_cast<float>(classes));
    }
};

/// y = x; 1000 times y = y * w; sum(y).backward(), all on 16 numbers: what recording and undoing cost.
struct Chain {
    static constexpr int operations = 1000, size = 16;

    static void fill_x(std::span<float> values) { fill(values, 3, 1.0f); }
    static void fill_w(std::span<float> values) { fill(values, 4, 1e-4f, 1.0f); }
};

/// Milliseconds of processor time that this process has used, on all its threads.
inline double cpu_ms() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

/// Milliseconds of each step.
class StepTimes {
public:
    template <class Step>
    void time(const Step& step) {
        const auto start = std::chrono::steady_clock::now();
        step();
        ms_.push_back(
            std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    }

    std::size_t count() const { return ms_.size(); }
    double fastest() const { return *std::min_element(ms_.begin(), ms_.end()); }
    double median() const {
        std::vector<double> sorted = ms_;
        const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
        std::nth_element(sorted.begin(), middle, sorted.end());
        return *middle;
    }

    /// Processor time per step since construction; unlike the others, it leaves out what other programs use.
    double cpu() const { return (cpu_ms() - cpu_start_) / static_cast<double>(count()); }

private:
    std::vector<double> ms_;
    double cpu_start_ = cpu_ms();
};

/// Repeats `step` for a tenth of `seconds` to warm up and then for `seconds`; prints one line of JSON.
/// `first` and `later` are results that must agree between programs.
template <class Step>
void measure_and_print(const std::string& name, double seconds, double first, double later,
                       const Step& step) {
    const auto run_for = [&](double duration) {
        StepTimes times;
        const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(duration);
        while (times.count() < 3 || std::chrono::steady_clock::now() < end) times.time(step);
        return times;
    };
    run_for(seconds / 10);
    const StepTimes times = run_for(seconds);
    std::printf(
        "{\"case\": \"%s\", \"median_ms\": %.6g, \"fastest_ms\": %.6g, \"cpu_ms\": %.6g, \"steps\": %zu, "
        "\"first\": %.7g, \"later\": %.7g}\n",
        name.c_str(), times.median(), times.fastest(), times.cpu(), times.count(), first, later);
    std::fflush(stdout);
}

}  // namespace workload
