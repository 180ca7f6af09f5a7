// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cmath>
#include <cstdio>
#include <exception>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>

#include "measure.hpp"
#include "workload.hpp"

/// What the two programs of the sweep share: each reads requests, one a line, and answers each with a line,
/// "ok" and numbers or "error" and a text. support/sweep.py asks them in turns.
///
///     time <mode> <threads> <seconds> <layout> <row>    median and fastest step, in microseconds
///     check <layout> <row>                              for each result nine numbers: see Sketch
///
/// A mode is "forward" or "step", a layout "contiguous" or "channels_last", a row what support/shapes.py writes.
namespace serve {

/// What is left of a result: its length ‖y‖ (Euclid's), and eight sums of its numbers with random signs. If y
/// and z are results of two programs, the mean square of the differences of their sums is ‖y − z‖² in
/// expectation (Johnson & Lindenstrauss), so the sums tell how far they are apart.
using Sketch = std::array<double, 9>;

inline Sketch sketch(std::span<const float> values) {
    Sketch sums{};
    for (std::size_t i = 0; i < values.size(); ++i) {
        const double value = static_cast<double>(values[i]);
        // the upper bits of a number of the workload are its most random ones
        const auto signs = static_cast<unsigned>((workload::number(23, i) + 1.0f) * 128.0f);
        sums[0] += value * value;
        for (unsigned k = 0; k < 8; ++k) sums[k + 1] += (signs >> k & 1u) != 0 ? value : -value;
    }
    sums[0] = std::sqrt(sums[0]);
    return sums;
}

/// One row of the sweep, ready to run.
struct Case {
    std::function<void()> forward;                 // without a history; none for what has but a step
    std::function<void()> step;                    // forward, and the gradients of all inputs
    std::function<std::vector<Sketch>()> results;  // forward and gradients, or what a step has changed
};

/// Makes the case of a row: its family, and what comes after it.
using Make = std::function<Case(const std::string& family, std::istream& row, const std::string& layout)>;

/// The rest of a row as sizes.
inline std::vector<std::int64_t> sizes(std::istream& row) {
    std::vector<std::int64_t> all;
    for (std::int64_t size; row >> size;) all.push_back(size);
    return all;
}

[[noreturn]] inline void unknown(const std::string& what) { throw std::runtime_error("unknown: " + what); }

inline double wall_ms() {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

struct StepTime {
    double median, fastest;  // microseconds
};

/// Warms up, then repeats `step` for `seconds`; a step that takes longer than the warm-up counts from the first
/// time on. On one thread processor time counts, which hardly feels other programs. A sample is so many steps
/// that reading the clock does not count.
inline StepTime time(const std::function<void()>& step, int threads, double seconds) {
    constexpr double sample_ms = 0.05, warm_up_ms = 10;  // a team of OpenMP without work sleeps after that
    const auto clock = threads == 1 ? measure::cpu_ms : wall_ms;
    std::vector<double> samples;
    const auto sample = [&](int steps) {
        const double before = clock();
        for (int i = 0; i < steps; ++i) step();
        samples.push_back((clock() - before) / steps);
    };
    double start = wall_ms();
    while (wall_ms() - start < warm_up_ms) sample(1);
    if (samples.size() > 1) {
        const double estimate = samples.back();
        samples.clear();
        const int steps = std::max(1, static_cast<int>(sample_ms / std::max(estimate, 1e-5)));
        start = wall_ms();
        while (samples.empty() || wall_ms() - start < seconds * 1e3) sample(steps);
    } else {
        while (wall_ms() - start < seconds * 1e3) sample(1);
    }
    const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
    std::nth_element(samples.begin(), middle, samples.end());
    return {.median = *middle * 1e3, .fastest = *std::min_element(samples.begin(), samples.end()) * 1e3};
}

/// The cases of the row that is being measured, one for each layout that was asked for.
class Cases {
public:
    explicit Cases(Make make) : make_(std::move(make)) {}

    Case& of(const std::string& layout, const std::string& row) {
        if (row != row_) cases_.clear();
        row_ = row;
        auto found = cases_.find(layout);
        if (found == cases_.end()) {
            std::istringstream words(row);
            std::string family;
            words >> family;
            found = cases_.emplace(layout, make_(family, words, layout)).first;
        }
        return found->second;
    }

private:
    Make make_;
    std::string row_;
    std::map<std::string, Case> cases_;
};

/// Answers a request that one of the programs alone understands: numbers, after "ok".
using Extra = std::function<std::vector<double>(const std::string& request, std::istream& words)>;

inline std::vector<double> answer(const std::string& line, Cases& cases,
                                  const std::function<void(int)>& set_threads, const Extra& extra) {
    std::istringstream words(line);
    std::string request, mode, layout, row;
    words >> request;
    if (request == "time") {
        int threads = 0;
        double seconds = 0;
        words >> mode >> threads >> seconds >> layout >> std::ws;
        std::getline(words, row);
        set_threads(threads);
        const Case& work = cases.of(layout, row);
        const std::function<void()>& step = mode == "forward" ? work.forward : work.step;
        if (!step) unknown(mode + " of " + row);
        const StepTime taken = time(step, threads, seconds);
        return {taken.median, taken.fastest};
    }
    if (request == "check") {
        words >> layout >> std::ws;
        std::getline(words, row);
        std::vector<double> numbers;
        for (const Sketch& result : cases.of(layout, row).results())
            numbers.insert(numbers.end(), result.begin(), result.end());
        return numbers;
    }
    return extra(request, words);
}

/// main() of both programs. The first line names the library.
inline int run(const std::string& library, const Make& make, const std::function<void(int)>& set_threads,
               const Extra& extra) {
    std::cout << library << std::endl;
    Cases cases(make);
    for (std::string line; std::getline(std::cin, line);) {
        std::ostringstream text;
        text.precision(17);
        try {
            text << "ok";
            for (const double number : answer(line, cases, set_threads, extra)) text << ' ' << number;
        } catch (const std::exception& error) {
            const std::string what = error.what();
            text.str("");
            text << "error " << what.substr(0, what.find('\n'));
        }
        std::cout << text.str() << std::endl;
    }
    return 0;
}

}  // namespace serve
