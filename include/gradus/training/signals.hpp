// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <csignal>
#include <span>
#include <string>
#include <string_view>

#include "gradus/core/error.hpp"

namespace gradus::training {
namespace detail {

/// The first signal that a guard took; 0 if there was none.
inline std::atomic<int> first_signal{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may write to it");

/// The first signal is noted; one more has its usual effect, which is the end.
extern "C" inline void gradus_take_signal(int number) {
    int none = 0;
    if (first_signal.compare_exchange_strong(none, number)) {
#if defined(_WIN32)
        for (const int other : {SIGINT, SIGTERM}) std::signal(other, SIG_DFL);
#endif
        return;
    }
    std::signal(number, SIG_DFL);
    std::raise(number);
}

}  // namespace detail

/// While it lives, the first SIGINT (Ctrl-C) or SIGTERM does not end the program but is noted, so that it can
/// finish the step that it is in and save; the second ends it at once.
///
///     training::SignalGuard signals;
///     for (...) {
///         ...  // one step
///         if (!signals.stopped()) continue;
///         checkpoint.save(...);
///         return signals.exit_code();
///     }
///
/// The library installs handlers nowhere else. What the program ignores (nohup) it goes on ignoring; other
/// handlers come back with the end of the guard. One guard at a time: a second throws ValueError.
class SignalGuard {
public:
    [[gnu::cold]] SignalGuard() {
        gradus::detail::check<ValueError>(!exists().exchange(true), "signals", "there is a guard already");
        detail::first_signal = 0;
        for (int i = 0; i < 2; ++i) {
#if defined(_WIN32)
            before_[i] = std::signal(numbers[i], detail::gradus_take_signal);
            if (before_[i] == SIG_IGN) std::signal(numbers[i], SIG_IGN);
#else
            ::sigaction(numbers[i], nullptr, &before_[i]);
            if (!(before_[i].sa_flags & SA_SIGINFO) && before_[i].sa_handler == SIG_IGN) continue;
            struct sigaction action {};
            action.sa_handler = detail::gradus_take_signal;
            action.sa_flags = SA_RESTART;  // what waits for a disk goes on waiting
            ::sigaction(numbers[i], &action, nullptr);
#endif
        }
    }
    SignalGuard(const SignalGuard&) = delete;
    SignalGuard& operator=(const SignalGuard&) = delete;
    [[gnu::cold]] ~SignalGuard() {
        for (int i = 0; i < 2; ++i) {
#if defined(_WIN32)
            std::signal(numbers[i], before_[i]);
#else
            ::sigaction(numbers[i], &before_[i], nullptr);
#endif
        }
        exists() = false;
    }

    /// Whether a signal came.
    bool stopped() const { return signal() != 0; }

    /// Which one; 0 if none.
    int signal() const { return detail::first_signal.load(std::memory_order_relaxed); }

    /// With what a program ends that a signal stopped: 130 after SIGINT, 143 after SIGTERM; 0 if none came.
    int exit_code() const { return stopped() ? 128 + signal() : 0; }

private:
    static constexpr int numbers[] = {SIGINT, SIGTERM};

    static std::atomic<bool>& exists() {
        static std::atomic<bool> one{false};
        return one;
    }

#if defined(_WIN32)
    void (*before_[2])(int);
#else
    struct sigaction before_[2];
#endif
};

/// The command line that goes on with a run: that of the program, quoted for a shell, with `option` at its end
/// unless it is there, and without `without`, which would begin anew.
///
///     std::fprintf(stderr, "stopped; to go on: %s\n", training::resume_command({argv, argv + argc}).c_str());
[[gnu::cold]] inline std::string resume_command(std::span<const char* const> arguments,
                                                std::string_view option = "--resume",
                                                std::string_view without = "--overwrite") {
    std::string command;
    bool resumes = false;
    const auto add = [&](std::string_view word) {
        if (!command.empty()) command += ' ';
        constexpr std::string_view plain =
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+./=:,@%";
        if (!word.empty() && word.find_first_not_of(plain) == word.npos) {
            command += word;
            return;
        }
        command += '\'';
        for (const char c : word) c == '\'' ? command += "'\\''" : command += c;
        command += '\'';
    };
    for (const std::string_view argument : arguments) {
        if (argument == without) continue;
        resumes = resumes || argument == option;
        add(argument);
    }
    if (!resumes) add(option);
    return command;
}

}  // namespace gradus::training
