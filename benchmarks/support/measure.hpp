// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

/// The clock, the options and the output that gradus and its peers share. Only the standard library here.
namespace measure {

/// program [--seconds=0.3] [--threads=1] [--filter=text] [--layout=contiguous|channels_last|blocked]
///         [--precision=highest|high|medium]
struct Arguments {
    double seconds = 0.3;  // per case
    int threads = 1;
    std::string filter;                           // only cases whose name has it; "=name" for one case alone
    bool channels_last = false, blocked = false;  // blocked: as oneDNN likes its arrays best
    std::string precision = "highest";            // of gradus's products and convolutions

    Arguments(int argc, char** argv) {
        for (int i = 1; i < argc; ++i) {
            const std::string_view text = argv[i];
            const std::size_t equals = text.find('=');
            const std::string_view key = text.substr(0, equals);
            const std::string value(equals == text.npos ? "" : text.substr(equals + 1));
            if (key == "--seconds")
                seconds = std::atof(value.c_str());
            else if (key == "--threads")
                threads = std::atoi(value.c_str());
            else if (key == "--filter")
                filter = value;
            else if (key == "--precision")
                precision = value;
            else if (key == "--layout" &&
                     (value == "contiguous" || value == "channels_last" || value == "blocked"))
                channels_last = value == "channels_last", blocked = value == "blocked";
            else
                unknown(argv[0], argv[i]);
        }
    }

    bool wants(const std::string& name) const {
        return filter.starts_with('=') ? name == filter.substr(1) : name.find(filter) != name.npos;
    }

private:
    [[noreturn]] static void unknown(const char* program, const char* option) {
        std::fprintf(stderr, "%s: unknown option %s\n", program, option);
        std::exit(2);
    }
};

/// Milliseconds of processor time that this process has used, on all its threads.
inline double cpu_ms() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

/// Megabytes of memory: "VmHWM:" the most so far, "VmRSS:" now.
inline double memory_mb(const char* field) {
    double kilobytes = 0;
    if (std::FILE* const status = std::fopen("/proc/self/status", "r")) {
        for (char line[256]; std::fgets(line, sizeof line, status);)
            if (std::strncmp(line, field, std::strlen(field)) == 0)
                kilobytes = std::atof(line + std::strlen(field));
        std::fclose(status);
    }
    return kilobytes / 1024;
}

/// What the program held before it did anything: mostly its libraries.
inline const double start_mb = memory_mb("VmRSS:");

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

/// What a case did in one step, as far as it applies.
struct Work {
    double first = 0, later = 0;  // results that must agree between programs
    double flop = 0, bytes = 0;
};

/// Repeats `step`, which has run before, for a tenth of the time to warm up and then for all of it; prints
/// one line of JSON.
template <class Step>
void run(const Arguments& arguments, const std::string& name, const Work& work, const Step& step) {
    const auto run_for = [&](double duration, std::size_t at_least) {
        StepTimes times;
        const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(duration);
        while (times.count() < at_least || std::chrono::steady_clock::now() < end) times.time(step);
        return times;
    };
    run_for(arguments.seconds / 10, 0);
    const StepTimes times = run_for(arguments.seconds, 3);
    std::printf(
        "{\"case\": \"%s\", \"median_ms\": %.6g, \"fastest_ms\": %.6g, \"cpu_ms\": %.6g, \"steps\": %zu, "
        "\"first\": %.7g, \"later\": %.7g, \"flop\": %.6g, \"bytes\": %.6g, \"peak_mb\": %.1f, "
        "\"start_mb\": %.1f}\n",
        name.c_str(), times.median(), times.fastest(), times.cpu(), times.count(), work.first, work.later,
        work.flop, work.bytes, memory_mb("VmHWM:"), start_mb);
    std::fflush(stdout);
}

/// The compiler must believe that memory and the object at `p` are read here.
inline void keep(const void* p) { asm volatile("" : : "g"(p) : "memory"); }

}  // namespace measure
